//! What outlives a restart: letters and what people did about them, energy, and the memory of commands.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use rules::{
    alarm::{Letter, Life, Step, Timing, Truth},
    alarm_set::AlarmSet,
    checkpoint::{Checkpoint, Recorded, Restored, Unusable},
    engine::{Engine, Events, Input},
    ledger::LedgerRow,
    messages::{Action, AlarmView, Command, Event, LinkView, Outcome, What},
    metrics,
    plant::{
        Asset, AssetId, AssetKind, Detail, Origin, Plant, PointId, PointKind, PointSpec, Role,
    },
    register::Flag,
    replay::{self, Bench, BenchPoint, Line, Mode},
    rule::RuleSpec,
    time::{BootId, Moment, Mono, Now, Trust, Wall},
    units::Unit,
    value::{Sample, Value},
};

use crate::fixtures::{meter, site_info};

const BEGIN: &str = "2026-10-01T12:00:00Z";
const MAX_KW: f64 = 1000.0;

/// A metered feed under an engine that is stopped, killed and started again.
struct Gateway {
    rules: Vec<RuleSpec>,
    modulus: Option<f64>,
    engine: Engine,
    boot: u64,
    now: Now,
    events: Events,
    /// As the log keeps it: the last checkpoint, and what came after it.
    checkpoint: Option<String>,
    journal: Vec<(Moment, Entry)>,
    /// All that was ever decided.
    told: Vec<Event>,
    rows: Vec<LedgerRow>,
}

#[derive(Clone)]
enum Entry {
    Event(Event),
    Row(LedgerRow),
    Command(Command, Outcome),
}

impl Entry {
    fn recorded(&self) -> Recorded<'_> {
        match self {
            Self::Event(event) => Recorded::Event(event),
            Self::Row(row) => Recorded::Ledger(row),
            Self::Command(command, outcome) => Recorded::Command(command, outcome),
        }
    }
}

fn engine(rules: &[RuleSpec], modulus: Option<f64>, boot: u64) -> Engine {
    let mut plant = Plant::default();
    let mut add = |name: &str, kind, detail| {
        plant.add_asset(Asset { name: name.into(), kind, title: None, detail })
    };
    add("site", AssetKind::Site, Detail::None);
    let mut detail = meter(Role::ItLoad, MAX_KW);
    detail.register_modulus_kwh = modulus;
    let meter = add("m1", AssetKind::Meter, Detail::Meter(detail));
    for (quantity, unit, kind) in
        [("energy", "kWh", PointKind::Counter), ("active_power", "kW", PointKind::Gauge)]
    {
        plant.add_point(PointSpec {
            asset: meter,
            quantity: quantity.into(),
            unit: Unit::parse(unit).unwrap(),
            kind,
            origin: Origin::Polled,
            stale_after: Duration::from_secs(30),
            states: Vec::new(),
        });
    }
    let plan = metrics::plan(plant).unwrap();
    let set = AlarmSet::compile(rules, &plan.plant).unwrap().set;
    Engine::new(site_info(), BootId(boot), plan, set)
}

fn high() -> Vec<RuleSpec> {
    vec![RuleSpec::new("high", "m1.active_power > 50 kW")]
}

impl Gateway {
    fn new(rules: Vec<RuleSpec>, modulus: Option<f64>) -> Self {
        let wall = Wall { utc: BEGIN.parse().unwrap(), trust: Trust::Synchronised };
        Self {
            engine: engine(&rules, modulus, 1),
            rules,
            modulus,
            boot: 1,
            now: Now { mono: Mono::START, wall },
            events: Events::default(),
            checkpoint: None,
            journal: Vec::new(),
            told: Vec::new(),
            rows: Vec::new(),
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now.mono = self.now.mono.plus(Duration::from_secs(seconds));
        self.now.wall.utc += Duration::from_secs(seconds);
    }

    fn step(&mut self, input: Input<'_>) {
        self.engine.step(self.now, input, &mut self.events);
        let moment = Moment { boot: BootId(self.boot), at: self.now };
        let Events { events, rows } = std::mem::take(&mut self.events);
        self.journal.extend(events.iter().cloned().map(|event| (moment, Entry::Event(event))));
        self.journal.extend(rows.iter().cloned().map(|row| (moment, Entry::Row(row))));
        self.told.extend(events);
        self.rows.extend(rows);
    }

    fn read(&mut self, quantity: &str, value: f64) {
        let point = self.point(quantity);
        let value = Ok(Value::Number(value));
        self.step(Input::Samples(&[Sample { point, at: self.now.mono, source_time: None, value }]));
    }

    fn point(&self, quantity: &str) -> PointId {
        let meter = self.engine.plant().find_asset("m1").unwrap();
        self.engine.plant().find_point(meter, quantity).unwrap()
    }

    fn tick(&mut self) {
        self.step(Input::Tick);
    }

    fn command(&mut self, key: &str, action: Action) -> Outcome {
        let command = Command { key: key.into(), by: "li".into(), action };
        self.step(Input::Command(&command));
        let outcome = self.engine.outcome(key).unwrap().clone();
        let moment = Moment { boot: BootId(self.boot), at: self.now };
        self.journal.push((moment, Entry::Command(command, outcome.clone())));
        outcome
    }

    fn ack(&mut self, key: &str) -> Outcome {
        self.command(key, Action::Ack { alarm: "high".into(), occurrence: None })
    }

    fn save(&mut self) {
        let checkpoint = self.engine.checkpoint(self.now);
        self.checkpoint = Some(serde_json::to_string(&checkpoint).unwrap());
        self.journal.clear();
    }

    /// The power goes, and comes back.
    fn crash(&mut self, down_s: u64, trust: Trust) -> Restored {
        self.boot += 1;
        self.now.wall.utc += Duration::from_secs(down_s);
        self.now.wall.trust = trust;
        self.now.mono = Mono::START;
        self.engine = engine(&self.rules, self.modulus, self.boot);
        let checkpoint = self
            .checkpoint
            .as_ref()
            .map(|text| Checkpoint::read(serde_json::from_str(text).unwrap()).unwrap());
        let after = self.journal.iter().map(|(moment, entry)| (*moment, entry.recorded()));
        self.engine.restore(self.now, checkpoint, after)
    }

    fn alarm(&self) -> AlarmView {
        self.engine.alarm("high").unwrap()
    }

    fn link(&mut self, up: bool) {
        let device = AssetId(1);
        let trouble = (!up).then(|| "no answer".to_owned());
        let link = LinkView {
            device,
            address: "modbus+tcp://10.0.0.1".into(),
            up,
            trouble,
            replies: 0,
            timeouts: 0,
            refusals: 0,
            discarded: 0,
            reply_time_ms: None,
            points: 2,
        };
        self.step(Input::Link(&link));
    }
}

fn total(rows: &[LedgerRow]) -> f64 {
    rows.iter().filter_map(|row| row.amount).sum()
}

#[test]
fn an_alarm_stands_since_when_it_began_and_not_since_the_restart() {
    let mut gateway = Gateway::new(high(), None);
    gateway.read("active_power", 60.0);
    gateway.tick();
    gateway.ack("k");
    gateway.wait(5);
    gateway.save();
    gateway.crash(600, Trust::Synchronised);
    let alarm = gateway.alarm();
    assert_eq!((alarm.letter, alarm.occurrence), (Letter::C, 1));
    assert_eq!(alarm.acknowledged_by.as_deref(), Some("li"));
    assert_eq!(gateway.now.mono.since(alarm.active_since.unwrap()), Duration::from_secs(605));
    // And where nobody knows how long the gateway was down, as if it had not been.
    gateway.save();
    gateway.crash(60, Trust::Untrusted);
    let alarm = gateway.alarm();
    assert_eq!(gateway.now.mono.since(alarm.active_since.unwrap()), Duration::from_secs(605));
}

#[test]
fn a_command_acts_once_and_is_answered_alike_after_a_restart() {
    let mut gateway = Gateway::new(high(), None);
    gateway.read("active_power", 60.0);
    gateway.tick();
    assert_eq!(gateway.ack("first"), Outcome::Done);
    gateway.save();
    let refused = gateway.ack("second");
    assert!(
        matches!(&refused, Outcome::Rejected { why } if why.contains("state C")),
        "{refused:?}"
    );
    gateway.crash(10, Trust::Synchronised);
    let told = gateway.told.len();
    assert_eq!(gateway.ack("first"), Outcome::Done);
    assert_eq!(gateway.ack("second"), refused);
    assert_eq!(gateway.told.len(), told, "and nothing more is journaled");
}

#[test]
fn a_checkpoint_of_another_version_is_refused_and_the_journal_alone_tells_the_letters() {
    let mut gateway = Gateway::new(high(), None);
    gateway.read("active_power", 60.0);
    gateway.tick();
    gateway.ack("k");
    let written = serde_json::to_value(gateway.engine.checkpoint(gateway.now)).unwrap();
    assert!(Checkpoint::read(written.clone()).is_ok());
    let mut later = written.clone();
    later["version"] = 2.into();
    later["alarms"] = "in another form".into();
    let refused = Checkpoint::read(later).unwrap_err();
    assert!(matches!(refused, Unusable::Version(2)), "{refused}");
    assert!(matches!(Checkpoint::read(serde_json::json!({})), Err(Unusable::NoVersion)));
    gateway.checkpoint = None;
    gateway.crash(10, Trust::Synchronised);
    let alarm = gateway.alarm();
    assert_eq!((alarm.letter, alarm.occurrence), (Letter::C, 1));
    assert_eq!(alarm.acknowledged_by.as_deref(), Some("li"));
}

#[test]
fn another_configuration_keeps_what_still_exists_and_says_what_does_not() {
    let mut latched = RuleSpec::new("latched", "m1.active_power > 50 kW");
    latched.latch = true;
    let gone = RuleSpec::new("gone", "m1.active_power > 10 kW");
    let mut rules = high();
    rules.extend([latched, gone]);
    let mut gateway = Gateway::new(rules, None);
    gateway.read("active_power", 60.0);
    gateway.tick();
    gateway.command("k", Action::Ack { alarm: "latched".into(), occurrence: None });
    gateway.read("active_power", 20.0);
    gateway.tick();
    gateway.save();
    gateway.rules.truncate(2);
    gateway.rules[1].latch = false;
    let restored = gateway.crash(10, Trust::Synchronised);
    assert_eq!(gateway.alarm().letter, Letter::D);
    assert_eq!(restored.alarms_gone, [Arc::from("gone")]);
    let moves: Vec<_> = restored
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Moved(moved) => Some((&*moved.alarm, moved.from, moved.to, &*moved.cause)),
            _ => None,
        })
        .collect();
    assert_eq!(
        moves,
        [
            ("latched", Letter::Cl, Letter::A, "configuration"),
            ("gone", Letter::B, Letter::A, "removed")
        ]
    );
}

#[test]
fn in_the_same_run_another_configuration_keeps_values_and_delays_too() {
    let mut rules = high();
    rules[0].on_delay = Duration::from_secs(3);
    let mut gateway = Gateway::new(rules, None);
    for second in 0..3 {
        gateway.read("active_power", 60.0);
        gateway.read("energy", f64::from(second) * 0.1);
        gateway.tick();
        gateway.wait(1);
    }
    let seq = gateway.engine.update(gateway.now).seq;
    gateway.rules.push(RuleSpec::new("new", "m1.active_power > 55 kW"));
    let next = engine(&gateway.rules, None, gateway.boot);
    let before = std::mem::replace(&mut gateway.engine, next);
    assert_eq!(gateway.engine.carry_over(gateway.now, before), Restored::default());
    let power = gateway.point("active_power");
    assert_eq!(gateway.engine.reading(power).number(), Ok(60.0));
    assert_eq!(gateway.engine.update(gateway.now).seq, seq + 1);
    gateway.tick();
    assert_eq!(gateway.alarm().letter, Letter::B, "the third second");
    assert_eq!(gateway.engine.alarm("new").unwrap().letter, Letter::B);
    for _ in 0..900 {
        gateway.wait(1);
        gateway.read("energy", 0.2);
        gateway.tick();
    }
    assert!((total(&gateway.rows) - 0.2).abs() < 1e-9);
}

#[test]
fn a_device_that_was_down_and_still_is_makes_no_news() {
    let mut gateway = Gateway::new(high(), None);
    gateway.link(false);
    gateway.save();
    gateway.crash(10, Trust::Synchronised);
    gateway.link(false);
    assert_eq!(gateway.told.len(), 1);
    gateway.crash(10, Trust::Synchronised);
    gateway.link(true);
    assert!(matches!(gateway.told[1].what, What::Link { up: true, .. }));
}

#[test]
fn a_new_client_sees_what_happened_before_the_restart() {
    let mut gateway = Gateway::new(high(), None);
    gateway.read("active_power", 60.0);
    gateway.tick();
    gateway.wait(100);
    gateway.save();
    gateway.ack("k");
    gateway.crash(50, Trust::Synchronised);
    let older = gateway.told[..1].to_vec();
    gateway.engine.recall(gateway.now, older.into_iter(), std::iter::empty());
    let events = gateway.engine.snapshot(gateway.now).events;
    let ages: Vec<_> =
        events.iter().map(|event| gateway.now.mono.since(event.at).as_secs()).collect();
    assert_eq!(ages, [150, 50]);
    assert!(gateway.engine.update(gateway.now).changes.len() <= 2, "old events are no changes");
}

#[test]
fn energy_of_the_down_time_is_bridged_over_the_time_it_really_took() {
    let mut gateway = Gateway::new(high(), None);
    gateway.read("energy", 100.0);
    gateway.wait(600);
    gateway.read("energy", 110.0);
    gateway.tick();
    gateway.save();
    // Three hours without a gateway, then ten minutes of one that does not know the time.
    gateway.crash(10_800, Trust::Untrusted);
    let real = gateway.now.wall.utc;
    gateway.now.wall.utc = DateTime::UNIX_EPOCH;
    for second in 0_u32..600 {
        gateway.read("energy", 410.0 + f64::from(second) * 0.1);
        gateway.tick();
        gateway.wait(1);
    }
    assert!(gateway.rows.is_empty());
    gateway.now.wall = Wall { utc: real + TimeDelta::seconds(600), trust: Trust::Synchronised };
    gateway.tick();
    gateway.wait(900);
    gateway.read("energy", 480.0);
    gateway.tick();
    let bridged: Vec<_> =
        gateway.rows.iter().filter(|row| row.flags.contains(&Flag::InterpolatedWide)).collect();
    assert!(bridged.len() >= 12);
    let hour = &gateway.rows[4];
    assert!((hour.amount.unwrap() - 25.0).abs() < 1e-6, "100 kW: {hour:?}");
    gateway.wait(900);
    gateway.read("energy", 480.0);
    gateway.tick();
    gateway.wait(900);
    gateway.read("energy", 480.0);
    assert!((total(&gateway.rows) - 380.0).abs() < 1e-6, "{}", total(&gateway.rows));
}

#[test]
fn a_register_is_not_called_stuck_by_the_clock_of_another_run() {
    let mut gateway = Gateway::new(high(), None);
    gateway.read("active_power", 0.0);
    for _ in 0..50 {
        gateway.wait(10);
        gateway.read("energy", 100.0);
        gateway.tick();
    }
    gateway.save();
    gateway.crash(10, Trust::Untrusted);
    gateway.read("active_power", 900.0);
    gateway.tick();
    let stuck = |event: &Event| matches!(event.what, What::Register { .. });
    assert!(!gateway.told.iter().any(stuck));
}

#[test]
fn what_a_run_without_any_time_measured_belongs_to_no_interval() {
    let mut gateway = Gateway::new(high(), None);
    gateway.now.wall.trust = Trust::Untrusted;
    gateway.read("energy", 100.0);
    gateway.wait(60);
    gateway.read("energy", 101.0);
    gateway.save();
    gateway.crash(60, Trust::Synchronised);
    gateway.read("energy", 102.0);
    gateway.wait(1800);
    gateway.read("energy", 130.0);
    gateway.tick();
    assert!((total(&gateway.rows) - 28.0 * 1680.0 / 1800.0).abs() < 1e-6);
}

#[test]
fn a_row_closed_after_the_checkpoint_is_not_closed_again_and_its_rest_is_not_lost() {
    let mut gateway = Gateway::new(high(), None);
    gateway.now.wall.utc += TimeDelta::seconds(890);
    gateway.read("energy", 100.0);
    gateway.save();
    gateway.wait(6);
    gateway.read("energy", 100.6);
    gateway.wait(6);
    gateway.read("energy", 101.2);
    gateway.tick();
    assert_eq!(gateway.rows.len(), 1);
    gateway.crash(100, Trust::Synchronised);
    gateway.read("energy", 112.0);
    gateway.wait(1000);
    gateway.read("energy", 112.0);
    gateway.tick();
    assert_eq!(gateway.rows.len(), 2);
    assert!((total(&gateway.rows) - 12.0).abs() < 1e-6, "{:?}", gateway.rows);
    assert!((gateway.rows[1].coverage - 1.0).abs() < 1e-9);
}

/// One step of a random life: seconds, register increase as a share of the most that is plausible, what happens then.
#[derive(Clone, Debug)]
enum Fate {
    Goes,
    Saved,
    Stopped { down_s: u64, untrusted: usize },
    Killed { down_s: u64, untrusted: usize },
}

fn fate() -> impl Strategy<Value = Fate> {
    let gap = || (0_u64..20_000, prop_oneof![Just(0_usize), 1_usize..20]);
    prop_oneof![
        20 => Just(Fate::Goes),
        4 => Just(Fate::Saved),
        1 => gap().prop_map(|(down_s, untrusted)| Fate::Stopped { down_s, untrusted }),
        2 => gap().prop_map(|(down_s, untrusted)| Fate::Killed { down_s, untrusted }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_adds_up_to_the_register_over_any_restarts(
        steps in proptest::collection::vec((1_u64..400, 0.0..0.95_f64, fate()), 1..80),
        modulus in proptest::option::of(Just(1_000_000.0)),
    ) {
        let mut gateway = Gateway::new(high(), modulus);
        let (begin, mut counted) = (999_000.0, 0.0);
        let shown = |counted: f64| match modulus {
            Some(modulus) => (begin + counted) % modulus,
            None => begin + counted,
        };
        gateway.read("energy", begin);
        gateway.save();
        let mut blind = 0;
        let mut real = gateway.now.wall.utc;
        for (seconds, share, fate) in steps {
            let mut elapsed = seconds;
            gateway.wait(seconds);
            real += Duration::from_secs(seconds);
            match fate {
                Fate::Goes => {}
                Fate::Saved => gateway.save(),
                Fate::Stopped { down_s, untrusted } | Fate::Killed { down_s, untrusted } => {
                    if matches!(fate, Fate::Stopped { .. }) {
                        gateway.save();
                    }
                    gateway.now.wall.utc = real;
                    let trust = if untrusted > 0 { Trust::Untrusted } else { Trust::Synchronised };
                    gateway.crash(down_s, trust);
                    real = gateway.now.wall.utc;
                    (blind, elapsed) = (untrusted, elapsed + down_s);
                    gateway.wait(1);
                    real += Duration::from_secs(1);
                }
            }
            if blind > 0 {
                blind -= 1;
                if blind == 0 {
                    gateway.now.wall = Wall { utc: real, trust: Trust::Synchronised };
                }
            }
            counted += share * MAX_KW * f64::from(u32::try_from(elapsed).unwrap()) / 3600.0;
            gateway.read("energy", shown(counted));
            gateway.tick();
        }
        gateway.now.wall = Wall { utc: real, trust: Trust::Synchronised };
        for _ in 0..4 {
            gateway.wait(600);
            gateway.read("energy", shown(counted));
            gateway.tick();
        }
        let rows = &gateway.rows;
        prop_assert!((total(rows) - counted).abs() < 1e-6, "{} of {counted}", total(rows));
        let mut starts: Vec<_> = rows.iter().map(|row| row.start).collect();
        prop_assert!(starts.is_sorted());
        starts.dedup();
        prop_assert_eq!(starts.len(), rows.len(), "no interval is closed twice");
    }
}

fn bench(timing: Timing) -> Bench {
    let mut rule = RuleSpec::new("X", "p > 45 °C");
    (rule.on_delay, rule.off_delay, rule.latch) = (timing.on_delay, timing.off_delay, timing.latch);
    let point = BenchPoint {
        name: "p".into(),
        unit: Unit::parse("°C").unwrap(),
        stale_after: Duration::from_mins(10),
        published: false,
    };
    Bench::new(&[rule], &[point]).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// What the trace of a point with breaches, acknowledgements and restarts without down time is.
fn trace(breaches: &[bool], acks: &[usize], restarts: &BTreeMap<usize, Mode>) -> Vec<Line> {
    let seconds = |t: usize| f64::from(u32::try_from(t).unwrap());
    let mut lines: Vec<Line> = breaches
        .iter()
        .enumerate()
        .map(|(t, breach)| Line {
            t: seconds(t),
            point: Some("p".into()),
            v: Some(if *breach { 50.0 } else { 40.0 }),
            ..Line::default()
        })
        .collect();
    lines.extend(acks.iter().map(|t| Line {
        t: seconds(*t) + 0.5,
        op: Some("ack".into()),
        alarm: Some("X".into()),
        ..Line::default()
    }));
    lines.extend(restarts.iter().map(|(t, mode)| Line {
        t: seconds(*t) + 0.7,
        op: Some("restart".into()),
        mode: Some(*mode),
        resume: Some(seconds(*t) + 1.0),
        ..Line::default()
    }));
    lines
}

/// Time, letters and occurrence of every transition, and the refusals.
fn happened(outcomes: Vec<replay::Outcome>) -> Vec<(f64, Letter, Letter, u32)> {
    let one = |outcome| match outcome {
        replay::Outcome::Moved { t, from, to, occ, .. } => (t, from, to, occ),
        replay::Outcome::Rejected { t, .. } => (t, Letter::A, Letter::A, 0),
    };
    outcomes.into_iter().map(one).collect()
}

/// The same by the state machine alone, which is never stopped: after a restart no time has passed.
fn expected(
    breaches: &[bool],
    acks: &[usize],
    restarts: &BTreeMap<usize, Mode>,
    timing: Timing,
) -> Vec<(f64, Letter, Letter, u32)> {
    let (mut life, mut moves) = (Life::default(), Vec::new());
    for (t, breach) in breaches.iter().enumerate() {
        let at = f64::from(u32::try_from(t).unwrap());
        let after_restart = t > 0 && restarts.contains_key(&(t - 1));
        let elapsed = Duration::from_secs(u64::from(!after_restart));
        let before = life.letter(timing);
        let truth = if *breach { Truth::True } else { Truth::False };
        if life.tick(truth, elapsed, timing) != Step::Same {
            moves.push((at, before, life.letter(timing), life.occurrence));
        }
        for _ in acks.iter().filter(|ack| **ack == t) {
            let before = life.letter(timing);
            moves.push(match life.acknowledge(None, timing) {
                Ok(()) => (at + 0.5, before, life.letter(timing), life.occurrence),
                Err(_) => (at + 0.5, Letter::A, Letter::A, 0),
            });
        }
    }
    moves
}

proptest! {
    #[test]
    fn alarms_live_on_over_clean_stops_and_crashes_as_if_never_stopped(
        runs in proptest::collection::vec((any::<bool>(), 1_usize..6), 1..20),
        acks in proptest::collection::vec(0_usize..60, 0..10),
        stops in proptest::collection::btree_map(0_usize..60, any::<bool>(), 0..6),
        (on_s, off_s, latch) in (0_u64..4, 0_u64..4, any::<bool>()),
    ) {
        let breaches: Vec<bool> =
            runs.iter().flat_map(|(breach, times)| std::iter::repeat_n(*breach, *times)).collect();
        let acks: Vec<usize> = acks.into_iter().filter(|t| *t < breaches.len()).collect();
        let stops: BTreeMap<usize, bool> =
            stops.into_iter().filter(|(t, _)| *t + 1 < breaches.len()).collect();
        // Clean stops keep the delays; a crash may lose some, so with crashes there are none.
        let clean = stops.keys().map(|t| (*t, Mode::Clean)).collect();
        let timing = Timing {
            on_delay: Duration::from_secs(on_s),
            off_delay: Duration::from_secs(off_s),
            latch,
        };
        let outcomes = bench(timing).play(&trace(&breaches, &acks, &clean), 0.0).unwrap();
        prop_assert_eq!(happened(outcomes), expected(&breaches, &acks, &clean, timing));

        let mixed = stops
            .iter()
            .map(|(t, crash)| (*t, if *crash { Mode::Crash } else { Mode::Clean }))
            .collect();
        let timing = Timing { latch, ..Timing::default() };
        let outcomes = bench(timing).play(&trace(&breaches, &acks, &mixed), 0.0).unwrap();
        prop_assert_eq!(happened(outcomes), expected(&breaches, &acks, &mixed, timing));
    }

    #[test]
    fn a_crash_loses_no_transition_and_at_most_ten_seconds_of_a_delay(
        runs in proptest::collection::vec((any::<bool>(), 1_usize..30), 1..12),
        acks in proptest::collection::vec(0_usize..100, 0..10),
        stops in proptest::collection::btree_set(0_usize..100, 0..6),
        on_s in 0_u64..6,
    ) {
        let breaches: Vec<bool> =
            runs.iter().flat_map(|(breach, times)| std::iter::repeat_n(*breach, *times)).collect();
        let crashes: BTreeMap<usize, Mode> = stops
            .into_iter()
            .filter(|t| *t + 1 < breaches.len())
            .map(|t| (t, Mode::Crash))
            .collect();
        let timing = Timing { on_delay: Duration::from_secs(on_s), ..Timing::default() };
        let outcomes = bench(timing).play(&trace(&breaches, &acks, &crashes), 0.0).unwrap();
        let (mut letter, mut occurrence) = (Letter::A, 0);
        for outcome in outcomes {
            let replay::Outcome::Moved { from, to, occ, annunciate, .. } = outcome else { continue };
            prop_assert_eq!(from, letter, "the journal has no hole");
            prop_assert_eq!(occ, occurrence + u32::from(to == Letter::B));
            prop_assert_eq!(annunciate, to == Letter::B);
            (letter, occurrence) = (to, occ);
        }
        // A breach that outlasts the delay, and ten seconds and the gap for each crash in it, is told.
        let tail = breaches.iter().rev().take_while(|breach| **breach).count();
        let lost = crashes.keys().filter(|t| **t + tail >= breaches.len()).count() * 11;
        if tail > usize::try_from(on_s).unwrap() + lost {
            prop_assert!(letter.is_active());
        }
    }

    #[test]
    fn the_journal_folded_from_nothing_gives_the_same_letters(
        values in proptest::collection::vec((40.0..60.0_f64, 0_u8..4), 1..60),
        latch in any::<bool>(),
    ) {
        let mut rules = high();
        rules[0].latch = latch;
        let mut gateway = Gateway::new(rules, None);
        for (number, (value, act)) in values.into_iter().enumerate() {
            gateway.read("active_power", value);
            gateway.tick();
            match act {
                0 => drop(gateway.ack(&number.to_string())),
                1 => drop(gateway.command(
                    &number.to_string(),
                    Action::Reset { alarm: "high".into() },
                )),
                _ => {}
            }
            gateway.wait(1);
        }
        let before = gateway.alarm();
        gateway.crash(0, Trust::Synchronised);
        let after = gateway.alarm();
        prop_assert_eq!(
            (after.letter, after.occurrence, &after.acknowledged_by),
            (before.letter, before.occurrence, &before.acknowledged_by)
        );
    }
}

/// Wall times outlive their run; the order of monotonic ones does not.
#[test]
fn a_clock_that_went_back_between_two_runs_loses_no_energy() {
    let mut gateway = Gateway::new(high(), None);
    let begin: DateTime<Utc> = gateway.now.wall.utc;
    gateway.read("energy", 100.0);
    gateway.wait(1000);
    gateway.read("energy", 110.0);
    gateway.tick();
    let closed = gateway.rows.clone();
    gateway.save();
    gateway.crash(0, Trust::Synchronised);
    gateway.now.wall.utc = begin;
    for step in 0_u32..8 {
        gateway.wait(300);
        gateway.read("energy", 111.0 + f64::from(step));
        gateway.tick();
    }
    assert_eq!(gateway.rows[..1], closed);
    gateway.wait(1800);
    gateway.read("energy", 118.0);
    gateway.tick();
    assert!((total(&gateway.rows) - 18.0).abs() < 1e-6, "{}", total(&gateway.rows));
}
