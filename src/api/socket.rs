//! Where the Unix socket is, and making it.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use tokio::net::UnixListener;

const FILE: &str = "api.sock";
const SYSTEM_FOLDER: &str = "/run/coldwatch";
/// Owner and group ask; nobody else does.
const MODE: u32 = 0o660;

/// Where a client finds the local gateway: `$COLDWATCH_SOCKET`, else the first of the usual places that has a socket.
pub(crate) fn default_path() -> PathBuf {
    from_environment().unwrap_or_else(|| {
        let places =
            [Some(PathBuf::from(SYSTEM_FOLDER)), runtime_folder(), Some(temporary_folder())];
        let mut paths = places.into_iter().flatten().map(|folder| folder.join(FILE));
        paths.find(|path| path.exists()).unwrap_or_else(for_gateway)
    })
}

/// Where a gateway makes its socket when nobody says where: the first of the usual places that it can use.
pub(crate) fn for_gateway() -> PathBuf {
    from_environment().unwrap_or_else(|| {
        let system = Path::new(SYSTEM_FOLDER);
        let folder = if can_use(system) {
            system.to_owned()
        } else {
            runtime_folder().unwrap_or_else(temporary_folder)
        };
        folder.join(FILE)
    })
}

fn from_environment() -> Option<PathBuf> {
    std::env::var_os("COLDWATCH_SOCKET").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn runtime_folder() -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty())?;
    Some(PathBuf::from(folder).join("coldwatch"))
}

fn temporary_folder() -> PathBuf {
    PathBuf::from(format!("/tmp/coldwatch-{}", own_uid()))
}

/// The user that this process runs as.
pub(super) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// True when it is there, or can be made, and takes new files of ours.
fn can_use(folder: &Path) -> bool {
    let parent = folder.parent().unwrap_or(folder);
    let looked_at = if folder.is_dir() { folder } else { parent };
    rustix::fs::access(looked_at, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
        .is_ok()
}

/// A socket that is ours until it is dropped.
#[derive(Debug)]
pub(crate) struct Bound {
    path: PathBuf,
    /// Device and inode: a socket that came after ours is not ours to remove.
    id: (u64, u64),
}

impl Bound {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.id)
        {
            // The next gateway takes the place of one that stays.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the socket, in the place of one that nobody answers at any more.
pub(crate) fn bind(path: &Path) -> anyhow::Result<(Bound, UnixListener)> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    make_folder(folder)?;
    make_way(path)?;
    bind_in(folder, path).with_context(|| format!("failed to make the socket {}", path.display()))
}

/// Made in a folder that only we can enter, and moved when its mode is right: it is never open to all.
fn bind_in(folder: &Path, path: &Path) -> io::Result<(Bound, UnixListener)> {
    let closed = folder.join(format!(".{}", std::process::id()));
    make_private(&closed)?;
    let made = bind_private(&closed.join("s"), path);
    // What is left in it after a failure is not worth another error.
    let _ = fs::remove_dir_all(&closed);
    made
}

fn bind_private(draft: &Path, path: &Path) -> io::Result<(Bound, UnixListener)> {
    let listener = UnixListener::bind(draft)?;
    fs::set_permissions(draft, fs::Permissions::from_mode(MODE))?;
    let found = fs::symlink_metadata(draft)?;
    fs::rename(draft, path)?;
    Ok((Bound { path: path.to_owned(), id: (found.dev(), found.ino()) }, listener))
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let failed = || format!("failed to make the folder {}", folder.display());
    let temporary = folder == temporary_folder();
    if !folder.exists() {
        fs::create_dir_all(folder).with_context(failed)?;
        if temporary {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).with_context(failed)?;
        }
    }
    // Anybody may have made a folder of that name in /tmp.
    let found = fs::symlink_metadata(folder).with_context(failed)?;
    if temporary && (found.uid() != own_uid() || !found.is_dir()) {
        bail!("{} belongs to somebody else: give a path with --socket", folder.display());
    }
    Ok(())
}

fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    // An earlier process of our number may have died in between.
    let _ = fs::remove_dir_all(folder);
    fs::DirBuilder::new().mode(0o700).create(folder)
}

fn make_way(path: &Path) -> anyhow::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let shown = path.display();
    if !found.file_type().is_socket() {
        bail!("{shown} is there and is no socket: give another path with --socket");
    }
    match UnixStream::connect(path) {
        Ok(_) => {
            bail!("another gateway answers at {shown}: give this one its own path with --socket")
        }
        // Nobody answers: the socket of a gateway that was killed.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error).with_context(|| format!("failed to look at the socket {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_for_owner_and_group_and_goes_with_its_gateway() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/api.sock");
        let (bound, _listener) = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        assert!(UnixStream::connect(&path).is_ok(), "it answers under its name");
        drop(bound);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_a_living_one_and_a_file_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.sock");
        let (first, listener) = bind(&path).unwrap();
        assert!(bind(&path).unwrap_err().to_string().contains("another gateway answers"));
        drop(listener);
        let (second, _listener) = bind(&path).unwrap();
        drop(first);
        assert!(path.exists(), "the first does not take the second's socket with it");
        drop(second);
        fs::write(&path, "precious").unwrap();
        assert!(bind(&path).unwrap_err().to_string().contains("is no socket"));
    }
}
