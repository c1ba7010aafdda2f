//! Sealed reports as files: packed by the gateway's owner, checked by anybody.

pub(crate) mod anchors;
pub(crate) mod check;
mod folder;
pub(crate) mod pack;
mod recount;

/// What is read whole is no larger: a report of a year with a thousand meters has a tenth of it.
const TEXT_BYTES_MAX: u64 = 64 << 20;

/// The report in a bundle, as JSON. Nothing is checked.
pub(crate) fn report(path: &std::path::Path) -> anyhow::Result<String> {
    folder::Folder::open(path)?.text(reports::manifest::names::JSON)
}
