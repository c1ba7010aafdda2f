//! Where the log goes besides our own disk. A sink is a durable cursor: what the log holds above it is still to be sent.

pub mod influx;

mod cursor;
mod quarantine;
