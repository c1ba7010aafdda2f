//! Where a value lies in a device and how: table, address, type, order, scale, sentinels, valid range.

use std::{ops::Range, time::Duration};

use toml::de::DeValue;

use crate::{
    codec::{Codec, Encoding, Order},
    profile,
    table::{Table, number, whole_number},
};

const TABLES: &[(&str, profile::Table)] = &[
    ("holding", profile::Table::Holding),
    ("input", profile::Table::Input),
    ("coil", profile::Table::Coil),
    ("discrete", profile::Table::DiscreteInput),
];

const ORDERS: &[(&str, Order)] =
    &[("abcd", Order::Abcd), ("cdab", Order::Cdab), ("badc", Order::Badc), ("dcba", Order::Dcba)];

/// A coil, a discrete input, or the lowest bit of a register.
const ONE_BIT: Encoding = Encoding::Bits { first: 0, width: 1 };

const TYPES: &[(&str, Encoding)] = &[
    ("u16", Encoding::U16),
    ("i16", Encoding::I16),
    ("u32", Encoding::U32),
    ("i32", Encoding::I32),
    ("u64", Encoding::U64),
    ("i64", Encoding::I64),
    ("f32", Encoding::F32),
    ("f64", Encoding::F64),
    ("text", Encoding::Text { registers: 1 }),
    ("bit", ONE_BIT),
];

#[derive(Clone, Copy, PartialEq)]
enum Notation {
    /// The table is named, the number counts from `address_base`.
    Plain,
    /// The first of five or six digits names the table: 40001 is the first holding register.
    Leading,
}

const NOTATIONS: &[(&str, Notation)] = &[("plain", Notation::Plain), ("40001", Notation::Leading)];

/// What holds for every register of the file unless the point says otherwise.
pub(super) struct Defaults {
    notation: Notation,
    address_base: u32,
    table: profile::Table,
    order: Order,
    encoding: Option<Encoding>,
    poll_every: Option<Duration>,
    /// By type, as in `not_available = { u16 = [0xFFFF] }`.
    not_available: Vec<(Encoding, Vec<i128>)>,
}

impl Defaults {
    pub(super) fn read(root: &Table<'_>) -> Self {
        let notation = root.choice("notation", NOTATIONS).unwrap_or(Notation::Plain);
        let usual_base = u32::from(notation == Notation::Leading);
        let mut defaults = Self {
            notation,
            address_base: root.integer("address_base", 0..=1, "0").unwrap_or(usual_base),
            table: profile::Table::Holding,
            order: Order::Abcd,
            encoding: None,
            poll_every: None,
            not_available: Vec::new(),
        };
        if let Some(table) = root.table("defaults", "{ table = \"holding\" }") {
            defaults.table = table.choice("table", TABLES).unwrap_or(defaults.table);
            defaults.order = table.choice("order", ORDERS).unwrap_or(defaults.order);
            defaults.encoding = table.choice("type", TYPES);
            defaults.poll_every = table.duration("poll_every", "10 s");
            defaults.read_not_available(&table);
            table.finish();
        }
        defaults
    }

    fn read_not_available(&mut self, table: &Table<'_>) {
        let Some(by_type) = table.table("not_available", "{ i16 = [0x8000] }") else { return };
        for (word, encoding) in TYPES {
            let Some(listed) = by_type.list(word, "[0x8000]", whole_number) else { continue };
            check_not_available(&by_type, &listed.value, *encoding, listed.span);
            self.not_available.push((*encoding, listed.value));
        }
        by_type.finish();
    }

    pub(super) fn order(&self, point: &Table<'_>) -> Order {
        point.choice("order", ORDERS).unwrap_or(self.order)
    }

    pub(super) fn poll_every(&self, point: &Table<'_>) -> Option<Duration> {
        point.duration("poll_every", "10 s").or(self.poll_every)
    }

    /// Table and address as on the wire.
    pub(super) fn place(&self, point: &Table<'_>) -> Option<Place> {
        let named = point.choice("table", TABLES);
        let Some(value) = point.value("address") else {
            let example = if self.notation == Notation::Plain { "36865" } else { "40001" };
            point.fault(
                point.span(),
                format!("{} has no \"address\"", point.title()),
                format!("add it, for example: address = {example}"),
            );
            return None;
        };
        let found = match self.notation {
            Notation::Plain => {
                whole_number(value.get_ref()).map(|number| (named.unwrap_or(self.table), number))
            }
            Notation::Leading => leading_digit(value.get_ref()),
        };
        let Some((table, number)) = found else {
            point.fault(value.span(), "this is no register address", self.address_remedy());
            return None;
        };
        if named.is_some_and(|named| named != table) {
            point.fault(
                value.span(),
                "the first digit of the address names another table",
                "leave \"table\" out, or correct the address",
            );
            return None;
        }
        let wire = number.checked_sub(i128::from(self.address_base));
        let wire = wire.and_then(|wire| u16::try_from(wire).ok());
        if wire.is_none() {
            point.fault(
                value.span(),
                format!("address {number} does not exist in a Modbus table"),
                self.address_remedy(),
            );
        }
        Some(Place { table, address: wire?, span: value.span() })
    }

    fn address_remedy(&self) -> String {
        let (first, last) = (self.address_base, u32::from(u16::MAX) + self.address_base);
        match self.notation {
            Notation::Plain => format!(
                "write a whole number from {first} to {last}, as address_base = {first} counts"
            ),
            Notation::Leading => {
                "write five or six digits, the first 0, 1, 3 or 4 for the table: 40001; a coil in quotes: \"00001\""
                    .to_owned()
            }
        }
    }

    /// The type of a value, with its bits or its length where it has them.
    pub(super) fn encoding(
        &self,
        point: &Table<'_>,
        table: Option<profile::Table>,
    ) -> Option<Encoding> {
        let stated = point.choice("type", TYPES);
        let bits = bits(point);
        let length = point.integer("registers", 1..=125, "8");
        let is_bit_table =
            matches!(table, Some(profile::Table::Coil | profile::Table::DiscreteInput));
        let fallback = if is_bit_table { Some(ONE_BIT) } else { self.encoding };
        let encoding = match (stated, bits) {
            (_, Bits::Wrong) => return None,
            (None | Some(Encoding::Bits { .. }), Bits::Given(encoding)) => encoding,
            (Some(_), Bits::Given(_)) => {
                point.fault(
                    point.place("type"),
                    "a number or text has no \"bit\" or \"bits\"",
                    "leave \"type\" or the bits out",
                );
                return None;
            }
            (Some(stated), Bits::Absent) => stated,
            (None, Bits::Absent) if point.has("type") => return None,
            (None, Bits::Absent) => {
                let Some(encoding) = fallback else {
                    point.required_text("type", "u16");
                    return None;
                };
                encoding
            }
        };
        check_table(point, encoding, is_bit_table)?;
        with_length(point, encoding, length)
    }

    /// Scale, offset, sentinels and valid range around an encoding.
    pub(super) fn codec(&self, point: &Table<'_>, encoding: Encoding) -> Option<Codec> {
        let is_number = !matches!(
            encoding,
            Encoding::Bits { .. } | Encoding::Enumeration | Encoding::Text { .. }
        );
        let mut codec = Codec { order: self.order(point), ..Codec::plain(encoding) };
        for key in ["scale", "offset", "valid"] {
            if !is_number && point.has(key) {
                point.fault(
                    point.place(key),
                    format!("a state or a text has no \"{key}\""),
                    format!("leave \"{key}\" out"),
                );
            }
        }
        if let Some(scale) = point.number("scale", "0.1") {
            if scale.value == 0.0 {
                point.fault(
                    scale.span.clone(),
                    "\"scale\" is zero",
                    "leave it out for a scale of 1",
                );
            }
            codec.scale = scale.value;
        }
        codec.offset = point.number("offset", "-40").map_or(0.0, |offset| offset.value);
        codec.valid = valid(point);
        codec.not_available = self.not_available(point, encoding);
        point.is_sound().then_some(codec)
    }

    fn not_available(&self, point: &Table<'_>, encoding: Encoding) -> Vec<i128> {
        if let Some(listed) = point.list("not_available", "[0x8000]", whole_number) {
            check_not_available(point, &listed.value, encoding, listed.span);
            return listed.value;
        }
        // A state is a u16 whose numbers have names.
        let encoding = if encoding == Encoding::Enumeration { Encoding::U16 } else { encoding };
        let of_type = self.not_available.iter().find(|(known, _)| *known == encoding);
        of_type.map(|(_, listed)| listed.clone()).unwrap_or_default()
    }
}

/// Where a value begins.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) table: profile::Table,
    pub(super) address: u16,
    pub(super) span: Range<usize>,
}

enum Bits {
    Absent,
    Wrong,
    Given(Encoding),
}

/// `bit = 3` or `bits = [4, 6]`, both ends included.
fn bits(point: &Table<'_>) -> Bits {
    let one = point.integer("bit", 0..=15, "3").and_then(|bit| u8::try_from(bit).ok());
    let range = point.list("bits", "[4, 6]", |value| u8::try_from(whole_number(value)?).ok());
    match (one, range) {
        (Some(_), Some(range)) => {
            point.fault(range.span, "\"bit\" and \"bits\" exclude each other", "keep one of them");
            Bits::Wrong
        }
        (Some(first), None) => Bits::Given(Encoding::Bits { first, width: 1 }),
        (None, Some(range)) => match *range.value.as_slice() {
            [first, last] if first <= last && last <= 15 => {
                Bits::Given(Encoding::Bits { first, width: last - first + 1 })
            }
            _ => {
                point.fault(
                    range.span,
                    "\"bits\" is the first and the last bit, from 0 to 15",
                    "write it like this: bits = [4, 6]",
                );
                Bits::Wrong
            }
        },
        (None, None) if point.has("bit") || point.has("bits") => Bits::Wrong,
        (None, None) => Bits::Absent,
    }
}

fn check_table(point: &Table<'_>, encoding: Encoding, is_bit_table: bool) -> Option<()> {
    if is_bit_table && encoding != ONE_BIT {
        point.fault(
            point.place("type"),
            "a coil or discrete input holds one bit",
            "leave \"type\", \"bit\" and \"bits\" out, or set table = \"holding\"",
        );
        return None;
    }
    Some(())
}

fn with_length(point: &Table<'_>, encoding: Encoding, length: Option<u32>) -> Option<Encoding> {
    match (encoding, length) {
        (Encoding::Text { .. }, Some(length)) => {
            Some(Encoding::Text { registers: u16::try_from(length).ok()? })
        }
        (Encoding::Text { .. }, None) => {
            if !point.has("registers") {
                point.fault(
                    point.span(),
                    format!("{} has no \"registers\"", point.title()),
                    "say how many registers the text takes: registers = 8",
                );
            }
            None
        }
        (_, Some(_)) => {
            point.fault(
                point.place("registers"),
                "only a text has \"registers\"",
                "leave it out: the type says how long the value is",
            );
            None
        }
        (_, None) => Some(encoding),
    }
}

fn valid(point: &Table<'_>) -> Option<(f64, f64)> {
    let listed = point.list("valid", "[-40, 120]", number)?;
    if let [low, high] = *listed.value.as_slice()
        && low < high
    {
        return Some((low, high));
    }
    point.fault(
        listed.span,
        "\"valid\" is the lowest and the highest believable value",
        "write it like this: valid = [-40, 120]",
    );
    None
}

/// A sentinel is one of the type's values or one of its bit patterns.
fn check_not_available(point: &Table<'_>, listed: &[i128], encoding: Encoding, span: Range<usize>) {
    let width = 16 * u32::from(Codec::plain(encoding).registers());
    let fits =
        |raw: &i128| width <= 64 && *raw >= -(1_i128 << (width - 1)) && *raw < 1_i128 << width;
    if matches!(encoding, Encoding::Text { .. }) {
        point.fault(
            span,
            "a text has no \"not_available\"",
            "leave it out: blank text is not available",
        );
    } else if let Some(wrong) = listed.iter().find(|raw| !fits(raw)) {
        point.fault(
            span,
            format!("{wrong} (0x{wrong:X}) does not fit into {width} bits"),
            "list raw register values, before scale and offset",
        );
    }
}

/// Table and number of 40001, "00017" or 400001.
fn leading_digit(value: &DeValue<'_>) -> Option<(profile::Table, i128)> {
    let digits = match value {
        DeValue::String(text) => text.to_string(),
        _ => format!("{:05}", whole_number(value)?),
    };
    if !matches!(digits.len(), 5 | 6) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (table, number) = digits.split_at_checked(1)?;
    let table = match table {
        "0" => profile::Table::Coil,
        "1" => profile::Table::DiscreteInput,
        "3" => profile::Table::Input,
        "4" => profile::Table::Holding,
        _ => return None,
    };
    Some((table, number.parse().ok()?))
}
