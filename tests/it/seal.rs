//! The power goes while samples are sealed and journal lines are appended: after every operation on a file, by the system
//! calls of a store that did both. What was not synced is gone, in part or as a whole, and so are names of files.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs, mem,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use rules::{
    ledger::{LedgerRow, Method},
    messages::{Event, SiteInfo, What},
    plant::{Asset, AssetKind, Detail, Origin, Plant, PointId, PointKind, PointSpec},
    time::{BootId, Mono, Now, Trust, Wall},
    units::Unit,
    value::{Sample, Value},
};
use store::{
    Opened, Options, Reader,
    history::{Resolution, Rows},
    journal::{Entry, JournalQuery},
    record::{Catalog, Record},
};

use crate::strace::{Call, calls, strace, strings};

/// Names the data directory to the process that is traced.
const DIR: &str = "COLDWATCH_TEST_SEALED";
const CALLS: &str = "openat,write,writev,pwrite64,pwritev,ftruncate,fallocate,fdatasync,fsync,unlink,unlinkat,rename,\
                     renameat,renameat2,mkdir,mkdirat";
/// A group of records every so often, over four quarters of an hour and midnight.
const STEP_S: i64 = 30;
const LAST_STEP: i64 = 100;
const RUN_STEPS: usize = 34;
/// What a disk writes at once.
const SECTOR: usize = 512;

/// 2026-11-22 23:40 UTC.
fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_390_800, 0).unwrap()
}

fn time(step: i64) -> DateTime<Utc> {
    start() + TimeDelta::seconds(STEP_S * step)
}

fn options(dir: &Path) -> Options {
    Options { reserve_bytes: 0, segment_bytes: 4096, ..Options::new(dir.to_owned()) }
}

fn now(step: i64) -> Now {
    Now {
        mono: Mono::from_secs((1000 + STEP_S * step).cast_unsigned()),
        wall: Wall { utc: time(step), trust: Trust::Synchronised },
    }
}

fn catalog() -> Record {
    let mut plant = Plant::default();
    let cdu =
        Asset { name: "cdu-1".into(), kind: AssetKind::Cdu, title: None, detail: Detail::None };
    let asset = plant.add_asset(cdu);
    for quantity in ["t0", "t1"] {
        plant.add_point(PointSpec {
            asset,
            quantity: quantity.into(),
            unit: Unit::parse("°C").unwrap(),
            kind: PointKind::Gauge,
            origin: Origin::Polled,
            stale_after: Duration::from_mins(2),
            states: Vec::new(),
        });
    }
    let site = SiteInfo {
        id: "hall".to_owned(),
        name: "Hall".to_owned(),
        time_zone: "UTC".to_owned(),
        gateway: "gw-1".to_owned(),
        simulated: true,
    };
    Record::Catalog(Arc::new(Catalog { version: "1".to_owned(), site, plant: Arc::new(plant) }))
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn value(point: u32, step: i64) -> f64 {
    30.0 + f64::from(point) + (step % 37) as f64 / 10.0
}

/// What is decided and seen in one step: an event that says which it is, a ledger row, two samples.
fn group(step: i64) -> Vec<Record> {
    let Now { mono, wall } = now(step);
    let sample = |point| Sample {
        point: PointId(point),
        at: mono,
        source_time: None,
        value: Ok(Value::Number(value(point, step))),
    };
    let row = LedgerRow {
        meter: "ups-1".into(),
        start: start() + TimeDelta::minutes(15 * step),
        amount: Some(2.5),
        method: Method::Register,
        coverage: 1.0,
        flags: Vec::new(),
        uncertainty: None,
        first: None,
        last: None,
    };
    let what = What::Link { up: true, why: step.to_string() };
    let event = Event { at: mono, wall: Some(wall.utc), asset: None, what };
    let mut group = vec![
        Record::Event(event),
        Record::Ledger(vec![row]),
        Record::Frame(vec![sample(0), sample(1)]),
    ];
    if step % 20 == 19 {
        group.push(Record::Checkpoint(serde_json::json!(step)));
    }
    group
}

/// Runs that each append a quarter of an hour and a little more, then end, which seals what is complete.
#[test]
#[ignore = "is what the other test in here traces"]
#[expect(clippy::print_stdout, reason = "says in the trace what is durable")]
fn child() {
    let Some(dir) = env::var_os(DIR) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut sealed = 0;
    for (run, first) in (1..).zip((0..=LAST_STEP).step_by(RUN_STEPS)) {
        let Opened { store, mut writer, .. } =
            store::open(&options(Path::new(&dir)), BootId(run)).unwrap();
        let mut durable = writer.durable();
        writer.append(&now(first), vec![catalog()]);
        for step in (first..=LAST_STEP).take(RUN_STEPS) {
            let seq = writer.append(&now(step), group(step));
            runtime.block_on(durable.wait_for(|durable| durable.seq >= seq)).unwrap();
            println!("durable {step}");
        }
        let reader = store.reader();
        writer.close().unwrap();
        store.close();
        let before = mem::replace(&mut sealed, reader.stats().unwrap().history.raw_samples);
        assert!(sealed > before, "run {run} has sealed");
    }
}

#[test]
#[ignore = "needs strace"]
fn a_power_cut_after_any_operation_of_a_seal_takes_nothing_that_was_durable() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, trace) = (folder.path().join("data"), folder.path().join("trace"));
    fs::create_dir(&dir).unwrap();
    let status = strace(&trace, CALLS)
        .arg(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "seal::child", "--nocapture"])
        .env(DIR, &dir)
        .status()
        .expect("strace is installed");
    assert!(status.success());
    let calls = calls(&trace);
    let (mut disk, mut durable, mut cuts) = (Disk::default(), None, 0);
    let mut seen = BTreeSet::new();
    for call in &calls {
        if let Some(step) = said_durable(call) {
            durable = Some(step);
        }
        if !disk.take(call, &dir) {
            continue;
        }
        seen.insert(call.name.as_str());
        for cut in Cut::ALL {
            let found = tempfile::tempdir().unwrap();
            disk.cut(cut, &dir, found.path());
            let what =
                format!("{cut:?} after line {} of the trace, {}", call.returned + 1, call.on);
            check(found.path(), durable, &what);
            cuts += 1;
        }
    }
    assert_eq!(durable, Some(LAST_STEP));
    assert!(
        seen.is_superset(&["fdatasync", "openat", "pwrite64", "unlink", "write"].into()),
        "{seen:?}"
    );
    eprintln!("{} operations, {cuts} cuts", cuts / Cut::ALL.len());
}

/// The step that the child calls durable in this call.
fn said_durable(call: &Call) -> Option<i64> {
    let text = std::str::from_utf8(&call.bytes).ok()?;
    text.strip_prefix("durable ")?.trim().parse().ok()
}

/// Opens what the cut left, lets the store go on to its end, and looks whether all is there and nothing twice.
fn check(dir: &Path, durable: Option<i64>, what: &str) {
    let Opened { store, writer, findings, .. } =
        store::open(&options(dir), BootId(100)).expect(what);
    assert_eq!(findings, [], "{what}");
    let reader = store.reader();
    let steps = steps(&reader);
    let last = steps.last().copied();
    assert!(last >= durable, "{what}: {last:?} is the last line, {durable:?} was durable");
    assert_eq!(steps, (0..=last.unwrap_or(-1)).collect::<Vec<_>>(), "{what}");
    let kept = samples_are_there(&reader, durable, what);
    let rows = reader.ledger(start(), time(1_000_000)).unwrap().len();
    assert!(
        (durable.map_or(0, count)..=count(last.unwrap_or(-1))).contains(&rows),
        "{what}: {rows} rows"
    );
    assert!(reader.verify().unwrap().is_intact(), "{what}");
    writer.close().expect(what);
    store.close();

    let reader = Reader::open(dir).expect(what);
    assert_eq!(samples_are_there(&reader, durable, what), kept, "{what}");
    let sealed = reader.stats().unwrap().history.raw_samples;
    let complete = |step: i64| time(step).timestamp() % 900 == 0;
    let ends = (0..=LAST_STEP).filter(|step| complete(*step));
    let mut whole = ends.map(|step| 2 * step.cast_unsigned());
    assert!(
        sealed == 0 || whole.any(|samples| samples == sealed),
        "{what}: {sealed} sealed samples"
    );
}

fn count(step: i64) -> usize {
    usize::try_from(step + 1).unwrap()
}

/// The steps whose event is in the journal, oldest first.
fn steps(reader: &Reader) -> Vec<i64> {
    let all = JournalQuery { limit: usize::MAX, ..JournalQuery::default() };
    let journal = reader.journal(&all).unwrap().into_iter().rev();
    let steps = journal.filter_map(|line| match line.entry {
        Entry::Event(Event { what: What::Link { why, .. }, .. }) => why.parse().ok(),
        _ => None,
    });
    steps.collect()
}

/// How many samples of each point are there: all that were durable, none other than were taken.
fn samples_are_there(reader: &Reader, durable: Option<i64>, what: &str) -> Vec<usize> {
    let points: [Arc<str>; 2] = ["cdu-1.t0".into(), "cdu-1.t1".into()];
    let found = reader.history(&points, start(), time(1_000_000), Resolution::Raw).expect(what);
    let mut lengths = vec![0; points.len()];
    for (point, series) in (0..).zip(&found) {
        let Rows::Raw(rows) = &series.rows else { panic!("raw was asked for") };
        for (step, row) in (0..).zip(rows) {
            assert_eq!(row.at_ms, time(step).timestamp_millis(), "{what}");
            assert_eq!(row.value, Ok(Value::Number(value(point, step))), "{what}");
        }
        lengths[usize::try_from(point).unwrap()] = rows.len();
    }
    let least = durable.map_or(0, count);
    assert!(
        lengths.iter().all(|length| *length >= least),
        "{what}: {lengths:?} samples of {least}"
    );
    lengths
}

/// What a power cut leaves of what was not synced: of contents, and of names that were made and removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    contents: Unsynced,
    names_kept: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsynced {
    Lost,
    /// Every other sector that was written, so that what came later may be there without what came before.
    InPart,
    Kept,
}

impl Cut {
    const ALL: [Self; 6] = {
        use Unsynced::{InPart, Kept, Lost};
        [
            Self { contents: Lost, names_kept: false },
            Self { contents: InPart, names_kept: false },
            Self { contents: Kept, names_kept: false },
            Self { contents: Lost, names_kept: true },
            Self { contents: InPart, names_kept: true },
            Self { contents: Kept, names_kept: true },
        ]
    };
}

/// What the traced process has done to the files of its data directory.
#[derive(Default)]
struct Disk {
    /// A file that is removed keeps its number.
    files: Vec<File>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    folders: BTreeSet<PathBuf>,
}

#[derive(Default)]
struct File {
    synced: Vec<u8>,
    length: usize,
    /// Not synced, with the place of each return in the trace.
    pending: Vec<(usize, Change)>,
}

enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut { length: usize },
}

impl Disk {
    /// Whether the call changed anything in the data directory, or synced it.
    fn take(&mut self, call: &Call, dir: &Path) -> bool {
        let path = |place| PathBuf::from(quoted(&call.arguments, place));
        match call.name.as_str() {
            "openat" => self.create(&path(0), &call.arguments, dir),
            "mkdir" | "mkdirat" => path(0).starts_with(dir) && self.folders.insert(path(0)),
            "unlink" | "unlinkat" => self.names.remove(&path(0)).is_some(),
            "rename" | "renameat" | "renameat2" => {
                let Some(file) = self.names.remove(&path(0)) else { return false };
                self.names.insert(path(1), file);
                true
            }
            "fdatasync" | "fsync" if Path::new(&call.on).starts_with(dir) => {
                self.sync(Path::new(&call.on), call.entered);
                true
            }
            _ => self.change(call),
        }
    }

    fn create(&mut self, path: &Path, arguments: &str, dir: &Path) -> bool {
        // The memory that connections share is made anew from the rest.
        let shared = path.to_string_lossy().ends_with("-shm");
        if !path.starts_with(dir) || shared || self.names.contains_key(path) {
            assert!(
                !self.names.contains_key(path) || !arguments.contains("O_TRUNC"),
                "{arguments}"
            );
            return false;
        }
        if arguments.contains("O_CREAT") {
            self.names.insert(path.to_owned(), self.files.len());
            self.files.push(File::default());
        }
        arguments.contains("O_CREAT")
    }

    fn change(&mut self, call: &Call) -> bool {
        let Some(number) = self.names.get(Path::new(&call.on)) else { return false };
        let file = &mut self.files[*number];
        let last = || call.arguments.rsplit(", ").next().unwrap().parse().unwrap();
        let change = match call.name.as_str() {
            // Whoever writes without saying where only ever adds.
            "write" => Change::Write { at: file.length, bytes: call.bytes.clone() },
            "pwrite64" => Change::Write { at: last(), bytes: call.bytes.clone() },
            "ftruncate" => Change::Cut { length: last() },
            other => panic!("{other} of {} is not understood", call.on),
        };
        file.length = match &change {
            Change::Write { at, bytes } => file.length.max(at + bytes.len()),
            Change::Cut { length } => *length,
        };
        file.pending.push((call.returned, change));
        true
    }

    /// Of a file: what was written before the call began. Of a folder: its names.
    fn sync(&mut self, path: &Path, entered: usize) {
        if let Some(number) = self.names.get(path) {
            let file = &mut self.files[*number];
            let done = file.pending.partition_point(|(returned, _)| *returned < entered);
            for (_, change) in file.pending.drain(..done) {
                change.apply(&mut file.synced, Unsynced::Kept);
            }
            return;
        }
        let inside = |name: &PathBuf| name.parent() == Some(path);
        self.durable_names.retain(|name, _| !inside(name));
        let names = self.names.iter().filter(|(name, _)| inside(name));
        self.durable_names.extend(names.map(|(name, file)| (name.clone(), *file)));
    }

    /// Writes into `to` what would be found after a power cut.
    fn cut(&self, cut: Cut, dir: &Path, to: &Path) {
        for folder in &self.folders {
            fs::create_dir_all(to.join(folder.strip_prefix(dir).unwrap())).unwrap();
        }
        for (name, number) in if cut.names_kept { &self.names } else { &self.durable_names } {
            let file = &self.files[*number];
            let mut content = file.synced.clone();
            for (_, change) in &file.pending {
                change.apply(&mut content, cut.contents);
            }
            fs::write(to.join(name.strip_prefix(dir).unwrap()), content).unwrap();
        }
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>, unsynced: Unsynced) {
        match (self, unsynced) {
            (_, Unsynced::Lost) => {}
            (Self::Cut { length }, _) => content.resize(*length, 0),
            (Self::Write { at, bytes }, _) => {
                let sectors = RangeInclusive::new(at / SECTOR, (at + bytes.len()) / SECTOR);
                for sector in sectors.filter(|sector| unsynced == Unsynced::Kept || sector % 2 == 1)
                {
                    let from = (sector * SECTOR).max(*at);
                    let to = ((sector + 1) * SECTOR).min(at + bytes.len());
                    if from < to {
                        content.resize(content.len().max(to), 0);
                        content[from..to].copy_from_slice(&bytes[from - at..to - at]);
                    }
                }
            }
        }
    }
}

/// A quoted argument of a call on names.
fn quoted(arguments: &str, place: usize) -> String {
    let part = arguments.split('"').skip(1).step_by(2).nth(place).unwrap();
    String::from_utf8(strings(&format!("\"{part}\""))).unwrap()
}
