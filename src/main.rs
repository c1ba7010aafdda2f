//! coldwatch: power and thermal monitor for liquid-cooled data centres.

use std::process::ExitCode;

mod api;
mod cli;
mod gateway;

fn main() -> ExitCode {
    cli::main()
}
