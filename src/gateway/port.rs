//! The way in for clients: attach, look once, or ask for something.

use std::{fmt, sync::Arc};

use configs::site::Site;
use rules::{
    book::Posting,
    messages::{Anchor, Command, Feed, Outcome, Snapshot},
};
use store::{
    Reader,
    log::{Durable, Storing},
    sink::influx::SinkState,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_blocking,
};

use super::kept::Forwarding;

/// An operator cannot type faster than this drains.
const COMMAND_QUEUE: usize = 32;
const ATTACH_QUEUE: usize = 8;

/// Clients hold this end.
#[derive(Clone)]
pub(crate) struct Port {
    attach: mpsc::Sender<oneshot::Sender<Attached>>,
    snapshots: mpsc::Sender<oneshot::Sender<Snapshot>>,
    commands: mpsc::Sender<Asked>,
    postings: mpsc::Sender<Posted>,
    anchors: mpsc::Sender<Anchored>,
    reloads: mpsc::Sender<Reload>,
    durable: watch::Receiver<Durable>,
    /// Reads the configuration again.
    load: Option<Load>,
    store: Option<Reader>,
    forwarding: Option<Forwarding>,
}

/// Gives a checked site, or all its faults as text.
pub(crate) type Load = Arc<dyn Fn() -> Result<Site, String> + Send + Sync>;

/// The pipeline holds this one.
pub(super) struct Requests {
    pub(super) attach: mpsc::Receiver<oneshot::Sender<Attached>>,
    pub(super) snapshots: mpsc::Receiver<oneshot::Sender<Snapshot>>,
    pub(super) commands: mpsc::Receiver<Asked>,
    pub(super) postings: mpsc::Receiver<Posted>,
    pub(super) anchors: mpsc::Receiver<Anchored>,
    pub(super) reloads: mpsc::Receiver<Reload>,
}

/// What a client gets: the picture, and what follows.
pub(crate) struct Attached {
    pub(crate) snapshot: Snapshot,
    pub(crate) feed: mpsc::Receiver<Feed>,
}

/// A command, and who waits for what comes of it.
pub(super) struct Asked {
    pub(super) command: Command,
    pub(super) reply: oneshot::Sender<Result<Outcome, NotTaken>>,
}

/// Something for the ledger that was checked, and who waits until it is on disk.
pub(super) struct Posted {
    pub(super) posting: Box<Posting>,
    pub(super) reply: oneshot::Sender<Result<Outcome, NotTaken>>,
}

/// The ends of the chains, and who waits until that is noted.
pub(super) struct Anchored {
    pub(super) anchor: Anchor,
    pub(super) reply: oneshot::Sender<Result<Outcome, NotTaken>>,
}

/// Another configuration, and who waits until it is in force.
pub(super) struct Reload {
    pub(super) site: Box<Site>,
    pub(super) reply: oneshot::Sender<Result<(), String>>,
}

/// Why a command has no outcome. The same command with the same key can be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// What is not on disk was not done.
    NotStored,
    Stopped,
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotStored => {
                "the gateway cannot store anything now; free space on its disk and try again"
            }
            Self::Stopped => "the gateway has stopped",
        })
    }
}

impl Port {
    pub(super) fn new(durable: watch::Receiver<Durable>) -> (Self, Requests) {
        let (attach_in, attach) = mpsc::channel(ATTACH_QUEUE);
        let (snapshots_in, snapshots) = mpsc::channel(ATTACH_QUEUE);
        let (commands_in, commands) = mpsc::channel(COMMAND_QUEUE);
        let (postings_in, postings) = mpsc::channel(1);
        let (anchors_in, anchors) = mpsc::channel(1);
        let (reloads_in, reloads) = mpsc::channel(1);
        let port = Self {
            attach: attach_in,
            snapshots: snapshots_in,
            commands: commands_in,
            postings: postings_in,
            anchors: anchors_in,
            reloads: reloads_in,
            durable,
            load: None,
            store: None,
            forwarding: None,
        };
        (port, Requests { attach, snapshots, commands, postings, anchors, reloads })
    }

    /// The same way in, with what does not go through the pipeline.
    pub(super) fn with(
        self,
        load: Option<Load>,
        store: Option<Reader>,
        forwarding: Option<Forwarding>,
    ) -> Self {
        Self { load, store, forwarding, ..self }
    }

    /// How forwarding to InfluxDB goes; `None` when there is none.
    pub(crate) fn forwarding(&self) -> Option<SinkState> {
        self.forwarding.as_ref().map(|state| state.borrow().clone())
    }

    /// True when what is seen gets onto the disk, or is not meant to.
    pub(crate) fn is_storing(&self) -> bool {
        self.durable.borrow().storing == Storing::Stored
    }

    /// What the gateway has kept; `None` when it keeps nothing.
    pub(crate) fn store(&self) -> Option<&Reader> {
        self.store.as_ref()
    }

    /// Reads the configuration again and puts it in force. An error is for the user; nothing has changed then.
    pub(crate) async fn reload(&self) -> Result<(), String> {
        let load = self.load.clone().ok_or("this gateway was not started from a site file")?;
        let site = spawn_blocking(move || load()).await.map_err(|error| error.to_string())??;
        let (reply, answer) = oneshot::channel();
        let stopped = || NotTaken::Stopped.to_string();
        let reload = Reload { site: Box::new(site), reply };
        self.reloads.send(reload).await.map_err(|_closed| stopped())?;
        answer.await.map_err(|_dropped| stopped())?
    }

    /// `None` when the gateway has stopped.
    pub(crate) async fn attach(&self) -> Option<Attached> {
        ask(&self.attach).await
    }

    /// `None` when the gateway has stopped.
    pub(crate) async fn snapshot(&self) -> Option<Snapshot> {
        ask(&self.snapshots).await
    }

    /// Answers when what came of the command is on disk.
    pub(crate) async fn command(&self, command: Command) -> Result<Outcome, NotTaken> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(Asked { command, reply }).await;
        sent.map_err(|_closed| NotTaken::Stopped)?;
        answer.await.map_err(|_dropped| NotTaken::Stopped)?
    }

    /// Answers when it is on disk. It has been checked.
    pub(crate) async fn post(&self, posting: Posting) -> Result<(), NotTaken> {
        let (reply, answer) = oneshot::channel();
        let sent = self.postings.send(Posted { posting: Box::new(posting), reply }).await;
        sent.map_err(|_closed| NotTaken::Stopped)?;
        answer.await.map_err(|_dropped| NotTaken::Stopped)?.map(drop)
    }

    /// Answers when it is on disk; refused while wall time is not trusted, as nobody would know of which day it is.
    pub(super) async fn anchor(&self, anchor: Anchor) -> Result<Outcome, NotTaken> {
        let (reply, answer) = oneshot::channel();
        let sent = self.anchors.send(Anchored { anchor, reply }).await;
        sent.map_err(|_closed| NotTaken::Stopped)?;
        answer.await.map_err(|_dropped| NotTaken::Stopped)?
    }

    /// Returns when the pipeline is gone.
    pub(crate) async fn closed(&self) {
        self.commands.closed().await;
    }
}

async fn ask<T>(requests: &mpsc::Sender<oneshot::Sender<T>>) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    requests.send(reply).await.ok()?;
    answer.await.ok()
}
