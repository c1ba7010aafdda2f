//! Three-phase figures, breaker load and what is left when one of two feeds fails.

use crate::{
    measures::{Amperes, Kilovars, KilovoltAmperes, Kilowatts, Measure, Percent, Ratio, Volts},
    value::Undefined,
};

/// Below this share of the rated current, current unbalance says nothing.
const UNBALANCE_LOAD_FLOOR: f64 = 0.1;

/// Load that a standard breaker may carry for three hours and more (NEC).
pub const CONTINUOUS_FACTOR: f64 = 0.8;

/// A balanced three-phase load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Balanced {
    pub line_to_line: Volts,
    pub current: Amperes,
    pub power_factor: Ratio,
}

/// Apparent, active and reactive power.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power {
    pub apparent: KilovoltAmperes,
    pub active: Kilowatts,
    pub reactive: Kilovars,
}

impl Balanced {
    /// S = √3·V·I, P = S·PF, Q = √(S² − P²).
    pub fn power(self) -> Result<Power, Undefined> {
        let apparent = 3.0_f64.sqrt() * self.line_to_line.get() * self.current.get() / 1000.0;
        power(apparent, self.power_factor)
    }
}

/// One phase of a wye-connected load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    pub line_to_neutral: Volts,
    pub current: Amperes,
    pub power_factor: Ratio,
}

/// Sums over three unequal phases. Two apparent powers are in use, so both have a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unbalanced {
    pub active: Kilowatts,
    pub reactive: Kilovars,
    /// Σ V·I.
    pub apparent_arithmetic: KilovoltAmperes,
    /// √(ΣP² + ΣQ²).
    pub apparent_vector: KilovoltAmperes,
    pub power_factor_arithmetic: Ratio,
    pub power_factor_vector: Ratio,
}

/// Adds up three phases, taking every reactive power as inductive.
pub fn unbalanced(phases: [Phase; 3]) -> Result<Unbalanced, Undefined> {
    let (mut active, mut reactive, mut arithmetic) = (0.0, 0.0, 0.0);
    for phase in phases {
        let apparent = phase.line_to_neutral.get() * phase.current.get() / 1000.0;
        let parts = power(apparent, phase.power_factor)?;
        active += parts.active.get();
        reactive += parts.reactive.get();
        arithmetic += apparent;
    }
    let vector = active.hypot(reactive);
    if arithmetic <= 0.0 || vector <= 0.0 {
        return Err(Undefined::NoLoad);
    }
    Ok(Unbalanced {
        active: Kilowatts::new(active)?,
        reactive: Kilovars::new(reactive)?,
        apparent_arithmetic: KilovoltAmperes::new(arithmetic)?,
        apparent_vector: KilovoltAmperes::new(vector)?,
        power_factor_arithmetic: Ratio::new(active / arithmetic)?,
        power_factor_vector: Ratio::new(active / vector)?,
    })
}

fn power(apparent: f64, power_factor: Ratio) -> Result<Power, Undefined> {
    let factor = power_factor.get();
    if apparent < 0.0 || factor.abs() > 1.0 {
        return Err(Undefined::OutsideFormula);
    }
    Ok(Power {
        apparent: KilovoltAmperes::new(apparent)?,
        active: Kilowatts::new(apparent * factor)?,
        // √(S² − P²) without the loss of digits near a power factor of one.
        reactive: Kilovars::new(apparent * ((1.0 - factor) * (1.0 + factor)).sqrt())?,
    })
}

/// Unbalance by NEMA MG-1: largest departure from the mean, over the mean. For line voltages; in use for currents too.
pub fn nema_unbalance<M: Measure>(phases: [M; 3]) -> Result<Percent, Undefined> {
    let values = magnitudes(phases)?;
    let mean = mean(values);
    if mean <= 0.0 {
        return Err(Undefined::NoLoad);
    }
    let largest = values.iter().map(|value| (value - mean).abs()).fold(0.0, f64::max);
    Ok(Percent::new(100.0 * largest / mean)?)
}

/// Current unbalance by the NEMA formula, not given below a tenth of the rated current.
pub fn current_unbalance(phases: [Amperes; 3], rated: Amperes) -> Result<Percent, Undefined> {
    if mean(magnitudes(phases)?) < UNBALANCE_LOAD_FLOOR * rated.get() {
        return Err(Undefined::NoLoad);
    }
    nema_unbalance(phases)
}

/// Voltage unbalance by IEC 61000-4-30: negative over positive sequence, from the three line-to-line voltages.
pub fn iec_voltage_unbalance(line_to_line: [Volts; 3]) -> Result<Percent, Undefined> {
    let squares = magnitudes(line_to_line)?.map(|volts| volts * volts);
    let sum: f64 = squares.iter().sum();
    if sum <= 0.0 {
        return Err(Undefined::NoLoad);
    }
    let beta = squares.iter().map(|square| square * square).sum::<f64>() / (sum * sum);
    let radicand = 3.0 - 6.0 * beta;
    // Three line-to-line voltages close to a triangle; these do not.
    if !(0.0..).contains(&radicand) {
        return Err(Undefined::OutsideFormula);
    }
    // Equal voltages may round to a root a little above one.
    let root = radicand.sqrt().min(1.0);
    Ok(Percent::new(100.0 * ((1.0 - root) / (1.0 + root)).sqrt())?)
}

/// Neutral current of three phase currents 120° apart, without harmonics.
pub fn neutral_current(phases: [Amperes; 3]) -> Result<Amperes, Undefined> {
    let [a, b, c] = magnitudes(phases)?;
    // Half the sum of squared differences: the usual ΣI² − ΣIᵢIⱼ, which cannot round below zero.
    let squares = f64::midpoint((a - b).powi(2), (b - c).powi(2)) + (c - a).powi(2) / 2.0;
    Ok(Amperes::new(squares.sqrt())?)
}

/// How much of a breaker is in use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerLoad {
    /// Of the rating.
    pub load: Percent,
    /// Of what it may carry continuously.
    pub continuous_load: Percent,
    /// What may be added continuously; negative when there is too much already.
    pub headroom: Amperes,
}

/// Load of one pole of a breaker. `continuous_factor` is [`CONTINUOUS_FACTOR`] unless the breaker is rated otherwise.
pub fn breaker_load(
    current: Amperes,
    rating: Amperes,
    continuous_factor: Ratio,
) -> Result<BreakerLoad, Undefined> {
    let limit = rating.get() * continuous_factor.get();
    if rating.get() <= 0.0 || limit <= 0.0 || current.get() < 0.0 {
        return Err(Undefined::OutsideFormula);
    }
    Ok(BreakerLoad {
        load: Percent::new(100.0 * current.get() / rating.get())?,
        continuous_load: Percent::new(100.0 * current.get() / limit)?,
        headroom: Amperes::new(limit - current.get())?,
    })
}

/// Two independent feeds of one load, each able to carry `capacity`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feeds {
    pub a: Kilowatts,
    pub b: Kilowatts,
    pub capacity: Kilowatts,
}

/// What one feed would carry if the other failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failover {
    pub power: Kilowatts,
    pub load: Percent,
    pub state: FailoverState,
}

/// Whether one feed can carry the load of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailoverState {
    /// Within what a feed carries continuously.
    Ok,
    /// Within the rating: survives for a short time only.
    Degraded,
    /// Above the rating: the second feed trips too.
    Fail,
}

impl FailoverState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Fail => "fail",
        }
    }
}

impl Feeds {
    /// The load of both on one feed.
    pub fn failover(self, continuous_factor: Ratio) -> Result<Failover, Undefined> {
        let [a, b] = [self.a.get(), self.b.get()];
        if self.capacity.get() <= 0.0 || a < 0.0 || b < 0.0 {
            return Err(Undefined::OutsideFormula);
        }
        let share = (a + b) / self.capacity.get();
        let state = if share <= continuous_factor.get() {
            FailoverState::Ok
        } else if share <= 1.0 {
            FailoverState::Degraded
        } else {
            FailoverState::Fail
        };
        Ok(Failover { power: Kilowatts::new(a + b)?, load: Percent::new(100.0 * share)?, state })
    }
}

/// Capacity that is paid for and cannot be sold: usable minus observed peak minus what is promised.
pub fn stranded_capacity(
    usable: Kilowatts,
    peak: Kilowatts,
    reserved: Kilowatts,
) -> Result<Kilowatts, Undefined> {
    Ok(Kilowatts::new(usable.get() - peak.get() - reserved.get())?)
}

/// RMS values are not negative.
fn magnitudes<M: Measure>(phases: [M; 3]) -> Result<[f64; 3], Undefined> {
    let values = phases.map(M::get);
    if values.iter().all(|value| *value >= 0.0) {
        Ok(values)
    } else {
        Err(Undefined::OutsideFormula)
    }
}

fn mean(values: [f64; 3]) -> f64 {
    values.iter().sum::<f64>() / 3.0
}
