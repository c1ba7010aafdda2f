//! The words for what a point measures. A quantity is a dotted path under an asset, such as
//! `tcs.supply_temperature`; its last word fixes its unit, so that every profile, rule and screen means the same.
//!
//! Names follow Redfish 2025.4 (`CoolantConnector`, `Circuit`, `EnvironmentMetrics`) without the unit suffix, which is
//! added where numbers leave the gateway.

use crate::units::Unit;

/// Last word of a quantity, and the unit that coldwatch keeps it in.
const UNIT_BY_WORD: &[(&str, &str)] = &[
    ("temperature", "°C"),
    ("supply_temperature", "°C"),
    ("return_temperature", "°C"),
    ("supply_setpoint", "°C"),
    ("dew_point", "°C"),
    ("wet_bulb", "°C"),
    ("delta_temperature", "K"),
    ("dew_point_margin", "K"),
    ("approach_temperature", "K"),
    ("log_mean_difference", "K"),
    ("conductance", "kW/K"),
    ("effectiveness", "%"),
    ("flow", "L/min"),
    ("specific_flow", "L/min/kW"),
    ("pressure", "kPa"),
    ("supply_pressure", "kPa"),
    ("return_pressure", "kPa"),
    ("delta_pressure", "kPa"),
    ("delta_pressure_setpoint", "kPa"),
    ("heat", "kW"),
    ("heat_reported", "kW"),
    ("power", "kW"),
    ("active_power", "kW"),
    ("it_power", "kW"),
    ("facility_power", "kW"),
    ("liquid_heat", "kW"),
    ("rack_power_mean", "kW"),
    ("rack_power_mean_occupied", "kW"),
    ("rack_power_max", "kW"),
    ("rack_power", "kW"),
    ("it_balance", "%"),
    ("unbalance", "%"),
    ("apparent_power", "kVA"),
    ("reactive_power", "kvar"),
    ("energy", "kWh"),
    ("current", "A"),
    ("current_limit", "A"),
    ("voltage", "V"),
    ("frequency", "Hz"),
    ("power_factor", "1"),
    ("power_ratio", "1"),
    ("heat_capture", "1"),
    ("power_density", "kW/m2"),
    ("load", "%"),
    ("humidity", "%"),
    ("level", "%"),
    ("position", "%"),
    ("speed", "%"),
    ("rotation", "rpm"),
    ("absolute_humidity", "g/m3"),
    ("reply_time", "ms"),
    ("silence", "s"),
    ("conductivity", "µS/cm"),
    ("volume", "m3"),
];

/// The unit that a quantity is kept in; `None` where the word is not ours and the profile's own unit stands.
///
/// A trailing number (`pump_1.speed`, `line1_current`) belongs to the word before it: `line1_current` is a `current`.
pub fn canonical_unit(quantity: &str) -> Option<Unit> {
    let last = quantity.rsplit('.').next()?;
    let exact =
        |word: &str| UNIT_BY_WORD.iter().find(|(known, _)| *known == word).map(|(_, unit)| *unit);
    let unit = exact(last).or_else(|| last.rsplit_once('_').and_then(|(_, tail)| exact(tail)))?;
    Unit::parse(unit).ok()
}
