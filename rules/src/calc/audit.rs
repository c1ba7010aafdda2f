//! What an auditor computes again: uncertainties, indicators, limits, completeness.

use super::{
    Answer, ArgumentError, Arguments, Formula, Input, Kind, Output,
    energy::{ENERGY_RATIO, FACILITY_ENERGY, IT_ENERGY, PERIOD},
};
use crate::{
    calendar::Zone,
    indicators,
    ledger::INTERVAL,
    limits::{Surcharge, Tier},
    measures::{
        CubicMeters, CubicMetersPerHour, Kelvin, KilogramsPerKilowattHour, KilowattHours,
        Kilowatts, LitersPerKilowattHour, Measure, Percent, Ratio,
    },
    plant::Condition,
    ratio::{Period, characteristic_ratio},
    uncertainty::{self, Part},
    value::Undefined,
};

const ENERGY: Kind = Kind::Quantity(KilowattHours::UNIT);
const PERCENT: Kind = Kind::Quantity(Percent::UNIT);
/// GB 40879, 6.3.2: a year has so many hours.
const HOURS_OF_A_YEAR: f64 = 8760.0;

const FACILITY: Input = Input::required("edc-kwh", ENERGY, "energy of the data centre");
const IT: Input = Input::required("eit-kwh", ENERGY, "energy of the IT equipment");
const OVERHEAD: Input = Input::required("overhead-kwh", ENERGY, "energy of everything but IT");
const FACILITY_CLASS: Input =
    Input::required("edc-class-percent", PERCENT, "accuracy class of its meters");
const IT_CLASS: Input =
    Input::required("eit-class-percent", PERCENT, "accuracy class of the IT meters");
const OVERHEAD_CLASS: Input =
    Input::required("overhead-class-percent", PERCENT, "accuracy class of the overhead meters");
const CLASS: Input = Input::required("class-percent", PERCENT, "accuracy class of the meter");
const CT_CLASS: Input =
    Input::with_default("ct-class-percent", PERCENT, "0", "class of its current transformers");
const PARTS: Input = Input::required(
    "energies-kwh",
    Kind::Quantities(KilowattHours::UNIT),
    "what the meters of a sum counted",
);
const MODELS: Input = Input::with_default(
    "models",
    Kind::Choice(&["one", "several"]),
    "one",
    "meters of one model are off together, those of several models each by itself",
);

const WATER: Input =
    Input::optional("water-m3", Kind::Quantity(CubicMeters::UNIT), "water that was taken in");
const REUSED: Input = Input::optional("reused-kwh", ENERGY, "heat that is used outside");
const RENEWABLE: Input =
    Input::optional("renewable-kwh", ENERGY, "renewable energy, with guarantees of origin");
const EMISSION: Input = Input::optional(
    "emission-kg-per-kwh",
    Kind::Quantity(KilogramsPerKilowattHour::UNIT),
    "what a kWh of facility energy emits",
);
const HEAT: Input = Input::optional("heat-kwh", ENERGY, "heat that cooling removed");
const COOLING: Input = Input::optional("cooling-kwh", ENERGY, "energy of the cooling");
const FANS: Input = Input::with_default("fans-kwh", ENERGY, "0", "energy of fans inside servers");
const SUPPLIES: Input =
    Input::with_default("psu-kwh", ENERGY, "0", "losses of power supplies inside servers");

const FACILITY_POWERS: Input = Input::required(
    "edc-kw",
    Kind::Quantities(Kilowatts::UNIT),
    "facility power at each test condition",
);
const IT_POWERS: Input =
    Input::required("eit-kw", Kind::Quantities(Kilowatts::UNIT), "IT power at each, likewise");
const SHARES: Input = Input::required(
    "shares",
    Kind::Quantities(Ratio::UNIT),
    "share of the year that each condition stands for",
);

const LIMIT: Input =
    Input::required("limit", Kind::Quantity(Ratio::UNIT), "ratio above which energy costs more");
const PRICE: Input =
    Input::required("price", Kind::Quantity(Ratio::UNIT), "of a kWh above the limit, in money");

const CLASS_OF_METER: Input =
    Input::required("class", Kind::Quantity(Ratio::UNIT), "accuracy class: 1, 2 or 3");
const NOMINAL_FLOW: Input = Input::required(
    "nominal-flow-m3h",
    Kind::Quantity(CubicMetersPerHour::UNIT),
    "qp of the flow sensor",
);
const FLOW: Input =
    Input::required("flow-m3h", Kind::Quantity(CubicMetersPerHour::UNIT), "the flow in question");
const LEAST_DIFFERENCE: Input = Input::required(
    "least-difference-k",
    Kind::Quantity(Kelvin::UNIT),
    "smallest difference that the meter is made for",
);
const DIFFERENCE: Input =
    Input::required("difference-k", Kind::Quantity(Kelvin::UNIT), "the difference in question");

const SPAN: Input = Input::required("period", Kind::Period, PERIOD.help);
const ZONE: Input = Input::with_default("time-zone", Kind::Text, "UTC", "such as Europe/Berlin");
const MEASURED: Input = Input::optional(
    "measured-quarters",
    Kind::Quantity(Ratio::UNIT),
    "quarter-hours that were measured",
);

const RELATIVE: Output = Output::of::<Percent>("relative_uncertainty");
const STANDARD: Output = Output::of::<Ratio>("uncertainty");
const EXPANDED: Output = Output::of::<Ratio>("u95");
const LOW: Output = Output::of::<Ratio>("from");
const HIGH: Output = Output::of::<Ratio>("to");
const WUE: Output = Output::of::<LitersPerKilowattHour>("wue");
const ERF: Output = Output::of::<Ratio>("erf");
const REF: Output = Output::of::<Ratio>("ref");
const ERE: Output = Output::of::<Ratio>("ere");
const CUE: Output = Output::of::<KilogramsPerKilowattHour>("cue");
const CER: Output = Output::of::<Ratio>("cer");
const ITUE: Output = Output::of::<Ratio>("itue");
const TUE: Output = Output::of::<Ratio>("tue");
const ABOVE: Output = Output::of::<KilowattHours>("energy_above");
const AMOUNT: Output = Output::of::<Ratio>("amount");
const ERROR: Output = Output::of::<Percent>("permissible_error");
const QUARTERS: Output = Output::of::<Ratio>("quarter_hours");
const COMPLETENESS: Output = Output::of::<Percent>("completeness");

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        name: "meter-uncertainty",
        help: "standard uncertainty of a meter with its transformers (GUM, rectangular limits)",
        example: "--class-percent 0.5 --ct-class-percent 0.5",
        inputs: &[CLASS, CT_CLASS],
        file: None,
        outputs: &[RELATIVE],
        evaluate: meter_uncertainty,
    },
    Formula {
        name: "sum-uncertainty",
        help: "standard uncertainty of a sum of meters of one class",
        example: "--energies-kwh 2e6,3e6,5e6 --class-percent 1 --models several",
        inputs: &[PARTS, CLASS, MODELS],
        file: None,
        outputs: &[RELATIVE],
        evaluate: sum_uncertainty,
    },
    Formula {
        name: "ratio-uncertainty",
        help: "how well facility over IT energy is known, with meters of their own for both",
        example: "--edc-kwh 12.5e6 --edc-class-percent 0.5 --eit-kwh 10e6 --eit-class-percent 1",
        inputs: &[FACILITY, FACILITY_CLASS, IT, IT_CLASS],
        file: None,
        outputs: &[ENERGY_RATIO, RELATIVE, STANDARD, EXPANDED, LOW, HIGH],
        evaluate: ratio_uncertainty,
    },
    Formula {
        name: "bottom-up-uncertainty",
        help: "how well one plus overhead over IT energy is known: better, where overhead is small",
        example: "--overhead-kwh 2e6 --overhead-class-percent 2 --eit-kwh 10e6 --eit-class-percent 1",
        inputs: &[OVERHEAD, OVERHEAD_CLASS, IT, IT_CLASS],
        file: None,
        outputs: &[ENERGY_RATIO, STANDARD, EXPANDED],
        evaluate: bottom_up_uncertainty,
    },
    Formula {
        name: "indicators",
        help: "water, reuse, renewable, carbon and cooling indicators of a period",
        example: "--edc-kwh 10e6 --eit-kwh 8e6 --water-m3 12000 --reused-kwh 1.5e6 --renewable-kwh 6e6 \
                  --emission-kg-per-kwh 0.45",
        inputs: &[FACILITY, IT, WATER, REUSED, RENEWABLE, EMISSION, HEAT, COOLING],
        file: None,
        outputs: &[WUE, ERF, REF, ERE, CUE, CER],
        evaluate: indicators_of,
    },
    Formula {
        name: "total-usage",
        help: "ITUE and TUE: as facility over IT energy, but without fans and power supplies of servers",
        example: "--edc-kwh 1116 --eit-kwh 930 --fans-kwh 5 --psu-kwh 45",
        inputs: &[FACILITY, IT, FANS, SUPPLIES],
        file: None,
        outputs: &[ENERGY_RATIO, ITUE, TUE],
        evaluate: total_usage,
    },
    Formula {
        name: "characteristic-ratio",
        help: "R_M1 of GB 40879: from tests at characteristic conditions with their shares of the year",
        example: "--edc-kw 1380,1320,1260,1225,1215 --eit-kw 1000,1000,1000,1000,1000 \
                  --shares 0.05,0.25,0.30,0.25,0.15",
        inputs: &[FACILITY_POWERS, IT_POWERS, SHARES],
        file: None,
        outputs: &[ENERGY_RATIO, FACILITY_ENERGY, IT_ENERGY],
        evaluate: at_conditions,
    },
    Formula {
        name: "surcharge",
        help: "what energy above a limit costs: E_DC - limit x E_IT, times a price",
        example: "--edc-kwh 14.5e6 --eit-kwh 10e6 --limit 1.35 --price 0.20",
        inputs: &[FACILITY, IT, LIMIT, PRICE],
        file: None,
        outputs: &[ABOVE, AMOUNT],
        evaluate: surcharge,
    },
    Formula {
        name: "heat-meter-error",
        help: "permissible error of a heat meter (EN 1434-1): flow sensor, temperature pair, calculator",
        example: "--class 2 --nominal-flow-m3h 25 --flow-m3h 10 --least-difference-k 3 --difference-k 14",
        inputs: &[CLASS_OF_METER, NOMINAL_FLOW, FLOW, LEAST_DIFFERENCE, DIFFERENCE],
        file: None,
        outputs: &[ERROR],
        evaluate: heat_meter_error,
    },
    Formula {
        name: "completeness",
        help: "quarter-hours of a period by the clocks of a place, and how many of them were measured",
        example: "--period 2025-01-01:2025-12-31 --measured-quarters 34900",
        inputs: &[SPAN, ZONE, MEASURED],
        file: None,
        outputs: &[QUARTERS, COMPLETENESS],
        evaluate: completeness,
    },
];

fn percent(share: f64) -> Result<Percent, Undefined> {
    Ok(Percent::new(share * 100.0)?)
}

fn ratio(value: f64) -> Result<Ratio, Undefined> {
    Ok(Ratio::new(value)?)
}

fn get<M: Measure>(given: &Arguments, input: &Input) -> Result<f64, ArgumentError> {
    given.quantity::<M>(input).map(M::get)
}

fn energy(given: &Arguments, input: &Input) -> Result<f64, ArgumentError> {
    get::<KilowattHours>(given, input)
}

/// A class as a standard uncertainty: limits are rectangular.
fn standard(given: &Arguments, class: &Input) -> Result<f64, ArgumentError> {
    Ok(uncertainty::of_class(get::<Percent>(given, class)?, 0.0))
}

fn meter_uncertainty(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let (class, transformers) = (get::<Percent>(given, &CLASS)?, get::<Percent>(given, &CT_CLASS)?);
    Ok(vec![RELATIVE.is(percent(uncertainty::of_class(class, transformers)))])
}

fn sum_uncertainty(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let energies = given.quantities::<KilowattHours>(&PARTS)?;
    let class = standard(given, &CLASS)?;
    let several = given.choice(&MODELS)? == Some("several");
    let names: Vec<String> = (0..energies.len()).map(|index| index.to_string()).collect();
    let parts = energies.iter().zip(&names).map(|(energy, name)| Part {
        model: several.then_some(name.as_str()),
        class: energy.get() * class,
        own: 0.0,
    });
    let sum: f64 = energies.iter().map(|energy| energy.get()).sum();
    let relative = indicators::quotient(uncertainty::of_sum(parts), sum);
    Ok(vec![RELATIVE.is(relative.and_then(percent))])
}

fn ratio_uncertainty(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let (facility, it) = (energy(given, &FACILITY)?, energy(given, &IT)?);
    let classes = (standard(given, &FACILITY_CLASS)?, standard(given, &IT_CLASS)?);
    let value = indicators::per_it(facility, it);
    let expanded = value.map(|value| uncertainty::expanded_of_ratio(value, classes.0, classes.1));
    let of = |what: fn(f64, f64) -> f64| {
        value.and_then(|value| expanded.and_then(|u95| ratio(what(value, u95))))
    };
    Ok(vec![
        ENERGY_RATIO.is(value.and_then(ratio)),
        RELATIVE.is(percent(classes.0.hypot(classes.1))),
        STANDARD.is(of(|_, u95| u95 / 2.0)),
        EXPANDED.is(of(|_, u95| u95)),
        LOW.is(of(|value, u95| value - u95)),
        HIGH.is(of(|value, u95| value + u95)),
    ])
}

fn bottom_up_uncertainty(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let (overhead, it) = (energy(given, &OVERHEAD)?, energy(given, &IT)?);
    let classes = (standard(given, &OVERHEAD_CLASS)?, standard(given, &IT_CLASS)?);
    let value = indicators::per_it(overhead + it, it);
    let expanded =
        value.map(|value| uncertainty::expanded_of_bottom_up(value, classes.0, classes.1));
    Ok(vec![
        ENERGY_RATIO.is(value.and_then(ratio)),
        STANDARD.is(expanded.and_then(|u95| ratio(u95 / 2.0))),
        EXPANDED.is(expanded.and_then(ratio)),
    ])
}

/// Only those whose inputs are given are answered.
fn indicators_of(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let (facility, it) = (energy(given, &FACILITY)?, energy(given, &IT)?);
    let of = |input: &Input| {
        let found = given.optional_quantity::<KilowattHours>(input)?;
        Ok::<_, ArgumentError>(found.map(KilowattHours::get))
    };
    let water = given.optional_quantity::<CubicMeters>(&WATER)?.map(CubicMeters::get);
    let emission = given.optional_quantity::<KilogramsPerKilowattHour>(&EMISSION)?;
    let (reused, renewable) = (of(&REUSED)?, of(&RENEWABLE)?);
    let cooling = of(&HEAT)?.zip(of(&COOLING)?);
    let answers = [
        water.map(|water| {
            let usage = indicators::water_usage(water, it);
            WUE.is(usage.and_then(|usage| Ok(LitersPerKilowattHour::new(usage)?)))
        }),
        reused.map(|reused| {
            ERF.is(indicators::energy_reuse_factor(reused, facility).and_then(ratio))
        }),
        renewable.map(|renewable| {
            REF.is(indicators::renewable_energy_factor(renewable, facility).and_then(ratio))
        }),
        reused.map(|reused| {
            let ere = indicators::energy_reuse_effectiveness(facility, reused, it);
            ERE.is(ere.and_then(ratio))
        }),
        emission.map(|emission| {
            let usage = indicators::carbon_usage(facility, emission.get(), it);
            CUE.is(usage.and_then(|usage| Ok(KilogramsPerKilowattHour::new(usage)?)))
        }),
        cooling.map(|(heat, cooling)| {
            CER.is(indicators::cooling_efficiency_ratio(heat, cooling).and_then(ratio))
        }),
    ];
    Ok(answers.into_iter().flatten().collect())
}

fn total_usage(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let (facility, it) = (energy(given, &FACILITY)?, energy(given, &IT)?);
    let compute = it - energy(given, &FANS)? - energy(given, &SUPPLIES)?;
    Ok(vec![
        ENERGY_RATIO.is(indicators::per_it(facility, it).and_then(ratio)),
        ITUE.is(indicators::it_usage(it, compute).and_then(ratio)),
        TUE.is(indicators::total_usage(facility, compute).and_then(ratio)),
    ])
}

fn at_conditions(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let powers = |input: &Input| given.quantities::<Kilowatts>(input);
    let (facility, it) = (powers(&FACILITY_POWERS)?, powers(&IT_POWERS)?);
    let shares = given.quantities::<Ratio>(&SHARES)?;
    if facility.len() != it.len() || facility.len() != shares.len() {
        let why = "--edc-kw, --eit-kw and --shares have one value for each condition".to_owned();
        return Err(ArgumentError::Conflict(why));
    }
    let conditions: Vec<Condition> = facility
        .iter()
        .zip(&it)
        .zip(&shares)
        .map(|((facility, it), share)| Condition {
            // The test says at which temperature; the formula does not ask.
            outdoor_c: 0.0,
            share: share.get(),
            facility_kw: facility.get(),
            it_kw: it.get(),
        })
        .collect();
    let year = |power: fn(&Condition) -> f64| {
        let sum: f64 = conditions.iter().map(|one| one.share * power(one)).sum();
        Ok::<_, Undefined>(KilowattHours::new(sum * HOURS_OF_A_YEAR)?)
    };
    Ok(vec![
        ENERGY_RATIO.is(characteristic_ratio(&conditions).and_then(ratio)),
        FACILITY_ENERGY.is(year(|one| one.facility_kw)),
        IT_ENERGY.is(year(|one| one.it_kw)),
    ])
}

fn surcharge(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let (facility, it) = (energy(given, &FACILITY)?, energy(given, &IT)?);
    let (limit, price) = (get::<Ratio>(given, &LIMIT)?, get::<Ratio>(given, &PRICE)?);
    let tiers = vec![Tier { up_to_times: None, price }];
    let surcharge = Surcharge { limit, currency: String::new(), tiers };
    let found = surcharge.of(facility, it).ok_or(Undefined::ItPowerZero);
    Ok(vec![
        ABOVE.is(found.and_then(|(above, _)| Ok(KilowattHours::new(above)?))),
        AMOUNT.is(found.and_then(|(_, amount)| ratio(amount))),
    ])
}

fn heat_meter_error(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let error = indicators::heat_meter_error(
        get::<Ratio>(given, &CLASS_OF_METER)?,
        get::<CubicMetersPerHour>(given, &NOMINAL_FLOW)?,
        get::<CubicMetersPerHour>(given, &FLOW)?,
        get::<Kelvin>(given, &LEAST_DIFFERENCE)?,
        get::<Kelvin>(given, &DIFFERENCE)?,
    );
    Ok(vec![ERROR.is(error.and_then(|error| Ok(Percent::new(error)?)))])
}

fn completeness(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let period: Period = given.parsed(&SPAN)?.ok_or_else(|| SPAN.missing())?;
    let zone: Zone = given.parsed(&ZONE)?.ok_or_else(|| ZONE.missing())?;
    let length = zone.span(period).length();
    let quarters = f64::from(i32::try_from(length.num_minutes()).unwrap_or(i32::MAX))
        / f64::from(i32::try_from(INTERVAL.num_minutes()).unwrap_or(15));
    let measured = given.optional_quantity::<Ratio>(&MEASURED)?;
    let mut answers = vec![QUARTERS.is(ratio(quarters))];
    answers.extend(measured.map(|measured| {
        COMPLETENESS.is(indicators::quotient(measured.get(), quarters).and_then(percent))
    }));
    Ok(answers)
}
