//! Reads rule files: `[[rule]]` tables into [`RuleSpec`]s, and `[points.NAME]` declarations, which rule tests and replays
//! use in place of a site.
//!
//! Quantities and durations are text with a unit. Of the keys, `shelvable`, `max_shelve`, `suppressed_by`,
//! `suppress_on_pending`, `release`, `storm_window` and `realarm_after` are read, checked and kept in
//! [`RuleSpec::overlays`], but no alarm acts on them yet.

use std::{collections::HashSet, ops::Range, sync::Arc, time::Duration};

use rules::{
    alarm::Priority,
    alarm_set::AlarmSet,
    language::{self, ExpressionFault, Field},
    plant::Plant,
    replay::BenchPoint,
    rule::{OnStale, OverlayRules, RuleSpec},
    units::Unit,
};

use crate::{
    fault::{Fault, Source},
    table::{self, At, Faults, Table, nearest},
};

/// The longest delay that is believed: a year.
const DELAY_MAX_S: f64 = 366.0 * 86_400.0;

/// Reads the rules of a file.
///
/// # Errors
/// All faults of the file that can be seen without a plant: keys, types, units, and the syntax of expressions.
pub fn read(source: &Source) -> Result<Vec<RuleSpec>, Vec<Fault>> {
    read_with_points(source).map(|(rules, _)| rules)
}

/// Reads the rules of a file, and the points that it declares for tests.
///
/// # Errors
/// As [`read`].
pub fn read_with_points(source: &Source) -> Result<(Vec<RuleSpec>, Vec<BenchPoint>), Vec<Fault>> {
    let faults = Faults::new(source);
    let document = table::parse(source, &faults);
    let root = Table::new(&faults, document.get_ref(), 0..0, "the rule file");
    let (mut rules, mut ids) = (Vec::new(), HashSet::new());
    for table in root.tables("rule") {
        let Some(rule) = read_rule(source, &table) else { continue };
        if !ids.insert(Arc::clone(&rule.id)) {
            table.fault(
                table.place("id"),
                format!("a rule called \"{}\" is there already", rule.id),
                "give one of the two another id",
            );
        }
        rules.push(rule);
    }
    let points = points(&root, &faults);
    root.finish();
    if faults.is_empty() { Ok((rules, points)) } else { Err(faults.into_vec()) }
}

/// Compiles rules against a plant and puts what is wrong at its place in the file. `rules` are those that [`read`] gave
/// for this source, in their order.
pub fn check(source: &Source, rules: &[RuleSpec], plant: &Plant) -> Vec<Fault> {
    let Err(found) = AlarmSet::compile(rules, plant) else { return Vec::new() };
    let faults = Faults::new(source);
    let document = table::parse(source, &faults);
    let root = Table::new(&faults, document.get_ref(), 0..0, "the rule file");
    let tables = root.tables("rule");
    for fault in found {
        let Some(table) = tables.get(fault.index) else { continue };
        let key = match fault.field {
            Field::Id => "id",
            Field::For => "for",
            Field::When => "when",
            Field::Deadband => "deadband",
        };
        let text = table.value(key).and_then(|value| value.get_ref().as_str()).unwrap_or_default();
        let at = At { value: text, span: table.place(key) };
        table.fault(within(source, &at, &fault.span), fault.message, fault.remedy);
    }
    faults.into_vec()
}

fn read_rule(source: &Source, table: &Table<'_>) -> Option<RuleSpec> {
    let id = table.required_text("id", "cdu.supply_hi").filter(|id| is_id(table, id));
    let each = table.text("for", "cdu in cdus");
    let when = table.required_text("when", "cdu.tcs.supply_temperature > 45 °C");
    if let Some(each) = &each
        && let Err(fault) = language::parse_each(each.value)
    {
        report(source, table, each, fault);
    }
    if let Some(when) = &when
        && let Err(fault) = language::parse(when.value)
    {
        report(source, table, when, fault);
    }
    let deadband = table.text("deadband", "1 K").map(|text| text.value.to_owned());
    let on_delay = delay(table, "on_delay", "10 s");
    let off_delay = delay(table, "off_delay", "30 s");
    let priority = table.integer("priority", 1..=4, "2");
    if !table.has("priority") {
        table.fault(
            table.span(),
            format!("{} has no \"priority\"", table.title()),
            "add priority = 1 (act within 10 minutes) to 4 (plan)",
        );
    }
    let on_stale = table.choice(
        "on_stale",
        &[("hold", OnStale::Hold), ("alarm", OnStale::Alarm), ("normal", OnStale::Normal)],
    );
    let latch = table.flag("latch");
    let overlays = overlays(table);
    let title = table.required_text("title", "Supply temperature high");
    let consequence = table.text("consequence", "chips throttle within minutes");
    let action = table.required_text("action", "check the facility water and the valve");
    let origin = table.text("source", "typical");
    table.finish();
    if !table.is_sound() {
        return None;
    }
    Some(RuleSpec {
        id: id?.value.into(),
        each: each.map(|each| each.value.to_owned()),
        when: when?.value.to_owned(),
        deadband,
        on_delay: on_delay.unwrap_or_default(),
        off_delay: off_delay.unwrap_or_default(),
        priority: u8::try_from(priority?).ok().and_then(|digit| Priority::try_from(digit).ok())?,
        on_stale: on_stale.unwrap_or_default(),
        latch: latch.unwrap_or_default(),
        overlays,
        title: title?.value.into(),
        consequence: consequence.map_or("", |text| text.value).into(),
        action: action?.value.into(),
        source: origin.map_or("typical", |text| text.value).to_owned(),
        written_at: written_at(source, table.span().start),
    })
}

/// `rules/cdu.toml:12`.
fn written_at(source: &Source, offset: usize) -> Arc<str> {
    let before = source.text.get(..offset).unwrap_or_default();
    format!("{}:{}", source.name, before.matches('\n').count() + 1).into()
}

fn is_id(table: &Table<'_>, id: &At<&str>) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let sound =
        id.value.chars().all(allowed) && !id.value.starts_with('.') && !id.value.ends_with('.');
    if !sound {
        table.fault(
            id.span.clone(),
            format!("\"{}\" cannot name an alarm", id.value),
            "use letters, digits, _ and -, in parts joined by dots: cdu.supply_hi",
        );
    }
    sound
}

fn delay(table: &Table<'_>, key: &'static str, example: &str) -> Option<Duration> {
    let seconds = table.quantity(key, example)?;
    if seconds <= DELAY_MAX_S {
        return Some(Duration::from_secs_f64(seconds));
    }
    table.fault(
        table.place(key),
        format!("\"{key}\" is longer than a year"),
        format!("write it like this: {key} = \"{example}\""),
    );
    None
}

fn overlays(table: &Table<'_>) -> OverlayRules {
    let default = OverlayRules::default();
    let without_limit =
        table.value("storm_window").is_some_and(|value| value.get_ref().as_str() == Some("none"));
    OverlayRules {
        shelvable: table.flag("shelvable").unwrap_or(default.shelvable),
        max_shelve: delay(table, "max_shelve", "8 h"),
        suppressed_by: table
            .texts("suppressed_by", "cdu.pump_trip")
            .into_iter()
            .map(|text| text.value.to_owned())
            .collect(),
        suppress_on_pending: table
            .flag("suppress_on_pending")
            .unwrap_or(default.suppress_on_pending),
        release: delay(table, "release", "10 s").unwrap_or(default.release),
        storm_window: if without_limit {
            None
        } else {
            delay(table, "storm_window", "120 s").or(default.storm_window)
        },
        realarm_after: delay(table, "realarm_after", "4 h"),
    }
}

fn points(root: &Table<'_>, faults: &Faults<'_>) -> Vec<BenchPoint> {
    let mut points = Vec::new();
    for (name, value) in root.entries("points", "{ ts = { unit = \"°C\" } }") {
        let Some(entries) = value.get_ref().as_table() else {
            root.fault(
                value.span(),
                format!("the point \"{}\" is declared by a table", name.value),
                format!("write [points.{}] and its unit under it", name.value),
            );
            continue;
        };
        let table =
            Table::new(faults, entries, name.span.clone(), format!("point \"{}\"", name.value));
        let unit = table.required_text("unit", "°C").and_then(|text| unit(&table, &text));
        let stale_after = table.duration("stale_after", "10 s");
        let published = table.flag("published").unwrap_or_default();
        table.finish();
        let Some(unit) = unit else { continue };
        let stale_after = stale_after.unwrap_or(Duration::from_secs(10));
        points.push(BenchPoint { name: name.value.into(), unit, stale_after, published });
    }
    points
}

fn unit(table: &Table<'_>, text: &At<&str>) -> Option<Unit> {
    match Unit::parse(text.value) {
        Ok(unit) => Some(unit),
        Err(error) => {
            let near = nearest(text.value, rules::units::SUGGESTED.iter().copied());
            let remedy = near.map_or_else(
                || "use a unit such as °C, kW, L/min or 1".to_owned(),
                |near| format!("did you mean \"{near}\"?"),
            );
            table.fault(text.span.clone(), error.to_string(), remedy);
            None
        }
    }
}

fn report(source: &Source, table: &Table<'_>, text: &At<&str>, fault: ExpressionFault) {
    table.fault(within(source, text, &fault.span), fault.message, fault.remedy);
}

/// Bytes of the file that a part of a value takes: exact wherever the value stands in the file as it is read, which is
/// everywhere but in text with escapes.
fn within(source: &Source, text: &At<&str>, part: &Range<usize>) -> Range<usize> {
    let raw = source.text.get(text.span.clone()).unwrap_or_default();
    match raw.find(text.value) {
        Some(at) if !text.value.is_empty() => {
            let start = text.span.start + at;
            let end = start + text.value.len();
            (start + part.start).min(end)..(start + part.end).min(end)
        }
        Some(_) | None => text.span.clone(),
    }
}
