//! One energy register, followed over its readings.

use std::time::Duration;

use super::{
    Answer, ArgumentError, Arguments, Formula, Input, Kind, Output, Reason, energy::kilowatt_hours,
};
use crate::{
    measures::{KilowattHours, Kilowatts, Measure, Seconds},
    register::Flag,
    register::{Delta, Register, RegisterLimits, Step},
    time::Mono,
    value::Undefined,
};

/// A century. Beyond it a time is a typing mistake.
const LONGEST_S: f64 = 100.0 * 366.0 * 86_400.0;

const KILOWATT_HOURS: Kind = Kind::Quantity(KilowattHours::UNIT);
const SECONDS: Kind = Kind::Quantity(Seconds::UNIT);

const READINGS: Input = Input::required(
    "readings-kwh",
    Kind::Quantities(KilowattHours::UNIT),
    "what the register said, oldest first",
);
const TIMES: Input = Input::optional(
    "times-s",
    Kind::Quantities(Seconds::UNIT),
    "when it said so; without it, once every interval",
);
const INTERVAL: Input =
    Input::with_default("interval-s", SECONDS, "60", "how often the register is read");
const MAX_POWER: Input = Input::required(
    "max-power-kw",
    Kind::Quantity(Kilowatts::UNIT),
    "more than this is not believed",
);
const MODULUS: Input =
    Input::optional("modulus-kwh", KILOWATT_HOURS, "where the register wraps to zero");
const STEP: Input =
    Input::with_default("step-kwh", KILOWATT_HOURS, "0", "smallest change of the register");
const FORMAT: Input = Input::with_default(
    "format",
    Kind::Choice(&["integer", "float32"]),
    "integer",
    "a 32-bit float has steps that grow with its value",
);
const AT: Input = Input::optional("at-s", SECONDS, "interpolate the register at this time");
const VALUE: Input = Input::required("value-kwh", KILOWATT_HOURS, "energy to be held");

const ENERGY: Output = Output::of::<KilowattHours>("energy");
const LAST_ENERGY: Output = Output::of::<KilowattHours>("last_step_energy");
const LAST_STEP: Output = Output::word("last_step");
const REGISTER_AT: Output = Output::of::<KilowattHours>("register_at");
const STORED: Output = Output::of::<KilowattHours>("stored");
const QUANTUM: Output = Output::of::<KilowattHours>("step");

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        name: "counter",
        help: "energy from register readings: rollover, reset, jump and gap told apart",
        example: "--readings-kwh 999999.8,0.4 --modulus-kwh 1000000 --max-power-kw 200",
        inputs: &[READINGS, TIMES, INTERVAL, MAX_POWER, MODULUS, STEP, FORMAT, AT],
        file: None,
        outputs: &[ENERGY, LAST_ENERGY, LAST_STEP, REGISTER_AT],
        evaluate: counter,
    },
    Formula {
        name: "float32",
        help: "what a 32-bit float register makes of an energy",
        example: "--value-kwh 16777217",
        inputs: &[VALUE],
        file: None,
        outputs: &[STORED, QUANTUM],
        evaluate: float32,
    },
];

/// A register after all its readings.
struct Followed {
    deltas: Vec<Delta>,
    /// Why some energy is not claimed, if so.
    gap: Option<&'static str>,
    last: Step,
}

fn counter(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let limits = limits(given)?;
    let (start, reads) = reads(given, limits.interval)?;
    let followed = follow(Register::new(limits), &reads);
    let total = followed.deltas.iter().map(|delta| delta.amount).sum();
    let mut answers = vec![
        ENERGY.is(match followed.gap {
            None => kilowatt_hours(total).map_err(Reason::from),
            Some(why) => Err(not_claimed(why)),
        }),
        LAST_ENERGY.is(match followed.last {
            Step::Accepted(delta) => kilowatt_hours(delta.amount).map_err(Reason::from),
            Step::Missing(flag) => Err(not_claimed(flag.text())),
            Step::Held => Err(not_claimed(HELD)),
            Step::First | Step::Duplicate => Err(not_claimed(NOTHING_NEW)),
        }),
        LAST_STEP.says::<Reason>(Ok(word(followed.last))),
    ];
    if let Some(at) = given.optional_quantity::<Seconds>(&AT)? {
        let at = mono(&AT, at.get() - start)?;
        let value = interpolate(&followed.deltas, at, given.optional_quantity(&MODULUS)?);
        answers.push(REGISTER_AT.is(match value {
            Some(value) => kilowatt_hours(value).map_err(Reason::from),
            None => Err(not_claimed("no energy is known around that time")),
        }));
    }
    Ok(answers)
}

const HELD: &str = "register jumped: waiting for reads that agree";
const NOTHING_NEW: &str = "no earlier reading to compare with";

fn limits(given: &Arguments) -> Result<RegisterLimits, ArgumentError> {
    let wrong = |input: &Input, reason| input.wrong(given.text(input).unwrap_or_default(), reason);
    let positive = |input: &Input, value: f64| {
        if value > 0.0 { Ok(value) } else { Err(wrong(input, "expected more than zero")) }
    };
    let step: KilowattHours = given.quantity(&STEP)?;
    if step.get() < 0.0 {
        return Err(wrong(&STEP, "expected zero or more"));
    }
    let interval: Seconds = given.quantity(&INTERVAL)?;
    let max_power: Kilowatts = given.quantity(&MAX_POWER)?;
    let modulus: Option<KilowattHours> = given.optional_quantity(&MODULUS)?;
    Ok(RegisterLimits {
        step: step.get(),
        modulus: modulus.map(|modulus| positive(&MODULUS, modulus.get())).transpose()?,
        max_power: positive(&MAX_POWER, max_power.get())?,
        float32: given.choice(&FORMAT)? == Some("float32"),
        interval: mono(&INTERVAL, positive(&INTERVAL, interval.get())?)?.0,
    })
}

/// The readings with their times since the first one, and when that was.
fn reads(given: &Arguments, interval: Duration) -> Result<(f64, Vec<(Mono, f64)>), ArgumentError> {
    let values: Vec<KilowattHours> = given.quantities(&READINGS)?;
    if values.is_empty() {
        return Err(READINGS.missing());
    }
    let times: Vec<Seconds> = given.quantities(&TIMES)?;
    let start = times.first().map_or(0.0, |time| time.get());
    let at: Vec<Mono> = if times.is_empty() {
        std::iter::successors(Some(Mono::ZERO), |at| Some(at.plus(interval)))
            .take(values.len())
            .collect()
    } else if times.len() == values.len() {
        times.iter().map(|time| mono(&TIMES, time.get() - start)).collect::<Result<_, _>>()?
    } else {
        let counts = format!("{} readings but {} times", values.len(), times.len());
        return Err(ArgumentError::Conflict(counts));
    };
    Ok((start, at.into_iter().zip(values.into_iter().map(KilowattHours::get)).collect()))
}

/// Seconds since the first reading.
fn mono(input: &Input, seconds: f64) -> Result<Mono, ArgumentError> {
    let refused = |reason| Err(input.wrong(&seconds.to_string(), reason));
    match Duration::try_from_secs_f64(seconds) {
        Ok(since) if seconds <= LONGEST_S => Ok(Mono(since)),
        Ok(_) => refused("longer than any register runs"),
        Err(_) => refused("before the first reading"),
    }
}

fn follow(mut register: Register, reads: &[(Mono, f64)]) -> Followed {
    let mut followed = Followed { deltas: Vec::new(), gap: None, last: Step::First };
    for &(at, value) in reads {
        followed.last = register.observe(at, value);
        match followed.last {
            Step::First | Step::Duplicate | Step::Held => {}
            Step::Accepted(delta) => followed.deltas.push(delta),
            Step::Missing(flag) => followed.gap = Some(flag.text()),
        }
    }
    match followed.last {
        Step::Held => followed.gap = Some(HELD),
        _ if followed.deltas.is_empty() && followed.gap.is_none() => {
            followed.gap = Some(NOTHING_NEW);
        }
        Step::First | Step::Duplicate | Step::Accepted(_) | Step::Missing(_) => {}
    }
    followed
}

fn not_claimed(detail: &str) -> Reason {
    Reason { kind: Undefined::NotMetered, detail: Some(detail.to_owned()) }
}

fn word(step: Step) -> &'static str {
    match step {
        Step::First => "first",
        Step::Duplicate => "duplicate",
        Step::Held => "held",
        Step::Accepted(Delta { flag: Some(flag), .. }) | Step::Missing(flag) => flag_word(flag),
        Step::Accepted(Delta { bridged: true, .. }) => "bridged",
        Step::Accepted(_) => "measured",
    }
}

/// As the ledger writes it.
fn flag_word(flag: Flag) -> &'static str {
    match flag {
        Flag::Rollover => "rollover",
        Flag::Reset => "reset",
        Flag::Suspicious => "suspicious",
        Flag::Replaced => "replaced",
        Flag::Stuck => "stuck",
        Flag::Ambiguous => "ambiguous",
        Flag::InterpolatedWide => "interpolated_wide",
        Flag::TimeAssignedLater => "time_assigned_later",
        Flag::Unsynchronised => "unsynchronised",
        Flag::ClockStepped => "clock_stepped",
    }
}

/// The register between the two readings around a time, as if its power had been constant between them.
fn interpolate(deltas: &[Delta], at: Mono, modulus: Option<KilowattHours>) -> Option<f64> {
    let around = deltas.iter().find(|delta| delta.from.at <= at && at <= delta.to.at)?;
    let span = around.to.at.since(around.from.at).as_secs_f64();
    let part = at.since(around.from.at).as_secs_f64() / span;
    let value = around.from.value + around.amount * part;
    Some(modulus.map_or(value, |modulus| value.rem_euclid(modulus.get())))
}

#[expect(clippy::cast_possible_truncation, reason = "the nearest single is what is asked for")]
fn float32(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let value: KilowattHours = given.quantity(&VALUE)?;
    let stored = value.get() as f32;
    let step = f64::from(stored.next_up()) - f64::from(stored);
    Ok(vec![STORED.is(kilowatt_hours(f64::from(stored))), QUANTUM.is(kilowatt_hours(step))])
}
