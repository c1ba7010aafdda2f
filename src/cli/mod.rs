//! The commands: one file each.
//!
//! Data goes to stdout, talk to stderr. Exit codes are 0 (done), 1 (failed) and 2 (used wrongly), except where a command's
//! help says otherwise.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

mod calc;
mod completions;

mod man;

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
  coldwatch run --site site.toml --dashboard     watch a hall

coldwatch is not a safety system and not a leak interlock.";

#[derive(Subcommand)]
enum Command {
    Calc(calc::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Runs the command line; failures end up on stderr with all their causes.
pub(crate) fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Calc(args) => calc::run(args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    };
    result.unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        // When stderr is closed there is nobody left to tell.
        let _ = writeln!(io::stderr(), "coldwatch: {error:#}");
        ExitCode::FAILURE
    })
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
