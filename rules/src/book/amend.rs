//! What becomes of what people know of a meter: amounts of whole quarter-hours, to be entered as a correction.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

use super::CORRECTION_AT_MOST;
use crate::{
    ledger::{INTERVAL, Ledger, LedgerRow, Method, RegisterReading, interval_start},
    plant::{Asset, AssetKind, Detail, Meter, Plant},
    register::{Flag, Register, RegisterLimits, RegisterSnapshot, Step},
    time::{Mono, Now, Trust, Wall},
};

/// Amounts of quarter-hours one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Amounts {
    pub start: DateTime<Utc>,
    pub method: Method,
    pub amounts: Vec<Option<f64>>,
}

/// What an electrician wrote down when a meter was exchanged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exchange {
    pub at: DateTime<Utc>,
    /// The last reading of the old register, and the first of the new one.
    pub old: f64,
    pub new: f64,
}

/// Why nothing comes of it.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum AmendError {
    #[error("the ledger has no whole quarter-hour of the meter {0} the exchange, within a month")]
    NoNeighbour(&'static str),
    #[error("{what} register went from {from} to {to}, which is {why}")]
    Implausible { what: &'static str, from: f64, to: f64, why: &'static str },
    #[error("from and to are full quarter-hours, such as 12:15, and from is before to")]
    NotAligned,
    #[error("the reading of {at} is {value}, {why}")]
    Reading { at: DateTime<Utc>, value: f64, why: String },
    #[error("there are two readings of {0}, or they are not in the order of time")]
    Order(DateTime<Utc>),
    #[error("no whole quarter-hour lies between the readings")]
    Nothing,
}

/// The energy around an exchange: that of both registers, from the last whole quarter-hour before to the first whole one
/// after it. `rows` are those of the meter, oldest first.
pub fn of_exchange(
    meter: &Meter,
    rows: &[LedgerRow],
    exchange: Exchange,
) -> Result<(Amounts, [RegisterReading; 2]), AmendError> {
    let quarter = interval_start(exchange.at);
    let within = |row: &&LedgerRow| (row.start - quarter).abs() <= CORRECTION_AT_MOST - INTERVAL;
    let whole = || rows.iter().filter(within).filter(|row| is_whole(row));
    let before = whole().rfind(|row| row.start + INTERVAL <= quarter);
    let before = before.ok_or(AmendError::NoNeighbour("before"))?;
    let after = whole().find(|row| row.start > quarter);
    let after = after.ok_or(AmendError::NoNeighbour("after"))?;
    let (from, to) = (before.start + INTERVAL, after.start);
    let (first, last) = (reading_at(before, from), reading_at(after, to));
    let (Some(first), Some(last)) = (first, last) else {
        return Err(AmendError::NoNeighbour("before"));
    };
    let limits = RegisterLimits::of(meter, Duration::ZERO);
    let span = |length: TimeDelta| length.to_std().unwrap_or_default();
    let passed = |what, from: f64, to: f64, length: TimeDelta| {
        let why = match to - from {
            less if less < 0.0 => "less",
            more if more > limits.most(span(length), to) => "more than the meter can have counted",
            amount => return Ok(amount),
        };
        Err(AmendError::Implausible { what, from, to, why })
    };
    let old = passed("the old", first.value, exchange.old, exchange.at - from)?;
    let new = passed("the new", exchange.new, last.value, to - exchange.at)?;
    let amounts = quarters(from, to).map(|start| {
        let share = |amount: f64, (from, to): (DateTime<Utc>, DateTime<Utc>)| {
            let part = (to.min(start + INTERVAL) - from.max(start)).max(TimeDelta::zero());
            if to > from { amount * seconds(part) / seconds(to - from) } else { 0.0 }
        };
        Some(rounded(share(old, (from, exchange.at)) + share(new, (exchange.at, to))))
    });
    let amounts = Amounts { start: from, method: Method::Bridged, amounts: amounts.collect() };
    Ok((amounts, [first, last]))
}

/// An amount that is known for some time as a whole, evenly; `None` withdraws what was recorded for it.
pub fn of_amount(
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    amount: Option<f64>,
) -> Result<Amounts, AmendError> {
    if interval_start(from) != from || interval_start(to) != to || from >= to {
        return Err(AmendError::NotAligned);
    }
    let share = seconds(INTERVAL) / seconds(to - from);
    let even = amount.map(|amount| rounded(amount * share));
    let amounts = quarters(from, to).map(|_| even).collect();
    Ok(Amounts { start: from, method: Method::Bridged, amounts })
}

/// The energy between register readings, with the checks that a gateway makes. Only whole quarter-hours come of it.
pub fn of_readings(
    meter: &Meter,
    readings: &[RegisterReading],
) -> Result<Vec<Amounts>, AmendError> {
    let Some(first) = readings.first() else { return Err(AmendError::Nothing) };
    check_readings(meter, readings)?;
    let quarter = INTERVAL.to_std().unwrap_or_default();
    let mut plant = Plant::default();
    let detail = Detail::Meter(meter.clone());
    let asset = Asset { name: "meter".into(), kind: AssetKind::Meter, title: None, detail };
    let id = plant.add_asset(asset);
    let mut ledger = Ledger::new(&plant, |_| Some(quarter));
    let (mut rows, mut events) = (Vec::new(), Vec::new());
    for reading in readings {
        let mono = mono_of(first.at, reading.at);
        let wall = Wall { utc: reading.at, trust: Trust::Synchronised };
        let now = Now { mono, wall };
        let snapshot = RegisterSnapshot { at: mono, value: reading.value };
        ledger.observe(&now, id, snapshot, &mut events);
        ledger.advance(&now, &mut rows, &mut events);
    }
    let mut found: Vec<Amounts> = Vec::new();
    for row in rows.iter().filter(|row| row.coverage >= 1.0 && row.amount.is_some()) {
        let follows = |run: &&mut Amounts| {
            let length = INTERVAL * i32::try_from(run.amounts.len()).unwrap_or(i32::MAX);
            run.method == row.method
                && run.start + length == row.start
                && length < CORRECTION_AT_MOST
        };
        match found.last_mut().filter(follows) {
            Some(run) => run.amounts.push(row.amount),
            None => found.push(Amounts {
                start: row.start,
                method: row.method,
                amounts: vec![row.amount],
            }),
        }
    }
    if found.is_empty() { Err(AmendError::Nothing) } else { Ok(found) }
}

/// A person who reads a register can be asked again, so nothing is taken that the ledger would have doubts about.
fn check_readings(meter: &Meter, readings: &[RegisterReading]) -> Result<(), AmendError> {
    let quarter = INTERVAL.to_std().unwrap_or_default();
    let mut register = Register::new(RegisterLimits::of(meter, quarter));
    let first = readings.first().map(|reading| reading.at).unwrap_or_default();
    let mut before: Option<DateTime<Utc>> = None;
    for reading in readings {
        if before.is_some_and(|before| reading.at <= before) {
            return Err(AmendError::Order(reading.at));
        }
        before = Some(reading.at);
        let fault = |why: &str| {
            let (at, value, why) = (reading.at, reading.value, why.to_owned());
            Err(AmendError::Reading { at, value, why })
        };
        match register.observe(mono_of(first, reading.at), reading.value) {
            Step::First | Step::Duplicate => {}
            Step::Accepted(delta) if delta.flag.is_none_or(|flag| flag == Flag::Rollover) => {}
            Step::Held => {
                return fault("more than the meter can have counted since the one before");
            }
            Step::Accepted(_) | Step::Missing(Flag::Replaced) => {
                return fault("less than the one before: was the meter exchanged?");
            }
            Step::Missing(_) => {
                return fault(
                    "so long after the one before that the register may have turned over",
                );
            }
        }
    }
    Ok(())
}

/// A row that register readings of one register stand behind.
fn is_whole(row: &LedgerRow) -> bool {
    row.method == Method::Register
        && row.coverage >= 1.0
        && !row.flags.iter().any(|flag| {
            [Flag::Reset, Flag::Replaced, Flag::Rollover, Flag::Ambiguous].contains(flag)
        })
}

/// What the register showed at a boundary of the row, between its two readings.
fn reading_at(row: &LedgerRow, at: DateTime<Utc>) -> Option<RegisterReading> {
    let (first, last) = row.first.zip(row.last)?;
    let span = seconds(last.at - first.at);
    let part = if span > 0.0 { seconds(at - first.at) / span } else { 0.0 };
    Some(RegisterReading { at, value: first.value + (last.value - first.value) * part })
}

fn quarters(from: DateTime<Utc>, to: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
    std::iter::successors(Some(from), |start| Some(*start + INTERVAL))
        .take_while(move |start| *start < to)
}

fn mono_of(first: DateTime<Utc>, at: DateTime<Utc>) -> Mono {
    Mono::from_secs(86_400).plus((at - first).to_std().unwrap_or_default())
}

#[expect(clippy::cast_precision_loss, reason = "spans of years in milliseconds are far below 2^53")]
fn seconds(span: TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 1000.0
}

/// To a millionth, as the ledger keeps amounts.
fn rounded(amount: f64) -> f64 {
    (amount * 1e6).round() / 1e6
}
