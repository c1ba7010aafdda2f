//! Pretends: a liquid-cooled hall that is not there, served over real Modbus TCP and MQTT.
//!
//! A [`scenario::Scenario`] says how the hall is used and what befalls it. [`hall::Hall`] is the physics: seeded, stepped,
//! with its own integral of every energy, so that what a gateway computes can be compared with what is true.

pub mod coolant_loop;
pub mod demo;
pub mod electrical;
pub mod facility;
pub mod feed;
pub mod form;
pub mod hall;
pub mod heat;
pub mod hydraulics;
pub mod image;
pub mod load;
mod modbus;
pub mod playback;
mod publish;
pub mod register;
mod reported;
pub mod scenario;
pub mod serve;
mod shared;
pub mod truth;
pub mod two_phase;
pub mod weather;
pub mod world;

pub use serve::{Brokers, Options, Ports, Running, StartError, start};
