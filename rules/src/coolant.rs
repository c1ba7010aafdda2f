//! Coolant properties: water and glycol–water mixtures. Outside the range of a fit there is no value.

mod fits;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::fits::{Fit, Freezing, Surface};
use crate::{
    measures::{
        Celsius, JoulesPerKilogramKelvin, KilogramsPerCubicMeter, MillipascalSeconds,
        WattsPerMeterKelvin,
    },
    value::Undefined,
};

/// 0 °C in kelvin.
const ZERO_CELSIUS_K: f64 = 273.15;
/// The fits end here; a closed loop is never hotter.
const GLYCOL_HOTTEST_C: f64 = 100.0;
const WATER_RANGE_C: (f64, f64) = (0.5, 99.0);

/// The property fit. The name carries the basis of the concentration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fluid {
    Water,
    /// Propylene glycol, fraction by volume ("PG25" is this at 0.25).
    Apg,
    /// Propylene glycol, fraction by mass.
    Mpg,
    /// Ethylene glycol, fraction by mass.
    Meg,
}

impl Fluid {
    pub const ALL: [Self; 4] = [Self::Water, Self::Apg, Self::Mpg, Self::Meg];

    /// As it is written in files and on the command line: `apg`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Water => "water",
            Self::Apg => "apg",
            Self::Mpg => "mpg",
            Self::Meg => "meg",
        }
    }

    /// Lowest and highest glycol fraction that the property data cover.
    pub fn fractions(self) -> (f64, f64) {
        self.fit().map_or((0.0, 0.0), |fit| fit.fractions)
    }

    fn fit(self) -> Option<&'static Fit> {
        match self {
            Self::Water => None,
            Self::Apg => Some(&fits::APG),
            Self::Mpg => Some(&fits::MPG),
            Self::Meg => Some(&fits::MEG),
        }
    }
}

/// A fluid with its glycol fraction, 0 to 1 on the basis that the fluid names; 0 for water.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coolant {
    pub fluid: Fluid,
    pub fraction: f64,
}

/// Why a text or a fraction is not a coolant.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum CoolantError {
    #[error("unknown coolant \"{0}\": expected water, apg:0.25, mpg:0.3 or meg:0.4")]
    Unknown(String),
    #[error("{0} needs its glycol fraction, for example {0}:0.25")]
    NoFraction(&'static str),
    #[error("water has no glycol fraction")]
    WaterWithFraction,
    #[error("{fluid} is known for glycol fractions from {lowest} to {highest}, not for {fraction}")]
    FractionOutOfRange { fluid: &'static str, lowest: f64, highest: f64, fraction: f64 },
}

impl Coolant {
    pub const WATER: Self = Self { fluid: Fluid::Water, fraction: 0.0 };

    /// Refuses a fraction that the property data do not cover.
    pub fn new(fluid: Fluid, fraction: f64) -> Result<Self, CoolantError> {
        let (lowest, highest) = fluid.fractions();
        if (lowest..=highest).contains(&fraction) {
            return Ok(Self { fluid, fraction });
        }
        if fluid == Fluid::Water {
            return Err(CoolantError::WaterWithFraction);
        }
        Err(CoolantError::FractionOutOfRange { fluid: fluid.word(), lowest, highest, fraction })
    }

    /// Density at a temperature.
    pub fn density(self, at: Celsius) -> Result<KilogramsPerCubicMeter, Undefined> {
        let density = match self.fit_at(at)? {
            None => polynomial(&fits::WATER_DENSITY, water_argument(at)),
            Some(fit) => self.on(fit, &fit.density, at),
        };
        Ok(KilogramsPerCubicMeter::new(density)?)
    }

    /// Specific heat capacity at constant pressure.
    pub fn specific_heat(self, at: Celsius) -> Result<JoulesPerKilogramKelvin, Undefined> {
        let specific_heat = match self.fit_at(at)? {
            None => polynomial(&fits::WATER_SPECIFIC_HEAT, water_argument(at)),
            Some(fit) => self.on(fit, &fit.specific_heat, at),
        };
        Ok(JoulesPerKilogramKelvin::new(specific_heat)?)
    }

    /// Dynamic viscosity.
    pub fn viscosity(self, at: Celsius) -> Result<MillipascalSeconds, Undefined> {
        let viscosity = match self.fit_at(at)? {
            None => polynomial(&fits::WATER_LN_VISCOSITY, water_argument(at)).exp(),
            Some(fit) => self.on(fit, &fit.ln_viscosity, at).exp() * 1000.0,
        };
        Ok(MillipascalSeconds::new(viscosity)?)
    }

    /// Thermal conductivity.
    pub fn conductivity(self, at: Celsius) -> Result<WattsPerMeterKelvin, Undefined> {
        let conductivity = match self.fit_at(at)? {
            None => polynomial(&fits::WATER_CONDUCTIVITY, water_argument(at)),
            Some(fit) => self.on(fit, &fit.conductivity, at),
        };
        Ok(WattsPerMeterKelvin::new(conductivity)?)
    }

    /// Where ice begins to form.
    pub fn freezing_point(self) -> Result<Celsius, Undefined> {
        let Some(fit) = self.fluid.fit() else {
            return Ok(Celsius::new(0.0)?);
        };
        let (lowest, highest) = fit.fractions;
        if !(lowest..=highest).contains(&self.fraction) {
            return Err(Undefined::CoolantOutOfRange);
        }
        let x = self.fraction - fit.base_fraction;
        let kelvin = match &fit.freezing {
            Freezing::Polynomial(terms) => polynomial(terms, x),
            Freezing::ExpOfPolynomial(terms) => polynomial(terms, x).exp(),
        };
        Ok(Celsius::new(kelvin - ZERO_CELSIUS_K)?)
    }

    /// Whether the property data hold at this temperature.
    pub fn covers(self, at: Celsius) -> Result<(), Undefined> {
        self.fit_at(at).map(|_| ())
    }

    /// The fit that holds at this temperature, `None` for water. Never extrapolates.
    fn fit_at(self, at: Celsius) -> Result<Option<&'static Fit>, Undefined> {
        let fit = self.fluid.fit();
        let (coldest, hottest) = match fit {
            None => WATER_RANGE_C,
            Some(fit) => (self.freezing_point()?.get().max(fit.coldest_c), GLYCOL_HOTTEST_C),
        };
        if (coldest..=hottest).contains(&at.get()) {
            Ok(fit)
        } else {
            Err(Undefined::CoolantOutOfRange)
        }
    }

    fn on(self, fit: &Fit, surface: &Surface, at: Celsius) -> f64 {
        let x = self.fraction - fit.base_fraction;
        let rows = surface.map(|row| polynomial(&row, x));
        polynomial(&rows, at.get() + ZERO_CELSIUS_K - fit.base_k)
    }
}

/// Σ `terms[k]`·xᵏ.
fn polynomial(terms: &[f64], x: f64) -> f64 {
    terms.iter().rev().fold(0.0, |sum, term| sum * x + term)
}

/// The water fits run over (t − 50 °C) / 50.
fn water_argument(at: Celsius) -> f64 {
    (at.get() - 50.0) / 50.0
}

impl fmt::Display for Coolant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fluid {
            Fluid::Water => f.write_str("water"),
            Fluid::Apg | Fluid::Mpg | Fluid::Meg => {
                write!(f, "{}:{}", self.fluid.word(), self.fraction)
            }
        }
    }
}

impl FromStr for Coolant {
    type Err = CoolantError;

    /// Reads `water`, `apg:0.25`, `mpg:0.3`, `meg:0.4`.
    fn from_str(text: &str) -> Result<Self, CoolantError> {
        let unknown = || CoolantError::Unknown(text.to_owned());
        let (word, fraction) = match text.split_once(':') {
            Some((word, fraction)) => (word, Some(fraction)),
            None => (text, None),
        };
        let fluid =
            Fluid::ALL.into_iter().find(|fluid| fluid.word() == word).ok_or_else(unknown)?;
        match (fluid, fraction) {
            (Fluid::Water, None) => Ok(Self::WATER),
            (Fluid::Water, Some(_)) => Err(CoolantError::WaterWithFraction),
            (_, None) => Err(CoolantError::NoFraction(fluid.word())),
            (_, Some(fraction)) => Self::new(fluid, fraction.parse().map_err(|_| unknown())?),
        }
    }
}
