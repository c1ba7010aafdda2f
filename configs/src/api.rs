//! Where the gateway listens and who may ask it: `[api]` of a site file.

// The core has addresses without sockets.
use core::net::SocketAddr;
use std::{fmt, path::PathBuf};

/// What the table says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Api {
    /// `None`: the default address, on loopback.
    pub listen: Option<SocketAddr>,
    /// Path of the Unix socket; `None`: the default one.
    pub socket: Option<PathBuf>,
    /// What those may do who open the socket as members of its group.
    pub socket_role: Role,
    /// Names under which the gateway is reached, besides those of loopback. In lower case, without port.
    pub hosts: Vec<String>,
    /// Web pages of other places that may ask: `https://dash.example`.
    pub origins: Vec<String>,
    pub tls: Option<TlsFiles>,
    pub users: Vec<User>,
}

/// What somebody may do. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Acknowledges and resets.
    #[default]
    Operator,
    /// Reloads the configuration.
    Admin,
}

impl Role {
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// Where certificate chain and private key are, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// A person or a program with a token of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Stands on commands, and so in the journal.
    pub name: String,
    pub role: Role,
    /// A secret.
    pub token: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// Why this address cannot be listened on: beyond this machine nothing goes in plain text or without a name.
    pub fn objection(&self, listen: SocketAddr) -> Option<&'static str> {
        let beyond = !listen.ip().is_loopback();
        match (&self.tls, self.users.is_empty()) {
            (None, _) if beyond => Some("an address beyond this machine is served only with TLS"),
            (Some(_), true) if beyond => {
                Some("an address beyond this machine is served only to users with a token")
            }
            (None | Some(_), _) => None,
        }
    }
}
