//! Coolant properties: water and glycol–water mixtures.

use serde::{Deserialize, Serialize};

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

/// A fluid with its glycol fraction, 0 to 1 on the basis that the fluid names; 0 for water.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coolant {
    pub fluid: Fluid,
    pub fraction: f64,
}

impl Coolant {
    pub const WATER: Self = Self { fluid: Fluid::Water, fraction: 0.0 };
}
