//! Takes the ends of journal and ledger outside, once a day: into the journal, from where they are forwarded to InfluxDB,
//! and to a broker that keeps the newest one. Whoever rewrites the whole ledger cannot rewrite what others have.
//!
//! Never writes to a device: it publishes under one topic of its own, which begins with `coldwatch/`.

use std::time::Duration;

use chrono::Utc;
use configs::{
    address::Credentials,
    site::{Anchors, Site},
};
use links::{
    mqtt::{Broker, Login},
    publisher::{PublishError, Publisher, Quality},
};
use rules::messages::{Anchor, Outcome, SiteInfo};
use serde_json::json;
use store::{Reader, StoreError};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::port::Port;

/// How often it is asked whether another day began.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// How long a gateway that stops waits for a broker.
const FAREWELL: Duration = Duration::from_secs(1);

/// Runs until `stop` is asked for, and ends at once in a gateway that keeps nothing.
pub(super) fn start(port: Port, site: &Site, stop: CancellationToken) -> JoinHandle<()> {
    let reader = port.store().cloned();
    let outlet = site.anchors.as_ref().map(|anchors| Outlet::open(&site.info, anchors));
    tokio::spawn(async move {
        let Some(reader) = reader else { return };
        let mut day = match ask(&reader, Reader::newest_anchor).await {
            Some(Some(newest)) => {
                publish(outlet.as_ref(), &newest).await;
                Some(newest.day)
            }
            _ => None,
        };
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = looks.tick() => {}
            }
            let today = Utc::now().date_naive();
            if day == Some(today) {
                continue;
            }
            let Some(anchor) = ask(&reader, move |reader| reader.anchor(today)).await else {
                continue;
            };
            // Before the first quarter-hour there is nothing that could be written anew.
            if anchor.ledger.lines > 0 && port.anchor(anchor.clone()).await == Ok(Outcome::Done) {
                day = Some(today);
                publish(outlet.as_ref(), &anchor).await;
            }
        }
        if let Some(outlet) = outlet {
            // A broker that is away gets it from the next run.
            let _ = timeout(FAREWELL, outlet.publisher.settled()).await;
        }
    })
}

async fn ask<T: Send + 'static>(
    reader: &Reader,
    question: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
) -> Option<T> {
    let reader = reader.clone();
    let answer = spawn_blocking(move || question(&reader)).await.ok()?;
    let told = answer.inspect_err(|error| {
        let error = error as &dyn std::error::Error;
        tracing::warn!(error, "the ends of journal and ledger cannot be read");
    });
    told.ok()
}

async fn publish(outlet: Option<&Outlet>, anchor: &Anchor) {
    let Some(outlet) = outlet else { return };
    if let Err(error) = outlet.publish(anchor).await {
        tracing::warn!(%error, topic = outlet.topic, "an anchor was not published");
    }
}

/// The broker that keeps the newest anchor.
struct Outlet {
    publisher: Publisher,
    topic: String,
    site: SiteInfo,
}

impl Outlet {
    fn open(site: &SiteInfo, anchors: &Anchors) -> Self {
        let Anchors { host, port, credentials, topic } = anchors.clone();
        let login = credentials.map(|Credentials { user, password }| Login { user, password });
        let client_id = format!("coldwatch-{}-anchors", site.gateway);
        let broker = Broker { host, port, login, client_id };
        let publisher = Publisher::open(&broker, std::slice::from_ref(&topic));
        Self { publisher, topic, site: site.clone() }
    }

    async fn publish(&self, anchor: &Anchor) -> Result<(), PublishError> {
        let Anchor { day, ledger, journal } = anchor;
        let document = json!({
            "site": self.site.id,
            "gateway": self.site.gateway,
            "day": day,
            "line": ledger.lines,
            "head": ledger.head,
            "journal_line": journal.lines,
            "journal_head": journal.head,
        });
        let payload = document.to_string();
        self.publisher.publish(&self.topic, payload, Quality::AtLeastOnce, true).await
    }
}
