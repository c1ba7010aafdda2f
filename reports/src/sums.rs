//! Facility and IT energy of a period, quarter-hour by quarter-hour: the terms of both sums from the meter tree, over the
//! quarter-hours that all of their meters have in full.

use std::{collections::BTreeMap, ops::Range};

use rules::{
    meters::{MeterTree, Term, Total},
    plant::{AssetId, Detail, Meter, Plant},
    ratio::Weights,
    uncertainty::{self, Part},
};

use crate::account::{Account, State, count, share};

/// A quarter-hour whose ratio of energies lies outside is worth a look (§1.6 step 4).
const PLAUSIBLE_RATIO: std::ops::RangeInclusive<f64> = 1.0..=3.0;

/// The known sum of several meters in one quarter-hour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quarter {
    /// Of the whole quarter-hour; `None` when any of the meters lacks a part of it.
    pub kwh: Option<f64>,
    pub state: State,
}

/// A meter in a sum, with how its energy counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weighed {
    pub(crate) meter: AssetId,
    pub(crate) negative: bool,
    /// Of its carrier; 0 for what counts no energy.
    pub(crate) weight: f64,
    /// The part of it that is the data centre's.
    pub(crate) share: f64,
}

impl Weighed {
    /// What an amount of the meter adds to the sum.
    pub(crate) fn factor(self) -> f64 {
        let factor = self.weight * self.share;
        if self.negative { -factor } else { factor }
    }
}

/// Adds up meters, quarter-hour by quarter-hour, each times its factor.
pub(crate) fn sum_of(quarters: usize, meters: &[(f64, Option<&Account>)]) -> Vec<Quarter> {
    if meters.is_empty() {
        return vec![Quarter::default(); quarters];
    }
    let mut sums = vec![Quarter { kwh: Some(0.0), state: State::Measured }; quarters];
    for (factor, account) in meters {
        for (place, sum) in sums.iter_mut().enumerate() {
            let cell = account.map(|account| account.cell(place)).unwrap_or_default();
            sum.state = sum.state.max(cell.state);
            sum.kwh = sum.kwh.zip(cell.full()).map(|(sum, amount)| sum + factor * amount);
        }
    }
    sums
}

/// Both sums, quarter-hour by quarter-hour.
pub(crate) struct Sums {
    pub(crate) tree: Result<MeterTree, String>,
    pub(crate) facility: Vec<Weighed>,
    pub(crate) it: Vec<Weighed>,
    /// Why a sum cannot be made.
    pub(crate) fault: Option<String>,
    pub(crate) facility_quarters: Vec<Quarter>,
    pub(crate) it_quarters: Vec<Quarter>,
    pub(crate) states: Vec<State>,
}

impl Sums {
    pub(crate) fn of(
        plant: &Plant,
        accounts: &BTreeMap<AssetId, Account>,
        quarters: usize,
        weights: Weights,
    ) -> Self {
        let tree = MeterTree::of(plant).map_err(|fault| fault.to_string());
        let mut fault = tree.as_ref().err().cloned();
        let mut terms = |total| match tree.as_ref().map(|tree| tree.terms(total)) {
            Ok(Ok(terms)) => terms.into_iter().map(|term| weighed(plant, term, weights)).collect(),
            Ok(Err(why)) => {
                fault.get_or_insert(why.to_string());
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        let (facility, it) = (terms(Total::Facility), terms(Total::It));
        let sum = |terms: &[Weighed]| {
            let accounts: Vec<_> =
                terms.iter().map(|term| (term.factor(), accounts.get(&term.meter))).collect();
            sum_of(quarters, &accounts)
        };
        let (facility_quarters, it_quarters) = (sum(&facility), sum(&it));
        let states = facility_quarters
            .iter()
            .zip(&it_quarters)
            .map(|(one, other)| one.state.max(other.state));
        let states = states.collect();
        Self { tree, facility, it, fault, facility_quarters, it_quarters, states }
    }

    /// Whether all meters of both sums have the whole quarter-hour.
    pub(crate) fn is_common(&self, place: usize) -> bool {
        let full = |quarters: &[Quarter]| quarters.get(place).is_some_and(|q| q.kwh.is_some());
        full(&self.facility_quarters) && full(&self.it_quarters)
    }

    /// The energy of common quarter-hours.
    pub(crate) fn common(&self, quarters: &[Quarter], places: Range<usize>) -> f64 {
        places
            .filter(|place| self.is_common(*place))
            .filter_map(|place| quarters.get(place).and_then(|quarter| quarter.kwh))
            .sum()
    }

    pub(crate) fn common_share(&self) -> f64 {
        let common = (0..self.states.len()).filter(|place| self.is_common(*place)).count();
        share(count(common), count(self.states.len()))
    }

    /// Measured quarter-hours whose ratio is hard to believe, also when registers are off by `steps_kwh`.
    pub(crate) fn odd_quarters(&self, steps_kwh: f64) -> usize {
        let (least, most) = PLAUSIBLE_RATIO.into_inner();
        let odd = |place: &usize| {
            let energies = self.facility_quarters[*place].kwh.zip(self.it_quarters[*place].kwh);
            energies.is_some_and(|(facility, it)| {
                facility + steps_kwh < least * it || facility - steps_kwh > most * it
            })
        };
        let measured =
            (0..self.states.len()).filter(|place| self.states[*place] == State::Measured);
        measured.filter(odd).count()
    }
}

fn weighed(plant: &Plant, term: Term, weights: Weights) -> Weighed {
    let meter = term.asset();
    let declared = record(plant, meter);
    Weighed {
        meter,
        negative: term.negative,
        weight: declared.and_then(|meter| weights.of(meter.carrier).ok()).unwrap_or(0.0),
        share: declared.and_then(|meter| meter.share.as_ref()).map_or(1.0, |share| share.part),
    }
}

pub(crate) fn record(plant: &Plant, meter: AssetId) -> Option<&Meter> {
    match &plant.asset(meter).detail {
        Detail::Meter(meter) => Some(meter),
        _ => None,
    }
}

/// Standard uncertainty of a sum of meters (domain facts §8.1, §8.2): classes, correlated within a model; the register
/// steps at both ends; a cut between snapshots that lie far apart; what is estimated. `None` where a class is not declared
/// or a meter has nothing.
pub(crate) fn uncertainty_of(
    plant: &Plant,
    accounts: &BTreeMap<AssetId, Account>,
    terms: &[Weighed],
) -> Option<f64> {
    let parts = terms.iter().map(|term| {
        let (declared, account) = (record(plant, term.meter)?, accounts.get(&term.meter)?);
        let factor = term.factor().abs();
        Some(Part {
            model: declared.model.as_deref(),
            class: factor * account.recorded()? * uncertainty::of_meter(declared)?,
            own: factor * own_uncertainty(declared, account),
        })
    });
    Some(uncertainty::of_sum(parts.collect::<Option<Vec<_>>>()?))
}

/// What of a meter's uncertainty is its own: steps, wide cuts, estimates.
fn own_uncertainty(declared: &Meter, account: &Account) -> f64 {
    let limits = rules::register::RegisterLimits::of(declared, std::time::Duration::ZERO);
    let ends = [account.first, account.last].into_iter().flatten();
    // Both ends have the step of their own value.
    let steps = ends.map(|end| uncertainty::of_steps(limits.quantum(end.value)) / 2.0_f64.sqrt());
    let cuts = account.wide_cuts.into_iter().map(uncertainty::of_wide_cut);
    let estimate = uncertainty::of_estimate(account.estimated());
    steps.chain(cuts).fold(estimate, f64::hypot)
}
