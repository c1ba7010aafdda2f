//! The power goes after any operation of the file system, and leaves nothing, half or all of what was not synced.

use std::{path::Path, sync::Arc};

use rules::time::BootId;
use store::{
    log::{Log, LogOptions},
    record::{Record, Seq},
    seam::faulty::{Faulty, Unsynced},
};

use super::support::*;

/// What one run appended, by place.
type Appended = Vec<Record>;

/// Appends groups until the power goes, with a segment roll every few of them. Says what was appended and how much of
/// it was reported durable.
fn run_until_dark(disk: &Faulty, options: &LogOptions) -> (Appended, Seq) {
    let mut appended = Vec::new();
    let Ok(Log { mut writer, reader }) = Log::open_on(Arc::new(disk.clone()), options, BOOT) else {
        return (appended, Seq(0));
    };
    for second in 0..12 {
        let mut group = vec![frame(30, second), event(&format!("tick {second}"))];
        if second == 0 {
            group.insert(0, catalog("1"));
        }
        if second % 4 == 3 {
            group.push(checkpoint(second));
        }
        appended.extend(group.clone());
        let last = writer.append(&now(second), group);
        if !settle(&writer, last) {
            break;
        }
        if second == 8 {
            // Its removal may survive or not.
            drop(reader.drop_before(Seq(6)));
        }
    }
    drop(writer);
    (appended, reader.durable())
}

/// All that was durable is there, and nothing that was not appended. Then the log goes on.
fn check_after(dir: &Path, options: &LogOptions, appended: &Appended, durable: Seq, what: &str) {
    for restart in 0..2 {
        let Log { mut writer, reader } = Log::open(options, BootId(100 + restart)).unwrap();
        let next = Seq(writer.last().0 + 1);
        assert!(reader.durable() >= durable, "{what}");
        let back = all(&reader);
        let oldest = reader.oldest();
        assert!(oldest <= Seq(6), "{what}");
        let places: Vec<_> = (oldest.0..next.0).collect();
        assert_eq!(seqs(&back), places, "{what}");
        for stamped in back.iter().filter(|stamped| stamped.stamp.boot == BOOT) {
            let index = usize::try_from(stamped.stamp.seq.0).unwrap() - 1;
            assert_eq!(stamped.record, appended[index], "{what}");
        }
        let group = vec![catalog("2"), frame(30, 100), event("again")];
        assert_eq!(writer.append(&now(100), group.clone()), Seq(next.0 + 2), "{what}");
        writer.close().unwrap();
        assert_eq!(records(&from(&reader, next)), group, "{what}");
        assert_eq!(reader.lost(), 0, "{what}");
    }
    std::fs::remove_dir_all(dir.join("log")).unwrap();
}

#[test]
fn what_was_reported_durable_outlives_a_power_cut_after_any_operation() {
    for unsynced in [Unsynced::Lost, Unsynced::HalfKept, Unsynced::Kept] {
        let dir = tempfile::tempdir().unwrap();
        let options = LogOptions { segment_bytes: 700, ..options(dir.path()) };
        let whole = Faulty::default();
        let (appended, durable) = run_until_dark(&whole, &options);
        assert_eq!(durable.0, appended.len() as u64);
        assert!(files(&options).len() > 3, "{} segments", files(&options).len());
        std::fs::remove_dir_all(&options.dir).unwrap();
        for operations in 0..=whole.operations() {
            let disk = Faulty::default();
            disk.cut_after(operations);
            let (appended, durable) = run_until_dark(&disk, &options);
            disk.power_cut(unsynced).unwrap();
            let what = format!("{unsynced:?} after {operations} operations");
            check_after(dir.path(), &options, &appended, durable, &what);
        }
    }
}

/// Goes on after a power cut, on a disk that goes dark again. Says from which place on, what, and how much was durable.
fn go_on_until_dark(disk: &Faulty, options: &LogOptions) -> Option<(Seq, Appended, Seq)> {
    let opened = Log::open_on(Arc::new(disk.clone()), options, BootId(7));
    let Log { mut writer, reader } = opened.ok()?;
    let first = Seq(writer.last().0 + 1);
    let mut appended = Vec::new();
    for second in 50..53 {
        let group = vec![frame(30, second), event(&format!("later {second}"))];
        appended.extend(group.clone());
        let last = writer.append(&now(second), group);
        if !settle(&writer, last) {
            break;
        }
    }
    drop(writer);
    Some((first, appended, reader.durable()))
}

#[test]
fn a_power_cut_while_an_earlier_one_is_mended_takes_nothing_either() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 700, ..options(dir.path()) };
    let at = |seq: Seq, first: Seq| usize::try_from(seq.0 - first.0).unwrap();
    for (before, after) in (12..42).step_by(3).flat_map(|before| (0..8).map(move |n| (before, n))) {
        let what = format!("{before} operations, then {after}");
        let disk = Faulty::default();
        disk.cut_after(before);
        let (earlier, durable) = run_until_dark(&disk, &options);
        disk.power_cut(Unsynced::HalfKept).unwrap();
        let disk = Faulty::default();
        disk.cut_after(after);
        let later = go_on_until_dark(&disk, &options);
        disk.power_cut(Unsynced::HalfKept).unwrap();

        let Log { reader, .. } = Log::open(&options, BootId(8)).unwrap();
        let back = all(&reader);
        assert_eq!(seqs(&back), (1..=back.len() as u64).collect::<Vec<_>>(), "{what}");
        assert!(reader.durable() >= durable, "{what}");
        for stamped in &back {
            let seq = stamped.stamp.seq;
            let expected = match &later {
                Some((first, appended, _)) if stamped.stamp.boot == BootId(7) => {
                    assert!(seq > durable, "{what}");
                    &appended[at(seq, *first)]
                }
                _ => &earlier[at(seq, Seq(1))],
            };
            assert_eq!(&stamped.record, expected, "{what}");
        }
        if let Some((_, _, durable)) = later {
            assert!(reader.durable() >= durable, "{what}");
        }
        std::fs::remove_dir_all(&options.dir).unwrap();
    }
}
