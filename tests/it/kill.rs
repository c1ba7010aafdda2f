//! A gateway under load is killed at random moments, and goes on: what it showed or answered before is there after.
//!
//! A kill is not a power cut: what only a power cut could lose is tried on the file seam of the store.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    hash::{BuildHasher, Hasher, RandomState},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use rules::{
    alarm::Letter,
    ledger::LedgerRow,
    messages::{AlarmView, Change, Event, Feed, Snapshot, What},
    plant::PointId,
    time::BootId,
};
use serde_json::{Value, json};
use store::{
    Reader,
    journal::{Entry, JournalLine, JournalQuery},
    log::LogReader,
    record::{Record, Seq},
};

use crate::{
    load::{Feed as Meter, QUARTER_KWH, Units, write_site},
    observer,
    support::{COLDWATCH, Ends},
};

const PATIENCE: Duration = Duration::from_secs(30);
/// Raw samples of this long may be lost …
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// … and those of the write that was in flight, on a disk that many tests share.
const WRITE_IN_FLIGHT: Duration = Duration::from_secs(1);
/// A command goes out this long after the answer to the last one.
const COMMAND_PAUSE: Duration = Duration::from_millis(40);
/// More than are written between two looks.
const JOURNAL_LINES: usize = 4000;

#[test]
fn what_was_shown_before_a_kill_is_there_after() {
    House::new(2, 4).kill_and_look(5, 300..1500);
}

#[test]
#[ignore = "needs six minutes"]
fn two_hundred_kills_under_five_thousand_points_a_second_lose_nothing_that_was_shown() {
    let house = House::new(4, 11);
    assert!(house.units.points() >= 5000);
    house.kill_and_look(200, 100..1000);
}

/// A gateway, its plant, and what is known of both from outside.
struct House {
    folder: tempfile::TempDir,
    site: PathBuf,
    socket: PathBuf,
    units: Units,
    meter: Meter,
    random: u64,
    noted: Noted,
    /// The log was checked up to here.
    read_to: Seq,
    last_line: u64,
    /// The longest time of samples that a kill took.
    worst: Duration,
}

/// An alarm, the key of the command about it, and the answer; `None` when the gateway died over it.
type Answered = (String, String, Option<(u16, Value)>);

/// What the gateway showed and answered.
#[derive(Default)]
struct Noted {
    /// As JSON: shown, and not yet found in the journal.
    events: HashSet<String>,
    rows: BTreeMap<DateTime<Utc>, LedgerRow>,
    /// Transitions of standing alarms, which each of them goes through once.
    raised: HashSet<(String, Letter)>,
    answers: Vec<(String, Value)>,
    acknowledged: BTreeSet<String>,
    /// Asked for, and the gateway died over it: either is right.
    in_doubt: BTreeSet<String>,
    standing: BTreeSet<String>,
}

impl House {
    fn new(links: u32, units_per_link: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let units = Units::start(links, units_per_link);
        let meter = Meter::start(Duration::from_millis(150));
        let site = write_site(folder.path(), Some(&units), meter.port);
        let seed = RandomState::new().build_hasher().finish();
        eprintln!("seed {seed}");
        Self {
            site,
            socket: folder.path().join("api.sock"),
            units,
            meter,
            random: seed,
            noted: Noted::default(),
            read_to: Seq(0),
            last_line: 0,
            worst: Duration::ZERO,
            folder,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn kill_and_look(mut self, kills: u32, run_ms: std::ops::Range<u64>) {
        let mut started = self.start();
        for kill in 1..=kills {
            // The first run takes longer: every standing alarm has to be raised once.
            let life = if kill == 1 { 4000 } else { run_ms.start + self.random(&run_ms) };
            let boot = started.boot;
            let killed = self.live(started, Duration::from_millis(life));
            self.samples_are_there(boot, killed);
            started = self.start();
            self.alarms_are_as_before(&started.snapshot);
            self.journal_is_as_before();
            if kill % 20 == 0 || kills < 20 {
                self.ledger_is_as_before();
                assert!(Reader::open(&self.data()).unwrap().verify().unwrap().is_intact());
            }
        }
        self.live(started, Duration::from_secs(3));
        let last = self.start();
        self.ledger_is_as_before();
        assert!(Reader::open(&self.data()).unwrap().verify().unwrap().is_intact());
        assert!(self.noted.acknowledged.len() > 3 && self.noted.rows.len() > 10);
        assert!(self.noted.rows.len() as u64 <= self.meter.sent());
        for row in self.noted.rows.values() {
            assert!((row.amount.unwrap() - QUARTER_KWH).abs() < 1e-6, "{row:?}");
        }
        eprintln!(
            "{kills} kills: {} acknowledged, {} rows, {} lines, at most {:?} of samples lost",
            self.noted.acknowledged.len(),
            self.noted.rows.len(),
            self.last_line,
            self.worst
        );
        drop(last);
    }

    fn random(&mut self, range: &std::ops::Range<u64>) -> u64 {
        // Steele, Lea, Flood: SplitMix.
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % (range.end - range.start)
    }

    fn start(&self) -> Started {
        let child = Command::new(COLDWATCH)
            .args(["run", "--trust-clock", "--listen", "127.0.0.1:0", "--site"])
            .arg(&self.site)
            .arg("--data")
            .arg(self.data())
            .arg("--socket")
            .arg(&self.socket)
            .env("COLDWATCH_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let child = Ends(child);
        let (shown_in, shown) = channel();
        observer::follow(&self.socket, PATIENCE, shown_in);
        match shown.recv_timeout(PATIENCE) {
            Ok(Feed::Snapshot(snapshot)) => Started { child, shown, boot: snapshot.boot, snapshot },
            other => panic!("no picture: {other:?}"),
        }
    }

    /// Lets it run for so long, with an operator at work, and kills it. When that was.
    fn live(&mut self, mut started: Started, life: Duration) -> Instant {
        let stop = Arc::new(AtomicBool::new(false));
        let (answered_in, answered) = channel();
        let operator = self.operator(Arc::clone(&stop), answered_in);
        self.note_views(&started.snapshot.alarms);
        let deadline = Instant::now() + life;
        loop {
            match started.shown.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(feed) => self.note(feed),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => panic!("it ended by itself, or we did"),
            }
        }
        let killed = Instant::now();
        started.child.0.kill().unwrap();
        started.child.0.wait().unwrap();
        stop.store(true, Ordering::Relaxed);
        operator.join().unwrap();
        // What was on its way to us was shown.
        for feed in started.shown {
            self.note(feed);
        }
        for (alarm, key, answer) in answered {
            match answer {
                Some((200, answer)) => {
                    assert_eq!(answer, json!({ "done": null }), "{alarm}");
                    self.noted.answers.push((key, answer));
                    self.noted.in_doubt.remove(&alarm);
                    self.noted.acknowledged.insert(alarm);
                }
                Some(other) => panic!("{alarm}: {other:?}"),
                None => drop(self.noted.in_doubt.insert(alarm)),
            }
        }
        killed
    }

    /// Acknowledges one standing alarm after the other.
    fn operator(
        &self,
        stop: Arc<AtomicBool>,
        answered: Sender<Answered>,
    ) -> thread::JoinHandle<()> {
        let todo: Vec<String> = self
            .noted
            .standing
            .iter()
            .filter(|alarm| {
                !self.noted.acknowledged.contains(*alarm) && !self.noted.in_doubt.contains(*alarm)
            })
            .cloned()
            .collect();
        let socket = self.socket.clone();
        thread::spawn(move || {
            for alarm in todo {
                thread::park_timeout(COMMAND_PAUSE);
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let key = format!("ack {alarm}");
                let action = json!({ "ack": { "alarm": alarm, "occurrence": 1 } });
                let answer = observer::command(&socket, &key, &action).ok();
                let dead = answer.is_none();
                answered.send((alarm, key, answer)).unwrap();
                if dead {
                    return;
                }
            }
        })
    }

    fn note(&mut self, feed: Feed) {
        let update = match feed {
            Feed::Update(update) => update,
            Feed::Snapshot(snapshot) => return self.note_views(&snapshot.alarms),
        };
        for change in update.changes {
            match change {
                Change::Event(event) => {
                    self.noted.events.insert(written(&event));
                }
                Change::Ledger(row) => {
                    let before = self.noted.rows.insert(row.start, row.clone());
                    assert!(before.is_none_or(|before| before == row), "{row:?} was shown twice");
                }
                Change::Alarm(view) => self.note_views(&[view]),
                Change::Reading { .. } | Change::Link(_) | Change::Health(_) => {}
            }
        }
    }

    fn note_views(&mut self, views: &[AlarmView]) {
        for view in views.iter().filter(|view| view.name.starts_with("standing.")) {
            self.noted.standing.insert(view.name.to_string());
        }
    }

    /// S16, before the first sample of the new run.
    fn alarms_are_as_before(&self, snapshot: &Snapshot) {
        let views: BTreeMap<&str, &AlarmView> =
            snapshot.alarms.iter().map(|view| (&*view.name, view)).collect();
        for name in &self.noted.standing {
            let view = views.get(name.as_str()).unwrap_or_else(|| panic!("{name} is gone"));
            let letters: &[Letter] = if self.noted.acknowledged.contains(name) {
                &[Letter::C]
            } else if self.noted.in_doubt.contains(name) {
                &[Letter::B, Letter::C]
            } else {
                &[Letter::B]
            };
            assert!(letters.contains(&view.letter), "{name} is {}", view.letter);
            assert_eq!(view.occurrence, 1, "{name} was annunciated again");
            assert_eq!(view.acknowledged_by.is_some(), view.letter == Letter::C, "{name}");
        }
    }

    fn journal_is_as_before(&mut self) {
        let reader = Reader::open(&self.data()).unwrap();
        let query = JournalQuery { limit: JOURNAL_LINES, ..JournalQuery::default() };
        let deadline = Instant::now() + PATIENCE;
        let lines = loop {
            let lines: Vec<JournalLine> = reader.journal(&query).unwrap();
            for line in &lines {
                if let Entry::Event(event) = &line.entry {
                    self.noted.events.remove(&written(event));
                }
            }
            if self.noted.events.is_empty() {
                break lines;
            }
            let missing = self.noted.events.iter().next();
            assert!(Instant::now() < deadline, "shown, and not in the journal: {missing:?}");
            thread::park_timeout(Duration::from_millis(20));
        };
        let oldest = lines.last().map_or(1, |line| line.line);
        assert!(oldest <= self.last_line + 1, "the test reads too few lines");
        for line in lines.iter().filter(|line| line.line > self.last_line) {
            if let Entry::Event(Event { what: What::Moved(moved), .. }) = &line.entry
                && moved.alarm.starts_with("standing.")
            {
                let once = self.noted.raised.insert((moved.alarm.to_string(), moved.to));
                assert!(once, "{} went to {} twice", moved.alarm, moved.to);
            }
        }
        self.last_line = lines.first().map_or(0, |line| line.line);
        for (key, answer) in self.noted.answers.drain(..) {
            let outcome = reader.outcome(&key).unwrap();
            let outcome = outcome.unwrap_or_else(|| panic!("{key} was answered, and is forgotten"));
            assert_eq!(outcome, rules::messages::Outcome::Done, "{answer}");
        }
    }

    fn ledger_is_as_before(&mut self) {
        let reader = Reader::open(&self.data()).unwrap();
        let (from, to) = (Utc::now() - TimeDelta::days(60), Utc::now());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rows = reader.ledger(from, to).unwrap();
            let by_start: BTreeMap<_, _> = rows.iter().map(|row| (row.start, row)).collect();
            assert_eq!(by_start.len(), rows.len(), "one row an interval");
            let missing = self.noted.rows.iter().find(|(start, _)| !by_start.contains_key(*start));
            let Some(missing) = missing else {
                for (start, row) in &self.noted.rows {
                    assert_eq!(by_start[start], row, "a closed interval never changes");
                }
                self.noted.rows = rows.into_iter().map(|row| (row.start, row)).collect();
                return;
            };
            assert!(Instant::now() < deadline, "shown, and not in the ledger: {missing:?}");
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Every answer of a unit that is old enough is in the log.
    fn samples_are_there(&mut self, boot: BootId, killed: Instant) {
        let log = LogReader::open(&self.data().join("log")).unwrap();
        let mut records = log.read(Seq(self.read_to.0 + 1)).unwrap();
        let mut points: BTreeMap<PointId, usize> = BTreeMap::new();
        let mut newest = vec![0.0; self.units.count()];
        while let Some(record) = records.next() {
            let stamped = record.unwrap();
            self.read_to = stamped.stamp.seq;
            let Record::Frame(samples) = stamped.record else { continue };
            assert_eq!(stamped.stamp.boot, boot);
            if points.is_empty() {
                let plant = Arc::clone(&records.catalog().unwrap().plant);
                points = (0..self.units.count())
                    .map(|unit| {
                        let sensor = plant.find_asset(&format!("unit-{unit}")).unwrap();
                        (plant.find_point(sensor, "answer.value").unwrap(), unit)
                    })
                    .collect();
            }
            for sample in samples {
                if let (Some(unit), Ok(value)) = (points.get(&sample.point), &sample.value) {
                    newest[*unit] = value.as_number().unwrap();
                }
            }
        }
        for (unit, newest) in newest.into_iter().enumerate() {
            let lost_since = |lost: Duration| {
                let then = killed.checked_sub(lost).unwrap_or(killed);
                f64::from(self.units.answered_before(unit, then)) > newest
            };
            let worst = (0..4000)
                .step_by(10)
                .map(Duration::from_millis)
                .take_while(|lost| lost_since(*lost))
                .last();
            self.worst = self.worst.max(worst.unwrap_or_default());
            let allowed = SYNC_EVERY + WRITE_IN_FLIGHT;
            assert!(!lost_since(allowed), "unit {unit}: more than {allowed:?} of samples are gone");
        }
    }
}

/// A gateway that has shown its first picture.
struct Started {
    child: Ends,
    shown: Receiver<Feed>,
    boot: BootId,
    snapshot: Box<Snapshot>,
}

fn written(event: &Event) -> String {
    serde_json::to_string(event).unwrap()
}
