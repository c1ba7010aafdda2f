//! A gateway whose disk is full.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use store::{Reader, journal::JournalQuery};

use crate::{
    http,
    support::{COLDWATCH, Program, coldwatch_in},
};

const PATIENCE: Duration = Duration::from_mins(1);

/// The demo hall on ports of its own, and a site file that keeps little.
fn hall(folder: &Path) -> (Program, PathBuf) {
    let site = folder.join("site.toml");
    let hall = Program::start(
        Command::new(COLDWATCH)
            .args(["simulate", "demo", "--port-base", "0", "--write-site"])
            .arg(&site),
    );
    hall.line(PATIENCE);
    let text = fs::read_to_string(&site).unwrap() + "\n[storage]\ncap_gib = 1\nreserve_mib = 1\n";
    fs::write(&site, text).unwrap();
    (hall, site)
}

/// A gateway whose data lies in a file system of 24 MiB, which ends with it.
fn gateway(folder: &Path, site: &Path) -> Program {
    fs::create_dir(folder.join("data")).unwrap();
    let script = "mount -t tmpfs -o size=24m tmpfs \"$COLDWATCH_DATA\" && exec \"$0\" run --stream --trust-clock --site \"$1\"";
    let mut command = coldwatch_in(folder);
    let environment: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script, COLDWATCH]).arg(site).envs(environment);
    Program::start(&mut command)
}

fn letter<'d>(document: &'d Value, alarm: &str) -> Option<&'d str> {
    let alarms = document["alarms"].as_array()?;
    alarms.iter().find(|found| found["name"] == alarm)?["letter"].as_str()
}

fn acknowledge(folder: &Path, key: &str, alarm: &str) -> (u16, Value) {
    let command =
        json!({ "key": key, "action": { "ack": { "alarm": alarm, "occurrence": null } } });
    http::unix(&folder.join("api.sock"), "POST", "/api/v1/commands", Some(&command))
}

/// Takes every byte that is left.
fn fill(path: &Path) {
    let mut filler = File::create(path).unwrap();
    for block in [1 << 16, 1 << 10, 1] {
        loop {
            match filler.write(&vec![1; block]) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
#[ignore = "needs a file system of its own"]
fn a_full_disk_is_an_alarm_and_passes_without_a_restart() {
    const TRIP: &str = "pump_2.trip@cdu-2";
    const FULL: &str = "storage.not_stored@demo";
    let folder = tempfile::tempdir().unwrap();
    let (_hall, site) = hall(folder.path());
    let gateway = gateway(folder.path(), &site);
    let data = PathBuf::from(format!("/proc/{}/root", gateway.pid()))
        .join(folder.path().join("data").strip_prefix("/").unwrap());
    gateway.until(PATIENCE, "the pump trips", |document| letter(document, TRIP) == Some("B"));
    assert_eq!(acknowledge(folder.path(), "k1", TRIP).0, 200);

    fill(&data.join("filler"));
    gateway
        .until(PATIENCE, "the full disk is told", |document| letter(document, FULL) == Some("B"));
    // The reserve keeps the journal going; when that is full too, nothing is done any more.
    let deadline = Instant::now() + PATIENCE;
    let mut fillers = vec![data.join("filler")];
    while acknowledge(folder.path(), &format!("try-{}", fillers.len()), TRIP).0 != 503 {
        assert!(Instant::now() < deadline, "commands are still taken");
        fillers.push(data.join(format!("filler-{}", fillers.len())));
        fill(&fillers[fillers.len() - 1]);
    }
    assert_eq!(acknowledge(folder.path(), "k2", FULL).0, 503);
    assert_eq!(http::unix(&folder.path().join("api.sock"), "GET", "/healthz", None).0, 200);

    for filler in fillers {
        fs::remove_file(filler).unwrap();
    }
    gateway.until(PATIENCE, "it stores again", |document| letter(document, FULL) == Some("D"));
    assert_eq!(acknowledge(folder.path(), "k2", FULL).0, 200);
    let (document, _) =
        gateway.until(PATIENCE, "all is told", |document| letter(document, FULL).is_none());
    assert_eq!(letter(&document, TRIP), Some("C"), "the acknowledgement is still there");

    // SQLite looks for the place itself, which is only there for the gateway.
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for file in ["ledger.db", "ledger.db-wal"] {
        fs::copy(data.join(file), copy.join(file)).unwrap();
    }
    let reader = Reader::open(&copy).unwrap();
    let chains = reader.verify().unwrap();
    assert!(chains.is_intact(), "{chains:?}");
    let journal = reader.journal(&JournalQuery::default()).unwrap();
    let told = serde_json::to_string(&journal).unwrap();
    for what in [TRIP, FULL, "k1", "k2"] {
        assert!(told.contains(what), "{what} in {told}");
    }
    assert!(gateway.terminate());
}
