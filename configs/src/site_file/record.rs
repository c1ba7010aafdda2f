//! What a site file declares for reports: who runs the data centre, facts that no sensor gives, parts of it that have a
//! ratio of their own, and tests at outdoor conditions.

use std::sync::Arc;

use chrono::NaiveDate;
use rules::plant::{Boundary, Condition, ConditionTest, Fact, FactValue, SiteRecord};

use super::declared::{Declared, id};
use crate::{
    library::Library,
    limits_file,
    table::{At, Faults, Table, nearest},
};

/// The keys of `[site]` itself.
pub(super) fn of_site(table: &Table<'_>, library: &Library, faults: &Faults<'_>) -> SiteRecord {
    let text = |key, example| table.text(key, example).map(|text| text.value.to_owned());
    SiteRecord {
        operator: text("operator", "Example Operations GmbH"),
        address: text("address", "Musterweg 1, Frankfurt am Main"),
        commissioned_on: day(table, "commissioned_on"),
        it_design_kw: table.positive("it_design_power", "5000 kW"),
        degree_day_base_c: table.quantity("degree_day_base", "18 °C"),
        regulations: regulations(table, library, faults),
        ..SiteRecord::default()
    }
}

/// `regulations = ["iso-iec-30134-2", …]`: limits files, which are sound.
fn regulations(table: &Table<'_>, library: &Library, faults: &Faults<'_>) -> Vec<Arc<str>> {
    let mut names = Vec::new();
    for name in table.texts("regulations", "iso-iec-30134-2") {
        match library.limits(name.value).map(limits_file::read) {
            Some(Ok(_)) => names.push(name.value.into()),
            Some(Err(found)) => faults.extend(found),
            None => table.fault(
                name.span,
                format!("unknown limits file \"{}\"", name.value),
                nearest(name.value, library.limits_names()).map_or_else(
                    || format!("put it beside the site file as limits/{}.toml", name.value),
                    |near| format!("did you mean \"{near}\"?"),
                ),
            ),
        }
    }
    names
}

/// The tables beside it.
pub(super) fn read(root: &Table<'_>, declared: &[Declared<'_>], record: &mut SiteRecord) {
    record.facts = root.tables("fact").iter().filter_map(fact).collect();
    record.boundaries =
        root.tables("boundary").iter().filter_map(|table| boundary(table, declared)).collect();
    record.condition_tests =
        root.tables("condition_test").iter().filter_map(condition_test).collect();
}

fn day(table: &Table<'_>, key: &'static str) -> Option<NaiveDate> {
    table.date(key)?.parse().ok()
}

fn required_day(table: &Table<'_>, key: &'static str, why: &str) -> Option<NaiveDate> {
    if !table.has(key) {
        table.fault(
            table.span(),
            format!("{} has no \"{key}\"", table.title()),
            format!("{why}: {key} = 2026-01-01"),
        );
    }
    day(table, key)
}

fn fact(table: &Table<'_>) -> Option<Fact> {
    let name = table.required_text("name", "PDIT");
    let value = table.required_text("value", "5000 kW").map(|value| fact_value(value.value));
    let from = required_day(table, "from", "say since when it holds");
    let to = day(table, "to");
    let source = table.required_text("source", "asset register of 2026-01-15");
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        table.fault(
            table.place("to"),
            "the fact ends before it begins",
            "give the last day on which it held, or leave \"to\" out while it holds",
        );
    }
    table.finish();
    Some(Fact {
        name: name?.value.to_owned(),
        value: value?,
        from: from?,
        to,
        source: source?.value.to_owned(),
    })
}

/// `5000 kW` is a number and its unit; what does not begin with a number is a text.
fn fact_value(text: &str) -> FactValue {
    let text = text.trim();
    let (number, unit) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    match number.parse::<f64>().ok().filter(|number| number.is_finite()) {
        Some(number) => FactValue::Quantity { number, unit: unit.trim().to_owned() },
        None => FactValue::Text(text.to_owned()),
    }
}

fn boundary(table: &Table<'_>, declared: &[Declared<'_>]) -> Option<Boundary> {
    let id = id(table, "loop-a");
    let title = table.text("title", "CDU loop A");
    let it = meters(table, "it", declared);
    let overhead = meters(table, "overhead", declared);
    if table.is_sound() && it.is_empty() {
        table.fault(
            table.span(),
            format!("{} has no IT meter", table.title()),
            "name the meters of its IT load: it = [\"busway-1\"]",
        );
    }
    table.finish();
    let id = id?.value;
    let title = title.map_or_else(|| id.to_string(), |title| title.value.to_owned());
    Some(Boundary { id: id.to_string(), title, it, overhead })
}

fn meters(table: &Table<'_>, key: &'static str, declared: &[Declared<'_>]) -> Vec<Arc<str>> {
    let names = table.texts(key, "busway-1");
    let known = |name: &At<&str>| {
        let meter = declared.iter().find(|asset| *asset.name.value == *name.value);
        let is_meter = meter.is_some_and(|asset| asset.kind == rules::plant::AssetKind::Meter);
        if !is_meter {
            table.fault(
                name.span.clone(),
                format!("there is no meter \"{}\"", name.value),
                "name a [[meter]] of this file by its id",
            );
        }
        is_meter
    };
    names.into_iter().filter(known).map(|name| name.value.into()).collect()
}

fn condition_test(table: &Table<'_>) -> Option<ConditionTest> {
    let tested_on = required_day(table, "tested_on", "say when it was tested");
    let source = table.required_text("source", "test record 17 of the inspection body");
    let conditions: Vec<Condition> =
        table.tables("condition").iter().filter_map(condition).collect();
    let shares: f64 = conditions.iter().map(|condition| condition.share).sum();
    if table.is_sound() && (shares - 1.0).abs() > 1e-6 {
        table.fault(
            table.span(),
            format!("the shares of the year add up to {shares}, not to 1"),
            "give every condition with the share of the year for which it stands",
        );
    }
    table.finish();
    Some(ConditionTest { tested_on: tested_on?, source: source?.value.to_owned(), conditions })
}

fn condition(table: &Table<'_>) -> Option<Condition> {
    let outdoor_c = table.required_quantity("outdoor", "35 °C");
    let share = table.number("share", "0.05");
    let facility_kw = table.required_positive("facility_power", "1380 kW");
    let it_kw = table.required_positive("it_power", "1000 kW");
    if share.is_none() {
        table.fault(
            table.span(),
            "the condition has no \"share\"",
            "say for which share of the year it stands: share = 0.05",
        );
    }
    table.finish();
    Some(Condition {
        outdoor_c: outdoor_c?,
        share: share?.value,
        facility_kw: facility_kw?,
        it_kw: it_kw?,
    })
}
