//! Takes connections: each in a task of its own, so that no handshake and no slow client holds up another.

use std::{io, sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use links::tls;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    doors::{Connection, Peer},
    stall::Stall,
};
use crate::people;

/// Connections at once, for each way in: a crowd on the network does not shut out who stands at the gateway. One more
/// is closed at once.
const CONNECTIONS_MAX: usize = 128;
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// From the first to the last byte of a request's head; also how long a connection may say nothing.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// How long a client may take nothing of what is written to it.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// Without file handles or memory nothing can be taken; a moment later there may be some.
const PAUSE: Duration = Duration::from_millis(500);

/// A way in.
pub(super) enum Door {
    Local(UnixListener),
    Network { listener: TcpListener, tls: Option<tls::Server> },
}

enum Came {
    Local(UnixStream),
    Network(TcpStream),
}

impl Door {
    pub(super) fn network(listener: TcpListener, tls: Option<tls::Server>) -> Self {
        Self::Network { listener, tls }
    }

    async fn accept(&self) -> io::Result<Came> {
        match self {
            Self::Local(listener) => Ok(Came::Local(listener.accept().await?.0)),
            Self::Network { listener, .. } => Ok(Came::Network(listener.accept().await?.0)),
        }
    }
}

/// What serves every connection.
#[derive(Clone)]
pub(super) struct Taker {
    router: Router,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Taker {
    pub(super) fn new(router: Router, stop: CancellationToken, tasks: TaskTracker) -> Self {
        Self { router, stop, tasks }
    }

    /// Takes connections until it is stopped.
    pub(super) async fn take(self, door: Door) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let came = tokio::select! {
                came = door.accept() => came,
                () = self.stop.cancelled() => return,
            };
            match came {
                Ok(came) => {
                    if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                        self.start(came, &door, place);
                    } else {
                        tracing::debug!("closed a connection: {CONNECTIONS_MAX} are open");
                    }
                }
                Err(error) => {
                    tracing::warn!("failed to take a connection: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn start(&self, came: Came, door: &Door, place: OwnedSemaphorePermit) {
        let taker = self.clone();
        let tls = match door {
            Door::Network { tls, .. } => tls.clone(),
            Door::Local(_) => None,
        };
        self.tasks.spawn(async move {
            let stop = taker.stop.clone();
            let met = async { taker.meet(came, tls, place).await };
            if let Err(error) = met.await {
                // Clients come and go; who wants to know turns the log up.
                tracing::debug!("a connection ended: {error}");
            }
            drop(stop);
        });
    }

    async fn meet(
        self,
        came: Came,
        tls: Option<tls::Server>,
        place: OwnedSemaphorePermit,
    ) -> io::Result<()> {
        let place = Arc::new(place);
        match came {
            Came::Local(stream) => {
                let uid = stream.peer_cred()?.uid();
                let name = people::name_of(uid).into();
                self.serve(stream, Connection { peer: Peer::User { uid, name }, place }).await
            }
            Came::Network(stream) => {
                stream.set_nodelay(true)?;
                let peer = Peer::Network { here: stream.local_addr()? };
                match tls {
                    None => self.serve(stream, Connection { peer, place }).await,
                    Some(tls) => {
                        let shaken = timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await??;
                        self.serve(shaken, Connection { peer, place }).await
                    }
                }
            }
        }
    }

    async fn serve<Io>(self, io: Io, connection: Connection) -> io::Result<()>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = TowerToHyperService::new(self.router.layer(Extension(connection)));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_header_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX);
        let io = TokioIo::new(Stall::new(io, TAKEN_WITHIN));
        let mut serving = std::pin::pin!(http.serve_connection(io, service).with_upgrades());
        let end = tokio::select! {
            end = serving.as_mut() => end,
            () = self.stop.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        end.map_err(io::Error::other)
    }
}
