//! What is read from one device, and how its registers become samples.

use std::time::Duration;

use configs::{
    address::Address,
    codec::{Codec, Order},
    profile::{Map, ModbusMap, ModbusPoint, Table},
    site::Device,
};
use links::modbus::Answer;
use rules::{
    plant::{AssetId, Plant, PointId},
    time::Mono,
    units::Unit,
    value::{NoData, Sample, Value},
};

use crate::plan::{self, Item, Limits, Plan, Request};

/// Everything about one device that does not change while it is polled.
#[derive(Debug)]
pub(super) struct DevicePlan {
    pub(super) asset: AssetId,
    pub(super) address: String,
    pub(super) unit: u8,
    pub(super) poll_every: Duration,
    pub(super) timeout: Duration,
    pub(super) reply_time: PointId,
    pub(super) limits: Limits,
    pub(super) plan: Plan,
    /// Parallel to `points`.
    pub(super) items: Vec<Item>,
    pub(super) points: Vec<PointPlan>,
}

#[derive(Debug)]
pub(super) struct PointPlan {
    point: PointId,
    codec: Codec,
    conversion: Conversion,
}

impl DevicePlan {
    /// `None`, and a line in the log, for a device that is not Modbus.
    pub(super) fn new(device: &Device, plant: &Plant) -> Option<Self> {
        let (Address::ModbusTcp { unit, .. }, Map::Modbus(map)) =
            (&device.address, &device.profile.map)
        else {
            tracing::error!(address = %device.address, profile = %device.profile.id, "the profile does not fit the address");
            return None;
        };
        let (items, points): (Vec<_>, Vec<_>) = map
            .points
            .iter()
            .zip(&device.bindings)
            .filter_map(|(declared, bound)| Some((declared, (*bound)?)))
            .map(|(declared, point)| {
                let conversion = Conversion::new(&declared.unit, &plant.point(point).unit);
                let plan = PointPlan { point, codec: codec(declared), conversion };
                (item(declared, device.poll_every), plan)
            })
            .unzip();
        let limits = limits(map);
        let plan = plan::plan(&items, limits);
        for point in plan.impossible.iter().filter_map(|&index| points.get(index)) {
            let name = plant.point_name(point.point);
            tracing::error!(%name, "does not fit into one request and is never read");
        }
        Some(Self {
            asset: device.asset,
            address: device.address.to_string(),
            unit: *unit,
            poll_every: device.poll_every,
            timeout: device.timeout,
            reply_time: device.reply_time,
            limits,
            plan,
            items,
            points,
        })
    }

    /// One sample for each point that the request serves.
    pub(super) fn samples(
        &self,
        request: &Request,
        answer: &Result<Answer, NoData>,
        at: Mono,
    ) -> Vec<Sample> {
        let sample = |&index: &usize| {
            let point = self.points.get(index)?;
            let value = match answer {
                Ok(answer) => self.value(index, request, answer),
                Err(reason) => Err(*reason),
            };
            Some(Sample { point: point.point, at, source_time: None, value })
        };
        request.serves.iter().filter_map(sample).collect()
    }

    fn value(&self, index: usize, request: &Request, answer: &Answer) -> Result<Value, NoData> {
        let (Some(item), Some(point)) = (self.items.get(index), self.points.get(index)) else {
            return Err(NoData::Malformed);
        };
        let first = usize::from(item.address.saturating_sub(request.address));
        let decoded = match answer {
            Answer::Words(words) => words
                .get(first..first + usize::from(item.width))
                .ok_or(NoData::Malformed)
                .and_then(|words| point.codec.decode(words)),
            Answer::Bits(bits) => bits
                .get(first)
                .ok_or(NoData::Malformed)
                .and_then(|bit| point.codec.decode(&[u16::from(*bit)])),
        };
        decoded.and_then(|value| point.conversion.apply(value))
    }
}

fn item(point: &ModbusPoint, poll_every: Duration) -> Item {
    let width = match point.table {
        Table::Coil | Table::DiscreteInput => 1,
        Table::Holding | Table::Input => point.codec.registers(),
    };
    let every = point.poll_every.map_or(poll_every, |every| every.max(poll_every));
    Item { table: point.table, address: point.address, width, every }
}

/// A single bit has no order of words or bytes, whatever the device says of its registers.
fn codec(point: &ModbusPoint) -> Codec {
    match point.table {
        Table::Coil | Table::DiscreteInput => {
            Codec { order: Order::default(), ..point.codec.clone() }
        }
        Table::Holding | Table::Input => point.codec.clone(),
    }
}

fn limits(map: &ModbusMap) -> Limits {
    Limits { max_registers: map.max_registers, max_bits: map.max_bits }
}

/// From the unit of the profile to that of the point.
#[derive(Debug)]
enum Conversion {
    /// The same scale: integers stay exact.
    Same,
    Between(Unit, Unit),
}

impl Conversion {
    #[expect(clippy::float_cmp, reason = "identical table entries, not computed numbers")]
    fn new(from: &Unit, to: &Unit) -> Self {
        let same = from.dimension() == to.dimension()
            && from.to_si(0.0) == to.to_si(0.0)
            && from.to_si(1.0) == to.to_si(1.0);
        if same { Self::Same } else { Self::Between(from.clone(), to.clone()) }
    }

    /// Whatever the codec gave, nothing that is not finite leaves.
    fn apply(&self, value: Value) -> Result<Value, NoData> {
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
