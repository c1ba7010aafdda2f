//! The demo as a new user meets it: without a screen, and in a real terminal.

use std::process::Command;

use serde_json::Value;

use crate::{support::COLDWATCH, terminal::Terminal};

#[test]
fn a_headless_demo_shows_a_live_hall_and_the_tripped_pump() {
    let out =
        Command::new(COLDWATCH).args(["demo", "--headless", "--seconds", "17"]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let summary: Value = serde_json::from_slice(&out.stdout).unwrap();
    let up = summary["all_devices_up_after_s"].as_f64().expect("every device answers");
    assert!(up < 3.0, "a live hall within 3 s, not {up}");
    let end = &summary["end"];
    let figure =
        |point: &str| end["points"][point]["value"].as_f64().unwrap_or_else(|| panic!("{point}"));
    // The scenario trips pump 2 of CDU 2 after 12 s.
    let raised: Vec<&str> =
        summary["raised"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(raised.contains(&"pump_2.trip@cdu-2"), "{raised:?}");
    assert!((1.0..1.3).contains(&figure("demo.power_ratio")));
    assert!(figure("demo.rack_power_mean") > 40.0, "density");
    assert!((0.8..1.0).contains(&figure("demo.heat_capture")));
    assert_eq!(end["simulated"], true);
    assert!(!end.to_string().contains("PUE"), "nothing is called so without category and period");
}

#[test]
#[ignore = "needs tmux"]
fn an_operator_sees_the_trip_acknowledges_it_and_leaves() {
    let terminal = Terminal::start("demo", &format!("{COLDWATCH} demo --operator li.wei"));
    let overview = terminal.until("the hall is live", |screen| {
        screen.contains("SIMULATED")
            && screen.contains("POWER RATIO")
            && screen.contains("devices 169/169 up")
    });
    assert!(
        overview.contains("cdu-4") && overview.contains("kW/m2"),
        "loops and density:\n{overview}"
    );

    for (key, what) in [("2", "[2 Loops]"), ("3", "[3 Racks]"), ("5", "[5 Alarms]")] {
        terminal.keys(&[key]);
        terminal.until(what, |screen| screen.contains(what));
    }
    terminal.until("the pump trips", |screen| {
        screen.contains("Pump 2 tripped") && screen.contains(" B ")
    });
    // Only that alarm is left in the list, and so under the cursor.
    terminal.keys(&["/"]);
    terminal.keys(&["-l", "tripped"]);
    terminal.keys(&["Enter"]);
    terminal.until("the list is filtered", |screen| screen.contains("[ALARMS 1"));
    terminal.keys(&["j"]);
    terminal.until("it is selected", |screen| screen.contains(">*[2] B"));
    terminal.keys(&["a"]);
    let acked = terminal.until("it is acknowledged", |screen| screen.contains("B -> C"));
    assert!(acked.contains("li.wei"), "by name:\n{acked}");

    terminal.keys(&["?"]);
    terminal.until("help is there", |screen| screen.contains("What do you want to do?"));
    terminal.keys(&["Escape"]);
    terminal.until("help is gone", |screen| !screen.contains("What do you want to do?"));
    terminal.keys(&["q"]);
    let left = terminal.until("the shell is back", |screen| {
        !screen.contains("coldwatch Demo") && screen.contains("shell>")
    });
    assert!(!left.contains("panicked"), "{left}");
}

#[test]
#[ignore = "needs tmux"]
fn a_demo_with_a_time_limit_ends_by_itself_and_gives_the_terminal_back() {
    let command = format!("{COLDWATCH} demo --seconds 3; echo ended with $?");
    let terminal = Terminal::start("limit", &command);
    terminal.until("the hall is live", |screen| screen.contains("SIMULATED"));
    let left = terminal.until("it ends", |screen| screen.contains("ended with 0"));
    assert!(!left.contains("panicked") && !left.contains("SIMULATED"), "{left}");
}
