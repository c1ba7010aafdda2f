//! Writes a bundle: file after file into one archive, then the manifest with the hash of each, then the signature.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use reports::manifest::{Manifest, Member, names};
use rules::{
    book::Signature,
    chain::{Hash, Hasher},
    signing::SigningKey,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// A bundle in the making. It gets its name when everything is in it and durable.
pub(crate) struct Pack {
    path: PathBuf,
    draft: Draft,
    archive: ZipWriter<BufWriter<File>>,
    members: Vec<Member>,
}

impl Pack {
    pub(crate) fn create(path: PathBuf) -> anyhow::Result<Self> {
        let mut draft = path.clone().into_os_string();
        draft.push(".part");
        let draft = Draft(draft.into());
        let file = File::create(&draft.0).with_context(|| draft.failed())?;
        let archive = ZipWriter::new(BufWriter::new(file));
        Ok(Self { path, draft, archive, members: Vec::new() })
    }

    /// Where the file is while it is in the making, for errors.
    pub(crate) fn draft(&self) -> PathBuf {
        self.draft.0.clone()
    }

    /// Adds a file that is written piece by piece.
    pub(crate) fn add<T>(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Measured<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.start(name)?;
        let mut measured =
            Measured { into: &mut self.archive, bytes: 0, hasher: Hasher::default() };
        let answer = write(&mut measured)?;
        let Measured { bytes, hasher, .. } = measured;
        self.members.push(Member { name: name.to_owned(), bytes, sha256: hasher.finish() });
        Ok(answer)
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) -> anyhow::Result<()> {
        let failed = self.draft.failed();
        self.add(name, |into| into.write_all(text.as_bytes()).context(failed))
    }

    /// Adds manifest and signature and gives the hash of the manifest. The bundle has no name yet.
    pub(crate) fn sign(
        mut self,
        manifest: Manifest,
        key: &SigningKey,
    ) -> anyhow::Result<(Hash, Packed)> {
        let manifest = Manifest { files: self.members.clone(), ..manifest };
        let text = serde_json::to_string_pretty(&manifest)? + "\n";
        let signature = Signature { key: key.public(), value: key.sign(text.as_bytes()) };
        self.text(names::MANIFEST, &text)?;
        self.text(names::SIGNATURE, &(serde_json::to_string(&signature)? + "\n"))?;
        let failed = self.draft.failed();
        let file = self.archive.finish().context(failed.clone())?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all()).context(failed)?;
        Ok((Hash::of(text.as_bytes()), Packed { path: self.path, draft: self.draft }))
    }

    fn start(&mut self, name: &str) -> anyhow::Result<()> {
        // No time of day, so that the same content gives the same bytes.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .large_file(true);
        let started = self.archive.start_file(name, options);
        started.with_context(|| self.draft.failed())
    }
}

/// A whole bundle under the name of a draft.
#[must_use]
pub(crate) struct Packed {
    path: PathBuf,
    draft: Draft,
}

/// The file while it has no name. It goes when nothing comes of it.
struct Draft(PathBuf);

impl Draft {
    fn failed(&self) -> String {
        format!("failed to write {}", self.0.display())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Once the file has its name this one leads nowhere.
        let _ = fs::remove_file(&self.0);
    }
}

impl Packed {
    /// Gives it its name.
    pub(crate) fn publish(self) -> anyhow::Result<PathBuf> {
        let Self { path, draft } = self;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let moved = fs::rename(&draft.0, &path).and_then(|()| File::open(folder)?.sync_all());
        moved.with_context(|| format!("failed to write {}", path.display()))?;
        Ok(path)
    }
}

/// Hashes and counts what goes through.
pub(crate) struct Measured<'a> {
    into: &'a mut ZipWriter<BufWriter<File>>,
    bytes: u64,
    hasher: Hasher,
}

impl Write for Measured<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.into.write(bytes)?;
        self.bytes += written as u64;
        self.hasher.add(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}
