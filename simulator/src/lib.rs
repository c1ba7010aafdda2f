//! coldwatch
