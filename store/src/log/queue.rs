//! What was appended and is not on disk yet. Bounded: samples give way first, and every loss is counted and told.

use std::{collections::VecDeque, time::Instant};

use super::form::Gap;
use crate::record::{Record, Seq, Stamp};

/// Samples that wait at most: about half a minute of the largest site, 16 MiB.
const SAMPLES: usize = 1 << 18;
/// Other records that wait at most. An alarm flood of ten thousand leaves room for nine more.
const OTHERS: usize = 100_000;

/// A record that waits, or what was dropped in its place.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Record(Stamp, Record),
    /// Up to this stamp.
    Gap(Stamp, Gap),
}

impl Entry {
    pub(super) fn stamp(&self) -> &Stamp {
        match self {
            Self::Record(stamp, _) | Self::Gap(stamp, _) => stamp,
        }
    }

    /// The place of the first record that it stands for.
    pub(super) fn first(&self) -> Seq {
        match self {
            Self::Record(stamp, _) => stamp.seq,
            Self::Gap(stamp, gap) => Seq(stamp.seq.0 + 1 - gap.places),
        }
    }
}

/// Entries in order, without gaps between them.
#[derive(Debug)]
pub(super) struct Queue {
    samples_max: usize,
    others_max: usize,
    entries: VecDeque<Entry>,
    samples: usize,
    others: usize,
    checkpoint: Option<Seq>,
    pub(super) dropped_samples: u64,
    pub(super) dropped_others: u64,
    /// When the thread took what it is writing now. By the machine's clock: a simulation's has leaps.
    pub(super) taken: Option<Instant>,
    pub(super) closing: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self::bounded(SAMPLES, OTHERS)
    }
}

impl Queue {
    fn bounded(samples_max: usize, others_max: usize) -> Self {
        Self {
            samples_max,
            others_max,
            entries: VecDeque::new(),
            samples: 0,
            others: 0,
            checkpoint: None,
            dropped_samples: 0,
            dropped_others: 0,
            taken: None,
            closing: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn push(&mut self, stamp: Stamp, record: Record) {
        if matches!(record, Record::Checkpoint(_)) {
            // A checkpoint that waits is worth nothing beside a newer one.
            if let Some(older) = self.checkpoint.replace(stamp.seq) {
                self.drop_place(older);
            }
        }
        self.count(&record, 1);
        self.entries.push_back(Entry::Record(stamp, record));
        self.make_room();
    }

    /// All of it, for writing.
    pub(super) fn take(&mut self) -> VecDeque<Entry> {
        self.taken = Some(Instant::now());
        (self.samples, self.others, self.checkpoint) = (0, 0, None);
        std::mem::take(&mut self.entries)
    }

    /// Back to the front, because it could not be written.
    pub(super) fn put_back(&mut self, mut unwritten: VecDeque<Entry>) {
        let newer = std::mem::take(&mut self.entries);
        (self.samples, self.others) = (0, 0);
        unwritten.extend(newer);
        self.entries = unwritten;
        let (mut samples, mut others, mut checkpoints) = (0, 0, Vec::new());
        for entry in &self.entries {
            match entry {
                Entry::Record(_, Record::Frame(frame)) => samples += frame.len(),
                Entry::Record(stamp, Record::Checkpoint(_)) => checkpoints.push(stamp.seq),
                Entry::Record(..) => others += 1,
                Entry::Gap(..) => {}
            }
        }
        (self.samples, self.others) = (samples, others + checkpoints.len());
        self.checkpoint = checkpoints.pop();
        for superseded in checkpoints {
            self.drop_place(superseded);
        }
        self.make_room();
    }

    fn count(&mut self, record: &Record, times: usize) {
        match record {
            Record::Frame(samples) => self.samples += samples.len() * times,
            _ => self.others += times,
        }
    }

    fn make_room(&mut self) {
        let frame =
            |record: &Record| matches!(record, Record::Frame(samples) if !samples.is_empty());
        while self.samples > self.samples_max && self.drop_oldest(frame) {}
        // A catalog says what later frames mean: it stays.
        let other = |record: &Record| !matches!(record, Record::Frame(_) | Record::Catalog(_));
        while self.others > self.others_max && self.drop_oldest(other) {}
    }

    /// Never the newest entry: one record finds room, whatever its size.
    fn drop_oldest(&mut self, gives_way: impl Fn(&Record) -> bool) -> bool {
        let older = self.entries.len().saturating_sub(1);
        let oldest = self
            .entries
            .iter()
            .take(older)
            .position(|entry| matches!(entry, Entry::Record(_, record) if gives_way(record)));
        if let Some(oldest) = oldest {
            self.drop_at(oldest);
        }
        oldest.is_some()
    }

    fn drop_place(&mut self, seq: Seq) {
        if let Ok(index) = self.entries.binary_search_by_key(&seq, |entry| entry.stamp().seq) {
            self.drop_at(index);
        }
    }

    /// Leaves a gap in place of a record, in one with gaps beside it.
    fn drop_at(&mut self, index: usize) {
        let Some(Entry::Record(stamp, record)) = self.entries.get(index) else { return };
        let stamp = *stamp;
        let mut gap = Gap { places: 1, samples: 0, others: 0 };
        match record {
            Record::Frame(samples) => {
                gap.samples = samples.len() as u64;
                self.samples -= samples.len();
                self.dropped_samples += gap.samples;
            }
            Record::Checkpoint(_) => self.others -= 1,
            _ => {
                gap.others = 1;
                self.others -= 1;
                self.dropped_others += 1;
            }
        }
        self.entries[index] = Entry::Gap(stamp, gap);
        self.join(index + 1);
        self.join(index);
    }

    /// Makes one gap of two neighbours: that at `index` and the one before.
    fn join(&mut self, index: usize) {
        let Some(before) = index.checked_sub(1) else { return };
        if let (Some(Entry::Gap(_, first)), Some(Entry::Gap(stamp, second))) =
            (self.entries.get(before), self.entries.get(index))
        {
            let gap = Gap {
                places: first.places + second.places,
                samples: first.samples + second.samples,
                others: first.others + second.others,
            };
            self.entries[before] = Entry::Gap(*stamp, gap);
            self.entries.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use proptest::prelude::*;
    use rules::{
        messages::{Event, SiteInfo, What},
        plant::{Plant, PointId},
        time::{BootId, Mono, Trust},
        value::{NoData, Sample},
    };

    use super::*;
    use crate::record::Catalog;

    const SAMPLES_MAX: usize = 20;
    const OTHERS_MAX: usize = 8;

    #[derive(Clone, Copy, Debug)]
    enum Act {
        Frame(usize),
        Event,
        Checkpoint,
        Catalog,
        /// The thread takes all, and brings back all but so many.
        Fail(usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (0_usize..9).prop_map(Act::Frame),
            4 => Just(Act::Event),
            1 => Just(Act::Checkpoint),
            1 => Just(Act::Catalog),
            2 => (0_usize..4).prop_map(Act::Fail),
        ]
    }

    fn record(act: Act) -> Option<Record> {
        let sample = |_| Sample {
            point: PointId(0),
            at: Mono::ZERO,
            source_time: None,
            value: Err(NoData::Timeout),
        };
        Some(match act {
            Act::Frame(samples) => Record::Frame((0..samples).map(sample).collect()),
            Act::Event => Record::Event(Event {
                at: Mono::ZERO,
                wall: None,
                asset: None,
                what: What::Link { up: true, why: String::new() },
            }),
            Act::Checkpoint => Record::Checkpoint(serde_json::Value::Null),
            Act::Catalog => Record::Catalog(Arc::new(Catalog {
                version: String::new(),
                site: SiteInfo {
                    id: String::new(),
                    name: String::new(),
                    time_zone: String::new(),
                    gateway: String::new(),
                    simulated: true,
                },
                plant: Arc::new(Plant::default()),
            })),
            Act::Fail(_) => return None,
        })
    }

    fn stamp(seq: u64) -> Stamp {
        let (mono, wall) = (Mono::ZERO, DateTime::UNIX_EPOCH);
        Stamp { seq: Seq(seq), boot: BootId(1), mono, wall, trust: Trust::Untrusted }
    }

    /// Samples and other records that wait, but for catalogs, and those told as dropped.
    fn tally<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> [u64; 4] {
        let mut tally = [0; 4];
        for entry in entries {
            match entry {
                Entry::Record(_, Record::Frame(samples)) => tally[0] += samples.len() as u64,
                Entry::Record(_, Record::Catalog(_) | Record::Checkpoint(_)) => {}
                Entry::Record(..) => tally[1] += 1,
                Entry::Gap(_, gap) => {
                    tally[2] += gap.samples;
                    tally[3] += gap.others;
                }
            }
        }
        tally
    }

    proptest! {
        #[test]
        fn nothing_vanishes_uncounted_and_places_stay_in_order(
            acts in proptest::collection::vec(act(), 0..120)
        ) {
            let mut queue = Queue::bounded(SAMPLES_MAX, OTHERS_MAX);
            let (mut pushed, mut first, mut catalogs) = ([0_u64; 2], 1, 0);
            let mut written: Vec<Entry> = Vec::new();
            let mut last = 0;
            for act in acts {
                if let Some(record) = record(act) {
                    last += 1;
                    match act {
                        Act::Frame(samples) => pushed[0] += samples as u64,
                        Act::Event => pushed[1] += 1,
                        Act::Catalog => catalogs += 1,
                        Act::Checkpoint | Act::Fail(_) => {}
                    }
                    queue.push(stamp(last), record);
                } else if let Act::Fail(done) = act {
                    let mut group = queue.take();
                    let rest = group.split_off(done.min(group.len()));
                    first = group.back().map_or(first, |entry| entry.stamp().seq.0 + 1);
                    written.extend(group);
                    queue.put_back(rest);
                }
                let mut next = first;
                for entry in &queue.entries {
                    prop_assert_eq!(entry.first().0, next);
                    next = entry.stamp().seq.0 + 1;
                }
                prop_assert_eq!(next, last + 1);
                // One record more than the bound, when it is the newest.
                prop_assert!(queue.samples <= SAMPLES_MAX + 8);
            }
            let catalogs_kept = written.iter().chain(&queue.entries);
            let catalogs_kept = catalogs_kept
                .filter(|entry| matches!(entry, Entry::Record(_, Record::Catalog(_))));
            prop_assert_eq!(catalogs_kept.count(), catalogs);
            let [samples, others, dropped_samples, dropped_others] =
                tally(written.iter().chain(&queue.entries));
            prop_assert_eq!([samples + dropped_samples, others + dropped_others], pushed);
            prop_assert_eq!([queue.dropped_samples, queue.dropped_others], [dropped_samples, dropped_others]);
            let waiting = queue.entries.iter().filter(|entry| matches!(entry, Entry::Record(_, Record::Checkpoint(_))));
            prop_assert!(waiting.count() <= 1);
        }
    }
}
