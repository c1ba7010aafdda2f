//! Reports from made-up ledgers: what is claimed, what is refused, and how it is printed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod claims;
mod hall;
mod printed;
mod year;
