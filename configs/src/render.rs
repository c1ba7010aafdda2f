//! Faults for people, as a compiler shows them, and for machines.

use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

use crate::fault::Fault;

/// The faults one below the other, each with its lines of the file, the message and the remedy. `styled` adds terminal
/// colors: the caller knows whether there is a terminal, and `NO_COLOR`.
pub fn text(faults: &[Fault], styled: bool) -> String {
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for fault in faults {
        out.push_str(&one(fault, &renderer));
        out.push_str("\n\n");
    }
    out
}

/// Only the lines that the fault touches are handed to the renderer, so that a large file with many faults is no slower
/// than a small one.
fn one(fault: &Fault, renderer: &Renderer) -> String {
    let text = &fault.source.text;
    let (line, _) = fault.line_and_column();
    let start = floor(text, fault.span.start);
    let end = floor(text, fault.span.end).max(start);
    let first = text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let last = text.get(end..).and_then(|after| after.find('\n')).map_or(text.len(), |at| end + at);
    let snippet = Snippet::source(text.get(first..last).unwrap_or_default())
        .path(&*fault.source.name)
        .line_start(line)
        .annotation(AnnotationKind::Primary.span(start - first..end - first));
    let title = Level::ERROR.primary_title(fault.message.as_str());
    let help = Level::HELP.message(fault.remedy.as_str());
    renderer.render(&[title.element(snippet).element(help)])
}

/// The nearest place at or before `at` that is not within a character.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// One fault as `coldwatch check --json` gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultView {
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub message: String,
    pub remedy: String,
}

impl From<&Fault> for FaultView {
    fn from(fault: &Fault) -> Self {
        let (line, column) = fault.line_and_column();
        Self {
            file: Arc::clone(&fault.source.name),
            line,
            column,
            message: fault.message.clone(),
            remedy: fault.remedy.clone(),
        }
    }
}
