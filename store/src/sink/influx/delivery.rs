//! The two cursors at work: each reads its part of the log, sends it, and moves on when the server has it.

use std::{
    ops::Range,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    SinkState, Tuning,
    batch::{Batcher, Body, Chunk, Limits},
    client::{Answer, Client, pack},
    dissect::{Dissection, Refusal, Verdict},
    gate::{Gate, Pass, Retry},
};
use crate::{
    log::{LogError, LogReader},
    record::Seq,
    seam::Seam,
    sink::{
        cursor::{CursorError, Cursors},
        quarantine::{Entry, Quarantine},
    },
};

/// Bodies are not made smaller than this because of what a server said.
const BYTES_MIN: usize = 16 << 10;
/// Reading the log again after it failed.
const READ_AGAIN: Duration = Duration::from_secs(5);
/// The backfill cursor rests so many times as long as it read, so that catching up leaves the machine to the gateway.
const REST: u32 = 3;
const REST_MAX: Duration = Duration::from_secs(1);
/// How often what is refused is told and looked into anew.
const CURIOUS_AGAIN: Duration = Duration::from_mins(1);

/// What both cursors share.
pub(super) struct Delivery {
    pub(super) tuning: Tuning,
    pub(super) tags: Vec<(String, String)>,
    pub(super) log: LogReader,
    pub(super) client: Client,
    pub(super) gate: Gate,
    pub(super) seam: Arc<dyn Seam>,
    pub(super) cursor_path: PathBuf,
    pub(super) cursors: Mutex<Kept>,
    /// The position that is on disk: what lies before it is not needed any more, also after a crash.
    pub(super) position: Arc<AtomicU64>,
    pub(super) quarantine: Arc<Mutex<Quarantine>>,
    pub(super) state: watch::Sender<SinkState>,
    /// Something was handed over to the backfill cursor.
    pub(super) handed_over: Notify,
    /// When the live cursor last had nothing before it.
    pub(super) caught_up: Mutex<Instant>,
    /// Bytes of a body, before compression.
    pub(super) body_bytes: AtomicUsize,
    /// The server took something since the start.
    pub(super) took_any: AtomicBool,
    pub(super) curious: Mutex<Curious>,
    /// The cursors could not be put on disk, which has been told.
    pub(super) unstored: AtomicBool,
    /// When it was last said that lines were refused.
    pub(super) told: Mutex<Option<Instant>>,
}

/// Requests of this minute that may be made only to find out which lines were refused.
#[derive(Default)]
pub(super) struct Curious {
    left: usize,
    since: Option<Instant>,
}

/// The cursors, and what of them is on disk.
pub(super) struct Kept {
    pub(super) now: Cursors,
    pub(super) stored: Cursors,
}

/// Why a chunk was not delivered: the server is not there, and the gate knows.
struct Interrupted;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

impl Delivery {
    /// Follows the present. Never ends by itself.
    pub(super) async fn live(&self) {
        let mut durable = self.log.changed();
        let mut batcher = Batcher::new(&self.tags);
        let mut not_before = Instant::now();
        loop {
            let from = Seq(lock(&self.cursors).now.live().0 + 1);
            if durable.borrow_and_update().seq < from {
                if durable.changed().await.is_err() {
                    // The log was closed: nothing will follow.
                    std::future::pending::<()>().await;
                }
                *lock(&self.caught_up) = Instant::now();
                continue;
            }
            tokio::time::sleep_until(not_before).await;
            let pass = self.gate.enter().await;
            let started = Instant::now();
            let newest = self.log.durable();
            if self.hand_over(newest) {
                continue;
            }
            let Some(chunk) = self.gather(&mut batcher, from, newest).await else { continue };
            let (last, waits, full) = (chunk.last, chunk.waits, !chunk.bodies.is_empty());
            if last >= from {
                if self.deliver(chunk, pass, Some(self.tuning.live_lag)).await.is_err() {
                    continue;
                }
                lock(&self.cursors).now.live_delivered(last);
                if last >= newest {
                    *lock(&self.caught_up) = started;
                }
            } else {
                drop(pass);
            }
            // More is waiting: on with it. Else what comes within the next moment goes together.
            let more = full && last < newest && !waits;
            not_before = if more { started } else { started + self.tuning.batch_age };
        }
    }

    /// Leaves the past to the backfill cursor when the live one fell too far behind; `true`: it did.
    fn hand_over(&self, newest: Seq) -> bool {
        let mut caught_up = lock(&self.caught_up);
        let behind = caught_up.elapsed();
        if behind <= self.tuning.live_lag {
            return false;
        }
        *caught_up = Instant::now();
        drop(caught_up);
        let since = now() - TimeDelta::from_std(behind).unwrap_or_default();
        lock(&self.cursors).now.hand_over(newest, since);
        self.handed_over.notify_one();
        true
    }

    /// Goes through what the live cursor left out. Never ends by itself.
    pub(super) async fn backfill(&self) {
        let mut batcher = Batcher::new(&self.tags);
        loop {
            let Some(gap) = lock(&self.cursors).now.gap() else {
                self.handed_over.notified().await;
                continue;
            };
            let pass = self.gate.enter().await;
            let started = Instant::now();
            let Some(chunk) = self.gather(&mut batcher, gap.from, gap.until).await else {
                continue;
            };
            let rest = (started.elapsed() * REST).min(REST_MAX);
            let (last, waits, recorded) = (chunk.last, chunk.waits, chunk.recorded);
            if last >= gap.from {
                if self.deliver(chunk, pass, None).await.is_err() {
                    continue;
                }
                lock(&self.cursors).now.gap_delivered(last, recorded);
            } else {
                drop(pass);
            }
            let rest = if waits { rest.max(self.tuning.batch_age) } else { rest };
            tokio::time::sleep(rest).await;
        }
    }

    /// What the log no longer has, because its cap took it. What is on its way just now may count although it arrives.
    pub(super) fn count_lost(&self) {
        let lost = lock(&self.cursors).now.cut(self.log.oldest());
        if lost > 0 {
            tracing::error!("{lost} records were removed from the log before InfluxDB had them");
            self.state.send_modify(|state| state.lost_records += lost);
        }
    }

    /// Reads on a thread that may block. `None`: the log cannot be read now.
    async fn gather(&self, batcher: &mut Batcher, from: Seq, until: Seq) -> Option<Chunk> {
        let bytes = self.body_bytes.load(Ordering::Relaxed);
        let limits = Limits { lines: self.tuning.batch_lines, bytes };
        let log = self.log.clone();
        let mut at_work = std::mem::replace(batcher, Batcher::new(&[]));
        let reading = tokio::task::spawn_blocking(move || {
            let chunk = at_work.gather(&log, from, until, limits);
            (at_work, chunk)
        });
        let chunk = match reading.await {
            Ok((back, chunk)) => {
                *batcher = back;
                chunk
            }
            Err(ended) => {
                *batcher = Batcher::new(&self.tags);
                match ended.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The program ends.
                    Err(_) => return std::future::pending().await,
                }
            }
        };
        match chunk {
            Ok(chunk) => {
                // Before the cursor passes what was no longer there to be read.
                self.count_lost();
                Some(chunk)
            }
            Err(error) => {
                self.log_is_unreadable(&error);
                tokio::time::sleep(READ_AGAIN).await;
                None
            }
        }
    }

    fn log_is_unreadable(&self, error: &LogError) {
        tracing::error!("nothing goes to InfluxDB: {error}");
        self.state.send_modify(|state| state.why = Some(error.to_string()));
    }

    /// Sends all bodies of a chunk, one after the other. `patience`: how far behind the live cursor may fall meanwhile.
    async fn deliver(
        &self,
        chunk: Chunk,
        mut pass: Pass<'_>,
        patience: Option<Duration>,
    ) -> Result<(), Interrupted> {
        for body in &chunk.bodies {
            pass = self.deliver_body(body, pass, patience).await?;
        }
        drop(pass);
        if !chunk.unsent.is_empty() {
            let entries = chunk.unsent.iter().map(|unsent| Entry {
                at: now(),
                line: unsent.what.clone(),
                why: unsent.why.to_string().into(),
            });
            self.put_away(entries.collect(), chunk.unsent.len()).await;
        }
        self.state.send_modify(|state| {
            state.skipped_values += chunk.skipped;
            state.lost_records += chunk.unreadable;
            if !chunk.waits && state.up {
                state.why = None;
            } else if chunk.waits && state.up {
                state.why = Some("waiting until the wall clock can be trusted".to_owned());
            }
        });
        Ok(())
    }

    async fn deliver_body<'a>(
        &'a self,
        body: &Body,
        mut pass: Pass<'a>,
        patience: Option<Duration>,
    ) -> Result<Pass<'a>, Interrupted> {
        let mut dissection = Dissection::new(body.count, self.curiosity());
        let mut all_by_the_api = true;
        let mut ends = None;
        while let Some(part) = dissection.next() {
            let (retry, words) = match self.client.write(packed(body, &part, &mut ends)).await {
                Answer::Taken => {
                    pass.answered();
                    self.took_any.store(true, Ordering::Relaxed);
                    self.server_took();
                    dissection.taken();
                    continue;
                }
                Answer::Refused { words, dropped, by_the_api } => {
                    all_by_the_api &= by_the_api;
                    if dropped.is_some_and(|dropped| dropped < part.len()) {
                        self.took_any.store(true, Ordering::Relaxed);
                    }
                    dissection.refused(&words, dropped.map_or(Refusal::Whole, Refusal::Partial));
                    continue;
                }
                Answer::TooLarge { words } => {
                    if part.len() > 1 {
                        self.smaller_bodies(body.lines.len() * part.len() / body.count);
                    }
                    dissection.refused(&words, Refusal::Size);
                    continue;
                }
                Answer::Denied { words } => (Retry::Slow, words),
                Answer::Later { words } => (Retry::BackOff, words),
            };
            let interrupted = self.interrupted(pass, retry, words);
            // What is already known of its parts is worth keeping: else a bad line at an unsteady server would be searched
            // for from the start again and again.
            let late = patience.is_some_and(|limit| lock(&self.caught_up).elapsed() > limit);
            if late || !dissection.is_split() {
                return Err(interrupted);
            }
            pass = self.gate.enter().await;
        }
        let verdict = dissection.verdict();
        if let Some((_, words)) = verdict.refused.first()
            && verdict.taken == 0
            && !(all_by_the_api && self.took_any.load(Ordering::Relaxed))
        {
            // Not one line was good enough for it, and nothing shows that any ever is: then it is not the lines.
            return Err(self.interrupted(pass, Retry::Slow, words.clone()));
        }
        pass.answered();
        self.server_took();
        lock(&self.curious).left = verdict.curiosity;
        let taken = verdict.taken as u64;
        self.state.send_modify(|state| state.written_lines += taken);
        if !verdict.refused.is_empty() || !verdict.vague.is_empty() {
            self.refused(body, verdict).await;
        }
        Ok(pass)
    }

    /// How many requests may be made now only to find out which lines were refused.
    fn curiosity(&self) -> usize {
        let mut curious = lock(&self.curious);
        if curious.since.is_none_or(|since| since.elapsed() > CURIOUS_AGAIN) {
            *curious = Curious { left: self.tuning.curiosity, since: Some(Instant::now()) };
        }
        curious.left
    }

    fn server_took(&self) {
        self.state.send_modify(|state| {
            if !state.up {
                tracing::info!("InfluxDB takes lines again");
                state.up = true;
                state.why = None;
            }
            state.last_success = Some(now());
        });
    }

    fn interrupted(&self, pass: Pass<'_>, retry: Retry, words: String) -> Interrupted {
        self.state.send_modify(|state| {
            if state.why.as_deref() != Some(&words) {
                tracing::warn!("InfluxDB takes nothing: {words}");
            }
            state.up = false;
            state.why = Some(words);
        });
        pass.failed(retry);
        Interrupted
    }

    fn smaller_bodies(&self, refused_bytes: usize) {
        let smaller = (refused_bytes / 2).max(BYTES_MIN);
        if self.body_bytes.fetch_min(smaller, Ordering::Relaxed) > smaller {
            tracing::info!(
                "InfluxDB takes less in one request: at most {smaller} bytes from now on"
            );
        }
    }

    /// Lines that the server will not take, however often they are sent.
    async fn refused(&self, body: &Body, verdict: Verdict) {
        let Verdict { refused, vague, .. } = verdict;
        let ends = line_ends(&body.lines);
        let line = |index: usize| {
            let start = index.checked_sub(1).map_or(0, |before| ends[before]);
            String::from_utf8_lossy(&body.lines[start..ends[index]]).trim_end().to_owned()
        };
        let named = refused.into_iter().map(|(index, words)| (line(index), words));
        let unnamed = vague.iter().map(|vague| {
            let (count, among) = (vague.refused, vague.among.len());
            let first = line(vague.among.start);
            (format!("{count} of {among} lines from this one on: {first}"), vague.words.clone())
        });
        let entry = |(line, words): (String, String)| Entry { at: now(), line, why: words.into() };
        let entries: Vec<Entry> = named.chain(unnamed).map(entry).collect();
        let unnamed: usize = vague.iter().map(|vague| vague.refused).sum();
        let count = entries.len() - vague.len() + unnamed;
        self.tell_refusal(count, &entries);
        self.put_away(entries, count).await;
    }

    /// Not more than once a minute: a field of another type is refused every second.
    fn tell_refusal(&self, count: usize, entries: &[Entry]) {
        let mut told = lock(&self.told);
        if told.is_none_or(|at| at.elapsed() > CURIOUS_AGAIN)
            && let Some(first) = entries.first()
        {
            *told = Some(Instant::now());
            tracing::warn!("InfluxDB refuses {count} lines, now in quarantine: {}", first.why);
        }
    }

    async fn put_away(&self, entries: Vec<Entry>, count: usize) {
        let quarantine = Arc::clone(&self.quarantine);
        let writing = tokio::task::spawn_blocking(move || lock(&quarantine).add(&entries));
        // A file that cannot be written to must not hold up what is good.
        if let Ok(Err(error)) = writing.await {
            tracing::error!("failed to write refused lines to quarantine: {error}");
        }
        self.state.send_modify(|state| state.rejected_lines += count as u64);
    }

    /// Puts the cursors on disk where they moved.
    pub(super) fn store_cursors(&self) -> Result<(), CursorError> {
        let moved = {
            let kept = lock(&self.cursors);
            (kept.now != kept.stored).then(|| kept.now.clone())
        };
        let Some(moved) = moved else { return Ok(()) };
        moved.store(&*self.seam, &self.cursor_path)?;
        self.position.store(moved.position().0, Ordering::Release);
        lock(&self.cursors).stored = moved;
        Ok(())
    }

    /// How long ago the oldest record that is not yet delivered was recorded.
    pub(super) fn backlog(&self) -> Duration {
        let (gap, live) = {
            let kept = lock(&self.cursors);
            (kept.now.gap(), kept.now.live())
        };
        let lag = lock(&self.caught_up).elapsed();
        // Within this time everybody is: it is how long lines are gathered.
        let usual = self.tuning.batch_age * 2;
        let lag = if self.log.durable() <= live || lag <= usual { Duration::ZERO } else { lag };
        let gap = gap.map(|gap| (now() - gap.since).to_std().unwrap_or_default());
        // A gap is a backlog also when the clock says that it has no age.
        gap.map_or(lag, |gap| gap.max(lag).max(Duration::from_millis(1)))
    }
}

/// Some lines of a body, compressed. `ends` is found out when it is first needed.
fn packed(body: &Body, part: &Range<usize>, ends: &mut Option<Vec<usize>>) -> Vec<u8> {
    if part.len() == body.count {
        return body.packed.clone();
    }
    let ends = ends.get_or_insert_with(|| line_ends(&body.lines));
    let start = part.start.checked_sub(1).map_or(0, |before| ends[before]);
    pack(&body.lines[start..ends[part.end - 1]])
}

/// The place behind each line.
fn line_ends(lines: &[u8]) -> Vec<usize> {
    lines.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect()
}
