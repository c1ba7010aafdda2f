//! A Modbus device that we did not write: pymodbus serving an image that a Python script made from public maps.

use std::{collections::BTreeMap, fs, process::Command, time::Duration};

use serde_json::Value;

use crate::support::{Program, coldwatch_in, repository};

const PATIENCE: Duration = Duration::from_secs(30);

fn device(port: u16) -> (Program, u16) {
    let python = std::env::var("COLDWATCH_PEER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let program = Program::start(
        Command::new(python)
            .arg(repository("tests/peers/modbus_device.py"))
            .arg(repository("configs/tests/data/orv3_rpu_image.json"))
            .args(["12", &port.to_string()]),
    );
    let port = program.line(PATIENCE).parse().expect("it prints its port");
    (program, port)
}

/// One pumping unit, polled every second, all of its points.
fn site(port: u16) -> String {
    let shipped = fs::read_to_string(repository("configs/sites/orv3-rpu.toml")).unwrap();
    let url = format!("url = \"modbus+tcp://127.0.0.1:{port}?unit=12\"");
    let lines = shipped.lines().filter(|line| !line.starts_with("without"));
    lines
        .map(|line| match line.split_once(" = ") {
            Some(("url", _)) => url.clone(),
            Some(("poll_every", _)) => "poll_every = \"1 s\"".to_owned(),
            Some(("timeout", _)) => "timeout = \"500 ms\"".to_owned(),
            _ => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Quantity → what the Python script says it must be.
fn expected() -> BTreeMap<String, Value> {
    let image = fs::read_to_string(repository("configs/tests/data/orv3_rpu_image.json")).unwrap();
    let image: Value = serde_json::from_str(&image).unwrap();
    let values = image["values"].as_object().unwrap().iter();
    values.map(|(quantity, value)| (quantity.clone(), value.clone())).collect()
}

fn differs(point: &Value, expected: &Value) -> bool {
    let value = &point["value"];
    if let Some(number) = expected.as_f64() {
        // The unit's map counts power in W, and the script with it; coldwatch keeps power in kW.
        let number = if point["unit"] == "kW" { number / 1000.0 } else { number };
        return value
            .as_f64()
            .is_none_or(|value| (value - number).abs() > 1e-9 * number.abs().max(1.0));
    }
    if let Some(integer) = expected.get("integer") {
        return value != integer;
    }
    if let Some(state) = expected.get("state") {
        return value != state;
    }
    value != expected
}

fn points_that_differ(document: &Value, expected: &BTreeMap<String, Value>) -> Vec<String> {
    expected
        .iter()
        .filter(|(quantity, value)| differs(&document["points"][format!("rpu.{quantity}")], value))
        .map(|(quantity, value)| {
            format!(
                "{quantity}: {} instead of {value}",
                document["points"][format!("rpu.{quantity}")]
            )
        })
        .collect()
}

fn comms_alarm(document: &Value) -> Option<&str> {
    let alarms = document["alarms"].as_array().unwrap();
    alarms
        .iter()
        .find(|alarm| alarm["name"] == "comms.device@rpu-plc")
        .and_then(|alarm| alarm["letter"].as_str())
}

#[test]
#[ignore = "needs pymodbus"]
fn a_pumping_unit_that_we_did_not_write_is_read_lost_and_found_again() {
    let (unit, port) = device(0);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    fs::write(&file, site(port)).unwrap();
    let gateway = Program::start(
        coldwatch_in(folder.path()).args(["run", "--stream", "--trust-clock", "--site"]).arg(&file),
    );

    let expected = expected();
    assert!(expected.values().any(|value| value.as_f64().is_some_and(|number| number < 0.0)));
    let mut wrong = Vec::new();
    gateway.until(PATIENCE, "every point equals what Python says", |document| {
        wrong = points_that_differ(document, &expected);
        wrong.is_empty()
    });

    unit.kill();
    let (_, polls) = gateway.until(PATIENCE, "all points are bad, with a reason", |document| {
        expected.keys().all(|quantity| {
            let point = &document["points"][format!("rpu.{quantity}")];
            point["value"].is_null()
                && point["reason"].as_str().is_some_and(|reason| !reason.is_empty())
        })
    });
    // One document a second, one poll a second; the first may have been on its way when the unit died.
    assert!(polls <= 4, "bad after {polls} documents");
    gateway.until(PATIENCE, "the comms alarm is raised", |document| {
        comms_alarm(document) == Some("B")
    });

    let (_unit, _) = device(port);
    gateway.until(PATIENCE, "every point is good again", |document| {
        points_that_differ(document, &expected).is_empty()
    });
    let cleared = |document: &Value| matches!(comms_alarm(document), None | Some("D"));
    gateway.until(PATIENCE, "the comms alarm clears", cleared);
    assert!(gateway.terminate(), "it stops when asked to");
}
