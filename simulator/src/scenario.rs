//! Scenario files: what the hall is like, and what befalls it when.
//!
//! ```toml
//! title = "A pump trips"
//! seed = 7
//!
//! [[event]]
//! at_s = 12
//! do.pump_trip = { cdu = "cdu-2", pump = 2 }
//! ```

use chrono::{DateTime, Utc};
use serde::Deserialize;
use thiserror::Error;

/// A scenario as read: every figure is within its limits.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub title: String,
    /// The same seed gives the same hall.
    pub seed: u64,
    /// Simulated seconds per second. Registers of energy follow simulated time.
    #[serde(default = "one")]
    pub speed: f64,
    /// Wall time in the hall when the simulation starts, for the weather.
    #[serde(default = "morning")]
    pub start: DateTime<Utc>,
    #[serde(default)]
    pub load: LoadProfile,
    #[serde(default)]
    pub weather: WeatherProfile,
    #[serde(default)]
    pub cooling: CoolingProfile,
    /// In the order of their times.
    #[serde(default, rename = "event")]
    pub events: Vec<TimedEvent>,
}

/// How busy the racks are.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadProfile {
    /// Mean utilisation, 0 to 1.
    pub mean: f64,
    /// Utilisation of a job lies within `mean` ± `swing`.
    pub swing: f64,
    /// Mean duration of a job in seconds.
    pub job_s: f64,
    /// Time constant with which a rack follows its job.
    pub ramp_s: f64,
    /// Random part of the utilisation from step to step.
    pub jitter: f64,
}

impl Default for LoadProfile {
    fn default() -> Self {
        Self { mean: 0.72, swing: 0.25, job_s: 240.0, ramp_s: 3.0, jitter: 0.05 }
    }
}

/// The outdoor air of the day.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WeatherProfile {
    pub mean_c: f64,
    pub swing_k: f64,
    pub dew_point_c: f64,
}

impl Default for WeatherProfile {
    fn default() -> Self {
        Self { mean_c: 17.0, swing_k: 6.0, dew_point_c: 9.0 }
    }
}

/// Set-points of the cooling.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoolingProfile {
    /// Supply to the racks.
    pub tcs_supply_c: f64,
    /// Facility water to the CDUs.
    pub fws_supply_c: f64,
    pub room_c: f64,
    pub room_dew_point_c: f64,
}

impl Default for CoolingProfile {
    fn default() -> Self {
        Self { tcs_supply_c: 32.0, fws_supply_c: 26.0, room_c: 25.0, room_dew_point_c: 12.0 }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimedEvent {
    /// Simulated seconds after the start.
    pub at_s: f64,
    #[serde(rename = "do")]
    pub event: Event,
}

/// Something that happens to the hall or to a device.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The drive of a pump stops.
    PumpTrip(PumpName),
    PumpRestore(PumpName),
    /// Coolant is lost, and the leak sensor of the asset (a rack or a CDU) is wet.
    Leak {
        asset: String,
        litres_per_hour: f64,
    },
    LeakFixed {
        asset: String,
    },
    /// The filter's pressure loss in multiples of a clean one.
    FilterClogged {
        cdu: String,
        factor: f64,
    },
    /// A source of power is dead: a meter, PDU, bus or UPS by name.
    FeedLost {
        asset: String,
    },
    FeedRestored {
        asset: String,
    },
    /// The register is moved to this much below its modulus.
    MeterRollover {
        meter: String,
        before_kwh: f64,
    },
    MeterReset {
        meter: String,
    },
    /// A point keeps the value that it has now.
    SensorFrozen {
        point: String,
    },
    SensorThawed {
        point: String,
    },
    /// A device repeats its present registers for ever, and looks alive.
    Stale {
        device: String,
    },
    /// A device takes requests and never answers.
    DeviceSilent {
        device: String,
    },
    /// A device answers this late.
    DeviceSlow {
        device: String,
        delay_ms: u64,
    },
    /// The whole link of a device refuses connections and drops those it has.
    ConnectionRefused {
        device: String,
    },
    /// The clock of everything that publishes is this many seconds ahead; negative: behind. 0 sets it right.
    ClockError {
        seconds: f64,
    },
    /// Ends whatever befell the device.
    DeviceBack {
        device: String,
    },
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PumpName {
    pub cdu: String,
    /// From 1.
    pub pump: u32,
}

/// Why a scenario cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScenarioError {
    /// With line, column and the offending line.
    #[error("scenario \"{name}\" cannot be read\n{detail}")]
    Malformed { name: String, detail: String },
    #[error("scenario \"{name}\": {detail}")]
    OutOfRange { name: String, detail: String },
    #[error("no scenario \"{name}\": give a file, or one of {known}")]
    Unknown { name: String, known: String },
}

/// The scenarios that ship with the program.
const SHIPPED: &[(&str, &str)] = &[
    ("normal_day", include_str!("../scenarios/normal_day.toml")),
    ("pump_trip", include_str!("../scenarios/pump_trip.toml")),
    ("leak", include_str!("../scenarios/leak.toml")),
    ("dead_meter", include_str!("../scenarios/dead_meter.toml")),
    ("demo", include_str!("../scenarios/demo.toml")),
    ("month", include_str!("../scenarios/month.toml")),
];

impl Scenario {
    /// Reads a scenario; `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScenarioError> {
        let mut scenario: Self = toml::from_str(text).map_err(|fault| {
            ScenarioError::Malformed { name: name.to_owned(), detail: fault.to_string() }
        })?;
        scenario
            .check()
            .map_err(|detail| ScenarioError::OutOfRange { name: name.to_owned(), detail })?;
        scenario.events.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
        Ok(scenario)
    }

    /// A scenario that ships with the program, by its name: `demo`.
    pub fn shipped(name: &str) -> Result<Self, ScenarioError> {
        match SHIPPED.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::parse(name, text),
            None => Err(ScenarioError::Unknown {
                name: name.to_owned(),
                known: Self::shipped_names().collect::<Vec<_>>().join(", "),
            }),
        }
    }

    pub fn shipped_names() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|(name, _)| *name)
    }

    fn check(&self) -> Result<(), String> {
        within("speed", self.speed, 0.01, 600.0)?;
        within("load.mean", self.load.mean, 0.0, 1.0)?;
        within("load.swing", self.load.swing, 0.0, 1.0)?;
        within("load.job_s", self.load.job_s, 1.0, 1e6)?;
        within("load.ramp_s", self.load.ramp_s, 0.1, 3600.0)?;
        within("load.jitter", self.load.jitter, 0.0, 1.0)?;
        within("weather.mean_c", self.weather.mean_c, -40.0, 50.0)?;
        within("weather.swing_k", self.weather.swing_k, 0.0, 30.0)?;
        within("weather.dew_point_c", self.weather.dew_point_c, -40.0, 30.0)?;
        within("cooling.fws_supply_c", self.cooling.fws_supply_c, 5.0, 45.0)?;
        within(
            "cooling.tcs_supply_c",
            self.cooling.tcs_supply_c,
            self.cooling.fws_supply_c + 3.0,
            60.0,
        )?;
        within("cooling.room_c", self.cooling.room_c, 15.0, 40.0)?;
        within("cooling.room_dew_point_c", self.cooling.room_dew_point_c, -10.0, 25.0)?;
        for timed in &self.events {
            within("event.at_s", timed.at_s, 0.0, 1e9)?;
            match &timed.event {
                Event::Leak { litres_per_hour, .. } => {
                    within("leak.litres_per_hour", *litres_per_hour, 0.0, 10_000.0)?;
                }
                Event::FilterClogged { factor, .. } => {
                    within("filter_clogged.factor", *factor, 1.0, 100.0)?;
                }
                Event::MeterRollover { before_kwh, .. } => {
                    within("meter_rollover.before_kwh", *before_kwh, 0.0, 1e6)?;
                }
                Event::ClockError { seconds } => {
                    within("clock_error.seconds", *seconds, -1e9, 1e9)?;
                }
                Event::DeviceSlow { delay_ms, .. } if *delay_ms > 60_000 => {
                    return Err("device_slow.delay_ms must lie within 0 and 60000".to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// NaN lies within nothing.
fn within(name: &str, value: f64, least: f64, most: f64) -> Result<(), String> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(format!("{name} is {value} and must lie within {least} and {most}"))
    }
}

fn one() -> f64 {
    1.0
}

/// A day in early October, 08:00 UTC.
fn morning() -> DateTime<Utc> {
    DateTime::from_timestamp(1_791_014_400, 0).unwrap_or_default()
}
