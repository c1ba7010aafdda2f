//! `coldwatch status`: one look at a site.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use rules::{messages::Snapshot, plant::Origin, value::NoData};
use tokio::time::{Instant, sleep};

use super::{
    connect::Connect,
    document::{Document, UNKNOWN},
    files, runtime,
};
use crate::gateway::{Gateway, Settings};

/// Look at a site once: ask the running gateway, or read the devices without one, and print how it is.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  coldwatch status                              what the gateway of this machine sees, as text
  coldwatch status --json                       everything, as one JSON document
  coldwatch status --site site.toml             without a gateway: reads every device itself

The exit code is that of the worst active alarm, as monitoring plugins use it: 0 ok, 1 warning
(priority 3 or 4), 2 critical (priority 1 or 2), 3 unknown: no alarm, but a device does not answer,
or no gateway answers, or the site cannot be used.")]
pub(crate) struct Args {
    #[command(flatten)]
    connect: Connect,
    /// Ask no gateway: read the devices of this site file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["gateway", "ca"])]
    site: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Print the overview as text; this is the default.
    #[arg(long, conflicts_with = "json")]
    once: bool,
    /// With --site: wait so long, in seconds, for devices that have not answered yet.
    #[arg(long, requires = "site", value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=86_400))]
    wait: u64,
    /// Width of the text in columns.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u16).range(20..=500))]
    width: u16,
    /// Height of the text in lines.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(5..=500))]
    height: u16,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    look(args).map_or_else(
        |error| {
            super::complain(&error);
            ExitCode::from(UNKNOWN)
        },
        ExitCode::from,
    )
}

fn look(args: &Args) -> anyhow::Result<u8> {
    let snapshot = runtime()?.block_on(async {
        match &args.site {
            Some(site) => read_devices(site, Duration::from_secs(args.wait)).await,
            None => Ok(args.connect.client()?.snapshot().await?),
        }
    })?;
    let document = Document::of(&snapshot);
    let text = if args.json {
        serde_json::to_string_pretty(&document)? + "\n"
    } else {
        tui::once(&snapshot, args.width, args.height)
    };
    match super::print(&text) {
        // A reader that has seen enough still wants the exit code.
        Err(error) if !super::is_closed_pipe(&error) => Err(error),
        Ok(()) | Err(_) => Ok(document.worst),
    }
}

async fn read_devices(site: &Path, patience: Duration) -> anyhow::Result<Snapshot> {
    let site = files::load_site(site)?;
    let gateway = Gateway::start(&site, Settings::look())?;
    let snapshot = full_cycle(&gateway, patience).await?;
    gateway.stop().await?;
    Ok(snapshot)
}

/// The first picture in which every point has been tried, or the picture at the end of the patience.
async fn full_cycle(gateway: &Gateway, patience: Duration) -> anyhow::Result<Snapshot> {
    const LOOK_EVERY: Duration = Duration::from_millis(100);
    let deadline = Instant::now() + patience;
    loop {
        sleep(LOOK_EVERY).await;
        let snapshot = gateway.port.snapshot().await.context("the gateway stopped")?;
        if Instant::now() >= deadline || all_tried(&snapshot) {
            return Ok(snapshot);
        }
    }
}

fn all_tried(snapshot: &Snapshot) -> bool {
    let device_points = snapshot.plant.points().iter().zip(&snapshot.readings);
    device_points
        .filter(|(point, _)| point.origin != Origin::Computed)
        .all(|(_, reading)| reading.value != Err(NoData::NeverSeen))
}
