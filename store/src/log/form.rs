//! Segments and records as bytes, as `FORMAT.md` describes them.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use rules::{
    ledger::LedgerRow,
    time::{BootId, Mono, Trust},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    bytes::{Bytes, put_signed, put_varint},
    frame::{self, Memory},
};
use crate::record::{Catalog, Record, Seq, Stamp};

const MAGIC: &[u8; 8] = b"coldwlog";
/// Of the log, as it is written.
pub(super) const VERSION: u32 = 2;
/// All that are read: version 1 has one row in a record of the ledger, and no postings.
const VERSIONS_READ: std::ops::RangeInclusive<u32> = 1..=VERSION;
/// Bytes of a segment before its first record.
pub(super) const HEADER_BYTES: usize = 72;
/// Bytes of a record before its body: length and checksum.
pub(super) const PREFIX_BYTES: usize = 8;
/// No record is shorter: prefix, kind, three numbers.
pub(super) const RECORD_BYTES_MIN: u64 = 12;
/// No payload is longer once unpacked: a broken length must not take all memory.
const PAYLOAD_BYTES_MAX: usize = 256 << 20;
/// Shorter payloads do not gain from packing.
const PACKED_FROM_BYTES: usize = 96;
/// A frame of a second is packed in a millisecond, and every byte is one that flash has to take.
const PACKING_LEVEL: i32 = 12;
/// What a file system writes at once.
const PAGE_BYTES: usize = 4096;
/// A group that ends so near the end of a page fills it: else the whole page is written once more with the next one.
const FILLED_AT_MOST: usize = 1024;
/// Before the bytes that readers of zstd pass over: its magic number and, behind it, their number (RFC 8878, 3.1.2).
const PASSED_OVER: [u8; 4] = 0x184D_2A50_u32.to_le_bytes();
const PASSED_OVER_BYTES: usize = 8;

/// A moment of a boot at which wall time was trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) mono: Mono,
    pub(super) wall: DateTime<Utc>,
}

/// How a segment begins. All its records are of one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) first: Seq,
    pub(super) boot: BootId,
    /// Of its first record; the others are told against it.
    pub(super) mono: Mono,
    pub(super) wall: DateTime<Utc>,
    /// The newest checkpoint in earlier segments.
    pub(super) checkpoint: Option<Seq>,
    /// The first trusted moment of this boot, when it lies in an earlier segment.
    pub(super) anchor: Option<Anchor>,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        let anchor = self.anchor.map_or((u64::MAX, 0), |anchor| {
            (u64::from(anchor.mono), anchor.wall.timestamp_micros())
        });
        for number in [
            self.first.0,
            self.boot.0,
            u64::from(self.mono),
            self.wall.timestamp_micros().cast_unsigned(),
            self.checkpoint.unwrap_or_default().0,
            anchor.0,
            anchor.1.cast_unsigned(),
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        let mut header = [0; HEADER_BYTES];
        header.copy_from_slice(&out);
        header
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, BadHeader> {
        let (header, _) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(BadHeader::Broken)?;
        let (content, checksum) = header.split_at(HEADER_BYTES - 4);
        let mut bytes = Bytes(content);
        let magic = bytes.array::<8>().ok_or(BadHeader::Broken)?;
        let version = bytes.array().map(u32::from_le_bytes).ok_or(BadHeader::Broken)?;
        if &magic != MAGIC || crc32c::crc32c(content).to_le_bytes() != checksum {
            return Err(BadHeader::Broken);
        }
        if !VERSIONS_READ.contains(&version) {
            return Err(BadHeader::Version(version));
        }
        Self::fields(bytes).ok_or(BadHeader::Broken)
    }

    fn fields(mut bytes: Bytes<'_>) -> Option<Self> {
        let mut number = || bytes.array().map(u64::from_le_bytes);
        let (first, boot, mono) = (Seq(number()?), BootId(number()?), Mono::from(number()?));
        let wall = DateTime::from_timestamp_micros(number()?.cast_signed())?;
        let checkpoint = Some(Seq(number()?)).filter(|seq| seq.0 != 0);
        let anchor = match number()? {
            u64::MAX => None,
            mono => Some(Anchor {
                mono: Mono::from(mono),
                wall: DateTime::from_timestamp_micros(number()?.cast_signed())?,
            }),
        };
        Some(Self { first, boot, mono, wall, checkpoint, anchor })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    Broken,
    Version(u32),
}

/// What a record is, on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Catalog,
    Frame,
    Event,
    Command,
    Ledger,
    Checkpoint,
    Posting,
    /// At the beginning of a segment: the catalog in force, which has its place in an earlier one. Has no place itself.
    CatalogAgain,
    /// Records that were dropped while the disk was full.
    Gap,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Catalog,
        Self::Frame,
        Self::Event,
        Self::Command,
        Self::Ledger,
        Self::Checkpoint,
        Self::Posting,
        Self::CatalogAgain,
        Self::Gap,
    ];

    fn code(self) -> u8 {
        match self {
            Self::Catalog => 1,
            Self::Frame => 2,
            Self::Event => 3,
            Self::Command => 4,
            Self::Ledger => 5,
            Self::Checkpoint => 6,
            Self::CatalogAgain => 7,
            Self::Gap => 8,
            Self::Posting => 9,
        }
    }

    pub(super) fn of(record: &Record) -> Self {
        match record {
            Record::Catalog(_) => Self::Catalog,
            Record::Frame(_) => Self::Frame,
            Record::Event(_) => Self::Event,
            Record::Command(..) => Self::Command,
            Record::Ledger(_) => Self::Ledger,
            Record::Checkpoint(_) => Self::Checkpoint,
            Record::Posting(_) => Self::Posting,
        }
    }
}

const KIND_BITS: u8 = 0x0f;
const TRUST_SHIFT: u8 = 4;
const PACKED: u8 = 0x40;
const FULL: u8 = 0x80;

/// The part of a record that is read without unpacking it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) kind: Kind,
    /// A frame that does not depend on those before it.
    pub(super) full: bool,
    pub(super) packed: bool,
    pub(super) stamp: Stamp,
}

/// The head of a record and where in the body its payload begins; `None`: not a record of this segment.
pub(super) fn parse(header: &Header, body: &[u8]) -> Option<(Head, usize)> {
    let mut bytes = Bytes(body);
    let first = bytes.byte()?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.code() == first & KIND_BITS)?;
    let trust = match (first >> TRUST_SHIFT) & 3 {
        0 => Trust::Untrusted,
        1 => Trust::Unsynchronised,
        2 => Trust::Synchronised,
        _ => return None,
    };
    let seq = Seq(header.first.0.checked_add(bytes.varint()?)?);
    let since = bytes.signed()?;
    let mono = Mono::from(u64::from(header.mono).wrapping_add_signed(since));
    let wall = header.wall.timestamp_micros().checked_add(since)?.checked_add(bytes.signed()?)?;
    let wall = DateTime::from_timestamp_micros(wall)?;
    let stamp = Stamp { seq, boot: header.boot, mono, wall, trust };
    let head = Head { kind, full: first & FULL != 0, packed: first & PACKED != 0, stamp };
    Some((head, body.len() - bytes.0.len()))
}

/// Checksum of a record: over its length, then its body.
pub(super) fn checksum(length: [u8; 4], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length), body)
}

/// Records that are told as dropped: all up to the stamp's, so many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) places: u64,
    pub(super) samples: u64,
    /// Dropped records other than frames and superseded checkpoints.
    pub(super) others: u64,
}

impl Gap {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.places);
        put_varint(&mut out, self.samples);
        put_varint(&mut out, self.others);
        out
    }
}

/// Makes records. Holds what the delta coding of frames needs.
pub(super) struct Encoder {
    memory: Memory,
    payload: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self { memory: Memory::default(), payload: Vec::new() }
    }

    /// Appends a record. `full`: the frame must not depend on those before it.
    ///
    /// # Errors
    /// When the record cannot be said in JSON; nothing is appended then.
    pub(super) fn record(
        &mut self,
        out: &mut Vec<u8>,
        header: &Header,
        stamp: &Stamp,
        record: &Record,
        full: bool,
    ) -> Result<(), serde_json::Error> {
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        let mut cuts = Vec::new();
        let done = match record {
            Record::Frame(samples) => {
                if full {
                    self.memory.clear();
                }
                cuts = frame::encode(&mut payload, &mut self.memory, stamp.mono, samples);
                Ok(())
            }
            Record::Catalog(catalog) => json(&mut payload, catalog),
            Record::Event(event) => json(&mut payload, event),
            Record::Command(command, outcome) => json(&mut payload, &(command, outcome)),
            Record::Ledger(rows) => json(&mut payload, rows),
            Record::Posting(posting) => json(&mut payload, posting),
            Record::Checkpoint(checkpoint) => json(&mut payload, checkpoint),
        };
        if done.is_ok() {
            let full = full && matches!(record, Record::Frame(_));
            pack(out, header, stamp, (Kind::of(record), full), &payload, &cuts);
        }
        self.payload = payload;
        done
    }
}

/// Appends a record from its payload, packed where that is shorter. At the cuts begin bytes of another sort.
pub(super) fn pack(
    out: &mut Vec<u8>,
    header: &Header,
    stamp: &Stamp,
    (kind, full): (Kind, bool),
    payload: &[u8],
    cuts: &[usize],
) {
    let packed = (payload.len() >= PACKED_FROM_BYTES)
        .then(|| zstd_frame(payload, cuts).ok())
        .flatten()
        .filter(|packed| packed.len() + 4 < payload.len());
    let mut flags = if full { FULL } else { 0 };
    if packed.is_some() {
        flags |= PACKED;
    }
    framed(out, |out| {
        out.push(kind.code() | trust_code(stamp.trust) << TRUST_SHIFT | flags);
        put_place(out, header, stamp);
        match &packed {
            Some(packed) => {
                put_varint(out, payload.len() as u64);
                out.extend_from_slice(packed);
            }
            None => out.extend_from_slice(payload),
        }
    });
}

/// One zstd frame. Each cut begins a block with statistics of its own.
fn zstd_frame(payload: &[u8], cuts: &[usize]) -> io::Result<Vec<u8>> {
    let mut packer = zstd::Encoder::new(Vec::new(), PACKING_LEVEL)?;
    packer.set_pledged_src_size(Some(payload.len() as u64))?;
    let mut from = 0;
    for cut in cuts {
        packer.write_all(&payload[from..*cut])?;
        packer.flush()?;
        from = *cut;
    }
    packer.write_all(&payload[from..])?;
    packer.finish()
}

/// Lets the last record of a group, which begins at `start`, end with the page that it ends in, if that is near. `offset` is
/// where the group begins in its file.
pub(super) fn fill_page(group: &mut Vec<u8>, start: usize, offset: u64) {
    let page = PAGE_BYTES as u64;
    let end = usize::try_from((offset + group.len() as u64) % page).unwrap_or_default();
    let rest = PAGE_BYTES - end;
    let packed = group.get(start + PREFIX_BYTES).is_some_and(|first| first & PACKED != 0);
    if !packed || group.len() < PAGE_BYTES || !(PASSED_OVER_BYTES..=FILLED_AT_MOST).contains(&rest)
    {
        return;
    }
    let zeros = rest - PASSED_OVER_BYTES;
    let mut body = group.split_off(start + PREFIX_BYTES);
    group.truncate(start);
    body.extend_from_slice(&PASSED_OVER);
    body.extend_from_slice(&u32::try_from(zeros).unwrap_or_default().to_le_bytes());
    body.resize(body.len() + zeros, 0);
    framed(group, |out| out.append(&mut body));
}

fn json(out: &mut Vec<u8>, value: &impl Serialize) -> Result<(), serde_json::Error> {
    serde_json::to_writer(out, value)
}

fn trust_code(trust: Trust) -> u8 {
    match trust {
        Trust::Untrusted => 0,
        Trust::Unsynchronised => 1,
        Trust::Synchronised => 2,
    }
}

fn put_place(out: &mut Vec<u8>, header: &Header, stamp: &Stamp) {
    put_varint(out, stamp.seq.0.wrapping_sub(header.first.0));
    let since = u64::from(stamp.mono).wrapping_sub(u64::from(header.mono)).cast_signed();
    put_signed(out, since);
    let expected = header.wall.timestamp_micros().wrapping_add(since);
    put_signed(out, stamp.wall.timestamp_micros().wrapping_sub(expected));
}

/// Appends length and checksum, then the body.
fn framed(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    body(out);
    let written = out.len() - start - PREFIX_BYTES;
    // A body is far below 4 GiB: a longer one would be cut here and refused by its checksum.
    let length = u32::try_from(written).unwrap_or(u32::MAX).to_le_bytes();
    let checksum = checksum(length, &out[start + PREFIX_BYTES..]);
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + PREFIX_BYTES].copy_from_slice(&checksum.to_le_bytes());
}

/// The payload as it was before packing.
pub(super) fn unpack(packed: bool, payload: &[u8]) -> Option<Vec<u8>> {
    if !packed {
        return Some(payload.to_vec());
    }
    let mut bytes = Bytes(payload);
    let length = usize::try_from(bytes.varint()?).ok().filter(|l| *l <= PAYLOAD_BYTES_MAX)?;
    zstd::bulk::decompress(bytes.0, length).ok().filter(|payload| payload.len() == length)
}

/// A record from its unpacked payload. Frames need `memory` of those before.
pub(super) fn record(head: &Head, payload: &[u8], memory: &mut Memory) -> Option<Record> {
    Some(match head.kind {
        Kind::Catalog => Record::Catalog(Arc::new(from_json(payload)?)),
        Kind::Frame => {
            if head.full {
                memory.clear();
            }
            Record::Frame(frame::decode(payload, memory, head.stamp.mono)?)
        }
        Kind::Event => Record::Event(from_json(payload)?),
        Kind::Command => {
            let (command, outcome) = from_json(payload)?;
            Record::Command(command, outcome)
        }
        Kind::Ledger => Record::Ledger(ledger_rows(payload)?),
        Kind::Posting => Record::Posting(from_json(payload)?),
        Kind::Checkpoint => Record::Checkpoint(from_json(payload)?),
        Kind::CatalogAgain => return None,
        // Told to readers as a frame without samples.
        Kind::Gap => Record::Frame(Vec::new()),
    })
}

/// Up to format 1 a record had one row.
fn ledger_rows(payload: &[u8]) -> Option<Vec<LedgerRow>> {
    from_json(payload).or_else(|| Some(vec![from_json(payload)?]))
}

fn from_json<T: DeserializeOwned>(payload: &[u8]) -> Option<T> {
    serde_json::from_slice(payload).ok()
}

/// The payload of [`Kind::CatalogAgain`]: where the catalog has its place, then the catalog as JSON.
pub(super) fn catalog_again(place: Seq, json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 10);
    put_varint(&mut out, place.0);
    out.extend_from_slice(json);
    out
}

/// Reads what [`catalog_again`] wrote: the place, and the catalog as JSON.
pub(super) fn split_catalog_again(payload: &[u8]) -> Option<(Seq, &[u8])> {
    let mut bytes = Bytes(payload);
    Some((Seq(bytes.varint()?), bytes.0))
}

pub(super) fn catalog(json: &[u8]) -> Option<Catalog> {
    from_json(json)
}

/// Whole microseconds, as the log keeps them.
pub(super) fn whole_micros(stamp: &Stamp) -> Stamp {
    let mono = Mono(Duration::from_micros(u64::from(stamp.mono)));
    let wall = DateTime::from_timestamp_micros(stamp.wall.timestamp_micros());
    Stamp { mono, wall: wall.unwrap_or(stamp.wall), ..*stamp }
}
