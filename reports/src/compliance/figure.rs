//! The ratio of energies under the name that a method gives it, or why there is none.

use std::sync::Arc;

use rules::{
    limits::{Method, Symbol, Weighting, Year},
    measures::KilowattHours,
    plant::{AssetId, Category, Plant},
    ratio::{Energies, Title, Weights},
    uncertainty,
    value::Undefined,
};
use serde::Serialize;

use super::{Audit, Energy, MeterLine};
use crate::{
    language::Language,
    note::{Refusal, floored_percent},
    sums::{Sums, Weighed, record, uncertainty_of},
};

/// An annual figure needs this completeness of each meter, and no more than the rest estimated; between this and the next
/// it is qualified.
const ANNUAL_COMPLETE: f64 = 0.99;
const ANNUAL_QUALIFIED: f64 = 0.95;
/// A figure of a shorter period needs this.
const INTERIM_COMPLETE: f64 = 0.98;
/// On the plausible maximum of a meter, as for its register.
const PLAUSIBLE_MARGIN: f64 = 1.2;

/// Facility over IT energy under the name of one method, or the reasons why it has none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The limits file that the method is of.
    pub regulation: String,
    /// The edition that was followed.
    pub method: String,
    /// False where the text itself was not read in full.
    pub verified: bool,
    pub verdict: Verdict,
    /// Name with category and period. `None` while the category is not known.
    pub title: Option<String>,
    pub category: Option<Category>,
    /// How carriers count: `none` is every kWh as delivered.
    pub weights: &'static str,
    /// Full precision; `None` when refused.
    pub value: Option<f64>,
    /// Expanded uncertainty of about 95 %; `None` where the class of a meter is not declared.
    pub u95: Option<f64>,
    /// By energy, of the worst meter of both sums.
    pub completeness: f64,
    /// What `completeness` must reach.
    pub completeness_needed: f64,
    /// Why a figure is qualified only.
    pub qualifications: Vec<Qualification>,
    /// The whole figure in the notation of the standard, as printed.
    pub notation: Option<String>,
    pub refusals: Vec<Refusal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Reported,
    Qualified,
    Refused,
}

/// What makes a figure weaker than it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Qualification {
    /// An annual figure with 95 to 99 % completeness.
    Incomplete,
    /// More than 1 % is estimated.
    Estimated,
    /// Power was integrated, for want of a register.
    Integrated,
}

impl Audit<'_> {
    /// One figure for each method.
    pub(super) fn figures(
        &self,
        sums: &Sums,
        facility: &Energy,
        it: &Energy,
        meters: &[MeterLine],
    ) -> Vec<Figure> {
        let needed =
            if self.question.period.is_annual() { ANNUAL_QUALIFIED } else { INTERIM_COMPLETE };
        let mut refusals = self.refusals_of_the_plant(sums);
        refusals.extend(self.refusals_of_the_data(meters, needed));
        if refusals.is_empty() && sums.common_share() < needed {
            refusals.push(Refusal::GapsApart { known: sums.common_share(), needed });
        }
        let completeness =
            facility.completeness_energy.min(it.completeness_energy).min(sums.common_share());
        let basis = Basis {
            refusals,
            category: category(self.question.plant, &sums.it).ok().flatten(),
            completeness,
            needed,
            qualifications: self.qualifications(facility, it, completeness),
        };
        let methods = self.question.regulations.iter();
        methods
            .filter_map(|text| Some((text, text.method?)))
            .map(|(text, method)| {
                let figure = self.figure(sums, (facility, it), method, &basis, &text.edition);
                Figure {
                    regulation: text.id.clone(),
                    method: text.edition.clone(),
                    verified: text.verified,
                    ..figure
                }
            })
            .collect()
    }

    fn qualifications(
        &self,
        facility: &Energy,
        it: &Energy,
        completeness: f64,
    ) -> Vec<Qualification> {
        let annual = self.question.period.is_annual();
        let most = |part: fn(&Energy) -> f64| part(facility).max(part(it));
        let mut found = Vec::new();
        if annual && completeness < ANNUAL_COMPLETE {
            found.push(Qualification::Incomplete);
        }
        if most(|energy| energy.estimated_share) > 1.0 - ANNUAL_COMPLETE {
            found.push(Qualification::Estimated);
        }
        if most(|energy| energy.integrated_share) > 0.0 {
            found.push(Qualification::Integrated);
        }
        found
    }

    fn figure(
        &self,
        sums: &Sums,
        (facility, it): (&Energy, &Energy),
        method: Method,
        basis: &Basis,
        edition: &str,
    ) -> Figure {
        let period = self.question.period;
        let mut refusals = basis.refusals.clone();
        let calendar_only = method.symbol == Symbol::R && method.year == Year::Calendar;
        if calendar_only && !period.is_calendar_year() {
            refusals.push(Refusal::NoCalendarYear { method: edition.to_owned() });
        }
        let weights = match method.weights {
            Weighting::None => Weights::None,
            Weighting::GreenGrid => Weights::GreenGrid,
        };
        let (energies, uncertainties) = self.weighted(sums, (facility, it), weights);
        let ratio = quotient(energies.0, energies.1);
        if let (true, Err(why)) = (refusals.is_empty(), &ratio) {
            refusals.push(undefined(*why, energies.0, energies.1));
        }
        let verdict = match () {
            () if !refusals.is_empty() => Verdict::Refused,
            () if !basis.qualifications.is_empty() => Verdict::Qualified,
            () => Verdict::Reported,
        };
        let value = ratio.ok().filter(|_| verdict != Verdict::Refused);
        let u95 = value.and_then(|value| {
            let relative = |uncertainty: Option<f64>, kwh: Option<f64>| Some(uncertainty? / kwh?);
            let facility = relative(uncertainties.0, energies.0)?;
            let it = relative(uncertainties.1, energies.1)?;
            Some(uncertainty::expanded_of_ratio(value, facility, it))
        });
        let title = match method.symbol {
            Symbol::Standard => basis
                .category
                .map(|category| Title { category, period, boundary: None, weights }.to_string()),
            Symbol::R => Some(format!("R_M2 ({period})")),
        };
        let notation = title.as_ref().zip(value).map(|(title, value)| {
            let u95 = u95.map(|u95| format!("U95 ±{u95:.3}; ")).unwrap_or_default();
            let complete = floored_percent(basis.completeness);
            format!("{title} = {value:.2} [{u95}completeness {complete}; method {edition}]")
        });
        Figure {
            regulation: String::new(),
            method: String::new(),
            verified: false,
            verdict,
            title,
            category: basis.category,
            weights: match weights {
                Weights::None => "none",
                Weights::GreenGrid => "green_grid",
            },
            value,
            u95,
            completeness: basis.completeness,
            completeness_needed: basis.needed,
            qualifications: basis.qualifications.clone(),
            notation,
            refusals,
        }
    }

    /// Energies and their standard uncertainties, weighted.
    #[expect(clippy::type_complexity, reason = "two pairs of facility and IT")]
    fn weighted(
        &self,
        sums: &Sums,
        (facility, it): (&Energy, &Energy),
        weights: Weights,
    ) -> ((Option<f64>, Option<f64>), (Option<f64>, Option<f64>)) {
        if weights == Weights::None {
            return ((facility.kwh, it.kwh), (facility.uncertainty_kwh, it.uncertainty_kwh));
        }
        let weighted = self.sums(weights);
        let kwh = |known: Option<f64>, quarters: &[crate::sums::Quarter]| {
            known.map(|_| weighted.common(quarters, 0..quarters.len()))
        };
        let uncertainty =
            |terms: &[Weighed]| uncertainty_of(self.question.plant, &self.accounts, terms);
        debug_assert_eq!(sums.states.len(), weighted.states.len());
        (
            (kwh(facility.kwh, &weighted.facility_quarters), kwh(it.kwh, &weighted.it_quarters)),
            (uncertainty(&weighted.facility), uncertainty(&weighted.it)),
        )
    }

    /// What no data could mend.
    fn refusals_of_the_plant(&self, sums: &Sums) -> Vec<Refusal> {
        if let Some(fault) = &sums.fault {
            return vec![Refusal::DoubleCounting { fault: fault.clone() }];
        }
        let mut refusals = Vec::new();
        if !sums.facility.iter().any(|term| !term.negative) {
            refusals.push(Refusal::NoBoundaryMeter);
        }
        if sums.it.is_empty() {
            refusals.push(Refusal::NoItMeter);
        }
        if let Err(meters) = category(self.question.plant, &sums.it) {
            refusals.push(Refusal::NoCategory { meters });
        }
        let weightless = sums.facility.iter().chain(&sums.it).filter(|term| term.weight <= 0.0);
        let weightless: Vec<Arc<str>> =
            weightless.map(|term| Arc::clone(self.name(term.meter))).collect();
        if !weightless.is_empty() {
            refusals.push(Refusal::NotEnergy { meters: weightless });
        }
        refusals
    }

    fn refusals_of_the_data(&self, meters: &[MeterLine], needed: f64) -> Vec<Refusal> {
        let span = self.grid.span();
        let mut refusals = Vec::new();
        if span.to > self.question.asked_at {
            refusals.push(Refusal::PeriodNotOver { ends: self.zone.label(span.to) });
        }
        let counted: Vec<&MeterLine> = meters
            .iter()
            .filter(|meter| meter.in_facility.is_some() || meter.in_it.is_some())
            .collect();
        if meters.iter().all(|meter| meter.amount.is_none()) {
            refusals.push(Refusal::NoData);
            return refusals;
        }
        let silent: Vec<Arc<str>> = counted
            .iter()
            .filter(|meter| meter.amount.is_none())
            .map(|meter| Arc::clone(&meter.name))
            .collect();
        if !silent.is_empty() {
            refusals.push(Refusal::MeterWithoutData { meters: silent });
        }
        refusals.extend(counted.iter().filter_map(|meter| self.implausible(meter)));
        for meter in counted.iter().filter(|meter| meter.amount.is_some()) {
            if meter.completeness.energy < needed {
                let found = &meter.completeness;
                refusals.push(Refusal::LowCoverage {
                    meter: Arc::clone(&meter.name),
                    known: found.energy,
                    missing_hours: (found.missing_quarters + found.estimated_quarters) / 4.0,
                    needed,
                });
            }
        }
        refusals
    }

    /// A register that jumped, and was believed because it stayed there, has counted what cannot have flowed.
    fn implausible(&self, meter: &MeterLine) -> Option<Refusal> {
        let declared = &meter.declared;
        let most =
            PLAUSIBLE_MARGIN * declared.max_power_kw / 4.0 + 2.0 * declared.register_step_kwh;
        let account = self.accounts.get(&self.question.plant.find_asset(&meter.name)?)?;
        let (place, kwh) = account.cells().enumerate().find_map(|(place, cell)| {
            Some((place, cell.amount.filter(|amount| *amount > most)?))
        })?;
        Some(Refusal::Implausible {
            meter: Arc::clone(&meter.name),
            kwh,
            at: self.zone.label(self.grid.start(place)),
            max_power_kw: declared.max_power_kw,
        })
    }
}

/// What the figures of all methods have in common.
struct Basis {
    refusals: Vec<Refusal>,
    category: Option<Category>,
    completeness: f64,
    needed: f64,
    qualifications: Vec<Qualification>,
}

/// The lowest category of the IT meters; `Err`: those without one.
fn category(plant: &Plant, terms: &[Weighed]) -> Result<Option<Category>, Vec<Arc<str>>> {
    let (mut lowest, mut without) = (None::<Category>, Vec::new());
    let of = |meter: AssetId| record(plant, meter).and_then(|meter| meter.category);
    for term in terms.iter().filter(|term| !term.negative) {
        match of(term.meter) {
            Some(category) => lowest = Some(lowest.map_or(category, |low| low.min(category))),
            None => without.push(Arc::clone(&plant.asset(term.meter).name)),
        }
    }
    if without.is_empty() { Ok(lowest) } else { Err(without) }
}

/// Why two known energies have no ratio.
fn undefined(why: Undefined, facility: Option<f64>, it: Option<f64>) -> Refusal {
    match why {
        Undefined::ItPowerZero => Refusal::ItEnergyZero,
        Undefined::FacilityBelowIt => Refusal::FacilityBelowIt {
            facility_kwh: facility.unwrap_or(0.0),
            it_kwh: it.unwrap_or(0.0),
        },
        other => Refusal::Undefined { why: other.to_string() },
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

impl Figure {
    /// Why it is not claimed, in one sentence each.
    pub fn refusal_texts(&self, language: Language) -> impl Iterator<Item = String> + '_ {
        self.refusals.iter().map(move |refusal| refusal.text(language))
    }
}
