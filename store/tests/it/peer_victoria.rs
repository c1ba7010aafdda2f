//! A database that we did not write: what `VictoriaMetrics` has in the end is what the history has.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use rules::{
    messages::SiteInfo,
    plant::{Asset, AssetKind, Detail, Origin, Plant, PointId, PointKind, PointSpec},
    time::{BootId, Mono, Now, Trust, Wall},
    units::Unit,
    value::{NoData, Sample, Value},
};
use serde::Deserialize;
use store::{
    Opened, Options, Reader,
    history::{Hold, Resolution, Rows},
    log::Writer,
    open,
    record::{Catalog, Record, Seq},
    sink::influx::{Config, Handle, SinkState, Tuning, start},
};
use tempfile::TempDir;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const POINTS: u32 = 5000;
const BEFORE_S: u32 = 8;
const OUTAGE_S: u32 = 30;
const AFTER_S: u32 = 8;

/// `VictoriaMetrics` with its own folder and port. Dropping it kills it.
struct Victoria {
    child: Option<Child>,
    folder: TempDir,
    port: u16,
}

impl Victoria {
    fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { child: None, folder: tempfile::tempdir().unwrap(), port }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn start(&mut self) {
        let child = Command::new("victoria-metrics")
            .arg(format!("-httpListenAddr=127.0.0.1:{}", self.port))
            .arg(format!("-storageDataPath={}", self.folder.path().display()))
            .args(["-dedup.minScrapeInterval=1ms", "-retentionPeriod=1y", "-loggerLevel=ERROR"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("victoria-metrics is installed");
        self.child = Some(child);
    }

    /// As a service manager does, so that it writes what it has in memory.
    fn terminate(&mut self) {
        let mut child = self.child.take().unwrap();
        let ended = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(ended.success());
        child.wait().unwrap();
    }

    /// Every row of every series, with how often it is there.
    async fn export(&self) -> Rowset {
        let flush = reqwest::get(format!("{}/internal/force_flush", self.url())).await.unwrap();
        assert!(flush.status().is_success());
        let all = "match[]=%7B__name__!=%22%22%7D";
        let answer = reqwest::get(format!("{}/api/v1/export?{all}", self.url())).await.unwrap();
        assert!(answer.status().is_success());
        let mut rows = Rowset::new();
        for line in answer.text().await.unwrap().lines() {
            let Exported { metric, values, timestamps } = serde_json::from_str(line).unwrap();
            assert_eq!(metric["site"], "peer");
            assert_eq!(metric["gateway"], "gw-1");
            let name = format!("{} {}", metric["__name__"], metric["asset"]);
            let series = rows.entry(name).or_default();
            for (at, value) in timestamps.into_iter().zip(values) {
                series.push((at, value.to_bits()));
            }
        }
        for series in rows.values_mut() {
            series.sort_unstable();
        }
        rows
    }
}

impl Drop for Victoria {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Already gone is just as well.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// By series: milliseconds and bits of the value, in order, doubles and all.
type Rowset = BTreeMap<String, Vec<(i64, u64)>>;

#[derive(Deserialize)]
struct Exported {
    metric: BTreeMap<String, String>,
    values: Vec<f64>,
    timestamps: Vec<i64>,
}

fn catalog() -> Arc<Catalog> {
    let mut plant = Plant::default();
    for point in 0..POINTS {
        let asset = plant.add_asset(Asset {
            name: format!("pdu-{point}").into(),
            kind: AssetKind::Pdu,
            title: None,
            detail: Detail::None,
        });
        plant.add_point(PointSpec {
            asset,
            quantity: "active_power".into(),
            unit: Unit::parse("kW").unwrap(),
            kind: PointKind::Gauge,
            origin: Origin::Polled,
            stale_after: Duration::from_secs(3),
            states: Vec::new(),
        });
    }
    let site = SiteInfo {
        id: "peer".to_owned(),
        name: "Peer".to_owned(),
        time_zone: "UTC".to_owned(),
        gateway: "gw-1".to_owned(),
        simulated: true,
    };
    Arc::new(Catalog { version: "0".to_owned(), site, plant: Arc::new(plant) })
}

/// What the registers of a plant say at a moment: two decimals, now and then nothing.
fn samples(now: &Now, frame: u32) -> Vec<Sample> {
    let value = |point: u32| {
        if (point + frame).is_multiple_of(97) {
            return Err(NoData::Timeout);
        }
        Ok(Value::Number(f64::from(point % 700 * 10 + frame % 13) / 100.0))
    };
    let sample = |point: u32| {
        // Each was polled at its own moment of the last second.
        let at = now.mono - Duration::from_micros(u64::from(point) * 190);
        Sample { point: PointId(point), at, source_time: None, value: value(point) }
    };
    (0..POINTS).map(sample).collect()
}

/// Writes a frame a second for so many seconds.
async fn run(writer: &mut Writer, started: Instant, frame: &mut u32, seconds: u32) {
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..seconds {
        tick.tick().await;
        let utc: DateTime<Utc> = SystemTime::now().into();
        let mono = Mono(Duration::from_secs(1000) + started.elapsed());
        let now = Now { mono, wall: Wall { utc, trust: Trust::Synchronised } };
        writer.append(&now, vec![Record::Frame(samples(&now, *frame))]);
        *frame += 1;
    }
}

async fn wait_until(handle: &Handle, holds: impl Fn(&SinkState) -> bool) -> SinkState {
    let mut changed = handle.changed();
    if let Ok(state) = tokio::time::timeout(Duration::from_mins(2), changed.wait_for(holds)).await {
        return state.unwrap().clone();
    }
    panic!("two minutes are over: {:?}", handle.state());
}

/// Waits until the sink needs nothing of the log any more.
async fn delivered(sink: &Handle, last: Seq) {
    let looking = async {
        let mut tick = interval(Duration::from_millis(50));
        while sink.position() <= last {
            tick.tick().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_mins(2), looking).await;
    assert!(waited.is_ok(), "two minutes are over: {:?}", sink.state());
}

/// What the history exports, by the names that the database has for it.
fn history(reader: &Reader, catalog: &Catalog) -> Rowset {
    let points: Vec<Arc<str>> =
        catalog.plant.point_ids().map(|point| catalog.plant.point_name(point).into()).collect();
    let (from, to) = (DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC);
    let mut rows = Rowset::new();
    for series in reader.history(&points, from, to, Resolution::Raw).unwrap() {
        let asset = series.point.split('.').next().unwrap();
        let Rows::Raw(raw) = series.rows else { panic!("every sample was asked for") };
        let numbers = raw
            .into_iter()
            .filter_map(|row| Some((row.at_ms, row.value.ok()?.as_number()?.to_bits())));
        let numbers: Vec<_> = numbers.collect();
        rows.insert(format!("pdu_active_power_kilowatts {asset}"), numbers);
    }
    rows
}

#[tokio::test]
#[ignore = "needs victoria-metrics"]
async fn what_a_foreign_database_has_after_an_outage_is_what_the_history_has() {
    let mut victoria = Victoria::new();
    victoria.start();
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 1 << 20, ..Options::new(dir.path().to_owned()) };
    let Opened { store, mut writer, .. } = open(&options, BootId(1)).unwrap();
    let catalog = catalog();
    let started = Instant::now();
    let utc: DateTime<Utc> = SystemTime::now().into();
    let wall = Wall { utc, trust: Trust::Synchronised };
    let now = Now { mono: Mono::from_secs(1000), wall };
    writer.append(&now, vec![Record::Catalog(Arc::clone(&catalog))]);

    let config = Config {
        url: victoria.url(),
        org: "facilities".to_owned(),
        bucket: "peer".to_owned(),
        token: "not-asked-for".to_owned(),
        ca: None,
        tags: Vec::new(),
        tuning: Tuning {
            back_off: (Duration::from_secs(1), Duration::from_secs(4)),
            ..Tuning::default()
        },
    };
    let stop = CancellationToken::new();
    let sink = start(&config, store.log(), dir.path(), stop.clone()).unwrap();
    store.pins().add(Hold::WhileThereIsRoom, sink.pin());

    let mut frame = 0;
    run(&mut writer, started, &mut frame, BEFORE_S).await;
    wait_until(&sink, |state| state.up && state.written_lines > 0).await;
    victoria.terminate();
    run(&mut writer, started, &mut frame, OUTAGE_S).await;
    let down = sink.state();
    assert!(!down.up && down.backlog_s > f64::from(OUTAGE_S) - 5.0, "{down:?}");
    victoria.start();
    run(&mut writer, started, &mut frame, AFTER_S).await;
    let last = writer.last();
    let mut durable = writer.durable();
    durable.wait_for(|durable| durable.seq >= last).await.unwrap();
    delivered(&sink, last).await;
    let state = wait_until(&sink, |state| state.up && state.backlog_s == 0.0).await;
    assert_eq!((state.rejected_lines, state.lost_records, state.restarts), (0, 0, 0), "{state:?}");
    stop.cancel();
    sink.stopped().await;

    let theirs = victoria.export().await;
    let ours = history(&store.reader(), &catalog);
    let rows: usize = ours.values().map(Vec::len).sum();
    assert_eq!(ours.len(), POINTS as usize);
    let expected = u64::from(BEFORE_S + OUTAGE_S + AFTER_S) * u64::from(POINTS);
    assert_eq!(rows as u64 + state.skipped_values, expected);
    for (series, rows) in &ours {
        assert_eq!(theirs.get(series), Some(rows), "{series}");
    }
    assert_eq!(theirs.len(), ours.len());
    writer.close().unwrap();
    store.close();
}
