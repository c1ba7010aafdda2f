//! A gateway's store in another process, killed at random moments.

use std::{
    collections::hash_map::RandomState,
    env,
    hash::{BuildHasher, Hasher},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use rules::{
    messages::{Outcome, What},
    plant::PointId,
    time::{BootId, Mono, Now, Trust, Wall},
    value::{Sample, Value},
};
use store::{
    Opened, Options, Reader,
    journal::{Entry, JournalQuery},
    record::Record,
};

use crate::records::{ack, catalog, closed, event, row, start};

/// Names the data directory to the process that is going to be killed.
const DIR: &str = "COLDWATCH_TEST_KILLED";

fn options(dir: &Path) -> Options {
    Options { reserve_bytes: 0, segment_bytes: 1 << 16, ..Options::new(dir.to_owned()) }
}

/// What the gateway decides in its round `n`, which is also how the lines are told apart.
fn decisions(n: u64) -> Vec<Record> {
    vec![
        event(n, What::Link { up: true, why: n.to_string() }),
        ack(&format!("key-{n}"), Outcome::Done),
        closed(row("ups-1", n.cast_signed(), 2.5)),
    ]
}

fn samples(n: u64) -> Record {
    let sample = |point| Sample {
        point: PointId(point),
        at: Mono::from_millis(1000 * n),
        source_time: None,
        value: Ok(Value::Number(f64::from(point) / 10.0)),
    };
    Record::Frame((0..500).map(sample).collect())
}

/// Rounds that are in the journal, oldest first.
fn rounds(reader: &Reader) -> Vec<u64> {
    let all = JournalQuery { limit: usize::MAX, ..JournalQuery::default() };
    let journal = reader.journal(&all).unwrap().into_iter().rev();
    let links = journal.filter_map(|line| match line.entry {
        Entry::Event(event) => match event.what {
            What::Link { why, .. } => why.parse().ok(),
            _ => None,
        },
        _ => None,
    });
    links.collect()
}

#[test]
#[ignore = "is what the other tests in here kill"]
#[expect(clippy::print_stdout, reason = "shows what is durable, as a dashboard would")]
fn child() {
    let Some(dir) = env::var_os(DIR) else { return };
    let boot = BootId(RandomState::new().build_hasher().finish());
    let Opened { store, mut writer, .. } = store::open(&options(Path::new(&dir)), boot).unwrap();
    let mut round = rounds(&store.reader()).last().copied().unwrap_or(0);
    let mut durable = writer.durable();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let now = |n| Now {
        mono: Mono::from_secs(n),
        wall: Wall { utc: start(), trust: Trust::Synchronised },
    };
    writer.append(&now(round), vec![catalog("1.0", &["ups-1"])]);
    loop {
        round += 1;
        writer.append(&now(round), vec![samples(round)]);
        let seq = writer.append(&now(round), decisions(round));
        if round % 7 == 0 {
            writer.append(&now(round), vec![Record::Checkpoint(serde_json::json!(round))]);
        }
        runtime.block_on(durable.wait_for(|durable| durable.seq >= seq)).unwrap();
        println!("shown {round}");
        std::io::stdout().flush().unwrap();
    }
}

fn spawn(dir: &Path) -> (Child, Receiver<u64>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "killed::child", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let (shown, receiver) = mpsc::channel();
    let forward = move |output: ChildStdout| {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(round) = line.strip_prefix("shown ").and_then(|round| round.parse().ok()) {
                // Nobody listens any more once the child was killed.
                let _ = shown.send(round);
            }
        }
    };
    thread::spawn(move || forward(output));
    (child, receiver)
}

/// Runs a child until it has shown some rounds and a moment longer, and kills it. Gives the last round that it showed.
fn run_and_kill(dir: &Path) -> u64 {
    let random = RandomState::new().build_hasher().finish();
    let (mut child, shown) = spawn(dir);
    let mut last = 0;
    for _ in 0..random % 20 {
        last = shown.recv().unwrap();
    }
    if let Ok(round) = shown.recv_timeout(Duration::from_micros(random >> 32 & 0x1fff)) {
        last = round;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    shown.iter().last().unwrap_or(last)
}

fn survives(kills: u32) {
    let dir = tempfile::tempdir().unwrap();
    for kill in 0..kills {
        let shown = run_and_kill(dir.path());
        let boot = BootId(u64::from(kill));
        let Opened { store, writer, before, findings } =
            store::open(&options(dir.path()), boot).unwrap();
        assert_eq!(findings, []);
        let reader = store.reader();
        let there = rounds(&reader);
        let last = there.last().copied().unwrap_or(0);
        assert!(last >= shown, "round {shown} was shown, the journal ends with {last}");
        assert_eq!(there, (1..=last).collect::<Vec<_>>());
        for round in 1..=last {
            let outcome = reader.outcome(&format!("key-{round}")).unwrap();
            // The last group may be there by half: it was not shown.
            assert!(outcome.is_some() || round > shown, "key of round {round}");
        }
        let (from, to) =
            ("2026-11-22T00:00:00Z".parse().unwrap(), "2036-11-22T00:00:00Z".parse().unwrap());
        let rows = u64::try_from(reader.ledger(from, to).unwrap().len()).unwrap();
        assert!((shown..=last).contains(&rows), "{rows} rows, shown {shown}, last {last}");
        assert!(reader.verify().unwrap().is_intact());
        assert!(before.after.len() <= 3 * 7 + 3 || before.checkpoint.is_none());
        writer.close().unwrap();
        store.close();
    }
}

#[test]
fn whatever_was_shown_before_a_kill_is_there_after_it() {
    survives(5);
}

#[test]
#[ignore = "takes minutes"]
fn whatever_was_shown_before_two_hundred_kills_is_there_after_them() {
    survives(200);
}
