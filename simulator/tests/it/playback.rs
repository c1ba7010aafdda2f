//! Scenarios on a virtual clock.

use std::time::Duration;

use configs::library::Library;
use rules::{
    plant::AssetKind,
    time::Mono,
    value::{NoData, Value},
};
use simulator::{
    demo::demo_site,
    hall::{Body, Hall, STRIDE_S},
    playback::{Playback, PlaybackError},
    scenario::Scenario,
};

use crate::small_hall::plant;

fn scenario(more: &str) -> Scenario {
    Scenario::parse("test", &format!("title = \"test\"\nseed = 5\n{more}")).unwrap()
}

fn played(scenario: &Scenario, step_s: u64) -> Playback {
    let site = demo_site(&Library::shipped()).unwrap();
    let start = "2026-10-01T00:00:00Z".parse().unwrap();
    Playback::new(&site, scenario, start, Duration::from_secs(step_s)).unwrap()
}

/// Steps that a stiff loop bears in theory may still make a controller hunt.
#[test]
fn a_hall_in_strides_is_the_hall_in_steps() {
    // One long job each, without jitter: both runs draw the same.
    let steady = scenario("load = { jitter = 0, job_s = 1e6 }");
    let mut fine = Hall::new(&plant(), &steady).unwrap();
    let mut coarse = fine.clone();
    fine.advance(3600.0);
    for _ in 0..1800 {
        coarse.step_by(STRIDE_S);
    }
    let (one, other) = (fine.network.totals, coarse.network.totals);
    assert!((other.supplied_kwh / one.supplied_kwh - 1.0).abs() < 1e-4, "{one:?} {other:?}");
    assert!((other.cooling_kwh / one.cooling_kwh - 1.0).abs() < 1e-3, "{one:?} {other:?}");
    let (Body::SinglePhase(one), Body::SinglePhase(other)) =
        (&fine.circuits[0].body, &coarse.circuits[0].body)
    else {
        panic!("the first loop has one phase")
    };
    assert!((one.supply_c - other.supply_c).abs() < 0.1);
    assert!((one.header_kpa() / other.header_kpa() - 1.0).abs() < 0.01);
}

#[test]
fn what_registers_counted_is_what_flowed_within_a_step_of_each() {
    let scenario = scenario("");
    let mut playback = played(&scenario, 60);
    let read = |playback: &mut Playback| {
        let asked = playback.ask(Mono(playback.elapsed()));
        let plant = &playback.site().plant;
        let meters = plant.of_kind(AssetKind::Meter).map(|meter| {
            let point = plant.find_point(meter, "energy").unwrap();
            let sample = asked.samples.iter().find(|sample| sample.point == point).unwrap();
            let value = sample.value.as_ref().unwrap().as_number().unwrap();
            (plant.asset(meter).name.to_string(), value)
        });
        meters.collect::<Vec<_>>()
    };
    let before = read(&mut playback);
    for _ in 0..30 {
        playback.advance();
    }
    let after = read(&mut playback);
    let integrals = playback.integrals(&scenario);
    assert_eq!((integrals.to - integrals.from).num_seconds(), 1800);
    for ((name, before), (_, after)) in before.into_iter().zip(after) {
        let meter = integrals.meters[&name];
        let shown_kwh = after - before;
        assert!(
            (shown_kwh - meter.energy_kwh).abs() <= meter.register_step_kwh,
            "{name}: {shown_kwh} for {}",
            meter.energy_kwh
        );
    }
    let parts = integrals.it_kwh + integrals.losses_kwh + integrals.cooling_kwh;
    let parts = parts + integrals.other_kwh + integrals.charging_kwh;
    assert!((parts / integrals.facility_kwh - 1.0).abs() < 1e-9);
}

#[test]
fn a_silent_device_has_no_values_and_its_link_is_told_down_once_and_up_once() {
    let events = "[[event]]\nat_s = 90\ndo.device_silent = { device = \"utility-a-meter\" }\n\
                  [[event]]\nat_s = 290\ndo.device_back = { device = \"utility-a-meter\" }";
    let mut playback = played(&scenario(events), 60);
    let plant = &playback.site().plant;
    let meter = plant.find_asset("utility-a").unwrap();
    let energy = plant.find_point(meter, "energy").unwrap();
    let device = plant.find_asset("utility-a-meter").unwrap();
    let (mut values, mut links) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        let asked = playback.ask(Mono(playback.elapsed()));
        let sample = asked.samples.iter().find(|sample| sample.point == energy).unwrap();
        values.push(match &sample.value {
            Ok(Value::Number(_) | Value::Integer(_)) => "value",
            Err(NoData::Timeout) => "timeout",
            other => panic!("{other:?}"),
        });
        let told = asked.links.iter().filter(|link| link.device == device);
        links.extend(told.map(|link| link.up));
        playback.advance();
    }
    assert_eq!(values, ["value", "value", "timeout", "timeout", "timeout", "value", "value"]);
    assert_eq!(links, [true, false, true]);
}

#[test]
fn the_shipped_month_fits_the_shipped_site() {
    let month = Scenario::shipped("month").unwrap();
    assert!(played(&month, 60).site().info.simulated);
}

#[test]
fn a_step_of_a_day_is_refused() {
    let site = demo_site(&Library::shipped()).unwrap();
    let start = "2026-10-01T00:00:00Z".parse().unwrap();
    let day = Duration::from_hours(24);
    let refused = Playback::new(&site, &scenario(""), start, day).err();
    assert_eq!(refused, Some(PlaybackError::Step));
}
