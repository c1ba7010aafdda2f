//! Room on the disk that is held back: a file that holds nothing, and is given up when the disk is full, so that
//! journal and ledger can still be written until somebody makes room.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

const NAME: &str = "reserve";

#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    pub(crate) fn new(dir: &Path, bytes: u64) -> Self {
        Self { path: dir.join(NAME), bytes }
    }

    /// True while the room is held back.
    pub(crate) fn is_held(&self) -> bool {
        self.held() >= self.bytes
    }

    fn held(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |found| found.len())
    }

    /// Frees the room; true if there was any.
    pub(crate) fn give_up(&self) -> bool {
        if self.held() == 0 {
            return false;
        }
        match fs::remove_file(&self.path) {
            Ok(()) => {
                tracing::error!(
                    "the disk is full: gave up {} so that journal and ledger can be written; make room",
                    self.path.display()
                );
                true
            }
            Err(fault) => {
                tracing::error!("cannot give up {}: {fault}", self.path.display());
                false
            }
        }
    }

    /// Holds the room back again if there is plenty. True if it is held now.
    pub(crate) fn restore(&self) -> bool {
        if self.held() == self.bytes {
            return true;
        }
        match self.try_restore() {
            Ok(held) => held,
            Err(fault) => {
                // What could not be made whole must not take the last room.
                let _ = fs::remove_file(&self.path);
                tracing::warn!("cannot hold back room in {}: {fault}", self.path.display());
                false
            }
        }
    }

    fn try_restore(&self) -> io::Result<bool> {
        if self.is_held() {
            // Of a run that was told to hold back more.
            File::options().write(true).open(&self.path)?.set_len(self.bytes)?;
            return Ok(true);
        }
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let room = statvfs(dir)?;
        // Twice, so that a disk that is just not full does not give and take all the time.
        if room.f_bavail.saturating_mul(room.f_frsize) < self.bytes.saturating_mul(2) {
            return Ok(false);
        }
        let mut file = File::create(&self.path)?;
        let held = fallocate(&file, FallocateFlags::empty(), 0, self.bytes);
        if held.is_err_and(|fault| fault != rustix::io::Errno::NOSPC) {
            // A file system that cannot promise room has to be given something to keep.
            io::copy(&mut io::repeat(0).take(self.bytes), &mut file)?;
        }
        file.sync_all()?;
        Ok(self.is_held())
    }
}
