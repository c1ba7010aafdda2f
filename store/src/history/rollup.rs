//! Rollups: what a minute or a quarter-hour of samples comes to, and a day of such rows as one block.

use super::{
    Damaged, Figures, QUARTER_MS, Rollup,
    block::Said,
    bytes::{Bytes, put_unsigned},
    columns::{
        as_decimals, as_float, power_of_ten, put_floats, put_integers, take_floats, take_integers,
        whole,
    },
};

pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const DAY_MS: i64 = 86_400_000;
pub(super) const BUCKETS_A_DAY: i64 = DAY_MS / QUARTER_MS;

/// How this file writes a block of rows.
const CODEC: u8 = 1;

/// Figures follow as multiples of a power of ten; otherwise as floats.
const AS_FLOATS: u8 = 255;

/// No more rows fit into a day.
const ROWS_MAX: usize = 1440;

/// Gathers samples, in order of time, into rows of one length.
pub(super) struct Gathering {
    length_ms: i64,
    rows: Vec<Rollup>,
    /// Of the last row.
    sum: f64,
}

impl Gathering {
    pub(super) fn new(length_ms: i64) -> Self {
        Self { length_ms, rows: Vec::new(), sum: 0.0 }
    }

    pub(super) fn add(&mut self, at_ms: i64, said: &Said) {
        let number = match said {
            Ok(value) => match value.as_number() {
                Some(number) => Some(number),
                // A text is good data, and nothing to roll up.
                None => return,
            },
            Err(_) => None,
        };
        let start = at_ms - at_ms.rem_euclid(self.length_ms);
        if self.rows.last().is_none_or(|row| row.at_ms != start) {
            self.close();
            self.rows.push(Rollup { at_ms: start, count: 0, bad: 0, figures: None });
        }
        let Some(row) = self.rows.last_mut() else { return };
        let Some(number) = number else {
            row.bad += 1;
            return;
        };
        row.count += 1;
        self.sum += number;
        let figures = row.figures.get_or_insert(Figures {
            min: number,
            max: number,
            mean: number,
            last: number,
        });
        figures.min = figures.min.min(number);
        figures.max = figures.max.max(number);
        figures.last = number;
    }

    fn close(&mut self) {
        let sum = std::mem::take(&mut self.sum);
        if let Some(row) = self.rows.last_mut()
            && let Some(figures) = &mut row.figures
        {
            figures.mean = sum / f64::from(row.count);
        }
    }

    pub(super) fn finish(mut self) -> Vec<Rollup> {
        self.close();
        self.rows
    }
}

/// Rows of one day, in order. Means come back to about ten digits, everything else as it was.
pub(super) fn encode_rows(
    rows: &[Rollup],
    day_ms: i64,
    length_ms: i64,
) -> Result<Vec<u8>, Damaged> {
    let mut out = vec![CODEC];
    put_unsigned(&mut out, rows.len() as u64);
    let places: Vec<i64> = rows.iter().map(|row| (row.at_ms - day_ms) / length_ms).collect();
    // A day without a gap has one place: how far each row is ahead of a count.
    let ahead: Vec<i64> = (0_i64..).zip(&places).map(|(row, place)| place - row).collect();
    put_integers(&mut out, &ahead)?;
    put_integers(&mut out, &rows.iter().map(|row| i64::from(row.count)).collect::<Vec<_>>())?;
    put_integers(&mut out, &rows.iter().map(|row| i64::from(row.bad)).collect::<Vec<_>>())?;
    let counted: Vec<(i64, Figures)> =
        rows.iter().filter_map(|row| Some((i64::from(row.count), row.figures?))).collect();
    if counted.is_empty() {
        return Ok(out);
    }
    if let Some(decimals) = in_decimals(&counted) {
        decimals.put(&mut out)?;
        return Ok(out);
    }
    out.push(AS_FLOATS);
    let figures: [fn(&Figures) -> f64; 4] = [
        |figures| figures.last,
        |figures| figures.min,
        |figures| figures.max,
        |figures| figures.mean,
    ];
    for figure in figures {
        let column: Vec<f64> = counted.iter().map(|(_, figures)| figure(figures)).collect();
        put_floats(&mut out, &column)?;
    }
    Ok(out)
}

/// Figures as multiples of a power of ten. Only `last` moves much; the others stay near it.
struct Decimals {
    digits: u8,
    last: Vec<i64>,
    below: Vec<i64>,
    above: Vec<i64>,
    /// Sum of the samples less `count` times `last`.
    sum_off: Vec<i64>,
}

/// `None` when the figures are not decimals of the same kind, or the sums are not.
fn in_decimals(counted: &[(i64, Figures)]) -> Option<Decimals> {
    let all: Vec<f64> =
        counted.iter().flat_map(|(_, figures)| [figures.last, figures.min, figures.max]).collect();
    let (digits, multiples) = as_decimals(&all)?;
    let power = power_of_ten(digits).ok()?;
    let mut decimals =
        Decimals { digits, last: vec![], below: vec![], above: vec![], sum_off: vec![] };
    for ((count, figures), multiples) in counted.iter().zip(multiples.chunks_exact(3)) {
        let &[last, min, max] = multiples else { return None };
        let sum = figures.mean * as_float(*count) * power;
        // Adding up leaves noise far below a step; a sample between the steps does not.
        if (sum - sum.round()).abs() > 1e-3_f64.max(sum.abs() * 1e-12) {
            return None;
        }
        decimals.last.push(last);
        decimals.below.push(last - min);
        decimals.above.push(max - last);
        decimals.sum_off.push(whole(sum.round())?.checked_sub(count.checked_mul(last)?)?);
    }
    Some(decimals)
}

impl Decimals {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), Damaged> {
        out.push(self.digits);
        [&self.last, &self.below, &self.above, &self.sum_off]
            .into_iter()
            .try_for_each(|column| put_integers(out, column))
    }
}

pub(super) fn decode_rows(
    bytes: &[u8],
    day_ms: i64,
    length_ms: i64,
) -> Result<Vec<Rollup>, Damaged> {
    let mut bytes = Bytes(bytes);
    if bytes.byte()? != CODEC {
        return Err(Damaged("is written by a later version"));
    }
    let rows = bytes.count(ROWS_MAX)?;
    let ahead = take_integers(&mut bytes, rows)?;
    let counts = take_integers(&mut bytes, rows)?;
    let bads = take_integers(&mut bytes, rows)?;
    let counted: Vec<i64> = counts.iter().copied().filter(|count| *count > 0).collect();
    let mut figures = take_figures(&mut bytes, &counted)?.into_iter();
    let small =
        |count: i64| u32::try_from(count).map_err(|_| Damaged("holds a count that cannot be"));
    let mut out = Vec::with_capacity(rows);
    for (row, ((ahead, count), bad)) in (0_i64..).zip(ahead.iter().zip(&counts).zip(&bads)) {
        let at_ms = row
            .checked_add(*ahead)
            .and_then(|place| place.checked_mul(length_ms)?.checked_add(day_ms))
            .ok_or(Damaged("holds a time that cannot be"))?;
        let figures = if *count > 0 { figures.next() } else { None };
        out.push(Rollup { at_ms, count: small(*count)?, bad: small(*bad)?, figures });
    }
    Ok(out)
}

fn take_figures(bytes: &mut Bytes<'_>, counts: &[i64]) -> Result<Vec<Figures>, Damaged> {
    if counts.is_empty() {
        return Ok(Vec::new());
    }
    let rows = counts.len();
    let digits = bytes.byte()?;
    if digits == AS_FLOATS {
        let last = take_floats(bytes, rows)?;
        let min = take_floats(bytes, rows)?;
        let max = take_floats(bytes, rows)?;
        let mean = take_floats(bytes, rows)?;
        let columns = last.into_iter().zip(min).zip(max).zip(mean);
        return Ok(columns
            .map(|(((last, min), max), mean)| Figures { min, max, mean, last })
            .collect());
    }
    let power = power_of_ten(digits)?;
    let last = take_integers(bytes, rows)?;
    let below = take_integers(bytes, rows)?;
    let above = take_integers(bytes, rows)?;
    let sum_off = take_integers(bytes, rows)?;
    let columns = counts.iter().zip(last).zip(below).zip(above).zip(sum_off);
    Ok(columns
        .map(|((((count, last), below), above), sum_off)| {
            let sum = count.wrapping_mul(last).wrapping_add(sum_off);
            Figures {
                min: as_float(last.wrapping_sub(below)) / power,
                max: as_float(last.wrapping_add(above)) / power,
                mean: as_float(sum) / power / as_float(*count),
                last: as_float(last) / power,
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rules::value::{NoData, Value};

    use super::*;

    const DAY: i64 = 20_000 * DAY_MS;

    fn rolled(samples: &[(i64, Said)]) -> Vec<Rollup> {
        let mut gathering = Gathering::new(MINUTE_MS);
        for (at_ms, said) in samples {
            gathering.add(*at_ms, said);
        }
        gathering.finish()
    }

    #[test]
    fn a_row_has_the_figures_of_its_minute() {
        let number = |number: f64| Ok(Value::Number(number));
        let rows = rolled(&[
            (DAY + 1_000, number(3.0)),
            (DAY + 2_000, number(1.0)),
            (DAY + 3_000, Err(NoData::Timeout)),
            (DAY + 59_999, number(2.0)),
            (DAY + 60_000, Err(NoData::Timeout)),
            (DAY + 180_000, Ok(Value::State(7))),
            (DAY + 181_000, Ok(Value::Text("on".into()))),
        ]);
        let figures = Figures { min: 1.0, max: 3.0, mean: 2.0, last: 2.0 };
        let seven = Figures { min: 7.0, max: 7.0, mean: 7.0, last: 7.0 };
        let expected = [
            Rollup { at_ms: DAY, count: 3, bad: 1, figures: Some(figures) },
            Rollup { at_ms: DAY + 60_000, count: 0, bad: 1, figures: None },
            Rollup { at_ms: DAY + 180_000, count: 1, bad: 0, figures: Some(seven) },
        ];
        assert_eq!(rows, expected);
        assert!((rows[0].bad_share() - 0.25).abs() < 1e-12);
    }

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() <= one.abs().max(other.abs()) * 1e-9 + 1e-9
    }

    proptest! {
        #[test]
        fn rows_come_back(
            samples in prop::collection::vec(
                (0..DAY_MS, prop_oneof![
                    4 => (-100_000..100_000_i64).prop_map(|step| Some(as_float(step) / 100.0)),
                    1 => Just(None),
                ]), 0..300),
            odd in prop::option::of(-1e300..1e300_f64),
        ) {
            let mut samples: Vec<(i64, Said)> = samples
                .into_iter()
                .map(|(at, number)| (DAY + at, number.map(Value::Number).ok_or(NoData::Stale)))
                .collect();
            samples.extend(odd.map(|odd| (DAY + 5, Ok(Value::Number(odd)))));
            samples.sort_by_key(|sample| sample.0);
            let rows = rolled(&samples);
            let back = decode_rows(&encode_rows(&rows, DAY, MINUTE_MS).unwrap(), DAY, MINUTE_MS).unwrap();
            prop_assert_eq!(rows.len(), back.len());
            for (row, back) in rows.iter().zip(&back) {
                prop_assert_eq!((row.at_ms, row.count, row.bad), (back.at_ms, back.count, back.bad));
                let exact = |row: &Rollup| row.figures.map(|figures| (figures.min, figures.max, figures.last));
                prop_assert_eq!(exact(row), exact(back));
                let mean = |row: &Rollup| row.figures.map_or(0.0, |figures| figures.mean);
                prop_assert!(near(mean(row), mean(back)), "{:?} {:?}", row, back);
            }
        }

        #[test]
        fn no_bytes_make_the_reader_of_rows_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut block = vec![CODEC];
            block.extend(&bytes);
            let _ = decode_rows(&block, DAY, MINUTE_MS);
        }
    }
}
