//! Points → the fewest legal reads, pure and reproducible.
//!
//! Over TCP a request costs a round trip and a register next to nothing (break-even beyond 125 registers), so a gap is
//! always read across, up to the cap. A device may refuse a block because of what lies in the gap: then
//! [`Request::parts`] says how to read the same points without touching it.

use std::{collections::BTreeMap, time::Duration};

use configs::profile::Table;

/// Most registers in one answer (Modbus Application Protocol V1.1b3, 6.3 and 6.4).
pub const REGISTERS_MAX: u16 = 125;

/// Most coils or inputs in one answer (Modbus Application Protocol V1.1b3, 6.1 and 6.2).
pub const BITS_MAX: u16 = 2000;

/// One value to be read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    pub table: Table,
    pub address: u16,
    /// Registers, or 1 for a coil or input.
    pub width: u16,
    /// How often it is wanted.
    pub every: Duration,
}

impl Item {
    fn start(&self) -> u32 {
        u32::from(self.address)
    }

    /// One past the last address; 65536 for a value that ends at the last register.
    fn end(&self) -> u32 {
        self.start() + u32::from(self.width)
    }
}

/// What one device accepts in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_registers: u16,
    pub max_bits: u16,
}

impl Limits {
    /// The device's limit, never above the protocol's.
    fn of(self, table: Table) -> u32 {
        u32::from(match table {
            Table::Coil | Table::DiscreteInput => self.max_bits.min(BITS_MAX),
            Table::Holding | Table::Input => self.max_registers.min(REGISTERS_MAX),
        })
    }
}

/// One read, and which items it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub table: Table,
    pub address: u16,
    pub count: u16,
    pub every: Duration,
    /// Indices into the items that were planned, ascending.
    pub serves: Vec<usize>,
}

/// All reads of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Fastest first, then by table and address.
    pub requests: Vec<Request>,
    /// Items that no legal request can hold: wider than the cap, or beyond address 65535.
    pub impossible: Vec<usize>,
}

/// Plans the reads of one device. Every possible item is served by exactly one request, whole. A slow item rides in a
/// faster request that spans it anyway. The order of the items does not matter to the requests.
pub fn plan(items: &[Item], limits: Limits) -> Plan {
    let mut plan = Plan::default();
    let mut classes = BTreeMap::<Duration, Vec<usize>>::new();
    for (index, item) in items.iter().enumerate() {
        let possible = (1..=limits.of(item.table)).contains(&u32::from(item.width))
            && item.end() <= u32::from(u16::MAX) + 1;
        if possible {
            classes.entry(item.every).or_default().push(index);
        } else {
            plan.impossible.push(index);
        }
    }
    for class in classes.into_values() {
        let mut own = Vec::new();
        for (index, item) in pick(items, &class) {
            match plan.requests.iter_mut().find(|request| request.spans(item)) {
                Some(faster) => faster.serves.push(index),
                None => own.push(index),
            }
        }
        plan.requests.extend(merge(items, &own, Gaps::Bridged, limits));
    }
    for request in &mut plan.requests {
        request.serves.sort_unstable();
    }
    plan
}

impl Request {
    fn end(&self) -> u32 {
        u32::from(self.address) + u32::from(self.count)
    }

    fn spans(&self, item: &Item) -> bool {
        self.table == item.table
            && u32::from(self.address) <= item.start()
            && item.end() <= self.end()
    }

    /// The same items in smaller requests, for a device that refused this one: what lies between gaps, so that no
    /// address is touched which no item asks for, or else two halves. `None` for what cannot be divided.
    pub fn parts(&self, items: &[Item], limits: Limits) -> Option<Vec<Self>> {
        let mut parts = merge(items, &self.serves, Gaps::Avoided, limits);
        if parts.len() < 2 {
            let (low, high) = self.halves(items)?;
            parts = merge(items, &low, Gaps::Avoided, limits);
            parts.extend(merge(items, &high, Gaps::Avoided, limits));
        }
        for part in &mut parts {
            part.every = self.every;
            part.serves.sort_unstable();
        }
        Some(parts)
    }

    /// Divided nearest to the middle, where no item is cut and no address falls to both.
    fn halves(&self, items: &[Item]) -> Option<(Vec<usize>, Vec<usize>)> {
        let mut sorted: Vec<_> = pick(items, &self.serves).collect();
        sorted.sort_by_key(|(index, item)| (item.address, item.width, *index));
        let mut end = 0;
        let mut cuts = Vec::new();
        for (at, (_, item)) in sorted.iter().enumerate() {
            if at > 0 && item.start() >= end {
                cuts.push(at);
            }
            end = end.max(item.end());
        }
        let cut = cuts.into_iter().min_by_key(|cut| cut.abs_diff(sorted.len() / 2))?;
        let indices = |part: &[(usize, &Item)]| part.iter().map(|(index, _)| *index).collect();
        let (low, high) = sorted.split_at_checked(cut)?;
        Some((indices(low), indices(high)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gaps {
    Bridged,
    Avoided,
}

/// Greedy from the lowest address: with requests so much dearer than registers, that gives the fewest requests.
fn merge(items: &[Item], chosen: &[usize], gaps: Gaps, limits: Limits) -> Vec<Request> {
    let mut sorted: Vec<_> = pick(items, chosen).collect();
    sorted.sort_by_key(|(index, item)| (item.table, item.address, item.width, *index));
    let mut requests = Vec::<Request>::new();
    for (index, item) in sorted {
        if let Some(last) = requests.last_mut()
            && last.table == item.table
            && (gaps == Gaps::Bridged || item.start() <= last.end())
        {
            let span = last.end().max(item.end()) - u32::from(last.address);
            if let Ok(count) = u16::try_from(span)
                && span <= limits.of(item.table)
            {
                last.count = count;
                last.serves.push(index);
                continue;
            }
        }
        requests.push(Request {
            table: item.table,
            address: item.address,
            count: item.width,
            every: item.every,
            serves: vec![index],
        });
    }
    requests
}

fn pick<'a>(items: &'a [Item], chosen: &'a [usize]) -> impl Iterator<Item = (usize, &'a Item)> {
    chosen.iter().filter_map(|&index| Some((index, items.get(index)?)))
}
