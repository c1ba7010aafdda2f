//! The server goes away and comes back, the gateway stops and starts, the clock is not known yet: what arrives in the end.

use std::{collections::BTreeSet, time::Duration};

use rules::time::Trust;
use store::{record::Seq, sink::influx::Tuning};

use super::{
    server::{Reply, Server, Write},
    site::{Gateway, Lines, Sink, config, tuning},
};

fn sorted(mut lines: Lines) -> Lines {
    lines.sort();
    lines
}

#[tokio::test]
async fn after_an_outage_the_present_goes_first_and_nothing_is_missing() {
    let mut server = Server::kind().await;
    let mut gateway = Gateway::new(50);
    let sink = Sink::start(&gateway, &server);
    let before = gateway.frames(3);
    server.wait_for(&before).await;

    server.stop().await;
    let mut during = Vec::new();
    for _ in 0..100 {
        during.extend(gateway.frame());
    }
    let state = sink.wait_until(|state| !state.up && state.backlog_s > 1.0).await;
    assert!(state.why.unwrap().starts_with("not connected: "));
    // Slow, so that catching up takes its time.
    server.judge(|_| Reply::Slow(Duration::from_millis(40)));
    server.listen().await;
    sink.wait_until(|state| state.up).await;
    let after = gateway.frame();
    server.wait_for(&after).await;
    let missing = during.iter().filter(|line| server.times(line) == 0).count();
    assert!(missing > 0, "the present did not wait for the past");
    assert!(sink.handle.position() < gateway.writer.last());

    server.wait_for(&during).await;
    sink.wait_until(|state| state.backlog_s == 0.0).await;
    assert_eq!(server.taken(), sorted([before, during, after].concat()));
    sink.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was_and_repeats_nothing_that_was_delivered() {
    let server = Server::kind().await;
    let mut gateway = Gateway::new(20);
    let sink = Sink::start(&gateway, &server);
    let first = gateway.frames(10);
    server.wait_for(&first).await;
    sink.wait_until(|state| state.written_lines == 200).await;
    sink.stop().await;

    let second = gateway.frames(10);
    gateway.durable().await;
    let mut gateway = gateway.restarted(Trust::Synchronised);
    let third = gateway.frames(10);
    let sink = Sink::start(&gateway, &server);
    let all = sorted([first, second, third].concat());
    server.wait_for(&all).await;
    sink.wait_until(|state| state.written_lines == 400).await;
    assert_eq!(server.taken(), all);
    assert!(all.iter().all(|line| server.times(line) == 1));
    sink.stop().await;
}

#[tokio::test]
async fn a_crash_repeats_but_never_skips() {
    let server = Server::kind().await;
    let mut gateway = Gateway::new(20);
    let cursors = gateway.path().join("sinks/influxdb.json");
    let sink = Sink::start(&gateway, &server);
    let first = gateway.frames(10);
    server.wait_for(&first).await;
    let last = gateway.writer.last();
    tokio::time::timeout(Duration::from_secs(30), async {
        while sink.handle.position() <= last {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let on_disk = std::fs::read(&cursors).unwrap();
    let second = gateway.frames(10);
    server.wait_for(&second).await;
    sink.stop().await;
    // As if the machine had stopped before the cursors were stored again.
    std::fs::write(&cursors, on_disk).unwrap();
    let third = gateway.frames(10);
    let sink = Sink::start(&gateway, &server);
    server.wait_for(&third).await;
    server.wait_until(|server| second.iter().all(|line| server.times(line) == 2)).await;
    assert_eq!(server.taken(), sorted([first.clone(), second, third].concat()));
    assert!(first.iter().all(|line| server.times(line) == 1));
    sink.stop().await;
}

#[tokio::test]
async fn nothing_is_sent_before_its_time_is_known() {
    let server = Server::kind().await;
    let mut gateway = Gateway::untrusted(5);
    let lines = gateway.frames(4);
    gateway.durable().await;
    let sink = Sink::start(&gateway, &server);
    let state = sink.wait_until(|state| state.why.is_some() && state.backlog_s > 0.0).await;
    assert_eq!(state.why.as_deref(), Some("waiting until the wall clock can be trusted"));
    assert!(server.writes().is_empty());
    gateway.trust = Trust::Synchronised;
    let later = gateway.frame();
    let all = sorted([lines, later].concat());
    server.wait_for(&all).await;
    assert_eq!(server.taken(), all);
    sink.wait_until(|state| state.why.is_none() && state.backlog_s == 0.0).await;
    sink.stop().await;
}

#[tokio::test]
async fn a_run_whose_time_was_never_known_is_counted_and_passed_over() {
    let server = Server::kind().await;
    let mut gateway = Gateway::untrusted(5);
    gateway.frames(4);
    gateway.durable().await;
    let mut gateway = gateway.restarted(Trust::Synchronised);
    let lines = gateway.frames(2);
    let sink = Sink::start(&gateway, &server);
    server.wait_for(&lines).await;
    let state =
        sink.wait_until(|state| state.skipped_values == 20 && state.written_lines == 10).await;
    assert_eq!(state.lost_records, 0);
    assert_eq!(server.taken(), sorted(lines));
    sink.stop().await;
}

#[tokio::test]
async fn what_the_cap_took_before_it_was_delivered_is_counted_as_lost() {
    let mut server = Server::kind().await;
    let mut gateway = Gateway::new(200);
    let sink = Sink::start(&gateway, &server);
    let before = gateway.frame();
    server.wait_for(&before).await;
    server.stop().await;
    let mut during = Vec::new();
    for _ in 0..60 {
        during.push((gateway.writer.last().0 + 1, gateway.frame()));
        gateway.durable().await;
    }
    sink.wait_until(|state| !state.up && state.backlog_s > 1.0).await;
    assert!(sink.handle.position() <= Seq(during[0].0), "the log is to be kept from here");
    assert!(gateway.reader.drop_before(gateway.writer.last()).unwrap() > 0);
    let oldest = gateway.reader.oldest();
    assert!(oldest > Seq(during[0].0));
    server.listen().await;
    let kept: Lines = during
        .iter()
        .filter(|(seq, _)| Seq(*seq) >= oldest)
        .flat_map(|(_, lines)| lines.clone())
        .collect();
    server.wait_for(&kept).await;
    let state = sink.wait_until(|state| state.lost_records > 0 && state.backlog_s == 0.0).await;
    assert_eq!(state.lost_records, oldest.0 - during[0].0);
    // Lines that the sink had in hand when the log was cut may have arrived all the same.
    let taken: BTreeSet<String> = server.taken().into_iter().collect();
    let all: BTreeSet<String> =
        during.into_iter().flat_map(|(_, lines)| lines).chain(before).collect();
    assert!(taken.is_subset(&all) && taken.len() < all.len(), "{} of {}", taken.len(), all.len());
    sink.stop().await;
}

/// Numbers that look drawn at random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Loses, refuses, hangs up, takes parts: two thirds of the time.
fn unreliable(seed: u64) -> impl FnMut(&Write) -> Reply + Send + 'static {
    let mut dice = Dice(seed);
    move |write: &Write| {
        let is_bad = |line: &String| line.contains("asset=meter-7,");
        let (bad, good): (Vec<_>, Vec<_>) = write.lines.iter().cloned().partition(is_bad);
        match dice.roll(12) {
            0 if bad.is_empty() => Reply::Lose,
            1 => Reply::Refuse(503, ""),
            2 => Reply::Refuse(429, ""),
            3 => Reply::Garbage,
            4 => Reply::Refuse(401, "{\"message\":\"unauthorized access\"}"),
            5 if write.lines.len() > 10 => Reply::Refuse(413, ""),
            _ if !bad.is_empty() && dice.roll(2) == 0 => Reply::TakeSome(
                good,
                format!("{{\"message\":\"partial write: dropped={}\"}}", bad.len()),
            ),
            _ if !bad.is_empty() => Reply::Refuse(400, "{\"message\":\"unable to parse\"}"),
            _ => Reply::Take(204),
        }
    }
}

#[tokio::test]
async fn whatever_the_server_does_every_good_line_arrives_and_every_bad_one_is_kept() {
    for seed in 0..3 {
        let server = Server::start(unreliable(seed)).await;
        let mut gateway = Gateway::new(40);
        let fast = Tuning {
            back_off: (Duration::from_millis(1), Duration::from_millis(5)),
            slow_retry: Duration::from_millis(5),
            live_lag: Duration::from_millis(50),
            ..tuning()
        };
        let mut lines = gateway.frames(4);
        let mut sink = Sink::with(&gateway, &config(&server, fast));
        for round in 0..5 {
            lines.extend(gateway.frames(2));
            gateway.durable().await;
            server.wait_until(|server| server.writes().len() > 10 * (round + 1)).await;
            if round % 2 == 0 {
                sink.stop().await;
                sink = Sink::with(&gateway, &config(&server, fast));
            }
        }
        let (bad, good): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|line| line.contains("asset=meter-7,"));
        server.wait_for(&good).await;
        sink.wait_until(|state| state.backlog_s == 0.0).await;
        sink.stop().await;
        assert_eq!(server.taken(), sorted(good), "seed {seed}");
        let mut kept: Lines = gateway
            .quarantine()
            .iter()
            .map(|entry| entry["line"].as_str().unwrap().to_owned())
            .collect();
        kept.sort();
        kept.dedup();
        assert_eq!(kept, sorted(bad), "seed {seed}");
    }
}
