//! One run as blocks: the log is read back once for each slice of series, so that no more than a slice is in memory.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    ops::Range,
};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    HistoryError, QUARTER_MS,
    block::{Values, decimals_of, encode_like, encode_times, encode_values},
    book::Book,
    columns::VALUES_MAX,
    database::{
        Mark, SeriesId, add_day, add_to_state, block_key, block_table, day_of, parts, state,
        times_key, times_table,
    },
    likeness::{Decimals, Line},
    merge,
    survey::Run,
};
use crate::{
    log::{LogReader, Placement},
    record::{Record, Seq},
};

/// Samples of a slice, at 16 bytes each.
const SLICE_SAMPLES: u64 = 1_000_000;

/// So many series before one are tried for telling it: about the points of one device.
const NEAR: usize = 8;

/// A series with so many parts in a bucket gets them joined.
const PARTS_MAX: u8 = 8;

/// Seals a run, with the mark that says so, in one transaction.
pub(super) fn seal(
    connection: &mut Connection,
    log: &LogReader,
    book: &mut Book,
    run: &Run,
) -> Result<(), HistoryError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut sealing = Sealing::new(&transaction)?;
    for slice in slices(&run.samples) {
        let buffers = gather(log, book, run, &slice, &mut sealing)?;
        for (series, buffer) in (slice.start..).zip(buffers) {
            sealing.store(series, buffer, false)?;
        }
    }
    sealing.finish()?;
    book.save(&transaction)?;
    run.to.save(&transaction)?;
    transaction.commit()?;
    book.saved();
    Ok(())
}

/// Ranges of series, each with about as many samples as a slice may have. At least one, which counts what has no time.
fn slices(samples: &[u32]) -> Vec<Range<SeriesId>> {
    let mut slices = Vec::new();
    let (mut start, mut inside) = (0, 0);
    for (series, count) in (0..).zip(samples) {
        if inside > 0 && inside + u64::from(*count) > SLICE_SAMPLES {
            slices.push(start..series);
            (start, inside) = (series, 0);
        }
        inside += u64::from(*count);
    }
    slices.push(start..SeriesId::try_from(samples.len()).unwrap_or(SeriesId::MAX));
    slices
}

#[derive(Debug)]
struct Buffer {
    times: Vec<i64>,
    values: Values,
}

/// Reads the samples of a slice from the log.
fn gather(
    log: &LogReader,
    book: &mut Book,
    run: &Run,
    slice: &Range<SeriesId>,
    sealing: &mut Sealing<'_>,
) -> Result<Vec<Buffer>, HistoryError> {
    let counts = run.samples.get(slice.start as usize..slice.end as usize).unwrap_or_default();
    let mut buffers: Vec<Buffer> = counts
        .iter()
        .map(|count| Buffer {
            times: Vec::with_capacity(*count as usize),
            values: Values::with_capacity(*count as usize),
        })
        .collect();
    let Mark { taken, cut_ms, .. } = run.to;
    let mut records = log.read(Seq((run.from.applied + 1).max(log.oldest().0)))?;
    while let Some(stamped) = records.next() {
        let stamped = stamped?;
        let seq = stamped.stamp.seq.0;
        if seq > taken {
            break;
        }
        let (Record::Frame(samples), Some(catalog)) = (stamped.record, records.catalog()) else {
            continue;
        };
        for sample in samples {
            let at_ms = match log.place(&stamped.stamp, &sample) {
                Placement::At(at_ms) => at_ms,
                Placement::NotYet | Placement::Never => {
                    sealing.unplaced += u64::from(slice.start == 0 && seq > run.from.taken);
                    continue;
                }
            };
            if at_ms >= cut_ms || run.from.has(seq, at_ms) {
                continue;
            }
            let Some(series) = book.series(catalog, sample.point) else { continue };
            let place = series.checked_sub(slice.start).map(|place| place as usize);
            if let Some(buffer) = place.and_then(|place| buffers.get_mut(place)) {
                buffer.times.push(at_ms);
                buffer.values.push(sample.value);
            }
        }
    }
    Ok(buffers)
}

/// A transaction that is filled with blocks.
struct Sealing<'a> {
    transaction: &'a Transaction<'a>,
    buckets: HashMap<i64, Bucket>,
    /// Days before this one are rolled up.
    rolled_day: i64,
    /// Raw samples of buckets before this one are no longer kept.
    raw_floor: i64,
    unplaced: u64,
    expired: u64,
}

/// What was added to a bucket.
struct Bucket {
    /// Other transactions have added to it: then series may have parts.
    existed: bool,
    next_times: i64,
    times: HashMap<Box<[u8]>, i64>,
    /// Blocks that were written last and can tell others: the numbers of their series and of their times.
    near: VecDeque<(SeriesId, i64, Decimals)>,
    /// The column that was used last, and its number: the next series is often from the same request.
    last: (Vec<i64>, i64),
    samples: u64,
    /// Of other transactions, written anew by this one.
    joined: u64,
    bytes: u64,
}

impl<'a> Sealing<'a> {
    fn new(transaction: &'a Transaction<'a>) -> Result<Self, HistoryError> {
        Ok(Self {
            transaction,
            buckets: HashMap::new(),
            rolled_day: state(transaction, "rolled_day")?,
            raw_floor: state(transaction, "raw_floor")?,
            unplaced: 0,
            expired: 0,
        })
    }

    /// `more`: the series has parts in the bucket that it begins with, also if the bucket is new.
    fn store(&mut self, series: SeriesId, buffer: Buffer, more: bool) -> Result<(), HistoryError> {
        let Buffer { mut times, mut values } = buffer;
        if !times.is_sorted_by(|one, next| one < next) {
            let mut samples = Vec::with_capacity(times.len());
            merge::extend(&mut samples, &times, &values);
            times.clear();
            values = Values::with_capacity(samples.len());
            for (at_ms, said) in merge::in_order(samples) {
                times.push(at_ms);
                values.push(said);
            }
        }
        let (mut from, mut before) = (0, None);
        while let Some(first) = times.get(from) {
            let bucket = first.div_euclid(QUARTER_MS);
            let ahead = times[from..].iter().take(VALUES_MAX);
            let length = ahead.take_while(|time| time.div_euclid(QUARTER_MS) == bucket).count();
            let to = from + length;
            if bucket < self.raw_floor {
                self.expired += length as u64;
            } else if from == 0 && to == times.len() {
                self.add(bucket, series, &times, &values, more)?;
            } else {
                // Also within this transaction a bucket can hold more samples of a series than fit into a block.
                let again = more || before == Some(bucket);
                self.add(bucket, series, &times[from..to], &values.part(from..to), again)?;
            }
            (from, before) = (to, Some(bucket));
        }
        Ok(())
    }

    fn add(
        &mut self,
        bucket: i64,
        series: SeriesId,
        times: &[i64],
        values: &Values,
        again: bool,
    ) -> Result<(), HistoryError> {
        let part = self.next_part(bucket, series, again)?;
        if part >= PARTS_MAX {
            return self.join_parts(bucket, series, times, values);
        }
        let column = self.times(bucket, times)?;
        let work = self.bucket(bucket)?;
        let data = work.encode(series, part, column, values)?;
        work.samples += times.len() as u64;
        work.bytes += data.len() as u64;
        let day = day_of(bucket);
        let sql = format!("INSERT INTO {} VALUES (?, ?, ?)", block_table(day));
        self.transaction.prepare_cached(&sql)?.execute(params![
            block_key(bucket, series, part),
            column,
            data
        ])?;
        if day < self.rolled_day {
            self.transaction
                .prepare_cached("INSERT OR IGNORE INTO stale VALUES (?, ?)")?
                .execute(params![day, series])?;
        }
        Ok(())
    }

    fn bucket(&mut self, bucket: i64) -> Result<&mut Bucket, HistoryError> {
        Ok(match self.buckets.entry(bucket) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Bucket::open(self.transaction, bucket)?),
        })
    }

    fn next_part(
        &mut self,
        bucket: i64,
        series: SeriesId,
        again: bool,
    ) -> Result<u8, HistoryError> {
        if !self.bucket(bucket)?.existed && !again {
            return Ok(0);
        }
        let (first, last) = (block_key(bucket, series, 0), block_key(bucket, series, u8::MAX));
        let block = block_table(day_of(bucket));
        let sql = format!("SELECT max(key) FROM {block} WHERE key BETWEEN ? AND ?");
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let newest: Option<i64> = statement.query_row([first, last], |row| row.get(0))?;
        Ok(newest.map_or(0, |newest| u8::try_from(newest - first + 1).unwrap_or(PARTS_MAX)))
    }

    /// Writes the parts of a series anew, with what is added to them, so that there are never many. The first one stays:
    /// it may tell other series.
    fn join_parts(
        &mut self,
        bucket: i64,
        series: SeriesId,
        times: &[i64],
        values: &Values,
    ) -> Result<(), HistoryError> {
        let mut samples = Vec::new();
        let mut before = 0;
        for (times, values) in parts(self.transaction, bucket, series)?.into_iter().skip(1) {
            before += times.len() as u64;
            merge::extend(&mut samples, &times, &values);
        }
        merge::extend(&mut samples, times, values);
        let (first, last) = (block_key(bucket, series, 1), block_key(bucket, series, u8::MAX));
        let sql = format!("DELETE FROM {} WHERE key BETWEEN ? AND ?", block_table(day_of(bucket)));
        self.transaction.prepare_cached(&sql)?.execute([first, last])?;
        let work = self.bucket(bucket)?;
        work.joined += before;
        let mut buffer = Buffer { times: Vec::new(), values: Values::with_capacity(samples.len()) };
        for (at_ms, said) in merge::in_order(samples) {
            buffer.times.push(at_ms);
            buffer.values.push(said);
        }
        self.store(series, buffer, true)
    }

    /// The number of a column of times; it is written when it is not there yet.
    fn times(&mut self, bucket: i64, times: &[i64]) -> Result<i64, HistoryError> {
        let transaction = self.transaction;
        let work = self.bucket(bucket)?;
        if work.last.0 == times {
            return Ok(work.last.1);
        }
        let data = encode_times(times, bucket * QUARTER_MS)?;
        let number = if let Some(number) = work.times.get(data.as_slice()) {
            *number
        } else {
            let number = work.next_times;
            work.next_times += 1;
            work.bytes += data.len() as u64;
            let sql = format!("INSERT INTO {} VALUES (?, ?)", times_table(day_of(bucket)));
            transaction.prepare_cached(&sql)?.execute(params![times_key(bucket, number), data])?;
            work.times.insert(data.into(), number);
            number
        };
        work.last = (times.to_vec(), number);
        Ok(number)
    }

    fn finish(&self) -> Result<(), HistoryError> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO bucket VALUES (?, ?, ?) ON CONFLICT (bucket) DO UPDATE \
             SET samples = samples + excluded.samples, bytes = bytes + excluded.bytes",
        )?;
        for (bucket, work) in &self.buckets {
            let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            let samples = number(work.samples) - number(work.joined);
            statement.execute(params![bucket, samples, number(work.bytes)])?;
        }
        add_to_state(self.transaction, "unplaced_samples", self.unplaced)?;
        add_to_state(self.transaction, "expired_samples", self.expired)
    }
}

impl Bucket {
    fn open(transaction: &Transaction<'_>, bucket: i64) -> Result<Self, HistoryError> {
        let existed: Option<i64> = transaction
            .prepare_cached("SELECT bucket FROM bucket WHERE bucket = ?")?
            .query_row([bucket], |row| row.get(0))
            .optional()?;
        let day = day_of(bucket);
        add_day(transaction, day)?;
        let next_times = transaction
            .prepare_cached(&format!(
                "SELECT coalesce(max(key) - ?1 + 1, 0) FROM {} WHERE key >= ?1 AND key < ?2",
                times_table(day)
            ))?
            .query_row([times_key(bucket, 0), times_key(bucket + 1, 0)], |row| row.get(0))?;
        Ok(Self {
            existed: existed.is_some(),
            next_times,
            times: HashMap::new(),
            near: VecDeque::with_capacity(NEAR),
            last: (Vec::new(), 0),
            samples: 0,
            joined: 0,
            bytes: 0,
        })
    }

    /// By itself, or by what another series says at the same times, whichever is shorter. What tells others is told by
    /// nobody, so that a reader needs two blocks at most.
    fn encode(
        &mut self,
        series: SeriesId,
        part: u8,
        times: i64,
        values: &Values,
    ) -> Result<Vec<u8>, HistoryError> {
        let alone = encode_values(values)?;
        let Some(column) = decimals_of(values).filter(|_| part == 0) else { return Ok(alone) };
        let lines = self.near.iter().filter(|(_, same, _)| *same == times);
        let told = lines
            .filter_map(|(other, _, decimals)| {
                let line = Line::fit(&decimals.multiples, &column.multiples)?;
                Some(encode_like(*other, decimals, line, &column))
            })
            .collect::<Result<Vec<_>, _>>()?;
        match told.into_iter().min_by_key(Vec::len) {
            Some(told) if told.len() < alone.len() => Ok(told),
            _ => {
                if self.near.len() == NEAR {
                    self.near.pop_front();
                }
                self.near.push_back((series, times, column));
                Ok(alone)
            }
        }
    }
}
