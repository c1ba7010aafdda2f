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
    pub title: Arc<str>,
    pub consequence: Arc<str>,
    pub action: Arc<str>,
    /// Where the limit comes from, or `typical`.
    pub source: String,
    /// The file and line it stands in: `cdu.toml:12`.
    pub written_at: Arc<str>,
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
