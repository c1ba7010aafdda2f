//! Registers, ledger and meter tree, through the crate's public interface.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use rules::{
    ledger::{INTERVAL, Ledger, LedgerRow, Method},
    meters::{MeterTree, Node, Total, TreeFault},
    plant::{Asset, AssetId, AssetKind, Detail, Plant, Role},
    register::{Flag, Register, RegisterLimits, RegisterSnapshot, Step},
    time::{Mono, Now, Trust, Wall},
};
use serde::Deserialize;

use crate::fixtures::meter;

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    step: f64,
    modulus: Option<f64>,
    #[serde(default)]
    float32: bool,
    max_power_kw: f64,
    interval_s: u64,
    /// Time, value, outcome, and for some outcomes an amount or a flag.
    reads: Vec<Vec<toml::Value>>,
}

#[test]
fn registers_count_what_the_table_says() {
    let cases: Cases = toml::from_str(include_str!("../data/registers.toml")).unwrap();
    for case in &cases.case {
        let mut register = Register::new(RegisterLimits {
            step: case.step,
            modulus: case.modulus,
            max_power: case.max_power_kw,
            float32: case.float32,
            interval: Duration::from_secs(case.interval_s),
        });
        for read in &case.reads {
            let at = Mono::from_secs(u64::try_from(read[0].as_integer().unwrap()).unwrap());
            let step = register.observe(at, read[1].as_float().unwrap());
            check_step(&case.name, at, read, step);
        }
    }
}

fn check_step(case: &str, at: Mono, read: &[toml::Value], step: Step) {
    let (outcome, amount) = match step {
        Step::First => ("first", None),
        Step::Duplicate => ("duplicate", None),
        Step::Held => ("held", None),
        Step::Missing(flag) => {
            assert_eq!(read[3].as_str(), Some(word(flag)), "{case} at {at:?}");
            ("missing", None)
        }
        Step::Accepted(delta) => match (delta.flag, delta.bridged) {
            (Some(flag), _) => (word(flag), Some(delta.amount)),
            (None, true) => ("bridged", Some(delta.amount)),
            (None, false) => ("measured", Some(delta.amount)),
        },
    };
    assert_eq!(outcome, read[2].as_str().unwrap(), "{case} at {at:?}: {step:?}");
    if let Some(amount) = amount {
        let expected = read[3].as_float().unwrap();
        assert!((amount - expected).abs() < 1e-6, "{case} at {at:?}: {amount}, not {expected}");
    }
}

fn word(flag: Flag) -> &'static str {
    match flag {
        Flag::Rollover => "rollover",
        Flag::Reset => "reset",
        Flag::Suspicious => "suspicious",
        Flag::Replaced => "replaced",
        Flag::Ambiguous => "ambiguous",
        other => panic!("{other:?} is no outcome of one read"),
    }
}

#[test]
fn singles_hold_what_v_f32_says() {
    let ulp = |value| {
        RegisterLimits {
            step: 0.0,
            modulus: None,
            max_power: 1.0,
            float32: true,
            interval: Duration::ZERO,
        }
        .quantum(value)
    };
    assert!((ulp(5e6) - 0.5).abs() < 1e-12);
    assert!((ulp(16_777_215.0) - 1.0).abs() < 1e-12);
    assert!((ulp(16_777_216.0) - 2.0).abs() < 1e-12);
    assert!((ulp(33_554_432.0) - 4.0).abs() < 1e-12);
}

/// A plant with one meter, and its ledger.
fn one_meter(interval: Duration) -> (AssetId, Ledger) {
    let mut plant = Plant::default();
    let meter = plant.add_asset(Asset {
        name: "m".into(),
        kind: AssetKind::Meter,
        title: None,
        detail: Detail::Meter(meter(Role::ItLoad, 1000.0)),
    });
    (meter, Ledger::new(&plant, |_| Some(interval)))
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn now(mono_s: u64, wall: DateTime<Utc>, trust: Trust) -> Now {
    Now { mono: Mono::from_secs(mono_s), wall: Wall { utc: wall, trust } }
}

struct Run {
    meter: AssetId,
    ledger: Ledger,
    rows: Vec<LedgerRow>,
}

impl Run {
    fn new(interval_s: u64) -> Self {
        let (meter, ledger) = one_meter(Duration::from_secs(interval_s));
        Self { meter, ledger, rows: Vec::new() }
    }

    fn read(&mut self, now: Now, value: f64) {
        let reading = RegisterSnapshot { at: now.mono, value };
        self.ledger.observe(&now, self.meter, reading, &mut Vec::new());
        self.ledger.advance(&now, &mut self.rows, &mut Vec::new());
    }

    fn total(&self) -> f64 {
        self.rows.iter().chain(self.ledger.open()).filter_map(|row| row.amount).sum()
    }
}

#[test]
fn a_boundary_between_two_snapshots_is_interpolated_as_v_cut_says() {
    // V-CUT: t = −100 s E = 1000.0; t = +200 s E = 1005.0; the boundary at t = 0 stands at 1001.666667.
    let boundary = utc("2026-10-01T12:00:00Z");
    let mut run = Run::new(300);
    run.read(now(1000, boundary - TimeDelta::seconds(100), Trust::Synchronised), 1000.0);
    run.read(now(1300, boundary + TimeDelta::seconds(200), Trust::Synchronised), 1005.0);
    assert_eq!(run.rows.len(), 1, "the interval before the boundary is complete");
    assert!((run.rows[0].amount.unwrap() - 1.666_667).abs() < 1e-6);
    assert!((run.rows[0].first.unwrap().value - 1000.0).abs() < 1e-9);
    assert!((run.rows[0].last.unwrap().value - 1005.0).abs() < 1e-9);
    assert!((run.total() - 5.0).abs() < 1e-6);
}

#[test]
fn a_reading_of_the_full_quarter_hour_belongs_to_it_however_the_clocks_were_read() {
    let start = utc("2026-10-01T12:00:00Z");
    let mut run = Run::new(900);
    for (quarter, noise) in (0_i32..).zip([-300, 200, -100, 300, -200]) {
        let at = start + TimeDelta::minutes(15) * quarter + TimeDelta::nanoseconds(noise);
        run.read(now(900 * u64::from(quarter.unsigned_abs()), at, Trust::Synchronised), 100.0);
    }
    assert_eq!(run.rows.len(), 4);
    for row in &run.rows {
        assert!(row.flags.is_empty() && (row.coverage - 1.0).abs() < 1e-12, "{row:?}");
    }
}

#[test]
fn a_gap_over_several_intervals_is_bridged_and_its_total_is_exact() {
    // V-CUT: 3.25 h, 340 kWh, mean 104.615 kW.
    let start = utc("2026-10-01T12:00:00Z");
    let mut run = Run::new(60);
    run.read(now(0, start, Trust::Synchronised), 1_004_890.0);
    run.read(now(11_700, start + TimeDelta::seconds(11_700), Trust::Synchronised), 1_005_230.0);
    assert_eq!(run.rows.len(), 13);
    for row in &run.rows {
        assert_eq!(row.method, Method::Bridged);
        assert_eq!(row.flags, [Flag::InterpolatedWide]);
        assert!((row.amount.unwrap() * 4.0 - 104.615).abs() < 1e-3);
    }
    assert!((run.total() - 340.0).abs() < 1e-6);
}

#[test]
fn a_boot_in_1970_attributes_nothing_wrongly_and_loses_nothing() {
    let real = utc("2026-10-01T11:55:00Z");
    let wrong = utc("1970-01-01T00:00:00Z");
    let second = |s: u64| TimeDelta::seconds(i64::try_from(s).unwrap());
    let mut run = Run::new(1);
    // 360 kW: 0.1 kWh a second. Ten minutes without a clock, then ten with one.
    let energy = |s: u64| f64::from(u32::try_from(s).unwrap()) * 0.1;
    for s in 0..600 {
        run.read(now(s, wrong + second(s), Trust::Untrusted), energy(s));
        assert!(
            run.rows.is_empty() && run.ledger.open().next().is_none(),
            "nothing is attributed at {s} s"
        );
    }
    for s in 600..=1200 {
        run.read(now(s, real + second(s), Trust::Synchronised), energy(s));
    }
    let by_start: BTreeMap<_, _> =
        run.rows.iter().chain(run.ledger.open()).map(|row| (row.start, row)).collect();
    let starts: Vec<_> = by_start.keys().copied().collect();
    assert_eq!(starts, [utc("2026-10-01T11:45:00Z"), utc("2026-10-01T12:00:00Z")]);
    assert!(
        (by_start[&starts[0]].amount.unwrap() - 30.0).abs() < 1e-6,
        "the five minutes before noon"
    );
    assert!((by_start[&starts[1]].amount.unwrap() - 90.0).abs() < 1e-6);
    assert!(by_start[&starts[0]].flags.contains(&Flag::TimeAssignedLater));
    assert!((run.total() - 120.0).abs() < 1e-6, "all of it");
}

#[test]
fn hours_without_a_clock_lose_resolution_but_no_energy() {
    let wrong = utc("1970-01-01T00:00:00Z");
    let mut run = Run::new(1);
    for s in 0..20_000_u32 {
        run.read(now(u64::from(s), wrong, Trust::Untrusted), f64::from(s) * 0.1);
        assert!(run.ledger.waiting() <= 4096);
    }
    run.read(now(20_000, utc("2026-10-01T12:00:00Z"), Trust::Synchronised), 2000.0);
    assert!((run.total() - 2000.0).abs() < 1e-6);
}

#[test]
fn after_a_backward_step_what_was_attributed_first_stays() {
    let start = utc("2026-10-01T12:00:00Z");
    let mut run = Run::new(1);
    let mut energy = 0.0;
    for s in 0..=1000_u32 {
        energy = f64::from(s) * 0.1;
        run.read(
            now(u64::from(s), start + TimeDelta::seconds(s.into()), Trust::Synchronised),
            energy,
        );
    }
    let closed: Vec<_> = run.rows.clone();
    assert_eq!(closed.len(), 1);
    // The clock goes back ten minutes; time that was already accounted for gets nothing more.
    for s in 1001..=1500_u32 {
        energy = f64::from(s) * 0.1;
        let wall = start + TimeDelta::seconds(i64::from(s) - 600);
        run.read(now(u64::from(s), wall, Trust::Synchronised), energy);
    }
    assert_eq!(run.rows, closed, "the closed interval is as it was");
    assert!((run.total() - energy).abs() < 1e-6, "and nothing is lost");
    assert!(run.ledger.open().all(|row| row.flags.contains(&Flag::ClockStepped)));
}

fn v_tree() -> Vec<(&'static str, Role, f64, Vec<usize>)> {
    vec![
        ("U1", Role::BoundaryIn, 9_000_000.0, vec![4, 5]),
        ("U2", Role::BoundaryIn, 1_500_000.0, vec![4, 5]),
        ("PV", Role::OnsiteGeneration, 200_000.0, vec![]),
        ("export", Role::BoundaryOut, 50_000.0, vec![]),
        ("E1", Role::ItLoad, 4_600_000.0, vec![6, 7, 8]),
        ("E2", Role::ItLoad, 4_020_000.0, vec![]),
        ("E05-1", Role::InfoOnly, 250_000.0, vec![]),
        ("E05-2", Role::InfoOnly, 170_000.0, vec![]),
        ("pump", Role::Cooling, 60_000.0, vec![]),
    ]
}

fn tree(meters: &[(&'static str, Role, f64, Vec<usize>)]) -> MeterTree {
    let nodes = meters.iter().map(|(name, role, _, feeds)| Node {
        name: (*name).to_owned(),
        role: Some(*role),
        feeds: feeds.clone(),
    });
    MeterTree::new(nodes.collect()).unwrap()
}

fn sum(tree: &MeterTree, meters: &[(&'static str, Role, f64, Vec<usize>)], total: Total) -> f64 {
    let terms = tree.terms(total).unwrap();
    terms
        .iter()
        .map(|term| if term.negative { -meters[term.node].2 } else { meters[term.node].2 })
        .sum()
}

#[test]
fn v_tree_moves_the_pump_out_of_it_and_takes_the_export_off() {
    let meters = v_tree();
    let tree = tree(&meters);
    assert!((sum(&tree, &meters, Total::Facility) - 10_650_000.0).abs() < 1e-6);
    assert!((sum(&tree, &meters, Total::It) - 8_560_000.0).abs() < 1e-6);
}

#[test]
fn a_bus_and_its_tap_both_counted_as_it_are_refused() {
    let mut meters = v_tree();
    meters[6].1 = Role::ItLoad;
    let fault = tree(&meters).terms(Total::It).unwrap_err();
    assert_eq!(
        fault,
        TreeFault::DoubleCounting { ancestor: "E1".into(), descendant: "E05-1".into() }
    );
}

#[test]
fn a_circle_of_meters_is_named() {
    let node = |name: &str, feeds| Node { name: name.to_owned(), role: None, feeds };
    let fault = MeterTree::new(vec![
        node("a", vec![1]),
        node("b", vec![2]),
        node("c", vec![0]),
        node("d", vec![0]),
    ]);
    let TreeFault::Cycle(names) = fault.unwrap_err() else { panic!("a circle") };
    assert_eq!(names.len(), 4);
    assert_eq!(names.first(), names.last());
    let order = names.join("");
    assert!(["abca", "bcab", "cabc"].contains(&order.as_str()), "{order} follows the flow");
}

proptest! {
    /// Whatever a healthy register does, whenever it is read: the intervals add up to what it counted, and no interval
    /// holds more than its time.
    #[test]
    fn the_intervals_add_up_to_the_register(
        steps in prop::collection::vec((1_u64..400, 0.0_f64..30.0), 1..200),
        start_s in 0_i64..100_000,
    ) {
        let wall = utc("2026-10-01T00:00:00Z") + TimeDelta::seconds(start_s);
        let mut run = Run::new(60);
        let (mut mono, mut value) = (0_u64, 0.0);
        run.read(now(0, wall, Trust::Synchronised), value);
        for (seconds, power_share) in steps {
            mono += seconds;
            // At most 30 % of 1000 kW over the step, so that no step is a jump.
            value += f64::from(u32::try_from(seconds).unwrap()) / 3600.0 * power_share * 10.0;
            let at = wall + TimeDelta::seconds(i64::try_from(mono).unwrap());
            run.read(now(mono, at, Trust::Synchronised), value);
        }
        prop_assert!((run.total() - value).abs() < 1e-6);
        for row in &run.rows {
            prop_assert!(row.coverage <= 1.0 && row.amount.unwrap() >= 0.0);
            prop_assert_eq!(row.start.timestamp() % INTERVAL.num_seconds(), 0);
        }
        let mut starts: Vec<_> = run.rows.iter().map(|row| row.start).collect();
        starts.dedup();
        prop_assert_eq!(starts.len(), run.rows.len(), "each interval is closed once");
    }

    #[test]
    fn no_register_value_ever_gives_a_negative_amount(values in prop::collection::vec(0.0_f64..1e9, 2..50)) {
        let mut register = Register::new(RegisterLimits {
            step: 0.1, modulus: Some(1e9), max_power: 500.0, float32: false, interval: Duration::from_secs(1),
        });
        for (second, value) in (0..).zip(values) {
            if let Step::Accepted(delta) = register.observe(Mono::from_secs(second), value) {
                prop_assert!(delta.amount >= 0.0);
                prop_assert!(delta.to.at > delta.from.at);
            }
        }
    }
}
