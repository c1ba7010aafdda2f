//! Moments as clients write them.

use axum::http::StatusCode;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use rules::units::Unit;

use super::problem::Problem;

const FORMS: &str = "write it like 2026-11-22T08:00:00Z, 2026-11-22, -24h or now";

/// From when until when; `from` lies before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
}

impl Span {
    /// What is left out is `length` ago, or now.
    pub(super) fn read(
        from: Option<&str>,
        to: Option<&str>,
        length: TimeDelta,
    ) -> Result<Self, Problem> {
        let now = Utc::now();
        let to = to.map_or(Ok(now), |text| moment("to", text, now))?;
        let from = match from {
            Some(text) => moment("from", text, now)?,
            None => to.checked_sub_signed(length).unwrap_or(DateTime::<Utc>::MIN_UTC),
        };
        if from < to {
            return Ok(Self { from, to });
        }
        Err(refused("from does not lie before to", "name an earlier from, or a later to"))
    }

    /// Whole seconds, at least one.
    pub(super) fn seconds(&self) -> u64 {
        (self.to - self.from).num_seconds().max(1).unsigned_abs()
    }
}

pub(super) fn moment(name: &str, text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Problem> {
    read(text, now).ok_or_else(|| refused(format!("{name} is no moment"), FORMS))
}

fn refused(error: impl Into<std::borrow::Cow<'static, str>>, remedy: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, error, remedy)
}

/// RFC 3339, a day (from its midnight in UTC), `now`, or a length of time before now.
fn read(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if text == "now" {
        return Some(now);
    }
    if let Some(ago) = text.strip_prefix('-') {
        // A number and a unit of time, as in configuration files; but nobody means metres here.
        let minutes = ago.strip_suffix('m').filter(|number| number.parse::<f64>().is_ok());
        let ago = minutes.map_or_else(|| ago.to_owned(), |number| format!("{number} min"));
        let seconds = Unit::parse("s").ok()?.read(&ago, "24 h").ok()?;
        let ago = std::time::Duration::try_from_secs_f64(seconds).ok()?;
        return now.checked_sub_signed(TimeDelta::from_std(ago).ok()?);
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Some(day.and_time(NaiveTime::MIN).and_utc());
    }
    // A plus sign that was not escaped arrives as a space.
    DateTime::parse_from_rfc3339(&text.replace(' ', "+")).ok().map(|moment| moment.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_absolute_or_before_now() {
        let now: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("now", Some("2026-11-22T12:00:00Z")),
            ("-90s", Some("2026-11-22T11:58:30Z")),
            ("-15m", Some("2026-11-22T11:45:00Z")),
            ("-15min", Some("2026-11-22T11:45:00Z")),
            ("-24h", Some("2026-11-21T12:00:00Z")),
            ("-7d", Some("2026-11-15T12:00:00Z")),
            ("2026-11-01", Some("2026-11-01T00:00:00Z")),
            ("2026-11-01T01:00:00+01:00", Some("2026-11-01T00:00:00Z")),
            ("2026-11-01T01:00:00 01:00", Some("2026-11-01T00:00:00Z")),
            ("-24", None),
            ("-1e30d", None),
            ("--1h", None),
            ("yesterday", None),
            ("", None),
        ] {
            let expected = expected.map(|moment| moment.parse().unwrap());
            assert_eq!(read(text, now), expected, "{text}");
        }
    }

    #[test]
    fn a_span_has_a_beginning_before_its_end() {
        let day = TimeDelta::days(1);
        assert_eq!(Span::read(None, None, day).unwrap().seconds(), 86_400);
        assert!(Span::read(Some("now"), Some("-1h"), day).is_err());
        assert!(Span::read(Some("then"), None, day).is_err());
    }
}
