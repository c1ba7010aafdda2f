//! A gateway in another process, over its API.
//!
//! ```text
//! address ──→ transport (Unix, TCP or TLS) ──→ request: one question, one answer
//!                                         └──→ stream: a greeting, a snapshot, then updates
//! session: keeps a stream open for a dashboard, resumes it, and carries its commands
//! ```

use std::{fs, io, path::PathBuf, time::Duration};

use hyper::StatusCode;
use rules::messages::{Command, Outcome, SCHEMA, Snapshot};
use serde_json::{Value, json};

pub use address::{Address, AddressError, PORT};
pub use error::ClientError;
pub use links::tls_client::{TlsError, Trust};

mod address;
mod error;
mod request;
mod session;
mod stream;
mod transport;

use crate::source::{Answer, Source};

/// A connection is given up when nothing is heard for so long. The gateway speaks once a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest message: a snapshot of a million points.
const LARGEST: usize = 512 << 20;

/// Where the token of a request comes from. It is read anew for every connection, because a gateway may change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// The address needs none, or its owner has none.
    None,
    File(PathBuf),
    /// The gateway's own file, which not everybody may read.
    IfReadable(PathBuf),
}

/// How to reach one gateway.
#[derive(Clone, Debug)]
pub struct Client {
    address: Address,
    token: Token,
    trust: Option<Trust>,
    speaks_for_others: bool,
}

/// What a request shows to be let in.
struct Credentials {
    bearer: Option<String>,
    file: Option<PathBuf>,
}

impl Credentials {
    /// The value of the `Authorization` header.
    fn bearer(&self) -> Option<&str> {
        self.bearer.as_deref()
    }
}

impl Client {
    /// `trust` says whose certificates are believed; only `https` needs it.
    pub fn new(address: Address, token: Token, trust: Option<Trust>) -> Self {
        Self { address, token, trust, speaks_for_others: false }
    }

    /// Says on every command whose it is. Without it the gateway goes by who is let in, and only few may say otherwise.
    #[must_use]
    pub fn speaking_for_others(self) -> Self {
        Self { speaks_for_others: true, ..self }
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The picture now.
    pub async fn snapshot(&self) -> Result<Snapshot, ClientError> {
        let snapshot: Snapshot = parse(&self.ask("/api/v1/snapshot", None).await?)?;
        if snapshot.schema == SCHEMA {
            Ok(snapshot)
        } else {
            Err(ClientError::Schema(snapshot.schema.into()))
        }
    }

    /// Posts a JSON document and gives the answer, which must be one, with its status.
    pub async fn post(&self, path: &str, document: &Value) -> Result<(u16, Value), ClientError> {
        let credentials = self.credentials()?;
        let connection = self.connect().await?;
        let body = Some(document.to_string().into_bytes());
        let authority = self.address.authority();
        let answered = request::exchange(connection, &authority, &credentials, path, body).await?;
        match serde_json::from_slice(&answered.body) {
            Ok(document) if !is_about_access(answered.status) => {
                Ok((answered.status.as_u16(), document))
            }
            _ => Err(self.refused(answered.status, &answered.body, &credentials)),
        }
    }

    /// Attaches a dashboard: the first picture, and a session that keeps it up to date until the source is dropped. Needs
    /// a tokio runtime with time and I/O.
    pub async fn attach(self) -> Result<Source, ClientError> {
        session::start(self).await
    }

    /// Sends a command once. The error says that it was not delivered.
    async fn command(&self, command: &Command) -> Result<Answer, ClientError> {
        let credentials = self.credentials()?;
        let connection = self.connect().await?;
        let mut document = json!({ "key": command.key, "action": command.action });
        if self.speaks_for_others {
            document["by"] = command.by.as_str().into();
        }
        let body = document.to_string().into_bytes();
        let authority = self.address.authority();
        let path = "/api/v1/commands";
        let answered =
            request::exchange(connection, &authority, &credentials, path, Some(body)).await;
        Ok(match answered {
            Ok(answered) => match outcome(&answered.body) {
                Some(outcome) => Answer::Decided(outcome),
                None if answered.status.is_success() => {
                    Answer::Unanswered { why: "its answer cannot be understood".to_owned() }
                }
                None => {
                    let why = self.refused(answered.status, &answered.body, &credentials);
                    Answer::NotTaken { why: why.to_string() }
                }
            },
            Err(why) => Answer::Unanswered { why: why.brief() },
        })
    }

    async fn ask(&self, path: &str, body: Option<Vec<u8>>) -> Result<Vec<u8>, ClientError> {
        let credentials = self.credentials()?;
        let connection = self.connect().await?;
        let authority = self.address.authority();
        let answered = request::exchange(connection, &authority, &credentials, path, body).await?;
        if answered.status == StatusCode::OK {
            Ok(answered.body.into())
        } else {
            Err(self.refused(answered.status, &answered.body, &credentials))
        }
    }

    async fn connect(&self) -> Result<transport::Connection, ClientError> {
        transport::connect(&self.address, self.trust.as_ref(), PATIENCE).await
    }

    fn credentials(&self) -> Result<Credentials, ClientError> {
        let file = match &self.token {
            Token::None => None,
            Token::File(file) | Token::IfReadable(file) => Some(file.clone()),
        };
        let read = file.as_ref().map(fs::read_to_string).transpose();
        let token = match (read, &self.token) {
            (Ok(token), _) => token,
            (Err(_), Token::IfReadable(_)) => None,
            (Err(why), _) => {
                return Err(ClientError::Token { file: file.unwrap_or_default(), why });
            }
        };
        let bearer = token.map(|token| format!("Bearer {}", token.trim()));
        if bearer.as_ref().is_some_and(|bearer| bearer.chars().any(char::is_control)) {
            let why = io::Error::new(io::ErrorKind::InvalidData, "expected one line");
            return Err(ClientError::Token { file: file.unwrap_or_default(), why });
        }
        Ok(Credentials { file: file.filter(|_| bearer.is_some()), bearer })
    }

    /// What a status other than success means.
    fn refused(&self, status: StatusCode, body: &[u8], credentials: &Credentials) -> ClientError {
        let why =
            || reason(body).unwrap_or_else(|| status.canonical_reason().unwrap_or("?").into());
        match status {
            StatusCode::UNAUTHORIZED => match &credentials.file {
                Some(file) => ClientError::TokenUnknown(file.clone()),
                None => ClientError::TokenMissing,
            },
            StatusCode::FORBIDDEN => ClientError::Forbidden(why()),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                ClientError::NotAGateway { address: self.address.clone(), status: status.as_u16() }
            }
            _ => ClientError::Unable { status: status.as_u16(), why: why() },
        }
    }
}

fn is_about_access(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
}

/// What came of a command, in the gateway's words.
fn outcome(body: &[u8]) -> Option<Outcome> {
    let document: Value = serde_json::from_slice(body).ok()?;
    if document == "done" || document.get("done").is_some() {
        return Some(Outcome::Done);
    }
    let why = document.get("rejected")?.get("why")?.as_str()?;
    Some(Outcome::Rejected { why: why.to_owned() })
}

/// The words of a refusal, `{"error":"…","remedy":"…"}`, or a short text.
fn reason(body: &[u8]) -> Option<String> {
    const LONGEST: usize = 300;
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(document) => {
            let member = |name: &str| document.get(name)?.as_str().map(str::to_owned);
            let words = [member("error"), member("remedy")];
            words.into_iter().flatten().collect::<Vec<_>>().join("; ")
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let line = text.lines().next()?.trim();
    // A page of markup says nothing to anybody.
    (!line.is_empty() && !line.starts_with('<')).then(|| line.chars().take(LONGEST).collect())
}

/// Reads a message. What does not fit may be of another version, and then that is what is wrong with it.
fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let schema = [&document, &document["hello"], &document["snapshot"]]
            .into_iter()
            .find_map(|part| part.get("schema")?.as_u64());
        match schema {
            Some(theirs) if theirs != u64::from(SCHEMA) => ClientError::Schema(theirs),
            _ => ClientError::Garbled(error.to_string()),
        }
    })
}
