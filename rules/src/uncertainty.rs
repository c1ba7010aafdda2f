//! How well a figure is known (domain facts §8.2, after GUM, JCGM 100:2008).
//!
//! A class limit is a rectangular distribution; meters of one total are taken as fully correlated, because sites buy one
//! model and calibrate it together. That is the cautious reading: independent meters would do better.

use crate::plant::Meter;

/// Coverage factor of an expanded uncertainty of about 95 %.
const COVERAGE: f64 = 2.0;

/// Standard uncertainty of a meter with its current transformers, relative; `None` where the class is not declared.
pub fn of_meter(meter: &Meter) -> Option<f64> {
    let class = meter.accuracy_percent? / 100.0;
    let transformers = meter.ct_accuracy_percent.unwrap_or(0.0) / 100.0;
    Some(class.hypot(transformers) / 3.0_f64.sqrt())
}

/// Standard uncertainty of a register difference that comes from the step of the register: two readings.
pub fn of_steps(step: f64) -> f64 {
    step / 12.0_f64.sqrt() * 2.0_f64.sqrt()
}

/// Standard uncertainty of a cut between two snapshots more than 15 minutes apart, of which `difference` lies between
/// them (domain facts §8.1).
pub fn of_wide_cut(difference: f64) -> f64 {
    difference.abs() * 0.5 / 3.0_f64.sqrt()
}

/// Expanded uncertainty (U95) of a quotient of two energies with separate meters, from the relative standard ones.
pub fn expanded_of_ratio(ratio: f64, facility: f64, it: f64) -> f64 {
    COVERAGE * ratio * facility.hypot(it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::{Carrier, Role};

    fn meter(class: Option<f64>, transformers: Option<f64>) -> Meter {
        Meter {
            role: Role::ItLoad,
            carrier: Carrier::Electricity,
            category: None,
            feed: None,
            serial: None,
            accuracy_percent: class,
            ct_ratio: None,
            ct_accuracy_percent: transformers,
            register_step_kwh: 0.1,
            register_modulus_kwh: None,
            register_float32: false,
            max_power_kw: 1000.0,
            calibrated_on: None,
        }
    }

    /// V-UNC.
    #[test]
    fn the_vectors_of_the_domain_facts_hold() {
        let facility = of_meter(&meter(Some(0.5), None)).unwrap();
        let it = of_meter(&meter(Some(1.0), None)).unwrap();
        assert!((expanded_of_ratio(1.25, facility, it) - 0.016_137).abs() < 1e-6);
        let with_transformers = of_meter(&meter(Some(0.5), Some(0.5))).unwrap();
        assert!((with_transformers - 0.004_082_5).abs() < 1e-7);
        assert_eq!(of_meter(&meter(None, Some(0.5))), None);
    }
}
