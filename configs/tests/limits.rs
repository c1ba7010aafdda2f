//! The shipped limits files, and what comes of figures that are held against them.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use configs::{library::Library, limits_file};
use rules::limits::{Bilingual, Measured, Metric, Regulation, Subject, Year};
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    regulation: String,
    ratio: f64,
    u95: Option<f64>,
    characteristic: Option<f64>,
    /// Absent: the period is shorter.
    year: Option<YearWord>,
    commissioned_on: Option<NaiveDate>,
    it_design_kw: Option<f64>,
    energies_kwh: Option<(f64, f64)>,
    /// By limit.
    outcomes: BTreeMap<String, String>,
    /// Energy above the limit, and what it costs.
    surcharge: Option<(f64, f64)>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum YearWord {
    Calendar,
    AnyTwelveMonths,
}

impl Subject for Case {
    fn figure(&self, metric: Metric) -> Result<Measured, Bilingual> {
        let value = match metric {
            Metric::EnergyRatio => Some(self.ratio),
            Metric::CharacteristicRatio => self.characteristic,
            Metric::EnergyReuse | Metric::Renewable | Metric::WaterUse => None,
        };
        value
            .map(|value| Measured { value, u95: self.u95 })
            .ok_or(Bilingual::new("not known", "未知"))
    }

    fn ratio_at_load(&self, _: f64) -> Result<(Measured, f64), Bilingual> {
        Err(Bilingual::new("not known", "未知"))
    }

    fn year(&self) -> Option<Year> {
        self.year.map(|year| match year {
            YearWord::Calendar => Year::Calendar,
            YearWord::AnyTwelveMonths => Year::AnyTwelveMonths,
        })
    }

    fn last_day(&self) -> NaiveDate {
        "2026-12-31".parse().expect("a day")
    }

    fn commissioned_on(&self) -> Option<NaiveDate> {
        self.commissioned_on
    }

    fn it_design_kw(&self) -> Option<f64> {
        self.it_design_kw
    }
}

fn shipped(name: &str) -> Regulation {
    let library = Library::shipped();
    let source = library.limits(name).unwrap_or_else(|| panic!("{name} ships"));
    limits_file::read(source).expect("what ships is sound")
}

#[test]
fn every_case_has_the_outcome_of_its_text() {
    let cases: Cases = toml::from_str(include_str!("data/limit_cases.toml")).unwrap();
    assert!(cases.case.len() > 10, "the file is not empty");
    for case in &cases.case {
        let regulation = shipped(&case.regulation);
        let judged = regulation.judge(case);
        for (limit, expected) in &case.outcomes {
            let found = judged.iter().find(|one| one.limit.id == *limit);
            let found = found.unwrap_or_else(|| panic!("{}: no limit {limit}", case.name));
            assert_eq!(
                found.outcome.word(),
                expected,
                "{}, {limit}: {:?}",
                case.name,
                found.reason
            );
        }
        if let (Some(surcharge), Some((facility, it))) = (case.surcharge, case.energies_kwh) {
            let (above, amount) = regulation.surcharge.as_ref().unwrap().of(facility, it).unwrap();
            assert!((above - surcharge.0).abs() < 1e-6, "{}: {above}", case.name);
            assert!((amount - surcharge.1).abs() < 1e-6, "{}: {amount}", case.name);
        }
    }
}

#[test]
fn what_was_not_read_in_full_says_so_and_every_file_has_a_source() {
    let library = Library::shipped();
    for name in library.limits_names() {
        let regulation = shipped(name);
        assert_eq!(regulation.id, name);
        assert!(!regulation.source.is_empty() && !regulation.edition.is_empty(), "{name}");
        // None of these texts was bought.
        assert!(!regulation.verified, "{name}");
    }
}
