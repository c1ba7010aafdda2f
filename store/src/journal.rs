//! Lines of the journal: what stands in their bodies, and what is read back from them. Those of the ledger are in
//! [`rules::book`].
//!
//! The body of a line is the text that the hash chain covers, so it holds everything about the line, its number and its
//! place in the log included. Every other column of the tables but `filed` is computed from it by SQLite.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use rules::{
    chain::Hash,
    messages::{Action, Command, Event, Outcome, SiteInfo, What},
    time::{BootId, Mono},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::record::{Catalog, Seq, Stamp};

/// One line of the journal, as read back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalLine {
    /// Counted from 1, without gaps.
    pub line: u64,
    pub seq: Seq,
    pub boot: BootId,
    /// When, on the monotonic clock of that boot.
    pub at: Mono,
    /// `None` where wall time was not trusted.
    pub wall: Option<DateTime<Utc>>,
    /// Where `wall` is none: worked out afterwards, by the monotonic clock, from a later line of the same boot. Not in the
    /// body, so not covered by the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<DateTime<Utc>>,
    pub entry: Entry,
    pub hash: Hash,
}

/// What a line of the journal is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    Event(Event),
    Command {
        command: Command,
        outcome: Outcome,
    },
    /// The gateway started or took a new configuration. `sha256` is that of the body in the table of catalogs.
    Catalog {
        version: String,
        site: SiteInfo,
        sha256: Hash,
    },
}

/// Which lines to read. Without `from` and `to` all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalQuery {
    /// Lines filed at this time or later. A line without wall time is filed under that of the line before it.
    pub from: Option<DateTime<Utc>>,
    /// Lines filed before this time.
    pub to: Option<DateTime<Utc>>,
    /// Lines with a lower number, to read on from a page.
    pub before: Option<u64>,
    /// At most so many, the newest ones.
    pub limit: usize,
}

impl Default for JournalQuery {
    /// The newest [`LINES`](Self::LINES).
    fn default() -> Self {
        Self { from: None, to: None, before: None, limit: Self::LINES }
    }
}

impl JournalQuery {
    /// A limit that bounds memory, not a page on a screen.
    pub const LINES: usize = 10_000;
}

/// The form of a journal line in its body.
#[derive(Serialize, Deserialize)]
pub(crate) struct JournalBody {
    pub(crate) line: u64,
    pub(crate) seq: Seq,
    boot: Boot,
    at: Mono,
    pub(crate) wall: Option<DateTime<Utc>>,
    entry: EntryKind,
    /// The word for what happened or was asked for, as serde writes the variant.
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asset: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    detail: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EntryKind {
    Event,
    Command,
    Catalog,
}

#[derive(Serialize, Deserialize)]
struct CatalogDetail {
    version: String,
    site: SiteInfo,
    sha256: Hash,
}

/// A boot as 16 hexadecimal digits: SQLite and JavaScript have no exact number for all of its 64 bits.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Boot(BootId);

impl From<Boot> for String {
    fn from(boot: Boot) -> Self {
        format!("{:016x}", boot.0.0)
    }
}

/// A boot as the column has it.
pub(crate) fn boot_text(boot: BootId) -> String {
    Boot(boot).into()
}

impl TryFrom<String> for Boot {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(|number| Self(BootId(number)))
    }
}

impl JournalBody {
    pub(crate) fn of_event(
        line: u64,
        stamp: &Stamp,
        event: &Event,
    ) -> Result<Self, serde_json::Error> {
        let (kind, detail) = untagged(serde_json::to_value(&event.what)?);
        Ok(Self {
            at: event.at,
            wall: event.wall,
            asset: event.asset.clone(),
            ..Self::bare(line, stamp, EntryKind::Event, kind, detail)
        })
    }

    pub(crate) fn of_command(
        line: u64,
        stamp: &Stamp,
        command: &Command,
        outcome: &Outcome,
    ) -> Result<Self, serde_json::Error> {
        let (kind, detail) = untagged(serde_json::to_value(&command.action)?);
        Ok(Self {
            by: Some(command.by.clone()),
            key: Some(command.key.clone()),
            outcome: Some(outcome.clone()),
            ..Self::bare(line, stamp, EntryKind::Command, kind, detail)
        })
    }

    pub(crate) fn of_catalog(
        line: u64,
        stamp: &Stamp,
        catalog: &Catalog,
        sha256: Hash,
    ) -> Result<Self, serde_json::Error> {
        let detail = serde_json::to_value(CatalogDetail {
            version: catalog.version.clone(),
            site: catalog.site.clone(),
            sha256,
        })?;
        Ok(Self::bare(line, stamp, EntryKind::Catalog, "catalog".to_owned(), detail))
    }

    fn bare(line: u64, stamp: &Stamp, entry: EntryKind, kind: String, detail: Value) -> Self {
        Self {
            line,
            seq: stamp.seq,
            boot: Boot(stamp.boot),
            at: stamp.mono,
            wall: trusted_wall(stamp),
            entry,
            kind,
            asset: None,
            by: None,
            key: None,
            detail,
            outcome: None,
        }
    }

    /// The catalog that this line tells of.
    pub(crate) fn catalog(&self) -> Option<Hash> {
        match self.entry {
            EntryKind::Catalog => self.detail.get("sha256")?.as_str()?.parse().ok(),
            EntryKind::Event | EntryKind::Command => None,
        }
    }

    pub(crate) fn into_line(self, hash: Hash) -> Result<JournalLine, serde_json::Error> {
        let Self { line, seq, boot: Boot(boot), at, wall, .. } = self;
        let entry = match self.entry {
            EntryKind::Event => {
                let what: What = serde_json::from_value(tagged(self.kind, self.detail))?;
                Entry::Event(Event { at, wall, asset: self.asset, what })
            }
            EntryKind::Command => {
                let action: Action = serde_json::from_value(tagged(self.kind, self.detail))?;
                let command = Command {
                    key: self.key.unwrap_or_default(),
                    by: self.by.unwrap_or_default(),
                    action,
                };
                Entry::Command { command, outcome: self.outcome.unwrap_or(Outcome::Done) }
            }
            EntryKind::Catalog => {
                let CatalogDetail { version, site, sha256 } = serde_json::from_value(self.detail)?;
                Entry::Catalog { version, site, sha256 }
            }
        };
        Ok(JournalLine { line, seq, boot, at, wall, assigned: None, entry, hash })
    }
}

/// The wall time of a record, where it was trusted.
pub(crate) fn trusted_wall(stamp: &Stamp) -> Option<DateTime<Utc>> {
    stamp.trust.is_trusted().then_some(stamp.wall)
}

/// A time as text that sorts: UTC, always with microseconds.
pub(crate) fn filed_text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// An enum as serde writes it, taken apart into the word for the variant and what it holds.
fn untagged(written: Value) -> (String, Value) {
    match written {
        Value::String(word) => (word, Value::Null),
        Value::Object(map) if map.len() == 1 => {
            map.into_iter().next().unwrap_or_else(|| (String::new(), Value::Null))
        }
        other => (String::new(), other),
    }
}

/// The opposite of [`untagged`].
fn tagged(word: String, content: Value) -> Value {
    match content {
        Value::Null => Value::String(word),
        content => Value::Object([(word, content)].into_iter().collect()),
    }
}
