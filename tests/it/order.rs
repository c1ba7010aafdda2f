//! In which order the gateway's bytes leave and reach the disk, by its system calls: no answer to a command, no event on a
//! stream and no PUBACK before the record behind it is durable.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::channel,
    time::{Duration, Instant},
};

use rules::{
    alarm::Letter,
    messages::{Change, Event, Feed, What},
};
use serde_json::json;
use store::{log::LogReader, record::Record, record::Seq};

use crate::{
    load::{Feed as Meter, write_site},
    observer,
    strace::{Call, calls, receives, sends, strace},
    support::{COLDWATCH, Ends},
};

const PATIENCE: Duration = Duration::from_mins(1);
/// All in one list: strace goes by the last one.
const CALLS: &str =
    "read,readv,recvfrom,recvmsg,write,writev,pwrite64,pwritev,sendto,sendmsg,fdatasync,fsync";
/// Before the records of a segment.
const SEGMENT_HEADER: usize = 72;

#[test]
#[ignore = "needs strace"]
fn nothing_leaves_before_its_record_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let meter = Meter::start(Duration::from_millis(200));
    let site = write_site(folder.path(), None, meter.port);
    let trace = folder.path().join("trace");
    let seen = run(folder.path(), &site, &trace);
    let calls = calls(&trace);
    let durable = durable(&calls);
    let records = records(&folder.path().join("data"));

    let answers = answers(&calls, &durable, &records);
    assert_eq!(answers, seen.acks, "every answer was found in the trace");
    let events = events(&calls, &durable, &records);
    assert!(events >= seen.events, "{events} of {} events", seen.events);
    let messages = acknowledgements(&calls, &durable, &records, meter.port);
    assert!(messages >= 20, "{messages} messages");
    eprintln!("{answers} answers, {events} events, {messages} messages, {} calls", calls.len());
}

struct Seen {
    acks: usize,
    events: usize,
}

/// Lets the gateway run under strace until it has raised and taken enough.
fn run(folder: &Path, site: &Path, trace: &Path) -> Seen {
    let socket = folder.join("api.sock");
    let mut gateway = strace(trace, CALLS)
        .arg(COLDWATCH)
        .args(["run", "--trust-clock", "--listen", "127.0.0.1:0", "--site"])
        .arg(site)
        .arg("--data")
        .arg(folder.join("data"))
        .arg("--socket")
        .arg(&socket)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map(Ends)
        .expect("strace is installed");
    let (shown_in, shown) = channel();
    observer::follow(&socket, PATIENCE, shown_in);
    let mut seen = Seen { acks: 0, events: 0 };
    let deadline = Instant::now() + PATIENCE;
    while seen.acks < 6 || seen.events < 20 {
        let patience = deadline.saturating_duration_since(Instant::now());
        let Feed::Update(update) = shown.recv_timeout(patience).expect("it goes on") else {
            continue;
        };
        for change in update.changes {
            let Change::Event(event) = change else { continue };
            seen.events += 1;
            if let What::Moved(moved) = event.what
                && moved.to == Letter::B
            {
                let key = format!("key-{}-{}", moved.alarm, moved.occurrence);
                let action = json!({ "ack": { "alarm": moved.alarm } });
                let (status, answer) = observer::command(&socket, &key, &action).unwrap();
                assert_eq!(status, 200, "{answer}");
                seen.acks += 1;
            }
        }
    }
    let pid = gateway.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(gateway.0.wait().unwrap().success());
    seen
}

/// The bytes that went over one descriptor, with the calls that carried them.
#[derive(Default)]
struct Flow {
    bytes: Vec<u8>,
    /// End of each piece, and its call's entry and return.
    pieces: Vec<(usize, usize, usize)>,
}

impl Flow {
    fn add(&mut self, call: &Call) {
        self.bytes.extend(&call.bytes);
        self.pieces.push((self.bytes.len(), call.entered, call.returned));
    }

    /// Entry and return of the call that carried the byte at `offset`.
    fn carried(&self, offset: usize) -> (usize, usize) {
        let piece = self.pieces.partition_point(|(end, ..)| *end <= offset);
        let (_, entered, returned) = self.pieces[piece];
        (entered, returned)
    }
}

fn flows(
    calls: &[Call],
    is_one: impl Fn(&str) -> bool,
    wanted: impl Fn(&str) -> bool,
) -> BTreeMap<&str, Flow> {
    let mut flows: BTreeMap<&str, Flow> = BTreeMap::new();
    for call in calls.iter().filter(|call| is_one(&call.name) && wanted(&call.on)) {
        flows.entry(&call.on).or_default().add(call);
    }
    flows
}

fn is_segment(on: &str) -> bool {
    Path::new(on).extension().is_some_and(|extension| extension == "log")
        && on.contains("/data/log/")
}

/// By place in the log: when the sync that made the record durable returned.
fn durable(calls: &[Call]) -> BTreeMap<Seq, usize> {
    let mut durable = BTreeMap::new();
    for (segment, flow) in flows(calls, sends, is_segment) {
        let syncs: Vec<&Call> =
            calls.iter().filter(|call| call.name == "fdatasync" && call.on == segment).collect();
        let first = u64::from_le_bytes(flow.bytes[12..20].try_into().unwrap());
        let mut at = SEGMENT_HEADER;
        while at < flow.bytes.len() {
            let length = u32::from_le_bytes(flow.bytes[at..at + 4].try_into().unwrap());
            let body = &flow.bytes[at + 8..];
            let place = Seq(first + varint(&body[1..]));
            at += 8 + usize::try_from(length).unwrap();
            // Kind 7 repeats the catalog of an earlier segment, and has no place of its own.
            if body[0] & 0x0F != 7 {
                let (_, written) = flow.carried(at - 1);
                if let Some(sync) = syncs.iter().find(|sync| sync.entered > written) {
                    durable.insert(place, sync.returned);
                }
            }
        }
    }
    durable
}

fn varint(bytes: &[u8]) -> u64 {
    let mut value = 0;
    for (shift, byte) in (0..).step_by(7).zip(bytes) {
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

type Places = Vec<(Seq, Record)>;

fn records(data: &Path) -> Places {
    let log = LogReader::open(&data.join("log")).unwrap();
    let records = log.read(log.oldest()).unwrap().map(Result::unwrap);
    records.map(|stamped| (stamped.stamp.seq, stamped.record)).collect()
}

/// Panics unless the record had been synced before `left`.
fn check(what: &str, place: Option<Seq>, durable: &BTreeMap<Seq, usize>, left: usize) {
    let place = place.unwrap_or_else(|| panic!("{what} left, and is not in the log"));
    let synced = durable.get(&place).unwrap_or_else(|| panic!("{what} was never synced"));
    assert!(*synced < left, "{what} left in line {left}, and was durable in line {synced}");
}

/// Answers to commands that were in order.
fn answers(calls: &[Call], durable: &BTreeMap<Seq, usize>, records: &Places) -> usize {
    let local = |on: &str| on.starts_with("UNIX-STREAM");
    let replies = flows(calls, sends, local);
    let mut count = 0;
    for (connection, asked) in flows(calls, receives, local) {
        let text = String::from_utf8_lossy(&asked.bytes).into_owned();
        let Some((_, body)) = text.split_once("\"key\":\"") else { continue };
        let key = body.split('"').next().unwrap();
        let (left, _) = replies[connection].carried(0);
        let place = records.iter().find_map(|(place, record)| match record {
            Record::Command(command, _) if command.key == key => Some(*place),
            _ => None,
        });
        check(&format!("the answer to {key}"), place, durable, left);
        count += 1;
    }
    count
}

/// Events on streams that were in order.
fn events(calls: &[Call], durable: &BTreeMap<Seq, usize>, records: &Places) -> usize {
    let mut count = 0;
    for flow in flows(calls, sends, |on| on.starts_with("UNIX-STREAM")).values() {
        let Some(head) = flow.bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            continue;
        };
        if !flow.bytes.starts_with(b"HTTP/1.1 101") {
            continue;
        }
        let mut at = head + 4;
        while let Some((begin, end)) = frame(&flow.bytes, at) {
            let (left, _) = flow.carried(begin);
            if let Ok(feed) = serde_json::from_slice::<Feed>(&flow.bytes[begin..end]) {
                for event in shown(feed) {
                    let place = records.iter().find_map(|(place, record)| match record {
                        Record::Event(recorded) if *recorded == event => Some(*place),
                        _ => None,
                    });
                    check(&format!("{event:?}"), place, durable, left);
                    count += 1;
                }
            }
            at = end;
        }
    }
    count
}

fn shown(feed: Feed) -> Vec<Event> {
    match feed {
        Feed::Snapshot(snapshot) => snapshot.events,
        Feed::Update(update) => update
            .changes
            .into_iter()
            .filter_map(|change| match change {
                Change::Event(event) => Some(event),
                _ => None,
            })
            .collect(),
    }
}

/// Where the payload of the frame at `at` begins and ends.
fn frame(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let short = usize::from(bytes.get(at + 1)? & 0x7F);
    let (begin, length) = match short {
        126 => {
            (at + 4, usize::from(u16::from_be_bytes(bytes.get(at + 2..at + 4)?.try_into().ok()?)))
        }
        127 => {
            let length = u64::from_be_bytes(bytes.get(at + 2..at + 10)?.try_into().ok()?);
            (at + 10, usize::try_from(length).ok()?)
        }
        _ => (at + 2, short),
    };
    (begin + length <= bytes.len()).then_some((begin, begin + length))
}

/// Messages of quality 1 that were acknowledged in order.
fn acknowledgements(
    calls: &[Call],
    durable: &BTreeMap<Seq, usize>,
    records: &Places,
    port: u16,
) -> usize {
    let broker = format!("->127.0.0.1:{port}]");
    let to_broker = |on: &str| on.contains(&broker);
    let sent = flows(calls, sends, to_broker);
    let mut count = 0;
    for (connection, received) in flows(calls, receives, to_broker) {
        // By packet id: the time that the payload names, and when it came.
        let mut messages: Vec<(u16, i64, usize)> = Vec::new();
        for (first, begin, end) in packets(&received.bytes) {
            let body = &received.bytes[begin..end];
            if first >> 4 == 3 && first & 0x06 == 2 {
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                let id = u16::from_be_bytes([body[topic + 2], body[topic + 3]]);
                let payload: serde_json::Value =
                    serde_json::from_slice(&body[topic + 4..]).unwrap();
                let (_, came) = received.carried(end - 1);
                messages.push((id, payload["at"].as_i64().unwrap(), came));
            }
        }
        let Some(sent) = sent.get(connection) else { continue };
        for (first, begin, _) in packets(&sent.bytes) {
            if first >> 4 != 4 {
                continue;
            }
            let id = u16::from_be_bytes([sent.bytes[begin], sent.bytes[begin + 1]]);
            let (left, _) = sent.carried(begin - 2);
            let message = messages.iter().rev().find(|(of, _, came)| *of == id && *came < left);
            let (_, at, _) = message.expect("only what came is acknowledged");
            let place = records.iter().find_map(|(place, record)| match record {
                Record::Frame(samples)
                    if samples.iter().any(|sample| {
                        sample.source_time.is_some_and(|time| time.timestamp_millis() == *at)
                    }) =>
                {
                    Some(*place)
                }
                _ => None,
            });
            check(&format!("the PUBACK of the message of {at}"), place, durable, left);
            count += 1;
        }
    }
    count
}

/// First byte, and begin and end of the body, of every MQTT packet.
fn packets(bytes: &[u8]) -> Vec<(u8, usize, usize)> {
    let (mut packets, mut at) = (Vec::new(), 0);
    while at + 2 <= bytes.len() {
        let length = usize::try_from(varint(&bytes[at + 1..])).unwrap();
        let digits = bytes[at + 1..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
        let begin = at + 1 + digits;
        if begin + length > bytes.len() {
            break;
        }
        packets.push((bytes[at], begin, begin + length));
        at = begin + length;
    }
    packets
}
