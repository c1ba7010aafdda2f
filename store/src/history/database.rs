//! `history.db`: its tables, and what is read and written in them. `FORMAT.md` says what they mean.

use std::{path::Path, sync::Arc, time::Duration};

use rules::plant::PointKind;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::{
    HistoryError, QUARTER_MS, Rollup,
    block::{Values, decode_like, decode_times, decode_values, told_by},
    rollup::{BUCKETS_A_DAY, DAY_MS, MINUTE_MS, decode_rows, encode_rows},
};
use crate::record::Seq;

pub(super) const FILE: &str = "history.db";

const VERSION: i64 = 3;

/// Most blocks have a few hundred bytes: on pages of half the size twice as much stays empty.
const PAGE_BYTES: i64 = 16_384;

const SCHEMA: &str = "
CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE series (
  series INTEGER PRIMARY KEY, point TEXT NOT NULL, unit TEXT NOT NULL, kind TEXT NOT NULL,
  UNIQUE (point, unit, kind));
CREATE TABLE bucket (bucket INTEGER PRIMARY KEY, samples INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TABLE minute (key INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE quarter (key INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE stale (day INTEGER NOT NULL, series INTEGER NOT NULL, PRIMARY KEY (day, series)) WITHOUT ROWID;
";

/// Tables of their own for the blocks of a day, in UTC. One that is dropped is not written to page by page, as it is when
/// its rows are deleted: what is a day's work for the disk then costs nothing.
pub(super) fn add_day(connection: &Connection, day: i64) -> Result<(), HistoryError> {
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {} (key INTEGER PRIMARY KEY, data BLOB NOT NULL);
         CREATE TABLE IF NOT EXISTS {} (key INTEGER PRIMARY KEY, times INTEGER NOT NULL, data BLOB NOT NULL);",
        times_table(day),
        block_table(day),
    ))?;
    Ok(())
}

/// For days before 1970 the name needs its quotes.
pub(super) fn block_table(day: i64) -> String {
    format!("\"block_{day}\"")
}

pub(super) fn times_table(day: i64) -> String {
    format!("\"times_{day}\"")
}

/// The day that a bucket lies in.
pub(super) fn day_of(bucket: i64) -> i64 {
    bucket.div_euclid(BUCKETS_A_DAY)
}

/// Stable number of a point with its unit and kind.
pub(super) type SeriesId = u32;

/// Keys put time first, so that what is sealed together lies together and is written at the end of a table. They are
/// single integers, because SQLite keeps a blob of up to a page beside such a key, and fills pages that grow at the end.
pub(super) fn block_key(bucket: i64, series: SeriesId, part: u8) -> i64 {
    (bucket << 40) + (i64::from(series) << 8) + i64::from(part)
}

/// Of a column of times.
pub(super) fn times_key(bucket: i64, number: i64) -> i64 {
    (bucket << 40) + number
}

/// Of the rollups of a day.
pub(super) fn day_key(day: i64, series: SeriesId) -> i64 {
    (day << 32) + i64::from(series)
}

pub(super) fn day_of_key(key: i64) -> i64 {
    key >> 32
}

/// Opens the database for the one thread that writes it, and makes it when it is not there.
pub(super) fn open_to_write(path: &Path) -> Result<Connection, HistoryError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // Only before the first table; without effect on a file that has some.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    // A bucket is one transaction of pages that are new. A rollback journal keeps pages as they were, so new ones are
    // written once; a write-ahead log would have them twice. Truncated rather than deleted, it is gone durably.
    connection.pragma_update(None, "journal_mode", "TRUNCATE")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Readers are kept out while pages are written: that is to be the end of a transaction, not most of it.
    connection.pragma_update(None, "cache_spill", false)?;
    connection.pragma_update(None, "cache_size", -8192)?;
    match version(&connection)? {
        0 => {
            connection.execute_batch(&format!(
                "BEGIN IMMEDIATE;{SCHEMA}PRAGMA user_version={VERSION};COMMIT;"
            ))?;
        }
        VERSION => {}
        found => return Err(HistoryError::Version { found, known: VERSION }),
    }
    Ok(connection)
}

/// The last record of the log of which anything is in blocks; zero when that cannot be told. A log that is begun anew
/// goes on behind it.
pub(crate) fn last_sealed(dir: &Path) -> Seq {
    let read = || -> Result<Mark, HistoryError> {
        Mark::load(&Connection::open_with_flags(dir.join(FILE), OpenFlags::SQLITE_OPEN_READ_WRITE)?)
    };
    Seq(read().map_or(0, |mark| mark.taken))
}

/// Whether a database that was opened for reading has nothing in it yet.
pub(super) fn is_new(connection: &Connection) -> Result<bool, HistoryError> {
    match version(connection)? {
        0 => Ok(true),
        VERSION => Ok(false),
        found => Err(HistoryError::Version { found, known: VERSION }),
    }
}

fn version(connection: &Connection) -> Result<i64, HistoryError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// A number of the `state` table, zero when it was never set.
pub(super) fn state(connection: &Connection, name: &str) -> Result<i64, HistoryError> {
    let mut statement = connection.prepare_cached("SELECT value FROM state WHERE name = ?")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?.unwrap_or(0))
}

pub(super) fn set_state(
    connection: &Connection,
    name: &str,
    value: i64,
) -> Result<(), HistoryError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO state VALUES (?, ?)")?
        .execute(params![name, value])?;
    Ok(())
}

pub(super) fn add_to_state(
    connection: &Connection,
    name: &str,
    more: u64,
) -> Result<(), HistoryError> {
    if more == 0 {
        return Ok(());
    }
    let sum = state(connection, name)?.saturating_add(i64::try_from(more).unwrap_or(i64::MAX));
    set_state(connection, name, sum)
}

/// Up to where the log is in blocks. A sample is in one exactly when its record is at most `taken` and its time is
/// before `cut_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Every sample of every record up to here is in a block.
    pub(super) applied: u64,
    pub(super) taken: u64,
    /// `i64::MAX`: all samples of the records up to `taken`.
    pub(super) cut_ms: i64,
}

impl Mark {
    pub(super) const START: Self = Self { applied: 0, taken: 0, cut_ms: i64::MAX };

    pub(super) fn has(&self, seq: u64, at_ms: i64) -> bool {
        seq <= self.taken && at_ms < self.cut_ms
    }

    pub(super) fn load(connection: &Connection) -> Result<Self, HistoryError> {
        let number = |name| Ok::<_, HistoryError>(state(connection, name)?.cast_unsigned());
        let taken = number("taken_seq")?;
        if taken == 0 {
            return Ok(Self::START);
        }
        Ok(Self { applied: number("applied_seq")?, taken, cut_ms: state(connection, "cut_ms")? })
    }

    pub(super) fn save(&self, connection: &Connection) -> Result<(), HistoryError> {
        set_state(connection, "applied_seq", self.applied.cast_signed())?;
        set_state(connection, "taken_seq", self.taken.cast_signed())?;
        set_state(connection, "cut_ms", self.cut_ms)
    }
}

/// A point as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SeriesKey {
    pub(super) point: Arc<str>,
    pub(super) unit: Arc<str>,
    pub(super) kind: &'static str,
}

pub(super) fn kind_word(kind: PointKind) -> &'static str {
    match kind {
        PointKind::Gauge => "gauge",
        PointKind::Counter => "counter",
        PointKind::State => "state",
        PointKind::Text => "text",
    }
}

pub(super) fn kind_of(word: &str) -> PointKind {
    match word {
        "counter" => PointKind::Counter,
        "state" => PointKind::State,
        "text" => PointKind::Text,
        _ => PointKind::Gauge,
    }
}

pub(super) fn all_series(
    connection: &Connection,
) -> Result<Vec<(SeriesId, SeriesKey)>, HistoryError> {
    let mut statement = connection.prepare("SELECT series, point, unit, kind FROM series")?;
    let rows = statement.query_map([], read_series)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Those of one point: more than one when its unit or kind was changed.
pub(super) fn series_of(
    connection: &Connection,
    point: &str,
) -> Result<Vec<(SeriesId, SeriesKey)>, HistoryError> {
    let sql = "SELECT series, point, unit, kind FROM series WHERE point = ? ORDER BY series";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([point], read_series)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read_series(row: &rusqlite::Row<'_>) -> rusqlite::Result<(SeriesId, SeriesKey)> {
    let kind: String = row.get(3)?;
    let key = SeriesKey { point: row.get(1)?, unit: row.get(2)?, kind: kind_word(kind_of(&kind)) };
    Ok((row.get(0)?, key))
}

pub(super) fn add_series(
    connection: &Connection,
    id: SeriesId,
    key: &SeriesKey,
) -> Result<(), HistoryError> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO series VALUES (?, ?, ?, ?)")?
        .execute(params![id, key.point, key.unit, key.kind])?;
    Ok(())
}

/// Buckets that hold anything, out of a range.
pub(super) fn buckets_in(
    connection: &Connection,
    from_bucket: i64,
    to_bucket: i64,
) -> Result<Vec<i64>, HistoryError> {
    let sql = "SELECT bucket FROM bucket WHERE bucket BETWEEN ? AND ? ORDER BY bucket";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([from_bucket, to_bucket], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The parts of one series in one bucket that was sealed, first written first.
pub(super) fn parts(
    connection: &Connection,
    bucket: i64,
    series: SeriesId,
) -> Result<Vec<(Vec<i64>, Values)>, HistoryError> {
    let (block, times) = (block_table(day_of(bucket)), times_table(day_of(bucket)));
    let mut statement = connection.prepare_cached(&format!(
        "SELECT times.data, block.data FROM {block} block JOIN {times} times ON times.key = ? + block.times \
         WHERE block.key BETWEEN ? AND ? ORDER BY block.key",
    ))?;
    let (first, last) = (block_key(bucket, series, 0), block_key(bucket, series, u8::MAX));
    let mut rows = statement.query([times_key(bucket, 0), first, last])?;
    let mut parts = Vec::new();
    while let Some(row) = rows.next()? {
        let blob = |column: usize| row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from);
        let times = decode_times(blob(0)?, bucket * QUARTER_MS)?;
        let values = match told_by(blob(1)?)? {
            None => decode_values(blob(1)?)?,
            Some(other) => decode_like(blob(1)?, &first_block(connection, bucket, other)?)?,
        };
        if times.len() != values.len() {
            return Err(super::Damaged("has times for other values").into());
        }
        parts.push((times, values));
    }
    Ok(parts)
}

/// The first part of a series, as it is written.
fn first_block(
    connection: &Connection,
    bucket: i64,
    series: SeriesId,
) -> Result<Vec<u8>, HistoryError> {
    let sql = format!("SELECT data FROM {} WHERE key = ?", block_table(day_of(bucket)));
    let mut statement = connection.prepare_cached(&sql)?;
    let data = statement.query_row([block_key(bucket, series, 0)], |row| row.get(0)).optional()?;
    Ok(data.ok_or(super::Damaged("is told by one that is not there"))?)
}

/// One of the two lengths of rollups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Minute,
    Quarter,
}

impl Length {
    pub(super) fn ms(self) -> i64 {
        match self {
            Self::Minute => MINUTE_MS,
            Self::Quarter => QUARTER_MS,
        }
    }

    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Quarter => "quarter",
        }
    }
}

/// The rows of one series and day, since 1970; none when it was not rolled up.
pub(super) fn rollups(
    connection: &Connection,
    length: Length,
    day: i64,
    series: SeriesId,
) -> Result<Vec<Rollup>, HistoryError> {
    let sql = format!("SELECT data FROM {} WHERE key = ?", length.table());
    let mut statement = connection.prepare_cached(&sql)?;
    let data: Option<Vec<u8>> =
        statement.query_row([day_key(day, series)], |row| row.get(0)).optional()?;
    Ok(data.map_or_else(|| Ok(Vec::new()), |data| decode_rows(&data, day * DAY_MS, length.ms()))?)
}

pub(super) fn put_rollups(
    connection: &Connection,
    length: Length,
    day: i64,
    series: SeriesId,
    rows: &[Rollup],
) -> Result<(), HistoryError> {
    let data = encode_rows(rows, day * DAY_MS, length.ms())?;
    let sql = format!("INSERT OR REPLACE INTO {} VALUES (?, ?)", length.table());
    connection.prepare_cached(&sql)?.execute(params![day_key(day, series), data])?;
    Ok(())
}
