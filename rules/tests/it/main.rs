//! The domain through its public interface.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod book;
mod budget;
mod calc;
mod energy;
mod engine;
mod fixtures;
mod hall;
mod loops;
mod physics;
mod replay;
mod restart;
mod rule_language;
