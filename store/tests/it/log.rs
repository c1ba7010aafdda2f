//! The log from outside: what was reported durable is there, whatever happens in between.

mod support;

mod round_trip;
