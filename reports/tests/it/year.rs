//! A year of two hundred meters, with everything that happens to registers in a year: the totals are the plant's own, and
//! the truth lies within what the report gives as its uncertainty.

#[path = "../../../tests/support/year.rs"]
mod plant;

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use configs::{library::Library, limits_file};
use reports::compliance::{Audit, Compliance, MeterLine, Question, Verdict};
use rules::{
    book::{BookRow, Context, Entry, Line, MeterList, Standing},
    chain::Hash,
    ledger::LedgerRow,
    limits::Regulation,
    messages::SiteInfo,
    ratio::Period,
    register::Flag,
    time::BootId,
};

use self::plant::{DEAD, Kind, MODELS, Page, ROLLED, SWAPPED, Year};

/// Writes the book as a gateway does, and lets the audits read along.
struct Book<'a> {
    context: Context,
    line: u64,
    audits: Vec<Audit<'a>>,
}

impl Book<'_> {
    fn add(&mut self, entry: Entry) {
        self.line += 1;
        let line = Line { line: self.line, seq: self.line, boot: BootId(1), recorded: None, entry };
        self.context.take(&line).unwrap();
        for audit in &mut self.audits {
            audit.take(&line).unwrap();
        }
    }

    fn take(&mut self, page: Page) {
        match page {
            Page::Posting(posting) => self.add(Entry::Posting(*posting)),
            Page::Rows(rows) => {
                let mut by_start: BTreeMap<DateTime<Utc>, Vec<LedgerRow>> = BTreeMap::new();
                for row in rows {
                    by_start.entry(row.start).or_default().push(row);
                }
                for rows in by_start.into_values() {
                    let rows = rows.into_iter();
                    let rows = rows.map(|row| BookRow { standing: Standing::First, row }).collect();
                    self.add(Entry::Quarter(self.context.write(self.line + 1, rows)));
                }
            }
        }
    }
}

fn regulation() -> Regulation {
    let library = Library::shipped();
    limits_file::read(library.limits("iso-iec-30134-2").unwrap()).unwrap()
}

/// Plays the year and gives the reports of these periods.
fn reported(seed: u64, periods: &[Period]) -> (Year, Vec<Compliance>) {
    let mut year = Year::new(seed, (160, 38));
    let site = SiteInfo {
        id: "large".to_owned(),
        name: "Large".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        gateway: "gw".to_owned(),
        simulated: true,
    };
    let regulations = [regulation()];
    let declared = year.plant.clone();
    let audits = periods.iter().map(|period| {
        Audit::new(Question {
            site: &site,
            plant: &declared,
            period: *period,
            asked_at: "2025-02-01T00:00:00Z".parse().unwrap(),
            version: "0.0.0",
            regulations: &regulations,
            plant_changes: Vec::new(),
            catalog: Hash::of(b""),
            ledger: None,
        })
    });
    let audits = audits.collect::<Result<_, _>>().unwrap();
    let mut book = Book { context: Context::default(), line: 0, audits };
    let names = year.meters.iter().map(|meter| Arc::clone(&meter.name)).collect();
    book.add(Entry::Meters(MeterList { catalog: Hash::of(b""), names }));
    year.play(|_, page| book.take(page));
    let answers = book.audits.into_iter().map(Audit::finish).collect();
    (year, answers)
}

fn the_year() -> Period {
    Period::year(2024).unwrap()
}

fn line<'a>(answer: &'a Compliance, name: &str) -> &'a MeterLine {
    answer.meters.iter().find(|meter| &*meter.name == name).unwrap()
}

/// Every meter has the energy that it counted.
fn has_every_meters_energy(year: &Year, answer: &Compliance) {
    for meter in year.meters.iter().filter(|meter| &*meter.name != DEAD) {
        let found = line(answer, &meter.name).amount.unwrap();
        // One step at each end, and where an electrician read both registers at an exchange.
        let slack = 2.0 * meter.step_kwh;
        let counted = meter.counted_kwh;
        assert!((found - counted).abs() <= slack, "{}: {found} for {counted}", meter.name);
    }
}

/// Domain facts §8.2 for this list of meters, from nothing but their classes, steps and what they counted.
fn u95(year: &Year, answer: &Compliance) -> f64 {
    let sum = |kind: Kind| {
        let mut by_model = [0.0; MODELS.len()];
        let mut squares = 0.0;
        let mut kwh = 0.0;
        for meter in year.meters.iter().filter(|meter| meter.kind == kind) {
            let (_, class, transformers) = MODELS[meter.model];
            let limit = class.hypot(transformers) / 100.0;
            let estimated = line(answer, &meter.name).completeness.estimated;
            by_model[meter.model] += meter.counted_kwh * limit / 3.0_f64.sqrt();
            squares += 2.0 * (meter.step_kwh / 12.0_f64.sqrt()).powi(2);
            squares += (0.2 * estimated).powi(2);
            kwh += meter.counted_kwh + estimated;
        }
        (kwh, by_model.iter().fold(squares, |sum, class| sum + class * class).sqrt())
    };
    let ((facility, u_facility), (it, u_it)) = (sum(Kind::Boundary), sum(Kind::It));
    2.0 * facility / it * (u_facility / facility).hypot(u_it / it)
}

fn true_ratio(year: &Year) -> f64 {
    let sum = |kind: Kind| -> f64 {
        let meters = year.meters.iter().filter(|meter| meter.kind == kind);
        meters.map(|meter| meter.true_kwh).sum()
    };
    sum(Kind::Boundary) / sum(Kind::It)
}

#[test]
fn a_year_with_everything_that_happens_to_registers_adds_up() {
    let september = Period::month_of("2024-09-01".parse().unwrap());
    let (year, answers) = reported(1, &[the_year(), september]);
    let [answer, month] = answers.as_slice() else { panic!("two periods were asked for") };
    assert_eq!(answer.period.quarter_hours, 366 * 96);
    has_every_meters_energy(&year, answer);
    for name in ROLLED {
        assert_eq!(line(answer, name).rollovers, 1, "{name}");
    }
    assert_eq!(answer.corrections.len(), 1);
    assert_eq!(&*answer.corrections[0].meter, SWAPPED);
    // Nine hours without an answer, and the quarter-hour that ends them.
    let bridged = line(answer, "it-0").completeness.bridged_quarters;
    assert!((36.0..=37.0).contains(&bridged), "{bridged}");
    // Twelve of 366 days of one meter are not there: 96.7 % is enough for a qualified year, not for its month.
    let dead = line(answer, DEAD);
    assert!(dead.flags.contains_key(&Flag::Reset), "{:?}", dead.flags);
    assert_eq!(answer.figure().verdict, Verdict::Qualified, "{:#?}", answer.figure());
    assert!((answer.figure().completeness - 354.0 / 366.0).abs() < 0.002, "{dead:#?}");
    assert_eq!(month.figure().verdict, Verdict::Refused);
    assert_eq!(month.figure().refusals[0].code(), "low_coverage");
    let (found, expected) = (answer.figure().u95.unwrap(), u95(&year, answer));
    assert!((found / expected - 1.0).abs() < 1e-6, "{found} for {expected}");
    let (value, truth) = (answer.figure().value.unwrap(), true_ratio(&year));
    assert!((value - truth).abs() <= found, "{value} ± {found} for {truth}");
}

#[test]
#[ignore = "needs a release build and some minutes"]
fn the_truth_lies_within_the_uncertainty_in_ninety_five_of_a_hundred_years() {
    let outcomes = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let part = |first: usize| move || (first..100).step_by(threads).map(one_year).collect();
        let running: Vec<_> = (0..threads).map(|first| scope.spawn(part(first))).collect();
        let done = running.into_iter().map(|thread| thread.join().unwrap());
        done.collect::<Vec<Vec<bool>>>().concat()
    });
    let inside = outcomes.iter().filter(|inside| **inside).count();
    eprintln!("the truth lies within U95 in {inside} of {} years", outcomes.len());
    assert!(outcomes.len() == 100 && inside >= 95, "{inside}");
}

/// Whether the truth lies within.
fn one_year(seed: usize) -> bool {
    let (year, answers) = reported(seed.try_into().unwrap(), &[the_year()]);
    has_every_meters_energy(&year, &answers[0]);
    let figure = answers[0].figure();
    let (value, found) = (figure.value.unwrap(), figure.u95.unwrap());
    assert!((found / u95(&year, &answers[0]) - 1.0).abs() < 1e-6, "seed {seed}");
    (value - true_ratio(&year)).abs() <= found
}
