//! The token of the gateway's own user: a file that nobody else can read.

use std::{io, path::Path};

use anyhow::{Context, bail};

use crate::secret_file;

/// A token that can be guessed is none.
pub(super) const LENGTH_MIN: usize = 16;

/// The token in this folder; made where there is none.
pub(super) fn in_folder(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join("token");
    let shown = path.display();
    match secret_file::make(&path) {
        Ok(()) => tracing::info!("made a token in {shown}"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(error).with_context(|| format!("failed to make the token file {shown}"));
        }
    }
    let token = secret_file::read(&path)?;
    if token.len() < LENGTH_MIN {
        bail!(
            "the token file {shown} has fewer than {LENGTH_MIN} characters: remove it to get a new one"
        );
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_one_that_can_be_guessed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let token = in_folder(folder.path()).unwrap();
        assert_eq!(in_folder(folder.path()).unwrap(), token);
        fs::write(folder.path().join("token"), "short\n").unwrap();
        let refusal = in_folder(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains("fewer than 16 characters"), "{refusal}");
    }
}
