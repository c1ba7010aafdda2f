//! The dashboard on this terminal, over a gateway in this process.

use anyhow::Context;
use tui::{Looks, Options, Source};

use crate::gateway::Gateway;

/// How the dashboard looks, and who looks at it.
#[derive(clap::Args)]
pub(crate) struct Screen {
    /// Only ASCII characters.
    #[arg(long)]
    ascii: bool,
    /// Whose name stands on acknowledgements. Default: the login name.
    #[arg(long, value_name = "NAME", env = "COLDWATCH_OPERATOR")]
    operator: Option<String>,
    /// Only look: nothing can be acknowledged.
    #[arg(long)]
    read_only: bool,
}

/// Shows it until the operator quits or `end` is there.
pub(super) async fn show(
    gateway: &Gateway,
    screen: Screen,
    end: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let attached = gateway.port.attach().await.context("the gateway stopped")?;
    let source = Source {
        snapshot: attached.snapshot,
        feed: attached.feed,
        commands: gateway.port.commands.clone(),
    };
    let operator =
        if screen.read_only { None } else { Some(screen.operator.unwrap_or_else(login_name)) };
    tui::run(
        source,
        Options { looks: Looks::detect(screen.ascii, |name| std::env::var(name).ok()), operator },
        end,
    )
    .await?;
    Ok(())
}

fn login_name() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| "operator".to_owned())
}
