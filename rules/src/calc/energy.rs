//! Energies and their ratios.

use super::{Answer, ArgumentError, Arguments, Formula, Input, Kind, Output, Reason};
use crate::{
    measures::{KilowattHours, Measure, Ratio},
    plant::{Carrier, Category},
    ratio::{Energies, Period, Title, Weights},
    value::Undefined,
};

const ENERGIES: Kind = Kind::Quantities(KilowattHours::UNIT);

const FACILITY: Input = Input::optional(
    "edc-kwh",
    ENERGIES,
    "energy of the data centre; several values are added up, such as those of months",
);
const IT: Input = Input::required("eit-kwh", ENERGIES, "energy of the IT equipment, likewise");
const ELECTRICITY: Input =
    Input::optional("electricity-kwh", ENERGIES, "in place of --edc-kwh, by carrier");
const CHILLED_WATER: Input =
    Input::optional("chilled-water-kwh", ENERGIES, "district chilled water");
const NATURAL_GAS: Input = Input::optional("natural-gas-kwh", ENERGIES, "natural gas");
const FUEL_OIL: Input = Input::optional("fuel-oil-kwh", ENERGIES, "fuel oil");
const HEAT: Input = Input::optional("heat-kwh", ENERGIES, "district hot water or steam");
pub(super) const WEIGHTS: Input = Input::with_default(
    "weights",
    Kind::Choice(&["none", "tgg"]),
    "none",
    "how carriers count: as delivered, or by the factors of The Green Grid",
);
pub(super) const CATEGORY: Input = Input::optional(
    "category",
    Kind::Choice(&["1", "2", "3"]),
    "where IT energy is metered: 1 UPS output, 2 PDU output, 3 IT input",
);
pub(super) const PERIOD: Input =
    Input::optional("period", Kind::Period, "first and last day, at most 12 months");
const OVERHEAD: Input =
    Input::required("overhead-kwh", ENERGIES, "energy of the named part without its IT equipment");
const BOUNDARY: Input = Input::required("boundary", Kind::Text, "name of the part");

pub(super) const ENERGY_RATIO: Output = Output::of::<Ratio>("energy_ratio");
pub(super) const FACILITY_ENERGY: Output = Output::of::<KilowattHours>("facility_energy");
pub(super) const IT_ENERGY: Output = Output::of::<KilowattHours>("it_energy");

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        name: "pue",
        help: "facility over IT energy; it gets its standard name with --category and --period only",
        example: "--edc-kwh 10000000 --eit-kwh 8000000 --category 2 --period 2025-01-01:2025-12-31",
        inputs: &[
            FACILITY,
            IT,
            ELECTRICITY,
            CHILLED_WATER,
            NATURAL_GAS,
            FUEL_OIL,
            HEAT,
            WEIGHTS,
            CATEGORY,
            PERIOD,
        ],
        file: None,
        outputs: &[ENERGY_RATIO, FACILITY_ENERGY, IT_ENERGY],
        evaluate: energy_ratio,
    },
    Formula {
        name: "partial-pue",
        help: "the same ratio for a named part of the data centre; comparable with no other",
        example: "--boundary \"loop A\" --overhead-kwh 18,12 --eit-kwh 1000",
        inputs: &[OVERHEAD, IT, BOUNDARY, CATEGORY, PERIOD],
        file: None,
        outputs: &[ENERGY_RATIO],
        evaluate: partial_energy_ratio,
    },
];

fn energy_ratio(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let weights = weights(given)?;
    let facility = kilowatt_hours(facility_energy(given, weights)?);
    let it = kilowatt_hours(sum(given, &IT)?.ok_or_else(|| IT.missing())?);
    let title = title(given, None, None, weights)?;
    Ok(vec![ratio(title, facility, it), FACILITY_ENERGY.is(facility), IT_ENERGY.is(it)])
}

fn partial_energy_ratio(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let overhead = sum(given, &OVERHEAD)?.ok_or_else(|| OVERHEAD.missing())?;
    let it = sum(given, &IT)?.ok_or_else(|| IT.missing())?;
    let boundary = given.text(&BOUNDARY).ok_or_else(|| BOUNDARY.missing())?;
    let title = title(given, None, Some(boundary.to_owned()), Weights::None)?;
    Ok(vec![ratio(title, kilowatt_hours(overhead + it), kilowatt_hours(it))])
}

/// The ratio under the name it has earned.
pub(super) fn ratio<E: Into<Reason>>(
    title: Option<String>,
    facility: Result<KilowattHours, E>,
    it: Result<KilowattHours, E>,
) -> Answer {
    let quotient = || {
        let facility = facility.map_err(Into::into)?;
        let it = it.map_err(Into::into)?;
        Ok(Ratio::new(Energies { facility, it }.energy_ratio()?.get()).map_err(Undefined::from)?)
    };
    let answer = ENERGY_RATIO.is::<Ratio, Reason>(quotient());
    Answer { name: title.map_or(answer.name, Into::into), ..answer }
}

pub(super) fn kilowatt_hours(value: f64) -> Result<KilowattHours, Undefined> {
    Ok(KilowattHours::new(value)?)
}

/// The sum over carriers with their weights, or the one total.
fn facility_energy(given: &Arguments, weights: Weights) -> Result<f64, ArgumentError> {
    let by_carrier = [
        (&ELECTRICITY, Carrier::Electricity),
        (&CHILLED_WATER, Carrier::ChilledWater),
        (&NATURAL_GAS, Carrier::NaturalGas),
        (&FUEL_OIL, Carrier::FuelOil),
        (&HEAT, Carrier::Heat),
    ];
    let mut weighted: Option<f64> = None;
    for (input, carrier) in by_carrier {
        if let Some(energy) = sum(given, input)? {
            let weight = weights
                .of(carrier)
                .map_err(|why| ArgumentError::Conflict(format!("--{}: {why}", input.name)))?;
            weighted = Some(weighted.unwrap_or(0.0) + weight * energy);
        }
    }
    match (sum(given, &FACILITY)?, weighted) {
        (Some(_), Some(_)) => {
            Err(ArgumentError::Conflict("--edc-kwh is the total: it excludes carriers".to_owned()))
        }
        (Some(_), None) if weights == Weights::GreenGrid => Err(ArgumentError::Conflict(
            "--weights needs the energy by carrier, not --edc-kwh".to_owned(),
        )),
        (Some(total), None) | (None, Some(total)) => Ok(total),
        (None, None) => Err(FACILITY.missing()),
    }
}

/// Energies add up; a negative one is a mistake, not a credit.
fn sum(given: &Arguments, input: &Input) -> Result<Option<f64>, ArgumentError> {
    let Some(text) = given.text(input) else { return Ok(None) };
    let energies: Vec<KilowattHours> = given.quantities(input)?;
    if energies.iter().any(|energy| energy.get() < 0.0) {
        return Err(input.wrong(text, "energy is not negative"));
    }
    Ok(Some(energies.iter().map(|energy| energy.get()).sum()))
}

pub(super) fn weights(given: &Arguments) -> Result<Weights, ArgumentError> {
    Ok(match given.choice(&WEIGHTS)? {
        Some("tgg") => Weights::GreenGrid,
        _ => Weights::None,
    })
}

/// The name that the standard gives the ratio, once everything that belongs to it is there. `metered` is the category
/// that the meters themselves show, for when none is given.
pub(super) fn title(
    given: &Arguments,
    metered: Option<Category>,
    boundary: Option<String>,
    weights: Weights,
) -> Result<Option<String>, ArgumentError> {
    let category = given.choice(&CATEGORY)?.map(|word| match word {
        "1" => Category::One,
        "2" => Category::Two,
        _ => Category::Three,
    });
    match (category.or(metered), given.parsed::<Period>(&PERIOD)?) {
        (Some(category), Some(period)) => {
            Ok(Some(Title { category, period, boundary, weights }.to_string()))
        }
        (_, None) if category.is_none() => Ok(None),
        (_, None) | (None, Some(_)) => {
            Err(ArgumentError::Conflict("--category and --period go together".to_owned()))
        }
    }
}
