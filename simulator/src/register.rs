//! An energy register: what a meter shows of the energy that truly flowed.

use rules::plant::Meter;

/// Integrates power without loss, and shows it as a register does: in steps, from a start value, wrapping at a modulus.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_field_names, reason = "the postfix is the unit")]
pub struct EnergyRegister {
    /// The truth since the simulator started. Never reset.
    energy_kwh: f64,
    /// Added to the truth before it is shown: history before the start, resets.
    start_kwh: f64,
    step_kwh: f64,
    modulus_kwh: Option<f64>,
}

impl EnergyRegister {
    /// A register as the meter's record describes it, at `start_kwh`. A step of zero or less means none.
    pub fn of(meter: &Meter, start_kwh: f64) -> Self {
        Self {
            energy_kwh: 0.0,
            start_kwh,
            step_kwh: meter.register_step_kwh,
            modulus_kwh: meter.register_modulus_kwh,
        }
    }

    /// A register without a record: steps of 0.1 kWh, no wrap.
    pub fn plain(start_kwh: f64) -> Self {
        Self { energy_kwh: 0.0, start_kwh, step_kwh: 0.1, modulus_kwh: None }
    }

    /// Adds `power_kw` over `seconds`. Power that flows backwards is not counted: import only.
    pub fn add(&mut self, power_kw: f64, seconds: f64) {
        self.energy_kwh += power_kw.max(0.0) * seconds / 3600.0;
    }

    /// What truly flowed since the start, in kWh.
    pub fn energy_kwh(&self) -> f64 {
        self.energy_kwh
    }

    /// What the meter shows, in kWh: a whole number of steps, below the modulus.
    pub fn shown_kwh(&self) -> f64 {
        let total_kwh = self.start_kwh + self.energy_kwh;
        // The margin of a millionth step keeps a total that lies on a step, but for rounding, on that step.
        let steps = if self.step_kwh > 0.0 {
            (total_kwh / self.step_kwh + 1e-6).floor() * self.step_kwh
        } else {
            total_kwh
        };
        match self.modulus_kwh {
            Some(modulus_kwh) if modulus_kwh > 0.0 => steps.rem_euclid(modulus_kwh),
            _ => steps,
        }
    }

    /// Moves the shown value to `before_kwh` short of the modulus, as if the meter were that old.
    /// False where the register does not wrap.
    pub fn move_before_rollover(&mut self, before_kwh: f64) -> bool {
        let Some(modulus_kwh) = self.modulus_kwh else { return false };
        self.start_kwh = modulus_kwh - before_kwh - self.energy_kwh;
        true
    }

    /// The register falls to zero; the truth goes on.
    pub fn reset(&mut self) {
        self.start_kwh = -self.energy_kwh;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(step_kwh: f64, modulus_kwh: Option<f64>, start_kwh: f64) -> EnergyRegister {
        EnergyRegister { energy_kwh: 0.0, start_kwh, step_kwh, modulus_kwh }
    }

    #[test]
    fn a_register_shows_whole_steps_of_the_truth() {
        let mut meter = register(0.5, None, 100.0);
        meter.add(60.0, 100.0);
        assert!((meter.energy_kwh() - 60.0 * 100.0 / 3600.0).abs() < 1e-12);
        assert!((meter.shown_kwh() - 101.5).abs() < 1e-9);
    }

    #[test]
    fn a_register_wraps_at_its_modulus_and_the_truth_does_not() {
        let mut meter = register(0.1, Some(6553.6), 0.0);
        assert!(meter.move_before_rollover(0.2));
        assert!((meter.shown_kwh() - 6553.4).abs() < 1e-6);
        meter.add(36.0, 50.0);
        assert!((meter.shown_kwh() - 0.3).abs() < 1e-6, "{}", meter.shown_kwh());
        assert!((meter.energy_kwh() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_reset_shows_zero_and_counts_on() {
        let mut meter = register(0.1, None, 5000.0);
        meter.add(360.0, 10.0);
        meter.reset();
        assert!(meter.shown_kwh().abs() < 1e-9);
        meter.add(360.0, 10.0);
        assert!((meter.shown_kwh() - 1.0).abs() < 1e-9);
        assert!((meter.energy_kwh() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_register_without_a_modulus_cannot_be_moved_before_one() {
        assert!(!register(0.1, None, 0.0).move_before_rollover(1.0));
    }
}
