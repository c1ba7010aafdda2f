//! What the gateway says and hears: one snapshot, then changes; commands come back. The same types serve the dashboard
//! in one process today and any client over the API.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    alarm::{Letter, Priority},
    chain::Chain,
    ledger::LedgerRow,
    plant::{AssetId, Plant, PointId},
    time::{BootId, Mono, Now},
    value::Reading,
};

/// Version of these messages. A client that knows another one refuses.
pub const SCHEMA: u32 = 1;

/// Everything a new client needs. `seq` is the last change already contained in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub schema: u32,
    pub boot: BootId,
    pub seq: u64,
    pub at: Now,
    pub site: SiteInfo,
    pub plant: Arc<Plant>,
    /// By [`PointId`].
    pub readings: Vec<Reading>,
    pub alarms: Vec<AlarmView>,
    pub links: Vec<LinkView>,
    /// Newest last, bounded by [`EVENTS_KEPT`].
    pub events: Vec<Event>,
    /// The last closed interval of each meter.
    pub ledger: Vec<LedgerRow>,
    pub health: Health,
}

/// How many events a snapshot carries.
pub const EVENTS_KEPT: usize = 200;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteInfo {
    pub id: String,
    pub name: String,
    pub time_zone: String,
    pub gateway: String,
    /// True for a simulated hall: every screen says so.
    pub simulated: bool,
}

/// One step forward. Applying all changes of updates `seq + 1 …` to a snapshot gives the next snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Update {
    pub seq: u64,
    pub at: Now,
    pub changes: Vec<Change>,
}

/// What a client receives after its first snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feed {
    Update(Update),
    /// The client fell behind: it begins anew.
    Snapshot(Box<Snapshot>),
}

/// The first frame of a stream over the API, before any [`Feed`]. Written `{"hello":{"schema":1,"boot":7,…}}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Greeting {
    Hello {
        /// A client that knows another [`SCHEMA`] ends the connection.
        schema: u32,
        boot: BootId,
        /// The newest change that the gateway has.
        seq: u64,
        /// True: updates follow where the client left off. False: a snapshot follows.
        resumed: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Reading {
        point: PointId,
        reading: Reading,
    },
    /// A new or changed alarm, found by its name. A list only ever holds alarms that are not in letter A.
    Alarm(AlarmView),
    Link(LinkView),
    Event(Event),
    Ledger(LedgerRow),
    Health(Health),
}

/// One alarm as shown: a rule on an asset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlarmView {
    /// `cdu.supply_hi@cdu-2`.
    pub name: Arc<str>,
    pub asset: Option<AssetId>,
    pub letter: Letter,
    /// The condition cannot be judged now; shown as `?` behind the letter.
    pub unknown: bool,
    pub priority: Priority,
    pub occurrence: u32,
    pub title: Arc<str>,
    pub consequence: Arc<str>,
    pub action: Arc<str>,
    /// The condition as written, and where.
    pub expression: Arc<str>,
    pub rule_file: Arc<str>,
    /// Live operands, ready to print: `46.2 °C > 45 °C`.
    pub operands: String,
    /// When the process state last became active, on the monotonic clock.
    pub active_since: Option<Mono>,
    pub acknowledged_by: Option<String>,
}

/// The state of one device on its link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkView {
    pub device: AssetId,
    /// Without any secret.
    pub address: String,
    pub up: bool,
    /// Why it is not up, or what went wrong last.
    pub trouble: Option<String>,
    pub replies: u64,
    pub timeouts: u64,
    pub refusals: u64,
    pub discarded: u64,
    pub reply_time_ms: Option<f64>,
    pub points: u32,
}

/// One journal line: something the engine or the gateway decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub at: Mono,
    /// `None` while wall time is not trusted.
    pub wall: Option<DateTime<Utc>>,
    /// By name, because an event outlives the plant that it happened to.
    pub asset: Option<Arc<str>>,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// An alarm changed its letter (S22).
    Moved(Moved),
    /// A command was refused; nothing changed.
    Rejected {
        alarm: Arc<str>,
        why: String,
        by: String,
    },
    /// The wall clock became trusted, lost trust, or stepped by this many seconds.
    Clock {
        trusted: bool,
        step_s: f64,
    },
    Link {
        up: bool,
        why: String,
    },
    /// Something about a meter's register: rollover, reset, jump, swap, stuck.
    Register {
        meter: Arc<str>,
        what: String,
    },
    /// The ends of both chains, which are kept outside as well.
    Anchor(Anchor),
    /// The gateway started or stopped, took another configuration, or could not store what it saw.
    Gateway {
        what: String,
    },
}

/// The ends of journal and ledger on some day. Whoever has it from elsewhere knows whether they were written anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// In UTC.
    pub day: NaiveDate,
    pub ledger: Chain,
    pub journal: Chain,
}

/// One transition of one alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    pub alarm: Arc<str>,
    pub title: Arc<str>,
    pub priority: Priority,
    pub from: Letter,
    pub to: Letter,
    /// `condition`, `cleared`, `ack`, …
    pub cause: String,
    pub occurrence: u32,
    /// Operands at that moment.
    pub operands: String,
    pub by: Option<String>,
    pub annunciate: bool,
}

/// How the gateway itself is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    pub points: u32,
    pub stale: u32,
    pub bad: u32,
    pub rules: u32,
    pub step_us: u64,
    pub samples_per_second: f64,
    /// Answers and messages that the links did not believe or could not take, since start.
    pub discarded: u64,
    /// Links that panicked and were started again, since start.
    pub restarts: u64,
    /// Published samples that were too old or out of order (S6), since start.
    pub late: u64,
}

/// What an operator asks for. Answered after it took effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Idempotency key: the same key twice acts once.
    pub key: String,
    pub by: String,
    pub action: Action,
}

/// What came of a command. Kept with its key: the same key again gets the same answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    /// Nothing changed.
    Rejected {
        why: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// S10. A stale occurrence number is refused.
    Ack { alarm: Arc<str>, occurrence: Option<u32> },
    /// S11. Only a latched alarm that is acknowledged and no longer active can be reset.
    Reset { alarm: Arc<str> },
}
