//! A plant that keeps a gateway busy and knows what it told it: Modbus units that count their answers, and a feed meter
//! over MQTT whose register runs through a quarter of an hour with every message.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use links::{
    broker::Broker,
    publisher::{Publisher, Quality},
};

/// Registers of a unit: the number of the answer in two, a wave, a constant, and values that never stand still.
const VALUES: u16 = 115;
const REGISTERS: u16 = VALUES + 4;
/// Alarms of every unit that stand from its first answer on.
pub(crate) const STANDING: u32 = 10;
/// Energy of every quarter of an hour of the feed.
pub(crate) const QUARTER_KWH: f64 = 25.0;

/// Units behind links, each link with a port of its own.
pub(crate) struct Units {
    addresses: Vec<SocketAddr>,
    on_each_link: u32,
    answers: Answers,
    stop: Arc<AtomicBool>,
}

/// By unit: when each answer went out.
type Answers = Arc<Vec<Mutex<Vec<Instant>>>>;

impl Units {
    pub(crate) fn start(links: u32, on_each_link: u32) -> Self {
        let units = links * on_each_link;
        let answers: Answers = Arc::new((0..units).map(|_| Mutex::default()).collect());
        let stop = Arc::new(AtomicBool::new(false));
        let addresses = (0..links)
            .map(|link| {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_addr().unwrap();
                let (answers, stop) = (Arc::clone(&answers), Arc::clone(&stop));
                thread::spawn(move || listen(&listener, link * on_each_link, &answers, &stop));
                address
            })
            .collect();
        Self { addresses, on_each_link, answers, stop }
    }

    pub(crate) fn count(&self) -> usize {
        self.answers.len()
    }

    /// Points that are read every second.
    pub(crate) fn points(&self) -> usize {
        self.count() * usize::from(VALUES + 3)
    }

    /// The number of the last answer that a unit gave before `then`.
    pub(crate) fn answered_before(&self, unit: usize, then: Instant) -> u32 {
        let times = self.answers[unit].lock().unwrap();
        u32::try_from(times.partition_point(|at| *at < then)).unwrap()
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for address in &self.addresses {
            // Wakes the thread that accepts.
            let _ = TcpStream::connect(address);
        }
    }
}

fn listen(listener: &TcpListener, first: u32, answers: &Answers, stop: &Arc<AtomicBool>) {
    for stream in listener.incoming().map_while(Result::ok) {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let answers = Arc::clone(answers);
        // Ends when the gateway closes the connection, or dies.
        thread::spawn(move || serve(stream, first, &answers));
    }
}

fn serve(mut stream: TcpStream, first: u32, answers: &Answers) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut request = [0; 12];
        stream.read_exact(&mut request)?;
        let unit = usize::try_from(first + u32::from(request[6]) - 1).unwrap();
        let start = u16::from_be_bytes([request[8], request[9]]);
        let count = u16::from_be_bytes([request[10], request[11]]);
        let mut times = answers[unit].lock().unwrap();
        let number = u32::try_from(times.len()).unwrap() + 1;
        let bytes = 2 * count;
        let mut reply = request[..8].to_vec();
        reply[4..6].copy_from_slice(&(bytes + 3).to_be_bytes());
        reply.push(u8::try_from(bytes).unwrap());
        for register in start..start + count {
            reply.extend(word(register, number).to_be_bytes());
        }
        stream.write_all(&reply)?;
        times.push(Instant::now());
    }
}

fn word(register: u16, number: u32) -> u16 {
    let low = u16::try_from(number & 0xFFFF).unwrap();
    match register {
        0 => u16::try_from(number >> 16).unwrap(),
        1 => low,
        2 => (low >> 1) & 1,
        3 => 1,
        _ => low.wrapping_mul(7).wrapping_add(register) % 10_000,
    }
}

/// The power surges, and falls again, after so many messages.
const SURGE_MESSAGES: u64 = 6;

/// A meter that publishes a register of long ago, a quarter of an hour further with every message, at quality 1.
pub(crate) struct Feed {
    pub(crate) port: u16,
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Feed {
    pub(crate) fn start(every: Duration) -> Self {
        let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (port_out, port) = std::sync::mpsc::channel();
        let (count, stopping) = (Arc::clone(&sent), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let broker = Broker::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
                let port = broker.address().port();
                port_out.send(port).unwrap();
                let place = links::mqtt::Broker {
                    host: "127.0.0.1".to_owned(),
                    port,
                    login: None,
                    client_id: "feed".to_owned(),
                };
                let publisher = Publisher::open(&place, &["plant/#".to_owned()]);
                let begin = quarter_of_an_hour(Utc::now() - TimeDelta::days(30));
                let mut ticks = tokio::time::interval(every);
                while !stopping.load(Ordering::Relaxed) {
                    ticks.tick().await;
                    let number = count.load(Ordering::Relaxed);
                    let at = begin + TimeDelta::minutes(15) * i32::try_from(number).unwrap();
                    let kwh = 1000.0 + QUARTER_KWH * f64::from(u32::try_from(number).unwrap());
                    let payload = format!("{{\"kwh\":{kwh},\"at\":{}}}", at.timestamp_millis());
                    let quality = Quality::AtLeastOnce;
                    publisher.publish("plant/feed/energy", payload, quality, false).await.unwrap();
                    let kw = if (number / SURGE_MESSAGES).is_multiple_of(2) { 100 } else { 900 };
                    let payload =
                        format!("{{\"kw\":{kw},\"at\":{}}}", Utc::now().timestamp_millis());
                    publisher.publish("plant/feed/power", payload, quality, false).await.unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                }
                drop(publisher);
                broker.stop().await;
            });
        });
        Self { port: port.recv().unwrap(), sent, stop, thread: Some(thread) }
    }

    /// Messages published so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been told already.
            let _ = thread.join();
        }
    }
}

fn quarter_of_an_hour(at: DateTime<Utc>) -> DateTime<Utc> {
    at - TimeDelta::milliseconds(at.timestamp_millis().rem_euclid(900_000))
        - TimeDelta::nanoseconds(i64::from(at.timestamp_subsec_nanos() % 1_000_000))
}

/// Writes site, profiles and rules into `folder`; gives the site file.
pub(crate) fn write_site(folder: &Path, units: Option<&Units>, broker: u16) -> PathBuf {
    let mut site = SITE.replace("{broker}", &broker.to_string());
    let mut unit = 0;
    for address in units.into_iter().flat_map(|units| &units.addresses) {
        for number in 1..=units.map_or(0, |units| units.on_each_link) {
            write!(
                site,
                "[[sensor]]\nid = \"unit-{unit}\"\nroom = \"hall\"\nmeasures = \"hall\"\n\
                 [[device]]\nid = \"plc-{unit}\"\nurl = \"modbus+tcp://{address}?unit={number}\"\n\
                 profile = \"unit\"\nasset = \"unit-{unit}\"\npoll_every = \"1 s\"\n\
                 timeout = \"500 ms\"\n"
            )
            .unwrap();
            unit += 1;
        }
    }
    let numbers: Vec<String> = (1..=VALUES).map(|number| number.to_string()).collect();
    let profile = UNIT.replace("{numbers}", &numbers.join(", "));
    let mut rules = RULES.to_owned();
    for number in 0..STANDING {
        writeln!(
            rules,
            "[[rule]]\nid = \"standing.{number}\"\nfor = \"sensor in sensors\"\n\
             when = \"sensor.constant.value > 0.5\"\npriority = 3\ntitle = \"Stands\"\n\
             action = \"none\"\nsource = \"typical\"\n"
        )
        .unwrap();
    }
    for (path, text) in [
        ("site.toml", &site),
        ("profiles/unit.toml", &profile),
        ("profiles/feed.toml", &FEED.to_owned()),
        ("rules/load.toml", &rules),
    ] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    assert_eq!(REGISTERS, 119, "one request reads them all");
    folder.join("site.toml")
}

const SITE: &str = r#"
[site]
id = "load"
name = "Load"
time_zone = "UTC"
gateway = "gw"

[[room]]
id = "hall"
area = "240 m2"

[[meter]]
id = "feed"
title = "Feed"
role = "boundary_in"
register_step = "1 Wh"
max_power = "1000 kW"
measures = "load"

[[device]]
id = "broker"
url = "mqtt://127.0.0.1:{broker}"
profile = "feed"
assets = ["feed"]
"#;

const UNIT: &str = r#"
title = "A unit that counts its answers"
source = "tests"
protocol = "modbus"
max_registers = 125

[defaults]
table = "holding"
type = "u16"

[[point]]
quantity = "answer.value"
address = 0
type = "u32"
unit = "1"

[[point]]
quantity = "wave.value"
address = 2
unit = "1"

[[point]]
quantity = "constant.value"
address = 3
unit = "1"

[[point]]
quantity = "v_{n}.value"
address = 4
unit = "1"
repeat = { n = [{numbers}], stride = 1 }
"#;

const FEED: &str = r#"
title = "A meter that publishes"
source = "tests"
protocol = "mqtt"
republish_every = "60 s"

[[topic]]
pattern = "plant/{asset}/energy"
asset_kind = "meter"
quantity = "energy"
value_path = "kwh"
timestamp_path = "at"
unit = "kWh"
kind = "counter"

[[topic]]
pattern = "plant/{asset}/power"
asset_kind = "meter"
quantity = "active_power"
value_path = "kw"
timestamp_path = "at"
unit = "kW"
"#;

const RULES: &str = r#"
[[rule]]
id = "surge"
when = "feed.active_power > 500 kW"
priority = 2
title = "Surges"
action = "none"
source = "typical"

[[rule]]
id = "wave"
for = "sensor in sensors"
when = "sensor.wave.value > 0.5"
priority = 4
title = "Waves"
action = "none"
source = "typical"

"#;
