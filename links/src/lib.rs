//! Connects: sockets that heal. What goes over them is somebody else's business.
//!
//! Modbus: [`modbus::Link`] reads, and only reads; no request that could change a device exists here. A late answer is
//! never believed.
//!
//! TLS: [`tls::Server`] takes connections, [`tls_client`] makes them.
//!
//! MQTT: [`mqtt::Session`] receives, [`publisher::Publisher`] sends on its own topics, and [`broker::Broker`] stands in
//! for a broker in the demo and in tests.

pub mod backoff;
pub mod broker;
pub mod modbus;
pub mod mqtt;
pub mod publisher;
pub mod tls;
pub mod tls_client;
pub mod topic;
