//! Whether the polling that a site asks for can be done at all.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use crate::{
    profile::{ModbusMap, ModbusPoint, Table},
    table::Faults,
};

/// What one request costs at the very least on Modbus TCP: a round trip on a local network and the device's own
/// turnaround. Real devices take 10 to 50 ms; a plan that fails this one fails on every device.
pub const REQUEST_COST_MIN: Duration = Duration::from_millis(5);

/// The time that the devices of each link ask for, per second.
///
/// The devices behind one host and port are asked one after the other, so their shares add up. A share is the number of
/// requests × [`REQUEST_COST_MIN`] ÷ interval.
#[derive(Debug, Default)]
pub struct LinkLoad {
    links: BTreeMap<(String, u16), Vec<Share>>,
}

#[derive(Debug)]
struct Share {
    requests: usize,
    every: Duration,
    place: Range<usize>,
    device: String,
}

impl Share {
    fn of_link(&self) -> f64 {
        let requests = u32::try_from(self.requests).unwrap_or(u32::MAX);
        f64::from(requests) * REQUEST_COST_MIN.as_secs_f64() / self.every.as_secs_f64()
    }
}

impl LinkLoad {
    /// Counts in one device. `place` is where its interval is written.
    pub fn add(
        &mut self,
        link: (String, u16),
        device: &str,
        every: Duration,
        place: Range<usize>,
        requests: usize,
    ) {
        let share = Share { requests, every, place, device: device.to_owned() };
        self.links.entry(link).or_default().push(share);
    }

    /// Reports each link that is asked for more than there is time, at the device that asks for most.
    pub fn check(&self, faults: &Faults<'_>) {
        for ((host, port), shares) in &self.links {
            let total: f64 = shares.iter().map(Share::of_link).sum();
            let most = shares.iter().max_by(|a, b| a.of_link().total_cmp(&b.of_link()));
            let Some(most) = most.filter(|_| total > 1.0) else { continue };
            let others = match shares.len() {
                1 => String::new(),
                count => format!(" beside {} other devices on {host}:{port}", count - 1),
            };
            let fits = most.every.mul_f64(total * 1.1).as_millis().div_ceil(100) * 100;
            faults.add(
                most.place.clone(),
                format!(
                    "\"{}\" needs at least {} requests per cycle{others}, which do not fit into {:?} even at {:?} each",
                    most.device, most.requests, most.every, REQUEST_COST_MIN
                ),
                format!("write poll_every = \"{fits} ms\" or slower, or leave points out with without = [\"…\"]"),
            );
        }
    }
}

/// The least number of requests that read these points of a map once: per table, windows of the largest permitted size
/// laid from the lowest address up. A real plan may need more, never fewer.
pub fn fewest_requests<'p>(
    map: &ModbusMap,
    points: impl IntoIterator<Item = &'p ModbusPoint>,
) -> usize {
    let mut spans: Vec<(Table, u32, u32)> = points
        .into_iter()
        .map(|point| {
            let first = u32::from(point.address);
            (point.table, first, first + u32::from(point.codec.registers().max(1)))
        })
        .collect();
    spans.sort_unstable();
    let mut requests = 0;
    let mut window = None;
    for (table, first, end) in spans {
        if window.is_some_and(|(open, until)| open == table && end <= until) {
            continue;
        }
        let cap = match table {
            Table::Coil | Table::DiscreteInput => map.max_bits,
            Table::Holding | Table::Input => map.max_registers,
        };
        window = Some((table, first + u32::from(cap)));
        requests += 1;
    }
    requests
}
