//! Power cuts and full disks in the middle of sealing.

use std::{fs, path::Path};

use store::{
    history::{HistoryReader, Pins, Resolution, Retention, Rows, Sealer, Turn},
    log::{Log, LogReader},
};

use super::support::*;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn raw_of(dir: &Path, log: &LogReader, point: &str) -> Vec<i64> {
    let reader = HistoryReader::new(dir, log.clone());
    let series = reader.query(&[point.into()], at(-HOUR), at(48 * HOUR), Resolution::Raw).unwrap();
    let rows = series.into_iter().flat_map(|series| match series.rows {
        Rows::Raw(rows) => rows,
        Rows::Rollup(_) => panic!("raw was asked for"),
    });
    rows.map(|row| row.at_ms).collect()
}

/// The directory as it would be found if the power went after any turn: whatever is missing in one of the two, the log
/// and the database, is in the other, and once.
#[test]
fn whenever_it_ends_nothing_is_missing_and_nothing_twice() {
    let mut hall = Hall::new(&temperatures(3));
    hall.run(0, 2 * HOUR, 5, |second| {
        vec![number(1.0), number(f64::from(i32::try_from(second).unwrap())), number(3.0)]
    });
    let expected: Vec<i64> = (0..2 * HOUR / 5).map(|step| ms(step * 5)).collect();
    loop {
        let turn = hall.sealer.turn().unwrap();
        let found = tempfile::tempdir().unwrap();
        copy(hall.dir.path(), found.path());
        let Log { writer, reader } = open_log(found.path(), 2);
        assert_eq!(raw_of(found.path(), &reader, "cdu-1.t1"), expected);
        let mut sealer =
            Sealer::open(found.path(), reader.clone(), Retention::default(), Pins::default())
                .unwrap();
        while sealer.turn().unwrap() == Turn::Again {}
        assert_eq!(raw_of(found.path(), &reader, "cdu-1.t1"), expected);
        let stats = HistoryReader::new(found.path(), reader).stats().unwrap();
        assert_eq!(stats.raw_samples, 3 * 7 * 180, "nothing was sealed twice");
        writer.close().unwrap();
        if turn != Turn::Again {
            break;
        }
    }
}

/// A database from before the last transaction: what a disk holds when the commit did not get there.
#[test]
fn a_bucket_whose_commit_was_lost_is_sealed_again() {
    let mut hall = Hall::new(&temperatures(1));
    hall.run(0, 16 * MINUTE, 1, |_| vec![number(1.0)]);
    let found = tempfile::tempdir().unwrap();
    copy(hall.dir.path(), found.path());
    hall.seal();
    fs::remove_dir_all(found.path().join("log")).unwrap();
    copy(&hall.dir.path().join("log"), &found.path().join("log"));
    let Log { writer, reader } = open_log(found.path(), 2);
    let mut sealer =
        Sealer::open(found.path(), reader.clone(), Retention::default(), Pins::default()).unwrap();
    assert_eq!(sealer.turn().unwrap(), Turn::Again);
    assert_eq!(raw_of(found.path(), &reader, "cdu-1.t0").len(), 960);
    writer.close().unwrap();
}

/// The database is deleted: what the log still has comes back.
#[test]
fn the_history_is_made_again_from_the_log() {
    let mut hall = Hall::new(&temperatures(1));
    hall.pins
        .add(store::history::Hold::Always, std::sync::Arc::new(|| Some(store::record::Seq(1))));
    hall.run(0, 46 * MINUTE, 1, |_| vec![number(1.0)]);
    assert_eq!(hall.seal(), 3);
    fs::remove_file(hall.dir.path().join("history.db")).unwrap();
    hall.reopen();
    assert_eq!(hall.seal(), 3);
    assert_eq!(hall.raw("cdu-1.t0", 0, HOUR).len(), 46 * 60);
    assert_eq!(hall.stats().raw_samples, 45 * 60);
}

/// What a full disk does to a transaction, without one: it ends in the middle, at its first block, its last bucket or
/// its mark, and is undone.
#[test]
fn a_seal_that_fails_loses_nothing_and_is_tried_again() {
    let mut hall = Hall::new(&temperatures(2));
    hall.run(0, 46 * MINUTE, 5, |second| {
        vec![number(1.0), number(f64::from(i32::try_from(second).unwrap()))]
    });
    let before = hall.raw("cdu-1.t1", 0, HOUR);
    assert_eq!(before.len(), 46 * 12);
    assert_eq!(hall.sealer.turn().unwrap(), Turn::Again, "the day has its tables");
    let oldest = hall.log.oldest();
    let other = rusqlite::Connection::open(hall.dir.path().join("history.db")).unwrap();
    let blocks = format!("block_{}", MIDNIGHT_MS / 86_400_000);
    for table in [blocks.as_str(), "bucket", "state"] {
        let full = format!(
            "CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no room'); END"
        );
        other.execute_batch(&full).unwrap();
        for _ in 0..2 {
            let fault = hall.sealer.turn().unwrap_err();
            assert_eq!(fault.to_string(), "failed to use history.db");
        }
        assert_eq!(hall.log.oldest(), oldest, "the log still has it all");
        assert_eq!(hall.raw("cdu-1.t1", 0, HOUR), before);
        other.execute_batch("DROP TRIGGER full").unwrap();
    }
    assert_eq!(hall.seal(), 2);
    assert_eq!(hall.raw("cdu-1.t1", 0, HOUR), before);
    assert_eq!(hall.stats().raw_samples, 2 * 45 * 12);
}
