//! What is wrong with a file: where, what, and what to do about it.

use std::{ops::Range, sync::Arc};

/// A configuration text with the name it is reported under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Path as the user gave it, or `profiles/NAME.toml` for a shipped one.
    pub name: Arc<str>,
    pub text: Arc<str>,
}

/// One fault. All faults of a file are reported in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub source: Source,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl Fault {
    /// Line and column of the start, from 1; the column counts characters.
    pub fn line_and_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.span.start.min(self.source.text.len())];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}
