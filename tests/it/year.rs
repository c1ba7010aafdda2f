//! A recorded year, computed again by a program that we did not write.

#[expect(dead_code, reason = "the tests of the reports ask what the meters counted")]
#[path = "../support/year.rs"]
mod plant;
#[path = "../support/recorded_year.rs"]
mod recorded_year;

use std::{fs, process::Command};

use serde_json::Value;

use self::plant::Year;
use crate::support::{COLDWATCH, repository};

/// Energy, estimates and ratio from nothing but the exported registers and what the meters are.
#[test]
#[ignore = "needs pandas"]
fn a_year_is_the_same_when_pandas_computes_it_from_the_registers() {
    let folder = tempfile::tempdir().unwrap();
    recorded_year::record(&mut Year::new(7, (36, 6)), &folder.path().join("data"));
    let run = |program: &str, arguments: &[&str]| {
        let out =
            Command::new(program).args(arguments).current_dir(folder.path()).output().unwrap();
        let talk = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{arguments:?}\n{talk}");
        String::from_utf8(out.stdout).unwrap()
    };
    run(COLDWATCH, &["report", "--data", "data", "--year", "2024", "--format", "json,registers"]);
    let python = std::env::var("COLDWATCH_PEER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = repository("tests/peers/recount.py");
    let script = script.to_str().unwrap();
    let found = run(&python, &[script, "large-2024.registers.csv", "large-2024.json"]);
    let found: Value = serde_json::from_str(&found).unwrap();
    let report = fs::read(folder.path().join("large-2024.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    for (pointer, member) in
        [("/figures/0/value", "ratio"), ("/facility/kwh", "facility_kwh"), ("/it/kwh", "it_kwh")]
    {
        let ours = report.pointer(pointer).and_then(Value::as_f64).unwrap();
        let theirs = found[member].as_f64().unwrap();
        assert!((ours / theirs - 1.0).abs() < 1e-9, "{member}: {ours}, and pandas has {theirs}");
    }
    // It went by the registers, not by the amounts beside them.
    assert!(found["from_registers"].as_f64() > Some(0.99), "{found:#}");
    assert_eq!(found["estimated_quarters"], 12.0 * 96.0, "{found:#}");
}
