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

/// A segment of format version 2: its header, two frames and a checkpoint. Only the version and the checksum of the header
/// differ from version 1.
const VERSION_2: &str = "
    636f6c64776c6f67 02000000 0100000000000000 07b0000000000000
    800bb20300000000 80db2a3bdc600600 0000000000000000
    ffffffffffffffff 0000000000000000 bb7ffbf6
    28000000 9e160df2 a2000000
    050000000200bf843d00000000010405060700000000000c01ae0380897a06026f6e0402
    1f000000 272934cd 22010000
    030000060000001000010200000000020118023200c0b18cb2c068
    07000000 824ad80b 26020000 5b315d
";

/// A segment of format version 1.
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
fn version_2_is_written_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let Log { mut writer, .. } = open(dir.path());
    writer.append(&now(62), content());
    writer.close().unwrap();
    let bytes = std::fs::read(files(&options(dir.path())).remove(0)).unwrap();
    assert_eq!(hex(&bytes), hex(&unhex(VERSION_2)));
}

#[test]
fn version_2_is_read_as_it_was() {
    is_read(VERSION_2);
}

#[test]
fn version_1_is_read_as_it_was() {
    is_read(VERSION_1);
}

fn is_read(segment: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = options(dir.path()).dir;
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("00000000000000000001.log"), unhex(segment)).unwrap();
    let back = all(&LogReader::open(&path).unwrap());
    assert_eq!(records(&back), content());
    assert!(back.iter().all(|s| s.stamp.wall == noon(62) && s.stamp.boot == BOOT));
}

/// A segment of format version 1 with a record of the ledger as it was then: one row, as a JSON object.
const VERSION_1_LEDGER: &str = "
    636f6c64776c6f6701000000010000000000000007b0000000000000800bb2030000000080db2a3bdc60060000000000
    00000000ffffffffffffffff00000000000000005693376886000000efc6551d250000007b226d65746572223a226d2d
    31222c227374617274223a22323032362d31312d32325431323a30303a30305a222c22616d6f756e74223a322e352c22
    6d6574686f64223a227265676973746572222c22636f766572616765223a312e302c22666c616773223a5b5d2c226669
    727374223a6e756c6c2c226c617374223a6e756c6c7d
";

#[test]
fn a_row_of_version_1_is_a_quarter_hour_of_one_row() {
    let dir = tempfile::tempdir().unwrap();
    let path = options(dir.path()).dir;
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("00000000000000000001.log"), unhex(VERSION_1_LEDGER)).unwrap();
    assert_eq!(records(&all(&LogReader::open(&path).unwrap())), [ledger(2.5)]);
}
