//! The files that a report is written to.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use reports::{compliance::Compliance, language::Language, render};
use rules::{
    book::{self, Entry, Line, Posting},
    calendar::Span,
    ratio::Period,
};

use super::recorded::Recorded;

/// What can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// One self-contained file, also to be printed.
    Html,
    /// Everything for machines, in a versioned schema.
    Json,
    /// The figures as a table: section, name, key, value, unit.
    Csv,
    /// Every quarter-hour of every meter with its two register readings, as CSV: what the figures come from.
    Registers,
}

/// Files in the making.
pub(super) struct Written {
    out: PathBuf,
    stem: String,
    formats: Vec<Format>,
    languages: Vec<Language>,
    registers: Option<Registers>,
}

/// Rows go to the file as they are read: those of a year of a large site are not held at once.
struct Registers {
    path: PathBuf,
    file: BufWriter<File>,
    span: Span,
    context: book::Context,
}

impl Written {
    pub(super) fn new(
        out: &Path,
        recorded: &Recorded,
        formats: &[Format],
        languages: &[Language],
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(out).with_context(|| format!("failed to make {}", out.display()))?;
        let stem = stem(&recorded.held.catalog.site.id, recorded.period);
        let registers = if formats.contains(&Format::Registers) {
            Some(Registers::create(out.join(format!("{stem}.registers.csv")), recorded.span)?)
        } else {
            None
        };
        Ok(Self {
            out: out.to_owned(),
            stem,
            formats: formats.to_vec(),
            languages: languages.to_vec(),
            registers,
        })
    }

    /// A line of the ledger that the report rests on.
    pub(super) fn take(&mut self, line: &Line) -> anyhow::Result<()> {
        self.registers.as_mut().map_or(Ok(()), |registers| registers.take(line))
    }

    /// Writes the rest and gives the paths of all.
    pub(super) fn finish(mut self, answer: &Compliance) -> anyhow::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for format in std::mem::take(&mut self.formats) {
            match format {
                Format::Html => {
                    for language in &self.languages {
                        let ending = format!("{}html", infix(*language));
                        paths.push(self.put(&ending, &render::html(answer, *language))?);
                    }
                }
                Format::Json => paths.push(self.put("json", &render::json(answer)?)?),
                Format::Csv => paths.push(self.put("csv", &render::csv(answer))?),
                Format::Registers => {
                    let finished = self.registers.take().map(Registers::finish).transpose()?;
                    paths.extend(finished);
                }
            }
        }
        Ok(paths)
    }

    fn put(&self, ending: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.out.join(format!("{}.{ending}", self.stem));
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        Ok(path)
    }
}

impl Registers {
    fn create(path: PathBuf, span: Span) -> anyhow::Result<Self> {
        let file = File::create(&path);
        let file = file.with_context(|| format!("failed to write {}", path.display()))?;
        let mut registers =
            Self { path, file: BufWriter::new(file), span, context: book::Context::default() };
        registers.write(&render::registers_csv(&[], true))?;
        Ok(registers)
    }

    fn take(&mut self, line: &Line) -> anyhow::Result<()> {
        let rows = self.context.rows(line)?;
        let rows: Vec<_> = rows
            .into_iter()
            .filter(|found| found.standing.counts() && self.span.contains(found.row.start))
            .map(|found| found.row)
            .collect();
        self.write(&render::registers_csv(&rows, false))?;
        match &line.entry {
            Entry::Posting(Posting::Correction(correction)) => {
                self.write(&render::corrections_csv(correction, self.span))
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, text: &str) -> anyhow::Result<()> {
        let failed = || format!("failed to write {}", self.path.display());
        self.file.write_all(text.as_bytes()).with_context(failed)
    }

    fn finish(mut self) -> anyhow::Result<PathBuf> {
        self.file.flush().with_context(|| format!("failed to write {}", self.path.display()))?;
        Ok(self.path)
    }
}

/// English has no mark of its own: `hall-1-2026-10.html` beside `hall-1-2026-10.zh-CN.html`.
fn infix(language: Language) -> String {
    match language {
        Language::English => String::new(),
        Language::Chinese => format!("{}.", language.tag()),
    }
}

/// `hall-1-2026-10`, `hall-1-2026`, or with both days where the period is neither month nor calendar year.
pub(super) fn stem(site: &str, period: Period) -> String {
    let (first, last) = (period.first(), period.last());
    let days = if period == Period::month_of(first) {
        first.format("%Y-%m").to_string()
    } else if period.is_calendar_year() {
        first.format("%Y").to_string()
    } else {
        format!("{first}-to-{last}")
    };
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    format!("{}-{days}", site.chars().map(plain).collect::<String>())
}
