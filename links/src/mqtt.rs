//! A supervised MQTT 3.1.1 subscription: connects, subscribes, hands out messages, and heals.
//!
//! - The session is persistent: what the broker could not deliver while the connection was down comes afterwards.
//! - It subscribes on every connection, whatever the broker says it remembers, and is up only when the broker has
//!   granted the filters: connected but deaf is not up.
//! - A message is acknowledged when its consumer says so ([`Ack::done`]), never before. An acknowledgement belongs to
//!   the connection that brought the message; after a reconnect it is void, because the broker may have given the
//!   packet id to another message, and the broker delivers again.
//! - No message is taken from the socket without a free slot: [`SLOTS`] messages at most are waiting or unacknowledged.
//!   A consumer that takes none for [`PATIENCE`] loses messages of quality of service 0, newest first and counted, while
//!   the connection stays alive; for quality 1 the connection is given up and made again when a slot is free.
//!
//! The client library retries without pause, forgets subscriptions, and keeps half its state over an error; all of
//! that is handled here and in [`crate::publisher`], and nowhere else.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, Incoming, MqttOptions, NetworkOptions,
    Outgoing, Packet, PubAck, Publish, QoS, Request, StateError, Subscribe, SubscribeFilter,
    SubscribeReasonCode, mqttbytes,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;

/// Messages that are waiting for the consumer or for its acknowledgement. With [`PACKET_BYTES`] it bounds the memory of
/// a session to 64 MiB.
pub const SLOTS: usize = 256;
/// Largest packet taken or given.
pub const PACKET_BYTES: usize = 256 * 1024;
/// Filters of one session, with those that are added later.
pub const FILTERS: usize = 1024;
/// How long a full queue holds the socket back before messages are let go.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// A broker that is silent for twice this is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A connection that held this long starts the back-off anew; a shorter one is part of the same trouble.
const STEADY: Duration = Duration::from_secs(30);
/// How long the broker may be silent before it grants a subscription.
const GRANT_WITHIN: Duration = Duration::from_secs(10);
/// How long the broker may take to read what is sent.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where a broker is and who we are there.
#[derive(Clone, Debug)]
pub struct Broker {
    pub host: String,
    pub port: u16,
    pub login: Option<Login>,
    /// Stable over restarts, or the broker cannot find the session again; unique at the broker, or two clients push
    /// each other out.
    pub client_id: String,
}

/// A user and a secret that is never printed.
#[derive(Clone)]
pub struct Login {
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Broker {
    /// The library's options with everything that its defaults get wrong for us. TLS goes in here.
    pub(crate) fn options(&self, clean: bool) -> MqttOptions {
        // The library joins host and port with a colon, which an IPv6 address has many of.
        let host = if self.host.contains(':') && !self.host.starts_with('[') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let mut options = MqttOptions::new(&self.client_id, host, self.port);
        options.set_keep_alive(KEEP_ALIVE);
        options.set_clean_session(clean || self.client_id.is_empty());
        options.set_max_packet_size(PACKET_BYTES, PACKET_BYTES);
        if let Some(login) = &self.login {
            options.set_credentials(&login.user, &login.password);
        }
        options
    }

    /// Delays that differ between the clients of one broker.
    pub(crate) fn backoff(&self) -> Backoff {
        let mut hasher = DefaultHasher::new();
        (&self.host, self.port, &self.client_id, std::process::id()).hash(&mut hasher);
        Backoff::new(hasher.finish())
    }
}

/// An event loop with our network options.
pub(crate) fn event_loop(options: MqttOptions, requests: usize) -> (AsyncClient, EventLoop) {
    let (client, mut events) = AsyncClient::new(options, requests);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    (client, events)
}

/// How a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not yet connected for the first time.
    Connecting,
    /// Connected and subscribed. `refused` are the filters that the broker would not grant.
    Up { refused: Vec<String> },
    /// Why there is no connection; the next attempt is on its way.
    Down { reason: String },
}

/// What a session reports.
#[derive(Debug)]
pub enum Report {
    /// The standing changed. Of several changes only the last is seen.
    Standing(Standing),
    Message(Message),
}

/// One message. Acknowledge it when its content is safe.
#[derive(Debug)]
pub struct Message {
    pub topic: String,
    pub payload: Bytes,
    /// The broker had kept it: it says what was last, not what is new.
    pub retain: bool,
    /// When it came out of the socket.
    pub received: Instant,
    pub ack: Ack,
}

/// The right to acknowledge one message, and its slot in the session. Acknowledge in the order of arrival (MQTT-4.6.0-2).
/// Dropped without [`Self::done`], the message stays unacknowledged and comes again with the next connection.
#[derive(Debug)]
pub struct Ack {
    connection: u64,
    packet_id: u16,
    shared: Arc<Shared>,
    _slot: OwnedSemaphorePermit,
}

impl Ack {
    /// True when the broker keeps the message until then: not at quality of service 0.
    pub fn is_awaited(&self) -> bool {
        self.packet_id != 0
    }

    pub fn done(self) {
        if !self.is_awaited() {
            return;
        }
        let mut acks = self.shared.acks();
        if acks.connection != self.connection {
            return;
        }
        let publish = Publish {
            pkid: self.packet_id,
            ..Publish::new(String::new(), QoS::AtLeastOnce, Vec::new())
        };
        // One acknowledgement wakes the worker through its request queue; those behind it wait until it is out.
        if acks.posted || self.shared.client.try_ack(&publish).is_err() {
            acks.queued.push_back(self.packet_id);
        } else {
            acks.posted = true;
        }
    }
}

#[derive(Debug)]
struct Shared {
    client: AsyncClient,
    acks: Mutex<Acks>,
    /// Filters, in the order in which they were asked for. It only grows.
    filters: Mutex<Vec<String>>,
    connections: AtomicU64,
    dropped: AtomicU64,
}

impl Shared {
    fn acks(&self) -> MutexGuard<'_, Acks> {
        self.acks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Acknowledgements on their way out. The library sends one request at a time, and reads ten packets before it looks for
/// the next one; a broker that keeps on sending would wait for its acknowledgements for ever. So only one goes that way,
/// and all that were given meanwhile follow it at once.
#[derive(Debug, Default)]
struct Acks {
    /// Number of the present connection.
    connection: u64,
    /// One is in the request queue.
    posted: bool,
    /// In the order they were given. No more than there are packet ids.
    queued: VecDeque<u16>,
}

/// Counters of a session since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections that the broker accepted.
    pub connections: u64,
    /// Messages of quality of service 0 that found no slot.
    pub dropped: u64,
}

/// An open session. Dropping it ends it without a farewell; see [`Self::close`].
#[derive(Debug)]
pub struct Session {
    messages: mpsc::Receiver<Message>,
    standing: watch::Receiver<Standing>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Session {
    /// Starts to connect, and subscribes to `filters` at quality of service 1. Needs a tokio runtime.
    pub fn open(broker: &Broker, filters: &[String]) -> Self {
        let mut options = broker.options(false);
        options.set_manual_acks(true);
        // Room for one acknowledgement and the farewell.
        let (client, events) = event_loop(options, 2);
        let shared = Arc::new(Shared {
            client,
            acks: Mutex::default(),
            filters: Mutex::new(filters.to_vec()),
            connections: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let (message_sender, messages) = mpsc::channel(SLOTS);
        let (standing_sender, standing) = watch::channel(Standing::Connecting);
        let stop = CancellationToken::new();
        let worker = Worker {
            events,
            asked: VecDeque::new(),
            asked_filters: 0,
            refused: Vec::new(),
            shared: Arc::clone(&shared),
            slots: Arc::new(Semaphore::new(SLOTS)),
            messages: message_sender,
            standing: standing_sender,
            backoff: broker.backoff(),
            stalled: false,
            up_since: None,
        };
        let task = tokio::spawn(worker.run(stop.clone()));
        Self { messages, standing, shared, stop, task }
    }

    /// The next report; `None` after the session has ended. Safe to cancel.
    pub async fn next(&mut self) -> Option<Report> {
        tokio::select! {
            biased;
            Ok(()) = self.standing.changed() => {
                Some(Report::Standing(self.standing.borrow_and_update().clone()))
            }
            message = self.messages.recv() => message.map(Report::Message),
        }
    }

    /// A message that is there already.
    pub fn next_waiting(&mut self) -> Option<Message> {
        self.messages.try_recv().ok()
    }

    /// Subscribes to one more filter, now and on every later connection. False when it has [`FILTERS`] already.
    pub fn subscribe_also(&self, filter: &str) -> bool {
        let mut filters = self.shared.filters.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = filters.iter().all(|known| known != filter);
        let has_room = filters.len() < FILTERS;
        if is_new && has_room {
            filters.push(filter.to_owned()); // The worker sees it before its next poll, at the latest at a keep-alive.
        }
        has_room
    }

    pub fn tally(&self) -> Tally {
        Tally {
            connections: self.shared.connections.load(Ordering::Relaxed),
            dropped: self.shared.dropped.load(Ordering::Relaxed),
        }
    }

    /// Sends what acknowledgements are queued, says goodbye, and waits for the end. The broker keeps the session.
    pub async fn close(mut self) {
        self.stop.cancel();
        // Only a panic in the task makes this fail, and then it has ended as well.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task behind a session: the only one that polls the event loop, and it never abandons a poll that could have
/// half-written a packet, except at the end.
struct Worker {
    events: EventLoop,
    /// Subscriptions that the broker has not yet answered, oldest first.
    asked: VecDeque<Vec<String>>,
    /// How many of the filters were asked for on this connection.
    asked_filters: usize,
    /// What the broker would not grant on this connection.
    refused: Vec<String>,
    shared: Arc<Shared>,
    slots: Arc<Semaphore>,
    messages: mpsc::Sender<Message>,
    standing: watch::Sender<Standing>,
    backoff: Backoff,
    /// The consumer took nothing for [`PATIENCE`]; the socket is read on without it.
    stalled: bool,
    up_since: Option<Instant>,
}

impl Worker {
    async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.supervise() => return,
        }
        if self.events.network.is_some() && self.shared.client.try_disconnect().is_ok() {
            let farewell = async {
                while !matches!(
                    self.events.poll().await,
                    Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(_)
                ) {}
            };
            // A broker that does not take it notices the closed socket instead.
            let _ = timeout(FAREWELL, farewell).await;
        }
    }

    /// Connection after connection, until nobody listens any more.
    async fn supervise(&mut self) {
        loop {
            let reason = self.connection().await;
            if self.up_since.take().is_some_and(|since| since.elapsed() >= STEADY) {
                self.backoff.reset();
            }
            self.lost().await;
            if self.messages.is_closed() {
                return;
            }
            tracing::debug!(reason, "session down");
            self.standing.send_replace(Standing::Down { reason });
            sleep(self.backoff.after_failure()).await;
            // A consumer that cannot take a message needs no connection to bring one.
            drop(self.slots.acquire().await);
            self.stalled = false;
        }
    }

    /// One connection from the first byte to its end, which is the reason given.
    async fn connection(&mut self) -> String {
        loop {
            let slot = self.slot().await;
            if self.up_since.is_some() {
                self.ask();
            }
            let waits_for_grant = self.events.network.is_some() && self.up_since.is_none();
            let polled = if waits_for_grant {
                match timeout(GRANT_WITHIN, self.events.poll()).await {
                    Ok(polled) => polled,
                    Err(_elapsed) => return "no answer to the subscription".to_owned(),
                }
            } else {
                self.events.poll().await
            };
            let done = match polled {
                Ok(event) => self.handle(event, slot),
                Err(error) => Err(describe(&error)),
            };
            let sent = match done {
                Ok(()) => self.send_acks().await,
                Err(reason) => Err(reason),
            };
            if let Err(reason) = sent {
                return reason;
            }
        }
    }

    /// A slot for the next message, or `None` when the consumer has stalled.
    async fn slot(&mut self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            self.stalled = false;
            return Some(slot);
        }
        if self.stalled {
            return None;
        }
        let slot = timeout(PATIENCE, Arc::clone(&self.slots).acquire_owned()).await;
        self.stalled = slot.is_err();
        slot.ok()?.ok()
    }

    fn handle(&mut self, event: Event, slot: Option<OwnedSemaphorePermit>) -> Result<(), String> {
        match event {
            Event::Incoming(Incoming::ConnAck(_)) => {
                self.shared.connections.fetch_add(1, Ordering::Relaxed);
                (self.asked_filters, self.refused) = (0, Vec::new());
                self.asked.clear();
                self.ask();
                Ok(())
            }
            Event::Incoming(Incoming::SubAck(grant)) => {
                let asked = self.asked.pop_front().unwrap_or_default();
                let codes = asked.into_iter().zip(grant.return_codes);
                let refused = codes.filter(|(_, code)| *code == SubscribeReasonCode::Failure);
                self.refused.extend(refused.map(|(filter, _)| filter));
                self.up_since.get_or_insert_with(Instant::now);
                self.standing.send_if_modified(|standing| {
                    let up = Standing::Up { refused: self.refused.clone() };
                    let changed = *standing != up;
                    *standing = up;
                    changed
                });
                Ok(())
            }
            Event::Incoming(Incoming::Publish(publish)) => self.deliver(publish, slot),
            Event::Outgoing(Outgoing::PubAck(_)) => {
                self.shared.acks().posted = false;
                Ok(())
            }
            Event::Incoming(_) | Event::Outgoing(_) => Ok(()),
        }
    }

    /// Sends the acknowledgements that wait behind the one that went through the request queue, in order.
    async fn send_acks(&mut self) -> Result<(), String> {
        let queued = {
            let mut acks = self.shared.acks();
            if acks.posted { VecDeque::new() } else { std::mem::take(&mut acks.queued) }
        };
        let Some(network) = self.events.network.as_mut().filter(|_| !queued.is_empty()) else {
            return Ok(());
        };
        let sending = async {
            for packet_id in queued {
                network.write(Packet::PubAck(PubAck::new(packet_id))).await?;
            }
            network.flush().await
        };
        match timeout(TAKEN_WITHIN, sending).await {
            Ok(sent) => sent.map_err(|error| describe(&error.into())),
            Err(_elapsed) => Err("the broker takes no acknowledgements".to_owned()),
        }
    }

    /// Subscribes to what was not yet asked for on this connection.
    fn ask(&mut self) {
        let filters = self.shared.filters.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<String> = filters.iter().skip(self.asked_filters).cloned().collect();
        drop(filters);
        if new.is_empty() {
            return;
        }
        self.asked_filters += new.len();
        let wanted = new.iter().cloned().map(|path| SubscribeFilter::new(path, QoS::AtLeastOnce));
        // Ahead of everything else, and without a place in the request queue.
        self.events.pending.push_back(Request::Subscribe(Subscribe::new_many(wanted)));
        self.asked.push_back(new);
    }

    fn deliver(
        &mut self,
        publish: Publish,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Result<(), String> {
        // One may have come free while the poll waited without.
        let slot = slot.or_else(|| Arc::clone(&self.slots).try_acquire_owned().ok());
        let slot = match (slot, publish.qos) {
            (_, QoS::ExactlyOnce) => return Err("the broker sent QoS 2 unasked".to_owned()),
            (Some(slot), _) => slot,
            (None, QoS::AtMostOnce) => {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            (None, QoS::AtLeastOnce) => return Err("messages are not taken fast enough".to_owned()),
        };
        let connection = self.shared.acks().connection;
        let ack = Ack {
            connection,
            packet_id: publish.pkid,
            shared: Arc::clone(&self.shared),
            _slot: slot,
        };
        let message = Message {
            topic: publish.topic,
            payload: publish.payload,
            retain: publish.retain,
            received: Instant::now(),
            ack,
        };
        // There are as many places as slots, so this fails only when nobody listens.
        self.messages.try_send(message).map_err(|_closed| "nobody listens".to_owned())
    }

    /// After a connection: everything of it that must not reach the next one goes.
    async fn lost(&mut self) {
        {
            let mut acks = self.shared.acks();
            *acks = Acks { connection: acks.connection + 1, ..Acks::default() };
        }
        // From here on no acknowledgement of the old connection is queued; this throws away those that were.
        self.events.clean();
        self.events.pending.clear();
        // What had arrived but was not yet handed out. A broker that forgets its sessions would not send it again.
        while let Some(event) = self.events.state.events.pop_front() {
            if let Event::Incoming(Incoming::Publish(publish)) = event {
                let void = Publish { pkid: 0, ..publish };
                let slot = self.slot().await;
                if slot.is_none() && void.qos == QoS::AtLeastOnce {
                    continue; // Never acknowledged, so it comes again.
                }
                if self.deliver(void, slot).is_err() {
                    return;
                }
            }
        }
    }
}

/// The reason in words, without the library's wrapping.
pub(crate) fn describe(error: &ConnectionError) -> String {
    match error {
        ConnectionError::Io(error)
        | ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(mqttbytes::Error::Io(error)),
        ) => error.to_string(),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            "no answer in time".to_owned()
        }
        ConnectionError::ConnectionRefused(code) => format!("refused by the broker: {code:?}"),
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            "no answer to a keep-alive".to_owned()
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            "closed by the broker".to_owned()
        }
        other => other.to_string(),
    }
}
