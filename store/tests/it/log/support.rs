//! Records to write, and a log to write them to.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use rules::{
    ledger::{LedgerRow, Method},
    messages::{Action, Command, Event, Outcome, SiteInfo, What},
    plant::{Plant, PointId},
    time::{BootId, Mono, Now, Trust, Wall},
    value::{NoData, Sample, Value},
};
use store::{
    log::{Durable, Log, LogOptions, LogReader, Storing, Writer},
    record::{Catalog, Record, Seq, Stamped},
};

pub(crate) const BOOT: BootId = BootId(0xb007);

pub(crate) fn options(dir: &Path) -> LogOptions {
    LogOptions::new(dir.join("log"))
}

pub(crate) fn open(dir: &Path) -> Log {
    Log::open(&options(dir), BOOT).unwrap()
}

/// So many seconds after noon of 22 November 2026.
pub(crate) fn noon(seconds: u64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_348_800, 0).unwrap()
        + TimeDelta::from_std(Duration::from_secs(seconds)).unwrap()
}

/// So many seconds after the start of a run, with a clock that is right.
pub(crate) fn now(seconds: u64) -> Now {
    trusted(seconds, Trust::Synchronised)
}

pub(crate) fn trusted(seconds: u64, trust: Trust) -> Now {
    Now { mono: Mono::from_secs(seconds), wall: Wall { utc: noon(seconds), trust } }
}

pub(crate) fn catalog(version: &str) -> Record {
    let site = SiteInfo {
        id: "hall".to_owned(),
        name: "Hall".to_owned(),
        time_zone: "UTC".to_owned(),
        gateway: "gw".to_owned(),
        simulated: true,
    };
    let plant: Plant = serde_json::from_str(r#"{"assets":[],"edges":[],"points":[]}"#).unwrap();
    Record::Catalog(Arc::new(Catalog { version: version.to_owned(), site, plant: Arc::new(plant) }))
}

pub(crate) fn event(text: &str) -> Record {
    Record::Event(Event {
        at: Mono::from_secs(1),
        wall: Some(noon(1)),
        asset: Some("cdu-2".into()),
        what: What::Link { up: false, why: text.to_owned() },
    })
}

pub(crate) fn command(key: &str) -> Record {
    let action = Action::Ack { alarm: "cdu.supply_hi@cdu-2".into(), occurrence: Some(3) };
    let command = Command { key: key.to_owned(), by: "mira".to_owned(), action };
    Record::Command(command, Outcome::Rejected { why: "not active".to_owned() })
}

pub(crate) fn ledger(amount: f64) -> Record {
    Record::Ledger(vec![LedgerRow {
        meter: "m-1".into(),
        start: noon(0),
        amount: Some(amount),
        method: Method::Register,
        coverage: 1.0,
        flags: Vec::new(),
        uncertainty: None,
        first: None,
        last: None,
    }])
}

pub(crate) fn checkpoint(number: u64) -> Record {
    Record::Checkpoint(serde_json::json!({ "version": 1, "number": number }))
}

pub(crate) fn sample(point: u32, at: Mono, value: Result<Value, NoData>) -> Sample {
    Sample { point: PointId(point), at, source_time: None, value }
}

/// What so many points say after so many seconds.
pub(crate) fn frame(points: u32, seconds: u64) -> Record {
    let at = Mono::from_secs(seconds);
    let value = |point| {
        Value::Number(
            (f64::from(point % 50) * 10.0 + f64::from(u32::try_from(seconds).unwrap())) / 10.0,
        )
    };
    Record::Frame((0..points).map(|point| sample(point, at, Ok(value(point)))).collect())
}

/// Waits until a place is durable.
pub(crate) fn wait_for(writer: &Writer, seq: Seq) {
    let mut durable = writer.durable();
    let stored = async move { durable.wait_for(|durable| durable.seq >= seq).await.map(drop) };
    run(stored).unwrap();
}

/// Waits until the disk refuses, or takes again.
pub(crate) fn wait_until(writer: &Writer, stored: bool) -> Storing {
    let mut durable = writer.durable();
    run(async move {
        let durable =
            durable.wait_for(|durable| (durable.storing == Storing::Stored) == stored).await;
        durable.unwrap().storing.clone()
    })
}

/// Waits until a place is durable or the disk refuses, and says whether it is durable.
pub(crate) fn settle(writer: &Writer, seq: Seq) -> bool {
    let mut durable = writer.durable();
    run(async move {
        let settled = |durable: &Durable| durable.seq >= seq || durable.storing != Storing::Stored;
        durable.wait_for(settled).await.unwrap().seq >= seq
    })
}

/// Whether the disk refuses, or does within this time.
pub(crate) fn is_refused_within(writer: &Writer, wait: Duration) -> bool {
    let mut durable = writer.durable();
    run(async move {
        let refused = durable.wait_for(|durable| durable.storing != Storing::Stored);
        tokio::time::timeout(wait, refused).await.is_ok()
    })
}

/// Where the records of a segment begin, and where the last one ends.
pub(crate) fn record_bounds(segment: &[u8]) -> Vec<usize> {
    let mut bounds = vec![72];
    while let Some(length) = segment[bounds[bounds.len() - 1]..].first_chunk::<4>() {
        bounds.push(bounds[bounds.len() - 1] + 8 + u32::from_le_bytes(*length) as usize);
    }
    bounds
}

/// The segment files, oldest first.
pub(crate) fn files(options: &LogOptions) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(&options.dir).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), future).await.expect("in 30 seconds")
    })
}

pub(crate) fn all(reader: &LogReader) -> Vec<Stamped> {
    from(reader, Seq(1))
}

pub(crate) fn from(reader: &LogReader, seq: Seq) -> Vec<Stamped> {
    reader.read(seq).unwrap().collect::<Result<_, _>>().unwrap()
}

pub(crate) fn records(stamped: &[Stamped]) -> Vec<Record> {
    stamped.iter().map(|stamped| stamped.record.clone()).collect()
}

pub(crate) fn seqs(stamped: &[Stamped]) -> Vec<u64> {
    stamped.iter().map(|stamped| stamped.stamp.seq.0).collect()
}
