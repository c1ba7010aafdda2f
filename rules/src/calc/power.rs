//! Electrical figures and rack density.

use super::{Answer, ArgumentError, Arguments, Formula, Input, Kind, Output};
use crate::{
    density::{self, RackPower},
    electrical::{self, Balanced, Feeds, Phase},
    measures::{
        Amperes, Kilovars, KilovoltAmperes, Kilowatts, KilowattsPerSquareMeter, Measure, Percent,
        Ratio, SquareMeters, Volts,
    },
    value::Undefined,
};

const KILOWATTS: Kind = Kind::Quantity(Kilowatts::UNIT);
const AMPERES: Kind = Kind::Quantity(Amperes::UNIT);

const VOLTAGE: Input =
    Input::required("voltage-v", Kind::Quantity(Volts::UNIT), "line-to-line voltage");
const CURRENT: Input = Input::required("current-a", AMPERES, "current of one phase");
const POWER_FACTOR: Input =
    Input::required("power-factor", Kind::Quantity(Ratio::UNIT), "active over apparent power");
const VOLTAGES: Input = Input::required(
    "voltages-v",
    Kind::Quantities(Volts::UNIT),
    "line-to-neutral voltages of the three phases",
);
const CURRENTS: Input =
    Input::required("currents-a", Kind::Quantities(Amperes::UNIT), "currents of the three phases");
const POWER_FACTORS: Input = Input::required(
    "power-factors",
    Kind::Quantities(Ratio::UNIT),
    "power factors of the three phases",
);

const ACTIVE: Output = Output::of::<Kilowatts>("active_power");
const REACTIVE: Output = Output::of::<Kilovars>("reactive_power");
const APPARENT: Output = Output::of::<KilovoltAmperes>("apparent_power");
const APPARENT_ARITHMETIC: Output = Output::of::<KilovoltAmperes>("apparent_power_arithmetic");
const APPARENT_VECTOR: Output = Output::of::<KilovoltAmperes>("apparent_power_vector");
const FACTOR_ARITHMETIC: Output = Output::of::<Ratio>("power_factor_arithmetic");
const FACTOR_VECTOR: Output = Output::of::<Ratio>("power_factor_vector");

const LINE_VOLTAGES: Input =
    Input::optional("voltages-v", Kind::Quantities(Volts::UNIT), "the three line-to-line voltages");
const LINE_CURRENTS: Input =
    Input::optional("currents-a", Kind::Quantities(Amperes::UNIT), "the three phase currents");
const RATED: Input =
    Input::with_default("rated-a", AMPERES, "0", "no current unbalance below a tenth of this");

const VOLTAGE_NEMA: Output = Output::of::<Percent>("voltage_unbalance_nema");
const VOLTAGE_IEC: Output = Output::of::<Percent>("voltage_unbalance_iec");
const CURRENT_NEMA: Output = Output::of::<Percent>("current_unbalance_nema");
const NEUTRAL: Output = Output::of::<Amperes>("neutral_current");

const RATING: Input = Input::required("rating-a", AMPERES, "rated current of the breaker");
const CONTINUOUS: Input = Input::with_default(
    "continuous-factor",
    Kind::Quantity(Ratio::UNIT),
    "0.8",
    "share of the rating that may be carried continuously",
);

const LOAD: Output = Output::of::<Percent>("load");
const CONTINUOUS_LOAD: Output = Output::of::<Percent>("continuous_load");
const HEADROOM: Output = Output::of::<Amperes>("headroom");

const FEED_A: Input = Input::required("feed-a-kw", KILOWATTS, "power on feed A");
const FEED_B: Input = Input::required("feed-b-kw", KILOWATTS, "power on feed B");
const CAPACITY: Input = Input::required("capacity-kw", KILOWATTS, "rated power of one feed");

const POWER: Output = Output::of::<Kilowatts>("power");
const STATE: Output = Output::word("state");

const USABLE: Input = Input::required("usable-kw", KILOWATTS, "usable capacity");
const PEAK: Input = Input::required("peak-kw", KILOWATTS, "observed peak of A and B together");
const RESERVED: Input = Input::with_default("reserved-kw", KILOWATTS, "0", "already promised");

const STRANDED: Output = Output::of::<Kilowatts>("stranded_capacity");
const STRANDED_SHARE: Output = Output::of::<Percent>("stranded_share");

const RACKS: Input = Input::required(
    "racks-kw",
    Kind::Quantities(Kilowatts::UNIT),
    "power of each rack; the word missing for a rack without a value",
);
const AREA: Input =
    Input::optional("area-m2", Kind::Quantity(SquareMeters::UNIT), "area of the computer room");
const FOOTPRINT: Input =
    Input::optional("footprint-m2", Kind::Quantity(SquareMeters::UNIT), "footprint of one rack");

const MEAN: Output = Output::of::<Kilowatts>("rack_power_mean");
const MEAN_OCCUPIED: Output = Output::of::<Kilowatts>("rack_power_mean_occupied");
const MAX: Output = Output::of::<Kilowatts>("rack_power_max");
const DENSITY: Output = Output::of::<KilowattsPerSquareMeter>("power_density");
const FOOTPRINT_DENSITY: Output = Output::of::<KilowattsPerSquareMeter>("footprint_density_max");
const COVERAGE: Output = Output::of::<Percent>("coverage");

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        name: "density",
        help: "rack power density of a hall",
        example: "--racks-kw 132,120,98,0.096 --area-m2 240",
        inputs: &[RACKS, AREA, FOOTPRINT],
        file: None,
        outputs: &[MEAN, MEAN_OCCUPIED, MAX, COVERAGE, DENSITY, FOOTPRINT_DENSITY],
        evaluate: rack_density,
    },
    Formula {
        name: "three-phase",
        help: "power of a balanced three-phase load",
        example: "--voltage-v 400 --current-a 160 --power-factor 0.98",
        inputs: &[VOLTAGE, CURRENT, POWER_FACTOR],
        file: None,
        outputs: &[APPARENT, ACTIVE, REACTIVE],
        evaluate: three_phase,
    },
    Formula {
        name: "phases",
        help: "power of a three-phase load with unequal phases",
        example: "--voltages-v 230,228,232 --currents-a 60,45,75 --power-factors 0.98,0.90,0.95",
        inputs: &[VOLTAGES, CURRENTS, POWER_FACTORS],
        file: None,
        outputs: &[
            ACTIVE,
            REACTIVE,
            APPARENT_ARITHMETIC,
            FACTOR_ARITHMETIC,
            APPARENT_VECTOR,
            FACTOR_VECTOR,
        ],
        evaluate: phases,
    },
    Formula {
        name: "unbalance",
        help: "unbalance of voltages or currents, and neutral current",
        example: "--voltages-v 398,402,406",
        inputs: &[LINE_VOLTAGES, LINE_CURRENTS, RATED],
        file: None,
        outputs: &[VOLTAGE_NEMA, VOLTAGE_IEC, CURRENT_NEMA, NEUTRAL],
        evaluate: unbalance,
    },
    Formula {
        name: "breaker",
        help: "load of a breaker against its continuous limit",
        example: "--current-a 24 --rating-a 32",
        inputs: &[CURRENT, RATING, CONTINUOUS],
        file: None,
        outputs: &[LOAD, CONTINUOUS_LOAD, HEADROOM],
        evaluate: breaker,
    },
    Formula {
        name: "failover",
        help: "load of one feed if the other fails",
        example: "--feed-a-kw 28.73 --feed-b-kw 19.096 --capacity-kw 57.5",
        inputs: &[FEED_A, FEED_B, CAPACITY, CONTINUOUS],
        file: None,
        outputs: &[POWER, LOAD, STATE],
        evaluate: failover,
    },
    Formula {
        name: "stranded",
        help: "capacity that is neither used nor promised",
        example: "--usable-kw 46 --peak-kw 38.2",
        inputs: &[USABLE, PEAK, RESERVED],
        file: None,
        outputs: &[STRANDED, STRANDED_SHARE],
        evaluate: stranded,
    },
];

fn rack_density(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let racks = given.members(&RACKS)?;
    if racks.is_empty() {
        return Err(RACKS.missing());
    }
    let racks = RackPower::of(racks);
    let mut answers = vec![
        MEAN.is(racks.mean),
        MEAN_OCCUPIED.is(racks.mean_occupied),
        MAX.is(racks.max),
        COVERAGE.is(percent(100.0 * racks.coverage.share())),
    ];
    if let Some(area) = given.optional_quantity(&AREA)? {
        let density = racks.total.and_then(|total| density::areal_density(total, area));
        answers.push(DENSITY.is(density));
    }
    if let Some(footprint) = given.optional_quantity(&FOOTPRINT)? {
        let density = racks.max.and_then(|max| density::areal_density(max, footprint));
        answers.push(FOOTPRINT_DENSITY.is(density));
    }
    Ok(answers)
}

fn three_phase(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let load = Balanced {
        line_to_line: given.quantity(&VOLTAGE)?,
        current: given.quantity(&CURRENT)?,
        power_factor: given.quantity(&POWER_FACTOR)?,
    };
    let power = load.power();
    Ok(vec![
        APPARENT.is(power.map(|p| p.apparent)),
        ACTIVE.is(power.map(|p| p.active)),
        REACTIVE.is(power.map(|p| p.reactive)),
    ])
}

fn phases(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let voltages: [Volts; 3] = required_phases(given, &VOLTAGES)?;
    let currents: [Amperes; 3] = required_phases(given, &CURRENTS)?;
    let factors: [Ratio; 3] = required_phases(given, &POWER_FACTORS)?;
    let phase =
        |line_to_neutral, current, power_factor| Phase { line_to_neutral, current, power_factor };
    let ([v1, v2, v3], [i1, i2, i3], [f1, f2, f3]) = (voltages, currents, factors);
    let sums = electrical::unbalanced([phase(v1, i1, f1), phase(v2, i2, f2), phase(v3, i3, f3)]);
    Ok(vec![
        ACTIVE.is(sums.map(|s| s.active)),
        REACTIVE.is(sums.map(|s| s.reactive)),
        APPARENT_ARITHMETIC.is(sums.map(|s| s.apparent_arithmetic)),
        FACTOR_ARITHMETIC.is(sums.map(|s| s.power_factor_arithmetic)),
        APPARENT_VECTOR.is(sums.map(|s| s.apparent_vector)),
        FACTOR_VECTOR.is(sums.map(|s| s.power_factor_vector)),
    ])
}

fn unbalance(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let mut answers = Vec::new();
    if let Some(voltages) = given.phases(&LINE_VOLTAGES)? {
        answers.push(VOLTAGE_NEMA.is(electrical::nema_unbalance::<Volts>(voltages)));
        answers.push(VOLTAGE_IEC.is(electrical::iec_voltage_unbalance(voltages)));
    }
    if let Some(currents) = given.phases(&LINE_CURRENTS)? {
        let rated = given.quantity(&RATED)?;
        answers.push(CURRENT_NEMA.is(electrical::current_unbalance(currents, rated)));
        answers.push(NEUTRAL.is(electrical::neutral_current(currents)));
    }
    if answers.is_empty() {
        let neither = "--voltages-v or --currents-a is needed";
        return Err(ArgumentError::Conflict(neither.to_owned()));
    }
    Ok(answers)
}

fn breaker(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let load = electrical::breaker_load(
        given.quantity(&CURRENT)?,
        given.quantity(&RATING)?,
        given.quantity(&CONTINUOUS)?,
    );
    Ok(vec![
        LOAD.is(load.map(|l| l.load)),
        CONTINUOUS_LOAD.is(load.map(|l| l.continuous_load)),
        HEADROOM.is(load.map(|l| l.headroom)),
    ])
}

fn failover(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let feeds = Feeds {
        a: given.quantity(&FEED_A)?,
        b: given.quantity(&FEED_B)?,
        capacity: given.quantity(&CAPACITY)?,
    };
    let failover = feeds.failover(given.quantity(&CONTINUOUS)?);
    Ok(vec![
        POWER.is(failover.map(|f| f.power)),
        LOAD.is(failover.map(|f| f.load)),
        STATE.says(failover.map(|f| f.state.word())),
    ])
}

fn stranded(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let usable: Kilowatts = given.quantity(&USABLE)?;
    let stranded =
        electrical::stranded_capacity(usable, given.quantity(&PEAK)?, given.quantity(&RESERVED)?);
    let share = stranded.and_then(|kilowatts| percent(100.0 * kilowatts.get() / usable.get()));
    Ok(vec![STRANDED.is(stranded), STRANDED_SHARE.is(share)])
}

fn required_phases<M: Measure>(given: &Arguments, input: &Input) -> Result<[M; 3], ArgumentError> {
    given.phases(input)?.ok_or_else(|| input.missing())
}

fn percent(value: f64) -> Result<Percent, Undefined> {
    Ok(Percent::new(value)?)
}
