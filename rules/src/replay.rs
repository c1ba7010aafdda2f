//! A trace played through the engine on a virtual clock: for rule tests, and for replays of recorded days.
//!
//! Ticks run each second from 0 to the time of the last line. A sample at a tick's time comes before it, an operation
//! after it. The points are declared with the rules, so that no site is needed, or are those of a site.
//!
//! A restart ends the engine: what comes while it is down is lost, and a new one goes on from the checkpoint and the
//! journal, as in the gateway. A clean stop writes a checkpoint; a crash leaves the last of every ten seconds.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    alarm::Letter,
    alarm_set::AlarmSet,
    checkpoint::{Checkpoint, Recorded},
    engine::{Engine, Events, Input},
    language::RuleFault,
    messages::{self, Action, Command, Event, SiteInfo, What},
    metrics::Plan,
    plant::{Asset, AssetKind, Detail, Origin, Plant, PointId, PointKind, PointSpec},
    rule::RuleSpec,
    time::{BootId, Moment, Mono, Now, Trust, Wall},
    units::Unit,
    value::{NoData, Sample, Value},
};

/// A trace longer than this is refused.
pub const LONGEST_S: f64 = 366.0 * 86_400.0;
/// Seconds between two checkpoints.
const CHECKPOINT_EVERY: u32 = 10;

/// A point that exists for a replay only.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchPoint {
    /// As it is written in conditions and traces: `ts`.
    pub name: Arc<str>,
    pub unit: Unit,
    pub stale_after: Duration,
    /// Carries source times, so that S6 applies.
    pub published: bool,
}

/// One line of a trace, in the words of its JSON form. Times are seconds since the start.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub t: f64,
    /// With `point`: a sample, `v` its value or `q = "bad"`, `src` its source time by the gateway's wall clock.
    pub point: Option<String>,
    pub v: Option<f64>,
    pub q: Option<String>,
    pub src: Option<f64>,
    /// Without `point`: `ack` (`occ`, `by`) or `reset` (`by`) of `alarm`, `clock_step` by `delta` seconds, or `restart`
    /// (`mode` is `clean` or `crash`), after which the next tick is that at `resume`.
    pub op: Option<String>,
    pub alarm: Option<String>,
    pub occ: Option<u32>,
    pub by: Option<String>,
    pub reason: Option<String>,
    pub delta: Option<f64>,
    pub mode: Option<Mode>,
    pub resume: Option<f64>,
}

/// How an engine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Clean,
    Crash,
}

/// What a replay tells: a transition, or the refusal of an operation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    Moved {
        t: f64,
        alarm: Arc<str>,
        from: Letter,
        to: Letter,
        cause: String,
        occ: u32,
        annunciate: bool,
    },
    Rejected {
        t: f64,
        alarm: Arc<str>,
        reject: String,
        why: String,
    },
}

/// What is wrong with a line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TraceFault {
    #[error("the time is not between 0 and a year")]
    Time,
    #[error("no point is called \"{0}\"")]
    UnknownPoint(String),
    #[error("a sample has either \"v\" or \"q\": \"bad\"")]
    NoValue,
    #[error("a line is a sample of a \"point\" or an \"op\"")]
    NeitherNor,
    #[error("the operation \"{0}\" cannot be replayed")]
    UnknownOperation(String),
    #[error("\"{op}\" needs \"{key}\"")]
    Lacks { op: &'static str, key: &'static str },
    #[error("\"resume\" lies before the restart")]
    ResumesEarlier,
}

enum Step {
    Sample { point: PointId, value: Result<f64, NoData>, source_s: Option<f64> },
    Operate { by: String, action: Action },
    SetClock { delta: TimeDelta },
    Restart { mode: Mode, resume_s: f64 },
}

/// Rules on a bench: an engine that sees declared points only.
pub struct Bench {
    rules: Vec<RuleSpec>,
    plan: Plan,
    engine: Engine,
    points: HashMap<Arc<str>, (PointId, bool)>,
    offset: TimeDelta,
    operations: u64,
    events: Events,
    run: Run,
    disk: Disk,
}

/// When the engine of today began.
#[derive(Clone, Copy, Debug)]
struct Run {
    boot: BootId,
    started_s: f64,
}

/// What survives the engine: a checkpoint and the journal after it.
#[derive(Default)]
struct Disk {
    checkpoint: Option<Checkpoint>,
    journal: Vec<(Moment, Entry)>,
}

enum Entry {
    Event(Event),
    Command(Command, messages::Outcome),
}

impl Bench {
    /// A bench whose points are declared with the rules.
    ///
    /// # Errors
    /// The faults of rules that do not fit the points.
    pub fn new(rules: &[RuleSpec], points: &[BenchPoint]) -> Result<Self, Vec<RuleFault>> {
        let plant = bench_plant(points);
        // The declared names are quantities of the one asset.
        let found = plant.point_ids().map(|id| {
            let point = plant.point(id);
            (Arc::clone(&point.quantity), (id, point.origin == Origin::Published))
        });
        let points = found.collect();
        Self::with(Plan { plant, metrics: Vec::new(), checks: Vec::new() }, points, rules)
    }

    /// A bench with the points of a site by their full names, and the figures computed from them.
    ///
    /// # Errors
    /// The faults of rules that do not fit the site.
    pub fn of_site(rules: &[RuleSpec], plan: Plan) -> Result<Self, Vec<RuleFault>> {
        let plant = &plan.plant;
        let given = |id: &PointId| plant.point(*id).origin != Origin::Computed;
        let found = plant.point_ids().filter(given).map(|id| {
            (plant.point_name(id).into(), (id, plant.point(id).origin == Origin::Published))
        });
        let points = found.collect();
        Self::with(plan, points, rules)
    }

    fn with(
        plan: Plan,
        points: HashMap<Arc<str>, (PointId, bool)>,
        rules: &[RuleSpec],
    ) -> Result<Self, Vec<RuleFault>> {
        let run = Run { boot: BootId(0), started_s: 0.0 };
        Ok(Self {
            engine: engine(rules, &plan, run.boot)?,
            rules: rules.to_vec(),
            plan,
            points,
            offset: TimeDelta::zero(),
            operations: 0,
            events: Events::default(),
            run,
            disk: Disk::default(),
        })
    }

    /// Plays a trace, at least until the tick at `until_s`. Lines may stand in any order.
    ///
    /// # Errors
    /// The faults of all lines, each with the index of its line; nothing is played then.
    pub fn play(
        mut self,
        lines: &[Line],
        until_s: f64,
    ) -> Result<Vec<Outcome>, Vec<(usize, TraceFault)>> {
        let (mut steps, mut faults) = (Vec::new(), Vec::new());
        for (index, line) in lines.iter().enumerate() {
            match self.read(line) {
                Ok(step) => steps.push((line.t, step)),
                Err(fault) => faults.push((index, fault)),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let after_tick =
            |t: f64, step: &Step| t.fract() == 0.0 && !matches!(step, Step::Sample { .. });
        steps.sort_by(|(t, a), (u, b)| {
            t.total_cmp(u).then(after_tick(*t, a).cmp(&after_tick(*u, b)))
        });
        let mut outcomes = Vec::new();
        let mut tick = 0_u32;
        for (t, step) in steps {
            while f64::from(tick) < t || (f64::from(tick) <= t && after_tick(t, &step)) {
                self.tick(tick, &mut outcomes);
                tick += 1;
            }
            self.take(t, step, &mut outcomes);
        }
        let last = lines.iter().map(|line| line.t).fold(until_s.min(LONGEST_S), f64::max);
        while f64::from(tick) <= last {
            self.tick(tick, &mut outcomes);
            tick += 1;
        }
        Ok(outcomes)
    }

    fn read(&self, line: &Line) -> Result<Step, TraceFault> {
        if !(0.0..=LONGEST_S).contains(&line.t) {
            return Err(TraceFault::Time);
        }
        match (&line.point, line.op.as_deref()) {
            (Some(name), None) => self.read_sample(name, line),
            (None, Some(ACK)) => {
                let (alarm, occurrence) = (alarm_of(line, ACK)?, line.occ);
                Ok(operate(line, Action::Ack { alarm, occurrence }))
            }
            (None, Some(RESET)) => {
                Ok(operate(line, Action::Reset { alarm: alarm_of(line, RESET)? }))
            }
            (None, Some("clock_step")) => {
                let delta = line.delta.filter(|delta| delta.abs() <= LONGEST_S);
                let delta = delta.ok_or(TraceFault::Lacks { op: "clock_step", key: "delta" })?;
                Ok(Step::SetClock { delta: span(delta) })
            }
            (None, Some("restart")) => read_restart(line),
            (None, Some(other)) => Err(TraceFault::UnknownOperation(other.to_owned())),
            (Some(_), Some(_)) | (None, None) => Err(TraceFault::NeitherNor),
        }
    }

    fn read_sample(&self, name: &str, line: &Line) -> Result<Step, TraceFault> {
        let known = self.points.get(name);
        let (point, published) = *known.ok_or_else(|| TraceFault::UnknownPoint(name.to_owned()))?;
        let value = match (line.v, line.q.as_deref()) {
            (Some(value), None | Some("good")) if value.is_finite() => Ok(value),
            (_, Some("bad")) => Err(NoData::BadQuality),
            (Some(_) | None, Some(_) | None) => return Err(TraceFault::NoValue),
        };
        let source_s = line.src.filter(|source| source.abs() <= LONGEST_S);
        Ok(Step::Sample { point, value, source_s: published.then_some(source_s.unwrap_or(line.t)) })
    }

    fn now(&self, t: f64) -> Now {
        let utc = DateTime::UNIX_EPOCH + span(t) + self.offset;
        // Every run has a clock of its own.
        let up = Duration::try_from_secs_f64(t - self.run.started_s).unwrap_or_default();
        let mono = Mono::START.plus(up);
        Now { mono, wall: Wall { utc, trust: Trust::Synchronised } }
    }

    fn tick(&mut self, tick: u32, outcomes: &mut Vec<Outcome>) {
        let t = f64::from(tick);
        if t < self.run.started_s {
            return;
        }
        self.engine.step(self.now(t), Input::Tick, &mut self.events);
        self.tell(t, "", outcomes);
        if tick.is_multiple_of(CHECKPOINT_EVERY) {
            self.checkpoint(t);
        }
    }

    fn checkpoint(&mut self, t: f64) {
        self.disk.checkpoint = Some(self.engine.checkpoint(self.now(t)));
        self.disk.journal.clear();
    }

    /// Another engine goes on from what is on disk.
    fn restart(&mut self, t: f64, mode: Mode, resume_s: f64) {
        match mode {
            Mode::Clean => self.checkpoint(t),
            Mode::Crash => {}
        }
        self.run = Run { boot: BootId(self.run.boot.0 + 1), started_s: resume_s };
        // They fitted before.
        let Ok(next) = engine(&self.rules, &self.plan, self.run.boot) else { return };
        self.engine = next;
        let now = self.now(resume_s);
        let journal = self.disk.journal.iter().map(|(moment, entry)| {
            let recorded = match entry {
                Entry::Event(event) => Recorded::Event(event),
                Entry::Command(command, outcome) => Recorded::Command(command, outcome),
            };
            (*moment, recorded)
        });
        // The same rules, so that nothing is told of them.
        self.engine.restore(now, self.disk.checkpoint.clone(), journal);
    }

    fn take(&mut self, t: f64, step: Step, outcomes: &mut Vec<Outcome>) {
        let now = self.now(t);
        let down = t < self.run.started_s;
        let mut operation = "";
        match step {
            Step::SetClock { delta } => self.offset += delta,
            // Nobody hears it.
            Step::Sample { .. } | Step::Operate { .. } | Step::Restart { .. } if down => {}
            Step::Restart { mode, resume_s } => self.restart(t, mode, resume_s),
            Step::Sample { point, value, source_s } => {
                let source_time = source_s.map(|source| DateTime::UNIX_EPOCH + span(source));
                let sample =
                    Sample { point, at: now.mono, source_time, value: value.map(Value::Number) };
                self.engine.step(now, Input::Samples(&[sample]), &mut self.events);
            }
            Step::Operate { by, action } => {
                self.operations += 1;
                operation = match action {
                    Action::Ack { .. } => ACK,
                    Action::Reset { .. } => RESET,
                };
                let command = Command { key: self.operations.to_string(), by, action };
                self.engine.step(now, Input::Command(&command), &mut self.events);
                if let Some(outcome) = self.engine.outcome(&command.key) {
                    let entry = Entry::Command(command, outcome.clone());
                    self.disk.journal.push((Moment { boot: self.run.boot, at: now }, entry));
                }
            }
        }
        self.tell(t, operation, outcomes);
    }

    /// `operation` is the one that a refusal refuses; between operations there is none.
    fn tell(&mut self, t: f64, operation: &str, outcomes: &mut Vec<Outcome>) {
        let moment = Moment { boot: self.run.boot, at: self.now(t) };
        for event in self.events.events.drain(..) {
            self.disk.journal.push((moment, Entry::Event(event.clone())));
            match event.what {
                What::Moved(moved) => outcomes.push(Outcome::Moved {
                    t,
                    alarm: moved.alarm,
                    from: moved.from,
                    to: moved.to,
                    cause: moved.cause,
                    occ: moved.occurrence,
                    annunciate: moved.annunciate,
                }),
                What::Rejected { alarm, why, .. } => {
                    let reject = operation.to_owned();
                    outcomes.push(Outcome::Rejected { t, alarm, reject, why });
                }
                What::Clock { .. }
                | What::Link { .. }
                | What::Register { .. }
                | What::Anchor(_)
                | What::Gateway { .. } => {}
            }
        }
        self.events.rows.clear();
    }
}

/// The operations of a trace that act on an alarm.
const ACK: &str = "ack";
const RESET: &str = "reset";

fn engine(rules: &[RuleSpec], plan: &Plan, boot: BootId) -> Result<Engine, Vec<RuleFault>> {
    let set = AlarmSet::compile(rules, &plan.plant)?.set;
    Ok(Engine::new(bench_site(), boot, plan.clone(), set))
}

fn read_restart(line: &Line) -> Result<Step, TraceFault> {
    const OP: &str = "restart";
    let mode = line.mode.ok_or(TraceFault::Lacks { op: OP, key: "mode" })?;
    let resume_s = line.resume.ok_or(TraceFault::Lacks { op: OP, key: "resume" })?;
    if !(0.0..=LONGEST_S).contains(&resume_s) {
        return Err(TraceFault::Time);
    }
    if resume_s < line.t {
        return Err(TraceFault::ResumesEarlier);
    }
    Ok(Step::Restart { mode, resume_s })
}

fn operate(line: &Line, action: Action) -> Step {
    Step::Operate { by: line.by.clone().unwrap_or_default(), action }
}

fn alarm_of(line: &Line, op: &'static str) -> Result<Arc<str>, TraceFault> {
    line.alarm.as_deref().map(Into::into).ok_or(TraceFault::Lacks { op, key: "alarm" })
}

fn span(seconds: f64) -> TimeDelta {
    let length =
        TimeDelta::from_std(Duration::from_secs_f64(seconds.abs())).unwrap_or(TimeDelta::MAX);
    if seconds < 0.0 { -length } else { length }
}

/// A site whose own quantities are the declared points, so that `ts` alone is a name.
fn bench_plant(points: &[BenchPoint]) -> Plant {
    let mut plant = Plant::default();
    let bench =
        Asset { name: "bench".into(), kind: AssetKind::Site, title: None, detail: Detail::None };
    let asset = plant.add_asset(bench);
    for point in points {
        plant.add_point(PointSpec {
            asset,
            quantity: Arc::clone(&point.name),
            unit: point.unit.clone(),
            kind: PointKind::Gauge,
            origin: if point.published { Origin::Published } else { Origin::Polled },
            stale_after: point.stale_after,
            states: Vec::new(),
        });
    }
    plant
}

fn bench_site() -> SiteInfo {
    SiteInfo {
        id: "bench".to_owned(),
        name: "bench".to_owned(),
        time_zone: "UTC".to_owned(),
        gateway: "bench".to_owned(),
        simulated: true,
    }
}
