//! The simulator as others use it.

mod hall;
mod scenario;
mod small_hall;
