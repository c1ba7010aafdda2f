//! Days as people at the site count them. The only place that reckons with time zones: everything else is UTC.
//!
//! A day runs from one local midnight to the next. It has 23, 24 or 25 hours, so nothing here ever adds 24 hours.

use std::{fmt, str::FromStr};

use chrono::{
    DateTime, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;
use thiserror::Error;

use crate::ratio::Period;

/// A time zone of the IANA database, such as `Europe/Berlin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

/// A name that the time-zone database does not have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{0}\" is no time zone: expected a name such as Europe/Berlin or UTC")]
pub struct UnknownZone(String);

/// A stretch of time, `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Span {
    pub fn length(self) -> TimeDelta {
        self.to - self.from
    }

    pub fn contains(self, at: DateTime<Utc>) -> bool {
        self.from <= at && at < self.to
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        name.parse().map(Self).map_err(|_| UnknownZone(name.to_owned()))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Zone {
    /// When a local day begins: at midnight, or with the first moment after it where clocks skip midnight.
    pub fn midnight(self, day: NaiveDate) -> DateTime<Utc> {
        let mut local = day.and_time(NaiveTime::MIN);
        // No zone ever skipped more than a day (Samoa, the whole of 2011-12-30).
        for _ in 0..=96 {
            match self.0.from_local_datetime(&local) {
                MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => {
                    return at.with_timezone(&Utc);
                }
                MappedLocalTime::None => local += TimeDelta::minutes(15),
            }
        }
        local.and_utc()
    }

    /// From the first midnight of a period to the one after its last day.
    pub fn span(self, period: Period) -> Span {
        let after = period.last().succ_opt().unwrap_or(NaiveDate::MAX);
        Span { from: self.midnight(period.first()), to: self.midnight(after) }
    }

    /// The days of a period with the time that each takes.
    pub fn days(self, period: Period) -> impl Iterator<Item = (NaiveDate, Span)> {
        period.days().map(move |day| {
            let after = day.succ_opt().unwrap_or(NaiveDate::MAX);
            (day, Span { from: self.midnight(day), to: self.midnight(after) })
        })
    }

    /// What clocks at the site show.
    pub fn local(self, at: DateTime<Utc>) -> NaiveDateTime {
        at.with_timezone(&self.0).naive_local()
    }

    /// When clocks at the site show this, the first time that they do; `None` for a time that they skip.
    pub fn instant(self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        self.0.from_local_datetime(&local).earliest().map(|at| at.with_timezone(&Utc))
    }

    /// As printed beside a figure: `2026-10-01 00:00 +02:00`.
    pub fn label(self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.0).format("%Y-%m-%d %H:%M %:z").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn hours(zone: &str, date: &str) -> i64 {
        let zone: Zone = zone.parse().unwrap();
        let period = Period::new(day(date), day(date)).unwrap();
        zone.span(period).length().num_hours()
    }

    #[test]
    fn days_have_23_24_or_25_hours() {
        assert_eq!(hours("Europe/Berlin", "2026-03-29"), 23);
        assert_eq!(hours("Europe/Berlin", "2026-10-24"), 24);
        assert_eq!(hours("Europe/Berlin", "2026-10-25"), 25);
        assert_eq!(hours("UTC", "2026-10-25"), 24);
    }

    #[test]
    fn a_month_runs_from_local_midnight_to_local_midnight() {
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        let span = zone.span(Period::month_of(day("2026-10-17")));
        assert_eq!(span.from.to_rfc3339(), "2026-09-30T22:00:00+00:00");
        assert_eq!(span.to.to_rfc3339(), "2026-10-31T23:00:00+00:00");
        assert_eq!(span.length().num_hours(), 745);
        assert_eq!(zone.label(span.from), "2026-10-01 00:00 +02:00");
        assert_eq!(zone.label(span.to), "2026-11-01 00:00 +01:00");
    }

    #[test]
    fn a_day_whose_midnight_clocks_skip_begins_with_the_first_moment_after_it() {
        let zone: Zone = "Asia/Beirut".parse().unwrap();
        assert_eq!(zone.midnight(day("2024-03-31")).to_rfc3339(), "2024-03-30T22:00:00+00:00");
        assert_eq!(hours("Asia/Beirut", "2024-03-31"), 23);
    }

    #[test]
    fn the_days_of_a_period_follow_each_other_without_a_gap() {
        for zone in ["Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo"]
        {
            let zone: Zone = zone.parse().unwrap();
            let year = Period::new(day("2026-01-01"), day("2026-12-31")).unwrap();
            let mut at = zone.span(year).from;
            for (_, span) in zone.days(year) {
                assert_eq!(span.from, at);
                assert_eq!(span.from.timestamp() % 900, 0, "cuts fall on quarter-hours of UTC");
                at = span.to;
            }
            assert_eq!(at, zone.span(year).to);
        }
    }

    #[test]
    fn a_zone_that_does_not_exist_is_refused() {
        let error = "Mars/Olympus".parse::<Zone>().unwrap_err();
        assert!(error.to_string().contains("Mars/Olympus"));
    }
}
