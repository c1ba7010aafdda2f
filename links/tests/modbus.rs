//! The reader against a device that is scripted byte by byte.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use links::modbus::{Answer, Counters, Link, Read, ReadError, Table};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const PATIENCE: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conversations {
    conversation: Vec<Conversation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conversation {
    name: String,
    discarded: u64,
    connections: u64,
    turn: Vec<Turn>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    read: String,
    request: String,
    answer: Vec<String>,
    /// To the same request once more, where the reader tries twice.
    again: Option<Vec<String>>,
    outcome: String,
}

#[tokio::test]
async fn conversations_end_as_they_must() {
    let text = include_str!("data/conversations.toml");
    let Conversations { conversation } = toml::from_str(text).unwrap();
    for conversation in conversation {
        converse(conversation).await;
    }
}

async fn converse(conversation: Conversation) {
    let Conversation { name, discarded, connections, turn: turns } = conversation;
    let (address, device) = serve(turns.clone()).await;
    let mut link = Link::new(&address.ip().to_string(), address.port(), PATIENCE);
    for (number, turn) in (1..).zip(&turns) {
        let patient = turn.outcome != "timeout";
        let timeout = if patient { PATIENCE } else { TIMEOUT };
        let outcome = describe(link.read(read(&turn.read), timeout).await.map(|reply| reply.data));
        assert_eq!(outcome, turn.outcome, "{name}, turn {number}");
    }
    assert_eq!(link.counters(), Counters { connections, discarded }, "{name}");
    device.abort();
}

/// Answers each request by the next turn of the script, over as many connections as it takes.
async fn serve(turns: Vec<Turn>) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers = turns.into_iter().flat_map(|turn| {
        let request = turn.request;
        [Some(turn.answer), turn.again].into_iter().flatten().map(move |a| (request.clone(), a))
    });
    let mut answers: std::collections::VecDeque<_> = answers.collect();
    let device = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 12];
            while socket.read_exact(&mut request).await.is_ok() {
                let (expected, sends) =
                    answers.pop_front().expect("a request that is not in the script");
                assert_eq!(request[2..6], [0, 0, 0, 6], "protocol and length");
                assert_eq!(request[7..], bytes(&expected), "request");
                if !send(&mut socket, &request, &sends).await {
                    break;
                }
            }
        }
    });
    (address, device)
}

/// False once the connection is closed.
async fn send(socket: &mut TcpStream, request: &[u8; 12], sends: &[String]) -> bool {
    for text in sends {
        if text == "close" {
            return false;
        }
        let frame = match text.strip_prefix("raw ") {
            Some(raw) => bytes(raw),
            None => frame(u16::from_be_bytes([request[0], request[1]]), text),
        };
        socket.write_all(&frame).await.unwrap();
    }
    true
}

/// `[n] unit pdu…` as an MBAP frame.
fn frame(id: u16, text: &str) -> Vec<u8> {
    let (offset, rest) = text.strip_prefix('[').unwrap().split_once(']').unwrap();
    let id = id.wrapping_add_signed(offset.parse().unwrap());
    let body = bytes(rest);
    let length = u16::try_from(body.len()).unwrap();
    [&id.to_be_bytes()[..], &[0, 0], &length.to_be_bytes(), &body].concat()
}

fn bytes(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// `unit:function:address+count`
fn read(text: &str) -> Read {
    let mut numbers = text.split([':', '+']).map(|number| number.parse::<u16>().unwrap());
    let mut next = || numbers.next().unwrap();
    let unit = u8::try_from(next()).unwrap();
    let table = match next() {
        1 => Table::Coils,
        2 => Table::DiscreteInputs,
        3 => Table::HoldingRegisters,
        _ => Table::InputRegisters,
    };
    Read { unit, table, address: next(), count: next() }
}

fn describe(outcome: Result<Answer, ReadError>) -> String {
    match outcome {
        Ok(Answer::Words(words)) => {
            words.iter().fold("words".to_owned(), |text, word| format!("{text} {word:04X}"))
        }
        Ok(Answer::Bits(bits)) => {
            let digits: String = bits.iter().map(|&bit| if bit { '1' } else { '0' }).collect();
            format!("bits {digits}")
        }
        Err(ReadError::Refused { code, .. }) => format!("refused {code}"),
        Err(ReadError::Timeout(_)) => "timeout".to_owned(),
        Err(ReadError::Malformed(_)) => "malformed".to_owned(),
        Err(ReadError::Unreachable(_)) => "unreachable".to_owned(),
    }
}

#[tokio::test]
async fn a_full_block_of_125_registers_arrives_whole() {
    let words: Vec<u16> = (0..125).map(|n| n * 257).collect();
    let pdu: Vec<String> =
        words.iter().map(|word| format!("{:02X} {:02X}", word >> 8, word & 255)).collect();
    let turn = Turn {
        read: "1:4:1000+125".to_owned(),
        request: "04 03 E8 00 7D".to_owned(),
        answer: vec![format!("[0] 01 04 FA {}", pdu.join(" "))],
        again: None,
        outcome: String::new(),
    };
    let (address, device) = serve(vec![turn.clone()]).await;
    let mut link = Link::new("127.0.0.1", address.port(), PATIENCE);
    let reply = link.read(read(&turn.read), PATIENCE).await.unwrap();
    assert_eq!(reply.data, Answer::Words(words));
    device.abort();
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_after_a_rest_until_the_device_is_there() {
    let vacant = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = vacant.local_addr().unwrap();
    drop(vacant);
    let mut link = Link::new("127.0.0.1", address.port(), PATIENCE);
    let wanted = read("1:3:9+1");
    let refused = link.read(wanted, PATIENCE).await;
    assert!(matches!(refused, Err(ReadError::Unreachable(_))), "{refused:?}");

    let listener = TcpListener::bind(address).await.unwrap();
    // Still resting: no connection is tried.
    assert_eq!(link.read(wanted, PATIENCE).await, refused);
    let device = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 12];
        socket.read_exact(&mut request).await.unwrap();
        socket.write_all(&frame(0, "[0] 01 03 02 00 09")).await.unwrap();
    });
    let heals = async {
        loop {
            match link.read(wanted, PATIENCE).await {
                Ok(reply) => break reply,
                Err(_resting) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let reply = tokio::time::timeout(PATIENCE, heals).await.unwrap();
    assert_eq!(reply.data, Answer::Words(vec![9]));
    device.await.unwrap();
}

/// The library below can write. Only the reader knows it, and asks it for four kinds of reads.
#[test]
fn no_code_can_write_to_a_device() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut requests = Vec::new();
    for source in ["src", "../collector/src", "../rules/src", "../configs/src", "../tui/src"] {
        for (path, text) in sources(&home.join(source)) {
            if text.contains("tokio_modbus") {
                assert_eq!(path, home.join("src/modbus.rs"), "only the reader knows the library");
                let named = text.split("Request::").skip(1);
                requests.extend(named.map(|rest| {
                    rest.chars().take_while(char::is_ascii_alphanumeric).collect::<String>()
                }));
                let writing = ["Writer", "write_single", "write_multiple", "masked_write"];
                assert!(writing.iter().all(|word| !text.contains(word)), "{path:?} can write");
            }
        }
    }
    requests.sort();
    assert_eq!(
        requests,
        ["ReadCoils", "ReadDiscreteInputs", "ReadHoldingRegisters", "ReadInputRegisters"]
    );
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}
