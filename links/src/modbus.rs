//! Reading registers and coils over Modbus TCP, one request in flight, on a connection that heals.
//!
//! There is no request that writes. What comes back is the answer to the request that was sent, or an error: a late,
//! foreign or misshapen answer is never a value.

mod frames;
#[cfg(test)]
mod tests;

use std::{
    fmt::Debug,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::Instant,
};
use tokio_modbus::{
    Request, Response, Slave,
    client::{Client, Context},
    prelude::SlaveContext,
};

use crate::{
    backoff::Backoff,
    modbus::frames::{Broken, MatchingFrames},
};

/// So many requests in a row without an answer in time, and the connection is made anew.
const TIMEOUTS_MAX: u32 = 2;

/// What can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// Function code 1.
    Coils,
    /// Function code 2.
    DiscreteInputs,
    /// Function code 3.
    HoldingRegisters,
    /// Function code 4.
    InputRegisters,
}

/// One request. The device judges whether it can be met: at most 125 registers or 2000 bits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Read {
    pub unit: u8,
    pub table: Table,
    /// Zero-based, as on the wire.
    pub address: u16,
    pub count: u16,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub data: Answer,
    /// From request to answer.
    pub took: Duration,
}

/// Exactly as many as were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Bits(Vec<bool>),
    Words(Vec<u16>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// Not connected: refused, reset, closed, or still waiting before the next attempt.
    #[error("not connected: {0}")]
    Unreachable(String),
    /// The device answered with this Modbus exception code.
    #[error("refused by the device (exception {code})")]
    Refused { code: u8, took: Duration },
    /// Another unit, function or count than asked for, or no Modbus at all.
    #[error("malformed answer: {0}")]
    Malformed(String),
}

/// What a link has seen since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections made.
    pub connections: u64,
    /// Frames that answered no request in flight: late, foreign or unasked.
    pub discarded: u64,
}

/// One connection, to be dropped once it is broken.
struct Session {
    context: Context,
    discarded: Arc<AtomicU64>,
    timeouts_in_a_row: u32,
    /// It has answered at least once.
    proven: bool,
    broken: bool,
}

impl Session {
    async fn connect(host: &str, port: u16, timeout: Duration) -> Result<Self, ReadError> {
        let socket = tokio::time::timeout(timeout, TcpStream::connect((host, port)))
            .await
            .map_err(|_elapsed| {
                ReadError::Unreachable(format!("no connection within {} ms", timeout.as_millis()))
            })?
            .and_then(|socket| socket.set_nodelay(true).map(|()| socket))
            .map_err(|why| ReadError::Unreachable(why.to_string()))?;
        Ok(Self::over(socket))
    }

    fn over(transport: impl AsyncRead + AsyncWrite + Debug + Send + Unpin + 'static) -> Self {
        let discarded = Arc::new(AtomicU64::new(0));
        let frames = MatchingFrames::new(transport, Arc::clone(&discarded));
        Self {
            context: tokio_modbus::client::tcp::attach(frames),
            discarded,
            timeouts_in_a_row: 0,
            proven: false,
            broken: false,
        }
    }

    async fn read(&mut self, read: Read, timeout: Duration) -> Result<Reply, ReadError> {
        self.context.set_slave(Slave(read.unit));
        let request = match read.table {
            Table::Coils => Request::ReadCoils(read.address, read.count),
            Table::DiscreteInputs => Request::ReadDiscreteInputs(read.address, read.count),
            Table::HoldingRegisters => Request::ReadHoldingRegisters(read.address, read.count),
            Table::InputRegisters => Request::ReadInputRegisters(read.address, read.count),
        };
        // The library's own read functions assert the count of the answer, which panics in a debug build.
        let sent = Instant::now();
        let called = tokio::time::timeout(timeout, self.context.call(request)).await;
        let took = sent.elapsed();
        let Ok(called) = called else {
            self.timeouts_in_a_row += 1;
            self.broken = self.timeouts_in_a_row >= TIMEOUTS_MAX;
            return Err(ReadError::Timeout(timeout));
        };
        self.timeouts_in_a_row = 0;
        let answered = match called {
            Ok(answered) => answered,
            Err(tokio_modbus::Error::Protocol(_)) => {
                return Err(ReadError::Malformed("another unit or function".to_owned()));
            }
            Err(tokio_modbus::Error::Transport(why)) => {
                self.broken = true;
                return Err(explain(&why));
            }
        };
        self.proven = true;
        let response =
            answered.map_err(|exception| ReadError::Refused { code: exception.into(), took })?;
        fit(response, read).map(|data| Reply { data, took })
    }
}

/// A failed transport: gone, or an answer that the library could not decode. A decoding error leaves the library in a
/// state that costs the next call, so both end the connection.
fn explain(why: &io::Error) -> ReadError {
    let broken = why.get_ref().and_then(|inner| inner.downcast_ref::<Broken>());
    match broken {
        Some(Broken::Closed) => ReadError::Unreachable(Broken::Closed.to_string()),
        Some(other) => ReadError::Malformed(other.to_string()),
        None if why.raw_os_error().is_some() => ReadError::Unreachable(why.to_string()),
        None => ReadError::Malformed(why.to_string()),
    }
}

/// The data of an answer, if it has the shape that the request demands. Bits come in whole bytes.
fn fit(response: Response, read: Read) -> Result<Answer, ReadError> {
    let count = usize::from(read.count);
    let (answer, got) = match response {
        Response::ReadCoils(mut bits) | Response::ReadDiscreteInputs(mut bits) => {
            let got = bits.len();
            if got == count.next_multiple_of(8) {
                bits.truncate(count);
            }
            (Answer::Bits(bits), got)
        }
        Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words) => {
            let got = words.len();
            (Answer::Words(words), got)
        }
        _ => return Err(ReadError::Malformed("another function".to_owned())),
    };
    let fits = match &answer {
        Answer::Bits(bits) => bits.len() == count,
        Answer::Words(words) => words.len() == count,
    };
    if fits {
        Ok(answer)
    } else {
        Err(ReadError::Malformed(format!("{got} values for the {count} asked for")))
    }
}

/// A Modbus TCP server, connected to when it is needed and again when the connection is lost.
pub struct Link {
    host: String,
    port: u16,
    connect_timeout: Duration,
    session: Option<Session>,
    backoff: Backoff,
    /// No attempt to connect before this, and why the last one failed.
    resting: Option<(Instant, ReadError)>,
    counters: Counters,
}

impl Link {
    /// Does not connect yet.
    pub fn new(host: &str, port: u16, connect_timeout: Duration) -> Self {
        let mut hasher = DefaultHasher::new();
        (host, port).hash(&mut hasher);
        Self {
            host: host.to_owned(),
            port,
            connect_timeout,
            session: None,
            backoff: Backoff::new(hasher.finish()),
            resting: None,
            counters: Counters::default(),
        }
    }

    pub fn counters(&self) -> Counters {
        let live = self.session.as_ref().map_or(0, |s| s.discarded.load(Ordering::Relaxed));
        Counters { discarded: self.counters.discarded + live, ..self.counters }
    }

    /// Sends one request and waits for its answer, connecting first if needed. While the link rests after a connection
    /// that failed or never gave an answer, the error is that of the last attempt, at once.
    ///
    /// A connection that worked before may have been closed by the device while idle; then the read, which changes
    /// nothing, is tried once more on a new one.
    pub async fn read(&mut self, read: Read, timeout: Duration) -> Result<Reply, ReadError> {
        let worked_before = self.session.as_ref().is_some_and(|session| session.proven);
        let answer = self.try_read(read, timeout).await;
        if worked_before && matches!(answer, Err(ReadError::Unreachable(_))) {
            return self.try_read(read, timeout).await;
        }
        answer
    }

    async fn try_read(&mut self, read: Read, timeout: Duration) -> Result<Reply, ReadError> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.connect().await?,
        };
        let proven = session.proven;
        let answer = session.read(read, timeout).await;
        if session.proven {
            self.backoff.reset();
        }
        if session.broken {
            self.counters.discarded += session.discarded.load(Ordering::Relaxed);
            if let (Err(why @ (ReadError::Unreachable(_) | ReadError::Malformed(_))), false) =
                (&answer, proven)
            {
                self.rest(why.clone());
            }
        } else {
            self.session = Some(session);
        }
        answer
    }

    async fn connect(&mut self) -> Result<Session, ReadError> {
        if let Some((until, why)) = &self.resting
            && Instant::now() < *until
        {
            return Err(why.clone());
        }
        match Session::connect(&self.host, self.port, self.connect_timeout).await {
            Ok(session) => {
                tracing::info!(host = %self.host, port = self.port, "connected");
                self.resting = None;
                self.counters.connections += 1;
                Ok(session)
            }
            Err(why) => {
                self.rest(why.clone());
                Err(why)
            }
        }
    }

    fn rest(&mut self, why: ReadError) {
        let wait = self.backoff.after_failure();
        tracing::debug!(host = %self.host, port = self.port, ?wait, %why, "resting before the next attempt");
        self.resting = Some((Instant::now() + wait, why));
    }
}
