//! The commands: one file each.
//!
//! Data goes to stdout, talk to stderr. Exit codes are 0 (done), 1 (failed) and 2 (used wrongly), except where a command's
//! help says otherwise.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;

mod amend;
mod calc;
mod check;
mod completions;
mod connect;
mod dashboard;
mod demo;
mod desk;
mod document;
mod files;
mod import;
mod key;
mod key_file;
mod man;
mod meter;
mod progress;
mod reload;
mod report;
mod rules;
mod run;
mod simulate;
mod status;
mod tui;

/// Power and thermal monitor for liquid-cooled data centres.
#[derive(Parser)]
#[command(name = "coldwatch", version, about, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  coldwatch demo                                 a simulated hall on this screen
  coldwatch check site.toml                      every fault of a configuration, with its place
  coldwatch run --site site.toml                 watch a hall
  coldwatch tui                                  the dashboard of the running gateway

coldwatch is not a safety system and not a leak interlock.";

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    Run(run::Args),
    Tui(tui::Args),
    Status(status::Args),
    Simulate(simulate::Args),
    Calc(calc::Args),
    Check(check::Args),
    Completions(completions::Args),
    Import(import::Args),
    Key(key::Args),
    Man(man::Args),
    Meter(meter::Args),
    Reload(reload::Args),
    Report(report::Args),
    Rules(rules::Args),
}

/// Runs the command line; failures end up on stderr with all their causes.
pub(crate) fn main() -> ExitCode {
    let command = Cli::parse().command;
    start_log(&command);
    let result = match command {
        Command::Demo(args) => demo::run(args),
        Command::Run(args) => run::run(&args),
        Command::Tui(args) => tui::run(args),
        Command::Status(args) => Ok(status::run(&args)),
        Command::Simulate(args) => simulate::run(&args),
        Command::Calc(args) => calc::run(args),
        Command::Check(args) => check::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Key(args) => key::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Meter(args) => meter::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Rules(args) => rules::run(&args),
    };
    result.unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        complain(&error);
        ExitCode::FAILURE
    })
}

/// Says what went wrong, with all its causes.
fn complain(error: &anyhow::Error) {
    talk(&format!("{error:#}"));
}

/// Says something that is not data.
fn talk(line: &str) {
    // When stderr is closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "coldwatch: {line}");
}

/// Talk goes to stderr, unless a dashboard has the terminal.
fn start_log(command: &Command) {
    let quiet = match command {
        Command::Demo(args) => args.takes_the_terminal(),
        Command::Tui(_) => true,
        _ => false,
    };
    if quiet && io::stderr().is_terminal() {
        return;
    }
    let filter = EnvFilter::try_from_env("COLDWATCH_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,coldwatch=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

/// The runtime of the commands that wait for something.
fn runtime() -> anyhow::Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Writes data to stdout. A reader that has seen enough, such as `head`, is no failure.
pub(crate) fn print(data: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(data.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// True when stdout was closed by its reader.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
