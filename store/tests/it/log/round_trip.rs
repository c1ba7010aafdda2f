//! Records come back as they were.

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use rules::{
    plant::PointId,
    time::{BootId, Mono},
    value::{NoData, Sample, Undefined, Value},
};
use store::{
    log::{Log, LogReader},
    record::{Record, Seq},
};

use super::support::*;

#[test]
fn every_kind_of_record_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let Log { mut writer, reader } = open(dir.path());
    let written = vec![
        catalog("1"),
        frame(100, 1),
        event("no answer"),
        command("k-1"),
        ledger(0.1 + 0.2),
        checkpoint(7),
        frame(100, 2),
    ];
    let last = writer.append(&now(2), written.clone());
    wait_for(&writer, last);
    let back = all(&reader);
    assert_eq!(records(&back), written);
    assert_eq!(seqs(&back), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(back[3].stamp.wall, noon(2));
    assert_eq!(back[3].stamp.mono, Mono::from_secs(2));
    assert_eq!(back[3].stamp.boot, BOOT);
    writer.close().unwrap();
}

/// Flash takes whole pages, so a second of a large hall ends with one where that is near. What was added is not seen.
#[test]
fn a_large_group_fills_the_page_that_it_nearly_fills() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let Log { mut writer, reader } = Log::open(&options, BOOT).unwrap();
    writer.append(&now(0), vec![catalog("1")]);
    let unsteady = |second: u64| {
        let of = |point: u32| {
            let mixed = (u64::from(point) << 32 | second).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let noise = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 44;
            sample(point, Mono::from_secs(second), Ok(Value::Integer(noise.cast_signed())))
        };
        Record::frame((0..3000).map(of).collect())
    };
    let written: Vec<Record> = (1..60).map(unsteady).collect();
    for (second, frame) in (1..).zip(&written) {
        let last = writer.append(&now(second), vec![frame.clone()]);
        wait_for(&writer, last);
    }
    assert_eq!(records(&all(&reader))[1..], written);
    writer.close().unwrap();
    let segment = std::fs::read(&files(&options)[0]).unwrap();
    let bounds = record_bounds(&segment);
    let ends: Vec<usize> = bounds[2..].iter().map(|end| end % 4096).collect();
    let filled = ends.iter().filter(|end| **end == 0).count();
    // A quarter of all ends lies in the last quarter of a page.
    assert!((5..30).contains(&filled), "{filled} of {}: {bounds:?}", ends.len());
    assert!(ends.iter().all(|end| *end == 0 || 4096 - end < 8 || *end < 4096 - 1024), "{ends:?}");
}

#[test]
fn places_go_on_over_twenty_restarts() {
    let dir = tempfile::tempdir().unwrap();
    for run in 0..20 {
        let Log { mut writer, reader } = Log::open(&options(dir.path()), BootId(run)).unwrap();
        assert_eq!(writer.last(), Seq(run * 3));
        writer.append(&now(run), vec![catalog("1"), frame(10, run), event("up")]);
        writer.close().unwrap();
        assert_eq!(reader.durable(), Seq((run + 1) * 3));
    }
    let reader = LogReader::open(&dir.path().join("log")).unwrap();
    let back = all(&reader);
    assert_eq!(seqs(&back), (1..=60).collect::<Vec<_>>());
    assert!(back.iter().enumerate().all(|(index, s)| s.stamp.boot.0 == index as u64 / 3));
    assert_eq!(reader.lost(), 0);
}

#[test]
fn reading_from_any_place_gives_what_reading_all_gives() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.segment_bytes = 4_000;
    let Log { mut writer, reader } = Log::open(&options, BOOT).unwrap();
    writer.append(&now(0), vec![catalog("1")]);
    for second in 1..200 {
        let last = writer.append(&now(second), vec![frame(40, second), event("tick")]);
        wait_for(&writer, last);
    }
    let (_, segments) = reader.size().unwrap();
    assert!(segments > 3, "{segments} segments");
    let whole = all(&reader);
    for start in [1_usize, 2, 3, 57, 130, 131, 255, 398, 399] {
        let mut part = reader.read(Seq(start as u64)).unwrap();
        let first = part.next().unwrap().unwrap();
        assert_eq!(part.catalog().unwrap().version, "1");
        assert_eq!(first, whole[start - 1]);
        let rest: Vec<_> = part.map(Result::unwrap).collect();
        assert_eq!(rest, whole[start..]);
    }
    let decided: Vec<_> = reader.read_without_frames(Seq(1)).unwrap().map(Result::unwrap).collect();
    assert_eq!(decided.len(), 200);
    assert!(reader.read(Seq(400)).unwrap().next().is_none());
    writer.close().unwrap();
}

#[test]
fn large_frames_of_steady_restless_and_counting_points_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let Log { mut writer, reader } = open(dir.path());
    let mut random = 1_u32;
    let mut noise = |range: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % range
    };
    let mut written = Vec::new();
    for second in 0..130 {
        let at = Mono::from_secs(second);
        let value = |point: u32, noise: &mut dyn FnMut(u32) -> u32| match point % 5 {
            0 => Value::Number(21.5),
            1 => Value::Number(f64::from(noise(40) + point) / 10.0),
            2 => Value::Integer(i64::from(point) + 12 * i64::try_from(second).unwrap()),
            3 => Value::Number(f64::from(noise(1 << 20) + point)),
            _ => Value::Number(f64::from(noise(1_000)) / 7.0),
        };
        let samples = (0..6_000).map(|point| sample(point, at, Ok(value(point, &mut noise))));
        written.push(Record::Frame(samples.collect()));
        writer.append(&now(second), vec![written[written.len() - 1].clone()]);
        writer.settle().unwrap();
    }
    assert!(records(&all(&reader)) == written);
    writer.close().unwrap();
}

#[test]
fn the_last_checkpoint_is_found_in_an_earlier_segment() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.segment_bytes = 2_000;
    let Log { mut writer, reader } = Log::open(&options, BOOT).unwrap();
    assert!(reader.last_checkpoint().unwrap().is_none());
    writer.append(&now(0), vec![catalog("1"), checkpoint(1), checkpoint(2)]);
    for second in 1..100 {
        let last = writer.append(&now(second), vec![frame(40, second)]);
        wait_for(&writer, last);
    }
    writer.close().unwrap();
    let reader = LogReader::open(&options.dir).unwrap();
    assert!(reader.size().unwrap().1 > 2);
    let found = reader.last_checkpoint().unwrap().unwrap();
    assert_eq!((found.stamp.seq, found.record), (Seq(3), checkpoint(2)));
}

fn reason() -> impl Strategy<Value = NoData> {
    prop_oneof![
        Just(NoData::NeverSeen),
        Just(NoData::Stale),
        Just(NoData::Timeout),
        Just(NoData::Unreachable),
        any::<u8>().prop_map(NoData::Refused),
        Just(NoData::Malformed),
        Just(NoData::NotAvailable),
        Just(NoData::OutOfRange),
        Just(NoData::NotFinite),
        Just(NoData::BadQuality),
        Just(NoData::BadPayload),
        Just(NoData::Implausible),
        Just(NoData::NotANumber),
        Just(NoData::InputMissing),
        Just(NoData::LowCoverage),
        Just(NoData::Undefined(Undefined::ItPowerZero)),
        Just(NoData::Undefined(Undefined::FacilityBelowIt)),
        Just(NoData::Undefined(Undefined::NoFlow)),
        Just(NoData::Undefined(Undefined::NoLoad)),
        Just(NoData::Undefined(Undefined::ReversedSensors)),
        Just(NoData::Undefined(Undefined::CoolantOutOfRange)),
        Just(NoData::Undefined(Undefined::TwoPhase)),
        Just(NoData::Undefined(Undefined::NotMetered)),
        Just(NoData::Undefined(Undefined::DoubleCounting)),
        Just(NoData::Undefined(Undefined::TemperatureCross)),
        Just(NoData::Undefined(Undefined::OutsideFormula)),
    ]
}

fn value() -> impl Strategy<Value = Result<Value, NoData>> {
    prop_oneof![
        4 => (-100_000_i32..100_000, 0_i32..6)
            .prop_map(|(m, d)| Ok(Value::Number(f64::from(m) / 10_f64.powi(d)))),
        2 => any::<f32>().prop_map(|single| Ok(Value::Number(f64::from(single)))),
        2 => any::<f64>().prop_map(|double| Ok(Value::Number(double))),
        1 => Just(Ok(Value::Number(-0.0))),
        2 => any::<i64>().prop_map(|integer| Ok(Value::Integer(integer))),
        2 => any::<u32>().prop_map(|code| Ok(Value::State(code))),
        2 => "[a-c]{0,2}".prop_map(|text| Ok(Value::Text(text.into()))),
        3 => reason().prop_map(Err),
    ]
}

fn source_time() -> impl Strategy<Value = Option<DateTime<Utc>>> {
    prop_oneof![
        3 => Just(None),
        1 => (0_i64..4_000_000_000_000).prop_map(DateTime::from_timestamp_millis),
        1 => (-8_000_000_000_000_i64..8_000_000_000_000, 0_u32..1_000_000_000)
            .prop_map(|(seconds, nanos)| DateTime::from_timestamp(seconds, nanos)),
    ]
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let sample = (0_u32..12, any::<u32>(), source_time(), value()).prop_map(
        |(point, at, source_time, value)| Sample {
            point: PointId(point),
            at: Mono::from(u64::from(at)),
            source_time,
            value,
        },
    );
    proptest::collection::vec(sample, 0..40)
}

/// Equal bit by bit: NaN equals itself, and zero is not minus zero.
fn exact(frames: &[Record]) -> Vec<Vec<String>> {
    let bits = |sample: &Sample| match sample.value {
        Ok(Value::Number(number)) => number.to_bits(),
        _ => 0,
    };
    let told = |frame: &Record| match frame {
        Record::Frame(samples) => {
            samples.iter().map(|sample| format!("{sample:?} {:x}", bits(sample))).collect()
        }
        other => vec![format!("{other:?}")],
    };
    frames.iter().map(told).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn any_samples_come_back_bit_by_bit(frames in proptest::collection::vec(samples(), 1..8)) {
        let dir = tempfile::tempdir().unwrap();
        let Log { mut writer, reader } = open(dir.path());
        let written: Vec<_> = frames.into_iter().map(Record::Frame).collect();
        for (second, frame) in (0..).zip(&written) {
            writer.append(&now(second * 20), vec![frame.clone()]);
        }
        writer.close().unwrap();
        prop_assert_eq!(exact(&records(&all(&reader))), exact(&written));
    }
}
