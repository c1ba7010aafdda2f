//! The one function that decides: [`Engine::step`]. Live running, replay and tests drive it alike; it never waits, reads a
//! clock or does I/O.
//!
//! Every step looks at the clock first. One tick goes: freshness of every point → metrics → alarms → ledger. Samples, link
//! reports and commands act between ticks; what follows from them shows at the next one.

mod restart;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    alarm_set::{AlarmSet, Transition},
    checkpoint,
    ledger::{Ledger, LedgerRow, RegisterEvent},
    messages::{
        Action, AlarmView, Change, Command, EVENTS_KEPT, Event, Health, LinkView, Outcome, SCHEMA,
        SiteInfo, Snapshot, Update, What,
    },
    metrics::{Check, Known, Metric, Plan},
    plant::{AssetId, AssetKind, Origin, Plant, PointId, PointSpec},
    register::RegisterSnapshot,
    time::{BootId, Mono, Now},
    value::{NoData, Reading, Sample, Value},
};

/// Published samples older than this are not used by alarms (S6).
const PUBLISHED_MAX_AGE: TimeDelta = TimeDelta::minutes(5);
/// Published samples further ahead than this are stamped on receipt (S6).
const PUBLISHED_MAX_AHEAD: TimeDelta = TimeDelta::minutes(1);
/// A change of wall minus monotonic time beyond this is a step of the clock (S6).
const CLOCK_STEP: TimeDelta = TimeDelta::seconds(1);
/// Less than this is no voltage, more than this is a current: for the check of one against the other.
const NO_VOLTAGE_V: f64 = 1.0;
const SOME_CURRENT_A: f64 = 1.0;
/// Conventional tripping current of a circuit breaker over its rated current (IEC 60898-1): none carries it for hours.
const CONVENTIONAL_TRIP: f64 = 1.45;
/// Standing alarms whose operands are told afresh with every update; a flood is told by its transitions.
const LIVE_OPERANDS_MAX: usize = 100;

/// What the gateway hands in.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    Samples(&'a [Sample]),
    Link(&'a LinkView),
    Command(&'a Command),
    /// Once a second: everything is judged.
    Tick,
}

/// What a step decided. The gateway clears it between steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    pub events: Vec<Event>,
    /// Ledger intervals that are complete.
    pub rows: Vec<LedgerRow>,
}

/// The newest sample of a point.
#[derive(Clone, Debug)]
struct Slot {
    value: Result<Value, NoData>,
    at: Option<Mono>,
    /// When it last had a value.
    good_at: Option<Mono>,
    /// Source time of a published point; the ordering guard.
    source_time: Option<DateTime<Utc>>,
    /// From the plant, so that a tick walks along one table; `None` for a computed point.
    stale_after: Option<Duration>,
}

impl Slot {
    fn never_seen(spec: &PointSpec) -> Self {
        Self {
            value: Err(NoData::NeverSeen),
            at: None,
            good_at: None,
            source_time: None,
            stale_after: (spec.origin != Origin::Computed).then_some(spec.stale_after),
        }
    }

    fn is_stale(&self, now: Mono, stale_after: Duration) -> bool {
        self.at.is_some_and(|at| now.since(at) > stale_after)
    }
}

/// When a sample counts as taken (S6).
struct Stamp {
    at: Mono,
    source_time: Option<DateTime<Utc>>,
    /// Too old or out of order for the current value. The ledger has use for it.
    late: bool,
}

/// The state of the whole site.
pub struct Engine {
    site: SiteInfo,
    boot: BootId,
    plant: Arc<Plant>,
    slots: Vec<Slot>,
    known: Vec<Known>,
    /// `known` as rules may use it; a buffer that lives between ticks.
    for_rules: Vec<Result<f64, NoData>>,
    metrics: Vec<Metric>,
    checks: Vec<Check>,
    alarms: AlarmSet,
    transitions: Vec<Transition>,
    ledger: Ledger,
    meters: Meters,
    links: BTreeMap<AssetId, LinkView>,
    /// Devices whose silence was told.
    told_down: BTreeSet<Arc<str>>,
    clock: Option<Now>,
    /// The last time at which the wall clock was trusted.
    trusted: Option<Now>,
    /// The first step: nobody was listening before.
    started: Option<Mono>,
    counts: Counts,
    /// Idempotency keys and what came of them, oldest first.
    keys: VecDeque<(String, Outcome)>,
    told: Told,
}

/// Which points a meter's energy and power are.
struct Meters {
    /// By point: the meter whose energy register it is.
    of_point: Vec<Option<AssetId>>,
    with_power: Vec<(AssetId, PointId)>,
    /// What the ledger integrates or averages: powers of meters without a register, heat of CDUs, outdoor temperatures.
    gauges: Vec<(AssetId, PointId)>,
}

#[derive(Default)]
struct Counts {
    samples: u64,
    samples_at_last_tick: u64,
    samples_per_second: f64,
    late: u64,
    restarts: u64,
    step_us: u64,
}

/// What clients have been told, and what is new since.
struct Told {
    seq: u64,
    dirty: Dirty<PointId>,
    links: Dirty<AssetId>,
    events: Vec<Event>,
    rows: Vec<LedgerRow>,
    journal: VecDeque<Event>,
    ledger: BTreeMap<Arc<str>, LedgerRow>,
    last_tick: Option<Mono>,
}

/// Ids that changed, each once. Marking allocates nothing in a steady tick.
struct Dirty<Id> {
    marked: Vec<bool>,
    ids: Vec<Id>,
}

impl Engine {
    /// An engine that has seen nothing yet. `alarms` is compiled against the plan's plant.
    pub fn new(site: SiteInfo, boot: BootId, plan: Plan, alarms: AlarmSet) -> Self {
        let plant = Arc::new(plan.plant);
        let points = plant.points().len();
        Self {
            meters: Meters::of(&plant),
            ledger: Ledger::new(&plant, |meter| reading_interval(&plant, meter)),
            slots: plant.points().iter().map(Slot::never_seen).collect(),
            known: vec![Known::NEVER_SEEN; points],
            for_rules: vec![Err(NoData::NeverSeen); points],
            metrics: plan.metrics,
            checks: plan.checks,
            transitions: Vec::with_capacity(alarms.len()),
            alarms,
            links: BTreeMap::new(),
            told_down: BTreeSet::new(),
            clock: None,
            trusted: None,
            started: None,
            counts: Counts::default(),
            keys: VecDeque::new(),
            told: Told::new(&plant),
            site,
            boot,
            plant,
        }
    }

    pub fn plant(&self) -> &Arc<Plant> {
        &self.plant
    }

    pub fn site(&self) -> &SiteInfo {
        &self.site
    }

    pub fn boot(&self) -> BootId {
        self.boot
    }

    /// Adds to the journal what the gateway decided beside the engine.
    pub fn note(&mut self, now: &Now, what: What, out: &mut Events) {
        let noted = event(now, now.mono, None, what);
        self.told.remember(std::slice::from_ref(&noted), &[]);
        out.events.push(noted);
    }

    /// One step. Decisions are added to `out`.
    pub fn step(&mut self, now: Now, input: Input<'_>, out: &mut Events) {
        let (first_event, first_row) = (out.events.len(), out.rows.len());
        // Before the input: the first sample after a step of the clock is not measured by stamps from before it.
        self.watch_clock(&now, out);
        match input {
            Input::Samples(samples) => {
                for sample in samples {
                    self.take(&now, sample, out);
                }
            }
            Input::Link(link) => self.link(&now, link, out),
            Input::Command(command) => self.command(&now, command, out),
            Input::Tick => self.tick(&now, out),
        }
        self.told.remember(&out.events[first_event..], &out.rows[first_row..]);
    }

    /// What the gateway measures about itself; shown with the next update.
    pub fn report_self(&mut self, step: Duration, restarts: u64) {
        self.counts.step_us = u64::try_from(step.as_micros()).unwrap_or(u64::MAX);
        self.counts.restarts = restarts;
    }

    /// What is known of a point as of the last step.
    pub fn reading(&self, point: PointId) -> Reading {
        let (known, slot) = (&self.known[point.index()], &self.slots[point.index()]);
        let (value, at) = match (self.plant.point(point).origin, &slot.value) {
            (Origin::Computed, _) => (known.value.map(Value::Number), known.at),
            (Origin::Polled | Origin::Published, Ok(value)) => match known.value {
                Ok(_) | Err(NoData::NotANumber) => (Ok(value.clone()), slot.at),
                Err(reason) => (Err(reason), known.at),
            },
            (Origin::Polled | Origin::Published, Err(reason)) => (Err(*reason), slot.at),
        };
        Reading { value, at, coverage: known.coverage }
    }

    /// The state of one alarm, whatever its letter; `None` when there is no such alarm.
    pub fn alarm(&self, name: &str) -> Option<AlarmView> {
        self.alarms.find(name, &self.for_rules)
    }

    /// Everything a new client needs; changes up to `seq` are in it.
    pub fn snapshot(&self, now: Now) -> Snapshot {
        Snapshot {
            schema: SCHEMA,
            boot: self.boot,
            seq: self.told.seq,
            at: now,
            site: self.site.clone(),
            plant: Arc::clone(&self.plant),
            readings: self.plant.point_ids().map(|point| self.reading(point)).collect(),
            alarms: self.alarms.views(&self.for_rules).collect(),
            links: self.links.values().cloned().collect(),
            events: self.told.journal.iter().cloned().collect(),
            ledger: self.told.ledger.values().cloned().collect(),
            health: self.health(),
        }
    }

    /// The changes since the last update, as one message.
    pub fn update(&mut self, now: Now) -> Update {
        let points = self.told.dirty.take();
        let mut changes: Vec<Change> = points
            .into_iter()
            .map(|point| Change::Reading { point, reading: self.reading(point) })
            .collect();
        changes.extend(self.alarms.changed(&self.for_rules).map(Change::Alarm));
        self.alarms.forget_changes();
        changes
            .extend(self.alarms.views(&self.for_rules).take(LIVE_OPERANDS_MAX).map(Change::Alarm));
        let links = self.told.links.take();
        changes.extend(
            links.iter().filter_map(|device| self.links.get(device)).cloned().map(Change::Link),
        );
        changes.extend(self.told.events.drain(..).map(Change::Event));
        changes.extend(self.told.rows.drain(..).map(Change::Ledger));
        changes.push(Change::Health(self.health()));
        self.told.seq += 1;
        Update { seq: self.told.seq, at: now, changes }
    }

    fn take(&mut self, now: &Now, sample: &Sample, out: &mut Events) {
        self.counts.samples += 1;
        let stamp = self.stamp(now, sample);
        if stamp.late {
            self.counts.late += 1;
        } else {
            let slot = &mut self.slots[sample.point.index()];
            slot.value.clone_from(&sample.value);
            slot.at = Some(stamp.at);
            if slot.value.is_ok() {
                slot.good_at = Some(stamp.at);
            }
            slot.source_time = stamp.source_time;
            self.told.dirty.mark(sample.point);
        }
        // The register keeps its own order.
        if let (Some(meter), Ok(value)) =
            (self.meters.of_point[sample.point.index()], &sample.value)
            && let Some(value) = value.as_number()
        {
            let mut found = Vec::new();
            let reading = RegisterSnapshot { at: stamp.at, value };
            self.ledger.observe(now, meter, reading, &mut found);
            report_registers(now, &found, out);
        }
    }

    /// S6: when the sample counts as taken, by both clocks. A time in the future is not believed, so that it cannot hold
    /// up the samples after it.
    fn stamp(&self, now: &Now, sample: &Sample) -> Stamp {
        let newest = self.slots[sample.point.index()].source_time;
        let (Some(source), Some(received)) = (sample.source_time, now.label(sample.at)) else {
            return Stamp { at: sample.at, source_time: sample.source_time, late: false };
        };
        let age = received - source;
        let source = if -age > PUBLISHED_MAX_AHEAD { received } else { source };
        let old = age.to_std().unwrap_or(Duration::ZERO);
        Stamp {
            at: sample.at - old,
            source_time: Some(source),
            late: age > PUBLISHED_MAX_AGE || newest.is_some_and(|newest| source < newest),
        }
    }

    /// A device that answers from the start is no news; one that stops, or comes back, is.
    fn link(&mut self, now: &Now, link: &LinkView, out: &mut Events) {
        self.links.insert(link.device, link.clone());
        self.told.links.mark(link.device);
        if !link.up && link.trouble.is_none() {
            // Not tried yet.
            return;
        }
        let name = Arc::clone(&self.plant.asset(link.device).name);
        let news = if link.up {
            self.told_down.remove(&name)
        } else {
            self.told_down.insert(Arc::clone(&name))
        };
        if news {
            let why = if link.up { None } else { link.trouble.clone() };
            let why = why.unwrap_or_else(|| "answers again".to_owned());
            out.events.push(event(now, now.mono, Some(name), What::Link { up: link.up, why }));
        }
    }

    /// What came of the command with this idempotency key, also in an earlier run; `None` for a new key, and for one of
    /// more than 256 commands ago.
    pub fn outcome(&self, key: &str) -> Option<&Outcome> {
        self.keys.iter().rev().find(|(kept, _)| kept == key).map(|(_, outcome)| outcome)
    }

    /// What is known of every computed point as of the last tick, for the log: in six significant digits.
    pub fn computed_samples(&self, now: Now, out: &mut Vec<Sample>) {
        for point in self.plant.point_ids() {
            if self.plant.point(point).origin == Origin::Computed {
                let value =
                    self.known[point.index()].value.map(|known| Value::Number(six_digits(known)));
                out.push(Sample { point, at: now.mono, source_time: None, value });
            }
        }
    }

    fn command(&mut self, now: &Now, command: &Command, out: &mut Events) {
        if self.outcome(&command.key).is_some() {
            return;
        }
        let (by, values) = (&command.by, &self.for_rules);
        let (alarm, done) = match &command.action {
            Action::Ack { alarm, occurrence } => {
                (alarm, self.alarms.ack(alarm, *occurrence, by, values))
            }
            Action::Reset { alarm } => (alarm, self.alarms.reset(alarm, by, values)),
        };
        let (asset, what, outcome) = match done {
            Ok(Transition { asset, moved }) => {
                (self.name(asset), What::Moved(moved), Outcome::Done)
            }
            Err(why) => {
                let (alarm, by, why) = (Arc::clone(alarm), command.by.clone(), why.to_string());
                let outcome = Outcome::Rejected { why: why.clone() };
                (None, What::Rejected { alarm, why, by }, outcome)
            }
        };
        checkpoint::remember(&mut self.keys, &command.key, outcome);
        out.events.push(event(now, now.mono, asset, what));
    }

    fn name(&self, asset: Option<AssetId>) -> Option<Arc<str>> {
        asset.map(|asset| Arc::clone(&self.plant.asset(asset).name))
    }

    fn tick(&mut self, now: &Now, out: &mut Events) {
        self.judge_freshness(now);
        for metric in &self.metrics {
            let known = metric.evaluate(&self.known, now.mono);
            let place = &mut self.known[metric.point.index()];
            if *place != known {
                *place = known;
                self.told.dirty.mark(metric.point);
            }
        }
        for (value, known) in self.for_rules.iter_mut().zip(&self.known) {
            *value = known.for_rules();
        }
        self.alarms.tick(*now, &self.for_rules, &mut self.transitions);
        for Transition { asset, moved } in self.transitions.drain(..) {
            let name = asset.map(|asset| Arc::clone(&self.plant.asset(asset).name));
            out.events.push(event(now, now.mono, name, What::Moved(moved)));
        }
        let mut found = Vec::new();
        for (meter, power) in &self.meters.with_power {
            if let Ok(power_kw) = self.known[power.index()].value {
                self.ledger.watch(now, *meter, power_kw, &mut found);
            }
        }
        for (asset, point) in &self.meters.gauges {
            self.ledger.look(now, *asset, self.known[point.index()].value.ok());
        }
        self.ledger.advance(now, &mut out.rows, &mut found);
        report_registers(now, &found, out);
        self.count_rate(now);
    }

    fn watch_clock(&mut self, now: &Now, out: &mut Events) {
        self.started.get_or_insert(now.mono);
        let trusted = now.wall.trust.is_trusted();
        if trusted {
            self.trusted = Some(*now);
        }
        let Some(before) = self.clock.replace(*now) else { return };
        let step = now.wall.utc - before.project(now.mono);
        let stepped = step.abs() > CLOCK_STEP;
        if stepped || trusted != before.wall.trust.is_trusted() {
            // Source times were taken as they came while there was nothing to hold them against.
            for slot in &mut self.slots {
                slot.source_time = None;
            }
            let step_s = if stepped { step.as_seconds_f64() } else { 0.0 };
            out.events.push(event(now, now.mono, None, What::Clock { trusted, step_s }));
        }
    }

    /// Turns what is too old, never seen or contradicted into its reason.
    fn judge_freshness(&mut self, now: &Now) {
        for (index, (slot, place)) in self.slots.iter().zip(&mut self.known).enumerate() {
            let Some(stale_after) = slot.stale_after else { continue };
            let value = match (slot.at, &slot.value) {
                (None, _) => Err(NoData::NeverSeen),
                (_, Err(reason)) => Err(*reason),
                (Some(_), Ok(_)) if slot.is_stale(now.mono, stale_after) => Err(NoData::Stale),
                (Some(_), Ok(value)) => value.as_number().ok_or(NoData::NotANumber),
            };
            // Silence before the first answer counts from the start.
            let good_at = slot.good_at.or(self.started);
            let known = Known { value, at: slot.at, good_at, coverage: None };
            if *place != known {
                *place = known;
                self.told.dirty.mark(PointId(u32::try_from(index).unwrap_or(u32::MAX)));
            }
        }
        for check in &self.checks {
            let (doubtful, contradicted) = contradiction(*check, &self.known);
            if contradicted {
                self.known[doubtful.index()].value = Err(NoData::Implausible);
                self.told.dirty.mark(doubtful);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
    fn count_rate(&mut self, now: &Now) {
        let since = self.counts.samples - self.counts.samples_at_last_tick;
        self.counts.samples_at_last_tick = self.counts.samples;
        let span_s = self
            .told
            .last_tick
            .replace(now.mono)
            .map_or(0.0, |last| now.mono.since(last).as_secs_f64());
        self.counts.samples_per_second = if span_s > 0.0 { since as f64 / span_s } else { 0.0 };
    }

    fn health(&self) -> Health {
        let (mut points, mut stale, mut bad) = (0, 0, 0);
        for (known, spec) in self.known.iter().zip(self.plant.points()) {
            if spec.origin == Origin::Computed {
                continue;
            }
            points += 1;
            match known.value {
                Ok(_) | Err(NoData::NotANumber) => {}
                Err(NoData::Stale | NoData::NeverSeen) => stale += 1,
                Err(_) => bad += 1,
            }
        }
        Health {
            points,
            stale,
            bad,
            rules: u32::try_from(self.alarms.len()).unwrap_or(u32::MAX),
            step_us: self.counts.step_us,
            samples_per_second: self.counts.samples_per_second,
            discarded: self.links.values().map(|link| link.discarded).sum(),
            restarts: self.counts.restarts,
            late: self.counts.late,
        }
    }
}

impl Meters {
    fn of(plant: &Plant) -> Self {
        let mut meters = Self {
            of_point: vec![None; plant.points().len()],
            with_power: Vec::new(),
            gauges: Vec::new(),
        };
        for meter in plant.of_kind(AssetKind::Meter) {
            let energy = plant.find_point(meter, "energy");
            if let Some(energy) = energy {
                meters.of_point[energy.index()] = Some(meter);
            }
            if let Some(power) = plant.find_point(meter, "active_power") {
                meters.with_power.push((meter, power));
                meters.gauges.extend(energy.is_none().then_some((meter, power)));
            }
        }
        for cdu in plant.of_kind(AssetKind::Cdu) {
            let heat = ["tcs.heat", "fws.heat"].map(|heat| plant.find_point(cdu, heat));
            meters.gauges.extend(heat.into_iter().flatten().next().map(|heat| (cdu, heat)));
        }
        for station in plant.of_kind(AssetKind::Weather) {
            let temperature = plant.find_point(station, "temperature");
            meters.gauges.extend(temperature.map(|temperature| (station, temperature)));
        }
        meters
    }
}

/// The reading that a check doubts, and whether the other one contradicts it.
fn contradiction(check: Check, known: &[Known]) -> (PointId, bool) {
    let value = |point: PointId| known[point.index()].value.map_or(0.0, f64::abs);
    let is_known = |point: PointId| known[point.index()].value.is_ok();
    match check {
        Check::VoltageUnderCurrent { voltage, current } => {
            let none = is_known(voltage) && value(voltage) < NO_VOLTAGE_V;
            (voltage, none && value(current) > SOME_CURRENT_A)
        }
        Check::CurrentBeyondLimit { current, limit } => {
            (limit, is_known(limit) && value(current) > CONVENTIONAL_TRIP * value(limit))
        }
    }
}

/// How often a meter's register is read: a point goes stale after three reads. `None` without a register.
fn reading_interval(plant: &Plant, meter: AssetId) -> Option<Duration> {
    plant.find_point(meter, "energy").map(|point| plant.point(point).stale_after / 3)
}

impl Told {
    fn new(plant: &Plant) -> Self {
        Self {
            seq: 0,
            dirty: Dirty::new(plant.points().len()),
            links: Dirty::new(plant.assets().len()),
            events: Vec::new(),
            rows: Vec::new(),
            journal: VecDeque::with_capacity(EVENTS_KEPT),
            ledger: BTreeMap::new(),
            last_tick: None,
        }
    }

    fn remember(&mut self, events: &[Event], rows: &[LedgerRow]) {
        for event in events {
            self.keep_event(event.clone());
        }
        self.events.extend_from_slice(events);
        for row in rows {
            self.keep_row(row);
        }
        self.rows.extend_from_slice(rows);
    }

    fn keep_event(&mut self, event: Event) {
        if self.journal.len() >= EVENTS_KEPT {
            self.journal.pop_front();
        }
        self.journal.push_back(event);
    }

    fn keep_row(&mut self, row: &LedgerRow) {
        self.ledger.insert(Arc::clone(&row.meter), row.clone());
    }

    /// Goes on counting where `before` left off. What was marked there is in the snapshot that follows.
    fn carry_over(&mut self, before: Self) {
        let Self { seq, events, rows, journal, ledger, last_tick, .. } = before;
        (self.seq, self.last_tick) = (seq, last_tick);
        (self.events, self.rows, self.journal, self.ledger) = (events, rows, journal, ledger);
    }
}

impl<Id: Copy + Into<usize>> Dirty<Id> {
    fn new(ids: usize) -> Self {
        Self { marked: vec![false; ids], ids: Vec::with_capacity(ids) }
    }

    fn mark(&mut self, id: Id) {
        if !std::mem::replace(&mut self.marked[id.into()], true) {
            self.ids.push(id);
        }
    }

    fn take(&mut self) -> Vec<Id> {
        for id in &self.ids {
            self.marked[(*id).into()] = false;
        }
        // A copy, so that the buffer keeps its room.
        let ids = self.ids.clone();
        self.ids.clear();
        ids
    }
}

fn event(now: &Now, at: Mono, asset: Option<Arc<str>>, what: What) -> Event {
    Event { at, wall: now.label(at), asset, what }
}

fn report_registers(now: &Now, found: &[RegisterEvent], out: &mut Events) {
    for register in found {
        let meter = Arc::clone(&register.meter);
        let what = What::Register { meter, what: register.flag.text().to_owned() };
        out.events.push(event(now, register.at, Some(Arc::clone(&register.meter)), what));
    }
}

/// A value in six significant decimal digits: it is computed from readings that have fewer, and what is beyond them would
/// take several times the room in log and history. Rules and the dashboard have the whole value.
fn six_digits(value: f64) -> f64 {
    format!("{value:.5e}").parse().ok().filter(|kept: &f64| kept.is_finite()).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::six_digits;

    #[test]
    fn six_digits_are_kept_at_every_size() {
        for (value, kept) in [
            (1.187_654_321, 1.187_65),
            (-0.000_123_456_78, -0.000_123_457),
            (98_765_432.1, 98_765_400.0),
            (0.3, 0.3),
            (0.0, 0.0),
            (f64::MAX, 1.797_69e308),
        ] {
            assert_eq!(six_digits(value).to_bits(), f64::to_bits(kept), "{value}");
        }
    }
}
