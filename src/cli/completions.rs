//! `coldwatch completions`: tab completion for a shell.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

/// Print tab completion for a shell.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  coldwatch completions bash > /etc/bash_completion.d/coldwatch")]
pub(crate) struct Args {
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "coldwatch", &mut script);
    super::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
