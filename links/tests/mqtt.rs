//! The MQTT session and publisher against the in-process broker, over real sockets.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    time::{Duration, Instant},
};

use links::{
    backoff,
    broker::{Broker, Memory},
    mqtt::{self, Message, Report, SLOTS, Session, Standing},
    publisher::{PublishError, Publisher, Quality},
};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(15);

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn at(address: SocketAddr, client_id: &str) -> mqtt::Broker {
    mqtt::Broker {
        host: address.ip().to_string(),
        port: address.port(),
        login: None,
        client_id: client_id.to_owned(),
    }
}

fn filters(filters: &[&str]) -> Vec<String> {
    filters.iter().map(ToString::to_string).collect()
}

async fn open(address: SocketAddr, wanted: &[&str]) -> Session {
    let mut session = Session::open(&at(address, "subscriber"), &filters(wanted));
    assert_eq!(standing(&mut session).await, Standing::Up { refused: vec![] });
    session
}

fn publisher(address: SocketAddr) -> Publisher {
    Publisher::open(&at(address, "publisher"), &filters(&["test/#"]))
}

async fn report(session: &mut Session) -> Report {
    timeout(LONG, session.next()).await.expect("a report in time").expect("an open session")
}

/// The next change of standing; messages before it are acknowledged and dropped.
async fn standing(session: &mut Session) -> Standing {
    loop {
        match report(session).await {
            Report::Standing(standing) => return standing,
            Report::Message(message) => message.ack.done(),
        }
    }
}

async fn up(session: &mut Session) {
    while !matches!(standing(session).await, Standing::Up { .. }) {}
}

async fn message(session: &mut Session) -> Message {
    loop {
        if let Report::Message(message) = report(session).await {
            return message;
        }
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LONG, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn text(message: &Message) -> String {
    String::from_utf8(message.payload.to_vec()).unwrap()
}

/// Publishes `n` of `0..count` on topic `test/{n % 7}`.
fn publish_numbers(publisher: Publisher, count: u32) -> tokio::task::JoinHandle<Publisher> {
    tokio::spawn(async move {
        for n in 0..count {
            let topic = format!("test/{}", n % 7);
            let sent = publisher.publish(&topic, n.to_string(), Quality::AtLeastOnce, false);
            sent.await.unwrap();
        }
        publisher.settled().await.unwrap();
        publisher
    })
}

/// Takes messages until all of `0..count` have come; every one must be on the topic it was published on.
async fn take_numbers(session: &mut Session, count: u32, mut at_message: impl AsyncFnMut(usize)) {
    let mut seen = BTreeSet::new();
    while seen.len() < count as usize {
        let message = message(session).await;
        let n: u32 = text(&message).parse().unwrap();
        assert_eq!(message.topic, format!("test/{}", n % 7));
        message.ack.done();
        if seen.insert(n) {
            at_message(seen.len()).await;
        }
    }
    assert!(seen.iter().copied().eq(0..count));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_cuts_connections_and_restarts_loses_no_message_of_quality_1() {
    let broker = Broker::start(anywhere()).await.unwrap();
    let address = broker.address();
    let mut session = open(address, &["test/#"]).await;
    let sending = publish_numbers(publisher(address), 3000);
    let mut running = Some(broker);
    take_numbers(&mut session, 3000, async |so_far| match so_far {
        300 | 600 => running.as_ref().unwrap().drop_connections(),
        1000 | 2000 => {
            let memory = running.take().unwrap().stop().await;
            running = Some(Broker::resume(address, memory).await.unwrap());
        }
        _ => {}
    })
    .await;
    let publisher = sending.await.unwrap();
    let broker = running.unwrap();
    assert!(session.tally().connections >= 5, "{:?}", session.tally());
    assert_eq!(broker.tally().dropped, 0);
    until("every delivery acknowledged", || broker.backlog("subscriber") == 0).await;
    drop(publisher);
    session.close().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_forgot_the_session_is_subscribed_to_again() {
    let broker = Broker::start(anywhere()).await.unwrap();
    let address = broker.address();
    let mut session = open(address, &["test/a", "test/b/+"]).await;
    broker.stop().await;
    assert!(matches!(standing(&mut session).await, Standing::Down { .. }));
    let broker = Broker::resume(address, Memory::default()).await.unwrap();
    up(&mut session).await;
    assert_eq!(broker.subscriptions("subscriber"), ["test/a", "test/b/+"]);
    let publisher = publisher(address);
    publisher.publish("test/b/1", "x", Quality::AtLeastOnce, false).await.unwrap();
    assert_eq!(message(&mut session).await.topic, "test/b/1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_did_not_acknowledge_is_sent_again_in_order() {
    let broker = Broker::start(anywhere()).await.unwrap();
    let address = broker.address();
    let mut session = open(address, &["test/#"]).await;
    broker.set_withholding_acks(true);
    // More than may be in flight, so that the rest waits inside the publisher over the broken connection.
    let sending = publish_numbers(publisher(address), 200);
    until("a full window at the broker", || broker.tally().published >= 64).await;
    broker.set_withholding_acks(false);
    broker.drop_connections();
    let mut first_seen = Vec::new();
    while first_seen.len() < 200 {
        let message = message(&mut session).await;
        let n: u32 = text(&message).parse().unwrap();
        message.ack.done();
        if !first_seen.contains(&n) {
            first_seen.push(n);
        }
    }
    assert!(first_seen.iter().copied().eq(0..200), "{first_seen:?}");
    sending.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_unacknowledged_message_comes_again() {
    let broker = Broker::start(anywhere()).await.unwrap();
    let address = broker.address();
    let mut session = open(address, &["test/#"]).await;
    let publisher = publisher(address);
    for word in ["kept", "dropped"] {
        publisher.publish("test/a", word, Quality::AtLeastOnce, false).await.unwrap();
    }
    let kept = message(&mut session).await;
    assert_eq!(text(&kept), "kept");
    kept.ack.done();
    let dropped = message(&mut session).await;
    assert_eq!(text(&dropped), "dropped");
    drop(dropped);
    until("the acknowledgement", || broker.backlog("subscriber") == 1).await;
    broker.drop_connections();
    let again = message(&mut session).await;
    assert_eq!(text(&again), "dropped");
    again.ack.done();
    until("the acknowledgement", || broker.backlog("subscriber") == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_of_an_old_connection_never_reaches_the_next_one() {
    let broker = Broker::start(anywhere()).await.unwrap();
    let address = broker.address();
    let mut session = open(address, &["test/#"]).await;
    let publisher = publisher(address);
    publisher.publish("test/old", "old", Quality::AtLeastOnce, false).await.unwrap();
    let old = message(&mut session).await;
    // The new broker knows nothing and counts packet ids from 1 again, so both messages have the same id.
    broker.stop().await;
    let broker = Broker::resume(address, Memory::default()).await.unwrap();
    up(&mut session).await;
    publisher.publish("test/new", "new", Quality::AtLeastOnce, false).await.unwrap();
    let new = message(&mut session).await;
    assert_eq!(text(&new), "new");
    old.ack.done();
    publisher.publish("test/last", "last", Quality::AtLeastOnce, false).await.unwrap();
    message(&mut session).await.ack.done();
    until("the last one acknowledged", || broker.backlog("subscriber") == 1).await;
    new.ack.done();
    until("the new one acknowledged", || broker.backlog("subscriber") == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_refuses_is_not_stormed() {
    let broker = Broker::start(anywhere()).await.unwrap();
    broker.set_refusing(true);
    let begin = Instant::now();
    let mut session = Session::open(&at(broker.address(), "subscriber"), &filters(&["test/#"]));
    until("five attempts", || broker.tally().refused >= 5).await;
    assert!(begin.elapsed() >= 4 * backoff::FLOOR, "{:?}", begin.elapsed());
    assert!(matches!(standing(&mut session).await, Standing::Down { .. }));
    broker.set_refusing(false);
    up(&mut session).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_stalls_leaves_messages_of_quality_1_at_the_broker() {
    let broker = Broker::start(anywhere()).await.unwrap();
    let address = broker.address();
    let mut session = open(address, &["test/#"]).await;
    let publisher = publish_numbers(publisher(address), 1000).await.unwrap();
    assert_eq!(broker.backlog("subscriber"), 1000);
    take_numbers(&mut session, 1000, async |_| {}).await;
    assert_eq!(session.tally().dropped, 0);
    drop(publisher);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_stalls_loses_the_newest_of_quality_0_counted_and_stays_connected() {
    let broker = Broker::start(anywhere()).await.unwrap();
    let address = broker.address();
    let mut session = open(address, &["test/#"]).await;
    let publisher = publisher(address);
    let sent = SLOTS + 500;
    for n in 0..sent {
        publisher.publish("test/a", n.to_string(), Quality::AtMostOnce, false).await.unwrap();
    }
    publisher.settled().await.unwrap();
    until("the newest dropped", || session.tally().dropped == 500).await;
    for n in 0..SLOTS {
        let message = message(&mut session).await;
        assert_eq!(text(&message), n.to_string());
        message.ack.done();
    }
    assert_eq!(session.tally().connections, 1);
    publisher.publish("test/a", "after", Quality::AtMostOnce, false).await.unwrap();
    assert_eq!(text(&message(&mut session).await), "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_come_first_and_say_so() {
    let broker = Broker::start(anywhere()).await.unwrap();
    let address = broker.address();
    let publisher = publisher(address);
    for (topic, payload) in [("test/a", "1"), ("test/b", "2"), ("test/b", "3"), ("test/a", "")] {
        publisher.publish(topic, payload, Quality::AtLeastOnce, true).await.unwrap();
    }
    publisher.settled().await.unwrap();
    assert_eq!(broker.retained("test/a"), None);
    let mut session = open(address, &["test/#"]).await;
    let kept = message(&mut session).await;
    assert_eq!((text(&kept).as_str(), kept.retain), ("3", true));
    kept.ack.done();
    publisher.publish("test/b", "4", Quality::AtLeastOnce, true).await.unwrap();
    let live = message(&mut session).await;
    assert_eq!((text(&live).as_str(), live.retain), ("4", false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_the_broker_refuses_is_named_and_the_others_work() {
    let broker = Broker::start(anywhere()).await.unwrap();
    let address = broker.address();
    let wanted = filters(&["test/#/wrong", "test/a"]);
    let mut session = Session::open(&at(address, "subscriber"), &wanted);
    let refused = vec!["test/#/wrong".to_owned()];
    assert_eq!(standing(&mut session).await, Standing::Up { refused });
    let publisher = publisher(address);
    publisher.publish("test/a", "x", Quality::AtLeastOnce, false).await.unwrap();
    assert_eq!(text(&message(&mut session).await), "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_takes_only_its_own_topics_and_what_fits_a_packet() {
    let broker = Broker::start(anywhere()).await.unwrap();
    let publisher = publisher(broker.address());
    let publish = async |topic: &str, bytes: usize| {
        publisher.publish(topic, vec![0; bytes], Quality::AtLeastOnce, false).await
    };
    assert_eq!(publish("other/a", 1).await, Err(PublishError::NotOwn("other/a".to_owned())));
    assert_eq!(publish("test/+", 1).await, Err(PublishError::NotATopic("test/+".to_owned())));
    assert!(matches!(publish("test/a", 300_000).await, Err(PublishError::TooLarge { .. })));
    assert_eq!(publish("test/a", 200_000).await, Ok(()));
    publisher.settled().await.unwrap();
    assert_eq!(broker.tally().published, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_is_added_later_is_asked_for_now_and_after_every_reconnect() {
    let broker = Broker::start(anywhere()).await.unwrap();
    let address = broker.address();
    let mut session = open(address, &["test/a"]).await;
    assert!(session.subscribe_also("test/b"));
    let publisher = publisher(address);
    publisher.publish("test/a", "wakes the session", Quality::AtLeastOnce, false).await.unwrap();
    message(&mut session).await.ack.done();
    until("the second filter", || broker.subscriptions("subscriber").len() == 2).await;
    broker.stop().await;
    let broker = Broker::resume(address, Memory::default()).await.unwrap();
    up(&mut session).await;
    assert_eq!(broker.subscriptions("subscriber"), ["test/a", "test/b"]);
}
