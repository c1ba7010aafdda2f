//! Moist air: dew point, absolute humidity, wet bulb. What condenses on a cold pipe.

use crate::{
    measures::{Celsius, GramsPerCubicMeter, Hectopascals, Kelvin, Percent},
    value::Undefined,
};

/// Magnus coefficients of Alduchov and Eskridge (1996), over water: dimensionless, °C, hPa.
const MAGNUS_SLOPE: f64 = 17.625;
const MAGNUS_OFFSET_C: f64 = 243.04;
const MAGNUS_PRESSURE_HPA: f64 = 6.1094;
/// The coefficients were fitted up to 50 °C; at 60 °C the pressure is still within 0.4 %.
const MAGNUS_RANGE_C: (f64, f64) = (-40.0, 60.0);
/// Where Stull (2011) fitted his wet bulb, at sea level.
const STULL_RANGE_C: (f64, f64) = (-20.0, 50.0);
const STULL_RANGE_PERCENT: (f64, f64) = (5.0, 99.0);
/// Molar mass of water over the gas constant, in g·K/J, times 100 Pa/hPa.
const VAPOUR_DENSITY: f64 = 216.7;

/// Air at one place. The relative humidity is over water.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Air {
    pub temperature: Celsius,
    pub humidity: Percent,
}

impl Air {
    /// Dew point by the Magnus formula. Within 0.015 K of the full ASHRAE formulation over 18–35 °C and 30–80 %; below
    /// 0 °C it is up to 1.4 K low, because it knows no ice.
    pub fn dew_point(self) -> Result<Celsius, Undefined> {
        let t = magnus_temperature(self.temperature)?;
        let gamma =
            (self.humidity_clamped()? / 100.0).ln() + MAGNUS_SLOPE * t / (MAGNUS_OFFSET_C + t);
        Ok(Celsius::new(MAGNUS_OFFSET_C * gamma / (MAGNUS_SLOPE - gamma))?)
    }

    /// Water in the air.
    pub fn absolute_humidity(self) -> Result<GramsPerCubicMeter, Undefined> {
        let saturation = saturation_pressure(self.temperature)?.get();
        let vapour = saturation * self.humidity_clamped()? / 100.0;
        Ok(GramsPerCubicMeter::new(VAPOUR_DENSITY * vapour / (self.temperature.get() + 273.15))?)
    }

    /// Wet bulb by Stull (2011), sea level: up to 0.7 K off at low humidity. Good for context, not for compliance.
    pub fn wet_bulb(self) -> Result<Celsius, Undefined> {
        let t = within(self.temperature.get(), STULL_RANGE_C)?;
        let rh = within(self.humidity.get(), STULL_RANGE_PERCENT)?;
        let wet_bulb = t * (0.151_977 * (rh + 8.313_659).sqrt()).atan() + (t + rh).atan()
            - (rh - 1.676_331).atan()
            + 0.003_918_38 * rh.powf(1.5) * (0.023_101 * rh).atan()
            - 4.686_035;
        Ok(Celsius::new(wet_bulb)?)
    }

    /// How far a wetted surface is above the dew point; below zero it drips.
    pub fn dew_point_margin(self, surface: Celsius) -> Result<Kelvin, Undefined> {
        Ok(Kelvin::new(surface.get() - self.dew_point()?.get())?)
    }

    /// In percent, held to 1–100 as sensors drift past both ends; zero or less is no humidity at all.
    fn humidity_clamped(self) -> Result<f64, Undefined> {
        let percent = self.humidity.get();
        if percent > 0.0 { Ok(percent.clamp(1.0, 100.0)) } else { Err(Undefined::OutsideFormula) }
    }
}

/// Saturation pressure of water vapour over water, by the Magnus formula.
pub fn saturation_pressure(at: Celsius) -> Result<Hectopascals, Undefined> {
    let t = magnus_temperature(at)?;
    Ok(Hectopascals::new(MAGNUS_PRESSURE_HPA * (MAGNUS_SLOPE * t / (MAGNUS_OFFSET_C + t)).exp())?)
}

fn magnus_temperature(at: Celsius) -> Result<f64, Undefined> {
    within(at.get(), MAGNUS_RANGE_C)
}

fn within(value: f64, (lowest, highest): (f64, f64)) -> Result<f64, Undefined> {
    if (lowest..=highest).contains(&value) { Ok(value) } else { Err(Undefined::OutsideFormula) }
}
