//! A recorded hall, replayed through a broker on a real socket. Expected figures: domain facts, V-DSX, which were taken
//! from the recording by other means.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

#[path = "../../tests/support/mosquitto.rs"]
mod mosquitto;
#[path = "../../tests/support/replay.rs"]
mod replay;

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use collector::{Batch, MonoClock, mqtt::Mapper};
use configs::{
    address::Address, fault::Source, library::Library, secret::unresolved, site::Site,
    site_file::read_site,
};
use links::{
    broker::{Broker, Memory},
    publisher::Publisher,
};
use rules::{
    messages::LinkView,
    time::Mono,
    value::{NoData, Sample, Value},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{mosquitto::Mosquitto, replay::Row};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn recording() -> Vec<Row> {
    replay::read(&root().join("tests/data/dsx/dsx_exemplar.csv")).unwrap()
}

fn hall() -> Site {
    let text = std::fs::read_to_string(root().join("configs/sites/dsx-hall.toml")).unwrap();
    let source = Source { name: "dsx-hall.toml".into(), text: text.into() };
    read_site(&source, &Library::shipped(), &unresolved).unwrap()
}

fn hall_at(broker: SocketAddr) -> Site {
    let mut site = hall();
    for device in &mut site.devices {
        let host = broker.ip().to_string();
        device.address = Address::Mqtt { host, port: broker.port(), credentials: None };
    }
    site
}

/// The last sample of each point, by its name.
type Last = HashMap<String, Sample>;

fn keep(last: &mut Last, site: &Site, samples: impl IntoIterator<Item = Sample>) {
    for sample in samples {
        last.insert(site.plant.point_name(sample.point), sample);
    }
}

fn number(last: &Last, point: &str) -> f64 {
    let sample = last.get(point).unwrap_or_else(|| panic!("no sample of {point}"));
    sample.value.as_ref().unwrap().as_number().unwrap()
}

fn sum(last: &Last, points: &[&str]) -> f64 {
    points.iter().map(|point| number(last, point)).sum()
}

#[track_caller]
fn close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-9 * expected.abs().max(1.0), "{actual} {expected}");
}

fn mapped() -> (Site, Mapper, Last) {
    let site = hall();
    let mut mapper = Mapper::new(&site.devices[0], &site.plant).unwrap();
    let mut last = Last::new();
    for row in recording() {
        let payload = row.payload_at(UNIX_EPOCH + Duration::from_secs(1_790_000_000) + row.offset);
        let at = Mono(row.offset);
        let samples = mapper.map(&row.topic, payload.as_bytes(), row.is_metadata(), at);
        keep(&mut last, &site, samples);
    }
    (site, mapper, last)
}

/// V-DSX 1, 3 and 4.
fn check_powers(last: &Last) {
    let racks = ["E01", "E02", "E03", "E04", "E05", "E06"];
    let racks: Vec<String> = racks.iter().map(|rack| format!("Pod1C-{rack}.power")).collect();
    let racks = sum(last, &racks.iter().map(String::as_str).collect::<Vec<_>>());
    let buses = sum(last, &["C-E-BUS-E1.active_power", "C-E-BUS-E2.active_power"]);
    close(racks, 214.076);
    close(buses, 214.055);
    close(((buses - racks) / racks * 1e6).round(), -98.0);
    let taps = sum(last, &["C-E05-TAP-E1.active_power", "C-E05-TAP-E2.active_power"]);
    close(taps, 47.826);
    close(buses + taps, 261.881);
    close(number(last, "Pod1C-E02.liquid.flow"), 50.768);
    close(number(last, "Pod1C-E02.liquid.supply_temperature"), 31.94);
    close(number(last, "Pod1C-E02.liquid.return_temperature"), 42.09);
    close(number(last, "C-E-BUS-E1.apparent_power"), 104.648);
}

#[test]
fn every_metadata_message_is_joined_and_every_value_understood() {
    let (site, mapper, last) = mapped();
    let tally = mapper.tally();
    assert_eq!(mapper.joined().0, 166);
    assert_eq!(tally.messages, 4711);
    assert_eq!((tally.not_understood, tally.overflow, tally.second_source), (0, 0, 0));
    check_powers(&last);
    // Points of the site that the recording says nothing about are those that it has metadata for and no value.
    let silent: Vec<String> = site.devices[0]
        .bindings
        .iter()
        .flatten()
        .map(|point| site.plant.point_name(*point))
        .filter(|name| !last.contains_key(name))
        .collect();
    assert!(
        silent.iter().all(|name| name.ends_with("_setpoint") || name.ends_with("leak.tray_state")),
        "{silent:?}"
    );
}

/// V-DSX 5.
#[test]
fn the_traps_of_the_feed_arrive_as_what_they_are() {
    let (_, mapper, last) = mapped();
    // processArea "Seccondary".
    close(number(&last, "C-F00-CDU-05.tcs.flow"), 0.0);
    // No voltage at 43 A: delivered, for a rule to doubt.
    close(number(&last, "C-E05-TAP-E1.voltage"), 0.0);
    // Average and maximum of one meter stay apart.
    close(number(&last, "C-E05-TAP-E1.current"), 42.964_024);
    close(number(&last, "C-E05-TAP-E1.max_current"), 43.003);
    // Neither unit nor state names.
    close(number(&last, "C-E05-TAP-E1.power_factor"), 0.984);
    // Less than what flows.
    close(number(&last, "C-E-BUS-E1.current_limit"), 100.0);
    close(number(&last, "C-F00-CDU-05.fws.flow"), 4.92102);
    // Two set-points with the same metadata, told apart by their tags, and neither taken for a temperature.
    close(number(&last, "C-F00-CDU-05.tcs.supply_setpoint"), 32.0);
    close(number(&last, "C-F00-CDU-05.tcs.supply_temperature"), 31.3);
    // Percent and on/off under one point type.
    close(number(&last, "C-F00-CDU-05.pump_1.speed"), 44.0);
    assert_eq!(last["C-F00-CDU-05.fill_pump.state"].value, Ok(Value::State(0)));
    assert_eq!(mapper.tally().trouble, None);
}

/// The gateway's name at the broker.
const CLIENT_ID: &str = "coldwatch-titan-pod1C-gw-dsx";

/// Collects until a condition holds.
struct Gateway {
    site: Site,
    batches: mpsc::Receiver<Batch>,
    last: Last,
    view: Option<LinkView>,
}

impl Gateway {
    async fn until(&mut self, what: &str, condition: impl Fn(Option<&LinkView>) -> bool) {
        while !condition(self.view.as_ref()) {
            let batch = timeout(Duration::from_secs(15), self.batches.recv()).await;
            let batch = batch.unwrap_or_else(|_| panic!("waited in vain for: {what}"));
            self.take(batch.unwrap());
        }
    }

    /// Until the broker has nothing left to deliver: a message is acknowledged when its samples are stored.
    async fn until_delivered(&mut self, broker: &Broker) {
        while broker.backlog(CLIENT_ID) > 0 {
            let batch = timeout(Duration::from_secs(15), self.batches.recv()).await;
            self.take(batch.expect("every message delivered").unwrap());
        }
        while let Ok(batch) = self.batches.try_recv() {
            self.take(batch);
        }
    }

    fn take(&mut self, batch: Batch) {
        match batch {
            Batch::Samples(samples) => keep(&mut self.last, &self.site, samples),
            Batch::Owed { samples, receipt } => {
                keep(&mut self.last, &self.site, samples);
                receipt.stored();
            }
            Batch::Link(view) => self.view = Some(view),
        }
    }
}

fn start(site: Site, stop: &CancellationToken) -> (Gateway, collector::Collector) {
    let (out, batches) = mpsc::channel(collector::QUEUE);
    let running = collector::start(&site, MonoClock::start(), &out, stop);
    (Gateway { site, batches, last: Last::new(), view: None }, running)
}

fn publisher(address: SocketAddr) -> Publisher {
    let broker = links::mqtt::Broker {
        host: address.ip().to_string(),
        port: address.port(),
        login: None,
        client_id: "feed".to_owned(),
    };
    Publisher::open(&broker, &["BMS/#".to_owned()])
}

fn is_up(view: Option<&LinkView>) -> bool {
    view.is_some_and(|view| view.up)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recording_survives_a_broker_that_restarts_and_forgets() {
    let mut broker = Broker::start(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = broker.address();
    let stop = CancellationToken::new();
    let (mut gateway, running) = start(hall_at(address), &stop);
    gateway.until("a connection", is_up).await;
    let rows = recording();
    let feed = publisher(address);
    for part in rows.chunks(1600) {
        replay::replay(part, &feed, None).await.unwrap();
        // It comes back with all that it had not yet delivered.
        let memory = broker.stop().await;
        broker = Broker::resume(address, memory).await.unwrap();
        gateway.until("the loss", |view| !is_up(view)).await;
        assert!(gateway.view.as_ref().unwrap().trouble.is_some());
        gateway.until("a connection", is_up).await;
    }
    gateway.until_delivered(&broker).await;
    check_powers(&gateway.last);
    let view = gateway.view.clone().unwrap();
    assert_eq!(view.trouble, None, "{view:?}");
    assert!(gateway.last["Pod1C-E02.power"].source_time.is_some());

    // A broker that comes back empty: subscribed to again, and the metadata known from before still joins.
    broker.stop().await;
    let broker = Broker::resume(address, Memory::default()).await.unwrap();
    gateway.until("the loss", |view| !is_up(view)).await;
    assert_eq!(gateway.last["dsx-broker.reply_time"].value, Err(NoData::Unreachable));
    gateway.until("a connection", is_up).await;
    gateway.last.clear();
    let values: Vec<Row> = rows.into_iter().filter(|row| !row.is_metadata()).collect();
    replay::replay(&values, &feed, None).await.unwrap();
    gateway.until_delivered(&broker).await;
    check_powers(&gateway.last);
    assert!(gateway.last["dsx-broker.reply_time"].value.is_ok());
    stop.cancel();
    running.stopped().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_does_not_take_samples_leaves_the_messages_at_the_broker() {
    let broker = Broker::start(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = broker.address();
    let site = hall_at(address);
    let (out, batches) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let running = collector::start(&site, MonoClock::start(), &out, &stop);
    let mut gateway = Gateway { site, batches, last: Last::new(), view: None };
    gateway.until("a connection", is_up).await;
    let feed = publisher(address);
    replay::replay(&recording(), &feed, None).await.unwrap();
    let published = broker.backlog(CLIENT_ID);
    assert!(published > 4000, "{published}");
    // Taken is not stored.
    let mut receipts = Vec::new();
    while receipts.len() < 3 {
        if let Batch::Owed { samples, receipt } = gateway.batches.recv().await.unwrap() {
            keep(&mut gateway.last, &gateway.site, samples);
            receipts.push(receipt);
        }
    }
    assert_eq!(broker.backlog(CLIENT_ID), published);
    receipts.into_iter().for_each(collector::Receipt::stored);
    gateway.until_delivered(&broker).await;
    check_powers(&gateway.last);
    stop.cancel();
    running.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn mosquitto_and_a_restart_of_it_give_the_same() {
    let mut mosquitto = Mosquitto::start();
    let address = SocketAddr::from(([127, 0, 0, 1], mosquitto.port));
    let stop = CancellationToken::new();
    let (mut gateway, running) = start(hall_at(address), &stop);
    gateway.until("a connection", is_up).await;
    let rows = recording();
    let feed = publisher(address);
    let (first, second) = rows.split_at(rows.len() / 2);
    replay::replay(first, &feed, None).await.unwrap();
    mosquitto.restart();
    gateway.until("the loss", |view| !is_up(view)).await;
    gateway.until("a connection", is_up).await;
    replay::replay(second, &feed, None).await.unwrap();
    // What comes last says that everything before it has come: no leak was recorded.
    let leak = Row {
        offset: Duration::ZERO,
        topic: "BMS/v1/PUB/Value/Sensor/LeakDetect/nvidia/titan/pod1C/leakStatus/state/rValue"
            .to_owned(),
        payload: r#"{"value":1,"timestamp":{{timestamp_ms}},"quality":1}"#.to_owned(),
    };
    replay::replay(&[leak], &feed, None).await.unwrap();
    let leaks = |last: &Last| {
        last.get("EnvSensorsPod1C.leak.state").is_some_and(|s| s.value == Ok(Value::State(1)))
    };
    while !leaks(&gateway.last) {
        let batch = timeout(Duration::from_secs(15), gateway.batches.recv()).await;
        gateway.take(batch.expect("the last message").unwrap());
    }
    check_powers(&gateway.last);
    stop.cancel();
    running.stopped().await;
}
