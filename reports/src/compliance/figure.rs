//! The one figure of the report, or why there is none.

use std::sync::Arc;

use rules::{
    measures::KilowattHours, plant::Category, ratio::Energies, uncertainty, value::Undefined,
};
use serde::Serialize;

use super::{Audit, Energy, METHOD, MeterLine, Sums, category, list, title};

/// An annual figure needs this completeness of each meter; between this and the next it is qualified.
const ANNUAL_COMPLETE: f64 = 0.99;
const ANNUAL_QUALIFIED: f64 = 0.95;
/// A figure of a shorter period needs this.
const INTERIM_COMPLETE: f64 = 0.98;
/// On the plausible maximum of a meter, as for its register.
const PLAUSIBLE_MARGIN: f64 = 1.2;

/// Facility over IT energy under its standard name, or the reasons why it has none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    pub verdict: Verdict,
    /// Name with category and period. `None` while the category is not known.
    pub title: Option<String>,
    pub category: Option<Category>,
    /// Full precision; `None` when refused.
    pub value: Option<f64>,
    /// Expanded uncertainty of about 95 %, from the accuracy classes of the meters; `None` where one is not declared.
    pub u95: Option<f64>,
    /// By energy, of the worst meter of both sums.
    pub completeness: f64,
    /// What `completeness` must reach.
    pub completeness_needed: f64,
    /// The whole figure in the notation of the standard, as printed.
    pub notation: Option<String>,
    pub refusals: Vec<Refusal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Reported,
    /// Annual, with 95 to 99 % completeness.
    Qualified,
    Refused,
}

/// A reason why the figure is not claimed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refusal {
    /// For machines: `low_coverage`.
    pub code: &'static str,
    /// For people: what is wrong and what would mend it.
    pub text: String,
}

fn refusal(code: &'static str, text: impl Into<String>) -> Refusal {
    Refusal { code, text: text.into() }
}

impl Audit<'_> {
    pub(super) fn figure(
        &self,
        sums: &Sums,
        facility: &Energy,
        it: &Energy,
        meters: &[MeterLine],
    ) -> Figure {
        let annual = self.question.period.is_annual();
        let needed = if annual { ANNUAL_QUALIFIED } else { INTERIM_COMPLETE };
        let mut refusals = self.refusals_of_the_plant(sums);
        refusals.extend(self.refusals_of_the_data(meters, needed));
        if refusals.is_empty() && sums.common_share() < needed {
            refusals.push(refusal(
                "low_coverage",
                format!(
                    "the meters' gaps lie at different times: only {} of the quarter-hours are known of all of them; {} is needed",
                    floored_percent(sums.common_share()),
                    floored_percent(needed),
                ),
            ));
        }
        let category = category(self.question.plant, &sums.it).ok().flatten();
        let ratio = quotient(facility.kwh, it.kwh);
        if let (true, Err(why)) = (refusals.is_empty(), &ratio) {
            refusals.push(undefined(*why, facility.kwh, it.kwh));
        }
        let completeness =
            facility.completeness_energy.min(it.completeness_energy).min(sums.common_share());
        let verdict = match () {
            () if !refusals.is_empty() => Verdict::Refused,
            () if annual && completeness < ANNUAL_COMPLETE => Verdict::Qualified,
            () => Verdict::Reported,
        };
        let value = ratio.ok().filter(|_| verdict != Verdict::Refused);
        let u95 = value.and_then(|value| {
            let (facility, it) = (facility.relative_uncertainty?, it.relative_uncertainty?);
            Some(uncertainty::expanded_of_ratio(value, facility, it))
        });
        let title = category.map(|category| title(category, self.question.period).to_string());
        let notation = title.as_ref().zip(value).map(|(title, value)| {
            let u95 = u95.map(|u95| format!("U95 ±{u95:.3}; ")).unwrap_or_default();
            let complete = floored_percent(completeness);
            format!("{title} = {value:.2} [{u95}completeness {complete}; method {METHOD}]")
        });
        Figure {
            verdict,
            title,
            category,
            value,
            u95,
            completeness,
            completeness_needed: needed,
            notation,
            refusals,
        }
    }

    /// What no data could mend.
    fn refusals_of_the_plant(&self, sums: &Sums) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if let Some(fault) = &sums.fault {
            refusals.push(refusal(
                "double_counting",
                format!("{fault}: give one of them the role info_only, or mend what feeds what"),
            ));
            return refusals;
        }
        if !sums.facility.iter().any(|term| !term.negative) {
            refusals.push(refusal(
                "no_boundary_meter",
                "no meter measures what enters the data centre: a meter with role = \"boundary_in\" is needed",
            ));
        }
        if sums.it.is_empty() {
            refusals.push(refusal(
                "no_it_meter",
                "no meter measures IT load: a meter with role = \"it_load\" is needed",
            ));
        }
        if let Err(without) = category(self.question.plant, &sums.it) {
            refusals.push(refusal(
                "no_category",
                format!(
                    "the category is not known: {} must say where IT energy is metered, category = 1 (UPS output), 2 \
                     (PDU output) or 3 (IT input)",
                    list(&without)
                ),
            ));
        }
        let weightless: Vec<Arc<str>> = sums
            .facility
            .iter()
            .chain(&sums.it)
            .map(|term| self.term(term))
            .filter(|line| line.weight <= 0.0)
            .map(|line| line.meter)
            .collect();
        if !weightless.is_empty() {
            refusals.push(refusal(
                "not_energy",
                format!("{} counts no energy and cannot be part of a sum", list(&weightless)),
            ));
        }
        refusals
    }

    fn refusals_of_the_data(&self, meters: &[MeterLine], needed: f64) -> Vec<Refusal> {
        let span = self.grid.span();
        let mut refusals = Vec::new();
        if span.to > self.question.asked_at {
            refusals.push(refusal(
                "period_not_over",
                format!("the period is not over: it ends {}", self.zone.label(span.to)),
            ));
        }
        let counted: Vec<&MeterLine> = meters
            .iter()
            .filter(|meter| meter.in_facility.is_some() || meter.in_it.is_some())
            .collect();
        if meters.iter().all(|meter| meter.amount.is_none()) {
            refusals.push(refusal(
                "no_data",
                "the ledger has no energy in this period: another period, or another data directory?",
            ));
            return refusals;
        }
        let silent: Vec<Arc<str>> = counted
            .iter()
            .filter(|meter| meter.amount.is_none())
            .map(|meter| Arc::clone(&meter.name))
            .collect();
        if !silent.is_empty() {
            let names = list(&silent);
            refusals.push(refusal("meter_without_data", format!("no energy of {names} is known")));
        }
        for meter in &counted {
            refusals.extend(self.implausible(meter));
        }
        for meter in counted.iter().filter(|meter| meter.amount.is_some()) {
            if meter.completeness.energy < needed {
                refusals.push(refusal(
                    "low_coverage",
                    format!(
                        "only {} of the energy of {} is known ({:.1} h are missing); {} is needed",
                        floored_percent(meter.completeness.energy),
                        meter.name,
                        meter.completeness.missing_quarters / 4.0,
                        floored_percent(needed),
                    ),
                ));
            }
        }
        refusals
    }

    /// A register that jumped, and was believed because it stayed there, has counted what cannot have flowed.
    fn implausible(&self, meter: &MeterLine) -> Option<Refusal> {
        let declared = &meter.declared;
        let most =
            PLAUSIBLE_MARGIN * declared.max_power_kw / 4.0 + 2.0 * declared.register_step_kwh;
        let cells = self.cells(self.question.plant.find_asset(&meter.name)?);
        let place =
            cells.iter().position(|cell| cell.amount.is_some_and(|amount| amount > most))?;
        let amount = cells.get(place).and_then(|cell| cell.amount)?;
        Some(refusal(
            "implausible_energy",
            format!(
                "{} counted {amount:.1} kWh in the quarter-hour from {}, more than its plausible maximum of {} kW \
                 allows: its register jumped, or max_power is declared too low",
                meter.name,
                self.zone.label(self.grid.start(place)),
                declared.max_power_kw
            ),
        ))
    }
}

/// Why two known energies have no ratio.
fn undefined(why: Undefined, facility: Option<f64>, it: Option<f64>) -> Refusal {
    let kwh =
        |energy: Option<f64>| energy.map_or("unknown".to_owned(), |kwh| format!("{kwh:.1} kWh"));
    match why {
        Undefined::ItPowerZero => {
            refusal("it_energy_zero", "IT energy is zero: no ratio is defined")
        }
        Undefined::FacilityBelowIt => refusal(
            "facility_below_it",
            format!(
                "facility energy ({}) is below IT energy ({}): a boundary or meter error",
                kwh(facility),
                kwh(it)
            ),
        ),
        other => refusal("undefined", other.to_string()),
    }
}

/// Of sums; an unknown one has no ratio.
pub(super) fn quotient(facility: Option<f64>, it: Option<f64>) -> Result<f64, Undefined> {
    let energy = |kwh: Option<f64>| -> Result<KilowattHours, Undefined> {
        Ok(KilowattHours::new(kwh.ok_or(Undefined::NotMetered)?)?)
    };
    let energies = Energies { facility: energy(facility)?, it: energy(it)? };
    Ok(energies.energy_ratio()?.get())
}

/// Standard uncertainty of a sum relative to it: classes fully correlated, register steps independent.
pub(super) fn relative_uncertainty(meters: &[&MeterLine], sum_kwh: f64) -> Option<f64> {
    let (mut classes, mut steps) = (0.0, 0.0_f64);
    for meter in meters {
        classes += meter.amount?.abs() * uncertainty::of_meter(&meter.declared)?;
        steps = steps.hypot(uncertainty::of_steps(meter.declared.register_step_kwh));
    }
    (sum_kwh > 0.0).then(|| classes.hypot(steps) / sum_kwh)
}

/// Never rounded up: what is not complete does not read 100 %.
pub(crate) fn floored_percent(share: f64) -> String {
    let floored = (share * 1e4 + 1e-6).floor() / 100.0;
    format!("{floored} %")
}
