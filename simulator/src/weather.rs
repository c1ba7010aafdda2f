//! Outdoor air over a day.

use std::f64::consts::TAU;

use chrono::{DateTime, TimeDelta, Timelike, Utc};

/// A clear day: a sine with its peak in mid-afternoon and a steady dew point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weather {
    pub mean_c: f64,
    /// Half of the difference between the warmest and the coldest hour.
    pub swing_k: f64,
    pub dew_point_c: f64,
}

impl Weather {
    /// Dry-bulb temperature. Warmest at 15:00 local sun time, taken as the hour of `at`.
    pub fn dry_bulb_c(&self, at: DateTime<Utc>) -> f64 {
        let day = f64::from(at.num_seconds_from_midnight()) / 86_400.0;
        self.mean_c + self.swing_k * ((day - 15.0 / 24.0) * TAU).cos()
    }

    /// Relative humidity in percent, from the dew point; at most 100.
    pub fn humidity_percent(&self, at: DateTime<Utc>) -> f64 {
        relative_humidity_percent(self.dry_bulb_c(at), self.dew_point_c)
    }
}

/// Relative humidity in percent of air at `temperature_c` whose dew point is `dew_point_c`; Magnus form of Alduchov
/// and Eskridge 1996 (domain facts §6.3).
pub fn relative_humidity_percent(temperature_c: f64, dew_point_c: f64) -> f64 {
    let exponent = |celsius: f64| 17.625 * celsius / (243.04 + celsius);
    (100.0 * (exponent(dew_point_c) - exponent(temperature_c)).exp()).min(100.0)
}

/// The time `seconds` after `start`; `start` itself where the calendar ends.
pub fn after(start: DateTime<Utc>, seconds: f64) -> DateTime<Utc> {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a run fit by far")]
    let span = TimeDelta::milliseconds((seconds * 1000.0) as i64);
    start.checked_add_signed(span).unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_afternoon_is_warmest_and_the_night_coldest() {
        let weather = Weather { mean_c: 20.0, swing_k: 6.0, dew_point_c: 12.0 };
        let at =
            |hour: u32| weather.dry_bulb_c(format!("2026-07-01T{hour:02}:00:00Z").parse().unwrap());
        assert!((at(15) - 26.0).abs() < 1e-9);
        assert!((at(3) - 14.0).abs() < 1e-9);
    }

    #[test]
    fn humidity_follows_from_dew_point() {
        // Domain facts: 24 °C at 60 % has a dew point of 15.76 °C.
        assert!((relative_humidity_percent(24.0, 15.76) - 60.0).abs() < 0.05);
        assert!((relative_humidity_percent(10.0, 12.0) - 100.0).abs() < 1e-12);
    }
}
