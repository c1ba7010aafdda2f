//! Interval energies per meter.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::plant::AssetId;

/// Energy of one meter over one 15-minute interval `[start, start + 15 min)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    pub meter: AssetId,
    pub start: DateTime<Utc>,
    /// In kWh for energy; in m³ for a water meter.
    pub amount: f64,
    pub method: Method,
    /// Share of the interval that the readings cover, 0 to 1.
    pub coverage: f64,
    pub flags: Vec<Flag>,
    /// The register at the two snapshots that enclose the interval.
    pub first: RegisterReading,
    pub last: RegisterReading,
}

/// How the amount of an interval was found. Worst of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Difference of register readings.
    Register,
    /// Difference across a gap: the total is exact, the profile within it is not known.
    Bridged,
    /// No amount is claimed.
    Missing,
}

/// What happened to the register within the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    Rollover,
    /// Reset to zero at an unknown time: the amount is a lower bound.
    Reset,
    Suspicious,
    Replaced,
    Stuck,
    Ambiguous,
    /// The two snapshots around a boundary lie more than 15 minutes apart.
    InterpolatedWide,
    /// Wall time was assigned after the fact, from the monotonic clock.
    TimeAssignedLater,
    Unsynchronised,
}

/// One register snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegisterReading {
    pub at: DateTime<Utc>,
    pub value: f64,
}
