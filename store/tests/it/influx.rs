//! The sink to InfluxDB against a server that answers as the test says: which lines arrive, and what is said meanwhile.

mod server;
mod site;

mod answers;
mod outage;
