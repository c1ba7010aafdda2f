//! `coldwatch report diff`: what differs between two reports.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, ensure};
use reports::difference::{Difference, differences};
use serde_json::{Value, json};

use crate::bundle;

/// Show where two reports say something else.
///
/// Meters, days and figures are compared by their names. The exit code is 0 when nothing differs and 1 when anything does.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  coldwatch report diff hall-1-2026-09.json hall-1-2026-10.json
  coldwatch report diff hall-1-2026.sealed.zip hall-1-2026.json     what came in after it was sealed")]
pub(crate) struct Args {
    /// A report as JSON, or a sealed one.
    #[arg(value_name = "ONE")]
    one: PathBuf,
    #[arg(value_name = "OTHER")]
    other: PathBuf,
    /// For machines.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let found = differences(&read(&args.one)?, &read(&args.other)?);
    let text = if args.json {
        let places: Vec<Value> = found
            .iter()
            .map(|Difference { place, one, other }| {
                json!({ "place": place, "one": one, "other": other })
            })
            .collect();
        serde_json::to_string_pretty(&places)? + "\n"
    } else {
        let lines: Vec<String> = found.iter().map(Difference::to_string).collect();
        lines.join("\n") + if lines.is_empty() { "" } else { "\n" }
    };
    crate::cli::print(&text)?;
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let failed = || format!("failed to read {}", path.display());
    let plain = path.extension().is_some_and(|extension| extension == "json");
    let text =
        if plain { fs::read_to_string(path).with_context(failed)? } else { bundle::report(path)? };
    let mut report: Value = serde_json::from_str(&text).with_context(failed)?;
    let members = report.as_object_mut();
    let members = members.filter(|members| members.contains_key("figures"));
    ensure!(members.is_some(), "{} is no report of coldwatch", path.display());
    // When it was made is no difference.
    members.map(|members| members.remove("made_at"));
    Ok(report)
}
