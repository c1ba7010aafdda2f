//! Where a gateway is.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

use hyper::Uri;
use thiserror::Error;

/// The port of the API where an address names none.
pub const PORT: u16 = 7420;

/// `unix:/run/coldwatch/api.sock`, `http://127.0.0.1:7420` or `https://gateway.example:7420`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Unix(PathBuf),
    /// Only ever this machine: nothing is encrypted.
    Http {
        host: String,
        port: u16,
    },
    Https {
        host: String,
        port: u16,
    },
}

/// Why a text is no address of a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    #[error("expected unix:PATH, http://127.0.0.1:{PORT} or https://HOST:PORT")]
    Form,
    #[error(
        "a secret does not belong into an address; name the file that holds it with --token-file"
    )]
    Secret,
    #[error(
        "http:// is for this machine only, because it would carry the token in the clear; use https://"
    )]
    Clear,
    #[error("expected an address without a path, not {0}")]
    Path(String),
}

impl Address {
    /// On this machine, so that its files may be at hand.
    pub fn is_local(&self) -> bool {
        !matches!(self, Self::Https { .. })
    }

    /// What the `Host` header says, and the authority of a request.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Unix(_) => "localhost".to_owned(),
            Self::Http { host, port } | Self::Https { host, port } => format!("{host}:{port}"),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(AddressError::Form)
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        if text.contains('@') {
            return Err(AddressError::Secret);
        }
        let uri: Uri = text.parse().map_err(|_| AddressError::Form)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(AddressError::Form)?.to_owned();
        let port = uri.port_u16().unwrap_or(PORT);
        if let Some(path) = uri.path_and_query().filter(|path| !["", "/"].contains(&path.as_str()))
        {
            return Err(AddressError::Path(path.to_string()));
        }
        match uri.scheme_str() {
            Some("http") if is_loopback(&host) => Ok(Self::Http { host, port }),
            Some("http") => Err(AddressError::Clear),
            Some("https") => Ok(Self::Https { host, port }),
            _ => Err(AddressError::Form),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Http { host, port } => write!(f, "http://{host}:{port}"),
            Self::Https { host, port } => write!(f, "https://{host}:{port}"),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> AddressError {
        text.parse::<Address>().unwrap_err()
    }

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in [
            "unix:/run/api.sock",
            "http://127.0.0.1:7420",
            "http://[::1]:80",
            "https://gw.example:443",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("unix:///a/b".parse(), Ok(Address::Unix("/a/b".into())));
        assert_eq!("https://gw/".parse::<Address>().unwrap().to_string(), "https://gw:7420");
    }

    #[test]
    fn nothing_is_sent_in_the_clear_beyond_this_machine() {
        assert_eq!(error("http://10.0.0.5:7420"), AddressError::Clear);
        assert_eq!(error("http://gateway:7420"), AddressError::Clear);
        assert!("http://localhost:7420".parse::<Address>().is_ok());
    }

    #[test]
    fn what_is_no_address_is_told_with_a_way_out() {
        assert_eq!(error("https://token@gateway:7420"), AddressError::Secret);
        assert_eq!(error("https://gateway:7420/api/v1"), AddressError::Path("/api/v1".into()));
        for text in ["", "gateway", "gateway:7420", "unix:", "ftp://gateway", "https://"] {
            assert_eq!(error(text), AddressError::Form, "{text}");
        }
    }
}
