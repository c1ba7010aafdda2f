//! What forwarding to InfluxDB costs: the log alone, then with the sink, then while it catches up; processor time of this
//! process in percent of one core. The server is another process, which reads and forgets.
//!
//! ```text
//! cargo run --release -p store --example sink_cost -- [points] [seconds]
//! ```

#![expect(clippy::print_stdout, reason = "an example that measures")]

use std::{
    env,
    error::Error,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Utc};
use rules::{
    messages::SiteInfo,
    plant::{Asset, AssetKind, Detail, Origin, Plant, PointId, PointKind, PointSpec},
    time::{BootId, Mono, Now, Trust, Wall},
    units::Unit,
    value::{Sample, Value},
};
use store::{
    log::{Log, LogOptions, Writer},
    record::{Catalog, Record},
    sink::influx::{Config, Tuning, start},
};
use tokio_util::sync::CancellationToken;

const SERVER: &str = "--server";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == SERVER) {
        return Ok(serve()?);
    }
    let number = |index: usize, default| -> Result<u32, Box<dyn Error>> {
        Ok(arguments.get(index).map_or(Ok(default), |text| text.parse())?)
    };
    let (points, seconds) = (number(0, 10_000)?, number(1, 20)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(points, seconds))
}

async fn measure(points: u32, seconds: u32) -> Result<(), Box<dyn Error>> {
    let (mut server, url) = started()?;
    let dir = tempfile::tempdir()?;
    let Log { mut writer, reader } =
        Log::open(&LogOptions::new(dir.path().join("log")), BootId(1))?;
    let catalog = Record::Catalog(Arc::new(catalog(points)?));
    let mut clock = Clock { started: Instant::now(), frame: 0 };
    writer.append(&clock.now(), vec![catalog]);
    let alone = clock.run(&mut writer, points, seconds).await?;
    println!("log alone:        {alone:5.1} %");

    let config = Config {
        url,
        org: "o".to_owned(),
        bucket: "b".to_owned(),
        token: "t".to_owned(),
        ca: None,
        tags: Vec::new(),
        tuning: Tuning::default(),
    };
    let stop = CancellationToken::new();
    let before = (cpu()?, Instant::now());
    let sink = start(&config, reader.clone(), dir.path(), stop.clone())?;
    let mut changed = sink.changed();
    changed.wait_for(|state| state.written_lines > 0).await?;
    changed.wait_for(|state| state.backlog_s == 0.0).await?;
    let (busy, took) = (cpu()? - before.0, before.1.elapsed());
    let lines = sink.state().written_lines;
    println!(
        "catching up:      {:5.1} %, {:.0} lines a second, {:.2} µs of processor time a line",
        100.0 * busy / took.as_secs_f64(),
        f64::from(u32::try_from(lines)?) / took.as_secs_f64(),
        busy * 1e6 / f64::from(u32::try_from(lines)?),
    );
    let both = clock.run(&mut writer, points, seconds).await?;
    println!("log and sink:     {both:5.1} %");
    println!("the sink alone:   {:5.1} % of one core for {points} points a second", both - alone);
    stop.cancel();
    sink.stopped().await;
    server.kill()?;
    server.wait()?;
    Ok(())
}

struct Clock {
    started: Instant,
    frame: u32,
}

impl Clock {
    fn now(&self) -> Now {
        let utc: DateTime<Utc> = SystemTime::now().into();
        let mono = Mono(Duration::from_secs(1000) + self.started.elapsed());
        Now { mono, wall: Wall { utc, trust: Trust::Synchronised } }
    }

    /// A frame a second; gives the share of a core in percent.
    async fn run(
        &mut self,
        writer: &mut Writer,
        points: u32,
        seconds: u32,
    ) -> Result<f64, Box<dyn Error>> {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.tick().await;
        let before = (cpu()?, Instant::now());
        for _ in 0..seconds {
            tick.tick().await;
            let now = self.now();
            self.frame += 1;
            let sample = |point: u32| {
                let number = f64::from((point * 37 + self.frame * (point % 7)) % 9000) / 100.0;
                let at = now.mono - Duration::from_micros(u64::from(point / 50) * 2000);
                let value = Ok(Value::Number(number));
                Sample { point: PointId(point), at, source_time: None, value }
            };
            writer.append(&now, vec![Record::Frame((0..points).map(sample).collect())]);
        }
        let (busy, took) = (cpu()? - before.0, before.1.elapsed());
        Ok(100.0 * busy / took.as_secs_f64())
    }
}

/// Seconds of processor time that this process has used so far, in steps of 10 ms.
fn cpu() -> Result<f64, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    // User and system time, as counted from behind the name.
    let ticks = fields.skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(f64::from(ticks) / 100.0)
}

fn catalog(points: u32) -> Result<Catalog, Box<dyn Error>> {
    let mut plant = Plant::default();
    for point in 0..points {
        let name = format!("rack-{}", point / 20);
        let asset = plant.find_asset(&name).unwrap_or_else(|| {
            plant.add_asset(Asset {
                name: name.as_str().into(),
                kind: AssetKind::Rack,
                title: None,
                detail: Detail::None,
            })
        });
        plant.add_point(PointSpec {
            asset,
            quantity: format!("branch_{}.active_power", point % 20).into(),
            unit: Unit::parse("kW")?,
            kind: PointKind::Gauge,
            origin: Origin::Polled,
            stale_after: Duration::from_secs(3),
            states: Vec::new(),
        });
    }
    let site = SiteInfo {
        id: "hall-1".to_owned(),
        name: "Hall 1".to_owned(),
        time_zone: "UTC".to_owned(),
        gateway: "gw-1".to_owned(),
        simulated: true,
    };
    Ok(Catalog { version: "0".to_owned(), site, plant: Arc::new(plant) })
}

fn started() -> Result<(Child, String), Box<dyn Error>> {
    let mut server =
        Command::new(env::current_exe()?).arg(SERVER).stdout(Stdio::piped()).spawn()?;
    let mut url = String::new();
    let stdout = server.stdout.take().ok_or("the server says where it listens")?;
    BufReader::new(stdout).read_line(&mut url)?;
    Ok((server, url.trim().to_owned()))
}

/// Answers every write with 204.
fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || -> std::io::Result<()> {
            let mut writer = stream.try_clone()?;
            let mut reader = BufReader::new(stream);
            loop {
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line)? == 0 {
                        return Ok(());
                    }
                    let line = line.trim().to_ascii_lowercase();
                    if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.parse().unwrap_or(0);
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
                writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
            }
        });
    }
    Ok(())
}
