//! Where samples belong in wall time.

use chrono::{TimeDelta, Utc};
use rules::{
    time::{BootId, Mono, Trust},
    value::{Sample, Value},
};
use store::{
    log::{Log, LogOptions, LogReader, Placement},
    record::{Record, Seq, Stamped},
};

use super::support::*;

fn one(at: Mono) -> Record {
    Record::Frame(vec![sample(1, at, Ok(Value::State(1)))])
}

fn place(reader: &LogReader, stamped: &Stamped) -> Placement {
    let Record::Frame(samples) = &stamped.record else { panic!("no frame: {stamped:?}") };
    reader.place(&stamped.stamp, &samples[0])
}

fn at(time: chrono::DateTime<Utc>) -> Placement {
    Placement::At(time.timestamp_millis())
}

#[test]
fn samples_from_before_trust_get_their_time_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 300, ..options(dir.path()) };
    let Log { mut writer, reader } = Log::open(&options, BOOT).unwrap();
    for second in 1..=20 {
        let untrusted = trusted(second * 1_000, Trust::Untrusted);
        let last = writer.append(&untrusted, vec![one(Mono::from_secs(second))]);
        wait_for(&writer, last);
    }
    let early = from(&reader, Seq(1)).remove(4);
    assert_eq!(place(&reader, &early), Placement::NotYet);
    let outside = LogReader::open(&options.dir).unwrap();
    assert_eq!(place(&outside, &early), Placement::NotYet);

    let last = writer.append(&now(30), vec![one(Mono::from_millis(29_250))]);
    wait_for(&writer, last);
    assert_eq!(place(&reader, &early), at(noon(5)));
    // Whoever reads from outside has asked for more before.
    assert_eq!(outside.durable(), last);
    assert_eq!(place(&outside, &early), at(noon(5)));
    let late = from(&reader, last).remove(0);
    assert_eq!(place(&reader, &late), at(noon(29) + TimeDelta::milliseconds(250)));
    // Into segments that know of it from their header only.
    for second in 31..60 {
        writer.append(&now(second), vec![one(Mono::from_secs(second))]);
    }
    writer.close().unwrap();
    let Log { reader, .. } = Log::open(&options, BootId(2)).unwrap();
    assert_eq!(place(&reader, &early), at(noon(5)));
}

#[test]
fn samples_of_a_run_that_ended_untrusted_have_no_time() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let Log { mut writer, .. } = Log::open(&options, BOOT).unwrap();
    let mut published = sample(2, Mono::from_secs(1), Ok(Value::State(1)));
    published.source_time = Some(noon(7));
    let untrusted = trusted(1, Trust::Untrusted);
    writer.append(&untrusted, vec![one(Mono::from_secs(1)), Record::Frame(vec![published])]);
    writer.close().unwrap();
    let Log { writer, reader } = Log::open(&options, BootId(2)).unwrap();
    let [polled, published] = from(&reader, Seq(1)).try_into().unwrap();
    assert_eq!(place(&reader, &polled), Placement::Never);
    assert_eq!(place(&reader, &published), at(noon(7)));
    writer.close().unwrap();
}

#[test]
fn a_source_time_counts_unless_it_lies_in_the_future() {
    let dir = tempfile::tempdir().unwrap();
    let Log { mut writer, reader } = open(dir.path());
    let published = |seconds| Sample {
        source_time: Some(noon(seconds)),
        ..sample(1, Mono::from_millis(99_500), Ok(Value::State(1)))
    };
    let frames = [3, 159, 161].map(|seconds| Record::Frame(vec![published(seconds)]));
    let last = writer.append(&now(100), frames.into());
    wait_for(&writer, last);
    let [old, ahead, skewed] = all(&reader).try_into().unwrap();
    assert_eq!(place(&reader, &old), at(noon(3)));
    assert_eq!(place(&reader, &ahead), at(noon(159)));
    assert_eq!(place(&reader, &skewed), at(noon(99) + TimeDelta::milliseconds(500)));
    writer.close().unwrap();
}
