//! How well a figure is known (domain facts §8.2, after GUM, JCGM 100:2008).
//!
//! A class limit is a rectangular distribution. Meters of one model are taken as fully correlated, because they are
//! calibrated together; meters of different models as independent. Of meters whose model is not declared it is not known
//! that they differ, so they count as one model.

use std::collections::BTreeMap;

use crate::plant::Meter;

/// Coverage factor of an expanded uncertainty of about 95 %.
const COVERAGE: f64 = 2.0;

/// Standard uncertainty of a meter with its current transformers, relative; `None` where the class is not declared.
pub fn of_meter(meter: &Meter) -> Option<f64> {
    Some(of_class(meter.accuracy_percent?, meter.ct_accuracy_percent.unwrap_or(0.0)))
}

/// Standard uncertainty, relative, of a class and that of transformers, both in percent.
pub fn of_class(class_percent: f64, transformers_percent: f64) -> f64 {
    class_percent.hypot(transformers_percent) / 100.0 / 3.0_f64.sqrt()
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

/// One part of a sum of energies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part<'a> {
    /// `None`: not declared.
    pub model: Option<&'a str>,
    /// From classes: |amount| times the relative standard uncertainty.
    pub class: f64,
    /// From register steps, wide cuts and estimates, independent of everything else.
    pub own: f64,
}

/// Standard uncertainty of a sum: classes of one model added up, everything else as squares.
pub fn of_sum<'a>(parts: impl IntoIterator<Item = Part<'a>>) -> f64 {
    let mut by_model: BTreeMap<Option<&str>, f64> = BTreeMap::new();
    let mut squares = 0.0;
    for part in parts {
        *by_model.entry(part.model).or_default() += part.class.abs();
        squares += part.own * part.own;
    }
    by_model.values().fold(squares, |sum, class| sum + class * class).sqrt()
}

/// Standard uncertainty of an estimated amount: 20 % of it, a rectangular limit of 35 %.
pub fn of_estimate(amount: f64) -> f64 {
    0.2 * amount.abs()
}

/// Expanded uncertainty (U95) of 1 + overhead over IT energy, which is smaller than that of a quotient of the whole: only
/// the part above 1 is uncertain.
pub fn expanded_of_bottom_up(ratio: f64, overhead: f64, it: f64) -> f64 {
    COVERAGE * (ratio - 1.0).abs() * overhead.hypot(it)
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
            model: None,
            twin: None,
            share: None,
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
