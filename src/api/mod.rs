//! Serves: the gateway over HTTP, for dashboards, commands, Prometheus and whatever else asks.
//!
//! - `listen` takes connections on a Unix socket (`socket` makes it) and on an address, with limits to each.
//! - `doors` decides who comes in: peer credentials on the socket, tokens (`token`) elsewhere, Host and Origin everywhere.
//! - `router` names the routes; `openapi` describes them; `problem` is what they answer when they cannot.
//! - `site`, `history`, `past` and `metrics` show, `commands` acts, `postings` enters.
//! - `hub` keeps the newest changes, from which `stream` serves any number of clients.
//!
//! The gateway is asked only through its `Port`, which shows nothing that is not on disk.

mod commands;
mod counters;
mod doors;
mod history;
mod hub;
mod json;
mod listen;
mod metrics;
mod moment;
mod openapi;
mod past;
mod postings;
mod problem;
mod router;
mod site;
pub(crate) mod socket;
mod stall;
mod state;
mod stream;
mod token;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use configs::api::{Api, TlsFiles};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    counters::Counters,
    doors::Doors,
    hub::Hub,
    listen::{Door, Taker},
    state::{App, Shared},
};
use crate::gateway::port::Port;

/// Where the gateway listens when nobody says otherwise.
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7420);
/// What is being answered when the gateway is told to end is finished within this.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the command line says about it. What it leaves open the site file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) socket: Option<PathBuf>,
    /// Where the token of this machine's user lies; `None`: beside the socket.
    pub(crate) token_folder: Option<PathBuf>,
}

/// The running interface.
pub(crate) struct Server {
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Removed with it.
    _socket: Option<socket::Bound>,
}

impl Server {
    /// Listens. What was asked for and cannot be had is an error; a default that cannot be had is a warning, because
    /// a hall is watched even where another program has the port.
    pub(crate) async fn start(port: Port, site: &Api, options: &Options) -> anyhow::Result<Self> {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let address = options.listen.or(site.listen).unwrap_or(LISTEN);
        if let Some(objection) = site.objection(address) {
            bail!(
                "cannot listen on {address}: {objection}; listen on 127.0.0.1, or give the site file's [api] \
                 tls and an [[api.user]]"
            );
        }
        let wanted = options.socket.clone().or_else(|| site.socket.clone());
        let socket = local(wanted.as_deref())?;
        let folder = options.token_folder.clone().or_else(|| {
            socket.as_ref().and_then(|(bound, _)| bound.path().parent().map(Path::to_owned))
        });
        let doors = Doors::new(site, folder.as_deref())?;
        let hub = Arc::new(Hub::new());
        let app = App(Arc::new(Shared {
            port: port.clone(),
            hub: Arc::clone(&hub),
            doors,
            counters: Counters::default(),
            stop: stop.clone(),
            tasks: tasks.clone(),
        }));
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move { hub.follow(&port).await }));
        let taker = Taker::new(router::router(app), stop.clone(), tasks.clone());
        let explicit = options.listen.or(site.listen).is_some();
        if let Some(listener) = network(address, explicit).await? {
            let tls = site.tls.as_ref().map(tls).transpose()?;
            let scheme = if tls.is_some() { "https" } else { "http" };
            tracing::info!("answering at {scheme}://{}", listener.local_addr()?);
            tasks.spawn(taker.clone().take(Door::network(listener, tls)));
        }
        let bound = socket.map(|(bound, listener)| {
            tracing::info!("answering at unix:{}", bound.path().display());
            tasks.spawn(taker.take(Door::Local(listener)));
            bound
        });
        Ok(Self { stop, tasks, _socket: bound })
    }

    /// Takes no more requests, finishes those under way, and closes every stream.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        if timeout(FAREWELL, self.tasks.wait()).await.is_err() {
            tracing::debug!("clients that took no farewell are left behind");
        }
    }
}

fn local(
    wanted: Option<&Path>,
) -> anyhow::Result<Option<(socket::Bound, tokio::net::UnixListener)>> {
    let (path, explicit) = match wanted {
        Some(path) => (path.to_owned(), true),
        None => (socket::for_gateway(), false),
    };
    match socket::bind(&path) {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if explicit => Err(error),
        Err(error) => {
            tracing::warn!("no clients on this machine: {error:#}");
            Ok(None)
        }
    }
}

async fn network(address: SocketAddr, explicit: bool) -> anyhow::Result<Option<TcpListener>> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if explicit => {
            Err(error).with_context(|| format!("failed to listen on {address}"))
        }
        Err(error) => {
            tracing::warn!("no clients over the network: failed to listen on {address}: {error}");
            Ok(None)
        }
    }
}

fn tls(files: &TlsFiles) -> anyhow::Result<links::tls::Server> {
    let read = |path: &Path| {
        std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
    };
    let (certificate, key) = (read(&files.certificate)?, read(&files.key)?);
    links::tls::Server::new(&certificate, &key).with_context(|| {
        format!("{} and {} cannot be used", files.certificate.display(), files.key.display())
    })
}
