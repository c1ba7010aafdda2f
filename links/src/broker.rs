//! A small MQTT 3.1.1 broker inside the process, for the demo and for tests. It is no broker for a site: it keeps
//! everything in memory, has no users, no TLS, no wills and no `QoS` 2, and it misbehaves on request.
//!
//! What it does, it does by the standard: wildcards, retained messages, persistent sessions with redelivery in order,
//! session take-over, keep-alive. Whatever a client sends, at worst that client is disconnected.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use rumqttc::{
    ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, QoS, SubAck, Subscribe,
    SubscribeReasonCode, UnsubAck, Unsubscribe, mqttbytes,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{codec::Framed, sync::CancellationToken};

use crate::topic;

/// Largest packet taken or given.
const PACKET_BYTES: usize = 256 * 1024;
/// Connections served at once; more are closed at once.
const CONNECTIONS: usize = 256;
/// Sessions remembered, connected or not.
const SESSIONS: usize = 1024;
/// Filters in one session.
const FILTERS: usize = 256;
/// Retained topics.
const RETAINED: usize = 16_384;
/// Messages waiting for one session: three minutes of the recorded hall at full speed. Newer ones are dropped, counted.
const QUEUE: usize = 10_000;
/// Bytes waiting for one session.
const QUEUE_BYTES: usize = 32 * 1024 * 1024;
/// Unacknowledged messages on the way to one client: more than one of our own sessions takes, which has to bound itself.
const WINDOW: usize = 512;
/// Messages sent before a client is heard again.
const ROUND: usize = 64;
/// Stands for "no keep-alive".
const FOR_EVER: Duration = Duration::from_hours(24 * 365);
/// A connection that does not say who it is within this time is closed, and so is one that takes no bytes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running broker. Dropping it stops it.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
    hub: Arc<Hub>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

/// What a broker with persistence keeps over a restart: sessions, waiting messages, retained messages.
#[derive(Debug, Default)]
pub struct Memory {
    sessions: HashMap<String, Session>,
    retained: BTreeMap<String, Publish>,
}

/// What happened since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections that were closed while the broker was refusing.
    pub refused: u64,
    /// Messages taken from publishers.
    pub published: u64,
    /// Messages that a session had no room for.
    pub dropped: u64,
    /// Clients closed for breaking the protocol.
    pub malformed: u64,
    /// Connections that ended in a panic. It stays 0.
    pub panicked: u64,
}

impl Broker {
    /// Listens on `address`; port 0 takes a free port, see [`Self::address`].
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        Self::resume(address, Memory::default()).await
    }

    /// Starts with what an earlier broker kept.
    pub async fn resume(address: SocketAddr, memory: Memory) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let hub = Arc::new(Hub { memory: Mutex::new(memory), ..Hub::default() });
        let stop = CancellationToken::new();
        let task = tokio::spawn(accept(listener, Arc::clone(&hub), stop.clone()));
        Ok(Self { address, hub, stop, task: Some(task) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port and every connection, and gives what a broker with persistence would have kept.
    pub async fn stop(mut self) -> Memory {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // Only a panic makes this fail, and then there is nothing left to stop.
            let _ = task.await;
        }
        std::mem::take(&mut *self.hub.memory())
    }

    /// Fault: cuts every connection now. Sessions stay.
    pub fn drop_connections(&self) {
        for session in self.hub.memory().sessions.values() {
            if let Some(client) = &session.client {
                client.kick.cancel();
            }
        }
    }

    /// Fault: while true, every new connection is closed before it can say anything.
    pub fn set_refusing(&self, refusing: bool) {
        self.hub.refusing.store(refusing, Ordering::Relaxed);
    }

    /// Fault: while true, publishers get no acknowledgement for `QoS` 1 although the message is taken.
    pub fn set_withholding_acks(&self, withholding: bool) {
        self.hub.withholding.store(withholding, Ordering::Relaxed);
    }

    /// The retained message of a topic.
    pub fn retained(&self, topic: &str) -> Option<Bytes> {
        self.hub.memory().retained.get(topic).map(|publish| publish.payload.clone())
    }

    /// Filters that a client is subscribed to, in the order of subscription.
    pub fn subscriptions(&self, client_id: &str) -> Vec<String> {
        let memory = self.hub.memory();
        let session = memory.sessions.get(client_id);
        session.map_or_else(Vec::new, |s| s.filters.iter().map(|(f, _)| f.clone()).collect())
    }

    /// Messages that wait for a client or are on the way to it.
    pub fn backlog(&self, client_id: &str) -> usize {
        let memory = self.hub.memory();
        memory.sessions.get(client_id).map_or(0, |s| s.queue.len() + s.in_flight.len())
    }

    pub fn tally(&self) -> Tally {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Tally {
            connections: read(&self.hub.connections),
            refused: read(&self.hub.refused),
            published: read(&self.hub.published),
            dropped: read(&self.hub.dropped),
            malformed: read(&self.hub.malformed),
            panicked: read(&self.hub.panicked),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What all connections share. The lock is never held over an await.
#[derive(Debug, Default)]
struct Hub {
    memory: Mutex<Memory>,
    refusing: AtomicBool,
    withholding: AtomicBool,
    connections: AtomicU64,
    refused: AtomicU64,
    published: AtomicU64,
    dropped: AtomicU64,
    malformed: AtomicU64,
    panicked: AtomicU64,
}

/// One client's subscriptions and what waits for it.
#[derive(Debug, Default)]
struct Session {
    clean: bool,
    filters: Vec<(String, QoS)>,
    queue: VecDeque<Publish>,
    queue_bytes: usize,
    /// Sent and not acknowledged, oldest first.
    in_flight: VecDeque<Publish>,
    /// How many of `in_flight` are yet to be sent again on this connection.
    resend: usize,
    last_packet_id: u16,
    client: Option<Client>,
}

/// The connection that serves a session now.
#[derive(Clone, Debug)]
struct Client {
    number: u64,
    wake: Arc<Notify>,
    kick: CancellationToken,
}

impl Session {
    /// The best quality of service that any matching filter grants.
    fn granted(&self, topic: &str) -> Option<QoS> {
        let matching = self.filters.iter().filter(|(filter, _)| topic::matches(filter, topic));
        matching.map(|(_, qos)| *qos).max_by_key(|qos| *qos as u8)
    }

    /// False when there is no room.
    fn offer(&mut self, publish: Publish) -> bool {
        if publish.qos == QoS::AtMostOnce && self.client.is_none() {
            return true; // A client that is away gets nothing at QoS 0; that is no loss but the contract.
        }
        let bytes = publish.payload.len() + publish.topic.len();
        if self.queue.len() >= QUEUE || self.queue_bytes + bytes > QUEUE_BYTES {
            return false;
        }
        self.queue_bytes += bytes;
        self.queue.push_back(publish);
        if let Some(client) = &self.client {
            client.wake.notify_one();
        }
        true
    }

    /// The next packet that may go out: first what was not acknowledged before, then new ones within the window.
    fn due(&mut self) -> Option<Publish> {
        if self.resend > 0 {
            let again = self.in_flight.get(self.in_flight.len() - self.resend)?.clone();
            self.resend -= 1;
            return Some(Publish { dup: true, ..again });
        }
        let next = self.queue.front()?;
        if next.qos != QoS::AtMostOnce && self.in_flight.len() >= WINDOW {
            return None;
        }
        let mut publish = self.queue.pop_front()?;
        self.queue_bytes -= publish.payload.len() + publish.topic.len();
        if publish.qos != QoS::AtMostOnce {
            publish.pkid = self.free_packet_id();
            self.in_flight.push_back(publish.clone());
        }
        Some(publish)
    }

    fn free_packet_id(&mut self) -> u16 {
        loop {
            self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
            if self.in_flight.iter().all(|publish| publish.pkid != self.last_packet_id) {
                return self.last_packet_id;
            }
        }
    }
}

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// It went away, or was told to.
    Gone,
    /// It broke the protocol.
    Malformed,
}

impl From<mqttbytes::Error> for End {
    fn from(error: mqttbytes::Error) -> Self {
        if matches!(error, mqttbytes::Error::Io(_)) { Self::Gone } else { Self::Malformed }
    }
}

type Wire = Framed<TcpStream, rumqttc::Codec>;

async fn accept(listener: TcpListener, hub: Arc<Hub>, stop: CancellationToken) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = clients.join_next() => {
                hub.panicked.fetch_add(u64::from(ended.is_err()), Ordering::Relaxed);
            }
            accepted = listener.accept() => {
                let Ok((stream, _peer)) = accepted else { continue };
                if hub.refusing.load(Ordering::Relaxed) || clients.len() >= CONNECTIONS {
                    hub.refused.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                hub.connections.fetch_add(1, Ordering::Relaxed);
                clients.spawn(Arc::clone(&hub).serve(stream, stop.child_token()));
            }
        }
    }
    drop(listener);
    while clients.join_next().await.is_some() {}
}

impl Hub {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Every change under this lock is complete in itself, so a panic elsewhere leaves nothing half done.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, kick: CancellationToken) {
        let codec =
            rumqttc::Codec { max_incoming_size: PACKET_BYTES, max_outgoing_size: PACKET_BYTES };
        // Small packets are answered at once; failing to set this only makes it slower.
        let _ = stream.set_nodelay(true);
        let mut wire = Framed::new(stream, codec);
        let ended = match self.greet(&mut wire, kick).await {
            Ok((id, client, keep_alive)) => {
                let ended = self.converse(&mut wire, &id, &client, keep_alive).await;
                self.leave(&id, &client);
                ended
            }
            Err(end) => Err(end),
        };
        if let Err(End::Malformed) = ended {
            self.malformed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// CONNECT → CONNACK. Gives the session's name, this connection's place in it, and its keep-alive.
    async fn greet(
        &self,
        wire: &mut Wire,
        kick: CancellationToken,
    ) -> Result<(String, Client, Duration), End> {
        let connect = match timeout(PATIENCE, wire.next()).await {
            Ok(Some(Ok(Packet::Connect(connect)))) => connect,
            Ok(Some(Ok(_) | Err(_))) => return Err(End::Malformed),
            Ok(None) | Err(_) => return Err(End::Gone),
        };
        let keep_alive = Duration::from_secs(u64::from(connect.keep_alive)) * 3 / 2;
        let entered = self.enter(connect, kick);
        let answer = match &entered {
            Ok((_, _, present)) => ConnAck::new(ConnectReturnCode::Success, *present),
            Err(code) => ConnAck::new(*code, false),
        };
        send(wire, Packet::ConnAck(answer)).await?;
        flush(wire).await?;
        let (id, client, _) = entered.map_err(|_refused| End::Malformed)?;
        Ok((id, client, keep_alive))
    }

    /// Takes the session over, or makes one.
    fn enter(
        &self,
        connect: Connect,
        kick: CancellationToken,
    ) -> Result<(String, Client, bool), ConnectReturnCode> {
        if connect.protocol != rumqttc::Protocol::V4 {
            return Err(ConnectReturnCode::RefusedProtocolVersion);
        }
        if connect.client_id.is_empty() && !connect.clean_session {
            return Err(ConnectReturnCode::BadClientId);
        }
        let number = self.connections.load(Ordering::Relaxed);
        let id = if connect.client_id.is_empty() {
            format!("unnamed-{number}")
        } else {
            connect.client_id
        };
        let client = Client { number, wake: Arc::default(), kick };
        let mut memory = self.memory();
        let known = memory.sessions.contains_key(&id);
        if !known && memory.sessions.len() >= SESSIONS {
            return Err(ConnectReturnCode::ServiceUnavailable);
        }
        let session = memory.sessions.entry(id.clone()).or_default();
        if let Some(older) = session.client.take() {
            older.kick.cancel();
        }
        let present = known && !connect.clean_session && !session.clean;
        if !present {
            *session = Session::default();
        }
        session.clean = connect.clean_session;
        session.resend = session.in_flight.len();
        session.client = Some(client.clone());
        Ok((id, client, present))
    }

    /// Ends this connection's hold on its session, unless a newer one has it.
    fn leave(&self, id: &str, client: &Client) {
        let mut memory = self.memory();
        let Some(session) = memory.sessions.get_mut(id) else { return };
        if session.client.as_ref().is_some_and(|holder| Arc::ptr_eq(&holder.wake, &client.wake)) {
            session.client = None;
            if session.clean {
                memory.sessions.remove(id);
            }
        }
        tracing::debug!(id, number = client.number, "client left");
    }

    async fn converse(
        &self,
        wire: &mut Wire,
        id: &str,
        client: &Client,
        keep_alive: Duration,
    ) -> Result<(), End> {
        let allowed = if keep_alive.is_zero() { FOR_EVER } else { keep_alive };
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                () = client.kick.cancelled() => return Ok(()),
                sent = self.send_due(wire, id, client) => sent?,
            }
            let packet = tokio::select! {
                () = client.kick.cancelled() => return Ok(()),
                () = client.wake.notified() => continue,
                () = sleep_until(heard + allowed) => return Ok(()),
                packet = wire.next() => packet.ok_or(End::Gone)??,
            };
            heard = Instant::now();
            if matches!(packet, Packet::Disconnect) {
                return Ok(());
            }
            if let Some(answer) = self.handle(id, packet)? {
                send(wire, answer).await?;
            }
        }
    }

    /// Sends what is due, and flushes answers that were fed before.
    async fn send_due(&self, wire: &mut Wire, id: &str, client: &Client) -> Result<(), End> {
        for _ in 0..ROUND {
            let Some(publish) = self.next_for(id, client) else {
                return flush(wire).await;
            };
            send(wire, Packet::Publish(publish)).await?;
        }
        client.wake.notify_one();
        flush(wire).await
    }

    fn next_for(&self, id: &str, client: &Client) -> Option<Publish> {
        let mut memory = self.memory();
        if client.kick.is_cancelled() {
            return None; // Another connection may have the session by now: kicking happens under this lock.
        }
        memory.sessions.get_mut(id)?.due()
    }

    fn handle(&self, id: &str, packet: Packet) -> Result<Option<Packet>, End> {
        match packet {
            Packet::Publish(publish) => self.take(&publish),
            Packet::PubAck(ack) => {
                if let Some(session) = self.memory().sessions.get_mut(id) {
                    let sent = session.in_flight.len() - session.resend;
                    let place = session.in_flight.iter().position(|p| p.pkid == ack.pkid);
                    if let Some(place) = place.filter(|place| *place < sent) {
                        session.in_flight.remove(place);
                    }
                }
                Ok(None)
            }
            Packet::Subscribe(subscribe) => Ok(Some(self.subscribe(id, subscribe))),
            Packet::Unsubscribe(Unsubscribe { pkid, topics }) => {
                if let Some(session) = self.memory().sessions.get_mut(id) {
                    session.filters.retain(|(filter, _)| !topics.contains(filter));
                }
                Ok(Some(Packet::UnsubAck(UnsubAck::new(pkid))))
            }
            Packet::PingReq => Ok(Some(Packet::PingResp)),
            // QoS 2, answers that only a broker gives, and a second CONNECT.
            _ => Err(End::Malformed),
        }
    }

    /// Keeps what is retained and hands the message to every session that asked for it.
    fn take(&self, publish: &Publish) -> Result<Option<Packet>, End> {
        if publish.qos == QoS::ExactlyOnce || !topic::is_topic(&publish.topic) {
            return Err(End::Malformed);
        }
        self.published.fetch_add(1, Ordering::Relaxed);
        let mut memory = self.memory();
        if publish.retain && publish.payload.is_empty() {
            memory.retained.remove(&publish.topic);
        } else if publish.retain
            && (memory.retained.len() < RETAINED || memory.retained.contains_key(&publish.topic))
        {
            memory
                .retained
                .insert(publish.topic.clone(), Publish { dup: false, ..publish.clone() });
        }
        for session in memory.sessions.values_mut() {
            let Some(granted) = session.granted(&publish.topic) else { continue };
            let qos = lower(granted, publish.qos);
            let copy = Publish { dup: false, retain: false, qos, pkid: 0, ..publish.clone() };
            if !session.offer(copy) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        let acknowledge =
            publish.qos == QoS::AtLeastOnce && !self.withholding.load(Ordering::Relaxed);
        Ok(acknowledge.then(|| Packet::PubAck(PubAck::new(publish.pkid))))
    }

    /// Adds the filters and sends what is retained under them, also for a filter that was there before.
    fn subscribe(&self, id: &str, subscribe: Subscribe) -> Packet {
        let mut memory = self.memory();
        let Memory { sessions, retained } = &mut *memory;
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        for wanted in subscribe.filters {
            let Some(session) = sessions.get_mut(id) else {
                codes.push(SubscribeReasonCode::Failure);
                continue;
            };
            session.filters.retain(|(filter, _)| *filter != wanted.path);
            if !topic::is_filter(&wanted.path) || session.filters.len() >= FILTERS {
                codes.push(SubscribeReasonCode::Failure);
                continue;
            }
            let granted = lower(wanted.qos, QoS::AtLeastOnce);
            for kept in retained.values().filter(|kept| topic::matches(&wanted.path, &kept.topic)) {
                let qos = lower(granted, kept.qos);
                if !session.offer(Publish { qos, retain: true, pkid: 0, ..kept.clone() }) {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            session.filters.push((wanted.path, granted));
            codes.push(SubscribeReasonCode::Success(granted));
        }
        Packet::SubAck(SubAck::new(subscribe.pkid, codes))
    }
}

/// Queues a packet on the wire; it is flushed with the next round.
async fn send(wire: &mut Wire, packet: Packet) -> Result<(), End> {
    timeout(PATIENCE, wire.feed(packet)).await.map_err(|_elapsed| End::Gone)??;
    Ok(())
}

async fn flush(wire: &mut Wire) -> Result<(), End> {
    timeout(PATIENCE, wire.flush()).await.map_err(|_elapsed| End::Gone)??;
    Ok(())
}

fn lower(one: QoS, other: QoS) -> QoS {
    if (one as u8) < (other as u8) { one } else { other }
}
