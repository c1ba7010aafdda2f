//! Gateway, dashboard and status as processes of their own, over the API.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread::sleep,
    time::{Duration, Instant},
};

use rules::{
    alarm::Letter,
    messages::{Snapshot, What},
};
use serde_json::Value;
use tempfile::TempDir;
use tui::client::{Address, Client, Token};

use crate::{
    support::{COLDWATCH, Program},
    terminal::Terminal,
};

const PATIENCE: Duration = Duration::from_secs(30);
const TRIP: &str = "pump_2.trip@cdu-2";

/// A pretended hall, and the gateway that watches it.
struct Hall {
    folder: TempDir,
    site: PathBuf,
    _simulator: Option<Program>,
}

impl Hall {
    /// One whose devices are pretended.
    fn simulated(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("simulated.toml");
        let mut command = Command::new(COLDWATCH);
        command
            .arg("simulate")
            .args(arguments)
            .args(["--port-base", "0", "--write-site"])
            .arg(&site);
        let simulator = Program::start(&mut command);
        simulator.line(PATIENCE);
        Self { folder, site, _simulator: Some(simulator) }
    }

    /// One without devices.
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site.toml");
        fs::write(
            &site,
            "[site]\nid = \"hall\"\nname = \"Hall\"\ntime_zone = \"UTC\"\ngateway = \"gw\"\n",
        )
        .unwrap();
        Self { folder, site, _simulator: None }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("api.sock")
    }

    fn url(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// Starts the gateway, and waits until it answers.
    fn watch(&self) -> Program {
        let mut command = Command::new(COLDWATCH);
        command.args(["run", "--trust-clock", "--listen", "127.0.0.1:0", "--site"]).arg(&self.site);
        command.arg("--data").arg(self.folder.path().join("data"));
        let program = Program::start(command.arg("--socket").arg(self.socket()));
        until("the gateway answers", || self.picture().is_some());
        program
    }

    fn ask(&self, command: &str, more: &[&str]) -> Output {
        let mut program = Command::new(COLDWATCH);
        program.arg(command).args(["--connect", &self.url()]).args(more).output().unwrap()
    }

    fn status(&self) -> (Value, Option<i32>) {
        let status = self.ask("status", &["--json"]);
        (serde_json::from_slice(&status.stdout).unwrap_or_default(), status.status.code())
    }

    fn picture(&self) -> Option<Snapshot> {
        let client = Client::new(Address::Unix(self.socket()), Token::None, None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(client.snapshot()).ok()
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        sleep(Duration::from_millis(50));
    }
}

fn talk(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// Every occurrence that was ever announced, and how many announcements there were.
fn announced(picture: &Snapshot) -> (BTreeSet<(String, u32)>, usize) {
    let moved = picture.events.iter().filter_map(|event| match &event.what {
        What::Moved(moved) if moved.annunciate => Some((moved.alarm.to_string(), moved.occurrence)),
        _ => None,
    });
    let all: Vec<_> = moved.collect();
    (all.iter().cloned().collect(), all.len())
}

#[test]
fn the_status_of_a_gateway_is_its_worst_alarm_and_the_document_is_the_same() {
    let hall = Hall::empty();
    let gateway = hall.watch();
    let (document, code) = hall.status();
    assert_eq!((&document["schema"], &document["site"]), (&1.into(), &"hall".into()));
    assert_eq!((code, &document["worst"]), (Some(0), &0.into()));
    let direct =
        Command::new(COLDWATCH).args(["status", "--json", "--site"]).arg(&hall.site).output();
    let direct: Value = serde_json::from_slice(&direct.unwrap().stdout).unwrap();
    let members = |document: &Value| {
        let members = document.as_object().unwrap().keys().cloned();
        let points = document["points"].as_object().unwrap().keys().cloned();
        (members.collect::<Vec<_>>(), points.collect::<Vec<_>>())
    };
    assert_eq!(members(&document).0, members(&direct).0);
    let text = hall.ask("status", &["--once", "--width", "100", "--height", "20"]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("coldwatch Hall"));
    assert!(gateway.terminate());
    let (_, code) = hall.status();
    assert_eq!(code, Some(3), "nobody answers");
}

#[test]
fn a_reload_takes_new_rules_and_refuses_faulty_ones() {
    let hall = Hall::simulated(&["normal_day"]);
    let rules = hall.folder.path().join("rules");
    fs::create_dir(&rules).unwrap();
    let _gateway = hall.watch();
    until("all is well", || hall.status().1 == Some(0));
    for (priority, code) in [(3, 1), (2, 2)] {
        fs::write(rules.join("house.toml"), rule(&format!("priority = {priority}"))).unwrap();
        let reload = hall.ask("reload", &[]);
        assert_eq!(reload.status.code(), Some(0), "{}", talk(&reload));
        until("the new rule raises its alarm", || hall.status().1 == Some(code));
    }
    fs::write(rules.join("house.toml"), rule("priority = 9")).unwrap();
    let reload = hall.ask("reload", &[]);
    assert_eq!(reload.status.code(), Some(1));
    assert!(talk(&reload).contains("house.toml:9"), "with the place: {}", talk(&reload));
    assert_eq!(hall.status().1, Some(2), "what was in force stays");
}

fn rule(priority: &str) -> String {
    format!(
        "[[rule]]\nid = \"house.warm\"\nfor = \"cdu in cdus\"\n\
         when = \"cdu.tcs.supply_temperature > 1 °C\"\ndeadband = \"0.1 K\"\non_delay = \"0 s\"\n\
         off_delay = \"0 s\"\n\n{priority}\ntitle = \"Warm\"\nconsequence = \"none\"\n\
         action = \"none\"\nsource = \"a test\"\n"
    )
}

#[test]
#[ignore = "needs tmux"]
fn an_acknowledgement_outlives_the_gateway_and_the_dashboard_comes_back_by_itself() {
    let hall = Hall::simulated(&["demo"]);
    let gateway = hall.watch();
    let terminal = Terminal::start("tui", &format!("{COLDWATCH} tui --connect {}", hall.url()));
    terminal.until("attached", |screen| screen.contains("POWER RATIO"));
    terminal.keys(&["5"]);
    terminal.until("the pump trips", |screen| screen.contains("Pump 2 tripped"));
    terminal.keys(&["/"]);
    terminal.keys(&["-l", "tripped"]);
    terminal.keys(&["Enter"]);
    terminal.until("the list is filtered", |screen| screen.contains("[ALARMS 1"));
    terminal.keys(&["j"]);
    terminal.until("it is selected", |screen| screen.contains(">*[2] B"));
    terminal.keys(&["a"]);
    terminal.until("the outcome is shown", |screen| screen.contains("acknowledged Pump 2 tripped"));
    terminal.until("it is acknowledged", |screen| screen.contains("B -> C"));
    let before = hall.picture().unwrap();

    gateway.kill();
    let lost = terminal.until("the loss is said", |screen| screen.contains("no connection"));
    assert!(lost.contains("NO UPDATES SINCE") || lost.contains("LOST"), "since when:\n{lost}");
    assert!(lost.contains("Pump 2 tripped"), "the old picture stays:\n{lost}");

    let gateway = hall.watch();
    let back = terminal.until("it is back by itself", |screen| {
        screen.contains("the gateway was restarted") && !screen.contains("no connection")
    });
    assert!(
        back.contains("[5 Alarms]") && back.contains("[ALARMS 1"),
        "screen and filter:\n{back}"
    );
    let line = back.lines().find(|line| line.contains("Pump 2 tripped")).unwrap();
    assert!(line.contains("> ") && line.contains("[2] C"), "selected and acknowledged:\n{line}");

    let after = hall.picture().unwrap();
    assert_ne!(before.boot, after.boot);
    let (announced_before, _) = announced(&before);
    let (occurrences, announcements) = announced(&after);
    assert!(announced_before.contains(&(TRIP.to_owned(), 1)));
    assert_eq!(occurrences.len(), announcements, "no occurrence is announced twice");
    assert!(announced_before.is_subset(&occurrences), "what was announced is remembered");
    let trip = |picture: &Snapshot| {
        picture.alarms.iter().find(|alarm| &*alarm.name == TRIP).cloned().unwrap()
    };
    let (was, is) = (trip(&before), trip(&after));
    assert_eq!((is.letter, is.occurrence), (Letter::C, was.occurrence));
    assert!(is.acknowledged_by.is_some());
    assert_eq!(is.acknowledged_by, was.acknowledged_by);

    terminal.keys(&["q"]);
    terminal.until("the shell is back", |screen| screen.contains("shell>"));
    assert!(gateway.terminate(), "quitting the dashboard left the gateway alone");
}

#[test]
#[ignore = "needs tmux"]
fn a_dashboard_that_finds_no_gateway_leaves_the_terminal_as_it_was() {
    let hall = Hall::empty();
    let command = format!("{COLDWATCH} tui --connect {}; echo ended with $?", hall.url());
    let terminal = Terminal::start("nobody", &command);
    let left = terminal.until("it ends", |screen| screen.contains("ended with 1"));
    assert!(left.contains("no gateway at") && left.contains("coldwatch run"), "{left}");
    assert!(!Path::new(&hall.socket()).exists());
}
