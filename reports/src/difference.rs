//! Where two reports differ, as JSON.

use std::fmt;

use serde_json::Value;

/// Members that tell the elements of a list apart.
const KEYS: [&str; 10] =
    ["name", "id", "meter", "regulation", "flag", "code", "symbol", "day", "line", "role"];

/// One place at which two documents differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The members from the root; elements of a list by their name where they have one.
    pub place: String,
    /// `None`: it is not there.
    pub one: Option<Value>,
    pub other: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |value: &Option<Value>| match value {
            None => "nothing".to_owned(),
            Some(Value::Array(list)) => format!("{} entries", list.len()),
            Some(Value::Object(_)) => "an entry".to_owned(),
            Some(value) => value.to_string(),
        };
        write!(f, "{}: {} / {}", self.place, told(&self.one), told(&self.other))?;
        let number = |value: &Option<Value>| value.as_ref().and_then(Value::as_f64);
        match (number(&self.one), number(&self.other)) {
            (Some(one), Some(other)) if one != 0.0 => {
                write!(f, " ({:+.3} %)", (other - one) / one * 100.0)
            }
            _ => Ok(()),
        }
    }
}

/// All places, by the names of their members.
pub fn differences(one: &Value, other: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(one), Some(other), &mut found);
    found
}

fn compare(place: &str, one: Option<&Value>, other: Option<&Value>, found: &mut Vec<Difference>) {
    match (one, other) {
        (Some(Value::Object(ones)), Some(Value::Object(others))) => {
            for (member, one) in ones {
                compare(&format!("{place}/{member}"), Some(one), others.get(member), found);
            }
            for (member, other) in others.iter().filter(|(member, _)| !ones.contains_key(*member)) {
                compare(&format!("{place}/{member}"), None, Some(other), found);
            }
        }
        (Some(Value::Array(ones)), Some(Value::Array(others))) => lists(place, ones, others, found),
        (one, other) if one == other => {}
        (one, other) => found.push(Difference {
            place: place.to_owned(),
            one: one.cloned(),
            other: other.cloned(),
        }),
    }
}

fn lists(place: &str, ones: &[Value], others: &[Value], found: &mut Vec<Difference>) {
    if let Some(key) = key_of(ones, others) {
        let named = |list: &[Value], name: &Value| {
            list.iter().find(|element| element.get(key) == Some(name)).cloned()
        };
        for one in ones {
            let name = &one[key];
            compare(&step(place, name), Some(one), named(others, name).as_ref(), found);
        }
        for other in others.iter().filter(|other| named(ones, &other[key]).is_none()) {
            compare(&step(place, &other[key]), None, Some(other), found);
        }
    } else {
        for index in 0..ones.len().max(others.len()) {
            compare(&format!("{place}/{index}"), ones.get(index), others.get(index), found);
        }
    }
}

/// The member by which the elements of both lists are told apart.
fn key_of(ones: &[Value], others: &[Value]) -> Option<&'static str> {
    KEYS.into_iter().find(|key| {
        [ones, others].iter().all(|list| {
            let names: Option<Vec<&Value>> = list.iter().map(|element| element.get(key)).collect();
            names.is_some_and(|names| {
                (1..names.len()).all(|index| !names[..index].contains(&names[index]))
            })
        })
    })
}

fn step(place: &str, name: &Value) -> String {
    let name = name.as_str().map_or_else(|| name.to_string(), ToOwned::to_owned);
    format!("{place}/{name}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(one: &Value, other: &Value) -> Vec<String> {
        differences(one, other).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_equal_does_not_differ() {
        let report = json!({"it": {"kwh": 12.5}, "notes": [], "value": null});
        assert!(differences(&report, &report).is_empty());
    }

    #[test]
    fn elements_are_found_by_their_name_wherever_they_stand() {
        let one = json!({"meters": [{"name": "a", "amount": 10.0}, {"name": "b", "amount": 2.0}]});
        let other = json!({"meters": [{"name": "b", "amount": 2.0}, {"name": "c", "amount": 1.0},
            {"name": "a", "amount": 11.0}]});
        assert_eq!(
            told(&one, &other),
            ["/meters/a/amount: 10.0 / 11.0 (+10.000 %)", "/meters/c: nothing / an entry"]
        );
    }

    #[test]
    fn lists_without_names_go_by_place_and_kinds_are_told_apart() {
        let one = json!({"grade": null, "list": [1], "seals": [1, 2]});
        let other = json!({"grade": "g1", "list": {"a": 1}, "seals": [1]});
        let expected =
            ["/grade: null / \"g1\"", "/list: 1 entries / an entry", "/seals/1: 2 / nothing"];
        assert_eq!(told(&one, &other), expected);
    }
}
