//! Further figures of the period: each with its unit, what it was formed from, and the reason where there is none.

mod amounts;
mod formulas;

use std::sync::Arc;

use rules::{
    indicators as formula,
    limits::Bilingual,
    plant::AssetKind,
    ratio::{Title, Weights},
    value::Undefined,
};
use serde::Serialize;

pub(crate) use self::amounts::{Amount, Amounts};
use self::formulas::{FORMULAS, Formula};
use crate::{
    account::{count, share},
    compliance::{Audit, Figure},
    sums::{Sums, sum_of},
};

/// Outdoor days warmer than this count where the site names no base (the base of heating and cooling of ASHRAE).
pub(crate) const DEGREE_DAY_BASE_C: f64 = 18.0;

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Indicator {
    /// `wue`, for machines.
    pub id: String,
    pub title: Bilingual,
    pub unit: &'static str,
    pub value: Option<f64>,
    /// How it was formed: `water / IT energy`.
    pub formula: Bilingual,
    pub inputs: Vec<Input>,
    /// Why it has no value.
    pub reason: Option<Bilingual>,
}

/// An amount that went into a figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Input {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
}

impl Indicator {
    /// Forms a figure from its inputs: names, amounts, units.
    fn of(
        id: &str,
        title: Bilingual,
        (unit, (en, zh)): (&'static str, (&str, &str)),
        inputs: Vec<(&'static str, Amount, &'static str)>,
        value: impl FnOnce(&[f64]) -> Result<f64, Undefined>,
    ) -> Self {
        let known: Result<Vec<f64>, Bilingual> =
            inputs.iter().map(|(_, amount, _)| amount.clone()).collect();
        let value = known.and_then(|known| Ok(value(&known)?));
        let inputs = inputs.into_iter().filter_map(|(name, amount, unit)| {
            Some(Input { name: name.to_owned(), value: amount.ok()?, unit })
        });
        Self {
            id: id.to_owned(),
            title,
            unit,
            formula: Bilingual::new(en, zh),
            inputs: inputs.collect(),
            reason: value.as_ref().err().cloned(),
            value: value.ok(),
        }
    }
}

impl Audit<'_> {
    pub(crate) fn indicators(
        &self,
        sums: &Sums,
        amounts: &Amounts,
        figures: &[Figure],
    ) -> Vec<Indicator> {
        let form = |formula: &Formula| {
            let operands = formula.of.iter();
            let inputs = operands
                .map(|operand| (operand.name(), amounts.of(*operand).clone(), operand.unit()));
            let title = Bilingual::new(formula.en, formula.zh);
            let units = (formula.unit, formula.text);
            Indicator::of(formula.id, title, units, inputs.collect(), formula.value)
        };
        let mut found: Vec<Indicator> = FORMULAS.iter().map(form).collect();
        found.extend(self.partial_ratios(sums, figures));
        found.push(self.degree_days());
        found
    }

    /// One for each part of the data centre that the site declares.
    fn partial_ratios(&self, sums: &Sums, figures: &[Figure]) -> Vec<Indicator> {
        let Some(record) = self.site_record() else { return Vec::new() };
        let category = figures.first().and_then(|figure| figure.category);
        let sum = |names: &[Arc<str>]| -> Amount {
            let meters: Option<Vec<_>> = names
                .iter()
                .map(|name| {
                    let meter = self.question().plant.find_asset(name)?;
                    Some((1.0, Some(self.account(meter)?)))
                })
                .collect();
            let meters = meters.ok_or_else(|| {
                Bilingual::new("a meter of it is not in the plant", "其电能表不在站点中")
            })?;
            if meters.is_empty() {
                return Ok(0.0);
            }
            let quarters = sum_of(sums.states.len(), &meters);
            let known: Option<f64> = quarters.iter().map(|quarter| quarter.kwh).sum();
            known.ok_or_else(|| {
                Bilingual::new(
                    "a meter of it has no energy for a part of the period",
                    "其电能表在部分时间没有电量",
                )
            })
        };
        let ratio = |boundary: &rules::plant::Boundary| {
            let period = self.question().period;
            let title = category.map(|category| {
                let boundary = Some(boundary.title.clone());
                Title { category, period, boundary, weights: Weights::None }.to_string()
            });
            let title = title.unwrap_or_else(|| boundary.title.clone());
            Indicator::of(
                &format!("partial.{}", boundary.id),
                Bilingual { en: title, zh: None },
                ("", ("(overhead + IT) / IT energy, of a part", "(辅助 + IT) / IT能耗（局部）")),
                vec![
                    ("overhead energy", sum(&boundary.overhead), "kWh"),
                    ("IT energy", sum(&boundary.it), "kWh"),
                ],
                |x| formula::total_usage(x[0] + x[1], x[1]),
            )
        };
        record.boundaries.iter().map(ratio).collect()
    }

    /// From the means of the weather station, day by day.
    fn degree_days(&self) -> Indicator {
        let base_c = self.degree_day_base_c();
        let days = self.daily_means();
        let known = days.iter().filter(|day| day.is_some()).count();
        let sum = || -> Amount {
            if self.question().plant.of_kind(AssetKind::Weather).next().is_none() {
                return Err(Bilingual::new("the site has no weather station", "站点没有气象站"));
            }
            if known < days.len() {
                let all = days.len();
                return Err(Bilingual::new(
                    format!("outdoor temperature is known for {known} of {all} days"),
                    format!("{all}天中仅{known}天有室外温度"),
                ));
            }
            Ok(days.iter().flatten().map(|mean| formula::cooling_degree_days(*mean, base_c)).sum())
        };
        Indicator::of(
            "cdd",
            Bilingual::new("cooling degree days", "制冷度日数"),
            ("K d", ("Σ max(0, daily mean − base)", "Σ max(0, 日平均 − 基准)")),
            vec![("cooling degree days", sum(), "K d"), ("base", Ok(base_c), "°C")],
            |x| Ok(x[0]),
        )
    }

    pub(crate) fn degree_day_base_c(&self) -> f64 {
        self.site_record().and_then(|record| record.degree_day_base_c).unwrap_or(DEGREE_DAY_BASE_C)
    }

    /// Of the outdoor temperature; a day of which less than three quarters are known has none.
    fn daily_means(&self) -> Vec<Option<f64>> {
        const ENOUGH: f64 = 0.75;
        let station = self.question().plant.of_kind(AssetKind::Weather).next();
        let account = station.and_then(|station| self.account(station));
        let Some(account) = account else { return vec![None; self.day_places().len()] };
        let mean = |places: std::ops::Range<usize>| {
            let (mut weighted, mut known) = (0.0, 0.0);
            for place in places.clone() {
                let cell = account.cell(place);
                weighted += cell.amount.unwrap_or(0.0) * cell.coverage;
                known += cell.coverage;
            }
            (share(known, count(places.len())) >= ENOUGH).then(|| weighted / known)
        };
        self.day_places().into_iter().map(mean).collect()
    }
}
