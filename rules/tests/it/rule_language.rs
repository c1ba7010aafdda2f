//! Conditions against a small plant: what they mean, what they refuse, and what they say then.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use rules::{
    alarm::Letter,
    alarm_set::{AlarmSet, Compiled, Transition},
    coolant::Coolant,
    language::{Field, RuleFault, parse, parse_each},
    plant::{
        Asset, AssetId, AssetKind, Cdu, CoolantLoop, Detail, DeviceLimits, EdgeKind, FlowMeterAt,
        Origin, Plant, PointKind, PointSpec, Rack, StateLabel, Supply, Technology,
    },
    rule::RuleSpec,
    time::{Mono, Now, Trust, Wall},
    units::Unit,
    value::NoData,
};

fn asset(plant: &mut Plant, name: &str, kind: AssetKind, detail: Detail) -> AssetId {
    plant.add_asset(Asset { name: name.into(), kind, title: None, detail })
}

fn point(plant: &mut Plant, asset: AssetId, quantity: &str, unit: &str) {
    let states: &[&str] = match quantity {
        "leak.state" => &["NoLeak", "Leak"],
        "pump_1.state" => &["Off", "Running", "Fault"],
        _ => &[],
    };
    plant.add_point(PointSpec {
        asset,
        quantity: quantity.into(),
        unit: Unit::parse(unit).unwrap(),
        kind: if states.is_empty() { PointKind::Gauge } else { PointKind::State },
        origin: Origin::Polled,
        stale_after: Duration::from_secs(10),
        states: (0..)
            .zip(states)
            .map(|(code, text)| StateLabel { code, text: (*text).to_owned() })
            .collect(),
    });
}

/// One loop with two CDUs, `cdu-2` without a flow meter, and three racks of 50 kW.
fn plant() -> Plant {
    let mut plant = Plant::default();
    let site = asset(&mut plant, "hall", AssetKind::Site, Detail::None);
    point(&mut plant, site, "power_ratio", "1");
    let water = Coolant::WATER;
    let tcs = asset(
        &mut plant,
        "loop-1",
        AssetKind::Loop,
        Detail::Loop(CoolantLoop {
            technology: Technology::ColdPlate,
            coolant: Some(water),
            facility_coolant: water,
            flow_meter_at: FlowMeterAt::Supply,
            design_delta_temperature_k: 10.0,
            design_return_c: 55.0,
            design_pressure_kpa: 600.0,
            design_flow_lpm: Some(400.0),
            ride_through_s: 30.0,
        }),
    );
    for name in ["cdu-1", "cdu-2"] {
        let detail = Detail::Cdu(Cdu { rated_heat_kw: None, pumps: 2, pumps_required: 1 });
        let cdu = asset(&mut plant, name, AssetKind::Cdu, detail);
        plant.add_edge(cdu, EdgeKind::Cools, tcs);
        point(&mut plant, cdu, "tcs.supply_temperature", "°C");
        point(&mut plant, cdu, "tcs.return_temperature", "°C");
        point(&mut plant, cdu, "leak.state", "1");
        point(&mut plant, cdu, "pump_1.state", "1");
        if name == "cdu-1" {
            point(&mut plant, cdu, "tcs.flow", "L/min");
        }
    }
    for (position, name) in (1..).zip(["r1", "r2", "r3"]) {
        let rack = asset(
            &mut plant,
            name,
            AssetKind::Rack,
            Detail::Rack(Rack {
                row: "A".into(),
                position,
                footprint_m2: None,
                design_power_kw: 50.0,
                feeds: 2,
                supply: Supply::Ac,
            }),
        );
        plant.add_edge(tcs, EdgeKind::Cools, rack);
        point(&mut plant, rack, "power", "kW");
    }
    let limits = Detail::Device(DeviceLimits { silence_limit_s: 10.0 });
    let device = asset(&mut plant, "gw-1", AssetKind::Device, limits);
    point(&mut plant, device, "silence", "s");
    plant
}

fn now(seconds: u64) -> Now {
    let utc = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    Now { mono: Mono::from_secs(seconds), wall: Wall { utc, trust: Trust::Synchronised } }
}

fn faults(spec: &RuleSpec) -> Vec<RuleFault> {
    AlarmSet::compile(std::slice::from_ref(spec), &plant())
        .map_or_else(|faults| faults, |_| Vec::new())
}

fn compiled(when: &str) -> Compiled {
    AlarmSet::compile(&[RuleSpec::new("x", when)], &plant())
        .unwrap_or_else(|faults| panic!("{when}: {faults:?}"))
}

/// Values by full point name; the rest was never seen.
fn values(known: &[(&str, f64)]) -> Vec<Result<f64, NoData>> {
    let plant = plant();
    let mut values = vec![Err(NoData::NeverSeen); plant.points().len()];
    for (name, value) in known {
        let (asset, quantity) = name.split_once('.').unwrap();
        let asset = plant.find_asset(asset).unwrap();
        values[plant.find_point(asset, quantity).unwrap().index()] = Ok(*value);
    }
    values
}

/// `Some(true)` for an alarm, `None` for unknown.
fn judge(when: &str, known: &[(&str, f64)]) -> Option<bool> {
    let mut set = compiled(when).set;
    let mut out: Vec<Transition> = Vec::new();
    let values = values(known);
    set.tick(now(0), &values, &mut out);
    let view = set.find("x", &values).unwrap();
    if view.unknown { None } else { Some(!out.is_empty()) }
}

#[test]
fn a_template_makes_one_alarm_per_asset_and_reports_the_asset_that_lacks_a_point() {
    let mut spec = RuleSpec::new("cdu.flow_lo", "cdu.tcs.flow / cdu.loop.design_flow < 80 %");
    spec.each = Some("cdu in cdus where technology == 'cold_plate'".into());
    spec.deadband = Some("3 %".into());
    let Compiled { mut set, not_applicable } = AlarmSet::compile(&[spec], &plant()).unwrap();
    assert_eq!(set.len(), 1);
    assert_eq!(not_applicable.len(), 1);
    assert_eq!(not_applicable[0].asset, Some(Arc::from("cdu-2")));
    assert_eq!(not_applicable[0].why, "cdu-2 has no tcs.flow");

    let mut out = Vec::new();
    set.tick(now(0), &values(&[("cdu-1.tcs.flow", 300.0)]), &mut out);
    assert_eq!(&*out[0].moved.alarm, "cdu.flow_lo@cdu-1");
    assert_eq!(out[0].moved.operands, "75 % < 80 %");
}

#[test]
fn conditions_mean_what_they_say() {
    let t = |c: f64| [("cdu-1.tcs.supply_temperature", c)];
    assert_eq!(judge("cdu-1.tcs.supply_temperature > 45 °C", &t(45.0)), Some(false));
    assert_eq!(judge("cdu-1.tcs.supply_temperature >= 45 °C", &t(45.0)), Some(true));
    assert_eq!(judge("cdu-1.tcs.supply_temperature >= 113 °F", &t(45.0)), Some(true));
    assert_eq!(judge("45 °C < cdu-1.tcs.supply_temperature", &t(45.1)), Some(true));
    assert_eq!(judge("cdu-1.tcs.supply_temperature > -5 °C", &t(-4.9)), Some(true));
    assert_eq!(judge("cdu-1.tcs.supply_temperature > 45 °C", &[]), None);
    assert_eq!(judge("missing(cdu-1.tcs.supply_temperature)", &[]), Some(true));
    assert_eq!(judge("cdu-1.leak.state == 'Leak'", &[("cdu-1.leak.state", 1.0)]), Some(true));
    assert_eq!(judge("cdu-1.leak.state != 'Leak'", &[("cdu-1.leak.state", 1.0)]), Some(false));
    assert_eq!(judge("power_ratio > 3", &[("hall.power_ratio", 3.5)]), Some(true));
    assert_eq!(judge("r1.power > 0.9 * r1.design_power", &[("r1.power", 45.1)]), Some(true));
    assert_eq!(judge("r1.power > 100 kW/r1.feeds", &[("r1.power", 50.1)]), Some(true));
    assert_eq!(judge("r1.power > 45000 W", &[("r1.power", 45.0)]), Some(false));
}

#[test]
fn an_alarm_that_waits_to_clear_tells_what_is_so_now() {
    let mut spec = RuleSpec::new("x", "r1.power > 80 kW");
    spec.off_delay = Duration::from_secs(30);
    let mut set = AlarmSet::compile(&[spec], &plant()).unwrap().set;
    let (high, normal) = (values(&[("r1.power", 85.0)]), values(&[("r1.power", 75.0)]));
    set.tick(now(0), &high, &mut Vec::new());
    assert_eq!(set.find("x", &high).unwrap().operands, "85 kW > 80 kW");
    set.tick(now(1), &normal, &mut Vec::new());
    let view = set.find("x", &normal).unwrap();
    assert_eq!((view.letter, view.operands.as_str()), (Letter::B, "75 kW <= 80 kW"));
}

/// What an operator reads of the alarm `x@cdu-1`.
fn operands(when: &str, known: &[(&str, f64)]) -> String {
    let mut spec = RuleSpec::new("x", when);
    spec.each = Some("cdu in cdus where technology == 'cold_plate'".into());
    let mut set = AlarmSet::compile(&[spec], &plant()).unwrap().set;
    let values = values(known);
    set.tick(now(0), &values, &mut Vec::new());
    set.find("x@cdu-1", &values).unwrap().operands
}

#[test]
fn a_state_is_told_with_its_point_and_of_an_or_only_what_holds() {
    let lost = "cdu.pump_1.state == 'Fault' or cdu.leak.state == 'Leak'";
    let told =
        |pump, leak| operands(lost, &[("cdu-1.pump_1.state", pump), ("cdu-1.leak.state", leak)]);
    assert_eq!(told(2.0, 0.0), "pump_1.state Fault");
    assert_eq!(told(1.0, 1.0), "leak.state Leak");
    assert_eq!(told(2.0, 1.0), "pump_1.state Fault or leak.state Leak");
    assert_eq!(told(1.0, 0.0), "pump_1.state Running or leak.state NoLeak");
    let unknown = [("cdu-1.pump_1.state", 1.0)];
    assert_eq!(operands(lost, &unknown), "leak.state ? (no sample yet)");
    let other = "cdu-2.pump_1.state == 'Fault' and cdu.pump_1.state != 'Running'";
    let known = [("cdu-1.pump_1.state", 0.0), ("cdu-2.pump_1.state", 2.0)];
    assert_eq!(operands(other, &known), "cdu-2.pump_1.state Fault and pump_1.state Off");
    let twice = "cdu.pump_1.state != 'Running' and cdu.pump_1.state != 'Fault'";
    assert_eq!(operands(twice, &[("cdu-1.pump_1.state", 0.0)]), "pump_1.state Off");
}

#[test]
fn of_an_and_that_does_not_hold_only_what_fails_is_told() {
    let when = "cdu.tcs.supply_temperature > 45 °C and r1.power > 5 kW";
    let told = |celsius, kw| {
        operands(when, &[("cdu-1.tcs.supply_temperature", celsius), ("r1.power", kw)])
    };
    assert_eq!(told(46.0, 6.0), "46 °C > 45 °C and 6 kW > 5 kW");
    assert_eq!(told(46.0, 4.0), "4 kW <= 5 kW");
    let turned = "not (cdu.tcs.supply_temperature < 45 °C or r1.power < 5 kW)";
    let known = [("cdu-1.tcs.supply_temperature", 46.0), ("r1.power", 6.0)];
    assert_eq!(operands(turned, &known), "46 °C >= 45 °C and 6 kW >= 5 kW");
    let mixed = "cdu.tcs.supply_temperature > 45 °C and (r1.power > 5 kW or r2.power > 5 kW)";
    let known = [("cdu-1.tcs.supply_temperature", 46.0), ("r1.power", 6.0), ("r2.power", 7.0)];
    assert_eq!(operands(mixed, &known), "46 °C > 45 °C and (6 kW > 5 kW or 7 kW > 5 kW)");
}

#[test]
fn numbers_are_rounded_for_reading_but_never_past_the_limit() {
    let power = |when: &str, kw| operands(when, &[("r1.power", kw), ("cdu-1.leak.state", 0.0)]);
    let of =
        |limit: &str, kw| power(&format!("r1.power > {limit} or cdu.leak.state == 'Leak'"), kw);
    assert_eq!(of("80 kW", 84.463), "84.5 kW > 80 kW");
    assert_eq!(of("80 kW", 1496.27), "1496 kW > 80 kW");
    assert_eq!(of("80 kW", 80.004), "80.004 kW > 80 kW");
    assert_eq!(of("80.25 kW", 90.1234), "90.12 kW > 80.25 kW");
    assert_eq!(of("0.1 kW", 0.123_456), "0.123 kW > 0.1 kW");
    assert_eq!(of("45000 W", 50.0), "50000 W > 45000 W");
    let known = [("r1.power", 50.04), ("r2.power", 50.01)];
    assert_eq!(operands("r1.power + 0 kW * cdu.pumps > r2.power", &known), "50.04 kW > 50.01 kW");
    let hot = [("cdu-1.tcs.supply_temperature", 45.7)];
    assert_eq!(operands("cdu.tcs.supply_temperature > 113 °F", &hot), "114 °F > 113 °F");
}

#[test]
fn what_only_the_deadband_keeps_true_is_told_with_it() {
    for (when, deadband, kw, told) in [
        ("r1.power < 90 % * r1.design_power", "1 kW", [44.0, 45.56], "45.6 kW < 45 kW + 1 kW"),
        ("r1.power / r1.design_power < 90 %", "3 %", [44.0, 45.56], "91.1 % < 90 % + 3 %"),
        ("r1.power > 40 kW", "1 kW", [41.0, 39.5], "39.5 kW > 40 kW - 1 kW"),
    ] {
        let spec = RuleSpec { deadband: Some(deadband.into()), ..RuleSpec::new("x", when) };
        let mut set = AlarmSet::compile(&[spec], &plant()).unwrap().set;
        let mut out = Vec::new();
        let [enter, hold] = kw.map(|kw| values(&[("r1.power", kw)]));
        set.tick(now(0), &enter, &mut out);
        set.tick(now(1), &hold, &mut out);
        assert_eq!(out.len(), 1, "{when}");
        assert_eq!(set.find("x", &hold).unwrap().operands, told);
    }
}

#[test]
fn one_known_member_decides_a_maximum_but_not_a_sum() {
    let two = [("r1.power", 60.0), ("r2.power", 10.0)];
    let three = [("r1.power", 60.0), ("r2.power", 10.0), ("r3.power", 5.0)];
    assert_eq!(judge("max(racks.power) > 50 kW", &two), Some(true));
    assert_eq!(judge("max(racks.power) > 70 kW", &two), None);
    assert_eq!(judge("max(racks.power) > 70 kW", &three), Some(false));
    assert_eq!(judge("max(racks.power) < 50 kW", &two), Some(false));
    assert_eq!(judge("min(racks.power) < 20 kW", &two), Some(true));
    assert_eq!(judge("20 kW > min(racks.power)", &two), Some(true));
    assert_eq!(judge("min(racks.power) > 20 kW", &two), Some(false));
    assert_eq!(judge("sum(racks.power) > 50 kW", &two), None);
    assert_eq!(judge("sum(racks.power) >= 75 kW", &three), Some(true));
    assert_eq!(judge("median(racks.power) == 10 kW", &three), Some(true));
    assert_eq!(judge("count(racks where power > 5 kW) == 2", &three), Some(true));
    assert_eq!(judge("count(racks where power > 5 kW) == 2", &two), None);
}

#[test]
fn a_member_without_the_value_is_left_out_and_said_to_be() {
    let Compiled { set, not_applicable } = compiled("count(cdus where tcs.flow > 5 L/min) >= 1");
    assert_eq!(set.len(), 1);
    let why: Vec<&str> = not_applicable.iter().map(|entry| &*entry.why).collect();
    assert_eq!(why, ["cdu-2 has no tcs.flow: left out of the aggregate"]);

    // No rack has a ratio of its own, and that of the site does not stand in for it.
    let Compiled { set, not_applicable } = compiled("count(racks where power_ratio > 3) >= 1");
    assert!(set.is_empty());
    assert_eq!(not_applicable.len(), 3);
}

#[test]
fn an_aggregate_of_a_template_is_shared_unless_its_filter_depends_on_the_asset() {
    let each = |when: &str| {
        let mut spec = RuleSpec::new("x", when);
        spec.each = Some("rack in racks".into());
        AlarmSet::compile(&[spec], &plant()).unwrap()
    };
    let known = values(&[("r1.power", 10.0), ("r2.power", 20.0), ("r3.power", 30.0)]);
    let active = |when: &str| {
        let mut out = Vec::new();
        each(when).set.tick(now(0), &known, &mut out);
        out.iter().map(|it| it.moved.alarm.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(active("rack.power > avg(racks.power)"), ["x@r3"]);
    assert_eq!(active("count(racks where power > rack.power) == 2"), ["x@r1"]);
    assert_eq!(active("count(racks where power > 15 kW) == 2"), ["x@r1", "x@r2", "x@r3"]);
    assert_eq!(
        active("rack.power > avg(racks.power where power > 15 kW) - avg(racks.power)"),
        ["x@r1", "x@r2", "x@r3"]
    );

    let lacking = each("max(cdus.tcs.flow) < rack.power * 0 L/min/kW + 5 L/min").not_applicable;
    let why: Vec<&str> = lacking.iter().map(|entry| &*entry.why).collect();
    assert_eq!(why, ["cdu-2 has no tcs.flow: left out of the aggregate"], "told once");
}

#[test]
fn a_figure_that_this_site_does_not_give_is_no_fault() {
    let Compiled { set, not_applicable } = compiled("it_power > 100 kW");
    assert!(set.is_empty());
    assert_eq!(not_applicable[0].why, "hall has no it_power");
}

#[test]
fn two_alarms_of_one_rule_need_two_names() {
    let specs = [RuleSpec::new("x", "power_ratio > 3"), RuleSpec::new("x", "power_ratio > 2")];
    let faults = AlarmSet::compile(&specs, &plant()).unwrap_err();
    assert_eq!(
        (faults[0].index, faults[0].message.as_str()),
        (1, "a rule called \"x\" is there already")
    );
}

/// What a rule writer is told: the place marked under the text, the fault, the remedy.
fn told(field: &str, text: &str, fault: &RuleFault) -> String {
    let before = text.get(..fault.span.start).unwrap_or_default().chars().count();
    let marked = text.get(fault.span.clone()).unwrap_or_default().chars().count().max(1);
    format!(
        "{field} = {text}\n{}{}\n{}\n{}\n\n",
        " ".repeat(field.len() + 3 + before),
        "^".repeat(marked),
        fault.message,
        fault.remedy
    )
}

const WRONG_CONDITIONS: &[&str] = &[
    "",
    "cdu-1.tcs.supply_temperature",
    "cdu-1.tcs.supply_temperature > 45",
    "cdu-1.tcs.supply_temperature > 5 K",
    "cdu-1.tcs.supply_temperature > 5 kW",
    "cdu-1.tcs.supply_temperature + cdu-1.tcs.return_temperature > 80 °C",
    "cdu-1.tcs.return_temperature - cdu-1.tcs.supply_temperature > 12 °C",
    "2 * cdu-1.tcs.supply_temperature > 90 °C",
    "cdu-1.tcs.supply_temprature > 45 °C",
    "cdu-1.tsc.supply_temperature > 45 °C",
    "cdu-3.tcs.flow > 10 L/min",
    "cdu-1.tcs.flow > 10 l/mim",
    "r1.power-r2.power > 5 kW",
    "r1.power > 5 kW/x2",
    "r1.power > 5 kW and",
    "r1.power > 5 kW r2.power > 5 kW",
    "1 kW < r1.power < 5 kW",
    "(r1.power > 5 kW",
    "r1.power > 5 kW)",
    "r1.power = 5 kW",
    "r1.power ≥ 5 kW",
    "cdu-1.leak.state == \"Leak\"",
    "cdu-1.leak.state == 'leak'",
    "cdu-1.leak.state > 'Leak'",
    "cdu-1.leak.state == 'Leak",
    "cdu-1.technology == 'coldplate' and r1.power > 5 kW",
    "racks.power > 5 kW",
    "avg(r1.power) > 5 kW",
    "sum(racks) > 5 kW",
    "sum(cdus.tcs.supply_temperature) > 90 °C",
    "maximum(racks.power) > 5 kW",
    "clamp(r1.power, 5 kW) > 5 kW",
    "k_of_n(3, r1.power > 5 kW, r2.power > 5 kW)",
    "k_of_n(1 kW, r1.power > 5 kW)",
    "r1.design_power > 5 kW",
    "if(r1.power, 1, 2) > 1",
    "(r1.power > 5 kW) + 1 > 2",
    "r1 > 5 kW",
];

#[test]
fn a_fault_has_a_place_both_units_and_a_way_out() {
    let mut text = String::new();
    for when in WRONG_CONDITIONS {
        let found = faults(&RuleSpec::new("x", when));
        assert!(!found.is_empty(), "{when}");
        text.extend(found.iter().map(|fault| told("when", when, fault)));
    }
    for each in [
        "cdu of cdus",
        "cdu in cdu",
        "cdu in cdus where tcs.flow > 5 L/min",
        "r in racks where feeds > 1 kW",
    ] {
        let mut spec = RuleSpec::new("x", "power_ratio > 3");
        spec.each = Some(each.into());
        text.extend(faults(&spec).iter().map(|fault| told("for", each, fault)));
    }
    for (deadband, when) in [
        ("1 °C", "cdu-1.tcs.supply_temperature > 45 °C"),
        ("1 kW", "cdu-1.tcs.supply_temperature > 45 °C"),
        ("-1 K", "cdu-1.tcs.supply_temperature > 45 °C"),
        ("1 Kk", "cdu-1.tcs.supply_temperature > 45 °C"),
        ("1", "missing(cdu-1.tcs.flow)"),
        ("one K", "cdu-1.tcs.supply_temperature > 45 °C"),
        ("1 K", "not (cdu-1.tcs.supply_temperature < 45 °C)"),
    ] {
        let mut spec = RuleSpec::new("x", when);
        spec.deadband = Some(deadband.into());
        for fault in faults(&spec) {
            let (field, whole) = match fault.field {
                Field::Deadband => ("deadband", deadband),
                Field::Id | Field::For | Field::When => ("when", when),
            };
            text.push_str(&told(field, whole, &fault));
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_part_with_a_fault_is_told_at_once() {
    let found = faults(&RuleSpec::new(
        "x",
        "r1.power > 5 K and r2.powr > 5 kW and cdu-1.tcs.flow > 1 Lmin",
    ));
    assert_eq!(found.len(), 3);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,80}") {
        let _ = parse(&text);
        let _ = parse_each(&text);
    }

    #[test]
    fn no_mixture_of_words_makes_the_compiler_panic(
        words in proptest::collection::vec(prop::sample::select(WORDS), 0..40),
    ) {
        let text = words.join(" ");
        for fault in faults(&RuleSpec::new("x", &text)) {
            prop_assert!(fault.span.start <= fault.span.end && fault.span.end <= text.len());
            prop_assert!(text.get(fault.span).is_some());
        }
    }

    #[test]
    fn logic_follows_kleene(a in 0_u8..3, b in 0_u8..3) {
        // 0 false, 1 unknown, 2 true: and is the least, or the greatest, not turns round.
        let known: Vec<(&str, f64)> = [("r1.power", a), ("r2.power", b)]
            .into_iter()
            .filter(|(_, truth)| *truth != 1)
            .map(|(name, truth)| (name, f64::from(truth)))
            .collect();
        let judged = |when: &str| match judge(when, &known) {
            Some(false) => 0_u8,
            None => 1,
            Some(true) => 2,
        };
        let (x, y) = ("r1.power > 1 kW", "r2.power > 1 kW");
        prop_assert_eq!(judged(&format!("{x} and {y}")), a.min(b));
        prop_assert_eq!(judged(&format!("{x} or {y}")), a.max(b));
        prop_assert_eq!(judged(&format!("not ({x})")), 2 - a);
        prop_assert_eq!(judged(&format!("not ({x} and {y})")), judged(&format!("not ({x}) or not ({y})")));
        prop_assert_eq!(judged(&format!("k_of_n(1, {x}, {y})")), a.max(b));
        prop_assert_eq!(judged(&format!("k_of_n(2, {x}, {y})")), a.min(b));
    }

    #[test]
    fn a_unit_there_and_back_is_the_same_number(
        value in -1e6..1e6_f64,
        from in prop::sample::select(rules::units::SUGGESTED),
        to in prop::sample::select(rules::units::SUGGESTED),
    ) {
        let (from, to) = (Unit::parse(from).unwrap(), Unit::parse(to).unwrap());
        if let Ok(there) = from.convert(value, &to) {
            let back = to.convert(there, &from).unwrap();
            prop_assert!((back - value).abs() <= 1e-9 * value.abs().max(1.0));
        } else {
            prop_assert!(from.dimension() != to.dimension());
        }
        let product = from.combine(&to, 1).combine(&to, -1);
        prop_assert_eq!(
            product.dimension(),
            rules::units::Dimension { absolute: false, ..from.dimension() }
        );
    }
}

const WORDS: &[&str] = &[
    "r1.power",
    "r2.power",
    "cdu-1.tcs.flow",
    "cdu-1.tcs.supply_temperature",
    "cdu-1.leak.state",
    "racks.power",
    "racks",
    "'Leak'",
    "45 °C",
    "2 K",
    "5 kW",
    "1",
    "80 %",
    "and",
    "or",
    "not",
    "where",
    "in",
    "(",
    ")",
    ",",
    "+",
    "-",
    "*",
    "/",
    "<",
    ">=",
    "==",
    "!=",
    "max(",
    "count(",
    "if(",
    "missing(",
    "k_of_n(",
    "clamp(",
    "abs(",
];
