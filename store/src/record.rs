//! What the log is made of. Everything that outlives the process is one of these records; journal, ledger and history are
//! read from them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rules::{
    book::Posting,
    ledger::LedgerRow,
    messages::{Command, Event, Outcome, SiteInfo},
    plant::Plant,
    time::{BootId, Mono, Trust},
    value::Sample,
};
use serde::{Deserialize, Serialize};

/// The place of a record in the log. Starts at 1, without gaps, over all segments and boots.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Seq(pub u64);

/// When a record was appended. Wall time counts only while it is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamp {
    pub seq: Seq,
    pub boot: BootId,
    pub mono: Mono,
    pub wall: DateTime<Utc>,
    pub trust: Trust,
}

/// A record with its stamp, as read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamped {
    pub stamp: Stamp,
    pub record: Record,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// The gateway started, or took a new configuration: of which points the frames after it speak.
    Catalog(Arc<Catalog>),
    /// Samples; those of one point in the order in which the engine took them.
    Frame(Vec<Sample>),
    /// Something the engine or the gateway decided: a line of the journal.
    Event(Event),
    /// What an operator asked for and what came of it: a line of the journal, and the memory of the idempotency key.
    Command(Command, Outcome),
    /// Rows of one quarter-hour that were closed together: a line of the ledger.
    Ledger(Vec<LedgerRow>),
    /// What somebody entered into the ledger: a line of it, too.
    Posting(Box<Posting>),
    /// What the engine needs to go on, as it wrote it.
    Checkpoint(serde_json::Value),
}

impl Record {
    /// The rows of a step by quarter-hour; those of one come one after the other.
    pub fn ledger(mut rows: Vec<LedgerRow>) -> impl Iterator<Item = Self> {
        rows.reverse();
        std::iter::from_fn(move || {
            let start = rows.last()?.start;
            let mut quarter = Vec::new();
            while rows.last().is_some_and(|row| row.start == start) {
                quarter.extend(rows.pop());
            }
            Some(Self::Ledger(quarter))
        })
    }

    /// Samples as they are best kept: by point, whatever order devices answered in, and to the millisecond, which is as
    /// fine as the history is. Most of what a frame takes beside its values is saved so.
    pub fn frame(mut samples: Vec<Sample>) -> Self {
        samples.sort_by_key(|sample| sample.point);
        for sample in &mut samples {
            sample.at = sample.at.whole_millis();
        }
        Self::Frame(samples)
    }
}

/// Of whom a run speaks. `PointId`s in its frames are those of `plant`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// Of the program that wrote it.
    pub version: String,
    pub site: SiteInfo,
    /// With the computed points.
    pub plant: Arc<Plant>,
}
