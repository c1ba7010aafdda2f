//! How densely IT power stands in the hall, as far as the ledger's meters can tell.

use std::{collections::BTreeMap, sync::Arc};

use rules::{
    density::areal_density,
    measures::{Kilowatts, SquareMeters},
    meters::MeterTree,
    plant::{AssetId, AssetKind, Detail, Plant},
};
use serde::Serialize;

use crate::{
    account::{Account, State, count, share},
    sums::{Quarter, Sums, sum_of},
};

/// Quarter-hours in an hour.
const PER_HOUR: f64 = 4.0;

/// Density over the period.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Density {
    /// Of all rooms whose floor area is declared.
    pub floor_area_m2: Option<f64>,
    pub hall: Power,
    /// Mean IT power over floor area.
    pub mean_kw_per_m2: Option<f64>,
    /// The IT meters, those that feed the same racks together.
    pub groups: Vec<Group>,
    /// Every rack where it stands, with the mean of its group.
    pub racks: Vec<RackDensity>,
}

/// IT meters that feed the same racks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    pub meters: Vec<Arc<str>>,
    pub racks: Vec<Arc<str>>,
    pub design_kw: f64,
    pub power: Power,
    pub mean_kw_per_rack: Option<f64>,
    pub max_kw_per_rack: Option<f64>,
    /// Mean power over the racks' footprints, where all of them are declared.
    pub mean_kw_per_footprint_m2: Option<f64>,
}

/// A rack in its row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RackDensity {
    pub rack: Arc<str>,
    pub row: String,
    pub position: u32,
    pub design_kw: f64,
    /// Of its own meters, or its part of the group's where others are behind the same meters.
    pub mean_kw: Option<f64>,
    pub own_meter: bool,
}

/// Means of 15 minutes, in kW. `None`: no quarter-hour is known in full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Power {
    /// Over all quarter-hours with an amount, bridged and estimated ones included.
    pub mean_kw: Option<f64>,
    /// 95 of 100 measured quarter-hours lie at or below it.
    pub p95_kw: Option<f64>,
    /// Of measured quarter-hours only: within a bridged gap the profile is not known.
    pub max_kw: Option<f64>,
    /// Share of the period that `p95_kw` and `max_kw` stand for.
    pub measured_share: f64,
}

impl Power {
    pub fn of(quarters: &[Quarter]) -> Self {
        let (mut sum, mut known) = (0.0, 0_usize);
        let mut measured = Vec::with_capacity(quarters.len());
        for quarter in quarters {
            let Some(kwh) = quarter.kwh else { continue };
            sum += kwh;
            known += 1;
            if matches!(quarter.state, State::Measured | State::Integrated) {
                measured.push(kwh);
            }
        }
        // The smallest value that at least 95 of 100 do not exceed.
        let p95 = (measured.len() * 95).div_ceil(100).saturating_sub(1);
        let most = measured.iter().copied().reduce(f64::max);
        let (length, p95) = if measured.is_empty() {
            (0, None)
        } else {
            let (_, value, _) = measured.select_nth_unstable_by(p95, f64::total_cmp);
            let value = *value;
            (measured.len(), Some(value))
        };
        Self {
            mean_kw: (known > 0).then(|| PER_HOUR * sum / count(known)),
            p95_kw: p95.map(|kwh| PER_HOUR * kwh),
            max_kw: most.map(|kwh| PER_HOUR * kwh),
            measured_share: share(count(length), count(quarters.len())),
        }
    }
}

/// Of the IT meters that are added up.
pub(crate) fn density(
    plant: &Plant,
    sums: &Sums,
    accounts: &BTreeMap<AssetId, Account>,
) -> Density {
    let area_m2: f64 = plant
        .of_kind(AssetKind::Room)
        .filter_map(|room| match &plant.asset(room).detail {
            Detail::Room(room) => Some(room.area_m2),
            _ => None,
        })
        .sum();
    let power = Power::of(&sums.it_quarters);
    let mut by_racks: BTreeMap<Vec<AssetId>, Vec<AssetId>> = BTreeMap::new();
    if let Ok(tree) = &sums.tree {
        for term in sums.it.iter().filter(|term| !term.negative) {
            by_racks.entry(racks_behind(plant, tree, term.meter)).or_default().push(term.meter);
        }
    }
    let (mut groups, mut racks) = (Vec::new(), Vec::new());
    for (behind, meters) in &by_racks {
        let members: Vec<_> = meters.iter().map(|meter| (1.0, accounts.get(meter))).collect();
        let power = Power::of(&sum_of(sums.states.len(), &members));
        racks.extend(behind.iter().filter_map(|rack| rack_density(plant, *rack, behind, power)));
        groups.push(group(plant, behind, meters, power));
    }
    racks.sort_by(|one: &RackDensity, other| {
        (&one.row, one.position).cmp(&(&other.row, other.position))
    });
    Density {
        floor_area_m2: (area_m2 > 0.0).then_some(area_m2),
        hall: power,
        mean_kw_per_m2: power.mean_kw.and_then(|mean_kw| per_area(mean_kw, area_m2)),
        groups,
        racks,
    }
}

/// Power behind common meters is shared out by designed power.
fn rack_density(
    plant: &Plant,
    rack: AssetId,
    group: &[AssetId],
    power: Power,
) -> Option<RackDensity> {
    let design = |rack: AssetId| match &plant.asset(rack).detail {
        Detail::Rack(record) => Some(record),
        _ => None,
    };
    let record = design(rack)?;
    let all: f64 =
        group.iter().filter_map(|rack| design(*rack)).map(|one| one.design_power_kw).sum();
    Some(RackDensity {
        rack: Arc::clone(&plant.asset(rack).name),
        row: record.row.clone(),
        position: record.position,
        design_kw: record.design_power_kw,
        mean_kw: power.mean_kw.map(|mean_kw| mean_kw * share(record.design_power_kw, all)),
        own_meter: group.len() == 1,
    })
}

fn group(plant: &Plant, racks: &[AssetId], meters: &[AssetId], power: Power) -> Group {
    let records: Vec<_> = racks
        .iter()
        .filter_map(|rack| match &plant.asset(*rack).detail {
            Detail::Rack(record) => Some(record),
            _ => None,
        })
        .collect();
    let footprint_m2: Option<f64> = records.iter().map(|rack| rack.footprint_m2).sum();
    let per_rack = |kw: f64| (!racks.is_empty()).then(|| kw / count(racks.len()));
    let names = |ids: &[AssetId]| ids.iter().map(|id| Arc::clone(&plant.asset(*id).name)).collect();
    Group {
        meters: names(meters),
        racks: names(racks),
        design_kw: records.iter().map(|rack| rack.design_power_kw).sum(),
        power,
        mean_kw_per_rack: power.mean_kw.and_then(per_rack),
        max_kw_per_rack: power.max_kw.and_then(per_rack),
        mean_kw_per_footprint_m2: power
            .mean_kw
            .zip(footprint_m2)
            .and_then(|(mean_kw, area_m2)| per_area(mean_kw, area_m2)),
    }
}

fn per_area(kw: f64, area_m2: f64) -> Option<f64> {
    let (power, area) = (Kilowatts::new(kw).ok()?, SquareMeters::new(area_m2).ok()?);
    areal_density(power, area).ok().map(rules::measures::KilowattsPerSquareMeter::get)
}

/// The racks that a meter feeds, in the order of the plant.
fn racks_behind(plant: &Plant, tree: &MeterTree, meter: AssetId) -> Vec<AssetId> {
    let mut racks: Vec<AssetId> = tree
        .downstream(meter.index())
        .map(|node| AssetId(u32::try_from(node).unwrap_or(u32::MAX)))
        .filter(|asset| plant.asset(*asset).kind == AssetKind::Rack)
        .collect();
    racks.sort_unstable();
    racks
}
