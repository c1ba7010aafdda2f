//! The thread that keeps `ledger.db` up with the log.

use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{runtime, sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    error::StoreError,
    ledger_db::LedgerDb,
    log::{Durable, LogError, LogReader, Storing},
    record::{Record, Seq, Stamped},
    reserve::Reserve,
};

/// Lines that go into one transaction at most.
const BATCH: usize = 1024;
/// Where only samples came, the place that was read up to is noted so often: each note costs a sync and some pages.
const NOTE_EVERY: Duration = Duration::from_mins(1);
/// A refusal is tried again after this, then after twice that, and so on up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// How far journal and ledger are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projected {
    /// Every record up to here has its lines in `ledger.db`, and outlives a power cut there.
    pub seq: Seq,
    /// Why it does not go on. It is tried again.
    pub trouble: Option<Arc<str>>,
    /// The room held back for a full disk is in place.
    pub reserve_held: bool,
}

/// Handle of the thread.
#[derive(Debug)]
pub(crate) struct Projector {
    stop: CancellationToken,
    projected: watch::Receiver<Projected>,
    thread: Option<JoinHandle<()>>,
}

impl Projector {
    pub(crate) fn start(db: LedgerDb, log: LogReader, reserve: Reserve) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
        let stop = CancellationToken::new();
        let first = Projected { seq: db.applied(), trouble: None, reserve_held: reserve.is_held() };
        let (projected, receiver) = watch::channel(first);
        let task = Task {
            place: db.applied(),
            noted: Instant::now(),
            changed: log.changed(),
            stop: stop.clone(),
            db,
            log,
            reserve,
            projected,
        };
        let thread = thread::Builder::new()
            .name("projector".to_owned())
            .spawn(move || runtime.block_on(task.run()))?;
        Ok(Self { stop, projected: receiver, thread: Some(thread) })
    }

    pub(crate) fn projected(&self) -> watch::Receiver<Projected> {
        self.projected.clone()
    }

    /// Lets it catch up with what is durable, and ends it.
    pub(crate) fn close(&mut self) {
        self.stop.cancel();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes journal and ledger panicked");
        }
    }
}

impl Drop for Projector {
    fn drop(&mut self) {
        self.close();
    }
}

struct Task {
    db: LedgerDb,
    log: LogReader,
    reserve: Reserve,
    changed: watch::Receiver<Durable>,
    stop: CancellationToken,
    projected: watch::Sender<Projected>,
    /// Read up to here. Runs ahead of what is noted in the database while only samples come.
    place: Seq,
    noted: Instant,
}

impl Task {
    async fn run(mut self) {
        let mut retry = None;
        loop {
            let stopping = self.stop.is_cancelled();
            let trouble = self.step(stopping).err();
            self.tell(trouble.as_ref());
            if stopping {
                break;
            }
            retry = trouble
                .map(|_| retry.map_or(RETRY_MIN, |last: Duration| (last * 2).min(RETRY_MAX)));
            self.wait(retry).await;
        }
        if let Err(fault) = self.db.settle() {
            tracing::warn!("{fault}");
        }
    }

    fn step(&mut self, stopping: bool) -> Result<(), StoreError> {
        if let Storing::NotStored { .. } = self.changed.borrow_and_update().storing {
            self.reserve.give_up();
        }
        let caught_up = catch_up(&mut self.db, &self.log, &mut self.place).and_then(|()| {
            let due = stopping || self.noted.elapsed() >= NOTE_EVERY;
            if due && self.place > self.db.applied() {
                self.db.apply(&[], self.place)
            } else {
                Ok(())
            }
        });
        if let Err(fault) = &caught_up {
            self.place = self.db.applied();
            if fault.is_full() {
                self.reserve.give_up();
            }
        }
        caught_up
    }

    fn tell(&mut self, trouble: Option<&StoreError>) {
        let trouble = trouble.map(|fault| Arc::from(explained(fault)));
        let told =
            Projected { seq: self.db.applied(), trouble, reserve_held: self.reserve.is_held() };
        self.projected.send_if_modified(|last| {
            if last.seq < told.seq {
                self.noted = Instant::now();
            }
            if let Some(trouble) = told.trouble.as_ref().filter(|_| told.trouble != last.trouble) {
                tracing::error!("journal and ledger do not go on: {trouble}");
            }
            let changed = *last != told;
            *last = told;
            changed
        });
    }

    /// Until there is more to read, a retry is due, or the place has to be noted.
    async fn wait(&mut self, retry: Option<Duration>) {
        let stopped = self.stop.cancelled();
        let Some(pause) = retry else {
            let changed = async {
                // Cannot fail: the log reader in here holds the sender.
                let _ = timeout(NOTE_EVERY, self.changed.changed()).await;
            };
            tokio::select! { () = stopped => {} () = changed => {} }
            self.restore_reserve();
            return;
        };
        let _ = timeout(pause, stopped).await;
    }

    fn restore_reserve(&self) {
        let stored = self.changed.borrow().storing == Storing::Stored;
        if stored && !self.reserve.is_held() {
            self.reserve.restore();
        }
    }
}

/// Applies what is durable in the log and not in the database. `place` moves on to what was read.
pub(crate) fn catch_up(
    db: &mut LedgerDb,
    log: &LogReader,
    place: &mut Seq,
) -> Result<(), StoreError> {
    loop {
        let Piece { records, reached, more } = read_piece(log, *place)?;
        if !records.is_empty() {
            db.apply(&records, reached)?;
        }
        *place = reached;
        if !more {
            return Ok(());
        }
    }
}

/// Some of the log, without frames and checkpoints.
pub(crate) struct Piece {
    pub(crate) records: Vec<Stamped>,
    /// The last place that was looked at.
    pub(crate) reached: Seq,
    pub(crate) more: bool,
}

/// What follows on a place. A record that cannot be read is passed over: it has no line, and never will.
pub(crate) fn read_piece(log: &LogReader, after: Seq) -> Result<Piece, StoreError> {
    let mut found = log.read_without_frames(Seq(after.0 + 1))?;
    let end = found.limit().max(after);
    let mut records: Vec<Stamped> = Vec::new();
    while records.len() < BATCH {
        match found.next() {
            Some(Ok(stamped)) if matches!(stamped.record, Record::Checkpoint(_)) => {}
            Some(Ok(stamped)) => records.push(stamped),
            Some(Err(LogError::Record { seq, path })) => {
                tracing::error!(
                    "record {} in {} is damaged and has no line",
                    seq.0,
                    path.display()
                );
                return Ok(Piece { records, reached: seq.max(after), more: true });
            }
            Some(Err(fault)) => return Err(fault.into()),
            None => return Ok(Piece { records, reached: end, more: false }),
        }
    }
    let reached = records.last().map_or(after, |record| record.stamp.seq);
    Ok(Piece { records, reached, more: true })
}

/// An error with its causes, in one line.
fn explained(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
