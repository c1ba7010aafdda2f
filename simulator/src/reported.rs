//! Which points of the plant a device reports.

use configs::{
    profile::{Contract, Map, MqttMap, TopicPoint},
    site::{Device, Site},
};
use rules::plant::PointId;

/// The points that a device reports, whatever it speaks.
pub(crate) fn points_of(site: &Site, device: &Device) -> Vec<PointId> {
    match &device.profile.map {
        Map::Modbus(_) => device.bindings.iter().flatten().copied().collect(),
        Map::Mqtt(map) => published(site, map).map(|(_, _, point)| point).collect(),
    }
}

/// The points that an MQTT device of topics reports, each with the name of its asset.
pub(crate) fn published<'p>(
    site: &'p Site,
    map: &'p MqttMap,
) -> impl Iterator<Item = (&'p TopicPoint, &'p str, PointId)> {
    let topics = match &map.contract {
        Contract::Topics(topics) => topics.as_slice(),
        Contract::Metadata(_) => &[],
    };
    topics.iter().flat_map(move |topic| {
        site.plant.of_kind(topic.asset_kind).filter_map(move |asset| {
            let point = site.plant.find_point(asset, &topic.quantity)?;
            Some((topic, &*site.plant.asset(asset).name, point))
        })
    })
}
