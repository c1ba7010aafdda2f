//! What was not as it was left.

use std::{fmt, path::PathBuf};

use crate::record::Seq;

/// Something that was found when a data directory was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// `ledger.db` could not be read: it was moved, what of it could still be proven was taken over, and the rest was
    /// written anew from the log.
    SetAside { aside: PathBuf, why: String, journal_lines: u64, ledger_lines: u64 },
    /// The log begins behind what journal and ledger hold: the lines of the records between are lost.
    Missing { first: Seq, last: Seq },
    /// There is no log any more, though there was one: samples that had not gone into the history are lost.
    LogLost { last: Seq },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAside { aside, why, journal_lines, ledger_lines } => write!(
                f,
                "ledger.db was damaged ({why}) and lies now in {}; {journal_lines} lines of the journal and {ledger_lines} \
                 of the ledger were taken over from it",
                aside.display()
            ),
            Self::Missing { first, last } => write!(
                f,
                "journal and ledger miss whatever records {} to {} of the log held: restore them from a backup",
                first.0, last.0
            ),
            Self::LogLost { last } => write!(
                f,
                "the log is gone: samples up to record {} that were not in the history yet are lost",
                last.0
            ),
        }
    }
}
