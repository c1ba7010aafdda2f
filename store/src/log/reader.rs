//! Reading the log: from any place on, beside the writer, also from another process.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use rules::{time::BootId, time::Mono, value::Sample};
use tokio::sync::watch;

use super::{
    Durable, LogError, Storing,
    form::{self, Anchor, Head, Kind},
    frame::Memory,
    io_error,
    segment::{self, Found, Marks, RecordReader, Segment, Segments, Step},
};
use crate::{
    record::{Catalog, Record, Seq, Stamp, Stamped},
    seam::{Disk, Seam},
};

/// Readers whose position is kept for the next one that goes on where they ended.
const PARKED: usize = 8;
/// Decoded catalogs that are kept: the one in force, and those around a reload.
const CATALOGS: usize = 4;
/// A source time further in the future than this is not believed (S6).
const SKEW: TimeDelta = TimeDelta::seconds(60);

/// Reads the log. Clones share what they know of it.
#[derive(Clone, Debug)]
pub struct LogReader {
    shared: Arc<Shared>,
}

/// Where a sample belongs in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Milliseconds since 1970, UTC.
    At(i64),
    /// Wall time is not trusted yet in this run: it may become so.
    NotYet,
    /// The run ended before wall time was trusted.
    Never,
}

/// What all readers of a log share, among them the thread that writes it.
#[derive(Debug)]
pub(super) struct Shared {
    seam: Arc<dyn Seam>,
    dir: PathBuf,
    segments: Mutex<Segments>,
    durable: Arc<watch::Sender<Durable>>,
    /// The run that writes the log; `None`: another process may.
    live: Option<BootId>,
    parked: Mutex<Vec<Parked>>,
    catalogs: Mutex<Vec<InForce>>,
    anchors: Mutex<HashMap<BootId, Option<Anchor>>>,
    /// Places without a readable record: the first, and how many.
    lost: Mutex<BTreeMap<Seq, u64>>,
}

/// A catalog and the place where it came into force.
type InForce = (Seq, Arc<Catalog>);

/// Where a reader ended.
struct Parked {
    next: Seq,
    frames: bool,
    segment: Arc<Segment>,
    offset: u64,
    memory: Memory,
    follows: bool,
    catalog: Option<InForce>,
}

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parked({}, {})", self.next.0, self.segment.path.display())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(
        seam: Arc<dyn Seam>,
        dir: PathBuf,
        segments: Segments,
        durable: Arc<watch::Sender<Durable>>,
        live: Option<BootId>,
    ) -> Self {
        Self {
            seam,
            dir,
            segments: Mutex::new(segments),
            durable,
            live,
            parked: Mutex::default(),
            catalogs: Mutex::default(),
            anchors: Mutex::default(),
            lost: Mutex::default(),
        }
    }

    pub(super) fn add(&self, segment: Arc<Segment>) {
        lock(&self.segments).insert(segment.header.first, segment);
    }

    fn durable(&self) -> Seq {
        self.durable.borrow().seq
    }

    fn oldest(&self) -> Seq {
        let oldest = lock(&self.segments).keys().next().copied();
        oldest.unwrap_or_else(|| Seq(self.durable().0 + 1))
    }

    /// The segment in which `seq` is, or the first one behind it.
    fn segment_of(&self, seq: Seq) -> Option<Arc<Segment>> {
        let segments = lock(&self.segments);
        let (_, found) =
            segments.range(..=seq).next_back().or_else(|| segments.first_key_value())?;
        Some(Arc::clone(found))
    }

    fn segment_after(&self, first: Seq) -> Option<Arc<Segment>> {
        let segments = lock(&self.segments);
        let mut behind = segments.range((Bound::Excluded(first), Bound::Unbounded));
        behind.next().map(|(_, segment)| Arc::clone(segment))
    }

    /// Newest first.
    fn backwards(&self) -> Vec<Arc<Segment>> {
        lock(&self.segments).values().rev().cloned().collect()
    }

    /// The catalog whose record is at `offset`, decoded once.
    fn catalog(&self, segment: &Segment, place: Seq, offset: u64) -> Result<InForce, LogError> {
        if let Some(known) = self.known_catalog(place) {
            return Ok(known);
        }
        let json = catalog_json(segment, offset)?;
        let catalog = form::catalog(&json).ok_or_else(|| broken(segment, place))?;
        Ok(self.keep_catalog((place, Arc::new(catalog))))
    }

    fn known_catalog(&self, place: Seq) -> Option<InForce> {
        lock(&self.catalogs).iter().find(|(known, _)| *known == place).cloned()
    }

    /// The same one for all readers.
    fn keep_catalog(&self, catalog: InForce) -> InForce {
        let mut catalogs = lock(&self.catalogs);
        if let Some(known) = catalogs.iter().find(|(place, _)| *place == catalog.0) {
            return known.clone();
        }
        if catalogs.len() >= CATALOGS {
            catalogs.remove(0);
        }
        catalogs.push(catalog.clone());
        catalog
    }

    fn park(&self, parked: Parked) {
        let mut all = lock(&self.parked);
        if all.len() >= PARKED {
            all.remove(0);
        }
        all.push(parked);
    }

    fn unpark(&self, next: Seq, frames: bool) -> Option<Parked> {
        let mut all = lock(&self.parked);
        let index = all.iter().position(|parked| parked.next == next && parked.frames == frames)?;
        Some(all.remove(index))
    }

    fn lose(&self, segment: &Segment, first: Seq, places: u64) {
        if lock(&self.lost).insert(first, places).is_none() {
            tracing::error!(
                "{} is damaged: {places} records from {} on cannot be read",
                segment.path.display(),
                first.0
            );
        }
    }
}

fn broken(segment: &Segment, seq: Seq) -> LogError {
    LogError::Record { seq, path: segment.path.clone() }
}

/// The payload of the record at `offset`, unpacked.
fn payload_at(segment: &Segment, offset: u64) -> Result<(Head, Vec<u8>), LogError> {
    let open = RecordReader::open(segment, offset);
    let mut records = open.map_err(io_error("read", &segment.path))?;
    match records.next().map_err(io_error("read", &segment.path))? {
        Step::Record(head, payload) => {
            let unpacked = form::unpack(head.packed, payload);
            Ok((head, unpacked.ok_or_else(|| broken(segment, head.stamp.seq))?))
        }
        Step::End | Step::Bad => Err(broken(segment, segment.header.first)),
    }
}

fn catalog_json(segment: &Segment, offset: u64) -> Result<Vec<u8>, LogError> {
    let (head, mut payload) = payload_at(segment, offset)?;
    if head.kind == Kind::CatalogAgain {
        let (_, json) =
            form::split_catalog_again(&payload).ok_or_else(|| broken(segment, head.stamp.seq))?;
        payload = json.to_vec();
    }
    Ok(payload)
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Reads a log that another process may be writing. Changes nothing in the folder.
    ///
    /// # Errors
    /// When the folder cannot be read, or was written by another version.
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        let durable = Durable { seq: Seq(0), storing: Storing::Stored };
        let durable = Arc::new(watch::Sender::new(durable));
        let shared = Shared::new(Arc::new(Disk), dir.to_owned(), Segments::new(), durable, None);
        let reader = Self::new(Arc::new(shared));
        reader.refresh()?;
        Ok(reader)
    }

    /// Looks for what another process added.
    fn refresh(&self) -> Result<(), LogError> {
        if self.shared.live.is_some() {
            return Ok(());
        }
        let dir = &self.shared.dir;
        let mut there = Segments::new();
        let paths = self.shared.seam.list(dir).map_err(io_error("list", dir))?;
        let known = lock(&self.shared.segments).clone();
        for path in paths {
            let Some(first) = segment::first_of(&path) else { continue };
            // One without records may have been made anew, with another header.
            if let Some(segment) = known.get(&first).filter(|known| known.marks().last >= first) {
                there.insert(first, Arc::clone(segment));
                continue;
            }
            match segment::look(&path) {
                Ok(Found::Segment(segment)) => drop(there.insert(first, segment)),
                Ok(Found::Version(found)) => return Err(LogError::Version { path, found }),
                // Just being made, or damaged.
                Ok(Found::Broken(_)) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error("read", &path)(error)),
            }
        }
        let newest = there.last_key_value().map(|(_, segment)| Arc::clone(segment));
        // What was the newest may have grown before the next one was begun.
        let before = known.last_key_value().map(|(first, _)| *first);
        let grown = before.and_then(|first| there.get(&first)).cloned();
        if let Some(grown) = grown {
            grown.rescan().map_err(io_error("read", &grown.path))?;
        }
        *lock(&self.shared.segments) = there;
        if let Some(newest) = newest {
            let last = newest.rescan().map_err(io_error("read", &newest.path))?.last;
            self.shared.durable.send_if_modified(|durable| {
                let changed = durable.seq < last;
                durable.seq = durable.seq.max(last);
                changed
            });
        }
        Ok(())
    }

    /// The place of the oldest record that is still there; one past the last when there is none.
    pub fn oldest(&self) -> Seq {
        self.shared.oldest()
    }

    /// The place of the last record that outlives a power cut. Of another process's log: of the last record in it.
    pub fn durable(&self) -> Seq {
        if let Err(error) = self.refresh() {
            tracing::warn!("{error}");
        }
        self.shared.durable()
    }

    /// Tells when more is durable. Of another process's log it tells only what this reader was asked for.
    pub fn changed(&self) -> watch::Receiver<Durable> {
        self.shared.durable.subscribe()
    }

    /// How many records could not be read so far, because a file is damaged.
    pub fn lost(&self) -> u64 {
        lock(&self.shared.lost).values().sum()
    }

    /// Bytes of all segments, and how many there are.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn size(&self) -> Result<(u64, usize), LogError> {
        self.refresh()?;
        let segments = self.shared.backwards();
        let mut bytes = 0;
        for segment in &segments {
            bytes += length(segment).map_err(io_error("read", &segment.path))?;
        }
        Ok((bytes, segments.len()))
    }

    /// The records from a place on, up to what is durable now. Begins at the oldest one when that is behind `from`.
    /// Going on where an earlier reader ended is cheap. Reads files while it is iterated.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn read(&self, from: Seq) -> Result<Records, LogError> {
        self.records(from, true)
    }

    /// Like [`Self::read`] without the frames, which costs a tenth.
    ///
    /// # Errors
    /// As there.
    pub fn read_without_frames(&self, from: Seq) -> Result<Records, LogError> {
        self.records(from, false)
    }

    fn records(&self, from: Seq, frames: bool) -> Result<Records, LogError> {
        let limit = self.durable();
        let shared = Arc::clone(&self.shared);
        let mut records = Records {
            shared,
            frames,
            limit,
            next: from,
            at: None,
            reader: None,
            memory: Memory::default(),
            follows: false,
            catalog: None,
            failed: false,
        };
        if from <= limit {
            records.begin()?;
        }
        Ok(records)
    }

    /// The newest checkpoint.
    ///
    /// # Errors
    /// Those of the file system, or a damaged record.
    pub fn last_checkpoint(&self) -> Result<Option<Stamped>, LogError> {
        self.refresh()?;
        let mut known_place = None;
        for segment in self.shared.backwards() {
            if known_place.is_some_and(|place| place < segment.header.first) {
                continue;
            }
            let marks = scan(&segment)?;
            if let Some((_, offset)) = marks.checkpoint {
                let (head, payload) = payload_at(&segment, offset)?;
                let record = form::record(&head, &payload, &mut Memory::default());
                let record = record.ok_or_else(|| broken(&segment, head.stamp.seq))?;
                return Ok(Some(Stamped { stamp: head.stamp, record }));
            }
            match segment.header.checkpoint {
                Some(place) => known_place = Some(place),
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The place of the newest checkpoint, for the header of the next segment.
    pub(super) fn checkpoint_seq(&self) -> Option<Seq> {
        let newest = self.shared.backwards().into_iter().next()?;
        let here = newest.marks().checkpoint.map(|(place, _)| place);
        here.or(newest.header.checkpoint)
    }

    /// The newest catalog, with the place where it came into force.
    ///
    /// # Errors
    /// Those of the file system, or a damaged record.
    pub fn last_catalog(&self) -> Result<Option<(Seq, Arc<Catalog>)>, LogError> {
        self.refresh()?;
        for segment in self.shared.backwards() {
            if let Some((place, offset)) = scan(&segment)?.catalogs.last().copied() {
                return self.shared.catalog(&segment, place, offset).map(Some);
            }
        }
        Ok(None)
    }

    /// The newest catalog before a place as JSON, for the beginning of the next segment.
    pub(super) fn catalog_json(&self, before: Seq) -> Option<(Seq, Vec<u8>)> {
        self.shared.backwards().into_iter().find_map(|segment| {
            let marks = scan(&segment).ok()?;
            let (place, offset) = marks.catalogs.last().filter(|(place, _)| *place < before)?;
            Some((*place, catalog_json(&segment, *offset).ok()?))
        })
    }

    /// The wall time of a sample in the record with this stamp: its source time where it has one that is not more than
    /// 60 s ahead, else when it was received. History and sinks both ask here, so their times are equal.
    pub fn place(&self, stamp: &Stamp, sample: &Sample) -> Placement {
        let anchor = if stamp.trust.is_trusted() {
            Ok(Anchor { mono: stamp.mono, wall: stamp.wall })
        } else {
            self.anchor(stamp.boot)
        };
        match (anchor, sample.source_time) {
            (Ok(anchor), source_time) => {
                let received = received(anchor, sample.at);
                let believed = source_time.filter(|time| *time - received <= SKEW);
                Placement::At(believed.unwrap_or(received).timestamp_millis())
            }
            (Err(Placement::Never), Some(source_time)) => {
                Placement::At(source_time.timestamp_millis())
            }
            (Err(placement), _) => placement,
        }
    }

    /// A trusted moment of that run, the first one.
    fn anchor(&self, boot: BootId) -> Result<Anchor, Placement> {
        if let Some(known) = lock(&self.shared.anchors).get(&boot) {
            return known.ok_or(Placement::Never);
        }
        let segments = lock(&self.shared.segments);
        let mut newest_first = segments.values().rev();
        let runs = match self.shared.live {
            Some(live) => live == boot,
            None => newest_first.clone().next().is_some_and(|newest| newest.header.boot == boot),
        };
        let last = newest_first.find(|segment| segment.header.boot == boot).cloned();
        drop(segments);
        let found =
            last.and_then(|segment| segment.header.anchor.or_else(|| scan(&segment).ok()?.trusted));
        if found.is_none() && runs {
            return Err(Placement::NotYet);
        }
        lock(&self.shared.anchors).insert(boot, found);
        found.ok_or(Placement::Never)
    }

    /// Deletes the segments that lie wholly before a place, and says how many bytes that freed. The newest one stays, and
    /// the one before it as long as the newest has no checkpoint.
    ///
    /// # Errors
    /// Those of the file system, and none of the deletions counts then.
    pub fn drop_before(&self, seq: Seq) -> Result<u64, LogError> {
        if self.shared.live.is_none() {
            return Ok(0);
        }
        let mut freed = 0;
        loop {
            let mut segments = lock(&self.shared.segments);
            let mut oldest = segments.values();
            let (Some(first), Some(second)) = (oldest.next(), oldest.next()) else { break };
            let holds_restart = oldest.next().is_none() && second.marks().checkpoint.is_none();
            if second.header.first > seq || holds_restart {
                break;
            }
            let first = Arc::clone(first);
            // An anchor that untrusted samples elsewhere depend on is kept by later segments of the same run.
            let bytes = length(&first).unwrap_or(0);
            match self.shared.seam.remove(&first.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error("remove", &first.path)(error));
                }
                Ok(()) | Err(_) => {}
            }
            segments.remove(&first.header.first);
            freed += bytes;
        }
        if freed > 0 {
            let dir = &self.shared.dir;
            self.shared.seam.sync_dir(dir).map_err(io_error("sync", dir))?;
        }
        Ok(freed)
    }
}

fn length(segment: &Segment) -> io::Result<u64> {
    std::fs::metadata(&segment.path).map(|metadata| metadata.len())
}

fn scan(segment: &Segment) -> Result<Marks, LogError> {
    segment.scan().map_err(io_error("read", &segment.path))
}

/// When an instant of the anchor's run was.
fn received(anchor: Anchor, at: Mono) -> DateTime<Utc> {
    let span = |span: Duration| TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
    anchor
        .wall
        .checked_sub_signed(span(anchor.mono.since(at)))
        .and_then(|time| time.checked_add_signed(span(at.since(anchor.mono))))
        .unwrap_or(anchor.wall)
}

/// Iterates over records in order. See [`LogReader::read`].
///
/// A frame without samples may stand for several places: samples that were dropped while the disk was full.
#[derive(Debug)]
pub struct Records {
    shared: Arc<Shared>,
    frames: bool,
    limit: Seq,
    /// The place that is wanted next.
    next: Seq,
    /// Behind the last record that was taken.
    at: Option<(Arc<Segment>, u64)>,
    reader: Option<RecordReader>,
    memory: Memory,
    /// The memory is that of the frame before the next one.
    follows: bool,
    catalog: Option<InForce>,
    failed: bool,
}

/// What one record comes to.
enum Taken {
    Record(Box<Stamped>),
    /// Not for the caller.
    Passed,
    /// Nothing more in this segment.
    SegmentEnds,
    Limit,
}

impl Records {
    /// The catalog in force for the record that was returned last.
    pub fn catalog(&self) -> Option<&Arc<Catalog>> {
        self.catalog.as_ref().map(|(_, catalog)| catalog)
    }

    /// The last place that this iterator goes to: what was durable when it was made.
    pub fn limit(&self) -> Seq {
        self.limit
    }

    /// Finds where to begin.
    fn begin(&mut self) -> Result<(), LogError> {
        if let Some(parked) = self.shared.unpark(self.next, self.frames) {
            let open = RecordReader::open(&parked.segment, parked.offset);
            // Its segment may be gone meanwhile.
            if let Ok(reader) = open {
                self.reader = Some(reader);
                self.at = Some((parked.segment, parked.offset));
                (self.memory, self.follows) = (parked.memory, parked.follows);
                self.catalog = parked.catalog;
                return Ok(());
            }
        }
        let mut found = self.shared.segment_of(self.next);
        while let Some(segment) = found {
            match self.begin_in(&segment) {
                Err(error) if error.is_gone() => {
                    found = self.shared.segment_after(segment.header.first);
                }
                done => return done,
            }
        }
        Ok(())
    }

    fn begin_in(&mut self, segment: &Arc<Segment>) -> Result<(), LogError> {
        let marks = scan(segment)?;
        let offset = marks.before(self.next);
        self.catalog = match marks.catalog_at(offset) {
            Some((place, offset)) => Some(self.shared.catalog(segment, place, offset)?),
            None => None,
        };
        self.enter(Arc::clone(segment), offset)
    }

    fn enter(&mut self, segment: Arc<Segment>, offset: u64) -> Result<(), LogError> {
        let reader = RecordReader::open(&segment, offset);
        self.reader = Some(reader.map_err(io_error("read", &segment.path))?);
        self.next = self.next.max(segment.header.first);
        self.at = Some((segment, offset));
        Ok(())
    }

    /// Goes to the next segment; `false`: there is none.
    fn go_on(&mut self) -> Result<bool, LogError> {
        let Some((segment, _)) = self.at.clone() else { return Ok(false) };
        let mut next = self.shared.segment_after(segment.header.first);
        let until = next.as_ref().map_or(Seq(self.limit.0 + 1), |next| next.header.first);
        // What was deleted meanwhile is not lost.
        let missing = self.next.max(self.shared.oldest());
        if missing < until && missing <= self.limit {
            self.shared.lose(&segment, missing, until.0 - missing.0);
        }
        self.next = self.next.max(until);
        while let Some(segment) = next.filter(|_| self.next <= self.limit) {
            let first = segment.header.first;
            // Its first frame is a full one, and its first record a catalog.
            match self.enter(segment, super::form::HEADER_BYTES as u64) {
                Err(error) if error.is_gone() => next = self.shared.segment_after(first),
                entered => return entered.map(|()| true),
            }
        }
        Ok(false)
    }

    fn step(&mut self) -> Result<Taken, LogError> {
        let (Some((segment, offset)), Some(reader)) = (&mut self.at, &mut self.reader) else {
            return Ok(Taken::Limit);
        };
        let segment = Arc::clone(segment);
        let begins = reader.offset;
        let step = reader.next().map_err(io_error("read", &segment.path));
        let (head, payload) = match step {
            Ok(Step::Record(head, payload)) => (head, payload),
            Ok(Step::End | Step::Bad) => return Ok(Taken::SegmentEnds),
            Err(error) => return error.is_bad_medium().then_some(Taken::SegmentEnds).ok_or(error),
        };
        let seq = head.stamp.seq;
        if head.kind == Kind::CatalogAgain {
            self.catalog = again(&self.shared, &segment, &head, payload, begins);
            *offset = reader.offset;
            return Ok(Taken::Passed);
        }
        if seq > self.limit {
            return Ok(Taken::Limit);
        }
        let next = self.shared.segment_after(segment.header.first);
        if next.is_some_and(|next| next.header.first <= seq) {
            // Written but never durable: the next segment holds what came of it.
            return Ok(Taken::SegmentEnds);
        }
        let wanted = seq >= self.next;
        let needed = match head.kind {
            Kind::Catalog => true,
            Kind::Frame => self.frames && (self.follows || head.full),
            Kind::Gap => self.frames && wanted,
            _ => wanted,
        };
        let record = if needed { decode(&head, payload, &mut self.memory) } else { None };
        *offset = reader.offset;
        self.next = self.next.max(Seq(seq.0 + 1));
        if head.kind == Kind::Frame {
            self.follows = record.is_some();
        }
        if head.kind == Kind::Catalog {
            self.catalog = None;
        }
        if let Some(Record::Catalog(catalog)) = &record {
            self.catalog = Some(self.shared.keep_catalog((seq, Arc::clone(catalog))));
        }
        if record.is_none() && wanted && (needed || self.frames) {
            self.shared.lose(&segment, seq, 1);
        }
        Ok(match record.filter(|_| wanted) {
            Some(record) => Taken::Record(Box::new(Stamped { stamp: head.stamp, record })),
            None => Taken::Passed,
        })
    }

    fn advance(&mut self) -> Result<Option<Stamped>, LogError> {
        loop {
            match self.step()? {
                Taken::Record(stamped) => return Ok(Some(*stamped)),
                Taken::Passed => {}
                Taken::Limit => return Ok(None),
                Taken::SegmentEnds => {
                    if !self.go_on()? {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

/// `None`: the bytes are sound, but do not say what they should.
fn decode(head: &Head, payload: &[u8], memory: &mut Memory) -> Option<Record> {
    let payload = form::unpack(head.packed, payload)?;
    form::record(head, &payload, memory)
}

/// The catalog that a segment begins with.
fn again(
    shared: &Shared,
    segment: &Segment,
    head: &Head,
    payload: &[u8],
    offset: u64,
) -> Option<InForce> {
    let payload = form::unpack(head.packed, payload)?;
    let (place, _) = form::split_catalog_again(&payload)?;
    let catalog = shared.catalog(segment, place, offset);
    catalog.inspect_err(|error| tracing::error!("{error}")).ok()
}

impl Iterator for Records {
    type Item = Result<Stamped, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.next > self.limit {
            return None;
        }
        let next = self.advance();
        self.failed = next.is_err();
        next.transpose()
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        let Some((segment, offset)) = self.at.take().filter(|_| !self.failed) else { return };
        let memory = std::mem::take(&mut self.memory);
        let catalog = self.catalog.take();
        let (next, frames, follows) = (self.next, self.frames, self.follows);
        self.shared.park(Parked { next, frames, segment, offset, memory, follows, catalog });
    }
}
