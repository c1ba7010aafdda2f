//! The session and the publisher against mosquitto, the broker of the field: `cargo test -p links -- --ignored`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

#[path = "../../tests/support/mosquitto.rs"]
mod mosquitto;

use std::{collections::BTreeSet, time::Duration};

use links::{
    mqtt::{Broker, Report, Session},
    publisher::{Publisher, Quality},
};
use tokio::time::timeout;

use crate::mosquitto::Mosquitto;

fn broker(mosquitto: &Mosquitto, client_id: &str) -> Broker {
    Broker {
        host: "127.0.0.1".to_owned(),
        port: mosquitto.port,
        login: None,
        client_id: client_id.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn restarts_lose_no_message_of_quality_1() {
    const COUNT: u32 = 3000;
    let mut mosquitto = Mosquitto::start();
    let mut session = Session::open(&broker(&mosquitto, "subscriber"), &["test/#".to_owned()]);
    while !matches!(
        timeout(Duration::from_secs(15), session.next()).await.unwrap(),
        Some(Report::Standing(links::mqtt::Standing::Up { .. }))
    ) {}
    let publisher = Publisher::open(&broker(&mosquitto, "publisher"), &["test/#".to_owned()]);
    let sending = tokio::spawn(async move {
        for n in 0..COUNT {
            let topic = format!("test/{}", n % 7);
            let sent = publisher.publish(&topic, n.to_string(), Quality::AtLeastOnce, false);
            sent.await.unwrap();
        }
        publisher.settled().await.unwrap();
    });
    let mut seen = BTreeSet::new();
    while seen.len() < COUNT as usize {
        let report = timeout(Duration::from_secs(30), session.next()).await;
        let report = report.unwrap_or_else(|_| panic!("{} came, then nothing", seen.len()));
        let Some(Report::Message(message)) = report else { continue };
        let n: u32 = std::str::from_utf8(&message.payload).unwrap().parse().unwrap();
        assert_eq!(message.topic, format!("test/{}", n % 7));
        message.ack.done();
        if seen.insert(n) && [700, 1800].contains(&seen.len()) {
            mosquitto.restart();
        }
    }
    sending.await.unwrap();
    assert!(session.tally().connections >= 3);
    session.close().await;
}
