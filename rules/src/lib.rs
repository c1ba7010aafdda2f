//! Decides: samples in, events out. The domain of coldwatch, without clock, I/O or async.
//!
//! # Words
//!
//! - *Point*: one quantity of one asset, `cdu-2.tcs.supply_temperature`. It has a unit, a kind and a freshness limit.
//! - *Sample*: point, time, value or reason. *Reading*: what is known of a point now, with age and coverage.
//! - *Asset*: rack, CDU, loop, PDU, meter, room. Assets *feed*, *cool*, *measure* and are *located in* one another.
//! - *Metric*: a computed point. *Rule*: a condition template. *Alarm*: one rule on one asset, with an ISA-18.2 letter.
//! - *Event*: anything the engine decided. *Ledger*: interval energies per meter.
//! - *FWS*: facility water system, the primary side of a CDU. *TCS*: technology cooling system, the side of the racks.
//! - *Power ratio*: facility kW over IT kW at one moment. PUE is another thing: a ratio of energies over 12 months.
//!
//! The gateway calls [`engine::Engine::step`] with the time and an input, and gets events back. Live running, replay
//! and tests drive the same function.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod alarm;
pub mod alarm_set;
pub mod book;
pub mod calc;
pub mod calendar;
pub mod chain;
pub mod checkpoint;
pub mod coolant;
pub mod demand;
pub mod density;
pub mod electrical;
pub mod engine;
pub mod exchanger;
pub mod heat;
pub mod hex;
pub mod id;
pub mod indicators;
pub mod language;
pub mod ledger;
pub mod limits;
pub mod measures;
pub mod messages;
pub mod meters;
pub mod metrics;
pub mod plant;
pub mod psychrometrics;
pub mod pump;
pub mod quantity;
pub mod ratio;
pub mod register;
pub mod replay;
pub mod rule;
pub mod signing;
pub mod time;
pub mod uncertainty;
pub mod units;
pub mod value;
