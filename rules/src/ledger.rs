//! Interval energies per meter: register differences cut at the quarter-hours of UTC.
//!
//! A boundary between two snapshots is interpolated linearly and both snapshots are kept (domain facts §8.1). While wall
//! time is not trusted nothing is attributed: differences wait on the monotonic clock, and get their wall time
//! afterwards. Nothing measured is lost, and no interval gets energy of another time.
//!
//! A restart is a gap like any other: the register's difference over it is the energy, and the gap is as long as the wall
//! clocks say. Until the new run can trust its own, the accounts of the earlier one stay on the clock of that run, and
//! what registers show meanwhile is kept beside them.

mod resume;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    plant::{AssetId, Detail, Plant},
    register::{Delta, Flag, Register, RegisterLimits, RegisterSnapshot, Step},
    time::{Mono, Now, Shift, Trust},
};

pub use self::resume::SavedAccount;

/// Length of a ledger interval.
pub const INTERVAL: TimeDelta = TimeDelta::minutes(15);
/// Differences that wait for a trusted clock, per meter. Beyond it neighbours are merged: the total stays exact, only
/// the profile gets coarser. 4096 differences are 68 minutes at one a second.
const WAITING_MAX: usize = 4096;

/// Energy of one meter over one 15-minute interval `[start, start + 15 min)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// By name, because a row outlives the plant that it was measured in.
    pub meter: Arc<str>,
    pub start: DateTime<Utc>,
    /// In kWh for energy; in m³ for a water meter. `None` when no part of the interval was measured.
    pub amount: Option<f64>,
    pub method: Method,
    /// Share of the interval that the amount stands for, 0 to 1.
    pub coverage: f64,
    /// Sorted, each once.
    pub flags: Vec<Flag>,
    /// The register at the two snapshots that enclose the covered part of the interval.
    pub first: Option<RegisterReading>,
    pub last: Option<RegisterReading>,
}

/// How the amount of an interval was found. Worst of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Difference of register readings.
    Register,
    /// Difference across a gap: the total is exact, the profile within it is not known.
    Bridged,
    /// No amount is claimed.
    Missing,
}

/// One register snapshot with its wall time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegisterReading {
    pub at: DateTime<Utc>,
    pub value: f64,
}

/// What the ledger found out about a register, for the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisterEvent {
    pub meter: Arc<str>,
    pub at: Mono,
    pub flag: Flag,
}

/// The ledger of all meters, in memory.
#[derive(Clone, Debug)]
pub struct Ledger {
    accounts: BTreeMap<AssetId, Account>,
}

/// One meter's register, what waits for a trusted clock, and its open intervals.
#[derive(Clone, Debug)]
struct Account {
    meter: Arc<str>,
    register: Register,
    /// Register, differences and `accounted_to` are still on the clock of an earlier run.
    aside: Option<Aside>,
    waiting: VecDeque<Waiting>,
    /// Open intervals by start. Mostly one; a bridged gap fills several at once.
    open: BTreeMap<DateTime<Utc>, LedgerRow>,
    /// Up to here time has been accounted for, on both clocks. An earlier wall time is never attributed again.
    accounted_to: Option<(Mono, DateTime<Utc>)>,
    /// Differences came in while wall time was not trusted.
    waited: bool,
    stuck: bool,
}

/// An account that waits for a trusted clock to be brought over from an earlier run.
#[derive(Clone, Debug)]
struct Aside {
    /// An instant of the earlier run on both its clocks, wall time trusted.
    clock: Now,
    /// When this run took over.
    resumed: Mono,
    /// What the register showed in this run, newest last.
    early: VecDeque<RegisterSnapshot>,
}

/// Something that happened on the monotonic clock and has no wall time yet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Waiting {
    Measured(Delta),
    /// No amount for this span.
    Lost {
        from: Mono,
        to: Mono,
        flag: Flag,
    },
}

impl Ledger {
    /// One account for each meter of the plant. `interval_of` tells how often a meter is read.
    pub fn new(plant: &Plant, interval_of: impl Fn(AssetId) -> Duration) -> Self {
        let mut accounts = BTreeMap::new();
        for (index, asset) in (0_u32..).zip(plant.assets()) {
            if let Detail::Meter(meter) = &asset.detail {
                let id = AssetId(index);
                accounts.insert(
                    id,
                    Account::new(
                        Arc::clone(&asset.name),
                        Register::new(RegisterLimits::of(meter, interval_of(id))),
                    ),
                );
            }
        }
        Self { accounts }
    }

    /// Takes a register value, in the meter's unit, read at `at`. Closed intervals go to `rows`.
    pub fn observe(
        &mut self,
        now: &Now,
        meter: AssetId,
        reading: RegisterSnapshot,
        rows: &mut Vec<LedgerRow>,
        events: &mut Vec<RegisterEvent>,
    ) {
        let Some(account) = self.accounts.get_mut(&meter) else { return };
        account.rejoin(now, events);
        if let Some(aside) = &mut account.aside {
            aside.keep(reading);
        } else if account.take(reading, events) {
            account.attribute(now, rows);
        }
    }

    /// Marks a register that stands still under load; `power_kw` is the meter's own reading. Reported once per standstill.
    pub fn watch(
        &mut self,
        now: &Now,
        meter: AssetId,
        power_kw: f64,
        events: &mut Vec<RegisterEvent>,
    ) {
        let Some(account) = self.accounts.get_mut(&meter) else { return };
        if account.aside.is_some() {
            // What the register showed is on another clock.
            return;
        }
        let stuck = account.register.is_stuck(now.mono, power_kw);
        if stuck && !account.stuck {
            events.push(RegisterEvent {
                meter: Arc::clone(&account.meter),
                at: now.mono,
                flag: Flag::Stuck,
            });
        }
        if stuck && let Some(mut entry) = account.open.last_entry() {
            set_flag(&mut entry.get_mut().flags, Flag::Stuck);
        }
        account.stuck = stuck;
    }

    /// Attributes what waited, as soon as wall time is trusted. Call it once a tick.
    pub fn advance(
        &mut self,
        now: &Now,
        rows: &mut Vec<LedgerRow>,
        events: &mut Vec<RegisterEvent>,
    ) {
        for account in self.accounts.values_mut() {
            account.rejoin(now, events);
            account.attribute(now, rows);
        }
    }

    /// The names of all meters.
    pub fn meters(&self) -> impl Iterator<Item = &Arc<str>> {
        self.accounts.values().map(|account| &account.meter)
    }

    /// What a later run needs to go on.
    pub fn saved(&self) -> BTreeMap<Arc<str>, SavedAccount> {
        self.accounts
            .values()
            .filter_map(|account| Some((Arc::clone(&account.meter), account.saved()?)))
            .collect()
    }

    /// Goes on from an earlier run. `clock` is an instant of that run with trusted wall time; without one its accounts
    /// have no place in time and are given up. `closed` are the rows, oldest first, that were closed after `accounts`
    /// were saved. Meters that are no more stay behind in both.
    pub fn resume(
        &mut self,
        now: &Now,
        clock: Option<Now>,
        accounts: &mut BTreeMap<Arc<str>, SavedAccount>,
        closed: &mut BTreeMap<Arc<str>, Vec<LedgerRow>>,
    ) {
        for account in self.accounts.values_mut() {
            let saved = accounts.remove(&account.meter);
            let rows = closed.remove(&account.meter).unwrap_or_default();
            account.resume(now, clock, saved, &rows);
        }
    }

    /// Takes over the accounts of the meters that `before`, of the same run, has too.
    pub fn carry_over(&mut self, before: &Self) {
        let by_name: BTreeMap<_, _> =
            before.accounts.values().map(|account| (&account.meter, account)).collect();
        for account in self.accounts.values_mut() {
            let Some(before) = by_name.get(&account.meter) else { continue };
            let limits = *account.register.limits();
            *account = Account { register: Register::new(limits), ..(*before).clone() };
            account.register.resume(before.register.seen().clone());
        }
    }

    /// The intervals that are not complete yet, as they stand.
    pub fn open(&self) -> impl Iterator<Item = &LedgerRow> {
        self.accounts.values().flat_map(|account| account.open.values())
    }

    /// How many differences wait for a trusted clock.
    pub fn waiting(&self) -> usize {
        self.accounts.values().map(|account| account.waiting.len()).sum()
    }
}

impl Aside {
    /// Bounded like what waits for a trusted clock: from a register that rises, one of two neighbours may go without loss.
    fn keep(&mut self, reading: RegisterSnapshot) {
        if self.early.len() >= WAITING_MAX {
            let all = std::mem::take(&mut self.early);
            let mut odd = false;
            self.early.extend(all.into_iter().filter(|_| {
                odd = !odd;
                odd
            }));
        }
        self.early.push_back(reading);
    }
}

impl Waiting {
    fn shift(&mut self, shift: &Shift) {
        match self {
            Self::Measured(delta) => {
                delta.from.at = shift.place(delta.from.at);
                delta.to.at = shift.place(delta.to.at);
            }
            Self::Lost { from, to, .. } => {
                *from = shift.place(*from);
                *to = shift.place(*to);
            }
        }
    }

    fn flag(&self) -> Option<Flag> {
        match self {
            Self::Measured(delta) => delta.flag,
            Self::Lost { flag, .. } => Some(*flag),
        }
    }

    /// Two plain neighbours as one, with the same total.
    fn joined(first: &Self, second: &Self) -> Option<Self> {
        match (first, second) {
            (Self::Measured(a), Self::Measured(b)) if a.flag.is_none() && b.flag.is_none() => {
                Some(Self::Measured(Delta {
                    from: a.from,
                    to: b.to,
                    amount: a.amount + b.amount,
                    bridged: a.bridged || b.bridged,
                    flag: None,
                }))
            }
            (Self::Measured(_) | Self::Lost { .. }, _) => None,
        }
    }
}

impl Account {
    fn new(meter: Arc<str>, register: Register) -> Self {
        Self {
            meter,
            register,
            aside: None,
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
            accounted_to: None,
            waited: false,
            stuck: false,
        }
    }

    /// Follows the register; true when there is something to attribute.
    fn take(&mut self, reading: RegisterSnapshot, events: &mut Vec<RegisterEvent>) -> bool {
        let before = self.register.baseline();
        let found = match self.register.observe(reading.at, reading.value) {
            Step::First | Step::Duplicate | Step::Held => return false,
            Step::Accepted(delta) => Waiting::Measured(delta),
            Step::Missing(flag) => {
                let from = before.map_or(reading.at, |before| before.at);
                Waiting::Lost { from, to: reading.at, flag }
            }
        };
        if let Some(flag) = found.flag() {
            events.push(RegisterEvent { meter: Arc::clone(&self.meter), at: reading.at, flag });
        }
        self.wait(found);
        true
    }

    fn wait(&mut self, found: Waiting) {
        if self.waiting.len() >= WAITING_MAX {
            let mut merged = VecDeque::with_capacity(WAITING_MAX / 2 + 1);
            while let Some(first) = self.waiting.pop_front() {
                match self.waiting.front().and_then(|second| Waiting::joined(&first, second)) {
                    Some(pair) => {
                        self.waiting.pop_front();
                        merged.push_back(pair);
                    }
                    None => merged.push_back(first),
                }
            }
            self.waiting = merged;
        }
        self.waiting.push_back(found);
    }

    fn attribute(&mut self, now: &Now, rows: &mut Vec<LedgerRow>) {
        // What an earlier run left open closes with the first that this run adds.
        while self.attribute_next(now) {
            self.close(rows);
        }
    }

    /// False when nothing waits, or has to go on waiting.
    fn attribute_next(&mut self, now: &Now) -> bool {
        if !now.wall.trust.is_trusted() {
            self.waited = true;
            return false;
        }
        let Some(found) = self.waiting.pop_front() else {
            self.waited = false;
            return false;
        };
        let mut flags: Vec<Flag> = found.flag().into_iter().collect();
        if self.waited {
            flags.push(Flag::TimeAssignedLater);
        }
        if now.wall.trust == Trust::Unsynchronised {
            flags.push(Flag::Unsynchronised);
        }
        match found {
            Waiting::Measured(delta) => self.spread(now, &delta, flags),
            Waiting::Lost { from, to, .. } => self.mark_lost(now, (from, to), flags),
        }
        true
    }

    /// Brings the account over from the clock of an earlier run, once wall time is trusted: the gap between the runs is as
    /// long as it really was.
    fn rejoin(&mut self, now: &Now, events: &mut Vec<RegisterEvent>) {
        let Some(aside) = &self.aside else { return };
        let Some(shift) = Shift::by_wall(&aside.clock, now, aside.resumed) else { return };
        self.register.shift(&shift);
        for found in &mut self.waiting {
            found.shift(&shift);
        }
        if let Some((at, _)) = &mut self.accounted_to {
            *at = shift.place(*at);
        }
        let early = self.aside.take().map(|aside| aside.early).unwrap_or_default();
        self.waited |= !early.is_empty();
        for reading in early {
            self.take(reading, events);
        }
    }

    /// Gives each interval its share of a difference, in proportion to time.
    fn spread(&mut self, now: &Now, delta: &Delta, mut flags: Vec<Flag>) {
        let first = RegisterReading { at: wall_time(now, delta.from.at), value: delta.from.value };
        let last = RegisterReading { at: wall_time(now, delta.to.at), value: delta.to.value };
        let (from, to) = self.clamped(now, (delta.from.at, delta.to.at), &mut flags);
        let span_s = seconds(to - from);
        if last.at - first.at > INTERVAL {
            flags.push(Flag::InterpolatedWide);
        }
        for (start, part_from, part_to) in intervals(from, to) {
            let part_s = seconds(part_to - part_from);
            let share = if span_s > 0.0 { part_s / span_s } else { 1.0 };
            let row = self.row(start);
            row.amount = Some(row.amount.unwrap_or(0.0) + delta.amount * share);
            row.coverage = (row.coverage + part_s / seconds(INTERVAL)).min(1.0);
            let method = if delta.bridged { Method::Bridged } else { Method::Register };
            row.method =
                if row.method == Method::Missing { method } else { row.method.max(method) };
            row.first.get_or_insert(first);
            row.last = Some(last);
            for flag in &flags {
                set_flag(&mut row.flags, *flag);
            }
        }
        self.accounted_to = Some((delta.to.at, to));
    }

    fn mark_lost(&mut self, now: &Now, span: (Mono, Mono), mut flags: Vec<Flag>) {
        let (from, to) = self.clamped(now, span, &mut flags);
        for (start, _, _) in intervals(from, to) {
            let row = self.row(start);
            for flag in &flags {
                set_flag(&mut row.flags, *flag);
            }
        }
        self.accounted_to = Some((span.1, to));
    }

    /// The wall time of a span.
    ///
    /// Keeps a span from reaching back into time that is already accounted for: after a backward step of the clock what was
    /// attributed first stays, and new amounts go to the first open moment.
    fn clamped(
        &self,
        now: &Now,
        span: (Mono, Mono),
        flags: &mut Vec<Flag>,
    ) -> (DateTime<Utc>, DateTime<Utc>) {
        // The projection of one instant wobbles with the clock's slewing; only more than this is a step.
        const WOBBLE: TimeDelta = TimeDelta::seconds(1);
        let (from, to) = (wall_time(now, span.0), wall_time(now, span.1));
        let Some((floor_mono, floor)) = self.accounted_to else { return (from, to) };
        if floor - from > WOBBLE {
            flags.push(Flag::ClockStepped);
        }
        let follows_on = span.0 == floor_mono && (from - floor).abs() <= WOBBLE;
        (if follows_on { floor } else { from.max(floor) }, to.max(floor))
    }

    fn row(&mut self, start: DateTime<Utc>) -> &mut LedgerRow {
        let meter = &self.meter;
        self.open.entry(start).or_insert_with(|| LedgerRow {
            meter: Arc::clone(meter),
            start,
            amount: None,
            method: Method::Missing,
            coverage: 0.0,
            flags: Vec::new(),
            first: None,
            last: None,
        })
    }

    /// Hands over the intervals that lie wholly in accounted time.
    fn close(&mut self, rows: &mut Vec<LedgerRow>) {
        let Some((_, to)) = self.accounted_to else { return };
        while let Some(entry) = self.open.first_entry() {
            if *entry.key() + INTERVAL > to {
                break;
            }
            let mut row = entry.remove();
            // Sums of shares carry rounding; a full interval is full.
            if row.coverage > 1.0 - 1e-9 {
                row.coverage = 1.0;
            }
            rows.push(row);
        }
    }
}

fn set_flag(flags: &mut Vec<Flag>, flag: Flag) {
    if let Err(place) = flags.binary_search(&flag) {
        flags.insert(place, flag);
    }
}

#[expect(clippy::cast_precision_loss, reason = "spans of days in microseconds are far below 2^53")]
fn seconds(span: TimeDelta) -> f64 {
    span.num_microseconds().unwrap_or(i64::MAX) as f64 / 1e6
}

/// The wall time of an instant, to the millisecond. The two clocks are read one after the other, so what is finer than
/// that is noise: it would put a reading of the full hour before or behind the hour.
fn wall_time(now: &Now, at: Mono) -> DateTime<Utc> {
    let exact = now.project(at);
    let into_ms = i64::from(exact.timestamp_subsec_nanos() % 1_000_000);
    let down = exact - TimeDelta::nanoseconds(into_ms);
    if into_ms < 500_000 { down } else { down + TimeDelta::milliseconds(1) }
}

/// The quarter-hour that holds `at`.
pub fn interval_start(at: DateTime<Utc>) -> DateTime<Utc> {
    let into = at.timestamp_micros().rem_euclid(INTERVAL.num_microseconds().unwrap_or(1));
    at - TimeDelta::microseconds(into)
        - TimeDelta::nanoseconds(i64::from(at.timestamp_subsec_nanos() % 1000))
}

/// The quarter-hours that `[from, to]` touches, each with the part that lies in it. An empty span touches one.
fn intervals(
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> impl Iterator<Item = (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>)> {
    let mut next = Some(from);
    std::iter::from_fn(move || {
        let part_from = next?;
        let start = interval_start(part_from);
        let part_to = (start + INTERVAL).min(to);
        next = (part_to < to).then_some(part_to);
        Some((start, part_from, part_to))
    })
}
