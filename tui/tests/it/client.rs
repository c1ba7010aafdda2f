//! A dashboard whose gateway is another process, over a real socket.

use rules::{
    messages::{Action, Command, Feed, Outcome, Snapshot},
    time::BootId,
};
use tokio_tungstenite::tungstenite::Message;
use tui::{
    Answer, Lost, News, Source,
    client::{Address, Client, ClientError, Token},
};

use crate::{
    hall::Hall,
    scripted::{Gateway, Opened, soon},
};

async fn attach(gateway: &Gateway, hall: &Hall) -> (Source, Opened) {
    let client = tokio::spawn(gateway.client().attach());
    let mut opened = gateway.opened(hall.snapshot().boot.0, false).await;
    opened.show(hall.snapshot()).await;
    let source = soon("attached", client).await.unwrap().unwrap();
    (source, opened)
}

async fn refused(gateway: &Gateway, client: Client, status: &str, body: &str) -> ClientError {
    let attached = tokio::spawn(client.attach());
    gateway.asked().await.answer(status, body).await;
    soon("refused", attached).await.unwrap().unwrap_err()
}

async fn heard(source: &mut Source) -> Feed {
    loop {
        match soon("news", source.news.recv()).await.expect("the session goes on") {
            News::Feed(feed) => return feed,
            News::Lost(_) => {}
            News::Answered { .. } => panic!("nothing was asked"),
        }
    }
}

async fn lost(source: &mut Source) -> Lost {
    loop {
        if let News::Lost(lost) = soon("a loss", source.news.recv()).await.unwrap() {
            return lost;
        }
    }
}

async fn answer(source: &mut Source) -> (String, Answer) {
    loop {
        if let News::Answered { key, answer } = soon("an answer", source.news.recv()).await.unwrap()
        {
            return (key, answer);
        }
    }
}

fn written(snapshot: &Snapshot) -> String {
    serde_json::to_string(snapshot).unwrap()
}

fn ack(key: &str) -> Command {
    let action = Action::Ack { alarm: "loop.flow_lo@loop-2".into(), occurrence: Some(1) };
    Command { key: key.to_owned(), by: "zhao".to_owned(), action }
}

#[tokio::test]
async fn a_client_gets_the_picture_and_what_follows() {
    let (gateway, mut hall) = (Gateway::start(), Hall::new());
    let (mut source, mut opened) = attach(&gateway, &hall).await;
    assert!(opened.line.starts_with("GET /api/v1/stream HTTP/1.1"), "{}", opened.line);
    assert_eq!(written(&source.snapshot), written(&hall.snapshot()), "nothing is lost on the way");
    for _ in 0..3 {
        let update = hall.step(1);
        opened.tell(&Feed::Update(update.clone())).await;
        assert_eq!(heard(&mut source).await, Feed::Update(update));
    }
    drop(source);
    opened.left().await;
}

#[tokio::test]
async fn a_broken_stream_is_said_and_resumed_where_it_ended() {
    let (mut gateway, mut hall) = (Gateway::start(), Hall::new());
    let (mut source, mut opened) = attach(&gateway, &hall).await;
    opened.tell(&Feed::Update(hall.step(1))).await;
    heard(&mut source).await;
    gateway.die();
    drop(opened);
    let first = lost(&mut source).await;
    assert_eq!(first.attempts, 0, "said before anything is tried");
    let second = lost(&mut source).await;
    assert_eq!(second.attempts, 1);
    assert!(second.why.contains("no gateway at unix:"), "{}", second.why);
    assert!(
        !second.why.contains("coldwatch run"),
        "one line, and it tries by itself: {}",
        second.why
    );

    gateway.listen();
    let snapshot = hall.snapshot();
    let mut opened = gateway.opened(snapshot.boot.0, true).await;
    let resume = format!("since={}&boot={}", snapshot.seq, snapshot.boot.0);
    assert!(opened.line.contains(&resume), "{}", opened.line);
    let update = hall.step(1);
    opened.tell(&Feed::Update(update.clone())).await;
    assert_eq!(heard(&mut source).await, Feed::Update(update));
}

#[tokio::test]
async fn a_restarted_gateway_gives_a_new_picture_to_go_on_from() {
    let (gateway, mut hall) = (Gateway::start(), Hall::new());
    let (mut source, opened) = attach(&gateway, &hall).await;
    drop(opened);
    let restarted = Snapshot { boot: BootId(77), ..hall.snapshot() };
    let mut opened = gateway.opened(77, false).await;
    opened.show(restarted.clone()).await;
    let Feed::Snapshot(shown) = heard(&mut source).await else { panic!("no snapshot") };
    assert_eq!(written(&shown), written(&restarted));
    opened.tell(&Feed::Update(hall.step(1))).await;
    assert!(matches!(heard(&mut source).await, Feed::Update(_)));
    drop(opened);
    let opened = gateway.opened(77, true).await;
    assert!(opened.line.contains("boot=77"), "{}", opened.line);
}

#[tokio::test]
async fn updates_of_another_run_or_with_a_gap_are_not_believed() {
    for (boot, steps) in [(1_000_001, 1), (0, 2)] {
        let (gateway, mut hall) = (Gateway::start(), Hall::new());
        let own = hall.snapshot().boot.0;
        let (mut source, opened) = attach(&gateway, &hall).await;
        drop(opened);
        let mut opened = gateway.opened(own + boot, true).await;
        let updates: Vec<_> = (0..steps).map(|_| hall.step(1)).collect();
        opened.tell(&Feed::Update(updates.last().unwrap().clone())).await;
        let mut opened = gateway.opened(own + boot, false).await;
        assert!(!opened.line.contains("since="), "only a snapshot helps: {}", opened.line);
        opened.show(hall.snapshot()).await;
        assert!(matches!(heard(&mut source).await, Feed::Snapshot(_)));
    }
}

#[tokio::test]
async fn garbage_breaks_the_connection_and_not_the_dashboard() {
    let (gateway, mut hall) = (Gateway::start(), Hall::new());
    let (mut source, mut opened) = attach(&gateway, &hall).await;
    let boot = hall.snapshot().boot.0;
    let garbage = [
        Message::text("{\"update\":{\"seq\":"),
        Message::text("{\"news\":{}}"),
        Message::text(""),
        Message::binary(vec![0, 159, 146, 150]),
    ];
    for message in garbage {
        opened.send(message).await;
        let lost = lost(&mut source).await;
        assert!(lost.why.contains("cannot be understood"), "{}", lost.why);
        opened = gateway.opened(boot, true).await;
    }
    let update = hall.step(1);
    opened.tell(&Feed::Update(update.clone())).await;
    assert_eq!(heard(&mut source).await, Feed::Update(update));
}

#[tokio::test]
async fn a_gateway_of_another_version_is_refused_with_both_versions() {
    let gateway = Gateway::start();
    for hello in [
        r#"{"hello":{"schema":7,"boot":1,"seq":0,"resumed":false}}"#,
        r#"{"hello":{"schema":7,"run":"another word"}}"#,
    ] {
        let attached = tokio::spawn(gateway.client().attach());
        gateway.asked().await.upgrade().await.say(hello).await;
        let error = soon("refused", attached).await.unwrap().unwrap_err();
        assert!(matches!(error, ClientError::Schema(7)), "{error}");
        assert!(error.to_string().contains("version 7") && error.to_string().contains("version 1"));
    }
}

#[tokio::test]
async fn one_look_takes_a_snapshot_and_checks_its_version() {
    let (gateway, hall) = (Gateway::start(), Hall::new());
    let mut other = serde_json::to_value(hall.snapshot()).unwrap();
    other["schema"] = 2.into();
    for (body, good) in [
        (serde_json::to_string(&hall.snapshot()).unwrap(), true),
        (other.to_string(), false),
        ("{\"schema\":2}".to_owned(), false),
    ] {
        let client = gateway.client();
        let looked = tokio::spawn(async move { client.snapshot().await });
        let asked = gateway.asked().await;
        assert!(asked.line().starts_with("GET /api/v1/snapshot "));
        asked.answer("200 OK", &body).await;
        match soon("looked", looked).await.unwrap() {
            Ok(snapshot) => assert!(good && written(&snapshot) == written(&hall.snapshot())),
            Err(error) => assert!(!good && matches!(error, ClientError::Schema(2)), "{error}"),
        }
    }
}

#[tokio::test]
async fn what_keeps_a_client_out_is_told_with_a_way_in() {
    let gateway = Gateway::start();
    let client = || gateway.client();
    let error = refused(&gateway, client(), "401 Unauthorized", "").await;
    assert!(error.to_string().contains("--token-file"), "{error}");
    let why = r#"{"error":"this host is not known here"}"#;
    let error = refused(&gateway, client(), "403 Forbidden", why).await;
    assert_eq!(error.to_string(), "the gateway refuses: this host is not known here");
    let error = refused(&gateway, client(), "404 Not Found", "<html>nginx</html>").await;
    assert!(error.to_string().contains("no coldwatch gateway (HTTP 404)"), "{error}");
    let error = refused(&gateway, client(), "503 Service Unavailable", "starting").await;
    assert!(error.to_string().contains("starting"), "{error}");

    let file = gateway.file("token", "s3cret\n");
    let address = Address::Unix(gateway.socket());
    let known = Client::new(address.clone(), Token::File(file.clone()), None);
    let attached = tokio::spawn(known.attach());
    let asked = gateway.asked().await;
    assert_eq!(asked.header("authorization").as_deref(), Some("Bearer s3cret"));
    asked.answer("401 Unauthorized", "").await;
    let error = attached.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("does not know the token in"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"));

    let missing = gateway.socket().with_file_name("missing");
    let client = Client::new(address.clone(), Token::File(missing.clone()), None);
    let error = client.attach().await.unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    let optional = Client::new(address, Token::IfReadable(missing), None);
    let error = refused(&gateway, optional, "401 Unauthorized", "").await;
    assert!(matches!(error, ClientError::TokenMissing), "{error}");
}

#[tokio::test]
async fn no_gateway_and_no_permission_say_what_to_do() {
    let mut gateway = Gateway::start();
    gateway.die();
    let error = gateway.client().attach().await.unwrap_err();
    assert!(error.to_string().contains("coldwatch run --site"), "{error}");
    std::fs::remove_file(gateway.socket()).unwrap();
    let error = gateway.client().snapshot().await.unwrap_err();
    assert!(matches!(error, ClientError::NoGateway(_)), "{error}");
}

#[tokio::test]
async fn what_speaks_something_else_is_no_gateway() {
    let gateway = Gateway::start();
    let client = gateway.client();
    let looked = tokio::spawn(async move { client.snapshot().await });
    gateway.asked().await.babble(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    let error = soon("looked", looked).await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::Garbled(_) | ClientError::Closed(_)), "{error}");
    let attached = tokio::spawn(gateway.client().attach());
    gateway.asked().await.babble(b"\x00\xff").await;
    let error = soon("attached", attached).await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::Garbled(_) | ClientError::Closed(_)), "{error}");
}

#[tokio::test]
async fn a_command_is_posted_with_its_key_and_its_outcome_comes_back() {
    let (gateway, hall) = (Gateway::start(), Hall::new());
    let (mut source, _opened) = attach(&gateway, &hall).await;
    let rejected = Outcome::Rejected { why: "occurrence 1 is over".to_owned() };
    let too_full = Answer::NotTaken {
        why: "nothing can be stored now; free space on its disk (HTTP 503)".to_owned(),
    };
    for (status, body, expected) in [
        ("200 OK", r#"{"done":{}}"#, Answer::Decided(Outcome::Done)),
        (
            "200 OK",
            r#"{"rejected":{"why":"occurrence 1 is over"}}"#,
            Answer::Decided(rejected.clone()),
        ),
        (
            "409 Conflict",
            r#"{"rejected":{"why":"occurrence 1 is over"}}"#,
            Answer::Decided(rejected.clone()),
        ),
        (
            "503 Service Unavailable",
            r#"{"error":"nothing can be stored now","remedy":"free space on its disk"}"#,
            too_full,
        ),
    ] {
        source.commands.send(ack("k1")).await.unwrap();
        let asked = gateway.asked().await;
        assert!(asked.line().starts_with("POST /api/v1/commands "), "{}", asked.line());
        let document = asked.document();
        assert_eq!(document["key"], "k1");
        assert_eq!(document["action"]["ack"]["alarm"], "loop.flow_lo@loop-2");
        assert!(document.get("by").is_none(), "who it is, the gateway knows");
        asked.answer(status, body).await;
        assert_eq!(answer(&mut source).await, ("k1".to_owned(), expected));
    }
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let (mut gateway, hall) = (Gateway::start(), Hall::new());
    let (mut source, _opened) = attach(&gateway, &hall).await;
    source.commands.send(ack("k1")).await.unwrap();
    let first = gateway.asked().await;
    let body = first.body.clone();
    // It acted, and died before it could say so.
    gateway.die();
    drop(first);
    gateway.listen();
    // The next one breaks in the middle of its answer.
    gateway.asked().await.babble(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n\"do").await;
    let third = gateway.asked().await;
    assert_eq!(third.body, body);
    third.answer("200 OK", r#"{"done":{}}"#).await;
    assert_eq!(answer(&mut source).await, ("k1".into(), Answer::Decided(Outcome::Done)));
}

#[tokio::test]
async fn a_command_for_a_gateway_that_is_away_is_refused_at_once() {
    let (mut gateway, hall) = (Gateway::start(), Hall::new());
    let (mut source, _opened) = attach(&gateway, &hall).await;
    gateway.die();
    source.commands.send(ack("k1")).await.unwrap();
    let (_, answer) = answer(&mut source).await;
    let Answer::NotTaken { why } = answer else { panic!("{answer:?}") };
    assert!(why.contains("no gateway at"), "{why}");
}

#[tokio::test]
async fn a_flood_of_commands_is_answered_one_by_one() {
    let (gateway, hall) = (Gateway::start(), Hall::new());
    let (mut source, _opened) = attach(&gateway, &hall).await;
    let keys: std::collections::BTreeSet<String> = (0..100).map(|n| format!("k{n}")).collect();
    for key in &keys {
        source.commands.try_send(ack(key)).unwrap();
    }
    let mut answered = std::collections::BTreeSet::new();
    let count = keys.len();
    let answering = tokio::spawn(async move {
        for _ in 0..count {
            gateway.asked().await.answer("200 OK", r#"{"done":{}}"#).await;
        }
    });
    while answered.len() < count {
        answered.insert(answer(&mut source).await.0);
    }
    answering.await.unwrap();
    assert_eq!(answered, keys);
}

#[tokio::test]
async fn a_slow_reader_makes_the_gateway_wait_and_loses_nothing() {
    let (gateway, mut hall) = (Gateway::start(), Hall::new());
    let (mut source, mut opened) = attach(&gateway, &hall).await;
    let updates: Vec<_> = (0..300).map(|_| hall.step(1)).collect();
    let sent = updates.clone();
    let talking = tokio::spawn(async move {
        for update in sent {
            opened.tell(&Feed::Update(update)).await;
        }
        opened
    });
    for update in updates {
        assert_eq!(heard(&mut source).await, Feed::Update(update));
    }
    talking.await.unwrap();
}
