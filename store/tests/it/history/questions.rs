//! What was written is what is answered, sealed or not.

use chrono::TimeDelta;
use rules::{
    plant::PointKind,
    time::{Mono, Trust},
    value::{NoData, Value},
};
use store::{
    history::{Resolution, Retention, Turn},
    record::Record,
};

use super::support::*;

fn wave(second: i64) -> f64 {
    f64::from(i32::try_from(400 + second * 7919 % 37).unwrap()) / 10.0
}

#[test]
fn a_question_does_not_see_where_the_sealed_part_ends() {
    let mut hall = Hall::new(&temperatures(2));
    let said = |second| vec![number(wave(second)), number(wave(second + 1))];
    hall.run(0, 40 * MINUTE, 1, said);
    let expected: Vec<_> = (0..40 * MINUTE).map(|second| (second, number(wave(second)))).collect();
    assert_eq!(hall.raw("cdu-1.t0", 0, HOUR), expected, "all of it in the log");
    assert_eq!(hall.seal(), 2);
    assert_eq!(hall.stats().sealed_until_ms, Some(ms(30 * MINUTE)));
    assert_eq!(hall.stats().raw_samples, 2 * 30 * 60);
    assert_eq!(hall.raw("cdu-1.t0", 0, HOUR), expected, "part of it in blocks");
    assert_eq!(hall.raw("cdu-1.t0", 29 * MINUTE, 31 * MINUTE), expected[1740..1860]);
    assert_eq!(hall.raw("cdu-1.t0", 10, 11), [(10, number(wave(10)))]);
    assert_eq!(hall.raw("cdu-1.t9", 0, HOUR), []);
    hall.run(40 * MINUTE, 46 * MINUTE, 1, said);
    assert_eq!(hall.seal(), 1);
    let expected: Vec<_> =
        (0..46 * MINUTE).map(|second| (second, number(wave(second + 1)))).collect();
    assert_eq!(hall.raw("cdu-1.t1", 0, HOUR), expected);
}

#[test]
fn every_kind_of_value_and_every_reason_comes_back() {
    let points = [
        ("power", "kW", PointKind::Gauge),
        ("energy", "kWh", PointKind::Counter),
        ("mode", "", PointKind::State),
        ("serial", "", PointKind::Text),
    ];
    let mut hall = Hall::new(&catalog(&points));
    let said = |second: i64| {
        let whole = i32::try_from(second).unwrap();
        let reason = if second < 300 { NoData::Refused(4) } else { NoData::Timeout };
        vec![
            if second % 100 == 7 { Err(reason) } else { number(f64::from(whole) * 0.1) },
            Ok(Value::Integer(i64::MAX - second)),
            Ok(Value::State(whole.cast_unsigned() % 3)),
            Ok(Value::Text(format!("SN-{}", second / 500).into())),
        ]
    };
    hall.run(0, 16 * MINUTE, 1, said);
    let answers =
        |hall: &Hall| points.map(|(name, ..)| hall.raw(&format!("cdu-1.{name}"), 0, 15 * MINUTE));
    let before = answers(&hall);
    assert_eq!(hall.seal(), 1);
    let after = answers(&hall);
    assert_eq!(before, after);
    for (point, rows) in after.iter().enumerate() {
        let expected: Vec<_> =
            (0..15 * MINUTE).map(|second| (second, said(second)[point].clone())).collect();
        assert_eq!(*rows, expected);
    }
    let series = hall.ask("cdu-1.energy", 0, HOUR, Resolution::Raw);
    assert_eq!((&*series[0].unit, series[0].kind), ("kWh", PointKind::Counter));
}

#[test]
fn rollups_are_the_same_from_blocks_from_raw_samples_and_from_the_log() {
    let mut hall = Hall::new(&temperatures(1));
    let said = |second: i64| {
        if second / 10 % 50 == 3 { Err(NoData::Unreachable) } else { number(wave(second)) }
    };
    // One day and one hour, so that the first day is rolled up.
    hall.run(0, 25 * HOUR, 10, |second| vec![said(second)]);
    let all: Vec<_> = (0..25 * HOUR / 10).map(|step| (step * 10, said(step * 10))).collect();
    let check = |hall: &Hall| {
        for (resolution, length) in [(Resolution::Minute, 60), (Resolution::Quarter, 900)] {
            let rows = hall.rolled("cdu-1.t0", 0, 25 * HOUR, resolution);
            assert_rows(&rows, &expected_rows(&all, length));
        }
        let hour = hall.rolled("cdu-1.t0", 23 * HOUR + 61, 24 * HOUR + 61, Resolution::Minute);
        let within: Vec<_> = all
            .iter()
            .filter(|(second, _)| (23 * HOUR + 60..24 * HOUR + 120).contains(second))
            .cloned()
            .collect();
        assert_rows(&hour, &expected_rows(&within, 60));
    };
    check(&hall);
    for _ in 0..50 {
        assert_eq!(hall.sealer.turn().unwrap(), Turn::Again);
    }
    check(&hall);
    hall.seal();
    check(&hall);
}

#[test]
fn a_series_outlives_the_configuration() {
    let gauge = PointKind::Gauge;
    let mut hall = Hall::new(&catalog(&[("supply", "°C", gauge), ("flow", "L/min", gauge)]));
    hall.run(0, 20 * MINUTE, 60, |_| vec![number(1.0), number(2.0)]);
    // The first one goes, the second one moves up, gets another unit; there is a third.
    let next = catalog(&[("flow", "L/min", gauge), ("return", "°C", gauge)]);
    hall.append(20 * MINUTE, vec![Record::Catalog(next)]);
    hall.run(20 * MINUTE, 40 * MINUTE, 60, |_| vec![number(3.0), number(4.0)]);
    let changed = catalog(&[("return", "°C", gauge), ("flow", "m3/h", gauge)]);
    for sealed in [false, true] {
        if sealed {
            hall.seal();
            hall.restart(&changed, 41 * MINUTE);
            hall.run(41 * MINUTE, 60 * MINUTE, 60, |_| vec![number(4.0), number(0.18)]);
            hall.seal();
        }
        assert_eq!(hall.raw("cdu-1.supply", 0, HOUR).len(), 20);
        let flow = hall.ask("cdu-1.flow", 0, 40 * MINUTE, Resolution::Raw);
        assert_eq!(flow.len(), 1);
        let flow = hall.raw("cdu-1.flow", 0, 40 * MINUTE);
        assert_eq!(flow.len(), 40);
        assert_eq!((&flow[19].1, &flow[20].1), (&number(2.0), &number(3.0)));
        assert_eq!(hall.raw("cdu-1.return", 0, 40 * MINUTE).len(), 20);
    }
    let flow = hall.ask("cdu-1.flow", 0, HOUR, Resolution::Raw);
    assert_eq!(flow.iter().map(|series| &*series.unit).collect::<Vec<_>>(), ["L/min", "m3/h"]);
}

#[test]
fn what_was_read_before_the_clock_was_set_gets_its_time_afterwards() {
    let mut hall = Hall::new(&temperatures(1));
    hall.run(0, 20 * MINUTE, 10, |_| vec![number(1.0)]);
    hall.trust = Trust::Untrusted;
    hall.restart(&temperatures(1), 30 * MINUTE);
    let wrong = at(0) - TimeDelta::days(3000);
    for step in 0..30 {
        let mono = hall.mono(30 * MINUTE + step * 10);
        let samples = vec![sample(0, mono, number(2.0))];
        hall.append_at(mono, wrong + TimeDelta::seconds(step * 10), vec![Record::Frame(samples)]);
    }
    hall.seal();
    assert_eq!(hall.raw("cdu-1.t0", 0, HOUR).len(), 120, "those have no place yet");
    hall.trust = Trust::Synchronised;
    hall.run(35 * MINUTE, HOUR + 2 * MINUTE, 10, |_| vec![number(3.0)]);
    let check = |hall: &Hall| {
        let rows = hall.raw("cdu-1.t0", 30 * MINUTE, 40 * MINUTE);
        let expected: Vec<_> = (0..60)
            .map(|step| (30 * MINUTE + step * 10, number(if step < 30 { 2.0 } else { 3.0 })))
            .collect();
        assert_eq!(rows, expected);
    };
    check(&hall);
    hall.seal();
    check(&hall);
    assert_eq!(hall.stats().sealed_until_ms, Some(ms(HOUR)));
}

#[test]
fn a_boot_that_never_knew_the_time_is_counted_and_holds_nothing_up() {
    let mut hall = Hall::new(&temperatures(1));
    hall.run(0, 10 * MINUTE, 10, |_| vec![number(1.0)]);
    hall.trust = Trust::Untrusted;
    hall.restart(&temperatures(1), 11 * MINUTE);
    let wrong = at(0) - TimeDelta::days(3000);
    hall.append_at(
        hall.mono(11 * MINUTE),
        wrong,
        vec![Record::Frame(vec![
            sample(0, hall.mono(11 * MINUTE), number(2.0)),
            sample(0, hall.mono(11 * MINUTE + 1), number(2.0)),
        ])],
    );
    hall.trust = Trust::Synchronised;
    hall.restart(&temperatures(1), 12 * MINUTE);
    hall.run(12 * MINUTE, 20 * MINUTE, 10, |_| vec![number(3.0)]);
    hall.seal();
    assert_eq!(hall.stats().unplaced_samples, 2);
    assert_eq!(hall.raw("cdu-1.t0", 0, HOUR).len(), 60 + 48);
}

#[test]
fn a_clock_that_leaps_ahead_and_back_loses_nothing_and_ages_nothing() {
    let keep_raw = std::time::Duration::from_hours(1);
    let mut hall = Hall::with(&temperatures(1), Retention { keep_raw, ..Retention::default() });
    hall.run(0, 20 * MINUTE, 10, |_| vec![number(1.0)]);
    let year = TimeDelta::days(365);
    for step in 0..12 {
        let mono = hall.mono(20 * MINUTE + step * 10);
        let frame = Record::Frame(vec![sample(0, mono, number(2.0))]);
        hall.append_at(mono, at(20 * MINUTE + step * 10) + year, vec![frame]);
    }
    hall.run(22 * MINUTE, 60 * MINUTE, 10, |_| vec![number(3.0)]);
    let before = hall.raw("cdu-1.t0", 0, HOUR);
    assert_eq!(before.len(), 120 + 38 * 6);
    hall.seal();
    assert_eq!(hall.raw("cdu-1.t0", 0, HOUR), before);
    assert_eq!(hall.raw("cdu-1.t0", 365 * 24 * HOUR, 366 * 24 * HOUR).len(), 12);
    assert_eq!(hall.stats().sealed_until_ms, Some(ms(45 * MINUTE)));
}

#[test]
fn a_monotonic_clock_far_from_zero_changes_nothing() {
    let mut hall = Hall::new(&temperatures(1));
    let mono = Mono::from_secs(1 << 40);
    hall.append_at(mono, at(5), vec![Record::Frame(vec![sample(0, mono, number(1.0))])]);
    assert_eq!(hall.raw("cdu-1.t0", 0, 10), [(5, number(1.0))]);
}

#[test]
fn a_reader_that_is_asked_again_sees_what_came_meanwhile() {
    let mut hall = Hall::new(&temperatures(2));
    let reader = hall.reader();
    let count = |point: &str| {
        let series = reader.query(&[point.into()], at(0), at(HOUR), Resolution::Raw).unwrap();
        series
            .iter()
            .map(|series| match &series.rows {
                store::history::Rows::Raw(rows) => rows.len(),
                store::history::Rows::Rollup(rows) => rows.len(),
            })
            .sum::<usize>()
    };
    let said = |_| vec![number(1.0), number(2.0)];
    for (minute, sealed) in [(0, 0), (5, 0), (10, 0), (15, 1), (20, 0), (25, 0), (30, 1)] {
        hall.run(minute * MINUTE, (minute + 5) * MINUTE + 20, 20, said);
        let expected = usize::try_from((minute + 5) * 3 + 1).unwrap();
        assert_eq!(count("cdu-1.t0"), expected);
        assert_eq!(hall.seal(), sealed);
        assert_eq!((count("cdu-1.t1"), count("cdu-1.t0")), (expected, expected));
    }
}
