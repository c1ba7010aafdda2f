//! Publishes the feeds of one MQTT link, through a broker of its own or the one that the site names.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use configs::address::Credentials;
use links::{
    broker,
    mqtt::{Broker, Login, Standing},
    publisher::{Publisher, Quality},
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{feed::Feed, shared::SharedWorld};

/// How often every value is published.
const EVERY: Duration = Duration::from_secs(2);

/// One broker and what is published there.
pub(crate) struct Link {
    broker: Option<broker::Broker>,
    publisher: Publisher,
    feeds: Vec<Feed>,
}

impl Link {
    /// Publishes at a broker of its own, which listens on `address`. Also gives where it listens in fact.
    pub(crate) async fn with_own_broker(
        address: SocketAddr,
        feeds: Vec<Feed>,
    ) -> io::Result<(Self, SocketAddr)> {
        let broker = broker::Broker::start(address).await?;
        let address = broker.address();
        let publisher = open(address.ip().to_string(), address.port(), None, &feeds);
        Ok((Self { broker: Some(broker), publisher, feeds }, address))
    }

    /// Publishes at a broker that is already there.
    pub(crate) fn at_broker(
        host: &str,
        port: u16,
        credentials: Option<Credentials>,
        feeds: Vec<Feed>,
    ) -> Self {
        let login = credentials.map(|known| Login { user: known.user, password: known.password });
        let publisher = open(host.to_owned(), port, login, &feeds);
        Self { broker: None, publisher, feeds }
    }

    /// Publishes until `stop`. While `closed`, a broker of its own refuses connections and drops those it has.
    pub(crate) async fn run(
        self,
        world: SharedWorld,
        mut closed: watch::Receiver<bool>,
        stop: CancellationToken,
    ) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut standing = self.publisher.standing();
        let publishing = async {
            loop {
                tokio::select! {
                    _ = ticks.tick() => self.publish(&world).await,
                    // The first message goes out as soon as there is somebody to take it.
                    Ok(()) = standing.changed() => self.publish(&world).await,
                    Ok(()) = closed.changed() => self.set_closed(*closed.borrow_and_update()),
                }
            }
        };
        stop.run_until_cancelled(publishing).await;
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
    }

    /// Nothing is kept for later: what nobody takes now is old then.
    async fn publish(&self, world: &SharedWorld) {
        if !matches!(*self.publisher.standing().borrow(), Standing::Up { .. }) {
            return;
        }
        let messages: Vec<_> = {
            let world = world.lock();
            let time_ms = unix_ms() + world.clock_error_ms();
            self.feeds.iter().flat_map(|feed| feed.messages(&world, time_ms)).collect()
        };
        for (topic, payload) in messages {
            let sent = self.publisher.publish(&topic, payload, Quality::AtMostOnce, true).await;
            if let Err(error) = sent {
                tracing::warn!(topic, %error, "cannot publish");
            }
        }
    }

    fn set_closed(&self, closed: bool) {
        if let Some(broker) = &self.broker {
            broker.set_refusing(closed);
            if closed {
                broker.drop_connections();
            }
        }
    }
}

fn open(host: String, port: u16, login: Option<Login>, feeds: &[Feed]) -> Publisher {
    let client_id = format!("coldwatch-simulator-{}", std::process::id());
    let own: Vec<String> = feeds.iter().flat_map(Feed::topics).map(str::to_owned).collect();
    Publisher::open(&Broker { host, port, login, client_id }, &own)
}

/// Milliseconds since 1970 by this machine's clock: a gateway compares them with its own.
fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
