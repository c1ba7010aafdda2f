//! Where a device answers, as a URL.

use std::fmt;

/// A parsed device URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `modbus+tcp://host:502?unit=1`
    ModbusTcp { host: String, port: u16, unit: u8 },
    /// `mqtt://host:1883`, with credentials that were resolved from a file or the environment, never from the site file.
    Mqtt { host: String, port: u16, credentials: Option<Credentials> },
}

/// A user name and a secret that is never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModbusTcp { host, port, unit } => {
                write!(f, "modbus+tcp://{host}:{port}?unit={unit}")
            }
            Self::Mqtt { host, port, .. } => write!(f, "mqtt://{host}:{port}"),
        }
    }
}
