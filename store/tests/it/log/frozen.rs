//! Bytes as `FORMAT.md` describes them. They lie on gateways: if a test in here fails, do not change the test, but raise
//! the format version.

use std::fmt::Write;

use rules::{
    time::Mono,
    value::{NoData, Value},
};
use store::{
    log::{Log, LogReader},
    record::Record,
};

use super::support::*;

/// A segment of format version 1: its header, two frames and a checkpoint.
const VERSION_1: &str = "
    636f6c64776c6f67 01000000 0100000000000000 07b0000000000000
    800bb20300000000 80db2a3bdc600600 0000000000000000
    ffffffffffffffff 0000000000000000 56933768
    28000000 9e160df2 a2000000
    050000000200bf843d00000000010405060700000000000c01ae0380897a06026f6e0402
    1f000000 272934cd 22010000
    030000060000001000010200000000020118023200c0b18cb2c068
    07000000 824ad80b 26020000 5b315d
";

fn content() -> Vec<Record> {
    let at = Mono::from_millis(61_500);
    let first = vec![
        sample(0, at, Ok(Value::Number(21.5))),
        sample(1, at, Ok(Value::Integer(1_000_000))),
        sample(2, at, Ok(Value::State(3))),
        sample(4, at, Ok(Value::Text("on".into()))),
        sample(5, at, Err(NoData::Refused(2))),
    ];
    let mut published = sample(0, Mono::from_millis(62_000), Ok(Value::Number(21.4)));
    published.source_time = Some(noon(60));
    let second = vec![
        published,
        sample(1, Mono::from_millis(62_000), Ok(Value::Integer(1_000_012))),
        sample(5, Mono::from_millis(62_000), Ok(Value::Number(0.25))),
    ];
    vec![Record::Frame(first), Record::Frame(second), Record::Checkpoint(serde_json::json!([1]))]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

#[test]
fn version_1_is_written_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let Log { mut writer, .. } = open(dir.path());
    writer.append(&now(62), content());
    writer.close().unwrap();
    let bytes = std::fs::read(files(&options(dir.path())).remove(0)).unwrap();
    assert_eq!(hex(&bytes), hex(&unhex(VERSION_1)));
}

#[test]
fn version_1_is_read_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = options(dir.path()).dir;
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("00000000000000000001.log"), unhex(VERSION_1)).unwrap();
    let back = all(&LogReader::open(&path).unwrap());
    assert_eq!(records(&back), content());
    assert!(back.iter().all(|s| s.stamp.wall == noon(62) && s.stamp.boot == BOOT));
}
