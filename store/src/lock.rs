//! One gateway per data directory.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use crate::error::StoreError;

const NAME: &str = "lock";

/// Held as long as the gateway writes into the directory. The operating system lets go of it when the process ends, in
/// whatever way, so a lock file that lies about means nothing by itself.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(NAME);
        let failed = |source| StoreError::io("open", &path, source);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = file.read_to_string(&mut text);
                let holder = read.is_ok().then(|| text.trim().to_owned());
                let holder = holder.filter(|holder| !holder.is_empty());
                return Err(StoreError::InUse { dir: dir.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(StoreError::io("lock", &path, source)),
        }
        // The number only serves the message to a second gateway: a full disk must not keep the first one from starting.
        let noted = file.set_len(0).and_then(|()| file.rewind());
        if noted.and_then(|()| writeln!(file, "{}", std::process::id())).is_err() {
            tracing::debug!("the lock does not say who holds it");
        }
        Ok(Self { _file: file })
    }
}
