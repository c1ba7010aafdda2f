//! The plant: assets, what feeds, cools, measures and holds them, and the points that describe them.
//!
//! Built once by `configs` from a checked site file. Ids are indices into the tables here, so that the engine
//! works without names.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

pub use crate::id::{AssetId, PointId};
use crate::{coolant::Coolant, units::Unit};

/// What an asset is. The plural is the name of the set in a rule: `for = "rack in racks"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetKind {
    Site,
    Room,
    Rack,
    Loop,
    Cdu,
    Pdu,
    Ups,
    Bus,
    Meter,
    Sensor,
    Weather,
    /// What answers on a link.
    Device,
}

impl AssetKind {
    pub const ALL: [Self; 12] = [
        Self::Site,
        Self::Room,
        Self::Rack,
        Self::Loop,
        Self::Cdu,
        Self::Pdu,
        Self::Ups,
        Self::Bus,
        Self::Meter,
        Self::Sensor,
        Self::Weather,
        Self::Device,
    ];

    /// The table name in a site file and the word in messages: `cdu`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Room => "room",
            Self::Rack => "rack",
            Self::Loop => "loop",
            Self::Cdu => "cdu",
            Self::Pdu => "pdu",
            Self::Ups => "ups",
            Self::Bus => "bus",
            Self::Meter => "meter",
            Self::Sensor => "sensor",
            Self::Weather => "weather",
            Self::Device => "device",
        }
    }

    /// The set in a rule: `cdus`.
    pub fn set(self) -> &'static str {
        match self {
            Self::Site => "sites",
            Self::Room => "rooms",
            Self::Rack => "racks",
            Self::Loop => "loops",
            Self::Cdu => "cdus",
            Self::Pdu => "pdus",
            Self::Ups => "upses",
            Self::Bus => "buses",
            Self::Meter => "meters",
            Self::Sensor => "sensors",
            Self::Weather => "weather_stations",
            Self::Device => "devices",
        }
    }
}

/// One thing in the plant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asset {
    /// Unique in the site: `cdu-2`.
    pub name: Arc<str>,
    pub kind: AssetKind,
    /// What people call it, where that differs from `name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub detail: Detail,
}

/// What is declared about an asset, by kind. Absent figures are not guessed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    None,
    Site(Box<SiteRecord>),
    Room(Room),
    Rack(Rack),
    Loop(CoolantLoop),
    Cdu(Cdu),
    Meter(Meter),
    Device(DeviceLimits),
}

/// What is declared of the whole site, for reports: nothing of it is measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SiteRecord {
    /// Who runs the data centre, and where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The first day of operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commissioned_on: Option<NaiveDate>,
    /// Designed IT power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub it_design_kw: Option<f64>,
    /// Outdoor temperatures above this one count as cooling degree days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degree_day_base_c: Option<f64>,
    /// The standards, laws and targets that reports follow and judge by, by the names of their limits files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regulations: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boundaries: Vec<Boundary>,
    /// Tests at characteristic outdoor conditions, for a standard that asks for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub condition_tests: Vec<ConditionTest>,
}

/// Something that no sensor gives: dated, and with its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// The name under which a regulation asks for it: `PDIT`.
    pub name: String,
    pub value: FactValue,
    /// The first day on which it held.
    pub from: NaiveDate,
    /// The last one; `None`: it still holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<NaiveDate>,
    pub source: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactValue {
    /// A number with its unit, as written: reports know units that nothing in a plant is measured in.
    Quantity {
        number: f64,
        unit: String,
    },
    Text(String),
}

/// A part of the data centre whose ratio is formed by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boundary {
    pub id: String,
    pub title: String,
    /// Its IT meters, and those of what serves them, by name.
    pub it: Vec<Arc<str>>,
    pub overhead: Vec<Arc<str>>,
}

/// Powers at some outdoor conditions, each with its share of the year.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConditionTest {
    pub tested_on: NaiveDate,
    pub source: String,
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    pub outdoor_c: f64,
    /// Of the year, 0 to 1.
    pub share: f64,
    pub facility_kw: f64,
    pub it_kw: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Room {
    /// Floor area of the computer room (SCR of EU 2024/1364).
    pub area_m2: f64,
}

/// How a rack or cabinet is supplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Supply {
    Ac,
    Dc,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rack {
    /// Row label, for the row view: `R2`.
    pub row: String,
    /// Place in the row, from 1.
    pub position: u32,
    pub footprint_m2: Option<f64>,
    pub design_power_kw: f64,
    /// Number of independent feeds. All of them must be known before the rack's power is.
    pub feeds: u32,
    pub supply: Supply,
}

/// How a loop takes heat from the IT equipment. It decides which formulas have a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Technology {
    ColdPlate,
    Immersion,
    TwoPhase,
}

impl Technology {
    pub fn word(self) -> &'static str {
        match self {
            Self::ColdPlate => "cold_plate",
            Self::Immersion => "immersion",
            Self::TwoPhase => "two_phase",
        }
    }
}

/// Where the flow meter sits: its temperature gives the density (domain facts §6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowMeterAt {
    Supply,
    Return,
    #[default]
    Mean,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoolantLoop {
    pub technology: Technology,
    /// What flows on the IT side (TCS). `None` for a dielectric, whose heat is taken from the primary side only.
    pub coolant: Option<Coolant>,
    /// What flows on the facility side (FWS).
    pub facility_coolant: Coolant,
    pub flow_meter_at: FlowMeterAt,
    pub design_delta_temperature_k: f64,
    pub design_return_c: f64,
    /// Highest permitted gauge pressure.
    pub design_pressure_kpa: f64,
    pub design_flow_lpm: Option<f64>,
    /// Declared seconds from loss of flow to the return limit at design load.
    pub ride_through_s: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cdu {
    pub rated_heat_kw: Option<f64>,
    pub pumps: u32,
    /// Pumps that must run to carry the load; one more available is redundancy.
    pub pumps_required: u32,
}

/// What a meter's reading counts as (domain facts §1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Into the data-centre boundary.
    BoundaryIn,
    /// Out of it, for example exported electricity.
    BoundaryOut,
    #[serde(alias = "onsite_gen")]
    OnsiteGeneration,
    BackupGeneration,
    Renewable,
    ItLoad,
    Cooling,
    PowerLoss,
    Other,
    ReusedHeat,
    WaterIn,
    PotableWater,
    /// Read and shown, never part of a sum.
    InfoOnly,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    #[default]
    Electricity,
    ChilledWater,
    NaturalGas,
    FuelOil,
    Heat,
    Water,
}

/// Where IT energy is metered: PUE category 1, 2 or 3 of ISO/IEC 30134-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    One,
    Two,
    Three,
}

/// The record of one meter: what an auditor asks about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meter {
    pub role: Role,
    pub carrier: Carrier,
    pub category: Option<Category>,
    /// Which of several independent feeds it sits in: `A`.
    pub feed: Option<String>,
    pub serial: Option<String>,
    /// Maker and type: meters of one model err together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The meter that measures the same, by name: it speaks for this one where this one is silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin: Option<Arc<str>>,
    /// The part of its energy that is the data centre's, in a building of mixed use, and by which rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// Limit of error in percent, from the accuracy class: 0.5 for class 0.5S.
    pub accuracy_percent: Option<f64>,
    pub ct_ratio: Option<f64>,
    pub ct_accuracy_percent: Option<f64>,
    /// Smallest change of the energy register.
    pub register_step_kwh: f64,
    /// Where the register wraps to zero; `None`: it does not in practice (64 bits).
    pub register_modulus_kwh: Option<f64>,
    /// The register is an IEEE 754 single, whose step grows with its value.
    #[serde(default)]
    pub register_float32: bool,
    /// More than this is not believed.
    pub max_power_kw: f64,
    /// ISO date of the last calibration.
    pub calibrated_on: Option<String>,
}

/// A part of a meter's energy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Above 0, at most 1.
    pub part: f64,
    /// How it was found: the metered thermal energy of 2025.
    pub basis: String,
}

/// When a device counts as silent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceLimits {
    pub silence_limit_s: f64,
}

/// How two assets hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// Power flows from → to: meter → meter, meter → rack, PDU → rack.
    Feeds,
    /// CDU → loop, loop → rack.
    Cools,
    /// Meter or sensor → what it measures; device → asset it reports on.
    Measures,
    /// Asset → room or site.
    LocatedIn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Edge {
    pub from: AssetId,
    pub kind: EdgeKind,
    pub to: AssetId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointKind {
    Gauge,
    /// A register that only grows, and may wrap or be reset.
    Counter,
    /// A code with names.
    State,
    Text,
}

/// Where a point's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Polled,
    /// Carries its own source time; S6 of the alarm semantics applies.
    Published,
    /// A metric: computed by the engine.
    Computed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateLabel {
    pub code: u32,
    pub text: String,
}

/// One quantity of one asset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointSpec {
    pub asset: AssetId,
    /// Path under the asset: `tcs.supply_temperature`.
    pub quantity: Arc<str>,
    pub unit: Unit,
    pub kind: PointKind,
    pub origin: Origin,
    /// Older than this, and the value is unknown.
    pub stale_after: Duration,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<StateLabel>,
}

/// Assets, edges and points of a site.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "PlantTables", into = "PlantTables")]
pub struct Plant {
    assets: Vec<Asset>,
    edges: Vec<Edge>,
    points: Vec<PointSpec>,
    asset_by_name: HashMap<Arc<str>, AssetId>,
    /// By asset, then quantity.
    point_by_name: Vec<HashMap<Arc<str>, PointId>>,
    /// By asset: the edges that leave it, and those that arrive, as indices into `edges`.
    leaving: Vec<Vec<usize>>,
    arriving: Vec<Vec<usize>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct PlantTables {
    assets: Vec<Asset>,
    edges: Vec<Edge>,
    points: Vec<PointSpec>,
}

impl From<PlantTables> for Plant {
    fn from(tables: PlantTables) -> Self {
        let mut plant = Self::default();
        for asset in tables.assets {
            plant.add_asset(asset);
        }
        for edge in tables.edges {
            plant.add_edge(edge.from, edge.kind, edge.to);
        }
        for point in tables.points {
            plant.add_point(point);
        }
        plant
    }
}

impl From<Plant> for PlantTables {
    fn from(plant: Plant) -> Self {
        Self { assets: plant.assets, edges: plant.edges, points: plant.points }
    }
}

impl Plant {
    pub fn assets(&self) -> &[Asset] {
        &self.assets
    }

    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    pub fn points(&self) -> &[PointSpec] {
        &self.points
    }

    pub fn asset(&self, id: AssetId) -> &Asset {
        &self.assets[id.index()]
    }

    pub fn point(&self, id: PointId) -> &PointSpec {
        &self.points[id.index()]
    }

    /// Adds an asset; the first of two with one name keeps the name.
    pub fn add_asset(&mut self, asset: Asset) -> AssetId {
        let id = AssetId(u32::try_from(self.assets.len()).unwrap_or(u32::MAX));
        self.asset_by_name.entry(Arc::clone(&asset.name)).or_insert(id);
        self.assets.push(asset);
        id
    }

    /// Adds an edge between two assets of this plant; any other is not one.
    pub fn add_edge(&mut self, from: AssetId, kind: EdgeKind, to: AssetId) {
        let index = self.edges.len();
        self.leaving.resize_with(self.assets.len(), Vec::new);
        self.arriving.resize_with(self.assets.len(), Vec::new);
        let ends = (self.leaving.get_mut(from.index()), self.arriving.get_mut(to.index()));
        let (Some(leaving), Some(arriving)) = ends else { return };
        leaving.push(index);
        arriving.push(index);
        self.edges.push(Edge { from, kind, to });
    }

    /// Adds a point, or returns the one that is already there for this asset and quantity.
    pub fn add_point(&mut self, point: PointSpec) -> PointId {
        if let Some(known) = self.find_point(point.asset, &point.quantity) {
            return known;
        }
        let id = PointId(u32::try_from(self.points.len()).unwrap_or(u32::MAX));
        self.point_by_name.resize_with(self.assets.len(), HashMap::new);
        if let Some(points) = self.point_by_name.get_mut(point.asset.index()) {
            points.insert(Arc::clone(&point.quantity), id);
        }
        self.points.push(point);
        id
    }

    pub fn point_ids(&self) -> impl Iterator<Item = PointId> + use<> {
        (0..u32::try_from(self.points.len()).unwrap_or(u32::MAX)).map(PointId)
    }

    pub fn find_asset(&self, name: &str) -> Option<AssetId> {
        self.asset_by_name.get(name).copied()
    }

    pub fn find_point(&self, asset: AssetId, quantity: &str) -> Option<PointId> {
        self.point_by_name.get(asset.index())?.get(quantity).copied()
    }

    /// `cdu-2.tcs.supply_temperature`.
    pub fn point_name(&self, id: PointId) -> String {
        let point = self.point(id);
        format!("{}.{}", self.asset(point.asset).name, point.quantity)
    }

    pub fn of_kind(&self, kind: AssetKind) -> impl Iterator<Item = AssetId> + '_ {
        (0_u32..)
            .zip(&self.assets)
            .filter(move |(_, asset)| asset.kind == kind)
            .map(|(index, _)| AssetId(index))
    }

    /// What `from` points at by `kind`.
    pub fn targets(&self, from: AssetId, kind: EdgeKind) -> impl Iterator<Item = AssetId> + '_ {
        self.edges_in(&self.leaving, from, kind).map(|edge| edge.to)
    }

    /// What points at `to` by `kind`.
    pub fn sources(&self, to: AssetId, kind: EdgeKind) -> impl Iterator<Item = AssetId> + '_ {
        self.edges_in(&self.arriving, to, kind).map(|edge| edge.from)
    }

    fn edges_in<'a>(
        &'a self,
        lists: &'a [Vec<usize>],
        asset: AssetId,
        kind: EdgeKind,
    ) -> impl Iterator<Item = &'a Edge> {
        let list = lists.get(asset.index()).map(Vec::as_slice).unwrap_or_default();
        list.iter().map(|&index| &self.edges[index]).filter(move |edge| edge.kind == kind)
    }
}
