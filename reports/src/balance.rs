//! Whether what goes into a part of the meter tree comes out of it: for every meter whose flow goes on through metered
//! branches only, its energy against theirs, over the quarter-hours that all of them recorded.
//!
//! The difference may be losses, or an error that the classes allow. What is more is a meter error, and where the
//! difference follows the load of one meter, that one is named.

use std::{collections::BTreeMap, sync::Arc};

use rules::{
    meters::MeterTree,
    plant::{AssetId, AssetKind, Plant},
    uncertainty,
};
use serde::Serialize;

use crate::{account::Account, sums::record};

/// Conductors and breakers take up to this share; more is a branch that nobody meters, or an error.
const LOSSES: f64 = 0.03;
/// Quarter-hours that are added up before a difference is held against a load.
const SLICE: usize = 96;
/// A meter is named when its load explains this share of the difference …
const EXPLAINS: f64 = 0.8;
/// … and leaves less than half of what the next one leaves.
const NEXT_LEAVES: f64 = 2.0;

/// One node of the meter tree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeBalance {
    pub meter: Arc<str>,
    pub children: Vec<Arc<str>>,
    /// Quarter-hours that all of them recorded.
    pub quarter_hours: usize,
    pub in_kwh: f64,
    pub out_kwh: f64,
    /// In less out.
    pub difference_kwh: f64,
    /// Of what goes in.
    pub difference_share: f64,
    /// Expanded uncertainty of the difference, from classes; `None` where one is not declared.
    pub u95_kwh: Option<f64>,
    pub verdict: Verdict,
    /// The meter whose load the difference follows.
    pub suspect: Option<Suspect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Within what the classes allow.
    Balanced,
    /// More goes in than comes out, as much as conductors may take.
    Losses,
    /// More goes in than comes out, and than that explains.
    Unexplained,
    /// More comes out than goes in, and than the classes allow.
    MoreOutThanIn,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspect {
    pub meter: Arc<str>,
    /// By how much it shows too much, or too little below zero.
    pub error_percent: f64,
}

/// The balance of every meter that has one.
pub fn balances(
    plant: &Plant,
    tree: &MeterTree,
    accounts: &BTreeMap<AssetId, Account>,
) -> Vec<NodeBalance> {
    let id = |node: usize| AssetId(u32::try_from(node).unwrap_or(u32::MAX));
    let meters = plant.of_kind(AssetKind::Meter);
    meters
        .filter_map(|meter| {
            let children: Vec<AssetId> =
                tree.metered_children(meter.index())?.into_iter().map(id).collect();
            balance(plant, accounts, meter, &children)
        })
        .collect()
}

fn balance(
    plant: &Plant,
    accounts: &BTreeMap<AssetId, Account>,
    meter: AssetId,
    children: &[AssetId],
) -> Option<NodeBalance> {
    let carrier = record(plant, meter)?.carrier;
    let members: Vec<AssetId> = [meter].into_iter().chain(children.iter().copied()).collect();
    let same =
        |member: &AssetId| record(plant, *member).is_some_and(|meter| meter.carrier == carrier);
    if !members.iter().all(same) {
        return None;
    }
    let cells: Vec<&Account> =
        members.iter().map(|meter| accounts.get(meter)).collect::<Option<_>>()?;
    let slices = slices(&cells);
    let totals: Vec<f64> = (0..members.len())
        .map(|index| slices.iter().map(|(_, slice)| slice[index]).sum())
        .collect();
    let quarter_hours = slices.iter().map(|(quarters, _)| quarters).sum();
    let (in_kwh, out_kwh) = (totals[0], totals[1..].iter().sum::<f64>());
    if quarter_hours == 0 || in_kwh <= 0.0 {
        return None;
    }
    let name = |meter: &AssetId| Arc::clone(&plant.asset(*meter).name);
    let difference_kwh = in_kwh - out_kwh;
    let u95_kwh = expanded(plant, &members, &totals);
    let allowed = u95_kwh.unwrap_or(LOSSES * in_kwh);
    let verdict = match difference_kwh {
        difference if difference.abs() <= allowed => Verdict::Balanced,
        difference if difference < 0.0 => Verdict::MoreOutThanIn,
        difference if difference <= LOSSES * in_kwh + allowed => Verdict::Losses,
        _ => Verdict::Unexplained,
    };
    let wrong = matches!(verdict, Verdict::Unexplained | Verdict::MoreOutThanIn);
    let suspect = if wrong { suspect(&slices) } else { None };
    Some(NodeBalance {
        meter: name(&meter),
        children: children.iter().map(name).collect(),
        quarter_hours,
        in_kwh,
        out_kwh,
        difference_kwh,
        difference_share: difference_kwh / in_kwh,
        u95_kwh,
        verdict,
        suspect: suspect.map(|(index, error)| Suspect {
            meter: name(&members[index]),
            error_percent: error * 100.0,
        }),
    })
}

/// Sums of common quarter-hours, by days of the period: how many, and of each member.
fn slices(members: &[&Account]) -> Vec<(usize, Vec<f64>)> {
    let quarters = members.first().map_or(0, |account| account.len());
    let mut slices = Vec::new();
    for from in (0..quarters).step_by(SLICE) {
        let (mut common, mut sums) = (0, vec![0.0; members.len()]);
        for place in from..(from + SLICE).min(quarters) {
            let amounts: Option<Vec<f64>> =
                members.iter().map(|account| account.cell(place).recorded_in_full()).collect();
            let Some(amounts) = amounts else { continue };
            common += 1;
            for (sum, amount) in sums.iter_mut().zip(amounts) {
                *sum += amount;
            }
        }
        if common > 0 {
            slices.push((common, sums));
        }
    }
    slices
}

/// U95 of in less out: classes of meters that are not known to err together, as squares.
fn expanded(plant: &Plant, members: &[AssetId], totals: &[f64]) -> Option<f64> {
    let squares = members.iter().zip(totals).map(|(meter, total)| {
        let standard = total * uncertainty::of_meter(record(plant, *meter)?)?;
        Some(standard * standard)
    });
    let squares: Option<f64> = squares.sum();
    Some(2.0 * squares?.sqrt())
}

/// The member whose load the difference follows, and its error: a least-squares fit of the difference by each load, the
/// first member showing too much where the difference is above zero, the others where it is below.
fn suspect(slices: &[(usize, Vec<f64>)]) -> Option<(usize, f64)> {
    let members = slices.first()?.1.len();
    let difference = |sums: &[f64]| sums[0] - sums[1..].iter().sum::<f64>();
    let total: f64 = slices.iter().map(|(_, sums)| difference(sums).powi(2)).sum();
    let mut fits: Vec<(f64, usize, f64)> = (0..members)
        .filter_map(|index| {
            let (mut cross, mut square) = (0.0, 0.0);
            for (_, sums) in slices {
                cross += difference(sums) * sums[index];
                square += sums[index].powi(2);
            }
            let gain = if square > 0.0 { cross / square } else { return None };
            let left: f64 = slices
                .iter()
                .map(|(_, sums)| (difference(sums) - gain * sums[index]).powi(2))
                .sum();
            let error = if index == 0 { gain / (1.0 - gain) } else { -gain / (1.0 + gain) };
            Some((left, index, error))
        })
        .collect();
    fits.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (left, index, error) = *fits.first()?;
    let next = fits.get(1).map_or(f64::INFINITY, |fit| fit.0);
    let named =
        slices.len() > members && left <= (1.0 - EXPLAINS) * total && next >= NEXT_LEAVES * left;
    named.then_some((index, error))
}
