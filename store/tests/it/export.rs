//! Journal and ledger of a year as files that can be checked by themselves.

use std::{fs, path::Path};

use rules::{
    alarm::Letter,
    chain::{Broken, Misfit},
};
use store::{Reader, StoreError, check_export, record::Stamped};

use crate::{
    journal::applied,
    records::{closed, event, moved, row, stamped},
};

/// 2026-11-22 and the year after it, three days a record.
fn two_years() -> Vec<Stamped> {
    let days = 24 * 3600;
    let of_day = |day: u64| {
        let seq = day * days + 1;
        let record = if day.is_multiple_of(2) {
            event(seq, moved("a", Letter::A, Letter::B, 1))
        } else {
            closed(row("ups-1", day.cast_signed() * 96, 2.5))
        };
        stamped(seq, record)
    };
    (0..120).map(|number| of_day(number * 3)).collect()
}

fn edited(path: &Path, was: &str, is: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(was));
    fs::write(path, text.replacen(was, is, 1)).unwrap();
}

#[test]
fn a_year_is_exported_whole_and_checks_by_itself() {
    let dir = applied(&two_years());
    let reader = Reader::open(dir.path()).unwrap();
    let out = tempfile::tempdir().unwrap();
    let mut all_lines = 0;
    for (year, names) in [
        (2025, vec![]),
        (2026, vec!["journal-2026.jsonl", "ledger-2026.jsonl"]),
        (2027, vec!["journal-2027.jsonl", "ledger-2027.jsonl"]),
    ] {
        let files = reader.export_year(year, out.path()).unwrap();
        let found: Vec<_> = files.iter().map(|file| file.path.file_name().unwrap()).collect();
        assert_eq!(found, names);
        for file in files {
            let state = check_export(&file.path).unwrap();
            assert_eq!((state.fits, state.broken), (file.end, None));
            all_lines += fs::read_to_string(&file.path).unwrap().lines().count() - 1;
        }
    }
    assert_eq!(all_lines, 120 + 13, "with a list of meters for each month");
    let verified = reader.verify().unwrap();
    let end = check_export(&out.path().join("ledger-2027.jsonl")).unwrap();
    assert_eq!(end.fits, verified.ledger.fits);
}

#[test]
fn what_was_changed_in_an_exported_file_is_named() {
    let dir = applied(&two_years());
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("ledger-2026.jsonl");
    let broken = |was: &str, is: &str| {
        Reader::open(dir.path()).unwrap().export_year(2026, out.path()).unwrap();
        edited(&path, was, is);
        check_export(&path).unwrap().broken
    };
    let at = |line, why| Some(Broken { line, why });
    assert_eq!(broken("2026-12-01", "2026-12-02"), at(3, Misfit::Altered));
    assert_eq!(broken("\"amount\":2.5", "\"amount\":2.4"), at(2, Misfit::Altered));
    assert_eq!(broken("\"chain\":\"ledger\"", "\"chain\":\"journal\""), at(1, Misfit::Altered));
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let last = u64::try_from(lines.len() - 1).unwrap();
    assert_eq!(broken(lines[lines.len() - 1], ""), at(last, Misfit::Altered));
    fs::write(&path, lines[..lines.len() - 1].join("\n").replace("journal", "ledger")).unwrap();
    assert_eq!(check_export(&path).unwrap().broken, at(last, Misfit::Missing));
    fs::write(&path, "{}").unwrap();
    assert!(matches!(check_export(&path), Err(StoreError::NoExport { .. })));
}

#[test]
fn what_no_longer_fits_its_chain_is_not_exported() {
    let dir = applied(&two_years());
    let plain = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
    plain
        .execute("UPDATE ledger SET body = replace(body, '2.5', '2.4') WHERE line = 2", [])
        .unwrap();
    let out = tempfile::tempdir().unwrap();
    let refused = Reader::open(dir.path()).unwrap().export_year(2026, out.path());
    let Err(StoreError::Chain { table, source }) = refused else { panic!("{refused:?}") };
    assert_eq!((table, source.line), ("ledger", 2));
}
