//! Questions: sealed blocks, and behind them what is only in the log.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use rules::id::PointId;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{
    HistoryError, HistoryStats, QUARTER_MS, RawRow, Resolution, Rollup, Rows, Series,
    database::{
        self, FILE, Length, Mark, SeriesId, SeriesKey, buckets_in, day_of_key, is_new, kind_of,
        kind_word, rollups, series_of, state,
    },
    merge::{self, Timed},
    retention::bytes_of,
    roll::day_rows,
    rollup::DAY_MS,
};
use crate::{
    error::StoreError,
    log::{LogReader, Placement},
    pool::Pool,
    record::{Catalog, Record, Seq},
};

/// Answers questions beside a running gateway. Calls block on files; clones share their connections.
#[derive(Clone, Debug)]
pub struct HistoryReader {
    dir: PathBuf,
    log: LogReader,
    database: Arc<Pool>,
    /// Of the last question.
    kept: Arc<Mutex<Option<Tail>>>,
}

/// So many points, with so many samples in all, are kept for the next question.
const KEPT_POINTS: usize = 1000;
const KEPT_SAMPLES: usize = 250_000;

/// What is asked: `from_ms <= time < to_ms`.
struct Asked<'a> {
    points: &'a [Arc<str>],
    from_ms: i64,
    to_ms: i64,
    resolution: Resolution,
}

/// Samples that are not in blocks yet, in the order of the log.
type Samples = HashMap<SeriesKey, Vec<Timed>>;

impl HistoryReader {
    /// Of the data directory in which `history.db` is, or will be.
    pub fn new(dir: &Path, log: LogReader) -> Self {
        let database = Pool::new(dir.join(FILE), |connection, path| {
            let fault = |fault: HistoryError| StoreError::from(fault);
            if is_new(connection).map_err(fault)? {
                return Err(StoreError::Absent { path: path.to_owned() });
            }
            Ok(())
        });
        Self { dir: dir.to_owned(), log, database: Arc::new(database), kept: Arc::default() }
    }

    /// What is kept of these points from `from` until before `to`, in the order asked. A point without anything has no
    /// series. Rollups are those that begin in that time, and the one in which `from` lies.
    pub fn query(
        &self,
        points: &[Arc<str>],
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        resolution: Resolution,
    ) -> Result<Vec<Series>, StoreError> {
        let mut from_ms = from.timestamp_millis();
        let mut to_ms = to.timestamp_millis();
        if let Some(length) = length_of(resolution) {
            from_ms -= from_ms.rem_euclid(length.ms());
            // A row that has begun is shown whole.
            to_ms = to_ms.saturating_add(length.ms() - 1);
            to_ms -= to_ms.rem_euclid(length.ms());
        }
        let asked = Asked { points, from_ms, to_ms, resolution };
        loop {
            // One picture of the database: what it does not have is in the log, unless that was dropped meanwhile.
            let asking = self.database.ask(|connection| {
                let transaction = connection.unchecked_transaction().map_err(HistoryError::from)?;
                let mark = Mark::load(&transaction)?;
                let tail = self.tail(mark, &asked)?;
                let gone = self.log.oldest().0 > mark.applied + 1;
                let series = answer(Some(&transaction), &asked, &tail)?;
                Ok((mark, gone, series))
            });
            match asking {
                Ok((mark, true, _)) if self.mark()? != mark => {}
                Ok((_, _, series)) => return Ok(series),
                Err(StoreError::Absent { .. }) => {
                    let tail = self.tail(Mark::START, &asked)?;
                    return Ok(answer(None, &asked, &tail)?);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn mark(&self) -> Result<Mark, StoreError> {
        self.database.ask(|connection| Ok(Mark::load(connection)?))
    }

    /// What the mark does not cover, of the points and the time asked for. The log holds all points of a second together,
    /// so a question for one reads them all; what was found is kept for the next question, which reads only what is new.
    fn tail(&self, mark: Mark, asked: &Asked<'_>) -> Result<Samples, HistoryError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut tail = match kept {
            Some(tail) if tail.mark == mark && tail.covers(asked.points) => tail,
            Some(tail) if tail.points.len() + asked.points.len() <= KEPT_POINTS => {
                Tail::new(mark, tail.points.iter().chain(asked.points))
            }
            _ => Tail::new(mark, asked.points),
        };
        tail.read(&self.log)?;
        let samples = tail.of(asked);
        if tail.complete && tail.count <= KEPT_SAMPLES {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(tail);
        }
        Ok(samples)
    }

    /// How much there is, and what had to go.
    pub fn stats(&self) -> Result<HistoryStats, StoreError> {
        let bytes = bytes_of(&self.dir, FILE).map_err(HistoryError::from)?;
        match self.database.ask(|connection| Ok(read_stats(connection, bytes)?)) {
            Err(StoreError::Absent { .. }) => Ok(HistoryStats { bytes, ..HistoryStats::default() }),
            stats => stats,
        }
    }
}

fn read_stats(connection: &Connection, bytes: u64) -> Result<HistoryStats, HistoryError> {
    let count = |name| Ok::<_, HistoryError>(state(connection, name)?.cast_unsigned());
    let (first, last, samples): (Option<i64>, Option<i64>, i64) = connection.query_row(
        "SELECT min(bucket), max(bucket), coalesce(sum(samples), 0) FROM bucket",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let mark = Mark::load(connection)?;
    let newest = last.map(|bucket| (bucket + 1) * QUARTER_MS);
    Ok(HistoryStats {
        bytes,
        applied_seq: mark.applied,
        sealed_until_ms: if mark.cut_ms == i64::MAX { newest } else { Some(mark.cut_ms) },
        raw_from_ms: first.map(|bucket| bucket * QUARTER_MS),
        raw_samples: samples.cast_unsigned(),
        unplaced_samples: count("unplaced_samples")?,
        expired_samples: count("expired_samples")?,
        capped_samples: count("capped_samples")?,
        capped_minute_days: count("capped_minute_days")?,
        capped_log_bytes: count("capped_log_bytes")?,
    })
}

/// Samples of some points that are not in blocks yet, and how far the log was read for them.
#[derive(Debug)]
struct Tail {
    mark: Mark,
    points: HashSet<Arc<str>>,
    /// The next record to read.
    next: u64,
    samples: Samples,
    count: usize,
    /// Every sample had a place in time.
    complete: bool,
}

impl Tail {
    fn new<'a>(mark: Mark, points: impl IntoIterator<Item = &'a Arc<str>>) -> Self {
        Self {
            mark,
            points: points.into_iter().cloned().collect(),
            next: mark.applied + 1,
            samples: Samples::new(),
            count: 0,
            complete: true,
        }
    }

    fn covers(&self, points: &[Arc<str>]) -> bool {
        points.iter().all(|point| self.points.contains(point))
    }

    fn read(&mut self, log: &LogReader) -> Result<(), HistoryError> {
        let mut wanted = Wanted::default();
        let mut records = log.read(Seq(self.next.max(log.oldest().0)))?;
        while let Some(stamped) = records.next() {
            let stamped = stamped?;
            let seq = stamped.stamp.seq.0;
            self.next = seq + 1;
            let (Record::Frame(samples), Some(catalog)) = (stamped.record, records.catalog())
            else {
                continue;
            };
            let keys = wanted.of(catalog, &self.points);
            for sample in samples {
                let Some(key) = keys.get(&sample.point) else { continue };
                let at_ms = match log.place(&stamped.stamp, &sample) {
                    Placement::At(at_ms) => at_ms,
                    Placement::NotYet => {
                        self.complete = false;
                        continue;
                    }
                    Placement::Never => continue,
                };
                if self.mark.has(seq, at_ms) {
                    continue;
                }
                self.count += 1;
                match self.samples.get_mut(key) {
                    Some(samples) => samples.push((at_ms, sample.value)),
                    None => drop(self.samples.insert(key.clone(), vec![(at_ms, sample.value)])),
                }
            }
        }
        Ok(())
    }

    fn of(&self, asked: &Asked<'_>) -> Samples {
        let inside = |sample: &&Timed| (asked.from_ms..asked.to_ms).contains(&sample.0);
        let of_points = self.samples.iter().filter(|(key, _)| asked.points.contains(&key.point));
        of_points
            .map(|(key, samples)| (key.clone(), samples.iter().filter(inside).cloned().collect()))
            .filter(|(_, samples): &(_, Vec<Timed>)| !samples.is_empty())
            .collect()
    }
}

/// Which points of a catalog are asked for.
#[derive(Default)]
struct Wanted {
    catalog: Option<Arc<Catalog>>,
    keys: HashMap<PointId, SeriesKey>,
}

impl Wanted {
    fn of(
        &mut self,
        catalog: &Arc<Catalog>,
        points: &HashSet<Arc<str>>,
    ) -> &HashMap<PointId, SeriesKey> {
        if self.catalog.as_ref().is_none_or(|known| !Arc::ptr_eq(known, catalog)) {
            let found = points.iter().filter_map(|name| find(catalog, name));
            self.keys = found.collect();
            self.catalog = Some(Arc::clone(catalog));
        }
        &self.keys
    }
}

/// The point of that name: an asset, a dot, a quantity. Either may have dots of its own.
fn find(catalog: &Catalog, name: &Arc<str>) -> Option<(PointId, SeriesKey)> {
    let plant = &catalog.plant;
    let id = name.match_indices('.').find_map(|(dot, _)| {
        let asset = plant.find_asset(name.get(..dot)?)?;
        plant.find_point(asset, name.get(dot + 1..)?)
    })?;
    let spec = plant.point(id);
    let unit = spec.unit.symbol().into();
    Some((id, SeriesKey { point: Arc::clone(name), unit, kind: kind_word(spec.kind) }))
}

fn length_of(resolution: Resolution) -> Option<Length> {
    match resolution {
        Resolution::Raw => None,
        Resolution::Minute => Some(Length::Minute),
        Resolution::Quarter => Some(Length::Quarter),
    }
}

fn answer(
    sealed: Option<&Transaction<'_>>,
    asked: &Asked<'_>,
    tail: &Samples,
) -> Result<Vec<Series>, HistoryError> {
    let mut all = Vec::new();
    for point in asked.points {
        let mut found: Vec<(Option<SeriesId>, SeriesKey)> = match sealed {
            Some(sealed) => {
                let known = series_of(sealed, point)?.into_iter();
                known.map(|(series, key)| (Some(series), key)).collect()
            }
            None => Vec::new(),
        };
        for key in tail.keys().filter(|key| key.point == *point) {
            if !found.iter().any(|(_, known)| known == key) {
                found.push((None, key.clone()));
            }
        }
        for (series, key) in found {
            let later = tail.get(&key).map(Vec::as_slice).unwrap_or_default();
            let stored = sealed.zip(series);
            let rows = match length_of(asked.resolution) {
                None => Rows::Raw(raw(stored, asked, later)?),
                Some(length) => Rows::Rollup(rolled(stored, length, asked, later)?),
            };
            if !rows.is_empty() {
                let kind = kind_of(key.kind);
                all.push(Series { point: key.point, unit: key.unit, kind, rows });
            }
        }
    }
    Ok(all)
}

fn raw(
    stored: Option<(&Transaction<'_>, SeriesId)>,
    asked: &Asked<'_>,
    later: &[Timed],
) -> Result<Vec<RawRow>, HistoryError> {
    let mut samples = Vec::new();
    if let Some((connection, series)) = stored {
        let bucket = |ms: i64| ms.div_euclid(QUARTER_MS);
        let buckets = buckets_in(connection, bucket(asked.from_ms), bucket(asked.to_ms))?;
        for bucket in buckets {
            for (times, values) in database::parts(connection, bucket, series)? {
                merge::extend(&mut samples, &times, &values);
            }
        }
    }
    samples.extend_from_slice(later);
    let mut samples = merge::in_order(samples);
    samples.retain(|(at_ms, _)| (asked.from_ms..asked.to_ms).contains(at_ms));
    Ok(samples.into_iter().map(|(at_ms, value)| RawRow { at_ms, value }).collect())
}

fn rolled(
    stored: Option<(&Transaction<'_>, SeriesId)>,
    length: Length,
    asked: &Asked<'_>,
    later: &[Timed],
) -> Result<Vec<Rollup>, HistoryError> {
    let Some((connection, series)) = stored else {
        let mut gathering = super::rollup::Gathering::new(length.ms());
        for (at_ms, said) in merge::in_order(later.to_vec()) {
            gathering.add(at_ms, &said);
        }
        return Ok(gathering.finish());
    };
    let rolled_day = state(connection, "rolled_day")?;
    let mut rows = Vec::new();
    for day in days(connection, length, asked, later)? {
        let late = later.iter().any(|(at_ms, _)| at_ms.div_euclid(DAY_MS) == day);
        if day >= rolled_day || late || is_stale(connection, day, series)? {
            rows.extend(day_rows(connection, length, day, series, later)?);
        } else {
            rows.extend(rollups(connection, length, day, series)?);
        }
    }
    rows.retain(|row| (asked.from_ms..asked.to_ms).contains(&row.at_ms));
    Ok(rows)
}

/// Days of the time asked for that have anything.
fn days(
    connection: &Connection,
    length: Length,
    asked: &Asked<'_>,
    later: &[Timed],
) -> Result<Vec<i64>, HistoryError> {
    let (first, last) = (asked.from_ms.div_euclid(DAY_MS), asked.to_ms.div_euclid(DAY_MS));
    let buckets = buckets_in(
        connection,
        asked.from_ms.div_euclid(QUARTER_MS),
        asked.to_ms.div_euclid(QUARTER_MS),
    )?;
    let day_of = |bucket: &i64| bucket.div_euclid(DAY_MS / QUARTER_MS);
    let mut days: Vec<i64> = buckets.iter().map(day_of).collect();
    days.extend(later.iter().map(|(at_ms, _)| at_ms.div_euclid(DAY_MS)));
    // Days without raw samples are in the table of rollups; it is asked only for those that can be in it.
    let sql = format!("SELECT min(key), max(key) FROM {}", length.table());
    let range: (Option<i64>, Option<i64>) =
        connection.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if let (Some(oldest), Some(newest)) = range {
        days.extend(first.max(day_of_key(oldest))..=last.min(day_of_key(newest)));
    }
    days.sort_unstable();
    days.dedup();
    Ok(days)
}

fn is_stale(connection: &Connection, day: i64, series: SeriesId) -> Result<bool, HistoryError> {
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM stale WHERE day = ? AND series = ?")?;
    Ok(statement.query_row(params![day, series], |_| Ok(())).optional()?.is_some())
}

impl Rows {
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Raw(rows) => rows.is_empty(),
            Self::Rollup(rows) => rows.is_empty(),
        }
    }
}
