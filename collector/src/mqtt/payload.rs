//! What stands in a payload, and what a point makes of it.

use chrono::{DateTime, Utc};
use rules::{
    plant::{PointKind, StateLabel},
    value::{NoData, Value},
};
use serde_json::Value as Json;

use crate::conversion::Conversion;

/// Longer texts are cut: a text point is a name or a serial number.
const TEXT_CHARS: usize = 256;

/// Reads JSON; a payload that is plainly none is a bare text, such as `ON`. `None`: not understood.
pub(super) fn read(payload: &[u8]) -> Option<Json> {
    let text = std::str::from_utf8(payload).ok()?.trim();
    match serde_json::from_str(text) {
        Ok(json) => Some(json),
        Err(_) if text.is_empty() || text.starts_with(['{', '[', '"']) => None,
        Err(_) => Some(Json::String(text.to_owned())),
    }
}

/// The member at a path such as `sensors.0.t`; the whole for an empty path.
pub(super) fn member<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    if path.is_empty() {
        return Some(json);
    }
    path.split('.').try_fold(json, |json, name| match json {
        Json::Array(items) => items.get(name.parse::<usize>().ok()?),
        Json::Object(members) => members.get(name),
        _ => None,
    })
}

/// A time in milliseconds since 1970.
pub(super) fn instant(json: &Json) -> Option<DateTime<Utc>> {
    /// Years up to about 280 000 of either sign: all that a time can be.
    const LIMIT: f64 = 8.64e15;
    let millis = json.as_i64().or_else(|| {
        let millis = json.as_f64().filter(|millis| millis.abs() < LIMIT)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "within LIMIT, and whole milliseconds do"
        )]
        Some(millis.round() as i64)
    })?;
    DateTime::from_timestamp_millis(millis)
}

/// How the values of one source become those of one point.
#[derive(Clone, Debug)]
pub(super) struct Meaning {
    pub(super) kind: PointKind,
    /// From the unit of the source to that of the point.
    pub(super) conversion: Conversion,
    /// Of the point.
    pub(super) states: Vec<StateLabel>,
    /// The names that the source gives its codes, where it does. They count, not the codes.
    pub(super) source_states: Option<Vec<StateLabel>>,
}

impl Meaning {
    pub(super) fn value(&self, json: &Json) -> Result<Value, NoData> {
        if json.is_null() {
            return Err(NoData::NotAvailable);
        }
        match self.kind {
            PointKind::Gauge => self.conversion.apply(Value::Number(number(json)?)),
            PointKind::Counter => {
                let exact = json.as_i64().map(Value::Integer);
                self.conversion.apply(match exact {
                    Some(exact) => exact,
                    None => Value::Number(number(json)?),
                })
            }
            PointKind::State => self.state(json).map(Value::State),
            PointKind::Text => match json {
                Json::String(text) => Ok(Value::Text(cut(text).into())),
                Json::Number(_) | Json::Bool(_) => Ok(Value::Text(json.to_string().into())),
                _ => Err(NoData::BadPayload),
            },
        }
    }

    fn state(&self, json: &Json) -> Result<u32, NoData> {
        let code = match json {
            Json::Bool(on) => u32::from(*on),
            Json::Number(_) => code(number(json)?)?,
            Json::String(text) => match labelled(&self.states, text) {
                Some(code) => return Ok(code),
                None => code(number(json).map_err(|_| NoData::BadPayload)?)?,
            },
            _ => return Err(NoData::BadPayload),
        };
        let Some(names) = &self.source_states else { return Ok(code) };
        let name = names.iter().find(|label| label.code == code).ok_or(NoData::BadPayload)?;
        if self.states.is_empty() {
            return Ok(code);
        }
        labelled(&self.states, &name.text).ok_or(NoData::BadPayload)
    }
}

/// The code of a state's name, letter case ignored.
pub(super) fn labelled(states: &[StateLabel], text: &str) -> Option<u32> {
    let text = text.trim();
    states.iter().find(|label| label.text.eq_ignore_ascii_case(text)).map(|label| label.code)
}

/// A number, also one in quotes. Not finite is for the conversion to say.
fn number(json: &Json) -> Result<f64, NoData> {
    match json {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .ok_or(NoData::BadPayload)
}

/// Feeds that know only floats write state 1 as 1.0.
fn code(number: f64) -> Result<u32, NoData> {
    if number.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&number) {
        return Err(NoData::BadPayload);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and in range, as checked"
    )]
    Ok(number as u32)
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use rules::units::Unit;

    use super::*;

    fn meaning(kind: PointKind, from: &str, to: &str) -> Meaning {
        let unit = |text| Unit::parse(text).unwrap();
        Meaning {
            kind,
            conversion: Conversion::new(&unit(from), &unit(to)),
            states: vec![label(0, "NoLeak"), label(1, "Leak")],
            source_states: None,
        }
    }

    fn label(code: u32, text: &str) -> StateLabel {
        StateLabel { code, text: text.to_owned() }
    }

    fn value(meaning: &Meaning, payload: &str) -> Result<Value, NoData> {
        read(payload.as_bytes()).ok_or(NoData::BadPayload).and_then(|json| meaning.value(&json))
    }

    #[test]
    fn gauges_are_numbers_in_the_unit_of_the_point() {
        let gauge = meaning(PointKind::Gauge, "W", "kW");
        for (payload, expected) in [
            ("1500", Ok(1.5)),
            (" 1500.0\n", Ok(1.5)),
            ("\"1500\"", Ok(1.5)),
            ("null", Err(NoData::NotAvailable)),
            ("NaN", Err(NoData::NotFinite)),
            ("inf", Err(NoData::NotFinite)),
            ("true", Err(NoData::BadPayload)),
            ("ON", Err(NoData::BadPayload)),
            ("[1]", Err(NoData::BadPayload)),
            ("{", Err(NoData::BadPayload)),
            ("", Err(NoData::BadPayload)),
        ] {
            assert_eq!(value(&gauge, payload), expected.map(Value::Number), "{payload}");
        }
    }

    #[test]
    fn counters_stay_exact() {
        let counter = meaning(PointKind::Counter, "Wh", "Wh");
        assert_eq!(value(&counter, "9007199254740993"), Ok(Value::Integer(9_007_199_254_740_993)));
        assert_eq!(value(&counter, "1.5"), Ok(Value::Number(1.5)));
    }

    #[test]
    fn states_are_codes_or_their_names() {
        let state = meaning(PointKind::State, "1", "1");
        for (payload, expected) in [
            ("1", Ok(1)),
            ("1.0", Ok(1)),
            ("true", Ok(1)),
            ("false", Ok(0)),
            ("leak", Ok(1)),
            ("\"NoLeak\"", Ok(0)),
            ("1.5", Err(NoData::BadPayload)),
            ("-1", Err(NoData::BadPayload)),
            ("1e12", Err(NoData::BadPayload)),
            ("dripping", Err(NoData::BadPayload)),
        ] {
            assert_eq!(value(&state, payload), expected.map(Value::State), "{payload}");
        }
    }

    #[test]
    fn the_names_of_the_source_count_and_not_its_codes() {
        let swapped = vec![label(1, "NoLeak"), label(0, "Leak"), label(2, "Cable cut")];
        let state = Meaning { source_states: Some(swapped), ..meaning(PointKind::State, "1", "1") };
        assert_eq!(value(&state, "0"), Ok(Value::State(1)));
        assert_eq!(value(&state, "1"), Ok(Value::State(0)));
        assert_eq!(value(&state, "2"), Err(NoData::BadPayload));
        assert_eq!(value(&state, "3"), Err(NoData::BadPayload));
    }

    #[test]
    fn members_are_found_by_name_and_by_place() {
        let json = read(br#"{"sensors":[{"t":21.5}],"t":null}"#).unwrap();
        assert_eq!(member(&json, "sensors.0.t"), Some(&Json::from(21.5)));
        assert_eq!(member(&json, "t"), Some(&Json::Null));
        assert_eq!(member(&json, "sensors.1.t"), None);
        assert_eq!(member(&json, "t.x"), None);
    }

    #[test]
    fn times_are_milliseconds_since_1970() {
        let at = |text: &str| instant(&read(text.as_bytes()).unwrap());
        assert_eq!(at("1743620423000").unwrap().to_rfc3339(), "2025-04-02T19:00:23+00:00");
        assert_eq!(at("1743620423000.4"), at("1743620423000"));
        for none in ["1e300", "\"soon\"", "null", "9223372036854775807"] {
            assert_eq!(at(none), None, "{none}");
        }
    }
}
