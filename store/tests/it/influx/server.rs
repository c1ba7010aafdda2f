//! A server that takes writes as InfluxDB does, and answers as the test says.

use std::{
    collections::BTreeMap,
    io::Read,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use flate2::read::GzDecoder;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

/// One write as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    /// Counted from zero over all connections.
    pub(crate) number: usize,
    /// Path and query.
    pub(crate) target: String,
    /// In lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) lines: Vec<String>,
    /// Before compression.
    pub(crate) bytes: usize,
}

/// What the server does with a write.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Takes it and says this, which should be a success.
    Take(u16),
    /// Takes it and closes without a word.
    Lose,
    /// Takes nothing and says so.
    Refuse(u16, &'static str),
    /// Takes these lines and not the others, and says so.
    TakeSome(Vec<String>, String),
    /// Takes nothing and never answers.
    Hang,
    /// Takes nothing and answers in another language.
    Garbage,
    /// Takes it, but only after so long.
    Slow(Duration),
}

type Judge = Box<dyn FnMut(&Write) -> Reply + Send>;

#[derive(Default)]
struct Seen {
    writes: Vec<Write>,
    /// How often each line was taken.
    taken: BTreeMap<String, usize>,
}

struct Shared {
    judge: Mutex<Judge>,
    seen: Mutex<Seen>,
    changed: watch::Sender<usize>,
}

/// Listens until it is dropped, and keeps what it took also while it is not listening.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<AbortOnDropHandle<()>>,
    tls: Option<Arc<links::tls::Server>>,
}

impl Server {
    pub(crate) async fn start(judge: impl FnMut(&Write) -> Reply + Send + 'static) -> Self {
        let shared = Arc::new(Shared {
            judge: Mutex::new(Box::new(judge)),
            seen: Mutex::default(),
            changed: watch::Sender::new(0),
        });
        let address = "127.0.0.1:0".parse().unwrap();
        let mut server = Self { address, shared, listening: None, tls: None };
        server.listen().await;
        server
    }

    /// Takes everything.
    pub(crate) async fn kind() -> Self {
        Self::start(|_| Reply::Take(204)).await
    }

    /// Takes everything, but speaks TLS.
    pub(crate) async fn kind_over_tls(tls: links::tls::Server) -> Self {
        let mut server = Self::kind().await;
        server.stop().await;
        server.tls = Some(Arc::new(tls));
        server.listen().await;
        server
    }

    /// Listens, again where it did before.
    pub(crate) async fn listen(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let (shared, tls) = (Arc::clone(&self.shared), self.tls.clone());
        self.listening = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                connections.spawn(async move {
                    // A client that goes away is nothing to a server.
                    match tls {
                        None => drop(serve(stream, &shared).await),
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                drop(serve(stream, &shared).await);
                            }
                        }
                    }
                });
            }
        })));
    }

    /// Closes its port and all connections.
    pub(crate) async fn stop(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            let _ = listening.await;
        }
    }

    pub(crate) fn judge(&self, judge: impl FnMut(&Write) -> Reply + Send + 'static) {
        *self.shared.judge.lock().unwrap() = Box::new(judge);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap()
    }

    pub(crate) fn writes(&self) -> Vec<Write> {
        self.seen().writes.clone()
    }

    /// The lines that were taken, each once, sorted.
    pub(crate) fn taken(&self) -> Vec<String> {
        self.seen().taken.keys().cloned().collect()
    }

    /// How often a line was taken.
    pub(crate) fn times(&self, line: &str) -> usize {
        self.seen().taken.get(line).copied().unwrap_or(0)
    }

    /// Waits until the server has been asked and this holds.
    pub(crate) async fn wait_until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let waiting = async {
            while !holds(self) {
                changed.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(Duration::from_secs(30), waiting).await.is_err() {
            let seen = self.seen();
            panic!("30 seconds are over; {} writes, {} lines", seen.writes.len(), seen.taken.len());
        }
    }

    /// Waits until all these lines were taken.
    pub(crate) async fn wait_for(&self, lines: &[String]) {
        self.wait_until(|server| {
            let seen = server.seen();
            lines.iter().all(|line| seen.taken.contains_key(line))
        })
        .await;
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    shared: &Shared,
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(write) = read(&mut stream, &mut buffer, shared).await? {
        let reply = (shared.judge.lock().unwrap())(&write);
        let (take, answer) = match reply {
            Reply::Take(status) => (write.lines, Some(answer(status, ""))),
            Reply::Lose => (write.lines, None),
            Reply::Refuse(status, body) => (Vec::new(), Some(answer(status, body))),
            Reply::TakeSome(lines, body) => (lines, Some(answer(400, &body))),
            Reply::Garbage => (Vec::new(), Some("SSH-2.0-OpenSSH_9.2\r\n".to_owned())),
            Reply::Hang => std::future::pending().await,
            Reply::Slow(span) => {
                tokio::time::sleep(span).await;
                (write.lines, Some(answer(204, "")))
            }
        };
        {
            let mut seen = shared.seen.lock().unwrap();
            for line in take {
                *seen.taken.entry(line).or_default() += 1;
            }
        }
        shared.changed.send_modify(|count| *count += 1);
        let Some(answer) = answer else { return Ok(()) };
        stream.write_all(answer.as_bytes()).await?;
        if answer.starts_with("SSH") {
            return Ok(());
        }
    }
    Ok(())
}

fn answer(status: u16, body: &str) -> String {
    let length = body.len();
    // 204 has no body, and says nothing of its length.
    let length =
        if status == 204 { String::new() } else { format!("Content-Length: {length}\r\n") };
    format!("HTTP/1.1 {status} As the test says\r\n{length}\r\n{body}")
}

async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    shared: &Shared,
) -> std::io::Result<Option<Write>> {
    let head_end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8(buffer[..head_end].to_vec()).unwrap();
    let mut lines = head.lines();
    let target = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers["content-length"].parse().unwrap();
    while buffer.len() < head_end + length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let packed: Vec<u8> = buffer.drain(..head_end + length).skip(head_end).collect();
    let mut text = String::new();
    GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut seen = shared.seen.lock().unwrap();
    let number = seen.writes.len();
    let write = Write { number, target, headers, bytes: text.len(), lines };
    seen.writes.push(write.clone());
    drop(seen);
    shared.changed.send_modify(|count| *count += 1);
    Ok(Some(write))
}
