//! What outlives a run: the last checkpoint, and what the journal tells since.
//!
//! Everything is kept by name, so that another configuration keeps what still exists. Point values are not kept: a point
//! is unknown until its first sample (S16). Nothing is judged again; a restart only folds what was decided.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    alarm::{Delay, Letter, Priority},
    ledger::{LedgerRow, SavedAccount},
    messages::{Command, EVENTS_KEPT, Event, Moved, Outcome, What},
    time::{BootId, Moment, Mono, Now},
};

/// The form of a [`Checkpoint`].
pub const VERSION: u32 = 1;
/// So many idempotency keys are remembered.
pub(crate) const KEYS_KEPT: usize = 256;

/// What the engine needs to go on. Written every ten seconds, so it leaves out whatever is as it is at the beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    version: u32,
    pub(crate) boot: BootId,
    pub(crate) at: Now,
    /// The last instant of the run at which wall time was trusted, unless that is `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trusted: Option<Now>,
    /// Alarms in a letter other than A, or with a delay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) alarms: BTreeMap<Arc<str>, SavedAlarm>,
    /// Occurrence numbers of the others that had any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) occurrences: BTreeMap<Arc<str>, u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) meters: BTreeMap<Arc<str>, SavedAccount>,
    /// Oldest first.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(crate) commands: VecDeque<(String, Outcome)>,
    /// Devices that were told to be down.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) down: BTreeSet<Arc<str>>,
}

/// An alarm that is not plainly normal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedAlarm {
    pub(crate) letter: Letter,
    pub(crate) occurrence: u32,
    pub(crate) priority: Priority,
    /// Of activation in an inactive letter, of clearing in an active one (S17).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delay: Option<Delay>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) active_since: Option<Mono>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged_by: Option<String>,
}

/// Why a checkpoint is not used. The journal alone still tells letters, occurrences and closed intervals.
#[derive(Debug, Error)]
pub enum Unusable {
    #[error(
        "the checkpoint has version {0}, this program knows {VERSION}: run the program that wrote it, or a newer one"
    )]
    Version(u64),
    #[error("the checkpoint has no version")]
    NoVersion,
    #[error("the checkpoint cannot be read")]
    Malformed(#[from] serde_json::Error),
}

/// One record of the journal, as a restart folds it.
#[derive(Clone, Copy, Debug)]
pub enum Recorded<'a> {
    Event(&'a Event),
    Command(&'a Command, &'a Outcome),
    Ledger(&'a LedgerRow),
}

/// What became of the state of the earlier run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restored {
    /// Letters that another configuration changed: alarms that are no more go to A, latches that are no more let go. For
    /// the journal.
    pub events: Vec<Event>,
    /// Alarms that are no more, sorted.
    pub alarms_gone: Vec<Arc<str>>,
    /// Meters that are no more, sorted. What their registers counted since the last closed interval is given up.
    pub meters_gone: Vec<Arc<str>>,
}

impl Checkpoint {
    pub(crate) fn new(boot: BootId, at: Now) -> Self {
        Self {
            version: VERSION,
            boot,
            at,
            trusted: None,
            alarms: BTreeMap::new(),
            occurrences: BTreeMap::new(),
            meters: BTreeMap::new(),
            commands: VecDeque::new(),
            down: BTreeSet::new(),
        }
    }

    /// Reads a checkpoint as the log keeps it.
    ///
    /// # Errors
    /// When it has another version, or is none.
    pub fn read(written: serde_json::Value) -> Result<Self, Unusable> {
        match written.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => Ok(serde_json::from_value(written)?),
            Some(version) => Err(Unusable::Version(version)),
            None => Err(Unusable::NoVersion),
        }
    }

    /// An instant of the run on both its clocks, wall time trusted.
    fn clock(&self) -> Option<Now> {
        if self.at.wall.trust.is_trusted() { Some(self.at) } else { self.trusted }
    }
}

/// An instant of some run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dated {
    pub(crate) boot: BootId,
    pub(crate) at: Mono,
    pub(crate) wall: Option<DateTime<Utc>>,
}

/// One alarm as it was left.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PastAlarm {
    pub(crate) letter: Letter,
    pub(crate) occurrence: u32,
    pub(crate) priority: Priority,
    pub(crate) delay: Option<Delay>,
    pub(crate) active_since: Option<Dated>,
    pub(crate) acknowledged_by: Option<String>,
}

/// Everything that is known of earlier runs: the checkpoint with the journal since folded into it.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Each run with its last instant that is known, in order.
    runs: Vec<(BootId, Mono)>,
    /// The run of the checkpoint, and an instant of it with trusted wall time.
    saved_in: Option<BootId>,
    pub(crate) clock: Option<Now>,
    pub(crate) alarms: BTreeMap<Arc<str>, PastAlarm>,
    pub(crate) meters: BTreeMap<Arc<str>, SavedAccount>,
    pub(crate) closed: BTreeMap<Arc<str>, Vec<LedgerRow>>,
    pub(crate) commands: VecDeque<(String, Outcome)>,
    pub(crate) down: BTreeSet<Arc<str>>,
    pub(crate) events: VecDeque<(BootId, Event)>,
}

impl Past {
    pub(crate) fn of(checkpoint: Checkpoint) -> Self {
        let (boot, clock) = (checkpoint.boot, checkpoint.clock());
        let instant = |at| Dated { boot, at, wall: clock.and_then(|clock| clock.label(at)) };
        let standing = checkpoint.alarms.into_iter().map(|(name, alarm)| {
            let past = PastAlarm {
                letter: alarm.letter,
                occurrence: alarm.occurrence,
                priority: alarm.priority,
                delay: alarm.delay,
                active_since: alarm.active_since.map(instant),
                acknowledged_by: alarm.acknowledged_by,
            };
            (name, past)
        });
        let normal = checkpoint
            .occurrences
            .into_iter()
            .map(|(name, occurrence)| (name, PastAlarm { occurrence, ..PastAlarm::normal() }));
        Self {
            runs: vec![(boot, checkpoint.at.mono)],
            saved_in: Some(boot),
            clock,
            alarms: standing.chain(normal).collect(),
            meters: checkpoint.meters,
            closed: BTreeMap::new(),
            commands: checkpoint.commands,
            down: checkpoint.down,
            events: VecDeque::new(),
        }
    }

    /// Takes in the next record of the journal.
    pub(crate) fn fold(&mut self, moment: &Moment, recorded: Recorded<'_>) {
        match self.runs.last_mut() {
            Some((boot, last)) if *boot == moment.boot => *last = moment.at.mono,
            _ => self.runs.push((moment.boot, moment.at.mono)),
        }
        if self.saved_in == Some(moment.boot) && moment.at.wall.trust.is_trusted() {
            self.clock = Some(moment.at);
        }
        match recorded {
            Recorded::Event(event) => self.fold_event(moment.boot, event),
            Recorded::Command(command, outcome) => {
                remember(&mut self.commands, &command.key, outcome.clone());
            }
            Recorded::Ledger(row) => {
                let rows = self.closed.entry(Arc::clone(&row.meter)).or_default();
                // Without an account to settle, the last row says all.
                if !self.meters.contains_key(&row.meter) {
                    rows.clear();
                }
                rows.push(row.clone());
            }
        }
    }

    fn fold_event(&mut self, boot: BootId, event: &Event) {
        match &event.what {
            What::Moved(moved) => {
                let since = Dated { boot, at: event.at, wall: event.wall };
                self.alarms
                    .entry(Arc::clone(&moved.alarm))
                    .or_insert_with(PastAlarm::normal)
                    .fold(since, moved);
            }
            What::Link { up, .. } => {
                if let Some(device) = &event.asset {
                    if *up {
                        self.down.remove(device);
                    } else {
                        self.down.insert(Arc::clone(device));
                    }
                }
            }
            What::Rejected { .. }
            | What::Clock { .. }
            | What::Register { .. }
            | What::Anchor(_)
            | What::Gateway { .. } => {}
        }
        if self.events.len() >= EVENTS_KEPT {
            self.events.pop_front();
        }
        self.events.push_back((boot, event.clone()));
    }

    /// Where an instant of an earlier run lies on the clock of run `boot`: as long ago as the wall clocks say, or else as
    /// if no time had passed between the runs.
    pub(crate) fn place(&self, boot: BootId, now: &Now, instant: Dated) -> Mono {
        if instant.boot == boot {
            return instant.at;
        }
        match instant.wall.filter(|_| now.wall.trust.is_trusted()) {
            Some(wall) => now.instant(wall).min(now.mono),
            None => now.mono - self.ran_since(instant),
        }
    }

    fn ran_since(&self, instant: Dated) -> std::time::Duration {
        let runs = self.runs.iter().skip_while(|(boot, _)| *boot != instant.boot);
        runs.map(|(boot, last)| {
            last.since(if *boot == instant.boot { instant.at } else { Mono::START })
        })
        .fold(std::time::Duration::ZERO, std::time::Duration::saturating_add)
    }
}

impl PastAlarm {
    fn normal() -> Self {
        Self {
            letter: Letter::A,
            occurrence: 0,
            priority: Priority::P4,
            delay: None,
            active_since: None,
            acknowledged_by: None,
        }
    }

    fn fold(&mut self, at: Dated, moved: &Moved) {
        // An operator moves a letter under a running delay; the process does not move without ending it.
        if self.letter.is_active() != moved.to.is_active() || moved.by.is_none() {
            self.delay = None;
        }
        if moved.to == Letter::B {
            (self.active_since, self.acknowledged_by) = (Some(at), None);
        }
        if !moved.to.is_active() {
            self.active_since = None;
        }
        if let Some(by) = &moved.by {
            let owed = matches!(moved.to, Letter::C | Letter::Cl);
            self.acknowledged_by = owed.then(|| by.clone());
        }
        (self.letter, self.occurrence) = (moved.to, moved.occurrence);
        self.priority = moved.priority;
    }
}

/// Keeps the outcome of a command under its key; the oldest makes room.
pub(crate) fn remember(kept: &mut VecDeque<(String, Outcome)>, key: &str, outcome: Outcome) {
    if kept.len() >= KEYS_KEPT {
        kept.pop_front();
    }
    kept.push_back((key.to_owned(), outcome));
}
