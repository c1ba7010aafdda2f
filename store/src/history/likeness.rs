//! Columns that say nearly the same: the currents of three lines and the apparent power of a meter all follow its power.
//! Such a column is kept as a line through another one and the distances from it, which are small and pack well.

use super::columns::{as_float, whole};

/// Decimals: whole multiples of 10 to the power of minus `digits`.
#[derive(Debug)]
pub(super) struct Decimals {
    pub(super) digits: u8,
    pub(super) multiples: Vec<i64>,
}

/// A straight line that guesses the multiples of one column from those of another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) slope: f64,
    pub(super) offset: f64,
}

impl Line {
    /// The line of least squares, if the distances from it are at most half of what the column has by itself: of the
    /// distances from its mean, and of the steps between neighbours.
    pub(super) fn fit(other: &[i64], column: &[i64]) -> Option<Self> {
        let (mean_other, mean) = (mean(other)?, mean(column)?);
        let (mut both, mut square, mut spread) = (0.0, 0.0, 0.0);
        for (one, value) in other.iter().zip(column) {
            let (one, value) = (as_float(*one) - mean_other, as_float(*value) - mean);
            both += one * value;
            square += one * one;
            spread += value.abs();
        }
        let slope = both / square;
        let line = Self { slope, offset: mean - slope * mean_other };
        let far = |distance: i64| as_float(distance).abs();
        let steps: f64 = column
            .iter()
            .zip(column.iter().skip(1))
            .map(|(one, next)| far(next.wrapping_sub(*one)))
            .sum();
        let left: f64 = line.distances(other, column).into_iter().map(far).sum();
        (slope.is_finite() && left * 2.0 < spread.min(steps)).then_some(line)
    }

    /// The same on every machine: one product, one sum, rounded half away from zero.
    fn guess(&self, other: i64) -> i64 {
        whole((self.slope * as_float(other) + self.offset).round()).unwrap_or(0)
    }

    pub(super) fn distances(&self, other: &[i64], column: &[i64]) -> Vec<i64> {
        let pairs = other.iter().zip(column);
        pairs.map(|(one, value)| value.wrapping_sub(self.guess(*one))).collect()
    }

    pub(super) fn add_to(&self, other: &[i64], distances: &[i64]) -> Vec<i64> {
        let pairs = other.iter().zip(distances);
        pairs.map(|(one, distance)| self.guess(*one).wrapping_add(*distance)).collect()
    }
}

fn mean(values: &[i64]) -> Option<f64> {
    let count = u32::try_from(values.len()).ok().filter(|count| *count > 0)?;
    Some(values.iter().map(|value| as_float(*value)).sum::<f64>() / f64::from(count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn distances_from_any_line_give_the_column_back(
            pairs in prop::collection::vec((any::<i64>(), any::<i64>()), 0..100),
            slope in any::<f64>(),
            offset in any::<f64>(),
        ) {
            let (other, column): (Vec<i64>, Vec<i64>) = pairs.into_iter().unzip();
            let line = Line { slope, offset };
            assert_eq!(line.add_to(&other, &line.distances(&other, &column)), column);
        }
    }

    #[test]
    fn noise_that_is_not_shared_fits_no_line() {
        let noise = |factor: i64| (0..900).map(|at: i64| (at * factor) % 1009).collect::<Vec<_>>();
        assert_eq!(Line::fit(&noise(631), &noise(397)), None);
        assert_eq!(Line::fit(&[5; 900], &noise(397)), None);
    }
}
