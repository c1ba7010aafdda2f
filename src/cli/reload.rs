//! `coldwatch reload`: a changed configuration for a running gateway.

use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Value, json};

use super::{connect::Connect, runtime};

/// Have the running gateway read its site file again.
///
/// What did not change goes on as it was: its connections stay open and its alarms keep their state. A site with a fault
/// changes nothing; every fault is shown, as `check` shows it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  coldwatch check site.toml && coldwatch reload
  coldwatch reload --connect unix:/run/coldwatch/api.sock

Exit code: 0 the new configuration is in force, 1 it was refused or no gateway answers, 2 used wrongly.")]
pub(crate) struct Args {
    #[command(flatten)]
    connect: Connect,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.connect.client()?;
    let (status, answer) =
        runtime()?.block_on(async { client.post("/api/v1/reload", &json!({})).await })?;
    if (200..300).contains(&status) {
        super::talk("the new configuration is in force");
        return Ok(ExitCode::SUCCESS);
    }
    let word = |member: &str| answer.get(member).and_then(Value::as_str).unwrap_or_default();
    bail!("{}", [word("error"), word("remedy")].join("\n").trim());
}
