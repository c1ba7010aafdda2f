//! Rolls days up, from the blocks that are there. A rollup is never the only trace of a sample before its raw block goes.

use std::collections::BTreeMap;

use rusqlite::{Connection, TransactionBehavior, params};

use super::{
    HistoryError, QUARTER_MS, Rollup,
    database::{Length, SeriesId, buckets_in, parts, put_rollups, rollups, set_state, state},
    merge::{self, Timed},
    rollup::{BUCKETS_A_DAY, DAY_MS, Gathering},
};

/// Series that are rolled up in one transaction, and without looking whether to stop.
const SERIES_AT_ONCE: SeriesId = 250;

/// The rows of one day and series: from raw samples where they still are, from the rows kept before where they are not.
/// `later` are samples that are not in blocks yet.
pub(super) fn day_rows(
    connection: &Connection,
    length: Length,
    day: i64,
    series: SeriesId,
    later: &[Timed],
) -> Result<Vec<Rollup>, HistoryError> {
    let floor_ms = state(connection, "raw_floor")?.saturating_mul(QUARTER_MS);
    let mut rows = rollups(connection, length, day, series)?;
    rows.retain(|row| row.at_ms < floor_ms);
    let mut gathering = Gathering::new(length.ms());
    let first = day * BUCKETS_A_DAY;
    for (bucket, sealed) in buckets_of(connection, first, later)? {
        let sealed = sealed.then_some((connection, series));
        let samples = samples_in(sealed, bucket, later)?;
        for (at_ms, said) in &samples {
            gathering.add(*at_ms, said);
        }
    }
    rows.extend(gathering.finish().into_iter().filter(|row| row.at_ms >= floor_ms));
    Ok(rows)
}

/// The buckets of a day in which there may be samples; `true`: it was sealed.
fn buckets_of(
    connection: &Connection,
    first: i64,
    later: &[Timed],
) -> Result<BTreeMap<i64, bool>, HistoryError> {
    let last = first + BUCKETS_A_DAY - 1;
    let later = later.iter().map(|(at_ms, _)| at_ms.div_euclid(QUARTER_MS));
    let mut buckets: BTreeMap<i64, bool> = later
        .filter(|bucket| (first..=last).contains(bucket))
        .map(|bucket| (bucket, false))
        .collect();
    buckets.extend(buckets_in(connection, first, last)?.into_iter().map(|bucket| (bucket, true)));
    Ok(buckets)
}

/// All samples of one series in one bucket; those of `later` come after what was sealed.
fn samples_in(
    sealed: Option<(&Connection, SeriesId)>,
    bucket: i64,
    later: &[Timed],
) -> Result<Vec<Timed>, HistoryError> {
    let mut samples = Vec::new();
    if let Some((connection, series)) = sealed {
        for (times, values) in parts(connection, bucket, series)? {
            merge::extend(&mut samples, &times, &values);
        }
    }
    let inside = later.iter().filter(|(at_ms, _)| at_ms.div_euclid(QUARTER_MS) == bucket);
    samples.extend(inside.cloned());
    Ok(merge::in_order(samples))
}

/// Writes both rollups of a day and series anew.
fn roll_series(connection: &Connection, day: i64, series: SeriesId) -> Result<(), HistoryError> {
    for length in [Length::Minute, Length::Quarter] {
        let rows = day_rows(connection, length, day, series, &[])?;
        if !rows.is_empty() {
            put_rollups(connection, length, day, series, &rows)?;
        }
    }
    connection
        .prepare_cached("DELETE FROM stale WHERE day = ? AND series = ?")?
        .execute(params![day, series])?;
    Ok(())
}

/// Rolls up what is due, some of it at a time.
#[derive(Debug, Default)]
pub(super) struct Roller {
    /// The day that is being rolled up, and the first series that is not yet.
    under_way: Option<(i64, SeriesId)>,
}

impl Roller {
    /// Does a part of the work; `true`: there is more. A day is due when all of it lies before `until_ms`.
    pub(super) fn roll_some(
        &mut self,
        connection: &mut Connection,
        until_ms: i64,
        series: SeriesId,
    ) -> Result<bool, HistoryError> {
        let (day, from) = match self.under_way {
            Some(place) => place,
            None => match next_day(connection)? {
                Some(day) if (day + 1) * DAY_MS <= until_ms => (day, 0),
                _ => return roll_stale(connection),
            },
        };
        let to = from.saturating_add(SERIES_AT_ONCE).min(series);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for series in from..to {
            roll_series(&transaction, day, series)?;
        }
        if to == series {
            set_state(&transaction, "rolled_day", day + 1)?;
        }
        transaction.commit()?;
        self.under_way = (to < series).then_some((day, to));
        Ok(true)
    }
}

/// The first day that was not rolled up and has anything.
fn next_day(connection: &Connection) -> Result<Option<i64>, HistoryError> {
    let from = state(connection, "rolled_day")?.saturating_mul(BUCKETS_A_DAY);
    let mut statement =
        connection.prepare_cached("SELECT min(bucket) FROM bucket WHERE bucket >= ?")?;
    let bucket: Option<i64> = statement.query_row([from], |row| row.get(0))?;
    Ok(bucket.map(|bucket| bucket.div_euclid(BUCKETS_A_DAY)))
}

/// Days that got samples after they were rolled up.
fn roll_stale(connection: &mut Connection) -> Result<bool, HistoryError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let stale: Vec<(i64, SeriesId)> = transaction
        .prepare_cached("SELECT day, series FROM stale LIMIT ?")?
        .query_map([SERIES_AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (day, series) in &stale {
        roll_series(&transaction, *day, *series)?;
    }
    transaction.commit()?;
    Ok(!stale.is_empty())
}

/// Rolls up whatever of the days of these buckets is not, before their raw samples go.
pub(super) fn roll_before_dropping(
    connection: &Connection,
    first_bucket: i64,
    last_bucket: i64,
    series: SeriesId,
) -> Result<(), HistoryError> {
    let rolled_day = state(connection, "rolled_day")?;
    for day in first_bucket.div_euclid(BUCKETS_A_DAY)..=last_bucket.div_euclid(BUCKETS_A_DAY) {
        if day >= rolled_day {
            (0..series).try_for_each(|series| roll_series(connection, day, series))?;
            continue;
        }
        let stale: Vec<SeriesId> = connection
            .prepare_cached("SELECT series FROM stale WHERE day = ?")?
            .query_map([day], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        stale.into_iter().try_for_each(|series| roll_series(connection, day, series))?;
    }
    Ok(())
}
