//! Whole-system tests: the real binary, real sockets, real files.

mod calc;
mod program;
