//! `coldwatch key`: the key that signs what the gateway vouches for.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use rules::{
    book::{KeyChange, KeyEvent, Keys, Posting},
    chain::Chain,
    signing::{PublicKey, SigningKey},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{desk::Desk, key_file};

/// The key that signs sealed reports and corrections.
///
/// The private key lies in the data directory, readable by its owner alone; the ledger says which public key is in force
/// since when. Give the public key to whoever checks your reports, by another way than the reports take.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  coldwatch key create --data /var/lib/coldwatch
  coldwatch key show --data /var/lib/coldwatch
  coldwatch key rotate --data DIR --reason 'yearly'
  coldwatch key lost --data DIR --reason 'disk stolen'
A gateway is replaced:
  coldwatch key create --data NEW                                   prints the new public key
  coldwatch key handover --data OLD --to KEY --file handover.json   the old one vouches, and ends
  coldwatch key accept --data NEW handover.json                     the new ledger goes on from the old one

They work beside the running gateway, which is asked, and without one.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the first key.
    Create(Create),
    /// Show the public key, and what became of it.
    Show(Show),
    /// Exchange the key; the old one vouches for the new one and is destroyed.
    Rotate(Because),
    /// The private key is gone, or somebody else may have it: from here on only a new one counts.
    Lost(Because),
    /// This ledger goes on on another gateway.
    Handover(Handover),
    /// This ledger goes on from that of another gateway.
    Accept(Accept),
}

#[derive(clap::Args)]
struct Create {
    #[command(flatten)]
    desk: Desk,
}

#[derive(clap::Args)]
struct Show {
    #[command(flatten)]
    desk: Desk,
    /// For machines.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Because {
    #[command(flatten)]
    desk: Desk,
    /// Why, for the ledger.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(clap::Args)]
struct Handover {
    #[command(flatten)]
    desk: Desk,
    /// The public key of the other gateway.
    #[arg(long, value_name = "KEY")]
    to: PublicKey,
    /// Where to write what the other gateway accepts.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Why, for the ledger.
    #[arg(long, value_name = "TEXT", default_value = "the gateway is replaced")]
    reason: String,
}

#[derive(clap::Args)]
struct Accept {
    #[command(flatten)]
    desk: Desk,
    /// What `key handover` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// What one gateway gives to the next.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Letter {
    /// Of both.
    site: String,
    /// What the new ledger says, vouched for by the old key.
    change: KeyChange,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Create(Create { desk }) => create(desk)?,
        Command::Show(show) => print_keys(show)?,
        Command::Rotate(because) => rotate(because)?,
        Command::Lost(because) => lost(because)?,
        Command::Handover(handover) => hand_over(handover)?,
        Command::Accept(Accept { desk, file }) => accept(desk, file)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn create(desk: &Desk) -> anyhow::Result<()> {
    ensure!(desk.keys()?.in_force().is_none(), "this ledger has a key: coldwatch key rotate");
    let key = key_file::make_next(desk.dir())?.public();
    enter(desk, change(KeyEvent::Created, key, desk, "the first key"))
}

fn rotate(Because { desk, reason }: &Because) -> anyhow::Result<()> {
    let before = own(desk)?;
    let key = key_file::make_next(desk.dir())?.public();
    enter(desk, change(KeyEvent::Rotated, key, desk, reason).vouched(&before)?)
}

fn lost(Because { desk, reason }: &Because) -> anyhow::Result<()> {
    let keys = desk.keys()?;
    let before = keys.in_force().with_context(|| none(&keys))?;
    let key = key_file::make_next(desk.dir())?.public();
    let change = change(KeyEvent::Lost, key, desk, reason);
    enter(desk, KeyChange { before: Some(before), ..change })
}

/// The private key in force.
fn own(desk: &Desk) -> anyhow::Result<SigningKey> {
    desk.signer()?.map_or_else(|| bail!("{}", none(&desk.keys()?)), Ok)
}

fn none(keys: &Keys) -> &'static str {
    if keys.is_handed_over() {
        "this ledger was handed over: it goes on on the other gateway"
    } else {
        "this ledger has no key yet: coldwatch key create"
    }
}

fn hand_over(Handover { desk, to, file, reason }: &Handover) -> anyhow::Result<()> {
    let own = own(desk)?;
    ensure!(own.public() != *to, "{to} is the key of this ledger itself");
    ensure!(!file.exists(), "{} is there already", file.display());
    let reader = desk.reader()?;
    let catalog = reader.catalog()?.context("nothing was recorded there yet")?;
    desk.post(&[Posting::Key(change(KeyEvent::HandedOver, *to, desk, reason).vouched(&own)?)])?;
    let continues: Chain = reader.ledger_head()?;
    let taken = change(KeyEvent::TakenOver, *to, desk, reason);
    let change = KeyChange { continues: Some(continues), ..taken }.vouched(&own)?;
    let letter = Letter { site: catalog.site.id.clone(), change };
    let text = serde_json::to_string_pretty(&letter)? + "\n";
    fs::write(file, text).with_context(|| format!("failed to write {}", file.display()))?;
    super::print(&format!("{}\n", file.display()))
}

fn accept(desk: &Desk, file: &Path) -> anyhow::Result<()> {
    let failed = || format!("failed to read {}", file.display());
    let text = fs::read_to_string(file).with_context(failed)?;
    let Letter { site, change } = serde_json::from_str(&text).with_context(failed)?;
    let catalog = desk.reader()?.catalog()?.context("nothing was recorded there yet")?;
    ensure!(site == catalog.site.id, "it is of site {site}, and this is {}", catalog.site.id);
    let own = own(desk)?;
    ensure!(
        own.public() == change.key,
        "it is for the key {}, and this ledger's is {}",
        change.key,
        own.public()
    );
    desk.post(&[Posting::Key(change)])?;
    super::print(&format!("{}\n", own.public()))
}

fn change(event: KeyEvent, key: PublicKey, desk: &Desk, reason: &str) -> KeyChange {
    let (reason, by) = (reason.to_owned(), desk.by());
    KeyChange { event, key, before: None, reason, by, continues: None, vouched: None }
}

/// Into the ledger first, then into its place.
fn enter(desk: &Desk, change: KeyChange) -> anyhow::Result<()> {
    let public = change.key;
    desk.post(&[Posting::Key(change)])?;
    key_file::put_in_force(desk.dir())?;
    super::print(&format!("{public}\n"))
}

fn print_keys(Show { desk, json }: &Show) -> anyhow::Result<()> {
    let keys = desk.keys()?;
    if *json {
        let shown = json!({ "key": keys.in_force(), "handed_over": keys.is_handed_over(), "changes": keys.changes() });
        return super::print(&(serde_json::to_string_pretty(&shown)? + "\n"));
    }
    let mut text = match keys.in_force() {
        Some(key) => format!("{key}\n"),
        None if keys.is_handed_over() => {
            "handed over: the ledger goes on on another gateway\n".to_owned()
        }
        None => "no key: coldwatch key create\n".to_owned(),
    };
    for KeyChange { event, key, reason, by, .. } in keys.changes() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:<11} {key}  by {by}: {reason}", event.word());
    }
    super::print(&text)
}
