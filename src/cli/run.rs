//! `coldwatch run`: the gateway.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use configs::site::Site;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{document::Document, files, runtime};
use crate::{
    api,
    gateway::{
        Gateway, Settings,
        clock::ClockPolicy,
        port::{Load, Port},
    },
};

/// Watch a site: poll its devices, judge its rules, raise its alarms.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  coldwatch run --site site.toml
  coldwatch run --site site.toml --stream        one JSON document a second on stdout

While it runs, in another terminal:
  coldwatch tui                                  the dashboard
  coldwatch status                               one look, and an exit code for monitoring

It runs until Ctrl-C or SIGTERM. What it finds wrong goes to stderr; set COLDWATCH_LOG=debug to see more.")]
pub(crate) struct Args {
    /// The site file. Profiles and rule files beside it, in profiles/ and rules/, come before the shipped ones.
    #[arg(long, value_name = "FILE")]
    site: PathBuf,
    /// Print the state of the site as one JSON document a second.
    #[arg(long)]
    stream: bool,
    /// Where to keep what is seen. Default: what the site file says under storage, else the state folder of the service, else
    /// that of the user.
    #[arg(long, value_name = "DIR", env = "COLDWATCH_DATA")]
    data: Option<PathBuf>,
    /// Believe the system clock at once: for machines whose host keeps the time.
    #[arg(long)]
    trust_clock: bool,
    #[command(flatten)]
    serving: Serving,
}

/// Where clients are answered.
#[derive(clap::Args)]
struct Serving {
    /// Answer requests at this address. Beyond this machine only with TLS and users in the site file's [api].
    #[arg(long, value_name = "ADDRESS:PORT", env = "COLDWATCH_LISTEN")]
    listen: Option<SocketAddr>,
    /// The socket for clients of this machine.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Answer nobody: neither at an address nor on a socket.
    #[arg(long)]
    no_listen: bool,
}

impl Serving {
    /// `None`: nobody is answered.
    fn options(&self, data: &Path) -> Option<api::Options> {
        (!self.no_listen).then(|| api::Options {
            listen: self.listen,
            socket: self.socket.clone(),
            token_folder: Some(data.to_owned()),
        })
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let site = files::load_site(&args.site)?;
    let clock = if args.trust_clock { ClockPolicy::Trusted } else { ClockPolicy::Synchronised };
    let data = files::data_directory(args.data.as_deref(), &site)?;
    let path = args.site.clone();
    let load: Load =
        Arc::new(move || files::load_site(&path).map_err(|error| format!("{error:#}")));
    let runtime = runtime()?;
    let end = runtime.block_on(async {
        tracing::info!(site = %args.site.display(), data = %data.display(), "watching");
        let serving = args.serving.options(&data);
        let gateway =
            Gateway::start(&site, Settings { clock, data: Some(data), load: Some(load) })?;
        let server = match serve(&gateway, &site, serving.as_ref()).await {
            Ok(server) => server,
            Err(error) => {
                gateway.stop().await?;
                return Err(error);
            }
        };
        // Ends with the runtime.
        tokio::spawn(reload_on_hang_up(gateway.port.clone()));
        if args.stream {
            tokio::select! {
                end = stream(&gateway) => end?,
                () = stop_signal() => {}
            }
        } else {
            tokio::select! {
                () = gateway.ended() => {}
                () = stop_signal() => {}
            }
        }
        if let Some(server) = server {
            server.stop().await;
        }
        gateway.stop().await?;
        Ok(ExitCode::SUCCESS)
    });
    // A reader that takes no more keeps the thread that prints: it must not keep the process.
    runtime.shutdown_background();
    end
}

async fn serve(
    gateway: &Gateway,
    site: &Site,
    options: Option<&api::Options>,
) -> anyhow::Result<Option<api::Server>> {
    let Some(options) = options else { return Ok(None) };
    api::Server::start(gateway.port.clone(), &site.api, options).await.map(Some)
}

async fn stream(gateway: &Gateway) -> anyhow::Result<()> {
    const EVERY: Duration = Duration::from_secs(1);
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let snapshot = gateway.port.snapshot().await.context("the gateway stopped")?;
        let mut line = serde_json::to_string(&Document::of(&snapshot))?;
        line.push('\n');
        spawn_blocking(move || super::print(&line)).await??;
    }
}

/// A hang-up signal has the site file read again, as service managers ask for it.
async fn reload_on_hang_up(port: Port) {
    let Ok(mut hang_ups) = signal(SignalKind::hangup()) else { return };
    while hang_ups.recv().await.is_some() {
        match port.reload().await {
            Ok(()) => tracing::info!("took the changed configuration"),
            Err(why) => tracing::error!("the configuration stays as it was: {why}"),
        }
    }
}

/// Listens from the call on; the future ends when the process is asked to.
pub(super) fn stop_signal() -> impl Future<Output = ()> {
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async {
        let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
            // Without handlers the signals end the process by themselves.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
