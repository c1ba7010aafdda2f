//! What a point means, whatever the protocol: quantity, unit, kind, states.

use std::ops::Range;

use rules::{
    plant::{PointKind, StateLabel},
    quantity::canonical_unit,
    units::Unit,
};

use crate::table::{At, Table};

const KINDS: &[(&str, PointKind)] = &[
    ("gauge", PointKind::Gauge),
    ("counter", PointKind::Counter),
    ("state", PointKind::State),
    ("text", PointKind::Text),
];

const STATES_EXAMPLE: &str = "{ 0 = \"NoLeak\", 1 = \"Leak\" }";

/// What could be understood; where something is `None`, its fault was reported.
pub(super) struct Meaning {
    pub(super) unit: Option<Unit>,
    pub(super) kind: Option<PointKind>,
    pub(super) states: Vec<StateLabel>,
}

/// Reads `kind`, `unit` and `states` of an entry that gives these quantities. `natural` is the kind where neither `kind` nor `states` says otherwise; `None` where
/// a fault elsewhere hides it.
pub(super) fn read(table: &Table<'_>, quantities: &[&str], natural: Option<PointKind>) -> Meaning {
    let states = states(table);
    let kind = if table.has("kind") {
        table.choice("kind", KINDS)
    } else if table.has("states") {
        Some(PointKind::State)
    } else {
        natural
    };
    let is_number = matches!(kind, Some(PointKind::Gauge | PointKind::Counter));
    if kind.is_some_and(|kind| kind != PointKind::State) && table.has("states") {
        table.fault(
            table.place("states"),
            "only a state has \"states\"",
            "write kind = \"state\", or leave \"states\" out",
        );
    }
    table.ask(&["unit"]);
    let unit = match kind {
        Some(_) if is_number && table.has("states") && !table.has("unit") => None,
        Some(_) if is_number => number_unit(table, quantities),
        Some(_) => no_unit(table, quantities),
        None => None,
    };
    Meaning { unit, kind, states }
}

/// A quantity as written, which may still hold placeholders.
pub(super) fn quantity<'a>(table: &Table<'a>) -> Option<At<&'a str>> {
    table.required_text("quantity", "tcs.supply_temperature")
}

/// True for dotted words of lower-case letters, digits and `_`, each beginning with a letter.
pub(super) fn is_quantity(text: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.len() <= 120 && text.split('.').all(is_word)
}

/// Reports a quantity that is not a path of words.
pub(super) fn check_quantity(table: &Table<'_>, quantity: &str, span: Range<usize>) -> bool {
    let good = is_quantity(quantity);
    if !good {
        table.fault(
            span,
            format!("\"{quantity}\" is no quantity"),
            "use lower-case words joined by dots, such as \"tcs.supply_temperature\" or \"pump_1.speed\"",
        );
    }
    good
}

fn number_unit(table: &Table<'_>, quantities: &[&str]) -> Option<Unit> {
    let text = table.required_text("unit", "kW")?;
    let unit = match Unit::parse(text.value) {
        Ok(unit) => unit,
        Err(error) => {
            table.fault(
                text.span,
                error.to_string(),
                "write the unit that the device sends, such as °C, K, kPa, L/min, W, kWh, A, V, %, rpm; a bare number is \"1\"",
            );
            return None;
        }
    };
    let mut kept = quantities.iter().filter_map(|name| Some((name, canonical_unit(name)?)));
    if let Some((quantity, kept)) = kept.find(|(_, kept)| kept.dimension() != unit.dimension()) {
        table.fault(
            text.span,
            format!("\"{quantity}\" is kept in {kept}, and {unit} cannot be turned into it"),
            format!(
                "give a unit of the same kind as {kept}, or give the quantity another last word"
            ),
        );
        return None;
    }
    Some(unit)
}

fn no_unit(table: &Table<'_>, quantities: &[&str]) -> Option<Unit> {
    if let Some(unit) = table.text("unit", "kW") {
        table.fault(unit.span, "a state or a text has no unit", "leave \"unit\" out");
        return None;
    }
    let mut kept = quantities.iter().filter_map(|name| Some((name, canonical_unit(name)?)));
    if let Some((quantity, kept)) = kept.next() {
        table.fault(
            table.place("quantity"),
            format!("\"{quantity}\" is a number in {kept}, not a state or a text"),
            "end the name with another word, for example \"valve.state\"",
        );
        return None;
    }
    Some(Unit::none())
}

/// From key to value. The value of a broken line may have no place of its own.
pub(super) fn entry_span(key: &Range<usize>, value: &Range<usize>) -> Range<usize> {
    key.start..value.end.max(key.end)
}

/// Codes and their names, by code.
pub(super) fn states(table: &Table<'_>) -> Vec<StateLabel> {
    let mut labels: Vec<StateLabel> = Vec::new();
    for (code, text) in table.entries("states", STATES_EXAMPLE) {
        match (code.value.parse::<u32>(), text.get_ref().as_str()) {
            (Ok(code), Some(text)) if !text.trim().is_empty() => {
                labels.push(StateLabel { code, text: text.to_owned() });
            }
            _ => table.fault(
                entry_span(&code.span, &text.span()),
                "a state is a whole number and a name",
                format!("write it like this: states = {STATES_EXAMPLE}"),
            ),
        }
    }
    labels.sort_by_key(|label| label.code);
    if labels.windows(2).any(|pair| matches!(pair, [a, b] if a.code == b.code)) {
        table.fault(
            table.place("states"),
            "a state has two names",
            "give each code once, without leading zeros",
        );
    }
    labels
}
