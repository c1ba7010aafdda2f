//! The change stream: a WebSocket that begins with a greeting.

use futures_util::StreamExt;
use rules::{
    messages::{Feed, Greeting, SCHEMA},
    time::BootId,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::header::{AUTHORIZATION, HeaderValue},
        protocol::WebSocketConfig,
    },
};

use super::{Client, Credentials, LARGEST, error::ClientError, parse, transport::Connection};

/// Up to where a client has the changes of one run of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) boot: BootId,
    pub(super) seq: u64,
}

/// An open stream of a gateway that speaks our version.
pub(super) struct Stream {
    frames: WebSocketStream<Connection>,
    /// The run of the gateway that speaks.
    pub(super) boot: BootId,
}

impl Stream {
    /// Opens it after `place`, where the gateway can; else it begins with a snapshot.
    pub(super) async fn open(client: &Client, place: Option<Place>) -> Result<Self, ClientError> {
        let credentials = client.credentials()?;
        let connection = client.connect().await?;
        let authority = client.address.authority();
        let resume = place.map_or_else(String::new, |place| {
            format!("?since={}&boot={}", place.seq, place.boot.0)
        });
        // The connection is there already; this only words the request.
        let mut request = format!("ws://{authority}/api/v1/stream{resume}")
            .into_client_request()
            .map_err(|error| client.explain(error, &credentials))?;
        if let Some(bearer) = credentials.bearer() {
            let mut bearer =
                HeaderValue::from_str(bearer).map_err(|_| ClientError::TokenMissing)?;
            bearer.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, bearer);
        }
        let limits = WebSocketConfig::default()
            .max_message_size(Some(LARGEST))
            .max_frame_size(Some(LARGEST));
        let (frames, _) = client_async_with_config(request, connection, Some(limits))
            .await
            .map_err(|error| client.explain(error, &credentials))?;
        let mut stream = Self { frames, boot: BootId(0) };
        let Greeting::Hello { schema, boot, .. } = parse(stream.text().await?.as_bytes())?;
        if schema != SCHEMA {
            return Err(ClientError::Schema(schema.into()));
        }
        Ok(Self { boot, ..stream })
    }

    /// The next frame that says something.
    pub(super) async fn next(&mut self) -> Result<Feed, ClientError> {
        parse(self.text().await?.as_bytes())
    }

    async fn text(&mut self) -> Result<tungstenite::Utf8Bytes, ClientError> {
        loop {
            match self.frames.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(frame))) => {
                    let why = frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                    let why = if why.is_empty() { why } else { format!(": {why}") };
                    return Err(ClientError::Closed(why));
                }
                // Pings are answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Binary(_))) => {
                    return Err(ClientError::Garbled("a binary frame".to_owned()));
                }
                Some(Err(error)) => return Err(broken(error)),
                None => return Err(ClientError::Closed(String::new())),
            }
        }
    }
}

impl Client {
    /// Why a stream could not be opened.
    fn explain(&self, error: tungstenite::Error, credentials: &Credentials) -> ClientError {
        match error {
            tungstenite::Error::Http(answer) => {
                let body = answer.body().as_deref().unwrap_or_default();
                self.refused(answer.status(), body, credentials)
            }
            error => broken(error),
        }
    }
}

fn broken(error: tungstenite::Error) -> ClientError {
    match error {
        tungstenite::Error::Io(error) => ClientError::broken(&error),
        tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed
        | tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => ClientError::Closed(String::new()),
        error => ClientError::Garbled(error.to_string()),
    }
}
