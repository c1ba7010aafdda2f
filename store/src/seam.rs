//! The one way by which our own files are written: segments of the log, cursors, tokens. Thin on purpose, so that a test
//! can put a file system below it that forgets whatever was not synced.
//!
//! Reading needs no seam: what a process wrote, any process can read.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

#[doc(hidden)]
pub mod faulty;

/// A file system, as far as the store writes to it.
pub trait Seam: fmt::Debug + Send + Sync {
    /// A new, empty file for appending. What had that name is emptied. The name is durable after [`Self::sync_dir`].
    fn create(&self, path: &Path) -> io::Result<Box<dyn SeamFile>>;

    /// A file that exists, for appending.
    fn append(&self, path: &Path) -> io::Result<Box<dyn SeamFile>>;

    /// Makes creations, renames and removals in this folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the place of what `to` named.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The files of a folder, without order.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// Replaces a small file as a whole: afterwards it is durable, and at no moment is it half written.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let next = path.with_extension("next");
        let mut file = self.create(&next)?;
        file.append(content)?;
        file.sync()?;
        self.rename(&next, path)?;
        path.parent().map_or(Ok(()), |dir| self.sync_dir(dir))
    }
}

/// An open file of a [`Seam`].
pub trait SeamFile: fmt::Debug + Send {
    /// Adds all bytes at the end. After an error any part of them may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Content and length are durable afterwards. After an error nothing is known of what was written since the last one.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to its first `length` bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Seam for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SeamFile>> {
        // Emptied after opening, because append and truncate exclude each other as open options.
        let file = File::options().append(true).create(true).open(path)?;
        file.set_len(0)?;
        Ok(Box::new(DiskFile(file)))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn SeamFile>> {
        Ok(Box::new(DiskFile(File::options().append(true).open(path)?)))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
    }
}

#[derive(Debug)]
struct DiskFile(File);

impl SeamFile for DiskFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}
