//! What can go wrong between a client and its gateway, said so that one knows what to do.

use std::{io, path::PathBuf};

use rules::messages::SCHEMA;
use thiserror::Error;

use super::address::Address;

/// Texts are shown in one line of the dashboard, so each holds its cause.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error(
        "no gateway at {0}: start one with `coldwatch run --site FILE`, or name it with --connect"
    )]
    NoGateway(Address),
    #[error("this user may not open {}: join the group that owns it, or run as its owner", .0.display())]
    NoPermission(PathBuf),
    #[error("{address} cannot be reached: {why}")]
    Unreachable { address: Address, why: String },
    #[error(
        "the certificate of {address} is not trusted: {why}; name the authority that signed it with --ca"
    )]
    NotTrusted { address: Address, why: String },
    #[error("failed to read the token in {}: {why}", .file.display())]
    Token { file: PathBuf, why: io::Error },
    #[error(
        "the gateway wants a token: name the file that holds it with --token-file (its own is `token` in its data directory)"
    )]
    TokenMissing,
    #[error("the gateway does not know the token in {}", .0.display())]
    TokenUnknown(PathBuf),
    #[error("the gateway refuses: {0}")]
    Forbidden(String),
    #[error("what answers at {address} is no coldwatch gateway (HTTP {status})")]
    NotAGateway { address: Address, status: u16 },
    /// It is a gateway, but it cannot do this now, or not with these words.
    #[error("{why} (HTTP {status})")]
    Unable { status: u16, why: String },
    #[error(
        "the gateway speaks version {0} of the messages and this program version {SCHEMA}: use the program of the gateway's release"
    )]
    Schema(u64),
    #[error("what the gateway says cannot be understood: {0}")]
    Garbled(String),
    #[error("the gateway closed the connection{0}")]
    Closed(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("nothing was heard for {0} s")]
    Silent(u64),
}

impl ClientError {
    /// For a dashboard that was connected before and tries again by itself: what is wrong, without what to do on a command
    /// line.
    pub(super) fn brief(&self) -> String {
        match self {
            Self::NoGateway(address) => format!("no gateway at {address}"),
            Self::Unreachable { why, .. } => format!("the gateway cannot be reached: {why}"),
            Self::NotTrusted { why, .. } => {
                format!("the gateway's certificate is not trusted: {why}")
            }
            Self::Schema(theirs) => {
                format!("the gateway speaks version {theirs} now: start a dashboard of its release")
            }
            other => other.to_string(),
        }
    }

    /// What an I/O error on an open connection means.
    pub(super) fn broken(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::Silent(super::PATIENCE.as_secs()),
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Closed(String::new()),
            _ => Self::Broken(error.to_string()),
        }
    }
}
