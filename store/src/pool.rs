//! Read-only connections to one of our databases, opened when needed and kept for the next question.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::StoreError;

/// More connections than questions at the same time are of no use.
const KEPT: usize = 4;

#[derive(Debug)]
pub(crate) struct Pool {
    path: PathBuf,
    /// Looks at a new connection before its first question: whose database it is, and of which format.
    check: fn(&Connection, &Path) -> Result<(), StoreError>,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(crate) fn new(
        path: PathBuf,
        check: fn(&Connection, &Path) -> Result<(), StoreError>,
    ) -> Self {
        Self { path, check, idle: Mutex::new(Vec::new()) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Asks something. A connection on which a question failed is not used again.
    pub(crate) fn ask<T, E: From<StoreError>>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(|| self.open(), Ok)?;
        let answer = question(&connection)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(connection);
        }
        Ok(answer)
    }

    fn open(&self) -> Result<Connection, StoreError> {
        let path = &self.path;
        if !path.exists() {
            return Err(StoreError::Absent { path: path.clone() });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(StoreError::database(path))?;
        match self.set_up(&connection) {
            Ok(()) => Ok(connection),
            Err(StoreError::Database { source, .. }) if needs_writing(&source) => {
                self.open_frozen(flags)
            }
            Err(other) => Err(other),
        }
    }

    /// Where nothing can be written, SQLite cannot have the shared memory by which it finds its newest pages. Without a
    /// write-ahead file there are none to find.
    fn open_frozen(&self, flags: OpenFlags) -> Result<Connection, StoreError> {
        let path = &self.path;
        let mut wal = path.clone().into_os_string();
        wal.push("-wal");
        if fs::metadata(&wal).is_ok_and(|found| found.len() > 0) {
            return Err(StoreError::WalNeedsWriting { path: path.clone() });
        }
        let absolute =
            std::path::absolute(path).map_err(|fault| StoreError::io("find", path, fault))?;
        let Ok(mut address) = url::Url::from_file_path(&absolute) else {
            return Err(StoreError::Absent { path: absolute });
        };
        address.set_query(Some("immutable=1"));
        let flags = flags | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(address.as_str(), flags)
            .map_err(StoreError::database(path))?;
        self.set_up(&connection)?;
        Ok(connection)
    }

    fn set_up(&self, connection: &Connection) -> Result<(), StoreError> {
        connection
            .busy_timeout(std::time::Duration::from_secs(5))
            .map_err(StoreError::database(&self.path))?;
        (self.check)(connection, &self.path)
    }
}

fn needs_writing(fault: &rusqlite::Error) -> bool {
    matches!(fault.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}
