//! The token of the gateway's own user: a file that nobody else can read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use anyhow::{Context, bail};

/// 256 random bits.
const RANDOM_BYTES: usize = 32;
/// A token that can be guessed is none.
pub(super) const LENGTH_MIN: usize = 16;

/// The token in this folder; made where there is none.
pub(super) fn in_folder(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join("token");
    let shown = path.display();
    match make(&path) {
        Ok(()) => tracing::info!("made a token in {shown}"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(error).with_context(|| format!("failed to make the token file {shown}"));
        }
    }
    let failed = || format!("failed to read the token file {shown}");
    if fs::metadata(&path).with_context(failed)?.mode() & 0o077 != 0 {
        bail!(
            "others can read the token file {shown}: chmod 600 it, or remove it to get a new one"
        );
    }
    let text = fs::read_to_string(&path).with_context(failed)?;
    let token = text.trim();
    if token.len() < LENGTH_MIN {
        bail!(
            "the token file {shown} has fewer than {LENGTH_MIN} characters: remove it to get a new one"
        );
    }
    Ok(token.to_owned())
}

/// Whole or not at all: a reader never sees a part of it, and two that make it at once agree on one.
fn make(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let draft = path.with_extension(std::process::id().to_string());
    let result = write_new(&draft).and_then(|()| fs::hard_link(&draft, path));
    // A draft that was never made is gone already.
    let _ = fs::remove_file(&draft);
    result
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
    fn a_token_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let token = in_folder(folder.path()).unwrap();
        assert_eq!(token.len(), 2 * RANDOM_BYTES);
        assert_eq!(in_folder(folder.path()).unwrap(), token);
        let metadata = fs::metadata(folder.path().join("token")).unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
        let other = tempfile::tempdir().unwrap();
        assert_ne!(in_folder(other.path()).unwrap(), token);
    }

    #[test]
    fn a_token_that_others_can_read_or_guess_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        in_folder(folder.path()).unwrap();
        let refusal = || in_folder(folder.path()).unwrap_err().to_string();
        let path = folder.path().join("token");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(refusal().contains("others can read"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short\n").unwrap();
        assert!(refusal().contains("fewer than 16 characters"));
    }
}
