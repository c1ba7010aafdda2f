//! What one MQTT device publishes: topics with JSON payloads, filled from the world.

use std::collections::BTreeMap;

use configs::{
    profile::{Contract, Map, TopicPoint},
    site::{Device, Site},
};
use rules::{
    plant::{AssetId, PointId},
    value::Value,
};
use serde_json::{Map as Members, Value as Json, json};

use crate::{
    form::Form,
    reported::published,
    world::{DeviceFault, World},
};

/// All messages of one device.
#[derive(Clone, Debug)]
pub struct Feed {
    pub device: AssetId,
    messages: BTreeMap<String, Message>,
}

/// One topic.
#[derive(Clone, Debug, Default)]
struct Message {
    members: Vec<Member>,
    /// Where the time goes; empty: nowhere.
    timestamp_path: String,
}

/// One value within a payload.
#[derive(Clone, Debug)]
struct Member {
    path: String,
    point: PointId,
    form: Form,
}

impl Feed {
    /// The feed of an MQTT device, or one line for each point that cannot be published.
    pub fn of(site: &Site, device: &Device, world: &World) -> Result<Self, Vec<String>> {
        let name = &site.plant.asset(device.asset).name;
        let mut feed = Self { device: device.asset, messages: BTreeMap::new() };
        let Map::Mqtt(map) = &device.profile.map else { return Ok(feed) };
        if matches!(map.contract, Contract::Metadata(_)) {
            return Err(vec![format!(
                "device {name}: values joined with metadata are not published"
            )]);
        }
        let mut missing = Vec::new();
        for (topic, asset, point) in published(site, map) {
            if let Err(why) = feed.add(topic, asset, point, world) {
                missing.push(format!("{} (device {name}): {why}", site.plant.point_name(point)));
            }
        }
        if missing.is_empty() { Ok(feed) } else { Err(missing) }
    }

    /// The topics, without wildcards.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.messages.keys().map(String::as_str)
    }

    /// Topic and payload of every message at `time_ms` since 1970; none while the device is silent.
    pub fn messages(&self, world: &World, time_ms: i64) -> Vec<(String, String)> {
        if matches!(world.fault(self.device), Some(DeviceFault::Silent | DeviceFault::Refused)) {
            return Vec::new();
        }
        self.messages
            .iter()
            .filter_map(|(topic, message)| {
                Some((topic.clone(), message.payload(world, time_ms)?.to_string()))
            })
            .collect()
    }

    fn add(
        &mut self,
        topic: &TopicPoint,
        asset: &str,
        point: PointId,
        world: &World,
    ) -> Result<(), String> {
        let Some(truth) = world.truth(point) else {
            return Err("the physics have no such thing".to_owned());
        };
        if topic.pattern.contains(['+', '#']) {
            return Err(format!("the topic \"{}\" leaves a level open", topic.pattern));
        }
        let form = Form::of(&topic.quantity, &truth, &topic.unit, &topic.states)?;
        form.value(truth)?;
        let message = self.messages.entry(topic.pattern.replace("{asset}", asset)).or_default();
        message.timestamp_path.clone_from(&topic.timestamp_path);
        message.members.push(Member { path: topic.value_path.clone(), point, form });
        Ok(())
    }
}

impl Message {
    /// `None` when nothing in it has a value.
    fn payload(&self, world: &World, time_ms: i64) -> Option<Json> {
        let mut payload = Json::Null;
        for member in &self.members {
            let truth = world.value(member.point)?;
            let value = match member.form.value(truth).ok()? {
                Value::Number(number) => json!(number),
                Value::Integer(integer) => json!(integer),
                Value::State(code) => json!(code),
                Value::Text(text) => json!(&*text),
            };
            put(&mut payload, &member.path, value);
        }
        if !self.timestamp_path.is_empty() {
            put(&mut payload, &self.timestamp_path, json!(time_ms));
        }
        Some(payload)
    }
}

/// Puts a value at a path of members: `sensors.0.t`. A level of digits is a place in an array.
fn put(into: &mut Json, path: &str, value: Json) {
    /// No payload has longer arrays.
    const PLACES: usize = 1024;
    let Some(level) = path.split('.').next().filter(|level| !level.is_empty()) else {
        *into = value;
        return;
    };
    let rest = path.get(level.len() + 1..).unwrap_or_default();
    let member = match level.parse::<usize>() {
        Ok(place) if place < PLACES => {
            if !into.is_array() {
                *into = Json::Array(Vec::new());
            }
            let Json::Array(places) = into else { return };
            if places.len() <= place {
                places.resize(place + 1, Json::Null);
            }
            places.get_mut(place)
        }
        _ => {
            if !into.is_object() {
                *into = Json::Object(Members::new());
            }
            let Json::Object(members) = into else { return };
            Some(members.entry(level).or_insert(Json::Null))
        }
    };
    if let Some(member) = member {
        put(member, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_where_their_paths_point() {
        let mut payload = Json::Null;
        put(&mut payload, "time", json!(7));
        put(&mut payload, "sensors.1.t", json!(24.5));
        put(&mut payload, "sensors.0.t", json!(23.5));
        assert_eq!(payload, json!({"time": 7, "sensors": [{"t": 23.5}, {"t": 24.5}]}));
        put(&mut payload, "", json!(1));
        assert_eq!(payload, json!(1));
    }
}
