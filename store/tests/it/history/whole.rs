//! The history as part of a data directory: sealed by its own thread, asked beside it and after it.

use std::fs;

use rules::time::{BootId, Mono, Now, Trust, Wall};
use store::{
    Options, Reader,
    history::{Resolution, Rows, Series},
    log::Writer,
    open,
    record::Record,
};

use super::support::*;

fn write(writer: &mut Writer, from: i64, to: i64) {
    writer.append(&now(from), vec![Record::Catalog(temperatures(2))]);
    for second in from..to {
        let samples = (0..2).map(|point| sample(point, now(second).mono, number(1.5)));
        writer.append(&now(second), vec![Record::Frame(samples.collect())]);
    }
}

fn now(second: i64) -> Now {
    let mono = Mono::from_secs(second.cast_unsigned());
    Now { mono, wall: Wall { utc: at(second), trust: Trust::Synchronised } }
}

fn rows(series: &[Series]) -> usize {
    let lengths = series.iter().map(|series| match &series.rows {
        Rows::Raw(rows) => rows.len(),
        Rows::Rollup(rows) => rows.len(),
    });
    lengths.sum()
}

#[test]
fn a_gateway_that_is_closed_leaves_its_samples_sealed_and_to_be_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { reserve_bytes: 0, ..Options::new(dir.path().to_owned()) };
    let mut opened = open(&options, BootId(1)).unwrap();
    write(&mut opened.writer, 0, 32 * MINUTE);
    let reader = opened.store.reader();
    opened.writer.close().unwrap();
    let points = ["cdu-1.t1".into(), "cdu-1.t0".into()];
    let ask = |reader: &Reader| reader.history(&points, at(0), at(HOUR), Resolution::Raw).unwrap();
    let beside = ask(&reader);
    assert_eq!(rows(&beside), 2 * 32 * 60);
    assert_eq!(&*beside[0].point, "cdu-1.t1", "in the order asked");
    opened.store.close();
    let stats = reader.stats().unwrap().history;
    assert_eq!(stats.raw_samples, 2 * 30 * 60);
    assert_eq!(stats.sealed_until_ms, Some(ms(30 * MINUTE)));
    let after = Reader::open(dir.path()).unwrap();
    assert_eq!(ask(&after), beside);
    let minutes = after.history(&points, at(0), at(HOUR), Resolution::Minute).unwrap();
    assert_eq!(rows(&minutes), 2 * 32);
}

#[test]
fn a_damaged_history_is_moved_aside_and_made_again_from_what_the_log_has() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("history.db"), vec![b'x'; 20_000]).unwrap();
    let options = Options { reserve_bytes: 0, ..Options::new(dir.path().to_owned()) };
    let mut opened = open(&options, BootId(1)).unwrap();
    write(&mut opened.writer, 0, 16 * MINUTE);
    let reader = opened.store.reader();
    opened.writer.close().unwrap();
    opened.store.close();
    assert!(dir.path().join("history.db.damaged").exists());
    assert_eq!(reader.stats().unwrap().history.raw_samples, 2 * 15 * 60);
}

#[test]
fn a_log_that_was_lost_goes_on_behind_what_was_sealed_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { reserve_bytes: 0, ..Options::new(dir.path().to_owned()) };
    for (run, (from, to)) in (1..).zip([(0, 16 * MINUTE), (16 * MINUTE, 40 * MINUTE)]) {
        let mut opened = open(&options, BootId(run)).unwrap();
        write(&mut opened.writer, from, to);
        opened.writer.close().unwrap();
        opened.store.close();
        if run == 1 {
            fs::remove_dir_all(dir.path().join("log")).unwrap();
        }
    }
    let reader = Reader::open(dir.path()).unwrap();
    let series = reader.history(&["cdu-1.t0".into()], at(0), at(HOUR), Resolution::Raw).unwrap();
    assert_eq!(
        rows(&series),
        15 * 60 + 24 * 60,
        "only what was not sealed of the lost log is missing"
    );
}
