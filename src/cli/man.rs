//! `coldwatch man`: the manual page.

use std::process::ExitCode;

use clap::CommandFactory;

/// Print the manual page.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  coldwatch man > /usr/local/share/man/man1/coldwatch.1")]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> anyhow::Result<ExitCode> {
    let mut page = Vec::new();
    clap_mangen::Man::new(super::Cli::command()).render(&mut page)?;
    super::print(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::SUCCESS)
}
