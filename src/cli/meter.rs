//! `coldwatch meter`: what people know of a meter goes into the ledger.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use rules::book::{
    CORRECTION_AT_MOST, Cause,
    amend::{self, Exchange},
};

use super::{
    amend::{Books, Entry},
    desk::Desk,
};

/// Enter an exchange of a meter, or a corrected amount, into the ledger.
///
/// What was recorded stays where it is; reports count what is entered, say what it replaced, why and by whom, and go by
/// the last entry where there are several. With a key in the ledger, entries are signed with it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  coldwatch meter swap row-1-a --at 2026-05-15T10:07 --old-reading 52345.6 --new-reading 3.2 --reason 'display broken'
  coldwatch meter correct row-1-a --from 2026-05-15T10:00 --to 2026-05-15T12:00 --amount 84.5 --reason 'read by hand'
  coldwatch meter correct row-1-a --from 2026-05-15T10:00 --to 2026-05-15T12:00 --withdraw --reason 'wrong phase'

Times without an offset are those of the site's clocks. Amounts and readings are in the meter's unit: kWh, or m³ of water.
They work beside the running gateway, which is asked, and without one.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A meter was exchanged: both registers were read.
    Swap(Swap),
    /// Somebody knows better what went through a meter.
    Correct(Correct),
}

#[derive(clap::Args)]
struct Common {
    /// The meter, by its identifier in the site file.
    #[arg(value_name = "METER")]
    meter: String,
    /// Why, for the ledger and the report.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only show what would be entered.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    desk: Desk,
}

#[derive(clap::Args)]
struct Swap {
    #[command(flatten)]
    common: Common,
    /// When.
    #[arg(long, value_name = "TIME")]
    at: String,
    /// What the old register showed at last.
    #[arg(long, value_name = "NUMBER")]
    old_reading: f64,
    /// What the new one showed at first.
    #[arg(long, value_name = "NUMBER")]
    new_reading: f64,
}

#[derive(clap::Args)]
struct Correct {
    #[command(flatten)]
    common: Common,
    /// The beginning: a full quarter-hour.
    #[arg(long, value_name = "TIME")]
    from: String,
    /// The end, at most 32 days later.
    #[arg(long, value_name = "TIME")]
    to: String,
    /// What went through it, spread evenly.
    #[arg(long, value_name = "NUMBER", required_unless_present = "withdraw")]
    amount: Option<f64>,
    /// It is not known: what was recorded does not count.
    #[arg(long, conflicts_with = "amount")]
    withdraw: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Swap(swap) => exchange(swap)?,
        Command::Correct(correct) => enter_amount(correct)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn exchange(Swap { common, at, old_reading, new_reading }: &Swap) -> anyhow::Result<()> {
    let books = Books::open(&common.desk)?;
    let meter = books.meter(&common.meter)?;
    let at: DateTime<Utc> = books.instant(at)?;
    let rows = books.rows(&common.meter, at - CORRECTION_AT_MOST, at + CORRECTION_AT_MOST)?;
    let exchange = Exchange { at, old: *old_reading, new: *new_reading };
    let (amounts, [first, last]) = amend::of_exchange(meter, &rows, exchange)?;
    let readings = [Some(first), Some(last)];
    let entry = Entry { meter: common.meter.clone(), amounts, readings };
    books.enter(vec![entry], (Cause::Swap, &common.reason), common.dry_run)
}

fn enter_amount(Correct { common, from, to, amount, .. }: &Correct) -> anyhow::Result<()> {
    let books = Books::open(&common.desk)?;
    books.meter(&common.meter)?;
    let amounts = amend::of_amount(books.instant(from)?, books.instant(to)?, *amount)?;
    let entry = Entry { meter: common.meter.clone(), amounts, readings: [None, None] };
    books.enter(vec![entry], (Cause::Manual, &common.reason), common.dry_run)
}
