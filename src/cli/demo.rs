//! `coldwatch demo`: a simulated hall, a gateway and the dashboard in one process.

use std::{collections::BTreeSet, process::ExitCode, time::Duration};

use anyhow::{Context, anyhow};
use configs::library::Library;
use rules::{
    alarm::Letter,
    messages::{Change, Feed, Update, What},
};
use serde::Serialize;
use simulator::{Running, demo::demo_site, scenario::Scenario};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{dashboard, document::Document, files, run::stop_signal, runtime};
use crate::gateway::{Gateway, Settings};

/// Show a simulated liquid-cooled hall, live: nothing else is needed.
///
/// A plant of four coolant loops, 48 racks and a two-phase cabinet is served on real Modbus TCP ports of this machine,
/// polled by a real gateway, and shown. After a few seconds a pump trips.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  coldwatch demo
  coldwatch demo --scenario leak
  coldwatch demo --headless --seconds 30     no screen; a JSON summary at the end")]
pub(crate) struct Args {
    /// What happens in the hall.
    #[arg(long, value_name = "NAME", default_value = "demo", value_parser = scenario_names())]
    scenario: String,
    /// Another number, another course of load and weather.
    #[arg(long)]
    seed: Option<u64>,
    /// No dashboard; print a JSON summary at the end.
    #[arg(long, requires = "seconds")]
    headless: bool,
    /// End after so many seconds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    #[command(flatten)]
    screen: dashboard::Screen,
}

impl Args {
    pub(super) fn takes_the_terminal(&self) -> bool {
        !self.headless
    }
}

fn scenario_names() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(Scenario::shipped_names())
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if !args.headless {
        dashboard::need_terminal()?;
    }
    let mut scenario = Scenario::shipped(&args.scenario)?;
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    let seconds = args.seconds.map(Duration::from_secs);
    runtime()?.block_on(async {
        let stop = CancellationToken::new();
        let site =
            demo_site(&Library::shipped()).map_err(|faults| anyhow!(files::explain(&faults)))?;
        let hall = simulator::start(&site, &scenario, simulator::Options::default(), &stop).await?;
        let gateway = Gateway::start(hall.site(), Settings::look())?;
        if args.headless {
            let summary = watch(&gateway, seconds.unwrap_or_default()).await?;
            super::print(&format!("{}\n", serde_json::to_string_pretty(&summary)?))?;
        } else {
            let end = async move {
                match seconds {
                    Some(seconds) => tokio::time::sleep(seconds).await,
                    None => std::future::pending().await,
                }
            };
            let source = dashboard::attach(&gateway.port).await?;
            dashboard::show(source, args.screen, end).await?;
        }
        shut_down(gateway, hall).await?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn shut_down(gateway: Gateway, hall: Running) -> anyhow::Result<()> {
    gateway.stop().await?;
    hall.stop().await;
    Ok(())
}

/// What a headless demo saw.
#[derive(Serialize)]
struct Summary {
    seconds: f64,
    /// Seconds from start until every device had answered.
    all_devices_up_after_s: Option<f64>,
    /// Alarms that became active, each once.
    raised: BTreeSet<String>,
    transitions: u64,
    updates: u64,
    /// The state at the end.
    end: Document,
}

async fn watch(gateway: &Gateway, span: Duration) -> anyhow::Result<Summary> {
    let started = Instant::now();
    let mut attached = gateway.port.attach().await.context("the gateway stopped")?;
    let devices = attached.snapshot.plant.of_kind(rules::plant::AssetKind::Device).count();
    let mut tally = Tally { devices, ..Tally::default() };
    let end = tokio::select! {
        end = tally.take_until(&mut attached.feed, started, started + span) => end,
        () = stop_signal() => Ok(()),
    };
    end?;
    let snapshot = gateway.port.snapshot().await.context("the gateway stopped")?;
    Ok(Summary {
        seconds: started.elapsed().as_secs_f64(),
        all_devices_up_after_s: tally.all_up_after.map(|after| after.as_secs_f64()),
        raised: tally.raised,
        transitions: tally.transitions,
        updates: tally.updates,
        end: Document::of(&snapshot),
    })
}

#[derive(Default)]
struct Tally {
    devices: usize,
    up: BTreeSet<rules::plant::AssetId>,
    all_up_after: Option<Duration>,
    raised: BTreeSet<String>,
    transitions: u64,
    updates: u64,
}

impl Tally {
    async fn take_until(
        &mut self,
        feed: &mut tokio::sync::mpsc::Receiver<Feed>,
        started: Instant,
        deadline: Instant,
    ) -> anyhow::Result<()> {
        while let Ok(news) = timeout_at(deadline, feed.recv()).await {
            if let Feed::Update(update) = news.context("the gateway stopped")? {
                self.take(update);
            }
            if self.all_up_after.is_none() && self.up.len() >= self.devices {
                self.all_up_after = Some(started.elapsed());
            }
        }
        Ok(())
    }

    fn take(&mut self, update: Update) {
        self.updates += 1;
        for change in update.changes {
            match change {
                Change::Link(link) if link.up => {
                    self.up.insert(link.device);
                }
                Change::Event(event) => {
                    if let What::Moved(moved) = event.what {
                        self.transitions += 1;
                        if moved.to == Letter::B {
                            self.raised.insert(moved.alarm.to_string());
                        }
                    }
                }
                Change::Link(_)
                | Change::Reading { .. }
                | Change::Alarm(_)
                | Change::Ledger(_)
                | Change::Health(_) => {}
            }
        }
    }
}
