//! The dashboard on this terminal.

use std::io::{self, IsTerminal};

use anyhow::{Context, ensure};
use rules::messages::Command;
use tokio::sync::mpsc;
use tui::{Answer, Looks, News, Options, Source, source::COMMANDS_QUEUED};

use crate::gateway::port::{NotTaken, Port};

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

impl Screen {
    pub(super) fn names_operator(&self) -> bool {
        self.operator.is_some()
    }
}

/// Refuses at once, before anything is started for a screen that is not there.
pub(super) fn need_terminal() -> anyhow::Result<()> {
    ensure!(
        io::stdout().is_terminal(),
        "standard output is not a terminal; `coldwatch status` prints text and JSON"
    );
    Ok(())
}

/// Shows it until the operator quits or `end` is there.
pub(super) async fn show(
    source: Source,
    screen: Screen,
    end: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
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

/// A gateway in this process, as the dashboard sees one.
pub(super) async fn attach(port: &Port) -> anyhow::Result<Source> {
    let mut attached = port.attach().await.context("the gateway stopped")?;
    // The gateway has a queue for each client already.
    let (say, news) = mpsc::channel(1);
    let (commands, mut asked) = mpsc::channel(COMMANDS_QUEUED);
    let port = port.clone();
    tokio::spawn(async move {
        loop {
            let said = tokio::select! {
                feed = attached.feed.recv() => match feed {
                    Some(feed) => News::Feed(feed),
                    None => return,
                },
                command = asked.recv() => match command {
                    Some(command) => order(&port, command).await,
                    None => return,
                },
            };
            if say.send(said).await.is_err() {
                return;
            }
        }
    });
    Ok(Source { snapshot: attached.snapshot, news, commands })
}

async fn order(port: &Port, command: Command) -> News {
    let key = command.key.clone();
    let answer = match port.command(command).await {
        Ok(outcome) => Answer::Decided(outcome),
        Err(why @ (NotTaken::NotStored | NotTaken::Stopped)) => {
            Answer::NotTaken { why: why.to_string() }
        }
    };
    News::Answered { key, answer }
}

fn login_name() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| "operator".to_owned())
}
