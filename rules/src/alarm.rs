//! The life of one alarm.

use std::fmt;

use serde::{Deserialize, Serialize};

/// ISA-18.2 state letter, with the latched forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Letter {
    /// Normal.
    A,
    /// Active, not acknowledged.
    B,
    /// Active, acknowledged.
    C,
    /// Returned to normal, not acknowledged.
    D,
    /// Shelved.
    E,
    /// Suppressed by design.
    F,
    /// Out of service.
    G,
    /// Latched after B: dry again, but not acknowledged.
    #[serde(rename = "BL")]
    Bl,
    /// Latched after C: acknowledged, waiting for the reset.
    #[serde(rename = "CL")]
    Cl,
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::E => "E",
            Self::F => "F",
            Self::G => "G",
            Self::Bl => "BL",
            Self::Cl => "CL",
        })
    }
}

/// 1 (act within 10 minutes) to 4 (plan).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Priority {
    P1 = 1,
    P2 = 2,
    P3 = 3,
    P4 = 4,
}

impl TryFrom<u8> for Priority {
    type Error = String;

    fn try_from(digit: u8) -> Result<Self, String> {
        match digit {
            1 => Ok(Self::P1),
            2 => Ok(Self::P2),
            3 => Ok(Self::P3),
            4 => Ok(Self::P4),
            _ => Err(format!("priority {digit} is not 1, 2, 3 or 4")),
        }
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority as Self
    }
}
