//! Feeds that describe their points in retained metadata, joined with the values by the rest of the topic: DSX
//! Exchange ("BMS Event Bus" 1.0.0) and its kin.
//!
//! Whatever comes first, a value is delivered when its metadata is there; a changed metadata message maps its tag anew.
//! What contradicts the profile (another dimension, state names where a number is expected) makes the point bad, never
//! a guess. The feed's own unit and state names count where it gives them.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use configs::profile::{MetadataContract, MetadataPoint};
use rules::{
    plant::{AssetId, AssetKind, PointId, PointKind, StateLabel},
    time::Mono,
    units::{Dimension, Unit},
    value::{NoData, Sample},
};
use serde_json::{Map, Value as Json};

use crate::{
    conversion::Conversion,
    mqtt::{
        given::Given,
        notes::Tally,
        payload::{self, Meaning},
        sources::Sources,
    },
};

/// Members of the contract. Those that name an asset, the most specific first.
const ASSET_IDS: [&str; 2] = ["rackLocationId", "objectId"];
const OBJECT_TYPE: &str = "objectType";
const POINT_TYPE: &str = "pointType";
const UNIT: &str = "engUnit";
const STATES: &str = "stateText";
const AREA: &str = "processArea";
const SETPOINT: &str = "isSetpoint";
/// Who publishes the values, where it is not who publishes the metadata.
const INTEGRATION: &str = "integration";

/// Tags that are remembered.
const TAGS: usize = 65_536;
/// Values that wait for their metadata, the newest of each tag.
const WAITING: usize = 16_384;
/// A value that waits is kept as it came; a longer one is no value.
const WAITING_BYTES: usize = 1024;
/// Publishers beside the one of the metadata.
const INTEGRATIONS: usize = 16;

/// The contract, applied to the assets of one device.
#[derive(Clone, Debug)]
pub(super) struct MetadataMap {
    contract: Arc<MetadataContract>,
    topics: Topics,
    assets: HashMap<String, Vec<(AssetId, AssetKind)>>,
    points: HashMap<(AssetId, Arc<str>), (PointId, Unit)>,
    tags: HashMap<String, Tag>,
    waiting: HashMap<String, Waiting>,
    sources: Sources,
    integrations: HashSet<String>,
    new_filters: Vec<String>,
}

/// What the metadata of one tag says.
#[derive(Clone, Debug)]
struct Tag {
    digest: u64,
    /// The level of the value topic that names the publisher.
    publisher: Option<String>,
    /// `None`: a point that the device does not give.
    target: Option<Target>,
}

#[derive(Clone, Debug)]
struct Target {
    point: PointId,
    /// Or why no value of this tag can be believed.
    meaning: Result<Meaning, NoData>,
}

#[derive(Clone, Debug)]
struct Waiting {
    publisher: Option<String>,
    payload: Vec<u8>,
    retain: bool,
    at: Mono,
}

/// `head/{publisher}/kind` of the value topics, and the prefix of the metadata topics.
#[derive(Clone, Debug)]
struct Topics {
    head: String,
    publisher: Option<String>,
    kind: String,
    metadata: String,
}

enum Place<'t> {
    Metadata(&'t str),
    Value { publisher: Option<&'t str>, key: &'t str },
}

impl Topics {
    fn new(contract: &MetadataContract) -> Self {
        let mut levels = contract.value_prefix.rsplitn(3, '/');
        let kind = levels.next().unwrap_or_default().to_owned();
        let publisher = levels.next().map(ToOwned::to_owned);
        let head = levels.next().map(|head| format!("{head}/")).unwrap_or_default();
        Self { head, publisher, kind, metadata: contract.metadata_prefix.clone() }
    }

    fn filter(&self, publisher: Option<&str>) -> String {
        let publisher = publisher.map_or_else(String::new, |level| format!("{level}/"));
        format!("{}{publisher}{}/#", self.head, self.kind)
    }

    /// What a topic carries, and the rest of it that joins value and metadata.
    fn place<'t>(&self, topic: &'t str) -> Option<Place<'t>> {
        let under = |topic: &'t str, prefix: &str| topic.strip_prefix(prefix)?.strip_prefix('/');
        if let Some(key) = under(topic, &self.metadata) {
            return Some(Place::Metadata(key));
        }
        let rest = topic.strip_prefix(self.head.as_str())?;
        let (publisher, rest) = match self.publisher {
            Some(_) => rest.split_once('/').map(|(publisher, rest)| (Some(publisher), rest))?,
            None => (None, rest),
        };
        Some(Place::Value { publisher, key: under(rest, &self.kind)? })
    }
}

impl MetadataMap {
    pub(super) fn new(
        contract: &MetadataContract,
        republish: Duration,
        given: &[Given<'_>],
    ) -> Self {
        let mut assets = HashMap::<String, Vec<_>>::new();
        let mut points = HashMap::new();
        for given in given {
            let named = assets.entry(given.asset_name.to_owned()).or_default();
            if !named.contains(&(given.asset, given.kind)) {
                named.push((given.asset, given.kind));
            }
            let key = (given.asset, Arc::clone(given.quantity));
            points.insert(key, (given.point, given.unit.clone()));
        }
        Self {
            contract: Arc::new(contract.clone()),
            topics: Topics::new(contract),
            assets,
            points,
            tags: HashMap::new(),
            waiting: HashMap::new(),
            sources: Sources::new(republish * 2),
            integrations: HashSet::new(),
            new_filters: Vec::new(),
        }
    }

    /// Metadata first: a broker sends what it kept in the order of the filters.
    pub(super) fn filters(&self) -> Vec<String> {
        let values = self.topics.filter(self.topics.publisher.as_deref());
        vec![format!("{}/#", self.contract.metadata_prefix), values]
    }

    /// Filters that metadata has made necessary since the last call.
    pub(super) fn new_filters(&mut self) -> Vec<String> {
        std::mem::take(&mut self.new_filters)
    }

    /// Tags whose metadata is known, and how many of them give a point.
    pub(super) fn joined(&self) -> (usize, usize) {
        (self.tags.len(), self.tags.values().filter(|tag| tag.target.is_some()).count())
    }

    /// Tags with a value whose metadata has not come.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// `None`: no topic of this contract.
    pub(super) fn map(
        &mut self,
        topic: &str,
        payload: &[u8],
        retain: bool,
        at: Mono,
        tally: &mut Tally,
    ) -> Option<Vec<Sample>> {
        let sample = match self.topics.place(topic)? {
            Place::Metadata(key) => self.describe(topic, key, payload, tally),
            Place::Value { publisher, key } => {
                let publisher = publisher.map(ToOwned::to_owned);
                let value = Waiting { publisher, payload: payload.to_vec(), retain, at };
                self.value(key, value, tally)
            }
        };
        Some(sample.into_iter().collect())
    }

    /// Takes metadata in; gives the value that was waiting for it.
    fn describe(
        &mut self,
        topic: &str,
        key: &str,
        payload: &[u8],
        tally: &mut Tally,
    ) -> Option<Sample> {
        if payload.is_empty() {
            self.tags.remove(key); // How MQTT takes a retained message back.
            return None;
        }
        let mut hasher = DefaultHasher::new();
        payload.hash(&mut hasher);
        let digest = hasher.finish();
        match self.tags.get(key) {
            Some(tag) if tag.digest == digest => return None,
            None if self.tags.len() >= TAGS => {
                tally.overflow += 1;
                return None;
            }
            _ => {}
        }
        let Ok(metadata) = serde_json::from_slice::<Map<String, Json>>(payload) else {
            tally.not_understood(topic, payload, "no metadata");
            return None;
        };
        let (target, trouble) = match self.target(key, &metadata) {
            Ok(target) => (target, None),
            Err(trouble) => (None, Some(trouble)),
        };
        let contradiction = target.as_ref().is_some_and(|target| target.meaning.is_err());
        if let Some(why) = trouble.or(contradiction.then_some("metadata contradicts the profile")) {
            tally.not_understood(topic, payload, why);
        }
        let integration = metadata.get(INTEGRATION).and_then(Json::as_str);
        if target.is_some() {
            self.follow(integration);
        }
        let publisher =
            integration.map(ToOwned::to_owned).or_else(|| self.topics.publisher.clone());
        self.tags.insert(key.to_owned(), Tag { digest, publisher, target });
        let waiting = self.waiting.remove(key)?;
        self.value(key, waiting, tally)
    }

    /// Values of an integration come on its own topics, which are listened to as soon as one is known.
    fn follow(&mut self, integration: Option<&str>) {
        let Some(name) = integration else { return };
        let is_level =
            !name.is_empty() && name.len() <= 64 && !name.contains(['/', '+', '#', '\0']);
        if self.topics.publisher.as_deref() != Some(name)
            && is_level
            && self.integrations.len() < INTEGRATIONS
            && self.integrations.insert(name.to_owned())
        {
            self.new_filters.push(self.topics.filter(Some(name)));
        }
    }

    fn value(&mut self, key: &str, value: Waiting, tally: &mut Tally) -> Option<Sample> {
        let Some(tag) = self.tags.get(key) else {
            self.wait(key, value, tally);
            return None;
        };
        let target = tag.target.as_ref().filter(|_| tag.publisher == value.publisher);
        let Some(target) = target else {
            tally.unknown += 1;
            return None;
        };
        if let Err(holder) = self.sources.claim(target.point, key, value.at) {
            tally.second_source(key, holder);
            return None;
        }
        let json = payload::read(&value.payload);
        let read = read_value(json.as_ref(), target, self.contract.good_quality);
        let result = read.map_err(|why| match (why, &target.meaning) {
            // Of a contradiction the metadata was the example.
            (NoData::BadPayload, Ok(_)) => {
                tally.not_understood(key, &value.payload, "no value of this point")
            }
            (why, _) => why,
        });
        let timestamp = json.as_ref().and_then(|json| json.get("timestamp"));
        let sample = Sample {
            point: target.point,
            at: value.at,
            source_time: timestamp.and_then(payload::instant),
            value: result,
        };
        self.sources.admit(sample, value.retain)
    }

    fn wait(&mut self, key: &str, value: Waiting, tally: &mut Tally) {
        let has_room = self.waiting.len() < WAITING || self.waiting.contains_key(key);
        if has_room && value.payload.len() <= WAITING_BYTES {
            self.waiting.insert(key.to_owned(), value);
        } else {
            tally.overflow += 1;
        }
    }

    /// The point of a tag; `Ok(None)` where the device does not give it.
    fn target(
        &self,
        key: &str,
        metadata: &Map<String, Json>,
    ) -> Result<Option<Target>, &'static str> {
        let mut levels = key.splitn(3, '/');
        let (Some(object_type), Some(point_type), Some(tag_path)) =
            (levels.next(), levels.next(), levels.next())
        else {
            return Err("a metadata topic is too short");
        };
        for (member, expected) in [(OBJECT_TYPE, object_type), (POINT_TYPE, point_type)] {
            if metadata.get(member).and_then(Json::as_str).is_some_and(|said| said != expected) {
                return Err("metadata and its topic disagree");
            }
        }
        let described = Described { object_type, point_type, tag_path, metadata };
        let matching = self.contract.rules.iter().filter(|rule| described.fits(rule));
        for rule in matching {
            let Some(asset) = self.asset(metadata, rule.asset_kind) else { continue };
            let point = self.points.get(&(asset, Arc::clone(&rule.quantity)));
            return Ok(point.map(|(point, unit)| Target {
                point: *point,
                meaning: meaning(rule, metadata, unit).ok_or(NoData::BadPayload),
            }));
        }
        Ok(None)
    }

    fn asset(&self, metadata: &Map<String, Json>, kind: AssetKind) -> Option<AssetId> {
        let names = ASSET_IDS.iter().filter_map(|member| metadata.get(*member)?.as_str());
        names
            .filter_map(|name| self.assets.get(name))
            .flatten()
            .find(|(_, is)| *is == kind)
            .map(|(asset, _)| *asset)
    }
}

/// One tag as its metadata describes it.
struct Described<'m> {
    object_type: &'m str,
    point_type: &'m str,
    tag_path: &'m str,
    metadata: &'m Map<String, Json>,
}

impl Described<'_> {
    fn fits(&self, rule: &MetadataPoint) -> bool {
        let setpoint = self.metadata.get(SETPOINT).and_then(Json::as_bool).unwrap_or(false);
        rule.object_type == self.object_type
            && rule.point_type == self.point_type
            && rule.is_setpoint == setpoint
            && rule.process_area.iter().all(|area| self.is_in(area))
            && rule.members.iter().all(|(name, value)| self.has(name, value))
            && rule.takes_tag_path(self.tag_path)
    }

    fn is_in(&self, area: &str) -> bool {
        let same = |json: &Json| json.as_str().is_some_and(|said| said.eq_ignore_ascii_case(area));
        match self.metadata.get(AREA) {
            Some(Json::Array(areas)) => areas.iter().any(same),
            Some(one) => same(one),
            None => false,
        }
    }

    fn has(&self, name: &str, value: &str) -> bool {
        match self.metadata.get(name) {
            Some(Json::String(said)) => said == value,
            Some(other) => value == other.to_string().as_str(),
            None => false,
        }
    }
}

/// How values of a tag are read; `None` where its metadata contradicts the rule.
fn meaning(rule: &MetadataPoint, metadata: &Map<String, Json>, to: &Unit) -> Option<Meaning> {
    let is_state = rule.kind == PointKind::State;
    let (from, source_states) = match (metadata.get(UNIT), metadata.get(STATES)) {
        (None, None) if is_state || rule.unit.dimension() == Dimension::NONE => {
            (rule.unit.clone(), None)
        }
        (Some(unit), None) if !is_state => (Unit::parse(unit.as_str()?).ok()?, None),
        (None, Some(states)) if is_state => (rule.unit.clone(), Some(labels(states)?)),
        _ => return None,
    };
    (from.dimension() == to.dimension()).then(|| Meaning {
        kind: rule.kind,
        conversion: Conversion::new(&from, to),
        states: rule.states.clone(),
        source_states,
    })
}

/// `[{"value": 0, "text": "Off"}, …]`
fn labels(json: &Json) -> Option<Vec<StateLabel>> {
    let label = |item: &Json| {
        let code = u32::try_from(item.get("value")?.as_i64()?).ok()?;
        Some(StateLabel { code, text: item.get("text")?.as_str()?.to_owned() })
    };
    json.as_array()?.iter().map(label).collect()
}

/// `{"value": …, "timestamp": …, "quality": …}`
fn read_value(
    json: Option<&Json>,
    target: &Target,
    good_quality: i64,
) -> Result<rules::value::Value, NoData> {
    let meaning = target.meaning.as_ref().map_err(|why| *why)?;
    let members = json.and_then(Json::as_object).ok_or(NoData::BadPayload)?;
    let value = members.get("value").ok_or(NoData::BadPayload)?;
    let quality = members.get("quality").and_then(Json::as_i64).ok_or(NoData::BadPayload)?;
    if value.is_null() {
        return Err(NoData::NotAvailable);
    }
    if quality != good_quality {
        return Err(NoData::BadQuality);
    }
    meaning.value(value)
}
