//! The files of a bundle, whether it is an archive or was unpacked.

use std::{
    fs::{self, File},
    io::{BufReader, Read},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use zip::ZipArchive;

use super::TEXT_BYTES_MAX;

pub(super) enum Folder {
    Archive(Box<ZipArchive<BufReader<File>>>),
    Unpacked(PathBuf),
}

impl Folder {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("failed to read {}", path.display());
        if path.is_dir() {
            return Ok(Self::Unpacked(path.to_owned()));
        }
        let file = BufReader::new(File::open(path).with_context(failed)?);
        let archive = ZipArchive::new(file);
        let archive = archive.with_context(|| format!("{} is no sealed report", path.display()))?;
        Ok(Self::Archive(Box::new(archive)))
    }

    /// All files, sorted.
    pub(super) fn names(&self) -> anyhow::Result<Vec<String>> {
        let mut names = match self {
            Self::Archive(archive) => {
                let names = archive.file_names().map(|name| Ok(name?.into_owned()));
                names.collect::<zip::result::ZipResult<Vec<_>>>()?
            }
            Self::Unpacked(root) => {
                let mut names = Vec::new();
                walk(root, root, &mut names)
                    .with_context(|| format!("failed to read {}", root.display()))?;
                names
            }
        };
        names.sort_unstable();
        Ok(names)
    }

    /// Reads a file.
    pub(super) fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut dyn Read) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        ensure!(plain, "{name:?} is no name of a file in a bundle");
        let found = match self {
            Self::Archive(archive) => {
                archive.by_name(name).map_err(Into::into).and_then(|mut file| read(&mut file))
            }
            Self::Unpacked(root) => {
                File::open(root.join(name)).map_err(Into::into).and_then(|mut file| read(&mut file))
            }
        };
        found.with_context(|| format!("{name} cannot be read"))
    }

    /// A file that is read whole.
    pub(super) fn text(&mut self, name: &str) -> anyhow::Result<String> {
        self.read(name, |from| {
            let mut text = String::new();
            from.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text)?;
            if text.len() as u64 > TEXT_BYTES_MAX {
                bail!("it is larger than {} MiB", TEXT_BYTES_MAX >> 20);
            }
            Ok(text)
        })
    }
}

fn walk(root: &Path, folder: &Path, names: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(root, &path, names)?;
        } else if let Ok(name) = path.strip_prefix(root) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(())
}
