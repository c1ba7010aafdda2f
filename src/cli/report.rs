//! `coldwatch report`: what a period's ledger proves.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, anyhow, bail, ensure};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use configs::{secret, site_file::read_site};
use reports::{
    compliance::{Audit, Compliance, Operator, Question},
    render,
};
use rules::{
    calendar::{Span, Zone},
    ratio::Period,
};
use store::{Reader, record::Catalog};

use super::files;

/// Facility and IT energy of a period, their ratio under its standard name, coverage and density, from the ledger.
///
/// Writes one file per format and prints its path. A figure that the data do not carry is refused: the report says why,
/// and so does a line on stderr; the exit code is 0 all the same.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  coldwatch report --data /var/lib/coldwatch --month 2026-10
  coldwatch report --site site.toml --from 2026-01-01 --to 2026-06-30 --format json --out reports

Days are those of the site's time zone, the last one included. It may run beside the gateway.")]
pub(crate) struct Args {
    /// The gateway's data directory.
    #[arg(long, value_name = "DIR", required_unless_present = "site")]
    data: Option<PathBuf>,
    /// The site file, for the data directory that it names under storage.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    site: Option<PathBuf>,
    /// A calendar month.
    #[arg(long, value_name = "YYYY-MM", value_parser = month, required_unless_present = "from", conflicts_with_all = ["from", "to"])]
    month: Option<Period>,
    /// The first day.
    #[arg(long, value_name = "DATE", requires = "to")]
    from: Option<NaiveDate>,
    /// The last day; at most 12 months after the first.
    #[arg(long, value_name = "DATE", requires = "from")]
    to: Option<NaiveDate>,
    /// What to write.
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        value_delimiter = ',',
        default_value = "html,json"
    )]
    format: Vec<Format>,
    /// Where to write it; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Who operates the data centre, as printed at the head.
    #[arg(long, value_name = "TEXT")]
    operator_name: Option<String>,
    /// Its address.
    #[arg(long, value_name = "TEXT")]
    operator_address: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One self-contained file, also to be printed.
    Html,
    /// The same for machines.
    Json,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let period = match (args.month, args.from, args.to) {
        (Some(month), ..) => month,
        (None, Some(from), Some(to)) => Period::new(from, to)?,
        _ => bail!("give --month, or --from and --to"),
    };
    let dir = data_directory(args)?;
    let answer = answer(args, &dir, period)
        .with_context(|| format!("failed to report from {}", dir.display()))?;
    fs::create_dir_all(&args.out)
        .with_context(|| format!("failed to make {}", args.out.display()))?;
    let mut written = String::new();
    for format in &args.format {
        let (ending, text) = match format {
            Format::Html => ("html", render::html(&answer)),
            Format::Json => ("json", render::json(&answer)?),
        };
        let path = args.out.join(format!("{}.{ending}", stem(&answer)));
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        // Writing to a string cannot fail.
        let _ = writeln!(written, "{}", path.display());
    }
    for refusal in answer.figure.refusals.iter().take(render::REFUSALS_SHOWN) {
        // When stderr is closed there is nobody left to warn.
        let _ = writeln!(io::stderr(), "coldwatch: not reported: {}", refusal.text);
    }
    super::print(&written)?;
    Ok(ExitCode::SUCCESS)
}

/// `2026-10`.
fn month(text: &str) -> Result<Period, String> {
    let first = format!("{text}-01").parse::<NaiveDate>();
    first.map(Period::month_of).map_err(|_| "expected year and month, such as 2026-10".to_owned())
}

fn data_directory(args: &Args) -> anyhow::Result<PathBuf> {
    let Some(path) = &args.site else {
        return args.data.clone().context("give --data or --site");
    };
    let (source, library) = (files::source(path)?, files::library_beside(path)?);
    // Nobody is connected to, so no secret is needed.
    let site = read_site(&source, &library, &secret::unresolved).map_err(|faults| {
        anyhow!("{} cannot be used\n{}", path.display(), files::explain(&faults))
    })?;
    site.storage.directory.with_context(|| {
        format!("{} names no data directory under [storage]: give --data", path.display())
    })
}

fn answer(args: &Args, dir: &Path, period: Period) -> anyhow::Result<Compliance> {
    ensure!(dir.is_dir(), "there is no such directory");
    let reader = Reader::open(dir)?;
    let newest = reader.catalog()?.context("nothing was recorded there yet")?;
    let span = newest.site.time_zone.parse::<Zone>()?.span(period);
    let (catalog, plant_changes) = catalog_of(&reader, span, newest)?;
    let question = Question {
        site: &catalog.site,
        plant: &catalog.plant,
        period,
        asked_at: Utc::now(),
        version: env!("CARGO_PKG_VERSION"),
        operator: Operator {
            name: args.operator_name.clone(),
            address: args.operator_address.clone(),
        },
        plant_changes,
    };
    let mut audit = Audit::new(question)?;
    let (mut from, to) = (span.from, span.to);
    // In slices: the rows of a year of a large site are not needed at once.
    while from < to {
        let until = to.min(from + TimeDelta::days(14));
        reader.ledger(from, until)?.iter().for_each(|row| audit.take(row));
        from = until;
    }
    Ok(audit.finish())
}

/// The last catalog that held in the period, and when another plant came into force within it.
fn catalog_of(
    reader: &Reader,
    span: Span,
    newest: Arc<Catalog>,
) -> anyhow::Result<(Arc<Catalog>, Vec<DateTime<Utc>>)> {
    let held = reader.catalogs(span.from, span.to)?;
    let differing = held.windows(2).filter(|pair| pair[0].catalog.plant != pair[1].catalog.plant);
    let changes = differing.filter_map(|pair| pair[1].since).collect();
    let last = held.into_iter().next_back().map_or(newest, |held| held.catalog);
    Ok((last, changes))
}

/// `hall-1-2026-10`, or with both days where the period is no month.
fn stem(answer: &Compliance) -> String {
    let period = &answer.period;
    let month = Period::month_of(period.first);
    let days = if (month.first(), month.last()) == (period.first, period.last) {
        period.first.format("%Y-%m").to_string()
    } else {
        format!("{}-to-{}", period.first, period.last)
    };
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    format!("{}-{days}", answer.site.id.chars().map(plain).collect::<String>())
}
