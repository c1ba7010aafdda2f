//! What a point is called in the database: names that leave the gateway carry their unit.

use rules::plant::{PointKind, PointSpec};

/// Words that name the standard energy ratio. It is given with category and period or not at all, and a reading has
/// neither.
const STANDARD_RATIO: [&str; 3] = ["pue", "ipue", "ppue"];

/// Unit symbols in words: alone or above the line, then below it.
const WORDS: &[(&str, &str, &str)] = &[
    ("°C", "celsius", "celsius"),
    ("degC", "celsius", "celsius"),
    ("C", "celsius", "celsius"),
    ("Cel", "celsius", "celsius"),
    ("°F", "fahrenheit", "fahrenheit"),
    ("degF", "fahrenheit", "fahrenheit"),
    ("K", "kelvin", "kelvin"),
    ("%", "percent", "percent"),
    ("%RH", "percent", "percent"),
    ("PF", "", ""),
    ("mW", "milliwatts", "milliwatt"),
    ("W", "watts", "watt"),
    ("kW", "kilowatts", "kilowatt"),
    ("MW", "megawatts", "megawatt"),
    ("VA", "volt_amps", "volt_amp"),
    ("kVA", "kilovolt_amps", "kilovolt_amp"),
    ("MVA", "megavolt_amps", "megavolt_amp"),
    ("var", "vars", "var"),
    ("kvar", "kilovars", "kilovar"),
    ("J", "joules", "joule"),
    ("kJ", "kilojoules", "kilojoule"),
    ("MJ", "megajoules", "megajoule"),
    ("GJ", "gigajoules", "gigajoule"),
    ("Wh", "watt_hours", "watt_hour"),
    ("kWh", "kilowatt_hours", "kilowatt_hour"),
    ("MWh", "megawatt_hours", "megawatt_hour"),
    ("GWh", "gigawatt_hours", "gigawatt_hour"),
    ("kVAh", "kilovolt_amp_hours", "kilovolt_amp_hour"),
    ("kvarh", "kilovar_hours", "kilovar_hour"),
    ("Pa", "pascals", "pascal"),
    ("hPa", "hectopascals", "hectopascal"),
    ("kPa", "kilopascals", "kilopascal"),
    ("MPa", "megapascals", "megapascal"),
    ("LPM", "liters_per_minute", "liter_per_minute"),
    ("gpm", "gallons_per_minute", "gallon_per_minute"),
    ("GPM", "gallons_per_minute", "gallon_per_minute"),
    ("ms", "milliseconds", "millisecond"),
    ("s", "seconds", "second"),
    ("min", "minutes", "minute"),
    ("h", "hours", "hour"),
    ("d", "days", "day"),
    ("mm", "millimeters", "millimeter"),
    ("cm", "centimeters", "cm"),
    ("m", "meters", "meter"),
    ("L", "liters", "liter"),
    ("l", "liters", "liter"),
    ("g", "grams", "gram"),
    ("kg", "kilograms", "kilogram"),
    ("mA", "milliamps", "milliamp"),
    ("A", "amps", "amp"),
    ("mV", "millivolts", "millivolt"),
    ("V", "volts", "volt"),
    ("kV", "kilovolts", "kilovolt"),
    ("Hz", "hertz", "hertz"),
    ("rpm", "rpm", "rpm"),
    ("µS", "microsiemens", "microsiemens"),
    ("mS", "millisiemens", "millisiemens"),
    ("pH", "ph", "ph"),
    ("NTU", "ntu", "ntu"),
    ("ppm", "ppm", "ppm"),
];

/// The field of a point: its quantity with `_` for `.`, and its unit in words where it has one
/// (`tcs.supply_temperature` in °C → `tcs_supply_temperature_celsius`). A code ends in `state`, a text in `text`, so that
/// one field never has two types.
pub fn field(point: &PointSpec) -> String {
    let mut name = clean(&point.quantity);
    let ending = match point.kind {
        PointKind::State => "state".to_owned(),
        PointKind::Text => "text".to_owned(),
        PointKind::Gauge | PointKind::Counter => {
            let mut unit = unit_in_words(point.unit.symbol());
            // Pressures of a coolant circuit are told against the air around it (domain facts §10.2).
            let gauge = ["supply_pressure", "return_pressure"];
            if unit == "kilopascals" && gauge.iter().any(|word| name.ends_with(word)) {
                unit.push_str("_gauge");
            }
            unit
        }
    };
    if !ending.is_empty() && !has_ending(&name, &ending) {
        name.push('_');
        name.push_str(&ending);
    }
    name
}

fn has_ending(name: &str, ending: &str) -> bool {
    name.strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
}

/// A quantity in letters, digits and `_`.
fn clean(quantity: &str) -> String {
    let words = quantity.split(['.', '_']).map(|word| {
        if STANDARD_RATIO.contains(&word.to_ascii_lowercase().as_str()) {
            "ratio_reported".to_owned()
        } else {
            word.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_")
        }
    });
    words.collect::<Vec<_>>().join("_")
}

/// `kW/m2` → `kilowatts_per_square_meter`; empty for a bare number.
fn unit_in_words(symbol: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut below = false;
    for part in symbol.split_inclusive(['/', '*', '·']) {
        let atom = part.trim_end_matches(['/', '*', '·']).trim_matches(['(', ')']);
        if atom != "1" {
            let (power, base) = power_of(atom);
            let word = match WORDS.iter().find(|(known, _, _)| *known == base) {
                Some((_, _, singular)) if below => (*singular).to_owned(),
                Some((_, plural, _)) => (*plural).to_owned(),
                None => base.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_"),
            };
            let joined =
                if below { format!("per_{power}{word}") } else { format!("{power}{word}") };
            words.push(joined);
        }
        below |= part.ends_with('/');
    }
    words.retain(|word| !word.is_empty());
    words.join("_")
}

fn power_of(atom: &str) -> (&'static str, &str) {
    for (endings, word) in [(["2", "²"], "square_"), (["3", "³"], "cubic_")] {
        let base = endings.iter().find_map(|ending| atom.strip_suffix(ending));
        if let Some(base) = base.filter(|base| !base.is_empty()) {
            return (word, base);
        }
    }
    ("", atom)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rules::{id::AssetId, plant::Origin, units::Unit};

    use super::*;

    fn name(quantity: &str, unit: &str, kind: PointKind) -> String {
        field(&PointSpec {
            asset: AssetId(0),
            quantity: quantity.into(),
            unit: Unit::parse(unit).unwrap(),
            kind,
            origin: Origin::Polled,
            stale_after: Duration::from_secs(3),
            states: Vec::new(),
        })
    }

    #[test]
    fn a_field_is_the_quantity_with_its_unit_in_words() {
        for (quantity, unit, field) in [
            ("tcs.supply_temperature", "°C", "tcs_supply_temperature_celsius"),
            ("tcs.flow", "L/min", "tcs_flow_liters_per_minute"),
            ("tcs.supply_pressure", "kPa", "tcs_supply_pressure_kilopascals_gauge"),
            ("tcs.delta_pressure", "kPa", "tcs_delta_pressure_kilopascals"),
            ("pump_1.speed", "%", "pump_1_speed_percent"),
            ("line1_current", "A", "line1_current_amps"),
            ("voltage_line_to_line", "V", "voltage_line_to_line_volts"),
            ("energy", "kWh", "energy_kilowatt_hours"),
            ("power_factor", "1", "power_factor"),
            ("power_density", "kW/m2", "power_density_kilowatts_per_square_meter"),
            ("specific_flow", "L/min/kW", "specific_flow_liters_per_minute_per_kilowatt"),
            ("conductivity", "µS/cm", "conductivity_microsiemens_per_cm"),
            ("absolute_humidity", "g/m3", "absolute_humidity_grams_per_cubic_meter"),
            ("volume", "m3", "volume_cubic_meters"),
            ("coolant.ph", "pH", "coolant_ph"),
            ("fan.rpm", "rpm", "fan_rpm"),
        ] {
            assert_eq!(name(quantity, unit, PointKind::Gauge), field);
        }
    }

    #[test]
    fn codes_and_texts_are_told_from_numbers_by_name() {
        assert_eq!(name("leak.state", "1", PointKind::State), "leak_state");
        assert_eq!(name("valve.isolation", "1", PointKind::State), "valve_isolation_state");
        assert_eq!(name("serial", "1", PointKind::Text), "serial_text");
    }

    #[test]
    fn a_reading_never_takes_the_name_of_the_standard_ratio() {
        assert_eq!(name("site.pue", "1", PointKind::Gauge), "site_ratio_reported");
        assert_eq!(name("Pue_now", "1", PointKind::Gauge), "ratio_reported_now");
    }
}
