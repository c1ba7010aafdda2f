//! Rule files: what they become, what is said about the wrong ones, and that those that ship fit a plant.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;

use configs::{
    fault::{Fault, Source},
    library::Library,
    rule_file, rule_test, secret,
    site_file::read_site,
};
use rules::{
    alarm_set::AlarmSet,
    replay::{Bench, BenchPoint},
    rule::RuleSpec,
};

fn source(text: &str) -> Source {
    Source { name: "x.toml".into(), text: text.into() }
}

/// Faults as an operator reads them: place, what the place holds, message, remedy.
fn told(faults: &[Fault]) -> String {
    let line = |fault: &Fault| {
        let (line, column) = fault.line_and_column();
        let place = fault.source.text.get(fault.span.clone()).unwrap_or("?");
        format!("{line}:{column} `{place}`\n  {}\n  {}\n", fault.message, fault.remedy)
    };
    faults.iter().map(line).collect()
}

/// Rules that only the points of some other profile can feed.
const NEED_OTHER_PROFILES: [&str; 6] =
    ["cdu.dp_lo", "brk.load", "brk.load_hihi", "leak.tray", "leak.sensor", "leak.sensor_fault"];

#[test]
fn every_shipped_rule_watches_something_in_a_small_hall() {
    let library = Library::shipped();
    let text = include_str!("data/hall.toml");
    let site = read_site(&source(text), &library, &secret::unresolved)
        .unwrap_or_else(|faults| panic!("{}", told(&faults)));
    let plant = rules::metrics::plan(site.plant).unwrap().plant;
    let compiled =
        AlarmSet::compile(&site.rules, &plant).unwrap_or_else(|faults| panic!("{faults:?}"));
    let values = vec![Err(rules::value::NoData::NeverSeen); plant.points().len()];
    for rule in &site.rules {
        let watches = plant
            .assets()
            .iter()
            .map(|asset| format!("{}@{}", rule.id, asset.name))
            .chain([rule.id.to_string()])
            .any(|name| compiled.set.find(&name, &values).is_some());
        let excused = NEED_OTHER_PROFILES.contains(&&*rule.id);
        let why = compiled.not_applicable.iter().filter(|entry| entry.rule == rule.id);
        assert!(watches != excused, "{}: {:?}", rule.id, why.collect::<Vec<_>>());
    }
}

#[test]
fn shipped_rules_alarm_in_a_small_hall_as_they_say() {
    let text = include_str!("data/hall.test.toml");
    let tests = rule_test::read(&source(text)).unwrap_or_else(|faults| panic!("{}", told(&faults)));
    assert_eq!(tests.site.as_ref().unwrap().get_ref(), "hall.toml");
    let hall = source(include_str!("data/hall.toml"));
    let site = read_site(&hall, &Library::shipped(), &secret::unresolved).unwrap();
    let plan = rules::metrics::plan(site.plant).unwrap();
    let verdicts = tests.run(&source(text), || Bench::of_site(&site.rules, plan.clone()));
    for verdict in verdicts.unwrap_or_else(|faults| panic!("{}", told(&faults))) {
        let said: Vec<String> = verdict.differences.iter().map(ToString::to_string).collect();
        assert!(said.is_empty(), "{}\n{}", verdict.name, said.join("\n"));
    }
}

#[test]
fn shipped_rules_fit_every_shipped_site() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/sites");
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let site = read_site(&source(&text), &Library::shipped(), &secret::unresolved);
        let site = site.unwrap_or_else(|faults| panic!("{}: {}", path.display(), told(&faults)));
        let plant = rules::metrics::plan(site.plant).unwrap().plant;
        let compiled = AlarmSet::compile(&site.rules, &plant);
        assert!(compiled.is_ok(), "{}: {:?}", path.display(), compiled.err());
    }
}

#[test]
fn every_shipped_rule_says_what_to_do_and_where_its_limit_comes_from() {
    let library = Library::shipped();
    let mut priorities: BTreeMap<u8, usize> = BTreeMap::new();
    for name in library.rule_names() {
        for rule in rule_file::read(library.rules(name).unwrap()).unwrap() {
            assert!(!rule.consequence.is_empty() && !rule.action.is_empty(), "{}", rule.id);
            assert!(!rule.source.is_empty(), "{}", rule.id);
            *priorities.entry(rule.priority.into()).or_default() += 1;
        }
    }
    assert!(priorities.values().sum::<usize>() >= 40, "{priorities:?}");
}

/// Rules and points of all the files that a test file names.
fn beside(folder: &str, tests: &rule_test::RuleTests) -> (Vec<RuleSpec>, Vec<BenchPoint>) {
    let (mut rules, mut points) = (Vec::new(), Vec::new());
    for name in &tests.rules {
        let text = std::fs::read_to_string(format!("{folder}/{}", name.get_ref())).unwrap();
        let read = rule_file::read_with_points(&source(&text));
        let (found, declared) = read.unwrap_or_else(|faults| panic!("{}", told(&faults)));
        rules.extend(found);
        points.extend(declared);
    }
    (rules, points)
}

#[test]
fn alarms_live_as_the_semantics_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/semantics");
    let mut passed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_string_lossy().ends_with(".test.toml") {
            continue;
        }
        let text = source(&std::fs::read_to_string(&path).unwrap());
        let tests = rule_test::read(&text).unwrap_or_else(|faults| panic!("{}", told(&faults)));
        let (rules, points) = beside(folder, &tests);
        let verdicts = tests.run(&text, || Bench::new(&rules, &points));
        for verdict in verdicts.unwrap_or_else(|faults| panic!("{}", told(&faults))) {
            let said: Vec<String> = verdict.differences.iter().map(ToString::to_string).collect();
            assert!(said.is_empty(), "{}: {}\n{}", path.display(), verdict.name, said.join("\n"));
            passed += 1;
        }
    }
    assert!(passed >= 30, "only {passed} tests were found");
}
