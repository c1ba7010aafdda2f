//! What a step costs at the size of a large hall. Ignored in a plain run, because a figure means something only in a
//! release build on a machine that does nothing else:
//! `cargo test --release -p rules --test budget -- --ignored --nocapture`

#![expect(clippy::disallowed_methods, reason = "it measures how long a step takes")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rules::{
    alarm::Priority,
    alarm_set::AlarmSet,
    engine::{Engine, Events, Input},
    metrics,
    plant::{
        Asset, AssetId, AssetKind, Detail, EdgeKind, Origin, Plant, PointKind, PointSpec, Role,
    },
    rule::{OnStale, OverlayRules, RuleSpec},
    time::{BootId, Mono, Now, Trust, Wall},
    units::Unit,
    value::{Sample, Value},
};

use crate::fixtures::{meter, rack, site_info};

const RACKS: u32 = 1000;
const POINTS: usize = 50_000;
const TICKS: usize = 200;

fn point(plant: &mut Plant, asset: AssetId, quantity: &str, unit: &str) {
    plant.add_point(PointSpec {
        asset,
        quantity: quantity.into(),
        unit: Unit::parse(unit).unwrap(),
        kind: PointKind::Gauge,
        origin: Origin::Polled,
        stale_after: Duration::from_secs(3),
        states: Vec::new(),
    });
}

/// A thousand racks on two metered feeds each, and temperatures up to fifty thousand points.
fn plant() -> Plant {
    let mut plant = Plant::default();
    let add = |plant: &mut Plant, name: String, kind, detail| {
        plant.add_asset(Asset { name: name.into(), kind, title: None, detail })
    };
    add(&mut plant, "site".into(), AssetKind::Site, Detail::None);
    for number in 0..RACKS {
        let rack = add(&mut plant, format!("r{number}"), AssetKind::Rack, Detail::Rack(rack(2)));
        for feed in ["a", "b"] {
            let name = format!("r{number}-{feed}");
            let meter =
                add(&mut plant, name, AssetKind::Meter, Detail::Meter(meter(Role::ItLoad, 100.0)));
            plant.add_edge(meter, EdgeKind::Feeds, rack);
            point(&mut plant, meter, "active_power", "kW");
            point(&mut plant, meter, "energy", "kWh");
        }
        for place in 0..46 {
            point(&mut plant, rack, &format!("sensor{place}.temperature"), "°C");
        }
    }
    assert_eq!(plant.points().len(), POINTS);
    plant
}

fn rule(id: &str, when: &str, each: Option<&str>) -> RuleSpec {
    RuleSpec {
        id: id.into(),
        when: when.into(),
        on_delay: Duration::from_secs(5),
        off_delay: Duration::ZERO,
        priority: Priority::P3,
        title: Arc::from(id),
        each: each.map(Into::into),
        deadband: None,
        on_stale: OnStale::Hold,
        latch: false,
        overlays: OverlayRules::default(),
        consequence: "".into(),
        action: "".into(),
        source: "typical".into(),
        written_at: "test".into(),
    }
}

fn engine() -> Engine {
    let each = Some("rack in racks");
    let rules = [
        rule("load", "rack.load > 90 % and rack.power > 10 kW", each),
        rule("hot", "rack.sensor0.temperature > 45 °C or rack.sensor1.temperature > 45 °C", each),
    ];
    let plan = metrics::plan(plant()).unwrap();
    let set = AlarmSet::compile(&rules, &plan.plant).unwrap().set;
    assert_eq!(set.len(), 2 * RACKS as usize);
    let info = site_info();
    Engine::new(info, BootId(1), plan, set)
}

/// Median and 99th percentile, in milliseconds.
fn told(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1000.0;
    eprintln!("{what}: p50 {:.3} ms, p99 {:.3} ms", at(50), at(99));
}

#[test]
#[ignore = "a figure, not a test: needs a release build on a quiet machine"]
fn fifty_thousand_points_and_two_thousand_alarms() {
    let started = Instant::now();
    let mut engine = engine();
    eprintln!("build: {:.1} ms", started.elapsed().as_secs_f64() * 1000.0);
    let mut samples: Vec<Sample> = (0..50_000)
        .map(|number| Sample {
            point: rules::plant::PointId(number),
            at: Mono::ZERO,
            source_time: None,
            value: Ok(Value::Number(20.0)),
        })
        .collect();
    let wall = "2026-10-01T12:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let mut events = Events::default();
    let (mut take, mut tick, mut update, mut snapshot) = (vec![], vec![], vec![], vec![]);
    for second in 0..TICKS as u64 {
        let mono = Mono::from_secs(second);
        let now = Now { mono, wall: Wall { utc: wall + mono.0, trust: Trust::Synchronised } };
        for sample in &mut samples {
            sample.at = mono;
        }
        events.events.clear();
        events.rows.clear();
        let timed = |times: &mut Vec<Duration>, step: &mut dyn FnMut()| {
            let started = Instant::now();
            step();
            times.push(started.elapsed());
        };
        timed(&mut take, &mut || engine.step(now, Input::Samples(&samples), &mut events));
        timed(&mut tick, &mut || engine.step(now, Input::Tick, &mut events));
        timed(&mut update, &mut || drop(engine.update(now)));
        timed(&mut snapshot, &mut || drop(engine.snapshot(now)));
    }
    told("50 000 samples", take);
    told("tick", tick);
    told("update", update);
    told("snapshot", snapshot);
}
