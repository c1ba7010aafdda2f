//! Connects: sockets that heal. What goes over them is somebody else's business.
//!
//! Modbus: [`modbus::Link`] reads, and only reads; no request that could change a device exists here. A late answer is
//! never believed.

pub mod backoff;
pub mod modbus;
