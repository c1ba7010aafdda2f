//! How far long work is, on stderr, where somebody looks.

use std::io::{self, IsTerminal, Write};

/// One line that is written over.
pub(crate) struct Progress {
    shown: Option<u64>,
    watched: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { shown: None, watched: io::stderr().is_terminal() }
    }

    /// `what` is asked for only when there is another percent to show.
    pub(crate) fn show(&mut self, done: u64, all: u64, what: impl FnOnce() -> String) {
        let percent = done.saturating_mul(100) / all.max(1);
        if self.watched && self.shown != Some(percent) {
            self.shown = Some(percent);
            // When stderr is closed there is nobody left to tell.
            let _ = write!(io::stderr(), "\r{}, {percent} %", what());
        }
    }

    pub(crate) fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
