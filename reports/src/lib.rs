//! Proves: from the ledger to a document that somebody else can check.
//!
//! [`compliance`] computes one struct from the lines of the ledger and the plant; it refuses what they do not carry, and
//! says why. [`render`] prints that struct, as JSON, CSV or one self-contained HTML file with charts of our own, in every
//! [`language`].

pub mod account;
pub mod balance;
pub mod chart;
pub mod compliance;
pub mod density;
pub mod difference;
pub mod estimate;
pub mod grid;
pub mod language;
pub mod manifest;
pub mod note;
pub mod render;
pub mod sums;
pub mod words;
