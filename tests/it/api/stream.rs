//! The change stream, as a client hears it.

use std::fmt::Write;

use futures_util::StreamExt;
use serde_json::Value;
use tokio::{net::UnixStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use super::client::{Gateway, PATIENCE};

struct Listener(WebSocketStream<UnixStream>);

impl Listener {
    async fn open(gateway: &Gateway, query: &str) -> Self {
        let stream = UnixStream::connect(gateway.folder.path().join("api.sock")).await.unwrap();
        let url = format!("ws://localhost/api/v1/stream{query}");
        // So that what is not asked for stays in the socket.
        let config = WebSocketConfig::default().read_buffer_size(1024);
        let (socket, _) = client_async_with_config(url, stream, Some(config)).await.unwrap();
        Self(socket)
    }

    /// The next frame.
    async fn hear(&mut self) -> Value {
        loop {
            let next = timeout(PATIENCE, self.0.next()).await.expect("a frame in time");
            if let Message::Text(text) = next.expect("an open stream").unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Updates are numbered without gaps; the number of the last of so many.
    async fn hear_updates(&mut self, count: u64, after: u64) -> u64 {
        for expected in after + 1..=after + count {
            let frame = self.hear().await;
            assert_eq!(frame["update"]["seq"], expected, "{frame:#}");
        }
        after + count
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn seq(value: &Value) -> u64 {
    value["seq"].as_u64().unwrap_or_else(|| panic!("no number in {value:#}"))
}

#[test]
fn a_client_that_comes_back_has_missed_nothing() {
    let gateway = Gateway::start("", &[], &[]);
    block_on(async {
        let mut first = Listener::open(&gateway, "").await;
        let hello = first.hear().await;
        assert_eq!(
            (&hello["hello"]["schema"], &hello["hello"]["resumed"]),
            (&1.into(), &false.into())
        );
        let snapshot = first.hear().await;
        let snapshot = &snapshot["snapshot"];
        assert_eq!(snapshot["boot"], hello["hello"]["boot"]);
        let left_at = first.hear_updates(2, seq(snapshot)).await;
        drop(first);

        let mut other = Listener::open(&gateway, "").await;
        other.hear().await;
        let begun = seq(&other.hear().await["snapshot"]);
        other.hear_updates(2, begun).await;

        let boot = &snapshot["boot"];
        let back = format!("?since={left_at}&boot={boot}");
        let mut again = Listener::open(&gateway, &back).await;
        assert_eq!(again.hear().await["hello"]["resumed"], true);
        again.hear_updates(3, left_at).await;

        // Of another run, of the future, or without a run there is nothing to go on from.
        for query in [
            format!("?since={left_at}&boot=1"),
            format!("?since=99999999&boot={boot}"),
            format!("?since={left_at}"),
        ] {
            let mut anew = Listener::open(&gateway, &query).await;
            assert_eq!(anew.hear().await["hello"]["resumed"], false, "{query}");
            assert!(anew.hear().await["snapshot"].is_object(), "{query}");
        }
    });
}

#[test]
fn only_readings_that_are_asked_for_are_told() {
    let gateway = Gateway::start("", &[], &[]);
    block_on(async {
        let mut all = Listener::open(&gateway, "").await;
        let wanted = "?points=no-such-*.point,other";
        let mut none = Listener::open(&gateway, wanted).await;
        all.hear().await;
        none.hear().await;
        let snapshot = all.hear().await;
        let readings = snapshot["snapshot"]["readings"].as_array().unwrap();
        assert!(!readings.is_empty(), "a snapshot is always whole");
        let snapshot = none.hear().await["snapshot"].clone();
        assert_eq!(snapshot["readings"].as_array().unwrap().len(), readings.len());
        for _ in 0..2 {
            let frame = none.hear().await;
            let changes = frame["update"]["changes"].as_array().unwrap();
            assert!(changes.iter().all(|change| change.get("reading").is_none()), "{frame:#}");
            assert!(changes.iter().any(|change| change.get("health").is_some()), "{frame:#}");
        }
        let back = format!("{wanted}&since={}&boot={}", snapshot["seq"], snapshot["boot"]);
        let mut again = Listener::open(&gateway, &back).await;
        assert_eq!(again.hear().await["hello"]["resumed"], true);
        let frame = again.hear().await;
        let changes = frame["update"]["changes"].as_array().unwrap();
        assert!(changes.iter().all(|change| change.get("reading").is_none()), "{frame:#}");
    });
}

#[test]
fn a_client_that_takes_nothing_begins_anew_and_holds_up_nobody() {
    let mut racks = String::new();
    for number in 1..=1000 {
        let place =
            format!("row = \"R1\"\nposition = {number}\ndesign_power = \"132 kW\"\nfeeds = 2");
        write!(racks, "[[rack]]\nid = \"rack-{number}\"\nroom = \"room\"\n{place}\n").unwrap();
    }
    let gateway = Gateway::start(&racks, &[], &[]);
    block_on(async {
        let mut idle = Listener::open(&gateway, "").await;
        idle.hear().await;
        // Its snapshot is larger than the socket's buffers: it waits to be taken.
        let mut busy = Listener::open(&gateway, "").await;
        busy.hear().await;
        let begun = seq(&busy.hear().await["snapshot"]);
        busy.hear_updates(8, begun).await;

        let old = seq(&idle.hear().await["snapshot"]);
        let news = idle.hear().await;
        let anew = seq(&news["snapshot"]);
        assert!(anew > old + 4, "{anew} after {old}");
        idle.hear_updates(2, anew).await;
    });
}
