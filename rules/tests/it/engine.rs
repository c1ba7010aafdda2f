//! The engine under everything that a gateway can hand it: what a client holds, what time does to published samples,
//! and what no input may bring about.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use rules::{
    alarm::{Letter, Priority},
    alarm_set::AlarmSet,
    engine::{Engine, Events, Input},
    ledger::{LedgerRow, Method},
    messages::{Action, AlarmView, Change, Command, EVENTS_KEPT, LinkView, Snapshot, Update, What},
    metrics,
    plant::{
        Asset, AssetId, AssetKind, Detail, EdgeKind, Origin, Plant, PointId, PointKind, PointSpec,
        Role, StateLabel,
    },
    register::Flag,
    rule::{OnStale, OverlayRules, RuleSpec},
    time::{BootId, Mono, Now, Trust, Wall},
    units::Unit,
    value::{NoData, Sample, Value},
};

use crate::fixtures::{meter, rack, site_info};

const BOOT: &str = "2026-10-01T12:00:00Z";

/// A rack on one metered feed, a device, a leak sensor and a label, under an engine.
struct Bench {
    engine: Engine,
    energy: PointId,
    power: PointId,
    leak: PointId,
    label: PointId,
    reply: PointId,
    events: Events,
    now: Now,
}

impl Bench {
    fn new(origin: Origin) -> Self {
        let mut plant = Plant::default();
        let mut add = |name: &str, kind, detail| {
            plant.add_asset(Asset { name: name.into(), kind, title: None, detail })
        };
        add("site", AssetKind::Site, Detail::None);
        let rack = add("r1", AssetKind::Rack, Detail::Rack(rack(1)));
        let meter = add("m1", AssetKind::Meter, Detail::Meter(meter(Role::ItLoad, 100.0)));
        let sensor = add("leak", AssetKind::Sensor, Detail::None);
        let device = add("dev", AssetKind::Device, Detail::None);
        plant.add_edge(meter, EdgeKind::Feeds, rack);
        let mut point = |asset, quantity: &str, unit: &str, kind| {
            plant.add_point(PointSpec {
                asset,
                quantity: quantity.into(),
                unit: if unit.is_empty() { Unit::none() } else { Unit::parse(unit).unwrap() },
                kind,
                origin,
                stale_after: Duration::from_secs(10),
                states: match kind {
                    PointKind::State => vec![StateLabel { code: 1, text: "wet".into() }],
                    PointKind::Gauge | PointKind::Counter | PointKind::Text => Vec::new(),
                },
            })
        };
        let energy = point(meter, "energy", "kWh", PointKind::Counter);
        let power = point(meter, "active_power", "kW", PointKind::Gauge);
        let leak = point(sensor, "leak", "", PointKind::State);
        let label = point(sensor, "label", "", PointKind::Text);
        let reply = point(device, "reply_time", "ms", PointKind::Gauge);
        let plan = metrics::plan(plant).unwrap();
        let rules = [
            rule("power", "r1.power > 50 kW", OnStale::Hold),
            RuleSpec { latch: true, ..rule("leak", "leak.leak == 'wet'", OnStale::Alarm) },
            rule("silence", "dev.silence > 5 s", OnStale::Hold),
        ];
        let set = AlarmSet::compile(&rules, &plan.plant).unwrap().set;
        let info = site_info();
        Self {
            engine: Engine::new(info, BootId(1), plan, set),
            energy,
            power,
            leak,
            label,
            reply,
            events: Events::default(),
            now: Now {
                mono: Mono::START,
                wall: Wall { utc: BOOT.parse().unwrap(), trust: Trust::Synchronised },
            },
        }
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now.mono = self.now.mono.plus(Duration::from_millis(milliseconds));
        self.now.wall.utc += Duration::from_millis(milliseconds);
    }

    fn step(&mut self, input: Input<'_>) {
        self.engine.step(self.now, input, &mut self.events);
    }

    fn sample(
        &mut self,
        point: PointId,
        source_time: Option<DateTime<Utc>>,
        value: Result<Value, NoData>,
    ) {
        let sample = Sample { point, at: self.now.mono, source_time, value };
        self.step(Input::Samples(&[sample]));
    }

    /// A number that was taken `age` before now, by the publisher's clock.
    fn published(&mut self, point: PointId, age: TimeDelta, number: f64) {
        self.sample(point, Some(self.now.wall.utc - age), Ok(Value::Number(number)));
    }
}

fn rule(id: &str, when: &str, on_stale: OnStale) -> RuleSpec {
    RuleSpec {
        id: id.into(),
        when: when.into(),
        on_delay: Duration::ZERO,
        off_delay: Duration::ZERO,
        priority: Priority::P2,
        title: Arc::from(id),
        each: None,
        deadband: None,
        on_stale,
        latch: false,
        overlays: OverlayRules::default(),
        consequence: "".into(),
        action: "".into(),
        source: "typical".into(),
        written_at: "test".into(),
    }
}

fn minutes(minutes: i64) -> TimeDelta {
    TimeDelta::minutes(minutes)
}

#[test]
fn a_backlog_that_comes_late_keeps_its_profile_in_the_ledger_and_its_age_on_the_screen() {
    let mut bench = Bench::new(Origin::Published);
    bench.published(bench.energy, TimeDelta::zero(), 100.0);
    bench.step(Input::Tick);
    // The publisher loses its broker for an hour: 10 kW, then 40 kW, and then it sends what it kept.
    bench.wait(3_600_000);
    for (age, value) in [(45, 102.5), (30, 105.0), (15, 115.0), (0, 125.0)] {
        bench.published(bench.energy, minutes(age), value);
    }
    bench.step(Input::Tick);
    let amounts: Vec<_> = bench.events.rows.iter().map(|row| row.amount.unwrap()).collect();
    assert_eq!(amounts, [2.5, 2.5, 10.0, 10.0], "each quarter-hour has what was measured in it");
    assert_eq!(bench.engine.snapshot(bench.now).health.late, 3, "and alarms used none of it");
}

#[test]
fn a_late_sample_does_not_take_the_place_of_the_current_one() {
    let mut bench = Bench::new(Origin::Published);
    bench.wait(600_000);
    bench.published(bench.power, TimeDelta::zero(), 20.0);
    bench.published(bench.power, TimeDelta::seconds(1), 90.0);
    bench.published(bench.power, minutes(6), 90.0);
    bench.sample(bench.power, Some(bench.now.wall.utc - minutes(1)), Err(NoData::BadQuality));
    bench.step(Input::Tick);
    assert_eq!(bench.engine.reading(bench.power).number(), Ok(20.0));
    assert_eq!(bench.engine.snapshot(bench.now).health.late, 3);
}

#[test]
fn a_value_retained_from_before_the_start_is_as_old_as_it_says() {
    let mut bench = Bench::new(Origin::Published);
    bench.wait(1000);
    bench.published(bench.power, minutes(4), 20.0);
    bench.published(bench.label, TimeDelta::seconds(5), 20.0);
    bench.step(Input::Tick);
    assert_eq!(bench.engine.reading(bench.power).value, Err(NoData::Stale));
    assert_eq!(bench.engine.reading(bench.label).number(), Ok(20.0), "five seconds are no age");
    bench.wait(6000);
    bench.step(Input::Tick);
    assert_eq!(bench.engine.reading(bench.label).value, Err(NoData::Stale), "eleven are");
}

#[test]
fn a_register_retained_from_before_the_start_gives_its_energy_to_the_time_before_it() {
    let mut bench = Bench::new(Origin::Published);
    bench.wait(1000);
    bench.published(bench.energy, minutes(4), 100.0);
    bench.published(bench.energy, TimeDelta::zero(), 106.0);
    for _ in 0..90 {
        bench.wait(10_000);
        bench.published(bench.energy, TimeDelta::zero(), 106.0);
        bench.step(Input::Tick);
    }
    let amounts: Vec<_> = bench.events.rows.iter().map(|row| row.amount.unwrap()).collect();
    assert_eq!(amounts.len(), 2);
    assert!((amounts[0] - 6.0 * 239.0 / 240.0).abs() < 1e-9, "the quarter-hour before the start");
    assert!((amounts[1] - 6.0 / 240.0).abs() < 1e-9, "one second of the one after it");
}

#[test]
fn a_source_time_from_the_future_holds_up_nothing_once_the_clock_is_trusted() {
    let mut bench = Bench::new(Origin::Published);
    bench.now.wall.trust = Trust::Untrusted;
    bench.published(bench.power, -minutes(60), 20.0);
    bench.step(Input::Tick);
    bench.wait(1000);
    bench.now.wall.trust = Trust::Synchronised;
    bench.published(bench.power, TimeDelta::zero(), 30.0);
    bench.step(Input::Tick);
    assert_eq!(bench.engine.reading(bench.power).number(), Ok(30.0));
}

#[test]
fn freshness_ends_after_the_limit_and_not_at_it() {
    let mut bench = Bench::new(Origin::Polled);
    bench.sample(bench.power, None, Ok(Value::Number(1.0)));
    bench.wait(10_000);
    bench.step(Input::Tick);
    assert_eq!(bench.engine.reading(bench.power).number(), Ok(1.0));
    bench.wait(1);
    bench.step(Input::Tick);
    assert_eq!(bench.engine.reading(bench.power).value, Err(NoData::Stale));
}

#[test]
fn between_two_ticks_a_new_value_has_its_own_time() {
    let mut bench = Bench::new(Origin::Polled);
    bench.sample(bench.power, None, Ok(Value::Number(1.0)));
    bench.step(Input::Tick);
    bench.wait(1000);
    bench.sample(bench.power, None, Ok(Value::Number(2.0)));
    let reading = bench.engine.reading(bench.power);
    assert_eq!((reading.number(), reading.at), (Ok(2.0), Some(bench.now.mono)));
}

#[test]
fn a_figure_too_large_to_be_one_has_a_reason() {
    let mut bench = Bench::new(Origin::Polled);
    bench.sample(bench.power, None, Ok(Value::Number(f64::MAX)));
    bench.step(Input::Tick);
    let plant = Arc::clone(bench.engine.plant());
    for (point, reading) in plant.point_ids().zip(bench.engine.snapshot(bench.now).readings) {
        let number = reading.number().unwrap_or(0.0);
        assert!(number.is_finite(), "{} is {number}", plant.point_name(point));
    }
}

#[test]
fn ten_minutes_in_1970_label_nothing_and_lose_nothing() {
    let mut bench = Bench::new(Origin::Polled);
    let true_boot: DateTime<Utc> = BOOT.parse().unwrap();
    bench.now.wall = Wall { utc: DateTime::UNIX_EPOCH, trust: Trust::Untrusted };
    for second in 0..600 {
        bench.sample(bench.energy, None, Ok(Value::Number(kwh_at(second))));
        bench.sample(bench.power, None, Ok(Value::Number(60.0)));
        bench.step(Input::Tick);
        bench.wait(1000);
    }
    assert_eq!(bench.events.rows, [], "no interval of 1970");
    assert!(!bench.events.events.is_empty(), "the alarm came up meanwhile");
    assert!(bench.events.events.iter().all(|event| event.wall.is_none()), "without a label");

    let raised = bench.engine.alarm("power").unwrap();
    bench.now.wall = Wall { utc: true_boot + Duration::from_mins(10), trust: Trust::Synchronised };
    bench.events = Events::default();
    for second in 600..=2700 {
        bench.sample(bench.energy, None, Ok(Value::Number(kwh_at(second))));
        bench.sample(bench.power, None, Ok(Value::Number(60.0)));
        bench.step(Input::Tick);
        bench.wait(1000);
    }
    let clock = &bench.events.events[0];
    assert!(matches!(clock.what, What::Clock { trusted: true, .. }), "{clock:?}");
    assert_eq!(clock.wall, Some(true_boot + Duration::from_mins(10)));
    assert_eq!(bench.engine.alarm("power").unwrap(), raised, "the step moved no alarm");
    let rows: Vec<_> = bench.events.rows.iter().collect();
    let starts: Vec<_> = rows.iter().map(|row| row.start - true_boot).collect();
    assert_eq!(starts, [minutes(0), minutes(15), minutes(30)]);
    for row in &rows {
        assert!((row.amount.unwrap() - 15.0).abs() < 1e-9, "60 kW for a quarter-hour: {row:?}");
        assert_eq!((row.method, row.coverage), (Method::Register, 1.0));
    }
    assert_eq!(rows[0].flags, [Flag::TimeAssignedLater]);
    assert_eq!(rows[1].flags, []);
}

/// 60 kW.
fn kwh_at(second: u32) -> f64 {
    f64::from(second) / 60.0
}

#[test]
fn an_acknowledgement_acts_once_and_only_on_the_occurrence_it_names() {
    let mut bench = Bench::new(Origin::Polled);
    let ack = |bench: &mut Bench, key: &str, occurrence| {
        let action = Action::Ack { alarm: "power".into(), occurrence };
        let before = bench.events.events.len();
        bench.step(Input::Command(&Command { key: key.into(), by: "ada".into(), action }));
        bench.events.events.len() - before
    };
    let run = |bench: &mut Bench, kw| {
        bench.wait(1000);
        bench.sample(bench.power, None, Ok(Value::Number(kw)));
        bench.step(Input::Tick);
    };
    let letter = |bench: &Bench| bench.engine.alarm("power").unwrap().letter;
    run(&mut bench, 60.0);
    assert_eq!(letter(&bench), Letter::B);
    // It clears, and comes again, while the operator's key is on its way.
    run(&mut bench, 10.0);
    assert_eq!(letter(&bench), Letter::D);
    run(&mut bench, 60.0);
    assert_eq!(ack(&mut bench, "1", Some(1)), 1, "the refusal is told");
    assert_eq!(letter(&bench), Letter::B, "the second occurrence was not what was seen");
    run(&mut bench, 10.0);
    assert_eq!(ack(&mut bench, "2", Some(2)), 1);
    assert_eq!(letter(&bench), Letter::A, "gone and seen");
    run(&mut bench, 60.0);
    assert_eq!(ack(&mut bench, "2", Some(3)), 0, "the same key again is no command");
    assert_eq!(letter(&bench), Letter::B);
}

/// What a client knows: a snapshot, kept by applying updates in order.
struct Client {
    held: Snapshot,
}

impl Client {
    fn apply(&mut self, update: Update) {
        assert_eq!(update.seq, self.held.seq + 1, "no update is missing");
        self.held.seq = update.seq;
        self.held.at = update.at;
        for change in update.changes {
            match change {
                Change::Reading { point, reading } => self.held.readings[point.index()] = reading,
                Change::Alarm(alarm) => {
                    self.held.alarms.retain(|known| known.name != alarm.name);
                    if alarm.letter != Letter::A {
                        self.held.alarms.push(alarm);
                    }
                }
                Change::Link(link) => {
                    self.held.links.retain(|known| known.device != link.device);
                    self.held.links.push(link);
                }
                Change::Event(event) => {
                    self.held.events.push(event);
                    if self.held.events.len() > EVENTS_KEPT {
                        self.held.events.remove(0);
                    }
                }
                Change::Ledger(row) => {
                    self.held.ledger.retain(|known| known.meter != row.meter);
                    self.held.ledger.push(row);
                }
                Change::Health(health) => self.held.health = health,
            }
        }
    }
}

/// Lists without an order of their own, by what names their members.
fn in_order(mut snapshot: Snapshot) -> Snapshot {
    let alarms: BTreeMap<Arc<str>, AlarmView> =
        snapshot.alarms.drain(..).map(|alarm| (Arc::clone(&alarm.name), alarm)).collect();
    let links: BTreeMap<AssetId, LinkView> =
        snapshot.links.drain(..).map(|link| (link.device, link)).collect();
    let ledger: BTreeMap<Arc<str>, LedgerRow> =
        snapshot.ledger.drain(..).map(|row| (Arc::clone(&row.meter), row)).collect();
    Snapshot {
        alarms: alarms.into_values().collect(),
        links: links.into_values().collect(),
        ledger: ledger.into_values().collect(),
        ..snapshot
    }
}

#[derive(Clone, Debug)]
enum Happening {
    Sample { which: usize, age_s: i64, value: Result<Value, NoData> },
    Tick,
    Link { up: bool },
    Ack { which: usize, occurrence: Option<u32> },
    Reset,
    ClockStep { seconds: i64, trusted: bool },
    Wait { milliseconds: u64 },
    Tell,
    Attach,
}

fn happening() -> impl Strategy<Value = Happening> {
    let value = prop_oneof![
        6 => (0.0..200.0).prop_map(|number| Ok(Value::Number(number))),
        1 => Just(Ok(Value::Number(-1e300))),
        2 => (0_u32..3).prop_map(|code| Ok(Value::State(code))),
        1 => Just(Ok(Value::Text("pump 2".into()))),
        1 => any::<i64>().prop_map(|count| Ok(Value::Integer(count))),
        2 => Just(Err(NoData::Timeout)),
    ];
    prop_oneof![
        8 => (0..5_usize, -120_i64..400, value)
            .prop_map(|(which, age_s, value)| Happening::Sample { which, age_s, value }),
        6 => Just(Happening::Tick),
        1 => any::<bool>().prop_map(|up| Happening::Link { up }),
        2 => (0..3_usize, prop::option::of(0_u32..4))
            .prop_map(|(which, occurrence)| Happening::Ack { which, occurrence }),
        1 => Just(Happening::Reset),
        1 => (-100_000_i64..100_000, any::<bool>())
            .prop_map(|(seconds, trusted)| Happening::ClockStep { seconds, trusted }),
        6 => (0..1_000_000_u64).prop_map(|milliseconds| Happening::Wait { milliseconds }),
        4 => Just(Happening::Tell),
        1 => Just(Happening::Attach),
    ]
}

fn happen(bench: &mut Bench, number: usize, happening: Happening) {
    match happening {
        Happening::Sample { which, age_s, value } => {
            let points = [bench.energy, bench.power, bench.leak, bench.label, bench.reply];
            let source = bench.now.wall.utc - TimeDelta::seconds(age_s);
            bench.sample(points[which], Some(source), value);
        }
        Happening::Tick => bench.step(Input::Tick),
        Happening::Link { up } => {
            let device = bench.engine.plant().find_asset("dev").unwrap();
            bench.step(Input::Link(&link(device, up)));
        }
        Happening::Ack { which, occurrence } => {
            let alarm = ["power", "leak", "silence"][which].into();
            let action = Action::Ack { alarm, occurrence };
            bench.step(Input::Command(&Command {
                key: number.to_string(),
                by: "ada".into(),
                action,
            }));
        }
        Happening::Reset => {
            let action = Action::Reset { alarm: "leak".into() };
            let (key, by) = (number.to_string(), "ada".into());
            bench.step(Input::Command(&Command { key, by, action }));
        }
        Happening::ClockStep { seconds, trusted } => {
            bench.now.wall.utc += TimeDelta::seconds(seconds);
            bench.now.wall.trust = if trusted { Trust::Synchronised } else { Trust::Untrusted };
        }
        Happening::Wait { milliseconds } => bench.wait(milliseconds),
        Happening::Tell | Happening::Attach => {}
    }
}

fn link(device: AssetId, up: bool) -> LinkView {
    LinkView {
        device,
        address: "modbus+tcp://127.0.0.1:502".into(),
        up,
        trouble: (!up).then(|| "refused".into()),
        replies: 1,
        timeouts: 0,
        refusals: 0,
        discarded: 0,
        reply_time_ms: None,
        points: 1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_client_that_applies_every_update_holds_what_a_new_client_gets(
        happenings in prop::collection::vec(happening(), 1..120),
    ) {
        let mut bench = Bench::new(Origin::Published);
        let mut clients = vec![Client { held: bench.engine.snapshot(bench.now) }];
        for (number, happening) in happenings.into_iter().enumerate() {
            let (tell, attach) = (
                matches!(happening, Happening::Tell | Happening::Attach),
                matches!(happening, Happening::Attach),
            );
            happen(&mut bench, number, happening);
            if !tell {
                continue;
            }
            let update = bench.engine.update(bench.now);
            let fresh = in_order(bench.engine.snapshot(bench.now));
            for client in &mut clients {
                client.apply(update.clone());
                prop_assert_eq!(&in_order(client.held.clone()), &fresh);
            }
            if attach {
                clients.push(Client { held: fresh });
            }
        }
    }
}
