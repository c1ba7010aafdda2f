//! One meter over the quarter-hours of a period: what was measured, bridged, integrated, corrected, estimated and missing.
//!
//! A year of two hundred meters is seven million quarter-hours, so an account keeps an amount and one byte for each, and
//! whatever is rare beside them.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike, Timelike, Utc, Weekday};
use rules::{
    calendar::Zone,
    ledger::{Method, RegisterReading},
    register::Flag,
};
use serde::Serialize;

use crate::grid::Grid;

/// What is known of one quarter-hour. The worst of several meters is the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Measured,
    /// Power over time, without a register.
    Integrated,
    /// The total is exact, the profile is not known.
    Bridged,
    /// From what other meters or other days show, all of it or a part.
    Estimated,
    /// An amount for a part of it only.
    Partial,
    #[default]
    Missing,
}

/// One quarter-hour of one meter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    /// What was recorded; `None`: no row, or a row without an amount.
    pub amount: Option<f64>,
    /// Share of the quarter-hour that `amount` stands for.
    pub coverage: f64,
    /// What is estimated of the rest.
    pub estimate: Option<f64>,
    pub state: State,
}

/// What goes into one quarter-hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entered {
    pub amount: Option<f64>,
    pub method: Method,
    pub coverage: f64,
}

/// One meter's quarter-hours of a period.
#[derive(Clone, Debug)]
pub struct Account {
    amounts: Vec<f64>,
    states: Vec<State>,
    /// Coverage where it is not whole.
    partial: BTreeMap<usize, f64>,
    estimates: BTreeMap<usize, f64>,
    /// Quarter-hours that carry a flag.
    pub flags: BTreeMap<Flag, u32>,
    /// Runs of neighbouring quarter-hours with the rollover flag: each is one turn of the register.
    pub rollovers: u32,
    last_rollover: Option<usize>,
    /// The register before the first and after the last amount.
    pub first: Option<RegisterReading>,
    pub last: Option<RegisterReading>,
    /// What lies between the snapshots around the first and the last instant, where they are far apart.
    pub wide_cuts: [f64; 2],
    pub rows: u32,
    /// Rows that do not count, because their quarter-hour had one.
    pub repeated: u32,
}

/// How much of a period is accounted for (domain facts §8.3). Amounts in the meter's unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Completeness {
    /// Share of the time that was measured or integrated, 0 to 1.
    pub time: f64,
    /// Measured, bridged and integrated over these, what is estimated and what the missing time would have held, 0 to 1.
    pub energy: f64,
    pub measured: f64,
    pub bridged: f64,
    pub integrated: f64,
    pub estimated: f64,
    /// What the missing time would have held: the median of the same quarter-hour of the same weekdays in the period, or
    /// else the meter's plausible maximum.
    pub expected_missing: f64,
    /// In quarter-hours; parts count as parts.
    pub measured_quarters: f64,
    pub bridged_quarters: f64,
    pub integrated_quarters: f64,
    pub estimated_quarters: f64,
    pub missing_quarters: f64,
}

impl Cell {
    /// The amount of the whole quarter-hour, with what is estimated of it.
    pub fn full(&self) -> Option<f64> {
        match (self.amount, self.estimate) {
            (Some(amount), _) if self.coverage >= 1.0 => Some(amount),
            (amount, Some(estimate)) => Some(amount.unwrap_or(0.0) + estimate),
            _ => None,
        }
    }

    /// The same without estimates.
    pub fn recorded_in_full(&self) -> Option<f64> {
        self.amount.filter(|_| self.coverage >= 1.0)
    }
}

impl Account {
    pub fn new(grid: &Grid) -> Self {
        Self {
            amounts: vec![0.0; grid.len()],
            states: vec![State::Missing; grid.len()],
            partial: BTreeMap::new(),
            estimates: BTreeMap::new(),
            flags: BTreeMap::new(),
            rollovers: 0,
            last_rollover: None,
            first: None,
            last: None,
            wide_cuts: [0.0; 2],
            rows: 0,
            repeated: 0,
        }
    }

    /// Puts what counts of a quarter-hour into its place, over what may be there.
    pub fn enter(&mut self, place: usize, entered: Entered) {
        let Entered { amount, method, coverage } = entered;
        self.partial.remove(&place);
        let amount = amount.filter(|_| method != Method::Missing);
        self.amounts[place] = amount.unwrap_or(0.0);
        self.states[place] = match (amount, method) {
            (None, _) | (_, Method::Missing) => State::Missing,
            (Some(_), _) if coverage < 1.0 => State::Partial,
            (Some(_), Method::Register) => State::Measured,
            (Some(_), Method::Bridged) => State::Bridged,
            (Some(_), Method::Integrated) => State::Integrated,
            (Some(_), Method::Estimated) => State::Estimated,
        };
        if self.states[place] == State::Partial {
            self.partial.insert(place, coverage);
        }
    }

    /// Takes in what a row tells beside its amount.
    pub fn note_flags(&mut self, place: usize, flags: &[Flag]) {
        for flag in flags {
            *self.flags.entry(*flag).or_default() += 1;
        }
        if flags.contains(&Flag::Rollover) {
            let goes_on = self.last_rollover.is_some_and(|last| last + 1 == place);
            self.rollovers += u32::from(!goes_on);
            self.last_rollover = Some(place);
        }
    }

    /// `amount` of the whole quarter-hour: the part of it that was not recorded is estimated.
    pub fn estimate(&mut self, place: usize, amount: f64) {
        let cell = self.cell(place);
        let rest = amount - cell.amount.unwrap_or(0.0);
        self.estimates.insert(place, rest.max(0.0));
    }

    pub fn len(&self) -> usize {
        self.states.len()
    }

    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    pub fn cell(&self, place: usize) -> Cell {
        let Some(state) = self.states.get(place).copied() else { return Cell::default() };
        let estimate = self.estimates.get(&place).copied();
        let coverage = match state {
            State::Missing => 0.0,
            State::Partial => self.partial.get(&place).copied().unwrap_or(0.0),
            State::Measured | State::Integrated | State::Bridged | State::Estimated => 1.0,
        };
        let amount = (state != State::Missing).then(|| self.amounts[place]);
        let state = if estimate.is_some() { State::Estimated } else { state };
        Cell { amount, coverage, estimate, state }
    }

    pub fn cells(&self) -> impl Iterator<Item = Cell> + '_ {
        // Nearly all of them need no look at what is rare.
        (0..self.len()).map(|place| self.cell(place))
    }

    /// The quarter-hours that no amount stands for in full, with or without estimates.
    pub fn gaps(&self) -> impl Iterator<Item = usize> + '_ {
        let short = |state: &State| matches!(state, State::Partial | State::Missing);
        (0..self.len()).filter(move |place| {
            self.states.get(*place).is_some_and(short) && !self.estimates.contains_key(place)
        })
    }

    /// Everything recorded, in the meter's unit; `None` when there is no amount at all.
    pub fn recorded(&self) -> Option<f64> {
        let known = self.states.iter().any(|state| *state != State::Missing);
        known.then(|| self.amounts.iter().sum())
    }

    pub fn estimated(&self) -> f64 {
        let entered = self.amounts.iter().zip(&self.states);
        let entered = entered.filter(|(_, state)| **state == State::Estimated);
        self.estimates.values().sum::<f64>() + entered.map(|(amount, _)| amount).sum::<f64>()
    }

    /// `most` is the most that a quarter-hour can hold.
    pub fn completeness(&self, grid: &Grid, zone: Zone, most: f64) -> Completeness {
        let mut found = Completeness::default();
        let mut usual = Usual::new(self, grid, zone);
        for (place, state) in self.states.iter().enumerate() {
            let amount = self.amounts[place];
            let cell = match state {
                State::Measured => {
                    found.measured += amount;
                    found.measured_quarters += 1.0;
                    continue;
                }
                State::Integrated => {
                    found.integrated += amount;
                    found.integrated_quarters += 1.0;
                    continue;
                }
                State::Bridged => {
                    found.bridged += amount;
                    found.bridged_quarters += 1.0;
                    continue;
                }
                State::Estimated => {
                    found.estimated += amount;
                    found.estimated_quarters += 1.0;
                    continue;
                }
                State::Partial | State::Missing => self.cell(place),
            };
            found.measured += amount;
            found.measured_quarters += cell.coverage;
            let rest = 1.0 - cell.coverage;
            if let Some(estimate) = cell.estimate {
                found.estimated += estimate;
                found.estimated_quarters += rest;
            } else {
                found.missing_quarters += rest;
                found.expected_missing += rest * usual.amount(place).unwrap_or(most);
            }
        }
        let recorded = found.measured + found.bridged + found.integrated;
        let due = recorded + found.estimated + found.expected_missing;
        found.time = share(found.measured_quarters + found.integrated_quarters, count(self.len()));
        // Nothing flowed and nothing was expected: time is all that is left to judge by.
        found.energy = if due > 0.0 { recorded / due } else { found.time };
        found
    }
}

/// What a meter shows at the same time of the same weekday, elsewhere in the period; in a period without one, at the same
/// time of any day.
struct Usual<'a> {
    account: &'a Account,
    grid: &'a Grid,
    zone: Zone,
    known: HashMap<(Option<Weekday>, u32), Vec<f64>>,
}

impl<'a> Usual<'a> {
    fn new(account: &'a Account, grid: &'a Grid, zone: Zone) -> Self {
        Self { account, grid, zone, known: HashMap::new() }
    }

    /// The median; `None` where no such quarter-hour was recorded in full.
    fn amount(&mut self, place: usize) -> Option<f64> {
        if self.known.is_empty() {
            for (place, cell) in self.account.cells().enumerate() {
                if let Some(amount) = cell.recorded_in_full() {
                    let (weekday, time) = time_of_week(self.zone, self.grid.start(place));
                    self.known.entry((Some(weekday), time)).or_default().push(amount);
                    self.known.entry((None, time)).or_default().push(amount);
                }
            }
            self.known.values_mut().for_each(|amounts| amounts.sort_by(f64::total_cmp));
        }
        let (weekday, time) = time_of_week(self.zone, self.grid.start(place));
        let same = |weekday| self.known.get(&(weekday, time));
        median(same(Some(weekday)).or_else(|| same(None))?)
    }
}

/// Of sorted numbers.
pub(crate) fn median(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// Weekday and quarter-hour of the site's clocks.
pub(crate) fn time_of_week(zone: Zone, at: DateTime<Utc>) -> (Weekday, u32) {
    let local = zone.local(at);
    (local.weekday(), local.hour() * 4 + local.minute() / 15)
}

/// `part / whole`, 0 for an empty whole.
pub(crate) fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "a year has 35 136 quarter-hours")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}
