//! A client that believes nothing: it speaks HTTP and WebSocket over the gateway's Unix socket itself, and notes what it
//! was shown and answered.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::mpsc::Sender,
    thread,
    time::{Duration, Instant},
};

use rules::messages::Feed;
use serde_json::{Value, json};

/// Connects as soon as the gateway listens.
pub(crate) fn connect(socket: &Path, patience: Duration) -> UnixStream {
    let deadline = Instant::now() + patience;
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "nobody listens: {error}"),
        }
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Asks for an action; the status and the body of the answer.
pub(crate) fn command(socket: &Path, key: &str, action: &Value) -> io::Result<(u16, Value)> {
    let body = json!({ "key": key, "action": action }).to_string();
    let mut stream = UnixStream::connect(socket)?;
    write!(
        stream,
        "POST /api/v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "a cut answer");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
    Ok((status, serde_json::from_str(body).map_err(|_| cut())?))
}

/// Follows the site on a thread, until the gateway is gone. Readings are not asked for.
pub(crate) fn follow(socket: &Path, patience: Duration, shown: Sender<Feed>) {
    let mut stream = connect(socket, patience);
    write!(
        stream,
        "GET /api/v1/stream?points=none HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut stream = BufReader::new(stream);
    let mut status = String::new();
    stream.read_line(&mut status).unwrap();
    assert!(status.contains(" 101 "), "{status}");
    thread::spawn(move || {
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
        }
        while let Ok(frame) = frame(&mut stream) {
            // The greeting, and whatever is no text, is no feed.
            if let Ok(feed) = serde_json::from_slice::<Feed>(&frame)
                && shown.send(feed).is_err()
            {
                return;
            }
        }
    });
}

/// The payload of the next frame from a server: never masked, never in pieces.
fn frame(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let length = match head[1] & 0x7F {
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            u64::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            stream.read_exact(&mut length)?;
            u64::from_be_bytes(length)
        }
        short => u64::from(short),
    };
    let mut payload = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    stream.read_exact(&mut payload)?;
    Ok(payload)
}
