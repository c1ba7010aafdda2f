//! `coldwatch key`: created, exchanged, lost and handed over, beside a gateway and without one.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{COLDWATCH, repository};

/// A data directory with a day in it.
fn recorded() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let out = Command::new(COLDWATCH)
        .args(["simulate", "month", "--into", "data", "--step", "300", "--days", "1", "--site"])
        .arg(repository("tests/data/month/site.toml"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    folder
}

/// Exit code, stdout and stderr of `coldwatch key`.
fn key(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Command::new(COLDWATCH)
        .arg("key")
        .args(arguments)
        .args(["--data", "data"])
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[track_caller]
fn done(folder: &Path, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = key(folder, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
    stdout.trim().to_owned()
}

#[track_caller]
fn refused(folder: &Path, arguments: &[&str], why: &str) {
    let (code, _, stderr) = key(folder, arguments);
    assert!(code == Some(1) && stderr.contains(why), "{arguments:?}: {stderr}");
}

fn shown(folder: &Path) -> Value {
    serde_json::from_str(&done(folder, &["show", "--json"])).unwrap()
}

fn private(folder: &Path) -> PathBuf {
    folder.join("data/key")
}

#[test]
fn a_key_is_created_once_rotated_and_replaced_when_it_is_lost() {
    let folder = recorded();
    let folder = folder.path();
    refused(folder, &["rotate", "--reason", "yearly"], "coldwatch key create");
    let first = done(folder, &["create", "--by", "ada"]);
    assert_eq!(fs::metadata(private(folder)).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(shown(folder)["key"], first);
    refused(folder, &["create"], "coldwatch key rotate");
    let before = fs::read_to_string(private(folder)).unwrap();
    let second = done(folder, &["rotate", "--reason", "yearly", "--by", "ada"]);
    assert_ne!(first, second);
    assert_ne!(fs::read_to_string(private(folder)).unwrap(), before, "the old one is destroyed");
    fs::remove_file(private(folder)).unwrap();
    refused(folder, &["rotate", "--reason", "again"], "coldwatch key lost");
    let third = done(folder, &["lost", "--reason", "disk broken", "--by", "ada"]);
    let shown = shown(folder);
    assert_eq!(shown["key"], third);
    let events: Vec<&str> = shown["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["event"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["created", "rotated", "lost"]);
    let text = done(folder, &["show"]);
    assert!(text.contains("lost") && text.contains("by ada: disk broken"), "{text}");
}

#[test]
fn a_key_that_others_can_read_signs_nothing() {
    let folder = recorded();
    let folder = folder.path();
    done(folder, &["create"]);
    fs::set_permissions(private(folder), fs::Permissions::from_mode(0o644)).unwrap();
    refused(folder, &["rotate", "--reason", "yearly"], "others can read");
}

#[test]
fn a_ledger_goes_on_on_another_gateway() {
    let (old, new) = (recorded(), recorded());
    let (old, new) = (old.path(), new.path());
    done(old, &["create", "--by", "ada"]);
    let next = done(new, &["create", "--by", "ada"]);
    let letter = new.join("letter.json");
    let letter = letter.to_str().unwrap();
    done(old, &["handover", "--to", &next, "--file", letter, "--by", "ada"]);
    refused(old, &["rotate", "--reason", "yearly"], "it goes on on the other gateway");
    assert_eq!(shown(old)["handed_over"], true);
    assert_eq!(done(new, &["accept", letter, "--by", "ada"]), next);
    refused(new, &["accept", letter], "once");
    let shown = shown(new);
    assert_eq!(shown["key"], next);
    assert_eq!(shown["changes"][1]["event"], "taken_over");
    assert!(shown["changes"][1]["continues"]["lines"].as_u64() > Some(90), "{shown:#}");
    // Somebody else's letter is no letter.
    let forged = fs::read_to_string(letter).unwrap().replace("the gateway is replaced", "mine");
    fs::write(letter, forged).unwrap();
    let other = recorded();
    done(other.path(), &["create"]);
    refused(other.path(), &["accept", letter], "this ledger's is");
}
