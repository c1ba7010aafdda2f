//! What `coldwatch check` says of a file: what it holds, or everything that is wrong with it.

use std::fmt;

use rules::{alarm_set::AlarmSet, metrics};
use serde::Serialize;

use crate::{
    fault::{Fault, Source},
    library::Library,
    limits_file, profile_file, rule_file, secret,
    site_file::read_site,
    table::{self, Faults},
};

/// What a sound file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Contents {
    Site {
        devices: usize,
        /// From devices; computed ones are not counted.
        points: usize,
        rules: usize,
        /// Rules times the assets that each is for.
        alarms: usize,
    },
    Profile {
        points: usize,
    },
    Rules {
        rules: usize,
    },
    Limits {
        limits: usize,
        indicators: usize,
    },
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site { devices, points, rules, alarms } => write!(
                f,
                "{}, {}, {} → {}",
                count(*devices, "device"),
                count(*points, "point"),
                count(*rules, "rule"),
                count(*alarms, "alarm")
            ),
            Self::Profile { points } => write!(f, "a profile with {}", count(*points, "point")),
            Self::Rules { rules } => f.write_str(&count(*rules, "rule")),
            Self::Limits { limits, indicators } => write!(
                f,
                "a regulation with {} and {}",
                count(*limits, "limit"),
                count(*indicators, "indicator")
            ),
        }
    }
}

/// `1 fault`, `3 faults`.
pub fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Checks a site, profile, rule or limits file. Secrets stay where they are.
///
/// # Errors
/// All faults of the file, and of the profiles and rule files that a site uses.
pub fn check(source: &Source, library: &Library) -> Result<Contents, Vec<Fault>> {
    match kind(source) {
        Kind::Site => site(source, library),
        Kind::Profile => {
            let profile = profile_file::read(source)?;
            Ok(Contents::Profile { points: profile.offered().len() })
        }
        Kind::Rules => Ok(Contents::Rules { rules: rule_file::read(source)?.len() }),
        Kind::Limits => {
            let regulation = limits_file::read(source)?;
            let (limits, indicators) = (regulation.limits.len(), regulation.indicators.len());
            Ok(Contents::Limits { limits, indicators })
        }
    }
}

enum Kind {
    Site,
    Profile,
    Rules,
    Limits,
}

/// Which kind of file it is shows in its tables; a text without any is taken for a site.
fn kind(source: &Source) -> Kind {
    let faults = Faults::new(source);
    let document = table::parse(source, &faults);
    let has = |key: &str| document.get_ref().contains_key(key);
    if has("jurisdiction") || has("edition") {
        Kind::Limits
    } else if has("rule") {
        Kind::Rules
    } else if has("protocol") || has("metadata") || has("point") || has("topic") {
        Kind::Profile
    } else {
        Kind::Site
    }
}

fn site(source: &Source, library: &Library) -> Result<Contents, Vec<Fault>> {
    let site = read_site(source, library, &secret::unresolved)?;
    let (devices, points, rules) =
        (site.devices.len(), site.plant.points().len(), site.rules.len());
    // Both were found sound when the site was read.
    let alarms = metrics::plan(site.plant)
        .ok()
        .and_then(|plan| AlarmSet::compile(&site.rules, &plan.plant).ok())
        .map_or(0, |compiled| compiled.set.len());
    Ok(Contents::Site { devices, points, rules, alarms })
}
