//! The last step of every numeric value on its way in: into the unit of its point, and finite.

use rules::{
    units::Unit,
    value::{NoData, Value},
};

/// From the unit of the profile to that of the point.
#[derive(Clone, Debug)]
pub(crate) enum Conversion {
    /// The same scale: integers stay exact.
    Same,
    Between(Unit, Unit),
}

impl Conversion {
    #[expect(clippy::float_cmp, reason = "identical table entries, not computed numbers")]
    pub(crate) fn new(from: &Unit, to: &Unit) -> Self {
        let same = from.dimension() == to.dimension()
            && from.to_si(0.0) == to.to_si(0.0)
            && from.to_si(1.0) == to.to_si(1.0);
        if same { Self::Same } else { Self::Between(from.clone(), to.clone()) }
    }

    /// Whatever the codec gave, nothing that is not finite leaves.
    pub(crate) fn apply(&self, value: Value) -> Result<Value, NoData> {
        let number = match (self, &value) {
            (_, Value::State(_) | Value::Text(_)) | (Self::Same, Value::Integer(_)) => {
                return Ok(value);
            }
            (Self::Same, Value::Number(number)) => *number,
            (Self::Between(from, to), Value::Number(_) | Value::Integer(_)) => value
                .as_number()
                .and_then(|number| from.convert(number, to).ok())
                .ok_or(NoData::Malformed)?,
        };
        if number.is_finite() { Ok(Value::Number(number)) } else { Err(NoData::NotFinite) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> Unit {
        Unit::parse(text).unwrap()
    }

    #[test]
    fn integers_stay_exact_while_the_unit_stays() {
        let counter = Value::Integer(9_007_199_254_740_993);
        let same = Conversion::new(&unit("Wh"), &unit("Wh"));
        assert_eq!(same.apply(counter.clone()), Ok(counter));
    }

    #[test]
    fn values_arrive_in_the_unit_of_the_point() {
        let to_kilowatts = Conversion::new(&unit("W"), &unit("kW"));
        assert_eq!(to_kilowatts.apply(Value::Integer(1500)), Ok(Value::Number(1.5)));
        assert_eq!(to_kilowatts.apply(Value::State(3)), Ok(Value::State(3)));
    }

    #[test]
    fn what_is_not_finite_does_not_leave() {
        let same = Conversion::new(&unit("kW"), &unit("kW"));
        assert_eq!(same.apply(Value::Number(f64::NAN)), Err(NoData::NotFinite));
        let up = Conversion::new(&unit("kW"), &unit("W"));
        assert_eq!(up.apply(Value::Number(f64::MAX)), Err(NoData::NotFinite));
    }
}
