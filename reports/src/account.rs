//! One meter over the quarter-hours of a period: what was measured, bridged and missing.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc, Weekday};
use rules::{
    calendar::{Span, Zone},
    ledger::{INTERVAL, LedgerRow, Method, RegisterReading},
    register::Flag,
};
use serde::Serialize;

/// The quarter-hours of a period, counted from its first one.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    span: Span,
    quarters: usize,
}

/// What is known of one quarter-hour. The worst of several meters is the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Measured,
    Bridged,
    /// An amount for a part of it only.
    Partial,
    #[default]
    Missing,
}

/// One quarter-hour of one meter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    /// `None`: no row, or a row without an amount.
    pub amount: Option<f64>,
    /// Share of the quarter-hour that the amount stands for.
    pub coverage: f64,
    pub bridged: bool,
}

/// One meter's rows of a period.
#[derive(Clone, Debug)]
pub struct Account {
    cells: Vec<Cell>,
    /// Quarter-hours that carry a flag.
    pub flags: BTreeMap<Flag, u32>,
    /// Runs of neighbouring quarter-hours with the rollover flag: each is one turn of the register.
    pub rollovers: u32,
    last_rollover: Option<usize>,
    /// The register before the first and after the last amount.
    pub first: Option<RegisterReading>,
    pub last: Option<RegisterReading>,
    last_place: usize,
    pub rows: u32,
    /// Rows for a quarter-hour that already has one. The first counts.
    pub repeated: u32,
}

/// How much of a period is accounted for (domain facts §8.3). Amounts in the meter's unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Completeness {
    /// Share of the time that was measured, 0 to 1.
    pub time: f64,
    /// Measured and bridged over these and what the missing time would have held, 0 to 1. Only an expectation for the
    /// missing time makes it differ from 1.
    pub energy: f64,
    pub measured: f64,
    pub bridged: f64,
    /// What the missing time would have held: the median of the same quarter-hour of the same weekdays in the period, or
    /// else the meter's plausible maximum.
    pub expected_missing: f64,
    /// In quarter-hours; parts count as parts.
    pub measured_quarters: f64,
    pub bridged_quarters: f64,
    pub missing_quarters: f64,
}

impl Grid {
    pub fn new(span: Span) -> Self {
        let quarters = span.length().num_seconds() / INTERVAL.num_seconds();
        Self { span, quarters: usize::try_from(quarters).unwrap_or(0) }
    }

    pub fn span(&self) -> Span {
        self.span
    }

    pub fn len(&self) -> usize {
        self.quarters
    }

    pub fn is_empty(&self) -> bool {
        self.quarters == 0
    }

    /// Where a quarter-hour lies; `None` outside the period.
    pub fn place(&self, start: DateTime<Utc>) -> Option<usize> {
        if !self.span.contains(start) {
            return None;
        }
        let into = (start - self.span.from).num_seconds() / INTERVAL.num_seconds();
        usize::try_from(into).ok().filter(|place| *place < self.quarters)
    }

    /// When a quarter-hour begins.
    pub fn start(&self, place: usize) -> DateTime<Utc> {
        let seconds = INTERVAL.num_seconds() * i64::try_from(place).unwrap_or(i64::MAX);
        self.span.from + TimeDelta::seconds(seconds)
    }

    /// The places of the quarter-hours of a part of the period.
    pub fn places(&self, part: Span) -> std::ops::Range<usize> {
        let first = self.place(part.from).unwrap_or(self.quarters);
        first..self.place(part.to).unwrap_or(self.quarters).max(first)
    }
}

impl Cell {
    pub fn state(&self) -> State {
        match self.amount {
            None => State::Missing,
            Some(_) if self.coverage < 1.0 => State::Partial,
            Some(_) if self.bridged => State::Bridged,
            Some(_) => State::Measured,
        }
    }

    /// The amount, if it stands for the whole quarter-hour.
    pub fn full(&self) -> Option<f64> {
        self.amount.filter(|_| self.coverage >= 1.0)
    }
}

impl Account {
    pub fn new(grid: &Grid) -> Self {
        Self {
            cells: vec![Cell::default(); grid.len()],
            flags: BTreeMap::new(),
            rollovers: 0,
            last_rollover: None,
            first: None,
            last: None,
            last_place: 0,
            rows: 0,
            repeated: 0,
        }
    }

    /// Takes a row; rows come in the order of their times. One outside the period is none of ours.
    pub fn take(&mut self, grid: &Grid, row: &LedgerRow) {
        let Some(place) = grid.place(row.start) else { return };
        if self.rows > 0 && place <= self.last_place {
            self.repeated += 1;
            return;
        }
        self.rows += 1;
        self.last_place = place;
        self.cells[place] = Cell {
            amount: row.amount.filter(|_| row.method != Method::Missing),
            coverage: row.coverage,
            bridged: row.method == Method::Bridged,
        };
        for flag in &row.flags {
            *self.flags.entry(*flag).or_default() += 1;
        }
        if row.flags.contains(&Flag::Rollover) {
            let goes_on = self.last_rollover.is_some_and(|last| last + 1 == place);
            self.rollovers += u32::from(!goes_on);
            self.last_rollover = Some(place);
        }
        self.first = self.first.or(row.first);
        self.last = row.last.or(self.last);
    }

    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Everything recorded, in the meter's unit; `None` when there is no amount at all.
    pub fn recorded(&self) -> Option<f64> {
        let mut amounts = self.cells.iter().filter_map(|cell| cell.amount).peekable();
        amounts.peek()?;
        Some(amounts.sum())
    }

    /// `most` is the most that a quarter-hour can hold.
    pub fn completeness(&self, grid: &Grid, zone: Zone, most: f64) -> Completeness {
        let mut found = Completeness::default();
        let mut usual = Usual { account: self, grid, zone, known: HashMap::new() };
        for (place, cell) in self.cells.iter().enumerate() {
            let coverage = if cell.amount.is_some() { cell.coverage } else { 0.0 };
            let amount = cell.amount.unwrap_or(0.0);
            if cell.bridged {
                found.bridged += amount;
                found.bridged_quarters += coverage;
            } else {
                found.measured += amount;
                found.measured_quarters += coverage;
            }
            if coverage < 1.0 {
                found.missing_quarters += 1.0 - coverage;
                found.expected_missing += (1.0 - coverage) * usual.amount(place).unwrap_or(most);
            }
        }
        let recorded = found.measured + found.bridged;
        let due = recorded + found.expected_missing;
        found.time = share(found.measured_quarters, count(grid.len()));
        // Nothing flowed and nothing was expected: time is all that is left to judge by.
        found.energy = if due > 0.0 { recorded / due } else { found.time };
        found
    }
}

/// What a meter shows at the same time of the same weekday, elsewhere in the period.
struct Usual<'a> {
    account: &'a Account,
    grid: &'a Grid,
    zone: Zone,
    known: HashMap<(Weekday, u32), Vec<f64>>,
}

impl Usual<'_> {
    /// The median; `None` where no other such quarter-hour was measured in full.
    fn amount(&mut self, place: usize) -> Option<f64> {
        if self.known.is_empty() {
            for (place, cell) in self.account.cells.iter().enumerate() {
                if let Some(amount) = cell.full() {
                    self.known.entry(self.time_of_week(place)).or_default().push(amount);
                }
            }
            self.known.values_mut().for_each(|amounts| amounts.sort_by(f64::total_cmp));
        }
        let amounts = self.known.get(&self.time_of_week(place))?;
        let upper = *amounts.get(amounts.len() / 2)?;
        let lower = *amounts.get((amounts.len() - 1) / 2)?;
        Some(f64::midpoint(lower, upper))
    }

    fn time_of_week(&self, place: usize) -> (Weekday, u32) {
        let local = self.zone.local(self.grid.start(place));
        (local.weekday(), local.hour() * 4 + local.minute() / 15)
    }
}

/// `part / whole`, 0 for an empty whole.
pub(crate) fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "a year has 35 136 quarter-hours")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}
