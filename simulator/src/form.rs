//! The form that a profile gives a value: its unit, and the codes of its states.

use rules::{plant::StateLabel, units::Unit, value::Value};

use crate::truth::{Truth, unit_of};

/// From a [`Truth`] to the value that a device would tell.
#[derive(Clone, Debug)]
pub struct Form {
    /// Of the truth, and of the device. `None` for what is no number.
    units: Option<(Unit, Unit)>,
    states: Vec<StateLabel>,
}

impl Form {
    /// The form of a quantity that is now `truth`; what a device tells it in comes from its profile.
    pub fn of(
        quantity: &str,
        truth: &Truth,
        unit: &Unit,
        states: &[StateLabel],
    ) -> Result<Self, String> {
        let units = match truth {
            Truth::Number(_) => {
                let known = unit_of(quantity).ok_or("the quantity has no known unit")?;
                Some((known, unit.clone()))
            }
            Truth::State(_) | Truth::Text(_) => None,
        };
        Ok(Self { units, states: states.to_vec() })
    }

    pub fn value(&self, truth: Truth) -> Result<Value, String> {
        match (truth, &self.units) {
            (Truth::Number(number), Some((from, to))) => {
                from.convert(number, to).map(Value::Number).map_err(|error| error.to_string())
            }
            (Truth::Number(_), None) => Err("a number without a unit".to_owned()),
            (Truth::State(name), _) => self
                .states
                .iter()
                .find(|label| label.text == name)
                .map(|label| Value::State(label.code))
                .ok_or_else(|| format!("the profile has no state \"{name}\"")),
            (Truth::Text(text), _) => Ok(Value::Text(text.into())),
        }
    }
}
