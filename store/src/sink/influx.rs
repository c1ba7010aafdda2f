//! Forwards the log to InfluxDB v2, or to anything that takes its writes.
//!
//! # What is sent
//!
//! Every sample that has a value and a time, and every transition of an alarm, in milliseconds UTC:
//!
//! | | measurement | tags | fields |
//! |---|---|---|---|
//! | sample | kind of the asset: `cdu` | `site`, `gateway`, `asset`; `room` and, of a rack, `row`, where the site file says; the tags of the site file | one: the quantity with `_` for `.` and its unit in words: `tcs_supply_temperature_celsius` |
//! | alarm | `alarm` | `site`, `gateway`, `alarm`, `asset`, `priority` (1 to 4); the tags of the site file | `letter` and `from` (ISA-18.2 states `A` to `G`, `BL`, `CL`), `occurrence`, `cause`, `operands`, `title`, `by`, `annunciate` |
//!
//! Numbers are floats, also counters: the same field of two devices must not have two types, and above 2^53 a counter
//! loses its last digits here (the log keeps them). States are integers, the codes of the profile, in fields that end in
//! `_state`; what a code is called stands in the profile, not in the database. Texts are strings in fields that end in
//! `_text`. Pressures at a supply or return end in `_kilopascals_gauge`. No tag takes more values than the plant has
//! assets, rooms, rows or rules.
//!
//! A value that is missing is not sent, and counted: a gap stays a gap. The standard energy ratio is never sent: a reading
//! has neither category nor period. Of several transitions of one alarm in one millisecond the last one remains; the
//! journal has them all.
//!
//! # How
//!
//! Two cursors over the log, live and backfill. The live cursor follows the present. When it falls behind for more than
//! [`Tuning::live_lag`], because the server was away or is slow, it leaves the past to the backfill cursor and goes on with
//! the present. Nothing is promised about the order, and every record is delivered at least once: a repeated line has the
//! same series and time, so it changes nothing. Only what is durable is sent, and only when its wall time is known.
//!
//! Lines that the server refuses are put into quarantine with its words, and never hold up the others. Where it has taken
//! the rest of a request ("partial write"), only so many requests a minute are made to find out which lines it means; after
//! that the entry names their number and the first line of the request. A server that never
//! took a line since the start is not believed that the lines are to blame: the data stays, and its words are shown.

mod batch;
mod client;
mod delivery;
mod dissect;
mod gate;
mod line;
mod names;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use thiserror::Error;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

pub use self::names::field;
use self::{
    client::Client,
    delivery::{Delivery, Kept, now},
    gate::Gate,
};
pub use super::cursor::CursorError;
use super::{cursor::Cursors, quarantine::Quarantine};
use crate::{
    history::Pin,
    log::LogReader,
    record::Seq,
    seam::{Disk, Seam},
};

/// How often the backlog is looked at.
const TICK: Duration = Duration::from_millis(250);
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Where to send, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// `http` or `https`, without a path: `https://influx.example.net:8086`.
    pub url: String,
    pub org: String,
    pub bucket: String,
    /// Never shown.
    pub token: String,
    /// A PEM file of authorities, besides the public ones.
    pub ca: Option<PathBuf>,
    /// On every line.
    pub tags: Vec<(String, String)>,
    pub tuning: Tuning,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, org, bucket, token: _, ca, tags, tuning } = self;
        f.debug_struct("Config")
            .field("url", url)
            .field("org", org)
            .field("bucket", bucket)
            .field("ca", ca)
            .field("tags", tags)
            .field("tuning", tuning)
            .finish_non_exhaustive()
    }
}

/// Times and sizes. The defaults are what a gateway uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Lines in one request.
    pub batch_lines: usize,
    /// Bytes in one request, before compression.
    pub batch_bytes: usize,
    /// How long lines are gathered when there are few.
    pub batch_age: Duration,
    /// A live cursor that is further behind leaves the past to the backfill cursor.
    pub live_lag: Duration,
    /// First wait after a failure, and the longest.
    pub back_off: (Duration, Duration),
    /// Wait after a failure that only a person can put right.
    pub slow_retry: Duration,
    pub connect_timeout: Duration,
    /// For one request as a whole.
    pub timeout: Duration,
    /// Requests a minute that are made only to find out which lines of a partial write were refused.
    pub curiosity: usize,
    /// How often the cursors are put on disk while they move.
    pub store_every: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            batch_lines: 5_000,
            batch_bytes: 1_000_000,
            batch_age: Duration::from_secs(1),
            live_lag: Duration::from_secs(10),
            back_off: (Duration::from_secs(1), Duration::from_mins(5)),
            slow_retry: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            curiosity: 120,
            store_every: Duration::from_mins(1),
        }
    }
}

/// How forwarding goes. Counts are since [`start`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SinkState {
    /// The server answered the last request as it should, or none was made yet.
    pub up: bool,
    /// What is in the way, in the server's words where it said something; without secrets.
    pub why: Option<String>,
    /// Age of the oldest record that is not delivered; zero when nothing but the last moments is outstanding.
    pub backlog_s: f64,
    pub written_lines: u64,
    /// In quarantine: refused by the server, or without a form in its language.
    pub rejected_lines: u64,
    /// Samples without a value, or from a run whose wall time was never known.
    pub skipped_values: u64,
    /// Records that were removed from the log, or were damaged, before they were delivered.
    pub lost_records: u64,
    pub last_success: Option<DateTime<Utc>>,
    /// How often forwarding panicked and was started again.
    pub restarts: u64,
}

/// Why forwarding cannot begin.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("the URL of InfluxDB must be http:// or https:// with a host and no path")]
    Url,
    #[error("failed to read the authority certificate {}", path.display())]
    Authority { path: PathBuf, source: io::Error },
    #[error("{} holds no certificate in PEM form", path.display())]
    NoCertificate { path: PathBuf },
    #[error("failed to prepare the HTTP client: {0}")]
    Client(String),
    #[error("failed to make the folder {}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Cursor(#[from] CursorError),
}

/// A running sink.
#[derive(Debug)]
pub struct Handle {
    state: watch::Receiver<SinkState>,
    position: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Handle {
    pub fn state(&self) -> SinkState {
        self.state.borrow().clone()
    }

    /// Tells when the state changes.
    pub fn changed(&self) -> watch::Receiver<SinkState> {
        self.state.clone()
    }

    /// The log must be kept from this record on. Counts only what is on disk, so that also after a crash nothing is
    /// missing.
    pub fn position(&self) -> Seq {
        Seq(self.position.load(Ordering::Acquire))
    }

    /// The same, for whoever removes old parts of the log. Needs nothing any more once the sink has ended and this handle is
    /// gone.
    pub fn pin(&self) -> Pin {
        let position = Arc::downgrade(&self.position);
        Arc::new(move || Some(Seq(position.upgrade()?.load(Ordering::Acquire))))
    }

    /// Waits until forwarding has ended and its cursors are on disk, after `stop` was cancelled.
    pub async fn stopped(self) {
        // A panic has been reported where it happened.
        let _ = self.task.await;
    }
}

/// Begins to forward, in tasks of the runtime that this is called in. `dir` is the data directory: the cursors lie in
/// `sinks/influxdb.json`, refused lines in `quarantine/influxdb.jsonl`.
///
/// What was recorded before, and not delivered, is delivered too.
///
/// # Errors
/// When the configuration cannot work, or the cursors cannot be read.
pub fn start(
    config: &Config,
    log: LogReader,
    dir: &Path,
    stop: CancellationToken,
) -> Result<Handle, StartError> {
    let delivery = Arc::new(prepare(config, log, dir)?);
    let state = delivery.state.subscribe();
    let position = Arc::clone(&delivery.position);
    let task = tokio::spawn(supervise(delivery, stop));
    Ok(Handle { state, position, task })
}

fn prepare(config: &Config, log: LogReader, dir: &Path) -> Result<Delivery, StartError> {
    let Config { tuning, tags, .. } = config;
    let tuning = *tuning;
    let client = Client::new(config, tuning.connect_timeout, tuning.timeout)?;
    let folder = |name: &str| {
        let path = dir.join(name);
        std::fs::create_dir_all(&path)
            .map_err(|source| StartError::Folder { path: path.clone(), source })?;
        Ok::<_, StartError>(path)
    };
    let cursor_path = folder("sinks")?.join("influxdb.json");
    let quarantine = folder("quarantine")?.join("influxdb.jsonl");
    let seam: Arc<dyn Seam> = Arc::new(Disk);
    let (oldest, durable) = (log.oldest(), log.durable());
    let mut cursors = Cursors::load(&cursor_path)?.unwrap_or_else(|| Cursors::before(oldest));
    if cursors.live() > durable {
        tracing::warn!("the log is younger than what InfluxDB was sent: it is sent as a whole");
        cursors = Cursors::before(oldest);
    }
    // A new run begins with the present.
    let stored = cursors.clone();
    let since = recorded(&log, Seq(cursors.live().0 + 1)).unwrap_or_else(now);
    cursors.hand_over(durable, since);
    let seed = now().timestamp_nanos_opt().unwrap_or_default().cast_unsigned();
    let (floor, ceiling) = tuning.back_off;
    Ok(Delivery {
        tuning,
        tags: tags.clone(),
        log,
        client,
        gate: Gate::new(seed, floor, ceiling, tuning.slow_retry),
        quarantine: Arc::new(Mutex::new(Quarantine::new(Arc::clone(&seam), quarantine))),
        seam,
        cursor_path,
        position: Arc::new(AtomicU64::new(stored.position().0)),
        cursors: Mutex::new(Kept { now: cursors, stored }),
        state: watch::Sender::new(SinkState { up: true, ..SinkState::default() }),
        handed_over: Notify::new(),
        caught_up: Mutex::new(Instant::now()),
        body_bytes: AtomicUsize::new(tuning.batch_bytes),
        took_any: AtomicBool::new(false),
        curious: Mutex::default(),
        unstored: AtomicBool::new(false),
        told: Mutex::default(),
    })
}

/// When a record was appended, where it can be read and its clock was right.
fn recorded(log: &LogReader, seq: Seq) -> Option<DateTime<Utc>> {
    let record = log.read(seq).ok()?.next()?.ok()?;
    record.stamp.trust.is_trusted().then_some(record.stamp.wall)
}

/// Keeps both cursors running until it is told to stop.
async fn supervise(delivery: Arc<Delivery>, stop: CancellationToken) {
    let ticking = async {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut stored_at = Instant::now();
        loop {
            tick.tick().await;
            look_after(&delivery, &mut stored_at).await;
        }
    };
    let live = again_after_panics(&delivery, |delivery| async move { delivery.live().await });
    let backfill =
        again_after_panics(&delivery, |delivery| async move { delivery.backfill().await });
    // What is on its way is given up: it is repeated after the next start, and changes nothing then.
    tokio::select! {
        () = stop.cancelled() => {}
        () = ticking => {}
        () = live => {}
        () = backfill => {}
    }
    store(&delivery).await;
}

/// Runs one cursor as a task of its own, which is ended with this future.
async fn again_after_panics<F>(delivery: &Arc<Delivery>, cursor: impl Fn(Arc<Delivery>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let task = AbortOnDropHandle::new(tokio::spawn(cursor(Arc::clone(delivery))));
        if let Err(ended) = task.await {
            tracing::error!("forwarding to InfluxDB panicked and is started again: {ended}");
            delivery.state.send_modify(|state| state.restarts += 1);
        }
        sleep(AFTER_PANIC).await;
    }
}

async fn look_after(delivery: &Arc<Delivery>, stored_at: &mut Instant) {
    delivery.count_lost();
    // Whole tenths, so that watchers are not woken for nothing.
    let backlog_s = (delivery.backlog().as_secs_f64() * 10.0).ceil() / 10.0;
    delivery.state.send_if_modified(|state| {
        let changed = state.backlog_s.to_bits() != backlog_s.to_bits();
        state.backlog_s = backlog_s;
        changed
    });
    if stored_at.elapsed() >= delivery.tuning.store_every {
        store(delivery).await;
        *stored_at = Instant::now();
    }
}

async fn store(delivery: &Arc<Delivery>) {
    let at_work = Arc::clone(delivery);
    match tokio::task::spawn_blocking(move || at_work.store_cursors()).await {
        Ok(Ok(())) => delivery.unstored.store(false, Ordering::Relaxed),
        Ok(Err(error)) => {
            if !delivery.unstored.swap(true, Ordering::Relaxed) {
                tracing::error!("how far InfluxDB has come is not on disk: {error}");
            }
        }
        // The program ends.
        Err(_) => {}
    }
}
