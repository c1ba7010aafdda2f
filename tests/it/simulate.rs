//! `coldwatch simulate`: the pretended hall as a process of its own.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use crate::support::{COLDWATCH, Program};

const PATIENCE: Duration = Duration::from_secs(15);

/// The words of a read of holding registers, straight off the wire.
fn read_holding(place: &str, unit: u8, start: u16, count: u16) -> Vec<u16> {
    let mut stream = TcpStream::connect(place).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = vec![0, 7, 0, 0, 0, 6, unit, 3];
    request.extend(start.to_be_bytes());
    request.extend(count.to_be_bytes());
    stream.write_all(&request).unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[..2], [0, 7]);
    assert_eq!(head[7], 3, "not an exception");
    let mut bytes = vec![0; usize::from(head[8])];
    stream.read_exact(&mut bytes).unwrap();
    bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

#[test]
fn a_simulated_hall_answers_at_the_addresses_it_prints_and_writes() {
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("simulated.toml");
    let program = Program::start(
        Command::new(COLDWATCH)
            .args(["simulate", "normal_day", "--port-base", "0", "--write-site"])
            .arg(&written),
    );
    let line = program.line(PATIENCE);
    let (device, url) = line.split_once(' ').unwrap();
    assert_eq!(device, "cdu-1-plc");
    let place = url.trim().strip_prefix("modbus+tcp://").unwrap();
    let (place, unit) = place.split_once("?unit=").unwrap();

    // The map of the generic CDU: supply set-point at register 2, flow at 3, in 0.01 °C and 0.1 L/min.
    let words = read_holding(place, unit.parse().unwrap(), 2, 2);
    assert_eq!(words[0], 3200);
    assert!(words[1] > 10_000, "{words:?}");

    let text = fs::read_to_string(&written).unwrap();
    assert!(text.contains(&format!("url = \"{}\"", url.trim())));
    assert!(!text.contains("127.0.0.1:15021"), "the address of the shipped file is replaced");
    assert!(program.terminate());
}

#[test]
fn a_scenario_that_does_not_exist_is_an_error_that_names_those_that_do() {
    let out = Command::new(COLDWATCH).args(["simulate", "nonesuch"]).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(out.stdout.is_empty(), "talk goes to stderr");
    let talk = String::from_utf8(out.stderr).unwrap();
    assert!(talk.contains("no scenario \"nonesuch\"") && talk.contains("pump_trip"), "{talk}");
}
