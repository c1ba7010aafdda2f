//! Programs under test, and waiting for what they do.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

pub(crate) const COLDWATCH: &str = env!("CARGO_BIN_EXE_coldwatch");

/// A file of this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// `coldwatch` with its data and its way in inside a folder of the test's own.
pub(crate) fn coldwatch_in(folder: &Path) -> Command {
    let mut command = Command::new(COLDWATCH);
    command
        .env("COLDWATCH_DATA", folder.join("data"))
        .env("COLDWATCH_SOCKET", folder.join("api.sock"))
        .env("COLDWATCH_LISTEN", "127.0.0.1:0");
    command
}

/// A process that does not outlive the test.
pub(crate) struct Ends(pub(crate) Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that ends with the test.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    /// Starts it with its stdout read line by line.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        Self { child, lines: read_lines(stdout) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of stdout.
    pub(crate) fn line(&self, patience: Duration) -> String {
        self.lines.recv_timeout(patience).expect("a line of output in time")
    }

    /// Reads JSON lines until one satisfies; gives that one, and how many were read.
    pub(crate) fn until(
        &self,
        patience: Duration,
        what: &str,
        mut holds: impl FnMut(&Value) -> bool,
    ) -> (Value, u32) {
        let deadline = Instant::now() + patience;
        let (mut read, mut last) = (0, Value::Null);
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    read += 1;
                    last = serde_json::from_str(&line).expect("a JSON document a line");
                    if holds(&last) {
                        return (last, read);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{what}: not within {patience:?}; last:\n{last:#}")
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{what}: the program ended; last:\n{last:#}")
                }
            }
        }
    }

    /// Asks it to end as a service manager does, and says whether it ended well.
    pub(crate) fn terminate(mut self) -> bool {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        self.child.wait().expect("it ends").success()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
