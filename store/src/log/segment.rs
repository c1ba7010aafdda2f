//! Segment files: which there are, and where in them something begins.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::form::{
    self, Anchor, BadHeader, HEADER_BYTES, Head, Header, Kind, PREFIX_BYTES, RECORD_BYTES_MIN,
};
use crate::record::Seq;

const EXTENSION: &str = "log";
const READ_BYTES: usize = 64 << 10;

/// One file of the log.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) header: Header,
    marks: Mutex<Marks>,
}

/// What is known of the records of a segment, as far as they were looked at.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    /// Frames that do not depend on earlier ones, and where they begin.
    pub(super) full: Vec<(Seq, u64)>,
    /// Catalogs, and where their records begin: first the one in force at the beginning.
    pub(super) catalogs: Vec<(Seq, u64)>,
    pub(super) checkpoint: Option<(Seq, u64)>,
    pub(super) trusted: Option<Anchor>,
    /// Behind the last good record.
    pub(super) end: u64,
    /// The last good record, or the place before the first.
    pub(super) last: Seq,
    /// Behind the end there is something that is no record.
    pub(super) bad: bool,
    /// A scan reached the end. Of the segment that is being written there are marks without one.
    pub(super) scanned: bool,
}

impl Marks {
    fn new(header: &Header) -> Self {
        Self {
            full: Vec::new(),
            catalogs: Vec::new(),
            checkpoint: None,
            trusted: None,
            end: HEADER_BYTES as u64,
            last: Seq(header.first.0.saturating_sub(1)),
            bad: false,
            scanned: false,
        }
    }

    /// Takes note of a record that begins at `offset` and ends at `end`.
    pub(super) fn note(&mut self, head: &Head, catalog: Option<Seq>, offset: u64, end: u64) {
        self.end = end;
        if let Some(place) = catalog {
            self.catalogs.push((place, offset));
        }
        if head.kind == Kind::CatalogAgain {
            return;
        }
        let stamp = &head.stamp;
        self.last = stamp.seq;
        if head.kind == Kind::Frame && head.full {
            self.full.push((stamp.seq, offset));
        }
        if head.kind == Kind::Checkpoint {
            self.checkpoint = Some((stamp.seq, offset));
        }
        if stamp.trust.is_trusted() {
            self.trusted.get_or_insert(Anchor { mono: stamp.mono, wall: stamp.wall });
        }
    }

    /// Where to begin reading so that the record at `seq` is met with all that it depends on.
    pub(super) fn before(&self, seq: Seq) -> u64 {
        let known = self.full.partition_point(|(full, _)| *full <= seq);
        known.checked_sub(1).map_or(HEADER_BYTES as u64, |index| self.full[index].1)
    }

    /// The catalog in force at `offset`.
    pub(super) fn catalog_at(&self, offset: u64) -> Option<(Seq, u64)> {
        self.catalogs.iter().rev().find(|(_, at)| *at <= offset).copied()
    }
}

impl Segment {
    pub(super) fn new(path: PathBuf, header: Header) -> Self {
        Self { path, header, marks: Mutex::new(Marks::new(&header)) }
    }

    /// One that is being made: the writer notes its marks.
    pub(super) fn written(path: PathBuf, header: Header) -> Self {
        let segment = Self::new(path, header);
        segment.marks().scanned = true;
        segment
    }

    pub(super) fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what was not looked at yet. Of a segment that is no longer written, once for all.
    pub(super) fn scan(&self) -> io::Result<Marks> {
        let mut marks = self.marks();
        if !marks.scanned {
            self.scan_on(&mut marks)?;
        }
        Ok(marks.clone())
    }

    /// Looks at what was added since the last look.
    pub(super) fn rescan(&self) -> io::Result<Marks> {
        let mut marks = self.marks();
        marks.bad = false;
        self.scan_on(&mut marks)?;
        Ok(marks.clone())
    }

    fn scan_on(&self, marks: &mut Marks) -> io::Result<()> {
        let mut records = RecordReader::open(self, marks.end)?;
        loop {
            let offset = records.offset;
            match records.next()? {
                Step::Record(head, payload) => {
                    let catalog = match head.kind {
                        Kind::Catalog => Some(head.stamp.seq),
                        Kind::CatalogAgain => form::unpack(head.packed, payload)
                            .and_then(|payload| Some(form::split_catalog_again(&payload)?.0)),
                        _ => None,
                    };
                    marks.note(&head, catalog, offset, records.offset);
                }
                Step::End => break,
                Step::Bad => {
                    marks.bad = true;
                    break;
                }
            }
        }
        marks.scanned = true;
        Ok(())
    }

    /// No record in it has a higher place.
    pub(super) fn highest(&self) -> io::Result<Seq> {
        highest(&self.path, self.header.first)
    }

    /// The highest place in use at and behind the bad record at `from`; `None`: it was torn while it was written. A record
    /// that is there in its whole length was written, and may have been durable.
    pub(super) fn beyond(&self, from: u64, last: Seq) -> io::Result<Option<Seq>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let most = last.0 + bytes.len() as u64 / RECORD_BYTES_MIN + 1;
        let mut highest = whole_record(&bytes).then_some(Seq(last.0 + 1));
        let mut at = 1;
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() > PREFIX_BYTES) {
            let seq = self.record_in(rest, last, most);
            highest = highest.max(seq.map(|(seq, _)| seq));
            at += seq.map_or(1, |(_, length)| length);
        }
        Ok(highest)
    }

    /// The record at the beginning of `bytes`, if one with a place in these limits is there.
    fn record_in(&self, bytes: &[u8], last: Seq, most: u64) -> Option<(Seq, usize)> {
        let (prefix, rest) = bytes.split_first_chunk::<PREFIX_BYTES>()?;
        let [l0, l1, l2, l3, checksum @ ..] = *prefix;
        let length = [l0, l1, l2, l3];
        let body = rest.get(..u32::from_le_bytes(length) as usize)?;
        let (head, _) = form::parse(&self.header, body)?;
        let seq = head.stamp.seq;
        let near = seq > last && seq.0 <= most;
        (near && form::checksum(length, body) == u32::from_le_bytes(checksum))
            .then_some((seq, PREFIX_BYTES + body.len()))
    }
}

/// Whether the bytes begin with a record in its whole length, right or wrong.
fn whole_record(bytes: &[u8]) -> bool {
    let body = bytes.first_chunk().map(|length| u32::from_le_bytes(*length) as usize);
    body.is_some_and(|body| body > 0 && body <= bytes.len().saturating_sub(PREFIX_BYTES))
}

/// Reads the records of one segment, one after the other.
#[derive(Debug)]
pub(super) struct RecordReader {
    file: BufReader<File>,
    header: Header,
    /// Of the next record.
    pub(super) offset: u64,
    length: u64,
    body: Vec<u8>,
}

pub(super) enum Step<'a> {
    Record(Head, &'a [u8]),
    End,
    /// No record, or one that is still being written.
    Bad,
}

impl RecordReader {
    pub(super) fn open(segment: &Segment, offset: u64) -> io::Result<Self> {
        let mut file = File::open(&segment.path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(offset))?;
        let file = BufReader::with_capacity(READ_BYTES, file);
        Ok(Self { file, header: segment.header, offset, length, body: Vec::new() })
    }

    /// The next record. After `End` or `Bad` there is none.
    pub(super) fn next(&mut self) -> io::Result<Step<'_>> {
        let left = self.length.saturating_sub(self.offset);
        if left == 0 {
            return Ok(Step::End);
        }
        if left < RECORD_BYTES_MIN {
            return Ok(Step::Bad);
        }
        let (mut length, mut checksum) = ([0; 4], [0; 4]);
        self.file.read_exact(&mut length)?;
        self.file.read_exact(&mut checksum)?;
        let body_bytes = u32::from_le_bytes(length);
        if u64::from(body_bytes) > left - PREFIX_BYTES as u64 {
            return Ok(Step::Bad);
        }
        self.body.resize(body_bytes as usize, 0);
        self.file.read_exact(&mut self.body)?;
        if form::checksum(length, &self.body) != u32::from_le_bytes(checksum) {
            return Ok(Step::Bad);
        }
        match form::parse(&self.header, &self.body) {
            Some((head, payload)) => {
                self.offset += PREFIX_BYTES as u64 + u64::from(body_bytes);
                Ok(Step::Record(head, &self.body[payload..]))
            }
            None => Ok(Step::Bad),
        }
    }
}

/// The segments by their first place.
pub(super) type Segments = BTreeMap<Seq, Arc<Segment>>;

pub(super) fn path_of(dir: &Path, first: Seq) -> PathBuf {
    dir.join(format!("{:020}.{EXTENSION}", first.0))
}

/// The first place by the file's name; `None`: not a segment.
pub(super) fn first_of(path: &Path) -> Option<Seq> {
    if path.extension()? != EXTENSION {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok().map(Seq)
}

/// No record in a file of this length has a higher place.
pub(super) fn highest(path: &Path, first: Seq) -> io::Result<Seq> {
    Ok(Seq(first.0 + std::fs::metadata(path)?.len() / RECORD_BYTES_MIN))
}

/// What a look at a segment file shows.
pub(super) enum Found {
    Segment(Arc<Segment>),
    /// Its beginning is damaged. So long is it.
    Broken(u64),
    Version(u32),
}

pub(super) fn look(path: &Path) -> io::Result<Found> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut header = Vec::with_capacity(HEADER_BYTES);
    file.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    Ok(match Header::from_bytes(&header) {
        Ok(header) if first_of(path) == Some(header.first) => {
            Found::Segment(Arc::new(Segment::new(path.to_owned(), header)))
        }
        Ok(_) | Err(BadHeader::Broken) => Found::Broken(length),
        Err(BadHeader::Version(version)) => Found::Version(version),
    })
}
