//! How a figure stands to a limit.

use chrono::{Months, NaiveDate};
use serde::{Deserialize, Serialize};

use super::{Applies, Bilingual, Bound, Limit, Metric, Regulation, Status, Year};

/// A figure with how well it is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub value: f64,
    /// Expanded uncertainty of about 95 %; `None` where it is not known, and then only the value is judged.
    pub u95: Option<f64>,
}

/// What is held against the limits.
pub trait Subject {
    /// Or why it is not there.
    fn figure(&self, metric: Metric) -> Result<Measured, Bilingual>;
    /// The energy ratio over the hours in which IT power was near this share of the designed one, with their number.
    fn ratio_at_load(&self, fraction: f64) -> Result<(Measured, f64), Bilingual>;
    /// Twelve months, and whether they are those of a calendar year.
    fn year(&self) -> Option<Year>;
    /// The last day of the period.
    fn last_day(&self) -> NaiveDate;
    fn commissioned_on(&self) -> Option<NaiveDate>;
    fn it_design_kw(&self) -> Option<f64>;
}

/// What became of one limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub regulation: String,
    pub limit: Limit,
    pub status: Status,
    pub verified: bool,
    pub outcome: Outcome,
    pub measured: Option<Measured>,
    /// Why it does not apply or cannot be judged; over which hours it was judged.
    pub reason: Option<Bilingual>,
}

/// The decision. The middle two are those in which the interval of the figure holds the limit (after JCGM 106).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Conform,
    ConformWithinUncertainty,
    NonConformWithinUncertainty,
    NonConform,
    /// Of a draft, a target or a statistic: on the good side of it.
    Meets,
    /// On the other side, which is no fault.
    Misses,
    NotApplicable,
    NotEvaluable,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Self::Conform => "conform",
            Self::ConformWithinUncertainty => "conform within uncertainty",
            Self::NonConformWithinUncertainty => "non-conform within uncertainty",
            Self::NonConform => "non-conform",
            Self::Meets => "meets",
            Self::Misses => "does not meet",
            Self::NotApplicable => "not applicable",
            Self::NotEvaluable => "not evaluable",
        }
    }
}

/// The four-way decision (domain facts §8.2): a value on the good side conforms, with certainty only where its whole
/// interval does; one on the other side does not, with certainty only where its whole interval lies there.
pub fn conformity(measured: Measured, bound: Bound) -> Outcome {
    let Measured { value, u95 } = measured;
    let u95 = u95.unwrap_or(0.0).abs();
    let (worse, better) = match bound {
        Bound::AtMost(_) | Bound::Below(_) => (value + u95, value - u95),
        Bound::AtLeast(_) => (value - u95, value + u95),
    };
    match (bound.holds(value), bound.holds(worse), bound.holds(better)) {
        (true, true, _) => Outcome::Conform,
        (true, false, _) => Outcome::ConformWithinUncertainty,
        (false, _, true) => Outcome::NonConformWithinUncertainty,
        (false, _, false) => Outcome::NonConform,
    }
}

impl Regulation {
    /// Judges every limit.
    pub fn judge(&self, subject: &dyn Subject) -> Vec<Judgement> {
        self.limits.iter().map(|limit| self.judge_limit(limit, subject)).collect()
    }

    fn judge_limit(&self, limit: &Limit, subject: &dyn Subject) -> Judgement {
        let status = self.status_at(limit, subject.last_day());
        let judgement = |outcome, measured, reason| Judgement {
            regulation: self.id.clone(),
            limit: limit.clone(),
            status,
            verified: self.verified,
            outcome,
            measured,
            reason,
        };
        match applies(&limit.applies, subject) {
            Err(reason) => return judgement(Outcome::NotEvaluable, None, Some(reason)),
            Ok(Some(reason)) => return judgement(Outcome::NotApplicable, None, Some(reason)),
            Ok(None) => {}
        }
        let ends = limit.effective_to.or(self.effective_to);
        if let Some(end) = ends.filter(|end| subject.last_day() > *end) {
            return judgement(
                Outcome::NotApplicable,
                None,
                Some(Bilingual::new(
                    format!("it was in force until {end}"),
                    format!("有效期至{end}"),
                )),
            );
        }
        let (measured, reason) = match found(limit, subject) {
            Ok(found) => found,
            Err(reason) => return judgement(Outcome::NotEvaluable, None, Some(reason)),
        };
        let outcome = match (status.binds() && !limit.grade, limit.bound.holds(measured.value)) {
            (true, _) => conformity(measured, limit.bound),
            (false, true) => Outcome::Meets,
            (false, false) => Outcome::Misses,
        };
        judgement(outcome, Some(measured), reason)
    }

    /// What is in force only later is a draft until then.
    fn status_at(&self, limit: &Limit, day: NaiveDate) -> Status {
        let status = limit.status.unwrap_or(self.status);
        let from = limit.effective_from.or(self.effective_from);
        if status == Status::InForce && from.is_some_and(|from| day < from) {
            Status::Draft
        } else {
            status
        }
    }
}

fn found(limit: &Limit, subject: &dyn Subject) -> Result<(Measured, Option<Bilingual>), Bilingual> {
    if let Some(fraction) = limit.load_fraction {
        let (measured, hours) = subject.ratio_at_load(fraction)?;
        let share = fraction * 100.0;
        return Ok((
            measured,
            Some(Bilingual::new(
                format!("over {hours:.1} h near {share:.0} % of the designed IT power"),
                format!("IT功率接近设计值{share:.0} %的{hours:.1}小时内"),
            )),
        ));
    }
    let yearly = !matches!(limit.metric, Metric::CharacteristicRatio);
    match (yearly, subject.year(), limit.year) {
        (true, None, _) => {
            return Err(Bilingual::new(
                "it is for twelve months, and the period is shorter",
                "适用于十二个月，而报告期较短",
            ));
        }
        (true, Some(Year::AnyTwelveMonths), Year::Calendar) => {
            return Err(Bilingual::new(
                "it is for a calendar year, and the period is none",
                "适用于日历年，而报告期不是日历年",
            ));
        }
        _ => {}
    }
    Ok((subject.figure(limit.metric)?, None))
}

/// `Ok(Some)`: why it is not for this site; `Err`: what would have to be known.
fn applies(applies: &Applies, subject: &dyn Subject) -> Result<Option<Bilingual>, Bilingual> {
    let Applies { commissioned_before, commissioned_from, months_after_start, it_power_kw_min } =
        applies;
    let started = || {
        subject.commissioned_on().ok_or_else(|| {
            Bilingual::new(
                "it depends on the start of operation: commissioned_on is not declared in [site]",
                "取决于投运日期：[site]未声明commissioned_on",
            )
        })
    };
    if let Some(day) = commissioned_before
        && started()? >= *day
    {
        return Ok(Some(Bilingual::new(
            format!("it is for sites that started before {day}"),
            format!("适用于{day}之前投运的站点"),
        )));
    }
    if let Some(day) = commissioned_from
        && started()? < *day
    {
        return Ok(Some(Bilingual::new(
            format!("it is for sites that started on {day} or later"),
            format!("适用于{day}及之后投运的站点"),
        )));
    }
    if let Some(months) = months_after_start {
        let from = started()?.checked_add_months(Months::new(*months));
        if let Some(from) = from.filter(|from| subject.last_day() < *from) {
            return Ok(Some(Bilingual::new(
                format!("it is for the time from {from} on"),
                format!("自{from}起适用"),
            )));
        }
    }
    if let Some(least) = it_power_kw_min {
        let design = subject.it_design_kw().ok_or_else(|| {
            Bilingual::new(
                "it depends on the installed IT power: it_design_power is not declared in [site]",
                "取决于IT设计功率：[site]未声明it_design_power",
            )
        })?;
        if design < *least {
            return Ok(Some(Bilingual::new(
                format!("it is for {least} kW of IT power or more"),
                format!("适用于IT功率{least} kW及以上"),
            )));
        }
    }
    Ok(None)
}
