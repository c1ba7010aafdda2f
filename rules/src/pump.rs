//! Pumps: power from pressure and flow, and what a change of speed does.

use crate::{
    measures::{Kilopascals, Kilowatts, LitersPerMinute, Percent, Ratio},
    value::Undefined,
};

/// Power that goes into the liquid: Δp·V̇.
pub fn hydraulic_power(
    delta_pressure: Kilopascals,
    flow: LitersPerMinute,
) -> Result<Kilowatts, Undefined> {
    Ok(Kilowatts::new(delta_pressure.get() * flow.get() / 60_000.0)?)
}

/// Electrical power of a pump with this overall efficiency.
pub fn electrical_power(hydraulic: Kilowatts, efficiency: Percent) -> Result<Kilowatts, Undefined> {
    let share = efficiency.get() / 100.0;
    if share <= 0.0 || share > 1.0 {
        return Err(Undefined::OutsideFormula);
    }
    Ok(Kilowatts::new(hydraulic.get() / share)?)
}

/// What a change of speed multiplies, on an unchanged system curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affinity {
    pub flow: Ratio,
    pub delta_pressure: Ratio,
    pub power: Ratio,
}

impl Affinity {
    /// The affinity laws: flow by the speed, pressure by its square, power by its cube.
    pub fn between(from: Percent, to: Percent) -> Result<Self, Undefined> {
        if from.get() <= 0.0 || to.get() < 0.0 {
            return Err(Undefined::NoFlow);
        }
        let speed = to.get() / from.get();
        Ok(Self {
            flow: Ratio::new(speed)?,
            delta_pressure: Ratio::new(speed.powi(2))?,
            power: Ratio::new(speed.powi(3))?,
        })
    }
}
