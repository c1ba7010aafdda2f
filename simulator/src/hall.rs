//! The hall: all physics of a site, stepped together, the same from the same seed.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rules::plant::{
    AssetId, AssetKind, Carrier, CoolantLoop as LoopRecord, Detail, EdgeKind, Plant, Technology,
};
use thiserror::Error;

use crate::{
    coolant_loop::{CoolantLoop, FacilitySide, FacilityWater, LoopDesign},
    electrical::{Demand, Energies, Network},
    facility::{Facility, Room, Served},
    heat::is_known,
    load::Load,
    register::EnergyRegister,
    scenario::{CoolingProfile, Scenario},
    two_phase::TwoPhaseTank,
    weather::{self, Weather},
};

/// The physics advance by this much at a time: short against the fastest lump (a rack, about 20 s).
pub const STEP_S: f64 = 0.1;
/// The longest step that every loop and controller bears (a pipe's content is exchanged in 8 s), for weeks at a time.
pub const STRIDE_S: f64 = 2.0;
/// Let pass before time zero, so that nobody sees the controllers find their rest.
const SETTLE_S: f64 = 90.0;
/// Return temperature at which accelerators begin to throttle, and the span to their least power.
const THROTTLE_FROM_C: f64 = 62.0;
const THROTTLE_SPAN_K: f64 = 12.0;
const THROTTLED_SHARE: f64 = 0.15;
/// Lighting, offices and the like, as a share of the design IT power.
const OTHER_SHARE: f64 = 0.006;

/// Why a site cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HallError {
    #[error("power flows in a circle: the \"feeds\" of the site lead back to their start")]
    PowerCircle,
    #[error("loop \"{0}\" is cooled by more than one CDU, which the simulator cannot do")]
    SharedLoop(String),
    #[error("rack \"{0}\" is on more than one loop, which the simulator cannot do")]
    RackOnTwoLoops(String),
    #[error("loop \"{0}\" has no record of its coolant and design")]
    BareLoop(String),
    #[error("loop \"{0}\" has a coolant without property data")]
    UnknownCoolant(String),
}

/// One rack.
#[derive(Clone, Debug)]
pub struct Rack {
    pub asset: AssetId,
    pub design_kw: f64,
    /// Share of its power that goes into the liquid; the rest warms the room.
    pub capture: f64,
    pub power_kw: f64,
    /// Where it hangs: index of the loop, and of the branch within it.
    pub branch: Option<(usize, usize)>,
    pub leaking: bool,
}

/// One loop with what cools it.
#[derive(Clone, Debug)]
pub struct Circuit {
    pub asset: AssetId,
    pub cdu: Option<AssetId>,
    /// Indices of its racks, in the order of the branches.
    pub racks: Vec<usize>,
    pub leaking: bool,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    SinglePhase(Box<CoolantLoop>),
    TwoPhase(TwoPhaseTank),
}

impl Body {
    pub fn facility(&self) -> &FacilitySide {
        match self {
            Self::SinglePhase(single) => &single.facility,
            Self::TwoPhase(tank) => &tank.facility,
        }
    }

    /// Heat that leaves the IT equipment with the liquid.
    pub fn heat_kw(&self) -> f64 {
        match self {
            Self::SinglePhase(single) => single.heat_kw(),
            Self::TwoPhase(tank) => tank.facility.heat_kw,
        }
    }

    fn set_leak(&mut self, litres_per_hour: f64) {
        match self {
            Self::SinglePhase(single) => single.leak_lph = litres_per_hour,
            Self::TwoPhase(tank) => tank.leak_lph = litres_per_hour,
        }
    }
}

/// A meter that stands beside the power chain and reads one asset.
#[derive(Clone, Debug)]
pub struct Tap {
    pub of: AssetId,
    pub carrier: Carrier,
    pub power_kw: f64,
    pub register: EnergyRegister,
}

/// Everything physical.
#[derive(Clone, Debug)]
pub struct Hall {
    start: DateTime<Utc>,
    elapsed_s: f64,
    /// What [`Hall::advance`] was given and did not yet step.
    owed_s: f64,
    weather: Weather,
    load: Load,
    other_kw: f64,
    pub racks: Vec<Rack>,
    pub circuits: Vec<Circuit>,
    pub facility: Facility,
    pub room: Room,
    pub network: Network,
    pub taps: HashMap<AssetId, Tap>,
    rack_by_asset: HashMap<AssetId, usize>,
    circuit_by_asset: HashMap<AssetId, usize>,
}

impl Hall {
    /// The hall of a site, at rest under the scenario's load.
    pub fn new(plant: &Plant, scenario: &Scenario) -> Result<Self, HallError> {
        let mut random = ChaCha8Rng::seed_from_u64(scenario.seed);
        let mut racks = racks(plant, &mut random);
        let mut load_random = ChaCha8Rng::seed_from_u64(scenario.seed);
        load_random.set_stream(1);
        let load = Load::new(scenario.load.clone(), load_random, racks.len());
        for (index, rack) in racks.iter_mut().enumerate() {
            rack.power_kw = load.power_kw(index, rack.design_kw);
        }
        let circuits = circuits(plant, &mut racks, &scenario.cooling)?;
        let design_kw: f64 = racks.iter().map(|rack| rack.design_kw).sum();
        let network = Network::of(plant, &mut random).ok_or(HallError::PowerCircle)?;
        let air_kw: f64 = racks.iter().map(|rack| rack.power_kw * (1.0 - rack.capture)).sum();
        let cooling = &scenario.cooling;
        let mut hall = Self {
            start: scenario.start,
            elapsed_s: -SETTLE_S,
            owed_s: 0.0,
            weather: Weather {
                mean_c: scenario.weather.mean_c,
                swing_k: scenario.weather.swing_k,
                dew_point_c: scenario.weather.dew_point_c,
            },
            load,
            other_kw: design_kw * OTHER_SHARE,
            facility: Facility::settled(design_kw, cooling.fws_supply_c),
            room: Room::settled(cooling.room_c, cooling.room_dew_point_c, air_kw),
            network,
            taps: taps(plant, &mut random),
            rack_by_asset: (0..).zip(&racks).map(|(index, rack)| (rack.asset, index)).collect(),
            circuit_by_asset: circuit_index(&circuits),
            racks,
            circuits,
        };
        hall.settle();
        Ok(hall)
    }

    /// Lets `seconds` pass, in whole steps; the rest is owed to the next call.
    pub fn advance(&mut self, seconds: f64) {
        self.owed_s += seconds.max(0.0);
        while self.owed_s >= STEP_S - 1e-9 {
            self.owed_s -= STEP_S;
            self.step();
        }
    }

    /// One step of [`STEP_S`].
    pub fn step(&mut self) {
        self.step_by(STEP_S);
    }

    /// One step of `seconds`, at most [`STRIDE_S`]. Every register counts the power of the step as it stands, and so do
    /// the totals: a longer step is coarser physics, but never a different energy.
    pub fn step_by(&mut self, seconds: f64) {
        self.elapsed_s += seconds;
        self.network.energise();
        self.load.step(seconds);
        self.draw_power();
        self.move_heat(seconds);
        self.network.step(seconds, &self.demand());
        self.read_taps(seconds);
    }

    /// Simulated seconds since the start.
    pub fn elapsed_s(&self) -> f64 {
        self.elapsed_s
    }

    /// Wall time in the hall.
    pub fn now(&self) -> DateTime<Utc> {
        weather::after(self.start, self.elapsed_s)
    }

    pub fn outdoor_c(&self) -> f64 {
        self.weather.dry_bulb_c(self.now())
    }

    pub fn outdoor_humidity_percent(&self) -> f64 {
        self.weather.humidity_percent(self.now())
    }

    pub fn rack(&self, asset: AssetId) -> Option<&Rack> {
        self.rack_by_asset.get(&asset).and_then(|index| self.racks.get(*index))
    }

    /// The circuit of a loop or of its CDU.
    pub fn circuit(&self, asset: AssetId) -> Option<&Circuit> {
        self.circuit_by_asset.get(&asset).and_then(|index| self.circuits.get(*index))
    }

    pub fn circuit_mut(&mut self, asset: AssetId) -> Option<&mut Circuit> {
        self.circuit_by_asset.get(&asset).and_then(|index| self.circuits.get_mut(*index))
    }

    /// The single-phase loop of a loop or CDU.
    pub fn single_phase_mut(&mut self, asset: AssetId) -> Option<&mut CoolantLoop> {
        match &mut self.circuit_mut(asset)?.body {
            Body::SinglePhase(single) => Some(single),
            Body::TwoPhase(_) => None,
        }
    }

    /// Wets the leak sensor of a rack or of a CDU or loop, and lets its loop lose coolant; nothing per hour mends it.
    /// False where the asset holds no coolant.
    pub fn leak(&mut self, asset: AssetId, litres_per_hour: f64) -> bool {
        let leaking = litres_per_hour > 0.0;
        let index = match self.rack_by_asset.get(&asset).copied() {
            Some(rack) => {
                self.racks[rack].leaking = leaking;
                self.racks[rack].branch.map(|(circuit, _)| circuit)
            }
            None => self.circuit_by_asset.get(&asset).copied(),
        };
        let Some(index) = index else { return false };
        let circuit = &mut self.circuits[index];
        if circuit.asset == asset || circuit.cdu == Some(asset) {
            circuit.leaking = leaking;
        }
        circuit.body.set_leak(litres_per_hour);
        true
    }

    /// The register of a meter, a PDU, a UPS, a bus or a rack.
    pub fn register(&self, asset: AssetId) -> Option<&EnergyRegister> {
        let tap = self.taps.get(&asset).map(|tap| &tap.register);
        tap.or_else(|| self.network.node(asset).map(|node| &node.register))
    }

    pub fn register_mut(&mut self, asset: AssetId) -> Option<&mut EnergyRegister> {
        match self.taps.get_mut(&asset) {
            Some(tap) => Some(&mut tap.register),
            None => self.network.node_mut(asset).map(|node| &mut node.register),
        }
    }

    /// Finds rest, then forgets that energy flowed meanwhile.
    fn settle(&mut self) {
        let nodes = self.network.nodes.clone();
        let taps = self.taps.clone();
        while self.elapsed_s < -STEP_S / 2.0 {
            self.step();
        }
        self.elapsed_s = 0.0;
        for (node, fresh) in self.network.nodes.iter_mut().zip(nodes) {
            (node.register, node.delivered) = (fresh.register, fresh.delivered);
        }
        for (asset, tap) in taps {
            if let Some(settled) = self.taps.get_mut(&asset) {
                settled.register = tap.register;
            }
        }
        self.network.totals = Energies::default();
        for circuit in &mut self.circuits {
            if let Body::SinglePhase(single) = &mut circuit.body {
                single.totals = crate::coolant_loop::LoopEnergies::default();
            }
        }
    }

    /// Racks draw what their jobs ask for, less what heat forbids, and nothing without a feed.
    fn draw_power(&mut self) {
        for (index, rack) in self.racks.iter_mut().enumerate() {
            let asked_kw = self.load.power_kw(index, rack.design_kw);
            let hottest_c = rack.branch.map(|(circuit, branch)| {
                match &self.circuits[circuit].body {
                    Body::SinglePhase(single) => single.branches[branch].return_c,
                    // The dielectric boils lower than that and its boards bear more.
                    Body::TwoPhase(tank) => tank.boiling_c - 5.0,
                }
            });
            let over_k = hottest_c.map_or(0.0, |hottest_c| hottest_c - THROTTLE_FROM_C);
            let allowed = (1.0 - over_k / THROTTLE_SPAN_K).clamp(THROTTLED_SHARE, 1.0);
            let live = self.network.is_live(rack.asset);
            rack.power_kw = if live { asked_kw * allowed } else { 0.0 };
        }
    }

    fn move_heat(&mut self, seconds: f64) {
        // The pumps of the CDUs are taken to hang on a UPS; everything outside them stops without its feeds.
        let powered = self.network.cooling_is_live();
        let water = FacilityWater { supply_c: self.facility.supply_c, flows: powered };
        let (mut heat_kw, mut flow_lpm) = (0.0, 0.0);
        for circuit in &mut self.circuits {
            let rack_heat_kw: Vec<f64> = circuit
                .racks
                .iter()
                .map(|rack| self.racks[*rack].power_kw * self.racks[*rack].capture)
                .collect();
            match &mut circuit.body {
                Body::SinglePhase(single) => single.step(seconds, &rack_heat_kw, water),
                Body::TwoPhase(tank) => {
                    tank.step(seconds, rack_heat_kw.iter().sum(), water);
                }
            }
            heat_kw += circuit.body.facility().heat_kw;
            flow_lpm += circuit.body.facility().flow_lpm;
        }
        let outdoor_c = self.outdoor_c();
        let served = Served { heat_kw, flow_lpm, powered };
        self.facility.step(seconds, &served, outdoor_c);
        let air_kw = self.racks.iter().map(|rack| rack.power_kw * (1.0 - rack.capture)).sum();
        self.room.step(seconds, air_kw, powered);
    }

    fn demand(&self) -> Demand {
        let mut demand = Demand {
            racks: self.racks.iter().map(|rack| (rack.asset, rack.power_kw)).collect(),
            cooling_kw: self.facility.electric_kw() + self.room.electric_kw(),
            other_kw: self.other_kw,
            ..Demand::default()
        };
        for circuit in &self.circuits {
            let Body::SinglePhase(single) = &circuit.body else { continue };
            match circuit.cdu.filter(|cdu| self.network.node(*cdu).is_some()) {
                Some(cdu) => {
                    demand.pumps.insert(cdu, single.pump_kw());
                }
                None => demand.cooling_kw += single.pump_kw(),
            }
        }
        demand
    }

    fn read_taps(&mut self, seconds: f64) {
        for tap in self.taps.values_mut() {
            let circuit = self.circuit_by_asset.get(&tap.of).and_then(|at| self.circuits.get(*at));
            tap.power_kw = match (tap.carrier, circuit) {
                (Carrier::Heat | Carrier::ChilledWater, Some(circuit)) => {
                    circuit.body.facility().heat_kw
                }
                _ => self.network.node(tap.of).map_or(0.0, |node| node.input_kw),
            };
            tap.register.add(tap.power_kw, seconds);
        }
    }
}

fn racks(plant: &Plant, random: &mut ChaCha8Rng) -> Vec<Rack> {
    let mut racks = Vec::new();
    for asset in plant.of_kind(AssetKind::Rack) {
        let Detail::Rack(record) = &plant.asset(asset).detail else { continue };
        racks.push(Rack {
            asset,
            design_kw: record.design_power_kw,
            // Without a loop all heat goes to the room; with one the recorded hall has 0.947 to 0.980.
            capture: random.random_range(0.90..0.97),
            power_kw: 0.0,
            branch: None,
            leaking: false,
        });
    }
    racks
}

fn circuits(
    plant: &Plant,
    racks: &mut [Rack],
    cooling: &CoolingProfile,
) -> Result<Vec<Circuit>, HallError> {
    let mut circuits = Vec::new();
    for asset in plant.of_kind(AssetKind::Loop) {
        let name = || plant.asset(asset).name.to_string();
        let Detail::Loop(record) = &plant.asset(asset).detail else {
            return Err(HallError::BareLoop(name()));
        };
        let known = record.coolant.is_none_or(is_known) && is_known(record.facility_coolant);
        if !known {
            return Err(HallError::UnknownCoolant(name()));
        }
        let mut cdus = plant
            .sources(asset, EdgeKind::Cools)
            .filter(|source| plant.asset(*source).kind == AssetKind::Cdu);
        let (cdu, other) = (cdus.next(), cdus.next());
        if other.is_some() {
            return Err(HallError::SharedLoop(name()));
        }
        let members: Vec<AssetId> = plant.targets(asset, EdgeKind::Cools).collect();
        let mut on_loop = Vec::new();
        for (index, rack) in racks.iter_mut().enumerate() {
            if !members.contains(&rack.asset) {
                continue;
            }
            if rack.branch.is_some() {
                let rack_name = plant.asset(rack.asset).name.to_string();
                return Err(HallError::RackOnTwoLoops(rack_name));
            }
            if record.technology != Technology::ColdPlate {
                // Immersed: next to nothing leaves by air.
                rack.capture = 0.99;
            }
            rack.branch = Some((circuits.len(), on_loop.len()));
            on_loop.push(index);
        }
        let pumps = cdu.map_or(2, |cdu| pump_count(plant, cdu));
        let body = body(record, racks, &on_loop, pumps, cooling);
        circuits.push(Circuit { asset, cdu, racks: on_loop, leaking: false, body });
    }
    for rack in racks.iter_mut().filter(|rack| rack.branch.is_none()) {
        rack.capture = 0.0;
    }
    Ok(circuits)
}

fn pump_count(plant: &Plant, cdu: AssetId) -> u32 {
    match &plant.asset(cdu).detail {
        Detail::Cdu(record) => record.pumps.max(1),
        _ => 2,
    }
}

fn body(
    record: &LoopRecord,
    racks: &[Rack],
    on_loop: &[usize],
    pumps: u32,
    cooling: &CoolingProfile,
) -> Body {
    let heat = |of: fn(&Rack) -> f64| -> Vec<f64> {
        on_loop.iter().map(|index| of(&racks[*index]) * racks[*index].capture).collect()
    };
    let design_kw = heat(|rack| rack.design_kw);
    match record.coolant {
        Some(coolant) if record.technology != Technology::TwoPhase => {
            let design = LoopDesign {
                coolant,
                facility_coolant: record.facility_coolant,
                supply_setpoint_c: cooling.tcs_supply_c,
                facility_supply_c: cooling.fws_supply_c,
                delta_temperature_k: record.design_delta_temperature_k,
                flow_lpm: record.design_flow_lpm,
                rack_heat_kw: design_kw,
                pumps,
            };
            let power_kw = heat(|rack| rack.power_kw);
            Body::SinglePhase(Box::new(CoolantLoop::settled(design, &power_kw)))
        }
        _ => Body::TwoPhase(TwoPhaseTank::settled(
            record.facility_coolant,
            design_kw.iter().sum(),
            heat(|rack| rack.power_kw).iter().sum(),
            cooling.fws_supply_c,
            record.design_delta_temperature_k,
        )),
    }
}

fn taps(plant: &Plant, random: &mut ChaCha8Rng) -> HashMap<AssetId, Tap> {
    let mut taps = HashMap::new();
    for asset in plant.of_kind(AssetKind::Meter) {
        let Detail::Meter(meter) = &plant.asset(asset).detail else { continue };
        let feeds = plant.targets(asset, EdgeKind::Feeds).next().is_some();
        let (Some(of), false) = (plant.targets(asset, EdgeKind::Measures).next(), feeds) else {
            continue;
        };
        let history_kwh: f64 = random.random_range(10_000.0..90_000.0);
        let register = EnergyRegister::of(meter, history_kwh.round());
        taps.insert(asset, Tap { of, carrier: meter.carrier, power_kw: 0.0, register });
    }
    taps
}

fn circuit_index(circuits: &[Circuit]) -> HashMap<AssetId, usize> {
    let mut index = HashMap::new();
    for (at, circuit) in circuits.iter().enumerate() {
        index.insert(circuit.asset, at);
        index.extend(circuit.cdu.map(|cdu| (cdu, at)));
    }
    index
}
