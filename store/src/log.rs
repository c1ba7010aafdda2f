//! The log: the only truth. Segment files of records, written by one thread that syncs each group before it is called
//! durable, and read by anybody. `FORMAT.md` describes the bytes.

mod bytes;
mod form;
mod frame;
mod queue;
mod reader;
mod segment;
mod writer;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rules::time::BootId;
use thiserror::Error;

pub use self::{
    reader::{LogReader, Placement, Records},
    writer::Writer,
};
use crate::{
    record::Seq,
    seam::{Disk, Seam},
};

/// Where the log is and how it is divided.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Holds the segments and nothing else. Is made if it is not there.
    pub dir: PathBuf,
    /// A segment ends at about this size.
    pub segment_bytes: u64,
    /// A segment ends when its first record is so old.
    pub segment_span: Duration,
    /// Records get places behind this one, also when the folder is empty: what was read from a log that was lost keeps its
    /// places.
    pub after: Seq,
}

impl LogOptions {
    /// Segments of 16 MiB or 15 minutes, whichever comes first.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, segment_bytes: 16 << 20, segment_span: Duration::from_mins(15), after: Seq(0) }
    }
}

/// A log that was opened for writing. The thread ends when the writer is closed or dropped.
#[derive(Debug)]
pub struct Log {
    pub writer: Writer,
    pub reader: LogReader,
}

impl Log {
    /// Opens or begins a log, cuts what a power cut left half written, and starts the thread that writes.
    /// Nobody else may write to the folder.
    ///
    /// # Errors
    /// When the folder cannot be read or made, or was written by another version.
    pub fn open(options: &LogOptions, boot: BootId) -> Result<Self, LogError> {
        Self::open_on(Arc::new(Disk), options, boot)
    }

    /// Like [`Self::open`], on another file system.
    ///
    /// # Errors
    /// As there.
    pub fn open_on(
        seam: Arc<dyn Seam>,
        options: &LogOptions,
        boot: BootId,
    ) -> Result<Self, LogError> {
        writer::open(seam, options, boot)
    }
}

/// How far the log is on disk. Whatever is shown, answered, acknowledged or sent waits for its place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    /// Every record up to here outlives a power cut.
    pub seq: Seq,
    pub storing: Storing,
}

/// Whether records reach the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storing {
    Stored,
    /// The disk is full or refuses. Records wait in memory, and are written as soon as it can be.
    NotStored {
        /// What the file system said.
        why: Arc<str>,
        /// Samples that found no room in memory, since the log was opened.
        dropped_samples: u64,
    },
}

#[derive(Debug, Error)]
pub enum LogError {
    #[error("failed to {doing} {}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{} was written by another version of coldwatch (log format {found}, this one reads {}): run that version, or move the file away",
        path.display(),
        form::VERSION
    )]
    Version { path: PathBuf, found: u32 },
    #[error("failed to start the thread that writes the log")]
    Thread(#[source] io::Error),
    #[error("the thread that writes the log has ended by itself: restart the gateway")]
    Ended,
    #[error("the last {records} records could not be written: {why}")]
    NotStored { records: usize, why: Arc<str> },
    #[error("record {} in {} is not what it should be: it was written by another version, or is damaged", seq.0, path.display())]
    Record { seq: Seq, path: PathBuf },
}

/// What an unreadable sector gives (`EIO`).
const BAD_MEDIUM: i32 = 5;

impl LogError {
    /// The file was deleted meanwhile.
    fn is_gone(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// The bytes cannot be read, now or later.
    fn is_bad_medium(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.raw_os_error() == Some(BAD_MEDIUM))
    }
}

/// Names the file in an error of the file system.
fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
    let path = path.to_owned();
    move |source| LogError::Io { doing, path, source }
}
