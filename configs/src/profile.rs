//! A device's map as a file: what its registers or topics mean. A vendor is a file.

use std::{collections::HashSet, sync::Arc, time::Duration};

use rules::{
    plant::{AssetKind, PointKind, StateLabel},
    units::Unit,
};

use crate::codec::Codec;

/// A checked profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// File stem: `orv3-rpu`.
    pub id: Arc<str>,
    pub title: String,
    /// The document or project that the map comes from.
    pub source: String,
    pub map: Map,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Map {
    Modbus(ModbusMap),
    Mqtt(MqttMap),
}

#[derive(Clone, Debug, PartialEq)]
pub struct ModbusMap {
    /// Most registers in one request; at most 125.
    pub max_registers: u16,
    /// Most coils or inputs in one request; at most 2000.
    pub max_bits: u16,
    pub points: Vec<ModbusPoint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Function code 1.
    Coil,
    /// Function code 2.
    DiscreteInput,
    /// Function code 3.
    Holding,
    /// Function code 4.
    Input,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ModbusPoint {
    /// Path under the asset: `tcs.supply_temperature`.
    pub quantity: Arc<str>,
    pub table: Table,
    /// Zero-based, as on the wire.
    pub address: u16,
    pub codec: Codec,
    /// Unit of the decoded value in the profile.
    pub unit: Unit,
    pub kind: PointKind,
    pub states: Vec<StateLabel>,
    /// Slower than the device's own interval, where set.
    pub poll_every: Option<Duration>,
}

/// How topics and payloads become samples.
#[derive(Clone, Debug, PartialEq)]
pub struct MqttMap {
    /// Newer values are expected at least this often.
    pub republish_every: Duration,
    pub contract: Contract,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Contract {
    /// One topic pattern per quantity, JSON payloads.
    Topics(Vec<TopicPoint>),
    /// Values joined with retained metadata by their tag path (DSX Exchange and its kin).
    Metadata(MetadataContract),
}

/// A topic pattern that carries one quantity. `{asset}` in the pattern names the asset; `+` matches any level.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicPoint {
    pub pattern: String,
    /// Every asset of this kind that the device reports on has the point.
    pub asset_kind: AssetKind,
    pub quantity: Arc<str>,
    /// Member path of the value within the JSON payload: `value`, `sensors.0.t`; empty for a bare number.
    pub value_path: String,
    /// Member path of the time in milliseconds since 1970; empty: none.
    pub timestamp_path: String,
    pub unit: Unit,
    pub kind: PointKind,
    pub states: Vec<StateLabel>,
}

/// Value and metadata topics of the form `prefix/{object type}/{point type}/{tag path…}`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataContract {
    /// `BMS/v1/PUB/Value`
    pub value_prefix: String,
    /// `BMS/v1/PUB/Metadata`
    pub metadata_prefix: String,
    /// Only this quality is good.
    pub good_quality: i64,
    pub rules: Vec<MetadataPoint>,
}

/// Which metadata makes which quantity of the named asset. The first one that matches counts, so that a narrower one
/// stands before a wider one.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataPoint {
    pub object_type: String,
    pub point_type: String,
    /// All of these must be in the metadata's `processArea`, letter case ignored; empty: any.
    pub process_area: Vec<String>,
    /// Further metadata members that must have these values, for example `phase = "A"`.
    pub members: Vec<(String, String)>,
    /// The last levels of the tag path, where the metadata of two points is the same: `pump1/speed/value`. Empty: any.
    pub tag_path_end: String,
    pub is_setpoint: bool,
    /// Every asset of this kind that the device reports on has the point.
    pub asset_kind: AssetKind,
    pub quantity: Arc<str>,
    pub unit: Unit,
    pub kind: PointKind,
    pub states: Vec<StateLabel>,
}

/// One point that a profile offers, whatever its protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered<'a> {
    /// Every asset of this kind has the point; `None`: the one asset that the device reports on.
    pub asset_kind: Option<AssetKind>,
    pub quantity: &'a Arc<str>,
    pub unit: &'a Unit,
    pub kind: PointKind,
    pub states: &'a [StateLabel],
}

impl Profile {
    /// Every point that the profile offers, each once, in the order of the file.
    pub fn offered(&self) -> Vec<Offered<'_>> {
        let mut offered: Vec<Offered<'_>> = match &self.map {
            Map::Modbus(map) => map
                .points
                .iter()
                .map(|p| Offered::new(None, &p.quantity, &p.unit, p.kind, &p.states))
                .collect(),
            Map::Mqtt(map) => match &map.contract {
                Contract::Topics(topics) => topics
                    .iter()
                    .map(|p| {
                        Offered::new(Some(p.asset_kind), &p.quantity, &p.unit, p.kind, &p.states)
                    })
                    .collect(),
                Contract::Metadata(contract) => contract
                    .rules
                    .iter()
                    .map(|p| {
                        Offered::new(Some(p.asset_kind), &p.quantity, &p.unit, p.kind, &p.states)
                    })
                    .collect(),
            },
        };
        // Several topics or metadata rules may lead to one point.
        let mut seen = HashSet::new();
        offered.retain(|point| seen.insert((point.asset_kind, point.quantity)));
        offered
    }
}

impl<'a> Offered<'a> {
    fn new(
        asset_kind: Option<AssetKind>,
        quantity: &'a Arc<str>,
        unit: &'a Unit,
        kind: PointKind,
        states: &'a [StateLabel],
    ) -> Self {
        Self { asset_kind, quantity, unit, kind, states }
    }
}

impl MetadataPoint {
    /// True where the tag path ends with the levels of `tag_path_end`, or any path will do.
    pub fn takes_tag_path(&self, tag_path: &str) -> bool {
        let end = &self.tag_path_end;
        match tag_path.strip_suffix(end.as_str()) {
            Some(rest) => end.is_empty() || rest.is_empty() || rest.ends_with('/'),
            None => false,
        }
    }
}
