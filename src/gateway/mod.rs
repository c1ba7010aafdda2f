//! The running gateway: links in, engine in the middle, store and clients out.

mod anchors;
pub(crate) mod clock;
mod gate;
mod kept;
mod links;
pub(crate) mod offline;
mod own_points;
mod pipeline;
pub(crate) mod port;
mod recorder;
mod reply_times;
pub(crate) mod restart;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::PathBuf,
};

use anyhow::Context;
use collector::MonoClock;
use configs::site::Site;
use rules::{alarm_set::AlarmSet, engine::Engine, metrics, time::BootId};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::{
    clock::{Clock, ClockPolicy},
    kept::Kept,
    links::Links,
    pipeline::Pipeline,
    port::{Load, Port},
    recorder::Recorder,
};

/// A gateway at work.
pub(crate) struct Gateway {
    /// Where clients attach and commands go.
    pub(crate) port: Port,
    /// `None`: it keeps nothing.
    kept: Option<Kept>,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
    anchors: JoinHandle<()>,
}

/// How a gateway is run.
pub(crate) struct Settings {
    pub(crate) clock: ClockPolicy,
    /// Where it keeps what it sees; `None`: nowhere.
    pub(crate) data: Option<PathBuf>,
    /// Reads the configuration again; `None`: it does not change.
    pub(crate) load: Option<Load>,
}

impl Settings {
    /// For a look at a site: nothing is kept, and the clock is believed.
    pub(crate) fn look() -> Self {
        Self { clock: ClockPolicy::Trusted, data: None, load: None }
    }
}

impl Gateway {
    /// Opens the store, takes up where the last run ended, and starts polling. The site has been checked.
    pub(crate) fn start(site: &Site, settings: Settings) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let mono = MonoClock::start();
        let boot = new_boot();
        let mut engine = engine_of(site, boot)?;
        let (kept, clock, recorder) = match settings.data {
            Some(directory) => {
                let (kept, writer, found) = Kept::open(site, directory, boot)?;
                let mut clock = Clock::new(mono, settings.clock, found.before.newest_wall());
                let mut recorder = Recorder::new(Some(writer));
                let (now, reader) = (clock.now(), kept.store.reader());
                restart::take_up(&mut engine, &now, found, &reader, &mut recorder);
                (Some(kept), clock, recorder)
            }
            None => (None, Clock::new(mono, settings.clock, None), Recorder::new(None)),
        };
        let links = Links::start(site, mono);
        let forwarding = kept.as_ref().and_then(Kept::forwarding);
        let (pipeline, port) = Pipeline::new(engine, clock, links, recorder, forwarding.clone());
        let reader = kept.as_ref().map(|kept| kept.store.reader());
        let port = port.with(settings.load, reader, forwarding);
        let task = tokio::spawn(pipeline.run(stop.clone()));
        let anchors = anchors::start(port.clone(), site, stop.clone());
        Ok(Self { port, kept, stop, task, anchors })
    }

    /// Returns when the pipeline is gone, which before [`Self::stop`] only a panic can bring about.
    pub(crate) async fn ended(&self) {
        self.port.closed().await;
    }

    /// Stops in the direction of the data, and waits.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let ended = self.task.await.context("the pipeline panicked")?;
        self.anchors.await.context("noting the ends of the chains panicked")?;
        if let Some(kept) = self.kept {
            kept.close().await?;
        }
        ended
    }
}

/// The engine of a checked site.
pub(crate) fn engine_of(site: &Site, boot: BootId) -> anyhow::Result<Engine> {
    let plan = metrics::plan(site.plant.clone())?;
    let compiled = AlarmSet::compile(&site.rules, &plan.plant).map_err(|faults| {
        anyhow::anyhow!("{} rules do not fit the site; run `coldwatch check`", faults.len())
    })?;
    Ok(Engine::new(site.info.clone(), boot, plan, compiled.set))
}

/// Random, because in a container every run has the same process id.
fn new_boot() -> BootId {
    // 53 bits, which every reader of JSON takes for the same number.
    BootId(RandomState::new().build_hasher().finish() >> 11)
}
