//! Quarter-hours put together to hours.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::{AMOUNT_PARTS, LedgerRow, Method, set_flag, three_digits};

const QUARTERS: f64 = 4.0;

/// One row an hour of UTC for each meter, from its quarter-hours by start: energies added up, or the mean of a temperature
/// for accounts that `is_mean` knows. The amount covers what the quarter-hours cover, the method is the worst of theirs,
/// and their uncertainties are added up, because a meter is off in the same way all the time.
pub fn hours(rows: &[LedgerRow], is_mean: impl Fn(&str) -> bool) -> Vec<LedgerRow> {
    let same = |one: &LedgerRow, next: &LedgerRow| {
        one.meter == next.meter && hour(one.start) == hour(next.start)
    };
    rows.chunk_by(same).filter_map(|quarters| one_hour(quarters, &is_mean)).collect()
}

fn hour(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::hours(1)).unwrap_or(at)
}

fn one_hour(quarters: &[LedgerRow], is_mean: impl Fn(&str) -> bool) -> Option<LedgerRow> {
    let (first, last) = (quarters.first()?, quarters.last()?);
    let known = || quarters.iter().filter(|row| row.amount.is_some());
    let covered: f64 = known().map(|row| row.coverage).sum();
    let weight = |row: &LedgerRow| if is_mean(&first.meter) { row.coverage / covered } else { 1.0 };
    let mut flags = Vec::new();
    for flag in quarters.iter().flat_map(|row| &row.flags) {
        set_flag(&mut flags, *flag);
    }
    let sum = |part: fn(&LedgerRow) -> Option<f64>| -> Option<f64> {
        known().map(|row| Some(part(row)? * weight(row))).sum()
    };
    let amount = sum(|row| row.amount).filter(|_| known().next().is_some());
    let amount = amount.map(|amount| (amount * AMOUNT_PARTS).round() / AMOUNT_PARTS);
    Some(LedgerRow {
        meter: first.meter.clone(),
        start: hour(first.start),
        method: known().map(|row| row.method).max().unwrap_or(Method::Missing),
        coverage: covered / QUARTERS,
        flags,
        uncertainty: amount.and_then(|_| sum(|row| row.uncertainty)).map(three_digits),
        first: first.first,
        last: last.last,
        amount,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ledger::RegisterReading, register::Flag};

    fn row(meter: &str, start: &str, amount: Option<f64>) -> LedgerRow {
        let at: DateTime<Utc> = format!("2026-10-01T{start}:00Z").parse().unwrap();
        LedgerRow {
            meter: meter.into(),
            start: at,
            amount,
            method: if amount.is_some() { Method::Register } else { Method::Missing },
            coverage: if amount.is_some() { 1.0 } else { 0.0 },
            flags: Vec::new(),
            uncertainty: amount.map(|amount| amount / 100.0),
            first: Some(RegisterReading { at, value: 7.0 }),
            last: None,
        }
    }

    #[test]
    fn four_quarter_hours_are_an_hour_and_a_missing_one_is_not_covered() {
        let mut rows: Vec<LedgerRow> = ["10:00", "10:15", "10:30", "10:45", "11:00"]
            .into_iter()
            .map(|start| row("a", start, Some(2.5)))
            .collect();
        rows[1].flags = vec![Flag::Rollover];
        rows[2] = row("a", "10:30", None);
        rows.push(row("b", "11:15", Some(1.0)));
        let found = hours(&rows, |_| false);
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].amount, found[0].coverage), (Some(7.5), 0.75));
        assert_eq!((found[0].uncertainty, found[0].method), (Some(0.075), Method::Register));
        assert_eq!(found[0].flags, [Flag::Rollover]);
        assert_eq!(found[0].start, rows[0].start);
        assert_eq!(found[0].first, rows[0].first);
        assert_eq!((found[1].amount, found[1].coverage), (Some(2.5), 0.25));
        assert_eq!((&*found[2].meter, found[2].amount), ("b", Some(1.0)));
    }

    #[test]
    fn an_hour_without_an_amount_has_none_and_a_temperature_has_a_mean() {
        let nothing = hours(&[row("a", "10:00", None)], |_| false);
        assert_eq!((nothing[0].amount, nothing[0].uncertainty), (None, None));
        assert_eq!((nothing[0].method, nothing[0].coverage), (Method::Missing, 0.0));
        let outside = [row("air", "10:00", Some(18.0)), row("air", "10:15", Some(20.0))];
        assert_eq!(hours(&outside, |name| name == "air")[0].amount, Some(19.0));
    }
}
