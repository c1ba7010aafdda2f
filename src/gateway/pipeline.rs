//! The one loop: wait, step, write down, publish.

use std::time::Duration;

use anyhow::Context;
use collector::Batch;
use rules::{
    engine::{Engine, Events, Input},
    messages::{Outcome, What},
    time::Now,
};
use store::{log::Storing, record::Record};
use tokio::{
    task::spawn_blocking,
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    clock::Clock,
    engine_of,
    gate::Gate,
    kept::Forwarding,
    links::Links,
    own_points::OwnPoints,
    port::{Anchored, Asked, NotTaken, Port, Posted, Reload, Requests},
    recorder::{self, Recorder},
    restart,
};

/// Everything is judged once a second, this long after the aligned polls, so that their answers are in.
const TICK: Duration = Duration::from_secs(1);
const TICK_PHASE: Duration = Duration::from_millis(250);
/// A crash costs at most this much of the delays that alarms have waited (S17).
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);
/// Computed points follow from the others; they are kept this often.
const COMPUTED_EVERY: Duration = Duration::from_mins(1);

pub(super) struct Pipeline {
    engine: Engine,
    clock: Clock,
    links: Links,
    requests: Requests,
    recorder: Recorder,
    gate: Gate,
    events: Events,
    /// There is news, and an update waits for the disk already.
    news: bool,
    own: OwnPoints,
    forwarding: Option<Forwarding>,
    checkpoint_due: Instant,
    computed_due: Instant,
}

impl Pipeline {
    pub(super) fn new(
        engine: Engine,
        clock: Clock,
        links: Links,
        mut recorder: Recorder,
        forwarding: Option<Forwarding>,
    ) -> (Self, Port) {
        recorder.watch(engine.plant());
        let (port, requests) = Port::new(recorder.durable());
        let pipeline = Self {
            own: OwnPoints::of(engine.plant()),
            forwarding,
            engine,
            clock,
            links,
            requests,
            recorder,
            gate: Gate::default(),
            events: Events::default(),
            news: false,
            // At the first tick, so that a gateway that dies young, again and again, has less to take up each time.
            checkpoint_due: Instant::now(),
            computed_due: Instant::now() + COMPUTED_EVERY,
        };
        (pipeline, port)
    }

    /// Runs until `stop` is asked for. Without a link it goes on judging: rules and clients have a life of their own.
    pub(super) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = ticks();
        let mut durable = self.recorder.durable();
        let keeps = self.recorder.keeps();
        let mut linked = true;
        loop {
            let owed_by = self.recorder.owed_by();
            tokio::select! {
                batch = self.links.next(), if linked => match batch {
                    Some(batch) => self.take(batch),
                    None => linked = false,
                },
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.tick(),
                () = until(owed_by) => {
                    let now = self.clock.now();
                    self.recorder.write(&now, []);
                }
                Ok(()) = durable.changed(), if keeps => {}
                Some(asked) = self.requests.commands.recv() => self.command(asked),
                Some(posted) = self.requests.postings.recv() => self.post(posted),
                Some(anchored) = self.requests.anchors.recv() => self.anchor(anchored),
                Some(reload) = self.requests.reloads.recv() => {
                    self.reload(reload).await;
                    linked = true;
                }
                Some(reply) = self.requests.attach.recv() => {
                    // What is pending belongs to the snapshot, not to the first update after it.
                    self.tell();
                    let picture = self.engine.snapshot(self.clock.now());
                    self.gate.attach(self.recorder.last(), reply, picture);
                }
                Some(reply) = self.requests.snapshots.recv() => {
                    let picture = self.engine.snapshot(self.clock.now());
                    self.gate.snapshot(self.recorder.last(), reply, picture);
                }
            }
            self.gate.open(&durable.borrow_and_update());
            if self.news {
                self.publish();
                self.gate.open(&durable.borrow());
            }
        }
        self.end().await
    }

    fn take(&mut self, batch: Batch) {
        match batch {
            Batch::Samples(samples) => {
                self.recorder.gather(&samples);
                self.step(Input::Samples(&samples));
            }
            Batch::Owed { samples, receipt } => {
                self.recorder.gather(&samples);
                self.recorder.hurry();
                self.gate.receipt(self.recorder.next(), receipt);
                self.step(Input::Samples(&samples));
            }
            Batch::Link(link) => self.step(Input::Link(&link)),
        }
    }

    fn tick(&mut self) {
        let started = Instant::now();
        self.tell_of_itself();
        let now = self.clock.now();
        self.engine.step(now, Input::Tick, &mut self.events);
        let mut computed = Vec::new();
        if due(&mut self.computed_due, COMPUTED_EVERY) {
            self.engine.computed_samples(now, &mut computed);
            self.recorder.gather(&computed);
        }
        let checkpoint =
            due(&mut self.checkpoint_due, CHECKPOINT_EVERY).then(|| self.checkpoint(&now));
        let decided = recorder::records(&mut self.events).chain(checkpoint.flatten());
        self.recorder.write(&now, decided);
        self.engine.report_self(started.elapsed(), self.links.restarts());
        self.publish();
    }

    /// The gateway is a device like any other: what it says of itself is stored and watched by rules.
    fn tell_of_itself(&mut self) {
        let now = self.clock.now();
        let storing = self.recorder.keeps().then(|| self.recorder.durable().borrow().clone());
        let forwarding = self.forwarding.as_ref().map(|state| state.borrow().clone());
        let samples = self.own.samples(now.mono, storing.as_ref(), forwarding.as_ref());
        self.recorder.gather(&samples);
        self.engine.step(now, Input::Samples(&samples), &mut self.events);
    }

    fn step(&mut self, input: Input<'_>) {
        let now = self.clock.now();
        self.engine.step(now, input, &mut self.events);
        if !self.events.events.is_empty() || !self.events.rows.is_empty() {
            self.recorder.write(&now, recorder::records(&mut self.events));
        }
    }

    /// Done, written down, and answered when that is on disk. Nothing is done that cannot be written down.
    fn command(&mut self, asked: Asked) {
        let Asked { command, reply } = asked;
        if matches!(self.recorder.durable().borrow().storing, Storing::NotStored { .. }) {
            // Who no longer waits is no trouble.
            let _ = reply.send(Err(NotTaken::NotStored));
            return;
        }
        let now = self.clock.now();
        let is_new = self.engine.outcome(&command.key).is_none();
        self.engine.step(now, Input::Command(&command), &mut self.events);
        let outcome = self.engine.outcome(&command.key).cloned().unwrap_or(Outcome::Done);
        if is_new {
            let done = Record::Command(command, outcome.clone());
            self.recorder.write(&now, recorder::records(&mut self.events).chain([done]));
        }
        self.gate.answer(self.recorder.last(), reply, outcome);
        self.publish();
    }

    /// Written down as it is, with a line in the journal that says so.
    fn post(&mut self, posted: Posted) {
        let Posted { posting, reply } = posted;
        if matches!(self.recorder.durable().borrow().storing, Storing::NotStored { .. }) {
            // Who no longer waits is no trouble.
            let _ = reply.send(Err(NotTaken::NotStored));
            return;
        }
        let now = self.clock.now();
        let what = What::Gateway { what: format!("ledger: {posting}") };
        self.engine.note(&now, what, &mut self.events);
        let noted = recorder::records(&mut self.events).chain([Record::Posting(posting)]);
        self.recorder.write(&now, noted);
        self.gate.answer(self.recorder.last(), reply, Outcome::Done);
        self.publish();
    }

    /// Noted in the journal, from where it gets outside.
    fn anchor(&mut self, anchored: Anchored) {
        let Anchored { anchor, reply } = anchored;
        let now = self.clock.now();
        if !now.wall.trust.is_trusted() {
            let why = "wall time is not trusted".to_owned();
            // Who no longer waits is no trouble.
            let _ = reply.send(Ok(Outcome::Rejected { why }));
            return;
        }
        self.engine.note(&now, What::Anchor(anchor), &mut self.events);
        self.recorder.write(&now, recorder::records(&mut self.events));
        self.gate.answer(self.recorder.last(), reply, Outcome::Done);
        self.publish();
    }

    /// Tells clients what is new, unless something waits for the disk already: then all of it, right after that.
    fn publish(&mut self) {
        self.news = self.gate.has_update();
        if !self.news {
            self.tell();
        }
    }

    fn tell(&mut self) {
        let now = self.clock.now();
        let update = self.engine.update(now);
        let picture = self.gate.is_missed().then(|| Box::new(self.engine.snapshot(now)));
        self.gate.update(self.recorder.last(), update, picture);
        self.news = false;
    }

    /// Takes another configuration: what both have keeps its state. The links of the old one end, those of the new one
    /// begin.
    async fn reload(&mut self, reload: Reload) {
        let Reload { site, reply } = reload;
        let mut engine = match engine_of(&site, self.engine.boot()) {
            Ok(engine) => engine,
            Err(error) => {
                // Who no longer waits is no trouble.
                let _ = reply.send(Err(format!("{error:#}")));
                return;
            }
        };
        for batch in self.links.end().await {
            self.take(batch);
        }
        let now = self.clock.now();
        std::mem::swap(&mut engine, &mut self.engine);
        let restored = self.engine.carry_over(now, engine);
        restart::say_what_is_gone(&restored);
        self.events.events.extend(restored.events);
        self.own = OwnPoints::of(self.engine.plant());
        self.recorder.watch(self.engine.plant());
        let catalog = restart::catalog(&self.engine);
        let what = What::Gateway { what: "took the changed configuration".to_owned() };
        self.engine.note(&now, what, &mut self.events);
        self.recorder.write(&now, [catalog].into_iter().chain(recorder::records(&mut self.events)));
        self.links.restart(&site);
        self.gate.everybody_missed();
        self.tell();
        let _ = reply.send(Ok(()));
    }

    fn checkpoint(&self, now: &Now) -> Option<Record> {
        if !self.recorder.keeps() {
            return None;
        }
        match serde_json::to_value(self.engine.checkpoint(*now)) {
            Ok(checkpoint) => Some(Record::Checkpoint(checkpoint)),
            Err(error) => {
                tracing::error!(%error, "the state of the alarms cannot be written down");
                None
            }
        }
    }

    /// In the direction of the data: the links have stopped, what they gave is written, then who waits is answered.
    async fn end(mut self) -> anyhow::Result<()> {
        for batch in self.links.end().await {
            self.take(batch);
        }
        let now = self.clock.now();
        self.engine.note(&now, What::Gateway { what: "stopped".to_owned() }, &mut self.events);
        let checkpoint = self.checkpoint(&now);
        self.recorder.write(&now, recorder::records(&mut self.events).chain(checkpoint));
        let durable = self.recorder.durable();
        let recorder = self.recorder;
        let closed = spawn_blocking(move || recorder.close()).await;
        self.gate.open(&durable.borrow());
        closed.context("the log panicked")?.context("failed to write the last records")
    }
}

/// Once every `span`.
fn due(next: &mut Instant, span: Duration) -> bool {
    let now = Instant::now();
    let is_due = now >= *next;
    if is_due {
        *next = now + span;
    }
    is_due
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
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
        time::BootId,
        value::{NoData, Sample},
    };
    use tokio::sync::mpsc;

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
        let engine = engine_of(&site, BootId(1)).unwrap();
        let (links, batches) = Links::fed();
        let (pipeline, port) = Pipeline::new(engine, clock, links, Recorder::new(None), None);
        (pipeline, port, batches)
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
        task.await.unwrap().unwrap();
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
        port.closed().await;
        assert!(attached.feed.recv().await.is_none());
        assert!(task.await.unwrap_err().is_panic());
    }

    #[tokio::test]
    async fn what_is_owed_is_received_at_once_where_nothing_is_kept() {
        let (pipeline, port, batches) = pipeline();
        let stop = CancellationToken::new();
        let task = tokio::spawn(pipeline.run(stop.clone()));
        let (receipt, stored) = collector::Receipt::new();
        batches.send(Batch::Owed { samples: Vec::new(), receipt }).await.unwrap();
        stored.await.unwrap();
        drop((port, batches));
        stop.cancel();
        task.await.unwrap().unwrap();
    }
}
