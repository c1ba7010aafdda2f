//! The profiles, rule files and limits files by name: those that ship inside the program, overlaid with those the caller
//! found beside the site file.

use std::{collections::BTreeMap, sync::Arc};

use crate::fault::Source;

/// A table of `(name, text)` of files under `configs/`. A new file is one more line here; a test compares with the disk.
macro_rules! shipped {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../", $folder, "/", $name, ".toml")))),*]
    };
}

const PROFILES: &[(&str, &str)] = shipped!("profiles":
    "abb-b-series",
    "belimo-ev200",
    "dsx-exchange",
    "eastron-sdm630",
    "generic-cabinet",
    "generic-cdu",
    "generic-meter",
    "generic-pdu",
    "generic-rack",
    "generic-room-sensor",
    "generic-ups",
    "generic-weather",
    "orv3-power-shelf",
    "orv3-rpu",
    "rle-seahawk-10k",
    "schneider-iem3000",
);

const RULES: &[(&str, &str)] =
    shipped!("rules": "cdu", "comms", "gateway", "leak", "power", "rack", "room");

const LIMITS: &[(&str, &str)] = shipped!("limits":
    "cn-bj-2026",
    "cn-targets",
    "de-enefg",
    "en-50600-4-2",
    "eu-2024-1364",
    "gb-40879-2021",
    "iso-iec-30134-2",
    "jp-energy-act",
    "sg-green-dc",
);

/// Profiles, rule files and limits files, each by its name: the file name without `.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Library {
    profiles: BTreeMap<Arc<str>, Source>,
    rules: BTreeMap<Arc<str>, Source>,
    limits: BTreeMap<Arc<str>, Source>,
}

impl Library {
    /// What ships inside the program.
    pub fn shipped() -> Self {
        let mut library = Self::default();
        for (name, text) in PROFILES {
            library.add_profile(name, source("profiles", name, text));
        }
        for (name, text) in RULES {
            library.add_rules(name, source("rules", name, text));
        }
        for (name, text) in LIMITS {
            library.add_limits(name, source("limits", name, text));
        }
        library
    }

    /// Adds a profile, or puts it in the place of the shipped one with that name.
    pub fn add_profile(&mut self, name: &str, source: Source) {
        self.profiles.insert(name.into(), source);
    }

    /// Adds a rule file, or puts it in the place of the shipped one with that name. Rule tests, whose names end in
    /// `.test`, lie beside the rules and are no rule files.
    pub fn add_rules(&mut self, name: &str, source: Source) {
        if name.rsplit_once('.').is_some_and(|(_, kind)| kind == "test") {
            return;
        }
        self.rules.insert(name.into(), source);
    }

    /// Adds a limits file, or puts it in the place of the shipped one with that name.
    pub fn add_limits(&mut self, name: &str, source: Source) {
        self.limits.insert(name.into(), source);
    }

    pub fn limits(&self, name: &str) -> Option<&Source> {
        self.limits.get(name)
    }

    /// Names of all limits files, sorted.
    pub fn limits_names(&self) -> impl Iterator<Item = &str> {
        self.limits.keys().map(AsRef::as_ref)
    }

    pub fn profile(&self, name: &str) -> Option<&Source> {
        self.profiles.get(name)
    }

    pub fn rules(&self, name: &str) -> Option<&Source> {
        self.rules.get(name)
    }

    /// Names of all profiles, sorted.
    pub fn profile_names(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(AsRef::as_ref)
    }

    /// Names of all rule files, sorted.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().map(AsRef::as_ref)
    }
}

fn source(folder: &str, name: &str, text: &str) -> Source {
    Source { name: format!("{folder}/{name}.toml").into(), text: text.into() }
}
