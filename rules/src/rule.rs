//! A rule as written: a condition template with its delays, its priority and its words for the operator.

use std::{sync::Arc, time::Duration};

use crate::alarm::Priority;

/// One `[[rule]]` of a rule file, values read, expressions still text.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSpec {
    /// `cdu.supply_hi`. The alarm is named by it, plus `@asset` where `each` expands the rule.
    pub id: Arc<str>,
    /// The `for` clause: `cdu in cdus where technology == 'cold_plate'`. Absent: one alarm.
    pub each: Option<String>,
    pub when: String,
    /// A quantity with a unit: `1 K`.
    pub deadband: Option<String>,
    pub on_delay: Duration,
    pub off_delay: Duration,
    pub priority: Priority,
    pub on_stale: OnStale,
    /// S11: stays until it is reset.
    pub latch: bool,
    pub overlays: OverlayRules,
    pub title: Arc<str>,
    pub consequence: Arc<str>,
    pub action: Arc<str>,
    /// Where the limit comes from, or `typical`.
    pub source: String,
    /// The file and line it stands in: `cdu.toml:12`.
    pub written_at: Arc<str>,
}

/// What a rule declares about shelving, suppression and re-alarming (S9, S12 to S14). Read and kept; the alarms do not
/// act on it yet.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlayRules {
    pub shelvable: bool,
    pub max_shelve: Option<Duration>,
    /// Rule ids, or a set of the asset graph such as `upstream(cooling)`.
    pub suppressed_by: Vec<String>,
    pub suppress_on_pending: bool,
    pub release: Duration,
    /// `None`: no limit.
    pub storm_window: Option<Duration>,
    pub realarm_after: Option<Duration>,
}

impl Default for OverlayRules {
    /// The defaults of S12.
    fn default() -> Self {
        Self {
            shelvable: true,
            max_shelve: None,
            suppressed_by: Vec::new(),
            suppress_on_pending: true,
            release: Duration::ZERO,
            storm_window: Some(Duration::from_mins(2)),
            realarm_after: None,
        }
    }
}

impl RuleSpec {
    /// A rule with defaults: no delays, no deadband, priority 3, unknown holds.
    pub fn new(id: &str, when: &str) -> Self {
        Self {
            id: id.into(),
            each: None,
            when: when.to_owned(),
            deadband: None,
            on_delay: Duration::ZERO,
            off_delay: Duration::ZERO,
            priority: Priority::P3,
            on_stale: OnStale::Hold,
            latch: false,
            overlays: OverlayRules::default(),
            title: id.into(),
            consequence: "".into(),
            action: "".into(),
            source: "typical".to_owned(),
            written_at: "".into(),
        }
    }
}

/// S8: what unknown means to the alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStale {
    /// The process state stays; delays pause.
    #[default]
    Hold,
    /// Unknown counts as true.
    Alarm,
    /// Unknown counts as false.
    Normal,
}
