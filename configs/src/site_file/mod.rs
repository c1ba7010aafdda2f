//! Site files: text in, a checked [`Site`] or every fault out.
//!
//! ```toml
//! [site]
//! id = "hall-1"
//! name = "Hall 1"
//! time_zone = "Europe/Berlin"
//! gateway = "gw-1"
//!
//! [[room]]
//! id = "room-1"
//! area = "240 m2"
//!
//! [[device]]
//! id = "cdu-1-link"
//! url = "modbus+tcp://10.0.0.21:502?unit=1"
//! profile = "generic-cdu"
//! asset = "cdu-1"
//! ```
//!
//! Ids are unique over all tables. Quantities are text with a unit. An edge is written at one of its ends: a rack names
//! its loop (`cooled_by`), a CDU its loop (`loop`), a feeder what it `feeds`, a meter what it `measures`, a device its
//! `asset`, everything its `room`. The folder `configs/sites` holds whole examples.

mod anchors;
mod api;
mod assets;
mod coolant;
mod declared;
mod devices;
mod edges;
mod influxdb;
mod load;
mod meter_tree;
mod meters;
mod own_points;
mod record;
mod storage;

use std::sync::Arc;

use rules::{
    messages::SiteInfo,
    metrics,
    plant::{Asset, AssetKind, Detail, Plant, SiteRecord},
    rule::RuleSpec,
};

use crate::{
    fault::{Fault, Source},
    library::Library,
    secret::Resolve,
    site::Site,
    table::{self, Faults, Table},
};

/// Reads a site file with the profiles and rule files that it names.
///
/// `secret` is asked for each `${file:…}` and `${env:…}`; [`crate::secret::unresolved`] checks a site without them.
///
/// # Errors
/// All faults of the site file, and of the profiles and rule files that it uses.
pub fn read_site(
    source: &Source,
    library: &Library,
    secret: Resolve<'_>,
) -> Result<Site, Vec<Fault>> {
    let faults = Faults::new(source);
    let site = read(source, library, secret, &faults);
    match site {
        Some(site) if faults.is_empty() => Ok(site),
        _ => Err(faults.into_vec()),
    }
}

fn read(
    source: &Source,
    library: &Library,
    secret: Resolve<'_>,
    faults: &Faults<'_>,
) -> Option<Site> {
    let document = table::parse(source, faults);
    let root = Table::new(faults, document.get_ref(), 0..0, "the site file");
    let (info, mut record) = site_table(&root, library, faults).unzip();
    let info = info.flatten();
    let api = api::read(&root, secret);
    let mut declared = assets::read(&root);
    let devices = devices::read(&root, library, secret, faults);
    meters::take_register_from_profile(&mut declared, &devices);
    meters::check_twins(&declared, faults);
    if let Some(record) = &mut record {
        record::read(&root, &declared, record);
    }

    let mut plant = Plant::default();
    if let Some(info) = &info {
        plant.add_asset(Asset {
            name: info.id.as_str().into(),
            kind: AssetKind::Site,
            title: Some(info.name.clone()),
            detail: record
                .filter(|record| *record != SiteRecord::default())
                .map_or(Detail::None, |record| Detail::Site(Box::new(record))),
        });
    }
    let places = edges::add_assets(&mut plant, &declared, &devices, faults);
    let feeds = edges::add_edges(&mut plant, &declared, faults);
    meter_tree::check(&plant, &feeds, &places, faults);
    let devices = devices::bind(&mut plant, &devices, faults);
    let storage = storage::read(&root);
    own_points::add(&mut plant);
    // Conditions also name computed points. On a plant with faults they would bring on faults that are not theirs.
    let watched = if faults.is_empty() { metrics::plan(plant.clone()).ok() } else { None };
    let rules = rules_table(&root, library, watched.as_ref().map(|plan| &plan.plant), faults);
    let influxdb = influxdb::read(&root, secret);
    let anchors = anchors::read(&root, info.as_ref(), secret);
    root.finish();
    Some(Site { info: info?, plant, devices, rules, storage, api, influxdb, anchors })
}

fn site_table(
    root: &Table<'_>,
    library: &Library,
    faults: &Faults<'_>,
) -> Option<(Option<SiteInfo>, SiteRecord)> {
    let Some(table) = root.table("site", "[site]") else {
        if !root.has("site") {
            root.fault(
                0..0,
                "the file has no [site] table",
                "begin with [site] and its id, name, time_zone and gateway",
            );
        }
        return None;
    };
    let id = declared::id(&table, "hall-1");
    let name = table.required_text("name", "Hall 1");
    let time_zone = table.required_text("time_zone", "Europe/Berlin");
    let gateway = table.required_text("gateway", "gw-1");
    let simulated = table.flag("simulated").unwrap_or(false);
    if let Some(zone) = &time_zone
        && zone.value.parse::<chrono_tz::Tz>().is_err()
    {
        let near =
            table::nearest(zone.value, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        table.fault(
            zone.span.clone(),
            format!("unknown time zone \"{}\"", zone.value),
            format!(
                "write a name of the IANA list, for example \"{}\"",
                near.unwrap_or("Europe/Berlin")
            ),
        );
    }
    let record = record::of_site(&table, library, faults);
    table.finish();
    let info = || {
        Some(SiteInfo {
            id: id?.value.to_string(),
            name: name?.value.to_owned(),
            time_zone: time_zone?.value.to_owned(),
            gateway: gateway?.value.to_owned(),
            simulated,
        })
    };
    Some((info(), record))
}

/// `[rules] include = ["coolant", …]`; without it every rule file of the library is used.
fn rules_table(
    root: &Table<'_>,
    library: &Library,
    plant: Option<&Plant>,
    faults: &Faults<'_>,
) -> Vec<RuleSpec> {
    let mut names: Vec<Arc<str>> = Vec::new();
    let table = root.table("rules", "[rules]");
    match table.filter(|table| table.has("include")) {
        Some(table) => {
            for name in table.texts("include", "cdu") {
                let stem = name.value.trim_end_matches(".toml");
                if library.rules(stem).is_some() {
                    names.push(stem.into());
                    continue;
                }
                let near = table::nearest(stem, library.rule_names());
                table.fault(
                    name.span,
                    format!("unknown rule file \"{}\"", name.value),
                    near.map_or_else(
                        || format!("put it beside the site file as rules/{stem}.toml"),
                        |near| format!("did you mean \"{near}\"?"),
                    ),
                );
            }
            table.finish();
        }
        None => names.extend(library.rule_names().map(Arc::from)),
    }
    load::rules(&names, library, plant, faults)
}
