//! The log from outside: what was reported durable is there, whatever happens in between.

mod support;

mod damage;
mod following;
mod frozen;
mod full_disk;
mod placing;
mod power_cuts;
mod round_trip;
