//! Heat in fluids and through exchangers, in the units of the plant: kW, kJ, L/min, K.

use rules::{coolant::Coolant, measures::Celsius, value::Undefined};

/// Heat that one litre takes up per kelvin: ρ·cp in kJ/(L·K). Beyond 1 to 99 °C the value at that limit holds: what is
/// simulated may leave the range of the property data.
pub fn volumetric_heat_kj(coolant: Coolant, celsius: f64) -> f64 {
    volumetric_heat(coolant, celsius.clamp(1.0, 99.0)).unwrap_or(WATER_KJ)
}

/// Whether there are property data for this coolant at all. Only then is [`volumetric_heat_kj`] about it.
pub fn is_known(coolant: Coolant) -> bool {
    volumetric_heat(coolant, 30.0).is_ok()
}

/// ρ·cp of water at room temperature.
const WATER_KJ: f64 = 4.17;

fn volumetric_heat(coolant: Coolant, celsius: f64) -> Result<f64, Undefined> {
    let at = Celsius::new(celsius)?;
    Ok(coolant.density(at)?.get() * coolant.specific_heat(at)?.get() / 1e6)
}

/// Capacity rate of a stream in kW/K.
pub fn capacity_rate_kw_per_k(flow_lpm: f64, volumetric_kj: f64) -> f64 {
    flow_lpm / 60.0 * volumetric_kj
}

/// Effectiveness of a counter-flow exchanger (domain facts §6.4): `conductance` UA and both capacity rates in kW/K.
/// Zero when a side stands still.
pub fn counter_flow_effectiveness(conductance: f64, hot: f64, cold: f64) -> f64 {
    let (least, most) = (hot.min(cold), hot.max(cold));
    if least <= 0.0 {
        return 0.0;
    }
    let (units, ratio) = (conductance / least, least / most);
    if (1.0 - ratio).abs() < 1e-6 {
        return units / (1.0 + units);
    }
    let decay = (-units * (1.0 - ratio)).exp();
    (1.0 - decay) / (1.0 - ratio * decay)
}

/// Logarithmic mean of the two terminal temperature differences.
pub fn log_mean_k(one_k: f64, other_k: f64) -> f64 {
    if (one_k - other_k).abs() < 1e-6 { one_k } else { (one_k - other_k) / (one_k / other_k).ln() }
}

/// A valve or speed controller in velocity form: output moves by the change and by the size of the error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Controller {
    /// Output per unit of error.
    pub gain: f64,
    /// Seconds in which the integral part repeats the proportional one.
    pub reset_s: f64,
    /// Fastest move per second.
    pub rate_per_s: f64,
    pub least: f64,
    pub most: f64,
    pub output: f64,
    last_error: f64,
}

impl Controller {
    /// A controller at rest at `output`.
    pub fn at(output: f64, gain: f64, reset_s: f64, rate_per_s: f64, limits: (f64, f64)) -> Self {
        Self { gain, reset_s, rate_per_s, least: limits.0, most: limits.1, output, last_error: 0.0 }
    }

    /// Moves for `seconds` against `error` (positive: more output is wanted) and gives the output.
    pub fn step(&mut self, error: f64, seconds: f64) -> f64 {
        let wanted = self.gain * (error - self.last_error + error * seconds / self.reset_s);
        self.last_error = error;
        let most = self.rate_per_s * seconds;
        self.output = (self.output + wanted.clamp(-most, most)).clamp(self.least, self.most);
        self.output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchanger_with_equal_streams_has_the_textbook_effectiveness() {
        assert!((counter_flow_effectiveness(3.0, 1.0, 1.0) - 0.75).abs() < 1e-9);
        // NTU 1, Cr 0.5: (1 − e^−0.5) / (1 − 0.5·e^−0.5) = 0.5647.
        assert!((counter_flow_effectiveness(1.0, 1.0, 2.0) - 0.5647).abs() < 1e-4);
        assert!(counter_flow_effectiveness(1.0, 0.0, 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_controller_never_leaves_its_limits_nor_its_rate() {
        let mut valve = Controller::at(0.5, 1.0, 10.0, 0.03, (0.05, 1.0));
        assert!((valve.step(100.0, 1.0) - 0.53).abs() < 1e-9);
        for _ in 0..1000 {
            valve.step(100.0, 1.0);
        }
        assert!((valve.output - 1.0).abs() < 1e-12);
    }
}
