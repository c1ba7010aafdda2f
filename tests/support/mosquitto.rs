//! The broker of the field, started for one test. Tests that use it are ignored unless asked for.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A mosquitto with its own folder and port. Dropping it kills it.
pub(crate) struct Mosquitto {
    child: Child,
    folder: PathBuf,
    pub(crate) port: u16,
}

impl Mosquitto {
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = std::env::temp_dir().join(format!("coldwatch-mosquitto-{port}"));
        std::fs::create_dir_all(&folder).unwrap();
        // It gives up root by itself, and its user must be able to write here.
        let settings = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n\
             persistence_location {}/\nmax_queued_messages 0\n",
            folder.display()
        );
        std::fs::write(folder.join("mosquitto.conf"), settings).unwrap();
        Self { child: spawn(&folder), folder, port }
    }

    /// Ends it as a service manager does, so that it saves its sessions, and starts it again.
    pub(crate) fn restart(&mut self) {
        let ended = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(ended.success());
        self.child.wait().unwrap();
        self.child = spawn(&self.folder);
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // Already gone is just as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn spawn(folder: &Path) -> Child {
    Command::new("mosquitto")
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto is installed")
}
