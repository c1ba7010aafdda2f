//! Samples as few bytes. Each sample is told against the one before it of the same point, column by column; `FORMAT.md`
//! describes the bytes. Every value comes back bit by bit as it was.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::DateTime;
use rules::{
    plant::PointId,
    time::Mono,
    value::{NoData, Sample, Undefined, Value},
};

use super::bytes::{Bytes, put_signed, put_varint, zigzag};

/// Powers of ten that a double holds exactly.
const TEN: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
/// Decimals that are tried. More of them would not be shorter than the bits of a single.
const DECIMALS_TRIED: u8 = 9;
/// Integers up to here are doubles.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// In a sample's tag: a source time follows.
const SOURCE_TIME: u8 = 0x10;
/// Tag: in the form of the sample before, and a text or reason equal to it.
const AGAIN: u8 = 0;
/// Tag: a value again after missing ones, in the form of the value before.
const BACK: u8 = 8;

/// How a point's values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// An integer over this power of ten.
    Decimal(u8),
    /// A double that is a single: its bits.
    Single,
    /// Any other double: its bits.
    Double,
    Integer,
    State,
    Text,
}

impl Form {
    fn tag(self) -> u8 {
        match self {
            Self::Decimal(_) => 1,
            Self::Single => 2,
            Self::Double => 3,
            Self::Integer => 4,
            Self::State => 5,
            Self::Text => 6,
        }
    }
}

/// Tag: no value, and why.
const MISSING: u8 = 7;

/// What is known of a point from the samples before.
#[derive(Clone, Copy, Debug)]
struct Last {
    form: Form,
    /// The value as an integer of its form; of a text, nothing.
    number: i64,
    missing: Option<NoData>,
    /// How many bits its changes took lately.
    unrest: u8,
}

impl Last {
    const UNKNOWN: Self = Self { form: Form::Decimal(0), number: 0, missing: None, unrest: 0 };

    /// After a change, or at first.
    fn new(form: Form, number: i64, before: Option<Self>) -> Self {
        let before = before.filter(|before| before.form == form);
        let change = before.map_or(0, |before| zigzag(number.wrapping_sub(before.number)));
        let bits = u8::try_from(u64::BITS - change.leading_zeros()).unwrap_or(u8::MAX);
        let unrest = before.map_or(0, |before| before.unrest.saturating_sub(1)).max(bits);
        Self { form, number, missing: None, unrest }
    }

    /// The part of the value column that its next change is in. Points of equal unrest lie together, because they pack
    /// better than among others.
    fn part(self) -> usize {
        match self.unrest {
            0 => 0,
            1..=2 => 1,
            3..=4 => 2,
            5..=6 => 3,
            7..=9 => 4,
            _ => WIDE,
        }
    }
}

/// Parts of the value column.
const PARTS: usize = 6;
/// The part for all that is not a small change.
const WIDE: usize = 5;
/// Parts as long as this are packed by themselves.
const CUT_FROM_BYTES: usize = 512;

/// The samples before, on both sides.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// By [`PointId`].
    last: Vec<Option<Last>>,
    texts: HashMap<PointId, Arc<str>>,
}

impl Memory {
    /// As at the beginning: what follows does not depend on what was.
    pub(super) fn clear(&mut self) {
        self.last.clear();
        self.texts.clear();
    }

    fn of(&self, point: PointId) -> Option<Last> {
        self.last.get(point.index()).copied().flatten()
    }

    fn set(&mut self, point: PointId, last: Last) {
        if self.last.len() <= point.index() {
            self.last.resize(point.index() + 1, None);
        }
        self.last[point.index()] = Some(last);
    }
}

/// Points beyond this number are not decoded: no site has them, and a broken record must not take all memory.
const POINTS: u32 = 1 << 22;

/// Appends the samples. Instants are relative to `base`, the record's own. Says where bytes of another sort begin.
pub(super) fn encode(
    out: &mut Vec<u8>,
    memory: &mut Memory,
    base: Mono,
    samples: &[Sample],
) -> Vec<usize> {
    put_varint(out, samples.len() as u64);
    let mut expected = 0_i64;
    for sample in samples {
        let point = i64::from(sample.point.0);
        put_signed(out, point - expected);
        expected = point + 1;
    }
    let mut before = base;
    for sample in samples {
        put_signed(out, micros(sample.at).wrapping_sub(micros(before)));
        before = sample.at;
    }
    let mut parts: [Vec<u8>; PARTS] = Default::default();
    for sample in samples {
        let tag = encode_value(&mut parts, memory, sample.point, &sample.value);
        out.push(tag | if sample.source_time.is_some() { SOURCE_TIME } else { 0 });
    }
    for part in &parts {
        put_varint(out, part.len() as u64);
    }
    let mut cuts = Vec::new();
    for part in &parts {
        if part.len() >= CUT_FROM_BYTES {
            cuts.push(out.len());
        }
        out.extend_from_slice(part);
    }
    encode_source_times(out, samples);
    cuts
}

fn micros(at: Mono) -> i64 {
    u64::from(at).cast_signed()
}

/// Appends what the tag that it returns does not say.
fn encode_value(
    parts: &mut [Vec<u8>; PARTS],
    memory: &mut Memory,
    point: PointId,
    value: &Result<Value, NoData>,
) -> u8 {
    let last = memory.of(point);
    let (form, number) = match value {
        Ok(Value::Number(number)) => number_form(*number, last.map(|last| last.form)),
        Ok(Value::Integer(integer)) => (Form::Integer, *integer),
        Ok(Value::State(code)) => (Form::State, i64::from(*code)),
        Ok(Value::Text(text)) => return encode_text(&mut parts[WIDE], memory, point, text),
        Err(reason) => return encode_missing(&mut parts[WIDE], memory, point, *reason),
    };
    memory.set(point, Last::new(form, number, last));
    match last {
        Some(last) if last.form == form => {
            put_signed(&mut parts[last.part()], number.wrapping_sub(last.number));
            if last.missing.is_some() { BACK } else { AGAIN }
        }
        Some(_) | None => {
            if let Form::Decimal(decimals) = form {
                parts[WIDE].push(decimals);
            }
            put_signed(&mut parts[WIDE], number);
            form.tag()
        }
    }
}

fn encode_text(out: &mut Vec<u8>, memory: &mut Memory, point: PointId, text: &Arc<str>) -> u8 {
    let last = memory.of(point);
    memory.set(point, Last::new(Form::Text, 0, None));
    let known = memory.texts.get(&point).is_some_and(|known| known == text);
    match last {
        Some(Last { form: Form::Text, missing, .. }) if known => {
            if missing.is_some() {
                BACK
            } else {
                AGAIN
            }
        }
        Some(_) | None => {
            memory.texts.insert(point, Arc::clone(text));
            put_varint(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
            Form::Text.tag()
        }
    }
}

fn encode_missing(out: &mut Vec<u8>, memory: &mut Memory, point: PointId, reason: NoData) -> u8 {
    let last = memory.of(point);
    if last.is_some_and(|last| last.missing == Some(reason)) {
        return AGAIN;
    }
    memory.set(point, Last { missing: Some(reason), ..last.unwrap_or(Last::UNKNOWN) });
    put_reason(out, reason);
    MISSING
}

/// The form that gives this double back bit by bit, the one before if it can.
fn number_form(number: f64, before: Option<Form>) -> (Form, i64) {
    let usual = match before {
        Some(Form::Decimal(decimals)) => decimal(number, decimals),
        Some(Form::Single) => single(number),
        // Kept until the next full frame: a computed number seldom becomes a short one.
        Some(Form::Double) => Some((Form::Double, number.to_bits().cast_signed())),
        Some(Form::Integer | Form::State | Form::Text) | None => None,
    };
    usual
        .or_else(|| (0..=DECIMALS_TRIED).find_map(|decimals| decimal(number, decimals)))
        .or_else(|| single(number))
        .unwrap_or((Form::Double, number.to_bits().cast_signed()))
}

fn decimal(number: f64, decimals: u8) -> Option<(Form, i64)> {
    let ten = TEN[usize::from(decimals)];
    let scaled = (number * ten).round();
    if scaled.abs() >= EXACT || scaled.is_nan() {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
    let whole = scaled as i64;
    let form = Form::Decimal(decimals);
    // Compared with what a reader makes of it: minus zero, for one, is no integer.
    matches!(value_of(form, whole), Some(Value::Number(back)) if back.to_bits() == number.to_bits())
        .then_some((form, whole))
}

fn single(number: f64) -> Option<(Form, i64)> {
    #[expect(clippy::cast_possible_truncation, reason = "compared with what it came from")]
    let short = number as f32;
    (f64::from(short).to_bits() == number.to_bits())
        .then(|| (Form::Single, i64::from(short.to_bits())))
}

/// How fine the source times of a frame are: milliseconds, as most publishers write them, or as they are.
const MILLISECONDS: u8 = 0;
const EXACT_TIMES: u8 = 1;

fn encode_source_times(out: &mut Vec<u8>, samples: &[Sample]) {
    let times = || samples.iter().filter_map(|sample| sample.source_time);
    if times().next().is_none() {
        return;
    }
    let whole = |nanos: u32| nanos.is_multiple_of(1_000_000) && nanos < 1_000_000_000;
    if times().all(|time| whole(time.timestamp_subsec_nanos())) {
        out.push(MILLISECONDS);
        let mut before = 0;
        for time in times() {
            put_signed(out, time.timestamp_millis() - before);
            before = time.timestamp_millis();
        }
    } else {
        out.push(EXACT_TIMES);
        let mut before = 0;
        for time in times() {
            put_signed(out, time.timestamp() - before);
            put_varint(out, u64::from(time.timestamp_subsec_nanos()));
            before = time.timestamp();
        }
    }
}

/// The samples, or `None` when the bytes are not those of a frame that follows what `memory` knows.
pub(super) fn decode(bytes: &[u8], memory: &mut Memory, base: Mono) -> Option<Vec<Sample>> {
    let mut bytes = Bytes(bytes);
    let count = bytes.count()?;
    let mut samples = Vec::with_capacity(count);
    let mut expected = 0_i64;
    for _ in 0..count {
        let point = expected.checked_add(bytes.signed()?)?;
        let id = u32::try_from(point).ok().filter(|id| *id < POINTS)?;
        let value = Err(NoData::NeverSeen);
        samples.push(Sample { point: PointId(id), at: base, source_time: None, value });
        expected = point + 1;
    }
    let mut before = micros(base);
    for sample in &mut samples {
        before = before.wrapping_add(bytes.signed()?);
        sample.at = Mono(Duration::from_micros(before.cast_unsigned()));
    }
    let tags = bytes.take(count)?;
    let mut lengths = [0; PARTS];
    for length in &mut lengths {
        *length = bytes.count()?;
    }
    let mut parts = [Bytes(&[]); PARTS];
    for (part, length) in parts.iter_mut().zip(lengths) {
        *part = Bytes(bytes.take(length)?);
    }
    for (sample, tag) in samples.iter_mut().zip(tags) {
        sample.value = decode_value(&mut parts, memory, sample.point, tag & !SOURCE_TIME)?;
    }
    decode_source_times(&mut bytes, &mut samples, tags)?;
    (bytes.is_empty() && parts.iter().all(|part| part.is_empty())).then_some(samples)
}

fn decode_value(
    parts: &mut [Bytes<'_>; PARTS],
    memory: &mut Memory,
    point: PointId,
    tag: u8,
) -> Option<Result<Value, NoData>> {
    let last = memory.of(point);
    let wide = &mut parts[WIDE];
    let (form, number) = match tag {
        AGAIN | BACK => {
            let last = last?;
            if let (Some(reason), AGAIN) = (last.missing, tag) {
                return Some(Err(reason));
            }
            if last.form == Form::Text {
                memory.set(point, Last { missing: None, ..last });
                return Some(Ok(Value::Text(Arc::clone(memory.texts.get(&point)?))));
            }
            (last.form, last.number.wrapping_add(parts[last.part()].signed()?))
        }
        1 => {
            let decimals = wide.byte().filter(|d| usize::from(*d) < TEN.len())?;
            (Form::Decimal(decimals), wide.signed()?)
        }
        2 => (Form::Single, wide.signed()?),
        3 => (Form::Double, wide.signed()?),
        4 => (Form::Integer, wide.signed()?),
        5 => (Form::State, wide.signed()?),
        6 => {
            let length = wide.count()?;
            let text: Arc<str> = std::str::from_utf8(wide.take(length)?).ok()?.into();
            memory.set(point, Last::new(Form::Text, 0, None));
            memory.texts.insert(point, Arc::clone(&text));
            return Some(Ok(Value::Text(text)));
        }
        MISSING => {
            let reason = reason(wide)?;
            memory.set(point, Last { missing: Some(reason), ..last.unwrap_or(Last::UNKNOWN) });
            return Some(Err(reason));
        }
        _ => return None,
    };
    memory.set(point, Last::new(form, number, last));
    value_of(form, number).map(Ok)
}

fn value_of(form: Form, number: i64) -> Option<Value> {
    Some(match form {
        #[expect(clippy::cast_precision_loss, reason = "below 2^53 when it was written")]
        Form::Decimal(decimals) => Value::Number(number as f64 / TEN[usize::from(decimals)]),
        Form::Single => Value::Number(f64::from(f32::from_bits(u32::try_from(number).ok()?))),
        Form::Double => Value::Number(f64::from_bits(number.cast_unsigned())),
        Form::Integer => Value::Integer(number),
        Form::State => Value::State(u32::try_from(number).ok()?),
        Form::Text => return None,
    })
}

fn decode_source_times(bytes: &mut Bytes<'_>, samples: &mut [Sample], tags: &[u8]) -> Option<()> {
    let mut timed =
        samples.iter_mut().zip(tags).filter(|(_, tag)| *tag & SOURCE_TIME != 0).peekable();
    if timed.peek().is_none() {
        return Some(());
    }
    let fineness = bytes.byte()?;
    let mut before = 0_i64;
    for (sample, _) in timed {
        before = before.checked_add(bytes.signed()?)?;
        sample.source_time = Some(match fineness {
            MILLISECONDS => DateTime::from_timestamp_millis(before)?,
            EXACT_TIMES => DateTime::from_timestamp(before, u32::try_from(bytes.varint()?).ok()?)?,
            _ => return None,
        });
    }
    Some(())
}

/// `Undefined` reasons count from here.
const UNDEFINED: u8 = 64;

fn put_reason(out: &mut Vec<u8>, reason: NoData) {
    let code = match reason {
        NoData::NeverSeen => 0,
        NoData::Stale => 1,
        NoData::Timeout => 2,
        NoData::Unreachable => 3,
        NoData::Refused(exception) => {
            out.extend_from_slice(&[4, exception]);
            return;
        }
        NoData::Malformed => 5,
        NoData::NotAvailable => 6,
        NoData::OutOfRange => 7,
        NoData::NotFinite => 8,
        NoData::BadQuality => 9,
        NoData::BadPayload => 10,
        NoData::Implausible => 11,
        NoData::NotANumber => 12,
        NoData::InputMissing => 13,
        NoData::LowCoverage => 14,
        NoData::Undefined(why) => UNDEFINED + undefined_code(why),
    };
    out.push(code);
}

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

fn reason(bytes: &mut Bytes<'_>) -> Option<NoData> {
    Some(match bytes.byte()? {
        0 => NoData::NeverSeen,
        1 => NoData::Stale,
        2 => NoData::Timeout,
        3 => NoData::Unreachable,
        4 => NoData::Refused(bytes.byte()?),
        5 => NoData::Malformed,
        6 => NoData::NotAvailable,
        7 => NoData::OutOfRange,
        8 => NoData::NotFinite,
        9 => NoData::BadQuality,
        10 => NoData::BadPayload,
        11 => NoData::Implausible,
        12 => NoData::NotANumber,
        13 => NoData::InputMissing,
        14 => NoData::LowCoverage,
        code => NoData::Undefined(undefined(code.checked_sub(UNDEFINED)?)?),
    })
}

fn undefined(code: u8) -> Option<Undefined> {
    Some(match code {
        0 => Undefined::ItPowerZero,
        1 => Undefined::FacilityBelowIt,
        2 => Undefined::NoFlow,
        3 => Undefined::NoLoad,
        4 => Undefined::ReversedSensors,
        5 => Undefined::CoolantOutOfRange,
        6 => Undefined::TwoPhase,
        7 => Undefined::NotMetered,
        8 => Undefined::DoubleCounting,
        9 => Undefined::TemperatureCross,
        10 => Undefined::OutsideFormula,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    use super::*;

    fn valid(memory: &mut Memory) -> Vec<u8> {
        let values = [
            Ok(Value::Number(21.5)),
            Ok(Value::Number(f64::from(0.1_f32))),
            Ok(Value::Number(std::f64::consts::PI)),
            Ok(Value::Integer(i64::MIN)),
            Ok(Value::State(u32::MAX)),
            Ok(Value::Text("on".into())),
            Err(NoData::Refused(2)),
            Err(NoData::Undefined(Undefined::NoFlow)),
        ];
        let samples = values.into_iter().cycle().take(24).zip(0_u32..).map(|(value, index)| {
            let source_time = DateTime::from_timestamp(i64::from(index), 500);
            Sample { point: PointId(index % 9), at: Mono::from_secs(3), source_time, value }
        });
        let mut out = Vec::new();
        encode(&mut out, memory, Mono::from_secs(2), &samples.collect::<Vec<_>>());
        out
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_decoded(noise: Vec<u8>) {
            decode(&noise, &mut Memory::default(), Mono::ZERO);
        }

        #[test]
        fn a_broken_frame_can_be_decoded_after_a_good_one(
            flips in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6)
        ) {
            let mut memory = Memory::default();
            let mut bytes = valid(&mut memory);
            for (index, flip) in flips {
                *index.get_mut(&mut bytes) ^= flip;
            }
            decode(&bytes, &mut Memory::default(), Mono::from_secs(2));
            decode(&bytes, &mut memory, Mono::from_secs(2));
        }
    }
}
