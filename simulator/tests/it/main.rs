//! The simulator as others use it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hall;
mod playback;
mod scenario;
mod served;
mod small_hall;
mod watched;
