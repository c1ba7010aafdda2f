//! From records of the log to bodies of requests.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rules::{
    id::PointId,
    messages::{Event, What},
    value::Sample,
};

use super::{
    client::pack,
    line::{Lines, Unwritten},
};
use crate::{
    log::{LogError, LogReader, Placement},
    record::{Catalog, Record, Seq, Stamp, Stamped},
};

/// So many records are looked at for one chunk, when hardly any of them becomes a line.
const RECORDS_MAX: usize = 2_000;

/// How much goes into one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) lines: usize,
    /// Before compression.
    pub(super) bytes: usize,
}

/// Lines for one request.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) lines: Vec<u8>,
    pub(super) count: usize,
    /// The same, compressed.
    pub(super) packed: Vec<u8>,
}

/// A value that no line was made of.
#[derive(Debug)]
pub(super) struct Unsent {
    pub(super) what: String,
    pub(super) why: Unwritten,
}

/// What some successive records came to.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bodies: Vec<Body>,
    /// The last record in it, also when it became no line.
    pub(super) last: Seq,
    /// When that was recorded, where wall time was trusted.
    pub(super) recorded: Option<DateTime<Utc>>,
    /// The next record belongs to a time that is not known yet.
    pub(super) waits: bool,
    /// Samples without a value, or without a time that will ever be known.
    pub(super) skipped: u64,
    pub(super) unsent: Vec<Unsent>,
    /// Records that cannot be read.
    pub(super) unreadable: u64,
}

/// Turns records into bodies. Remembers what the points of the last catalog are called.
#[derive(Debug)]
pub(super) struct Batcher {
    tags: Arc<[(String, String)]>,
    lines: Option<(Arc<Catalog>, Lines)>,
    places: Vec<i64>,
}

impl Batcher {
    pub(super) fn new(tags: &[(String, String)]) -> Self {
        Self { tags: tags.into(), lines: None, places: Vec::new() }
    }

    /// Reads records from `from` up to `until` at most, until a request is full. Blocks on files.
    ///
    /// # Errors
    /// Those of the file system. A record that is damaged is passed over and counted.
    pub(super) fn gather(
        &mut self,
        log: &LogReader,
        from: Seq,
        until: Seq,
        limits: Limits,
    ) -> Result<Chunk, LogError> {
        let mut chunk = Chunk {
            bodies: Vec::new(),
            last: Seq(from.0.saturating_sub(1)),
            recorded: None,
            waits: false,
            skipped: 0,
            unsent: Vec::new(),
            unreadable: 0,
        };
        let mut open = Open { limits, lines: Vec::new(), count: 0 };
        let mut records = log.read(from)?;
        for _ in 0..RECORDS_MAX {
            if chunk.last >= until || open.is_full() || !chunk.bodies.is_empty() {
                break;
            }
            let Stamped { stamp, record } = match records.next() {
                None => {
                    // What is missing at the end is damaged, and the log has said so.
                    chunk.last = chunk.last.max(records.limit().min(until));
                    break;
                }
                Some(Err(LogError::Record { seq, .. })) => {
                    chunk.last = seq.max(Seq(chunk.last.0 + 1));
                    chunk.unreadable += 1;
                    break;
                }
                Some(read) => read?,
            };
            let catalog = records.catalog().map(Arc::clone);
            if !self.add(log, &stamp, &record, catalog, &mut open, &mut chunk) {
                chunk.waits = true;
                break;
            }
            chunk.last = stamp.seq.min(until);
            chunk.recorded = stamp.trust.is_trusted().then_some(stamp.wall).or(chunk.recorded);
        }
        open.close(&mut chunk.bodies);
        Ok(chunk)
    }

    /// `false`: its time is not known yet, and nothing of it was added.
    fn add(
        &mut self,
        log: &LogReader,
        stamp: &Stamp,
        record: &Record,
        catalog: Option<Arc<Catalog>>,
        open: &mut Open,
        chunk: &mut Chunk,
    ) -> bool {
        let Some(catalog) = catalog else {
            // Whose samples these are stood in a part of the log that is damaged.
            if let Record::Frame(samples) = record {
                chunk.skipped += samples.len() as u64;
            }
            return true;
        };
        match record {
            Record::Frame(samples) => {
                if !self.place(log, stamp, samples) {
                    return false;
                }
                let places = std::mem::take(&mut self.places);
                let lines = self.lines(&catalog);
                for (sample, place) in samples.iter().zip(&places) {
                    one(&catalog, lines, sample, *place, open, chunk);
                }
                self.places = places;
            }
            Record::Event(event) if matches!(event.what, What::Moved(_) | What::Anchor(_)) => {
                let milliseconds = match log.place(stamp, &sample_of(event)) {
                    Placement::At(milliseconds) => milliseconds,
                    Placement::NotYet => return false,
                    Placement::Never => {
                        chunk.skipped += 1;
                        return true;
                    }
                };
                let lines = self.lines(&catalog);
                match &event.what {
                    What::Moved(moved) => {
                        lines.moved(&mut open.lines, event.asset.as_deref(), moved, milliseconds);
                    }
                    What::Anchor(anchor) => lines.anchor(&mut open.lines, anchor, milliseconds),
                    _ => return true,
                }
                open.added(&mut chunk.bodies);
            }
            Record::Event(_)
            | Record::Catalog(_)
            | Record::Command(..)
            | Record::Ledger(_)
            | Record::Posting(_)
            | Record::Checkpoint(_) => {}
        }
        true
    }

    /// Finds the time of every sample; [`NEVER`] where it will not be known. `false`: not yet.
    fn place(&mut self, log: &LogReader, stamp: &Stamp, samples: &[Sample]) -> bool {
        self.places.clear();
        for sample in samples {
            self.places.push(match log.place(stamp, sample) {
                Placement::At(milliseconds) => milliseconds,
                Placement::Never => NEVER,
                Placement::NotYet => return false,
            });
        }
        true
    }

    fn lines(&mut self, catalog: &Arc<Catalog>) -> &Lines {
        let known = self.lines.take().filter(|(known, _)| Arc::ptr_eq(known, catalog));
        let made = known.unwrap_or_else(|| (Arc::clone(catalog), Lines::new(catalog, &self.tags)));
        &self.lines.insert(made).1
    }
}

/// No moment that a clock of ours tells.
const NEVER: i64 = i64::MIN;

fn one(
    catalog: &Catalog,
    lines: &Lines,
    sample: &Sample,
    milliseconds: i64,
    open: &mut Open,
    chunk: &mut Chunk,
) {
    let Ok(value) = sample.value.as_ref() else {
        chunk.skipped += 1;
        return;
    };
    if milliseconds == NEVER {
        chunk.skipped += 1;
        return;
    }
    match lines.sample(&mut open.lines, sample.point, value, milliseconds) {
        Ok(()) => open.added(&mut chunk.bodies),
        Err(why) => {
            let known = sample.point.index() < catalog.plant.points().len();
            let name = if known {
                catalog.plant.point_name(sample.point)
            } else {
                format!("point {}", sample.point.index())
            };
            chunk
                .unsent
                .push(Unsent { what: format!("{name} = {value:?} at {milliseconds}"), why });
        }
    }
}

/// The body that lines are being added to.
#[derive(Debug)]
struct Open {
    limits: Limits,
    lines: Vec<u8>,
    count: usize,
}

impl Open {
    fn is_full(&self) -> bool {
        self.count >= self.limits.lines || self.lines.len() >= self.limits.bytes
    }

    /// To be called after each line.
    fn added(&mut self, bodies: &mut Vec<Body>) {
        self.count += 1;
        if self.is_full() {
            self.close(bodies);
        }
    }

    fn close(&mut self, bodies: &mut Vec<Body>) {
        if self.count == 0 {
            return;
        }
        let lines = std::mem::take(&mut self.lines);
        let packed = pack(&lines);
        bodies.push(Body { lines, count: std::mem::take(&mut self.count), packed });
    }
}
/// A sample of the moment of an event, which has the same time.
fn sample_of(event: &Event) -> Sample {
    Sample {
        point: PointId(0),
        at: event.at,
        source_time: event.wall,
        value: Err(rules::value::NoData::NeverSeen),
    }
}
