//! `coldwatch rules`: rule tests and replays, on a virtual clock with the engine that also runs live.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use ::rules::{
    language::RuleFault,
    replay::{Bench, BenchPoint, Line, Outcome},
    rule::RuleSpec,
};
use anyhow::{Context, bail};
use clap::Subcommand;
use configs::{fault::Fault, rule_file, rule_test};

use super::files;

/// Test alarm rules, or play a recorded trace through them
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  coldwatch rules test rules/cdu.test.toml
  coldwatch rules replay --rules rules/cdu.toml --trace monday.jsonl --json

A trace has one JSON object a line: {\"t\":10,\"point\":\"ts\",\"v\":45.2}, {\"t\":20,\"point\":\"ts\",\"q\":\"bad\"},
{\"t\":15.5,\"op\":\"ack\",\"alarm\":\"HI\",\"occ\":1,\"by\":\"li\"}, {\"t\":60,\"op\":\"reset\",\"alarm\":\"HI\",\"by\":\"li\"},
{\"t\":120,\"op\":\"clock_step\",\"delta\":-3600}.
The points are declared in the rule file: [points.ts] unit = \"°C\", stale_after = \"10 s\", published = false.

Exit codes: 0 all tests passed, or the trace was played; 1 failed; 2 wrong usage.";

#[derive(Subcommand)]
enum Command {
    /// Run the tests of NAME.test.toml files
    Test {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Play a trace and print every transition
    Replay {
        /// Rule files, with the points that the trace speaks of
        #[arg(long, required = true, value_name = "FILE")]
        rules: Vec<PathBuf>,
        /// The trace, one JSON object a line
        #[arg(long, value_name = "FILE")]
        trace: PathBuf,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Test { files } => test(files),
        Command::Replay { rules, trace, json } => replay(rules, trace, *json),
    }
}

fn test(paths: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let (mut text, mut passed, mut failed) = (String::new(), 0, 0);
    for path in paths {
        let source = files::source(path)?;
        let tests = rule_test::read(&source).map_err(told)?;
        let beside = path.parent().unwrap_or(Path::new("."));
        let named: Vec<PathBuf> =
            tests.rules.iter().map(|name| beside.join(name.get_ref())).collect();
        let (mut rules, points) = load(&named)?;
        let verdicts = match &tests.site {
            None => tests.run(&source, || Bench::new(&rules, &points)),
            Some(site) => {
                let site = files::load_site(&beside.join(site.get_ref()))?;
                if tests.rules.is_empty() {
                    rules = site.rules;
                }
                let plan = ::rules::metrics::plan(site.plant)?;
                tests.run(&source, || Bench::of_site(&rules, plan.clone()))
            }
        };
        for verdict in verdicts.map_err(told)? {
            if verdict.differences.is_empty() {
                passed += 1;
                continue;
            }
            failed += 1;
            writeln!(text, "failed: {}: {}", path.display(), verdict.name)?;
            for difference in verdict.differences {
                writeln!(text, "  {difference}")?;
            }
        }
    }
    writeln!(text, "{passed} passed, {failed} failed")?;
    super::print(&text)?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn replay(rules: &[PathBuf], trace: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let (rules, points) = load(rules)?;
    for rule in rules.iter().filter(|rule| rule.each.is_some()) {
        // When stderr is closed there is nobody left to tell.
        let _ = writeln!(
            io::stderr(),
            "note: {} watches assets of a site, of which a replay has none",
            rule.id
        );
    }
    let lines = read_trace(trace)?;
    let bench = Bench::new(&rules, &points).map_err(|faults| {
        let one = |fault: &RuleFault| {
            format!("\n  rule \"{}\": {}: {}", fault.rule, fault.message, fault.remedy)
        };
        anyhow::anyhow!(
            "the rules do not fit their points{}",
            faults.iter().map(one).collect::<String>()
        )
    })?;
    let outcomes = bench.play(&lines, 0.0).map_err(|faults| {
        let one = |(line, why): &(usize, _)| format!("\n  {}:{}: {why}", trace.display(), line + 1);
        anyhow::anyhow!("the trace cannot be played{}", faults.iter().map(one).collect::<String>())
    })?;
    let mut text = String::new();
    for outcome in &outcomes {
        if json {
            text.push_str(&serde_json::to_string(outcome)?);
            text.push('\n');
        } else {
            writeln!(text, "{}", sentence(outcome))?;
        }
    }
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn sentence(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Moved { t, alarm, from, to, cause, occ, annunciate } => {
            let bell = if *annunciate { ", annunciated" } else { "" };
            format!("{t} s  {alarm}  {from} → {to}  {cause}, occurrence {occ}{bell}")
        }
        Outcome::Rejected { t, alarm, reject, why } => {
            format!("{t} s  {alarm}  {reject} refused: {why}")
        }
    }
}

/// Every line of a trace by its place in the file; empty lines are not allowed, so that places stay true.
fn read_trace(path: &Path) -> anyhow::Result<Vec<Line>> {
    let file = File::open(path).with_context(|| format!("failed to read {}", path.display()))?;
    let (mut lines, mut faults) = (Vec::new(), String::new());
    for (number, text) in (1..).zip(BufReader::new(file).lines()) {
        let text = text.with_context(|| format!("failed to read {}", path.display()))?;
        match serde_json::from_str(&text) {
            Ok(line) => lines.push(line),
            Err(error) => write!(faults, "\n  {}:{number}: {error}", path.display())?,
        }
    }
    if faults.is_empty() { Ok(lines) } else { bail!("the trace cannot be read{faults}") }
}

fn load(paths: &[PathBuf]) -> anyhow::Result<(Vec<RuleSpec>, Vec<BenchPoint>)> {
    let (mut rules, mut points, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        match rule_file::read_with_points(&files::source(path)?) {
            Ok((found, declared)) => {
                rules.extend(found);
                points.extend(declared);
            }
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() { Ok((rules, points)) } else { Err(told(faults)) }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands behind map_err")]
fn told(faults: Vec<Fault>) -> anyhow::Error {
    anyhow::anyhow!("the files have faults\n{}", files::explain(&faults))
}
