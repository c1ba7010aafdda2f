//! How densely IT power stands in the hall, as far as the ledger's meters can tell.

use std::{collections::BTreeMap, sync::Arc};

use rules::{
    density::areal_density,
    measures::{Kilowatts, SquareMeters},
    meters::MeterTree,
    plant::{AssetId, AssetKind, Detail, Plant},
};
use serde::Serialize;

use crate::account::{Cell, State, count, share};

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

/// Means of 15 minutes, in kW. `None`: no quarter-hour is known in full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Power {
    /// Over all quarter-hours with an amount, bridged ones included.
    pub mean_kw: Option<f64>,
    /// 95 of 100 measured quarter-hours lie at or below it.
    pub p95_kw: Option<f64>,
    /// Of measured quarter-hours only: within a bridged gap the profile is not known.
    pub max_kw: Option<f64>,
    /// Share of the period that `p95_kw` and `max_kw` stand for.
    pub measured_share: f64,
}

/// The known sum of several meters in one quarter-hour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quarter {
    /// Of the whole quarter-hour; `None` when any of the meters lacks a part of it.
    pub kwh: Option<f64>,
    pub state: State,
}

/// Adds up meters, quarter-hour by quarter-hour; `true` takes off.
pub fn sum_of(quarters: usize, meters: &[(bool, &[Cell])]) -> Vec<Quarter> {
    if meters.is_empty() {
        return vec![Quarter::default(); quarters];
    }
    (0..quarters)
        .map(|place| {
            let mut sum = Quarter { kwh: Some(0.0), state: State::Measured };
            for (negative, cells) in meters {
                let cell = cells.get(place).copied().unwrap_or_default();
                sum.state = sum.state.max(cell.state());
                sum.kwh = sum
                    .kwh
                    .zip(cell.full())
                    .map(|(sum, amount)| if *negative { sum - amount } else { sum + amount });
            }
            sum
        })
        .collect()
}

impl Power {
    pub fn of(quarters: &[Quarter]) -> Self {
        let known: Vec<f64> = quarters.iter().filter_map(|quarter| quarter.kwh).collect();
        let mut measured: Vec<f64> = quarters
            .iter()
            .filter(|quarter| quarter.state == State::Measured)
            .filter_map(|quarter| quarter.kwh)
            .collect();
        measured.sort_by(f64::total_cmp);
        let mean = || PER_HOUR * known.iter().sum::<f64>() / count(known.len());
        // The smallest value that at least 95 of 100 do not exceed.
        let p95 = (measured.len() * 95).div_ceil(100).saturating_sub(1);
        Self {
            mean_kw: (!known.is_empty()).then(mean),
            p95_kw: measured.get(p95).map(|kwh| PER_HOUR * kwh),
            max_kw: measured.last().map(|kwh| PER_HOUR * kwh),
            measured_share: share(count(measured.len()), count(quarters.len())),
        }
    }
}

/// `hall` is the sum of the IT meters; `cells` gives those of one meter.
pub fn density<'a>(
    plant: &Plant,
    tree: &MeterTree,
    it_meters: &[AssetId],
    hall: &[Quarter],
    cells: impl Fn(AssetId) -> &'a [Cell],
) -> Density {
    let area_m2: f64 = plant
        .of_kind(AssetKind::Room)
        .filter_map(|room| match &plant.asset(room).detail {
            Detail::Room(room) => Some(room.area_m2),
            _ => None,
        })
        .sum();
    let power = Power::of(hall);
    let mut by_racks: BTreeMap<Vec<AssetId>, Vec<AssetId>> = BTreeMap::new();
    for meter in it_meters {
        by_racks.entry(racks_behind(plant, tree, *meter)).or_default().push(*meter);
    }
    let groups = by_racks
        .iter()
        .map(|(racks, meters)| {
            let members: Vec<_> = meters.iter().map(|meter| (false, cells(*meter))).collect();
            group(plant, racks, meters, Power::of(&sum_of(hall.len(), &members)))
        })
        .collect();
    Density {
        floor_area_m2: (area_m2 > 0.0).then_some(area_m2),
        hall: power,
        mean_kw_per_m2: power.mean_kw.and_then(|mean_kw| per_area(mean_kw, area_m2)),
        groups,
    }
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
