//! What goes when: by age, and for want of room.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    HistoryError, QUARTER_MS, Retention,
    database::{
        Length, SeriesId, add_to_state, block_key, block_table, day_key, day_of, day_of_key,
        set_state, state, times_table,
    },
    roll::roll_before_dropping,
    rollup::{BUCKETS_A_DAY, DAY_MS},
};
use crate::{log::LogReader, record::Seq};

/// Says which record of the log is the first that is still needed; `None`: none is.
pub type Pin = Arc<dyn Fn() -> Option<Seq> + Send + Sync>;

/// Who still needs the log. Clones share one list.
#[derive(Clone, Default)]
pub struct Pins(Arc<Mutex<Vec<(Hold, Pin)>>>);

/// How strongly somebody needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// A projection: without the record something that is kept for good would be missing.
    Always,
    /// A sink: as long as there is room.
    WhileThereIsRoom,
}

impl Pins {
    pub fn add(&self, hold: Hold, pin: Pin) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((hold, pin));
    }

    /// Records before this one are needed by nobody who holds so strongly.
    fn first_needed(&self, holds: &[Hold]) -> Seq {
        let pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = pins.iter().filter(|(hold, _)| holds.contains(hold));
        held.filter_map(|(_, pin)| pin()).min().unwrap_or(Seq(u64::MAX))
    }
}

impl std::fmt::Debug for Pins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pins").finish_non_exhaustive()
    }
}

/// After a leap of the clock, age moves on by no more than this a run: a wrong clock must not delete what is young.
const AGE_STEP_MS: i64 = 2 * QUARTER_MS;

/// Of one attempt to make room.
const ROUNDS: usize = 200;

/// Everything in a folder and below, in bytes.
pub(super) fn directory_bytes(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // The log deletes files beside us.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        bytes += if metadata.is_dir() { directory_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// Of the files whose names begin so.
pub(super) fn bytes_of(dir: &Path, prefix: &str) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            bytes += entry.metadata().map_or(0, |metadata| metadata.len());
        }
    }
    Ok(bytes)
}

/// What a pass over the limits works on.
pub(super) struct Keeper<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) log: &'a LogReader,
    pub(super) pins: &'a Pins,
    pub(super) retention: &'a Retention,
    pub(super) dir: &'a Path,
    /// How many series there are.
    pub(super) series: SeriesId,
}

impl Keeper<'_> {
    /// Deletes segments of the log that everybody is done with.
    pub(super) fn release_log(&self) -> Result<u64, HistoryError> {
        let needed = self.pins.first_needed(&[Hold::Always, Hold::WhileThereIsRoom]);
        self.drop_log_before(needed)
    }

    fn drop_log_before(&self, seq: Seq) -> Result<u64, HistoryError> {
        let applied = Seq(state(self.connection, "applied_seq")?.cast_unsigned() + 1);
        let mut before = seq.min(applied);
        if before <= self.log.oldest() {
            return Ok(0);
        }
        // A restart goes on from there.
        if let Some(checkpoint) = self.log.last_checkpoint()? {
            before = before.min(checkpoint.stamp.seq);
        }
        Ok(self.log.drop_before(before)?)
    }

    /// What is older than it should be goes.
    pub(super) fn age(&mut self, sealed_ms: i64) -> Result<(), HistoryError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = state(&transaction, "age_ms")?;
        let now_ms = match before {
            0 => sealed_ms,
            before => sealed_ms.clamp(before, before.saturating_add(AGE_STEP_MS)),
        };
        let edge = |keep: Duration| {
            now_ms.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX))
        };
        set_state(&transaction, "age_ms", now_ms)?;
        let raw = edge(self.retention.keep_raw).div_euclid(DAY_MS);
        drop_raw_before(&transaction, raw * BUCKETS_A_DAY, self.series)?;
        let minutes = edge(self.retention.keep_minutes).div_euclid(DAY_MS);
        drop_days_before(&transaction, Length::Minute, minutes)?;
        let quarters = edge(self.retention.keep_quarters).div_euclid(DAY_MS);
        drop_days_before(&transaction, Length::Quarter, quarters)?;
        transaction.commit()?;
        Ok(())
    }

    /// Sees to it that the next bucket fits under the cap: the oldest raw samples go first, then the oldest minute
    /// rollups. Log that only sinks still wait for goes when it is older than all raw samples that are left. Journal and
    /// ledger never go.
    pub(super) fn make_room(&mut self) -> Result<(), HistoryError> {
        for _ in 0..ROUNDS {
            let Some(excess) = self.excess()? else { return Ok(()) };
            let freed = self.drop_old_log()?
                || self.drop_oldest_raw(excess)?
                || self.drop_oldest_minutes()?
                || self.drop_any_log()?;
            if !freed {
                return Ok(());
            }
        }
        Ok(())
    }

    /// By how much the directory is too large for one more bucket, free pages of the database not counted; `None`: it is
    /// not. Gives free pages back to the file system when the directory is too large with them.
    fn excess(&mut self) -> Result<Option<u64>, HistoryError> {
        let pragma =
            |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let free = (pragma("freelist_count")? * pragma("page_size")?).cast_unsigned();
        // While the reserve is held back there is a file of that size; once given up, its room is still not ours.
        let held = bytes_of(self.dir, "reserve")?;
        let reserved = self.retention.reserve_bytes.saturating_sub(held);
        let limit = self.retention.cap_bytes.saturating_sub(reserved);
        let last: i64 = self
            .connection
            .prepare_cached(
                "SELECT coalesce((SELECT bytes FROM bucket ORDER BY bucket DESC LIMIT 1), 0)",
            )?
            .query_row([], |row| row.get(0))?;
        // Once in the database, with the pages around them, and what is changed of older pages in its journal.
        let needed = last.cast_unsigned() * 3 / 2;
        let total = directory_bytes(self.dir)?;
        let excess = (total.saturating_sub(free) + needed).saturating_sub(limit);
        if excess > 0 {
            return Ok(Some(excess));
        }
        if total + needed > limit && free > 0 {
            // Each step gives back one page.
            let mut vacuum = self.connection.prepare("PRAGMA incremental_vacuum")?;
            let mut pages = vacuum.query([])?;
            while pages.next()?.is_some() {}
            drop(pages);
            drop(vacuum);
        }
        Ok(None)
    }

    fn oldest_raw_ms(&self) -> Result<Option<i64>, HistoryError> {
        let mut statement = self.connection.prepare_cached("SELECT min(bucket) FROM bucket")?;
        let oldest: Option<i64> = statement.query_row([], |row| row.get(0))?;
        Ok(oldest.map(|bucket| bucket * QUARTER_MS))
    }

    /// The oldest day; of the only one, as many buckets as are too much.
    fn drop_oldest_raw(&mut self, excess: u64) -> Result<bool, HistoryError> {
        let sql = "SELECT min(bucket), max(bucket) FROM bucket";
        let range: (Option<i64>, Option<i64>) =
            self.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (Some(oldest), Some(newest)) = range else { return Ok(false) };
        let next_day = (day_of(oldest) + 1) * BUCKETS_A_DAY;
        let floor = if next_day <= newest { next_day } else { self.floor_to_free(excess)? };
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let samples = drop_raw_before(&transaction, floor, self.series)?;
        add_to_state(&transaction, "capped_samples", samples)?;
        transaction.commit()?;
        Ok(true)
    }

    /// The bucket before which at least so many bytes of columns lie, or all.
    fn floor_to_free(&self, excess: u64) -> Result<i64, HistoryError> {
        let mut statement =
            self.connection.prepare_cached("SELECT bucket, bytes FROM bucket ORDER BY bucket")?;
        let mut rows = statement.query([])?;
        let (mut floor, mut bytes) = (i64::MIN, 0);
        while bytes < excess
            && let Some(row) = rows.next()?
        {
            floor = row.get::<_, i64>(0)? + 1;
            bytes += row.get::<_, i64>(1)?.cast_unsigned();
        }
        Ok(floor)
    }

    fn drop_oldest_minutes(&mut self) -> Result<bool, HistoryError> {
        let today = state(self.connection, "raw_floor")?.div_euclid(BUCKETS_A_DAY);
        let oldest: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(key) FROM minute WHERE key < ?")?
            .query_row([day_key(today, 0)], |row| row.get(0))?;
        let Some(day) = oldest.map(day_of_key) else { return Ok(false) };
        drop_days_before(self.connection, Length::Minute, day + 1)?;
        add_to_state(self.connection, "capped_minute_days", 1)?;
        Ok(true)
    }

    /// Log that only sinks wait for and that is older than all raw samples.
    fn drop_old_log(&mut self) -> Result<bool, HistoryError> {
        let mut records = self.log.read_without_frames(self.log.oldest())?;
        let Some(first) = records.next().transpose()? else { return Ok(false) };
        let raw_ms = self.oldest_raw_ms()?.unwrap_or(i64::MAX);
        let older = first.stamp.trust.is_trusted() && first.stamp.wall.timestamp_millis() < raw_ms;
        if older { self.drop_any_log() } else { Ok(false) }
    }

    fn drop_any_log(&mut self) -> Result<bool, HistoryError> {
        let applied = Seq(state(self.connection, "applied_seq")?.cast_unsigned() + 1);
        let needed = self.pins.first_needed(&[Hold::Always]).min(applied);
        let oldest = self.log.oldest().0;
        // The older eighth of it; where that is not a whole segment, all.
        let some = Seq(oldest + needed.0.saturating_sub(oldest) / 8);
        let mut freed = self.drop_log_before(some)?;
        if freed == 0 {
            freed = self.drop_log_before(needed)?;
        }
        add_to_state(self.connection, "capped_log_bytes", freed)?;
        Ok(freed > 0)
    }
}

/// Drops all raw samples before a bucket, and says how many. Their rollups are there before.
fn drop_raw_before(
    transaction: &Transaction<'_>,
    floor: i64,
    series: SeriesId,
) -> Result<u64, HistoryError> {
    let (first, last, samples): (Option<i64>, Option<i64>, i64) = transaction
        .prepare_cached(
            "SELECT min(bucket), max(bucket), coalesce(sum(samples), 0) FROM bucket WHERE bucket < ?",
        )?
        .query_row([floor], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(0) };
    roll_before_dropping(transaction, first, last, series)?;
    for day in days_with_tables(transaction)?.into_iter().filter(|day| *day <= day_of(floor)) {
        for table in [block_table(day), times_table(day)] {
            if day < day_of(floor) {
                transaction.execute_batch(&format!("DROP TABLE {table}"))?;
            } else {
                let sql = format!("DELETE FROM {table} WHERE key < ?");
                transaction.execute(&sql, [block_key(floor, 0, 0)])?;
            }
        }
    }
    transaction.execute("DELETE FROM bucket WHERE bucket < ?", [floor])?;
    set_state(transaction, "raw_floor", floor)?;
    Ok(samples.cast_unsigned())
}

fn days_with_tables(connection: &Connection) -> Result<Vec<i64>, HistoryError> {
    let sql = "SELECT CAST(substr(name, 7) AS INTEGER) FROM sqlite_master WHERE type = 'table' AND name GLOB 'block_*'";
    let mut statement = connection.prepare_cached(sql)?;
    let days = statement.query_map([], |row| row.get(0))?;
    Ok(days.collect::<Result<_, _>>()?)
}

fn drop_days_before(connection: &Connection, length: Length, day: i64) -> Result<(), HistoryError> {
    let table = length.table();
    connection.execute(&format!("DELETE FROM {table} WHERE key < ?"), [day_key(day, 0)])?;
    Ok(())
}
