//! Traces with source times and steps of the clock, and what holds for any trace.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::prelude::*;
use rules::{
    alarm::{Letter, Life, Step, Timing, Truth},
    replay::{Bench, BenchPoint, Line, Outcome, TraceFault},
    rule::RuleSpec,
    units::Unit,
};

fn bench(when: &str, published: bool) -> Bench {
    let mut rule = RuleSpec::new("X", when);
    rule.deadband = Some("1 K".into());
    let point = BenchPoint {
        name: "p".into(),
        unit: Unit::parse("°C").unwrap(),
        stale_after: Duration::from_mins(10),
        published,
    };
    Bench::new(&[rule], &[point]).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn sample(t: f64, v: f64, src: f64) -> Line {
    Line { t, point: Some("p".into()), v: Some(v), src: Some(src), ..Line::default() }
}

fn moves(outcomes: &[Outcome]) -> Vec<(f64, Letter, Letter)> {
    let one = |outcome: &Outcome| match outcome {
        Outcome::Moved { t, from, to, .. } => Some((*t, *from, *to)),
        Outcome::Rejected { .. } => None,
    };
    outcomes.iter().filter_map(one).collect()
}

use Letter::{A, B, D};

#[test]
fn an_older_published_sample_is_ignored_and_an_equally_old_one_replaces() {
    let lines = [
        sample(0.0, 42.0, 0.0),
        sample(5.0, 46.0, 4.0),
        sample(6.0, 42.0, 3.0),
        sample(8.0, 42.0, 4.0),
    ];
    let outcomes = bench("p > 45 °C", true).play(&lines, 0.0).unwrap();
    assert_eq!(moves(&outcomes), [(5.0, A, B), (8.0, B, D)]);
}

#[test]
fn a_published_sample_of_five_minutes_ago_is_used_and_an_older_one_is_not() {
    let lines = [sample(400.0, 46.0, 99.0), sample(402.0, 46.0, 102.0)];
    let outcomes = bench("p > 45 °C", true).play(&lines, 0.0).unwrap();
    assert_eq!(moves(&outcomes), [(402.0, A, B)]);
}

#[test]
fn after_a_step_of_the_clock_the_order_of_source_times_begins_anew() {
    let step =
        Line { t: 2.0, op: Some("clock_step".into()), delta: Some(-3600.0), ..Line::default() };
    let lines = [sample(0.0, 42.0, 0.0), step, sample(3.0, 46.0, 3.0 - 3600.0)];
    let outcomes = bench("p > 45 °C", true).play(&lines, 0.0).unwrap();
    assert_eq!(moves(&outcomes), [(3.0, A, B)]);
}

#[test]
fn a_sample_from_the_future_counts_as_of_its_receipt() {
    let lines = [sample(5.0, 46.0, 500.0), sample(6.0, 42.0, 6.0)];
    let outcomes = bench("p > 45 °C", true).play(&lines, 0.0).unwrap();
    assert_eq!(moves(&outcomes), [(5.0, A, B), (6.0, B, D)]);
}

#[test]
fn a_polled_point_has_no_source_time() {
    let lines = [sample(400.0, 46.0, 0.0)];
    let outcomes = bench("p > 45 °C", false).play(&lines, 0.0).unwrap();
    assert_eq!(moves(&outcomes), [(400.0, A, B)]);
}

#[test]
fn a_line_that_means_nothing_is_told_with_its_place() {
    let shelve = Line { t: 2.0, op: Some("shelve".into()), ..Line::default() };
    let other = Line { t: 3.0, point: Some("q".into()), v: Some(1.0), ..Line::default() };
    let lines = [sample(0.0, 42.0, 0.0), shelve, other, sample(-1.0, 0.0, 0.0)];
    let faults = bench("p > 45 °C", true).play(&lines, 0.0).unwrap_err();
    assert_eq!(
        faults,
        [
            (1, TraceFault::UnknownOperation("shelve".into())),
            (2, TraceFault::UnknownPoint("q".into())),
            (3, TraceFault::Time),
        ]
    );
}

#[test]
fn delays_count_time_and_not_ticks() {
    let timing = Timing { on_delay: Duration::from_secs(3), ..Timing::default() };
    let mut life = Life::default();
    let tick = Duration::from_millis(2_500);
    assert_eq!(life.tick(Truth::True, tick, timing), Step::Same);
    assert_eq!(life.tick(Truth::True, tick, timing), Step::Same);
    assert_eq!(life.tick(Truth::True, tick, timing), Step::Activated);
}

#[test]
fn a_latched_alarm_waits_for_acknowledgement_and_reset() {
    let timing = Timing { latch: true, ..Timing::default() };
    let second = Duration::from_secs(1);
    let mut life = Life::default();
    life.tick(Truth::True, second, timing);
    life.tick(Truth::False, second, timing);
    assert_eq!(life.letter(timing), Letter::Bl);
    assert!(life.reset(timing).is_err());
    life.acknowledge(Some(1), timing).unwrap();
    assert_eq!(life.letter(timing), Letter::Cl);
    life.tick(Truth::True, second, timing);
    assert_eq!((life.letter(timing), life.occurrence), (B, 2));
    life.acknowledge(None, timing).unwrap();
    life.tick(Truth::False, second, timing);
    assert_eq!(life.letter(timing), Letter::Cl);
    life.reset(timing).unwrap();
    assert_eq!(life.letter(timing), A);
}

proptest! {
    #[test]
    fn a_journal_replays_to_the_same_letters(
        values in proptest::collection::vec(proptest::option::of(40.0..50.0_f64), 1..60),
        acks in proptest::collection::vec(0_u32..60, 0..10),
    ) {
        let mut lines: Vec<Line> = (0_u32..)
            .zip(&values)
            .map(|(t, value)| Line {
                t: f64::from(t),
                point: Some("p".into()),
                v: *value,
                q: value.is_none().then(|| "bad".into()),
                ..Line::default()
            })
            .collect();
        lines.extend(acks.iter().map(|t| Line {
            t: f64::from(*t) + 0.5,
            op: Some("ack".into()),
            alarm: Some("X".into()),
            ..Line::default()
        }));
        let outcomes = bench("p > 45 °C", false).play(&lines, 0.0).unwrap();
        let mut letters: BTreeMap<Arc<str>, (Letter, u32, f64)> = BTreeMap::new();
        for outcome in outcomes {
            let Outcome::Moved { t, alarm, from, to, occ, annunciate, .. } = outcome else { continue };
            let (letter, occurrence, last) = letters.get(&alarm).copied().unwrap_or((A, 0, -1.0));
            prop_assert_eq!(from, letter);
            prop_assert!(from != to && t > last);
            prop_assert_eq!(occ, occurrence + u32::from(to == B));
            prop_assert_eq!(annunciate, to == B);
            letters.insert(alarm, (to, occ, t));
        }
    }
}
