//! `coldwatch calc`: the engine's formulas on the command line.
//!
//! Every formula of the catalogue is a subcommand with its own options, so that help, completion and the hint after a
//! mistyped name come from the command line's own library.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufReader, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, error::ErrorKind, value_parser};
use rules::calc::{self, Answer, Arguments, Figure, Formula, Input, Kind, Need};
use serde_json::{Map, Value, json};

/// Exit code of a question that was not put well. An undefined answer is an answer.
const USAGE: u8 = 2;
/// Place in the help of an option that every formula has.
const LAST: usize = 900;
/// Digits that are shown to people; machines get all.
const SHOWN_DIGITS: i32 = 7;

/// What was asked.
pub(crate) struct Args {
    question: Question,
    json: bool,
}

enum Question {
    List,
    Formula { formula: &'static Formula, arguments: Arguments, file: Option<PathBuf> },
}

impl clap::Args for Args {
    fn augment_args(command: Command) -> Command {
        command
            .about("Put numbers into the engine's formulas")
            .after_help(
                "Numbers are in the unit that the option's name ends in; any other unit may be written: \
                 --flow-lpm \"500 gpm\".\n\n\
                 Example: coldwatch calc heat --fluid apg:0.25 --flow-lpm 120 --supply-c 32 --return-c 46\n\n\
                 Exit codes: 0 answered, also when the answer is undefined; 1 failed; 2 wrong usage.",
            )
            .arg_required_else_help(true)
            .subcommand_value_name("NAME")
            .subcommand_help_heading("Formulas")
            .disable_help_subcommand(true)
            .arg(flag("list", "List all formulas with their inputs and answers"))
            .arg(flag("json", "Answer in JSON").global(true).display_order(LAST))
            .subcommands(calc::catalog().map(subcommand))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn subcommand(formula: &'static Formula) -> Command {
    let outputs = formula.outputs.iter().map(|output| match output.unit {
        Some(unit) if unit != "1" => format!("  {} in {unit}\n", output.name),
        _ => format!("  {}\n", output.name),
    });
    let command = Command::new(formula.name)
        .about(formula.help)
        .after_help(format!(
            "Answers:\n{}\nExample: coldwatch calc {} {}",
            outputs.collect::<String>(),
            formula.name,
            formula.example
        ))
        .args(formula.inputs.iter().map(option));
    match formula.file {
        Some(contents) => command.arg(
            Arg::new("input")
                .long("input")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .required(true)
                .help(contents),
        ),
        None => command,
    }
}

fn option(input: &'static Input) -> Arg {
    let option = Arg::new(input.name)
        .long(input.name)
        .help(help(input))
        .value_name(placeholder(input.kind))
        // A temperature may be negative.
        .allow_hyphen_values(matches!(input.kind, Kind::Quantity(_) | Kind::Quantities(_)))
        .required(input.need == Need::Required);
    match input.kind {
        Kind::Choice(words) => option.value_parser(words.to_vec()),
        Kind::Quantity(_) | Kind::Quantities(_) | Kind::Coolant | Kind::Period | Kind::Text => {
            option
        }
    }
}

fn help(input: &Input) -> String {
    match input.need {
        Need::Default(default) => format!("{} [default: {default}]", input.help),
        Need::Required | Need::Optional => input.help.to_owned(),
    }
}

fn placeholder(kind: Kind) -> &'static str {
    match kind {
        Kind::Quantity("1") => "NUMBER",
        Kind::Quantities("1") => "NUMBER,…",
        Kind::Quantity(unit) => unit,
        Kind::Quantities(_) => "LIST",
        Kind::Coolant => "COOLANT",
        Kind::Choice(_) => "WORD",
        Kind::Period => "FIRST:LAST",
        Kind::Text => "TEXT",
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let json = matches.get_flag("json");
        let question = match matches.subcommand() {
            Some((name, given)) => question(name, given)?,
            None if matches.get_flag("list") => Question::List,
            None => return Err(clap::Error::raw(ErrorKind::MissingSubcommand, "which formula?\n")),
        };
        Ok(Self { question, json })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn question(name: &str, given: &ArgMatches) -> Result<Question, clap::Error> {
    let formula = calc::find(name)
        .ok_or_else(|| clap::Error::raw(ErrorKind::InvalidSubcommand, "no such formula\n"))?;
    let mut arguments = Arguments::default();
    for input in formula.inputs {
        if let Some(text) = given.get_one::<String>(input.name) {
            arguments.insert(input.name, text);
        }
    }
    let file = formula.file.and_then(|_| given.get_one::<PathBuf>("input")).cloned();
    Ok(Question::Formula { formula, arguments, file })
}

/// Answers on stdout; what is wrong with an argument on stderr.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (formula, mut arguments, file) = match args.question {
        Question::List => {
            super::print(&if args.json { list_json() } else { list() })?;
            return Ok(ExitCode::SUCCESS);
        }
        Question::Formula { formula, arguments, file } => (formula, arguments, file),
    };
    if let Some(path) = file {
        arguments.set_file(read(&path)?);
    }
    match formula.evaluate(&arguments) {
        Ok(answers) => {
            super::print(&if args.json { json(&answers) } else { table(&answers) })?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let help = format!("coldwatch calc {} --help", formula.name);
            writeln!(io::stderr(), "error: {error}\n\nFor more information, try '{help}'.")?;
            Ok(ExitCode::from(USAGE))
        }
    }
}

fn read(path: &Path) -> anyhow::Result<calc::InputFile> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    serde_json::from_reader(BufReader::new(file))
        .with_context(|| format!("cannot understand {}", path.display()))
}

fn list() -> String {
    let width = calc::catalog().map(|formula| formula.name.len()).max().unwrap_or(0);
    let lines: Vec<String> = calc::catalog()
        .map(|formula| format!("{:width$}  {}\n", formula.name, formula.help))
        .collect();
    lines.concat()
}

fn list_json() -> String {
    let formulas: Vec<Value> = calc::catalog().map(describe).collect();
    format!("{}\n", json!({ "formulas": formulas }))
}

fn describe(formula: &Formula) -> Value {
    let inputs = formula.inputs.iter().map(|input| {
        let unit = match input.kind {
            Kind::Quantity(unit) | Kind::Quantities(unit) => Some(unit),
            Kind::Coolant | Kind::Choice(_) | Kind::Period | Kind::Text => None,
        };
        let default = match input.need {
            Need::Default(default) => Some(default),
            Need::Required | Need::Optional => None,
        };
        json!({
            "name": input.name,
            "help": input.help,
            "unit": unit,
            "required": input.need == Need::Required,
            "default": default,
        })
    });
    let outputs =
        formula.outputs.iter().map(|output| json!({ "name": output.name, "unit": output.unit }));
    json!({
        "name": formula.name,
        "help": formula.help,
        "example": formula.example,
        "file": formula.file,
        "inputs": inputs.collect::<Vec<_>>(),
        "outputs": outputs.collect::<Vec<_>>(),
    })
}

fn json(answers: &[Answer]) -> String {
    let mut values = Map::new();
    for answer in answers {
        let value = match &answer.value {
            Ok(Figure::Number(number)) => json!({ "value": number, "unit": answer.unit }),
            Ok(Figure::Word(word)) => json!({ "value": word, "unit": answer.unit }),
            Err(reason) => json!({ "value": null, "reason": reason.to_string() }),
        };
        values.insert(answer.name.to_string(), value);
    }
    format!("{}\n", json!({ "values": values }))
}

fn table(answers: &[Answer]) -> String {
    let width = answers.iter().map(|answer| answer.name.chars().count()).max().unwrap_or(0);
    let mut table = String::new();
    for Answer { name, unit, value } in answers {
        let unit = unit.filter(|unit| *unit != "1").unwrap_or_default();
        let answer = match value {
            Ok(Figure::Number(number)) => format!("{} {unit}", shown(*number)),
            Ok(Figure::Word(word)) => (*word).to_owned(),
            Err(reason) => format!("undefined: {reason}"),
        };
        // Writing to a string does not fail.
        let _ = writeln!(table, "{name:width$}  {}", answer.trim_end());
    }
    table
}

/// Seven significant digits, without trailing zeros.
#[expect(clippy::cast_possible_truncation, reason = "a logarithm of a finite number is small")]
fn shown(number: f64) -> String {
    let magnitude = if number == 0.0 { 0 } else { number.abs().log10().floor() as i32 };
    let decimals = usize::try_from((SHOWN_DIGITS - 1 - magnitude).clamp(0, 20)).unwrap_or(0);
    let text = format!("{number:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}
