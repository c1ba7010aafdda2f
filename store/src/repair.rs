//! What is done about a `ledger.db` that cannot be read: it is moved, never deleted; what of it the hash chains still
//! prove is taken over; the rest is written anew from the log.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use chrono::{DateTime, Utc};
use rules::{
    book::Line,
    chain::{Chain, Hash},
};
use rusqlite::{Connection, OpenFlags, Row, Transaction};

use crate::{
    error::StoreError,
    finding::Finding,
    heads::{self, Heads},
    journal::JournalBody,
    ledger_db::{JOURNAL, LEDGER, LedgerDb},
    record::Seq,
};

/// Lines that are taken over in one transaction.
const BATCH: usize = 10_000;

/// Moves the damaged database away and makes a new one of what is left.
pub(crate) fn set_aside(
    path: &Path,
    fault: &StoreError,
    findings: &mut Vec<Finding>,
) -> Result<LedgerDb, StoreError> {
    let why = match fault {
        StoreError::Database { source, .. } => source.to_string(),
        other => other.to_string(),
    };
    let aside = free_name(path);
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (with_suffix(path, suffix), with_suffix(&aside, suffix));
        if from.exists() {
            fs::rename(&from, &to).map_err(|fault| StoreError::io("move", &from, fault))?;
        }
    }
    let mut db = LedgerDb::open(path)?;
    if let Err(fault) = take_over(&aside, &mut db) {
        tracing::warn!("{} is readable up to a certain line only: {fault}", aside.display());
    }
    db.read_back()?;
    findings.push(Finding::SetAside {
        aside,
        why,
        journal_lines: db.heads.journal.lines,
        ledger_lines: db.heads.ledger.lines,
    });
    Ok(db)
}

/// `ledger.db.damaged-20261122T111500Z`, or the same with a number behind it.
fn free_name(path: &Path) -> PathBuf {
    let now = DateTime::<Utc>::from(SystemTime::now()).format("%Y%m%dT%H%M%SZ");
    let plain = with_suffix(path, &format!(".damaged-{now}"));
    let mut number = 1;
    let mut name = plain.clone();
    while name.exists() {
        number += 1;
        name = with_suffix(&plain, &format!("-{number}"));
    }
    name
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Copies the lines from the first on, as long as they can be read and fit their chain.
fn take_over(aside: &Path, db: &mut LedgerDb) -> rusqlite::Result<()> {
    let old = Connection::open_with_flags(aside, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let noted = Heads::read(&old);
    let journal = take_lines(&old, db, &JOURNAL_TABLE);
    let catalogs = take_catalogs(&old, db);
    let ledger = take_lines(&old, db, &LEDGER_TABLE);
    let applied = match noted {
        // Nothing is lost: the log is needed from where it was needed before.
        Ok(noted) if (noted.journal, noted.ledger) == (db.heads.journal, db.heads.ledger) => {
            noted.applied
        }
        _ => db.heads.journal_seq.min(db.heads.ledger_seq),
    };
    let heads = Heads { applied, ..db.heads.clone() };
    keep(db, heads, |_| Ok(()))?;
    journal.and(catalogs).and(ledger)
}

fn keep(
    db: &mut LedgerDb,
    heads: Heads,
    write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let transaction = db.connection.transaction()?;
    write(&transaction)?;
    heads.note(&transaction)?;
    transaction.commit()?;
    db.heads = heads;
    Ok(())
}

/// A line of an old database that fits.
struct Proven {
    line: u64,
    filed: String,
    body: String,
    hash: Hash,
}

/// The next line if it fits the chain, from the columns line, filed, body, hash.
fn proven(row: &Row<'_>, chain: &mut Chain) -> Option<Proven> {
    let line = row.get::<_, i64>(0).ok()?.cast_unsigned();
    let (filed, body): (String, String) = (row.get(1).ok()?, row.get(2).ok()?);
    let hash = row.get::<_, String>(3).ok()?.parse().ok()?;
    chain.take(line, body.as_bytes(), hash).ok()?;
    Some(Proven { line, filed, body, hash })
}

/// What differs between journal and ledger.
struct Table {
    name: &'static str,
    /// Gives line, filed, body, hash.
    sql: &'static str,
    /// Notes a line as the last one; `None` for a body that cannot be understood.
    note: fn(&mut Heads, Chain, &Proven) -> Option<()>,
    insert: fn(&Transaction<'_>, &Proven) -> rusqlite::Result<usize>,
}

const JOURNAL_TABLE: Table = Table {
    name: JOURNAL,
    sql: "SELECT line, filed, body, hash FROM journal ORDER BY line",
    note: |heads, chain, line| {
        let body: JournalBody = serde_json::from_str(&line.body).ok()?;
        (heads.journal, heads.journal_seq) = (chain, body.seq);
        heads.filed.clone_from(&line.filed);
        Some(())
    },
    insert: |transaction, line| {
        let Proven { line, filed, body, hash } = line;
        heads::insert_journal(transaction, *line, filed, body, *hash)
    },
};

const LEDGER_TABLE: Table = Table {
    name: LEDGER,
    sql: "SELECT line, '', body, hash FROM ledger ORDER BY line",
    note: |heads, chain, line| {
        let read = Line::read(&line.body).ok()?;
        (heads.ledger, heads.ledger_seq) = (chain, Seq(read.seq));
        Some(())
    },
    insert: |transaction, line| heads::insert_ledger(transaction, line.line, &line.body, line.hash),
};

fn take_lines(old: &Connection, db: &mut LedgerDb, table: &Table) -> rusqlite::Result<()> {
    let mut statement = old.prepare(table.sql)?;
    let mut rows = statement.query([])?;
    let mut chain = Chain::empty(table.name);
    let mut ended = None;
    while ended.is_none() {
        let mut heads = db.heads.clone();
        let mut lines = Vec::new();
        while lines.len() < BATCH && ended.is_none() {
            ended = match rows.next() {
                Ok(Some(row)) => match proven(row, &mut chain) {
                    Some(line) if (table.note)(&mut heads, chain, &line).is_some() => {
                        lines.push(line);
                        None
                    }
                    _ => Some(Ok(())),
                },
                Ok(None) => Some(Ok(())),
                Err(fault) => Some(Err(fault)),
            };
        }
        keep(db, heads, |transaction| {
            lines.iter().try_for_each(|line| (table.insert)(transaction, line).map(drop))
        })?;
    }
    ended.unwrap_or(Ok(()))
}

/// Those that the lines taken over tell of.
fn take_catalogs(old: &Connection, db: &mut LedgerDb) -> rusqlite::Result<()> {
    let sql = "SELECT seq, filed, wall, body FROM catalog WHERE seq <= ?1 ORDER BY seq";
    let mut statement = old.prepare(sql)?;
    let mut rows = statement.query([db.heads.journal_seq.0.cast_signed()])?;
    while let Some(row) = rows.next()? {
        let seq = Seq(row.get::<_, i64>(0)?.cast_unsigned());
        let (filed, wall): (String, Option<String>) = (row.get(1)?, row.get(2)?);
        let body: String = row.get(3)?;
        let sha256 = Hash::of(body.as_bytes());
        let heads = Heads { catalog: Some(sha256), ..db.heads.clone() };
        keep(db, heads, |transaction| {
            heads::insert_catalog(transaction, seq, &filed, wall.as_deref(), sha256, &body)
                .map(drop)
        })?;
    }
    Ok(())
}
