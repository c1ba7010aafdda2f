//! Samples that come after their bucket was sealed, and samples that come twice.

use rules::value::Sample;
use store::{history::Resolution, record::Record};

use super::support::*;

fn published(hall: &Hall, now: i64, source: i64, value: f64) -> Record {
    let sample = sample(0, hall.mono(now), number(value));
    Record::Frame(vec![Sample { source_time: Some(at(source)), ..sample }])
}

#[test]
fn late_samples_join_their_sealed_bucket() {
    let mut hall = Hall::new(&temperatures(1));
    hall.run(0, 31 * MINUTE, 10, |_| vec![number(1.0)]);
    assert_eq!(hall.seal(), 2);
    // One between others, one in the place of another, and one from before everything.
    for (source, value) in [(605, 2.0), (610, 3.0), (-500, 4.0)] {
        let record = published(&hall, 31 * MINUTE, source, value);
        hall.append(31 * MINUTE, vec![record]);
    }
    let check = |hall: &Hall| {
        let rows = hall.raw("cdu-1.t0", -HOUR, HOUR);
        assert_eq!(rows[0], (-500, number(4.0)));
        assert!(rows.is_sorted_by(|one, next| one.0 < next.0));
        let near: Vec<_> =
            rows.iter().filter(|(at, _)| (600..=620).contains(at)).cloned().collect();
        assert_eq!(
            near,
            [(600, number(1.0)), (605, number(2.0)), (610, number(3.0)), (620, number(1.0))]
        );
        let minute = hall.rolled("cdu-1.t0", 600, 660, Resolution::Minute);
        assert_eq!(minute[0].count, 7);
        assert_eq!(minute[0].figures.unwrap().max.to_bits(), 3.0_f64.to_bits());
    };
    check(&hall);
    hall.run(32 * MINUTE, 46 * MINUTE, 10, |_| vec![number(1.0)]);
    assert_eq!(hall.seal(), 2, "a bucket, and the rollups of the day before");
    check(&hall);
}

#[test]
fn of_two_samples_with_one_time_the_last_written_stays() {
    let mut hall = Hall::new(&temperatures(1));
    for value in [1.0, 2.0, 3.0] {
        let record = published(&hall, 30, 20, value);
        hall.append(30, vec![record]);
    }
    assert_eq!(hall.raw("cdu-1.t0", 0, HOUR), [(20, number(3.0))]);
    hall.run(100, 16 * MINUTE + 10, 50, |_| vec![number(9.0)]);
    assert_eq!(hall.seal(), 1);
    assert_eq!(hall.raw("cdu-1.t0", 0, 100), [(20, number(3.0))]);
    let record = published(&hall, 16 * MINUTE, 20, 4.0);
    hall.append(16 * MINUTE, vec![record]);
    assert_eq!(hall.raw("cdu-1.t0", 0, 100), [(20, number(4.0))]);
    hall.run(16 * MINUTE, 33 * MINUTE, 50, |_| vec![number(9.0)]);
    assert_eq!(hall.seal(), 1);
    assert_eq!(hall.raw("cdu-1.t0", 0, 100), [(20, number(4.0))]);
}

#[test]
fn a_sample_for_a_day_that_was_rolled_up_changes_its_rollup() {
    let mut hall = Hall::new(&temperatures(2));
    hall.run(0, 25 * HOUR, 60, |_| vec![number(1.0), number(1.0)]);
    hall.seal();
    let record = published(&hall, 25 * HOUR, 6 * HOUR + 30, 7.0);
    hall.append(25 * HOUR, vec![record]);
    let check = |hall: &Hall| {
        for resolution in [Resolution::Minute, Resolution::Quarter] {
            let row = hall.rolled("cdu-1.t0", 6 * HOUR, 6 * HOUR + 1, resolution)[0];
            assert_eq!(row.figures.unwrap().max.to_bits(), 7.0_f64.to_bits());
            let other = hall.rolled("cdu-1.t1", 6 * HOUR, 6 * HOUR + 1, resolution)[0];
            assert_eq!(other.figures.unwrap().max.to_bits(), 1.0_f64.to_bits());
        }
    };
    check(&hall);
    hall.run(25 * HOUR, 26 * HOUR, 60, |_| vec![number(1.0), number(1.0)]);
    hall.seal();
    check(&hall);
}

#[test]
fn a_source_time_ahead_of_the_bucket_waits_for_its_own() {
    let mut hall = Hall::new(&temperatures(1));
    hall.run(0, 15 * MINUTE - 10, 10, |_| vec![number(1.0)]);
    let record = published(&hall, 15 * MINUTE - 10, 15 * MINUTE + 20, 2.0);
    hall.append(15 * MINUTE - 10, vec![record]);
    hall.run(15 * MINUTE + 60, 16 * MINUTE, 10, |_| vec![number(1.0)]);
    let before = hall.raw("cdu-1.t0", 0, HOUR);
    assert_eq!(hall.seal(), 1);
    assert_eq!(hall.stats().raw_samples, 89);
    assert_eq!(hall.raw("cdu-1.t0", 0, HOUR), before);
    hall.run(16 * MINUTE, 31 * MINUTE, 10, |_| vec![number(1.0)]);
    let before = hall.raw("cdu-1.t0", 0, HOUR);
    assert_eq!(hall.seal(), 1);
    assert_eq!(hall.raw("cdu-1.t0", 0, HOUR), before);
    assert_eq!(hall.stats().raw_samples, 89 + 1 + 84);
}

#[test]
fn a_bucket_that_gets_late_samples_again_and_again_is_joined() {
    let mut hall = Hall::new(&temperatures(1));
    for bucket in 0..14 {
        hall.run(bucket * 900, (bucket + 1) * 900, 300, |_| vec![number(1.0)]);
        // Always the same time once, and a new one.
        for (source, value) in [(7, f64::from(i32::try_from(bucket).unwrap())), (bucket + 10, 5.0)]
        {
            let record = published(&hall, bucket * 900 + 600, source, value);
            hall.append(bucket * 900 + 600, vec![record]);
        }
    }
    let rows = hall.raw("cdu-1.t0", 0, 900);
    assert_eq!(rows.len(), 3 + 1 + 14);
    assert!(rows.contains(&(7, number(13.0))));
    assert_eq!(hall.seal(), 13);
    assert_eq!(hall.raw("cdu-1.t0", 0, 900), rows);
    assert_eq!(hall.raw("cdu-1.t0", 0, 14 * 900).len(), 14 * 3 + 1 + 14);
}
