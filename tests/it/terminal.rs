//! A real terminal, for programs with a screen.

use std::{
    process::{Command, Output},
    thread::sleep,
    time::{Duration, Instant},
};

/// A terminal of its own, which ends with the test.
pub(crate) struct Terminal {
    socket: String,
}

impl Terminal {
    pub(crate) fn start(name: &str, command: &str) -> Self {
        let terminal = Self { socket: format!("coldwatch-test-{name}-{}", std::process::id()) };
        // The shell stays after the program, so that what it leaves on the screen can be read.
        let shell = "env -u NO_COLOR TERM=tmux-256color LC_ALL=C.UTF-8 PS1='shell> ' sh";
        let out = terminal.tmux(&["new-session", "-d", "-x", "120", "-y", "40", shell]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        terminal.keys(&[command, "Enter"]);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        Command::new("tmux")
            .args(["-L", &self.socket])
            .args(arguments)
            .output()
            .expect("tmux is installed")
    }

    pub(crate) fn keys(&self, keys: &[&str]) {
        self.tmux(&[["send-keys"].as_slice(), keys].concat());
    }

    pub(crate) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p"]).stdout).into_owned()
    }

    pub(crate) fn until(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            let screen = self.screen();
            if holds(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "{what}; the screen:\n{screen}");
            sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
