//! Power flows one way and is counted once: the faults of the meter tree, each with its place.

use rules::{
    meters::{MeterTree, Node, Total, TreeFault},
    plant::{AssetId, Detail, Plant},
};

use super::edges::{Feed, Places};
use crate::table::Faults;

/// Reports every cycle among the feeds, and every meter that would be counted together with one above it.
///
/// The tree itself stops at its first fault: what it names is taken out, and it is asked again.
pub(super) fn check(plant: &Plant, feeds: &[Feed], places: &Places, faults: &Faults<'_>) {
    let mut nodes = nodes(plant, feeds);
    let place = |name: &str| {
        let asset = plant.find_asset(name);
        asset.and_then(|asset| places.get(&asset)).cloned().unwrap_or(0..0)
    };
    while let Some(fault) = first_fault(&nodes) {
        match fault {
            TreeFault::Cycle(names) => {
                let Some(feed) = cut(plant, &mut nodes, feeds, &names) else { return };
                faults.add(
                    feed.span.clone(),
                    format!("the meter tree has a cycle: {}", names.join(" → ")),
                    "power flows one way: take this id out of the feeds list, or another one of the cycle",
                );
            }
            TreeFault::DoubleCounting { ancestor, descendant } => {
                let Some(node) = nodes.iter_mut().find(|node| node.name == descendant) else {
                    return;
                };
                node.role = None;
                faults.add(
                    place(&descendant),
                    format!("\"{descendant}\" and \"{ancestor}\" above it would both be counted: the same energy twice"),
                    format!("count one of them: give the other, such as \"{descendant}\", role = \"info_only\""),
                );
            }
        }
    }
}

fn nodes(plant: &Plant, feeds: &[Feed]) -> Vec<Node> {
    let mut nodes: Vec<Node> = plant
        .assets()
        .iter()
        .map(|asset| Node {
            name: asset.name.to_string(),
            role: if let Detail::Meter(meter) = &asset.detail { Some(meter.role) } else { None },
            feeds: Vec::new(),
        })
        .collect();
    for feed in feeds {
        if let Some(node) = nodes.get_mut(feed.from.index()) {
            node.feeds.push(feed.to.index());
        }
    }
    nodes
}

fn first_fault(nodes: &[Node]) -> Option<TreeFault> {
    let tree = match MeterTree::new(nodes.to_vec()) {
        Ok(tree) => tree,
        Err(fault) => return Some(fault),
    };
    tree.terms(Total::Facility).err().or_else(|| tree.terms(Total::It).err())
}

/// Takes the last feed of a cycle, in the order of the text, out of the tree.
fn cut<'f>(
    plant: &Plant,
    nodes: &mut [Node],
    feeds: &'f [Feed],
    cycle: &[String],
) -> Option<&'f Feed> {
    let ids: Vec<AssetId> = cycle.iter().filter_map(|name| plant.find_asset(name)).collect();
    let steps: Vec<_> = ids.windows(2).collect();
    let in_cycle = |feed: &&Feed| steps.iter().any(|step| **step == [feed.from, feed.to]);
    let feed = feeds.iter().filter(in_cycle).max_by_key(|feed| feed.span.start)?;
    nodes.get_mut(feed.from.index())?.feeds.retain(|&fed| fed != feed.to.index());
    Some(feed)
}
