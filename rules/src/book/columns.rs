//! The rows of one quarter-hour as columns, one place for each meter of the list in force.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{BookRow, Standing};
use crate::{
    ledger::{LedgerRow, Method, RegisterReading},
    register::Flag,
};

/// All rows of one quarter-hour that were closed together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quarter {
    pub start: DateTime<Utc>,
    /// The line with the list of meters that the places in the columns are of.
    pub meters: u64,
    /// By meter. `None`: no amount, or no row at all.
    pub amount: Vec<Option<f64>>,
    /// By meter, standard uncertainty. Empty when no meter has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncertainty: Vec<Option<f64>>,
    /// By place: rows that are not plain. A plain one is of a register, covers its whole interval and has no flag; a
    /// place without an amount and not in here has no row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub odd: Vec<Odd>,
    /// By place: register readings before the interval, where they are not those that the line before ends with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    first: Vec<(u32, Option<Reading>)>,
    /// By meter: register readings after the interval. Empty when no meter has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    last: Vec<Option<Reading>>,
    /// By place: rows that are not the first of their interval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<(u32, Standing)>,
    /// Rows of meters that are not in the list, as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<Other>,
}

/// A place, how its amount was found, what share of the interval it covers, and what happened to its register.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Odd(pub u32, pub Method, pub f64, pub Vec<Flag>);

/// Milliseconds from the start of the interval, and what the register showed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Reading(i64, f64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Other {
    #[serde(default, skip_serializing_if = "is_first")]
    standing: Standing,
    row: LedgerRow,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_first(standing: &Standing) -> bool {
    *standing == Standing::First
}

impl Reading {
    /// `None` for an instant between two milliseconds.
    fn of(reading: RegisterReading, start: DateTime<Utc>) -> Option<Self> {
        let into = reading.at - start;
        let millis = into.num_milliseconds();
        (TimeDelta::milliseconds(millis) == into).then_some(Self(millis, reading.value))
    }

    fn at(self, start: DateTime<Utc>) -> RegisterReading {
        RegisterReading { at: start + TimeDelta::milliseconds(self.0), value: self.1 }
    }
}

/// `before` gives the readings of the line before, if that ends where the interval begins.
pub(super) fn write<'a>(
    rows: Vec<BookRow>,
    meters: u64,
    names: &[Arc<str>],
    before: impl FnOnce(DateTime<Utc>) -> &'a [Option<RegisterReading>],
) -> Quarter {
    let start = rows.first().map_or(DateTime::UNIX_EPOCH, |row| row.row.start);
    let before = before(start);
    let mut quarter = Quarter {
        start,
        meters,
        amount: vec![None; names.len()],
        uncertainty: vec![None; names.len()],
        odd: Vec::new(),
        first: Vec::new(),
        last: vec![None; names.len()],
        later: Vec::new(),
        others: Vec::new(),
    };
    // Rows mostly come in the order of the list.
    let mut expected = 0;
    for row in rows {
        let here = names.get(expected).filter(|name| **name == row.row.meter).map(|_| expected);
        let place = here.or_else(|| names.iter().position(|name| *name == row.row.meter));
        match place {
            Some(place) if quarter.put(place, &row, before.get(place).copied().flatten()) => {
                expected = place + 1;
            }
            _ => quarter.others.push(Other { standing: row.standing, row: row.row }),
        }
    }
    quarter.odd.sort_by_key(|odd| odd.0);
    quarter.first.sort_by_key(|first| first.0);
    quarter.later.sort_by_key(|later| later.0);
    if quarter.uncertainty.iter().all(Option::is_none) {
        quarter.uncertainty.clear();
    }
    if quarter.last.iter().all(Option::is_none) {
        quarter.last.clear();
    }
    quarter
}

impl Quarter {
    /// False for a row that the columns cannot tell.
    fn put(&mut self, place: usize, book_row: &BookRow, before: Option<RegisterReading>) -> bool {
        let BookRow { standing, row } = book_row;
        let Ok(number) = u32::try_from(place) else { return false };
        let taken = self.amount[place].is_some() || self.odd.iter().any(|odd| odd.0 == number);
        let exact = |reading: Option<RegisterReading>| match reading {
            None => Some(None),
            Some(reading) => Reading::of(reading, row.start).map(Some),
        };
        let (Some(first), Some(last)) = (exact(row.first), exact(row.last)) else { return false };
        if taken || row.start != self.start {
            return false;
        }
        self.amount[place] = row.amount;
        self.uncertainty[place] = row.uncertainty;
        self.last[place] = last;
        let plain = row.method == Method::Register
            && row.coverage >= 1.0
            && row.flags.is_empty()
            && row.amount.is_some();
        if !plain {
            self.odd.push(Odd(number, row.method, row.coverage, row.flags.clone()));
        }
        if row.first != before {
            self.first.push((number, first));
        }
        if *standing != Standing::First {
            self.later.push((number, *standing));
        }
        true
    }

    /// Of the meters that are not in the list.
    pub fn meters_beside(&self) -> impl Iterator<Item = &Arc<str>> {
        self.others.iter().map(|other| &other.row.meter)
    }

    /// The register before the interval, where it is not what the line before ends with.
    pub fn first_reading(&self, place: u32) -> Option<Option<RegisterReading>> {
        let found = self.first.binary_search_by_key(&place, |(number, _)| *number).ok()?;
        Some(self.first[found].1.map(|reading| reading.at(self.start)))
    }

    /// The register after the interval.
    pub fn last_reading(&self, place: usize) -> Option<RegisterReading> {
        self.last.get(place).copied().flatten().map(|reading| reading.at(self.start))
    }

    /// The rows in the columns, `before` being the readings of the line before.
    pub(super) fn rows(
        &self,
        names: &[Arc<str>],
        before: &[Option<RegisterReading>],
    ) -> Vec<BookRow> {
        let (mut odd, mut first) = (self.odd.iter().peekable(), self.first.iter().peekable());
        let mut later = self.later.iter().peekable();
        let mut rows = Vec::with_capacity(names.len());
        for ((place, name), amount) in (0_u32..).zip(names).zip(&self.amount) {
            let odd = odd.next_if(|odd| odd.0 == place);
            let first = first.next_if(|(number, _)| *number == place);
            let later = later.next_if(|(number, _)| *number == place);
            if amount.is_none() && odd.is_none() {
                continue;
            }
            let index = usize::try_from(place).unwrap_or(usize::MAX);
            let first = match first {
                Some((_, reading)) => reading.map(|reading| reading.at(self.start)),
                None => before.get(index).copied().flatten(),
            };
            let (method, coverage, flags) = match odd {
                Some(Odd(_, method, coverage, flags)) => (*method, *coverage, flags.clone()),
                None => (Method::Register, 1.0, Vec::new()),
            };
            let row = LedgerRow {
                meter: Arc::clone(name),
                start: self.start,
                amount: *amount,
                method,
                coverage,
                flags,
                uncertainty: self.uncertainty.get(index).copied().flatten(),
                first,
                last: self.last_reading(index),
            };
            let standing = later.map_or(Standing::First, |(_, standing)| *standing);
            rows.push(BookRow { standing, row });
        }
        let others = self.others.iter();
        rows.extend(
            others.map(|other| BookRow { standing: other.standing, row: other.row.clone() }),
        );
        rows
    }
}
