//! Files that are not as they were written.

use std::{ffi::OsString, fs, path::PathBuf, sync::OnceLock};

use proptest::{prelude::*, sample::Index};
use store::{
    log::{Log, LogError, LogOptions, LogReader},
    record::{Seq, Stamped},
};

use super::support::*;

/// A log of several small segments, and what is in it.
fn several_segments(options: &LogOptions) -> Vec<Stamped> {
    let Log { mut writer, reader } = Log::open(options, BOOT).unwrap();
    writer.append(&now(0), vec![catalog("1")]);
    for second in 1..40 {
        let group = vec![frame(20, second), event(&format!("tick {second}"))];
        let last = writer.append(&now(second), group);
        wait_for(&writer, last);
    }
    writer.close().unwrap();
    all(&reader)
}

fn small(dir: &tempfile::TempDir) -> LogOptions {
    LogOptions { segment_bytes: 2_000, ..options(dir.path()) }
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_the_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let Log { mut writer, reader } = Log::open(&options, BOOT).unwrap();
    let group = vec![catalog("1"), frame(20, 1), event("kept"), frame(20, 2)];
    writer.append(&now(2), group);
    writer.close().unwrap();
    let written = all(&reader);
    let path = files(&options).remove(0);
    let whole = fs::read(&path).unwrap();
    let bounds = record_bounds(&whole);
    let last = bounds[bounds.len() - 2];
    for length in last..whole.len() {
        fs::remove_dir_all(&options.dir).unwrap();
        fs::create_dir(&options.dir).unwrap();
        fs::write(&path, &whole[..length]).unwrap();
        let Log { mut writer, reader } = Log::open(&options, BOOT).unwrap();
        assert_eq!(all(&reader), written[..3], "cut to {length}");
        assert_eq!(fs::metadata(&path).unwrap().len(), last as u64);
        assert_eq!(writer.append(&now(3), vec![event("next")]), Seq(4));
        writer.close().unwrap();
        let next = from(&reader, Seq(4));
        assert_eq!(records(&next), [event("next")]);
        assert_eq!(reader.lost(), 0);
    }
}

#[test]
fn a_bad_record_ends_its_segment_and_not_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let options = small(&dir);
    let written = several_segments(&options);
    let paths = files(&options);
    assert!(paths.len() > 3);
    let mut bytes = fs::read(&paths[1]).unwrap();
    let second = record_bounds(&bytes)[2];
    bytes[second + 20] ^= 0x10;
    fs::write(&paths[1], bytes).unwrap();
    let reader = LogReader::open(&options.dir).unwrap();
    let back = all(&reader);
    let (lost, kept) = (reader.lost(), back.len() as u64);
    assert!(lost > 0);
    assert_eq!(kept + lost, written.len() as u64);
    assert_eq!(back[back.len() - 1], written[written.len() - 1]);
    // Reading again does not count it again.
    all(&reader);
    assert_eq!(reader.lost(), lost);
}

#[test]
fn places_behind_a_damaged_record_are_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let Log { mut writer, .. } = Log::open(&options, BOOT).unwrap();
    writer.append(&now(1), vec![catalog("1"), event("a"), event("b"), event("c"), event("d")]);
    writer.close().unwrap();
    let path = files(&options).remove(0);
    let bytes = fs::read(&path).unwrap();
    let third = record_bounds(&bytes)[2];
    for byte in third..third + 40 {
        let mut damaged = bytes.clone();
        damaged[byte] ^= 0x41;
        fs::write(&path, damaged).unwrap();
        let Log { mut writer, reader } = Log::open(&options, BOOT).unwrap();
        assert_eq!(writer.append(&now(2), vec![event("e")]), Seq(6), "byte {byte}");
        writer.close().unwrap();
        assert_eq!(seqs(&all(&reader)), [1, 2, 6]);
        assert_eq!(reader.lost(), 3);
        fs::remove_file(&files(&options)[1]).unwrap();
    }
}

#[test]
fn another_version_is_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    several_segments(&options);
    let path = files(&options).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 9;
    let checksum = crc32c::crc32c(&bytes[..68]);
    bytes[68..72].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let refused = Log::open(&options, BOOT).unwrap_err();
    assert!(matches!(refused, LogError::Version { found: 9, .. }), "{refused}");
    assert!(LogReader::open(&options.dir).is_err());
}

type NamedBytes = (OsString, Vec<u8>);

/// Several small segments, written once: their names and bytes, and what is in them.
fn template() -> &'static (Vec<NamedBytes>, Vec<Stamped>) {
    static TEMPLATE: OnceLock<(Vec<NamedBytes>, Vec<Stamped>)> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let written = several_segments(&small(&dir));
        let file = |path: &PathBuf| (path.file_name().unwrap().into(), fs::read(path).unwrap());
        (files(&small(&dir)).iter().map(file).collect(), written)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn no_flipped_byte_makes_a_wrong_record(
        flips in proptest::collection::vec((any::<Index>(), any::<Index>(), 1_u8..), 1..4)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let options = small(&dir);
        let (segments, written) = template();
        let mut segments = segments.clone();
        for (file, byte, flip) in flips {
            let (_, bytes) = file.get_mut(&mut segments);
            *byte.get_mut(bytes) ^= flip;
        }
        fs::create_dir(&options.dir).unwrap();
        for (name, bytes) in &segments {
            fs::write(options.dir.join(name), bytes).unwrap();
        }
        let last = written.last().unwrap().stamp.seq;
        let Log { mut writer, reader } = Log::open(&options, BOOT).unwrap();
        let next = writer.append(&now(99), vec![event("next")]);
        // A broken length in the last record looks like a torn one, whose place is free.
        prop_assert!(next >= last);
        writer.close().unwrap();
        let back = all(&reader);
        for stamped in &back {
            let right = written.contains(stamped) && stamped.stamp.seq < next;
            prop_assert!(right || stamped.record == event("next"), "{stamped:?}");
        }
        prop_assert!(back.is_sorted_by_key(|stamped| stamped.stamp.seq));
        prop_assert_eq!(back.last().map(|last| &last.record), Some(&event("next")));
        reader.last_checkpoint().unwrap();
    }

    #[test]
    fn any_bytes_can_be_opened(noise in proptest::collection::vec(any::<u8>(), 0..400), keep in 0_usize..400) {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path());
        let (segments, written) = template();
        let (name, bytes) = &segments[0];
        let bytes = [&bytes[..keep], &noise].concat();
        fs::create_dir(&options.dir).unwrap();
        fs::write(options.dir.join(name), bytes).unwrap();
        let Log { mut writer, reader } = Log::open(&options, BOOT).unwrap();
        let next = writer.append(&now(2), vec![event("next")]);
        writer.close().unwrap();
        prop_assert_eq!(records(&from(&reader, next)), [event("next")]);
        prop_assert!(all(&reader).iter().all(|s| s.stamp.seq == next || written.contains(s)));
    }
}
