//! The ledger: the first value of an interval is kept, and the database is the same whatever happened on the way to it.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use rules::{
    alarm::Letter,
    book::{Context, Standing},
    ledger::LedgerRow,
    messages::Outcome,
};
use rusqlite::Connection;
use store::{
    Reader, StoreError,
    ledger_db::LedgerDb,
    record::{Record, Seq, Stamped},
};
use tempfile::TempDir;

use crate::{
    journal::applied,
    records::{ack, catalog, closed, event, in_a_row, moved, row, stamped, start},
};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn ledger(dir: &TempDir, from: &str, to: &str) -> Vec<LedgerRow> {
    Reader::open(dir.path()).unwrap().ledger(at(from), at(to)).unwrap()
}

/// Everything that the tables hold, as text.
fn dump(dir: &TempDir) -> String {
    let plain = Connection::open(dir.path().join("ledger.db")).unwrap();
    let tables = [
        "SELECT concat_ws('|', name, value) FROM meta ORDER BY name",
        "SELECT concat_ws('|', line, filed, body, hash) FROM journal ORDER BY line",
        "SELECT concat_ws('|', line, body, hash) FROM ledger ORDER BY line",
        "SELECT concat_ws('|', seq, filed, wall, sha256, body) FROM catalog ORDER BY seq",
    ];
    let lines = tables.iter().flat_map(|sql| {
        let mut statement = plain.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn rows_read_back_to_the_last_bit_by_meter_then_start() {
    let third = 1.0 / 3.0;
    let rows = [
        row("ups-2", 0, third),
        row("ups-1", 0, 0.1 + 0.2),
        row("ups-2", 1, 123_456.789_012_345_6),
        row("ups-1", 1, f64::MIN_POSITIVE),
        LedgerRow { amount: None, first: None, last: None, ..row("ups-1", 2, 0.0) },
    ];
    let dir = applied(&in_a_row(rows.iter().cloned().map(closed)));
    let wanted = [&rows[1], &rows[3], &rows[4], &rows[0], &rows[2]].map(Clone::clone);
    assert_eq!(ledger(&dir, "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"), wanted);
    assert_eq!(
        ledger(&dir, "2026-11-22T00:15:00Z", "2026-11-22T00:30:00Z"),
        [rows[3].clone(), rows[2].clone()]
    );
    assert_eq!(ledger(&dir, "2026-11-22T00:00:00.001Z", "2026-11-22T00:15:00Z"), []);
    assert_eq!(ledger(&dir, "2026-11-22T00:15:00Z", "2026-11-22T00:15:00.001Z").len(), 2);
}

#[test]
fn a_second_value_for_an_interval_is_kept_beside_the_first_and_not_counted() {
    let first = row("ups-1", 0, 2.5);
    let other = row("ups-1", 0, 2.75);
    let records = [first.clone(), first.clone(), other.clone(), row("ups-2", 0, 1.0)];
    let dir = applied(&in_a_row(records.map(closed)));
    let day = ("2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z");
    assert_eq!(ledger(&dir, day.0, day.1), [first.clone(), row("ups-2", 0, 1.0)]);
    let (mut context, mut told) = (Context::default(), Vec::new());
    let reader = Reader::open(dir.path()).unwrap();
    reader
        .book(at(day.0), at(day.1), |line| {
            for found in context.rows(line).unwrap() {
                told.push((line.line, line.recorded, found.standing, found.row.amount));
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
    let second = |n| Some(start() + TimeDelta::seconds(n));
    assert_eq!(
        told,
        [
            (2, second(1), Standing::First, Some(2.5)),
            (3, second(2), Standing::Repeated, Some(2.5)),
            (4, second(3), Standing::Differing, Some(2.75)),
            (5, second(4), Standing::First, Some(1.0)),
        ]
    );
    assert!(reader.verify().unwrap().is_intact());
}

#[test]
fn an_auditor_sums_the_ledger_with_sql() {
    let quarters = (0..8).map(|quarter| {
        Record::Ledger(vec![row("ups-1", quarter, 2.5), row("ups-2", quarter, 0.125)])
    });
    let mut records = vec![catalog("1.0", &["ups-1", "ups-2"])];
    records.extend(quarters.chain([closed(row("ups-1", 3, 99.0))]));
    let dir = applied(&in_a_row(records));
    let plain = Connection::open(dir.path().join("ledger.db")).unwrap();
    let sum = "SELECT sum(amount) FROM energy
               WHERE standing = 'first' AND meter = 'ups-1' AND start >= '2026-11-22T00:00:00Z' AND start < '2026-11-22T01:00:00Z'";
    assert_eq!(plain.query_row(sum, [], |row| row.get::<_, f64>(0)), Ok(10.0));
    let columns = "SELECT concat_ws('|', meter, start, amount, method, coverage, flags, uncertainty, last_value, standing,
                                    recorded) FROM energy WHERE line = 2 AND meter = 'ups-1'";
    assert_eq!(
        plain.query_row(columns, [], |row| row.get::<_, String>(0)).unwrap(),
        "ups-1|2026-11-22T00:00:00Z|2.5|register|1.0|[\"rollover\",\"interpolated_wide\"]|0.0125|1002.6|first|\
         2026-11-22T10:00:02.500Z"
    );
}

#[test]
fn only_catalogs_that_differ_are_kept_and_each_is_found_by_the_time_in_which_it_held() {
    let (old, new) = (catalog("1.0", &["ups-1"]), catalog("1.0", &["ups-1", "ups-2"]));
    let dir = applied(&in_a_row([old.clone(), old.clone(), new.clone(), new.clone(), old.clone()]));
    let reader = Reader::open(dir.path()).unwrap();
    let second = |n| start() + TimeDelta::seconds(n);
    let held = |from, to| {
        let held = reader.catalogs(second(from), second(to)).unwrap();
        held.into_iter().map(|held| (held.seq.0, Record::Catalog(held.catalog))).collect::<Vec<_>>()
    };
    assert_eq!(held(0, 60), [(1, old.clone()), (3, new.clone()), (5, old.clone())]);
    assert_eq!(held(2, 3), [(1, old.clone())]);
    assert_eq!(held(3, 5), [(3, new.clone())]);
    assert_eq!(held(10, 60), [(5, old.clone())]);
    assert_eq!(reader.catalog().unwrap().map(Record::Catalog), Some(old));
}

#[test]
fn what_is_no_ledger_of_ours_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    assert!(matches!(Reader::open(dir.path()), Err(StoreError::Absent { .. })));
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE contacts (name TEXT)").unwrap();
    assert!(matches!(LedgerDb::open(&path), Err(StoreError::Foreign { .. })));
    assert!(matches!(Reader::open(dir.path()), Err(StoreError::Foreign { .. })));
    other.execute_batch("PRAGMA application_id = 1129071703; PRAGMA user_version = 3").unwrap();
    let refused = LedgerDb::open(&path).unwrap_err().to_string();
    assert!(refused.contains("has format 3 and this program knows format 2"), "{refused}");
}

/// Some of everything, so that each kind of line meets each kind of interruption.
fn any_record() -> impl Strategy<Value = Record> {
    prop_oneof![
        (0..4_u32).prop_map(|n| event(9, moved(&format!("alarm-{n}"), Letter::A, Letter::B, n))),
        (0..9_u32).prop_map(|n| ack(&format!("key-{n}"), Outcome::Done)),
        (0..3_u8, 0..5_i64, 0..3_u8).prop_map(|(meter, quarter, amount)| {
            closed(row(&format!("ups-{meter}"), quarter, f64::from(amount) / 3.0))
        }),
        (0..2_u8).prop_map(|n| catalog("1", &[&format!("ups-{n}")])),
        Just(Record::Frame(Vec::new())),
        Just(Record::Checkpoint(serde_json::Value::Null)),
    ]
}

/// Applies in pieces, each time by a new process, and each time some of what was there before once more.
fn apply_in_pieces(records: &[Stamped], pieces: &[(usize, usize)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let mut done = 0;
    for &(back, on) in pieces.iter().chain([&(0, records.len())]) {
        let from = usize::saturating_sub(done, back);
        done = (done + on).min(records.len());
        let up_to = Seq(u64::try_from(done).unwrap());
        LedgerDb::open(&path).unwrap().apply(&records[from..done], up_to).unwrap();
    }
    dir
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_same_log_gives_the_same_bytes_however_often_it_was_interrupted(
        records in proptest::collection::vec(any_record(), 1..30),
        pieces in proptest::collection::vec((0..8_usize, 0..8_usize), 0..6),
    ) {
        let records = in_a_row(records);
        let (at_once, in_pieces) = (applied(&records), apply_in_pieces(&records, &pieces));
        prop_assert_eq!(dump(&at_once), dump(&in_pieces));
        prop_assert!(Reader::open(in_pieces.path()).unwrap().verify().unwrap().is_intact());
    }
}

/// `cargo test -p store -- --ignored a_million --nocapture`
#[test]
#[ignore = "takes a minute; prints figures"]
#[expect(clippy::print_stdout, reason = "the figures are the purpose")]
fn a_million_ledger_rows_are_written_read_and_verified() {
    const METERS: u64 = 200;
    let dir = tempfile::tempdir().unwrap();
    let mut db = LedgerDb::open(&dir.path().join("ledger.db")).unwrap();
    let timer = Instant::now();
    let names: Vec<String> = (1..=METERS).map(|meter| format!("meter-{meter}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    db.apply(&[stamped(1, catalog("1.0", &names))], Seq(1)).unwrap();
    for quarter in 0..5000_u64 {
        let plain =
            |name| LedgerRow { flags: Vec::new(), ..row(name, quarter.cast_signed(), 12.345) };
        let rows = names.iter().map(|name| plain(name)).collect();
        db.apply(&[stamped(quarter + 2, Record::Ledger(rows))], Seq(quarter + 2)).unwrap();
    }
    db.settle().unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let bytes = std::fs::metadata(dir.path().join("ledger.db")).unwrap().len();
    println!("written in {:?}, {bytes} bytes", timer.elapsed());
    let timer = Instant::now();
    let rows = reader.ledger(at("2026-11-22T00:00:00Z"), at("2027-11-22T00:00:00Z")).unwrap();
    println!("{} rows read in {:?}", rows.len(), timer.elapsed());
    let timer = Instant::now();
    let day = reader.ledger(at("2026-12-24T00:00:00Z"), at("2026-12-25T00:00:00Z")).unwrap();
    println!("{} rows of a day read in {:?}", day.len(), timer.elapsed());
    let timer = Instant::now();
    assert!(reader.verify().unwrap().is_intact());
    println!("verified in {:?}", timer.elapsed());
}
