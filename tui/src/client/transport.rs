//! A byte stream to the gateway, over whatever it listens on.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::{Instant, Sleep, sleep, timeout},
};

use super::{address::Address, error::ClientError};
use links::tls_client::{TlsError, Trust};

/// Anything that carries bytes both ways.
pub(super) trait Carries: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carries for T {}

pub(super) type Connection = Patient<Box<dyn Carries>>;

/// Connects within `patience`. Nothing has been sent when this fails.
pub(super) async fn connect(
    address: &Address,
    trust: Option<&Trust>,
    patience: Duration,
) -> Result<Connection, ClientError> {
    let connected = timeout(patience, reach(address, trust)).await;
    let inner = connected.unwrap_or_else(|_| {
        let why = format!("no answer within {} s", patience.as_secs());
        Err(ClientError::Unreachable { address: address.clone(), why })
    })?;
    Ok(Patient::new(inner, patience))
}

async fn reach(address: &Address, trust: Option<&Trust>) -> Result<Box<dyn Carries>, ClientError> {
    match address {
        Address::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(ClientError::NoPermission(path.clone()))
            }
            Err(error) => Err(absent(address, &error)),
        },
        Address::Http { host, port } => Ok(Box::new(tcp(address, host, *port).await?)),
        Address::Https { host, port } => {
            let stream = tcp(address, host, *port).await?;
            let address = || address.clone();
            let trust = trust.ok_or_else(|| ClientError::NotTrusted {
                address: address(),
                why: "no authority is known".to_owned(),
            })?;
            match links::tls_client::connect(stream, host, trust).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(TlsError::NotTrusted(why)) => {
                    Err(ClientError::NotTrusted { address: address(), why })
                }
                Err(error) => {
                    Err(ClientError::Unreachable { address: address(), why: error.to_string() })
                }
            }
        }
    }
}

async fn tcp(address: &Address, host: &str, port: u16) -> Result<TcpStream, ClientError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port)).await.map_err(|error| absent(address, &error))?;
    // A command is a few bytes that somebody waits for. Without this it is slower, not wrong.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

fn absent(address: &Address, error: &io::Error) -> ClientError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ClientError::NoGateway(address.clone())
        }
        _ => ClientError::Unreachable { address: address.clone(), why: error.to_string() },
    }
}

/// A stream whose reads fail when nothing came for a while: a peer that vanished without a word is otherwise waited for
/// without end.
pub(super) struct Patient<S> {
    inner: S,
    patience: Duration,
    until: Pin<Box<Sleep>>,
}

impl<S> Patient<S> {
    fn new(inner: S, patience: Duration) -> Self {
        Self { inner, patience, until: Box::pin(sleep(patience)) }
    }

    fn begin_anew(&mut self) {
        let until = Instant::now() + self.patience;
        self.until.as_mut().reset(until);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_read(context, buffer) {
            Poll::Ready(read) => {
                self.begin_anew();
                Poll::Ready(read)
            }
            Poll::Pending => {
                ready!(self.until.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_vanished_is_noticed_and_a_slow_one_is_waited_for() {
        const PATIENCE: Duration = Duration::from_secs(10);
        let (near, mut far) = duplex(64);
        let mut near = Patient::new(near, PATIENCE);
        for byte in 0..5 {
            tokio::time::advance(PATIENCE * 9 / 10).await;
            far.write_u8(byte).await.unwrap();
            assert_eq!(near.read_u8().await.unwrap(), byte);
        }
        let began = Instant::now();
        let error = near.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), PATIENCE);
    }
}
