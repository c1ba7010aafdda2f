//! One MQTT broker: its devices share a session, and every message becomes samples of the points it speaks of.
//!
//! [`Mapper`] is the pure half: topic and payload in, samples out, nothing but counters kept of what it could not use.
//! [`run`] is the other: it takes messages, hands samples to the gateway, and acknowledges a message when what it said is
//! on disk.

mod given;
mod metadata;
mod notes;
mod payload;
mod sources;
mod topics;

use std::{
    collections::{HashSet, VecDeque},
    convert::Infallible,
    future,
    sync::Arc,
    time::Duration,
};

use configs::{
    address::{Address, Credentials},
    profile::{Contract, Map},
    site::Device,
};
use links::mqtt::{Ack, Broker, Login, Message, Report, Session, Standing};
use rules::{
    messages::LinkView,
    plant::{AssetId, Plant, PointId},
    time::Mono,
    value::{NoData, Sample, Value},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};

pub use crate::mqtt::notes::Tally;
use crate::{
    clock::MonoClock,
    mqtt::{given::Given, metadata::MetadataMap, topics::TopicMap},
    outlet::{Batch, NobodyReceives, Outlet, Receipt, reply_milliseconds, unheard},
};

/// Messages that go to the gateway in one batch, when so many are there.
const BATCH: usize = 64;
/// How often the status of a device is sent.
const VIEW_EVERY: Duration = Duration::from_secs(1);

/// Turns the messages of one device into samples.
#[derive(Clone, Debug)]
pub struct Mapper {
    device: AssetId,
    reply_time: PointId,
    points: u32,
    form: Form,
    tally: Tally,
}

#[derive(Clone, Debug)]
enum Form {
    Topics(TopicMap),
    Metadata(Box<MetadataMap>),
}

impl Mapper {
    /// `None` for a device whose profile is not for MQTT.
    pub fn new(device: &Device, plant: &Plant) -> Option<Self> {
        let Map::Mqtt(map) = &device.profile.map else { return None };
        let bound: HashSet<PointId> = device.bindings.iter().copied().flatten().collect();
        let given: Vec<Given<'_>> = (0_u32..)
            .map(PointId)
            .zip(plant.points())
            .filter(|(point, _)| bound.contains(point))
            .map(|(point, spec)| {
                let asset = plant.asset(spec.asset);
                Given {
                    asset: spec.asset,
                    asset_name: &asset.name,
                    kind: asset.kind,
                    quantity: &spec.quantity,
                    point,
                    unit: &spec.unit,
                }
            })
            .collect();
        let republish = map.republish_every;
        let form = match &map.contract {
            Contract::Topics(topics) => Form::Topics(TopicMap::new(topics, republish, &given)),
            Contract::Metadata(contract) => {
                Form::Metadata(Box::new(MetadataMap::new(contract, republish, &given)))
            }
        };
        Some(Self {
            device: device.asset,
            reply_time: device.reply_time,
            points: u32::try_from(given.len()).unwrap_or(u32::MAX),
            form,
            tally: Tally::default(),
        })
    }

    /// What to subscribe to.
    pub fn filters(&self) -> Vec<String> {
        match &self.form {
            Form::Topics(map) => map.filters(),
            Form::Metadata(map) => map.filters(),
        }
    }

    /// What to subscribe to besides, because of what was received since the last call.
    pub fn new_filters(&mut self) -> Vec<String> {
        match &mut self.form {
            Form::Topics(_) => Vec::new(),
            Form::Metadata(map) => map.new_filters(),
        }
    }

    /// The samples in one message, received at `at`. Empty where it says nothing about a point of this device, or
    /// nothing yet: a value waits for its metadata, and comes out with it.
    pub fn map(&mut self, topic: &str, payload: &[u8], retain: bool, at: Mono) -> Vec<Sample> {
        let tally = &mut self.tally;
        let samples = match &mut self.form {
            Form::Topics(map) => map.map(topic, payload, retain, at, tally),
            Form::Metadata(map) => map.map(topic, payload, retain, at, tally),
        };
        let Some(samples) = samples else { return Vec::new() };
        tally.messages += 1;
        let good = samples.iter().filter(|sample| sample.value.is_ok()).count();
        tally.values += u64::try_from(good).unwrap_or(u64::MAX);
        samples
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What is wrong at the moment, or went wrong last.
    fn trouble(&self) -> Option<String> {
        let waiting = match &self.form {
            Form::Topics(_) => 0,
            Form::Metadata(map) => map.waiting(),
        };
        let trouble = || (waiting > 0).then(|| format!("{waiting} values without metadata"));
        self.tally.trouble.clone().or_else(trouble)
    }

    /// Of a feed with metadata: tags that are described, and how many of them give a point.
    pub fn joined(&self) -> (usize, usize) {
        match &self.form {
            Form::Topics(_) => (0, 0),
            Form::Metadata(map) => map.joined(),
        }
    }
}

/// What one task does: the devices of one broker and user.
#[derive(Debug)]
pub struct LinkPlan {
    broker: Broker,
    address: String,
    devices: Vec<Mapper>,
}

impl LinkPlan {
    /// `client_id` is the gateway's at the broker: the same after a restart, and no other gateway's.
    pub fn new(
        address: &Address,
        client_id: &str,
        devices: &[&Device],
        plant: &Plant,
    ) -> Option<Self> {
        let Address::Mqtt { host, port, credentials } = address else { return None };
        let login = credentials.as_ref().map(|Credentials { user, password }| Login {
            user: user.clone(),
            password: password.clone(),
        });
        let client_id = match &login {
            Some(login) => format!("{client_id}-{}", login.user),
            None => client_id.to_owned(),
        };
        Some(Self {
            broker: Broker { host: host.clone(), port: *port, login, client_id },
            address: address.to_string(),
            devices: devices.iter().filter_map(|device| Mapper::new(device, plant)).collect(),
        })
    }
}

/// Receives until nobody takes the samples any more. To stop it earlier, drop it: the broker keeps the session.
pub async fn run(link: Arc<LinkPlan>, clock: MonoClock, out: mpsc::Sender<Batch>) {
    let feeds: Vec<Feed> = link.devices.iter().map(|mapper| Feed::new(mapper, &link)).collect();
    let mut filters: Vec<String> = link.devices.iter().flat_map(Mapper::filters).collect();
    let mut seen = HashSet::new();
    filters.retain(|filter| seen.insert(filter.clone()));
    let session = Session::open(&link.broker, &filters);
    // The error only says that nobody receives any more.
    let outlet = Outlet { clock, out };
    let _ended = Receiver { session, feeds, outlet, owed: Owed::default() }.receive().await;
}

/// One device and what is shown of it.
struct Feed {
    mapper: Mapper,
    filters: Vec<String>,
    view: LinkView,
}

impl Feed {
    fn new(mapper: &Mapper, link: &LinkPlan) -> Self {
        let view = unheard(mapper.device, &link.address, mapper.points);
        Self { mapper: mapper.clone(), filters: mapper.filters(), view }
    }

    /// A device is up when the broker granted all that it needs.
    fn stand(&mut self, standing: &Standing) {
        self.view.up = false;
        self.view.trouble = match standing {
            Standing::Connecting => None,
            Standing::Down { reason } => {
                self.view.timeouts += 1;
                Some(reason.clone())
            }
            Standing::Up { refused } => {
                let ours = refused.iter().find(|filter| self.filters.contains(filter));
                self.view.up = ours.is_none();
                self.view.refusals += u64::from(ours.is_some());
                ours.map(|filter| format!("the broker refuses {}", notes::printable(filter)))
            }
        };
    }

    fn sample(&self, at: Mono, value: Result<Value, NoData>) -> Sample {
        Sample { point: self.mapper.reply_time, at, source_time: None, value }
    }

    fn view(&self, dropped: u64) -> LinkView {
        let tally = self.mapper.tally();
        LinkView {
            trouble: self.view.trouble.clone().or_else(|| self.mapper.trouble()),
            replies: tally.messages,
            discarded: tally.discarded() + dropped,
            ..self.view.clone()
        }
    }
}

/// The session and its devices.
struct Receiver {
    session: Session,
    feeds: Vec<Feed>,
    outlet: Outlet,
    owed: Owed,
}

/// Acknowledgements in the order of arrival, each with what it waits for: nothing, or a receipt. The session has a bound
/// on messages that are not acknowledged, so this has one too.
#[derive(Default)]
struct Owed(VecDeque<(Option<oneshot::Receiver<()>>, Vec<Ack>)>);

impl Owed {
    /// Gives the oldest acknowledgements that are due, when they are.
    async fn settle(&mut self) {
        let Some((receipt, _)) = self.0.front_mut() else { return future::pending().await };
        let stored = match receipt {
            Some(receipt) => receipt.await.is_ok(),
            None => true,
        };
        // Not stored: the messages stay with the broker and come again.
        if let Some((_, acks)) = self.0.pop_front().filter(|_| stored) {
            acks.into_iter().for_each(Ack::done);
        }
    }
}

impl Receiver {
    async fn receive(&mut self) -> Result<Infallible, NobodyReceives> {
        let mut views = interval(VIEW_EVERY);
        views.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                report = self.session.next() => match report.ok_or(NobodyReceives)? {
                    Report::Standing(standing) => self.stand(&standing).await?,
                    Report::Message(message) => self.take(message).await?,
                },
                () = self.owed.settle() => {}
                _ = views.tick() => self.show().await?,
            }
        }
    }

    async fn show(&self) -> Result<(), NobodyReceives> {
        let dropped = self.session.tally().dropped;
        for feed in &self.feeds {
            self.outlet.send(Batch::Link(feed.view(dropped))).await?;
        }
        Ok(())
    }

    /// While the broker is away its values grow old by themselves; only the devices are said to be unreachable.
    async fn stand(&mut self, standing: &Standing) -> Result<(), NobodyReceives> {
        let now = self.outlet.clock.now();
        for feed in &mut self.feeds {
            feed.stand(standing);
        }
        if matches!(standing, Standing::Down { .. }) {
            let unreachable = self.feeds.iter().map(|f| f.sample(now, Err(NoData::Unreachable)));
            self.outlet.samples(unreachable.collect()).await?;
        }
        self.show().await
    }

    /// Maps a message and those that wait behind it, and hands the samples on. Acknowledged is later.
    async fn take(&mut self, first: Message) -> Result<(), NobodyReceives> {
        let mut samples = Vec::new();
        let mut acks = Vec::new();
        let mut slowest: Vec<Option<Duration>> = vec![None; self.feeds.len()];
        let mut next = Some(first);
        while let Some(message) = next {
            acks.push(self.map(message, &mut samples, &mut slowest));
            next = if acks.len() < BATCH { self.session.next_waiting() } else { None };
        }
        let now = self.outlet.clock.now();
        for (feed, slowest) in self.feeds.iter_mut().zip(slowest) {
            let Some(waited) = slowest else { continue };
            let waited_ms = reply_milliseconds(waited);
            feed.view.reply_time_ms = Some(waited_ms);
            samples.push(feed.sample(now, Ok(Value::Number(waited_ms))));
        }
        if samples.is_empty() || !acks.iter().any(Ack::is_awaited) {
            self.owed.0.push_back((None, acks));
            return self.outlet.samples(samples).await;
        }
        let (receipt, stored) = Receipt::new();
        self.owed.0.push_back((Some(stored), acks));
        self.outlet.send(Batch::Owed { samples, receipt }).await
    }

    /// A device lives when it says something new about one of its points. What stands for its reply time is how long
    /// the message has waited in the gateway: a publisher is not asked, and its clock may differ from ours.
    fn map(
        &mut self,
        message: Message,
        samples: &mut Vec<Sample>,
        slowest: &mut [Option<Duration>],
    ) -> Ack {
        let waited = message.received.elapsed();
        let at = self.outlet.clock.now() - waited;
        for (feed, slowest) in self.feeds.iter_mut().zip(slowest) {
            let mapped = feed.mapper.map(&message.topic, &message.payload, message.retain, at);
            if !mapped.is_empty() && !message.retain {
                *slowest = Some(slowest.map_or(waited, |before| before.max(waited)));
            }
            samples.extend(mapped);
            for filter in feed.mapper.new_filters() {
                self.session.subscribe_also(&filter);
                feed.filters.push(filter);
            }
        }
        message.ack
    }
}
