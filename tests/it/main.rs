//! Whole-system tests: the real binary, real sockets, real files. Tests that need a program of somebody else are ignored in
//! a plain run and say what they need.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod amend;
mod api;
mod calc;
mod check;
mod demo;
mod disk_full;
mod dsx;
mod house;
mod http;
mod key;
mod kill;
mod load;
mod observer;
mod order;
mod peer_influx;
mod peer_modbus;
mod program;
mod readme;
mod report;
mod rules;
mod run;
mod seal;
mod sealed;
mod simulate;
mod status;
mod strace;
mod support;
mod terminal;
mod tui;
mod year;
