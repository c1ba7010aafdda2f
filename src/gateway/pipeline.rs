//! The one loop: wait, step, publish.

use std::time::Duration;

use collector::{Batch, Collector};
use rules::{
    engine::{Engine, Events, Input},
    messages::{Command, Feed, Snapshot, Update},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use tokio_util::sync::CancellationToken;

use super::clock::Clock;

/// Everything is judged once a second, this long after the aligned polls, so that their answers are in.
const TICK: Duration = Duration::from_secs(1);
const TICK_PHASE: Duration = Duration::from_millis(250);
/// Updates queued for one client. One that is further behind gets a new snapshot instead.
const CLIENT_QUEUE: usize = 4;
/// An operator cannot type faster than this drains.
const COMMAND_QUEUE: usize = 32;
const ATTACH_QUEUE: usize = 8;

/// The way in for clients: attach, look once, or send a command.
#[derive(Clone)]
pub(crate) struct Port {
    attach: mpsc::Sender<oneshot::Sender<Attached>>,
    snapshots: mpsc::Sender<oneshot::Sender<Snapshot>>,
    pub(crate) commands: mpsc::Sender<Command>,
}

/// What a client gets: the picture, and what follows.
pub(crate) struct Attached {
    pub(crate) snapshot: Snapshot,
    pub(crate) feed: mpsc::Receiver<Feed>,
}

impl Port {
    /// `None` when the gateway has stopped.
    pub(crate) async fn attach(&self) -> Option<Attached> {
        ask(&self.attach).await
    }

    /// `None` when the gateway has stopped.
    pub(crate) async fn snapshot(&self) -> Option<Snapshot> {
        ask(&self.snapshots).await
    }
}

async fn ask<T>(requests: &mpsc::Sender<oneshot::Sender<T>>) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    requests.send(reply).await.ok()?;
    answer.await.ok()
}

pub(crate) struct Pipeline {
    engine: Engine,
    clock: Clock,
    links: Collector,
    batches: mpsc::Receiver<Batch>,
    attach: mpsc::Receiver<oneshot::Sender<Attached>>,
    snapshots: mpsc::Receiver<oneshot::Sender<Snapshot>>,
    commands: mpsc::Receiver<Command>,
    clients: Vec<Client>,
    events: Events,
}

struct Client {
    feed: mpsc::Sender<Feed>,
    /// It missed an update: the next thing it gets is a snapshot.
    behind: bool,
}

impl Pipeline {
    pub(crate) fn new(
        engine: Engine,
        clock: Clock,
        links: Collector,
        batches: mpsc::Receiver<Batch>,
    ) -> (Self, Port) {
        let (attach_in, attach) = mpsc::channel(ATTACH_QUEUE);
        let (snapshots_in, snapshots) = mpsc::channel(ATTACH_QUEUE);
        let (commands_in, commands) = mpsc::channel(COMMAND_QUEUE);
        let port = Port { attach: attach_in, snapshots: snapshots_in, commands: commands_in };
        let (clients, events) = (Vec::new(), Events::default());
        (Self { engine, clock, links, batches, attach, snapshots, commands, clients, events }, port)
    }

    /// Runs until `stop` is asked for and all links have let go of the queue. Without a link it goes on judging: rules
    /// and clients have a life of their own.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut ticks = ticks();
        let mut linked = true;
        loop {
            tokio::select! {
                batch = self.batches.recv(), if linked => match batch {
                    Some(batch) => self.take(batch),
                    None => linked = false,
                },
                () = stop.cancelled(), if !linked => break,
                _ = ticks.tick() => self.tick(),
                Some(command) = self.commands.recv() => {
                    self.step(Input::Command(&command));
                    self.publish();
                }
                Some(reply) = self.attach.recv() => self.admit(reply),
                Some(reply) = self.snapshots.recv() => {
                    // A client that no longer waits is no trouble.
                    let _ = reply.send(self.engine.snapshot(self.clock.now()));
                }
            }
        }
        self.links.stopped().await;
    }

    fn take(&mut self, batch: Batch) {
        match batch {
            Batch::Samples(samples) => self.step(Input::Samples(&samples)),
            Batch::Owed { samples, receipt } => {
                self.step(Input::Samples(&samples));
                receipt.stored();
            }
            Batch::Link(link) => self.step(Input::Link(&link)),
        }
    }

    fn tick(&mut self) {
        let started = Instant::now();
        self.step(Input::Tick);
        self.engine.report_self(started.elapsed(), self.links.restarts());
        self.publish();
    }

    fn step(&mut self, input: Input<'_>) {
        let now = self.clock.now();
        self.events.events.clear();
        self.events.rows.clear();
        self.engine.step(now, input, &mut self.events);
    }

    fn publish(&mut self) {
        let now = self.clock.now();
        let update = self.engine.update(now);
        let engine = &self.engine;
        self.clients.retain_mut(|client| client.send(&update, || engine.snapshot(now)));
    }

    fn admit(&mut self, reply: oneshot::Sender<Attached>) {
        let (sender, feed) = mpsc::channel(CLIENT_QUEUE);
        // What is pending belongs to the snapshot, not to the first update after it.
        self.publish();
        let snapshot = self.engine.snapshot(self.clock.now());
        if reply.send(Attached { snapshot, feed }).is_ok() {
            self.clients.push(Client { feed: sender, behind: false });
        }
    }
}

impl Client {
    /// False when the client is gone.
    fn send(&mut self, update: &Update, snapshot: impl FnOnce() -> Snapshot) -> bool {
        match self.feed.try_reserve() {
            Ok(place) if self.behind => {
                place.send(Feed::Snapshot(Box::new(snapshot())));
                self.behind = false;
            }
            Ok(place) => place.send(Feed::Update(update.clone())),
            Err(mpsc::error::TrySendError::Full(())) => self.behind = true,
            Err(mpsc::error::TrySendError::Closed(())) => return false,
        }
        true
    }
}

fn ticks() -> Interval {
    let mut ticks = interval_at(Instant::now() + TICK_PHASE, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

#[cfg(test)]
mod tests {
    use collector::MonoClock;
    use configs::{library::Library, site_file::read_site};
    use rules::{
        plant::PointId,
        value::{NoData, Sample},
    };

    use super::*;
    use crate::gateway::{clock::ClockPolicy, engine_of};

    fn pipeline() -> (Pipeline, Port, mpsc::Sender<Batch>) {
        let library = Library::shipped();
        let source = configs::fault::Source {
            name: "site.toml".into(),
            text: "[site]\nid = \"site\"\nname = \"Site\"\ntime_zone = \"UTC\"\ngateway = \"gw\"\n"
                .into(),
        };
        let site = read_site(&source, &library, &|_| Err("no secrets here".into()))
            .unwrap_or_else(|faults| panic!("{}", configs::render::text(&faults, false)));
        let clock = Clock::new(MonoClock::start(), ClockPolicy::Trusted, None);
        let (batches_in, batches) = mpsc::channel(8);
        let (pipeline, port) =
            Pipeline::new(engine_of(&site).unwrap(), clock, Collector::default(), batches);
        (pipeline, port, batches_in)
    }

    #[tokio::test]
    async fn a_site_without_links_is_judged_until_it_is_stopped() {
        let (pipeline, port, batches) = pipeline();
        let stop = CancellationToken::new();
        let task = tokio::spawn(pipeline.run(stop.clone()));
        drop(batches);
        let mut attached = port.attach().await.unwrap();
        assert!(attached.feed.recv().await.is_some(), "a tick is told");
        stop.cancel();
        task.await.unwrap();
        assert!(port.snapshot().await.is_none());
    }

    #[tokio::test]
    async fn a_panic_closes_the_way_in_and_every_feed() {
        let (pipeline, port, batches) = pipeline();
        let task = tokio::spawn(pipeline.run(CancellationToken::new()));
        let mut attached = port.attach().await.unwrap();
        let nowhere = Sample {
            point: PointId(u32::MAX),
            at: rules::time::Mono::ZERO,
            source_time: None,
            value: Err(NoData::Timeout),
        };
        batches.send(Batch::Samples(vec![nowhere])).await.unwrap();
        port.commands.closed().await;
        assert!(attached.feed.recv().await.is_none());
        assert!(task.await.unwrap_err().is_panic());
    }

    #[tokio::test]
    async fn a_client_that_falls_behind_gets_a_snapshot_and_goes_on_from_it() {
        let (mut pipeline, _port, _batches) = pipeline();
        let (feed, mut news) = mpsc::channel(CLIENT_QUEUE);
        pipeline.clients.push(Client { feed, behind: false });
        for _ in 0..CLIENT_QUEUE + 3 {
            pipeline.tick();
        }
        for _ in 0..CLIENT_QUEUE {
            assert!(matches!(news.recv().await, Some(Feed::Update(_))));
        }
        pipeline.tick();
        pipeline.tick();
        let Some(Feed::Snapshot(snapshot)) = news.recv().await else { panic!("no snapshot") };
        let Some(Feed::Update(update)) = news.recv().await else { panic!("no update") };
        assert_eq!(update.seq, snapshot.seq + 1);
    }
}
