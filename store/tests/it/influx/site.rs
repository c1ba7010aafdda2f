//! A log of a small site, and the sink that forwards it.

use std::{path::Path, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use rules::{
    messages::SiteInfo,
    plant::{
        Asset, AssetKind, Detail, EdgeKind, Origin, Plant, PointId, PointKind, PointSpec, Room,
    },
    time::{BootId, Mono, Now, Trust, Wall},
    units::Unit,
    value::{NoData, Sample, Value},
};
use store::{
    log::{Log, LogOptions, LogReader, Writer},
    record::{Catalog, Record, Seq},
    sink::influx::{Config, Handle, SinkState, Tuning, start},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::server::Server;

pub(crate) const TOKEN: &str = "t0ken-of-the-test";

/// A gateway without its devices: data directory, log and clock.
pub(crate) struct Gateway {
    pub(crate) dir: TempDir,
    pub(crate) writer: Writer,
    pub(crate) reader: LogReader,
    pub(crate) points: u32,
    boot: BootId,
    pub(crate) trust: Trust,
    /// Since this run began.
    tick: u64,
}

/// What a test finds in the log: of each line the text.
pub(crate) type Lines = Vec<String>;

/// So much later than noon.
fn wall(boot: BootId, tick: u64) -> DateTime<Utc> {
    let noon = DateTime::from_timestamp(1_795_348_800, 0).unwrap();
    noon + TimeDelta::seconds((boot.0 * 100_000 + tick).cast_signed())
}

impl Gateway {
    /// With so many meters, each with its power, and a clock that is right.
    pub(crate) fn new(points: u32) -> Self {
        Self::within(tempfile::tempdir().unwrap(), points, BootId(1), Trust::Synchronised)
    }

    pub(crate) fn untrusted(points: u32) -> Self {
        Self::within(tempfile::tempdir().unwrap(), points, BootId(1), Trust::Untrusted)
    }

    fn within(dir: TempDir, points: u32, boot: BootId, trust: Trust) -> Self {
        let options = LogOptions { segment_bytes: 4096, ..LogOptions::new(dir.path().join("log")) };
        let Log { writer, reader } = Log::open(&options, boot).unwrap();
        let mut gateway = Self { dir, writer, reader, points, boot, trust, tick: 0 };
        gateway.append(catalog(points));
        gateway
    }

    /// Ends this run and begins the next one.
    pub(crate) fn restarted(self, trust: Trust) -> Self {
        let Self { dir, writer, points, boot, .. } = self;
        writer.close().unwrap();
        Self::within(dir, points, BootId(boot.0 + 1), trust)
    }

    pub(crate) fn now(&self) -> Now {
        let mono = Mono::from_secs(1000 + self.tick);
        Now { mono, wall: Wall { utc: wall(self.boot, self.tick), trust: self.trust } }
    }

    pub(crate) fn append(&mut self, record: Record) -> Seq {
        let now = self.now();
        self.writer.append(&now, vec![record])
    }

    /// A second later: every point has a new value. Gives the lines that this should become.
    pub(crate) fn frame(&mut self) -> Lines {
        self.frame_with(|_, value| Ok(Value::Number(value)))
    }

    pub(crate) fn frame_with(
        &mut self,
        value: impl Fn(u32, f64) -> Result<Value, NoData>,
    ) -> Lines {
        self.tick += 1;
        let at = self.now().mono;
        let number =
            |point| f64::from(point) + f64::from(u32::try_from(self.tick % 64).unwrap()) / 64.0;
        let sample = |point| Sample {
            point: PointId(point),
            at,
            source_time: None,
            value: value(point, number(point)),
        };
        let samples: Vec<Sample> = (0..self.points).map(sample).collect();
        let milliseconds = wall(self.boot, self.tick).timestamp_millis();
        let lines = samples
            .iter()
            .filter_map(|sample| {
                let Ok(Value::Number(number)) = sample.value else { return None };
                Some(line(sample.point.0, number, milliseconds))
            })
            .collect();
        self.append(Record::Frame(samples));
        lines
    }

    pub(crate) fn frames(&mut self, count: usize) -> Lines {
        (0..count).flat_map(|_| self.frame()).collect()
    }

    /// Waits until everything is on disk.
    pub(crate) async fn durable(&self) {
        let last = self.writer.last();
        let mut durable = self.writer.durable();
        let waiting = durable.wait_for(|durable| durable.seq >= last);
        tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn quarantine(&self) -> Vec<serde_json::Value> {
        let path = self.path().join("quarantine/influxdb.jsonl");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// What a sample should become.
pub(crate) fn line(point: u32, number: f64, milliseconds: i64) -> String {
    format!(
        "meter,asset=meter-{point},gateway=gw-1,room=room-1,site=hall active_power_kilowatts={number:?} {milliseconds}"
    )
}

fn catalog(points: u32) -> Record {
    let mut plant = Plant::default();
    let asset = |name: String, kind, detail| Asset { name: name.into(), kind, title: None, detail };
    let room = Detail::Room(Room { area_m2: 240.0 });
    let room = plant.add_asset(asset("room-1".to_owned(), AssetKind::Room, room));
    for point in 0..points {
        let meter =
            plant.add_asset(asset(format!("meter-{point}"), AssetKind::Meter, Detail::None));
        plant.add_edge(meter, EdgeKind::LocatedIn, room);
        plant.add_point(PointSpec {
            asset: meter,
            quantity: "active_power".into(),
            unit: Unit::parse("kW").unwrap(),
            kind: PointKind::Gauge,
            origin: Origin::Polled,
            stale_after: Duration::from_secs(3),
            states: Vec::new(),
        });
    }
    let site = SiteInfo {
        id: "hall".to_owned(),
        name: "Hall".to_owned(),
        time_zone: "UTC".to_owned(),
        gateway: "gw-1".to_owned(),
        simulated: true,
    };
    Record::Catalog(Arc::new(Catalog { version: "0".to_owned(), site, plant: Arc::new(plant) }))
}

/// Fast, so that tests are.
pub(crate) fn tuning() -> Tuning {
    Tuning {
        batch_lines: 100,
        batch_age: Duration::from_millis(10),
        live_lag: Duration::from_millis(300),
        back_off: (Duration::from_millis(20), Duration::from_millis(100)),
        slow_retry: Duration::from_millis(200),
        connect_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
        curiosity: 100_000,
        store_every: Duration::from_millis(50),
        ..Tuning::default()
    }
}

pub(crate) fn config(server: &Server, tuning: Tuning) -> Config {
    Config {
        url: format!("http://{}", server.address),
        org: "facilities".to_owned(),
        bucket: "hall 1".to_owned(),
        token: TOKEN.to_owned(),
        ca: None,
        tags: Vec::new(),
        tuning,
    }
}

/// A running sink.
pub(crate) struct Sink {
    pub(crate) handle: Handle,
    stop: CancellationToken,
}

impl Sink {
    pub(crate) fn start(gateway: &Gateway, server: &Server) -> Self {
        Self::with(gateway, &config(server, tuning()))
    }

    pub(crate) fn with(gateway: &Gateway, config: &Config) -> Self {
        let stop = CancellationToken::new();
        let log = gateway.reader.clone();
        let handle = start(config, log, gateway.path(), stop.clone()).unwrap();
        Self { handle, stop }
    }

    /// Waits until the state is so.
    pub(crate) async fn wait_until(&self, holds: impl Fn(&SinkState) -> bool) -> SinkState {
        let mut changed = self.handle.changed();
        let waiting = changed.wait_for(holds);
        if let Ok(state) = tokio::time::timeout(Duration::from_secs(30), waiting).await {
            return state.unwrap().clone();
        }
        panic!("30 seconds are over: {:?}", self.handle.state())
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.handle.stopped().await;
    }
}
