//! The journal: lines as they are read back, paged and checked.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use chrono::TimeDelta;
use rules::{
    alarm::Letter,
    chain::{Broken, Misfit},
    messages::{Event, Outcome, What},
    time::{BootId, Mono, Trust},
};
use rusqlite::Connection;
use store::{
    Reader, StoreError,
    journal::{Entry, JournalLine, JournalQuery},
    ledger_db::LedgerDb,
    record::{Record, Seq, Stamped},
};
use tempfile::TempDir;

use crate::records::{
    ack, catalog, closed, event, in_a_row, moved, row, stamped, stamped_with, start,
};

/// A data directory in which these records are applied.
pub(crate) fn applied(records: &[Stamped]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut db = LedgerDb::open(&dir.path().join("ledger.db")).unwrap();
    let last = records.last().map_or(Seq(0), |record| record.stamp.seq);
    db.apply(records, last).unwrap();
    dir
}

fn lines(dir: &TempDir, query: &JournalQuery) -> Vec<JournalLine> {
    Reader::open(dir.path()).unwrap().journal(query).unwrap()
}

fn newest(limit: usize) -> JournalQuery {
    JournalQuery { limit, ..JournalQuery::default() }
}

#[test]
fn every_kind_of_line_reads_back_as_it_was_recorded() {
    let step = What::Clock { trusted: true, step_s: -0.1 };
    let link = What::Link { up: false, why: "connection refused".to_owned() };
    let refused = Outcome::Rejected { why: "occurrence 3 is over".to_owned() };
    let records = in_a_row([
        catalog("1.0", &["ups-1"]),
        event(2, moved("cdu.supply_hi@cdu-2", Letter::A, Letter::B, 3)),
        event(3, step),
        event(4, link),
        ack("k-1", Outcome::Done),
        ack("k-2", refused.clone()),
        Record::Event(Event {
            at: Mono::ZERO,
            wall: None,
            asset: None,
            what: What::Link { up: true, why: String::new() },
        }),
    ]);
    let dir = applied(&records);
    let read = lines(&dir, &newest(100));
    assert_eq!(read.len(), records.len());
    for (line, record) in read.iter().rev().zip(&records) {
        assert_eq!((line.line, line.seq), (record.stamp.seq.0, record.stamp.seq));
        assert_eq!(line.boot, record.stamp.boot);
        match (&line.entry, &record.record) {
            (Entry::Event(read), Record::Event(written)) => assert_eq!(read, written),
            (Entry::Command { command, outcome }, Record::Command(asked, answer)) => {
                assert_eq!((command, outcome), (asked, answer));
                assert_eq!((line.at, line.wall), (record.stamp.mono, Some(record.stamp.wall)));
            }
            (Entry::Catalog { version, site, .. }, Record::Catalog(written)) => {
                assert_eq!((version, site), (&written.version, &written.site));
            }
            other => panic!("{other:?}"),
        }
    }
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.outcome("k-1").unwrap(), Some(Outcome::Done));
    assert_eq!(reader.outcome("k-2").unwrap(), Some(refused));
    assert_eq!(reader.outcome("k-3").unwrap(), None);
}

#[test]
fn the_journal_is_paged_from_the_newest_line_back() {
    let records: Vec<_> =
        (1..=10).map(|seq| event(seq, What::Link { up: true, why: seq.to_string() })).collect();
    let dir = applied(&in_a_row(records));
    let numbers =
        |query: &JournalQuery| lines(&dir, query).iter().map(|line| line.line).collect::<Vec<_>>();
    assert_eq!(numbers(&newest(4)), [10, 9, 8, 7]);
    assert_eq!(numbers(&JournalQuery { before: Some(7), ..newest(4) }), [6, 5, 4, 3]);
    assert_eq!(numbers(&JournalQuery { before: Some(3), ..newest(4) }), [2, 1]);
    assert_eq!(numbers(&newest(0)), [0_u64; 0]);
    let second = |n| Some(start() + TimeDelta::seconds(n));
    assert_eq!(
        numbers(&JournalQuery { from: second(4), to: second(8), ..newest(100) }),
        [7, 6, 5, 4]
    );
    assert_eq!(
        numbers(&JournalQuery { from: second(4), to: second(8), before: Some(6), ..newest(1) }),
        [5]
    );
    assert_eq!(numbers(&JournalQuery { to: second(3), ..newest(100) }), [2, 1]);
    assert_eq!(numbers(&JournalQuery { from: second(9), ..newest(100) }), [10, 9]);
}

#[test]
fn a_line_without_wall_time_is_filed_under_that_of_the_line_before() {
    let untrusted = |seq| {
        let what = What::Link { up: true, why: String::new() };
        let event = Event { at: Mono::from_secs(seq), wall: None, asset: None, what };
        stamped_with(seq, Trust::Untrusted, Record::Event(event))
    };
    let dir = applied(&[
        untrusted(1),
        stamped(2, ack("k", Outcome::Done)),
        untrusted(3),
        stamped(4, ack("l", Outcome::Done)),
    ]);
    let between = JournalQuery {
        from: Some(start() + TimeDelta::seconds(2)),
        to: Some(start() + TimeDelta::seconds(4)),
        ..newest(10)
    };
    let found = lines(&dir, &between);
    assert_eq!(found.iter().map(|line| line.line).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(found[0].wall, None);
    assert!(Reader::open(dir.path()).unwrap().verify().unwrap().is_intact());
}

#[test]
fn a_line_from_before_the_clock_was_trusted_gets_its_time_from_a_later_line_of_its_boot() {
    let link = |at, wall| {
        let what = What::Link { up: true, why: String::new() };
        Record::Event(Event { at, wall, asset: None, what })
    };
    let of_boot = |boot, mut record: Stamped| {
        record.stamp.boot = BootId(boot);
        record
    };
    let early = |seq, boot| {
        let record = link(Mono::from_millis(1000 * seq + 250), None);
        of_boot(boot, stamped_with(seq, Trust::Untrusted, record))
    };
    let late = of_boot(7, stamped(4, link(Mono::from_secs(60), Some(start()))));
    let dir = applied(&[early(1, 6), early(2, 7), early(3, 7), late, early(5, 7)]);
    let assigned: Vec<_> = lines(&dir, &newest(9)).iter().rev().map(|line| line.assigned).collect();
    let before = |ms| Some(start() - TimeDelta::milliseconds(ms));
    // What comes after it had lost trust again: another clock may be believed next.
    assert_eq!(assigned, [None, before(57_750), before(56_750), None, None]);
}

#[test]
fn an_auditor_reads_plain_columns_with_sql() {
    let dir = applied(&in_a_row([
        event(1, moved("cdu.supply_hi@cdu-2", Letter::A, Letter::B, 3)),
        ack("k-1", Outcome::Rejected { why: "too late".to_owned() }),
    ]));
    let plain = Connection::open(dir.path().join("ledger.db")).unwrap();
    let text = |sql: &str| -> String { plain.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(
        text(
            "SELECT concat_ws('|', wall, boot, at_us, entry, kind, alarm, asset, from_letter, to_letter, cause, occurrence,
                              operands) FROM journal WHERE line = 1"
        ),
        "2026-11-22T10:00:01.500Z|fffffffffffffffe|1001000000|event|moved|cdu.supply_hi@cdu-2|cdu-2|A|B|condition|3|\
         46.2 °C > 45 °C"
    );
    assert_eq!(
        text(
            "SELECT concat_ws('|', filed, kind, alarm, occurrence, operator, reason, command_key) FROM journal WHERE line = 2"
        ),
        "2026-11-22T10:00:02.500000Z|ack|cdu.supply_hi@cdu-2|3|li|too late|k-1"
    );
    let setting = |name: &str| -> i64 {
        plain.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((setting("page_size"), setting("user_version")), (8192, 2));
    assert_eq!(setting("application_id"), 0x434c_4457);
    assert_eq!(text("PRAGMA journal_mode"), "wal");
}

#[test]
fn whatever_is_done_to_a_line_the_walk_names_the_first_that_does_not_fit() {
    let many = || {
        let mut records: Vec<_> =
            (1..=6).map(|seq| event(seq, moved("a", Letter::A, Letter::B, 1))).collect();
        records.push(catalog("1.0", &["ups-1"]));
        records.extend((0..6).map(|quarter| closed(row("ups-1", quarter, 2.5))));
        applied(&in_a_row(records))
    };
    let swap = |table: &str| {
        format!(
            "UPDATE {table} SET line = -line WHERE line IN (2, 3); UPDATE {table} SET line = 5 + line WHERE line < 0;"
        )
    };
    let flip = |table: &str, was: &str, is: &str| {
        format!("UPDATE {table} SET body = replace(body, '{was}', '{is}') WHERE line = 4")
    };
    let (altered, missing) = (Misfit::Altered, Misfit::Missing);
    let table = [
        ("journal", flip("journal", "46.2", "46.3"), 4, altered),
        ("journal", flip("journal", "\"A\"", "\"C\""), 4, altered),
        ("journal", flip("journal", "cdu-2", "cdu-3"), 4, altered),
        ("journal", flip("journal", "10:00", "10:01"), 4, altered),
        (
            "journal",
            "UPDATE journal SET hash = replace(hash, substr(hash, 1, 1), 'x') WHERE line = 5"
                .to_owned(),
            5,
            altered,
        ),
        (
            "journal",
            "UPDATE journal SET filed = '2020' WHERE line = 3".to_owned(),
            3,
            Misfit::Contradicted,
        ),
        ("journal", "DELETE FROM journal WHERE line = 1".to_owned(), 1, missing),
        ("journal", "DELETE FROM journal WHERE line = 3".to_owned(), 3, missing),
        ("journal", "DELETE FROM journal WHERE line = 7".to_owned(), 7, missing),
        ("journal", "DELETE FROM journal".to_owned(), 1, missing),
        ("journal", swap("journal"), 2, altered),
        ("ledger", flip("ledger", "2.5", "2.4"), 4, altered),
        ("ledger", flip("ledger", "first", "other"), 4, altered),
        ("ledger", "DELETE FROM ledger WHERE line = 2".to_owned(), 2, missing),
        ("ledger", "DELETE FROM ledger WHERE line > 4".to_owned(), 5, missing),
        ("ledger", swap("ledger"), 2, altered),
        ("ledger", "UPDATE ledger SET line = 9 WHERE line = 6".to_owned(), 6, missing),
    ];
    for (chain, sql, line, why) in table {
        let dir = many();
        Connection::open(dir.path().join("ledger.db")).unwrap().execute_batch(&sql).unwrap();
        let report = Reader::open(dir.path()).unwrap().verify().unwrap();
        let (hit, other) = match chain {
            "journal" => (&report.journal, &report.ledger),
            _ => (&report.ledger, &report.journal),
        };
        assert_eq!(hit.broken, Some(Broken { line, why }), "{sql}");
        assert_eq!(hit.fits.lines, line - 1, "{sql}");
        assert_eq!(other.broken, None, "{sql}");
    }
    assert!(Reader::open(many().path()).unwrap().verify().unwrap().is_intact());
}

#[test]
fn a_catalog_that_was_changed_is_named() {
    let dir = applied(&in_a_row([catalog("1.0", &["ups-1"]), catalog("1.1", &["ups-1"])]));
    let alter = "UPDATE catalog SET body = replace(body, 'ups-1', 'ups-2') WHERE seq = 2";
    Connection::open(dir.path().join("ledger.db")).unwrap().execute_batch(alter).unwrap();
    let report = Reader::open(dir.path()).unwrap().verify().unwrap();
    assert_eq!(report.altered_catalogs, [Seq(2)]);
    assert!(!report.is_intact());
}

/// Takes away the right to write, and says whether that holds: for root it does not.
fn write_protect(dir: &TempDir) -> bool {
    let set =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for entry in fs::read_dir(dir.path()).unwrap() {
        set(&entry.unwrap().path(), 0o444);
    }
    set(dir.path(), 0o555);
    fs::write(dir.path().join("probe"), []).is_err()
}

fn allow_writing(dir: &TempDir) {
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_copy_that_cannot_be_written_to_is_read_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let mut db = LedgerDb::open(&path).unwrap();
    db.apply(&in_a_row([ack("k", Outcome::Done)]), Seq(1)).unwrap();
    db.settle().unwrap();
    drop(db);
    write_protect(&dir);
    assert_eq!(lines(&dir, &newest(10)).len(), 1);
    allow_writing(&dir);
}

#[test]
fn a_write_protected_copy_that_lacks_its_newest_lines_is_not_read_as_if_it_were_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut db = LedgerDb::open(&dir.path().join("ledger.db")).unwrap();
    db.apply(&in_a_row([ack("k", Outcome::Done)]), Seq(1)).unwrap();
    let copy = tempfile::tempdir().unwrap();
    for name in ["ledger.db", "ledger.db-wal"] {
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let protected = write_protect(&copy);
    let read = Reader::open(copy.path());
    assert_eq!(protected, matches!(read, Err(StoreError::WalNeedsWriting { .. })), "{read:?}");
    allow_writing(&copy);
}
