//! The thread that writes. Groups are appended without waiting, written in order, synced together, and then called
//! durable. When the disk refuses they stay in memory and are tried again.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use rules::time::{BootId, Mono, Now};
use tokio::sync::watch;

use super::{
    Durable, Log, LogError, LogOptions, LogReader, Storing,
    form::{self, Anchor, Encoder, Gap, HEADER_BYTES, Head, Header, Kind},
    io_error,
    queue::{Entry, Queue},
    reader::Shared,
    segment::{self, Found, Segment, Segments},
};
use crate::{
    record::{Record, Seq, Stamp},
    seam::{Seam, SeamFile},
};

/// A frame that does not depend on others comes at least so often: what a reader must decode to begin anywhere.
const FULL_EVERY: Duration = Duration::from_mins(1);
/// Written and synced at once at most, as long as a single record is not longer.
const GROUP_BYTES: usize = 1 << 20;
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A disk that takes longer than this over one group has got stuck.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// The one producer of records.
#[derive(Debug)]
pub struct Writer {
    hand: Arc<Hand>,
    boot: BootId,
    last: Seq,
    thread: Option<JoinHandle<Result<(), LogError>>>,
}

/// What writer and thread share.
#[derive(Debug)]
struct Hand {
    queue: Mutex<Queue>,
    wake: Condvar,
    /// A group was written, or could not be.
    settled: Condvar,
    durable: Arc<watch::Sender<Durable>>,
}

impl Hand {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_stored(&self, why: &str, dropped_samples: u64) {
        self.durable.send_if_modified(|durable| {
            let storing = Storing::NotStored { why: why.into(), dropped_samples };
            let changed = durable.storing != storing;
            durable.storing = storing;
            changed
        });
    }
}

impl Writer {
    /// Takes a group of records and says the place of the last one. Never waits for the disk and never fails: what that
    /// means for a full disk is in [`Durable`].
    pub fn append(&mut self, now: &Now, records: Vec<Record>) -> Seq {
        let mut queue = self.hand.queue();
        for record in records {
            self.last.0 += 1;
            let stamp = Stamp {
                seq: self.last,
                boot: self.boot,
                mono: now.mono,
                wall: now.wall.utc,
                trust: now.wall.trust,
            };
            queue.push(form::whole_micros(&stamp), record);
        }
        let stuck = queue.taken.is_some_and(|taken| taken.elapsed() > STUCK_AFTER);
        let dropped_samples = queue.dropped_samples;
        drop(queue);
        self.hand.wake.notify_one();
        if self.has_ended() {
            self.hand.not_stored(&LogError::Ended.to_string(), dropped_samples);
        } else if stuck {
            self.hand.not_stored("the disk does not answer", dropped_samples);
        }
        self.last
    }

    fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until everything is durable that was appended. For those who make records faster than a disk takes them: an
    /// import, or a simulation on a clock of its own.
    ///
    /// # Errors
    /// When the disk refuses. The records stay and are tried again.
    pub fn settle(&self) -> Result<(), LogError> {
        let mut queue = self.hand.queue();
        loop {
            let durable = self.hand.durable.borrow().clone();
            if durable.seq >= self.last {
                return Ok(());
            }
            if let Storing::NotStored { why, .. } = durable.storing {
                return Err(LogError::NotStored { records: queue.len(), why });
            }
            if self.has_ended() {
                return Err(LogError::Ended);
            }
            let waited = self.hand.settled.wait_timeout(queue, RETRY_AFTER);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Samples that found no room in memory since the log was opened.
    pub fn dropped_samples(&self) -> u64 {
        self.hand.queue().dropped_samples
    }

    /// The place of the last record that was appended, now or in an earlier run.
    pub fn last(&self) -> Seq {
        self.last
    }

    pub fn durable(&self) -> watch::Receiver<Durable> {
        self.hand.durable.subscribe()
    }

    /// Writes and syncs everything, and ends the thread.
    ///
    /// # Errors
    /// When the disk refuses the last records, or the thread is gone.
    pub fn close(mut self) -> Result<(), LogError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), LogError> {
        self.hand.queue().closing = true;
        self.hand.wake.notify_one();
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or(Err(LogError::Ended)))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!("{error}");
        }
    }
}

/// See [`Log::open`].
pub(super) fn open(
    seam: Arc<dyn Seam>,
    options: &LogOptions,
    boot: BootId,
) -> Result<Log, LogError> {
    make_dir(&*seam, &options.dir)?;
    let (segments, last) = survey(&*seam, options)?;
    let first = Durable { seq: last, storing: Storing::Stored };
    let durable = Arc::new(watch::Sender::new(first));
    let shared = Arc::new(Shared::new(
        Arc::clone(&seam),
        options.dir.clone(),
        segments,
        Arc::clone(&durable),
        Some(boot),
    ));
    let reader = LogReader::new(Arc::clone(&shared));
    let hand = Arc::new(Hand {
        queue: Mutex::default(),
        wake: Condvar::new(),
        settled: Condvar::new(),
        durable,
    });
    let task = Task {
        hand: Arc::clone(&hand),
        pen: Pen::new(seam, options.clone(), boot, shared, reader.clone()),
    };
    let thread = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || task.run())
        .map_err(LogError::Thread)?;
    Ok(Log { writer: Writer { hand, boot, last, thread: Some(thread) }, reader })
}

fn make_dir(seam: &dyn Seam, dir: &Path) -> Result<(), LogError> {
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(dir).map_err(io_error("make", dir))?;
    // A log whose folder a power cut takes away was never durable.
    dir.parent().map_or(Ok(()), |parent| seam.sync_dir(parent).map_err(io_error("sync", parent)))
}

/// Finds the segments and the last place in use, and cuts what is half written at the end.
fn survey(seam: &dyn Seam, options: &LogOptions) -> Result<(Segments, Seq), LogError> {
    let dir = &options.dir;
    let mut segments = Segments::new();
    let mut last = options.after;
    for path in seam.list(dir).map_err(io_error("list", dir))? {
        let Some(first) = segment::first_of(&path) else { continue };
        match segment::look(&path) {
            Ok(Found::Segment(segment)) => drop(segments.insert(first, segment)),
            Ok(Found::Version(found)) => return Err(LogError::Version { path, found }),
            // Its header was never synced, so nothing in it was ever called durable.
            Ok(Found::Broken(length)) if length <= HEADER_BYTES as u64 => {
                if let Err(error) = seam.remove(&path) {
                    tracing::warn!("{} is empty and could not be removed: {error}", path.display());
                }
            }
            // One file that cannot be read does not keep the gateway from starting.
            unreadable => {
                let why =
                    unreadable.err().map_or("its header is damaged".to_owned(), |e| e.to_string());
                tracing::error!("{} is left out: {why}", path.display());
                last = last.max(segment::highest(&path, first).map_err(io_error("read", &path))?);
            }
        }
    }
    if let Some((_, newest)) = segments.last_key_value() {
        let used = close_off(seam, newest).or_else(|error| {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "the end of the log cannot be read");
            newest.highest().map_err(io_error("read", &newest.path))
        });
        last = last.max(used?);
    }
    Ok((segments, last))
}

/// The last place that a segment of an earlier run uses. What is half written behind it is cut.
fn close_off(seam: &dyn Seam, segment: &Segment) -> Result<Seq, LogError> {
    let path = &segment.path;
    let marks = segment.scan().map_err(io_error("read", path))?;
    if !marks.bad {
        // A run that was killed may have written what it did not sync. From now on it counts as durable.
        if let Err(error) = seam.append(path).and_then(|mut file| file.sync()) {
            tracing::warn!("{} could not be synced: {error}", path.display());
        }
        return Ok(marks.last);
    }
    if let Some(beyond) = segment.beyond(marks.end, marks.last).map_err(io_error("read", path))? {
        tracing::error!("{} is damaged after record {}", path.display(), marks.last.0);
        return Ok(beyond);
    }
    let cut = |file: &mut dyn SeamFile| {
        file.truncate(marks.end)?;
        file.sync()
    };
    let done = seam.append(path).and_then(|mut file| cut(&mut *file));
    // A disk that is full or read-only now must not keep the gateway from starting: readers stop at the same place.
    if let Err(error) = done {
        tracing::warn!("the torn end of {} could not be cut: {error}", path.display());
    } else {
        segment.marks().bad = false;
        tracing::info!("cut a torn record at the end of {}", path.display());
    }
    Ok(marks.last)
}

/// The thread.
struct Task {
    hand: Arc<Hand>,
    pen: Pen,
}

impl Task {
    fn run(mut self) -> Result<(), LogError> {
        while let Some(mut group) = self.wait() {
            let written = self.write(&mut group);
            let mut queue = self.hand.queue();
            queue.taken = None;
            if let Err(error) = &written {
                self.pen.give_up();
                queue.put_back(group);
                self.hand.not_stored(&error.to_string(), queue.dropped_samples);
            }
            self.hand.settled.notify_all();
            let Err(error) = written else { continue };
            let records = queue.len();
            if queue.closing {
                return Err(LogError::NotStored { records, why: error.to_string().into() });
            }
            let pause = self.hand.wake.wait_timeout_while(queue, RETRY_AFTER, |q| !q.closing);
            drop(pause);
        }
        Ok(())
    }

    /// What waits, as soon as something does; `None`: nothing will come any more.
    fn wait(&self) -> Option<VecDeque<Entry>> {
        let queue = self.hand.queue();
        let idle = |queue: &mut Queue| queue.is_empty() && !queue.closing;
        let mut queue =
            self.hand.wake.wait_while(queue, idle).unwrap_or_else(PoisonError::into_inner);
        (!queue.is_empty()).then(|| queue.take())
    }

    /// Takes from the group what it has written and synced.
    fn write(&mut self, group: &mut VecDeque<Entry>) -> io::Result<()> {
        while !group.is_empty() {
            let written = self.pen.write(group)?;
            let rest = group.split_off(written);
            let done = std::mem::replace(group, rest);
            if let Some(last) = done.back() {
                let durable = Durable { seq: last.stamp().seq, storing: Storing::Stored };
                self.hand.durable.send_replace(durable);
            }
        }
        Ok(())
    }
}

/// Writes entries to segments.
struct Pen {
    seam: Arc<dyn Seam>,
    options: LogOptions,
    boot: BootId,
    shared: Arc<Shared>,
    reader: LogReader,
    encoder: Encoder,
    open: Option<Open>,
    /// The next frame must not depend on earlier ones.
    fresh: bool,
    last_full: Mono,
    anchor: Option<Anchor>,
    checkpoint: Option<Seq>,
    buffer: Vec<u8>,
}

/// The segment that is being written.
struct Open {
    segment: Arc<Segment>,
    file: Box<dyn SeamFile>,
    /// Bytes that are synced.
    length: u64,
}

/// A record in the buffer: its head, the place of the catalog that it holds, and where it ends.
type Noted = (Head, Option<Seq>, usize);

impl Pen {
    fn new(
        seam: Arc<dyn Seam>,
        options: LogOptions,
        boot: BootId,
        shared: Arc<Shared>,
        reader: LogReader,
    ) -> Self {
        let checkpoint = reader.checkpoint_seq();
        Self {
            seam,
            options,
            boot,
            shared,
            reader,
            encoder: Encoder::new(),
            open: None,
            fresh: true,
            last_full: Mono::ZERO,
            anchor: None,
            checkpoint,
            buffer: Vec::new(),
        }
    }

    /// Writes and syncs a part of the group, and says how many entries of it. At least one.
    fn write(&mut self, group: &VecDeque<Entry>) -> io::Result<usize> {
        let Some(first) = group.front() else { return Ok(0) };
        let mut open = match self.open.take().filter(|open| !self.is_full(open, first.stamp())) {
            Some(open) => open,
            None => self.begin(first)?,
        };
        let mut noted = Vec::new();
        self.buffer.clear();
        let room = self.options.segment_bytes.saturating_sub(open.length);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(GROUP_BYTES);
        let mut written = 0;
        for entry in group {
            if written > 0 && self.buffer.len() >= room {
                break;
            }
            let head = self.encode(&open.segment.header, entry);
            let catalog = (head.kind == Kind::Catalog).then_some(head.stamp.seq);
            noted.push((head, catalog, self.buffer.len()));
            written += 1;
        }
        let last = noted.len().checked_sub(2).map_or(0, |before| noted[before].2);
        form::fill_page(&mut self.buffer, last, open.length);
        if let Some(last) = noted.last_mut() {
            last.2 = self.buffer.len();
        }
        let buffer = std::mem::take(&mut self.buffer);
        let done = append(&mut open, &buffer, &noted);
        self.buffer = buffer;
        match done {
            Ok(()) => {
                self.learn(&noted);
                self.open = Some(open);
                Ok(written)
            }
            Err(error) => {
                // Best effort: the next segment says where this one ends, should the tail stay.
                if open.file.truncate(open.length).is_err() {
                    tracing::warn!("the end of {} could not be cut", open.segment.path.display());
                }
                Err(error)
            }
        }
    }

    fn is_full(&self, open: &Open, next: &Stamp) -> bool {
        open.length >= self.options.segment_bytes
            || next.mono.since(open.segment.header.mono) >= self.options.segment_span
    }

    /// After an error nothing is known of the segment: the next entry begins a new one.
    fn give_up(&mut self) {
        self.open = None;
        self.fresh = true;
    }

    /// A new segment with its header and the catalog in force, synced, with a synced name.
    fn begin(&mut self, first: &Entry) -> io::Result<Open> {
        let stamp = first.stamp();
        let header = Header {
            first: first.first(),
            boot: self.boot,
            mono: stamp.mono,
            wall: stamp.wall,
            checkpoint: self.checkpoint,
            anchor: self.anchor,
        };
        let path: PathBuf = segment::path_of(&self.options.dir, header.first);
        let segment = Arc::new(Segment::written(path, header));
        let mut bytes = header.to_bytes().to_vec();
        let mut noted = Vec::new();
        let has_catalog = matches!(first, Entry::Record(_, Record::Catalog(_)));
        let in_force = if has_catalog { None } else { self.reader.catalog_json(header.first) };
        if let Some((place, json)) = in_force {
            let again = form::catalog_again(place, &json);
            let stamp = Stamp { seq: header.first, ..*stamp };
            form::pack(&mut bytes, &header, &stamp, (Kind::CatalogAgain, false), &again, &[]);
            let head = Head { kind: Kind::CatalogAgain, full: false, packed: false, stamp };
            noted.push((head, Some(place), bytes.len() - HEADER_BYTES));
        }
        let mut file = self.seam.create(&segment.path)?;
        file.append(&bytes)?;
        file.sync()?;
        self.seam.sync_dir(&self.options.dir)?;
        note(&segment, HEADER_BYTES as u64, &noted);
        self.shared.add(Arc::clone(&segment));
        self.fresh = true;
        Ok(Open { segment, file, length: bytes.len() as u64 })
    }

    fn encode(&mut self, header: &Header, entry: &Entry) -> Head {
        let stamp = *entry.stamp();
        let (record, gap) = match entry {
            Entry::Record(_, record) => (record, Gap { places: 1, samples: 0, others: 1 }),
            Entry::Gap(_, gap) => return self.encode_gap(header, stamp, *gap),
        };
        let kind = Kind::of(record);
        let is_frame = kind == Kind::Frame;
        let full = is_frame && (self.fresh || stamp.mono.since(self.last_full) >= FULL_EVERY);
        if let Err(error) = self.encoder.record(&mut self.buffer, header, &stamp, record, full) {
            tracing::error!("record {} cannot be written: {error}", stamp.seq.0);
            return self.encode_gap(header, stamp, gap);
        }
        if full {
            (self.fresh, self.last_full) = (false, stamp.mono);
        }
        // Points have other numbers from here on.
        self.fresh |= kind == Kind::Catalog;
        Head { kind, full, packed: false, stamp }
    }

    fn encode_gap(&mut self, header: &Header, stamp: Stamp, gap: Gap) -> Head {
        let payload = gap.to_bytes();
        form::pack(&mut self.buffer, header, &stamp, (Kind::Gap, false), &payload, &[]);
        Head { kind: Kind::Gap, full: false, packed: false, stamp }
    }

    /// What the next segment says of those before it.
    fn learn(&mut self, noted: &[Noted]) {
        for (head, _, _) in noted {
            if head.kind == Kind::Checkpoint {
                self.checkpoint = Some(head.stamp.seq);
            }
            if head.stamp.trust.is_trusted() && self.anchor.is_none() {
                self.anchor = Some(Anchor { mono: head.stamp.mono, wall: head.stamp.wall });
            }
        }
    }
}

fn append(open: &mut Open, buffer: &[u8], noted: &[Noted]) -> io::Result<()> {
    open.file.append(buffer)?;
    open.file.sync()?;
    note(&open.segment, open.length, noted);
    open.length += buffer.len() as u64;
    Ok(())
}

/// Tells the segment's index what was written behind `start`.
fn note(segment: &Segment, start: u64, noted: &[Noted]) {
    let mut marks = segment.marks();
    let mut offset = start;
    for (head, catalog, end) in noted {
        let end = start + *end as u64;
        marks.note(head, *catalog, offset, end);
        offset = end;
    }
}
