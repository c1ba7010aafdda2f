//! Reads ahead in the log: which records make up the next run, the one that seals the next bucket.
//!
//! A run ends a little after its bucket does by the stamps of the records, so that samples that come a few seconds late
//! are in the block and not in a second part of it. What belongs to the next bucket is left for the next run.

use std::sync::Arc;

use rules::value::Sample;

use super::{HistoryError, QUARTER_MS, book::Book, database::Mark};
use crate::{
    log::{LogReader, Placement},
    record::{Catalog, Record, Seq, Stamp},
};

/// So long after the end of a bucket it is sealed.
const GRACE_MS: i64 = 10_000;

/// A clock that went back by more than this is not a clock that is corrected a little: the run ends there.
const STEP_BACK_MS: i64 = 60_000;

/// What the next transaction seals: of the records after `from.applied` up to `to.taken`, what `from` does not have and
/// `to` does.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) from: Mark,
    pub(super) to: Mark,
    /// How many samples each series has, at most.
    pub(super) samples: Vec<u32>,
}

/// What looking ahead has found.
#[derive(Debug)]
pub(super) enum Found {
    Run(Run),
    /// The next run is complete after so many milliseconds of record time; `None`: nothing is known of it yet.
    Incomplete(Option<i64>),
}

/// Goes on where it stopped, so that each record is looked at once.
#[derive(Debug)]
pub(super) struct Survey {
    from: Mark,
    /// The next record to look at.
    next: u64,
    /// The last one that belongs to the run.
    taken: u64,
    cut_ms: Option<i64>,
    newest_ms: i64,
    /// The first record that has samples for later runs.
    first_left: Option<u64>,
    samples: Vec<u32>,
}

enum Belongs {
    Yes,
    /// To the next run.
    No,
    /// Its wall time is not known yet.
    Later,
}

impl Survey {
    pub(super) fn new(from: Mark) -> Self {
        Self {
            from,
            next: from.applied + 1,
            taken: from.taken,
            cut_ms: None,
            newest_ms: i64::MIN,
            first_left: None,
            samples: Vec::new(),
        }
    }

    /// The number of the last record that was looked at.
    pub(super) fn looked_at(&self) -> u64 {
        self.next - 1
    }

    pub(super) fn look(&mut self, log: &LogReader, book: &mut Book) -> Result<Found, HistoryError> {
        let mut records = log.read(Seq(self.next.max(log.oldest().0)))?;
        while let Some(stamped) = records.next() {
            let stamped = stamped?;
            let seq = stamped.stamp.seq.0;
            if seq > self.from.taken {
                match self.belongs(place_record(log, &stamped.stamp)) {
                    Belongs::Yes => self.taken = seq,
                    Belongs::No => return Ok(Found::Run(self.run())),
                    Belongs::Later => return Ok(Found::Incomplete(None)),
                }
            }
            if let (Record::Frame(samples), Some(catalog)) = (&stamped.record, records.catalog()) {
                self.count(log, book, &stamped.stamp, samples, catalog);
            }
            self.next = seq + 1;
        }
        let missing = |cut_ms: i64| (cut_ms + GRACE_MS).saturating_sub(self.newest_ms);
        Ok(Found::Incomplete(self.cut_ms.map(missing)))
    }

    fn belongs(&mut self, placement: Placement) -> Belongs {
        let at_ms = match placement {
            Placement::At(at_ms) => at_ms,
            Placement::NotYet => return Belongs::Later,
            Placement::Never => return Belongs::Yes,
        };
        let after = at_ms - at_ms.rem_euclid(QUARTER_MS) + QUARTER_MS;
        match self.cut_ms {
            // Everything that was left for later is sealed first, then a bucket is begun anew.
            None if self.from.cut_ms != i64::MAX && at_ms < self.from.cut_ms - STEP_BACK_MS => {
                self.cut_ms = Some(i64::MAX);
                return Belongs::No;
            }
            None if self.from.cut_ms != i64::MAX
                && at_ms <= self.from.cut_ms + QUARTER_MS + GRACE_MS =>
            {
                self.cut_ms = Some(self.from.cut_ms + QUARTER_MS);
            }
            None => self.cut_ms = Some(after),
            Some(cut_ms) if at_ms > cut_ms + GRACE_MS => return Belongs::No,
            Some(_) if at_ms < self.newest_ms.saturating_sub(STEP_BACK_MS) => {
                self.cut_ms = Some(i64::MAX);
                return Belongs::No;
            }
            Some(_) => {}
        }
        self.newest_ms = self.newest_ms.max(at_ms);
        Belongs::Yes
    }

    fn count(
        &mut self,
        log: &LogReader,
        book: &mut Book,
        stamp: &Stamp,
        samples: &[Sample],
        catalog: &Arc<Catalog>,
    ) {
        for sample in samples {
            let Placement::At(at_ms) = log.place(stamp, sample) else { continue };
            if self.from.has(stamp.seq.0, at_ms) {
                continue;
            }
            // Of a record before the first one with a time it is not known; too early is only read again for nothing.
            if self.cut_ms.is_none_or(|cut_ms| at_ms >= cut_ms) {
                self.first_left.get_or_insert(stamp.seq.0);
            }
            let Some(series) = book.series(catalog, sample.point) else { continue };
            let series = series as usize;
            if self.samples.len() <= series {
                self.samples.resize(series + 1, 0);
            }
            self.samples[series] += 1;
        }
    }

    fn run(&mut self) -> Run {
        let cut_ms = self.cut_ms.unwrap_or(i64::MAX);
        let applied = match self.first_left {
            Some(first) if cut_ms != i64::MAX => first - 1,
            _ => self.taken,
        };
        let to = Mark { applied, taken: self.taken, cut_ms };
        Run { from: self.from, to, samples: std::mem::take(&mut self.samples) }
    }
}

/// The wall time of the record itself.
fn place_record(log: &LogReader, stamp: &Stamp) -> Placement {
    let nothing = Sample {
        point: rules::id::PointId(0),
        at: stamp.mono,
        source_time: None,
        value: Err(rules::value::NoData::NeverSeen),
    };
    log.place(stamp, &nothing)
}
