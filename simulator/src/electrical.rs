//! The power chain: who feeds whom, what is lost on the way, and what every register counts.
//!
//! Power is asked for at the leaves (racks, CDU pumps, the mechanical plant) and added up towards the supply. A consumer
//! with several live sources draws from all of them, nearly evenly; when one dies, the others carry its share.

use std::collections::HashMap;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rules::plant::{AssetId, AssetKind, Carrier, Detail, EdgeKind, Meter, Plant, Role};

use crate::register::EnergyRegister;

/// Loss of a double-conversion UPS: fixed and per kW delivered.
const UPS_FIXED_KW: f64 = 4.0;
const UPS_SHARE: f64 = 0.028;
/// Rating over the design load that it may have to carry.
const UPS_RESERVE: f64 = 1.1;
/// Loss of a busbar.
const BUS_SHARE: f64 = 0.002;
/// How long a UPS battery carries its share of the design load.
const BATTERY_HOURS: f64 = 5.0 / 60.0;

/// What a leaf of the power chain draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    Rack(AssetId),
    /// The pumps of one CDU.
    Pumps(AssetId),
    /// A share of all cooling that is not fed on its own.
    Cooling,
    /// A share of lighting, offices and the like.
    Other,
    /// Nothing: the chain ends here.
    None,
}

/// One asset in the power chain.
#[derive(Clone, Debug)]
pub struct Node {
    pub asset: AssetId,
    kind: AssetKind,
    draw: Draw,
    /// Index and weight of what feeds it.
    sources: Vec<(usize, f64)>,
    /// Dead by a scenario.
    pub lost: bool,
    pub live: bool,
    /// What it passes on.
    pub output_kw: f64,
    /// What it takes from its sources.
    pub input_kw: f64,
    pub battery: Option<Battery>,
    /// Of what it takes.
    pub register: EnergyRegister,
    /// Of what it passes on.
    pub delivered: EnergyRegister,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Battery {
    /// What the UPS can deliver.
    pub rating_kw: f64,
    pub capacity_kwh: f64,
    pub charge_kwh: f64,
    pub discharging: bool,
}

/// What the leaves ask for, in kW.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    pub racks: HashMap<AssetId, f64>,
    pub pumps: HashMap<AssetId, f64>,
    /// Of everything that cools and has no feed of its own.
    pub cooling_kw: f64,
    pub other_kw: f64,
}

/// The hall's power at one moment. `supplied = it + losses + cooling + other + battery charge`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Balance {
    pub supplied_kw: f64,
    pub it_kw: f64,
    pub losses_kw: f64,
    pub cooling_kw: f64,
    pub other_kw: f64,
    /// Into batteries; negative while they carry load.
    pub charging_kw: f64,
}

/// The same over the time since the start: the plant's own integrals.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Energies {
    pub supplied_kwh: f64,
    pub it_kwh: f64,
    pub losses_kwh: f64,
    pub cooling_kwh: f64,
    pub other_kwh: f64,
    pub charging_kwh: f64,
}

impl Energies {
    fn add(&mut self, balance: &Balance, hours: f64) {
        self.supplied_kwh += balance.supplied_kw * hours;
        self.it_kwh += balance.it_kw * hours;
        self.losses_kwh += balance.losses_kw * hours;
        self.cooling_kwh += balance.cooling_kw * hours;
        self.other_kwh += balance.other_kw * hours;
        self.charging_kwh += balance.charging_kw * hours;
    }
}

#[derive(Clone, Debug)]
pub struct Network {
    pub nodes: Vec<Node>,
    by_asset: HashMap<AssetId, usize>,
    /// Consumers before what feeds them.
    order: Vec<usize>,
    cooling_leaves: f64,
    other_leaves: f64,
    pub balance: Balance,
    pub totals: Energies,
}

impl Network {
    /// The chain of a site. `None`: power flows in a circle.
    pub fn of(plant: &Plant, random: &mut ChaCha8Rng) -> Option<Self> {
        let mut nodes = Vec::new();
        let mut by_asset = HashMap::new();
        for (index, asset) in (0_u32..).map(AssetId).zip(plant.assets()) {
            if let Some(draw) = draw_of(plant, index) {
                by_asset.insert(index, nodes.len());
                nodes.push(Node::of(index, asset.kind, &asset.detail, draw, random));
            }
        }
        for edge in plant.edges().iter().filter(|edge| edge.kind == EdgeKind::Feeds) {
            if let (Some(from), Some(to)) = (by_asset.get(&edge.from), by_asset.get(&edge.to)) {
                nodes[*to].sources.push((*from, random.random_range(0.94..1.06)));
            }
        }
        let leaves = |kind: Draw| nodes.iter().filter(|node| node.draw == kind).map(|_| 1.0).sum();
        let (cooling_leaves, other_leaves) = (leaves(Draw::Cooling), leaves(Draw::Other));
        let order = consumers_first(&nodes)?;
        for node in nodes.iter_mut().filter(|node| node.kind == AssetKind::Ups) {
            node.battery = Some(Battery::sized_for(design_kw(plant, node.asset)));
        }
        Some(Self {
            nodes,
            by_asset,
            order,
            cooling_leaves,
            other_leaves,
            balance: Balance::default(),
            totals: Energies::default(),
        })
    }

    pub fn node(&self, asset: AssetId) -> Option<&Node> {
        self.by_asset.get(&asset).and_then(|index| self.nodes.get(*index))
    }

    pub fn node_mut(&mut self, asset: AssetId) -> Option<&mut Node> {
        self.by_asset.get(&asset).and_then(|index| self.nodes.get_mut(*index))
    }

    /// True while something live feeds the asset, and for what nobody is said to feed.
    pub fn is_live(&self, asset: AssetId) -> bool {
        self.node(asset).is_none_or(|node| node.live)
    }

    /// True while the cooling has power: somewhere, or where the site does not say how it is fed.
    pub fn cooling_is_live(&self) -> bool {
        let mut fed = self.nodes.iter().filter(|node| node.draw == Draw::Cooling).peekable();
        fed.peek().is_none() || fed.any(|node| node.live)
    }

    /// Works out who is live: after a scenario changed something, before power is drawn.
    pub fn energise(&mut self) {
        for index in self.order.iter().rev().copied() {
            let node = &self.nodes[index];
            let fed = node.sources.is_empty()
                || node.sources.iter().any(|(source, _)| self.nodes[*source].live);
            let carried = node.battery.is_some_and(|battery| battery.charge_kwh > 0.0);
            let live = !node.lost && (fed || carried);
            let node = &mut self.nodes[index];
            node.live = live;
            if let Some(battery) = &mut node.battery {
                battery.discharging = live && !fed;
            }
        }
    }

    /// Draws power for `seconds` and lets every register count.
    pub fn step(&mut self, seconds: f64, demand: &Demand) {
        let mut balance = Balance::default();
        for node in &mut self.nodes {
            node.output_kw = 0.0;
        }
        for at in 0..self.order.len() {
            let index = self.order[at];
            self.draw(index, demand, &mut balance);
            self.carry(index, seconds, &mut balance);
            self.ask_sources(index, &mut balance);
            let node = &mut self.nodes[index];
            node.register.add(node.input_kw, seconds);
            node.delivered.add(node.output_kw, seconds);
        }
        self.totals.add(&balance, seconds / 3600.0);
        self.balance = balance;
    }

    /// Adds what a live leaf uses itself.
    fn draw(&mut self, index: usize, demand: &Demand, balance: &mut Balance) {
        let node = &mut self.nodes[index];
        if !node.live {
            return;
        }
        let of = |table: &HashMap<AssetId, f64>, asset| table.get(&asset).copied().unwrap_or(0.0);
        let (power_kw, account) = match node.draw {
            Draw::Rack(asset) => (of(&demand.racks, asset), &mut balance.it_kw),
            Draw::Pumps(asset) => (of(&demand.pumps, asset), &mut balance.cooling_kw),
            Draw::Cooling => (demand.cooling_kw / self.cooling_leaves, &mut balance.cooling_kw),
            Draw::Other => (demand.other_kw / self.other_leaves, &mut balance.other_kw),
            Draw::None => return,
        };
        node.output_kw += power_kw;
        *account += power_kw;
    }

    /// Turns what a node passes on into what it takes: losses, and its battery.
    fn carry(&mut self, index: usize, seconds: f64, balance: &mut Balance) {
        let node = &mut self.nodes[index];
        let loss_kw = match node.kind {
            AssetKind::Ups if node.live => UPS_FIXED_KW + UPS_SHARE * node.output_kw,
            AssetKind::Bus => BUS_SHARE * node.output_kw,
            _ => 0.0,
        };
        balance.losses_kw += loss_kw;
        node.input_kw = node.output_kw + loss_kw;
        let Some(battery) = &mut node.battery else { return };
        let hours = seconds / 3600.0;
        if battery.discharging {
            balance.charging_kw -= node.input_kw;
            battery.charge_kwh = (battery.charge_kwh - node.input_kw * hours).max(0.0);
            node.input_kw = 0.0;
        } else if node.live && battery.charge_kwh < battery.capacity_kwh {
            let room_kw = (battery.capacity_kwh - battery.charge_kwh) / hours;
            let charging_kw = (battery.capacity_kwh * 0.2).min(room_kw);
            battery.charge_kwh += charging_kw * hours;
            node.input_kw += charging_kw;
            balance.charging_kw += charging_kw;
        }
    }

    /// Spreads what a node takes over its live sources; what has none takes it from outside the plant.
    fn ask_sources(&mut self, index: usize, balance: &mut Balance) {
        let input_kw = self.nodes[index].input_kw;
        let sources = self.nodes[index].sources.clone();
        if sources.is_empty() {
            balance.supplied_kw += input_kw;
            return;
        }
        let weight: f64 = sources
            .iter()
            .filter(|(source, _)| self.nodes[*source].live)
            .map(|(_, weight)| weight)
            .sum();
        for (source, share) in sources {
            if self.nodes[source].live {
                self.nodes[source].output_kw += input_kw * share / weight;
            }
        }
    }
}

impl Battery {
    /// Full, of a UPS that may have to carry `design_kw`.
    fn sized_for(design_kw: f64) -> Self {
        let rating_kw = UPS_RESERVE * design_kw.max(1.0);
        let capacity_kwh = rating_kw * BATTERY_HOURS;
        Self { rating_kw, capacity_kwh, charge_kwh: capacity_kwh, discharging: false }
    }
}

/// Design power of all racks behind an asset, as if nothing else fed them.
fn design_kw(plant: &Plant, asset: AssetId) -> f64 {
    let mut seen = vec![asset];
    let mut at = 0;
    while let Some(asset) = seen.get(at).copied() {
        for fed in plant.targets(asset, EdgeKind::Feeds) {
            if !seen.contains(&fed) {
                seen.push(fed);
            }
        }
        at += 1;
    }
    let design = |asset: &AssetId| match &plant.asset(*asset).detail {
        Detail::Rack(rack) => rack.design_power_kw,
        _ => 0.0,
    };
    seen.iter().map(design).sum()
}

impl Node {
    fn of(
        asset: AssetId,
        kind: AssetKind,
        detail: &Detail,
        draw: Draw,
        random: &mut ChaCha8Rng,
    ) -> Self {
        // Meters were there before the simulation: some history stands in their registers.
        let history_kwh: f64 = random.random_range(10_000.0..90_000.0);
        let register = match detail {
            Detail::Meter(meter) => EnergyRegister::of(meter, history_kwh.round()),
            _ => EnergyRegister::plain(history_kwh.round()),
        };
        Self {
            asset,
            kind,
            draw,
            sources: Vec::new(),
            lost: false,
            live: true,
            output_kw: 0.0,
            input_kw: 0.0,
            battery: None,
            delivered: register.clone(),
            register,
        }
    }

    /// Charge of the battery in percent.
    pub fn battery_percent(&self) -> Option<f64> {
        self.battery.map(|battery| 100.0 * battery.charge_kwh / battery.capacity_kwh)
    }
}

/// What an asset draws as part of the power chain; `None`: it is no part of it.
fn draw_of(plant: &Plant, id: AssetId) -> Option<Draw> {
    let asset = plant.asset(id);
    let feeds_nothing = plant.targets(id, EdgeKind::Feeds).next().is_none();
    let measures_nothing = plant.targets(id, EdgeKind::Measures).next().is_none();
    let is_fed = plant.sources(id, EdgeKind::Feeds).next().is_some();
    match (&asset.kind, &asset.detail) {
        (AssetKind::Rack, _) => Some(Draw::Rack(id)),
        (AssetKind::Cdu, _) if is_fed => Some(Draw::Pumps(id)),
        (AssetKind::Room, _) if is_fed => Some(Draw::Other),
        (AssetKind::Pdu | AssetKind::Ups | AssetKind::Bus, _) => Some(Draw::None),
        (AssetKind::Meter, Detail::Meter(meter)) if meter.carrier == Carrier::Electricity => {
            if !feeds_nothing {
                return Some(Draw::None);
            }
            // A meter that only measures another asset is a tap on it, not a link of the chain.
            measures_nothing.then(|| leaf_draw(meter))
        }
        _ => None,
    }
}

fn leaf_draw(meter: &Meter) -> Draw {
    match meter.role {
        Role::Cooling => Draw::Cooling,
        Role::Other => Draw::Other,
        _ => Draw::None,
    }
}

/// An order in which every consumer stands before what feeds it; `None` when there is a circle.
fn consumers_first(nodes: &[Node]) -> Option<Vec<usize>> {
    let mut waiting_for = vec![0_usize; nodes.len()];
    for (source, _) in nodes.iter().flat_map(|node| &node.sources) {
        waiting_for[*source] += 1;
    }
    let mut order: Vec<usize> = (0..nodes.len()).filter(|index| waiting_for[*index] == 0).collect();
    let mut at = 0;
    while let Some(index) = order.get(at).copied() {
        for (source, _) in &nodes[index].sources {
            waiting_for[*source] -= 1;
            if waiting_for[*source] == 0 {
                order.push(*source);
            }
        }
        at += 1;
    }
    (order.len() == nodes.len()).then_some(order)
}
