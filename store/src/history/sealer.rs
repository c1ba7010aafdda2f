//! The thread that seals: it waits for a bucket to be complete, makes room, seals it, rolls up what is due, and lets go of
//! the log that nobody needs any more.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    HistoryError, Retention,
    book::Book,
    database::{FILE, Mark, SeriesId, open_to_write},
    retention::{Keeper, Pins},
    roll::Roller,
    seal::seal,
    survey::{Found, Survey},
};
use crate::log::LogReader;

/// How often the thread looks how far the log is, which costs nothing.
const GLANCE: Duration = Duration::from_secs(1);

/// After an error, such as a full disk.
const RETRY: Duration = Duration::from_secs(20);

/// Longest that sealing goes on once it should end.
const FAREWELL: Duration = Duration::from_secs(30);

/// So many new records are looked at before their time: somebody plays time faster.
const MANY_RECORDS: u64 = 20_000;

/// Seals the log into `history.db`. Work is done by [`Self::turn`], by whoever holds it.
pub struct Sealer {
    dir: PathBuf,
    log: LogReader,
    retention: Retention,
    pins: Pins,
    connection: Connection,
    book: Book,
    survey: Survey,
    roller: Roller,
    sealed_ms: i64,
}

/// What is left to do after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something was done, and there may be more.
    Again,
    /// Nothing, before so much more time is in the log.
    Wait(Duration),
}

impl Sealer {
    /// Opens or makes `history.db` in the data directory. One that is damaged is moved aside, and what the log still has is
    /// sealed again. Only one may be open.
    pub fn open(
        dir: &Path,
        log: LogReader,
        retention: Retention,
        pins: Pins,
    ) -> Result<Self, HistoryError> {
        let path = dir.join(FILE);
        let connection = match open_to_write(&path) {
            Err(error) if error.is_damage() => {
                set_aside(&path)?;
                open_to_write(&path)?
            }
            opened => opened?,
        };
        let book = Book::load(&connection)?;
        let mut mark = Mark::load(&connection)?;
        if mark.taken > log.durable().0 {
            // Another log than the one that was sealed. What is the same in both has the same times.
            tracing::error!(
                "the log ends before what the history has of it: it is sealed from its beginning"
            );
            mark = Mark::START;
        }
        let survey = Survey::new(mark);
        let dir = dir.to_owned();
        let roller = Roller::default();
        Ok(Self {
            dir,
            log,
            retention,
            pins,
            connection,
            book,
            survey,
            roller,
            sealed_ms: i64::MIN,
        })
    }

    /// Seals one bucket if one is complete, or does a part of what else is due. After an error nothing is changed, and
    /// the next turn tries again.
    pub fn turn(&mut self) -> Result<Turn, HistoryError> {
        let series = self.series();
        if self.roller.roll_some(&mut self.connection, self.sealed_ms, series)? {
            return Ok(Turn::Again);
        }
        match self.survey.look(&self.log, &mut self.book) {
            Ok(Found::Run(run)) => {
                // What was looked at is forgotten: after an error it is looked at again.
                self.survey = Survey::new(run.from);
                self.keeper().release_log()?;
                self.keeper().make_room()?;
                seal(&mut self.connection, &self.log, &mut self.book, &run)?;
                self.survey = Survey::new(run.to);
                self.after(run.to)?;
                Ok(Turn::Again)
            }
            Ok(Found::Incomplete(ms)) => {
                self.keeper().release_log()?;
                let ms = ms.map_or(GLANCE.as_millis(), |ms| ms.max(0).cast_unsigned().into());
                Ok(Turn::Wait(
                    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)).max(GLANCE),
                ))
            }
            Err(error) => {
                self.survey = Survey::new(Mark::load(&self.connection)?);
                Err(error)
            }
        }
    }

    /// Once a run is committed.
    fn after(&mut self, mark: Mark) -> Result<(), HistoryError> {
        if mark.cut_ms != i64::MAX {
            self.sealed_ms = mark.cut_ms;
            self.keeper().age(mark.cut_ms)?;
        }
        self.keeper().release_log()?;
        Ok(())
    }

    fn series(&self) -> SeriesId {
        SeriesId::try_from(self.book.len()).unwrap_or(SeriesId::MAX)
    }

    fn keeper(&mut self) -> Keeper<'_> {
        let series = self.series();
        Keeper {
            connection: &mut self.connection,
            log: &self.log,
            pins: &self.pins,
            retention: &self.retention,
            dir: &self.dir,
            series,
        }
    }

    /// How many records the log has that were not looked at.
    fn ahead(&self) -> u64 {
        self.log.durable().0.saturating_sub(self.survey.looked_at())
    }
}

/// The sealing thread. Dropped, it ends at its next glance; what is not sealed stays in the log.
#[derive(Debug)]
pub struct Sealing {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    trouble: Arc<Mutex<Option<Arc<str>>>>,
}

impl Sealing {
    /// Starts the thread. It opens the database itself, and tries again when that fails.
    pub fn start(
        dir: &Path,
        log: LogReader,
        retention: Retention,
        pins: Pins,
    ) -> Result<Self, HistoryError> {
        let (stop, stopped) = sync_channel(1);
        let trouble = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&trouble);
        let dir = dir.to_owned();
        let work = move || loop {
            match Sealer::open(&dir, log.clone(), retention.clone(), pins.clone()) {
                Ok(sealer) => return run(sealer, &stopped, &shared),
                Err(error) => tell(&shared, &error),
            }
            if !matches!(stopped.recv_timeout(RETRY), Err(RecvTimeoutError::Timeout)) {
                return;
            }
        };
        let thread = thread::Builder::new().name("sealer".to_owned()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread), trouble })
    }

    /// Why sealing does not go on at the moment; it is tried again.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Seals every bucket that is complete, then ends the thread.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Already there, or the thread is gone: both mean that it ends.
            let _ = stop.try_send(());
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the sealing thread panicked");
        }
    }
}

impl Drop for Sealing {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(mut sealer: Sealer, stopped: &Receiver<()>, trouble: &Mutex<Option<Arc<str>>>) {
    loop {
        let wait = match sealer.turn() {
            Ok(Turn::Again) => Duration::ZERO,
            Ok(Turn::Wait(wait)) => wait,
            Err(error) => {
                tell(trouble, &error);
                if pause(&sealer, stopped, RETRY, false) {
                    return;
                }
                continue;
            }
        };
        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if pause(&sealer, stopped, wait, true) {
            break;
        }
    }
    // The writer is closed by now: what is complete is sealed, and what takes too long is left for the next start.
    let until = Instant::now() + FAREWELL;
    while Instant::now() < until && matches!(sealer.turn(), Ok(Turn::Again)) {}
}

fn tell(trouble: &Mutex<Option<Arc<str>>>, error: &HistoryError) {
    let why = chain(error);
    tracing::warn!("the history is not sealed, which is tried again: {why}");
    *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.into());
}

/// Moves a damaged database away, over the one that was moved away before.
fn set_aside(path: &Path) -> Result<(), HistoryError> {
    for suffix in ["", "-journal"] {
        let mut from = path.to_owned().into_os_string();
        from.push(suffix);
        let mut to = path.to_owned().into_os_string();
        to.push(format!(".damaged{suffix}"));
        match fs::rename(&from, &to) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(HistoryError::SetAside { path: path.to_owned(), source });
            }
            _ => {}
        }
    }
    tracing::error!("{} was damaged and is moved aside", path.display());
    Ok(())
}

/// Waits; `true`: it is time to end.
fn pause(sealer: &Sealer, stopped: &Receiver<()>, wait: Duration, glance: bool) -> bool {
    let until = Instant::now() + wait;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match stopped.recv_timeout(left.min(GLANCE)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return true,
        }
        if left.is_zero() || (glance && sealer.ahead() > MANY_RECORDS) {
            return false;
        }
    }
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
