//! What goes, when, and what stays.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use store::{
    history::{Hold, Resolution, Retention},
    record::Seq,
};

use super::support::*;

fn hours(hours: u64) -> Duration {
    Duration::from_hours(hours)
}

/// Numbers that do not compress: 24 bits each.
fn noise(second: i64) -> f64 {
    let mut mixed = second.wrapping_add(1).wrapping_mul(-7_046_029_254_386_353_131);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(-4_658_895_280_553_007_687);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(-7_723_592_293_110_705_685);
    f64::from(i32::try_from(mixed >> 40).unwrap()) / 1000.0
}

#[test]
fn raw_samples_go_by_age_day_by_day_and_leave_their_rollups() {
    let retention =
        Retention { keep_raw: hours(2), keep_minutes: hours(25), ..Retention::default() };
    let mut hall = Hall::with(&temperatures(1), retention);
    hall.run(0, 6 * HOUR, 60, |second| vec![number(noise(second))]);
    let minutes = hall.rolled("cdu-1.t0", 0, 5 * HOUR, Resolution::Minute);
    hall.seal();
    assert_eq!(hall.raw("cdu-1.t0", 0, 3 * HOUR).len(), 180, "the day is not over");
    assert_rows(&hall.rolled("cdu-1.t0", 0, 5 * HOUR, Resolution::Minute), &minutes);
    hall.run(6 * HOUR, 27 * HOUR, 60, |second| vec![number(noise(second))]);
    hall.seal();
    assert_eq!(hall.raw("cdu-1.t0", 0, 24 * HOUR), [], "all of the day is older than two hours");
    assert_eq!(hall.raw("cdu-1.t0", 24 * HOUR, 25 * HOUR).len(), 60);
    assert_rows(&hall.rolled("cdu-1.t0", 0, 5 * HOUR, Resolution::Minute), &minutes);
    assert_eq!(hall.rolled("cdu-1.t0", 0, 27 * HOUR, Resolution::Quarter).len(), 27 * 4);
    hall.run(27 * HOUR, 50 * HOUR, 600, |second| vec![number(noise(second))]);
    hall.seal();
    assert!(hall.rolled("cdu-1.t0", 0, 5 * HOUR, Resolution::Minute).is_empty());
    assert_eq!(hall.rolled("cdu-1.t0", 0, 50 * HOUR, Resolution::Quarter).len(), 50 * 4);
    assert_eq!(hall.stats().capped_samples, 0);
}

fn directory_bytes(dir: &std::path::Path) -> u64 {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() { directory_bytes(&entry.path()) } else { metadata.len() }
        })
        .sum()
}

#[test]
fn over_the_cap_the_oldest_raw_samples_go_first() {
    let retention = Retention { cap_bytes: 480_000, reserve_bytes: 0, ..Retention::default() };
    let mut hall = Hall::with(&temperatures(20), retention);
    let said = |second: i64| (0..20).map(|point| number(noise(second * 20 + point))).collect();
    for hour in 0..4 {
        hall.run(hour * HOUR, (hour + 1) * HOUR, 4, said);
        hall.seal();
        let bytes = directory_bytes(hall.dir.path());
        assert!(bytes < 480_000, "{bytes} bytes after {hour} hours: {:?}", hall.stats());
    }
    let stats = hall.stats();
    assert!(stats.capped_samples > 0, "{stats:?}");
    assert_eq!(stats.capped_minute_days, 0);
    assert_eq!(hall.raw("cdu-1.t3", 4 * HOUR - 1800, 4 * HOUR).len(), 450, "the newest are there");
    assert_eq!(hall.raw("cdu-1.t3", 0, HOUR), []);
    let minutes = hall.rolled("cdu-1.t3", 0, 4 * HOUR, Resolution::Minute);
    assert_eq!(minutes.len(), 4 * 60, "rollups of what went are there");
    assert!(minutes.iter().all(|row| row.count == 15));
}

#[test]
fn the_log_goes_when_everybody_has_passed_it() {
    let mut hall = Hall::new(&temperatures(5));
    let sink = Arc::new(AtomicU64::new(1));
    let cursor = Arc::clone(&sink);
    hall.pins
        .add(Hold::WhileThereIsRoom, Arc::new(move || Some(Seq(cursor.load(Ordering::SeqCst)))));
    let said = |second: i64| (0..5).map(|point| number(noise(second * 5 + point))).collect();
    hall.run(0, 2 * HOUR, 1, said);
    hall.seal();
    assert_eq!(hall.log.oldest(), Seq(1), "the sink still needs it");
    sink.store(3000, Ordering::SeqCst);
    hall.seal();
    let oldest = hall.log.oldest();
    assert!(oldest > Seq(1) && oldest <= Seq(3000), "{oldest:?}");
    assert_eq!(hall.raw("cdu-1.t0", 0, 2 * HOUR).len(), 7200);
    sink.store(u64::MAX, Ordering::SeqCst);
    hall.seal();
    assert!(hall.log.oldest().0 <= hall.stats().applied_seq + 1);
    assert!(hall.log.oldest() > Seq(3000));
    assert_eq!(hall.raw("cdu-1.t0", 0, 2 * HOUR).len(), 7200);
}

#[test]
fn a_sink_that_is_away_for_too_long_loses_the_oldest_log_and_never_what_a_projection_needs() {
    let retention = Retention { cap_bytes: 300_000, reserve_bytes: 0, ..Retention::default() };
    let mut hall = Hall::with(&temperatures(20), retention);
    hall.pins.add(Hold::WhileThereIsRoom, Arc::new(|| Some(Seq(1))));
    let projection = Arc::new(AtomicU64::new(500));
    let applied = Arc::clone(&projection);
    hall.pins.add(Hold::Always, Arc::new(move || Some(Seq(applied.load(Ordering::SeqCst)))));
    let said = |second: i64| (0..20).map(|point| number(noise(second * 20 + point))).collect();
    for hour in 0..3 {
        hall.run(hour * HOUR, (hour + 1) * HOUR, 4, said);
        hall.seal();
    }
    assert!(hall.log.oldest() <= Seq(500), "the projection needs it: {:?}", hall.log.oldest());
    projection.store(u64::MAX, Ordering::SeqCst);
    hall.run(3 * HOUR, 4 * HOUR, 4, said);
    hall.seal();
    assert!(hall.log.oldest() > Seq(500));
    let stats = hall.stats();
    assert!(stats.capped_log_bytes > 0, "{stats:?}");
}
