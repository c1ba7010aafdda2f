//! The state of a site as one JSON document, for machines: `status --json`, `run --stream`, `demo --headless`.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use rules::{
    alarm::{Letter, Priority},
    ledger::{LedgerRow, Method},
    messages::{AlarmView, Health, LinkView, Snapshot},
    plant::{AssetKind, PointId},
    register::Flag,
    time::Trust,
    value::{Reading, Value},
};
use serde::Serialize;

/// Version of the document. Within one, members are added and never renamed.
const SCHEMA: u32 = 1;

/// What monitoring plugins return when they cannot tell.
pub(super) const UNKNOWN: u8 = 3;

#[derive(Serialize)]
pub(crate) struct Document {
    schema: u32,
    site: String,
    simulated: bool,
    at: String,
    clock: Trust,
    /// As monitoring plugins: 0 ok, 1 warning, 2 critical by the worst active alarm; 3 when there is none, but not every
    /// device answers.
    pub(crate) worst: u8,
    alarms: Vec<Alarm>,
    devices: Vec<Device>,
    points: BTreeMap<String, Point>,
    ledger: Vec<Interval>,
    health: Health,
}

#[derive(Serialize)]
struct Point {
    /// `null`, with a reason, where there is none.
    value: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    unit: String,
    /// Of the newest sample, good or bad.
    age_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<String>,
    /// The name of a state code.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

#[derive(Serialize)]
struct Alarm {
    name: String,
    asset: Option<String>,
    letter: Letter,
    unknown: bool,
    priority: Priority,
    occurrence: u32,
    title: String,
    operands: String,
    action: String,
    acknowledged_by: Option<String>,
}

#[derive(Serialize)]
struct Device {
    name: String,
    address: String,
    up: bool,
    trouble: Option<String>,
    replies: u64,
    timeouts: u64,
    refusals: u64,
    discarded: u64,
    reply_time_ms: Option<f64>,
}

/// One complete quarter-hour of one meter.
#[derive(Serialize)]
struct Interval {
    meter: String,
    start: String,
    /// In kWh; of a water meter in m³.
    amount: Option<f64>,
    method: Method,
    coverage: f64,
    flags: Vec<Flag>,
}

impl Document {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let name = |asset| snapshot.plant.asset(asset).name.to_string();
        let points = snapshot.plant.point_ids();
        Self {
            schema: SCHEMA,
            site: snapshot.site.id.clone(),
            simulated: snapshot.site.simulated,
            at: time(snapshot.at.wall.utc),
            clock: snapshot.at.wall.trust,
            worst: worst(snapshot),
            alarms: snapshot
                .alarms
                .iter()
                .map(|alarm| Alarm::of(alarm, alarm.asset.map(name)))
                .collect(),
            devices: snapshot
                .links
                .iter()
                .map(|link| Device::of(link, name(link.device)))
                .collect(),
            points: points
                .map(|id| (snapshot.plant.point_name(id), Point::of(snapshot, id)))
                .collect(),
            ledger: snapshot.ledger.iter().map(Interval::of).collect(),
            health: snapshot.health.clone(),
        }
    }
}

impl Point {
    fn of(snapshot: &Snapshot, id: PointId) -> Self {
        let (spec, reading) = (snapshot.plant.point(id), &snapshot.readings[id.index()]);
        let state = match &reading.value {
            Ok(Value::State(code)) => {
                spec.states.iter().find(|label| label.code == *code).map(|label| label.text.clone())
            }
            _ => None,
        };
        let (value, reason) = value_or_reason(reading);
        Self {
            value,
            reason,
            unit: spec.unit.to_string(),
            age_s: reading.age(snapshot.at.mono).map(|age| age.as_secs_f64()),
            coverage: reading.coverage.map(|coverage| coverage.to_string()),
            state,
        }
    }
}

fn value_or_reason(reading: &Reading) -> (serde_json::Value, Option<String>) {
    match &reading.value {
        Ok(Value::Number(number)) => ((*number).into(), None),
        Ok(Value::Integer(integer)) => ((*integer).into(), None),
        Ok(Value::State(code)) => ((*code).into(), None),
        Ok(Value::Text(text)) => (text.as_ref().into(), None),
        Err(reason) => (serde_json::Value::Null, Some(reason.to_string())),
    }
}

impl Alarm {
    fn of(alarm: &AlarmView, asset: Option<String>) -> Self {
        Self {
            name: alarm.name.to_string(),
            asset,
            letter: alarm.letter,
            unknown: alarm.unknown,
            priority: alarm.priority,
            occurrence: alarm.occurrence,
            title: alarm.title.to_string(),
            operands: alarm.operands.clone(),
            action: alarm.action.to_string(),
            acknowledged_by: alarm.acknowledged_by.clone(),
        }
    }
}

impl Device {
    fn of(link: &LinkView, name: String) -> Self {
        Self {
            name,
            address: link.address.clone(),
            up: link.up,
            trouble: link.trouble.clone(),
            replies: link.replies,
            timeouts: link.timeouts,
            refusals: link.refusals,
            discarded: link.discarded,
            reply_time_ms: link.reply_time_ms,
        }
    }
}

impl Interval {
    fn of(row: &LedgerRow) -> Self {
        Self {
            meter: row.meter.to_string(),
            start: time(row.start),
            amount: row.amount,
            method: row.method,
            coverage: row.coverage,
            flags: row.flags.clone(),
        }
    }
}

/// Priorities 1 and 2 are critical, 3 and 4 a warning; an alarm that has returned to normal is neither. Without an alarm
/// all is well only where everything can be seen.
fn worst(snapshot: &Snapshot) -> u8 {
    let active =
        snapshot.alarms.iter().filter(|alarm| matches!(alarm.letter, Letter::B | Letter::C));
    // A device that nothing was heard of yet has no link to be seen.
    let devices = snapshot.plant.of_kind(AssetKind::Device).count();
    let up = snapshot.links.iter().filter(|link| link.up).count();
    match active.map(|alarm| alarm.priority).min() {
        Some(Priority::P1 | Priority::P2) => 2,
        Some(Priority::P3 | Priority::P4) => 1,
        None if up < devices => UNKNOWN,
        None => 0,
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
