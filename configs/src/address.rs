//! Where a device answers, as a URL.

use std::fmt;

use thiserror::Error;
use url::Url;

/// A parsed device URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `modbus+tcp://host:502?unit=1`
    ModbusTcp { host: String, port: u16, unit: u8 },
    /// `mqtt://host:1883`, with credentials that were resolved from a file or the environment, never from the site file.
    Mqtt { host: String, port: u16, credentials: Option<Credentials> },
}

/// What is wrong with a device URL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    #[error("the URL cannot be read: {0}")]
    Malformed(#[from] url::ParseError),
    #[error("unknown kind of address \"{0}://\"")]
    Scheme(String),
    #[error("the URL names no host")]
    NoHost,
    #[error("a user or password stands in the URL")]
    Credentials,
    #[error("unit \"{0}\" is not a number from 0 to 255")]
    Unit(String),
    /// Named, not quoted: it may hold a secret.
    #[error("the URL has a {0} that means nothing here")]
    Surplus(&'static str),
}

impl Address {
    /// Reads a URL. Ports default to 502 and 1883, the unit to 1.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text.trim())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(AddressError::NoHost)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if url.fragment().is_some() {
            return Err(AddressError::Surplus("fragment"));
        }
        if !matches!(url.path(), "" | "/") {
            return Err(AddressError::Surplus("path"));
        }
        match url.scheme() {
            "modbus+tcp" => {
                let port = url.port().unwrap_or(502);
                Ok(Self::ModbusTcp { host, port, unit: unit(&url)? })
            }
            "mqtt" if url.query().is_some() => Err(AddressError::Surplus("query")),
            "mqtt" => Ok(Self::Mqtt { host, port: url.port().unwrap_or(1883), credentials: None }),
            other => Err(AddressError::Scheme(other.to_owned())),
        }
    }
}

fn unit(url: &Url) -> Result<u8, AddressError> {
    let mut unit = 1;
    for (key, value) in url.query_pairs() {
        if key != "unit" {
            return Err(AddressError::Surplus("query"));
        }
        unit = value.parse().map_err(|_| AddressError::Unit(value.into_owned()))?;
    }
    Ok(unit)
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
                write!(f, "modbus+tcp://{}:{port}?unit={unit}", Host(host))
            }
            Self::Mqtt { host, port, .. } => write!(f, "mqtt://{}:{port}", Host(host)),
        }
    }
}

/// A host as a URL writes it: an IPv6 address in brackets.
struct Host<'a>(&'a str);

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}
