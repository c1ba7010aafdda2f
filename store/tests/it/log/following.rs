//! Readers beside the writer.

use std::{thread, time::Duration};

use store::{
    log::{Log, LogOptions, LogReader},
    record::Seq,
};

use super::support::*;

const SECONDS: u64 = 150;

/// Reads slices as they become durable, from the first place on, until all is there.
fn follow(reader: &LogReader, until: Seq) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.len() < usize::try_from(until.0).unwrap() {
        let from = Seq(seen.len() as u64 + 1);
        let slice: Vec<_> = reader.read(from).unwrap().take(7).map(Result::unwrap).collect();
        for stamped in &slice {
            let second = stamped.stamp.mono.0.as_secs();
            let place = stamped.stamp.seq.0;
            if place > 1 {
                let right = if place % 2 == 0 { frame(30, second) } else { event("tick") };
                assert_eq!(stamped.record, right);
            }
        }
        seen.extend(seqs(&slice));
        if slice.is_empty() {
            thread::yield_now();
        }
    }
    seen
}

#[test]
fn readers_follow_a_live_writer_within_and_outside_its_process() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions {
        segment_bytes: 3_000,
        segment_span: Duration::from_secs(40),
        ..options(dir.path())
    };
    let Log { mut writer, reader } = Log::open(&options, BOOT).unwrap();
    let first = writer.append(&now(0), vec![catalog("1")]);
    wait_for(&writer, first);
    let until = Seq(1 + 2 * SECONDS);
    let inside = thread::spawn(move || follow(&reader, until));
    let outside = LogReader::open(&options.dir).unwrap();
    let outside = thread::spawn(move || follow(&outside, until));
    for second in 1..=SECONDS {
        writer.append(&now(second), vec![frame(30, second), event("tick")]);
    }
    wait_for(&writer, until);
    let places: Vec<_> = (1..=until.0).collect();
    assert_eq!(inside.join().unwrap(), places);
    assert_eq!(outside.join().unwrap(), places);
    writer.close().unwrap();
    assert!(files(&options).len() > 3);
}

#[test]
fn an_outside_reader_finds_what_another_process_added() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 500, ..options(dir.path()) };
    let Log { mut writer, .. } = Log::open(&options, BOOT).unwrap();
    let outside = LogReader::open(&options.dir).unwrap();
    assert_eq!(outside.durable(), Seq(0));
    for second in 0..30 {
        let last = writer.append(&now(second), vec![catalog("1"), checkpoint(second)]);
        wait_for(&writer, last);
        let found = outside.last_checkpoint().unwrap().unwrap();
        assert_eq!((found.stamp.seq, found.record), (last, checkpoint(second)));
        assert_eq!(outside.durable(), last);
        let (place, _) = outside.last_catalog().unwrap().unwrap();
        assert_eq!(place.0, last.0 - 1);
    }
    writer.close().unwrap();
}

#[test]
fn dropping_segments_frees_bytes_and_never_takes_a_needed_place() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 1_000, ..options(dir.path()) };
    let Log { mut writer, reader } = Log::open(&options, BOOT).unwrap();
    writer.append(&now(0), vec![catalog("1")]);
    for second in 1..100 {
        let last = writer.append(&now(second), vec![frame(30, second)]);
        wait_for(&writer, last);
    }
    let whole = all(&reader);
    let (before, _) = reader.size().unwrap();
    let freed = reader.drop_before(Seq(60)).unwrap();
    let (after, _) = reader.size().unwrap();
    assert!(freed > 0);
    assert_eq!(before - freed, after);
    let oldest = reader.oldest();
    assert!(oldest <= Seq(60) && oldest > Seq(1), "{oldest:?}");
    let mut back = reader.read(Seq(1)).unwrap();
    let first = back.next().unwrap().unwrap();
    assert_eq!(first.stamp.seq, oldest);
    assert_eq!(back.catalog().unwrap().version, "1");
    let rest: Vec<_> = back.map(Result::unwrap).collect();
    assert_eq!(rest, whole[usize::try_from(oldest.0).unwrap()..]);
    // A reader that is under way passes over what is deleted before it gets there.
    let mut under_way = reader.read(oldest).unwrap();
    under_way.next().unwrap().unwrap();
    // Never the one that is being written.
    reader.drop_before(Seq(u64::MAX)).unwrap();
    assert_eq!(from(&reader, Seq(100)).len(), 1);
    assert_eq!(under_way.last().unwrap().unwrap(), whole[99]);
    assert_eq!(reader.lost(), 0);
    writer.close().unwrap();
    let Log { writer, reader } = Log::open(&options, BOOT).unwrap();
    assert_eq!(writer.last(), Seq(100));
    assert_eq!(seqs(&from(&reader, Seq(100))), [100]);
}
