//! Columns of values as bytes: integers, floats, texts. Whatever goes in comes back bit by bit.
//!
//! A column does not say how many values it has; its block does. The first byte says how it is written. Numbers from
//! devices are nearly always decimals (a register divided by ten), so floats are first tried as whole multiples of a
//! power of ten, counted from the smallest one in as few bits as hold them: pco packs these in less than half of what it
//! makes of the floats (0.13 instead of 0.28 byte per sample of a slow temperature, blocks of 900).

use std::{collections::HashMap, sync::Arc};

use pco::{
    ChunkConfig,
    data_types::Number,
    wrapped::{FileCompressor, FileDecompressor},
};

use super::{
    Damaged,
    bytes::{Bytes, put_bytes, put_signed, put_unsigned},
};

/// No column is longer: one page of pco.
pub(super) const VALUES_MAX: usize = pco::DEFAULT_MAX_PAGE_N;

/// Higher levels cost more time and gain nothing on such columns.
const LEVEL: usize = 4;

/// Up to so many values, plain differences are tried too: pco has some 20 bytes of tables.
const FEW: usize = 48;

/// Largest power of ten that values are tried as multiples of.
const DIGITS_MAX: u8 = 9;

/// Integers up to here are exact as floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

mod integers {
    pub(super) const CONSTANT: u8 = 0;
    pub(super) const BITS_16: u8 = 1;
    pub(super) const BITS_32: u8 = 2;
    pub(super) const BITS_64: u8 = 3;
    pub(super) const DIFFERENCES: u8 = 4;
}

mod floats {
    pub(super) const CONSTANT: u8 = 0;
    pub(super) const DECIMAL: u8 = 1;
    pub(super) const SINGLE: u8 = 2;
    pub(super) const DOUBLE: u8 = 3;
}

pub(super) fn put_integers(out: &mut Vec<u8>, values: &[i64]) -> Result<(), Damaged> {
    let lowest = values.iter().copied().min().unwrap_or(0);
    let highest = values.iter().copied().max().unwrap_or(0);
    if lowest == highest {
        out.push(integers::CONSTANT);
        put_signed(out, lowest);
        return Ok(());
    }
    let start = out.len();
    let above = |value: i64| value.wrapping_sub(lowest).cast_unsigned();
    let head = |out: &mut Vec<u8>, way: u8| {
        out.push(way);
        put_signed(out, lowest);
    };
    let narrow: Result<Vec<u16>, _> =
        values.iter().map(|value| u16::try_from(above(*value))).collect();
    let wide: Result<Vec<u32>, _> =
        values.iter().map(|value| u32::try_from(above(*value))).collect();
    if let Ok(narrow) = narrow {
        head(out, integers::BITS_16);
        put_packed::<u16>(out, &narrow)?;
    } else if let Ok(wide) = wide {
        head(out, integers::BITS_32);
        put_packed::<u32>(out, &wide)?;
    } else {
        head(out, integers::BITS_64);
        let wide: Vec<u64> = values.iter().map(|value| above(*value)).collect();
        put_packed::<u64>(out, &wide)?;
    }
    if values.len() <= FEW {
        let plain = differences(values);
        if plain.len() < out.len() - start {
            out.truncate(start);
            out.extend_from_slice(&plain);
        }
    }
    Ok(())
}

fn differences(values: &[i64]) -> Vec<u8> {
    let mut out = vec![integers::DIFFERENCES];
    let mut last = 0_i64;
    for value in values {
        put_signed(&mut out, value.wrapping_sub(last));
        last = *value;
    }
    out
}

pub(super) fn take_integers(bytes: &mut Bytes<'_>, count: usize) -> Result<Vec<i64>, Damaged> {
    match bytes.byte()? {
        integers::CONSTANT => Ok(vec![bytes.signed()?; count]),
        integers::BITS_16 => unpack_above::<u16>(bytes, count),
        integers::BITS_32 => unpack_above::<u32>(bytes, count),
        integers::BITS_64 => unpack_above::<u64>(bytes, count),
        integers::DIFFERENCES => {
            let mut last = 0_i64;
            (0..count)
                .map(|_| {
                    last = last.wrapping_add(bytes.signed()?);
                    Ok(last)
                })
                .collect()
        }
        _ => Err(Damaged("has integers in an unknown form")),
    }
}

fn unpack_above<T: Number + Default + Into<u64>>(
    bytes: &mut Bytes<'_>,
    count: usize,
) -> Result<Vec<i64>, Damaged> {
    let lowest = bytes.signed()?;
    let above = take_packed::<T>(bytes, count)?;
    Ok(above.into_iter().map(|value| lowest.wrapping_add(value.into().cast_signed())).collect())
}

pub(super) fn put_floats(out: &mut Vec<u8>, values: &[f64]) -> Result<(), Damaged> {
    let first = values.first().copied().unwrap_or(0.0).to_bits();
    if values.iter().all(|value| value.to_bits() == first) {
        out.push(floats::CONSTANT);
        out.extend_from_slice(&first.to_le_bytes());
    } else if let Some((digits, multiples)) = as_decimals(values) {
        out.push(floats::DECIMAL);
        out.push(digits);
        put_integers(out, &multiples)?;
    } else if let Some(singles) = as_singles(values) {
        out.push(floats::SINGLE);
        put_packed::<f32>(out, &singles)?;
    } else {
        out.push(floats::DOUBLE);
        put_packed::<f64>(out, values)?;
    }
    Ok(())
}

pub(super) fn take_floats(bytes: &mut Bytes<'_>, count: usize) -> Result<Vec<f64>, Damaged> {
    match bytes.byte()? {
        floats::CONSTANT => Ok(vec![bytes.double()?; count]),
        floats::DECIMAL => {
            let digits = bytes.byte()?;
            decimals_as_floats(digits, &take_integers(bytes, count)?)
        }
        floats::SINGLE => {
            Ok(take_packed::<f32>(bytes, count)?.into_iter().map(f64::from).collect())
        }
        floats::DOUBLE => take_packed::<f64>(bytes, count),
        _ => Err(Damaged("has numbers in an unknown form")),
    }
}

/// The multiples of a column of floats that is written as decimals.
pub(super) fn take_decimals(bytes: &mut Bytes<'_>, count: usize) -> Result<Vec<i64>, Damaged> {
    if bytes.byte()? != floats::DECIMAL {
        return Err(Damaged("is told by one that has no decimals"));
    }
    bytes.byte()?;
    take_integers(bytes, count)
}

pub(super) fn decimals_as_floats(digits: u8, multiples: &[i64]) -> Result<Vec<f64>, Damaged> {
    let power = power_of_ten(digits)?;
    Ok(multiples.iter().map(|multiple| as_float(*multiple) / power).collect())
}

/// Ten to the power of `digits`, exact.
pub(super) fn power_of_ten(digits: u8) -> Result<f64, Damaged> {
    if digits > DIGITS_MAX {
        return Err(Damaged("has decimals with too many digits"));
    }
    Ok((0..digits).fold(1.0, |power, _| power * 10.0))
}

/// The values as multiples of 10 to the power of minus the returned digits, if dividing gives each back bit by bit.
pub(super) fn as_decimals(values: &[f64]) -> Option<(u8, Vec<i64>)> {
    let mut digits = 0;
    let mut power = 1.0;
    for value in values {
        while as_multiple(*value, power).is_none() {
            digits += 1;
            power *= 10.0;
            if digits > DIGITS_MAX {
                return None;
            }
        }
    }
    let multiples: Option<_> = values.iter().map(|value| as_multiple(*value, power)).collect();
    Some((digits, multiples?))
}

fn as_multiple(value: f64, power: f64) -> Option<i64> {
    let multiple = (value * power).round();
    if multiple.abs() < EXACT && (multiple / power).to_bits() == value.to_bits() {
        whole(multiple).filter(|whole| as_float(*whole).to_bits() == multiple.to_bits())
    } else {
        None
    }
}

/// A float without fraction as an integer, where that is exact.
#[expect(clippy::cast_possible_truncation, reason = "checked to be in the range that is exact")]
pub(super) fn whole(value: f64) -> Option<i64> {
    (value.abs() < EXACT).then_some(value as i64)
}

#[expect(clippy::cast_precision_loss, reason = "multiples are below 2^53")]
pub(super) fn as_float(multiple: i64) -> f64 {
    multiple as f64
}

fn as_singles(values: &[f64]) -> Option<Vec<f32>> {
    values.iter().map(|value| as_single(*value)).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be the same value")]
fn as_single(value: f64) -> Option<f32> {
    let single = value as f32;
    (f64::from(single).to_bits() == value.to_bits()).then_some(single)
}

/// Distinct texts, then the place of each.
pub(super) fn put_texts(out: &mut Vec<u8>, values: &[Arc<str>]) -> Result<(), Damaged> {
    let mut places: HashMap<&str, i64> = HashMap::new();
    let mut distinct = Vec::new();
    let mut column = Vec::with_capacity(values.len());
    for value in values {
        let next = distinct.len().try_into().unwrap_or(i64::MAX);
        column.push(*places.entry(value).or_insert_with(|| {
            distinct.push(value);
            next
        }));
    }
    put_unsigned(out, distinct.len() as u64);
    for text in distinct {
        put_bytes(out, text.as_bytes());
    }
    put_integers(out, &column)
}

pub(super) fn take_texts(bytes: &mut Bytes<'_>, count: usize) -> Result<Vec<Arc<str>>, Damaged> {
    let distinct = bytes.count(count)?;
    let mut texts: Vec<Arc<str>> = Vec::with_capacity(distinct);
    for _ in 0..distinct {
        let text =
            str::from_utf8(bytes.bytes()?).map_err(|_| Damaged("has a text not in UTF-8"))?;
        texts.push(text.into());
    }
    let text = |place: i64| texts.get(usize::try_from(place).ok()?).cloned();
    let places = take_integers(bytes, count)?;
    let column: Option<_> = places.into_iter().map(text).collect();
    column.ok_or(Damaged("names a text that it does not have"))
}

/// pco's bytes with their length before them. Its own format version is the first of them.
fn put_packed<T: Number>(out: &mut Vec<u8>, values: &[T]) -> Result<(), Damaged> {
    if values.len() > VALUES_MAX {
        return Err(Damaged("would be too long"));
    }
    let packed = pack(values).map_err(|_| Damaged("does not pack"))?;
    put_bytes(out, &packed);
    Ok(())
}

fn pack<T: Number>(values: &[T]) -> pco::errors::PcoResult<Vec<u8>> {
    let file = FileCompressor::default();
    let config = ChunkConfig::default().with_compression_level(LEVEL);
    let mut chunk = file.chunk_compressor(values, &config)?;
    let mut out = file.write_header(Vec::new())?;
    out = chunk.write_meta(out)?;
    for page in 0..chunk.n_per_page().len() {
        out = chunk.write_page(page, out)?;
    }
    Ok(out)
}

fn take_packed<T: Number + Default>(
    bytes: &mut Bytes<'_>,
    count: usize,
) -> Result<Vec<T>, Damaged> {
    if count > VALUES_MAX {
        return Err(Damaged("holds a count that cannot be"));
    }
    unpack(bytes.bytes()?, count).map_err(|_| Damaged("does not unpack"))
}

fn unpack<T: Number + Default>(bytes: &[u8], count: usize) -> pco::errors::PcoResult<Vec<T>> {
    let (file, rest) = FileDecompressor::new(bytes)?;
    let (mut chunk, rest) = file.chunk_decompressor::<T, _>(rest)?;
    let mut page = chunk.page_decompressor(rest, count)?;
    let mut values = vec![T::default(); count];
    page.read(&mut values)?;
    Ok(values)
}
