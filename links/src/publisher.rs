//! A supervised MQTT 3.1.1 publisher: what it accepted at quality of service 1 reaches the broker, over any number of
//! lost connections, in order and at least once.
//!
//! coldwatch never writes to a device, so a publisher is opened with the topics that are its own and refuses others.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, Incoming, Outgoing, Publish, QoS, Request,
};
use thiserror::Error;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    backoff::Backoff,
    mqtt::{self, Broker, PACKET_BYTES, Standing},
    topic,
};

/// Messages that were accepted and are not yet at the broker.
pub const OUTSTANDING: u32 = 1024;
/// Unacknowledged messages on the wire.
const IN_FLIGHT: u16 = 64;
/// Room that a packet needs beside topic and payload: fixed header, two lengths, packet id.
const HEADER_BYTES: usize = 16;
const STEADY: Duration = Duration::from_secs(30);

/// How sure a message is to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Sent once, when there is a connection; gone if that breaks.
    AtMostOnce,
    /// Sent until the broker has acknowledged it.
    AtLeastOnce,
}

/// Why a message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    #[error("\"{0}\" is not among this publisher's own topics")]
    NotOwn(String),
    #[error("\"{0}\" is no topic")]
    NotATopic(String),
    #[error("{bytes} bytes are more than a packet may have ({PACKET_BYTES})")]
    TooLarge { bytes: usize },
    #[error("the publisher has ended")]
    Ended,
}

/// An open publisher. Dropping it ends it; see [`Self::settled`].
#[derive(Debug)]
pub struct Publisher {
    client: AsyncClient,
    own: Vec<String>,
    room: Arc<Semaphore>,
    standing: watch::Receiver<Standing>,
    task: JoinHandle<()>,
}

impl Publisher {
    /// Starts to connect. `own` are topic filters: only what they match is ever published. Needs a tokio runtime.
    pub fn open(broker: &Broker, own: &[String]) -> Self {
        let mut options = broker.options(true);
        options.set_inflight(IN_FLIGHT);
        let (client, events) = mqtt::event_loop(options, OUTSTANDING as usize);
        let room = Arc::new(Semaphore::new(OUTSTANDING as usize));
        let (standing_sender, standing) = watch::channel(Standing::Connecting);
        let worker = Worker {
            events,
            unsent: VecDeque::new(),
            room: Arc::clone(&room),
            standing: standing_sender,
            backoff: broker.backoff(),
        };
        let task = tokio::spawn(worker.supervise());
        Self { client, own: own.to_vec(), room, standing, task }
    }

    /// Accepts a message, as soon as there is room. A retained one replaces what the broker keeps for the topic.
    pub async fn publish(
        &self,
        topic: &str,
        payload: impl Into<Bytes>,
        quality: Quality,
        retain: bool,
    ) -> Result<(), PublishError> {
        let payload = payload.into();
        if !topic::is_topic(topic) {
            return Err(PublishError::NotATopic(topic.to_owned()));
        }
        if !self.own.iter().any(|filter| topic::matches(filter, topic)) {
            return Err(PublishError::NotOwn(topic.to_owned()));
        }
        let bytes = topic.len() + payload.len() + HEADER_BYTES;
        if bytes > PACKET_BYTES {
            return Err(PublishError::TooLarge { bytes });
        }
        let qos = match quality {
            Quality::AtMostOnce => QoS::AtMostOnce,
            Quality::AtLeastOnce => QoS::AtLeastOnce,
        };
        let room = self.room.acquire().await.map_err(|_closed| PublishError::Ended)?;
        self.client
            .publish_bytes(topic, qos, retain, payload)
            .await
            .map_err(|_closed| PublishError::Ended)?;
        room.forget(); // Given back by the worker when the message is through.
        Ok(())
    }

    /// Waits until everything that was accepted is at the broker.
    pub async fn settled(&self) -> Result<(), PublishError> {
        let all = self.room.acquire_many(OUTSTANDING).await;
        all.map(drop).map_err(|_closed| PublishError::Ended)
    }

    /// How the connection stands.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Worker {
    events: EventLoop,
    /// Accepted, and to be sent before anything that the event loop still has in its request queue.
    unsent: VecDeque<Publish>,
    room: Arc<Semaphore>,
    standing: watch::Sender<Standing>,
    backoff: Backoff,
}

impl Worker {
    async fn supervise(mut self) {
        loop {
            let mut up_since = None;
            let reason = self.connection(&mut up_since).await;
            if up_since.is_some_and(|since: Instant| since.elapsed() >= STEADY) {
                self.backoff.reset();
            }
            self.save();
            if let ConnectionError::RequestsDone = reason {
                return;
            }
            let reason = mqtt::describe(&reason);
            tracing::debug!(reason, "publisher down");
            self.standing.send_replace(Standing::Down { reason });
            sleep(self.backoff.after_failure()).await;
        }
    }

    async fn connection(&mut self, up_since: &mut Option<Instant>) -> ConnectionError {
        loop {
            self.offer_one();
            match self.events.poll().await {
                Ok(event) => {
                    if let Event::Incoming(Incoming::ConnAck(_)) = event {
                        *up_since = Some(Instant::now());
                        self.standing.send_replace(Standing::Up { refused: Vec::new() });
                    }
                    self.count(&event);
                }
                Err(error) => return error,
            }
        }
    }

    /// Puts the next unsent message where the event loop takes it first. One at a time and only with a free place in
    /// flight: of several that meet the same unacknowledged packet id, the event loop would keep only the last.
    fn offer_one(&mut self) {
        let state = &self.events.state;
        if self.events.network.is_some()
            && self.events.pending.is_empty()
            && state.collision.is_none()
            && state.inflight() < IN_FLIGHT
            && let Some(publish) = self.unsent.pop_front()
        {
            self.events.pending.push_back(Request::Publish(publish));
        }
    }

    /// Gives back the room of a message that is through.
    fn count(&self, event: &Event) {
        if let Event::Incoming(Incoming::PubAck(_)) | Event::Outgoing(Outgoing::Publish(0)) = event
            // A broker that acknowledges more than it got does not make more room.
            && self.room.available_permits() < OUTSTANDING as usize
        {
            self.room.add_permits(1);
        }
    }

    /// Takes out of the event loop what it would forget when the broker has lost the session, or keep for ever: what
    /// is in flight, what waits for a packet id, and what was queued. Packet ids are given anew.
    fn save(&mut self) {
        while let Some(event) = self.events.state.events.pop_front() {
            self.count(&event);
        }
        let mut drained: VecDeque<Publish> = std::mem::take(&mut self.events.pending)
            .into_iter()
            .filter_map(|request| match request {
                Request::Publish(publish) => Some(publish),
                _ => None,
            })
            .collect();
        // What `offer_one` put there and was not sent stands before what is in flight, and belongs behind it.
        let offered = match drained.front() {
            Some(first) if first.pkid == 0 && !self.unsent.is_empty() => drained.pop_front(),
            _ => None,
        };
        let queued = drained.split_off(drained.iter().take_while(|p| p.pkid != 0).count());
        let collided = self.events.state.collision.take();
        let later = std::mem::take(&mut self.unsent);
        self.unsent = drained
            .into_iter()
            .chain(collided)
            .chain(offered)
            .chain(later)
            .chain(queued)
            .map(|publish| Publish { pkid: 0, dup: false, ..publish })
            .collect();
    }
}
