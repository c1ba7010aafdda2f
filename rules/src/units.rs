//! Units as data: a dimension, a factor to SI and, for absolute temperatures, an offset.
//!
//! An absolute temperature and a temperature difference are different kinds: `°C` is a place on the
//! scale, `K` a distance. Conversions happen once, at the edge; the engine works on bare numbers in the unit
//! that the point declares.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Exponents of kilogram, metre, second, ampere and kelvin, and whether it is a place on the temperature scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Dimension {
    pub kilogram: i8,
    pub metre: i8,
    pub second: i8,
    pub ampere: i8,
    pub kelvin: i8,
    /// True only for an absolute temperature such as 45 °C.
    pub absolute: bool,
}

impl Dimension {
    pub const NONE: Self =
        Self { kilogram: 0, metre: 0, second: 0, ampere: 0, kelvin: 0, absolute: false };
    pub const TEMPERATURE: Self = Self { absolute: true, ..Self::TEMPERATURE_DIFFERENCE };
    pub const TEMPERATURE_DIFFERENCE: Self = Self { kelvin: 1, ..Self::NONE };

    /// The dimension of a product of this and `other` to the power `sign` (1 or −1). Absolute is lost.
    #[must_use]
    pub fn combine(self, other: Self, sign: i8) -> Self {
        Self {
            kilogram: self.kilogram.saturating_add(sign.saturating_mul(other.kilogram)),
            metre: self.metre.saturating_add(sign.saturating_mul(other.metre)),
            second: self.second.saturating_add(sign.saturating_mul(other.second)),
            ampere: self.ampere.saturating_add(sign.saturating_mul(other.ampere)),
            kelvin: self.kelvin.saturating_add(sign.saturating_mul(other.kelvin)),
            absolute: false,
        }
    }
}

/// A unit: SI value = value × `scale` + `offset`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Unit {
    symbol: Arc<str>,
    dimension: Dimension,
    scale: f64,
    offset: f64,
}

/// What is wrong with a unit or a conversion.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnitError {
    #[error("unknown unit \"{0}\"")]
    Unknown(String),
    #[error("\"{from}\" cannot be given in \"{to}\"")]
    Mismatch { from: String, to: String },
    #[error("a number with a unit is expected, for example \"{0}\"")]
    NotAQuantity(String),
}

impl Unit {
    /// Reads a unit: atoms of the table, joined by `/` or `*`, each with an optional power (`m2`, `m²`).
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let unknown = || UnitError::Unknown(text.to_owned());
        let text_trimmed = text.trim();
        if let Some(atom) = atom(text_trimmed) {
            return Ok(Self {
                symbol: text_trimmed.into(),
                dimension: atom.0,
                scale: atom.1,
                offset: atom.2,
            });
        }
        let (mut dimension, mut scale, mut sign) = (Dimension::NONE, 1.0_f64, 1_i8);
        for part in text_trimmed.split_inclusive(['/', '*', '·']) {
            let name = part.trim_end_matches(['/', '*', '·']);
            let (name, power) = split_power(name).ok_or_else(unknown)?;
            let (atom_dimension, atom_scale, offset) = atom(name).ok_or_else(unknown)?;
            if offset != 0.0 {
                return Err(unknown());
            }
            for _ in 0..power {
                dimension = dimension.combine(atom_dimension, sign);
                scale *= if sign > 0 { atom_scale } else { atom_scale.recip() };
            }
            sign = if part.ends_with('/') { -1 } else { 1 };
        }
        let ends_early = text_trimmed.ends_with(['/', '*', '·']) || text_trimmed.is_empty();
        if ends_early || !scale.is_normal() {
            return Err(unknown());
        }
        Ok(Self { symbol: text_trimmed.into(), dimension, scale, offset: 0.0 })
    }

    /// The unit of a bare number.
    pub fn none() -> Self {
        Self { symbol: "1".into(), dimension: Dimension::NONE, scale: 1.0, offset: 0.0 }
    }

    /// The unit of a difference of two values in this unit: kelvin for an absolute temperature, else itself.
    #[must_use]
    pub fn difference(&self) -> Self {
        if !self.dimension.absolute {
            return self.clone();
        }
        // A Fahrenheit degree has no unit name of its own; it stays a scaled kelvin.
        let symbol = if self.scale.to_bits() == 1.0_f64.to_bits() { "K" } else { "Δ°F" };
        let dimension = Dimension { absolute: false, ..self.dimension };
        Self { symbol: symbol.into(), dimension, scale: self.scale, offset: 0.0 }
    }

    /// The unit of a product, or of a quotient when `sign` is −1. Not for absolute temperatures.
    #[must_use]
    pub fn combine(&self, other: &Self, sign: i8) -> Self {
        let (mark, scale) = if sign < 0 {
            ('/', self.scale / other.scale)
        } else {
            ('·', self.scale * other.scale)
        };
        let dimension = self.dimension.combine(other.dimension, sign);
        let symbol = match (self.is_bare(), other.is_bare()) {
            _ if dimension == Dimension::NONE && is_close(scale, 1.0) => "1".into(),
            (_, true) => Arc::clone(&self.symbol),
            (true, false) if sign > 0 => Arc::clone(&other.symbol),
            (false | true, false) if other.symbol.contains(['/', '·']) => {
                format!("{}{mark}({})", self.symbol, other.symbol).into()
            }
            (false | true, false) => format!("{}{mark}{}", self.symbol, other.symbol).into(),
        };
        Self { symbol, dimension, scale, offset: 0.0 }
    }

    /// True for the unit of a bare number, which is left out where it is shown.
    pub fn is_bare(&self) -> bool {
        &*self.symbol == "1"
    }

    /// Factor and summand that turn a value in this unit into one in `to`; `None` where nothing changes.
    pub fn conversion(&self, to: &Self) -> Result<Option<(f64, f64)>, UnitError> {
        if self.dimension != to.dimension {
            return Err(UnitError::Mismatch {
                from: self.symbol.to_string(),
                to: to.symbol.to_string(),
            });
        }
        if is_close(self.scale, to.scale) && is_close(self.offset, to.offset) {
            return Ok(None);
        }
        Ok(Some((self.scale / to.scale, (self.offset - to.offset) / to.scale)))
    }

    /// As it was written: `L/min`.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    pub fn to_si(&self, value: f64) -> f64 {
        value * self.scale + self.offset
    }

    pub fn from_si(&self, value: f64) -> f64 {
        (value - self.offset) / self.scale
    }

    /// Converts a value in this unit into `to`. The same scale passes through untouched, so that 0.1 stays 0.1.
    #[expect(clippy::float_cmp, reason = "identical table entries, not computed numbers")]
    pub fn convert(&self, value: f64, to: &Self) -> Result<f64, UnitError> {
        if self.dimension != to.dimension {
            return Err(UnitError::Mismatch {
                from: self.symbol.to_string(),
                to: to.symbol.to_string(),
            });
        }
        if is_close(self.scale, to.scale) && self.offset == to.offset {
            return Ok(value);
        }
        Ok(to.from_si(self.to_si(value)))
    }

    /// Reads `"12.5 kW"` and gives the number in this unit. `example` is shown when the text is no quantity.
    pub fn read(&self, text: &str, example: &str) -> Result<f64, UnitError> {
        let (number, unit) =
            split_quantity(text).ok_or_else(|| UnitError::NotAQuantity(example.to_owned()))?;
        Self::parse(unit)?.convert(number, self)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.symbol)
    }
}

impl TryFrom<String> for Unit {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        Self::parse(&text)
    }
}

impl From<Unit> for String {
    fn from(unit: Unit) -> Self {
        unit.symbol.to_string()
    }
}

/// The same table entry reached by another product of factors: `LPM` and `L/min` differ in the last bit.
fn is_close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-12 * left.abs().max(right.abs())
}

/// The number with 15 significant digits: a converted literal lands on the decimal that its writer meant.
pub fn decimal(value: f64) -> f64 {
    format!("{value:.14e}").parse().unwrap_or(value)
}

/// Unit names offered when one is not understood.
pub const SUGGESTED: &[&str] = &[
    "°C", "K", "%", "kW", "W", "MW", "kVA", "kWh", "MWh", "kPa", "bar", "psi", "L/min", "m3/h",
    "gpm", "L/min/kW", "kW/m2", "A", "V", "Hz", "rpm", "s", "min", "h", "d", "ms", "µS/cm", "g/m3",
    "pH", "ppm", "NTU", "m3", "L", "1",
];

/// Splits `"12.5 kW"` into number and unit text; a bare number has the unit `1`. Finite numbers only.
pub fn split_quantity(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .char_indices()
        .find(|&(at, c)| !(c.is_ascii_digit() || c == '.' || is_sign_or_exponent(text, at, c)))
        .map_or(text.len(), |(at, _)| at);
    let number: f64 = text[..end].parse().ok().filter(|number: &f64| number.is_finite())?;
    let unit = text[end..].trim();
    Some((number, if unit.is_empty() { "1" } else { unit }))
}

fn is_sign_or_exponent(text: &str, at: usize, c: char) -> bool {
    let before = text[..at].chars().next_back();
    let after = text[at + c.len_utf8()..].chars().next();
    match c {
        '+' | '-' => at == 0 || matches!(before, Some('e' | 'E')),
        // An exponent only when digits stand on both sides, so that "2 eV" stays a unit.
        'e' | 'E' => {
            before.is_some_and(|b| b.is_ascii_digit() || b == '.')
                && after.is_some_and(|a| a.is_ascii_digit() || a == '-' || a == '+')
        }
        _ => false,
    }
}

fn split_power(name: &str) -> Option<(&str, u32)> {
    if let Some(base) = name.strip_suffix('²') {
        return Some((base, 2));
    }
    if let Some(base) = name.strip_suffix('³') {
        return Some((base, 3));
    }
    match name.char_indices().next_back()? {
        (at, digit @ '2'..='9') if at > 0 => Some((&name[..at], digit.to_digit(10)?)),
        _ => Some((name, 1)),
    }
}

/// Dimension, factor to SI and offset of one named unit. Factors: domain facts §6.2 (gpm, psi, bar, RT) and SI.
fn atom(name: &str) -> Option<(Dimension, f64, f64)> {
    const fn d(kilogram: i8, metre: i8, second: i8, ampere: i8, kelvin: i8) -> Dimension {
        Dimension { kilogram, metre, second, ampere, kelvin, absolute: false }
    }
    const POWER: Dimension = d(1, 2, -3, 0, 0);
    const ENERGY: Dimension = d(1, 2, -2, 0, 0);
    const PRESSURE: Dimension = d(1, -1, -2, 0, 0);
    const FLOW: Dimension = d(0, 3, -1, 0, 0);
    const TIME: Dimension = d(0, 0, 1, 0, 0);
    const LENGTH: Dimension = d(0, 1, 0, 0, 0);
    const VOLUME: Dimension = d(0, 3, 0, 0, 0);
    const MASS: Dimension = d(1, 0, 0, 0, 0);
    const CURRENT: Dimension = d(0, 0, 0, 1, 0);
    const VOLTAGE: Dimension = d(1, 2, -3, -1, 0);
    const CONDUCTANCE: Dimension = d(-1, -2, 3, 2, 0);
    const RATE: Dimension = d(0, 0, -1, 0, 0);
    let (dimension, scale) = match name {
        "°C" | "degC" | "C" | "Cel" => return Some((Dimension::TEMPERATURE, 1.0, 273.15)),
        "°F" | "degF" => return Some((Dimension::TEMPERATURE, 5.0 / 9.0, 459.67 * 5.0 / 9.0)),
        "K" => (Dimension::TEMPERATURE_DIFFERENCE, 1.0),
        "1" | "pH" | "NTU" | "PF" => (Dimension::NONE, 1.0),
        "%" | "%RH" => (Dimension::NONE, 0.01),
        "ppm" => (Dimension::NONE, 1e-6),
        "mW" => (POWER, 1e-3),
        "W" | "VA" | "var" => (POWER, 1.0),
        "kW" | "kVA" | "kvar" => (POWER, 1e3),
        "MW" | "MVA" => (POWER, 1e6),
        "RT" => (POWER, 3516.853),
        "J" => (ENERGY, 1.0),
        "kJ" => (ENERGY, 1e3),
        "MJ" => (ENERGY, 1e6),
        "GJ" => (ENERGY, 1e9),
        "Wh" | "VAh" | "varh" => (ENERGY, 3.6e3),
        "kWh" | "kVAh" | "kvarh" => (ENERGY, 3.6e6),
        "MWh" => (ENERGY, 3.6e9),
        "GWh" => (ENERGY, 3.6e12),
        "Pa" => (PRESSURE, 1.0),
        "hPa" | "mbar" => (PRESSURE, 1e2),
        "kPa" => (PRESSURE, 1e3),
        "MPa" => (PRESSURE, 1e6),
        "bar" => (PRESSURE, 1e5),
        "psi" => (PRESSURE, 6_894.757_293),
        "LPM" => (FLOW, 1e-3 / 60.0),
        "gpm" | "GPM" => (FLOW, 3.785_411_784e-3 / 60.0),
        "ms" => (TIME, 1e-3),
        "s" => (TIME, 1.0),
        "min" => (TIME, 60.0),
        "h" => (TIME, 3600.0),
        "d" => (TIME, 86_400.0),
        "mm" => (LENGTH, 1e-3),
        "cm" => (LENGTH, 1e-2),
        "m" => (LENGTH, 1.0),
        "L" | "l" => (VOLUME, 1e-3),
        "g" => (MASS, 1e-3),
        "kg" => (MASS, 1.0),
        "mA" => (CURRENT, 1e-3),
        "A" => (CURRENT, 1.0),
        "mV" => (VOLTAGE, 1e-3),
        "V" => (VOLTAGE, 1.0),
        "kV" => (VOLTAGE, 1e3),
        "S" => (CONDUCTANCE, 1.0),
        "mS" => (CONDUCTANCE, 1e-3),
        "µS" | "uS" => (CONDUCTANCE, 1e-6),
        "Hz" => (RATE, 1.0),
        "rpm" => (RATE, 1.0 / 60.0),
        _ => return None,
    };
    Some((dimension, scale, 0.0))
}
