//! What a table declares: an asset with its id, and the ends of its edges.

use std::sync::Arc;

use rules::plant::{AssetKind, Detail, EdgeKind};

use crate::table::{At, Table};

/// An asset as its table declares it. Its edges still go by name.
#[derive(Debug)]
pub(super) struct Declared<'a> {
    pub(super) name: At<Arc<str>>,
    pub(super) kind: AssetKind,
    pub(super) title: Option<String>,
    pub(super) detail: Detail,
    pub(super) ties: Vec<Tie<'a>>,
}

/// One end of an edge, written in the table of the other end.
#[derive(Debug)]
pub(super) struct Tie<'a> {
    pub(super) kind: EdgeKind,
    pub(super) key: &'static str,
    pub(super) other: At<&'a str>,
    /// True for `rack.cooled_by`, whose edge comes from the other end.
    pub(super) inbound: bool,
    /// What the other end may be.
    pub(super) allowed: &'static [AssetKind],
}

/// The `id` of a table: letters, digits, `-` and `_`, so that `asset.quantity` has one meaning.
pub(super) fn id(table: &Table<'_>, example: &str) -> Option<At<Arc<str>>> {
    let id = table.required_text("id", example)?;
    if id.value.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_')) {
        return Some(At { value: id.value.into(), span: id.span });
    }
    table.fault(
        id.span,
        format!("the id \"{}\" has a character that ids cannot have", id.value),
        "use letters, digits, - and _; what people call it goes into title = \"…\"",
    );
    None
}
