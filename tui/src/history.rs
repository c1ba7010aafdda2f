//! A short memory for the sparklines: the last ten minutes of a shown figure, bounded.

use std::collections::VecDeque;

use rules::time::Mono;

/// Seconds that one cell of a sparkline stands for.
pub const CELL_S: u64 = 30;

/// Cells kept: ten minutes.
pub const CELLS: usize = 20;

/// The last value of each cell; `None` where there was none.
#[derive(Clone, Debug, Default)]
pub struct History {
    cells: VecDeque<Option<f64>>,
    newest: Option<u64>,
}

impl History {
    pub fn push(&mut self, at: Mono, value: Option<f64>) {
        let cell = at.0.as_secs() / CELL_S;
        match self.newest {
            Some(newest) if cell <= newest => {
                if let (Some(last), Some(value)) = (self.cells.back_mut(), value) {
                    *last = Some(value);
                }
                return;
            }
            Some(newest) => {
                let missed = usize::try_from(cell - newest - 1).unwrap_or(CELLS).min(CELLS);
                self.cells.extend(std::iter::repeat_n(None, missed));
            }
            None => {}
        }
        self.cells.push_back(value);
        self.newest = Some(cell);
        while self.cells.len() > CELLS {
            self.cells.pop_front();
        }
    }

    /// Oldest first.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = Option<f64>> + '_ {
        self.cells.iter().copied()
    }

    /// Each cell as a height in `0..levels`, scaled between the lowest and highest of them. A steady figure lies on
    /// the ground: noise below half a percent is not blown up to the full height.
    pub fn heights(&self, levels: usize) -> impl Iterator<Item = Option<usize>> + '_ {
        let known = || self.cells.iter().copied().flatten();
        let low = known().fold(f64::INFINITY, f64::min);
        let high = known().fold(f64::NEG_INFINITY, f64::max);
        let span = (high - low).max(high.abs() * 0.005).max(f64::MIN_POSITIVE);
        let top = levels.saturating_sub(1);
        self.cells.iter().map(move |cell| {
            cell.map(|value| {
                let step = (value - low) / span * crate::number::to_f64(top);
                crate::number::to_step(step, top)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heights(values: &[(u64, Option<f64>)]) -> Vec<Option<usize>> {
        let mut history = History::default();
        for (at, value) in values {
            history.push(Mono::from_secs(*at), *value);
        }
        history.heights(5).collect()
    }

    #[test]
    fn a_rising_figure_rises() {
        let rising = [(0, Some(0.0)), (30, Some(50.0)), (60, Some(100.0))];
        assert_eq!(heights(&rising), [Some(0), Some(2), Some(4)]);
    }

    #[test]
    fn a_gap_stays_a_gap() {
        let gap = [(0, Some(10.0)), (90, Some(20.0))];
        assert_eq!(heights(&gap), [Some(0), None, None, Some(4)]);
    }

    #[test]
    fn noise_lies_on_the_ground() {
        let noise = [(0, Some(1000.0)), (30, Some(1000.5)), (60, Some(1000.2))];
        assert_eq!(heights(&noise), [Some(0), Some(0), Some(0)]);
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut history = History::default();
        for at in 0..10_000 {
            history.push(Mono::from_secs(at * 7), Some(1.0));
        }
        history.push(Mono::from_secs(u64::MAX), Some(1.0));
        assert_eq!(history.cells().len(), CELLS);
    }
}
