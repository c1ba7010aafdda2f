//! `coldwatch simulate`: the pretended hall alone, on real ports for a gateway of its own to poll, or on a virtual clock
//! into a data directory.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow, ensure};
use chrono::NaiveDate;
use configs::{
    address::Address, fault::Source, library::Library, secret, site::Site, site_file::read_site,
};
use simulator::{
    Brokers, Options, Ports,
    demo::{demo_site, demo_source},
    scenario::Scenario,
};
use tokio_util::sync::CancellationToken;

use super::{files, run::stop_signal, runtime};

mod into;

/// Serve a simulated hall on Modbus TCP and MQTT ports of this machine, until interrupted.
///
/// Every device of the site answers as its profile says, with values from one physical model of the hall. Prints the
/// address of each device.
///
/// With --into nothing is served: the hall runs on a virtual clock, its registers are read and judged as a gateway does,
/// and what it would have recorded ends in a data directory, for `coldwatch report`. Beside it, truth.json has the hall's
/// own integrals of every energy.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  coldwatch simulate demo
  coldwatch simulate month --into month-data --days 31
  coldwatch simulate my-scenario.toml --site site.toml --port-base 15000 --write-site simulated.toml

Then, elsewhere:
  coldwatch run --site simulated.toml --trust-clock")]
pub(crate) struct Args {
    /// A scenario file, or the name of one that ships.
    #[arg(help = scenario_help())]
    scenario: String,
    /// The site to pretend; without it the demo hall.
    #[arg(long, value_name = "FILE")]
    site: Option<PathBuf>,
    /// Use this port and those after it; 0 takes free ones. Without it the ports that the site names.
    #[arg(long, value_name = "N")]
    port_base: Option<u16>,
    /// Publish at the brokers that the site names, instead of starting some.
    #[arg(long)]
    external_brokers: bool,
    /// Write the site with the addresses that are served.
    #[arg(long, value_name = "FILE")]
    write_site: Option<PathBuf>,
    /// Record into this new data directory, on a virtual clock and without sockets.
    #[arg(long, value_name = "DIR", requires = "days", conflicts_with_all = ["port_base", "external_brokers", "write_site"])]
    into: Option<PathBuf>,
    /// How many days of the site's calendar.
    #[arg(long, value_name = "N", requires = "into", value_parser = clap::value_parser!(u32).range(1..=3660))]
    days: Option<u32>,
    /// Seconds from one poll to the next; it divides 15 minutes.
    #[arg(long, value_name = "S", requires = "into", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=900))]
    step: u32,
    /// The first day, at the site's midnight; without it the day on which the scenario starts.
    #[arg(long, value_name = "DATE", requires = "into")]
    start: Option<NaiveDate>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let scenario = scenario(&args.scenario)?;
    if let (Some(dir), Some(days)) = (&args.into, args.days) {
        let site = offline_site(args.site.as_deref())?;
        let (start, step_s) = (args.start, args.step);
        into::Recording { site: &site, scenario: &scenario, dir, start, days, step_s }.make()?;
        return Ok(ExitCode::SUCCESS);
    }
    let (source, library, site) = site(args.site.as_deref())?;
    let options = Options {
        ports: match args.port_base {
            None => Ports::Configured,
            Some(0) => Ports::Free,
            Some(first) => Ports::From(first),
        },
        brokers: if args.external_brokers { Brokers::OfSite } else { Brokers::Own },
        ..Options::default()
    };
    runtime()?.block_on(async {
        let hall = simulator::start(&site, &scenario, options, &CancellationToken::new()).await?;
        if let Some(path) = &args.write_site {
            let text = rewritten(&source, &library, &site, hall.site())?;
            fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))?;
        }
        // Who reads the addresses may end it at once.
        let stopped = stop_signal();
        super::print(&addresses(hall.site()))?;
        tracing::info!(scenario = scenario.title, "simulating until interrupted");
        stopped.await;
        hall.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

fn scenario_help() -> String {
    let names: Vec<&str> = Scenario::shipped_names().collect();
    format!("A scenario file, or the name of one that ships: {}", names.join(", "))
}

/// A name is that of a shipped scenario; with a dot or a slash it is a file.
fn scenario(name: &str) -> anyhow::Result<Scenario> {
    if !name.contains(['.', '/']) {
        return Ok(Scenario::shipped(name)?);
    }
    let text = fs::read_to_string(name).with_context(|| format!("failed to read {name}"))?;
    Ok(Scenario::parse(name, &text)?)
}

fn site(path: Option<&Path>) -> anyhow::Result<(Source, Library, Site)> {
    let Some(path) = path else {
        let library = Library::shipped();
        let site = demo_site(&library).map_err(|faults| anyhow!(files::explain(&faults)))?;
        return Ok((demo_source(), library, site));
    };
    Ok((files::source(path)?, files::library_beside(path)?, files::load_site(path)?))
}

/// Nobody is connected to, so no secret is needed.
fn offline_site(path: Option<&Path>) -> anyhow::Result<Site> {
    let Some(path) = path else { return Ok(site(None)?.2) };
    let (source, library) = (files::source(path)?, files::library_beside(path)?);
    read_site(&source, &library, &secret::unresolved)
        .map_err(|faults| anyhow!("{} cannot be used\n{}", path.display(), files::explain(&faults)))
}

/// One line for each device.
fn addresses(site: &Site) -> String {
    let mut lines = String::new();
    for device in &site.devices {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{:24} {}", site.plant.asset(device.asset).name, device.address);
    }
    lines
}

/// The text of a site with its URLs replaced and marked as simulated, read again to be sure.
fn rewritten(
    source: &Source,
    library: &Library,
    site: &Site,
    served: &Site,
) -> anyhow::Result<String> {
    let by_old: HashMap<String, String> = site
        .devices
        .iter()
        .zip(&served.devices)
        .map(|(old, new)| (old.address.to_string(), new.address.to_string()))
        .collect();
    // Printed, an address has no credentials, as in the text.
    let served_at = |url: &str| by_old.get(&Address::parse(url).ok()?.to_string());
    let mut text = String::with_capacity(source.text.len());
    for line in source.text.split_inclusive('\n') {
        let url = line.trim_start().strip_prefix("url").and_then(|rest| rest.split('"').nth(1));
        match url.and_then(|url| Some((url, served_at(url)?))) {
            Some((old, new)) => text.push_str(&line.replacen(old, new, 1)),
            // Said under [site], so that every screen shows it.
            None if line.trim_start().starts_with("simulated") => {}
            None => text.push_str(line),
        }
        if line.trim() == "[site]" {
            text.push_str("simulated = true\n");
        }
    }
    let name = source.name.clone();
    let again =
        read_site(&Source { name, text: text.as_str().into() }, library, &secret::unresolved)
            .map_err(|faults| anyhow!(files::explain(&faults)))?;
    let marked = again.info.simulated;
    let same = again
        .devices
        .iter()
        .zip(&served.devices)
        .all(|(written, served)| written.address.to_string() == served.address.to_string());
    ensure!(
        same && marked,
        "cannot rewrite {}: write [site] and each url = \"…\" on a line of its own",
        source.name
    );
    Ok(text)
}
