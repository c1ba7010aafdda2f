//! `coldwatch status`: one look, and the exit code that a monitoring system reads.

use std::{fs, net::TcpListener, process::Command};

use serde_json::Value;

use crate::support::{COLDWATCH, repository};

#[test]
fn without_an_alarm_a_device_that_does_not_answer_is_unknown_and_not_ok() {
    let vacant = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = vacant.local_addr().unwrap();
    drop(vacant);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    let site = fs::read_to_string(repository("configs/sites/orv3-rpu.toml")).unwrap();
    fs::write(&file, site.replace("10.30.0.12:502", &address.to_string())).unwrap();

    let status = Command::new(COLDWATCH).args(["status", "--json", "--site"]).arg(&file).output();
    let status = status.unwrap();
    let document: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(document["devices"][0]["up"], false);
    assert_eq!(document["worst"], 3);
    assert_eq!(status.status.code(), Some(3));
}

#[test]
fn a_site_that_cannot_be_used_is_unknown() {
    let status = Command::new(COLDWATCH).args(["status", "--site", "nowhere.toml"]).output();
    let status = status.unwrap();
    assert_eq!(status.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&status.stderr).contains("nowhere.toml"));
}

#[test]
fn without_a_gateway_the_commands_that_ask_one_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("api.sock");
    // As a killed gateway leaves it.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    for (command, code) in [("status", 3), ("reload", 1)] {
        for (variable, url) in [
            (socket.display().to_string(), None),
            (String::new(), Some(format!("unix:{}", folder.path().join("nothing").display()))),
        ] {
            let mut program = Command::new(COLDWATCH);
            program.arg(command).env("COLDWATCH_SOCKET", variable);
            program.args(url.map(|url| ["--connect".to_owned(), url]).into_iter().flatten());
            let out = program.output().unwrap();
            let talk = String::from_utf8_lossy(&out.stderr);
            assert_eq!(out.status.code(), Some(code), "{talk}");
            assert!(talk.contains("no gateway at unix:") && talk.contains("--connect"), "{talk}");
            assert!(out.stdout.is_empty());
        }
    }
}

#[test]
fn an_address_that_would_give_a_token_away_is_a_usage_error() {
    let out = Command::new(COLDWATCH)
        .args(["status", "--connect", "http://10.0.0.5:7420"])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("https://"));
}
