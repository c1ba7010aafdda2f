//! The read planner: a table of cases, and what must hold for any device.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::{collections::BTreeMap, time::Duration};

use collector::plan::{Item, Limits, Plan, Request, plan};
use configs::profile::Table;
use proptest::{prelude::*, sample::select};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "unlimited")]
    max_registers: u16,
    #[serde(default = "unlimited")]
    max_bits: u16,
    points: Vec<String>,
    reads: Vec<String>,
    #[serde(default)]
    impossible: Vec<usize>,
    /// Of the first read, and of those parts in turn.
    parts: Option<Vec<String>>,
}

fn unlimited() -> u16 {
    u16::MAX
}

#[test]
fn cases_are_planned_as_written() {
    let Cases { case } = toml::from_str(include_str!("data/plans.toml")).unwrap();
    for case in case {
        let items: Vec<Item> = case.points.iter().map(|text| item(text)).collect();
        let limits = Limits { max_registers: case.max_registers, max_bits: case.max_bits };
        let Plan { requests, impossible } = plan(&items, limits);
        let reads: Vec<String> = requests.iter().map(describe).collect();
        assert_eq!(reads, case.reads, "{}", case.name);
        assert_eq!(impossible, case.impossible, "{}", case.name);
        if let Some(expected) = case.parts {
            let parts: Vec<String> =
                all_parts(&requests[..1], &items, limits).iter().map(describe).collect();
            assert_eq!(parts, expected, "{}", case.name);
        }
    }
}

/// The parts of these, then the parts of those, and so on.
fn all_parts(requests: &[Request], items: &[Item], limits: Limits) -> Vec<Request> {
    let parts: Vec<Request> =
        requests.iter().filter_map(|request| request.parts(items, limits)).flatten().collect();
    if parts.is_empty() {
        return parts;
    }
    let deeper = all_parts(&parts, items, limits);
    [parts, deeper].concat()
}

fn item(text: &str) -> Item {
    let (place, every) = text.split_once('/').unwrap_or((text, "1"));
    let (table, place) = place.split_once(':').unwrap();
    let (address, width) = place.split_once('+').unwrap();
    let table = match table {
        "1" => Table::Coil,
        "2" => Table::DiscreteInput,
        "3" => Table::Holding,
        _ => Table::Input,
    };
    let every = Duration::from_secs(every.parse().unwrap());
    Item { table, address: address.parse().unwrap(), width: width.parse().unwrap(), every }
}

fn describe(request: &Request) -> String {
    let table = match request.table {
        Table::Coil => 1,
        Table::DiscreteInput => 2,
        Table::Holding => 3,
        Table::Input => 4,
    };
    let every = match request.every.as_secs() {
        1 => String::new(),
        seconds => format!("/{seconds}"),
    };
    let serves: Vec<String> = request.serves.iter().map(usize::to_string).collect();
    let Request { address, count, .. } = request;
    format!("{table}:{address}+{count}{every} serves {}", serves.join(" "))
}

fn tables() -> impl Strategy<Value = Table> {
    select(vec![Table::Coil, Table::DiscreteInput, Table::Holding, Table::Input])
}

fn an_item() -> impl Strategy<Value = Item> {
    let address = prop_oneof![8 => 0..400_u16, 1 => 65_400..=65_535_u16, 1 => any::<u16>()];
    let width = select(vec![1_u16, 1, 1, 2, 2, 4, 20]);
    let every = select(vec![1_u64, 1, 1, 10, 60]).prop_map(Duration::from_secs);
    (tables(), address, width, every).prop_map(|(table, address, width, every)| Item {
        table,
        address,
        width,
        every,
    })
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (prop_oneof![1 => 0..130_u16, 1 => Just(125)], prop_oneof![1 => 0..2100_u16, 1 => Just(2000)])
        .prop_map(|(max_registers, max_bits)| Limits { max_registers, max_bits })
}

fn span(address: u16, count: u16) -> (u32, u32) {
    (u32::from(address), u32::from(address) + u32::from(count))
}

fn cap(table: Table, limits: Limits) -> u16 {
    match table {
        Table::Coil | Table::DiscreteInput => limits.max_bits.min(2000),
        Table::Holding | Table::Input => limits.max_registers.min(125),
    }
}

/// Legal, and each served item lies whole within it.
fn is_sound(request: &Request, items: &[Item], limits: Limits) -> bool {
    let (start, end) = span(request.address, request.count);
    request.count > 0
        && request.count <= cap(request.table, limits)
        && end <= 65_536
        && request.serves.iter().all(|&index| {
            let item = &items[index];
            let (first, last) = span(item.address, item.width);
            item.table == request.table
                && start <= first
                && last <= end
                && request.every <= item.every
        })
}

/// What is read, without who is served.
fn shape(plan: &Plan) -> Vec<(Table, u16, u16, Duration)> {
    plan.requests.iter().map(|r| (r.table, r.address, r.count, r.every)).collect()
}

proptest! {
    #[test]
    fn every_point_is_read_once_and_whole_by_a_legal_read(
        items in prop::collection::vec(an_item(), 0..60), limits in any_limits(),
    ) {
        let planned = plan(&items, limits);
        let mut times = BTreeMap::<usize, u32>::new();
        for request in &planned.requests {
            prop_assert!(is_sound(request, &items, limits), "{request:?}");
            request.serves.iter().for_each(|index| *times.entry(*index).or_default() += 1);
        }
        for (index, item) in items.iter().enumerate() {
            let (_, end) = span(item.address, item.width);
            let possible = item.width <= cap(item.table, limits) && end <= 65_536;
            prop_assert_eq!(times.get(&index).copied(), possible.then_some(1), "{:?}", item);
            prop_assert_eq!(planned.impossible.contains(&index), !possible);
        }
    }

    #[test]
    fn the_order_of_the_points_changes_nothing(
        (items, shuffled) in prop::collection::vec(an_item(), 0..40)
            .prop_flat_map(|items| (Just(items.clone()), Just(items).prop_shuffle())),
        limits in any_limits(),
    ) {
        prop_assert_eq!(plan(&items, limits), plan(&items, limits));
        prop_assert_eq!(shape(&plan(&items, limits)), shape(&plan(&shuffled, limits)));
    }

    #[test]
    fn the_parts_of_a_refused_read_serve_the_same_points_without_the_gaps(
        items in prop::collection::vec(an_item(), 1..40), limits in any_limits(),
    ) {
        for request in plan(&items, limits).requests {
            let Some(parts) = request.parts(&items, limits) else { continue };
            prop_assert!(parts.len() > 1);
            let mut serves: Vec<usize> = Vec::new();
            for part in &parts {
                prop_assert!(is_sound(part, &items, limits), "{part:?}");
                serves.extend(&part.serves);
                let (start, end) = span(part.address, part.count);
                for address in start..end {
                    let wanted = part.serves.iter().any(|&index| {
                        let (first, last) = span(items[index].address, items[index].width);
                        (first..last).contains(&address)
                    });
                    prop_assert!(wanted, "{address} in {part:?}");
                }
            }
            serves.sort_unstable();
            prop_assert_eq!(serves, request.serves);
        }
    }
}
