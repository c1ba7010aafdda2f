//! Scenario files: the shipped ones are read, and a wrong one is explained.

use std::fmt::Write as _;

use simulator::scenario::{Event, Scenario};

#[test]
fn every_shipped_scenario_is_read() {
    for name in Scenario::shipped_names() {
        let scenario = Scenario::shipped(name).unwrap();
        assert!(!scenario.title.is_empty());
        assert!(scenario.events.is_sorted_by_key(|event| event.at_s), "{name}");
    }
}

#[test]
fn every_scenario_file_ships() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    let mut on_disk: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let mut shipped: Vec<String> = Scenario::shipped_names().map(str::to_owned).collect();
    on_disk.sort();
    shipped.sort();
    assert_eq!(on_disk, shipped);
}

#[test]
fn the_demo_trips_a_pump_after_twelve_seconds() {
    let demo = Scenario::shipped("demo").unwrap();
    let first = demo.events.first().unwrap();
    assert!((first.at_s - 12.0).abs() < 1e-9);
    assert!(matches!(&first.event, Event::PumpTrip(pump) if pump.cdu == "cdu-2" && pump.pump == 2));
}

#[test]
fn a_wrong_scenario_is_explained() {
    let cases = [
        ("broken syntax", "title = \"x\nseed = 1"),
        ("no seed", "title = \"x\""),
        ("unknown key", "title = \"x\"\nseed = 1\nspeeed = 2"),
        ("wrong type", "title = \"x\"\nseed = \"one\""),
        (
            "unknown event",
            "title = \"x\"\nseed = 1\n[[event]]\nat_s = 1\ndo.pump_trp = { cdu = \"c\", pump = 1 }",
        ),
        (
            "unknown key of an event",
            "title = \"x\"\nseed = 1\n[[event]]\nat_s = 1\ndo.pump_trip = { cdu = \"c\", pmp = 1 }",
        ),
        (
            "two events in one",
            "title = \"x\"\nseed = 1\n[[event]]\nat_s = 1\ndo.leak_fixed = { asset = \"a\" }\ndo.meter_reset = { meter = \"m\" }",
        ),
        ("too fast", "title = \"x\"\nseed = 1\nspeed = 10000"),
        ("not a number", "title = \"x\"\nseed = 1\nload.mean = nan"),
        ("warm facility water", "title = \"x\"\nseed = 1\ncooling.fws_supply_c = 31"),
        (
            "before the start",
            "title = \"x\"\nseed = 1\n[[event]]\nat_s = -1\ndo.leak_fixed = { asset = \"a\" }",
        ),
    ];
    let mut report = String::new();
    for (case, text) in cases {
        let error = Scenario::parse("broken", text).unwrap_err();
        writeln!(report, "## {case}\n{error}\n").unwrap();
    }
    let unknown = Scenario::shipped("nonesuch").unwrap_err();
    writeln!(report, "## unknown name\n{unknown}").unwrap();
    insta::assert_snapshot!(report);
}
