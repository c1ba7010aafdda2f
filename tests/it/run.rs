//! `coldwatch run` where there is nothing to watch, or nobody to read.

use std::{
    fmt::Write,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::support::{COLDWATCH, Program, coldwatch_in};

const PATIENCE: Duration = Duration::from_secs(15);
const SITE: &str = r#"
[site]
id = "hall"
name = "Hall"
time_zone = "UTC"
gateway = "gw"

[[room]]
id = "room"
area = "240 m2"
"#;
fn write_site(folder: &tempfile::TempDir, more: &str) -> PathBuf {
    let path = folder.path().join("site.toml");
    fs::write(&path, format!("{SITE}{more}")).unwrap();
    path
}

fn coldwatch(command: &str, site: &Path) -> Command {
    let mut program = coldwatch_in(site.parent().unwrap());
    program.arg(command).arg("--site").arg(site);
    program
}

#[test]
fn a_site_without_devices_is_watched_until_it_is_told_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let site = write_site(&folder, "");
    let program = Program::start(coldwatch("run", &site).args(["--stream", "--no-listen"]));
    let (document, _) = program.until(PATIENCE, "a picture", |document| document["at"].is_string());
    let (later, _) = program.until(PATIENCE, "another", |later| later["at"] != document["at"]);
    assert_eq!(later["worst"], 0);
    assert!(program.terminate(), "it ends well");
}

#[test]
fn a_reader_that_takes_nothing_does_not_keep_it_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let mut racks = String::new();
    for number in 1..=1000 {
        let position =
            format!("row = \"R1\"\nposition = {number}\ndesign_power = \"132 kW\"\nfeeds = 2");
        write!(racks, "[[rack]]\nid = \"rack-{number}\"\nroom = \"room\"\n{position}\n").unwrap();
    }
    let site = write_site(&folder, &racks);
    let mut command = coldwatch("run", &site);
    let mut child =
        command.args(["--stream", "--no-listen"]).stdout(Stdio::piped()).spawn().unwrap();
    // The document has begun, and it is larger than a pipe: its writer waits for the rest to be taken.
    let mut first = [0];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    let pid = child.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(child.wait().unwrap().success());
    let mut rest = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
    assert!(!rest.ends_with(b"\n"), "the test is none when the document fits the pipe");
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_without_complaint() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = coldwatch("run", &write_site(&folder, ""));
    let mut child = command
        .args(["--stream", "--no-listen"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    assert!(!String::from_utf8_lossy(&out.stderr).contains("coldwatch: "));
}

#[test]
fn no_patience_is_too_long_to_be_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let site = write_site(&folder, "");
    let forever = u64::MAX.to_string();
    for command in [
        coldwatch("status", &site).args(["--wait", &forever]),
        Command::new(COLDWATCH).args(["demo", "--headless", "--seconds", &forever]),
    ] {
        let out = command.output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{}", String::from_utf8_lossy(&out.stderr));
    }
}
