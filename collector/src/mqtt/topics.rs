//! Feeds with one topic pattern per quantity.

use std::{collections::HashMap, time::Duration};

use configs::profile::TopicPoint;
use rules::{
    plant::PointId,
    time::Mono,
    value::{NoData, Sample},
};

use crate::{
    conversion::Conversion,
    mqtt::{
        given::Given,
        notes::Tally,
        payload::{self, Meaning},
        sources::Sources,
    },
};

/// Stands for the asset's name in a pattern.
const ASSET: &str = "{asset}";

/// Topic patterns, compiled for one device.
#[derive(Clone, Debug)]
pub(super) struct TopicMap {
    patterns: Vec<Pattern>,
    sources: Sources,
}

#[derive(Clone, Debug)]
struct Pattern {
    levels: Vec<Level>,
    value_path: String,
    timestamp_path: String,
    /// By the asset's name.
    points: HashMap<String, (PointId, Meaning)>,
}

#[derive(Clone, Debug)]
enum Level {
    Word(String),
    Any,
    Asset,
}

impl TopicMap {
    pub(super) fn new(topics: &[TopicPoint], republish: Duration, given: &[Given<'_>]) -> Self {
        let patterns = topics.iter().map(|topic| Pattern::new(topic, given)).collect();
        Self { patterns, sources: Sources::new(republish * 2) }
    }

    pub(super) fn filters(&self) -> Vec<String> {
        let mut filters: Vec<String> = self.patterns.iter().map(Pattern::filter).collect();
        filters.sort();
        filters.dedup();
        filters
    }

    /// `None`: no topic of this device.
    pub(super) fn map(
        &mut self,
        topic: &str,
        payload: &[u8],
        retain: bool,
        at: Mono,
        tally: &mut Tally,
    ) -> Option<Vec<Sample>> {
        let mut matching =
            self.patterns.iter().filter_map(|p| Some((p, p.asset(topic)?))).peekable();
        matching.peek()?;
        let json = payload::read(payload);
        if json.is_none() {
            tally.not_understood(topic, payload, "no JSON");
        }
        let (mut samples, mut known) = (Vec::new(), false);
        for (pattern, asset) in matching {
            let Some((point, meaning)) = pattern.points.get(asset) else { continue };
            known = true;
            if let Err(holder) = self.sources.claim(*point, topic, at) {
                tally.second_source(topic, holder);
                continue;
            }
            let member = json.as_ref().map(|json| payload::member(json, &pattern.value_path));
            let value = match member {
                None => Err(NoData::BadPayload),
                Some(None) => Err(tally.not_understood(topic, payload, "a member is missing")),
                Some(Some(member)) => meaning.value(member).map_err(|why| match why {
                    NoData::BadPayload => tally.not_understood(topic, payload, "no such value"),
                    other => other,
                }),
            };
            let time = json.as_ref().and_then(|json| pattern.time(json));
            let sample = Sample { point: *point, at, source_time: time, value };
            samples.extend(self.sources.admit(sample, retain));
        }
        tally.unknown += u64::from(!known);
        Some(samples)
    }
}

impl Pattern {
    fn new(topic: &TopicPoint, given: &[Given<'_>]) -> Self {
        let levels = topic.pattern.split('/').map(|level| match level {
            ASSET => Level::Asset,
            "+" => Level::Any,
            word => Level::Word(word.to_owned()),
        });
        let ours = |given: &&Given<'_>| {
            given.kind == topic.asset_kind && given.quantity == &topic.quantity
        };
        let points = given.iter().filter(ours).map(|given| {
            let meaning = Meaning {
                kind: topic.kind,
                conversion: Conversion::new(&topic.unit, given.unit),
                states: topic.states.clone(),
                source_states: None,
            };
            (given.asset_name.to_owned(), (given.point, meaning))
        });
        Self {
            levels: levels.collect(),
            value_path: topic.value_path.clone(),
            timestamp_path: topic.timestamp_path.clone(),
            points: points.collect(),
        }
    }

    fn filter(&self) -> String {
        let levels = self.levels.iter().map(|level| match level {
            Level::Word(word) => word.as_str(),
            Level::Any | Level::Asset => "+",
        });
        levels.collect::<Vec<_>>().join("/")
    }

    /// The asset level of a topic that fits the pattern.
    fn asset<'t>(&self, topic: &'t str) -> Option<&'t str> {
        let mut asset = None;
        let mut words = topic.split('/');
        for level in &self.levels {
            let word = words.next()?;
            match level {
                Level::Word(expected) if expected == word => {}
                Level::Word(_) => return None,
                Level::Any => {}
                Level::Asset => asset = Some(word),
            }
        }
        if words.next().is_some() { None } else { asset }
    }

    fn time(&self, json: &serde_json::Value) -> Option<chrono::DateTime<chrono::Utc>> {
        if self.timestamp_path.is_empty() {
            return None;
        }
        payload::member(json, &self.timestamp_path).and_then(payload::instant)
    }
}
