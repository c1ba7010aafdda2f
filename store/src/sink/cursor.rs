//! How far a sink has come. The live cursor follows the present; what it left out is a gap, and the backfill cursor goes
//! through the gaps from the oldest one on.

use std::{
    io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{record::Seq, seam::Seam};

/// Version of the file.
const VERSION: u32 = 1;
/// More gaps than this are not kept apart: what lies between the two nearest ones is then sent once more.
const GAPS: usize = 32;

/// What of the log was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursors {
    /// Everything up to here was delivered, or lies in a gap.
    live: Seq,
    /// Ascending, apart from each other, all below `live`.
    gaps: Vec<Gap>,
}

/// Records that are still to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gap {
    /// The first of them.
    pub(super) from: Seq,
    /// The last of them.
    pub(super) until: Seq,
    /// About when the first of them was recorded.
    pub(super) since: DateTime<Utc>,
}

/// The form on disk.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    live: Seq,
    backfill: Vec<Gap>,
}

/// Why the cursors of a sink cannot be read or written.
#[derive(Debug, Error)]
pub enum CursorError {
    #[error("failed to read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("failed to write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} was written by another version of coldwatch (format {found}, this one reads {VERSION}): run that version, or move the file away to send the whole log once more", path.display())]
    Version { path: PathBuf, found: u32 },
}

impl Cursors {
    /// For a sink that has sent nothing: all that is still in the log is to be sent.
    pub(super) fn before(oldest: Seq) -> Self {
        Self { live: Seq(oldest.0.saturating_sub(1)), gaps: Vec::new() }
    }

    /// Reads what was stored. `None`: nothing was, or it is damaged; both are told from each other in the program's log.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, CursorError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CursorError::Read { path: path.to_owned(), source }),
        };
        let version = serde_json::from_slice::<serde_json::Value>(&text)
            .ok()
            .and_then(|value| u32::try_from(value.get("version")?.as_u64()?).ok());
        if let Some(found) = version.filter(|version| *version != VERSION) {
            return Err(CursorError::Version { path: path.to_owned(), found });
        }
        match serde_json::from_slice::<Written>(&text) {
            Ok(written) if is_sound(&written) => {
                Ok(Some(Self { live: written.live, gaps: written.backfill }))
            }
            Ok(_) | Err(_) => {
                tracing::warn!("{} is damaged: the whole log is sent once more", path.display());
                Ok(None)
            }
        }
    }

    /// Replaces what was stored.
    pub(super) fn store(&self, seam: &dyn Seam, path: &Path) -> Result<(), CursorError> {
        let written = Written { version: VERSION, live: self.live, backfill: self.gaps.clone() };
        let failed = |source| CursorError::Write { path: path.to_owned(), source };
        let text = serde_json::to_vec(&written).map_err(|error| failed(error.into()))?;
        seam.replace(path, &text).map_err(failed)
    }

    /// The first record that is not yet delivered: the log must be kept from here on.
    pub(super) fn position(&self) -> Seq {
        self.gaps.first().map_or(Seq(self.live.0 + 1), |gap| gap.from)
    }

    /// The last record that the live cursor is done with.
    pub(super) fn live(&self) -> Seq {
        self.live
    }

    /// What the backfill cursor has before it.
    pub(super) fn gap(&self) -> Option<Gap> {
        self.gaps.first().copied()
    }

    /// The live cursor has delivered everything up to `last`.
    pub(super) fn live_delivered(&mut self, last: Seq) {
        self.live = self.live.max(last);
    }

    /// The live cursor goes on behind `last` and leaves what it did not deliver to the backfill cursor.
    pub(super) fn hand_over(&mut self, last: Seq, since: DateTime<Utc>) {
        if last <= self.live {
            return;
        }
        let from = Seq(self.live.0 + 1);
        match self.gaps.last_mut().filter(|gap| gap.until.0 + 1 == from.0) {
            Some(before) => before.until = last,
            None => self.gaps.push(Gap { from, until: last, since }),
        }
        self.live = last;
        if self.gaps.len() > GAPS {
            self.join_nearest();
        }
    }

    fn join_nearest(&mut self) {
        let apart = |index: &usize| self.gaps[index + 1].from.0 - self.gaps[*index].until.0;
        if let Some(nearest) = (0..self.gaps.len() - 1).min_by_key(apart) {
            let behind = self.gaps.remove(nearest + 1);
            self.gaps[nearest].until = behind.until;
        }
    }

    /// The backfill cursor has delivered everything up to `last` of the first gap; what comes next was recorded at
    /// `since`, where that is known.
    pub(super) fn gap_delivered(&mut self, last: Seq, since: Option<DateTime<Utc>>) {
        let Some(gap) = self.gaps.first_mut() else { return };
        if last >= gap.until {
            self.gaps.remove(0);
            return;
        }
        gap.from = gap.from.max(Seq(last.0 + 1));
        gap.since = since.unwrap_or(gap.since);
    }

    /// Gives up what is no longer in the log, and says how many records that are.
    pub(super) fn cut(&mut self, oldest: Seq) -> u64 {
        let mut lost = 0;
        self.gaps.retain_mut(|gap| {
            let first = gap.from.max(oldest).min(Seq(gap.until.0 + 1));
            lost += first.0 - gap.from.0;
            gap.from = first;
            gap.from <= gap.until
        });
        let before = Seq(oldest.0.saturating_sub(1));
        if self.live < before {
            lost += before.0 - self.live.0;
            self.live = before;
        }
        lost
    }
}

fn is_sound(written: &Written) -> bool {
    let mut last = 0;
    written.backfill.iter().all(|gap| {
        let sound = gap.from.0 > last && gap.from <= gap.until && gap.until <= written.live;
        last = gap.until.0;
        sound
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::seam::Disk;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// The live cursor delivers so many records.
        Live(u64),
        /// It leaves so many of them out.
        HandOver(u64),
        /// The backfill cursor delivers so many.
        Backfill(u64),
        /// So many of the oldest records go.
        Cut(u64),
        /// What was stored last is read again, as after a crash.
        Crash,
        Store,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..20_u64).prop_map(Step::Live),
            (1..20_u64).prop_map(Step::HandOver),
            (1..20_u64).prop_map(Step::Backfill),
            (1..5_u64).prop_map(Step::Cut),
            Just(Step::Crash),
            Just(Step::Store),
        ]
    }

    proptest! {
        #[test]
        fn no_record_is_ever_neither_sent_nor_waiting_nor_counted_as_lost(
            steps in prop::collection::vec(step(), 0..200)
        ) {
            let mut cursors = Cursors::before(Seq(1));
            let mut stored = cursors.clone();
            let (mut sent, mut newest, mut oldest) = (BTreeSet::new(), 0_u64, 1_u64);
            for step in steps {
                match step {
                    Step::Live(count) => {
                        let last = cursors.live().0 + count;
                        sent.extend(cursors.live().0 + 1..=last);
                        cursors.live_delivered(Seq(last));
                    }
                    Step::HandOver(count) => cursors.hand_over(Seq(cursors.live().0 + count), at(0)),
                    Step::Backfill(count) => {
                        if let Some(gap) = cursors.gap() {
                            let last = gap.until.0.min(gap.from.0 + count - 1);
                            sent.extend(gap.from.0..=last);
                            cursors.gap_delivered(Seq(last), None);
                        }
                    }
                    Step::Cut(count) => {
                        oldest = (oldest + count).min(newest + 1);
                        let all: BTreeSet<u64> = (1..=newest).collect();
                        let waiting = |cursors: &Cursors| -> BTreeSet<u64> {
                            let gaps = cursors.gaps.iter().flat_map(|gap| gap.from.0..=gap.until.0);
                            gaps.chain(cursors.live().0 + 1..=newest).collect()
                        };
                        let before = waiting(&cursors);
                        let lost = cursors.cut(Seq(oldest));
                        let after = waiting(&cursors);
                        prop_assert_eq!(before.len() - after.len(), usize::try_from(lost).unwrap());
                        prop_assert!(after.iter().all(|seq| *seq >= oldest));
                        prop_assert!(all.len() >= after.len());
                    }
                    Step::Store => stored = cursors.clone(),
                    Step::Crash => cursors = stored.clone(),
                }
                newest = newest.max(cursors.live().0);
                let waits = |seq: u64| {
                    seq > cursors.live().0
                        || cursors.gaps.iter().any(|gap| (gap.from.0..=gap.until.0).contains(&seq))
                };
                for seq in oldest..=newest {
                    prop_assert!(sent.contains(&seq) || waits(seq), "{} is forgotten", seq);
                    prop_assert!(seq >= cursors.position().0 || !waits(seq));
                }
                prop_assert!(cursors.gaps.len() <= GAPS);
            }
        }
    }

    #[test]
    fn a_damaged_file_sends_the_log_once_more_and_a_newer_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("influxdb.json");
        assert_eq!(Cursors::load(&path).unwrap(), None);
        for damaged in [
            "",
            "{\"version\":1,\"live\":",
            "{\"version\":1,\"live\":5,\"backfill\":[{\"from\":4,\"until\":3,\"since\":\"2026-01-01T00:00:00Z\"}]}",
            "{\"version\":1,\"live\":5,\"backfill\":[{\"from\":4,\"until\":9,\"since\":\"2026-01-01T00:00:00Z\"}]}",
        ] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(Cursors::load(&path).unwrap(), None, "{damaged}");
        }
        std::fs::write(&path, "{\"version\":2}").unwrap();
        assert!(matches!(Cursors::load(&path), Err(CursorError::Version { found: 2, .. })));
    }

    #[test]
    fn what_was_stored_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("influxdb.json");
        let mut cursors = Cursors::before(Seq(3));
        cursors.live_delivered(Seq(10));
        cursors.hand_over(Seq(20), at(1));
        cursors.live_delivered(Seq(22));
        cursors.store(&Disk, &path).unwrap();
        assert_eq!(Cursors::load(&path).unwrap(), Some(cursors));
    }

    #[test]
    fn gaps_that_touch_are_one_and_the_first_of_them_is_the_position() {
        let mut cursors = Cursors::before(Seq(1));
        assert_eq!(cursors.position(), Seq(1));
        cursors.live_delivered(Seq(10));
        cursors.hand_over(Seq(20), at(1));
        cursors.hand_over(Seq(30), at(2));
        assert_eq!(cursors.gap(), Some(Gap { from: Seq(11), until: Seq(30), since: at(1) }));
        cursors.live_delivered(Seq(40));
        cursors.gap_delivered(Seq(15), Some(at(3)));
        assert_eq!(cursors.gap(), Some(Gap { from: Seq(16), until: Seq(30), since: at(3) }));
        assert_eq!((cursors.position(), cursors.live()), (Seq(16), Seq(40)));
        cursors.gap_delivered(Seq(30), None);
        assert_eq!((cursors.position(), cursors.gap()), (Seq(41), None));
    }
}
