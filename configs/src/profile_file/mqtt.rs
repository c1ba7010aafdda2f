//! The points of an MQTT feed: `[[topic]]`, or `[metadata]` with `[[metadata_point]]`.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use rules::{
    plant::{AssetKind, PointKind, StateLabel},
    units::Unit,
};

use super::meaning;
use crate::{
    profile::{Contract, MetadataContract, MetadataPoint, MqttMap, TopicPoint},
    table::{At, Table},
};

/// Stands for the asset's name in a topic pattern.
const ASSET: &str = "{asset}";

pub(super) fn read(root: &Table<'_>) -> Option<MqttMap> {
    let republish_every = required_duration(root, "republish_every", "60 s");
    let topics = root.tables("topic");
    let metadata = root.table("metadata", "{ value_prefix = \"BMS/Value\" }");
    let points = root.tables("metadata_point");
    let contract = match metadata {
        Some(metadata) => {
            if !topics.is_empty() {
                root.fault(
                    root.place("topic"),
                    "[[topic]] and [metadata] exclude each other",
                    "make two profiles of it",
                );
            }
            let contract = metadata_contract(&metadata, &points);
            metadata.finish();
            contract.map(Contract::Metadata)
        }
        None => topic_contract(root, &topics, &points),
    };
    Some(MqttMap { republish_every: republish_every?, contract: contract? })
}

fn required_duration(root: &Table<'_>, key: &'static str, example: &str) -> Option<Duration> {
    root.required_text(key, example)?;
    root.duration(key, example)
}

fn asset_kind(table: &Table<'_>) -> Option<AssetKind> {
    let kinds: Vec<(&str, AssetKind)> =
        AssetKind::ALL.into_iter().map(|kind| (kind.word(), kind)).collect();
    table.required_choice("asset_kind", &kinds)
}

fn checked_quantity<'a>(table: &Table<'a>) -> Option<At<&'a str>> {
    let quantity = meaning::quantity(table)?;
    meaning::check_quantity(table, quantity.value, quantity.span.clone()).then_some(quantity)
}

fn topic_contract(
    root: &Table<'_>,
    topics: &[Table<'_>],
    metadata: &[Table<'_>],
) -> Option<Contract> {
    if let Some(first) = metadata.first() {
        root.fault(
            first.span(),
            "[[metadata_point]] needs [metadata]",
            "add [metadata] with value_prefix, metadata_prefix and good_quality",
        );
        return None;
    }
    if topics.is_empty() {
        root.fault(0..0, "the profile has no points", "add a table that begins with [[topic]]");
        return None;
    }
    let (mut points, mut seen, mut taken) = (Vec::new(), Seen::default(), HashSet::new());
    for table in topics {
        let point = topic(table);
        table.finish();
        let Some((point, name)) = point else { continue };
        if !taken.insert((point.pattern.clone(), point.value_path.clone())) {
            table.fault(
                table.place("pattern"),
                "an earlier [[topic]] already takes this value",
                "correct \"pattern\" or \"value_path\", or leave one of them out",
            );
        }
        seen.check(table, &name, point.asset_kind, (&point.unit, point.kind, &point.states));
        points.push(point);
    }
    Some(Contract::Topics(points))
}

fn topic<'a>(table: &Table<'a>) -> Option<(TopicPoint, At<&'a str>)> {
    let pattern = table.required_text("pattern", "plant/{asset}/power");
    let pattern = pattern.filter(|pattern| {
        let fault = pattern_fault(pattern.value);
        if let Some(fault) = fault {
            table.fault(
                pattern.span.clone(),
                fault,
                "write the levels with / between them, one of them {asset}, + for any: \"plant/+/{asset}/power\"",
            );
        }
        fault.is_none()
    });
    let asset_kind = asset_kind(table);
    let quantity = checked_quantity(table);
    let value_path = member_path(table, "value_path", "value");
    let timestamp_path = member_path(table, "timestamp_path", "timestamp");
    let quantities: Vec<&str> = quantity.iter().map(|quantity| quantity.value).collect();
    let meaning = meaning::read(table, &quantities, Some(PointKind::Gauge));
    let quantity = quantity?;
    let point = TopicPoint {
        pattern: pattern?.value.to_owned(),
        asset_kind: asset_kind?,
        quantity: quantity.value.into(),
        value_path: value_path?,
        timestamp_path: timestamp_path?,
        unit: meaning.unit?,
        kind: meaning.kind?,
        states: meaning.states,
    };
    Some((point, quantity))
}

/// What is wrong with a topic pattern, if anything is (MQTT 5.0 §4.7 with `{asset}` as one level).
fn pattern_fault(pattern: &str) -> Option<&'static str> {
    let levels: Vec<&str> = pattern.split('/').collect();
    if levels.iter().filter(|level| **level == ASSET).count() != 1 {
        return Some("the pattern must have {asset} as exactly one level");
    }
    let is_plain = |level: &&str| {
        **level == *ASSET || **level == *"+" || !level.contains(['{', '}', '+', '#', '\0'])
    };
    if !levels.iter().all(is_plain) {
        return Some("+ and {asset} stand for a whole level, and # is not known");
    }
    (pattern.len() > 1024).then_some("the pattern is longer than 1024 bytes")
}

/// Members joined by dots; absent means the payload itself.
fn member_path(table: &Table<'_>, key: &'static str, example: &str) -> Option<String> {
    if !table.has(key) {
        table.ask(&[key]);
        return Some(String::new());
    }
    let path = table.text(key, example)?;
    if path.value.split('.').any(|member| member.trim().is_empty()) {
        table.fault(
            path.span,
            format!("\"{key}\" has an empty member"),
            "join the members by single dots: \"sensors.0.value\"",
        );
        return None;
    }
    Some(path.value.to_owned())
}

fn metadata_contract(table: &Table<'_>, points: &[Table<'_>]) -> Option<MetadataContract> {
    let value_prefix = prefix(table, "value_prefix", "BMS/v1/PUB/Value");
    let metadata_prefix = prefix(table, "metadata_prefix", "BMS/v1/PUB/Metadata");
    let good_quality = table.integer("good_quality", 0..=u32::MAX, "1").unwrap_or(1);
    if points.is_empty() {
        table.fault(
            table.span(),
            "the profile has no points",
            "add a table that begins with [[metadata_point]]",
        );
    }
    let (mut rules, mut seen): (Vec<MetadataPoint>, Seen) = (Vec::new(), Seen::default());
    for table in points {
        let point = metadata_point(table);
        table.finish();
        let Some((point, name)) = point else { continue };
        if rules.iter().any(|earlier| takes_all_of(earlier, &point)) {
            table.fault(
                table.span(),
                "an earlier [[metadata_point]] already takes everything that this one would",
                "put the narrower one first",
            );
        }
        seen.check(table, &name, point.asset_kind, (&point.unit, point.kind, &point.states));
        rules.push(point);
    }
    Some(MetadataContract {
        value_prefix: value_prefix?,
        metadata_prefix: metadata_prefix?,
        good_quality: i64::from(good_quality),
        rules,
    })
}

fn prefix(table: &Table<'_>, key: &'static str, example: &str) -> Option<String> {
    let text = table.required_text(key, example)?;
    if text.value.contains(['+', '#', '\0'])
        || text.value.starts_with('/')
        || text.value.ends_with('/')
    {
        table.fault(
            text.span,
            format!("\"{key}\" is no topic prefix"),
            format!("write whole levels without wildcards: {key} = \"{example}\""),
        );
        return None;
    }
    Some(text.value.to_owned())
}

fn metadata_point<'a>(table: &Table<'a>) -> Option<(MetadataPoint, At<&'a str>)> {
    let object_type = table.required_text("object_type", "Rack");
    let point_type = table.required_text("point_type", "RackPower");
    let process_area = table.texts("process_area", "Secondary");
    let members = members(table);
    let tag_path_end = table.text("tag_path_end", "pump1/speed/value");
    let is_setpoint = table.flag("is_setpoint").unwrap_or(false);
    let asset_kind = asset_kind(table);
    let quantity = checked_quantity(table);
    let quantities: Vec<&str> = quantity.iter().map(|quantity| quantity.value).collect();
    let meaning = meaning::read(table, &quantities, Some(PointKind::Gauge));
    let quantity = quantity?;
    let point = MetadataPoint {
        object_type: object_type?.value.to_owned(),
        point_type: point_type?.value.to_owned(),
        process_area: process_area.into_iter().map(|area| area.value.to_owned()).collect(),
        members,
        tag_path_end: tag_path_end.map_or_else(String::new, |end| end.value.to_owned()),
        is_setpoint,
        asset_kind: asset_kind?,
        quantity: quantity.value.into(),
        unit: meaning.unit?,
        kind: meaning.kind?,
        states: meaning.states,
    };
    Some((point, quantity))
}

fn members(table: &Table<'_>) -> Vec<(String, String)> {
    const EXAMPLE: &str = "{ phase = \"A\" }";
    let mut members = Vec::new();
    for (name, value) in table.entries("members", EXAMPLE) {
        if let Some(text) = value.get_ref().as_str() {
            members.push((name.value.to_owned(), text.to_owned()));
        } else {
            table.fault(
                value.span(),
                "a metadata member is compared with text",
                format!("write it like this: members = {EXAMPLE}"),
            );
        }
    }
    members
}

/// True where no metadata can reach `later`, because `earlier` stands before it and asks for no more.
fn takes_all_of(earlier: &MetadataPoint, later: &MetadataPoint) -> bool {
    let has_area =
        |area: &String| later.process_area.iter().any(|other| other.eq_ignore_ascii_case(area));
    earlier.object_type == later.object_type
        && earlier.point_type == later.point_type
        && earlier.is_setpoint == later.is_setpoint
        && earlier.process_area.iter().all(has_area)
        && earlier.members.iter().all(|member| later.members.contains(member))
        && earlier.takes_tag_path(&later.tag_path_end)
}

type SeenMeaning = (Unit, PointKind, Vec<StateLabel>);

/// Several entries may lead to one point, but then they must agree on what it is.
#[derive(Default)]
struct Seen(HashMap<(AssetKind, Arc<str>), SeenMeaning>);

impl Seen {
    fn check(
        &mut self,
        table: &Table<'_>,
        name: &At<&str>,
        asset_kind: AssetKind,
        (unit, kind, states): (&Unit, PointKind, &[StateLabel]),
    ) {
        let meaning = (unit.clone(), kind, states.to_vec());
        let earlier =
            self.0.entry((asset_kind, name.value.into())).or_insert_with(|| meaning.clone());
        if *earlier != meaning {
            table.fault(
                name.span.clone(),
                format!("\"{}\" has another unit, kind or other states further up", name.value),
                "make them agree, or give one of them another name",
            );
        }
    }
}
