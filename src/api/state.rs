//! What every request can reach.

use std::{ops::Deref, sync::Arc};

use axum::http::StatusCode;
use rules::{
    book::Posting,
    messages::{Command, Outcome, Snapshot},
};
use store::Reader;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Port;
use super::{counters::Counters, doors::Doors, hub::Hub, problem::Problem};
use crate::gateway::port::NotTaken;

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
    pub(super) fn is_storing(&self) -> bool {
        self.port.is_storing()
    }

    /// What the gateway has kept.
    pub(super) fn store(&self) -> Result<Reader, Problem> {
        self.port.store().cloned().ok_or_else(|| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "this gateway keeps nothing",
                "start it with a data directory: coldwatch run --data DIR",
            )
        })
    }

    /// Answers after it is on disk.
    pub(super) async fn command(&self, command: Command) -> Result<Outcome, Problem> {
        self.port.command(command).await.map_err(not_taken)
    }

    /// Answers after it is on disk. It has been checked.
    pub(super) async fn post(&self, posting: Posting) -> Result<(), Problem> {
        self.port.post(posting).await.map_err(not_taken)
    }
}

fn not_taken(why: NotTaken) -> Problem {
    match why {
        NotTaken::NotStored => Problem::not_stored(),
        NotTaken::Stopped => Problem::stopped(),
    }
}
