//! What is put in the place of energy that no meter recorded, in the order of domain facts §8.3: the twin of the meter;
//! its parent less its siblings, where that balances; the same time of the same weekday within two weeks. What none of them
//! can tell stays missing.
//!
//! An estimate never makes a period more complete: it is counted apart, with an uncertainty of its own.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use rules::{calendar::Zone, meters::MeterTree, plant::AssetId};
use serde::Serialize;

use crate::{
    account::{Account, count, median},
    grid::Grid,
};

/// Weeks before and after from which a median is taken.
const WEEKS: i64 = 2;
/// A parent and its children that differ by more than this on what all of them recorded tell nothing of one of them.
const BALANCED_WITHIN: f64 = 0.02;

/// How an estimate was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    Twin,
    ParentLessSiblings,
    SameWeekday,
}

/// The estimates of one meter by one means.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimated {
    pub meter: Arc<str>,
    pub means: Means,
    /// In quarter-hours; parts count as parts.
    pub quarter_hours: f64,
    pub amount: f64,
    /// The first and the last of the quarter-hours.
    pub first: DateTime<Utc>,
    pub last: DateTime<Utc>,
}

/// A meter with what it may be told by.
pub struct Kin {
    pub meter: AssetId,
    pub name: Arc<str>,
    pub twin: Option<AssetId>,
    /// A parent with all of its metered children, this one among them.
    pub family: Option<(AssetId, Vec<AssetId>)>,
}

impl Kin {
    /// The family of a meter: the nearest meter above it, if that has no other way down than through metered children.
    pub fn family(tree: &MeterTree, meter: AssetId) -> Option<(AssetId, Vec<AssetId>)> {
        let parent = tree.metered_parent(meter.index())?;
        let children = tree.metered_children(parent)?;
        let id = |node: usize| AssetId(u32::try_from(node).unwrap_or(u32::MAX));
        Some((id(parent), children.into_iter().map(id).collect()))
    }
}

/// Estimates what the meters lack, and says how.
pub fn estimate(
    accounts: &mut BTreeMap<AssetId, Account>,
    grid: &Grid,
    zone: Zone,
    kin: &[Kin],
) -> Vec<Estimated> {
    let mut told = Vec::new();
    for kin in kin {
        let Some(account) = accounts.get(&kin.meter) else { continue };
        let gaps: Vec<usize> = account.gaps().collect();
        if gaps.is_empty() || account.recorded().is_none() {
            continue;
        }
        let family = kin.family.as_ref().filter(|family| balances(accounts, family));
        let found: Vec<(usize, Means, f64)> = gaps
            .into_iter()
            .filter_map(|place| {
                let (means, amount) = twin(accounts, kin, place)
                    .map(|amount| (Means::Twin, amount))
                    .or_else(|| {
                        let amount = rest_of_family(accounts, family?, kin.meter, place)?;
                        Some((Means::ParentLessSiblings, amount))
                    })
                    .or_else(|| {
                        let amount = same_weekday(account, grid, zone, place)?;
                        Some((Means::SameWeekday, amount))
                    })?;
                Some((place, means, amount))
            })
            .collect();
        let Some(account) = accounts.get_mut(&kin.meter) else { continue };
        told.extend(enter(account, grid, &kin.name, found));
    }
    told
}

fn enter(
    account: &mut Account,
    grid: &Grid,
    name: &Arc<str>,
    found: Vec<(usize, Means, f64)>,
) -> Vec<Estimated> {
    let mut lines: BTreeMap<Means, Estimated> = BTreeMap::new();
    for (place, means, amount) in found {
        account.estimate(place, amount);
        let cell = account.cell(place);
        let start = grid.start(place);
        let line = lines.entry(means).or_insert_with(|| Estimated {
            meter: Arc::clone(name),
            means,
            quarter_hours: 0.0,
            amount: 0.0,
            first: start,
            last: start,
        });
        line.quarter_hours += 1.0 - cell.coverage;
        line.amount += cell.estimate.unwrap_or(0.0);
        line.last = start;
    }
    lines.into_values().collect()
}

fn twin(accounts: &BTreeMap<AssetId, Account>, kin: &Kin, place: usize) -> Option<f64> {
    accounts.get(&kin.twin?)?.cell(place).recorded_in_full()
}

fn rest_of_family(
    accounts: &BTreeMap<AssetId, Account>,
    (parent, children): &(AssetId, Vec<AssetId>),
    meter: AssetId,
    place: usize,
) -> Option<f64> {
    let recorded = |meter: &AssetId| accounts.get(meter)?.cell(place).recorded_in_full();
    let siblings = children.iter().filter(|child| **child != meter);
    let siblings: Option<f64> = siblings.map(recorded).sum();
    Some((recorded(parent)? - siblings?).max(0.0))
}

/// Whether parent and children agree over the quarter-hours that all of them recorded.
fn balances(
    accounts: &BTreeMap<AssetId, Account>,
    (parent, children): &(AssetId, Vec<AssetId>),
) -> bool {
    let Some(above) = accounts.get(parent) else { return false };
    let below: Option<Vec<&Account>> = children.iter().map(|child| accounts.get(child)).collect();
    let Some(below) = below else { return false };
    let (mut parents, mut sums, mut common) = (0.0, 0.0, 0_usize);
    for place in 0..above.len() {
        let all: Option<f64> = below.iter().map(|child| child.cell(place).recorded_in_full()).sum();
        if let (Some(parent), Some(sum)) = (above.cell(place).recorded_in_full(), all) {
            parents += parent;
            sums += sum;
            common += 1;
        }
    }
    // A day of quarter-hours, so that chance does not balance.
    common >= 96 && parents > 0.0 && ((parents - sums) / parents).abs() <= BALANCED_WITHIN
}

/// The median of the same quarter-hour of the same weekday, one and two weeks before and after by the site's clocks.
fn same_weekday(account: &Account, grid: &Grid, zone: Zone, place: usize) -> Option<f64> {
    let start = grid.start(place);
    let local = zone.local(start);
    let weeks = (-WEEKS..=WEEKS).filter(|week| *week != 0);
    let mut amounts: Vec<f64> = weeks
        .filter_map(|week| {
            let then = zone.instant(local + TimeDelta::weeks(week))?;
            account.cell(grid.place(then)?).recorded_in_full()
        })
        .collect();
    amounts.sort_by(f64::total_cmp);
    // One neighbour is chance.
    if count(amounts.len()) < 2.0 { None } else { median(&amounts) }
}
