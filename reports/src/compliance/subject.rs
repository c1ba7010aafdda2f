//! The period as regulations see it: what is held against limits, and what has to be published.

use chrono::NaiveDate;
use rules::{
    limits::{
        Bilingual, CaveatWhen, IndicatorSpec, Judgement, Measured, Metric, Origin, Outcome,
        Regulation, Status, Subject, Year,
    },
    plant::{AssetKind, Detail, FactValue},
    ratio::characteristic_ratio,
};

use super::{
    Audit, Figure, Indicator, IndicatorLine, RegulationLine, SurchargeLine,
    audit::Closed,
    indicators::{Amount, Amounts},
};
use crate::account::count;

/// A quarter-hour is near a share of the designed power within this much of the designed power.
const LOAD_BAND: f64 = 0.05;
/// So many quarter-hours near a load make a figure.
const LOAD_QUARTERS: usize = 96;

/// The period with everything that can be asked of it.
struct Period<'a> {
    audit: &'a Audit<'a>,
    closed: &'a Closed,
    figure: Option<&'a Figure>,
    indicators: &'a [Indicator],
}

impl Subject for Period<'_> {
    fn figure(&self, metric: Metric) -> Result<Measured, Bilingual> {
        let indicator = |id: &str| {
            let found = self.indicators.iter().find(|indicator| indicator.id == id);
            let found = found.ok_or_else(|| Bilingual::new("it is not computed", "未计算"))?;
            let reason = || found.reason.clone().unwrap_or_default();
            found.value.map(|value| Measured { value, u95: None }).ok_or_else(reason)
        };
        match metric {
            Metric::EnergyRatio => {
                let figure = self
                    .figure
                    .ok_or_else(|| Bilingual::new("no method is followed", "未采用任何方法"))?;
                let refused = || {
                    let refusals: Vec<&str> =
                        figure.refusals.iter().map(crate::note::Refusal::code).collect();
                    let codes = refusals.join(", ");
                    Bilingual::new(
                        format!("the figure is refused: {codes}"),
                        format!("该值被拒绝：{codes}"),
                    )
                };
                let value = figure.value.ok_or_else(refused)?;
                Ok(Measured { value, u95: figure.u95 })
            }
            Metric::CharacteristicRatio => self.characteristic(),
            Metric::EnergyReuse => indicator("erf"),
            Metric::Renewable => indicator("ref"),
            Metric::WaterUse => indicator("wue"),
        }
    }

    fn ratio_at_load(&self, fraction: f64) -> Result<(Measured, f64), Bilingual> {
        let design_kw = self.it_design_kw().ok_or_else(|| {
            Bilingual::new(
                "it_design_power is not declared in [site]",
                "[site]未声明it_design_power",
            )
        })?;
        let sums = &self.closed.sums;
        let near = |place: &usize| {
            let kwh = sums.it_quarters[*place].kwh.unwrap_or(0.0);
            (kwh * 4.0 / design_kw - fraction).abs() <= LOAD_BAND
        };
        let places: Vec<usize> =
            (0..sums.states.len()).filter(|place| sums.is_common(*place)).filter(near).collect();
        if places.len() < LOAD_QUARTERS {
            let hours = count(places.len()) / 4.0;
            let share = fraction * 100.0;
            return Err(Bilingual::new(
                format!("IT power was near {share:.0} % of the designed one for {hours:.1} h only"),
                format!("IT功率接近设计值{share:.0} %的时间仅{hours:.1}小时"),
            ));
        }
        let sum = |quarters: &[crate::sums::Quarter]| -> f64 {
            places.iter().filter_map(|place| quarters[*place].kwh).sum()
        };
        let ratio = super::figure::quotient(
            Some(sum(&sums.facility_quarters)),
            Some(sum(&sums.it_quarters)),
        );
        let value = ratio?;
        let relative = self.figure.and_then(|figure| Some(figure.u95? / figure.value?));
        let u95 = relative.map(|relative| relative * value);
        Ok((Measured { value, u95 }, count(places.len()) / 4.0))
    }

    fn year(&self) -> Option<Year> {
        let period = self.audit.question.period;
        match (period.is_annual(), period.is_calendar_year()) {
            (true, true) => Some(Year::Calendar),
            (true, false) => Some(Year::AnyTwelveMonths),
            (false, _) => None,
        }
    }

    fn last_day(&self) -> NaiveDate {
        self.audit.question.period.last()
    }

    fn commissioned_on(&self) -> Option<NaiveDate> {
        self.audit.site_record()?.commissioned_on
    }

    fn it_design_kw(&self) -> Option<f64> {
        self.audit.site_record()?.it_design_kw
    }
}

impl Period<'_> {
    /// From the newest test that was made by the end of the period.
    fn characteristic(&self) -> Result<Measured, Bilingual> {
        let tests = self.audit.site_record().map(|record| record.condition_tests.as_slice());
        let done =
            tests.unwrap_or_default().iter().filter(|test| test.tested_on <= self.last_day());
        let test = done.max_by_key(|test| test.tested_on).ok_or_else(|| {
            Bilingual::new(
                "the site file has no [[condition_test]] with its own shares of the year",
                "站点文件没有带自身时间占比的[[condition_test]]",
            )
        })?;
        let value = characteristic_ratio(&test.conditions)?;
        Ok(Measured { value, u95: None })
    }
}

impl Audit<'_> {
    /// Every text with how the period stands to it.
    pub(super) fn judge(
        &self,
        closed: &Closed,
        figures: &[Figure],
        amounts: &Amounts,
        indicators: &[Indicator],
    ) -> (Vec<RegulationLine>, Vec<Judgement>) {
        let mut judgements = Vec::new();
        let mut lines = Vec::new();
        for text in self.question.regulations {
            // A text without a method judges the ratio of the main one.
            let own = figures.iter().find(|figure| figure.regulation == text.id);
            let figure = own.or(figures.first());
            let period = Period { audit: self, closed, figure, indicators };
            let judged = text.judge(&period);
            lines.push(self.regulation_line(text, &judged, amounts, indicators));
            judgements.extend(judged);
        }
        (lines, judgements)
    }

    fn regulation_line(
        &self,
        text: &Regulation,
        judged: &[Judgement],
        amounts: &Amounts,
        indicators: &[Indicator],
    ) -> RegulationLine {
        let caveats = text.caveats.iter().filter(|caveat| match caveat.when {
            CaveatWhen::Always => true,
            CaveatWhen::LiquidCooled => self.is_liquid_cooled(),
        });
        // The best grade is the hardest to reach: the last one of the file.
        let best = judged.iter().rfind(|one| {
            let reached = [Outcome::Meets, Outcome::Conform, Outcome::ConformWithinUncertainty];
            one.limit.grade && reached.contains(&one.outcome)
        });
        let grade = best.map(|one| one.limit.id.clone());
        RegulationLine {
            id: text.id.clone(),
            title: text.title.clone(),
            edition: text.edition.clone(),
            jurisdiction: text.jurisdiction.clone(),
            status: text.status.word(),
            source: text.source.clone(),
            checked_on: text.checked_on,
            verified: text.verified,
            scope: text.scope.clone(),
            caveats: caveats.map(|caveat| caveat.text.clone()).collect(),
            grade,
            surcharge: self.surcharge(text, amounts),
            indicators: text
                .indicators
                .iter()
                .map(|spec| self.indicator_line(spec, amounts, indicators))
                .collect(),
        }
    }

    fn is_liquid_cooled(&self) -> bool {
        self.question.plant.of_kind(AssetKind::Loop).next().is_some()
    }

    /// Only a calendar year has one, and only a text that is in force.
    fn surcharge(&self, text: &Regulation, amounts: &Amounts) -> Option<SurchargeLine> {
        let surcharge = text.surcharge.as_ref()?;
        let in_force = text.status == Status::InForce
            && text.effective_from.is_none_or(|from| from <= self.question.period.last());
        if !in_force || !self.question.period.is_calendar_year() {
            return None;
        }
        let (facility, it) = (amounts.facility.as_ref().ok()?, amounts.it.as_ref().ok()?);
        let (above_kwh, amount) = surcharge.of(*facility, *it)?;
        Some(SurchargeLine { above_kwh, amount, currency: surcharge.currency.clone() })
    }

    fn indicator_line(
        &self,
        spec: &IndicatorSpec,
        amounts: &Amounts,
        indicators: &[Indicator],
    ) -> IndicatorLine {
        let metered = |amount: &Amount| match amount {
            Ok(value) => (Some(*value), None, Bilingual::new("metered", "计量")),
            Err(why) => self.by_fact(&spec.symbol, &spec.unit).unwrap_or((None, None, why.clone())),
        };
        let computed = |id: &str| {
            let found = indicators.iter().find(|indicator| indicator.id == id);
            let value = found.and_then(|indicator| indicator.value);
            let reason = found.and_then(|indicator| indicator.reason.clone());
            match (value, reason) {
                (Some(value), _) => (Some(value), None, Bilingual::new("computed", "计算")),
                (None, why) => self.by_fact(&spec.symbol, &spec.unit).unwrap_or((
                    None,
                    None,
                    why.unwrap_or_default(),
                )),
            }
        };
        let (value, text, source) = match spec.from {
            Origin::Fact => self.by_fact(&spec.symbol, &spec.unit).unwrap_or_else(|| {
                let symbol = &spec.symbol;
                (
                    None,
                    None,
                    Bilingual::new(
                        format!("missing: no [[fact]] with the name {symbol}"),
                        format!("缺失：没有名为{symbol}的[[fact]]"),
                    ),
                )
            }),
            Origin::FacilityEnergy => metered(&amounts.facility),
            Origin::ItEnergy => metered(&amounts.it),
            Origin::BackupEnergy => metered(&amounts.backup),
            Origin::WaterIn => metered(&amounts.water),
            Origin::PotableWater => metered(&amounts.potable),
            Origin::ReusedHeat => metered(&amounts.reused_heat),
            Origin::OnsiteRenewable => metered(&amounts.onsite),
            Origin::RenewableTotal => metered(&amounts.renewable),
            Origin::CoolingDegreeDays => computed("cdd"),
            Origin::ComputerRoomArea => self.room_area(),
            Origin::EnergyRatio => metered(&ratio(amounts)),
            Origin::WaterUse => computed("wue"),
            Origin::EnergyReuse => computed("erf"),
            Origin::Renewable => computed("ref"),
        };
        IndicatorLine {
            symbol: spec.symbol.clone(),
            title: spec.title.clone(),
            unit: spec.unit.clone(),
            part_of: spec.part_of.clone(),
            value,
            text,
            source,
        }
    }

    /// What the site declares under that name. A quantity in another unit is no answer.
    fn by_fact(&self, name: &str, unit: &str) -> Option<(Option<f64>, Option<String>, Bilingual)> {
        let fact = self.fact(name)?;
        let source = Bilingual::new(
            format!("{}, since {}", fact.source, fact.from),
            format!("{}，自{}起", fact.source, fact.from),
        );
        Some(match &fact.value {
            FactValue::Quantity { number, unit: given } if given == unit || unit.is_empty() => {
                (Some(*number), None, source)
            }
            FactValue::Quantity { number, unit: given } => (
                None,
                None,
                Bilingual::new(
                    format!("missing: the fact is {number} {given}, and {unit} is asked for"),
                    format!("缺失：所声明的为{number} {given}，要求单位为{unit}"),
                ),
            ),
            FactValue::Text(text) => (None, Some(text.clone()), source),
        })
    }

    fn room_area(&self) -> (Option<f64>, Option<String>, Bilingual) {
        let rooms = self.question.plant.of_kind(AssetKind::Room);
        let area: f64 = rooms
            .filter_map(|room| match &self.question.plant.asset(room).detail {
                Detail::Room(room) => Some(room.area_m2),
                _ => None,
            })
            .sum();
        if area > 0.0 {
            (
                Some(area),
                None,
                Bilingual::new("areas of the rooms in the site file", "站点文件中各机房面积"),
            )
        } else {
            (
                None,
                None,
                Bilingual::new("missing: no room with an area is declared", "缺失：未声明机房面积"),
            )
        }
    }
}

fn ratio(amounts: &Amounts) -> Amount {
    let (facility, it) = (amounts.facility.clone()?, amounts.it.clone()?);
    Ok(super::figure::quotient(Some(facility), Some(it))?)
}
