//! `coldwatch check`: every fault of configuration files, with its place and what to do about it.

use std::{
    env,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
};

use configs::{
    check::{Contents, check, count},
    fault::{Fault, Source},
    library::Library,
    render::{self, FaultView},
};
use serde::Serialize;

use super::files;

/// Report every fault of site, profile and rule files, with its place and what to do about it.
///
/// A site is checked with the profiles and rule files that it names: those in profiles/ and rules/ beside it, and those
/// that ship with coldwatch. Nothing is contacted and no secret is read.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Site, profile and rule files; which one each is shows in its tables.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  coldwatch check site.toml
  coldwatch check site.toml profiles/*.toml rules/*.toml
  coldwatch check --json site.toml | jq '.files[].faults[]'

Exit code: 0 no fault, 1 faults or an unreadable file, 2 used wrongly.";

/// Version of the JSON document.
const SCHEMA: u32 = 1;

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let checked: Vec<Checked> = args.files.iter().map(|path| check_file(path)).collect();
    let sound = checked.iter().all(Checked::is_sound);
    super::print(&if args.json { document(&checked)? } else { text(&checked) })?;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was found in one file.
struct Checked {
    file: String,
    outcome: Outcome,
}

enum Outcome {
    Sound(Contents),
    Faulty(Vec<Fault>),
    Unreadable(String),
}

impl Checked {
    fn is_sound(&self) -> bool {
        matches!(self.outcome, Outcome::Sound(_))
    }

    fn faults(&self) -> usize {
        match &self.outcome {
            Outcome::Sound(_) => 0,
            Outcome::Faulty(faults) => faults.len(),
            Outcome::Unreadable(_) => 1,
        }
    }

    fn text(&self, styled: bool) -> String {
        match &self.outcome {
            Outcome::Sound(contents) => format!("{}: ok: {contents}\n", self.file),
            Outcome::Faulty(faults) => render::text(faults, styled),
            Outcome::Unreadable(why) => format!("error: {why}\n\n"),
        }
    }
}

fn check_file(path: &Path) -> Checked {
    let read = || anyhow::Ok((files::source(path)?, files::library_beside(path)?));
    let outcome = match read() {
        Ok((source, library)) => outcome(&source, &library),
        Err(error) => Outcome::Unreadable(format!("{error:#}")),
    };
    Checked { file: path.display().to_string(), outcome }
}

fn outcome(source: &Source, library: &Library) -> Outcome {
    match check(source, library) {
        Ok(contents) => Outcome::Sound(contents),
        Err(faults) => Outcome::Faulty(faults),
    }
}

fn text(checked: &[Checked]) -> String {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let styled = io::stdout().is_terminal() && !no_color;
    let mut out: String = checked.iter().map(|checked| checked.text(styled)).collect();
    let wrong = checked.iter().filter(|checked| !checked.is_sound()).count();
    if wrong > 0 {
        let faults = checked.iter().map(Checked::faults).sum();
        out.push_str(&count(faults, "fault"));
        out.push_str(" in ");
        out.push_str(&count(wrong, "file"));
        out.push('\n');
    }
    out
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    sound: bool,
    files: Vec<FileView<'a>>,
}

#[derive(Serialize)]
struct FileView<'a> {
    file: &'a str,
    sound: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    contents: Option<&'a Contents>,
    faults: Vec<FaultView>,
    /// Why the file could not be read at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<&'a str>,
}

impl<'a> From<&'a Checked> for FileView<'a> {
    fn from(checked: &'a Checked) -> Self {
        let mut view = Self {
            file: &checked.file,
            sound: checked.is_sound(),
            contents: None,
            faults: Vec::new(),
            unreadable: None,
        };
        match &checked.outcome {
            Outcome::Sound(contents) => view.contents = Some(contents),
            Outcome::Faulty(faults) => view.faults = faults.iter().map(FaultView::from).collect(),
            Outcome::Unreadable(why) => view.unreadable = Some(why),
        }
        view
    }
}

fn document(checked: &[Checked]) -> anyhow::Result<String> {
    let files = checked.iter().map(FileView::from).collect();
    let document = Document { schema: SCHEMA, sound: checked.iter().all(Checked::is_sound), files };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
