//! A gateway that says what a test tells it to, on a Unix socket, down to the bytes.

use std::{path::PathBuf, time::Duration};

use futures_util::{SinkExt, StreamExt};
use rules::{
    messages::{Feed, Greeting, SCHEMA, Snapshot},
    time::BootId,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};
use tui::client::{Address, Client, Token};

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

pub(crate) struct Gateway {
    folder: TempDir,
    listener: Option<UnixListener>,
}

impl Gateway {
    pub(crate) fn start() -> Self {
        let mut gateway = Self { folder: tempfile::tempdir().unwrap(), listener: None };
        gateway.listen();
        gateway
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("api.sock")
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(Address::Unix(self.socket()), Token::None, None)
    }

    /// As a killed process leaves it: the socket file is there, and nobody behind it.
    pub(crate) fn die(&mut self) {
        self.listener = None;
    }

    pub(crate) fn listen(&mut self) {
        let _ = std::fs::remove_file(self.socket());
        self.listener = Some(UnixListener::bind(self.socket()).unwrap());
    }

    pub(crate) async fn asked(&self) -> Asked {
        let listener = self.listener.as_ref().expect("it listens");
        let (stream, _) = soon("a connection", listener.accept()).await.unwrap();
        soon("a request", Asked::read(stream)).await
    }

    /// The next request must open the stream; it is greeted.
    pub(crate) async fn opened(&self, boot: u64, resumed: bool) -> Opened {
        let mut opened = self.asked().await.upgrade().await;
        let hello = Greeting::Hello { schema: SCHEMA, boot: BootId(boot), seq: 0, resumed };
        opened.say(&serde_json::to_string(&hello).unwrap()).await;
        opened
    }
}

/// A request, read whole, that waits for an answer.
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    stream: UnixStream,
}

impl Asked {
    async fn read(mut stream: UnixStream) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let mut asked = Self { head, body: Vec::new(), stream };
        let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
        asked.body.resize(length, 0);
        asked.stream.read_exact(&mut asked.body).await.unwrap();
        asked
    }

    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    }

    pub(crate) fn document(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) async fn answer(mut self, status: &str, body: &str) {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        self.stream.write_all(answer.as_bytes()).await.unwrap();
    }

    /// Bytes as they are; then the connection ends.
    pub(crate) async fn babble(mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn upgrade(mut self) -> Opened {
        let key = derive_accept_key(self.header("sec-websocket-key").unwrap().as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {key}\r\n\r\n"
        );
        self.stream.write_all(answer.as_bytes()).await.unwrap();
        let line = self.line().to_owned();
        let frames = WebSocketStream::from_raw_socket(self.stream, Role::Server, None).await;
        Opened { line, frames }
    }
}

/// A stream that the client holds open.
pub(crate) struct Opened {
    /// With what it was asked for.
    pub(crate) line: String,
    frames: WebSocketStream<UnixStream>,
}

impl Opened {
    pub(crate) async fn say(&mut self, text: &str) {
        self.frames.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.frames.send(message).await.unwrap();
    }

    pub(crate) async fn show(&mut self, snapshot: Snapshot) {
        self.tell(&Feed::Snapshot(Box::new(snapshot))).await;
    }

    pub(crate) async fn tell(&mut self, feed: &Feed) {
        self.say(&serde_json::to_string(feed).unwrap()).await;
    }

    /// Returns when the client is gone.
    pub(crate) async fn left(&mut self) {
        while let Some(Ok(_)) = soon("the client leaves", self.frames.next()).await {}
    }
}
