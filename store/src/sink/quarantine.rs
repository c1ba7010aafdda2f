//! Lines that a sink could not or would not take, kept for whoever looks after them: what, when and why.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::seam::{Seam, SeamFile};

/// A file is put aside at this size, and the one put aside before it goes.
const FILE_BYTES: u64 = 4 << 20;
/// Of a line and of the words about it, no more than this is kept.
const TEXT_BYTES: usize = 2_000;

/// Two files of lines in JSON, the newer one being written: never more than twice [`FILE_BYTES`].
#[derive(Debug)]
pub(super) struct Quarantine {
    seam: Arc<dyn Seam>,
    path: PathBuf,
    open: Option<(Box<dyn SeamFile>, u64)>,
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Entry {
    /// When it was refused.
    pub(super) at: DateTime<Utc>,
    pub(super) line: String,
    /// What the server said, or why it was not sent.
    pub(super) why: Arc<str>,
}

impl Quarantine {
    pub(super) fn new(seam: Arc<dyn Seam>, path: PathBuf) -> Self {
        Self { seam, path, open: None }
    }

    /// Adds entries; they are on disk afterwards.
    pub(super) fn add(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut text = Vec::new();
        for entry in entries {
            let entry = Entry {
                line: shortened(&entry.line),
                why: shortened(&entry.why).into(),
                at: entry.at,
            };
            serde_json::to_writer(&mut text, &entry)?;
            text.push(b'\n');
            if text.len() as u64 >= FILE_BYTES / 4 {
                self.write(&text)?;
                text.clear();
            }
        }
        if text.is_empty() { Ok(()) } else { self.write(&text) }
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let added = text.len() as u64;
        if self.open.as_ref().is_some_and(|(_, length)| length + added > FILE_BYTES) {
            self.open = None;
            self.put_aside()?;
        }
        let (mut file, length) = match self.open.take() {
            Some(open) => open,
            None => self.open_file(added)?,
        };
        file.append(text)?;
        file.sync()?;
        self.open = Some((file, length + added));
        Ok(())
    }

    fn open_file(&self, added: u64) -> io::Result<(Box<dyn SeamFile>, u64)> {
        match std::fs::metadata(&self.path) {
            Ok(found) if found.len() + added <= FILE_BYTES => {
                return Ok((self.seam.append(&self.path)?, found.len()));
            }
            Ok(_) => self.put_aside()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let file = self.seam.create(&self.path)?;
        self.sync_folder()?;
        Ok((file, 0))
    }

    fn put_aside(&self) -> io::Result<()> {
        self.seam.rename(&self.path, &self.path.with_extension("old.jsonl"))?;
        self.sync_folder()
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.path.parent().map_or(Ok(()), |folder: &Path| self.seam.sync_dir(folder))
    }
}

/// The beginning of a text that is too long, with a sign that it is one.
pub(super) fn shortened(text: &str) -> String {
    if text.len() <= TEXT_BYTES {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(TEXT_BYTES)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::Disk;

    fn entry(line: &str) -> Entry {
        let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        Entry { at, line: line.to_owned(), why: "no".into() }
    }

    #[test]
    fn entries_are_lines_of_json_and_stay_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("influxdb.jsonl");
        for line in ["one", "two \"quoted\"\n"] {
            Quarantine::new(Arc::new(Disk), path.clone()).add(&[entry(line)]).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\"at\":\"2023-11-14T22:13:20Z\",\"line\":\"one\",\"why\":\"no\"}\n\
             {\"at\":\"2023-11-14T22:13:20Z\",\"line\":\"two \\\"quoted\\\"\\n\",\"why\":\"no\"}\n"
        );
    }

    #[test]
    fn two_files_are_kept_and_neither_grows_without_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("influxdb.jsonl");
        let mut quarantine = Quarantine::new(Arc::new(Disk), path.clone());
        let many: Vec<Entry> = (0..1000).map(|_| entry(&"x".repeat(3000))).collect();
        for _ in 0..6 {
            quarantine.add(&many).unwrap();
        }
        quarantine.add(&[entry("last")]).unwrap();
        let length = |path: &Path| std::fs::metadata(path).unwrap().len();
        assert!(length(&path) <= FILE_BYTES);
        assert!(length(&dir.path().join("influxdb.old.jsonl")) <= FILE_BYTES);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .ends_with("\"line\":\"last\",\"why\":\"no\"}\n")
        );
    }
}
