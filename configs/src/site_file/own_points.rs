//! What the gateway says of itself, as points of the site: kept, shown and watched by rules like any other.

use std::time::Duration;

use rules::{
    plant::{AssetKind, Origin, Plant, PointKind, PointSpec, StateLabel},
    units::Unit,
};

use crate::site::{SINK_STATES, STORAGE_STATES};

/// It tells of itself once a second.
const STALE_AFTER: Duration = Duration::from_secs(10);

/// Adds the points. All of them are there on every site, so that rules can name them.
pub(super) fn add(plant: &mut Plant) {
    state(plant, "storage.state", &STORAGE_STATES);
    state(plant, "influxdb.state", &SINK_STATES);
    point(plant, "influxdb.backlog", Unit::parse("s").unwrap_or_else(|_| Unit::none()));
}

fn state(plant: &mut Plant, quantity: &str, names: &[&str]) {
    let label = |(code, text): (u32, &&str)| StateLabel { code, text: (*text).to_owned() };
    let states = (0..).zip(names).map(label).collect();
    let (unit, kind) = (Unit::none(), PointKind::State);
    add_point(plant, |spec| PointSpec { kind, states, unit, quantity: quantity.into(), ..spec });
}

fn point(plant: &mut Plant, quantity: &str, unit: Unit) {
    add_point(plant, |spec| PointSpec { unit, quantity: quantity.into(), ..spec });
}

fn add_point(plant: &mut Plant, told: impl FnOnce(PointSpec) -> PointSpec) {
    let Some(site) = plant.of_kind(AssetKind::Site).next() else { return };
    plant.add_point(told(PointSpec {
        asset: site,
        quantity: "".into(),
        unit: Unit::none(),
        kind: PointKind::Gauge,
        origin: Origin::Polled,
        stale_after: STALE_AFTER,
        states: Vec::new(),
    }));
}
