//! Reads rule tests: `NAME.test.toml` with series, operations and the transitions that must follow, and runs them.
//!
//! ```toml
//! rules = ["cdu.toml"]
//! [[test]]
//! name = "a short breach never fires"
//! series = { ts = "42x10 46x3 42x20" }
//! ops = [{ t = 15.5, op = "ack", alarm = "SUP_HI", by = "li" }]
//! expect = [{ t = 35, alarm = "SUP_HI", from = "A", to = "B" }]
//! ```
//!
//! A series gives one value a tick, from tick 0: a number, `bad` for bad quality, `_` for no sample. `42x10` is ten times
//! 42, and `40+0.5x10` ten values that begin with 40 and rise by 0.5 each. `expect` is the whole list: nothing else may
//! happen. A refused operation is expected as `{ t = 16, alarm = "SUP_HI", reject = "ack" }`.
//!
//! With `site = "hall.toml"` the points are those of that site, by their full names, with all figures computed from them;
//! templates then make their alarms, `cdu.supply_hi@cdu-1`. The rules are those named, or else the site's own.

use std::{collections::BTreeMap, fmt, ops::Range};

use rules::{
    alarm::Letter,
    language::RuleFault,
    replay::{Bench, Line, Outcome},
};
use serde::Deserialize;
use toml::Spanned;

use crate::fault::{Fault, Source};

/// A series is not played beyond this many ticks: a day.
const TICKS_MAX: usize = 86_400;

/// The tests of one file.
#[derive(Clone, Debug)]
pub struct RuleTests {
    /// The rule files, relative to the test file, and where they are named.
    pub rules: Vec<Spanned<String>>,
    /// The site file that gives the points, relative to the test file; absent: the rule files declare them.
    pub site: Option<Spanned<String>>,
    tests: Vec<Spanned<RawTest>>,
}

/// How one test went.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub name: String,
    /// What was expected and did not happen, or happened and was not expected. Empty: passed.
    pub differences: Vec<Difference>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    Missing(Happening),
    Unexpected(Happening),
}

/// One line of `expect`, or one that a replay gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    pub t: f64,
    pub alarm: String,
    pub what: HappeningKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HappeningKind {
    Moved(Letter, Letter),
    Rejected(String),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    rules: Vec<Spanned<String>>,
    site: Option<Spanned<String>>,
    #[serde(default)]
    test: Vec<Spanned<RawTest>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTest {
    name: String,
    #[serde(default)]
    series: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    ops: Vec<Spanned<Line>>,
    #[serde(default)]
    expect: Vec<Spanned<RawExpect>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpect {
    t: f64,
    alarm: String,
    from: Option<Letter>,
    to: Option<Letter>,
    reject: Option<String>,
}

/// Reads a test file. The rule files that it names are for the caller to find.
///
/// # Errors
/// The first fault of its form.
pub fn read(source: &Source) -> Result<RuleTests, Vec<Fault>> {
    let raw: RawFile = toml::from_str(&source.text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        vec![fault(
            source,
            span,
            error.message(),
            "see the example of a rule test in the documentation",
        )]
    })?;
    Ok(RuleTests { rules: raw.rules, site: raw.site, tests: raw.test })
}

impl RuleTests {
    /// Runs every test, each on a bench of its own that `bench` makes from the files named.
    ///
    /// # Errors
    /// Faults of the tests themselves: series, operations and expectations that mean nothing.
    pub fn run(
        &self,
        source: &Source,
        bench: impl Fn() -> Result<Bench, Vec<RuleFault>>,
    ) -> Result<Vec<Verdict>, Vec<Fault>> {
        let (mut verdicts, mut faults) = (Vec::new(), Vec::new());
        for test in &self.tests {
            match run_one(source, test, &bench) {
                Ok(verdict) => verdicts.push(verdict),
                Err(found) => faults.extend(found),
            }
        }
        if faults.is_empty() { Ok(verdicts) } else { Err(faults) }
    }
}

fn run_one(
    source: &Source,
    test: &Spanned<RawTest>,
    bench: impl Fn() -> Result<Bench, Vec<RuleFault>>,
) -> Result<Verdict, Vec<Fault>> {
    let raw = test.get_ref();
    let (mut faults, mut ticks) = (Vec::new(), 0);
    let (mut lines, mut places) = (Vec::new(), Vec::new());
    let mut add = |line: Line, place: Range<usize>| {
        lines.push(line);
        places.push(place);
    };
    for (point, series) in &raw.series {
        match expand(series.get_ref()) {
            Ok(values) => {
                ticks = ticks.max(values.len());
                for line in (0_u32..).zip(values).filter_map(|(t, value)| value.line(t, point)) {
                    add(line, series.span());
                }
            }
            Err(word) => faults.push(fault(
                source,
                series.span(),
                &format!("\"{word}\" is no value of a series"),
                "write values such as 42, 42x10, 40+0.5x10, badx5 and _x5, with spaces between",
            )),
        }
    }
    for op in &raw.ops {
        add(op.get_ref().clone(), op.span());
    }
    let expected: Vec<Happening> = raw
        .expect
        .iter()
        .filter_map(|expect| happening(source, expect).map_err(|fault| faults.push(fault)).ok())
        .collect();
    let bench = bench().map_err(|found| {
        let message = |fault: RuleFault| {
            let message =
                format!("rule \"{}\" does not fit its points: {}", fault.rule, fault.message);
            self::fault(source, test.span(), &message, &fault.remedy)
        };
        found.into_iter().map(message).collect::<Vec<_>>()
    })?;
    if !faults.is_empty() {
        return Err(faults);
    }
    let until_s = f64::from(u32::try_from(ticks).unwrap_or(u32::MAX).saturating_sub(1));
    let outcomes = bench.play(&lines, until_s).map_err(|found| {
        let place = |index: usize| places.get(index).cloned().unwrap_or_else(|| test.span());
        let mut faults: Vec<Fault> = found
            .into_iter()
            .map(|(index, why)| {
                let remedy = "declare the point with the rules, and see the trace format";
                fault(source, place(index), &why.to_string(), remedy)
            })
            .collect();
        faults.dedup();
        faults
    })?;
    let happened = outcomes.into_iter().map(Happening::from).collect();
    Ok(Verdict { name: raw.name.clone(), differences: compare(expected, happened) })
}

/// Happenings of one tick have no order among themselves.
fn compare(expected: Vec<Happening>, mut happened: Vec<Happening>) -> Vec<Difference> {
    let mut differences = Vec::new();
    for expected in expected {
        match happened.iter().position(|happened| *happened == expected) {
            Some(at) => drop(happened.remove(at)),
            None => differences.push(Difference::Missing(expected)),
        }
    }
    differences.extend(happened.into_iter().map(Difference::Unexpected));
    differences
}

fn happening(source: &Source, expect: &Spanned<RawExpect>) -> Result<Happening, Fault> {
    let raw = expect.get_ref();
    let what = match (raw.from, raw.to, &raw.reject) {
        (Some(from), Some(to), None) => HappeningKind::Moved(from, to),
        (None, None, Some(op)) => HappeningKind::Rejected(op.clone()),
        _ => {
            return Err(fault(
                source,
                expect.span(),
                "this expects neither a transition nor a refusal",
                "give from and to, or reject",
            ));
        }
    };
    Ok(Happening { t: raw.t, alarm: raw.alarm.clone(), what })
}

/// One value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
enum SeriesValue {
    Number(f64),
    Bad,
    /// No sample at this tick; the tick is played all the same.
    Nothing,
}

impl SeriesValue {
    fn line(self, t: u32, point: &str) -> Option<Line> {
        let t = f64::from(t);
        let point = Some(point.to_owned());
        Some(match self {
            Self::Number(value) => Line { t, point, v: Some(value), ..Line::default() },
            Self::Bad => Line { t, point, q: Some("bad".to_owned()), ..Line::default() },
            Self::Nothing => return None,
        })
    }
}

/// The values of a series, or the word that is none.
fn expand(text: &str) -> Result<Vec<SeriesValue>, &str> {
    let mut values = Vec::new();
    for word in text.split_whitespace() {
        let (start, times) = match word.rsplit_once('x') {
            Some((start, times)) => (start, times.parse::<usize>().map_err(|_| word)?),
            None => (word, 1),
        };
        if values.len().saturating_add(times) > TICKS_MAX {
            return Err(word);
        }
        match start {
            "bad" => values.extend(vec![SeriesValue::Bad; times]),
            "_" => values.extend(vec![SeriesValue::Nothing; times]),
            number => ramp(number, times, &mut values).ok_or(word)?,
        }
    }
    Ok(values)
}

/// `42`, `40+0.5` or `40-0.5`.
fn ramp(text: &str, times: usize, values: &mut Vec<SeriesValue>) -> Option<()> {
    let sign = text.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map(|(at, _)| at);
    let (start, rise) = match sign {
        Some(at) => (text.get(..at)?.parse::<f64>().ok()?, text.get(at..)?.parse::<f64>().ok()?),
        None => (text.parse::<f64>().ok()?, 0.0),
    };
    for step in 0..u32::try_from(times).ok()? {
        values.push(SeriesValue::Number(start + rise * f64::from(step)));
    }
    (start.is_finite() && rise.is_finite()).then_some(())
}

impl From<Outcome> for Happening {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Moved { t, alarm, from, to, .. } => {
                Self { t, alarm: alarm.to_string(), what: HappeningKind::Moved(from, to) }
            }
            Outcome::Rejected { t, alarm, reject, .. } => {
                Self { t, alarm: alarm.to_string(), what: HappeningKind::Rejected(reject) }
            }
        }
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            HappeningKind::Moved(from, to) => {
                write!(f, "t = {}: {} {from} → {to}", self.t, self.alarm)
            }
            HappeningKind::Rejected(op) => write!(f, "t = {}: {} {op} refused", self.t, self.alarm),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(happening) => write!(f, "did not happen: {happening}"),
            Self::Unexpected(happening) => write!(f, "happened: {happening}"),
        }
    }
}

fn fault(source: &Source, span: Range<usize>, message: &str, remedy: &str) -> Fault {
    Fault { source: source.clone(), span, message: message.to_owned(), remedy: remedy.to_owned() }
}
