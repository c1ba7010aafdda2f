//! A hall of 48 racks under the engine: what a gap does to figures, rules and racks.

use std::{sync::Arc, time::Duration};

use rules::{
    alarm::{Letter, Priority},
    alarm_set::AlarmSet,
    engine::{Engine, Events, Input},
    messages::{Action, AlarmView, Command, Event, What},
    metrics,
    plant::{
        Asset, AssetId, AssetKind, Detail, EdgeKind, Origin, Plant, PointId, PointKind, PointSpec,
        Role, Room,
    },
    rule::{OnStale, OverlayRules, RuleSpec},
    time::{BootId, Mono, Now, Trust, Wall},
    units::Unit,
    value::{Coverage, NoData, Reading, Sample, Value},
};

use crate::fixtures::{meter, rack, site_info};

const RACKS: usize = 48;

struct Hall {
    engine: Engine,
    site: AssetId,
    racks: Vec<AssetId>,
    /// Active power of feed A and B of each rack.
    feeds: Vec<[PointId; 2]>,
    seconds: u64,
}

impl Hall {
    /// 48 racks of 100 kW design in a room of 240 m², two metered feeds each.
    fn new(rules: &[RuleSpec]) -> Self {
        let mut plant = Plant::default();
        let add = |plant: &mut Plant, name: String, kind, detail| {
            plant.add_asset(Asset { name: name.into(), kind, title: None, detail })
        };
        let site = add(&mut plant, "site".into(), AssetKind::Site, Detail::None);
        let room =
            add(&mut plant, "room".into(), AssetKind::Room, Detail::Room(Room { area_m2: 240.0 }));
        let (mut racks, mut feeds) = (Vec::new(), Vec::new());
        for number in 1..=RACKS {
            let rack =
                add(&mut plant, format!("r{number}"), AssetKind::Rack, Detail::Rack(rack(2)));
            plant.add_edge(rack, EdgeKind::LocatedIn, room);
            feeds.push(["a", "b"].map(|feed| {
                let name = format!("r{number}-{feed}");
                let meter = add(
                    &mut plant,
                    name,
                    AssetKind::Meter,
                    Detail::Meter(meter(Role::InfoOnly, 100.0)),
                );
                plant.add_edge(meter, EdgeKind::Feeds, rack);
                plant.add_point(PointSpec {
                    asset: meter,
                    quantity: "active_power".into(),
                    unit: Unit::parse("kW").unwrap(),
                    kind: PointKind::Gauge,
                    origin: Origin::Polled,
                    stale_after: Duration::from_secs(3),
                    states: Vec::new(),
                })
            }));
            racks.push(rack);
        }
        let plan = metrics::plan(plant).unwrap();
        let set = AlarmSet::compile(rules, &plan.plant).unwrap().set;
        let info = site_info();
        Self { engine: Engine::new(info, BootId(1), plan, set), site, racks, feeds, seconds: 0 }
    }

    /// One second in which every feed but the silent ones reports half of its rack's power.
    fn second(&mut self, kw_of: impl Fn(usize) -> f64, silent: &[PointId]) {
        self.seconds += 1;
        let mono = Mono::from_secs(self.seconds);
        let wall =
            Wall { utc: "2026-10-01T12:00:00Z".parse().unwrap(), trust: Trust::Synchronised };
        let now = Now { mono, wall: Wall { utc: wall.utc + mono.0, ..wall } };
        let mut samples = Vec::new();
        for (rack, feeds) in self.feeds.iter().enumerate() {
            for &point in feeds.iter().filter(|point| !silent.contains(point)) {
                samples.push(Sample {
                    point,
                    at: mono,
                    source_time: None,
                    value: Ok(Value::Number(kw_of(rack) / 2.0)),
                });
            }
        }
        let mut events = Events::default();
        self.engine.step(now, Input::Samples(&samples), &mut events);
        self.engine.step(now, Input::Tick, &mut events);
    }

    /// What follows at once from an operator's command.
    fn command(&mut self, key: &str, action: Action) -> Vec<Event> {
        let wall =
            Wall { utc: "2026-10-01T12:00:00Z".parse().unwrap(), trust: Trust::Synchronised };
        let mono = Mono::from_secs(self.seconds);
        let command = Command { key: key.to_owned(), by: "li".to_owned(), action };
        let mut events = Events::default();
        let now = Now { mono, wall: Wall { utc: wall.utc + mono.0, ..wall } };
        self.engine.step(now, Input::Command(&command), &mut events);
        events.events
    }

    fn reading(&self, asset: AssetId, quantity: &str) -> Reading {
        self.engine.reading(self.engine.plant().find_point(asset, quantity).unwrap())
    }

    fn alarm(&self, name: &str) -> Option<AlarmView> {
        self.engine.alarm(name)
    }
}

fn rule(id: &str, when: &str) -> RuleSpec {
    RuleSpec {
        id: id.into(),
        when: when.into(),
        on_delay: Duration::ZERO,
        off_delay: Duration::ZERO,
        priority: Priority::P2,
        title: Arc::from(id),
        each: None,
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

#[test]
fn one_of_48_racks_stale_leaves_the_hall_its_figure_and_says_47_of_48() {
    let mut hall = Hall::new(&[
        rule("sum", "sum(racks.power) > 1 kW"),
        rule("total", "site.rack_power > 1 kW"),
        rule("max", "max(racks.power) > 90 kW"),
    ]);
    for _ in 0..2 {
        hall.second(|_| 50.0, &[]);
    }
    let full = hall.reading(hall.site, "rack_power");
    assert_eq!((full.number(), full.coverage), (Ok(2400.0), Some(Coverage { known: 48, of: 48 })));
    assert_eq!(hall.alarm("sum").unwrap().letter, Letter::B, "known and above the limit");

    let silent = hall.feeds[7];
    for _ in 0..5 {
        hall.second(|_| 50.0, &silent);
    }
    let gap = hall.reading(hall.site, "rack_power");
    assert_eq!((gap.number(), gap.coverage), (Ok(2350.0), Some(Coverage { known: 47, of: 48 })));
    assert!(hall.alarm("sum").unwrap().unknown, "a rule on the sum does not know");
    assert!(hall.alarm("total").unwrap().unknown, "nor one on the hall's figure");
    assert_eq!(hall.alarm("sum").unwrap().letter, Letter::B, "and keeps its state");
    assert_eq!(hall.alarm("max").map(|alarm| alarm.letter), Some(Letter::A));

    hall.second(|rack| if rack == 20 { 95.0 } else { 50.0 }, &silent);
    assert_eq!(
        hall.alarm("max").unwrap().letter,
        Letter::B,
        "one known rack above the limit is enough"
    );
}

#[test]
fn a_latch_is_reset_by_command_and_only_after_the_acknowledgement() {
    let latched = RuleSpec { latch: true, ..rule("high", "max(racks.power) > 90 kW") };
    let mut hall = Hall::new(&[latched]);
    hall.second(|_| 95.0, &[]);
    hall.second(|_| 50.0, &[]);
    assert_eq!(hall.alarm("high").unwrap().letter, Letter::Bl);

    let alarm: Arc<str> = "high".into();
    let reset = || Action::Reset { alarm: Arc::clone(&alarm) };
    let refused = hall.command("1", reset());
    let [Event { what: What::Rejected { alarm: of, by, .. }, .. }] = refused.as_slice() else {
        panic!("{refused:?}")
    };
    assert_eq!((of, by.as_str()), (&alarm, "li"));
    assert_eq!(hall.alarm("high").unwrap().letter, Letter::Bl);

    hall.command("2", Action::Ack { alarm: Arc::clone(&alarm), occurrence: Some(1) });
    let done = hall.command("3", reset());
    let [Event { what: What::Moved(moved), .. }] = done.as_slice() else { panic!("{done:?}") };
    assert_eq!((moved.from, moved.to, moved.cause.as_str()), (Letter::Cl, Letter::A, "reset"));
    assert_eq!(moved.by.as_deref(), Some("li"));
    assert_eq!(hall.alarm("high").unwrap().acknowledged_by, None);
    assert_eq!(hall.command("3", reset()), [], "the same key acts once");
}

#[test]
fn one_feed_of_a_rack_stale_makes_the_rack_unknown_not_half() {
    let mut hall = Hall::new(&[]);
    let silent = [hall.feeds[3][1]];
    for _ in 0..2 {
        hall.second(|_| 60.0, &[]);
    }
    assert_eq!(hall.reading(hall.racks[3], "power").number(), Ok(60.0));
    for _ in 0..5 {
        hall.second(|_| 60.0, &silent);
    }
    assert_eq!(hall.reading(hall.racks[3], "power").value, Err(NoData::InputMissing));
    assert_eq!(
        hall.reading(hall.site, "rack_power").coverage,
        Some(Coverage { known: 47, of: 48 })
    );
    assert_eq!(hall.reading(hall.racks[4], "power").number(), Ok(60.0), "its neighbours stand");
}

#[test]
fn a_hall_below_95_percent_of_its_rating_shows_no_figure_but_its_coverage() {
    let mut hall = Hall::new(&[]);
    let silent: Vec<PointId> = hall.feeds[..3].iter().flatten().copied().collect();
    for _ in 0..6 {
        hall.second(|_| 50.0, &silent);
    }
    let gap = hall.reading(hall.site, "rack_power");
    assert_eq!(
        (gap.value, gap.coverage),
        (Err(NoData::LowCoverage), Some(Coverage { known: 45, of: 48 }))
    );
}

#[test]
fn density_is_over_all_racks_and_over_the_occupied_ones() {
    // V-DENS-1 of the domain facts, in four of the racks; the others are not there to be counted as empty.
    let powers = [132.0, 120.0, 98.0, 0.096];
    let mut hall = Hall::new(&[]);
    let kw_of = |rack: usize| powers.get(rack).copied().unwrap_or(0.0);
    for _ in 0..2 {
        hall.second(kw_of, &[]);
    }
    let figure = |quantity| hall.reading(hall.site, quantity).number().unwrap();
    assert!((figure("rack_power_mean_occupied") - 116.6667).abs() < 1e-4);
    assert!((figure("rack_power_max") - 132.0).abs() < 1e-9);
    assert!((figure("power_density") - 1.458_733).abs() < 1e-6);
    assert!((figure("rack_power_mean") - 350.096 / 48.0).abs() < 1e-9);
}
