//! Further figures of a period, each a quotient of amounts over the same time (domain facts §2).
//!
//! They are defined by ISO/IEC 30134-3 (renewable energy), -6 (reuse), -7 (cooling), -8 (carbon) and -9 (water), the Green
//! Grid (reuse effectiveness, load factors) and Patterson et al. 2013 (inside the IT equipment).

use crate::value::Undefined;

/// `part / whole`, undefined over nothing.
pub(crate) fn quotient(part: f64, whole: f64) -> Result<f64, Undefined> {
    if whole <= 0.0 {
        return Err(Undefined::NoLoad);
    }
    let quotient = part / whole;
    if quotient.is_finite() { Ok(quotient) } else { Err(Undefined::OutsideFormula) }
}

/// IT energy as the whole: without it nothing was served.
pub(crate) fn per_it(part: f64, it_kwh: f64) -> Result<f64, Undefined> {
    if it_kwh <= 0.0 { Err(Undefined::ItPowerZero) } else { quotient(part, it_kwh) }
}

/// Cooling load factor, CLF: cooling over IT energy.
pub fn cooling_load_factor(cooling_kwh: f64, it_kwh: f64) -> Result<f64, Undefined> {
    per_it(cooling_kwh, it_kwh)
}

/// Power load factor, PLF: losses of the power chain over IT energy.
pub fn power_load_factor(loss_kwh: f64, it_kwh: f64) -> Result<f64, Undefined> {
    per_it(loss_kwh, it_kwh)
}

/// Energy reuse factor, ERF: the share of facility energy that is reused outside the boundary, 0 to 1.
pub fn energy_reuse_factor(reused_kwh: f64, facility_kwh: f64) -> Result<f64, Undefined> {
    quotient(reused_kwh, facility_kwh)
}

/// Energy reuse effectiveness, ERE: what is not reused, over IT energy. It can be below 1.
pub fn energy_reuse_effectiveness(
    facility_kwh: f64,
    reused_kwh: f64,
    it_kwh: f64,
) -> Result<f64, Undefined> {
    per_it(facility_kwh - reused_kwh, it_kwh)
}

/// Renewable energy factor, REF: the share of facility energy that is renewable, at most 1.
pub fn renewable_energy_factor(renewable_kwh: f64, facility_kwh: f64) -> Result<f64, Undefined> {
    quotient(renewable_kwh, facility_kwh).map(|share| share.min(1.0))
}

/// Cooling efficiency ratio, CER: heat removed over the energy that removed it.
pub fn cooling_efficiency_ratio(heat_kwh: f64, cooling_kwh: f64) -> Result<f64, Undefined> {
    quotient(heat_kwh, cooling_kwh)
}

/// Heat capture ratio: the share of IT energy that the liquid carries off.
pub fn heat_capture(heat_kwh: f64, it_kwh: f64) -> Result<f64, Undefined> {
    per_it(heat_kwh, it_kwh)
}

/// Carbon usage effectiveness, CUE, in kg of CO2 equivalent for a kWh of IT energy. `kg_per_kwh` is what a kWh of facility
/// energy emits.
pub fn carbon_usage(facility_kwh: f64, kg_per_kwh: f64, it_kwh: f64) -> Result<f64, Undefined> {
    per_it(facility_kwh * kg_per_kwh, it_kwh)
}

/// Water usage effectiveness, WUE, in litres for a kWh of IT energy.
pub fn water_usage(water_m3: f64, it_kwh: f64) -> Result<f64, Undefined> {
    per_it(water_m3 * 1000.0, it_kwh)
}

/// ITUE: energy into IT equipment over energy into its compute parts, without fans and power supplies.
pub fn it_usage(it_kwh: f64, compute_kwh: f64) -> Result<f64, Undefined> {
    quotient(it_kwh, compute_kwh)
}

/// TUE: facility energy over energy into compute parts.
pub fn total_usage(facility_kwh: f64, compute_kwh: f64) -> Result<f64, Undefined> {
    quotient(facility_kwh, compute_kwh)
}

/// Cooling degree days of one day in K d: how far its mean temperature lies above the base.
pub fn cooling_degree_days(mean_c: f64, base_c: f64) -> f64 {
    (mean_c - base_c).max(0.0)
}

/// Permissible error of a heat meter in percent (EN 1434-1): flow sensor, temperature pair and calculator, added up.
pub fn heat_meter_error(
    class: f64,
    nominal_flow: f64,
    flow: f64,
    least_difference_k: f64,
    difference_k: f64,
) -> Result<f64, Undefined> {
    if flow <= 0.0 || difference_k <= 0.0 {
        return Err(Undefined::NoFlow);
    }
    // 1 %, 2 % or 3 %, with a hundredth of it or more for low flows; never above 5 %.
    let slope = match class {
        class if class <= 1.0 => 0.01,
        class if class <= 2.0 => 0.02,
        _ => 0.05,
    };
    let sensor = (class + slope * nominal_flow / flow).min(5.0);
    let pair = 0.5 + 3.0 * least_difference_k / difference_k;
    let calculator = 0.5 + least_difference_k / difference_k;
    Ok(sensor + pair + calculator)
}
