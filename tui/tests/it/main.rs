//! The dashboard as an operator meets it: whole screens, keys, and the picture behind them.

mod hall;
mod keys;
mod picture;
mod screens;
mod sizes;
