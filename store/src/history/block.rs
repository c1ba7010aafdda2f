//! One block: the samples of one series in one bucket, value or reason for each, as bytes. Their times are a column of
//! their own (`times`), because the points of one request share them.

use std::{ops::Range, sync::Arc};

use rules::value::{NoData, Undefined, Value};

use super::{
    Damaged,
    bytes::{Bytes, put_unsigned},
    columns::{
        VALUES_MAX, as_decimals, decimals_as_floats, put_floats, put_integers, put_texts,
        take_decimals, take_floats, take_integers, take_texts,
    },
    likeness::{Decimals, Line},
};

/// How this file writes a block. Stands first in it, beside pco's own version.
const CODEC: u8 = 1;

/// Of a block that is told by another one.
const LIKE: u8 = 2;

/// What a sample says: a value, or why there is none.
pub(super) type Said = Result<Value, NoData>;

/// What samples of one series say, in order. Nearly all series only ever say numbers.
#[derive(Debug)]
pub(super) enum Values {
    Numbers(Vec<f64>),
    Mixed(Vec<Said>),
}

impl Values {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self::Numbers(Vec::with_capacity(capacity))
    }

    pub(super) fn push(&mut self, said: Said) {
        match (&mut *self, said) {
            (Self::Numbers(numbers), Ok(Value::Number(number))) => numbers.push(number),
            (Self::Numbers(numbers), said) => {
                let mut mixed = Vec::with_capacity(numbers.capacity());
                mixed.extend(numbers.drain(..).map(|number| Ok(Value::Number(number))));
                mixed.push(said);
                *self = Self::Mixed(mixed);
            }
            (Self::Mixed(mixed), said) => mixed.push(said),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Mixed(mixed) => mixed.len(),
        }
    }

    pub(super) fn part(&self, range: Range<usize>) -> Self {
        match self {
            Self::Numbers(numbers) => {
                Self::Numbers(numbers.get(range).unwrap_or_default().to_vec())
            }
            Self::Mixed(mixed) => Self::Mixed(mixed.get(range).unwrap_or_default().to_vec()),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Said> {
        match self {
            Self::Numbers(numbers) => numbers.get(index).map(|number| Ok(Value::Number(*number))),
            Self::Mixed(mixed) => mixed.get(index).cloned(),
        }
    }
}

/// The numbers as decimals, where they all are, and not all the same.
pub(super) fn decimals_of(values: &Values) -> Option<Decimals> {
    let Values::Numbers(numbers) = values else { return None };
    let (digits, multiples) = as_decimals(numbers)?;
    let changes = multiples.iter().any(|multiple| Some(multiple) != multiples.first());
    changes.then_some(Decimals { digits, multiples })
}

/// A block of decimals as distances from a line through those of another series, whose own block is by itself.
pub(super) fn encode_like(
    series: u32,
    other: &Decimals,
    line: Line,
    column: &Decimals,
) -> Result<Vec<u8>, Damaged> {
    let mut out = vec![LIKE];
    put_unsigned(&mut out, u64::from(series));
    put_unsigned(&mut out, column.multiples.len() as u64);
    out.push(column.digits);
    out.extend_from_slice(&line.slope.to_le_bytes());
    out.extend_from_slice(&line.offset.to_le_bytes());
    put_integers(&mut out, &line.distances(&other.multiples, &column.multiples))?;
    Ok(out)
}

/// The series whose first block of the same bucket is needed to read this one.
pub(super) fn told_by(bytes: &[u8]) -> Result<Option<u32>, Damaged> {
    let mut bytes = Bytes(bytes);
    if bytes.byte()? != LIKE {
        return Ok(None);
    }
    let series = u32::try_from(bytes.unsigned()?);
    Ok(Some(series.map_err(|_| Damaged("names a series that cannot be"))?))
}

/// Reads a block that is told by another one.
pub(super) fn decode_like(bytes: &[u8], other: &[u8]) -> Result<Values, Damaged> {
    let mut bytes = Bytes(bytes);
    bytes.byte()?;
    bytes.unsigned()?;
    let count = bytes.count(VALUES_MAX)?;
    let digits = bytes.byte()?;
    let line = Line { slope: bytes.double()?, offset: bytes.double()? };
    let distances = take_integers(&mut bytes, count)?;
    let mut other = open(other)?;
    if (other.byte()?, Tag::take(&mut other)?) != (1, Tag::Number) {
        return Err(Damaged("is told by one that has not only numbers"));
    }
    if other.count(VALUES_MAX)? != count {
        return Err(Damaged("is told by one of another length"));
    }
    let other = take_decimals(&mut other, count)?;
    let multiples = line.add_to(&other, &distances);
    Ok(Values::Numbers(decimals_as_floats(digits, &multiples)?))
}

/// Milliseconds since 1970 as a column, counted from the start of the bucket.
pub(super) fn encode_times(times: &[i64], start: i64) -> Result<Vec<u8>, Damaged> {
    let mut out = vec![CODEC];
    put_unsigned(&mut out, times.len() as u64);
    let offsets: Vec<i64> = times.iter().map(|time| time - start).collect();
    put_integers(&mut out, &offsets)?;
    Ok(out)
}

pub(super) fn decode_times(bytes: &[u8], start: i64) -> Result<Vec<i64>, Damaged> {
    let mut bytes = open(bytes)?;
    let count = bytes.count(VALUES_MAX)?;
    let offsets = take_integers(&mut bytes, count)?;
    Ok(offsets.into_iter().map(|offset| start.wrapping_add(offset)).collect())
}

fn open(bytes: &[u8]) -> Result<Bytes<'_>, Damaged> {
    let mut bytes = Bytes(bytes);
    match bytes.byte()? {
        CODEC => Ok(bytes),
        _ => Err(Damaged("is written by a later version")),
    }
}

/// What a run of samples has in common: the kind of their values, or the reason for which there is none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    Number,
    Integer,
    State,
    Text,
    Missing(NoData),
}

impl Tag {
    fn of(said: &Said) -> Self {
        match said {
            Ok(Value::Number(_)) => Self::Number,
            Ok(Value::Integer(_)) => Self::Integer,
            Ok(Value::State(_)) => Self::State,
            Ok(Value::Text(_)) => Self::Text,
            Err(reason) => Self::Missing(*reason),
        }
    }

    fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Number => out.push(0),
            Self::Integer => out.push(1),
            Self::State => out.push(2),
            Self::Text => out.push(3),
            Self::Missing(NoData::Refused(exception)) => out.extend([REFUSED, exception]),
            Self::Missing(NoData::Undefined(why)) => out.extend([UNDEFINED, undefined_code(why)]),
            Self::Missing(reason) => out.push(reason_code(reason)),
        }
    }

    fn take(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        Ok(match bytes.byte()? {
            0 => Self::Number,
            1 => Self::Integer,
            2 => Self::State,
            3 => Self::Text,
            REFUSED => Self::Missing(NoData::Refused(bytes.byte()?)),
            UNDEFINED => {
                let code = bytes.byte()?;
                let mut all = UNDEFINED_ALL.into_iter();
                let why = all.find(|why| undefined_code(*why) == code);
                Self::Missing(NoData::Undefined(why.ok_or(Damaged("has an unknown reason"))?))
            }
            code => {
                let reason = REASONS.into_iter().find(|reason| reason_code(*reason) == code);
                Self::Missing(reason.ok_or(Damaged("has an unknown reason"))?)
            }
        })
    }
}

const REFUSED: u8 = 20;
const UNDEFINED: u8 = 31;

/// Reasons that say nothing further.
const REASONS: [NoData; 14] = [
    NoData::NeverSeen,
    NoData::Stale,
    NoData::Timeout,
    NoData::Unreachable,
    NoData::Malformed,
    NoData::NotAvailable,
    NoData::OutOfRange,
    NoData::NotFinite,
    NoData::BadQuality,
    NoData::BadPayload,
    NoData::Implausible,
    NoData::NotANumber,
    NoData::InputMissing,
    NoData::LowCoverage,
];

/// On disk for ever: a new reason gets a new number.
fn reason_code(reason: NoData) -> u8 {
    match reason {
        NoData::NeverSeen => 16,
        NoData::Stale => 17,
        NoData::Timeout => 18,
        NoData::Unreachable => 19,
        NoData::Refused(_) => REFUSED,
        NoData::Malformed => 21,
        NoData::NotAvailable => 22,
        NoData::OutOfRange => 23,
        NoData::NotFinite => 24,
        NoData::BadQuality => 25,
        NoData::BadPayload => 26,
        NoData::Implausible => 27,
        NoData::NotANumber => 28,
        NoData::InputMissing => 29,
        NoData::LowCoverage => 30,
        NoData::Undefined(_) => UNDEFINED,
    }
}

const UNDEFINED_ALL: [Undefined; 11] = [
    Undefined::ItPowerZero,
    Undefined::FacilityBelowIt,
    Undefined::NoFlow,
    Undefined::NoLoad,
    Undefined::ReversedSensors,
    Undefined::CoolantOutOfRange,
    Undefined::TwoPhase,
    Undefined::NotMetered,
    Undefined::DoubleCounting,
    Undefined::TemperatureCross,
    Undefined::OutsideFormula,
];

fn undefined_code(why: Undefined) -> u8 {
    match why {
        Undefined::ItPowerZero => 0,
        Undefined::FacilityBelowIt => 1,
        Undefined::NoFlow => 2,
        Undefined::NoLoad => 3,
        Undefined::ReversedSensors => 4,
        Undefined::CoolantOutOfRange => 5,
        Undefined::TwoPhase => 6,
        Undefined::NotMetered => 7,
        Undefined::DoubleCounting => 8,
        Undefined::TemperatureCross => 9,
        Undefined::OutsideFormula => 10,
    }
}

/// Runs of what samples have in common, then a column for each kind of value that there is.
pub(super) fn encode_values(values: &Values) -> Result<Vec<u8>, Damaged> {
    let mut out = vec![CODEC];
    match values {
        Values::Numbers(numbers) => {
            put_unsigned(&mut out, 1);
            Tag::Number.put(&mut out);
            put_unsigned(&mut out, numbers.len() as u64);
            put_floats(&mut out, numbers)?;
        }
        Values::Mixed(mixed) => put_mixed(&mut out, mixed)?,
    }
    Ok(out)
}

fn put_mixed(out: &mut Vec<u8>, mixed: &[Said]) -> Result<(), Damaged> {
    let runs: Vec<(Tag, usize)> = mixed
        .chunk_by(|one, next| Tag::of(one) == Tag::of(next))
        .filter_map(|run| Some((Tag::of(run.first()?), run.len())))
        .collect();
    put_unsigned(out, runs.len() as u64);
    for (tag, length) in runs {
        tag.put(out);
        put_unsigned(out, length as u64);
    }
    let (mut numbers, mut integers, mut states, mut texts) = (vec![], vec![], vec![], vec![]);
    for value in mixed.iter().filter_map(|said| said.as_ref().ok()) {
        match value {
            Value::Number(number) => numbers.push(*number),
            Value::Integer(integer) => integers.push(*integer),
            Value::State(state) => states.push(i64::from(*state)),
            Value::Text(text) => texts.push(Arc::clone(text)),
        }
    }
    if !numbers.is_empty() {
        put_floats(out, &numbers)?;
    }
    if !integers.is_empty() {
        put_integers(out, &integers)?;
    }
    if !states.is_empty() {
        put_integers(out, &states)?;
    }
    if !texts.is_empty() {
        put_texts(out, &texts)?;
    }
    Ok(())
}

pub(super) fn decode_values(bytes: &[u8]) -> Result<Values, Damaged> {
    let mut bytes = open(bytes)?;
    let mut left = VALUES_MAX;
    let mut runs = Vec::new();
    for _ in 0..bytes.count(VALUES_MAX)? {
        let tag = Tag::take(&mut bytes)?;
        let length = bytes.count(left)?;
        left -= length;
        runs.push((tag, length));
    }
    if let [(Tag::Number, count)] = *runs {
        return Ok(Values::Numbers(take_floats(&mut bytes, count)?));
    }
    let count = |wanted: Tag| {
        runs.iter().filter(|(tag, _)| *tag == wanted).map(|(_, length)| *length).sum::<usize>()
    };
    let mut numbers = column(&mut bytes, count(Tag::Number), take_floats)?;
    let mut integers = column(&mut bytes, count(Tag::Integer), take_integers)?;
    let mut states = column(&mut bytes, count(Tag::State), take_integers)?;
    let mut texts = column(&mut bytes, count(Tag::Text), take_texts)?;
    let mut mixed = Vec::with_capacity(VALUES_MAX - left);
    for (tag, length) in runs {
        for _ in 0..length {
            mixed.push(match tag {
                Tag::Number => Ok(Value::Number(numbers.next().ok_or(SHORT)?)),
                Tag::Integer => Ok(Value::Integer(integers.next().ok_or(SHORT)?)),
                Tag::State => {
                    let state = u32::try_from(states.next().ok_or(SHORT)?);
                    Ok(Value::State(state.map_err(|_| Damaged("has a state out of range"))?))
                }
                Tag::Text => Ok(Value::Text(texts.next().ok_or(SHORT)?)),
                Tag::Missing(reason) => Err(reason),
            });
        }
    }
    Ok(Values::Mixed(mixed))
}

const SHORT: Damaged = Damaged("has too few values");

fn column<T>(
    bytes: &mut Bytes<'_>,
    count: usize,
    take: impl FnOnce(&mut Bytes<'_>, usize) -> Result<Vec<T>, Damaged>,
) -> Result<std::vec::IntoIter<T>, Damaged> {
    let values = if count == 0 { Vec::new() } else { take(bytes, count)? };
    Ok(values.into_iter())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (-50_000..50_000_i32, 0..5_i32).prop_map(|(step, digits)| f64::from(step) / 10_f64.powi(digits)),
            1 => any::<f32>().prop_map(f64::from),
            2 => any::<u64>().prop_map(f64::from_bits),
            1 => prop_oneof![Just(-0.0), Just(0.0), Just(f64::MIN_POSITIVE / 3.0), Just(f64::MAX), Just(9_007_199_254_740_993.0)],
        ]
        .prop_filter("values are finite", |number| number.is_finite())
    }

    fn reason() -> impl Strategy<Value = NoData> {
        prop_oneof![
            prop::sample::select(REASONS.to_vec()),
            any::<u8>().prop_map(NoData::Refused),
            prop::sample::select(UNDEFINED_ALL.to_vec()).prop_map(NoData::Undefined),
        ]
    }

    fn said() -> impl Strategy<Value = Said> {
        prop_oneof![
            6 => number().prop_map(|number| Ok(Value::Number(number))),
            2 => any::<i64>().prop_map(|integer| Ok(Value::Integer(integer))),
            2 => any::<u32>().prop_map(|state| Ok(Value::State(state))),
            2 => "\\PC{0,12}".prop_map(|text| Ok(Value::Text(text.into()))),
            3 => reason().prop_map(Err),
        ]
    }

    /// Equal bit by bit: zero is not minus zero.
    fn same(one: &Said, other: &Said) -> bool {
        match (one, other) {
            (Ok(Value::Number(one)), Ok(Value::Number(other))) => one.to_bits() == other.to_bits(),
            _ => one == other,
        }
    }

    fn check(samples: &[Said]) {
        let mut values = Values::with_capacity(samples.len());
        for said in samples {
            values.push(said.clone());
        }
        let back = decode_values(&encode_values(&values).unwrap()).unwrap();
        assert_eq!(back.len(), samples.len());
        for (index, said) in samples.iter().enumerate() {
            assert!(
                same(&back.get(index).unwrap(), said),
                "{said:?} came back as {:?}",
                back.get(index)
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_samples_say_comes_back_bit_by_bit(samples in prop::collection::vec(said(), 1..120)) {
            check(&samples);
        }

        #[test]
        fn numbers_come_back_bit_by_bit(
            numbers in prop_oneof![
                prop::collection::vec(number(), 1..1000),
                (1..4_i32, prop::collection::vec(-3000..3000_i32, 1..1000)).prop_map(|(digits, steps)| {
                    steps.into_iter().map(|step| f64::from(step) / 10_f64.powi(digits)).collect()
                }),
            ],
        ) {
            check(&numbers.into_iter().map(|number| Ok(Value::Number(number))).collect::<Vec<_>>());
        }

        #[test]
        fn times_come_back(
            start in -4_000_000_000_000..4_000_000_000_000_i64,
            offsets in prop::collection::vec(any::<i32>().prop_map(i64::from), 1..1000),
        ) {
            let times: Vec<i64> = offsets.into_iter().map(|offset| start + offset).collect();
            assert_eq!(decode_times(&encode_times(&times, start).unwrap(), start).unwrap(), times);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut block = vec![CODEC];
            block.extend(&bytes);
            let _ = (decode_values(&block), decode_times(&block, 0));
            let other = block.clone();
            block[0] = LIKE;
            let _ = (told_by(&block), decode_like(&block, &other));
        }
    }

    #[test]
    fn a_slow_temperature_takes_less_than_a_fifth_of_a_byte_a_sample() {
        let walk = (0..900_i32).map(|second| {
            let slow = 432.0 + 9.0 * (f64::from(second) / 120.0).sin();
            Value::Number((slow + f64::from(second * 7919 % 5) / 5.0).floor() / 10.0)
        });
        let mut values = Values::with_capacity(900);
        walk.for_each(|value| values.push(Ok(value)));
        let bytes = encode_values(&values).unwrap().len();
        assert!(bytes < 180, "{bytes} bytes");
    }

    #[test]
    fn a_current_that_follows_a_power_takes_next_to_nothing_beside_it() {
        let column = |factor: f64| {
            let power = |at: i32| 40_000.0 + f64::from(at * 7919 % 1009);
            let mut values = Values::with_capacity(900);
            let numbers = (0..900).map(|at| (power(at) * factor).round() / 100.0);
            numbers.for_each(|number| values.push(Ok(Value::Number(number))));
            values
        };
        let (power, current) = (column(100.0), column(0.149));
        let (other, own) = (decimals_of(&power).unwrap(), decimals_of(&current).unwrap());
        let line = Line::fit(&other.multiples, &own.multiples).unwrap();
        let bytes = encode_like(7, &other, line, &own).unwrap();
        assert!(bytes.len() < 60, "{} bytes", bytes.len());
        assert_eq!(told_by(&bytes), Ok(Some(7)));
        let back = decode_like(&bytes, &encode_values(&power).unwrap()).unwrap();
        for index in 0..900 {
            assert!(same(&back.get(index).unwrap(), &current.get(index).unwrap()));
        }
    }

    #[test]
    fn what_never_changes_takes_a_dozen_bytes() {
        let mut values = Values::with_capacity(900);
        (0..900).for_each(|_| values.push(Ok(Value::State(3))));
        assert!(encode_values(&values).unwrap().len() <= 12);
    }
}
