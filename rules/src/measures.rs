//! Numbers with their unit in the type, for the signatures of formulas. Two arguments of a formula cannot be swapped
//! unnoticed, and none of them is NaN or infinite.
//!
//! Inside a formula the bare number is used ([`Celsius::get`] and its like); units are converted at the edges, by
//! [`crate::units::Unit`].

use thiserror::Error;

use crate::value::{NoData, Undefined};

/// A number that is NaN or infinite was offered as a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a finite number")]
pub struct NotFinite;

impl From<NotFinite> for NoData {
    fn from(_: NotFinite) -> Self {
        Self::NotFinite
    }
}

/// A formula whose result is not finite was used outside its range.
impl From<NotFinite> for Undefined {
    fn from(_: NotFinite) -> Self {
        Self::OutsideFormula
    }
}

/// What all measures have in common.
pub trait Measure: Copy {
    /// As [`crate::units::Unit`] writes it.
    const UNIT: &'static str;

    /// Refuses NaN and infinity.
    fn new(value: f64) -> Result<Self, NotFinite>;

    /// The number, in [`Self::UNIT`].
    fn get(self) -> f64;
}

macro_rules! measures {
    ($($(#[$doc:meta])* $name:ident $unit:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
        pub struct $name(f64);

        impl $name {
            /// Refuses NaN and infinity.
            pub fn new(value: f64) -> Result<Self, NotFinite> {
                if value.is_finite() { Ok(Self(value)) } else { Err(NotFinite) }
            }

            #[doc = concat!("The number, in ", $unit, ".")]
            pub fn get(self) -> f64 {
                self.0
            }
        }

        impl Measure for $name {
            const UNIT: &'static str = $unit;

            fn new(value: f64) -> Result<Self, NotFinite> {
                Self::new(value)
            }

            fn get(self) -> f64 {
                self.0
            }
        }
    )*};
}

measures! {
    /// A place on the temperature scale.
    Celsius "°C";
    /// A distance on the temperature scale.
    Kelvin "K";
    LitersPerMinute "L/min";
    /// Coolant flow per heat load.
    SpecificFlow "L/min/kW";
    Kilowatts "kW";
    KilovoltAmperes "kVA";
    Kilovars "kvar";
    KilowattHours "kWh";
    Kilopascals "kPa";
    Hectopascals "hPa";
    Amperes "A";
    Volts "V";
    Liters "L";
    CubicMeters "m3";
    CubicMetersPerHour "m3/h";
    /// Of water for energy.
    LitersPerKilowattHour "L/kWh";
    /// Of CO2 equivalent for energy.
    KilogramsPerKilowattHour "kg/kWh";
    Seconds "s";
    SquareMeters "m2";
    KilowattsPerSquareMeter "kW/m2";
    KilogramsPerCubicMeter "kg/m3";
    /// Of water in air.
    GramsPerCubicMeter "g/m3";
    /// Specific heat capacity.
    JoulesPerKilogramKelvin "J/kg/K";
    /// Dynamic viscosity.
    MillipascalSeconds "mPa·s";
    /// Thermal conductivity.
    WattsPerMeterKelvin "W/m/K";
    /// Heat capacity of a body.
    KilojoulesPerKelvin "kJ/K";
    /// Conductance of a heat exchanger, or heat-capacity rate of a stream.
    KilowattsPerKelvin "kW/K";
    Percent "%";
    /// A quotient of two figures of the same unit.
    Ratio "1";
}
