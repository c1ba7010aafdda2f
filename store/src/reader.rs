//! What can be asked of a data directory, beside a running gateway or without one. Nothing in here writes.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use rules::{
    book::{Context, Entry, Keys, Line, Posting, Untrusted},
    chain::{Broken, Chain, Hash, Misfit},
    ledger::{INTERVAL, LedgerRow, interval_start},
    messages::{Anchor, Event, Outcome, What},
};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{
    Deserialize, Serialize,
    de::{self, DeserializeOwned},
};

use crate::{
    bookkeeper::start_text,
    error::StoreError,
    heads::Heads,
    history::{HistoryReader, HistoryStats, Resolution, Series},
    journal::{JournalBody, JournalLine, JournalQuery, boot_text, filed_text},
    ledger_db::{self, JOURNAL, LEDGER},
    log::LogReader,
    pool::Pool,
    record::{Catalog, Seq},
};

/// Answers questions about a data directory. Calls block on files; clones share their connections.
#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    ledger: Pool,
    /// Opened with the first question about it, where no log was handed in.
    history: Mutex<Option<HistoryReader>>,
    /// The last catalog read, by its hash: it can be large and is asked for often.
    catalog: Mutex<Option<(String, Arc<Catalog>)>>,
}

/// A catalog that was in force for some time.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldCatalog {
    pub seq: Seq,
    /// From when; `None` where wall time was not trusted then.
    pub since: Option<DateTime<Utc>>,
    /// Of its text.
    pub sha256: Hash,
    pub catalog: Arc<Catalog>,
}

/// What a walk over both hash chains found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainReport {
    pub journal: ChainState,
    pub ledger: ChainState,
    /// Catalogs whose text is not the one that the journal tells of.
    pub altered_catalogs: Vec<Seq>,
}

/// How far a chain fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainState {
    /// Up to the last line that fits.
    pub fits: Chain,
    pub broken: Option<Broken>,
}

impl ChainReport {
    /// Nothing was changed, dropped or moved, as far as the database can tell by itself.
    pub fn is_intact(&self) -> bool {
        self.journal.broken.is_none()
            && self.ledger.broken.is_none()
            && self.altered_catalogs.is_empty()
    }
}

/// What is in a data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub log_bytes: u64,
    pub ledger_bytes: u64,
    pub history_bytes: u64,
    pub reserve_bytes: u64,
    /// Cursors, quarantine, tokens and whatever else lies there.
    pub other_bytes: u64,
    pub segments: u64,
    /// Up to which record journal and ledger stand on disk.
    pub applied: Seq,
    pub journal_lines: u64,
    pub ledger_lines: u64,
    pub history: HistoryStats,
}

impl Stats {
    pub fn total_bytes(&self) -> u64 {
        self.log_bytes
            + self.ledger_bytes
            + self.history_bytes
            + self.reserve_bytes
            + self.other_bytes
    }
}

impl Reader {
    /// Opens a data directory for reading, also while a gateway writes to it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let ledger = Pool::new(dir.join(ledger_db::NAME), |connection, path| {
            if ledger_db::is_fresh(connection, path)? {
                return Err(StoreError::Absent { path: path.to_owned() });
            }
            Ok(())
        });
        ledger.ask(|_| Ok::<_, StoreError>(()))?;
        let shared = Shared {
            dir: dir.to_owned(),
            ledger,
            history: Mutex::default(),
            catalog: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The same, of a log that this process writes.
    pub(crate) fn of(dir: &Path, log: LogReader) -> Result<Self, StoreError> {
        let reader = Self::open(dir)?;
        let history = HistoryReader::new(dir, log);
        *reader.shared.history.lock().unwrap_or_else(PoisonError::into_inner) = Some(history);
        Ok(reader)
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// Connections to `ledger.db`.
    pub(crate) fn pool(&self) -> &Pool {
        &self.shared.ledger
    }

    /// Lines of the journal, newest first.
    pub fn journal(&self, query: &JournalQuery) -> Result<Vec<JournalLine>, StoreError> {
        let before = query.before.and_then(|line| i64::try_from(line).ok()).unwrap_or(i64::MAX);
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let mut lines = self.ask(|connection| {
            if query.from.is_none() && query.to.is_none() {
                return journal_lines(
                    connection,
                    "SELECT line, body, hash FROM journal WHERE line < ?1 ORDER BY line DESC LIMIT ?2",
                    params![before, limit],
                );
            }
            let from = query.from.map(filed_text).unwrap_or_default();
            // No time as text begins with a letter, so this lies behind all of them.
            let to = query.to.map_or_else(|| "z".to_owned(), filed_text);
            journal_lines(
                connection,
                "SELECT line, body, hash FROM journal WHERE line IN (
                     SELECT line FROM journal INDEXED BY journal_by_time
                     WHERE filed >= ?1 AND filed < ?2 AND line < ?3 ORDER BY line DESC LIMIT ?4)
                 ORDER BY line DESC",
                params![from, to, before, limit],
            )
        })?;
        self.ask(|connection| assign_times(connection, &mut lines))?;
        Ok(lines)
    }

    /// What was answered to the command with this idempotency key, if it was ever taken.
    pub fn outcome(&self, key: &str) -> Result<Option<Outcome>, StoreError> {
        let lines = self.ask(|connection| {
            journal_lines(
                connection,
                "SELECT line, body, hash FROM journal WHERE command_key = ?1 ORDER BY line LIMIT 1",
                [key],
            )
        })?;
        Ok(lines.into_iter().find_map(|line| match line.entry {
            crate::journal::Entry::Command { outcome, .. } => Some(outcome),
            _ => None,
        }))
    }

    /// The row that counts of every interval with `from <= start < to`, by meter, then start, as it was recorded:
    /// corrections are lines of their own.
    pub fn ledger(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        let mut rows = Vec::new();
        let mut context = Context::default();
        self.book(from, to, |line| {
            let found = context
                .rows(line)
                .map_err(|source| StoreError::BookLine { line: line.line, source })?;
            let counted = found.into_iter().filter(|found| found.standing.counts());
            rows.extend(
                counted.map(|found| found.row).filter(|row| from <= row.start && row.start < to),
            );
            Ok::<_, StoreError>(())
        })?;
        rows.sort_by(|one, other| (&one.meter, one.start).cmp(&(&other.meter, other.start)));
        Ok(rows)
    }

    /// Hands over, in their order, the lines of the ledger from which the intervals with `from <= start < to` follow: these
    /// quarter-hours and the one before them, the lists of meters that they go by, and everything that was posted.
    pub fn book<E: From<StoreError>>(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        mut visit: impl FnMut(&Line) -> Result<(), E>,
    ) -> Result<(), E> {
        let pool = self.pool();
        let failed = StoreError::database(pool.path());
        pool.ask(|connection| {
            let sql = "SELECT line, body FROM ledger WHERE start >= ?1 AND start < ?2
                       UNION ALL SELECT line, body FROM ledger WHERE start IS NULL ORDER BY line";
            let mut statement = connection.prepare_cached(sql).map_err(&failed)?;
            let bounds = [start_text(interval_at(from) - INTERVAL), start_text(interval_at(to))];
            let mut found = statement.query(bounds).map_err(&failed)?;
            while let Some(row) = found.next().map_err(&failed)? {
                visit(&read_line(row).map_err(&failed)??)?;
            }
            Ok(())
        })
    }

    /// Hands over the lines of the ledger behind this one, in their order.
    pub fn book_behind(&self, line: u64, mut visit: impl FnMut(&Line)) -> Result<(), StoreError> {
        let pool = self.pool();
        let failed = StoreError::database(pool.path());
        pool.ask(|connection| {
            let sql = "SELECT line, body FROM ledger WHERE line > ?1 ORDER BY line";
            let mut statement = connection.prepare_cached(sql).map_err(&failed)?;
            let mut found = statement.query([line.cast_signed()]).map_err(&failed)?;
            while let Some(row) = found.next().map_err(&failed)? {
                visit(&read_line(row).map_err(&failed)??);
            }
            Ok(())
        })
    }

    /// The last catalog: what the gateway watches, or watched last.
    pub fn catalog(&self) -> Result<Option<Arc<Catalog>>, StoreError> {
        Ok(self.newest_catalog()?.map(|held| held.catalog))
    }

    /// The last catalog, with its hash.
    pub fn newest_catalog(&self) -> Result<Option<HeldCatalog>, StoreError> {
        let sql = "SELECT seq, sha256, wall FROM catalog ORDER BY seq DESC LIMIT 1";
        self.ask(|connection| {
            let newest = connection.query_row(sql, [], found).optional()?;
            newest.map(|found| self.held(connection, found)).transpose()
        })
    }

    /// The catalogs that were in force at some moment of `[from, to)`, oldest first.
    pub fn catalogs(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<HeldCatalog>, StoreError> {
        self.ask(|connection| {
            let sql = "SELECT seq, sha256, wall FROM (
                           SELECT seq, sha256, wall, filed, lead(filed) OVER (ORDER BY seq) AS ended FROM catalog)
                       WHERE filed < ?2 AND (ended IS NULL OR ended > ?1) ORDER BY seq";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![filed_text(from), filed_text(to)], found)?;
            rows.map(|row| self.held(connection, row?)).collect()
        })
    }

    fn held(&self, connection: &Connection, found: Found) -> Result<HeldCatalog, Failed> {
        let Found { seq, sha256, wall } = found;
        let since = wall.and_then(|text| text.parse().ok());
        let hash = sha256.parse().map_err(|fault| {
            Failed::Line("catalog", seq, <serde_json::Error as de::Error>::custom(fault))
        })?;
        let catalog = self.catalog_at(connection, seq, sha256)?;
        Ok(HeldCatalog { seq: Seq(seq.cast_unsigned()), since, sha256: hash, catalog })
    }

    fn catalog_at(
        &self,
        connection: &Connection,
        seq: i64,
        sha256: String,
    ) -> Result<Arc<Catalog>, Failed> {
        let mut kept = self.shared.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((hash, catalog)) = &*kept
            && *hash == sha256
        {
            return Ok(Arc::clone(catalog));
        }
        let body: String =
            connection
                .query_row("SELECT body FROM catalog WHERE seq = ?1", [seq], |row| row.get(0))?;
        let catalog = Arc::new(understood("catalog", seq, &body)?);
        *kept = Some((sha256, Arc::clone(&catalog)));
        Ok(catalog)
    }

    /// The text of a catalog, which its hash is of.
    pub fn catalog_text(&self, seq: Seq) -> Result<String, StoreError> {
        let sql = "SELECT body FROM catalog WHERE seq = ?1";
        let seq = seq.0.cast_signed();
        self.ask(|connection| Ok(connection.query_row(sql, [seq], |row| row.get(0))?))
    }

    /// The changes of the ledger's key, as they stand in it, also those that nothing stands behind.
    pub fn key_lines(&self) -> Result<Vec<Line>, StoreError> {
        self.posted("key")
    }

    /// Walks both hash chains from their first line and names the first line of each that does not fit.
    pub fn verify(&self) -> Result<ChainReport, StoreError> {
        self.ask(|connection| {
            // One transaction, so that lines that are added meanwhile are not seen by half.
            let transaction = connection.unchecked_transaction()?;
            let heads = Heads::read(&transaction)?;
            let (journal, told) = walk_journal(&transaction, &heads)?;
            let ledger = walk_ledger(&transaction, &heads)?;
            let altered_catalogs = altered_catalogs(&transaction, &told)?;
            Ok(ChainReport { journal, ledger, altered_catalogs })
        })
    }

    /// The keys of the ledger. A change that does not follow from those before it is left out, and told of with its line.
    pub fn keys(&self) -> Result<(Keys, Vec<(u64, Untrusted)>), StoreError> {
        let (mut keys, mut faults) = (Keys::default(), Vec::new());
        for line in self.posted("key")? {
            if let Entry::Posting(Posting::Key(change)) = &line.entry
                && let Err(fault) = keys.take(change)
            {
                faults.push((line.line, fault));
            }
        }
        Ok((keys, faults))
    }

    /// All lines of one kind of posting.
    pub(crate) fn posted(&self, kind: &str) -> Result<Vec<Line>, StoreError> {
        let pool = self.pool();
        pool.ask(|connection| {
            let failed = StoreError::database(pool.path());
            let sql =
                "SELECT line, body FROM ledger WHERE start IS NULL AND entry = ?1 ORDER BY line";
            let mut statement = connection.prepare_cached(sql).map_err(&failed)?;
            let mut found = statement.query([kind]).map_err(&failed)?;
            let mut lines = Vec::new();
            while let Some(row) = found.next().map_err(&failed)? {
                lines.push(read_line(row).map_err(&failed)??);
            }
            Ok(lines)
        })
    }

    /// The chain of the ledger up to a line; `None` when it is shorter.
    pub fn chain_at(&self, line: u64) -> Result<Option<Chain>, StoreError> {
        if line == 0 {
            return Ok(Some(Chain::empty(LEDGER)));
        }
        self.ask(|connection| {
            let sql = "SELECT hash FROM ledger WHERE line = ?1";
            let found = connection
                .query_row(sql, [line.cast_signed()], |row| row.get::<_, String>(0))
                .optional()?;
            let hash = |text: String| {
                text.parse().map_err(|fault| {
                    let fault = <serde_json::Error as de::Error>::custom(fault);
                    Failed::Line(LEDGER, line.cast_signed(), fault)
                })
            };
            Ok(found.map(hash).transpose()?.map(|head| Chain { lines: line, head }))
        })
    }

    /// The end of the ledger's chain.
    pub fn ledger_head(&self) -> Result<Chain, StoreError> {
        self.ask(|connection| Ok(Heads::read(connection)?.ledger))
    }

    /// The ends of both chains as they stood together, on some day.
    pub fn anchor(&self, day: NaiveDate) -> Result<Anchor, StoreError> {
        self.ask(|connection| {
            let Heads { ledger, journal, .. } = Heads::read(connection)?;
            Ok(Anchor { day, ledger, journal })
        })
    }

    /// The anchors that were noted from `from` until before `to`, oldest first.
    pub fn anchors(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<Anchor>, StoreError> {
        let lines = self.ask(|connection| {
            journal_lines(
                connection,
                "SELECT line, body, hash FROM journal INDEXED BY journal_by_time
                 WHERE filed >= ?1 AND filed < ?2 AND kind = 'anchor' ORDER BY line",
                [filed_text(from), filed_text(to)],
            )
        })?;
        Ok(lines.into_iter().filter_map(anchor_of).collect())
    }

    /// The last anchor that was noted.
    pub fn newest_anchor(&self) -> Result<Option<Anchor>, StoreError> {
        let lines = self.ask(|connection| {
            journal_lines(
                connection,
                "SELECT line, body, hash FROM journal WHERE kind = 'anchor' ORDER BY line DESC LIMIT 1",
                [],
            )
        })?;
        Ok(lines.into_iter().find_map(anchor_of))
    }

    /// What the directory holds and how far it got.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let mut stats = self.ask(|connection| {
            let heads = Heads::read(connection)?;
            Ok(Stats {
                applied: heads.applied,
                journal_lines: heads.journal.lines,
                ledger_lines: heads.ledger.lines,
                ..Stats::default()
            })
        })?;
        let dir = self.dir();
        measure(dir, &mut stats).map_err(|fault| StoreError::io("read", dir, fault))?;
        stats.history = self.samples()?.stats()?;
        Ok(stats)
    }

    /// What is kept of these points from `from` until before `to`, also what is only in the log yet, in the order asked. A
    /// point of which nothing is kept has no series.
    pub fn history(
        &self,
        points: &[Arc<str>],
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        resolution: Resolution,
    ) -> Result<Vec<Series>, StoreError> {
        self.samples()?.query(points, from, to, resolution)
    }

    fn samples(&self) -> Result<HistoryReader, StoreError> {
        let mut history = self.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(history) = &*history {
            return Ok(history.clone());
        }
        let log = LogReader::open(&self.dir().join("log"))?;
        Ok(history.insert(HistoryReader::new(self.dir(), log)).clone())
    }

    fn ask<T>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, Failed>,
    ) -> Result<T, StoreError> {
        let pool = &self.shared.ledger;
        pool.ask(|connection| question(connection).map_err(|failed| failed.at(pool.path())))
    }
}

/// Of the columns `line` and `body`.
fn read_line(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Line, StoreError>> {
    let line = row.get::<_, i64>(0)?.cast_unsigned();
    let body = row.get_ref(1)?.as_str()?;
    Ok(Line::read(body).map_err(|source| StoreError::BookLine { line, source }))
}

/// A line of the table of catalogs.
struct Found {
    seq: i64,
    sha256: String,
    wall: Option<String>,
}

fn found(row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found { seq: row.get(0)?, sha256: row.get(1)?, wall: row.get(2)? })
}

/// A question that failed, before it is said on which file.
enum Failed {
    Database(rusqlite::Error),
    Line(&'static str, i64, serde_json::Error),
}

impl Failed {
    fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Database(source) => StoreError::database(path)(source),
            Self::Line(table, line, source) => {
                StoreError::Line { table, line: line.cast_unsigned(), source }
            }
        }
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(fault: rusqlite::Error) -> Self {
        Self::Database(fault)
    }
}

fn understood<T: DeserializeOwned>(
    table: &'static str,
    line: i64,
    body: &str,
) -> Result<T, Failed> {
    serde_json::from_str(body).map_err(|fault| Failed::Line(table, line, fault))
}

/// A line as it lies in its table.
struct Stored {
    line: i64,
    body: String,
    hash: Hash,
}

impl Stored {
    /// From the columns line, body, hash.
    fn of(table: &'static str, row: &rusqlite::Row<'_>) -> Result<Self, Failed> {
        let line = row.get(0)?;
        let hash: String = row.get(2)?;
        let hash =
            hash.parse().map_err(|fault| Failed::Line(table, line, de::Error::custom(fault)))?;
        Ok(Self { line, body: row.get(1)?, hash })
    }
}

fn journal_lines(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<JournalLine>, Failed> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(values)?;
    let mut lines = Vec::new();
    while let Some(row) = found.next()? {
        let Stored { line, body, hash } = Stored::of(JOURNAL, row)?;
        let body: JournalBody = understood(JOURNAL, line, &body)?;
        lines.push(body.into_line(hash).map_err(|fault| Failed::Line(JOURNAL, line, fault))?);
    }
    Ok(lines)
}

fn anchor_of(line: JournalLine) -> Option<Anchor> {
    match line.entry {
        crate::journal::Entry::Event(Event { what: What::Anchor(anchor), .. }) => Some(anchor),
        _ => None,
    }
}

/// Works out the times of lines that were written before wall time was trusted.
fn assign_times(connection: &Connection, lines: &mut [JournalLine]) -> Result<(), Failed> {
    // The next line that has a time or is of another boot.
    let sql = "SELECT line, boot, at_us, wall FROM journal
               WHERE line > ?1 AND (wall IS NOT NULL OR boot <> ?2) ORDER BY line LIMIT 1";
    // Up to which line the last answer holds, and what it was.
    let mut known: (i64, Option<(i64, DateTime<Utc>)>) = (0, None);
    // From the oldest line on, so that one answer serves all lines before it.
    for line in lines.iter_mut().rev().filter(|line| line.wall.is_none()) {
        let number = line.line.cast_signed();
        if number >= known.0 {
            let boot = boot_text(line.boot);
            let mut statement = connection.prepare_cached(sql)?;
            let mut found = statement.query(params![number, boot])?;
            known = match found.next()? {
                Some(row) if row.get::<_, String>(1)? == boot => {
                    let wall = row.get::<_, String>(3)?.parse().ok();
                    (row.get(0)?, Some(row.get(2)?).zip(wall))
                }
                Some(row) => (row.get(0)?, None),
                None => (i64::MAX, None),
            };
        }
        let at_us = u64::from(line.at).cast_signed();
        line.assigned = known.1.and_then(|(later_us, wall)| {
            wall.checked_sub_signed(TimeDelta::microseconds(later_us.saturating_sub(at_us)))
        });
    }
    Ok(())
}

/// Also gives which catalogs the journal tells of, each with its place in the log.
fn walk_journal(
    connection: &Connection,
    heads: &Heads,
) -> Result<(ChainState, Vec<(Seq, Hash)>), Failed> {
    let mut told = Vec::new();
    let mut filed_before = String::new();
    let sql = "SELECT line, body, hash, filed FROM journal ORDER BY line";
    let state = walk(connection, JOURNAL, sql, &heads.journal, |row, body| {
        let Ok(filed) = row.get::<_, String>(3) else { return false };
        let Ok(body) = serde_json::from_str::<JournalBody>(body) else { return false };
        told.extend(body.catalog().map(|sha256| (body.seq, sha256)));
        let expected = body.wall.map_or_else(|| filed_before.clone(), filed_text);
        filed_before = expected;
        filed == filed_before && row.get(0) == Ok(body.line.cast_signed())
    })?;
    Ok((state, told))
}

fn walk_ledger(connection: &Connection, heads: &Heads) -> Result<ChainState, Failed> {
    let sql = "SELECT line, body, hash FROM ledger ORDER BY line";
    walk(connection, LEDGER, sql, &heads.ledger, |row, body| {
        Line::read(body).is_ok_and(|line| row.get(0) == Ok(line.line.cast_signed()))
    })
}

/// Walks one chain. `agrees` tells whether the body fits what stands beside it.
fn walk(
    connection: &Connection,
    table: &'static str,
    sql: &str,
    noted: &Chain,
    mut agrees: impl FnMut(&rusqlite::Row<'_>, &str) -> bool,
) -> Result<ChainState, Failed> {
    let mut statement = connection.prepare(sql)?;
    let mut found = statement.query([])?;
    let mut fits = Chain::empty(table);
    while let Some(row) = found.next()? {
        let line = row.get::<_, i64>(0)?.cast_unsigned();
        let before = fits;
        let taken = match Stored::of(table, row) {
            Ok(stored) => fits.take(line, stored.body.as_bytes(), stored.hash).and_then(|()| {
                let why = Misfit::Contradicted;
                agrees(row, &stored.body).then_some(()).ok_or(Broken { line, why })
            }),
            Err(Failed::Line(..)) => Err(Broken { line, why: Misfit::Altered }),
            Err(failed) => return Err(failed),
        };
        if let Err(broken) = taken {
            return Ok(ChainState { fits: before, broken: Some(broken) });
        }
    }
    Ok(ChainState { fits, broken: fits.ends_as(noted).err() })
}

fn altered_catalogs(connection: &Connection, told: &[(Seq, Hash)]) -> Result<Vec<Seq>, Failed> {
    let mut statement = connection.prepare("SELECT seq, body FROM catalog ORDER BY seq")?;
    let mut found = statement.query([])?;
    let mut altered = Vec::new();
    let mut there = Vec::new();
    while let Some(row) = found.next()? {
        let seq = Seq(row.get::<_, i64>(0)?.cast_unsigned());
        let body: String = row.get(1)?;
        let sha256 = Hash::of(body.as_bytes());
        if !told.contains(&(seq, sha256)) {
            altered.push(seq);
        }
        there.push(sha256);
    }
    altered.extend(told.iter().filter(|(_, sha256)| !there.contains(sha256)).map(|(seq, _)| *seq));
    altered.sort_unstable();
    altered.dedup();
    Ok(altered)
}

/// The first interval that begins at `at` or later.
fn interval_at(at: DateTime<Utc>) -> DateTime<Utc> {
    let start = interval_start(at);
    if start < at { start + INTERVAL } else { start }
}

/// Adds up what lies in the data directory, by part.
fn measure(dir: &Path, stats: &mut Stats) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let (bytes, files) = size_of(&entry)?;
        let part = match &*name {
            "log" => {
                stats.segments = files;
                &mut stats.log_bytes
            }
            "reserve" => &mut stats.reserve_bytes,
            "ledger.db" | "ledger.db-wal" | "ledger.db-shm" => &mut stats.ledger_bytes,
            "history.db" | "history.db-journal" => &mut stats.history_bytes,
            _ => &mut stats.other_bytes,
        };
        *part += bytes;
    }
    Ok(())
}

/// Bytes and number of the files in `entry`. What vanishes meanwhile counts nothing.
fn size_of(entry: &fs::DirEntry) -> io::Result<(u64, u64)> {
    let found = match entry.metadata() {
        Ok(found) => found,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok((0, 0)),
        Err(fault) => return Err(fault),
    };
    if !found.is_dir() {
        return Ok((found.len(), 1));
    }
    let mut sum = (0, 0);
    for inner in fs::read_dir(entry.path())? {
        let (bytes, files) = size_of(&inner?)?;
        sum = (sum.0 + bytes, sum.1 + files);
    }
    Ok(sum)
}
