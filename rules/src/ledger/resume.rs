//! What a checkpoint keeps of an account, and how a later run goes on from it.

use std::{collections::VecDeque, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Account, Aside, INTERVAL, LedgerRow, Method, RegisterReading, Source, Waiting, interval_start,
    seconds, wall_time,
};
use crate::{
    register::{Flag, Register, RegisterSnapshot, Seen, Step},
    time::{Mono, Now, Trust, Wall},
};

/// One meter's account as a checkpoint keeps it. Wall times are microseconds since 1970: it is written every ten seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedAccount {
    register: Seen,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<Waiting>,
    #[serde(default, skip_serializing_if = "is_false")]
    waited: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    open: Vec<SavedRow>,
    #[serde(default, skip_serializing_if = "is_zero")]
    carried: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accounted_to: Option<(Mono, i64)>,
    #[serde(default, skip_serializing_if = "is_false")]
    stuck: bool,
    /// Of the run whose monotonic clock all this is on, when that is not the one that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clock: Option<Now>,
}

/// An open interval, without the name of its meter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SavedRow {
    start: i64,
    amount: Option<f64>,
    method: Method,
    coverage: f64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    flags: Vec<Flag>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uncertainty: Option<f64>,
    first: Option<(i64, f64)>,
    last: Option<(i64, f64)>,
}

impl Account {
    /// `None` for a meter of which nothing is known.
    pub(super) fn saved(&self) -> Option<SavedAccount> {
        if self.register.baseline().is_none() && self.accounted_to.is_none() {
            return None;
        }
        Some(SavedAccount {
            register: self.register.seen().clone(),
            waiting: joined(&self.waiting),
            waited: self.waited,
            open: self.open.values().map(SavedRow::of).collect(),
            carried: self.carried,
            accounted_to: self.accounted_to.map(|(at, to)| (at, to.timestamp_micros())),
            stuck: self.stuck,
            clock: self.aside.as_ref().map(|aside| aside.clock),
        })
    }

    /// Goes on from `saved`, and from the rows that were closed after it.
    pub(super) fn resume(
        &mut self,
        now: &Now,
        clock: Option<Now>,
        saved: Option<SavedAccount>,
        closed: &[LedgerRow],
    ) {
        let clock = saved.as_ref().and_then(|saved| saved.clock).or(clock);
        let clock = if let (Some(saved), Some(clock)) = (saved, clock) {
            self.load(saved);
            clock
        } else {
            // Nobody knows when it was. What the journal says is still true.
            let last = closed.iter().rev().find_map(|row| row.last);
            let Some(row) = closed.last() else { return };
            let utc = last.map_or(row.start + INTERVAL, |last| last.at);
            Now { mono: Mono::START, wall: Wall { utc, trust: Trust::Synchronised } }
        };
        self.settle(&clock, closed);
        self.aside = Some(Aside { clock, resumed: now.mono, early: VecDeque::new() });
        self.rejoin(now, &mut Vec::new());
    }

    fn load(&mut self, saved: SavedAccount) {
        let mut register = Register::new(*self.register.limits());
        register.resume(saved.register);
        let open = saved.open.into_iter().filter_map(|row| {
            let row = row.row(Arc::clone(&self.meter))?;
            Some((row.start, row))
        });
        self.open = open.collect();
        self.register = register;
        self.waiting = saved.waiting.into();
        self.carried = saved.carried;
        self.waited = saved.waited;
        self.accounted_to = saved.accounted_to.and_then(|(at, to)| Some((at, wall(to)?)));
        self.stuck = saved.stuck;
    }

    /// Takes in rows that were closed after the account was saved, so that they are not closed again and what their last
    /// snapshot showed beyond them is not lost.
    fn settle(&mut self, clock: &Now, closed: &[LedgerRow]) {
        let Some(end) = closed.last().map(|row| row.start + INTERVAL) else { return };
        while self.attribute_next(clock) {}
        let mut credited = -std::mem::take(&mut self.carried);
        for row in closed {
            credited += row.amount.unwrap_or(0.0);
            while let Some(entry) = self.open.first_entry().filter(|open| *open.key() <= row.start)
            {
                credited -= entry.remove().amount.unwrap_or(0.0);
            }
        }
        let last = closed.iter().rev().find_map(|row| Some((row, row.last?)));
        let Some((row, last)) = last.filter(|_| self.source == Source::Register) else {
            self.account_to(clock.instant(end), end);
            return;
        };
        let before = self.register.baseline();
        let cur = RegisterSnapshot { at: clock.instant(last.at), value: last.value };
        let step = self.register.observe(cur.at, cur.value);
        let counted = match step {
            Step::Accepted(delta) => delta.amount,
            Step::Duplicate => 0.0,
            Step::Missing(_) => credited,
            Step::First => credited + beyond(row, last, end),
            // The rows say that it was believed.
            Step::Held => {
                self.register.rebase(cur);
                before.map_or(0.0, |before| (cur.value - before.value).max(0.0))
            }
        };
        let first = before.map_or(last, |before| RegisterReading {
            at: wall_time(clock, before.at),
            value: before.value,
        });
        let to = if step == Step::Duplicate { end } else { last.at };
        self.add_rest((end, to), counted - credited, (first, last));
        self.account_to(cur.at, last.at.max(end));
    }

    /// Gives the first open interval what lies beyond the closed ones.
    fn add_rest(
        &mut self,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        rest: f64,
        (first, last): (RegisterReading, RegisterReading),
    ) {
        // Less than the rounding of sums.
        const NOTHING: f64 = 1e-9;
        let part_s = seconds(to - from).max(0.0);
        if part_s <= 0.0 && rest.abs() < NOTHING {
            return;
        }
        let row = self.row(interval_start(from));
        row.amount = Some((row.amount.unwrap_or(0.0) + rest).max(0.0));
        row.coverage = (row.coverage + part_s / seconds(INTERVAL)).min(1.0);
        row.method = row.method.min(Method::Bridged);
        row.first.get_or_insert(first);
        row.last.get_or_insert(last);
    }

    fn account_to(&mut self, at: Mono, wall: DateTime<Utc>) {
        if self.accounted_to.is_none_or(|(_, to)| to < wall) {
            self.accounted_to = Some((at, wall));
        }
    }
}

/// What flowed between the end of a closed row and the snapshot after it, at the mean power of the row: for a journal
/// without a checkpoint, which does not tell the snapshot before.
fn beyond(row: &LedgerRow, last: RegisterReading, end: DateTime<Utc>) -> f64 {
    let measured_s = row.coverage * seconds(INTERVAL);
    let beyond_s = seconds(last.at - end).max(0.0);
    if measured_s > 0.0 { row.amount.unwrap_or(0.0) * beyond_s / measured_s } else { 0.0 }
}

/// Plain neighbours as one: the total stays exact, and a checkpoint stays small.
fn joined(waiting: &VecDeque<Waiting>) -> Vec<Waiting> {
    let mut joined: Vec<Waiting> = Vec::new();
    for found in waiting {
        match joined.last().and_then(|last| Waiting::joined(last, found)) {
            Some(both) => {
                joined.pop();
                joined.push(both);
            }
            None => joined.push(*found),
        }
    }
    joined
}

impl SavedRow {
    fn of(row: &LedgerRow) -> Self {
        let reading = |reading: RegisterReading| (reading.at.timestamp_micros(), reading.value);
        Self {
            start: row.start.timestamp_micros(),
            amount: row.amount,
            method: row.method,
            coverage: row.coverage,
            flags: row.flags.clone(),
            uncertainty: row.uncertainty,
            first: row.first.map(reading),
            last: row.last.map(reading),
        }
    }

    /// `None` for a time beyond the calendar.
    fn row(self, meter: Arc<str>) -> Option<LedgerRow> {
        let reading = |(at, value)| Some(RegisterReading { at: wall(at)?, value });
        Some(LedgerRow {
            meter,
            start: wall(self.start)?,
            amount: self.amount,
            method: self.method,
            coverage: self.coverage,
            flags: self.flags,
            uncertainty: self.uncertainty,
            first: self.first.and_then(reading),
            last: self.last.and_then(reading),
        })
    }
}

fn wall(microseconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(microseconds)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(amount: &f64) -> bool {
    *amount == 0.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}
