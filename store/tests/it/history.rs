//! The history from outside: records go into a real log, a sealer turns, questions are asked.

mod support;

mod cuts;
mod late;
mod questions;
mod retention;
mod whole;
