//! Measures what the history costs: bytes on disk and bytes written per sample, time to seal, time to answer.
//!
//! ```text
//! cargo run --release -p store --example history_size -- mix 10000 2
//! cargo run --release -p store --example history_size -- hall 25
//! ```
//!
//! `mix SERIES HOURS` writes one sample a second of each series: a quarter of them slow temperatures in tenths, noisy
//! whole watts, counters, and flows in hundredths. `hall HOURS` plays the demo hall and writes what its devices say. Time
//! is virtual, but every second of it is a frame of its own that is on disk before the next one, as in a gateway. A day
//! is rolled up once it is over, so 25 hours show everything.
//!
//! Written bytes are the `write_bytes` of `/proc/self/io`: what the process caused to be sent to the disk, without the
//! file system's own journal. The directory is made in the working directory, because `/tmp` may not be a disk.

use std::{
    error::Error,
    fs,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use configs::library::Library;
use rules::{
    messages::SiteInfo,
    plant::{Asset, AssetKind, Detail, Origin, Plant, PointId, PointKind, PointSpec},
    time::{BootId, Mono, Now, Trust, Wall},
    units::Unit,
    value::{Sample, Value},
};
use rusqlite::Connection;
use simulator::{demo::demo_site, playback::Playback, scenario::Scenario};
use store::{
    history::{HistoryReader, Pins, Resolution, Retention, Rows, Sealer, Turn},
    log::{Log, LogOptions, Writer},
    record::{Catalog, Record},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// 2026-11-22 00:00 UTC.
const MIDNIGHT: i64 = 1_795_305_600;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *words {
        ["mix", series, hours] => {
            let mut mix = Mix::new(series.parse()?)?;
            let catalog = mix.catalog.clone();
            measure(&catalog, hours.parse()?, |_, at| mix.second(at))
        }
        ["hall", hours] => {
            let scenario = Scenario::parse("measure", "title = \"measure\"\nseed = 7\n")
                .map_err(|fault| format!("{fault:?}"))?;
            let site = demo_site(&Library::shipped()).map_err(|faults| format!("{faults:?}"))?;
            let mut hall = Playback::new(&site, &scenario, wall(0), Duration::from_secs(1))?;
            let plant = hall.site().plant.clone();
            let catalog = Arc::new(Catalog { plant: Arc::new(plant), ..catalog() });
            measure(&catalog, hours.parse()?, |second, at| {
                hall.advance();
                let mut samples = hall.ask(at).samples;
                spread(second, &mut samples);
                samples
            })
        }
        _ => Err("say mix SERIES HOURS, or hall HOURS".into()),
    }
}

fn wall(second: u64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(MIDNIGHT + second.cast_signed())
}

/// Requests are answered one after the other: some points share a time, others have a few milliseconds more.
fn spread(second: u64, samples: &mut [Sample]) {
    for (request, points) in (0_u64..).zip(samples.chunks_mut(24)) {
        let jitter = (second.wrapping_mul(7919) ^ request.wrapping_mul(104_729)) % 7;
        for sample in points {
            sample.at = sample.at.plus(Duration::from_millis(request * 3 + jitter));
        }
    }
}

fn catalog() -> Catalog {
    Catalog {
        version: "measure".to_owned(),
        site: SiteInfo {
            id: "hall".to_owned(),
            name: "Hall".to_owned(),
            time_zone: "UTC".to_owned(),
            gateway: "gateway".to_owned(),
            simulated: true,
        },
        plant: Arc::default(),
    }
}

/// Random walks and noise.
struct Mix {
    catalog: Arc<Catalog>,
    walks: Vec<f64>,
    state: u64,
}

impl Mix {
    fn new(series: u32) -> Outcome<Self> {
        let mut plant = Plant::default();
        let asset = plant.add_asset(Asset {
            name: "hall".into(),
            kind: AssetKind::Room,
            title: None,
            detail: Detail::None,
        });
        for point in 0..series {
            let (unit, kind) = match point % 4 {
                0 => ("°C", PointKind::Gauge),
                1 => ("W", PointKind::Gauge),
                2 => ("Wh", PointKind::Counter),
                _ => ("L/min", PointKind::Gauge),
            };
            plant.add_point(PointSpec {
                asset,
                quantity: format!("point-{point}").into(),
                unit: Unit::parse(unit)?,
                kind,
                origin: Origin::Polled,
                stale_after: Duration::from_secs(5),
                states: Vec::new(),
            });
        }
        let catalog = Arc::new(Catalog { plant: Arc::new(plant), ..catalog() });
        let walks = (0..series).map(|point| if point % 4 == 0 { 420.0 } else { 5000.0 }).collect();
        Ok(Self { catalog, walks, state: 88_172_645_463_325_252 })
    }

    fn uniform(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        f64::from(u32::try_from(self.state >> 33).unwrap_or(0)) / f64::from(1_u32 << 31)
    }

    /// Close to a normal distribution of deviation 1.
    fn noise(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    fn second(&mut self, at: Mono) -> Vec<Sample> {
        let mut samples = Vec::with_capacity(self.walks.len());
        for point in 0..self.walks.len() {
            let value = match point % 4 {
                0 => {
                    self.walks[point] += self.noise() * 0.15;
                    self.walks[point].floor() / 10.0
                }
                1 => (8000.0 + self.noise() * 12.0).floor(),
                2 => {
                    self.walks[point] += 10.0 + (self.uniform() * 4.0).floor();
                    self.walks[point]
                }
                _ => {
                    self.walks[point] += self.noise() * 1.5;
                    (self.walks[point] + self.noise()).floor() / 100.0
                }
            };
            let point = PointId(u32::try_from(point).unwrap_or(u32::MAX));
            samples.push(Sample { point, at, source_time: None, value: Ok(Value::Number(value)) });
        }
        spread(at.0.as_secs(), &mut samples);
        samples
    }
}

/// What the process has caused so far.
#[derive(Clone, Copy)]
struct Cost {
    written: u64,
    cpu_s: f64,
}

impl Cost {
    fn now() -> Outcome<Self> {
        let io = fs::read_to_string("/proc/self/io")?;
        let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        let stat = fs::read_to_string("/proc/self/stat")?;
        // Behind the name in brackets: user and system time are the 12th and 13th, in hundredths of a second.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks: f64 =
            fields.iter().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(Self { written: written.unwrap_or("0").parse()?, cpu_s: ticks / 100.0 })
    }
}

fn resident_mb(field: &str) -> Outcome<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("0");
    Ok(line.split_whitespace().next().unwrap_or("0").parse::<f64>()? / 1024.0)
}

fn measure(
    catalog: &Arc<Catalog>,
    hours: u64,
    mut second: impl FnMut(u64, Mono) -> Vec<Sample>,
) -> Outcome<()> {
    let dir = tempfile::tempdir_in(".")?;
    let Log { mut writer, reader: log } =
        Log::open(&LogOptions::new(dir.path().join("log")), BootId(1))?;
    let mut sealer = Sealer::open(dir.path(), log.clone(), Retention::default(), Pins::default())?;
    writer.append(&now(0), vec![Record::Catalog(Arc::clone(catalog))]);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (mut samples, mut logged, mut in_blocks, mut seal_cpu_s) = (0_u64, 0, 0, 0.0);
    let mut longest = Duration::ZERO;
    for at in 1..=hours * 3600 + 15 {
        let frame = second(at, now(at).mono);
        let before = Cost::now()?;
        samples += frame.len() as u64;
        append(&mut writer, &runtime, at, frame)?;
        let between = Cost::now()?;
        logged += between.written - before.written;
        if at % 900 == 15 {
            loop {
                let turn = Instant::now();
                let done = sealer.turn()?;
                longest = longest.max(turn.elapsed());
                if done != Turn::Again {
                    break;
                }
            }
            let after = Cost::now()?;
            in_blocks += after.written - between.written;
            seal_cpu_s += after.cpu_s - between.cpu_s;
        }
    }
    let reader = HistoryReader::new(dir.path(), log);
    let raw = reader.stats()?.raw_samples;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{samples} samples, {raw} of them sealed, of {} points",
        catalog.plant.points().len()
    )?;
    let each = |bytes: u64| ratio(bytes, raw);
    writeln!(
        out,
        "written per sample: log {:.3}, history {:.3} bytes",
        ratio(logged, samples),
        each(in_blocks)
    )?;
    on_disk(&mut out, dir.path(), raw)?;
    writeln!(
        out,
        "sealing: {:.3} s of CPU per million samples, longest turn {longest:?}",
        seal_cpu_s / ratio(raw, 1_000_000)
    )?;
    writeln!(
        out,
        "resident: {:.0} MB, at most {:.0}",
        resident_mb("VmRSS:")?,
        resident_mb("VmHWM:")?
    )?;
    questions(&mut out, &reader, catalog, hours)?;
    writer.close()?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other.max(1) as f64
}

fn now(second: u64) -> Now {
    let mono = Mono::from_secs(1_000_000 + second);
    Now { mono, wall: Wall { utc: wall(second), trust: Trust::Synchronised } }
}

fn append(
    writer: &mut Writer,
    runtime: &tokio::runtime::Runtime,
    at: u64,
    frame: Vec<Sample>,
) -> Outcome<()> {
    let mut now = now(at);
    // The last request of the second is answered before the frame is written.
    now.mono = now.mono.plus(Duration::from_millis(900));
    now.wall.utc += TimeDelta::milliseconds(900);
    let seq = writer.append(&now, vec![Record::frame(frame)]);
    let mut durable = writer.durable();
    runtime.block_on(async { durable.wait_for(|durable| durable.seq >= seq).await.map(drop) })?;
    Ok(())
}

/// Bytes of each table, and of the file.
fn on_disk(out: &mut impl Write, dir: &Path, raw: u64) -> Outcome<()> {
    let path = dir.join("history.db");
    let connection = Connection::open(&path)?;
    let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND (name GLOB '*_[0-9]*' OR name IN ('minute', 'quarter')) ORDER BY name";
    let mut names = connection.prepare(names)?;
    for table in names.query_map([], |row| row.get::<_, String>(0))? {
        let table = table?;
        let sql = format!("SELECT count(*), coalesce(sum(length(data)), 0) FROM \"{table}\"");
        let (rows, bytes): (i64, i64) =
            connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let bytes = bytes.cast_unsigned();
        writeln!(out, "  {table}: {rows} rows, {:.4} bytes per sample", ratio(bytes, raw))?;
    }
    let file = fs::metadata(&path)?.len();
    writeln!(out, "on disk per sample: {:.3} bytes (history.db, {file} bytes)", ratio(file, raw))?;
    Ok(())
}

/// One point over what was sealed, up to 24 hours of it.
fn questions(
    out: &mut impl Write,
    reader: &HistoryReader,
    catalog: &Arc<Catalog>,
    hours: u64,
) -> Outcome<()> {
    let points = u32::try_from(catalog.plant.points().len())?;
    let to = wall(hours * 3600);
    for resolution in [Resolution::Raw, Resolution::Minute, Resolution::Quarter] {
        let (mut took, mut rows) = (Vec::new(), 0);
        for point in (0..points).step_by((points as usize / 20).max(1)) {
            let name = catalog.plant.point_name(PointId(point)).into();
            let begun = Instant::now();
            let answer = reader.query(&[name], to - TimeDelta::hours(24), to, resolution)?;
            took.push(begun.elapsed());
            rows += answer
                .iter()
                .map(|series| match &series.rows {
                    Rows::Raw(rows) => rows.len(),
                    Rows::Rollup(rows) => rows.len(),
                })
                .sum::<usize>();
        }
        took.sort_unstable();
        let (median, longest) = (took.get(took.len() / 2), took.last());
        writeln!(
            out,
            "{resolution:?}: {} questions, {rows} rows, median {median:?}, longest {longest:?}",
            took.len()
        )?;
    }
    Ok(())
}
