//! What single messages become, and that none of them harms the mapper.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use collector::mqtt::Mapper;
use configs::{
    fault::Source, library::Library, secret::unresolved, site::Site, site_file::read_site,
};
use proptest::prelude::*;
use rules::{
    time::Mono,
    value::{NoData, Sample, Value},
};

const SITE: &str = include_str!("data/mqtt/site.toml");

const METADATA: &str = include_str!("data/mqtt/described.toml");

const TOPICS: &str = include_str!("data/mqtt/plain.toml");

fn site(profile: &str) -> Site {
    let mut library = Library::shipped();
    let text = if profile == "described" { METADATA } else { TOPICS };
    library.add_profile(profile, Source { name: "profile.toml".into(), text: text.into() });
    let text = SITE.replace("PROFILE", profile);
    let source = Source { name: "site.toml".into(), text: text.into() };
    read_site(&source, &library, &unresolved).unwrap()
}

#[derive(Clone)]
struct Feed {
    site: Site,
    mapper: Mapper,
    clock: u64,
}

impl Feed {
    fn new(profile: &str) -> Self {
        let site = site(profile);
        let mapper = Mapper::new(&site.devices[0], &site.plant).unwrap();
        Self { site, mapper, clock: 0 }
    }

    fn samples(&mut self, topic: &str, payload: &str, retain: bool) -> Vec<Sample> {
        self.clock += 1;
        self.mapper.map(topic, payload.as_bytes(), retain, Mono::from_secs(self.clock))
    }

    /// The one sample of a message, as `(point, value)`.
    fn one(&mut self, topic: &str, payload: &str) -> Option<(String, Result<Value, NoData>)> {
        let mut samples = self.samples(topic, payload, false);
        assert!(samples.len() <= 1, "{samples:?}");
        let sample = samples.pop()?;
        Some((self.site.plant.point_name(sample.point), sample.value))
    }

    fn describe(&mut self, tag: &str, metadata: &str) {
        let samples = self.samples(&format!("X/v1/PUB/Metadata/{tag}"), metadata, true);
        assert_eq!(samples, []);
    }

    fn value(&mut self, tag: &str, payload: &str) -> Option<(String, Result<Value, NoData>)> {
        self.one(&format!("X/v1/PUB/Value/{tag}"), payload)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what a message becomes may be nothing")]
fn power(value: Result<f64, NoData>) -> Option<(String, Result<Value, NoData>)> {
    Some(("r1.power".to_owned(), value.map(Value::Number)))
}

const TAG: &str = "Rack/Power/hall/r1/p";
const GOOD: &str = r#"{"value": 40.5, "timestamp": 1790000000123, "quality": 1}"#;

#[test]
fn a_value_that_comes_before_its_metadata_waits_and_the_newest_is_delivered() {
    let mut feed = Feed::new("described");
    let older = GOOD.replace("40.5", "1.5");
    assert_eq!(feed.value(TAG, &older), None);
    assert_eq!(feed.value(TAG, GOOD), None);
    let metadata = r#"{"objectId": "r1", "engUnit": "kW"}"#;
    let samples = feed.samples(&format!("X/v1/PUB/Metadata/{TAG}"), metadata, true);
    let [sample] = samples.as_slice() else { panic!("{samples:?}") };
    assert_eq!(sample.value, Ok(Value::Number(40.5)));
    assert_eq!(sample.at, Mono::from_secs(2), "the time of receipt, not of the join");
    assert_eq!(sample.source_time.unwrap().timestamp_millis(), 1_790_000_000_123);
}

#[test]
fn quality_null_and_nonsense_each_have_their_reason() {
    let mut feed = Feed::new("described");
    feed.describe(TAG, r#"{"rackLocationId": "r1", "engUnit": "kW"}"#);
    for (payload, expected) in [
        (GOOD, Ok(40.5)),
        (r#"{"value": 40.5, "timestamp": 1, "quality": 0}"#, Err(NoData::BadQuality)),
        (r#"{"value": 40.5, "timestamp": 1, "quality": 192}"#, Err(NoData::BadQuality)),
        (r#"{"value": null, "timestamp": 1, "quality": 1}"#, Err(NoData::NotAvailable)),
        (r#"{"value": "off", "timestamp": 1, "quality": 1}"#, Err(NoData::BadPayload)),
        (r#"{"value": 40.5, "timestamp": 1}"#, Err(NoData::BadPayload)),
        (r#"{"timestamp": 1, "quality": 1}"#, Err(NoData::BadPayload)),
        ("40.5", Err(NoData::BadPayload)),
        ("{", Err(NoData::BadPayload)),
        ("", Err(NoData::BadPayload)),
    ] {
        assert_eq!(feed.value(TAG, payload), power(expected), "{payload}");
    }
    assert_eq!(feed.mapper.tally().not_understood, 6);
    assert!(feed.mapper.tally().trouble.as_ref().unwrap().contains(TAG));
}

#[test]
fn the_unit_of_the_feed_counts_and_a_contradiction_is_bad() {
    for (unit, expected) in [
        (r#", "engUnit": "W""#, Ok(0.0405)),
        (r#", "engUnit": "MW""#, Ok(40_500.0)),
        (r#", "engUnit": "A""#, Err(NoData::BadPayload)),
        (r#", "engUnit": "furlong""#, Err(NoData::BadPayload)),
        (r#", "engUnit": 7"#, Err(NoData::BadPayload)),
        (r#", "stateText": [{"value": 0, "text": "Off"}]"#, Err(NoData::BadPayload)),
        ("", Err(NoData::BadPayload)),
    ] {
        let mut feed = Feed::new("described");
        feed.describe(TAG, &format!(r#"{{"objectId": "r1"{unit}}}"#));
        assert_eq!(feed.value(TAG, GOOD), power(expected), "{unit}");
        let contradicts = u64::from(expected.is_err());
        assert_eq!(feed.mapper.tally().not_understood, contradicts, "{unit}");
    }
}

#[test]
fn the_state_names_of_the_feed_count_and_not_its_codes() {
    let mut feed = Feed::new("described");
    let tag = "Rack/Leak/hall/r1/l";
    let swapped = r#"[{"value": 1, "text": "NoLeak"}, {"value": 0, "text": "LEAK"}]"#;
    feed.describe(tag, &format!(r#"{{"objectId": "r1", "stateText": {swapped}}}"#));
    let leak = feed.value(tag, &GOOD.replace("40.5", "0"));
    assert_eq!(leak, Some(("r1.leak.state".to_owned(), Ok(Value::State(1)))));
}

#[test]
fn changed_metadata_maps_the_tag_anew_and_withdrawn_metadata_not_at_all() {
    let mut feed = Feed::new("described");
    feed.describe(TAG, r#"{"objectId": "r1", "engUnit": "kW"}"#);
    assert_eq!(feed.value(TAG, GOOD), power(Ok(40.5)));
    feed.describe(TAG, r#"{"objectId": "r2", "engUnit": "W"}"#);
    let moved = Some(("r2.power".to_owned(), Ok(Value::Number(0.0405))));
    assert_eq!(feed.value(TAG, GOOD), moved);
    feed.describe(TAG, "not JSON");
    assert_eq!(feed.value(TAG, GOOD), moved, "what cannot be read changes nothing");
    feed.describe(TAG, "");
    assert_eq!(feed.value(TAG, GOOD), None);
    assert_eq!(feed.mapper.joined(), (0, 0));
}

#[test]
fn two_tags_of_one_point_are_never_mixed() {
    let mut feed = Feed::new("described");
    let (first, second) = ("Rack/Power/hall/a", "Rack/Power/hall/b");
    for tag in [first, second] {
        feed.describe(tag, r#"{"objectId": "r1", "engUnit": "kW"}"#);
    }
    assert_eq!(feed.value(second, GOOD), power(Ok(40.5)));
    assert_eq!(feed.value(first, &GOOD.replace("40.5", "1.5")), power(Ok(1.5)));
    assert_eq!(feed.value(second, GOOD), None);
    assert_eq!(feed.mapper.tally().second_source, 1);
    assert!(feed.mapper.tally().trouble.as_ref().unwrap().contains("two sources"));
}

#[test]
fn assets_and_points_that_the_site_does_not_have_are_counted() {
    let mut feed = Feed::new("described");
    feed.describe(TAG, r#"{"objectId": "r9", "engUnit": "kW"}"#);
    feed.describe("Rack/Noise/n", r#"{"objectId": "r1", "engUnit": "dB"}"#);
    feed.describe("Rack/Power/disagrees", r#"{"objectType": "CDU", "objectId": "r1"}"#);
    for tag in [TAG, "Rack/Noise/n", "Rack/Power/disagrees"] {
        assert_eq!(feed.value(tag, GOOD), None);
    }
    assert_eq!(feed.mapper.tally().unknown, 3);
    assert_eq!(feed.mapper.tally().not_understood, 1);
    assert_eq!(feed.mapper.joined(), (3, 0));
}

#[test]
fn values_of_an_integration_come_from_its_own_topics_and_from_nowhere_else() {
    let mut feed = Feed::new("described");
    feed.describe(TAG, r#"{"objectId": "r1", "engUnit": "kW", "integration": "NICO"}"#);
    assert_eq!(feed.mapper.new_filters(), ["X/v1/NICO/Value/#"]);
    assert_eq!(feed.mapper.new_filters(), Vec::<String>::new());
    assert_eq!(feed.value(TAG, GOOD), None);
    assert_eq!(feed.one(&format!("X/v1/NICO/Value/{TAG}"), GOOD), power(Ok(40.5)));
    // A name that is no topic level is not subscribed to.
    feed.describe("Rack/Power/x", r#"{"objectId": "r2", "engUnit": "kW", "integration": "+/#"}"#);
    assert_eq!(feed.mapper.new_filters(), Vec::<String>::new());
}

#[test]
fn topics_name_assets_and_payloads_hold_values() {
    let mut feed = Feed::new("plain");
    assert_eq!(feed.mapper.filters(), ["hall/+/+/power", "hall/+/leak"]);
    let samples = feed.samples("hall/r1/x/power", r#"{"w": [1500], "at": 1790000000123}"#, false);
    assert_eq!(samples[0].value, Ok(Value::Number(1.5)));
    assert_eq!(samples[0].source_time.unwrap().timestamp_millis(), 1_790_000_000_123);
    assert_eq!(feed.one("hall/r1/x/power", r#"{"v": [1500]}"#), power(Err(NoData::BadPayload)));
    assert_eq!(feed.one("hall/r1/x/power", "\u{1b}[2J{"), power(Err(NoData::BadPayload)));
    let trouble = feed.mapper.tally().trouble.clone().unwrap();
    assert!(!trouble.contains('\u{1b}'), "{trouble}");
    let leak = Some(("r2.leak.state".to_owned(), Ok(Value::State(1))));
    for payload in ["1", "true", "wet", "\"WET\""] {
        assert_eq!(feed.one("hall/r2/leak", payload), leak, "{payload}");
    }
    assert_eq!(feed.one("hall/r9/leak", "1"), None);
    assert_eq!(feed.one("other/r1/leak", "1"), None);
    assert_eq!(feed.mapper.tally().unknown, 1);
}

#[test]
fn a_retained_value_without_a_time_is_stale_until_a_live_one_comes() {
    let mut feed = Feed::new("plain");
    let kept = feed.samples("hall/r1/leak", "0", true);
    assert_eq!(kept[0].value, Err(NoData::Stale));
    assert_eq!(feed.samples("hall/r1/leak", "0", false)[0].value, Ok(Value::State(0)));
    assert_eq!(feed.samples("hall/r1/leak", "1", true), []);
    let dated = feed.samples("hall/r1/x/power", r#"{"w": [1], "at": 1790000000123}"#, true);
    assert!(dated[0].value.is_ok());
}

/// Topics and payloads near what is expected, and far from it.
fn near(words: &'static [&'static str], joint: &'static str) -> impl Strategy<Value = String> {
    let word = prop_oneof![4 => prop::sample::select(words).prop_map(ToOwned::to_owned), 1 => any::<String>()];
    prop_oneof![
        6 => prop::collection::vec(word, 0..8).prop_map(move |words| words.join(joint)),
        1 => any::<String>(),
    ]
}

const LEVELS: &[&str] = &[
    "X", "v1", "PUB", "NICO", "Value", "Metadata", "Rack", "Power", "Leak", "hall", "r1", "leak",
    "power", "",
];
const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"value\"",
    "\"quality\"",
    "\"timestamp\"",
    "\"objectId\"",
    "\"r1\"",
    "\"engUnit\"",
    "\"kW\"",
    "\"stateText\"",
    "\"text\"",
    "\"integration\"",
    "1",
    "-1e308",
    "1e999",
    "null",
    "true",
];

#[test]
fn no_message_harms_the_mapper() {
    let feeds = ["described", "plain"].map(Feed::new);
    let message = (near(LEVELS, "/"), near(TOKENS, ""), any::<bool>());
    let messages = prop::collection::vec(message, 1..20);
    proptest!(|(messages in messages, which in 0..2_usize)| {
        let mut feed = feeds[which].clone();
        for (topic, payload, retain) in messages {
            for sample in feed.samples(&topic, &payload, retain) {
                if let Ok(value) = sample.value {
                    prop_assert!(value.as_number().is_none_or(f64::is_finite));
                }
            }
        }
    });
}

#[test]
fn no_payload_of_a_known_tag_harms_the_mapper() {
    let empty = Feed::new("described");
    let mut described = empty.clone();
    described.describe(TAG, r#"{"objectId": "r1", "engUnit": "kW"}"#);
    proptest!(|(payload in near(TOKENS, ""))| {
        prop_assert!(described.clone().value(TAG, &payload).is_some());
        let mut feed = empty.clone();
        feed.describe(TAG, &payload);
        feed.value(TAG, GOOD);
    });
}
