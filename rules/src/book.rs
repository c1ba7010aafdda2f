//! The lines of the ledger's book, as its hash chain covers them, and what is read from them.
//!
//! A line is one JSON object: who wrote it and when, and one entry. The energies of all meters over one quarter of an hour
//! are one line, in columns: ten years of two hundred meters have room on a gateway, and a year is read in a second.
//!
//! ```text
//! {"line":1,"seq":7,"boot":"…","recorded":"2026-10-01T00:15:03Z","meters":{"catalog":"77d0…","names":["utility","busway"]}}
//! {"line":2,"seq":9,"boot":"…","recorded":"…","quarter":{"start":"2026-10-01T00:00:00Z","meters":1,"amount":[12.5,11.9],…}}
//! ```

pub mod amend;
mod check;
mod columns;
mod entry;
mod keys;

pub use self::{
    check::{CORRECTION_AT_MOST, Unfit},
    columns::{Odd, Quarter},
    entry::{Cause, Correction, Entry, KeyChange, KeyEvent, MeterList, Posting, Seal, Signature},
    keys::{Keys, Untrusted},
};

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    ledger::{LedgerRow, RegisterReading},
    time::BootId,
};

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Counted from 1, without gaps.
    pub line: u64,
    /// The place of its record in the log.
    pub seq: u64,
    pub boot: BootId,
    /// When it was written; `None` where wall time was not trusted.
    pub recorded: Option<DateTime<Utc>>,
    pub entry: Entry,
}

/// How a row stands to those before it for the same meter and interval. What is counted once is never counted again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The only one: it counts.
    #[default]
    First,
    /// The only one, for an interval of which a report had been sealed: it counts in later reports, as a correction.
    Late,
    /// The same row once more.
    Repeated,
    /// Another row for an interval that has one.
    Differing,
}

impl Standing {
    pub fn counts(self) -> bool {
        matches!(self, Self::First | Self::Late)
    }
}

/// A row as it stands in the book.
#[derive(Clone, Debug, PartialEq)]
pub struct BookRow {
    pub standing: Standing,
    pub row: LedgerRow,
}

/// A line that is none.
#[derive(Debug, Error)]
pub enum LineError {
    #[error("is no line of a ledger")]
    Malformed(#[from] serde_json::Error),
    #[error("has no entry that this program knows: it was written by a newer version")]
    Unknown,
    #[error("speaks of the meters of line {0}, which is not before it")]
    NoMeters(u64),
    #[error("has {found} amounts for {expected} meters")]
    Lengths { found: usize, expected: usize },
}

/// As written. Exactly one entry is there; each has its own name, so that the columns are read without a detour.
#[derive(Serialize, Deserialize)]
struct Written {
    line: u64,
    seq: u64,
    #[serde(with = "boot")]
    boot: BootId,
    recorded: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    meters: Option<MeterList>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quarter: Option<Quarter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correction: Option<Correction>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seal: Option<Seal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<KeyChange>,
}

impl Line {
    /// The text that the hash covers.
    ///
    /// # Errors
    /// When a number in it is not finite.
    pub fn body(self) -> Result<String, serde_json::Error> {
        let Self { line, seq, boot, recorded, entry } = self;
        let bare = Written {
            line,
            seq,
            boot,
            recorded,
            meters: None,
            quarter: None,
            correction: None,
            seal: None,
            key: None,
        };
        serde_json::to_string(&match entry {
            Entry::Meters(meters) => Written { meters: Some(meters), ..bare },
            Entry::Quarter(quarter) => Written { quarter: Some(quarter), ..bare },
            Entry::Posting(Posting::Correction(correction)) => {
                Written { correction: Some(correction), ..bare }
            }
            Entry::Posting(Posting::Seal(seal)) => Written { seal: Some(seal), ..bare },
            Entry::Posting(Posting::Key(key)) => Written { key: Some(key), ..bare },
        })
    }

    /// Reads a body.
    pub fn read(body: &str) -> Result<Self, LineError> {
        let Written { line, seq, boot, recorded, meters, quarter, correction, seal, key } =
            serde_json::from_str(body)?;
        let entry = match (meters, quarter, correction, seal, key) {
            (Some(meters), None, None, None, None) => Entry::Meters(meters),
            (None, Some(quarter), None, None, None) => Entry::Quarter(quarter),
            (None, None, Some(correction), None, None) => {
                Entry::Posting(Posting::Correction(correction))
            }
            (None, None, None, Some(seal), None) => Entry::Posting(Posting::Seal(seal)),
            (None, None, None, None, Some(key)) => Entry::Posting(Posting::Key(key)),
            _ => return Err(LineError::Unknown),
        };
        Ok(Self { line, seq, boot, recorded, entry })
    }
}

/// What lines before say about the next quarter-hour: the lists of meters, and the readings at its start. The same for who
/// writes the book and who reads it, so both may begin with any line that the list of meters is before.
#[derive(Clone, Debug, Default)]
pub struct Context {
    lists: BTreeMap<u64, Arc<[Arc<str>]>>,
    last: Option<LastQuarter>,
}

/// The quarter-hour of the line before.
#[derive(Clone, Debug)]
struct LastQuarter {
    line: u64,
    start: DateTime<Utc>,
    meters: u64,
    readings: Vec<Option<RegisterReading>>,
}

/// Lists of meters that are remembered: the one in force, and those that the lines of a period with changes speak of.
const LISTS_KEPT: usize = 64;

impl Context {
    /// The newest list of meters with the number of its line.
    pub fn list(&self) -> Option<(u64, &Arc<[Arc<str>]>)> {
        self.lists.last_key_value().map(|(line, names)| (*line, names))
    }

    /// The names of the list of meters in that line; none when it is not known.
    pub fn names_of(&self, list: u64) -> &[Arc<str>] {
        self.lists.get(&list).map(|names| &**names).unwrap_or_default()
    }

    /// Puts the rows of one quarter-hour, of the newest list, into columns.
    pub fn write(&self, line: u64, rows: Vec<BookRow>) -> Quarter {
        let (list, names) = self.list().map_or((0, &[][..]), |(list, names)| (list, &**names));
        columns::write(rows, list, names, |start| self.before(line, start, list))
    }

    /// Takes a line in; of a quarter-hour it gives the names of its meters. Lines come in their order.
    pub fn take(&mut self, line: &Line) -> Result<Option<Arc<[Arc<str>]>>, LineError> {
        match &line.entry {
            Entry::Meters(list) => {
                self.lists.insert(line.line, list.names.clone().into());
                if self.lists.len() > LISTS_KEPT {
                    self.lists.pop_first();
                }
                Ok(None)
            }
            Entry::Quarter(quarter) => {
                let names = self.names(quarter)?;
                let readings = (0..names.len()).map(|place| quarter.last_reading(place)).collect();
                self.last = Some(LastQuarter {
                    line: line.line,
                    start: quarter.start,
                    meters: quarter.meters,
                    readings,
                });
                Ok(Some(names))
            }
            Entry::Posting(_) => Ok(None),
        }
    }

    /// The rows of a line, and takes it in. Lines without a quarter-hour have none.
    pub fn rows(&mut self, line: &Line) -> Result<Vec<BookRow>, LineError> {
        let rows = match &line.entry {
            Entry::Quarter(quarter) => {
                let names = self.names(quarter)?;
                quarter.rows(&names, self.before(line.line, quarter.start, quarter.meters))
            }
            Entry::Meters(_) | Entry::Posting(_) => Vec::new(),
        };
        self.take(line)?;
        Ok(rows)
    }

    fn names(&self, quarter: &Quarter) -> Result<Arc<[Arc<str>]>, LineError> {
        let missing = LineError::NoMeters(quarter.meters);
        let names = self.lists.get(&quarter.meters).ok_or(missing)?;
        let (found, expected) = (quarter.amount.len(), names.len());
        if found == expected {
            Ok(Arc::clone(names))
        } else {
            Err(LineError::Lengths { found, expected })
        }
    }

    /// The readings that the line before ends with, if it is the quarter-hour before of the same meters.
    fn before(&self, line: u64, start: DateTime<Utc>, meters: u64) -> &[Option<RegisterReading>] {
        match &self.last {
            Some(last)
                if last.line + 1 == line
                    && last.meters == meters
                    && last.start + crate::ledger::INTERVAL == start =>
            {
                &last.readings
            }
            _ => &[],
        }
    }
}

/// A boot as 16 hexadecimal digits: SQLite and JavaScript have no exact number for all of its 64 bits.
mod boot {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::time::BootId;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(super) fn serialize<S: Serializer>(boot: &BootId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{:016x}", boot.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BootId, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        u64::from_str_radix(&text, 16).map(BootId).map_err(D::Error::custom)
    }
}
