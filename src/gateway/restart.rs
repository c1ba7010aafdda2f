//! Takes up where the last run ended.

use std::path::PathBuf;

use configs::site::Storage;
use rules::{
    checkpoint::{Checkpoint, Recorded, Restored},
    engine::{Engine, Events},
    messages::{EVENTS_KEPT, Event, What},
    time::{Moment, Now},
};
use store::{
    Before, Finding, Options, Reader, StoreError,
    journal::{Entry, JournalQuery},
    record::{Catalog, Record, Seq, Stamped},
};

use super::recorder::{self, Recorder};

/// The last closed intervals are looked for in this span before now.
const LEDGER_BACK: chrono::TimeDelta = chrono::TimeDelta::hours(2);

/// What a site says of its storage, as the store takes it.
pub(crate) fn options(storage: &Storage, dir: PathBuf) -> Options {
    Options {
        cap_bytes: storage.cap_bytes,
        reserve_bytes: storage.reserve_bytes,
        keep_raw: storage.keep_raw,
        keep_minutes: storage.keep_minutes,
        keep_quarters: storage.keep_quarters,
        ..Options::new(dir)
    }
}

/// What an earlier run left.
pub(super) struct Found {
    pub(super) before: Before,
    pub(super) findings: Vec<Finding>,
}

/// Gives the engine what the earlier run left, and begins this one's part of the log.
pub(super) fn take_up(
    engine: &mut Engine,
    now: &Now,
    Found { before, findings }: Found,
    reader: &Reader,
    recorder: &mut Recorder,
) {
    let checkpoint = before.checkpoint.and_then(|kept| read(kept.record));
    let first = before.after.first().map(|record| record.stamp.seq);
    let after = before.after.iter().flat_map(recorded);
    let restored = engine.restore(*now, checkpoint, after);
    if let Err(error) = recall(engine, now, reader, first) {
        tracing::warn!(error = &error as &dyn std::error::Error, "the journal cannot be shown");
    }
    say_what_is_gone(&restored);
    let mut events = Events::default();
    let started = format!("started, version {}", env!("CARGO_PKG_VERSION"));
    for what in findings.iter().map(ToString::to_string).chain([started]) {
        engine.note(now, What::Gateway { what }, &mut events);
    }
    events.events.extend(restored.events);
    let catalog = catalog(engine);
    recorder.write(now, [catalog].into_iter().chain(recorder::records(&mut events)));
}

/// Of what the samples after it speak.
pub(super) fn catalog(engine: &Engine) -> Record {
    let (version, site) = (env!("CARGO_PKG_VERSION").to_owned(), engine.site().clone());
    Record::Catalog(Catalog { version, site, plant: engine.plant().clone() }.into())
}

/// What a changed configuration left without a place is said once, where an administrator reads.
pub(super) fn say_what_is_gone(restored: &Restored) {
    for alarm in &restored.alarms_gone {
        tracing::warn!(%alarm, "this alarm is no more");
    }
    for meter in &restored.meters_gone {
        tracing::warn!(%meter, "this meter is no more: its open interval is given up");
    }
}

fn read(record: Record) -> Option<Checkpoint> {
    let Record::Checkpoint(written) = record else { return None };
    Checkpoint::read(written)
        .inspect_err(|error| {
            tracing::warn!(error = error as &dyn std::error::Error, "delays begin anew");
        })
        .ok()
}

fn recorded(stamped: &Stamped) -> Vec<(Moment, Recorded<'_>)> {
    let stamp = &stamped.stamp;
    let wall = rules::time::Wall { utc: stamp.wall, trust: stamp.trust };
    let moment = Moment { boot: stamp.boot, at: Now { mono: stamp.mono, wall } };
    let recorded = match &stamped.record {
        Record::Event(event) => vec![Recorded::Event(event)],
        Record::Command(command, outcome) => vec![Recorded::Command(command, outcome)],
        Record::Ledger(rows) => rows.iter().map(Recorded::Ledger).collect(),
        Record::Catalog(_) | Record::Frame(_) | Record::Checkpoint(_) | Record::Posting(_) => {
            Vec::new()
        }
    };
    recorded.into_iter().map(|recorded| (moment, recorded)).collect()
}

/// The newest lines of journal and ledger, for whoever looks; those of the journal from `first` on are there already.
fn recall(
    engine: &mut Engine,
    now: &Now,
    reader: &Reader,
    first: Option<Seq>,
) -> Result<(), StoreError> {
    let query = JournalQuery { limit: EVENTS_KEPT, ..JournalQuery::default() };
    let lines = reader.journal(&query)?;
    let events: Vec<Event> = lines
        .into_iter()
        .rev()
        .filter(|line| first.is_none_or(|first| line.seq < first))
        .filter_map(|line| match line.entry {
            Entry::Event(event) => Some(event),
            Entry::Command { .. } | Entry::Catalog { .. } => None,
        })
        .collect();
    let rows = reader.ledger(now.wall.utc - LEDGER_BACK, now.wall.utc)?;
    engine.recall(*now, events.into_iter(), rows.into_iter().rev());
    Ok(())
}
