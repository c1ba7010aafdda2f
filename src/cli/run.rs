//! `coldwatch run`: the gateway.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use tokio::{
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{dashboard, document::Document, files, runtime};
use crate::{
    api,
    gateway::{Gateway, clock::ClockPolicy},
};

/// Watch a site: poll its devices, judge its rules, raise its alarms.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  coldwatch run --site site.toml --dashboard     with the dashboard on this terminal
  coldwatch run --site site.toml --stream        one JSON document a second on stdout

It runs until Ctrl-C or SIGTERM. What it finds wrong goes to stderr; set COLDWATCH_LOG=debug to see more.")]
pub(crate) struct Args {
    /// The site file. Profiles and rule files beside it, in profiles/ and rules/, come before the shipped ones.
    #[arg(long, value_name = "FILE")]
    site: PathBuf,
    /// Show the dashboard on this terminal; quitting it stops the gateway.
    #[arg(long, conflicts_with = "stream")]
    dashboard: bool,
    /// Print the state of the site as one JSON document a second.
    #[arg(long)]
    stream: bool,
    /// Believe the system clock at once: for machines whose host keeps the time.
    #[arg(long)]
    trust_clock: bool,
    #[command(flatten)]
    serving: Serving,
    #[command(flatten)]
    screen: dashboard::Screen,
}

/// Where clients are answered.
#[derive(clap::Args)]
struct Serving {
    /// Answer requests at this address. Beyond this machine only with TLS and users in the site file's [api].
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "no_listen")]
    listen: Option<SocketAddr>,
    /// The socket for clients of this machine.
    #[arg(long, value_name = "PATH", conflicts_with = "no_listen")]
    socket: Option<PathBuf>,
    /// Answer nobody: neither at an address nor on a socket.
    #[arg(long)]
    no_listen: bool,
}

impl Args {
    pub(super) fn takes_the_terminal(&self) -> bool {
        self.dashboard
    }
}

impl Serving {
    /// `None`: nobody is answered.
    fn options(&self) -> Option<api::Options> {
        (!self.no_listen).then(|| api::Options {
            listen: self.listen,
            socket: self.socket.clone(),
            token_folder: None,
        })
    }
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let site = files::load_site(&args.site)?;
    let policy = if args.trust_clock { ClockPolicy::Trusted } else { ClockPolicy::Synchronised };
    let runtime = runtime()?;
    let end = runtime.block_on(async {
        let gateway = Gateway::start(&site, policy)?;
        let server = match &args.serving.options() {
            Some(options) => {
                Some(api::Server::start(gateway.port.clone(), &site.api, options).await?)
            }
            None => None,
        };
        tracing::info!(site = %args.site.display(), "watching");
        if args.dashboard {
            let source = dashboard::attach(&gateway.port).await?;
            dashboard::show(source, args.screen, std::future::pending()).await?;
        } else if args.stream {
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

/// Listens from the call on; the future ends when the process is asked to.
pub(super) fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
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
