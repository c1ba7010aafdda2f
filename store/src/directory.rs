//! The data directory of a gateway that runs: who may write to it, what is started on it, and in which order it ends.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use rules::time::BootId;
use tokio::sync::watch;

use crate::{
    error::StoreError,
    finding::Finding,
    history::{self, Hold, Pins, Retention, Sealing},
    journal::trusted_wall,
    ledger_db::{self, LedgerDb},
    lock::Lock,
    log::{Log, LogOptions, LogReader, Writer},
    projector::{self, Piece, Projected, Projector, read_piece},
    reader::Reader,
    recall::recall,
    record::{Record, Seq, Stamped},
    repair,
    reserve::Reserve,
};

/// What is kept where, how long, and in how much room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The data directory. Made if it is not there.
    pub dir: PathBuf,
    /// What all files in it may take together. Raw samples go first.
    pub cap_bytes: u64,
    /// Held back for journal and ledger, and given up when the disk is full. 0 holds back nothing.
    pub reserve_bytes: u64,
    pub keep_raw: Duration,
    /// For rollups of a minute.
    pub keep_minutes: Duration,
    /// For rollups of 15 minutes.
    pub keep_quarters: Duration,
    pub segment_bytes: u64,
    pub segment_span: Duration,
}

const DAY: Duration = Duration::from_hours(24);

impl Options {
    /// 8 GiB in all; raw samples for two weeks, minutes for a year, quarters for ten.
    pub fn new(dir: PathBuf) -> Self {
        let log = LogOptions::new(PathBuf::new());
        Self {
            dir,
            cap_bytes: 8 << 30,
            reserve_bytes: 64 << 20,
            keep_raw: 14 * DAY,
            keep_minutes: 366 * DAY,
            keep_quarters: 3660 * DAY,
            segment_bytes: log.segment_bytes,
            segment_span: log.segment_span,
        }
    }

    /// For whoever adds a line and goes: nothing grows too old, and nothing is too much.
    pub fn keeping_everything(dir: PathBuf) -> Self {
        let for_ever = 36_500 * DAY;
        Self {
            cap_bytes: u64::MAX,
            keep_raw: for_ever,
            keep_minutes: for_ever,
            keep_quarters: for_ever,
            ..Self::new(dir)
        }
    }
}

/// A data directory that this process writes to.
#[derive(Debug)]
pub struct Opened {
    pub store: Store,
    pub writer: Writer,
    pub before: Before,
    /// What was not as it was left. Each belongs into the journal.
    pub findings: Vec<Finding>,
}

/// What an engine needs to go on where the last run ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Before {
    pub checkpoint: Option<Stamped>,
    /// Events, commands and ledger rows behind the checkpoint, in order. Without one: what the journal recalls of every
    /// alarm, and then what the log has.
    pub after: Vec<Stamped>,
    /// The newest time that the journal is sure of.
    pub journal_ends: Option<DateTime<Utc>>,
}

impl Before {
    /// The newest trusted time that is on disk. A wall clock that shows less is wrong.
    pub fn newest_wall(&self) -> Option<DateTime<Utc>> {
        let stamps = self.after.iter().chain(&self.checkpoint).map(|record| &record.stamp);
        stamps.filter_map(trusted_wall).chain(self.journal_ends).max()
    }
}

/// The threads that keep a data directory. Close it after its [`Writer`].
#[derive(Debug)]
pub struct Store {
    log: LogReader,
    reader: Reader,
    projector: Projector,
    sealing: Sealing,
    pins: Pins,
    /// Last, so that it is let go of when everything else has ended.
    _lock: Lock,
}

impl Store {
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    pub fn log(&self) -> LogReader {
        self.log.clone()
    }

    /// How far journal and ledger are, and what keeps them from going on.
    pub fn projected(&self) -> watch::Receiver<Projected> {
        self.projector.projected()
    }

    /// What keeps samples from getting into the history at the moment; it is tried again.
    pub fn history_trouble(&self) -> Option<Arc<str>> {
        self.sealing.trouble()
    }

    /// Where whoever reads the log says which records it still needs.
    pub fn pins(&self) -> Pins {
        self.pins.clone()
    }

    /// Lets everything catch up with the log, ends the threads and gives the directory free.
    pub fn close(mut self) {
        self.projector.close();
        self.sealing.close();
    }
}

/// Takes a data directory for this process, repairs what can be repaired, and starts what keeps it.
///
/// # Errors
/// When another gateway has it, it cannot be written to, or it was written by a newer version or another program.
pub fn open(options: &Options, boot: BootId) -> Result<Opened, StoreError> {
    let dir = &options.dir;
    fs::create_dir_all(dir).map_err(|fault| StoreError::io("make", dir, fault))?;
    let lock = Lock::take(dir)?;
    let reserve = Reserve::new(dir, options.reserve_bytes);
    reserve.restore();
    let mut findings = Vec::new();
    let path = dir.join(ledger_db::NAME);
    let mut db = give_way(&reserve, || open_ledger(&path, &mut findings))?;
    let Log { writer, reader: log } =
        Log::open(&log_options(options, db.last().max(history::last_sealed(dir))), boot)?;
    // Neither damage nor a full disk may keep a gateway from starting: the first is mended, the second tried again.
    if let Err(fault) = take_in(&mut db, &log, &mut findings) {
        if fault.is_corrupt() {
            drop(db);
            db = repair::set_aside(&path, &fault, &mut findings)?;
            take_in(&mut db, &log, &mut findings)?;
        } else {
            tracing::error!("journal and ledger do not go on yet: {fault}");
        }
    }
    for finding in &findings {
        tracing::error!("{finding}");
    }
    sync(dir).map_err(|fault| StoreError::io("sync", dir, fault))?;
    let before = before(&log, &db)?;
    let reader = Reader::of(dir, log.clone())?;
    let projector = Projector::start(db, log.clone(), reserve)
        .map_err(|fault| StoreError::Thread("writes journal and ledger", fault))?;
    let pins = Pins::default();
    let projected = projector.projected();
    pins.add(Hold::Always, Arc::new(move || Some(Seq(projected.borrow().seq.0 + 1))));
    let sealing = Sealing::start(dir, log.clone(), retention(options), pins.clone())?;
    let store = Store { log, reader, projector, sealing, pins, _lock: lock };
    Ok(Opened { store, writer, before, findings })
}

/// Makes the names in the directory durable, and its own.
fn sync(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()?;
    dir.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), |parent| {
        // A parent that is not ours to read was not made by us either.
        fs::File::open(parent).map_or(Ok(()), |parent| parent.sync_all())
    })
}

fn retention(options: &Options) -> Retention {
    Retention {
        cap_bytes: options.cap_bytes,
        reserve_bytes: options.reserve_bytes,
        keep_raw: options.keep_raw,
        keep_minutes: options.keep_minutes,
        keep_quarters: options.keep_quarters,
    }
}

fn log_options(options: &Options, after: Seq) -> LogOptions {
    LogOptions {
        after,
        segment_bytes: options.segment_bytes,
        segment_span: options.segment_span,
        ..LogOptions::new(options.dir.join("log"))
    }
}

fn open_ledger(path: &Path, findings: &mut Vec<Finding>) -> Result<LedgerDb, StoreError> {
    match LedgerDb::open(path) {
        Err(fault) if fault.is_corrupt() => repair::set_aside(path, &fault, findings),
        opened => opened,
    }
}

/// Tries once more without the reserve when the disk is full.
fn give_way<T>(
    reserve: &Reserve,
    mut attempt: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    match attempt() {
        Err(fault) if fault.is_full() && reserve.give_up() => attempt(),
        done => done,
    }
}

/// Brings journal and ledger up to the log, and finds out what is in neither.
fn take_in(
    db: &mut LedgerDb,
    log: &LogReader,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let (applied, oldest) = (db.applied(), log.oldest());
    if oldest > log.durable() && applied > Seq(0) {
        findings.push(Finding::LogLost { last: applied });
    }
    if oldest.0 > applied.0 + 1 {
        findings.push(Finding::Missing { first: Seq(applied.0 + 1), last: Seq(oldest.0 - 1) });
    }
    projector::catch_up(db, log, &mut applied.clone())
}

fn before(log: &LogReader, db: &LedgerDb) -> Result<Before, StoreError> {
    let checkpoint = log.last_checkpoint()?;
    let mut place = checkpoint.as_ref().map_or(Seq(0), |checkpoint| checkpoint.stamp.seq);
    let mut after = if checkpoint.is_none() { recall(db, log.oldest())? } else { Vec::new() };
    loop {
        let Piece { records, reached, more } = read_piece(log, place)?;
        after.extend(
            records.into_iter().filter(|record| !matches!(record.record, Record::Catalog(_))),
        );
        place = reached;
        if !more {
            return Ok(Before { checkpoint, after, journal_ends: db.journal_ends() });
        }
    }
}
