//! Limits files: a standard, a law or a target as data.
//!
//! ```toml
//! title = "Energy efficiency of data centres"
//! edition = "Example Act of 2026, section 11"
//! jurisdiction = "XX"
//! status = "in_force"
//! effective_from = 2026-07-01
//! source = "official journal 2026/11"
//! checked_on = 2026-11-22
//! verified = false
//!
//! [[limit]]
//! id = "new"
//! title = "sites that started from 2026-07-01 on"
//! metric = "energy_ratio"
//! at_most = 1.3
//! year = "calendar"
//! commissioned_from = 2026-07-01
//! ```
//!
//! The id of the text is the name of its file. Every title can have a Chinese one beside it, `title_zh`.

use std::collections::HashSet;

use chrono::NaiveDate;
use rules::limits::{
    Applies, Bilingual, Bound, Caveat, CaveatWhen, IndicatorSpec, Limit, Method, Metric, Origin,
    Regulation, Status, Surcharge, Symbol, Tier, Weighting, Year,
};

use crate::{
    fault::{Fault, Source},
    table::{self, Faults, Table},
};

const STATUSES: &[(&str, Status)] = &[
    ("in_force", Status::InForce),
    ("draft", Status::Draft),
    ("target", Status::Target),
    ("past_target", Status::PastTarget),
    ("voluntary", Status::Voluntary),
    ("statistic", Status::Statistic),
];

const YEARS: &[(&str, Year)] =
    &[("any_twelve_months", Year::AnyTwelveMonths), ("calendar", Year::Calendar)];

const METRICS: &[(&str, Metric)] = &[
    ("energy_ratio", Metric::EnergyRatio),
    ("characteristic_ratio", Metric::CharacteristicRatio),
    ("energy_reuse", Metric::EnergyReuse),
    ("renewable", Metric::Renewable),
    ("water_use", Metric::WaterUse),
];

const ORIGINS: &[(&str, Origin)] = &[
    ("fact", Origin::Fact),
    ("facility_energy", Origin::FacilityEnergy),
    ("it_energy", Origin::ItEnergy),
    ("backup_energy", Origin::BackupEnergy),
    ("water_in", Origin::WaterIn),
    ("potable_water", Origin::PotableWater),
    ("reused_heat", Origin::ReusedHeat),
    ("onsite_renewable", Origin::OnsiteRenewable),
    ("renewable_total", Origin::RenewableTotal),
    ("cooling_degree_days", Origin::CoolingDegreeDays),
    ("computer_room_area", Origin::ComputerRoomArea),
    ("energy_ratio", Origin::EnergyRatio),
    ("water_use", Origin::WaterUse),
    ("energy_reuse", Origin::EnergyReuse),
    ("renewable", Origin::Renewable),
];

/// Reads a limits file.
///
/// # Errors
/// All faults of the file.
pub fn read(source: &Source) -> Result<Regulation, Vec<Fault>> {
    let faults = Faults::new(source);
    let document = table::parse(source, &faults);
    let root = Table::new(&faults, document.get_ref(), 0..0, "the limits file");
    let regulation = regulation(source, &root);
    root.finish();
    match regulation {
        Some(regulation) if faults.is_empty() => Ok(regulation),
        _ => Err(faults.into_vec()),
    }
}

fn regulation(source: &Source, root: &Table<'_>) -> Option<Regulation> {
    let title = bilingual(root, "title", "title_zh", "Energy efficiency of data centres");
    let edition = root.required_text("edition", "EN 50600-4-2:2016");
    let jurisdiction = root.required_text("jurisdiction", "EU");
    let status = root.required_choice("status", STATUSES);
    let (effective_from, effective_to) = (day(root, "effective_from"), day(root, "effective_to"));
    let origin = root.required_text("source", "official journal 2026/11");
    let checked_on = required_day(root, "checked_on");
    let verified = root.flag("verified");
    if verified.is_none() && root.is_sound() {
        root.fault(
            root.span(),
            "the limits file has no \"verified\"",
            "write verified = false unless the legal text itself was read in full",
        );
    }
    let scope = optional_bilingual(root, "scope", "scope_zh", "data centres of 500 kW or more");
    let caveats = root.tables("caveat").iter().filter_map(caveat).collect();
    let method = root.table("method", "[method]").and_then(|table| method(&table));
    let limits = limits(root);
    let surcharge = root.table("surcharge", "[surcharge]").and_then(|table| surcharge(&table));
    let indicators = root.tables("indicator").iter().filter_map(indicator).collect();
    Some(Regulation {
        id: stem(&source.name).to_owned(),
        title: title?,
        edition: edition?.value.to_owned(),
        jurisdiction: jurisdiction?.value.to_owned(),
        status: status?,
        effective_from,
        effective_to,
        source: origin?.value.to_owned(),
        checked_on: checked_on?,
        verified: verified?,
        scope,
        caveats,
        method,
        limits,
        surcharge,
        indicators,
    })
}

/// `limits/de-enefg.toml` → `de-enefg`.
fn stem(name: &str) -> &str {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.strip_suffix(".toml").unwrap_or(file)
}

fn bilingual(
    table: &Table<'_>,
    key: &'static str,
    key_zh: &'static str,
    example: &str,
) -> Option<Bilingual> {
    let zh = table.text(key_zh, "数据中心能效").map(|text| text.value.to_owned());
    let en = table.required_text(key, example)?;
    Some(Bilingual { en: en.value.to_owned(), zh })
}

fn optional_bilingual(
    table: &Table<'_>,
    key: &'static str,
    key_zh: &'static str,
    example: &str,
) -> Option<Bilingual> {
    if table.has(key) { bilingual(table, key, key_zh, example) } else { None }
}

fn day(table: &Table<'_>, key: &'static str) -> Option<NaiveDate> {
    table.date(key)?.parse().ok()
}

fn required_day(table: &Table<'_>, key: &'static str) -> Option<NaiveDate> {
    if !table.has(key) {
        table.fault(
            table.span(),
            format!("{} has no \"{key}\"", table.title()),
            format!("add the day, for example: {key} = 2026-11-22"),
        );
    }
    day(table, key)
}

fn caveat(table: &Table<'_>) -> Option<Caveat> {
    let when = table.required_choice(
        "when",
        &[("always", CaveatWhen::Always), ("liquid_cooled", CaveatWhen::LiquidCooled)],
    );
    let text = bilingual(table, "text", "text_zh", "assessed by reference");
    table.finish();
    Some(Caveat { when: when?, text: text? })
}

fn method(table: &Table<'_>) -> Option<Method> {
    let symbol =
        table.required_choice("symbol", &[("standard", Symbol::Standard), ("R", Symbol::R)]);
    let year = table.required_choice("year", YEARS);
    let weights =
        table.choice("weights", &[("none", Weighting::None), ("green_grid", Weighting::GreenGrid)]);
    table.finish();
    Some(Method { symbol: symbol?, year: year?, weights: weights.unwrap_or(Weighting::None) })
}

fn limits(root: &Table<'_>) -> Vec<Limit> {
    let (mut limits, mut ids) = (Vec::new(), HashSet::new());
    for table in root.tables("limit") {
        let Some(limit) = limit(&table) else { continue };
        if !ids.insert(limit.id.clone()) {
            table.fault(
                table.place("id"),
                format!("a limit called \"{}\" is there already", limit.id),
                "give one of the two another id",
            );
        }
        limits.push(limit);
    }
    limits
}

fn limit(table: &Table<'_>) -> Option<Limit> {
    let id = table.required_text("id", "grade-3");
    let title = bilingual(table, "title", "title_zh", "grade 3, the limit");
    let metric = table.required_choice("metric", METRICS);
    let bound = bound(table);
    let year = table.choice("year", YEARS);
    let load_fraction = table.number("load_fraction", "0.25");
    if let Some(fraction) = &load_fraction
        && !(fraction.value > 0.0 && fraction.value <= 1.0)
    {
        table.fault(
            fraction.span.clone(),
            "\"load_fraction\" is no part of a whole",
            "write the share of the designed IT power: load_fraction = 0.25",
        );
    }
    let applies = Applies {
        commissioned_before: day(table, "commissioned_before"),
        commissioned_from: day(table, "commissioned_from"),
        months_after_start: table.integer("months_after_start", 1..=600, "24"),
        it_power_kw_min: table.positive("it_power_from", "500 kW"),
    };
    let status = table.choice("status", STATUSES);
    let (effective_from, effective_to) = (day(table, "effective_from"), day(table, "effective_to"));
    let grade = table.flag("grade").unwrap_or(false);
    let penalty = table.text("penalty", "see the surcharge").map(|text| text.value.to_owned());
    table.finish();
    if !table.is_sound() {
        return None;
    }
    Some(Limit {
        id: id?.value.to_owned(),
        title: title?,
        metric: metric?,
        bound: bound?,
        year: year.unwrap_or(Year::AnyTwelveMonths),
        load_fraction: load_fraction.map(|fraction| fraction.value),
        applies,
        status,
        effective_from,
        effective_to,
        grade,
        penalty,
    })
}

fn bound(table: &Table<'_>) -> Option<Bound> {
    let number = |key| table.number(key, "1.5").map(|number| number.value);
    let bounds = [
        number("at_most").map(Bound::AtMost),
        number("below").map(Bound::Below),
        number("at_least").map(Bound::AtLeast),
    ];
    let mut given = bounds.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(bound), None) => Some(bound),
        (found, _) => {
            let what = if found.is_some() { "has more than one number" } else { "has no number" };
            table.fault(
                table.span(),
                format!("{} {what}", table.title()),
                "give one of at_most = 1.5, below = 1.5 and at_least = 0.1",
            );
            None
        }
    }
}

fn surcharge(table: &Table<'_>) -> Option<Surcharge> {
    let limit = table.number("limit", "1.35");
    let currency = table.required_text("currency", "CNY");
    let tiers: Vec<Tier> = table
        .tables("tier")
        .iter()
        .filter_map(|tier| {
            let up_to_times = tier.number("up_to_times", "2.0").map(|times| times.value);
            let price = tier.number("price", "0.20");
            tier.finish();
            Some(Tier { up_to_times, price: price?.value })
        })
        .collect();
    if table.is_sound() && (limit.is_none() || tiers.is_empty()) {
        table.fault(
            table.span(),
            "the surcharge has no limit or no tier",
            "give limit = 1.35 and at least one [[surcharge.tier]] with a price for a kWh",
        );
    }
    table.finish();
    Some(Surcharge { limit: limit?.value, currency: currency?.value.to_owned(), tiers })
}

fn indicator(table: &Table<'_>) -> Option<IndicatorSpec> {
    let symbol = table.required_text("symbol", "PDIT");
    let title = bilingual(table, "title", "title_zh", "installed IT power demand");
    let unit = table.text("unit", "kW").map_or_else(String::new, |unit| unit.value.to_owned());
    let from = table.required_choice("from", ORIGINS);
    let part_of = table.text("part_of", "EDC").map(|whole| whole.value.to_owned());
    table.finish();
    Some(IndicatorSpec {
        symbol: symbol?.value.to_owned(),
        title: title?,
        unit,
        from: from?,
        part_of,
    })
}
