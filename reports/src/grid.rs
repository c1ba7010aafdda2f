//! The quarter-hours of a period, counted from its first one.

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use rules::{calendar::Span, ledger::INTERVAL};

/// The quarter-hours of a period.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    span: Span,
    quarters: usize,
}

impl Grid {
    pub fn new(span: Span) -> Self {
        let quarters = span.length().num_seconds() / INTERVAL.num_seconds();
        Self { span, quarters: usize::try_from(quarters).unwrap_or(0) }
    }

    pub fn span(&self) -> Span {
        self.span
    }

    pub fn len(&self) -> usize {
        self.quarters
    }

    pub fn is_empty(&self) -> bool {
        self.quarters == 0
    }

    /// Where a quarter-hour lies; `None` outside the period.
    pub fn place(&self, start: DateTime<Utc>) -> Option<usize> {
        if !self.span.contains(start) {
            return None;
        }
        let into = (start - self.span.from).num_seconds() / INTERVAL.num_seconds();
        usize::try_from(into).ok().filter(|place| *place < self.quarters)
    }

    /// When a quarter-hour begins.
    pub fn start(&self, place: usize) -> DateTime<Utc> {
        let seconds = INTERVAL.num_seconds() * i64::try_from(place).unwrap_or(i64::MAX);
        self.span.from + TimeDelta::seconds(seconds)
    }

    /// The places of the quarter-hours of a part of the period.
    pub fn places(&self, part: Span) -> Range<usize> {
        let first = self.place(part.from).unwrap_or(self.quarters);
        first..self.place(part.to).unwrap_or(self.quarters).max(first)
    }
}
