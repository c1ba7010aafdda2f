//! What is wrong with an expression, and with the rule it belongs to.

use std::{ops::Range, sync::Arc};

/// What is wrong with an expression, at which bytes of it, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionFault {
    pub span: Range<usize>,
    /// Without a full stop.
    pub message: String,
    pub remedy: String,
}

/// Which text of a rule a fault lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Id,
    For,
    When,
    Deadband,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// Index into the rules that were compiled.
    pub index: usize,
    pub rule: Arc<str>,
    pub field: Field,
    /// Bytes of that field's text.
    pub span: Range<usize>,
    /// Without a full stop.
    pub message: String,
    pub remedy: String,
}
