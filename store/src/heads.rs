//! Where journal and ledger end, and how a line is added to either.

use std::path::Path;

use rules::chain::{Chain, Hash};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::{
    error::StoreError,
    journal::{JournalBody, filed_text, trusted_wall},
    record::{Catalog, Seq, Stamp},
};

/// Where the tables end. Kept in `meta`, in the same transaction as the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heads {
    pub(crate) applied: Seq,
    pub(crate) journal: Chain,
    /// The record of the last line.
    pub(crate) journal_seq: Seq,
    pub(crate) ledger: Chain,
    pub(crate) ledger_seq: Seq,
    /// Under which time the last line of the journal is filed; empty while there was none.
    pub(crate) filed: String,
    /// Of the last catalog.
    pub(crate) catalog: Option<Hash>,
}

impl Heads {
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare("SELECT value FROM meta WHERE name = ?1")?;
        let mut text = |name: &str| statement.query_row([name], |row| row.get::<_, String>(0));
        Ok(Self {
            applied: Seq(parsed(&text("applied_seq")?)?),
            journal: Chain {
                lines: parsed(&text("journal_lines")?)?,
                head: parsed(&text("journal_head")?)?,
            },
            journal_seq: Seq(parsed(&text("journal_seq")?)?),
            ledger: Chain {
                lines: parsed(&text("ledger_lines")?)?,
                head: parsed(&text("ledger_head")?)?,
            },
            ledger_seq: Seq(parsed(&text("ledger_seq")?)?),
            filed: text("filed")?,
            catalog: text("catalog_sha256").optional()?.map(|hash| parsed(&hash)).transpose()?,
        })
    }

    pub(crate) fn note(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut statement = transaction.prepare_cached(
            "INSERT INTO meta (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )?;
        let mut put = |name: &str, value: String| statement.execute([name, &value]).map(drop);
        put("applied_seq", self.applied.0.to_string())?;
        put("journal_lines", self.journal.lines.to_string())?;
        put("journal_head", self.journal.head.to_string())?;
        put("journal_seq", self.journal_seq.0.to_string())?;
        put("ledger_lines", self.ledger.lines.to_string())?;
        put("ledger_head", self.ledger.head.to_string())?;
        put("ledger_seq", self.ledger_seq.0.to_string())?;
        put("filed", self.filed.clone())?;
        self.catalog.map_or(Ok(()), |hash| put("catalog_sha256", hash.to_string()))
    }

    pub(crate) fn write_journal(
        &mut self,
        transaction: &Transaction<'_>,
        body: &JournalBody,
    ) -> Result<(), Fault> {
        if let Some(wall) = body.wall {
            self.filed = filed_text(wall);
        }
        let text = serde_json::to_string(body)?;
        let hash = self.journal.add(text.as_bytes());
        transaction
            .prepare_cached(
                "INSERT INTO journal (line, filed, body, hash) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                self.journal.lines.cast_signed(),
                self.filed,
                text,
                hash.to_string()
            ])?;
        Ok(())
    }

    /// Adds a line to the ledger.
    pub(crate) fn add_line(
        &mut self,
        transaction: &Transaction<'_>,
        seq: Seq,
        body: &str,
    ) -> rusqlite::Result<()> {
        let hash = self.ledger.add(body.as_bytes());
        self.ledger_seq = seq;
        insert_ledger(transaction, self.ledger.lines, body, hash).map(drop)
    }

    /// Keeps a catalog that differs from the one before it.
    pub(crate) fn write_catalog(
        &mut self,
        transaction: &Transaction<'_>,
        stamp: &Stamp,
        catalog: &Catalog,
    ) -> Result<Hash, Fault> {
        let text = serde_json::to_string(catalog)?;
        let sha256 = Hash::of(text.as_bytes());
        if self.catalog != Some(sha256) {
            let wall = trusted_wall(stamp).map(filed_text);
            let filed = wall.as_ref().unwrap_or(&self.filed);
            insert_catalog(transaction, stamp.seq, filed, wall.as_deref(), sha256, &text)?;
            self.catalog = Some(sha256);
        }
        Ok(sha256)
    }
}

pub(crate) fn insert_journal(
    transaction: &Transaction<'_>,
    line: u64,
    filed: &str,
    body: &str,
    hash: Hash,
) -> rusqlite::Result<usize> {
    transaction
        .prepare_cached("INSERT INTO journal (line, filed, body, hash) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![line.cast_signed(), filed, body, hash.to_string()])
}

pub(crate) fn insert_ledger(
    transaction: &Transaction<'_>,
    line: u64,
    body: &str,
    hash: Hash,
) -> rusqlite::Result<usize> {
    transaction
        .prepare_cached("INSERT INTO ledger (line, body, hash) VALUES (?1, ?2, ?3)")?
        .execute(params![line.cast_signed(), body, hash.to_string()])
}

pub(crate) fn insert_catalog(
    transaction: &Transaction<'_>,
    seq: Seq,
    filed: &str,
    wall: Option<&str>,
    sha256: Hash,
    body: &str,
) -> rusqlite::Result<usize> {
    transaction.execute(
        "INSERT INTO catalog (seq, filed, wall, sha256, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![seq.0.cast_signed(), filed, wall, sha256.to_string(), body],
    )
}

/// A record that could not be written down.
#[derive(Debug)]
pub(crate) enum Fault {
    Database(rusqlite::Error),
    Unwritable(serde_json::Error),
}

impl Fault {
    pub(crate) fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Database(source) => StoreError::database(path)(source),
            Self::Unwritable(source) => StoreError::Unwritable(source),
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(source: rusqlite::Error) -> Self {
        Self::Database(source)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(source: serde_json::Error) -> Self {
        Self::Unwritable(source)
    }
}

/// A value of `meta`. One that is not of its form is damage like any other.
fn parsed<T: std::str::FromStr>(text: &str) -> rusqlite::Result<T> {
    text.parse().map_err(|_| {
        rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
            Some(format!("meta holds {text:?}")),
        )
    })
}
