//! The whole gateway at a simulated hall, and a database that we did not write: what `VictoriaMetrics` has after it was away
//! for half a minute is what the gateway's own data directory has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use rules::plant::PointKind;
use serde_json::Value as Json;
use store::{
    log::{LogReader, Placement},
    record::{Record, Seq},
    sink::influx::field,
};

use crate::support::{COLDWATCH, Program, coldwatch_in};

const PATIENCE: Duration = Duration::from_mins(1);
/// The sink writes down once a minute how far it is.
const NOTED_WITHIN: Duration = Duration::from_mins(3);
/// The longest that the sink leaves a server alone, and as long again as it takes to note what came of it.
const COMES_BACK_WITHIN: Duration = Duration::from_mins(8);

/// `VictoriaMetrics` with its own folder and port. Dropping it kills it.
struct Victoria {
    child: Option<Child>,
    folder: tempfile::TempDir,
    port: u16,
}

impl Victoria {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut victoria = Self { child: None, folder: tempfile::tempdir().unwrap(), port };
        victoria.again();
        victoria
    }

    fn again(&mut self) {
        let child = Command::new("victoria-metrics")
            .arg(format!("-httpListenAddr=127.0.0.1:{}", self.port))
            .arg(format!("-storageDataPath={}", self.folder.path().display()))
            .args(["-dedup.minScrapeInterval=1ms", "-retentionPeriod=1y", "-loggerLevel=ERROR"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("victoria-metrics is installed");
        self.child = Some(child);
    }

    /// As a service manager does, so that it writes what it has in memory.
    fn terminate(&mut self) {
        let mut child = self.child.take().unwrap();
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        child.wait().unwrap();
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The old version of the protocol, in which an answer comes in one piece.
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{head}");
        body.to_owned()
    }

    /// All rows but those of alarms, and of texts, of which it keeps a zero each.
    fn export(&self) -> Rows {
        self.get("/internal/force_flush");
        let mut rows = Rows::new();
        for line in self.get("/api/v1/export?match[]=%7B__name__!=%22%22%7D").lines() {
            let exported: Json = serde_json::from_str(line).unwrap();
            let metric = &exported["metric"];
            let name = metric["__name__"].as_str().unwrap();
            if name.starts_with("alarm_") || name.ends_with("_text") {
                continue;
            }
            let series = rows.entry(format!("{name} {}", metric["asset"].as_str().unwrap()));
            let series = series.or_default();
            let values = exported["values"].as_array().unwrap();
            for (at, value) in exported["timestamps"].as_array().unwrap().iter().zip(values) {
                series.push((at.as_i64().unwrap(), value.as_f64().unwrap()));
            }
        }
        for series in rows.values_mut() {
            series.sort_by_key(|row| row.0);
        }
        rows
    }
}

impl Drop for Victoria {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Already gone is just as well.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// By series: milliseconds and value, in order.
type Rows = BTreeMap<String, Vec<(i64, f64)>>;

/// What the file of the cursors says: the last record that the live one is done with, and whether nothing is left behind.
fn cursors(data: &Path) -> Option<(Seq, bool)> {
    let text = fs::read(data.join("sinks/influxdb.json")).ok()?;
    let cursors: Json = serde_json::from_slice(&text).ok()?;
    Some((Seq(cursors["live"].as_u64()?), cursors["backfill"].as_array()?.is_empty()))
}

fn wait_until(what: &str, patience: Duration, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + patience;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        sleep(Duration::from_millis(100));
    }
}

/// By series and millisecond: the values of that moment. Mostly one; of two messages within a millisecond the database
/// keeps either.
type Logged = BTreeMap<String, BTreeMap<i64, Vec<f64>>>;

/// Every number of the log up to a place, by the name that the database has for it.
fn logged(data: &Path, last: Seq) -> Logged {
    let log = LogReader::open(&data.join("log")).unwrap();
    let mut rows = Logged::new();
    let mut records = log.read(log.oldest()).unwrap();
    while let Some(stamped) = records.next() {
        let stamped = stamped.unwrap();
        let Record::Frame(samples) = &stamped.record else { continue };
        if stamped.stamp.seq > last {
            break;
        }
        let plant = Arc::clone(&records.catalog().unwrap().plant);
        for sample in samples {
            let point = plant.point(sample.point);
            let Ok(value) = &sample.value else { continue };
            let Placement::At(at) = log.place(&stamped.stamp, sample) else { continue };
            // The database keeps no text.
            let Some(number) = value.as_number().filter(|_| point.kind != PointKind::Text) else {
                continue;
            };
            let asset = plant.asset(point.asset);
            let name = format!("{}_{} {}", asset.kind.word(), field(point), asset.name);
            rows.entry(name).or_default().entry(at).or_default().push(number);
        }
    }
    rows
}

#[test]
#[ignore = "needs victoria-metrics"]
fn what_a_gateway_forwards_over_an_outage_is_what_it_keeps() {
    let mut victoria = Victoria::start();
    let folder = tempfile::tempdir().unwrap();
    let (site, data) = (folder.path().join("site.toml"), folder.path().join("data"));
    let mut simulate = Command::new(COLDWATCH);
    simulate.args(["simulate", "normal_day", "--port-base", "0", "--write-site"]).arg(&site);
    let hall = Program::start(&mut simulate);
    hall.line(PATIENCE);
    wait_until("a site file", PATIENCE, || {
        fs::read_to_string(&site).is_ok_and(|text| !text.is_empty())
    });
    let database = format!(
        "\n[influxdb]\nurl = \"http://127.0.0.1:{}\"\norg = \"o\"\nbucket = \"b\"\ntoken = \"${{env:PEER_TOKEN}}\"\n",
        victoria.port
    );
    let text = fs::read_to_string(&site).unwrap();
    fs::write(&site, text + &database).unwrap();

    let mut run = coldwatch_in(folder.path());
    run.args(["run", "--stream", "--trust-clock", "--site"])
        .arg(&site)
        .env("PEER_TOKEN", "of-the-peer-test");
    let gateway = Program::start(&mut run);
    let begun = |least: u64| cursors(&data).is_some_and(|(live, done)| live.0 > least && done);
    wait_until("lines in the database", NOTED_WITHIN, || begun(20));
    victoria.terminate();
    sleep(Duration::from_secs(30));
    victoria.again();
    let (before, _) = cursors(&data).unwrap();
    // Half a minute of records, and some of the time after.
    wait_until("all that was left behind", COMES_BACK_WITHIN, || begun(before.0 + 40));
    assert!(gateway.terminate());
    drop(hall);

    let (last, done) = cursors(&data).unwrap();
    assert!(done, "the gateway ended in the middle of it");
    let (ours, theirs) = (logged(&data, last), victoria.export());
    let kept: BTreeSet<&String> = ours.keys().collect();
    let sent: BTreeSet<&String> = theirs.keys().collect();
    assert_eq!(kept.symmetric_difference(&sent).collect::<Vec<_>>(), Vec::<&&String>::new());
    let mut compared = 0;
    for (name, ours) in &ours {
        let theirs = &theirs[name];
        // What was on its way when the gateway ended may have arrived too.
        let (end, _) = ours.last_key_value().unwrap();
        let theirs: Vec<_> = theirs.iter().filter(|(at, _)| at <= end).collect();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for ((at, values), (their_at, their_value)) in ours.iter().zip(theirs) {
            // It keeps twelve digits of a number.
            let close = |value: &f64| (value - their_value).abs() <= 1e-11 * value.abs();
            let same = at == their_at && values.iter().any(close);
            assert!(same, "{name}: {at} {values:?} became {their_at} {their_value}");
            compared += 1;
        }
    }
    assert!(compared > 10_000, "{compared} rows are few");
}
