//! `ledger.db`: journal, ledger and catalogs as tables that anybody with `sqlite3` can read.
//!
//! A projection of the log: the same records give the same bytes and the same hashes. What was applied up to stands in
//! the same transaction as the lines, so every record has its lines once, wherever a crash falls.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rules::chain::Chain;
use rusqlite::{Connection, Transaction};

use crate::{
    bookkeeper::Bookkeeper,
    error::StoreError,
    heads::{Fault, Heads},
    journal::JournalBody,
    record::{Record, Seq, Stamped},
};

/// The file in the data directory.
pub(crate) const NAME: &str = "ledger.db";
/// `CLDW`, so that `file` and this program know whose database it is.
const APPLICATION_ID: i64 = 0x434c_4457;
/// Of the tables below. Any other is refused.
const FORMAT: i64 = 2;

pub(crate) const JOURNAL: &str = "journal";
pub(crate) const LEDGER: &str = "ledger";

/// Columns that are computed cannot tell something else than the body, which the hash covers. The view `energy` has the
/// rows of the ledger one by one, for whoever reads it with `sqlite3`.
const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE journal (
    line INTEGER PRIMARY KEY,
    filed TEXT NOT NULL,
    wall TEXT AS (json_extract(body, '$.wall')),
    seq INTEGER AS (json_extract(body, '$.seq')),
    boot TEXT AS (json_extract(body, '$.boot')),
    at_us INTEGER AS (json_extract(body, '$.at')),
    entry TEXT AS (json_extract(body, '$.entry')),
    kind TEXT AS (json_extract(body, '$.kind')),
    alarm TEXT AS (json_extract(body, '$.detail.alarm')),
    asset TEXT AS (json_extract(body, '$.asset')),
    from_letter TEXT AS (json_extract(body, '$.detail.from')),
    to_letter TEXT AS (json_extract(body, '$.detail.to')),
    cause TEXT AS (json_extract(body, '$.detail.cause')),
    occurrence INTEGER AS (json_extract(body, '$.detail.occurrence')),
    operands TEXT AS (json_extract(body, '$.detail.operands')),
    priority INTEGER AS (json_extract(body, '$.detail.priority')),
    operator TEXT AS (coalesce(json_extract(body, '$.by'), json_extract(body, '$.detail.by'))),
    reason TEXT AS (coalesce(json_extract(body, '$.detail.reason'), json_extract(body, '$.detail.why'),
                             json_extract(body, '$.outcome.rejected.why'))),
    command_key TEXT AS (json_extract(body, '$.key')),
    outcome TEXT AS (json_extract(body, '$.outcome')),
    detail TEXT AS (json_extract(body, '$.detail')),
    body TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX journal_by_time ON journal (filed);
CREATE INDEX journal_by_key ON journal (command_key) WHERE command_key IS NOT NULL;
CREATE TABLE ledger (
    line INTEGER PRIMARY KEY,
    entry TEXT AS (CASE WHEN json_type(body, '$.quarter') IS NOT NULL THEN 'quarter'
                        WHEN json_type(body, '$.meters') IS NOT NULL THEN 'meters'
                        WHEN json_type(body, '$.correction') IS NOT NULL THEN 'correction'
                        WHEN json_type(body, '$.seal') IS NOT NULL THEN 'seal'
                        WHEN json_type(body, '$.key') IS NOT NULL THEN 'key' END),
    start TEXT AS (json_extract(body, '$.quarter.start')),
    meters INTEGER AS (json_extract(body, '$.quarter.meters')),
    recorded TEXT AS (json_extract(body, '$.recorded')),
    seq INTEGER AS (json_extract(body, '$.seq')),
    boot TEXT AS (json_extract(body, '$.boot')),
    body TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE VIEW energy AS
    SELECT q.line, m.value AS meter, q.start, a.value AS amount,
           coalesce((SELECT json_extract(o.value, '$[1]') FROM json_each(q.body, '$.quarter.odd') o
                     WHERE json_extract(o.value, '$[0]') = a.key), 'register') AS method,
           coalesce((SELECT json_extract(o.value, '$[2]') FROM json_each(q.body, '$.quarter.odd') o
                     WHERE json_extract(o.value, '$[0]') = a.key), 1.0) AS coverage,
           coalesce((SELECT json_extract(o.value, '$[3]') FROM json_each(q.body, '$.quarter.odd') o
                     WHERE json_extract(o.value, '$[0]') = a.key), '[]') AS flags,
           json_extract(q.body, '$.quarter.uncertainty[' || a.key || ']') AS uncertainty,
           json_extract(q.body, '$.quarter.last[' || a.key || '][1]') AS last_value,
           coalesce((SELECT json_extract(s.value, '$[1]') FROM json_each(q.body, '$.quarter.later') s
                     WHERE json_extract(s.value, '$[0]') = a.key), 'first') AS standing,
           q.recorded
    FROM ledger q JOIN ledger l ON l.line = q.meters
         JOIN json_each(q.body, '$.quarter.amount') a
         JOIN json_each(l.body, '$.meters.names') m ON m.key = a.key
    WHERE q.start IS NOT NULL AND (a.value IS NOT NULL OR a.key IN (
        SELECT json_extract(o.value, '$[0]') FROM json_each(q.body, '$.quarter.odd') o));
CREATE INDEX ledger_by_start ON ledger (start) WHERE start IS NOT NULL;
CREATE INDEX ledger_other ON ledger (line) WHERE start IS NULL;
CREATE TABLE catalog (
    seq INTEGER PRIMARY KEY,
    filed TEXT NOT NULL,
    wall TEXT,
    sha256 TEXT NOT NULL,
    body TEXT NOT NULL
);
";

/// The writer's side of `ledger.db`. There is one.
#[derive(Debug)]
pub struct LedgerDb {
    path: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) heads: Heads,
    pub(crate) book: Bookkeeper,
}

impl LedgerDb {
    /// Opens or makes the database.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = StoreError::database(path);
        let mut connection = Connection::open(path).map_err(&failed)?;
        let fresh = is_fresh(&connection, path)?;
        // A page of 8 KiB holds some twenty lines; FULL makes every commit durable, which the order of things rests on.
        connection
            .execute_batch(
                "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 33554432; PRAGMA busy_timeout = 2000;",
            )
            .map_err(&failed)?;
        if fresh {
            make(&mut connection).map_err(&failed)?;
        }
        let heads = Heads::read(&connection).map_err(&failed)?;
        let book = Bookkeeper::open(&connection, &heads).map_err(|fault| fault.at(path))?;
        Ok(Self { path: path.to_owned(), connection, heads, book })
    }

    /// Reads again what the next line follows on, after lines were written in another way.
    pub(crate) fn read_back(&mut self) -> Result<(), StoreError> {
        self.book = Bookkeeper::open(&self.connection, &self.heads)
            .map_err(|fault| fault.at(&self.path))?;
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Up to which record the tables stand.
    pub fn applied(&self) -> Seq {
        self.heads.applied
    }

    /// The last place of the log that is used here. After a repair it can lie behind [`Self::applied`].
    pub fn last(&self) -> Seq {
        self.heads.applied.max(self.heads.journal_seq).max(self.heads.ledger_seq)
    }

    /// The newest time that the journal is sure of.
    pub fn journal_ends(&self) -> Option<DateTime<Utc>> {
        self.heads.filed.parse().ok()
    }

    /// Applies those of `records` that were not applied yet, and notes that everything up to `up_to` was. One
    /// transaction: after an error nothing is changed.
    pub fn apply(&mut self, records: &[Stamped], up_to: Seq) -> Result<(), StoreError> {
        let failed = StoreError::database(&self.path);
        let (mut heads, mut book) = (self.heads.clone(), self.book.clone());
        let transaction = self.connection.transaction().map_err(&failed)?;
        for record in records {
            if record.stamp.seq > heads.applied {
                write(&mut heads, &transaction, &mut book, record)
                    .map_err(|fault| fault.at(&self.path))?;
                heads.applied = record.stamp.seq;
            }
        }
        heads.applied = heads.applied.max(up_to);
        heads.note(&transaction).and_then(|()| transaction.commit()).map_err(&failed)?;
        (self.heads, self.book) = (heads, book);
        Ok(())
    }

    /// Moves everything from the write-ahead file into the database, so that one file is all there is.
    pub fn settle(&self) -> Result<(), StoreError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(StoreError::database(&self.path))
    }
}

/// Writes the line of one record, if it has one.
fn write(
    heads: &mut Heads,
    transaction: &Transaction<'_>,
    book: &mut Bookkeeper,
    record: &Stamped,
) -> Result<(), Fault> {
    let (stamp, line) = (&record.stamp, heads.journal.lines + 1);
    // After a repair one of the two may be ahead of the other.
    let known = match &record.record {
        Record::Ledger(_) | Record::Posting(_) => stamp.seq <= heads.ledger_seq,
        _ => stamp.seq <= heads.journal_seq,
    };
    if known {
        return Ok(());
    }
    let body = match &record.record {
        Record::Event(event) => JournalBody::of_event(line, stamp, event)?,
        Record::Command(command, outcome) => {
            JournalBody::of_command(line, stamp, command, outcome)?
        }
        Record::Catalog(catalog) => {
            let sha256 = heads.write_catalog(transaction, stamp, catalog)?;
            book.catalog(sha256, &catalog.plant);
            JournalBody::of_catalog(line, stamp, catalog, sha256)?
        }
        Record::Ledger(rows) => return book.write_rows(transaction, heads, stamp, rows),
        Record::Posting(posting) => return book.post(transaction, heads, stamp, posting),
        Record::Frame(_) | Record::Checkpoint(_) => return Ok(()),
    };
    heads.write_journal(transaction, &body)
}

/// Looks whose database it is; true for one that has to be made first.
pub(crate) fn is_fresh(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let failed = StoreError::database(path);
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let application = number("PRAGMA application_id").map_err(&failed)?;
    let format = number("PRAGMA user_version").map_err(&failed)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(&failed)?;
    if (application, tables) == (0, 0) {
        return Ok(true);
    }
    if application != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if format != FORMAT {
        return Err(StoreError::Format { path: path.to_owned(), found: format, known: FORMAT });
    }
    Ok(false)
}

fn make(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    let heads = Heads {
        applied: Seq(0),
        journal: Chain::empty(JOURNAL),
        journal_seq: Seq(0),
        ledger: Chain::empty(LEDGER),
        ledger_seq: Seq(0),
        filed: String::new(),
        catalog: None,
    };
    heads.note(&transaction)?;
    transaction.commit()
}
