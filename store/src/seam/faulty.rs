//! A file system for tests: real files in a real folder, so that readers see what was written, and a memory of what was
//! synced, so that the power can be cut after any operation.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{Disk, Seam, SeamFile};

/// A disk that obeys the tests. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Faulty(Arc<(Mutex<State>, Condvar)>);

/// What a power cut leaves of bytes that were written but not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// Nothing: the worst case for what is reported too early.
    Lost,
    /// The first half: the worst case for what is read afterwards.
    HalfKept,
    /// All of them: a kill.
    Kept,
}

#[derive(Debug, Default)]
struct State {
    /// By path: what a power cut leaves. `None`: the name itself is not durable.
    durable: HashMap<PathBuf, Option<Vec<u8>>>,
    /// The synced content of files whose name is not durable yet.
    synced: HashMap<PathBuf, Vec<u8>>,
    operations: u64,
    /// After so many operations every further one fails.
    power_for: Option<u64>,
    /// Bytes that still fit.
    room: Option<u64>,
    /// Every sync fails, and every cut.
    sync_fails: bool,
    /// Every sync waits.
    stalled: bool,
}

impl State {
    fn operate(&mut self) -> io::Result<()> {
        if self.power_for.is_some_and(|limit| self.operations >= limit) {
            return Err(io::Error::other("the power is cut"));
        }
        self.operations += 1;
        Ok(())
    }
}

impl Faulty {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many operations were done.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// From the start of this disk on: how many operations succeed before all others fail.
    pub fn cut_after(&self, operations: u64) {
        self.state().power_for = Some(operations);
    }

    /// How many bytes still fit; `None`: as many as the machine takes.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.state().room = bytes;
    }

    /// Whether syncing and truncating fail from now on.
    pub fn set_sync_fails(&self, fails: bool) {
        self.state().sync_fails = fails;
    }

    /// Whether syncing waits, from now on, until it no longer does.
    pub fn set_stalled(&self, stalled: bool) {
        self.state().stalled = stalled;
        self.0.1.notify_all();
    }

    /// Brings the files into the state that a power cut leaves, and the power back.
    ///
    /// # Errors
    /// Those of the machine's file system.
    pub fn power_cut(&self, unsynced: Unsynced) -> io::Result<()> {
        let mut state = self.state();
        state.power_for = None;
        state.room = None;
        state.sync_fails = false;
        for (path, durable) in &state.durable {
            let written = fs::read(path).ok();
            match unsynced {
                Unsynced::Kept => {}
                Unsynced::Lost => match durable {
                    Some(content) => fs::write(path, content)?,
                    None => drop(fs::remove_file(path)),
                },
                Unsynced::HalfKept => {
                    let known = durable.as_ref().or_else(|| state.synced.get(path));
                    let known = known.cloned().unwrap_or_default();
                    let written = written.unwrap_or_default();
                    let tail = written.get(known.len()..).unwrap_or_default();
                    fs::write(path, [known.as_slice(), &tail[..tail.len() / 2]].concat())?;
                }
            }
        }
        state.durable.clear();
        state.synced.clear();
        Ok(())
    }
}

impl Seam for Faulty {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SeamFile>> {
        let mut state = self.state();
        state.operate()?;
        let file = Disk.create(path)?;
        state.durable.entry(path.to_owned()).or_insert(None);
        state.synced.insert(path.to_owned(), Vec::new());
        Ok(Box::new(FaultyFile { disk: self.clone(), path: path.to_owned(), file }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn SeamFile>> {
        let mut state = self.state();
        state.operate()?;
        let file = Disk.append(path)?;
        if !state.durable.contains_key(path) {
            // From before this disk: durable as it is.
            let content = fs::read(path)?;
            state.synced.insert(path.to_owned(), content.clone());
            state.durable.insert(path.to_owned(), Some(content));
        }
        Ok(Box::new(FaultyFile { disk: self.clone(), path: path.to_owned(), file }))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        if state.sync_fails {
            return Err(io::Error::other("the sync failed"));
        }
        let State { durable, synced, .. } = &mut *state;
        durable.retain(|path, content| {
            if path.parent() != Some(dir) {
                return true;
            }
            match synced.get(path) {
                Some(bytes) => *content = Some(bytes.clone()),
                // Removed, and now durably so.
                None => return false,
            }
            true
        });
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        if !state.durable.contains_key(to) {
            state.durable.insert(to.to_owned(), fs::read(to).ok());
        }
        Disk.rename(from, to)?;
        let synced = state.synced.remove(from);
        let synced = synced.map_or_else(|| fs::read(to), Ok)?;
        state.synced.insert(to.to_owned(), synced);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        if !state.durable.contains_key(path) {
            state.durable.insert(path.to_owned(), fs::read(path).ok());
        }
        state.synced.remove(path);
        Disk.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        Disk.list(dir)
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: Faulty,
    path: PathBuf,
    file: Box<dyn SeamFile>,
}

impl SeamFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        let fits = state.room.map_or(bytes.len(), |room| {
            bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))
        });
        if let Some(room) = &mut state.room {
            *room -= u64::try_from(fits).unwrap_or(0);
        }
        self.file.append(&bytes[..fits])?;
        if fits < bytes.len() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let stalled = |state: &mut State| state.stalled;
        let state = self.disk.0.1.wait_while(self.disk.state(), stalled);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.operate()?;
        if state.sync_fails {
            return Err(io::Error::other("the sync failed"));
        }
        let content = fs::read(&self.path)?;
        if let Some(Some(durable)) = state.durable.get_mut(&self.path) {
            durable.clone_from(&content);
        }
        state.synced.insert(self.path.clone(), content);
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        if state.sync_fails {
            return Err(io::Error::other("the cut failed"));
        }
        self.file.truncate(length)
    }
}
