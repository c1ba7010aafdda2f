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
        let text = &self.source.text;
        let before = text.get(..self.span.start).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }
}
