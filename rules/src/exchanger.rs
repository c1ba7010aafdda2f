//! The heat exchanger of a CDU: how well it works, and what it would deliver.

use crate::{
    measures::{Celsius, Kelvin, Kilowatts, KilowattsPerKelvin, Ratio},
    value::Undefined,
};

/// Below this difference between its two ends, the logarithmic mean is the difference itself.
const EQUAL_ENDS_K: f64 = 1e-6;

/// The four temperatures of a counter-flow heat exchanger. Hot is the TCS, cold the FWS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terminals {
    pub hot_in: Celsius,
    pub hot_out: Celsius,
    pub cold_in: Celsius,
    pub cold_out: Celsius,
}

/// What a heat exchanger does at one operating point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Performance {
    pub log_mean_difference: Kelvin,
    pub conductance: KilowattsPerKelvin,
    /// Smaller heat-capacity rate over the larger.
    pub capacity_ratio: Ratio,
    /// Heat over the largest heat that the inlets would allow.
    pub effectiveness: Ratio,
    /// Number of transfer units: conductance over the smaller capacity rate.
    pub transfer_units: Ratio,
}

impl Terminals {
    /// Secondary supply minus primary inlet, as CDU makers state it.
    pub fn approach(self) -> Result<Kelvin, Undefined> {
        Ok(Kelvin::new(self.hot_out.get() - self.cold_in.get())?)
    }

    /// Logarithmic mean of the differences at the two ends of the counter-flow.
    pub fn log_mean_difference(self) -> Result<Kelvin, Undefined> {
        let warm_end = self.hot_in.get() - self.cold_out.get();
        let cold_end = self.hot_out.get() - self.cold_in.get();
        if warm_end <= 0.0 || cold_end <= 0.0 {
            return Err(Undefined::TemperatureCross);
        }
        if (warm_end - cold_end).abs() < EQUAL_ENDS_K {
            return Ok(Kelvin::new(warm_end)?);
        }
        Ok(Kelvin::new((warm_end - cold_end) / (warm_end / cold_end).ln())?)
    }

    /// Conductance, effectiveness and transfer units when it moves `heat`.
    pub fn performance(self, heat: Kilowatts) -> Result<Performance, Undefined> {
        let log_mean_difference = self.log_mean_difference()?;
        let hot = capacity_rate(heat, self.hot_in.get() - self.hot_out.get())?;
        let cold = capacity_rate(heat, self.cold_out.get() - self.cold_in.get())?;
        let smaller = hot.min(cold);
        let largest_heat = smaller * (self.hot_in.get() - self.cold_in.get());
        let conductance = heat.get() / log_mean_difference.get();
        Ok(Performance {
            log_mean_difference,
            conductance: KilowattsPerKelvin::new(conductance)?,
            capacity_ratio: Ratio::new(smaller / hot.max(cold))?,
            effectiveness: Ratio::new(heat.get() / largest_heat)?,
            transfer_units: Ratio::new(conductance / smaller)?,
        })
    }
}

/// Heat-capacity rate of a stream in kW/K, from the heat it takes up or gives off.
fn capacity_rate(heat: Kilowatts, delta_k: f64) -> Result<f64, Undefined> {
    if heat.get() <= 0.0 {
        return Err(Undefined::NoLoad);
    }
    if delta_k <= 0.0 {
        return Err(Undefined::ReversedSensors);
    }
    Ok(heat.get() / delta_k)
}

/// A heat exchanger by its conductance, with its two streams at their inlets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exchanger {
    pub conductance: KilowattsPerKelvin,
    pub hot_capacity_rate: KilowattsPerKelvin,
    pub cold_capacity_rate: KilowattsPerKelvin,
    pub hot_in: Celsius,
    pub cold_in: Celsius,
}

/// What an [`Exchanger`] delivers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delivery {
    pub effectiveness: Ratio,
    pub heat: Kilowatts,
    pub hot_out: Celsius,
    pub cold_out: Celsius,
}

impl Exchanger {
    /// Counter-flow, by the ε-NTU method.
    pub fn delivery(self) -> Result<Delivery, Undefined> {
        let (hot, cold) = (self.hot_capacity_rate.get(), self.cold_capacity_rate.get());
        if hot <= 0.0 || cold <= 0.0 {
            return Err(Undefined::NoFlow);
        }
        if self.conductance.get() <= 0.0 {
            return Err(Undefined::OutsideFormula);
        }
        let inlet_difference = self.hot_in.get() - self.cold_in.get();
        if inlet_difference <= 0.0 {
            return Err(Undefined::TemperatureCross);
        }
        let smaller = hot.min(cold);
        let effectiveness = counter_flow(self.conductance.get() / smaller, smaller / hot.max(cold));
        let heat = effectiveness * smaller * inlet_difference;
        Ok(Delivery {
            effectiveness: Ratio::new(effectiveness)?,
            heat: Kilowatts::new(heat)?,
            hot_out: Celsius::new(self.hot_in.get() - heat / hot)?,
            cold_out: Celsius::new(self.cold_in.get() + heat / cold)?,
        })
    }
}

/// Effectiveness of a counter-flow heat exchanger from its transfer units and capacity ratio.
fn counter_flow(transfer_units: f64, capacity_ratio: f64) -> f64 {
    // Near a ratio of one the general form is 0/0; the limit is exact there.
    if (1.0 - capacity_ratio).abs() < 1e-9 {
        return transfer_units / (1.0 + transfer_units);
    }
    let decay = (-transfer_units * (1.0 - capacity_ratio)).exp();
    (1.0 - decay) / (1.0 - capacity_ratio * decay)
}
