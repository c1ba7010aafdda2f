//! What every request can reach.

use std::{ops::Deref, sync::Arc};

use rules::messages::{Command, Outcome, Snapshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Port;
use super::{doors::Doors, hub::Hub, metrics::Counters, problem::Problem};

#[derive(Clone)]
pub(super) struct App(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) port: Port,
    pub(super) hub: Arc<Hub>,
    pub(super) doors: Doors,
    pub(super) counters: Counters,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Shared {
    pub(super) async fn snapshot(&self) -> Result<Snapshot, Problem> {
        self.port.snapshot().await.ok_or_else(Problem::stopped)
    }

    /// True when what is seen gets onto the disk.
    #[expect(clippy::unused_self, reason = "the gateway has no disk yet")]
    pub(super) fn is_storing(&self) -> bool {
        true
    }

    /// Answers after it is on disk.
    pub(super) async fn command(&self, command: Command) -> Result<Outcome, Problem> {
        self.port.commands.send(command).await.map_err(|_| Problem::stopped())?;
        Ok(Outcome::Done)
    }
}
