//! A hall that we did not write: the recorded hall of the NVIDIA DSX Exchange sample, replayed through a broker into the
//! running gateway. Expected figures: domain facts, V-DSX, taken from the recording by other means.

#[path = "../support/mosquitto.rs"]
#[expect(dead_code, reason = "only the tests of the collector restart it")]
mod mosquitto;
#[path = "../support/replay.rs"]
mod replay;

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use links::{broker::Broker, publisher::Publisher};
use serde_json::Value;

use self::replay::Row;
use crate::support::{COLDWATCH, Program, coldwatch_in, repository};

const PATIENCE: Duration = Duration::from_secs(20);

fn recording() -> Vec<Row> {
    replay::read(&repository("tests/data/dsx/dsx_exemplar.csv")).unwrap()
}

/// The shipped site of the hall, at this broker.
fn site_text(broker: SocketAddr) -> String {
    let text = fs::read_to_string(repository("configs/sites/dsx-hall.toml")).unwrap();
    text.replace("mqtt://127.0.0.1:1883", &format!("mqtt://{broker}"))
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    fs::write(&file, text).unwrap();
    (folder, file)
}

/// Publishes everything, last value last, and returns the first state of the gateway in which the last one has arrived.
async fn replayed(broker: SocketAddr, site: &str, rows: &[Row], rack_power_kw: f64) -> Value {
    let (folder, file) = written(site);
    let gateway = Program::start(
        coldwatch_in(folder.path())
            .args(["run", "--stream", "--trust-clock", "--site"])
            .arg(&file)
            .stderr(Stdio::null()),
    );
    gateway.until(PATIENCE, "the broker is reached", |document| {
        document["devices"]
            .as_array()
            .is_some_and(|devices| devices.iter().any(|device| device["up"] == true))
    });
    let feed = links::mqtt::Broker {
        host: broker.ip().to_string(),
        port: broker.port(),
        login: None,
        client_id: "feed".to_owned(),
    };
    let publisher = Publisher::open(&feed, &["BMS/#".to_owned()]);
    replay::replay(rows, &publisher, None).await.unwrap();
    let (document, _) =
        gateway.until(PATIENCE, "the hall's power is the recorded one", |document| {
            let site = document["site"].as_str().unwrap_or_default();
            number(document, &format!("{site}.rack_power"))
                .is_some_and(|power| (power - rack_power_kw).abs() < 2e-6 * rack_power_kw)
        });
    document
}

fn number(document: &Value, point: &str) -> Option<f64> {
    document["points"][point]["value"].as_f64()
}

#[track_caller]
fn close(document: &Value, point: &str, expected: f64, tolerance: f64) {
    let actual =
        number(document, point).unwrap_or_else(|| panic!("{point}: {}", document["points"][point]));
    assert!((actual - expected).abs() <= tolerance, "{point}: {actual}, not {expected}");
}

#[track_caller]
fn reason(document: &Value, point: &str, expected: &str) {
    assert_eq!(
        document["points"][point]["reason"], expected,
        "{point}: {}",
        document["points"][point]
    );
}

/// V-DSX 1 to 5 on a gateway's state. Powers are scaled by `factor`; `name` renames a tag as the copy does.
fn check_hall(document: &Value, factor: f64, name: impl Fn(&str) -> String) {
    let point = |point: &str| name(point);
    // 1. Racks against busways.
    close(document, &point("titan-pod1C.rack_power"), 214.076 * factor, 5e-4 * factor);
    close(document, &point("titan-pod1C.it_power"), 214.055 * factor, 5e-4 * factor);
    close(document, &point("titan-pod1C.it_balance"), -0.0098, 5e-5);
    // 3. Rack E02 with PG25.
    close(document, &point("Pod1C-E02.liquid.heat"), 34.509, 0.0035);
    close(document, &point("Pod1C-E02.heat_capture"), 0.980_174 / factor, 1e-4);
    close(document, &point("Pod1C-E02.liquid.specific_flow"), 1.441_99 / factor, 1e-4);
    // 4. Busway E1.
    close(document, &point("C-E-BUS-E1.power_factor"), 0.984_30, 1e-5);
    close(document, &point("C-E-BUS-E1.current_unbalance"), 5.1556, 1e-3);
    close(document, &point("C-E-BUS-E1.neutral_current"), 12.6855, 1e-3);
    // Density: six racks, five of them occupied, on an assumed floor of 60 m².
    close(document, &point("titan-pod1C.rack_power_max"), 47.830 * factor, 1e-3 * factor);
    close(document, &point("titan-pod1C.rack_power_mean"), 214.076 / 6.0 * factor, 1e-3 * factor);
    close(document, &point("titan-pod1C.power_density"), 214.076 / 60.0 * factor, 1e-3 * factor);
    // 5. The traps, as what they are.
    reason(document, &point("C-E05-TAP-E1.voltage"), "contradicts other readings");
    reason(document, &point("C-E05-TAP-E2.voltage"), "contradicts other readings");
    reason(document, &point("C-E-BUS-E1.current_limit"), "contradicts other readings");
    close(document, &point("C-F00-CDU-05.tcs.flow"), 0.0, 0.0);
    reason(document, &point("C-F00-CDU-05.tcs.heat"), "no coolant flow");
    close(document, &point("C-F00-CDU-05.fws.flow"), 4.921_02, 1e-4);
    // The feed has no energy, and no meter at the boundary.
    reason(document, &point("titan-pod1C.facility_power"), "not metered");
    reason(document, &point("titan-pod1C.power_ratio"), "not metered");
    assert_eq!(document["ledger"], Value::Array(Vec::new()), "no energy is claimed");
    assert!(!document.to_string().contains("PUE"), "nothing is called so");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_hall_gives_the_known_figures() {
    let broker = Broker::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let document =
        replayed(broker.address(), &site_text(broker.address()), &recording(), 214.076).await;
    check_hall(&document, 1.0, str::to_owned);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn the_recorded_hall_through_mosquitto_gives_the_known_figures() {
    let broker = mosquitto::Mosquitto::start();
    let address = SocketAddr::from(([127, 0, 0, 1], broker.port));
    let document = replayed(address, &site_text(address), &recording(), 214.076).await;
    check_hall(&document, 1.0, str::to_owned);
}

/// Another hall with the same shape: no tag and no power is as recorded, so nothing can have been remembered.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn a_copy_with_other_names_and_powers_gives_the_scaled_figures() {
    let nanoseconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    let factor = 0.5 + f64::from(nanoseconds) / 1e9;
    let rename = |text: &str| {
        text.replace("Pod1C", "Hall7")
            .replace("pod1C", "hall7")
            .replace("C-E", "K-W")
            .replace("C-F00", "K-Z90")
    };
    let rows: Vec<Row> = recording()
        .into_iter()
        .map(|row| Row {
            payload: if is_power_value(&row.topic) {
                scaled(&row.payload, factor)
            } else {
                rename(&row.payload)
            },
            topic: rename(&row.topic),
            ..row
        })
        .collect();
    let broker = mosquitto::Mosquitto::start();
    let address = SocketAddr::from(([127, 0, 0, 1], broker.port));
    let document = replayed(address, &rename(&site_text(address)), &rows, 214.076 * factor).await;
    check_hall(&document, factor, rename);
}

fn is_power_value(topic: &str) -> bool {
    topic.contains("/Value/")
        && ["/RackPower/", "/ActivePower/", "/ApparentPower/"]
            .iter()
            .any(|point| topic.contains(point))
}

/// `{"value":12.5,"timestamp":{{timestamp_ms}},…` with another value; the placeholder is no JSON yet.
fn scaled(payload: &str, factor: f64) -> String {
    let (head, rest) = payload.split_once("\"value\":").unwrap();
    let (value, tail) = rest.split_once(',').unwrap();
    let value: f64 = value.parse().unwrap();
    format!("{head}\"value\":{},{tail}", value * factor)
}

#[test]
fn summing_busways_and_taps_is_refused() {
    let text = site_text("127.0.0.1:1883".parse().unwrap())
        .replace("role = \"info_only\"", "role = \"it_load\"");
    let (_folder, file) = written(&text);
    let out = Command::new(COLDWATCH).arg("check").arg(&file).output().unwrap();
    let text =
        String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(text.contains("C-E-BUS-E1") && text.contains("C-E05-TAP-E1"), "both are named: {text}");
}
