//! The points of a Modbus device: `[[point]]` for values, `[[flags]]` for registers whose bits have names.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use rules::{plant::PointKind, units::Unit};
use toml::de::DeValue;

use super::{meaning, register::Defaults};
use crate::{
    codec::{Codec, Encoding},
    profile::{self, ModbusMap, ModbusPoint},
    table::{At, Table, whole_number},
};

/// More points than any device has; it bounds what `repeat` can unfold.
const MAX_POINTS: usize = 10_000;

pub(super) fn read(root: &Table<'_>) -> Option<ModbusMap> {
    let max_registers = root.integer("max_registers", 1..=125, "125").unwrap_or(125);
    let max_bits = root.integer("max_bits", 1..=2000, "2000").unwrap_or(2000);
    let defaults = Defaults::read(root);
    let mut found = Vec::new();
    let (points, words) = (root.tables("point"), root.tables("flags"));
    if points.is_empty() && words.is_empty() {
        root.fault(0..0, "the profile has no points", "add a table that begins with [[point]]");
    }
    for table in points {
        point(&table, &defaults, &mut found);
        table.finish();
    }
    for table in words {
        flags(&table, &defaults, &mut found);
        table.finish();
    }
    check_widths(root, &found, max_registers);
    check_names(root, &found);
    check_overlaps(root, &found);
    Some(ModbusMap {
        max_registers: u16::try_from(max_registers).ok()?,
        max_bits: u16::try_from(max_bits).ok()?,
        points: found.into_iter().map(|found| found.point).collect(),
    })
}

/// A point with the places that its faults are reported at.
struct Found {
    point: ModbusPoint,
    name: Range<usize>,
    address: Range<usize>,
}

fn point(table: &Table<'_>, defaults: &Defaults, found: &mut Vec<Found>) {
    let quantity = meaning::quantity(table);
    let names = quantity.as_ref().map(|quantity| names(table, quantity));
    let place = defaults.place(table);
    let encoding = defaults.encoding(table, place.as_ref().map(|place| place.table));
    let quantities: Vec<&str> =
        names.iter().flat_map(|names| &names.names).map(String::as_str).collect();
    let natural = encoding.map(natural_kind);
    let meaning = meaning::read(table, &quantities, natural);
    let encoding = encoding
        .zip(meaning.kind)
        .and_then(|(encoding, kind)| encoding_of_kind(table, encoding, kind));
    let codec = encoding.and_then(|encoding| defaults.codec(table, encoding));
    let poll_every = defaults.poll_every(table);
    if encoding.is_none() {
        table.ask(&["order", "scale", "offset", "valid", "not_available"]);
    }
    let (Some(quantity), Some(names), Some(place)) = (quantity, names, place) else { return };
    let (Some(unit), Some(kind), Some(codec), true) =
        (meaning.unit, meaning.kind, codec, table.is_sound())
    else {
        return;
    };
    let first = Found {
        point: ModbusPoint {
            quantity: quantity.value.into(),
            table: place.table,
            address: place.address,
            codec,
            unit,
            kind,
            states: meaning.states,
            poll_every,
        },
        name: quantity.span,
        address: place.span,
    };
    unfold(table, &first, names, found);
}

/// Adds a point for each name, a stride apart.
fn unfold(table: &Table<'_>, first: &Found, names: Names, found: &mut Vec<Found>) {
    let stride = names.stride.unwrap_or_else(|| first.point.codec.registers());
    for (step, name) in (0_u32..).zip(names.names) {
        if found.len() >= MAX_POINTS {
            table.fault(
                first.name.clone(),
                format!("more than {MAX_POINTS} points"),
                "shorten \"repeat\"",
            );
            return;
        }
        let address = u32::from(first.point.address) + step * u32::from(stride);
        let Ok(address) = u16::try_from(address) else {
            table.fault(
                first.address.clone(),
                format!("\"{name}\" would lie at {address}, beyond the last register 65535"),
                "correct \"address\" or \"repeat\"",
            );
            return;
        };
        found.push(Found {
            point: ModbusPoint { quantity: name.into(), address, ..first.point.clone() },
            name: first.name.clone(),
            address: first.address.clone(),
        });
    }
}

fn natural_kind(encoding: Encoding) -> PointKind {
    match encoding {
        Encoding::Bits { .. } | Encoding::Enumeration => PointKind::State,
        Encoding::Text { .. } => PointKind::Text,
        Encoding::U16
        | Encoding::I16
        | Encoding::U32
        | Encoding::I32
        | Encoding::U64
        | Encoding::I64
        | Encoding::F32
        | Encoding::F64 => PointKind::Gauge,
    }
}

/// The encoding that a kind needs, or a fault where the two contradict each other.
fn encoding_of_kind(table: &Table<'_>, encoding: Encoding, kind: PointKind) -> Option<Encoding> {
    let natural = natural_kind(encoding);
    match (kind, natural) {
        (PointKind::State, PointKind::Gauge) if encoding == Encoding::U16 => {
            Some(Encoding::Enumeration)
        }
        (PointKind::Counter, PointKind::Gauge) => Some(encoding),
        (kind, natural) if kind == natural => Some(encoding),
        _ => {
            table.fault(
                table.place(if table.has("kind") { "kind" } else { "type" }),
                "\"type\" and \"kind\" do not fit together",
                "a state is u16 or bits, a text is text, a gauge or a counter is a number",
            );
            None
        }
    }
}

struct Names {
    names: Vec<String>,
    stride: Option<u16>,
}

/// The quantities that one entry unfolds into: itself, or one for each value of `repeat`.
fn names(table: &Table<'_>, quantity: &At<&str>) -> Names {
    const EXAMPLE: &str = "{ n = [1, 2, 3, 4], stride = 1 }";
    let Some(repeat) = table.table("repeat", EXAMPLE) else {
        meaning::check_quantity(table, quantity.value, quantity.span.clone());
        return Names { names: vec![quantity.value.to_owned()], stride: None };
    };
    let stride = repeat.integer("stride", 1..=65535, "1").and_then(|step| u16::try_from(step).ok());
    let mut lists = table.entries("repeat", EXAMPLE);
    lists.retain(|(name, _)| name.value != "stride");
    let [(placeholder, values)] = lists.as_slice() else {
        table.fault(
            repeat.span(),
            "\"repeat\" needs one list of values beside \"stride\"",
            format!("write it like this: repeat = {EXAMPLE}"),
        );
        return Names { names: Vec::new(), stride };
    };
    let mark = format!("{{{}}}", placeholder.value);
    let values: Vec<Option<String>> = match values.get_ref() {
        DeValue::Array(items) => items.iter().map(|item| repeat_value(item.get_ref())).collect(),
        _ => vec![None],
    };
    if !quantity.value.contains(&mark) {
        table.fault(
            quantity.span.clone(),
            format!("the quantity has no {mark}, so that all repeats would have one name"),
            format!("write {mark} where the value belongs: \"pump_{mark}.rotation\""),
        );
    }
    if values.is_empty() || values.iter().any(Option::is_none) {
        table.fault(
            placeholder.span.clone(),
            format!("\"{}\" is no list of numbers or words", placeholder.value),
            format!("write it like this: repeat = {EXAMPLE}"),
        );
    }
    let names: Vec<String> =
        values.into_iter().flatten().map(|value| quantity.value.replace(&mark, &value)).collect();
    if let Some(wrong) = names.iter().find(|name| !meaning::is_quantity(name)) {
        meaning::check_quantity(table, wrong, quantity.span.clone());
    }
    Names { names, stride }
}

fn repeat_value(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        _ => whole_number(value).map(|number| number.to_string()),
    }
}

/// One register whose bits are points of their own.
fn flags(table: &Table<'_>, defaults: &Defaults, found: &mut Vec<Found>) {
    const EXAMPLE: &str = "{ 0 = \"leak.internal\", 1 = \"leak.external\" }";
    let place = defaults.place(table);
    let states = meaning::states(table);
    let poll_every = defaults.poll_every(table);
    let codec = defaults.codec(table, Encoding::Bits { first: 0, width: 1 });
    let mut bits = table.entries("bits", EXAMPLE);
    bits.sort_by_key(|(bit, _)| bit.span.start);
    if bits.is_empty() {
        table.fault(
            table.span(),
            "these flags name no bits",
            format!("add them, for example: bits = {EXAMPLE}"),
        );
    }
    for (bit, name) in bits {
        let first = bit.value.parse::<u8>().ok().filter(|bit| *bit <= 15);
        let (Some(first), Some(quantity)) = (first, name.get_ref().as_str()) else {
            table.fault(
                meaning::entry_span(&bit.span, &name.span()),
                "a flag is a bit from 0 to 15 and a quantity",
                format!("write it like this: bits = {EXAMPLE}"),
            );
            continue;
        };
        if !meaning::check_quantity(table, quantity, name.span()) {
            continue;
        }
        let (Some(place), Some(codec)) = (&place, &codec) else { continue };
        found.push(Found {
            point: ModbusPoint {
                quantity: quantity.into(),
                table: place.table,
                address: place.address,
                codec: Codec { encoding: Encoding::Bits { first, width: 1 }, ..codec.clone() },
                unit: Unit::none(),
                kind: PointKind::State,
                states: states.clone(),
                poll_every,
            },
            name: name.span(),
            address: place.span.clone(),
        });
    }
}

/// A value is read in one request, and ends within its table.
fn check_widths(root: &Table<'_>, found: &[Found], max_registers: u32) {
    for Found { point, address, .. } in found {
        let registers = point.codec.registers();
        if u32::from(point.address) + u32::from(registers) > 65_536 {
            root.fault(
                address.clone(),
                format!("\"{}\" runs beyond the last register 65535", point.quantity),
                format!("the type takes {registers} registers: correct \"address\" or \"type\""),
            );
        }
        if u32::from(registers) > max_registers {
            root.fault(
                address.clone(),
                format!("\"{}\" is longer than one request may be", point.quantity),
                format!("it takes {registers} registers, and max_registers is {max_registers}"),
            );
        }
    }
}

fn check_names(root: &Table<'_>, found: &[Found]) {
    let mut seen: HashSet<&Arc<str>> = HashSet::new();
    for Found { point, name, .. } in found {
        if !seen.insert(&point.quantity) {
            root.fault(
                name.clone(),
                format!("\"{}\" is there twice", point.quantity),
                "give each point a name of its own",
            );
        }
    }
}

/// Two numbers in one register, or two flags in one bit, are a slip of the pen. A number and the flags of its register
/// are not.
fn check_overlaps(root: &Table<'_>, found: &[Found]) {
    let mut taken: HashMap<(profile::Table, u16, u16), &ModbusPoint> = HashMap::new();
    for Found { point, address, .. } in found {
        let bits: Vec<u16> = match point.codec.encoding {
            Encoding::Bits { first, width } => {
                (0..width).map(|bit| u16::from(first + bit)).collect()
            }
            _ => vec![u16::MAX],
        };
        let registers = (0..point.codec.registers()).filter_map(|at| point.address.checked_add(at));
        let mut cells =
            registers.flat_map(|at| bits.iter().map(move |bit| (point.table, at, *bit)));
        let other = cells.find_map(|cell| match taken.get(&cell) {
            Some(other) => Some(*other),
            None => taken.insert(cell, point),
        });
        if let Some(other) = other {
            root.fault(
                address.clone(),
                format!("\"{}\" overlaps \"{}\"", point.quantity, other.quantity),
                "correct the address, the type or the bits of one of them",
            );
        }
    }
}
