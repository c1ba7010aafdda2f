//! A value, or the reason why there is none. Never NaN, zero or the last value in disguise.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{id::PointId, time::Mono};

/// What a point can say. Device strings and exact 64-bit counters are not floats.
///
/// Written as `45.2`, `{"integer":7}`, `{"state":2}` and `"text"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "WrittenValue", into = "WrittenValue")]
pub enum Value {
    /// Finite, in the point's own unit.
    Number(f64),
    /// An exact counter, in the point's own unit.
    Integer(i64),
    /// A code, named by the point's state labels where it has them.
    State(u32),
    Text(Arc<str>),
}

impl Value {
    /// The value as a float; `None` for text. Integers beyond 2^53 round.
    #[expect(
        clippy::cast_precision_loss,
        reason = "rules compare and add; exact counters are read as Integer"
    )]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Integer(integer) => Some(*integer as f64),
            Self::State(code) => Some(f64::from(*code)),
            Self::Text(_) => None,
        }
    }
}

/// The form of a [`Value`] in JSON.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenValue {
    Number(f64),
    Text(Arc<str>),
    Integer { integer: i64 },
    State { state: u32 },
}

impl From<Value> for WrittenValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Number(number) => Self::Number(number),
            Value::Integer(integer) => Self::Integer { integer },
            Value::State(state) => Self::State { state },
            Value::Text(text) => Self::Text(text),
        }
    }
}

impl From<WrittenValue> for Value {
    fn from(written: WrittenValue) -> Self {
        match written {
            WrittenValue::Number(number) => Self::Number(number),
            WrittenValue::Integer { integer } => Self::Integer(integer),
            WrittenValue::State { state } => Self::State(state),
            WrittenValue::Text(text) => Self::Text(text),
        }
    }
}

/// Why a value is missing. The text of each is what an operator reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoData {
    /// No sample since start.
    NeverSeen,
    /// Older than the point's freshness limit.
    Stale,
    /// The device did not answer in time.
    Timeout,
    /// The link is down: connection refused, reset or not yet made.
    Unreachable,
    /// The device answered with this Modbus exception code.
    Refused(u8),
    /// The answer was not of the form that the request demands.
    Malformed,
    /// The device says that it has no value: a sentinel such as 0x8000.
    NotAvailable,
    /// Outside the valid range that the profile or the point declares.
    OutOfRange,
    /// NaN or infinite on the wire.
    NotFinite,
    /// The source marks the value as not good.
    BadQuality,
    /// The payload could not be understood.
    BadPayload,
    /// The value does not fit what is known about the plant, for example zero volt at 43 A.
    Implausible,
    /// The value is a text, and good as such; a rule or metric asked for a number.
    NotANumber,
    /// An input of this metric is missing.
    InputMissing,
    /// Fewer members have a value than the aggregate demands.
    LowCoverage,
    /// All inputs are there, but the figure has no meaning.
    Undefined(Undefined),
}

/// Why a figure has no meaning although its inputs are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undefined {
    ItPowerZero,
    FacilityBelowIt,
    NoFlow,
    NoLoad,
    /// Return colder than supply while coolant flows.
    ReversedSensors,
    /// Temperature or concentration outside what the property fit covers.
    CoolantOutOfRange,
    /// A boiling coolant gives no heat from flow and temperatures: measure the facility-water side.
    TwoPhase,
    /// No meter measures what the figure needs.
    NotMetered,
    /// A parent and its child would both be counted.
    DoubleCounting,
    /// A cold stream warmer than the hot one it should cool.
    TemperatureCross,
    /// An input, or the result, lies outside the range for which the formula holds.
    OutsideFormula,
}

impl fmt::Display for NoData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverSeen => "no sample yet",
            Self::Stale => "stale",
            Self::Timeout => "no answer in time",
            Self::Unreachable => "not connected",
            Self::Refused(code) => return write!(f, "refused by the device (exception {code})"),
            Self::Malformed => "malformed answer",
            Self::NotAvailable => "device says not available",
            Self::OutOfRange => "outside the valid range",
            Self::NotFinite => "not a finite number",
            Self::BadQuality => "source says bad quality",
            Self::BadPayload => "payload not understood",
            Self::Implausible => "contradicts other readings",
            Self::NotANumber => "a text, not a number",
            Self::InputMissing => "an input is missing",
            Self::LowCoverage => "too few members have a value",
            Self::Undefined(why) => return why.fmt(f),
        })
    }
}

impl fmt::Display for Undefined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ItPowerZero => "IT load is zero",
            Self::FacilityBelowIt => "facility below IT: boundary or meter error",
            Self::NoFlow => "no coolant flow",
            Self::NoLoad => "no load",
            Self::ReversedSensors => "return colder than supply: sensors reversed",
            Self::CoolantOutOfRange => "coolant outside the range of its property data",
            Self::TwoPhase => "two-phase loop: heat only from its primary side",
            Self::NotMetered => "not metered",
            Self::DoubleCounting => "a meter and its ancestor would both be counted",
            Self::TemperatureCross => "temperature cross in the heat exchanger",
            Self::OutsideFormula => "outside the range of the formula",
        })
    }
}

/// One observation of one point, on its way in.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub point: PointId,
    /// When the gateway received it.
    pub at: Mono,
    /// When the publisher says it was taken; `None` for polled points.
    pub source_time: Option<DateTime<Utc>>,
    pub value: Result<Value, NoData>,
}

/// How many of the members of an aggregate had a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    pub known: u32,
    pub of: u32,
}

impl Coverage {
    pub fn is_full(self) -> bool {
        self.known == self.of
    }

    /// Share of members with a value, 0 to 1; 1 for an empty set.
    pub fn share(self) -> f64 {
        if self.of == 0 { 1.0 } else { f64::from(self.known) / f64::from(self.of) }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.known, self.of)
    }
}

/// What is known of a point now: value or reason, time, coverage. They travel together.
///
/// Written with either `value` or `missing`: `{"value":45.2,"at":61000000}`, `{"missing":"timeout","at":61000000}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenReading", into = "WrittenReading")]
pub struct Reading {
    pub value: Result<Value, NoData>,
    /// When the newest sample, good or bad, was taken; of a metric, when the oldest of its inputs was. `None`: never seen.
    pub at: Option<Mono>,
    /// Only on aggregates.
    pub coverage: Option<Coverage>,
}

/// The form of a [`Reading`] in JSON.
#[derive(Serialize, Deserialize)]
struct WrittenReading {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    missing: Option<NoData>,
    at: Option<Mono>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    coverage: Option<Coverage>,
}

impl From<Reading> for WrittenReading {
    fn from(reading: Reading) -> Self {
        let Reading { value, at, coverage } = reading;
        let (value, missing) = match value {
            Ok(value) => (Some(value), None),
            Err(reason) => (None, Some(reason)),
        };
        Self { value, missing, at, coverage }
    }
}

impl TryFrom<WrittenReading> for Reading {
    type Error = &'static str;

    fn try_from(written: WrittenReading) -> Result<Self, Self::Error> {
        let value = match (written.value, written.missing) {
            (Some(value), None) => Ok(value),
            (None, Some(reason)) => Err(reason),
            (Some(_), Some(_)) | (None, None) => {
                return Err("a reading has either a value or says what it is missing");
            }
        };
        Ok(Self { value, at: written.at, coverage: written.coverage })
    }
}

impl Reading {
    pub const NEVER_SEEN: Self = Self { value: Err(NoData::NeverSeen), at: None, coverage: None };

    pub fn number(&self) -> Result<f64, NoData> {
        match &self.value {
            Ok(value) => value.as_number().ok_or(NoData::NotANumber),
            Err(reason) => Err(*reason),
        }
    }

    /// How old it is. Every number shown says so when it is too old.
    pub fn age(&self, now: Mono) -> Option<Duration> {
        self.at.map(|at| now.since(at))
    }
}
