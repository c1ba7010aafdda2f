//! The private key in the data directory: `key`, and while it is being exchanged `key.next`.
//!
//! A file has the 32 bytes of RFC 8032 as hexadecimal digits. What the ledger says decides which of the two counts, so an
//! exchange can be interrupted anywhere.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use rules::{
    hex::Hex,
    signing::{PublicKey, SigningKey},
};

use crate::secret_file;

const KEY: &str = "key";
const NEXT: &str = "key.next";

/// A key that waits to be put in force; one that was made before and never got there is taken again.
pub(super) fn make_next(dir: &Path) -> anyhow::Result<SigningKey> {
    let path = dir.join(NEXT);
    match secret_file::make(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("failed to make {}", path.display()))
        }
        _ => read(&path),
    }
}

/// The key that was made last is in force: the one before is destroyed.
pub(super) fn put_in_force(dir: &Path) -> anyhow::Result<()> {
    let (from, to) = (dir.join(NEXT), dir.join(KEY));
    fs::rename(&from, &to).with_context(|| format!("failed to replace {}", to.display()))?;
    let synced = fs::File::open(dir).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("failed to sync {}", dir.display()))
}

/// The private key that belongs to the public one.
pub(super) fn find(dir: &Path, public: &PublicKey) -> anyhow::Result<SigningKey> {
    for name in [KEY, NEXT] {
        let path: PathBuf = dir.join(name);
        if !path.exists() {
            continue;
        }
        let key = read(&path)?;
        if key.public() == *public {
            if name == NEXT {
                put_in_force(dir)?;
            }
            return Ok(key);
        }
    }
    bail!(
        "the private key of {public} is not in {}: restore the file \"{KEY}\" from a backup, or say that it is lost: \
         coldwatch key lost",
        dir.display()
    )
}

fn read(path: &Path) -> anyhow::Result<SigningKey> {
    let text = secret_file::read(path)?;
    let seed: Option<Hex<32>> = text.parse().ok();
    let key = seed.and_then(|seed| SigningKey::from_seed(&seed.0));
    key.with_context(|| format!("{} is no key: it has 64 hexadecimal digits", path.display()))
}
