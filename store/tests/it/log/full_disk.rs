//! The disk refuses, and takes again.

use std::{sync::Arc, time::Duration};

use store::{
    log::{Log, LogError, LogOptions, Storing},
    record::{Record, Seq},
    seam::faulty::{Faulty, Unsynced},
};

use super::support::*;

#[test]
fn a_disk_that_fills_up_in_the_middle_of_a_group_loses_nothing_and_recovers_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let disk = Faulty::default();
    let Log { mut writer, reader } = Log::open_on(Arc::new(disk.clone()), &options, BOOT).unwrap();
    let mut written = vec![catalog("1"), frame(50, 0), event("before")];
    let last = writer.append(&now(0), written.clone());
    wait_for(&writer, last);
    for room in [0, 1, 100] {
        disk.set_room(Some(room));
        let group = vec![frame(50, room + 1), event("full"), command("k"), ledger(1.5)];
        written.extend(group.clone());
        let last = writer.append(&now(room + 1), group);
        let Storing::NotStored { why, dropped_samples } = wait_until(&writer, false) else {
            panic!("stored on a full disk");
        };
        assert!(why.contains("no storage space"), "{why}");
        assert_eq!(dropped_samples, 0);
        assert!(reader.durable() < last);
        disk.set_room(None);
        wait_for(&writer, last);
        wait_until(&writer, true);
    }
    writer.close().unwrap();
    assert_eq!(records(&all(&reader)), written);
    disk.power_cut(Unsynced::Lost).unwrap();
    let Log { reader, .. } = open(dir.path());
    assert_eq!(records(&all(&reader)), written);
    assert_eq!(reader.lost(), 0);
}

#[test]
fn a_sync_that_fails_makes_nothing_durable_and_a_new_segment_repeats_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let disk = Faulty::default();
    let Log { mut writer, reader } = Log::open_on(Arc::new(disk.clone()), &options, BOOT).unwrap();
    let first = writer.append(&now(0), vec![catalog("1"), frame(50, 0)]);
    wait_for(&writer, first);
    disk.set_sync_fails(true);
    let last = writer.append(&now(1), vec![frame(50, 1), event("unsynced")]);
    wait_until(&writer, false);
    assert_eq!(reader.durable(), first);
    disk.set_sync_fails(false);
    wait_for(&writer, last);
    writer.close().unwrap();
    assert_eq!(files(&options).len(), 2);
    assert_eq!(
        records(&all(&reader)),
        [catalog("1"), frame(50, 0), frame(50, 1), event("unsynced")]
    );
}

#[test]
fn in_a_long_outage_samples_give_way_and_decisions_stay() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let disk = Faulty::default();
    let Log { mut writer, reader } = Log::open_on(Arc::new(disk.clone()), &options, BOOT).unwrap();
    let first = writer.append(&now(0), vec![catalog("1")]);
    wait_for(&writer, first);
    disk.set_room(Some(0));
    let (frames, points) = (30, 20_000);
    for second in 1..=frames {
        let group = vec![frame(points, second), event(&format!("{second}")), checkpoint(second)];
        writer.append(&now(second), group);
    }
    wait_until(&writer, false);
    writer.append(&now(frames + 1), vec![event("last")]);
    disk.set_room(None);
    let last = writer.last();
    wait_for(&writer, last);
    writer.close().unwrap();

    let back = all(&reader);
    let events: Vec<_> =
        back.iter().filter(|stamped| matches!(stamped.record, Record::Event(_))).collect();
    assert_eq!(events.len(), 31);
    assert_eq!(back.last().unwrap().stamp.seq, last);
    let samples: usize = back
        .iter()
        .map(|stamped| match &stamped.record {
            Record::Frame(samples) => samples.len(),
            _ => 0,
        })
        .sum();
    let kept = samples as u64;
    assert!(kept >= 200_000, "{kept} samples kept");
    assert!(kept < frames * u64::from(points), "nothing was dropped");
    // The newest are kept, and no place is used twice.
    assert!(back.iter().any(|stamped| stamped.record == frame(points, frames)));
    assert!(back.windows(2).all(|pair| pair[0].stamp.seq < pair[1].stamp.seq));
    assert_eq!(reader.last_checkpoint().unwrap().unwrap().record, checkpoint(frames));
    assert_eq!(reader.lost(), 0);
}

#[test]
fn whoever_is_faster_than_the_disk_can_wait_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Faulty::default();
    let Log { mut writer, reader } =
        Log::open_on(Arc::new(disk.clone()), &options(dir.path()), BOOT).unwrap();
    for second in 0..20 {
        let last = writer.append(&now(second), vec![frame(60_000, second)]);
        writer.settle().unwrap();
        assert_eq!(reader.durable(), last);
    }
    // One frame finds room, however large it is.
    writer.append(&now(20), vec![frame(300_000, 20)]);
    writer.settle().unwrap();
    assert_eq!(writer.dropped_samples(), 0);
    disk.set_room(Some(0));
    writer.append(&now(21), vec![event("full")]);
    let refused = writer.settle().unwrap_err();
    assert!(matches!(refused, LogError::NotStored { records: 1, .. }), "{refused}");
}

#[test]
fn a_disk_that_does_not_answer_is_told_and_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Faulty::default();
    let Log { mut writer, reader } =
        Log::open_on(Arc::new(disk.clone()), &options(dir.path()), BOOT).unwrap();
    writer.append(&now(0), vec![catalog("1")]);
    writer.settle().unwrap();
    disk.set_stalled(true);
    let (mut second, mut written) = (0, vec![catalog("1")]);
    // As a gateway does, which appends something every second.
    while !is_refused_within(&writer, Duration::from_millis(500)) {
        second += 1;
        written.push(event(&format!("{second}")));
        writer.append(&now(second), vec![written[written.len() - 1].clone()]);
        assert!(second < 60, "nobody noticed");
    }
    assert_eq!(reader.durable(), Seq(1));
    disk.set_stalled(false);
    let last = writer.last();
    wait_for(&writer, last);
    assert_eq!(wait_until(&writer, true), Storing::Stored);
    writer.close().unwrap();
    assert_eq!(records(&all(&reader)), written);
}

#[test]
fn closing_on_a_full_disk_says_what_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Faulty::default();
    let options = LogOptions::new(dir.path().join("log"));
    let Log { mut writer, .. } = Log::open_on(Arc::new(disk.clone()), &options, BOOT).unwrap();
    disk.set_room(Some(10));
    let last = writer.append(&now(0), vec![catalog("1"), event("lost")]);
    let error = writer.close().unwrap_err();
    assert!(matches!(error, LogError::NotStored { records: 2, .. }), "{error}");
    // The places were never durable: they are free.
    let Log { mut writer, reader } = open(dir.path());
    assert_eq!(writer.append(&now(1), vec![catalog("2"), event("new")]), last);
    writer.close().unwrap();
    assert_eq!(records(&from(&reader, Seq(1))), [catalog("2"), event("new")]);
}
