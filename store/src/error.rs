//! What can go wrong with a data directory.

use std::{
    io,
    path::{Path, PathBuf},
};

use rules::{book::LineError, chain::Broken};
use rusqlite::{ErrorCode, ffi};
use thiserror::Error;

use crate::log::LogError;

#[derive(Debug, Error)]
pub enum StoreError {
    #[error(
        "the data directory {} is in use by another gateway{}: stop that one, or give this one a directory of its own",
        dir.display(),
        holder.as_ref().map(|process| format!(" (process {process})")).unwrap_or_default()
    )]
    InUse { dir: PathBuf, holder: Option<String> },
    #[error("there is no {} yet: a gateway that runs with this data directory makes it", path.display())]
    Absent { path: PathBuf },
    #[error("cannot {what} {}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is an SQLite database of another program: move it away", path.display())]
    Foreign { path: PathBuf },
    #[error(
        "{} has format {found} and this program knows format {known}: use the program that wrote it",
        path.display()
    )]
    Format { path: PathBuf, found: i64, known: i64 },
    #[error(
        "{} cannot be read where it lies, for its newest lines are in {}-wal: copy both to a directory that can be written to",
        path.display(), path.display()
    )]
    WalNeedsWriting { path: PathBuf },
    #[error("cannot read or write {}", path.display())]
    Database {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("{table} line {line} cannot be understood: compare the file with a backup")]
    Line {
        table: &'static str,
        line: u64,
        #[source]
        source: serde_json::Error,
    },
    #[error("line {line} of the ledger cannot be understood: compare the file with a backup")]
    BookLine {
        line: u64,
        #[source]
        source: LineError,
    },
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the {table} is not what was written: compare the file with a backup")]
    Chain {
        table: &'static str,
        #[source]
        source: Broken,
    },
    #[error("{} is no exported journal or ledger of a format that this program knows", path.display())]
    NoExport { path: PathBuf },
    #[error("a record cannot be written as JSON")]
    Unwritable(#[source] serde_json::Error),
    #[error(transparent)]
    History(#[from] crate::history::HistoryError),
    #[error("cannot start the thread that {0}")]
    Thread(&'static str, #[source] io::Error),
}

impl StoreError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }

    /// For `map_err`: a failed call on the database at `path`.
    pub(crate) fn database(path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        move |source| Self::Database { path: path.to_owned(), source }
    }

    /// There is no room left, so it can work again later.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } | Self::Log(LogError::Io { source, .. }) => {
                source.kind() == io::ErrorKind::StorageFull
            }
            Self::Database { source, .. } => source.sqlite_error().is_some_and(|fault| {
                // The second: no room for the shared memory beside the write-ahead file.
                fault.code == ErrorCode::DiskFull
                    || fault.extended_code == ffi::SQLITE_IOERR_SHMSIZE
            }),
            _ => false,
        }
    }

    /// What is on the disk is not what was written.
    pub(crate) fn is_corrupt(&self) -> bool {
        match self {
            Self::Database { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
            _ => false,
        }
    }
}
