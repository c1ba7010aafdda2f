//! The history: every sample with its wall time, in compressed blocks, and rollups of one and of fifteen minutes.
//!
//! `history.db` is a projection of the log: it can be deleted and comes back as far as the log reaches. A background
//! thread seals it one quarter-hour (a *bucket*) at a time, all series of it in one transaction, by reading the log back;
//! what is not sealed yet is read from the log itself, so a query sees everything that is on disk. See `FORMAT.md`.

mod block;
mod book;
mod bytes;
mod columns;
mod database;
mod likeness;
mod merge;
mod query;
mod retention;
mod roll;
mod rollup;
mod seal;
mod sealer;
mod survey;

use std::{path::PathBuf, sync::Arc, time::Duration};

use rules::{
    plant::PointKind,
    value::{NoData, Value},
};
use rusqlite::ErrorCode;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub(crate) use self::database::last_sealed;
pub use self::{
    query::HistoryReader,
    retention::{Hold, Pin, Pins},
    sealer::{Sealer, Sealing, Turn},
};

/// A bucket, and the longer of the two rollups, in milliseconds.
pub const QUARTER_MS: i64 = 900_000;

/// How finely a query is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// Every sample.
    Raw,
    /// One row a minute.
    Minute,
    /// One row in fifteen minutes.
    Quarter,
}

/// What was kept of one point. A point whose unit or kind was changed has one series for each.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// `cdu-2.tcs.supply_temperature`.
    pub point: Arc<str>,
    /// The symbol of the unit that it had then.
    pub unit: Arc<str>,
    pub kind: PointKind,
    pub rows: Rows,
}

/// In order of time, each time once.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    Raw(Vec<RawRow>),
    Rollup(Vec<Rollup>),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RawRow {
    /// Milliseconds since 1970, UTC.
    pub at_ms: i64,
    pub value: Result<Value, NoData>,
}

/// What the samples of one minute or quarter-hour come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rollup {
    /// Its start, in milliseconds since 1970, UTC.
    pub at_ms: i64,
    /// Samples with a number.
    pub count: u32,
    /// Samples with a reason instead of a value.
    pub bad: u32,
    /// `None` when `count` is zero.
    pub figures: Option<Figures>,
}

impl Rollup {
    /// Share of samples without a value, 0 to 1.
    pub fn bad_share(&self) -> f64 {
        f64::from(self.bad) / (f64::from(self.count) + f64::from(self.bad)).max(1.0)
    }
}

/// Over the samples with a number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    pub min: f64,
    pub max: f64,
    /// Of the samples, not weighted by time.
    pub mean: f64,
    pub last: f64,
}

/// How long things are kept, and how much room there is.
#[derive(Clone, Debug)]
pub struct Retention {
    /// For everything in the data directory, in bytes.
    pub cap_bytes: u64,
    /// Of the cap, kept free for journal and ledger.
    pub reserve_bytes: u64,
    pub keep_raw: Duration,
    pub keep_minutes: Duration,
    pub keep_quarters: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            cap_bytes: 16 << 30,
            reserve_bytes: 256 << 20,
            keep_raw: DAY * 14,
            keep_minutes: DAY * 400,
            keep_quarters: DAY * 3653,
        }
    }
}

/// What is in `history.db`, and what had to go. Counts are since the file was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryStats {
    /// Of the database and what belongs to it.
    pub bytes: u64,
    /// Everything in the log up to here is in blocks.
    pub applied_seq: u64,
    /// Samples up to here are in blocks, in milliseconds since 1970; those that arrive later follow with the next bucket.
    /// `None`: nothing is.
    pub sealed_until_ms: Option<i64>,
    /// Raw samples go back to here, in milliseconds since 1970.
    pub raw_from_ms: Option<i64>,
    pub raw_samples: u64,
    /// Samples whose wall time will never be known, because their boot ended before the clock was set.
    pub unplaced_samples: u64,
    /// Samples that came after their quarter-hour was no longer kept.
    pub expired_samples: u64,
    /// Raw samples that went for want of room, before their age.
    pub capped_samples: u64,
    /// Days of minute rollups that went for want of room, before their age.
    pub capped_minute_days: u64,
    /// Bytes of log that went for want of room, before every sink had them.
    pub capped_log_bytes: u64,
}

/// What is wrong with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a block {0}")]
pub struct Damaged(pub(crate) &'static str);

#[derive(Debug, Error)]
pub enum HistoryError {
    #[error("failed to use history.db")]
    Database(#[from] rusqlite::Error),
    #[error(
        "history.db is of version {found}, this program knows {known}: run the program that wrote it, or move the file away"
    )]
    Version { found: i64, known: i64 },
    #[error("history.db is damaged: move it away, and what the log still has is kept again")]
    Damaged(#[from] Damaged),
    #[error("failed to read the log")]
    Log(#[from] crate::log::LogError),
    #[error("{} is damaged and cannot be moved away", path.display())]
    SetAside { path: PathBuf, source: std::io::Error },
    #[error("failed to look through the data directory or to start the thread")]
    Directory(#[from] std::io::Error),
}

impl HistoryError {
    /// The database itself is broken, so trying again is of no use.
    fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Database(fault) => matches!(
                fault.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
            _ => false,
        }
    }
}
