//! What people know of a meter: exchanged, corrected, imported, and what reports make of it.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use store::Reader;
use tempfile::TempDir;

use crate::support::{COLDWATCH, repository};

const METER: &str = "row-1-a";

/// A data directory with two days in it.
fn recorded() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let out = Command::new(COLDWATCH)
        .args(["simulate", "month", "--into", "data", "--step", "60", "--days", "2"])
        .args(["--start", "2026-10-10", "--site"])
        .arg(repository("tests/data/month/site.toml"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(COLDWATCH).args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[track_caller]
fn done(folder: &Path, command: &str, more: &[&str]) -> String {
    let mut arguments: Vec<&str> = command.split(' ').collect();
    arguments.extend(["--data", "data"]);
    arguments.extend(more);
    let (code, stdout, stderr) = run(folder, &arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
    stdout
}

#[track_caller]
fn refused(folder: &Path, command: &str, why: &str) {
    let mut arguments: Vec<&str> = command.split(' ').collect();
    arguments.extend(["--data", "data", "--reason", "test"]);
    let (code, _, stderr) = run(folder, &arguments);
    assert!(code == Some(1) && stderr.contains(why), "{arguments:?}: {stderr}");
}

fn reported(folder: &Path, first: &str, last: &str) -> Value {
    done(folder, &format!("report --from {first} --to {last} --format json --out reports"), &[]);
    let path = folder.join(format!("reports/month-hall-{first}-to-{last}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn kwh(report: &Value) -> f64 {
    let meters = report["meters"].as_array().unwrap();
    let meter = meters.iter().find(|meter| meter["name"] == METER).unwrap();
    meter["amount"].as_f64().unwrap()
}

/// What the register showed at a full quarter-hour of 10 October, and what the quarter-hour after it had.
fn at(folder: &Path, utc: &str) -> (f64, f64) {
    let start = format!("2026-10-10T{utc}:00Z").parse().unwrap();
    let rows = Reader::open(&folder.join("data")).unwrap();
    let rows = rows.ledger(start, start + rules::ledger::INTERVAL).unwrap();
    let row = rows.iter().find(|row| &*row.meter == METER).unwrap();
    (row.first.unwrap().value, row.amount.unwrap())
}

#[test]
fn an_exchange_counts_what_both_registers_did() {
    let folder = recorded();
    let folder = folder.path();
    done(folder, "key create", &["--by", "ada"]);
    let before = reported(folder, "2026-10-10", "2026-10-11");
    let ((start, recorded), (end, _)) = (at(folder, "10:00"), at(folder, "10:15"));
    // The old one did 7.5 kWh more from the full quarter-hour on, the new one 2.25 up to the next. Berlin is at UTC+2.
    let (old, new) = ((start + 7.5).to_string(), (end - 2.25).to_string());
    let swap =
        format!("meter swap {METER} --at 2026-10-10T12:07 --old-reading {old} --new-reading {new}");
    let dry = done(folder, &swap, &["--reason", "display broken", "--dry-run"]);
    assert!(dry.contains("nothing was entered") && dry.contains("-> 9.750"), "{dry}");
    assert_eq!(reported(folder, "2026-10-10", "2026-10-11")["corrections"], before["corrections"]);
    done(folder, &swap, &["--reason", "display broken", "--by", "ada"]);
    let after = reported(folder, "2026-10-10", "2026-10-11");
    let expected = kwh(&before) - recorded + 9.75;
    assert!((kwh(&after) - expected).abs() < 1e-5, "{} for {expected}", kwh(&after));
    let correction = &after["corrections"][0];
    assert_eq!(correction["cause"], "swap");
    assert_eq!(correction["reason"], "display broken");
    assert_eq!((&correction["by"], &correction["signed"]), (&"ada".into(), &true.into()));
    assert_eq!(correction["from"], "2026-10-10T10:00:00Z");
    assert!((correction["before"].as_f64().unwrap() - recorded).abs() < 1e-6);
    // What could not have flowed is refused, and so is a register that went backwards.
    let swap = |old: f64, new: f64| {
        format!("meter swap {METER} --at 2026-10-10T12:07 --old-reading {old} --new-reading {new}")
    };
    refused(folder, &swap(start + 5000.0, end - 1.0), "more than the meter can have counted");
    refused(folder, &swap(start - 1.0, end - 1.0), "which is less");
    refused(folder, &swap(start + 1.0, end + 100.0), "the new register went from");
    refused(
        folder,
        "meter swap row-9 --at 2026-10-10T12:07 --old-reading 1 --new-reading 1",
        "no meter \"row-9\"",
    );
    refused(
        folder,
        &format!("meter swap {METER} --at 2026-10-30T12:07 --old-reading 1 --new-reading 1"),
        "no whole quarter-hour of the meter after",
    );
}

#[test]
fn an_amount_is_corrected_withdrawn_and_corrected_again() {
    let folder = recorded();
    let folder = folder.path();
    let before = reported(folder, "2026-10-10", "2026-10-11");
    let correct = |more: &[&str]| {
        let command =
            format!("meter correct {METER} --from 2026-10-10T12:00 --to 2026-10-10T13:00");
        done(folder, &command, more)
    };
    correct(&["--withdraw", "--reason", "wrong phase"]);
    let withdrawn = reported(folder, "2026-10-10", "2026-10-11");
    assert_eq!(withdrawn["corrections"][0]["after"], Value::Null);
    correct(&["--amount", "48", "--reason", "read by hand"]);
    let after = reported(folder, "2026-10-10", "2026-10-11");
    assert_eq!(after["corrections"].as_array().unwrap().len(), 2);
    let recorded = withdrawn["corrections"][0]["before"].as_f64().unwrap();
    let expected = kwh(&before) - recorded + 48.0;
    assert!((kwh(&after) - expected).abs() < 1e-5, "{} for {expected}", kwh(&after));
    let crooked =
        format!("meter correct {METER} --from 2026-10-10T12:03 --to 2026-10-10T13:00 --amount 1");
    refused(folder, &crooked, "full quarter-hours");
    let future =
        format!("meter correct {METER} --from 2098-10-10T12:00 --to 2098-10-10T13:00 --amount 1");
    refused(folder, &future, "a time that is not over");
}

#[test]
fn readings_from_before_the_gateway_are_imported_with_the_same_checks() {
    let folder = recorded();
    let folder = folder.path();
    let import = |lines: &str| {
        fs::write(folder.join("readings.csv"), format!("meter,time,register\n{lines}")).unwrap();
        run(folder, &["import", "readings.csv", "--data", "data", "--reason", "before the gateway"])
    };
    // A meter of ours goes up to a million: it turns over on the way.
    let good = format!(
        "{METER},2026-10-08T00:00,999000\n{METER},2026-10-08T12:00,999900\n{METER},2026-10-09T00:00,800\n"
    );
    let (code, stdout, stderr) = import(&good);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("-> 1800.000") && stdout.contains("entered"), "{stdout}");
    let report = reported(folder, "2026-10-08", "2026-10-09");
    assert!((kwh(&report) - 1800.0).abs() < 1e-6, "{}", kwh(&report));
    assert_eq!(report["corrections"][0]["cause"], "import");
    for (lines, why) in [
        ("row-9,2026-10-01T00:00,1\n", "line 2: there is no meter \"row-9\""),
        ("row-1-a,yesterday,1\n", "\"yesterday\" is no time"),
        ("row-1-a,2026-10-01T00:00,-1\n", "is no reading"),
        ("row-1-a,2026-10-01T00:00,many\n", "readings.csv, line 2"),
        (
            "row-1-a,2026-10-01T00:00,5000\nrow-1-a,2026-10-02T00:00,4000\n",
            "was the meter exchanged?",
        ),
        (
            "row-1-a,2026-10-01T00:00,5\nrow-1-a,2026-10-01T01:00,90000\n",
            "more than the meter can have counted",
        ),
        ("row-1-a,2026-10-01T00:00,5\nrow-1-a,2026-10-01T00:00,6\n", "two readings of"),
        ("row-1-a,2026-10-01T00:00,5\n", "no whole quarter-hour"),
        ("row-1-a,2026-10-10T02:00,5\nrow-1-a,2026-10-10T04:00,15\n", "use --replace"),
        ("", "there is no reading"),
    ] {
        let (code, _, stderr) = import(lines);
        assert!(code == Some(1) && stderr.contains(why), "{lines}: {stderr}");
    }
}
