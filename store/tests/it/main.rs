//! The store on real files.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod export;
mod history;
mod influx;
mod journal;
mod killed;
mod ledger;
mod log;
mod peer_victoria;
mod projector;
mod records;
