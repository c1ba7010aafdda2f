//! A gateway on a virtual clock: it writes to a real log, and its history is sealed when a test says so.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use rules::{
    messages::SiteInfo,
    plant::{Asset, AssetKind, Detail, Origin, Plant, PointId, PointKind, PointSpec},
    time::{BootId, Mono, Now, Trust, Wall},
    units::Unit,
    value::{NoData, Sample, Value},
};
use store::{
    history::{
        HistoryReader, HistoryStats, Pins, Resolution, Retention, Rollup, Rows, Sealer, Series,
        Turn,
    },
    log::{Log, LogOptions, LogReader, Writer},
    record::{Catalog, Record, Seq},
};
use tempfile::TempDir;

pub(super) type Said = Result<Value, NoData>;

/// 2026-11-22 00:00 UTC.
pub(super) const MIDNIGHT_MS: i64 = 1_795_305_600_000;

pub(super) const MINUTE: i64 = 60;
pub(super) const HOUR: i64 = 3600;

pub(super) fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(MIDNIGHT_MS).unwrap() + TimeDelta::seconds(second)
}

pub(super) fn ms(second: i64) -> i64 {
    MIDNIGHT_MS + second * 1000
}

#[expect(clippy::unnecessary_wraps, reason = "what a sample says is a Result")]
pub(super) fn number(number: f64) -> Said {
    Ok(Value::Number(number))
}

/// One asset `cdu-1` with these quantities: name, unit, kind.
pub(super) fn catalog(points: &[(&str, &str, PointKind)]) -> Arc<Catalog> {
    let mut plant = Plant::default();
    let asset = plant.add_asset(Asset {
        name: "cdu-1".into(),
        kind: AssetKind::Cdu,
        title: None,
        detail: Detail::None,
    });
    for (quantity, unit, kind) in points {
        plant.add_point(PointSpec {
            asset,
            quantity: (*quantity).into(),
            unit: if unit.is_empty() { Unit::none() } else { Unit::parse(unit).unwrap() },
            kind: *kind,
            origin: Origin::Polled,
            stale_after: Duration::from_secs(10),
            states: Vec::new(),
        });
    }
    Arc::new(Catalog {
        version: "1".to_owned(),
        site: SiteInfo {
            id: "hall".to_owned(),
            name: "Hall".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            gateway: "gw-1".to_owned(),
            simulated: true,
        },
        plant: Arc::new(plant),
    })
}

/// Points `0` to `count` of `cdu-1`, all of them temperatures.
pub(super) fn temperatures(count: u32) -> Arc<Catalog> {
    let names: Vec<String> = (0..count).map(|point| format!("t{point}")).collect();
    let points: Vec<_> = names.iter().map(|name| (name.as_str(), "°C", PointKind::Gauge)).collect();
    catalog(&points)
}

pub(super) fn sample(point: u32, mono: Mono, value: Said) -> Sample {
    Sample { point: PointId(point), at: mono, source_time: None, value }
}

pub(super) struct Hall {
    pub(super) dir: TempDir,
    pub(super) writer: Option<Writer>,
    pub(super) log: LogReader,
    pub(super) sealer: Sealer,
    pub(super) retention: Retention,
    pub(super) pins: Pins,
    pub(super) trust: Trust,
    boot: u64,
    /// What the monotonic clock shows at midnight.
    mono_at_midnight: i64,
    runtime: tokio::runtime::Runtime,
}

impl Hall {
    pub(super) fn new(catalog: &Arc<Catalog>) -> Self {
        Self::with(catalog, Retention::default())
    }

    pub(super) fn with(catalog: &Arc<Catalog>, retention: Retention) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let Log { writer, reader } = open_log(dir.path(), 1);
        let pins = Pins::default();
        let sealer =
            Sealer::open(dir.path(), reader.clone(), retention.clone(), pins.clone()).unwrap();
        let mut hall = Self {
            dir,
            writer: Some(writer),
            log: reader,
            sealer,
            retention,
            pins,
            trust: Trust::Synchronised,
            boot: 1,
            mono_at_midnight: 1_000_000,
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
        };
        hall.append(0, vec![Record::Catalog(Arc::clone(catalog))]);
        hall
    }

    pub(super) fn mono(&self, second: i64) -> Mono {
        Mono::from_secs((self.mono_at_midnight + second).cast_unsigned())
    }

    /// Appends at a second of the day, and waits until it is on disk.
    pub(super) fn append(&mut self, second: i64, records: Vec<Record>) -> Seq {
        self.append_at(self.mono(second), at(second), records)
    }

    pub(super) fn append_at(
        &mut self,
        mono: Mono,
        utc: DateTime<Utc>,
        records: Vec<Record>,
    ) -> Seq {
        let now = Now { mono, wall: Wall { utc, trust: self.trust } };
        let writer = self.writer.as_mut().unwrap();
        let seq = writer.append(&now, records);
        let mut durable = writer.durable();
        self.runtime.block_on(async {
            durable.wait_for(|durable| durable.seq >= seq).await.unwrap();
        });
        seq
    }

    /// A frame every `step` seconds, with what `said` says for each second. Waits only for the last.
    pub(super) fn run(
        &mut self,
        from: i64,
        to: i64,
        step: i64,
        mut said: impl FnMut(i64) -> Vec<Said>,
    ) {
        let mut second = from;
        while second < to {
            let mono = self.mono(second);
            let samples =
                (0..).zip(said(second)).map(|(point, said)| sample(point, mono, said)).collect();
            let now = Now { mono, wall: Wall { utc: at(second), trust: self.trust } };
            self.writer.as_mut().unwrap().append(&now, vec![Record::Frame(samples)]);
            second += step;
        }
        self.append(to - step, vec![Record::Frame(Vec::new())]);
    }

    /// The gateway is started again, with a clock of its own.
    pub(super) fn restart(&mut self, catalog: &Arc<Catalog>, second: i64) {
        self.writer.take().unwrap().close().unwrap();
        self.boot += 1;
        self.mono_at_midnight = 1_000 - second;
        let Log { writer, reader } = open_log(self.dir.path(), self.boot);
        (self.writer, self.log) = (Some(writer), reader);
        self.reopen();
        self.append(second, vec![Record::Catalog(Arc::clone(catalog))]);
    }

    pub(super) fn reopen(&mut self) {
        let (log, retention, pins) = (self.log.clone(), self.retention.clone(), self.pins.clone());
        self.sealer = Sealer::open(self.dir.path(), log, retention, pins).unwrap();
    }

    /// Seals and rolls up whatever is due; says in how many turns.
    pub(super) fn seal(&mut self) -> usize {
        let mut turns = 0;
        while self.sealer.turn().unwrap() == Turn::Again {
            turns += 1;
        }
        turns
    }

    pub(super) fn reader(&self) -> HistoryReader {
        HistoryReader::new(self.dir.path(), self.log.clone())
    }

    pub(super) fn stats(&self) -> HistoryStats {
        self.reader().stats().unwrap()
    }

    pub(super) fn ask(
        &self,
        point: &str,
        from: i64,
        to: i64,
        resolution: Resolution,
    ) -> Vec<Series> {
        self.reader().query(&[point.into()], at(from), at(to), resolution).unwrap()
    }

    /// Raw rows of a point that has one series: second of the day and what was said then.
    pub(super) fn raw(&self, point: &str, from: i64, to: i64) -> Vec<(i64, Said)> {
        self.ask(point, from, to, Resolution::Raw)
            .into_iter()
            .flat_map(|series| match series.rows {
                Rows::Raw(rows) => rows,
                Rows::Rollup(_) => panic!("raw was asked for"),
            })
            .map(|row| ((row.at_ms - MIDNIGHT_MS) / 1000, row.value))
            .collect()
    }

    pub(super) fn rolled(
        &self,
        point: &str,
        from: i64,
        to: i64,
        resolution: Resolution,
    ) -> Vec<Rollup> {
        self.ask(point, from, to, resolution)
            .into_iter()
            .flat_map(|series| match series.rows {
                Rows::Rollup(rows) => rows,
                Rows::Raw(_) => panic!("rollups were asked for"),
            })
            .collect()
    }
}

pub(super) fn open_log(dir: &Path, boot: u64) -> Log {
    let options = LogOptions {
        segment_bytes: 64 << 10,
        segment_span: Duration::from_mins(15),
        ..LogOptions::new(dir.join("log"))
    };
    Log::open(&options, BootId(boot)).unwrap()
}

/// Rows of these samples, reckoned in the plainest way.
pub(super) fn expected_rows(samples: &[(i64, Said)], length: i64) -> Vec<Rollup> {
    let mut groups: BTreeMap<i64, Vec<&Said>> = BTreeMap::new();
    for (second, said) in samples {
        groups.entry(second - second.rem_euclid(length)).or_default().push(said);
    }
    groups
        .into_iter()
        .map(|(start, group)| {
            let numbers: Vec<f64> = group
                .iter()
                .filter_map(|said| said.as_ref().ok().and_then(Value::as_number))
                .collect();
            let bad = group.iter().filter(|said| said.is_err()).count();
            let fold = |pick: fn(f64, f64) -> f64| numbers.iter().copied().reduce(pick).unwrap();
            let count = u32::try_from(numbers.len()).unwrap();
            let figures = (count > 0).then(|| store::history::Figures {
                min: fold(f64::min),
                max: fold(f64::max),
                mean: numbers.iter().sum::<f64>() / f64::from(count),
                last: *numbers.last().unwrap(),
            });
            Rollup { at_ms: ms(start), count, bad: u32::try_from(bad).unwrap(), figures }
        })
        .collect()
}

/// Means are kept to some ten digits; everything else exactly.
pub(super) fn assert_rows(rows: &[Rollup], expected: &[Rollup]) {
    assert_eq!(rows.len(), expected.len(), "{rows:?}\n{expected:?}");
    for (row, expected) in rows.iter().zip(expected) {
        let mean = |row: &Rollup| row.figures.map_or(0.0, |figures| figures.mean);
        assert!((mean(row) - mean(expected)).abs() < 1e-9, "{row:?} {expected:?}");
        let without_mean = |row: &Rollup| {
            let mut row = *row;
            if let Some(figures) = &mut row.figures {
                figures.mean = 0.0;
            }
            row
        };
        assert_eq!(without_mean(row), without_mean(expected));
    }
}
