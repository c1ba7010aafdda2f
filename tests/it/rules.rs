//! `coldwatch rules`: tests and replays of rule files.

use std::{fs, io, path::Path, process::Command};

use crate::support::COLDWATCH;

fn semantics(file: &str) -> String {
    format!("{}/configs/tests/data/semantics/{file}", env!("CARGO_MANIFEST_DIR"))
}

fn write(folder: &Path, name: &str, text: &str) -> io::Result<String> {
    let path = folder.join(name);
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}

#[test]
fn rule_tests_pass_or_say_what_differs() {
    let out = Command::new(COLDWATCH)
        .args(["rules", "test", &semantics("delays.test.toml"), &semantics("unknown.test.toml")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(out.stdout).unwrap(), "13 passed, 0 failed\n");
    assert!(out.status.success());

    let hall = format!("{}/configs/tests/data/hall.test.toml", env!("CARGO_MANIFEST_DIR"));
    let out = Command::new(COLDWATCH).args(["rules", "test", &hall]).output().unwrap();
    assert_eq!(String::from_utf8(out.stdout).unwrap(), "6 passed, 0 failed\n", "on a site");

    let folder = tempfile::tempdir().unwrap();
    fs::copy(semantics("delays.toml"), folder.path().join("delays.toml")).unwrap();
    let wrong = "rules = [\"delays.toml\"]\n[[test]]\nname = \"too early\"\nseries = { ts = \"46x4\" }\n\
                 expect = [{ t = 2, alarm = \"HI\", from = \"A\", to = \"B\" }]\n";
    let path = write(folder.path(), "wrong.test.toml", wrong).unwrap();
    let out = Command::new(COLDWATCH).args(["rules", "test", &path]).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(text.contains("too early"), "{text}");
    assert!(text.contains("did not happen: t = 2: HI A → B"), "{text}");
    assert!(text.contains("happened: t = 3: HI A → B"), "{text}");
}

#[test]
fn a_trace_is_replayed_as_json_lines() {
    let folder = tempfile::tempdir().unwrap();
    let trace = write(
        folder.path(),
        "t.jsonl",
        "{\"t\":0,\"point\":\"ts\",\"v\":46}\n{\"t\":1,\"op\":\"ack\",\"alarm\":\"HI\",\"occ\":1,\"by\":\"li\"}\n\
         {\"t\":1,\"op\":\"ack\",\"alarm\":\"HI\",\"by\":\"li\"}\n{\"t\":2,\"point\":\"ts\",\"v\":42}\n",
    )
    .unwrap();
    let rules = semantics("acknowledge.toml");
    let arguments = ["rules", "replay", "--rules", &rules, "--trace", &trace, "--json"];
    let out = Command::new(COLDWATCH).args(arguments).output().unwrap();
    assert!(out.status.success());
    let lines: Vec<serde_json::Value> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected = serde_json::json!([
        {"t": 0.0, "alarm": "HI", "from": "A", "to": "B", "cause": "condition", "occ": 1, "annunciate": true},
        {"t": 1.0, "alarm": "HI", "from": "B", "to": "C", "cause": "ack", "occ": 1, "annunciate": false},
        {"t": 1.0, "alarm": "HI", "reject": "ack", "why": "there is nothing to acknowledge in state C"},
        {"t": 2.0, "alarm": "HI", "from": "C", "to": "A", "cause": "cleared", "occ": 1, "annunciate": false},
    ]);
    assert_eq!(serde_json::Value::from(lines), expected);
}

#[test]
fn a_trace_that_cannot_be_played_is_told_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "{\"t\":0,\"point\":\"tz\",\"v\":46}\n{\"t\":1,\"op\":\"shelve\",\"alarm\":\"HI\",\"by\":\"li\"}\n";
    let trace = write(folder.path(), "t.jsonl", lines).unwrap();
    let rules = semantics("acknowledge.toml");
    let arguments = ["rules", "replay", "--rules", &rules, "--trace", &trace];
    let out = Command::new(COLDWATCH).args(arguments).output().unwrap();
    let told = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(told.contains("t.jsonl:1: no point is called \"tz\""), "{told}");
    assert!(told.contains("t.jsonl:2: the operation \"shelve\" cannot be replayed"), "{told}");
}
