//! The running gateway: links in, engine in the middle, clients out.

pub(crate) mod clock;
pub(crate) mod pipeline;

use std::hash::{BuildHasher, Hasher, RandomState};

use anyhow::Context;
use collector::MonoClock;
use configs::site::Site;
use rules::{alarm_set::AlarmSet, engine::Engine, metrics, time::BootId};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use self::{
    clock::{Clock, ClockPolicy},
    pipeline::{Pipeline, Port},
};

/// A gateway at work.
pub(crate) struct Gateway {
    /// Where clients attach and commands go.
    pub(crate) port: Port,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Gateway {
    /// Starts polling. The site has been checked.
    pub(crate) fn start(site: &Site, policy: ClockPolicy) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let mono = MonoClock::start();
        let clock = Clock::new(mono, policy, None);
        let engine = engine_of(site)?;
        let (batches_in, batches_out) = mpsc::channel(collector::QUEUE);
        // The links stop first, and the pipeline ends when the last of them has let go of the queue.
        let links = collector::start(site, mono, &batches_in, &stop);
        drop(batches_in);
        let (pipeline, port) = Pipeline::new(engine, clock, links, batches_out);
        let stopping = stop.clone();
        let task = tokio::spawn(pipeline.run(stopping));
        Ok(Self { port, stop, task })
    }

    /// Returns when the pipeline is gone, which before [`Self::stop`] only a panic can bring about.
    pub(crate) async fn ended(&self) {
        self.port.commands.closed().await;
    }

    /// Stops in the direction of the data, and waits.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.task.await.context("the pipeline panicked")
    }
}

/// The engine of a checked site.
pub(crate) fn engine_of(site: &Site) -> anyhow::Result<Engine> {
    let plan = metrics::plan(site.plant.clone())?;
    let compiled = AlarmSet::compile(&site.rules, &plan.plant).map_err(|faults| {
        anyhow::anyhow!("{} rules do not fit the site; run `coldwatch check`", faults.len())
    })?;
    // Random, because in a container every run has the same process id.
    let boot = BootId(RandomState::new().build_hasher().finish());
    Ok(Engine::new(site.info.clone(), boot, plan, compiled.set))
}
