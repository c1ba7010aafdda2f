//! Puts the declared assets and their edges into the plant.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use rules::plant::{Asset, AssetId, AssetKind, Detail, DeviceLimits, EdgeKind, Plant};

use super::{
    declared::{Declared, Tie},
    devices::Reported,
};
use crate::table::{At, Faults, nearest};

/// Where each asset is declared.
pub(super) type Places = HashMap<AssetId, Range<usize>>;

/// A feeds edge with its place in the text.
pub(super) struct Feed {
    pub(super) from: AssetId,
    pub(super) to: AssetId,
    pub(super) span: Range<usize>,
}

/// A rack has as many feeds as it says: one feeder more would count its power twice.
fn check_feeds_of_racks(plant: &Plant, feeds: &[Feed], faults: &Faults<'_>) {
    let mut feeders: HashMap<AssetId, u32> = HashMap::new();
    for feed in feeds {
        let Detail::Rack(rack) = &plant.asset(feed.to).detail else { continue };
        let count = feeders.entry(feed.to).or_default();
        *count += 1;
        if *count == rack.feeds + 1 {
            let name = &plant.asset(feed.to).name;
            faults.add(
                feed.span.clone(),
                format!("\"{name}\" says feeds = {}, but this one comes on top", rack.feeds),
                format!("name \"{name}\" only where its feeds end, or raise its feeds"),
            );
        }
    }
}

/// Adds all assets, devices last. The second of two with one id is a fault.
pub(super) fn add_assets(
    plant: &mut Plant,
    declared: &[Declared<'_>],
    devices: &[Reported<'_>],
    faults: &Faults<'_>,
) -> Places {
    let mut places = Places::new();
    let mut add = |name: &At<Arc<str>>, asset: Asset| {
        if let Some(known) = plant.find_asset(&name.value) {
            faults.add(
                name.span.clone(),
                format!(
                    "the id \"{}\" is already taken by a {}",
                    name.value,
                    plant.asset(known).kind.word()
                ),
                "give every asset and device an id of its own",
            );
            return;
        }
        places.insert(plant.add_asset(asset), name.span.clone());
    };
    for asset in declared {
        add(
            &asset.name,
            Asset {
                name: Arc::clone(&asset.name.value),
                kind: asset.kind,
                title: asset.title.clone(),
                detail: asset.detail.clone(),
            },
        );
    }
    for device in devices {
        let silence_limit_s = device.silence_limit.as_secs_f64();
        add(
            &device.name,
            Asset {
                name: Arc::clone(&device.name.value),
                kind: AssetKind::Device,
                title: device.title.clone(),
                detail: Detail::Device(DeviceLimits { silence_limit_s }),
            },
        );
    }
    places
}

/// Adds all edges but those of devices. What has no room is located in the site. Gives back the feeds.
pub(super) fn add_edges(
    plant: &mut Plant,
    declared: &[Declared<'_>],
    faults: &Faults<'_>,
) -> Vec<Feed> {
    let site = plant.of_kind(AssetKind::Site).next();
    let mut known = HashSet::new();
    let mut feeds = Vec::new();
    for asset in declared {
        let Some(id) = plant.find_asset(&asset.name.value) else { continue };
        let mut located = false;
        for tie in &asset.ties {
            located |= tie.kind == EdgeKind::LocatedIn;
            let Some(other) = find(plant, asset, tie, faults) else { continue };
            let (from, to) = if tie.inbound { (other, id) } else { (id, other) };
            if !known.insert((from, tie.kind, to)) {
                faults.add(
                    tie.other.span.clone(),
                    format!("\"{}\" is named twice in \"{}\"", tie.other.value, tie.key),
                    "leave one of them out",
                );
                continue;
            }
            plant.add_edge(from, tie.kind, to);
            if tie.kind == EdgeKind::Feeds {
                feeds.push(Feed { from, to, span: tie.other.span.clone() });
            }
        }
        if let Some(site) = site.filter(|_| !located) {
            plant.add_edge(id, EdgeKind::LocatedIn, site);
        }
    }
    check_feeds_of_racks(plant, &feeds, faults);
    feeds
}

fn find(
    plant: &Plant,
    asset: &Declared<'_>,
    tie: &Tie<'_>,
    faults: &Faults<'_>,
) -> Option<AssetId> {
    let span = tie.other.span.clone();
    let candidates = || {
        let fitting = plant.assets().iter().filter(|other| tie.allowed.contains(&other.kind));
        fitting.map(|other| &*other.name)
    };
    let Some(other) = plant.find_asset(tie.other.value) else {
        faults.add(
            span,
            format!(
                "{} \"{}\" names \"{}\" in \"{}\", which does not exist",
                asset.kind.word(),
                asset.name.value,
                tie.other.value,
                tie.key
            ),
            nearest(tie.other.value, candidates()).map_or_else(
                || format!("write the id of {} of this file", words(tie.allowed)),
                |near| format!("did you mean \"{near}\"?"),
            ),
        );
        return None;
    };
    let kind = plant.asset(other).kind;
    if tie.allowed.contains(&kind) {
        return Some(other);
    }
    faults.add(
        span,
        format!("\"{}\" cannot be a {}, but \"{}\" is one", tie.key, kind.word(), tie.other.value),
        format!("write the id of {} of this file", words(tie.allowed)),
    );
    None
}

fn words(kinds: &[AssetKind]) -> String {
    let words: Vec<String> = kinds.iter().map(|kind| format!("a {}", kind.word())).collect();
    words.join(" or ")
}
