//! What holds for every command.

use std::process::Command;

use crate::support::COLDWATCH;

#[test]
fn help_shows_an_example_and_what_it_is_not() {
    let out = Command::new(COLDWATCH).arg("--help").output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success());
    assert!(text.contains("coldwatch demo"));
    assert!(text.contains("not a safety system"));
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    let out = Command::new(COLDWATCH).arg("frobnicate").output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(out.stdout.is_empty(), "talk goes to stderr");
}

#[test]
fn completions_and_the_manual_page_are_printed() {
    for arguments in [["completions", "bash"].as_slice(), &["man"]] {
        let out = Command::new(COLDWATCH).args(arguments).output().unwrap();
        assert!(out.status.success());
        assert!(String::from_utf8(out.stdout).unwrap().contains("coldwatch"));
    }
}
