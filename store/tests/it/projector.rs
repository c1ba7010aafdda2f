//! A data directory as a gateway uses it: opened, written to, closed or left as after a crash, opened again.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rules::{
    alarm::Letter,
    messages::Outcome,
    time::{BootId, Mono, Now, Trust, Wall},
};
use rusqlite::Connection;
use store::{
    Finding, Opened, Options, Projected, Reader, Store, StoreError,
    journal::JournalQuery,
    log::{Durable, Storing, Writer},
    record::{Record, Seq, Stamped},
};

use crate::records::{ack, catalog, closed, event, moved, row, start};

fn options(dir: &Path) -> Options {
    Options { reserve_bytes: 1 << 20, ..Options::new(dir.to_owned()) }
}

fn open(dir: &Path, boot: u64) -> Opened {
    store::open(&options(dir), BootId(boot)).unwrap()
}

fn now() -> Now {
    Now { mono: Mono::from_secs(1000), wall: Wall { utc: start(), trust: Trust::Synchronised } }
}

/// Waits until journal and ledger are at least so far.
fn wait_for(store: &Store, seq: Seq) {
    let mut projected = store.projected();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let reached = projected.wait_for(|projected| projected.seq >= seq);
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), reached).await.unwrap().unwrap()
    });
}

/// Closes in the direction of the data.
fn close(writer: Writer, store: Store) {
    writer.close().unwrap();
    store.close();
}

fn journal(reader: &Reader) -> Vec<u64> {
    let query = JournalQuery { limit: 1000, ..JournalQuery::default() };
    reader.journal(&query).unwrap().iter().map(|line| line.seq.0).collect()
}

fn whole_day(reader: &Reader) -> usize {
    let day = |text: &str| text.parse().unwrap();
    reader.ledger(day("2026-11-22T00:00:00Z"), day("2026-11-23T00:00:00Z")).unwrap().len()
}

/// The files as they are now, as a process that was killed leaves them.
fn copied(dir: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                fs::create_dir(&target).unwrap();
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let copied = tempfile::tempdir().unwrap();
    copy(dir, copied.path());
    copied
}

fn some_records() -> Vec<Record> {
    vec![
        catalog("1.0", &["ups-1"]),
        event(2, moved("a", Letter::A, Letter::B, 1)),
        closed(row("ups-1", 0, 2.5)),
        Record::Checkpoint(serde_json::json!({ "version": 1 })),
        ack("k-1", Outcome::Done),
        closed(row("ups-1", 1, 2.5)),
    ]
}

#[test]
fn what_was_appended_is_in_journal_and_ledger_after_a_clean_stop_in_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { store, mut writer, before, findings } = open(dir.path(), 1);
    assert_eq!((before.checkpoint, before.after.len(), findings.len()), (None, 0, 0));
    writer.append(&now(), some_records());
    let reader = store.reader();
    close(writer, store);
    assert_eq!(journal(&reader), [5, 2, 1]);
    assert_eq!(whole_day(&reader), 2);
    assert!(reader.verify().unwrap().is_intact());
    assert_eq!(reader.stats().unwrap().applied, Seq(6));
    let wal = fs::metadata(dir.path().join("ledger.db-wal"));
    assert!(wal.map_or(true, |wal| wal.len() == 0), "the write-ahead file is not empty");
}

#[test]
fn the_next_run_gets_the_last_checkpoint_and_what_came_after_it_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { store, mut writer, .. } = open(dir.path(), 1);
    writer.append(&now(), some_records());
    writer.append(&now(), vec![event(7, moved("a", Letter::B, Letter::C, 1))]);
    close(writer, store);
    let Opened { store, writer, before, findings } = open(dir.path(), 2);
    assert_eq!(findings, []);
    assert_eq!(before.checkpoint.as_ref().map(|checkpoint| checkpoint.stamp.seq), Some(Seq(4)));
    let after: Vec<_> = before.after.iter().map(|record| record.stamp.seq.0).collect();
    assert_eq!(after, [5, 6, 7]);
    assert_eq!(before.newest_wall(), Some(start() + chrono::TimeDelta::seconds(7)));
    close(writer, store);
}

#[test]
fn an_event_is_a_line_of_the_journal_in_another_process_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { store, mut writer, .. } = open(dir.path(), 1);
    let beside = Reader::open(dir.path()).unwrap();
    assert_eq!(journal(&beside), [0_u64; 0]);
    for round in 1..=20 {
        let seq = writer.append(&now(), vec![event(1, moved("a", Letter::A, Letter::B, round))]);
        wait_for(&store, seq);
        assert_eq!(journal(&beside).len(), usize::try_from(round).unwrap());
    }
    close(writer, store);
}

#[test]
fn a_second_gateway_on_one_directory_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), 1);
    let refused = store::open(&options(dir.path()), BootId(2)).unwrap_err();
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    let text = refused.to_string();
    for part in
        [dir.path().to_str().unwrap(), &format!("process {}", std::process::id()), "stop that one"]
    {
        assert!(text.contains(part), "{text}");
    }
    close(first.writer, first.store);
    let second = open(dir.path(), 2);
    close(second.writer, second.store);
}

#[test]
fn wherever_a_run_was_killed_the_next_one_has_every_line_once() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { store, mut writer, .. } = open(dir.path(), 1);
    let mut durable = Seq(0);
    let mut copies = Vec::new();
    for round in 0..12_i64 {
        let last = writer.append(
            &now(),
            vec![
                event(1, moved("a", Letter::A, Letter::B, 1)),
                closed(row("ups-1", round, 2.5)),
                ack(&format!("k-{round}"), Outcome::Done),
            ],
        );
        if round % 3 == 0 {
            wait_for(&store, last);
            durable = last;
        }
        copies.push((durable, copied(dir.path())));
    }
    close(writer, store);
    for (durable, copy) in copies {
        let Opened { store, mut writer, findings, .. } = open(copy.path(), 2);
        assert_eq!(findings, []);
        let reader = store.reader();
        let there = writer.last();
        assert!(there >= durable, "{there:?} {durable:?}");
        assert_eq!(journal(&reader).len() + whole_day(&reader), usize::try_from(there.0).unwrap());
        let next = writer.append(&now(), vec![ack("k-next", Outcome::Done)]);
        assert_eq!(next.0, there.0 + 1);
        close(writer, store);
        assert_eq!(journal(&reader).first(), Some(&next.0));
        assert!(reader.verify().unwrap().is_intact());
    }
}

/// Writes rubbish over a part of a file.
fn damage(path: &Path, from: u64, bytes: usize) {
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(&vec![0xA5; bytes]).unwrap();
}

#[test]
fn a_damaged_ledger_is_set_aside_and_written_anew_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { store, mut writer, .. } = open(dir.path(), 1);
    writer.append(&now(), some_records());
    let whole = store.reader();
    close(writer, store);
    let heads = whole.verify().unwrap();
    damage(&dir.path().join("ledger.db"), 0, 4096);
    let Opened { store, writer, findings, .. } = open(dir.path(), 2);
    let [Finding::SetAside { aside, journal_lines: 0, ledger_lines: 0, .. }] = &findings[..] else {
        panic!("{findings:?}")
    };
    assert!(aside.exists());
    assert!(aside.to_str().unwrap().contains("ledger.db.damaged-20"), "{}", aside.display());
    assert_eq!(store.reader().verify().unwrap(), heads);
    close(writer, store);
}

#[test]
fn what_the_chains_still_prove_of_a_damaged_ledger_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { store, mut writer, .. } = open(dir.path(), 1);
    writer.append(&now(), vec![catalog("1.0", &["ups-1"])]);
    for _ in 0..2000 {
        writer.append(&now(), vec![event(1, moved("a", Letter::A, Letter::B, 1))]);
    }
    let rows = (0..50).map(|quarter| closed(row("ups-1", quarter, 2.5)));
    let last = writer.append(&now(), rows.collect());
    close(writer, store);
    // The log has forgotten what both projections have applied.
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    let path = dir.path().join("ledger.db");
    let page = |sql: &str| -> u64 {
        let plain = Connection::open(&path).unwrap();
        plain.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
    };
    let root = page("SELECT rootpage FROM sqlite_schema WHERE name = 'meta'");
    damage(&path, (root - 1) * 8192, 8192);
    let Opened { store, mut writer, findings, .. } = open(dir.path(), 2);
    let set_aside = findings.iter().any(|finding| {
        matches!(finding, Finding::SetAside { journal_lines: 2001, ledger_lines: 51, .. })
    });
    assert!(set_aside, "{findings:?}");
    let next = writer.append(&now(), vec![ack("k", Outcome::Done)]);
    assert!(next > last, "{next:?} was used before");
    let reader = store.reader();
    assert_eq!(whole_day(&reader), 50);
    close(writer, store);
    assert_eq!(reader.stats().unwrap().journal_lines, 2002);
    assert!(reader.verify().unwrap().is_intact());
    assert!(reader.catalog().unwrap().is_some());
}

#[test]
fn a_log_that_was_lost_goes_on_behind_what_journal_and_ledger_hold() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { store, mut writer, .. } = open(dir.path(), 1);
    writer.append(&now(), some_records());
    close(writer, store);
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    let Opened { store, mut writer, before, findings } = open(dir.path(), 2);
    assert_eq!(findings, [Finding::LogLost { last: Seq(6) }]);
    assert_eq!(before.newest_wall(), Some(start() + chrono::TimeDelta::seconds(2)));
    let recalled: Vec<_> = before.after.iter().map(|record| record.stamp.seq.0).collect();
    assert_eq!(recalled, [2, 3, 5, 6]);
    assert_eq!(before.after[0].record, some_records()[1]);
    assert_eq!(writer.append(&now(), vec![ack("k-2", Outcome::Done)]), Seq(7));
    let reader = store.reader();
    close(writer, store);
    assert_eq!(journal(&reader), [7, 5, 2, 1]);
    let Opened { store, writer, findings, .. } = open(dir.path(), 3);
    assert_eq!(findings, []);
    close(writer, store);
}

#[test]
fn a_lost_ledger_of_which_the_log_has_only_the_end_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options { segment_bytes: 1, ..options(dir.path()) };
    let Opened { store, mut writer, .. } = store::open(&small, BootId(1)).unwrap();
    for _ in 0..5 {
        let last = writer.append(&now(), vec![ack("k", Outcome::Done)]);
        wait_for(&store, last);
    }
    store.log().drop_before(Seq(4)).unwrap();
    let oldest = store.log().oldest();
    assert!(oldest > Seq(1));
    close(writer, store);
    fs::remove_file(dir.path().join("ledger.db")).unwrap();
    let Opened { store, writer, findings, .. } = open(dir.path(), 2);
    assert_eq!(findings, [Finding::Missing { first: Seq(1), last: Seq(oldest.0 - 1) }]);
    assert!(store.reader().verify().unwrap().is_intact());
    close(writer, store);
}

#[test]
fn a_database_that_somebody_holds_is_written_when_he_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { store, mut writer, .. } = open(dir.path(), 1);
    let holder = Connection::open(dir.path().join("ledger.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let seq = writer.append(&now(), vec![ack("k", Outcome::Done)]);
    let mut projected = store.projected();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let told = runtime
        .block_on(projected.wait_for(|projected| projected.trouble.is_some()))
        .unwrap()
        .clone();
    assert!(told.trouble.unwrap().contains("locked"));
    holder.execute_batch("ROLLBACK").unwrap();
    wait_for(&store, seq);
    let Projected { trouble, .. } = store.projected().borrow().clone();
    assert_eq!(trouble, None);
    close(writer, store);
}

#[test]
fn room_is_held_back_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { store, writer, .. } = open(dir.path(), 1);
    assert!(store.projected().borrow().reserve_held);
    let stats = store.reader().stats().unwrap();
    assert_eq!(stats.reserve_bytes, 1 << 20);
    assert!(stats.ledger_bytes > 0);
    assert!(stats.total_bytes() > stats.ledger_bytes + stats.reserve_bytes);
    close(writer, store);
}

/// Fills what room there is.
fn fill(path: &Path) -> u64 {
    let mut file = fs::File::options().create(true).append(true).open(path).unwrap();
    for size in [1 << 20, 1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    file.metadata().unwrap().len()
}

/// `mount -t tmpfs -o size=8m tmpfs DIR; COLDWATCH_SMALL_DISK=DIR cargo test -p store -- --ignored a_full_disk`
#[test]
#[ignore = "needs an empty file system of a few MB in COLDWATCH_SMALL_DISK"]
fn a_full_disk_costs_the_reserve_but_no_line_and_is_got_over() {
    let disk = PathBuf::from(std::env::var_os("COLDWATCH_SMALL_DISK").unwrap());
    let (dir, filler) = (disk.join("data"), disk.join("filler"));
    let Opened { store, mut writer, .. } = open(&dir, 1);
    let seq = writer.append(&now(), some_records());
    wait_for(&store, seq);
    assert!(store.projected().borrow().reserve_held);
    assert!(fill(&filler) > 0);
    let mut lines = 3;
    let mut seq = seq;
    while store.projected().borrow().reserve_held {
        seq = writer.append(&now(), vec![event(1, moved("a", Letter::A, Letter::B, 1)); 20]);
        lines += 20;
        wait_until_durable(&writer, seq);
    }
    wait_for(&store, seq);
    assert_eq!(store.reader().stats().unwrap().journal_lines, lines);
    // Now nothing is left. What comes waits in memory until somebody makes room.
    fill(&filler);
    while *writer.durable().borrow() == (Durable { seq, storing: Storing::Stored }) {
        seq = writer.append(&now(), vec![event(1, moved("a", Letter::A, Letter::B, 1)); 20]);
        lines += 20;
        wait_until_told(&writer, seq);
    }
    fs::remove_file(&filler).unwrap();
    wait_until_durable(&writer, seq);
    wait_for(&store, seq);
    let reader = store.reader();
    assert_eq!(reader.stats().unwrap().journal_lines, lines);
    assert!(reader.verify().unwrap().is_intact());
    close(writer, store);
    // A gateway starts on a full disk too.
    fill(&filler);
    let Opened { store, writer, findings, .. } = open(&dir, 2);
    assert_eq!(findings, []);
    close(writer, store);
    fs::remove_dir_all(&dir).unwrap();
    fs::remove_file(&filler).unwrap();
}

/// Waits for what the log tells of this or a later place.
fn wait_until(writer: &Writer, wanted: impl FnMut(&Durable) -> bool) {
    let mut durable = writer.durable();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let told = durable.wait_for(wanted);
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), told).await.unwrap().unwrap();
    });
}

fn wait_until_durable(writer: &Writer, seq: Seq) {
    wait_until(writer, |durable| durable.seq >= seq);
}

/// On disk, or refused.
fn wait_until_told(writer: &Writer, seq: Seq) {
    wait_until(writer, |durable| durable.seq >= seq || durable.storing != Storing::Stored);
}

/// `cargo test -p store -- --ignored a_restart --nocapture`
#[test]
#[ignore = "prints figures"]
#[expect(clippy::print_stdout, reason = "the figures are the purpose")]
fn a_restart_after_ten_seconds_of_records_is_quick() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { store, mut writer, .. } = open(dir.path(), 1);
    for _ in 0..100_000 {
        writer.append(&now(), vec![event(1, moved("a", Letter::A, Letter::B, 1))]);
    }
    writer.append(&now(), vec![Record::Checkpoint(serde_json::Value::Null)]);
    for _ in 0..100 {
        writer.append(&now(), vec![event(1, moved("a", Letter::A, Letter::B, 1))]);
    }
    let timer = Instant::now();
    close(writer, store);
    println!("caught up and closed in {:?}", timer.elapsed());
    let timer = Instant::now();
    let Opened { store, writer, before, .. } = open(dir.path(), 2);
    println!("opened in {:?}", timer.elapsed());
    assert_eq!(before.after.len(), 100);
    close(writer, store);
    let _: Vec<Stamped> = before.after;
}
