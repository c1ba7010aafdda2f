//! What the pipeline writes down: samples gathered to frames, and what was decided behind the samples that caused it.

use std::{mem, time::Duration};

use rules::{engine::Events, plant::Plant, time::Now, value::Sample};
use store::{
    log::{Durable, Storing, Writer},
    record::{Record, Seq},
};
use tokio::{sync::watch, time::Instant};

use super::reply_times::ReplyTimes;

/// Samples that a broker waits for are written after this long at the latest; all others with the next tick.
const OWED_WITHIN: Duration = Duration::from_millis(50);

/// Nothing is kept in a gateway without a store: then everything counts as stored at once.
pub(super) struct Recorder {
    writer: Option<Writer>,
    durable: watch::Receiver<Durable>,
    gathered: Vec<Sample>,
    reply_times: ReplyTimes,
    /// The last record that was handed over.
    last: Seq,
    owed_by: Option<Instant>,
}

impl Recorder {
    pub(super) fn new(writer: Option<Writer>) -> Self {
        let durable = match &writer {
            Some(writer) => writer.durable(),
            // Its other end is gone, so it never changes.
            None => watch::channel(Durable { seq: Seq::default(), storing: Storing::Stored }).1,
        };
        let last = durable.borrow().seq;
        let reply_times = ReplyTimes::default();
        Self { writer, durable, gathered: Vec::new(), reply_times, last, owed_by: None }
    }

    /// The plant that later samples are of.
    pub(super) fn watch(&mut self, plant: &Plant) {
        self.reply_times = ReplyTimes::of(plant);
    }

    /// False for a gateway that keeps nothing.
    pub(super) fn keeps(&self) -> bool {
        self.writer.is_some()
    }

    pub(super) fn durable(&self) -> watch::Receiver<Durable> {
        self.durable.clone()
    }

    pub(super) fn last(&self) -> Seq {
        self.last
    }

    pub(super) fn gather(&mut self, samples: &[Sample]) {
        if self.keeps() {
            self.reply_times.thin(samples, &mut self.gathered);
        }
    }

    /// Somebody waits for what is gathered.
    pub(super) fn hurry(&mut self) {
        self.owed_by.get_or_insert_with(|| Instant::now() + OWED_WITHIN);
    }

    /// When what is gathered must be written.
    pub(super) fn owed_by(&self) -> Option<Instant> {
        self.owed_by
    }

    /// The seq that the samples gathered so far will have, or have.
    pub(super) fn next(&self) -> Seq {
        if self.gathered.is_empty() { self.last } else { Seq(self.last.0 + 1) }
    }

    /// Writes what is gathered, then what was decided from it, as one group.
    pub(super) fn write(&mut self, now: &Now, decided: impl IntoIterator<Item = Record>) {
        self.owed_by = None;
        let Some(writer) = &mut self.writer else { return };
        let mut records = Vec::new();
        if !self.gathered.is_empty() {
            records.push(Record::frame(mem::take(&mut self.gathered)));
        }
        records.extend(decided);
        if !records.is_empty() {
            self.last = writer.append(now, records);
        }
    }

    /// Writes everything and waits until it is on disk.
    pub(super) fn close(self) -> Result<(), store::log::LogError> {
        self.writer.map_or(Ok(()), Writer::close)
    }
}

/// The records of what a step decided.
pub(super) fn records(events: &mut Events) -> impl Iterator<Item = Record> + '_ {
    let rows = Record::ledger(mem::take(&mut events.rows));
    events.events.drain(..).map(Record::Event).chain(rows)
}
