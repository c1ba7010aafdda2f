//! Where things are: the points of every CDU and rack, found once per plant so that a frame looks up nothing by name.

use std::{collections::HashMap, ops::Range};

use rules::plant::{
    AssetId, AssetKind, Detail, EdgeKind, Plant, PointId, PointKind, Rack, Technology,
};

/// The plant as the screens walk through it.
#[derive(Clone, Debug, Default)]
pub struct Index {
    pub site: SitePoints,
    pub cdus: Vec<CduPoints>,
    /// In order of row, then place.
    pub racks: Vec<RackPoints>,
    pub rows: Vec<RackRow>,
    /// Every state of a leak detector, wherever it sits.
    pub leaks: Vec<PointId>,
    /// Dew point of each room that has one.
    pub dew_points: Vec<PointId>,
    /// Sum of what the racks are designed for.
    pub design_power_kw: f64,
    /// Sum of what the CDUs are rated for; `None` unless all of them declare it.
    pub rated_heat_kw: Option<f64>,
    /// Highest design power of a rack.
    pub design_rack_kw: f64,
    points_of: Vec<Vec<PointId>>,
    cdu_of: Vec<Option<usize>>,
    rack_of: Vec<Option<usize>>,
}

#[derive(Clone, Debug, Default)]
pub struct SitePoints {
    pub it_power: Option<PointId>,
    pub facility_power: Option<PointId>,
    pub power_ratio: Option<PointId>,
    pub liquid_heat: Option<PointId>,
    pub heat_capture: Option<PointId>,
    pub rack_power_mean: Option<PointId>,
    pub rack_power_mean_occupied: Option<PointId>,
    pub rack_power_max: Option<PointId>,
    pub power_density: Option<PointId>,
    pub dew_point_margin: Option<PointId>,
}

#[derive(Clone, Debug)]
pub struct CduPoints {
    pub asset: AssetId,
    pub technology: Technology,
    pub rated_heat_kw: Option<f64>,
    pub pumps_required: u32,
    pub pumps: Vec<PumpPoints>,
    /// Into [`Index::racks`].
    pub racks: Vec<usize>,
    pub fws: SidePoints,
    pub tcs: SidePoints,
    pub specific_flow: Option<PointId>,
    pub supply_setpoint: Option<PointId>,
    pub approach: Option<PointId>,
    pub dew_point_margin: Option<PointId>,
    pub load: Option<PointId>,
    pub filter: Option<PointId>,
    pub level: Option<PointId>,
    pub leak: Option<PointId>,
    pub valve: Option<PointId>,
}

/// One side of a heat exchanger.
#[derive(Clone, Copy, Debug, Default)]
pub struct SidePoints {
    pub supply: Option<PointId>,
    pub back: Option<PointId>,
    pub delta: Option<PointId>,
    pub flow: Option<PointId>,
    pub delta_pressure: Option<PointId>,
    pub heat: Option<PointId>,
}

#[derive(Clone, Debug)]
pub struct PumpPoints {
    /// From 1, as in `pump_1.speed`.
    pub number: u32,
    pub state: Option<PointId>,
    pub speed: Option<PointId>,
    pub rotation: Option<PointId>,
}

#[derive(Clone, Debug)]
pub struct RackPoints {
    pub asset: AssetId,
    pub design_power_kw: f64,
    pub footprint_m2: Option<f64>,
    pub feeds: u32,
    pub position: u32,
    /// Into [`Index::rows`].
    pub row: usize,
    /// Into [`Index::cdus`]: what cools it.
    pub cdu: Option<usize>,
    pub technology: Option<Technology>,
    pub power: Option<PointId>,
    pub load: Option<PointId>,
    pub density: Option<PointId>,
    /// The branch of the loop; for a cabinet that is cooled by facility water itself, that side.
    pub liquid: SidePoints,
    pub is_facility_side: bool,
    pub specific_flow: Option<PointId>,
    pub capture: Option<PointId>,
    pub leak: Option<PointId>,
    /// What feeds it, with the power each one measures.
    pub feeders: Vec<(AssetId, Option<PointId>)>,
}

/// One row of racks, by its label in the site file.
#[derive(Clone, Debug)]
pub struct RackRow {
    pub label: String,
    /// Into [`Index::racks`].
    pub racks: Range<usize>,
    pub design_power_kw: f64,
    /// Sum of the footprints; `None` unless all racks of the row declare theirs.
    pub footprint_m2: Option<f64>,
}

impl Index {
    pub fn new(plant: &Plant) -> Self {
        let mut index = Self {
            points_of: vec![Vec::new(); plant.assets().len()],
            cdu_of: vec![None; plant.assets().len()],
            rack_of: vec![None; plant.assets().len()],
            ..Self::default()
        };
        index.sort_points(plant);
        if let Some(site) = plant.of_kind(AssetKind::Site).next() {
            index.site = site_points(plant, site);
        }
        index.dew_points = plant
            .of_kind(AssetKind::Room)
            .filter_map(|room| plant.find_point(room, "dew_point"))
            .collect();
        index.cdus = plant.of_kind(AssetKind::Cdu).map(|cdu| cdu_points(plant, cdu)).collect();
        index.rated_heat_kw = index.cdus.iter().map(|cdu| cdu.rated_heat_kw).sum();
        index.place_racks(plant);
        index.connect(plant);
        index
    }

    /// The points of one asset.
    pub fn points_of(&self, asset: AssetId) -> &[PointId] {
        self.points_of.get(asset.index()).map_or(&[], Vec::as_slice)
    }

    /// Which of [`Self::cdus`] shows this asset: the CDU itself, or the one that cools this loop.
    pub fn cdu(&self, asset: AssetId) -> Option<usize> {
        self.cdu_of.get(asset.index()).copied().flatten()
    }

    /// Which of [`Self::racks`] shows this asset: the rack itself, or the only one that this feeder or device serves.
    pub fn rack(&self, asset: AssetId) -> Option<usize> {
        self.rack_of.get(asset.index()).copied().flatten()
    }

    /// The CDU or rack on whose screen this asset is found; the asset itself where there is none.
    pub fn shown_at(&self, asset: AssetId) -> AssetId {
        let cdu = self.cdu(asset).and_then(|at| self.cdus.get(at)).map(|cdu| cdu.asset);
        let rack = self.rack(asset).and_then(|at| self.racks.get(at)).map(|rack| rack.asset);
        cdu.or(rack).unwrap_or(asset)
    }

    fn sort_points(&mut self, plant: &Plant) {
        for (number, point) in (0_u32..).zip(plant.points()) {
            if let Some(points) = self.points_of.get_mut(point.asset.index()) {
                points.push(PointId(number));
            }
            let leak = point.quantity.starts_with("leak") && point.quantity.ends_with("state");
            if leak && point.kind == PointKind::State {
                self.leaks.push(PointId(number));
            }
        }
    }

    fn place_racks(&mut self, plant: &Plant) {
        let mut racks: Vec<(&Rack, AssetId)> = plant
            .of_kind(AssetKind::Rack)
            .filter_map(|id| match &plant.asset(id).detail {
                Detail::Rack(rack) => Some((rack, id)),
                _ => None,
            })
            .collect();
        racks.sort_by(|(a, _), (b, _)| {
            natural(&a.row).cmp(&natural(&b.row)).then(a.position.cmp(&b.position))
        });
        for (rack, asset) in racks {
            let at = self.racks.len();
            if self.rows.last().is_none_or(|row| row.label != rack.row) {
                self.rows.push(RackRow {
                    label: rack.row.clone(),
                    racks: at..at,
                    design_power_kw: 0.0,
                    footprint_m2: Some(0.0),
                });
            }
            self.racks.push(rack_points(plant, asset, rack, self.rows.len() - 1));
            if let Some(row) = self.rows.last_mut() {
                row.racks.end = at + 1;
                row.design_power_kw += rack.design_power_kw;
                row.footprint_m2 = row.footprint_m2.zip(rack.footprint_m2).map(|(a, b)| a + b);
            }
            self.design_power_kw += rack.design_power_kw;
            self.design_rack_kw = self.design_rack_kw.max(rack.design_power_kw);
        }
    }

    /// Follows CDU → loop → rack in both directions.
    fn connect(&mut self, plant: &Plant) {
        for (at, rack) in self.racks.iter().enumerate() {
            if let Some(slot) = self.rack_of.get_mut(rack.asset.index()) {
                *slot = Some(at);
            }
        }
        self.connect_feeders(plant);
        for circuit in plant.of_kind(AssetKind::Loop) {
            let Detail::Loop(detail) = &plant.asset(circuit).detail else { continue };
            for rack in plant.targets(circuit, EdgeKind::Cools) {
                if let Some(rack) = self.rack(rack) {
                    self.racks[rack].technology = Some(detail.technology);
                }
            }
        }
        for at in 0..self.cdus.len() {
            let cdu = self.cdus[at].asset;
            if let Some(slot) = self.cdu_of.get_mut(cdu.index()) {
                *slot = Some(at);
            }
            let loops: Vec<AssetId> = plant.targets(cdu, EdgeKind::Cools).collect();
            for circuit in loops {
                if let Some(slot) = self.cdu_of.get_mut(circuit.index()) {
                    slot.get_or_insert(at);
                }
                let Some(asset) = plant.assets().get(circuit.index()) else { continue };
                let Detail::Loop(detail) = &asset.detail else { continue };
                self.cdus[at].technology = detail.technology;
                for rack in plant.targets(circuit, EdgeKind::Cools) {
                    let Some(rack) = self.rack(rack) else { continue };
                    self.racks[rack].cdu.get_or_insert(at);
                    self.cdus[at].racks.push(rack);
                }
            }
            self.cdus[at].racks.sort_unstable();
            self.cdus[at].racks.dedup();
        }
        self.connect_devices(plant);
    }
}

impl Index {
    fn connect_feeders(&mut self, plant: &Plant) {
        let mut fed: HashMap<AssetId, Vec<usize>> = HashMap::new();
        for edge in plant.edges().iter().filter(|edge| edge.kind == EdgeKind::Feeds) {
            if let Some(rack) = self.rack(edge.to) {
                let power = ["active_power", "power"]
                    .iter()
                    .find_map(|quantity| plant.find_point(edge.from, quantity));
                self.racks[rack].feeders.push((edge.from, power));
                fed.entry(edge.from).or_default().push(rack);
            }
        }
        for (feeder, racks) in fed {
            if let ([rack], Some(slot)) = (racks.as_slice(), self.rack_of.get_mut(feeder.index())) {
                slot.get_or_insert(*rack);
            }
        }
    }

    /// A device that reports on one asset is found where that asset is.
    fn connect_devices(&mut self, plant: &Plant) {
        let mut measured: HashMap<AssetId, Vec<AssetId>> = HashMap::new();
        for edge in plant.edges().iter().filter(|edge| edge.kind == EdgeKind::Measures) {
            measured.entry(edge.from).or_default().push(edge.to);
        }
        for (device, assets) in measured {
            let [asset] = assets.as_slice() else { continue };
            let (cdu, rack) = (self.cdu(*asset), self.rack(*asset));
            if let Some(slot) = self.cdu_of.get_mut(device.index()) {
                *slot = slot.or(cdu);
            }
            if let Some(slot) = self.rack_of.get_mut(device.index()) {
                *slot = slot.or(rack);
            }
        }
    }
}

fn site_points(plant: &Plant, site: AssetId) -> SitePoints {
    let point = |quantity| plant.find_point(site, quantity);
    SitePoints {
        it_power: point("it_power"),
        facility_power: point("facility_power"),
        power_ratio: point("power_ratio"),
        liquid_heat: point("liquid_heat"),
        heat_capture: point("heat_capture"),
        rack_power_mean: point("rack_power_mean"),
        rack_power_mean_occupied: point("rack_power_mean_occupied"),
        rack_power_max: point("rack_power_max"),
        power_density: point("power_density"),
        dew_point_margin: point("dew_point_margin"),
    }
}

fn cdu_points(plant: &Plant, asset: AssetId) -> CduPoints {
    let point = |quantity: &str| plant.find_point(asset, quantity);
    let (rated_heat_kw, pumps, pumps_required) = match &plant.asset(asset).detail {
        Detail::Cdu(cdu) => (cdu.rated_heat_kw, cdu.pumps, cdu.pumps_required),
        _ => (None, 0, 0),
    };
    CduPoints {
        asset,
        technology: Technology::ColdPlate,
        rated_heat_kw,
        pumps_required,
        pumps: (1..=pumps.min(PUMPS_SHOWN))
            .map(|number| PumpPoints {
                number,
                state: point(&format!("pump_{number}.state")),
                speed: point(&format!("pump_{number}.speed")),
                rotation: point(&format!("pump_{number}.rotation")),
            })
            .collect(),
        racks: Vec::new(),
        fws: side_points(plant, asset, "fws"),
        tcs: side_points(plant, asset, "tcs"),
        specific_flow: point("tcs.specific_flow"),
        supply_setpoint: point("tcs.supply_setpoint"),
        approach: point("approach_temperature"),
        dew_point_margin: point("dew_point_margin"),
        load: point("load"),
        filter: point("filter.delta_pressure"),
        level: point("reservoir.level"),
        leak: point("leak.state"),
        valve: point("valve.position").or_else(|| point("fws.valve.position")),
    }
}

/// A CDU declares two to four pumps; a wrong figure in a site file must not fill the screen.
const PUMPS_SHOWN: u32 = 8;

fn rack_points(plant: &Plant, asset: AssetId, rack: &Rack, row: usize) -> RackPoints {
    let point = |quantity: &str| plant.find_point(asset, quantity);
    let branch = side_points(plant, asset, "liquid");
    let is_facility_side = branch.flow.is_none() && point("fws.flow").is_some();
    let liquid = if is_facility_side {
        let facility = side_points(plant, asset, "fws");
        SidePoints {
            delta: facility.delta.or(branch.delta),
            heat: facility.heat.or(branch.heat),
            ..facility
        }
    } else {
        branch
    };
    RackPoints {
        asset,
        design_power_kw: rack.design_power_kw,
        footprint_m2: rack.footprint_m2,
        feeds: rack.feeds,
        position: rack.position,
        row,
        cdu: None,
        technology: None,
        power: point("power"),
        load: point("load"),
        density: point("power_density"),
        liquid,
        is_facility_side,
        specific_flow: point("liquid.specific_flow").filter(|_| !is_facility_side),
        capture: point("heat_capture"),
        leak: point("leak.state"),
        feeders: Vec::new(),
    }
}

fn side_points(plant: &Plant, asset: AssetId, side: &str) -> SidePoints {
    let point = |word: &str| plant.find_point(asset, &format!("{side}.{word}"));
    SidePoints {
        supply: point("supply_temperature"),
        back: point("return_temperature"),
        delta: point("delta_temperature"),
        flow: point("flow"),
        delta_pressure: point("delta_pressure"),
        heat: point("heat"),
    }
}

/// `R2` before `R10`: text first, then the number at its end.
fn natural(label: &str) -> (&str, u64, &str) {
    let digits = label.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = label.get(digits.len()..).and_then(|n| n.parse().ok()).unwrap_or(0);
    (digits, number, label)
}
