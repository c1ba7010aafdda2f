//! `coldwatch import`: register readings from a file.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail, ensure};
use rules::{
    book::{Cause, amend},
    ledger::{INTERVAL, RegisterReading},
};

use super::{
    amend::{Books, Entry},
    desk::Desk,
};

/// Import register readings of meters from a CSV file into the ledger.
///
/// For the time before there was a gateway, or for meters that are read by hand. The same checks are made as for what a
/// gateway reads: a rollover is counted; a reading that no power explains, or that is less than the one before, is refused
/// with its place. Of readings more than three quarter-hours apart the total is exact, and its profile is not known.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  coldwatch import readings.csv --data /var/lib/coldwatch --reason 'before the gateway' --dry-run
  coldwatch import - --data DIR --reason 'read by hand' < readings.csv

The file has a header and one reading a line, in the meter's unit (kWh, or m³ of water):
  meter,time,register
  utility-a,2026-01-01T00:00,104512.3
  utility-a,2026-02-01T00:00,139017.8
Times without an offset are those of the site's clocks. Only whole quarter-hours between readings are entered.")]
pub(crate) struct Args {
    /// The file; - for stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Why, for the ledger and the report.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Also where something was recorded already.
    #[arg(long)]
    replace: bool,
    /// Only show what would be entered.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    desk: Desk,
}

/// A line of the file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    meter: String,
    time: String,
    register: f64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let books = Books::open(&args.desk)?;
    let mut entries = Vec::new();
    for (meter, readings) in read(&args.file, &books)? {
        let failed = || format!("the readings of {meter} cannot be imported");
        let declared = books.meter(&meter)?;
        for amounts in amend::of_readings(declared, &readings).with_context(failed)? {
            let end = amounts.start + INTERVAL * i32::try_from(amounts.amounts.len())?;
            let known = books.rows(&meter, amounts.start, end)?;
            if let Some(row) = known.iter().find(|row| row.amount.is_some() && !args.replace) {
                bail!(
                    "something was recorded for {meter} at {}: leave the readings around it out, or use --replace",
                    row.start
                );
            }
            entries.push(Entry { meter: meter.clone(), amounts, readings: ends(&readings) });
        }
    }
    ensure!(!entries.is_empty(), "there is no reading in {}", args.file.display());
    books.enter(entries, (Cause::Import, &args.reason), args.dry_run)?;
    Ok(ExitCode::SUCCESS)
}

fn ends(readings: &[RegisterReading]) -> [Option<RegisterReading>; 2] {
    [readings.first().copied(), readings.last().copied()]
}

/// The readings by meter, oldest first.
fn read(path: &Path, books: &Books<'_>) -> anyhow::Result<BTreeMap<String, Vec<RegisterReading>>> {
    let failed = || format!("failed to read {}", path.display());
    let source: Box<dyn io::Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).with_context(failed)?)
    };
    let mut table = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source);
    let mut found: BTreeMap<String, Vec<RegisterReading>> = BTreeMap::new();
    for (number, line) in (2..).zip(table.deserialize()) {
        let at = || format!("{}, line {number}", path.display());
        let Line { meter, time, register } = line.with_context(at)?;
        books.meter(&meter).with_context(at)?;
        ensure!(register.is_finite() && register >= 0.0, "{}: {register} is no reading", at());
        let reading =
            RegisterReading { at: books.instant(&time).with_context(at)?, value: register };
        found.entry(meter).or_default().push(reading);
    }
    for readings in found.values_mut() {
        readings.sort_by_key(|reading| reading.at);
    }
    Ok(found)
}
