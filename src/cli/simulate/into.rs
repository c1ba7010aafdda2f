//! `coldwatch simulate --into`: weeks of a hall on a virtual clock, ending in a data directory as a gateway leaves it.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, ensure};
use chrono::{Days, NaiveDate};
use configs::site::Site;
use rules::{
    calendar::Zone,
    engine::{Engine, Events, Input},
    time::{BootId, Mono, Now, Trust, Wall},
};
use simulator::{playback::Playback, scenario::Scenario};
use store::{
    Opened,
    record::{Catalog, Record},
};

use crate::{
    cli::progress::Progress,
    gateway::{engine_of, restart},
};

/// What the hall itself says about the period, beside what coldwatch recorded.
const TRUTH: &str = "truth.json";
/// Simulated time that goes to the log as one group: a sync for every step would take longer than the physics.
const GROUP: Duration = Duration::from_hours(1);
/// The monotonic clock of the gateway when the hall starts.
const SINCE_BOOT: Mono = Mono::from_secs(86_400);

/// What `--into` is asked for.
pub(super) struct Recording<'a> {
    pub(super) site: &'a Site,
    pub(super) scenario: &'a Scenario,
    pub(super) dir: &'a Path,
    /// Local days of the site.
    pub(super) start: Option<NaiveDate>,
    pub(super) days: u32,
    pub(super) step_s: u32,
}

impl Recording<'_> {
    /// Plays, records, and says on stdout what there is to read.
    pub(super) fn make(&self) -> anyhow::Result<()> {
        let zone: Zone = self.site.info.time_zone.parse()?;
        let first = self.start.unwrap_or_else(|| zone.local(self.scenario.start).date());
        let after = first.checked_add_days(Days::new(self.days.into()));
        let after = after.context("the calendar ends before these days do")?;
        let (from, to) = (zone.midnight(first), zone.midnight(after));
        ensure!(900 % self.step_s == 0, "--step must divide 15 minutes, such as 10, 60 or 300");
        require_empty(self.dir)?;
        let step = Duration::from_secs(self.step_s.into());
        let mut playback = Playback::new(self.site, self.scenario, from, step)?;
        let mut log = Log::open(self.dir, self.site, &playback)?;
        let mut progress = Progress::new();
        loop {
            log.record(&mut playback)?;
            if playback.now() >= to {
                break;
            }
            playback.advance();
            let (done, all) = (playback.elapsed(), (to - from).to_std()?);
            progress.show(done.as_secs(), all.as_secs(), || {
                let days = |span: Duration| span.as_secs_f64() / 86_400.0;
                format!("simulating: {:.1} of {:.0} days", days(done), days(all))
            });
        }
        progress.clear();
        log.close(&playback)?;
        let truth = serde_json::to_string_pretty(&playback.integrals(self.scenario))?;
        let path = self.dir.join(TRUTH);
        fs::write(&path, truth).with_context(|| format!("failed to write {}", path.display()))?;
        super::super::print(&format!("{}\n{}\n", self.dir.display(), path.display()))
    }
}

fn require_empty(dir: &Path) -> anyhow::Result<()> {
    let used = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    ensure!(!used, "{} is not empty: a simulation gets a directory of its own", dir.display());
    Ok(())
}

/// Engine and log of the gateway that is not there.
struct Log {
    engine: Engine,
    opened: Opened,
    events: Events,
    /// What the log has not been given yet, and from when.
    group: Vec<Record>,
    since: Mono,
}

impl Log {
    fn open(dir: &Path, site: &Site, playback: &Playback) -> anyhow::Result<Self> {
        let boot = BootId(1);
        let engine = engine_of(playback.site(), boot)?;
        let options = restart::options(&site.storage, dir.to_owned());
        let mut opened = store::open(&options, boot)?;
        let catalog = Catalog {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            site: playback.site().info.clone(),
            plant: engine.plant().clone(),
        };
        let now = now(playback);
        opened.writer.append(&now, vec![Record::Catalog(catalog.into())]);
        let (events, group) = (Events::default(), Vec::new());
        Ok(Self { engine, opened, events, group, since: now.mono })
    }

    /// One round of questions, one tick: what a gateway does in a step.
    fn record(&mut self, playback: &mut Playback) -> anyhow::Result<()> {
        let now = now(playback);
        let asked = playback.ask(now.mono);
        let events = &mut self.events;
        events.events.clear();
        events.rows.clear();
        for link in &asked.links {
            self.engine.step(now, Input::Link(link), events);
        }
        self.engine.step(now, Input::Samples(&asked.samples), events);
        self.engine.step(now, Input::Tick, events);
        // What nobody attaches to see is forgotten at once.
        drop(self.engine.update(now));
        self.group.push(Record::frame(asked.samples));
        self.group.extend(events.events.drain(..).map(Record::Event));
        self.group.extend(Record::ledger(std::mem::take(&mut events.rows)));
        if now.mono.since(self.since) >= GROUP { self.write(&now) } else { Ok(()) }
    }

    /// Gives the group to the log, when the one before it is on disk.
    fn write(&mut self, now: &Now) -> anyhow::Result<()> {
        self.opened.writer.settle()?;
        self.opened.writer.append(now, std::mem::take(&mut self.group));
        self.since = now.mono;
        Ok(())
    }

    /// Lets everything reach the disk and the databases.
    fn close(mut self, playback: &Playback) -> anyhow::Result<()> {
        let now = now(playback);
        let checkpoint = serde_json::to_value(self.engine.checkpoint(now))?;
        self.group.push(Record::Checkpoint(checkpoint));
        self.write(&now)?;
        let Opened { store, writer, .. } = self.opened;
        writer.close()?;
        store.close();
        Ok(())
    }
}

fn now(playback: &Playback) -> Now {
    Now {
        mono: SINCE_BOOT.plus(playback.elapsed()),
        wall: Wall { utc: playback.now(), trust: Trust::Synchronised },
    }
}
