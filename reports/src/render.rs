//! Prints a [`Compliance`]: as JSON and CSV for machines, and as one HTML file that needs nothing but itself, in every
//! language.

mod csv;
mod document;
mod pieces;
mod sections;

pub use csv::{corrections_csv, csv, registers_csv};
pub use document::html;

use crate::compliance::Compliance;

/// Of a hundred meters without data the first few say what is wrong.
pub const REFUSALS_SHOWN: usize = 12;

/// The answer as JSON, with a line break at the end.
pub fn json(answer: &Compliance) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(answer)? + "\n")
}
