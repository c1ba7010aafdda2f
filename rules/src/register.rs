//! One energy register, followed from snapshot to snapshot: what it counted, and what happened to it.
//!
//! The rules are those of domain facts §8.1. A register survives gaps in communication, which integrated power does not;
//! so its difference is the energy, once rollover, reset, exchange and nonsense are told apart.
//!
//! ```text
//!            ┌ 0 ≤ Δ ≤ Emax ───────────────→ accepted (bridged when the gap was long)
//! snapshot ──┼ Δ > Emax ─→ held ─3 agree──→ accepted, suspicious
//!            ├ Δ < 0 ─┬ Δ + modulus ≤ Emax → accepted, rollover
//!            │        ├ value ≤ Emax ──────→ accepted, reset: a lower bound
//!            │        └ else ──────────────→ missing, new baseline
//!            └ Emax of the gap ≥ modulus ──→ missing, ambiguous
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    plant::Meter,
    time::{Mono, Shift},
};

/// Margin on the declared plausible maximum power.
const POWER_MARGIN: f64 = 1.2;
/// So many reads in a row must agree before a jump is believed.
const READS_THAT_AGREE: u32 = 3;
/// A gap of more than this many intervals is bridged rather than measured.
const BRIDGED_INTERVALS: u32 = 3;
/// A register that stands for less than this is never called stuck.
const STUCK_AFTER: Duration = Duration::from_mins(5);

/// What happened to a register, or to the clock while it was read; kept with the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    Rollover,
    /// Reset to zero at an unknown time: the amount is a lower bound.
    Reset,
    /// A jump that three reads agree on, or a fall that one read alone reported.
    Suspicious,
    /// Another register, or a corrupt one: no amount for that time.
    Replaced,
    Stuck,
    /// The gap was long enough for a whole turn of the register.
    Ambiguous,
    /// The two snapshots around a boundary lie more than 15 minutes apart.
    InterpolatedWide,
    /// Wall time was assigned after the fact, from the monotonic clock.
    TimeAssignedLater,
    /// The clock was plausible but not synchronised.
    Unsynchronised,
    /// The wall clock stepped back: the amount stands in the first interval that was still open.
    ClockStepped,
}

impl Flag {
    /// What an operator reads.
    pub fn text(self) -> &'static str {
        match self {
            Self::Rollover => "register rolled over",
            Self::Reset => "register was reset: the amount is a lower bound",
            Self::Suspicious => "register jumped: three reads agree",
            Self::Replaced => "register fell: exchanged or corrupt, no amount for that time",
            Self::Stuck => "register stands still under load",
            Self::Ambiguous => "gap long enough for a whole turn of the register, no amount for it",
            Self::InterpolatedWide => "snapshots around a boundary more than 15 minutes apart",
            Self::TimeAssignedLater => "wall time assigned afterwards",
            Self::Unsynchronised => "clock not synchronised",
            Self::ClockStepped => "clock stepped back",
        }
    }
}

/// What is known of the register itself. Amounts in kWh (m³ for water).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegisterLimits {
    /// Smallest change.
    pub step: f64,
    /// Where it wraps to zero.
    pub modulus: Option<f64>,
    /// In kW.
    pub max_power: f64,
    /// The register is an IEEE 754 single: its step grows with its value.
    pub float32: bool,
    /// How often it is read.
    pub interval: Duration,
}

impl RegisterLimits {
    /// Where there is no register.
    pub const NONE: Self =
        Self { step: 0.0, modulus: None, max_power: 0.0, float32: false, interval: Duration::ZERO };

    pub fn of(meter: &Meter, interval: Duration) -> Self {
        Self {
            step: meter.register_step_kwh,
            modulus: meter.register_modulus_kwh,
            max_power: meter.max_power_kw,
            float32: meter.register_float32,
            interval,
        }
    }

    /// The change that one count of the register stands for at `value`: the declared step, or one unit in the last place.
    pub fn quantum(&self, value: f64) -> f64 {
        if self.float32 { self.step.max(float32_ulp(value)) } else { self.step }
    }

    /// The most that can have flowed in `span`, with margin and two steps of rounding.
    pub(crate) fn most(&self, span: Duration, value: f64) -> f64 {
        self.max_power * span.as_secs_f64() / 3600.0 * POWER_MARGIN + 2.0 * self.quantum(value)
    }
}

/// Distance from |value| to the next larger IEEE 754 single.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the nearest single is what the register holds"
)]
fn float32_ulp(value: f64) -> f64 {
    let single = value.abs() as f32;
    f64::from(single.next_up()) - f64::from(single)
}

/// The register at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegisterSnapshot {
    pub at: Mono,
    pub value: f64,
}

/// What one snapshot adds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    pub from: RegisterSnapshot,
    pub to: RegisterSnapshot,
    pub amount: f64,
    /// The gap was long: the total is exact, the profile in it unknown.
    pub bridged: bool,
    pub flag: Option<Flag>,
}

/// What became of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// The first one: a baseline.
    First,
    /// Not newer than the last one; dropped.
    Duplicate,
    /// Too large a jump, waiting for reads that agree.
    Held,
    Accepted(Delta),
    /// No amount for the time since the last snapshot; this one is the new baseline.
    Missing(Flag),
}

/// Follows one register.
#[derive(Clone, Debug, PartialEq)]
pub struct Register {
    limits: RegisterLimits,
    seen: Seen,
}

/// What a register has shown so far; the whole of what a restart has to bring back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    baseline: Option<RegisterSnapshot>,
    last_change: Mono,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    abandoned: Option<Abandoned>,
}

impl Seen {
    /// Moves everything to the clock of another run.
    fn shift(&mut self, shift: &Shift) {
        let Self { baseline, last_change, held, abandoned } = self;
        *last_change = shift.place(*last_change);
        if let Some(baseline) = baseline {
            baseline.at = shift.place(baseline.at);
        }
        if let Some(held) = held {
            held.last.at = shift.place(held.last.at);
        }
        if let Some(abandoned) = abandoned {
            abandoned.before.at = shift.place(abandoned.before.at);
            abandoned.covered_to = shift.place(abandoned.covered_to);
        }
    }
}

/// The baseline before a fall. One corrupt read must not cost, or invent, the energy around it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Abandoned {
    before: RegisterSnapshot,
    /// Up to where an amount was already given, and how much.
    covered_to: Mono,
    credited: f64,
}

/// Reads that lie too far above the baseline to be believed at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Held {
    last: RegisterSnapshot,
    reads: u32,
}

impl Register {
    pub fn new(limits: RegisterLimits) -> Self {
        Self { limits, seen: Seen::default() }
    }

    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Goes on from what was seen in an earlier run, or under other limits.
    pub fn resume(&mut self, seen: Seen) {
        self.seen = seen;
    }

    /// Moves what was seen to the clock of another run.
    pub fn shift(&mut self, shift: &Shift) {
        self.seen.shift(shift);
    }

    pub fn limits(&self) -> &RegisterLimits {
        &self.limits
    }

    /// The last believed snapshot.
    pub fn baseline(&self) -> Option<RegisterSnapshot> {
        self.seen.baseline
    }

    /// Goes on from a snapshot whatever was seen before it.
    pub fn rebase(&mut self, cur: RegisterSnapshot) {
        self.seen.baseline = Some(cur);
        self.seen.held = None;
        self.seen.abandoned = None;
    }

    /// Takes the next snapshot. `value` is finite: the codec sees to that.
    pub fn observe(&mut self, at: Mono, value: f64) -> Step {
        let cur = RegisterSnapshot { at, value };
        let Some(prev) = self.seen.baseline else {
            self.rebase(cur);
            self.seen.last_change = at;
            return Step::First;
        };
        if at <= prev.at {
            return Step::Duplicate;
        }
        let gap = at.since(prev.at);
        if self.limits.modulus.is_some_and(|modulus| self.limits.most(gap, value) >= modulus) {
            self.rebase(cur);
            self.seen.last_change = at;
            return Step::Missing(Flag::Ambiguous);
        }
        let most = self.limits.most(at.since(self.seen.last_change).max(gap), value);
        let delta = value - prev.value;
        if delta < 0.0 {
            return self.fell(prev, cur, most);
        }
        if delta <= most {
            return self.accept(prev, cur, delta, None);
        }
        if let Some(resumed) = self.resume_abandoned(cur) {
            return resumed;
        }
        self.hold(prev, cur)
    }

    /// True when the register has stood still longer than a load of `power_kw` explains (§8.1, catalog `meter.stuck`).
    pub fn is_stuck(&self, now: Mono, power_kw: f64) -> bool {
        let Some(baseline) = self.seen.baseline else { return false };
        if power_kw <= 0.05 * self.limits.max_power {
            return false;
        }
        let three_steps_s = 3.0 * self.limits.quantum(baseline.value) / power_kw * 3600.0;
        // Only while it is being read: silence has an alarm of its own.
        baseline.at.since(self.seen.last_change).as_secs_f64()
            > three_steps_s.max(STUCK_AFTER.as_secs_f64())
            && now.since(baseline.at) <= self.limits.interval * BRIDGED_INTERVALS
    }

    fn fell(&mut self, prev: RegisterSnapshot, cur: RegisterSnapshot, most: f64) -> Step {
        if let Some(modulus) = self.limits.modulus {
            let wrapped = cur.value - prev.value + modulus;
            if (0.0..=most).contains(&wrapped) {
                return self.accept(prev, cur, wrapped, Some(Flag::Rollover));
            }
        }
        if (0.0..=most).contains(&cur.value) {
            let step = self.accept(prev, cur, cur.value, Some(Flag::Reset));
            self.seen.abandoned =
                Some(Abandoned { before: prev, covered_to: cur.at, credited: cur.value });
            return step;
        }
        self.rebase(cur);
        self.seen.last_change = cur.at;
        self.seen.abandoned = Some(Abandoned { before: prev, covered_to: prev.at, credited: 0.0 });
        Step::Missing(Flag::Replaced)
    }

    /// A fall that lasted one read was a corrupt read, not an exchange: go on from the baseline before it.
    fn resume_abandoned(&mut self, cur: RegisterSnapshot) -> Option<Step> {
        let Abandoned { before, covered_to, credited } = self.seen.abandoned?;
        let delta = cur.value - before.value;
        if delta < credited || delta > self.limits.most(cur.at.since(before.at), cur.value) {
            return None;
        }
        let from = RegisterSnapshot { at: covered_to, value: before.value };
        Some(self.accept(from, cur, delta - credited, Some(Flag::Suspicious)))
    }

    fn hold(&mut self, prev: RegisterSnapshot, cur: RegisterSnapshot) -> Step {
        let reads = match self.seen.held {
            Some(held) if self.agrees(held.last, cur) => held.reads + 1,
            _ => 1,
        };
        if reads >= READS_THAT_AGREE {
            return self.accept(prev, cur, cur.value - prev.value, Some(Flag::Suspicious));
        }
        self.seen.held = Some(Held { last: cur, reads });
        Step::Held
    }

    fn agrees(&self, before: RegisterSnapshot, cur: RegisterSnapshot) -> bool {
        (0.0..=self.limits.most(cur.at.since(before.at), cur.value))
            .contains(&(cur.value - before.value))
    }

    fn accept(
        &mut self,
        from: RegisterSnapshot,
        to: RegisterSnapshot,
        amount: f64,
        flag: Option<Flag>,
    ) -> Step {
        let bridged = to.at.since(from.at) > self.limits.interval * BRIDGED_INTERVALS;
        if amount > 0.0 || flag.is_some() {
            self.seen.last_change = to.at;
        }
        self.rebase(to);
        Step::Accepted(Delta { from, to, amount, bridged, flag })
    }
}
