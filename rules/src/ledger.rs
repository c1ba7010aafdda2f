//! Interval energies per meter: register differences cut at the quarter-hours of UTC.
//!
//! Where there is no register the power is integrated, and so is the heat of a CDU. Of a weather station the mean
//! temperature is kept. All of these are accounts here, each with a row for every quarter-hour.
//!
//! The rows of one quarter-hour leave together, as a page: when every account that is being read has its row, or
//! [`PAGE_WAITS`] after the first of them. Rows that come later are pages of their own.
//!
//! A boundary between two snapshots is interpolated linearly and both snapshots are kept (domain facts §8.1). While wall
//! time is not trusted nothing is attributed: differences wait on the monotonic clock, and get their wall time
//! afterwards. Nothing measured is lost, and no interval gets energy of another time.
//!
//! A restart is a gap like any other: the register's difference over it is the energy, and the gap is as long as the wall
//! clocks say. Until the new run can trust its own, the accounts of the earlier one stay on the clock of that run, and
//! what registers show meanwhile is kept beside them.

mod hours;
mod resume;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    plant::{AssetId, AssetKind, Detail, Plant},
    register::{Delta, Flag, Register, RegisterLimits, RegisterSnapshot, Step},
    time::{Mono, Now, Shift, Trust},
    uncertainty,
};

pub use self::{hours::hours, resume::SavedAccount};

/// Length of a ledger interval.
pub const INTERVAL: TimeDelta = TimeDelta::minutes(15);
/// A page does not wait longer than this for accounts that have no row yet.
pub const PAGE_WAITS: Duration = Duration::from_mins(5);
/// Amounts are kept in so many parts of their unit: far finer than any register, and short to write.
const AMOUNT_PARTS: f64 = 1e6;
/// Between two looks at a gauge more time than this is not integrated over.
const GAUGE_GAP_MAX: Duration = Duration::from_mins(15);
/// Differences that wait for a trusted clock, per meter. Beyond it neighbours are merged: the total stays exact, only
/// the profile gets coarser. 4096 differences are 68 minutes at one a second.
const WAITING_MAX: usize = 4096;

/// What one account has for one 15-minute interval `[start, start + 15 min)`: the energy of a meter or the heat of a CDU
/// in kWh, the water of a meter in m³, the mean temperature of a weather station in °C.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// By name, because a row outlives the plant that it was measured in.
    pub meter: Arc<str>,
    pub start: DateTime<Utc>,
    /// `None` when no part of the interval was measured. To a millionth of the unit.
    pub amount: Option<f64>,
    pub method: Method,
    /// Share of the interval that the amount stands for, 0 to 1.
    pub coverage: f64,
    /// Sorted, each once.
    pub flags: Vec<Flag>,
    /// Standard uncertainty of the amount, in its unit: class of meter and transformers, register steps, wide
    /// interpolation. `None` where the class is not declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<f64>,
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
    /// Power over time, where there is no register.
    Integrated,
    /// From what other meters or other days show. No measurement.
    Estimated,
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
    /// Since when some account has a row that the page of its quarter-hour waits with.
    page_waits: Option<Mono>,
}

/// What an account is fed with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    /// A register that counts.
    Register,
    /// A power, over hours, with its last look.
    Integral(Look),
    /// A temperature, of which the mean is kept.
    Mean(Look),
}

/// The last look at a gauge: when, and what it showed, where that was known.
type Look = Option<(Mono, Option<f64>)>;

/// One meter's register, what waits for a trusted clock, and its open intervals.
#[derive(Clone, Debug)]
struct Account {
    meter: Arc<str>,
    source: Source,
    /// Relative standard uncertainty from classes.
    class: Option<f64>,
    register: Register,
    /// Register, differences and `accounted_to` are still on the clock of an earlier run.
    aside: Option<Aside>,
    waiting: VecDeque<Waiting>,
    /// What rounding took from the last closed interval: it goes to the next one, so that sums stay exact.
    carried: f64,
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flag: Option<Flag>,
    },
}

/// What has a row for every quarter-hour: meters, CDUs and weather stations, in the order of the plant.
pub fn accounts_of(plant: &Plant) -> impl Iterator<Item = AssetId> + '_ {
    (0_u32..).zip(plant.assets()).filter_map(|(index, asset)| {
        matches!(asset.kind, AssetKind::Meter | AssetKind::Cdu | AssetKind::Weather)
            .then_some(AssetId(index))
    })
}

impl Ledger {
    /// One account for each meter, each CDU whose heat is known and each weather station of the plant. `interval_of`
    /// tells how often a meter's register is read; `None`: it has none, so its power is integrated.
    pub fn new(plant: &Plant, interval_of: impl Fn(AssetId) -> Option<Duration>) -> Self {
        let mut accounts = BTreeMap::new();
        for id in accounts_of(plant) {
            let asset = plant.asset(id);
            let source = if asset.kind == AssetKind::Weather {
                Source::Mean(None)
            } else if interval_of(id).is_some() {
                Source::Register
            } else {
                Source::Integral(None)
            };
            let (limits, class) = match &asset.detail {
                Detail::Meter(meter) => {
                    let interval = interval_of(id).unwrap_or_default();
                    (RegisterLimits::of(meter, interval), uncertainty::of_meter(meter))
                }
                Detail::None
                | Detail::Site(_)
                | Detail::Room(_)
                | Detail::Rack(_)
                | Detail::Loop(_)
                | Detail::Cdu(_)
                | Detail::Device(_) => (RegisterLimits::NONE, None),
            };
            let register = Register::new(limits);
            accounts.insert(id, Account::new(Arc::clone(&asset.name), source, class, register));
        }
        Self { accounts, page_waits: None }
    }

    /// Takes a register value, in the meter's unit, read at `at`.
    pub fn observe(
        &mut self,
        now: &Now,
        meter: AssetId,
        reading: RegisterSnapshot,
        events: &mut Vec<RegisterEvent>,
    ) {
        let Some(account) = self.accounts.get_mut(&meter) else { return };
        account.rejoin(now, events);
        if let Some(aside) = &mut account.aside {
            aside.keep(reading);
        } else if account.take(reading, events) {
            account.attribute(now);
        }
    }

    /// Looks at a power, a heat flow or a temperature, in kW or °C; `None`: it is not known. Call it once a tick for every
    /// account without a register.
    pub fn look(&mut self, now: &Now, asset: AssetId, value: Option<f64>) {
        let Some(account) = self.accounts.get_mut(&asset) else { return };
        account.rejoin(now, &mut Vec::new());
        if account.aside.is_none() && account.look(now.mono, value) {
            account.attribute(now);
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

    /// Attributes what waited, as soon as wall time is trusted, and closes the pages that are due: rows by start, then
    /// account. Call it once a tick.
    pub fn advance(
        &mut self,
        now: &Now,
        rows: &mut Vec<LedgerRow>,
        events: &mut Vec<RegisterEvent>,
    ) {
        for account in self.accounts.values_mut() {
            account.rejoin(now, events);
            account.attribute(now);
        }
        while let Some(start) = self.due_page(now) {
            rows.extend(self.accounts.values_mut().filter_map(|account| account.close(start)));
        }
    }

    /// The first quarter-hour that some account has in full, if its page need not wait any longer.
    fn due_page(&mut self, now: &Now) -> Option<DateTime<Utc>> {
        let Some(start) = self.accounts.values().filter_map(Account::first_complete).min() else {
            self.page_waits = None;
            return None;
        };
        let waited = now.mono.since(*self.page_waits.get_or_insert(now.mono)) >= PAGE_WAITS;
        let behind =
            |account: &Account| account.accounted_to.is_some_and(|(_, to)| to < start + INTERVAL);
        (waited || !self.accounts.values().any(behind)).then_some(start)
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
            let (limits, source, class) =
                (*account.register.limits(), account.source, account.class);
            *account =
                Account { source, class, register: Register::new(limits), ..(*before).clone() };
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
            Self::Lost { flag, .. } => *flag,
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
    fn new(meter: Arc<str>, source: Source, class: Option<f64>, register: Register) -> Self {
        Self {
            meter,
            source,
            class,
            register,
            aside: None,
            waiting: VecDeque::new(),
            carried: 0.0,
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
                Waiting::Lost { from, to: reading.at, flag: Some(flag) }
            }
        };
        if let Some(flag) = found.flag() {
            events.push(RegisterEvent { meter: Arc::clone(&self.meter), at: reading.at, flag });
        }
        self.wait(found);
        true
    }

    /// Integrates from the last look on; true when there is something to attribute.
    fn look(&mut self, at: Mono, value: Option<f64>) -> bool {
        let (Source::Integral(look) | Source::Mean(look)) = &mut self.source else { return false };
        let Some((from, before)) = look.replace((at, value)) else { return false };
        let span = at.since(from);
        if span.is_zero() {
            return false;
        }
        let known = before.zip(value).filter(|_| span <= GAUGE_GAP_MAX);
        let found = match known {
            Some((before, value)) => Waiting::Measured(Delta {
                from: RegisterSnapshot { at: from, value: before },
                to: RegisterSnapshot { at, value },
                amount: f64::midpoint(before, value) * span.as_secs_f64() / 3600.0,
                bridged: false,
                flag: None,
            }),
            None => Waiting::Lost { from, to: at, flag: None },
        };
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

    fn attribute(&mut self, now: &Now) {
        while self.attribute_next(now) {}
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
        let wide = last.at - first.at > INTERVAL && self.source == Source::Register;
        if wide {
            flags.push(Flag::InterpolatedWide);
        }
        let method = match self.source {
            Source::Register if delta.bridged => Method::Bridged,
            Source::Register => Method::Register,
            Source::Integral(_) | Source::Mean(_) => Method::Integrated,
        };
        for (start, part_from, part_to) in intervals(from, to) {
            let part_s = seconds(part_to - part_from);
            let share = if span_s > 0.0 { part_s / span_s } else { 1.0 };
            let row = self.row(start);
            row.amount = Some(row.amount.unwrap_or(0.0) + delta.amount * share);
            row.coverage = (row.coverage + part_s / seconds(INTERVAL)).min(1.0);
            row.method =
                if row.method == Method::Missing { method } else { row.method.max(method) };
            if method != Method::Integrated {
                row.first.get_or_insert(first);
                row.last = Some(last);
            }
            if wide {
                let before = row.uncertainty.unwrap_or(0.0);
                row.uncertainty = Some(before.hypot(uncertainty::of_wide_cut(delta.amount)));
            }
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
            uncertainty: None,
            first: None,
            last: None,
        })
    }

    /// The first open interval, if it lies wholly in accounted time.
    fn first_complete(&self) -> Option<DateTime<Utc>> {
        let (start, (_, to)) = (*self.open.first_key_value()?.0, self.accounted_to?);
        (start + INTERVAL <= to).then_some(start)
    }

    /// Hands over the interval that begins at `start`, if it is complete.
    fn close(&mut self, start: DateTime<Utc>) -> Option<LedgerRow> {
        let mut row = self.open.remove(&self.first_complete().filter(|first| *first == start)?)?;
        // Sums of shares carry rounding; a full interval is full.
        if row.coverage > 1.0 - 1e-9 {
            row.coverage = 1.0;
        }
        row.coverage = (row.coverage * 1e9).round() / 1e9;
        let rounded = |amount: f64| (amount * AMOUNT_PARTS).round() / AMOUNT_PARTS;
        if let Some(amount) = &mut row.amount {
            if let Source::Mean(_) = self.source {
                *amount = rounded(*amount / (row.coverage * seconds(INTERVAL) / 3600.0));
            } else {
                let exact = *amount + self.carried;
                // Never a negative zero.
                *amount = rounded(exact) + 0.0;
                self.carried = exact - *amount;
            }
        }
        row.uncertainty = self.uncertainty(&row);
        Some(row)
    }

    /// Of a row whose own figure is what wide interpolation adds.
    fn uncertainty(&self, row: &LedgerRow) -> Option<f64> {
        let (amount, class) = (row.amount?, self.class?);
        let steps = match row.last {
            Some(last) => uncertainty::of_steps(self.register.limits().quantum(last.value)),
            None => 0.0,
        };
        let standard = (amount * class).hypot(steps).hypot(row.uncertainty.unwrap_or(0.0));
        Some(three_digits(standard))
    }
}

/// An uncertainty has no more digits that mean something.
fn three_digits(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 0.0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the power of ten of a double")]
    let digits = 2 - value.log10().floor() as i32;
    let scale = 10_f64.powi(digits.min(15));
    (value * scale).round() / scale
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
