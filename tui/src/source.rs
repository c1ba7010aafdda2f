//! What the dashboard lives on, wherever its gateway is: a picture, news of it, and a way to send commands.

use rules::messages::{Command, Feed, Outcome, Snapshot};
use tokio::sync::mpsc;

/// Commands that may wait to be sent: acknowledging everything in a flood is one keystroke.
pub const COMMANDS_QUEUED: usize = 4096;

/// A gateway as the dashboard sees it.
#[derive(Debug)]
pub struct Source {
    pub snapshot: Snapshot,
    /// What follows the snapshot, in order. Closed: the gateway is gone and will not come back.
    pub news: mpsc::Receiver<News>,
    /// Each is answered by one [`News::Answered`] with its key.
    pub commands: mpsc::Sender<Command>,
}

/// What the dashboard hears.
#[derive(Debug)]
pub enum News {
    Feed(Feed),
    /// There is no connection. Said when it breaks, and again when an attempt to connect fails; the next
    /// [`News::Feed`] says that it is there again.
    Lost(Lost),
    /// What came of the command with this key.
    Answered {
        key: String,
        answer: Answer,
    },
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    pub why: String,
    /// Attempts to connect since it broke.
    pub attempts: u32,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The gateway decided, and its decision is on disk.
    Decided(Outcome),
    /// Nothing changed, because the command was not delivered or not taken.
    NotTaken { why: String },
    /// It was sent, but no answer came back: it may have taken effect.
    Unanswered { why: String },
}
