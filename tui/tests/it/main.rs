//! The dashboard as an operator meets it: whole screens, keys, and the picture behind them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod client;
mod hall;
mod keys;
mod picture;
mod screens;
mod scripted;
mod sizes;
