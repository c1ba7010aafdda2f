//! `coldwatch report verify`: whether a sealed report is what it says.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use rules::signing::PublicKey;
use serde_json::json;

use crate::{
    bundle::{
        anchors,
        check::{Checked, Finding, Known, check},
    },
    cli::progress::Progress,
};

/// Check a sealed report and compute everything in it again.
///
/// It needs nothing but the file, so it works on any machine. What the file cannot know is whose key signed it, and whether
/// the whole ledger was written anew by whoever has that key: the first is what --key is for, the second --anchors.
/// The exit code is 0 when everything holds and 1 when anything does not.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  coldwatch report verify hall-1-2026.sealed.zip
  coldwatch report verify hall-1-2026.sealed.zip --key d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a
  coldwatch report verify unpacked/ --anchors anchors.csv

The anchors file has a line for each: JSON objects with \"line\" and \"head\", as the gateway publishes them over MQTT, or a
table in CSV with these two columns, as InfluxDB exports them.")]
pub(crate) struct Args {
    /// The sealed report, packed or unpacked.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The public key that you were given by another way: coldwatch key show prints it.
    #[arg(long, value_name = "KEY")]
    key: Option<PublicKey>,
    /// Heads of the ledger that were kept outside the gateway.
    #[arg(long, value_name = "FILE")]
    anchors: Option<PathBuf>,
    /// For machines.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let given = args.anchors.as_deref().map(anchors::read).transpose()?;
    let known = Known { key: args.key, anchors: given.as_deref() };
    let mut progress = Progress::new();
    let checked = check(&args.file, known, &mut |done, all| {
        progress.show(done, all, || "checking the ledger".to_owned());
    });
    progress.clear();
    let checked = checked?;
    let holds = checked.holds();
    crate::cli::print(&if args.json { as_json(&checked)? } else { as_text(&checked) })?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn as_json(checked: &Checked) -> anyhow::Result<String> {
    let Checked { manifest, findings, answer } = checked;
    let figures = answer.as_ref().map(|answer| &answer.figures);
    let document = json!({
        "verified": checked.holds(),
        "site": manifest.site,
        "first": manifest.first,
        "last": manifest.last,
        "made_at": manifest.made_at,
        "by": manifest.by,
        "version": manifest.version,
        "key": manifest.key(),
        "findings": findings,
        "figures": figures,
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn as_text(checked: &Checked) -> String {
    let Checked { manifest, findings, answer } = checked;
    let mut text = format!(
        "{}, {} to {}, sealed at {} by {} with coldwatch {}\n",
        manifest.site,
        manifest.first,
        manifest.last,
        manifest.made_at.format("%Y-%m-%d %H:%M:%S UTC"),
        manifest.by,
        manifest.version
    );
    // Writing to a string cannot fail.
    for Finding { check, holds, told } in findings {
        let mark = if *holds { "ok    " } else { "FAILED" };
        let _ = writeln!(text, "  {mark}  {check:<10} {told}");
    }
    for figure in answer.iter().flat_map(|answer| &answer.figures) {
        let _ = match &figure.notation {
            Some(notation) => writeln!(text, "{notation}"),
            None => writeln!(text, "{}: no figure is reported", figure.method),
        };
    }
    text.push_str(if checked.holds() { "verified\n" } else { "NOT verified\n" });
    text
}
