//! `coldwatch check` on files on the disk.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::support::COLDWATCH;

fn check(arguments: &[&Path]) -> Output {
    Command::new(COLDWATCH).arg("check").args(arguments).output().expect("the program runs")
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).expect("UTF-8")
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn a_sound_site_is_summed_up_in_one_line() {
    let output = check(&[&here("configs/sites/cold-plate-hall.toml")]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains("cold-plate-hall.toml: ok: 20 devices, "), "{text}");
    assert!(text.contains(" rules → "), "{text}");
}

#[test]
fn a_site_with_twelve_mistakes_fails_with_twelve_places() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site.toml");
    fs::copy(here("configs/tests/data/twelve-mistakes.toml"), &site).unwrap();
    fs::create_dir(folder.path().join("profiles")).unwrap();
    let crowded = here("configs/tests/data/crowded.toml");
    fs::copy(crowded, folder.path().join("profiles/crowded.toml")).unwrap();

    let output = check(&[&site]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.ends_with("12 faults in 1 file\n"), "{text}");
    assert_eq!(text.matches("site.toml:").count(), 12, "{text}");
    assert_eq!(text.matches("= help: ").count(), 12, "{text}");
    assert!(!text.contains('\u{1b}'), "colors without a terminal");

    let output = check(&[Path::new("--json"), &site]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let faults = document["files"][0]["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 12);
    assert_eq!((&faults[0]["line"], &faults[0]["column"]), (&5.into(), &11.into()));
    assert!(!stdout(&output).contains("hunter2"));
}

#[test]
fn profiles_and_rule_files_are_recognised_by_their_tables() {
    let output = check(&[&here("configs/profiles/orv3-rpu.toml"), &here("configs/rules/cdu.toml")]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("orv3-rpu.toml: ok: a profile with "), "{text}");
    assert!(text.contains("cdu.toml: ok: ") && text.contains(" rules\n"), "{text}");
}

#[test]
fn a_fault_in_a_rule_beside_the_site_is_found_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site.toml");
    let text = fs::read_to_string(here("configs/sites/cold-plate-hall.toml")).unwrap();
    fs::write(&site, text + "\n[rules]\ninclude = [\"own\"]\n").unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    let rule = "[[rule]]\nid = \"own.flow\"\nfor = \"cdu in cdus\"\nwhen = \"cdu.tcs.flow < 20 K\"\npriority = 2\ntitle = \"Flow\"\naction = \"look\"\n";
    fs::write(folder.path().join("rules/own.toml"), rule).unwrap();

    let output = check(&[&site]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("own.toml:4:"), "{text}");
    assert!(text.ends_with("1 fault in 1 file\n"), "{text}");
}

#[test]
fn a_file_that_is_not_there_is_a_failure_and_no_file_a_usage_error() {
    let output = check(&[Path::new("/no/such/site.toml")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("failed to read /no/such/site.toml"));
    assert_eq!(check(&[]).status.code(), Some(2));
}
