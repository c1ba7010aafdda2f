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
    value::{NoData, Sample, Value},
};

use crate::{
    conversion::Conversion,
    plan::{self, Item, Limits, Plan, Request},
};

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
