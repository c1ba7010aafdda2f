//! Profiles and rule files, read once each however many devices name them.

use std::{collections::HashMap, sync::Arc};

use rules::{plant::Plant, rule::RuleSpec};

use crate::{
    fault::{Fault, Source},
    library::Library,
    profile::Profile,
    profile_file, rule_file,
    table::{At, Faults, nearest},
};

/// The profiles of one site file.
pub(super) struct Profiles<'a> {
    library: &'a Library,
    faults: &'a Faults<'a>,
    /// `None`: it has faults, which were reported when it was first named.
    read: HashMap<&'a str, Option<Arc<Profile>>>,
}

impl<'a> Profiles<'a> {
    pub(super) fn new(library: &'a Library, faults: &'a Faults<'a>) -> Self {
        Self { library, faults, read: HashMap::new() }
    }

    /// The profile of that name; `None` after a fault was reported.
    pub(super) fn get(&mut self, name: &At<&'a str>) -> Option<Arc<Profile>> {
        if let Some(known) = self.read.get(name.value) {
            return known.clone();
        }
        let Some(source) = self.library.profile(name.value) else {
            self.unknown(name);
            return None;
        };
        let profile = match profile_file::read(source) {
            Ok(profile) => Some(Arc::new(profile)),
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        };
        self.read.insert(name.value, profile.clone());
        profile
    }

    fn unknown(&self, name: &At<&str>) {
        let remedy = match nearest(name.value, self.library.profile_names()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => {
                format!("put the profile beside the site file as profiles/{}.toml", name.value)
            }
        };
        self.faults.add(name.span.clone(), format!("unknown profile \"{}\"", name.value), remedy);
    }
}

/// The rules of these files, checked against the plant where there is one. Rule ids are unique over all of them.
pub(super) fn rules(
    names: &[Arc<str>],
    library: &Library,
    plant: Option<&Plant>,
    faults: &Faults<'_>,
) -> Vec<RuleSpec> {
    let mut rules: Vec<RuleSpec> = Vec::new();
    for source in names.iter().filter_map(|name| library.rules(name)) {
        match rule_file::read(source) {
            Ok(read) => {
                if let Some(plant) = plant {
                    faults.extend(rule_file::check(source, &read, plant));
                }
                faults.extend(read.iter().filter_map(|rule| twice(source, rule, &rules)));
                rules.extend(read);
            }
            Err(found) => faults.extend(found),
        }
    }
    rules
}

/// The fault of a rule whose id another file has already.
fn twice(source: &Source, rule: &RuleSpec, earlier: &[RuleSpec]) -> Option<Fault> {
    let other = earlier.iter().find(|other| other.id == rule.id)?;
    let written = format!("\"{}\"", rule.id);
    let start = source.text.find(&written).unwrap_or_default();
    Some(Fault {
        source: source.clone(),
        span: start..start + written.len(),
        message: format!("a rule called \"{}\" is there already, at {}", rule.id, other.written_at),
        remedy: "give one of the two another id".to_owned(),
    })
}
