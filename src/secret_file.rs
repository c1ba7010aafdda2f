//! Files with 256 random bits that only their owner can read: the token, the key.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use anyhow::{Context, bail};

const RANDOM_BYTES: usize = 32;

/// Makes the file with 64 random hexadecimal digits, whole or not at all: a reader never sees a part of it, and of two
/// that make it at once the second is told that it exists.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let draft = path.with_extension(std::process::id().to_string());
    let result = write_new(&draft).and_then(|()| fs::hard_link(&draft, path));
    // A draft that was never made is gone already.
    let _ = fs::remove_file(&draft);
    result?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// The text of such a file. One that others can read is no secret, and an error.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let failed = || format!("failed to read {shown}");
    if fs::metadata(path).with_context(failed)?.mode() & 0o077 != 0 {
        bail!("others can read {shown}: chmod 600 it, or remove it to get a new one");
    }
    let text = fs::read_to_string(path).with_context(failed)?;
    Ok(text.trim().to_owned())
}

fn write_new(path: &Path) -> io::Result<()> {
    let mut random = [0; RANDOM_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    for byte in random {
        write!(file, "{byte:02x}")?;
    }
    writeln!(file)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        make(&path).unwrap();
        let text = read(&path).unwrap();
        assert_eq!(text.len(), 2 * RANDOM_BYTES);
        assert_eq!(make(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(&path).unwrap(), text);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
        let other = folder.path().join("other");
        make(&other).unwrap();
        assert_ne!(read(&other).unwrap(), text);
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        make(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("others can read"));
    }
}
