//! Proves: from the ledger to a document that somebody else can check.
//!
//! [`compliance`] computes one struct from ledger rows and the plant; it refuses what the rows do not carry, and says
//! why. [`render`] prints that struct, as JSON or as one self-contained HTML file with charts of our own ([`chart`]).

pub mod account;
pub mod chart;
pub mod compliance;
pub mod density;
pub mod render;
