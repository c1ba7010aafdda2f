//! What every part of the house keeps: who may depend on whom, and what no code may contain.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use crate::support::repository;

/// The crates of this workspace, each with those of them that it may use.
const CRATES: [(&str, &[&str]); 9] = [
    ("rules", &[]),
    ("configs", &["rules"]),
    ("links", &[]),
    ("collector", &["configs", "links", "rules"]),
    ("store", &["links", "rules"]),
    ("tui", &["links", "rules"]),
    ("reports", &["rules"]),
    ("simulator", &["configs", "links", "rules"]),
    (".", &["rules", "configs", "links", "collector", "store", "tui", "reports", "simulator"]),
];

/// Libraries that reach the outside, each with the crates that may name them.
const EDGES: [(&str, &[&str]); 14] = [
    ("tokio-modbus", &["links", "simulator"]),
    ("rumqttc", &["links"]),
    ("rustls", &["links"]),
    ("tokio-rustls", &["links"]),
    ("influxdb2", &["store"]),
    ("reqwest", &["store"]),
    ("rusqlite", &["store"]),
    ("axum", &["."]),
    ("utoipa", &["."]),
    ("utoipa-axum", &["."]),
    ("prometheus-client", &["."]),
    ("ratatui", &["tui"]),
    ("crossterm", &["tui"]),
    ("zip", &["."]),
];

/// Waiting, sockets, screens and files: nothing that the pure crates reach, over any number of steps.
const OUTSIDE: [&str; 9] = [
    "tokio",
    "mio",
    "socket2",
    "tokio-modbus",
    "rumqttc",
    "rustls",
    "ratatui",
    "crossterm",
    "tracing-subscriber",
];

/// Makers of devices, besides those that the titles of the profiles name.
const MAKERS: [&str; 20] = [
    "alfa laval",
    "boyd",
    "coolit",
    "danfoss",
    "delta electronics",
    "grundfos",
    "huawei",
    "janitza",
    "lenovo",
    "motivair",
    "nvent",
    "nvidia",
    "raritan",
    "schneider",
    "server technology",
    "siemens",
    "socomec",
    "supermicro",
    "vertiv",
    "eaton",
];

/// First words of profile titles that name no maker: our own maps, and an open standard.
const NO_MAKERS: [&str; 2] = ["generic", "ocp"];

fn manifest(name: &str) -> Table {
    read(&repository(name).join("Cargo.toml")).parse().unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn keys(manifest: &Table, table: &str) -> BTreeSet<String> {
    let entries = manifest.get(table).and_then(Value::as_table);
    entries.map(|entries| entries.keys().cloned().collect()).unwrap_or_default()
}

/// The program's own Rust files below these folders, without tests and examples.
fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for folder in folders {
        collect(&repository(folder), &mut files);
    }
    assert!(!files.is_empty(), "{folders:?} hold no Rust file");
    files
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = read(&path);
            files.push((path, text));
        }
    }
}

const ALL_SOURCES: [&str; 9] = [
    "rules/src",
    "configs/src",
    "links/src",
    "collector/src",
    "store/src",
    "tui/src",
    "reports/src",
    "simulator/src",
    "src",
];

/// `file:line: the line`, for every line that holds one of the words.
fn lines_with(files: &[(PathBuf, String)], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files {
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| has_word(line, word)) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    found
}

/// True when the word stands in the text with no letter or digit beside it.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    })
}

#[test]
fn crates_depend_only_on_those_below_them() {
    let ours: BTreeSet<&str> = CRATES.iter().map(|(name, _)| *name).collect();
    for (name, allowed) in CRATES {
        let used = keys(&manifest(name), "dependencies");
        let upward: Vec<&String> = used
            .iter()
            .filter(|used| ours.contains(used.as_str()) && !allowed.contains(&used.as_str()))
            .collect();
        assert!(upward.is_empty(), "{name} must not depend on {upward:?}");
    }
    let members = manifest(".")["workspace"]["members"].as_array().unwrap().len();
    assert_eq!(members + 1, CRATES.len(), "a new crate needs its place in this test");
}

#[test]
fn each_edge_library_is_known_only_where_its_edge_is() {
    for (library, allowed) in EDGES {
        for (name, _) in CRATES.iter().filter(|(name, _)| !allowed.contains(name)) {
            let used = keys(&manifest(name), "dependencies");
            assert!(!used.contains(library), "{name} must not depend on {library}");
        }
    }
}

#[test]
fn the_pure_crates_reach_nothing_outside_over_any_number_of_steps() {
    let lock: Table = read(&repository("Cargo.lock")).parse().unwrap();
    let mut uses: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let dependencies = package.get("dependencies").and_then(Value::as_array);
        // A dependency is a name, with its version where there are several.
        let names = dependencies.into_iter().flatten().filter_map(Value::as_str);
        let names = names.filter_map(|entry| entry.split(' ').next());
        uses.entry(name).or_default().extend(names);
    }
    for pure in ["rules", "configs"] {
        let mut reached = BTreeSet::new();
        let mut ahead = vec![pure];
        while let Some(name) = ahead.pop() {
            if reached.insert(name) {
                ahead.extend(uses.get(name).into_iter().flatten());
            }
        }
        assert!(reached.contains("serde"), "the lock file says what {pure} uses");
        let outside: Vec<_> = OUTSIDE.iter().filter(|name| reached.contains(*name)).collect();
        assert!(outside.is_empty(), "{pure} reaches {outside:?}");
    }
}

#[test]
fn the_pure_crates_have_no_clock_no_files_and_nothing_that_waits() {
    let words = [
        "now()",
        "Instant",
        "SystemTime",
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "std::process",
        "async",
        "await",
    ];
    let code = |text: &str| {
        let lines = text.lines();
        let lines = lines.map(|line| if line.trim_start().starts_with("//") { "" } else { line });
        lines.collect::<Vec<_>>().join("\n")
    };
    let files: Vec<_> = sources(&["rules/src", "configs/src"])
        .into_iter()
        .map(|(path, text)| (path, code(&text)))
        .collect();
    let found = lines_with(&files, &words);
    assert!(found.is_empty(), "{}", found.join("\n"));
    let chrono = &manifest("rules")["dependencies"]["chrono"];
    assert!(chrono.get("features").is_none(), "chrono comes without its clock: {chrono}");
}

#[test]
fn no_rust_code_names_a_maker() {
    let (mut makers, mut stems) = (BTreeSet::from(MAKERS.map(str::to_owned)), Vec::new());
    for entry in fs::read_dir(repository("configs/profiles")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = read(&path);
        // Not parsed: a profile may hold numbers that this test's reader does not take.
        let title = text.lines().find_map(|line| line.strip_prefix("title = \"")).unwrap();
        let title = title.to_lowercase();
        let first = title.split_whitespace().next().unwrap().to_owned();
        if !NO_MAKERS.contains(&first.as_str()) {
            makers.insert(first);
        }
        stems.push(format!("\"{}\"", path.file_stem().unwrap().to_str().unwrap()));
    }
    assert!(makers.len() > MAKERS.len(), "the profiles name makers");
    // The shipped profiles are listed by file name.
    let files: Vec<_> = sources(&ALL_SOURCES)
        .into_iter()
        .map(|(path, text)| {
            let text = stems.iter().fold(text.to_lowercase(), |text, stem| text.replace(stem, ""));
            (path, text)
        })
        .collect();
    let makers: Vec<&str> = makers.iter().map(String::as_str).collect();
    let found = lines_with(&files, &makers);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_code_can_write_to_a_device() {
    let files = sources(&ALL_SOURCES);
    let writing = [
        "write_single_coil",
        "write_single_register",
        "write_multiple_coils",
        "write_multiple_registers",
        "masked_write_register",
        "read_write_multiple_registers",
        "Request::WriteSingleCoil",
        "Request::WriteSingleRegister",
        "Request::WriteMultipleCoils",
        "Request::WriteMultipleRegisters",
        "Request::MaskWriteRegister",
        "Request::ReadWriteMultipleRegisters",
        "Request::Custom",
    ];
    let found = lines_with(&files, &writing);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The simulator publishes what its devices say; the gateway where it keeps the end of its ledger.
#[test]
fn only_the_simulator_and_the_anchors_publish_over_mqtt() {
    let mut files = sources(&ALL_SOURCES);
    let own = ["links/src/publisher.rs", "simulator/src/publish.rs", "src/gateway/anchors.rs"];
    files.retain(|(path, _)| own.iter().all(|own| *path != repository(own)));
    let found = lines_with(&files, &["Publisher::open", ".publish("]);
    let found: Vec<_> = found.iter().filter(|line| !line.contains("self.publish()")).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// ISO/IEC 30134-2 gives the name to a ratio of energies, with category and period; only the type that has both says it.
#[test]
fn the_name_of_the_standard_ratio_stands_only_where_category_and_period_do() {
    let mut files: Vec<_> = sources(&ALL_SOURCES);
    files.retain(|(path, _)| *path != repository("rules/src/ratio.rs"));
    let said: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| {
            let lines = text.lines().filter(|line| line.contains("PUE"));
            let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
            lines.map(|line| format!("{}: {}", path.display(), line.trim()))
        })
        .collect();
    assert!(said.is_empty(), "{}", said.join("\n"));
}

#[test]
fn no_rule_and_no_point_carries_the_name_of_the_standard_ratio() {
    let mut said = Vec::new();
    for folder in ["configs/rules", "configs/profiles", "configs/sites"] {
        for entry in fs::read_dir(repository(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let named = ["id", "name", "title", "quantity"];
            let text = read(&path).to_lowercase();
            let lines = text.lines().filter(|line| {
                line.split_once('=').is_some_and(|(key, value)| {
                    named.contains(&key.trim()) && value.contains("pue")
                })
            });
            said.extend(lines.map(|line| format!("{}: {line}", path.display())));
        }
    }
    assert!(said.is_empty(), "{}", said.join("\n"));
}
