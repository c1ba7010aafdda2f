//! coldwatch: power and thermal monitor for liquid-cooled data centres.

use std::process::ExitCode;

mod api;
mod bundle;
mod cli;
mod gateway;
mod people;
mod secret_file;

fn main() -> ExitCode {
    cli::main()
}
