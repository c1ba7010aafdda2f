//! `coldwatch tui`: the dashboard of a gateway in another process.

use std::{process::ExitCode, time::Duration};

use tokio::time::sleep;
use tui::{
    Source,
    client::{Client, ClientError},
};

use super::{connect::Connect, dashboard, runtime};

/// Show the dashboard of a running gateway. Quitting it leaves the gateway alone.
///
/// When the connection breaks, the dashboard keeps what it has, marked as old, and connects again by itself.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  coldwatch tui                                         the gateway of this machine
  coldwatch tui --connect https://gateway.example:7420 --token-file ~/.coldwatch-token --ca site-ca.pem
  coldwatch tui --connect unix:/run/coldwatch/api.sock --read-only

Start a gateway with: coldwatch run --site site.toml")]
pub(crate) struct Args {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    screen: dashboard::Screen,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    dashboard::need_terminal()?;
    let client = args.connect.client()?;
    let client = if args.screen.names_operator() { client.speaking_for_others() } else { client };
    let runtime = runtime()?;
    let end = runtime.block_on(async {
        let source = attach(client).await?;
        dashboard::show(source, args.screen, std::future::pending()).await
    });
    // A name that is still being looked up must not keep an operator who quits.
    runtime.shutdown_background();
    end.map(|()| ExitCode::SUCCESS)
}

/// Attaches, and says so when that takes long.
async fn attach(client: Client) -> Result<Source, ClientError> {
    const AT_ONCE: Duration = Duration::from_secs(1);
    let address = client.address().clone();
    let attached = client.attach();
    tokio::pin!(attached);
    tokio::select! {
        source = &mut attached => return source,
        () = sleep(AT_ONCE) => {}
    }
    super::talk(&format!("connecting to {address} ..."));
    attached.await
}
