//! `coldwatch report`: what a period's ledger proves.

mod diff;
mod recorded;
mod sealed;
mod verify;
mod written;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow, bail};
use chrono::{NaiveDate, Utc};
use configs::{fault::Source, library::Library, limits_file, secret, site_file::read_site};
use reports::{language::Language, render};
use rules::{
    calendar::Zone,
    limits::Regulation,
    plant::{Detail, Plant},
    ratio::Period,
};

use self::{
    recorded::Recorded,
    sealed::Sealing,
    written::{Format, Written},
};
use super::{desk::Clerk, files};

/// The method that is followed where neither the command nor the site file names one.
const METHOD: &str = "iso-iec-30134-2";

/// Facility and IT energy of a period, their ratio under its standard name, how it stands to limits, and everything that
/// an auditor asks about it, from the ledger.
///
/// Writes one file per format and language and prints its path. A figure that the data do not carry is refused: the
/// report says why, and so does a line on stderr; the exit code is 0 all the same.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  coldwatch report --data /var/lib/coldwatch                      the last month that is over
  coldwatch report --data DIR --year 2026 --lang en,zh-CN         a calendar year, in two languages
  coldwatch report --data DIR --year-to 2026-10                   the twelve months to the end of October
  coldwatch report --site site.toml --from 2026-01-01 --to 2026-06-30 --format json --out reports
  coldwatch report --data DIR --month 2026-10 --method iso-iec-30134-2,gb-40879-2021,cn-targets
  coldwatch report --data DIR --year 2026 --seal                  also as one signed file that anybody can check
  coldwatch report verify hall-1-2026.sealed.zip --key KEY        check such a file, on any machine
  coldwatch report diff hall-1-2026-09.json hall-1-2026-10.json   what differs between two reports

Days are those of the site's time zone, the last one included. It may run beside the gateway. Methods and limits are
files: `coldwatch check` lists faults of your own, which lie in limits/ beside the site file."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    asked: Asked,
    /// What to write.
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        value_delimiter = ',',
        default_value = "html,json"
    )]
    format: Vec<Format>,
    /// Languages of what is written for people: en, zh-CN.
    #[arg(long, value_name = "LANG", value_parser = language, value_delimiter = ',', default_value = "en")]
    lang: Vec<Language>,
    /// Where to write it; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Also write everything that it was computed from, signed with the gateway's key: a file that anybody can check with
    /// `report verify`. What the ledger gets for the period afterwards is a correction.
    #[arg(long)]
    seal: bool,
    #[command(flatten, next_help_heading = "Sealing")]
    clerk: Clerk,
}

#[derive(clap::Subcommand)]
enum Command {
    Verify(verify::Args),
    Diff(diff::Args),
}

/// A text that is followed or judged by.
struct Text {
    source: Source,
    regulation: Regulation,
}

/// Which data, which period, by which rules.
#[derive(clap::Args)]
struct Asked {
    /// The gateway's data directory.
    #[arg(long, value_name = "DIR", required_unless_present = "site")]
    data: Option<PathBuf>,
    /// The site file, for the data directory that it names under storage, and the limits files beside it.
    #[arg(long, value_name = "FILE")]
    site: Option<PathBuf>,
    /// A calendar month. Without any period: the last one that is over.
    #[arg(long, value_name = "YYYY-MM", value_parser = month, conflicts_with_all = ["year", "year_to", "from", "to"])]
    month: Option<Period>,
    /// A calendar year.
    #[arg(long, value_name = "YYYY", value_parser = year, conflicts_with_all = ["year_to", "from", "to"])]
    year: Option<Period>,
    /// The twelve months that end with this one.
    #[arg(long, value_name = "YYYY-MM", value_parser = month, conflicts_with_all = ["from", "to"])]
    year_to: Option<Period>,
    /// The first day.
    #[arg(long, value_name = "DATE", requires = "to")]
    from: Option<NaiveDate>,
    /// The last day; at most 12 months after the first.
    #[arg(long, value_name = "DATE", requires = "from")]
    to: Option<NaiveDate>,
    /// Limits files to follow and judge by, the main method first; else those of the site file, else ISO/IEC 30134-2.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    method: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Some(Command::Verify(args)) => verify::run(args),
        Some(Command::Diff(args)) => diff::run(args),
        None => report(args),
    }
}

fn report(args: &Args) -> anyhow::Result<ExitCode> {
    let asked = &args.asked;
    let library = asked.library()?;
    let dir = asked.directory(&library)?;
    let failed = || format!("failed to report from {}", dir.display());
    let period = asked.period()?;
    let recorded = Recorded::open(&dir, |zone| period.map_or_else(|| last_month(zone), Ok))
        .with_context(failed)?;
    let texts = asked.regulations(&library, &recorded.held.catalog.plant)?;
    let now = Utc::now();
    let seal = args
        .seal
        .then(|| Sealing::prepare(&recorded, &args.clerk, (&args.out, now)))
        .transpose()?;
    let mut written = Written::new(&args.out, &recorded, &args.format, &args.lang)?;
    let answer = recorded.answer(&texts, now, |line| written.take(line)).with_context(failed)?;
    let mut paths = written.finish(&answer)?;
    if let Some(sealing) = seal {
        paths.push(sealing.seal(&texts, &answer, &args.lang)?);
    }
    for refusal in answer.figure().refusals.iter().take(render::REFUSALS_SHOWN) {
        // When stderr is closed there is nobody left to warn.
        let text = refusal.text(Language::English);
        let _ = writeln!(io::stderr(), "coldwatch: not reported: {text}");
    }
    let lines: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    super::print(&(lines.join("\n") + "\n"))?;
    Ok(ExitCode::SUCCESS)
}

impl Asked {
    /// The shipped files, and those beside the site file.
    fn library(&self) -> anyhow::Result<Library> {
        self.site.as_deref().map_or_else(|| Ok(Library::shipped()), files::library_beside)
    }

    fn directory(&self, library: &Library) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.data {
            return Ok(dir.clone());
        }
        let path = self.site.as_deref().context("give --data or --site")?;
        directory_of(path, library)
    }

    /// `None` where none is asked for.
    fn period(&self) -> anyhow::Result<Option<Period>> {
        if let Some(month) = self.year_to {
            let year = Period::year_to(month.last()).context("the calendar has no such year")?;
            return Ok(Some(year));
        }
        if let (Some(from), Some(to)) = (self.from, self.to) {
            return Ok(Some(Period::new(from, to)?));
        }
        Ok(self.month.or(self.year))
    }

    /// The texts to follow: those that are asked for, else those that the site declares.
    fn regulations(&self, library: &Library, plant: &Plant) -> anyhow::Result<Vec<Text>> {
        let declared = plant.assets().iter().find_map(|asset| match &asset.detail {
            Detail::Site(record) => Some(record.regulations.iter().map(ToString::to_string)),
            _ => None,
        });
        let mut names = self.method.clone();
        if names.is_empty() {
            names.extend(declared.into_iter().flatten());
        }
        let mut read = read_regulations(library, &names)?;
        if !read.iter().any(|text| text.regulation.method.is_some()) {
            let main = read_regulations(library, &[METHOD.to_owned()])?;
            read.splice(0..0, main);
        }
        Ok(read)
    }
}

fn read_regulations(library: &Library, names: &[String]) -> anyhow::Result<Vec<Text>> {
    let read = |name: &String| {
        let Some(source) = library.limits(name) else {
            let known: Vec<&str> = library.limits_names().collect();
            bail!(
                "there is no limits file \"{name}\": known are {}; your own lie in limits/ beside the site file, which \
                 --site names",
                known.join(", ")
            );
        };
        let regulation = limits_file::read(source).map_err(|faults| {
            anyhow!("{} cannot be used\n{}", source.name, files::explain(&faults))
        })?;
        Ok(Text { source: source.clone(), regulation })
    };
    names.iter().map(read).collect()
}

fn directory_of(path: &Path, library: &Library) -> anyhow::Result<PathBuf> {
    let source = files::source(path)?;
    // Nobody is connected to, so no secret is needed.
    let site = read_site(&source, library, &secret::unresolved).map_err(|faults| {
        anyhow!("{} cannot be used\n{}", path.display(), files::explain(&faults))
    })?;
    site.storage.directory.with_context(|| {
        format!("{} names no data directory under [storage]: give --data", path.display())
    })
}

/// The last one that is over by the site's clocks.
fn last_month(zone: Zone) -> anyhow::Result<Period> {
    let this = Period::month_of(zone.local(Utc::now()).date());
    Ok(Period::month_of(this.first().pred_opt().context("the calendar has no month before")?))
}

/// `2026-10`.
fn month(text: &str) -> Result<Period, String> {
    let first = format!("{text}-01").parse::<NaiveDate>();
    first.map(Period::month_of).map_err(|_| "expected year and month, such as 2026-10".to_owned())
}

/// `2026`.
fn year(text: &str) -> Result<Period, String> {
    let year = text.parse().ok().filter(|_| text.len() == 4).and_then(Period::year);
    year.ok_or_else(|| "expected a year, such as 2026".to_owned())
}

fn language(text: &str) -> Result<Language, String> {
    let known = Language::ALL.into_iter().find(|language| language.tag() == text);
    known.ok_or_else(|| "expected en or zh-CN".to_owned())
}
