//! Every answer that a server can give, and what becomes of the lines.

use std::time::Duration;

use rules::{
    alarm::{Letter, Priority},
    messages::{Event, Moved, What},
    value::{NoData, Value},
};
use store::{
    record::Record,
    sink::influx::{Config, StartError, Tuning, start},
};
use tokio_util::sync::CancellationToken;

use super::{
    server::{Reply, Server, Write},
    site::{Gateway, Lines, Sink, TOKEN, config, tuning},
};

fn sorted(mut lines: Lines) -> Lines {
    lines.sort();
    lines
}

/// The server gets five frames of ten points, and answers the first write as given and the others kindly.
async fn first_answer(first: Reply) -> (Gateway, Server, Sink, Lines) {
    let server = Server::start(
        move |write: &Write| {
            if write.number == 0 { first.clone() } else { Reply::Take(204) }
        },
    )
    .await;
    let mut gateway = Gateway::new(10);
    let lines = gateway.frames(5);
    gateway.durable().await;
    let sink = Sink::start(&gateway, &server);
    server.wait_for(&lines).await;
    assert_eq!(server.taken(), sorted(lines.clone()));
    (gateway, server, sink, lines)
}

#[tokio::test]
async fn a_write_names_bucket_organisation_precision_and_token() {
    let (_gateway, server, sink, lines) = first_answer(Reply::Take(204)).await;
    let write = &server.writes()[0];
    assert_eq!(write.target, "/api/v2/write?bucket=hall+1&org=facilities&precision=ms");
    assert_eq!(write.headers["authorization"], format!("Token {TOKEN}"));
    assert_eq!(write.headers["content-encoding"], "gzip");
    let state = sink.wait_until(|state| state.written_lines == 50).await;
    assert!(state.up && state.last_success.is_some() && state.why.is_none(), "{state:?}");
    assert!(lines.iter().all(|line| server.times(line) == 1));
    sink.stop().await;
}

#[tokio::test]
async fn any_success_is_one() {
    for status in [200, 202, 204] {
        let (_gateway, server, sink, lines) = first_answer(Reply::Take(status)).await;
        let state = sink.wait_until(|state| state.written_lines == 50).await;
        assert_eq!(state.rejected_lines, 0);
        assert!(lines.iter().all(|line| server.times(line) == 1));
        sink.stop().await;
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_repeated() {
    let (_gateway, server, sink, lines) = first_answer(Reply::Lose).await;
    sink.wait_until(|state| state.written_lines == 50).await;
    assert!(lines.iter().all(|line| server.times(line) == 2), "the same lines with the same times");
    sink.stop().await;
}

#[tokio::test]
async fn what_may_work_later_is_tried_later() {
    let hour = "{\"code\":\"too many requests\",\"message\":\"org has exceeded write limit\"}";
    for (reply, words) in [
        (Reply::Refuse(429, hour), "429 Too Many Requests: org has exceeded write limit"),
        (Reply::Refuse(503, "<html>down</html>"), "503 Service Unavailable: <html>down</html>"),
        (Reply::Refuse(500, ""), "500 Internal Server Error"),
        (Reply::Garbage, "no answer: "),
    ] {
        let server = Server::start(move |_| reply.clone()).await;
        let mut gateway = Gateway::new(10);
        let lines = gateway.frames(5);
        gateway.durable().await;
        let sink = Sink::start(&gateway, &server);
        let state = sink.wait_until(|state| !state.up).await;
        assert!(state.why.as_ref().is_some_and(|why| why.starts_with(words)), "{state:?}");
        sink.wait_until(|state| state.backlog_s > 0.0).await;
        server.judge(|_| Reply::Take(204));
        server.wait_for(&lines).await;
        let state = sink.wait_until(|state| state.up && state.backlog_s == 0.0).await;
        assert_eq!((state.written_lines, state.rejected_lines, state.why), (50, 0, None));
        sink.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let server = Server::start(|_| Reply::Hang).await;
    let mut gateway = Gateway::new(3);
    let lines = gateway.frames(2);
    gateway.durable().await;
    let short = Tuning { timeout: Duration::from_millis(200), ..tuning() };
    let sink = Sink::with(&gateway, &config(&server, short));
    let state = sink.wait_until(|state| !state.up).await;
    assert_eq!(state.why.as_deref(), Some("no answer in time"));
    server.judge(|_| Reply::Take(204));
    server.wait_for(&lines).await;
    sink.stop().await;
}

#[tokio::test]
async fn wrong_settings_keep_the_data_and_are_told_without_the_token() {
    let echo = "{\"code\":\"unauthorized\",\"message\":\"no such token: t0ken-of-the-test\"}";
    for (status, body, words) in [
        (401, echo, "401 Unauthorized: no such token: ***"),
        (403, "{\"message\":\"read only\"}", "403 Forbidden: read only"),
        (
            404,
            "{\"message\":\"bucket \\\"hall 1\\\" not found\"}",
            "404 Not Found: bucket \"hall 1\" not found",
        ),
        (301, "", "301 Moved Permanently"),
    ] {
        let server = Server::start(move |_| Reply::Refuse(status, body)).await;
        let mut gateway = Gateway::new(3);
        let lines = gateway.frames(4);
        gateway.durable().await;
        let sink = Sink::start(&gateway, &server);
        let state = sink.wait_until(|state| !state.up).await;
        assert_eq!(state.why.as_deref(), Some(words));
        server.wait_until(|server| server.writes().len() > 2).await;
        assert_eq!(sink.handle.state().rejected_lines, 0);
        server.judge(|_| Reply::Take(204));
        server.wait_for(&lines).await;
        sink.wait_until(|state| state.up && state.why.is_none()).await;
        sink.stop().await;
        no_secret_in(gateway.path());
    }
}

/// Reads every file of the data directory but the log, which holds no configuration.
fn no_secret_in(dir: &std::path::Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            no_secret_in(&path);
        } else {
            let content = std::fs::read(&path).unwrap();
            let found = content.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
            assert!(!found, "the token stands in {}", path.display());
        }
    }
}

#[tokio::test]
async fn what_is_too_large_is_halved_and_later_requests_are_smaller() {
    const LARGEST: usize = 40_000;
    let server = Server::start(|write: &Write| {
        if write.bytes > LARGEST { Reply::Refuse(413, "") } else { Reply::Take(204) }
    })
    .await;
    let mut gateway = Gateway::new(1000);
    let first = gateway.frame();
    let config = config(&server, Tuning { batch_lines: 5000, ..tuning() });
    let sink = Sink::with(&gateway, &config);
    server.wait_for(&first).await;
    let asked = server.writes().len();
    assert!(server.writes()[0].bytes > LARGEST);
    let second = gateway.frames(2);
    server.wait_for(&second).await;
    assert!(server.writes()[asked..].iter().all(|write| write.bytes <= LARGEST));
    assert_eq!(server.taken(), sorted([first, second].concat()));
    let state = sink.wait_until(|state| state.written_lines == 3000).await;
    assert_eq!(state.rejected_lines, 0);
    sink.stop().await;
}

const CONFLICT: &str = "{\"code\":\"invalid\",\"message\":\"unable to parse some lines\"}";

/// What is said when all but so many lines were taken.
fn partial(dropped: usize) -> String {
    format!(
        "{{\"code\":\"unprocessable entity\",\"message\":\"failure writing points to database: partial write: field type \
         conflict: input field \\\"active_power_kilowatts\\\" is type float, already exists as type integer \
         dropped={dropped}\"}}"
    )
}

/// Takes everything but the bad lines, and says how many those were.
fn takes_the_rest(write: &Write) -> Reply {
    let (bad, good): (Vec<_>, Vec<_>) = write.lines.iter().cloned().partition(|line| is_bad(line));
    if bad.is_empty() { Reply::Take(204) } else { Reply::TakeSome(good, partial(bad.len())) }
}

fn is_bad(line: &str) -> bool {
    line.contains("asset=meter-3,") || line.contains("asset=meter-71,")
}

#[tokio::test]
async fn a_refused_line_costs_itself_and_its_words_are_kept_with_it() {
    // Two ways to refuse: everything that holds a bad line, or the bad lines alone.
    for (takes_some, words) in [
        (false, "400 Bad Request: unable to parse some lines"),
        (
            true,
            "400 Bad Request: failure writing points to database: partial write: field type conflict",
        ),
    ] {
        let server = Server::start(move |write: &Write| {
            if takes_some {
                return takes_the_rest(write);
            }
            let any_bad = write.lines.iter().any(|line| is_bad(line));
            if any_bad { Reply::Refuse(400, CONFLICT) } else { Reply::Take(204) }
        })
        .await;
        let mut gateway = Gateway::new(100);
        let lines = gateway.frames(2);
        gateway.durable().await;
        let sink = Sink::start(&gateway, &server);
        let (bad, good): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| is_bad(line));
        server.wait_for(&good).await;
        let state = sink.wait_until(|state| state.rejected_lines == 4).await;
        assert_eq!(server.taken(), sorted(good.clone()));
        let state = if state.written_lines == 196 {
            state
        } else {
            sink.wait_until(|state| state.written_lines == 196).await
        };
        assert!(state.up, "a line that is refused is no outage: {state:?}");

        // The cursor is not held up, and the lines are not tried again.
        let later = gateway.frame();
        let (later_bad, later_good): (Vec<_>, Vec<_>) =
            later.into_iter().partition(|line| is_bad(line));
        server.wait_for(&later_good).await;
        sink.wait_until(|state| state.rejected_lines == 6).await;
        sink.stop().await;
        let quarantined = gateway.quarantine();
        let kept: Vec<&str> =
            quarantined.iter().map(|entry| entry["line"].as_str().unwrap()).collect();
        assert_eq!(
            sorted(kept.iter().map(|line| (*line).to_owned()).collect()),
            sorted([bad, later_bad].concat())
        );
        for entry in &quarantined {
            let why = entry["why"].as_str().unwrap();
            assert!(why.starts_with(words), "{why}");
        }
    }
}

#[tokio::test]
async fn which_lines_a_partial_write_left_out_is_sought_only_so_far() {
    let server = Server::start(takes_the_rest).await;
    let mut gateway = Gateway::new(100);
    let lines = gateway.frame();
    gateway.durable().await;
    let sink = Sink::with(&gateway, &config(&server, Tuning { curiosity: 4, ..tuning() }));
    let state = sink.wait_until(|state| state.rejected_lines == 2).await;
    assert!(state.up && state.written_lines == 98, "{state:?}");
    assert_eq!(server.writes().len(), 5);
    let later = gateway.frame();
    let good: Lines = [lines, later].concat().into_iter().filter(|line| !is_bad(line)).collect();
    server.wait_for(&good).await;
    sink.wait_until(|state| state.rejected_lines == 4).await;
    assert_eq!(server.writes().len(), 6, "no more is spent on finding out");
    assert_eq!(server.taken(), sorted(good));
    sink.stop().await;
    let quarantined = gateway.quarantine();
    let last = quarantined.last().unwrap()["line"].as_str().unwrap();
    assert!(last.starts_with("2 of 100 lines from this one on: meter,asset=meter-0,"), "{last}");
}

#[tokio::test]
async fn lines_that_are_all_refused_are_given_up_in_bounded_time() {
    // The second frame is too old for it.
    let server = Server::start(|write: &Write| {
        let old = write.lines.iter().any(|line| line.ends_with("802000"));
        let words = "{\"message\":\"points beyond retention policy\"}";
        if old { Reply::Refuse(422, words) } else { Reply::Take(204) }
    })
    .await;
    let mut gateway = Gateway::new(200);
    let config = config(&server, Tuning { batch_lines: 5000, ..tuning() });
    let sink = Sink::with(&gateway, &config);
    let first = gateway.frame();
    server.wait_for(&first).await;
    let second = gateway.frame();
    assert!(second.iter().all(|line| line.ends_with("802000")), "{}", second[0]);
    sink.wait_until(|state| state.rejected_lines == 200).await;
    assert!(server.writes().len() < 100, "{} requests", server.writes().len());
    let third = gateway.frame();
    server.wait_for(&third).await;
    sink.stop().await;
    assert_eq!(gateway.quarantine().len(), 200);
}

#[tokio::test]
async fn a_server_that_never_took_a_line_loses_none() {
    let words = "{\"code\":\"invalid\",\"message\":\"precision is not supported\"}";
    let server = Server::start(move |_| Reply::Refuse(400, words)).await;
    let mut gateway = Gateway::new(100);
    let lines = gateway.frames(2);
    gateway.durable().await;
    let sink = Sink::start(&gateway, &server);
    let state = sink.wait_until(|state| !state.up).await;
    assert_eq!(state.why.as_deref(), Some("400 Bad Request: precision is not supported"));
    server.judge(|_| Reply::Take(204));
    server.wait_for(&lines).await;
    assert_eq!(sink.wait_until(|state| state.up).await.rejected_lines, 0);
    sink.stop().await;
    assert!(gateway.quarantine().is_empty());
}

#[tokio::test]
async fn a_web_server_that_refuses_everything_is_no_database_and_loses_no_line() {
    let html = "<html>The plain HTTP request was sent to HTTPS port</html>";
    let server = Server::start(move |_| Reply::Refuse(400, html)).await;
    let mut gateway = Gateway::new(100);
    let lines = gateway.frames(2);
    gateway.durable().await;
    let sink = Sink::start(&gateway, &server);
    let state = sink.wait_until(|state| !state.up).await;
    assert!(state.why.unwrap().contains("The plain HTTP request was sent to HTTPS port"));
    server.judge(|_| Reply::Take(204));
    server.wait_for(&lines).await;
    assert_eq!(sink.wait_until(|state| state.up).await.rejected_lines, 0);
    sink.stop().await;
    assert!(gateway.quarantine().is_empty());
}

#[tokio::test]
async fn a_gap_stays_a_gap_and_is_counted() {
    let server = Server::kind().await;
    let mut gateway = Gateway::new(10);
    let lines = gateway.frame_with(|point, value| match point {
        0 => Err(NoData::Timeout),
        1 => Ok(Value::Text("hot".into())),
        _ => Ok(Value::Number(value)),
    });
    assert_eq!(lines.len(), 8);
    gateway.durable().await;
    let sink = Sink::start(&gateway, &server);
    server.wait_for(&lines).await;
    let state =
        sink.wait_until(|state| state.rejected_lines == 1 && state.skipped_values == 1).await;
    assert_eq!(server.taken(), sorted(lines));
    assert_eq!(state.written_lines, 8);
    sink.stop().await;
    let [entry] = gateway.quarantine().try_into().unwrap();
    assert_eq!(entry["why"], "a value of another kind than its point");
    assert!(
        entry["line"].as_str().unwrap().starts_with("meter-1.active_power = Text(\"hot\") at ")
    );
}

#[tokio::test]
async fn an_alarm_transition_is_sent_with_the_samples() {
    let server = Server::kind().await;
    let mut gateway = Gateway::new(1);
    let mut lines = gateway.frame();
    let now = gateway.now();
    gateway.append(Record::Event(Event {
        at: now.mono,
        wall: Some(now.wall.utc),
        asset: Some("meter-0".into()),
        what: What::Moved(Moved {
            alarm: "power.high@meter-0".into(),
            title: "Power too high".into(),
            priority: Priority::P2,
            from: Letter::A,
            to: Letter::B,
            cause: "condition".to_owned(),
            occurrence: 1,
            operands: "140 kW > 132 kW".to_owned(),
            by: None,
            annunciate: true,
        }),
    }));
    lines.push(format!(
        "alarm,alarm=power.high@meter-0,asset=meter-0,gateway=gw-1,priority=2,site=hall letter=\"B\",from=\"A\",\
         cause=\"condition\",title=\"Power too high\",operands=\"140 kW > 132 kW\",occurrence=1i,annunciate=true {}",
        now.wall.utc.timestamp_millis()
    ));
    gateway.durable().await;
    let sink = Sink::start(&gateway, &server);
    server.wait_for(&lines).await;
    assert_eq!(server.taken(), sorted(lines));
    sink.stop().await;
}

#[tokio::test]
async fn a_server_proves_who_it_is_by_the_authority_that_the_site_names() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = certified.cert.pem();
    let key = certified.signing_key.serialize_pem();
    let tls = links::tls::Server::new(pem.as_bytes(), key.as_bytes()).unwrap();
    let server = Server::kind_over_tls(tls).await;
    let mut gateway = Gateway::new(3);
    let lines = gateway.frames(2);
    gateway.durable().await;
    let url = format!("https://localhost:{}", server.address.port());
    let public = Config { url, ..config(&server, tuning()) };
    let sink = Sink::with(&gateway, &public);
    let state = sink.wait_until(|state| !state.up).await;
    assert!(state.why.as_ref().unwrap().contains("certificate"), "{state:?}");
    sink.stop().await;
    assert!(server.writes().is_empty(), "nothing is sent to a stranger");

    let authority = gateway.path().join("authority.pem");
    std::fs::write(&authority, pem).unwrap();
    let sink = Sink::with(&gateway, &Config { ca: Some(authority), ..public });
    server.wait_for(&lines).await;
    sink.stop().await;
}

#[tokio::test]
async fn what_cannot_work_is_said_at_the_start() {
    let server = Server::kind().await;
    let gateway = Gateway::new(1);
    let begin = |config: &Config| {
        start(config, gateway.reader.clone(), gateway.path(), CancellationToken::new()).unwrap_err()
    };
    let good = config(&server, tuning());
    for url in ["not a url", "influx://db", "http://proxy/influx/"] {
        let error = begin(&Config { url: url.to_owned(), ..good.clone() });
        assert!(matches!(error, StartError::Url), "{error}");
    }
    let nowhere = gateway.path().join("ca.pem");
    let error = begin(&Config { ca: Some(nowhere.clone()), ..good.clone() });
    assert!(matches!(error, StartError::Authority { .. }), "{error}");
    std::fs::write(&nowhere, "no certificate").unwrap();
    let error = begin(&Config { ca: Some(nowhere), ..good.clone() });
    assert!(matches!(error, StartError::NoCertificate { .. }), "{error}");
    assert!(!format!("{good:?}").contains(TOKEN));
}
