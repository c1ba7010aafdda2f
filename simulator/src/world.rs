//! The hall with its scenario: physics, what befalls them, and what befalls the devices that tell of them.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use configs::site::Site;
use rules::plant::{AssetId, AssetKind, Plant, PointId};
use thiserror::Error;

use crate::{
    hall::{Body, Hall, HallError, STEP_S},
    reported::points_of,
    scenario::{Event, PumpName, Scenario},
    truth::{self, Truth},
};

/// What is wrong with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceFault {
    Silent,
    Slow(Duration),
    Refused,
    Stale,
}

/// Why a scenario does not fit a site.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WorldError {
    #[error(transparent)]
    Hall(#[from] HallError),
    /// One line for each event.
    #[error("the scenario does not fit the site:\n{}", .0.join("\n"))]
    Misfit(Vec<String>),
}

/// An event with its names looked up.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Pump { cdu: AssetId, pump: usize, tripped: bool },
    Leak { asset: AssetId, litres_per_hour: f64 },
    Filter { cdu: AssetId, factor: f64 },
    Feed { asset: AssetId, lost: bool },
    BeforeRollover { meter: AssetId, before_kwh: f64 },
    Reset { meter: AssetId },
    Sensor { point: PointId, frozen: bool },
    Device { device: AssetId, fault: Option<DeviceFault> },
    Clock { seconds: f64 },
}

/// Everything that is simulated, in one place.
#[derive(Clone, Debug)]
pub struct World {
    plant: Arc<Plant>,
    pub hall: Hall,
    ahead: VecDeque<(f64, Act)>,
    frozen: HashMap<PointId, Truth>,
    faults: HashMap<AssetId, DeviceFault>,
    /// Points that each device reports.
    reported: HashMap<AssetId, Vec<PointId>>,
    clock_error_s: f64,
}

impl World {
    /// The hall of a site under a scenario. All names that do not fit are reported at once.
    pub fn new(site: &Site, scenario: &Scenario) -> Result<Self, WorldError> {
        let hall = Hall::new(&site.plant, scenario)?;
        let mut ahead = VecDeque::new();
        let mut misfits = Vec::new();
        for timed in &scenario.events {
            match look_up(&hall, &site.plant, &timed.event) {
                Ok(act) => ahead.push_back((timed.at_s, act)),
                Err(why) => misfits.push(format!("event at {} s: {why}", timed.at_s)),
            }
        }
        if !misfits.is_empty() {
            return Err(WorldError::Misfit(misfits));
        }
        let reported =
            site.devices.iter().map(|device| (device.asset, points_of(site, device))).collect();
        Ok(Self {
            plant: Arc::new(site.plant.clone()),
            hall,
            ahead,
            frozen: HashMap::new(),
            faults: HashMap::new(),
            reported,
            clock_error_s: 0.0,
        })
    }

    /// One step of [`STEP_S`], with the events that fall into it.
    pub fn step(&mut self) {
        self.step_by(STEP_S);
    }

    /// One step of `seconds`, at most [`crate::hall::STRIDE_S`], with the events that fall into it.
    pub fn step_by(&mut self, seconds: f64) {
        self.befall(seconds / 2.0);
        self.hall.step_by(seconds);
    }

    /// What is due at once, for whoever looks before the first step.
    pub fn begin(&mut self) {
        self.befall(0.0);
    }

    /// Lets everything happen that is due within `seconds`.
    fn befall(&mut self, seconds: f64) {
        let until_s = self.hall.elapsed_s() + seconds;
        while let Some((_, act)) = self.ahead.pop_front_if(|(at_s, _)| *at_s <= until_s) {
            self.act(act);
        }
    }

    /// What a device says about a point: the truth, or what it froze at.
    pub fn value(&self, point: PointId) -> Option<Truth> {
        if let Some(frozen) = self.frozen.get(&point) {
            return Some(frozen.clone());
        }
        self.truth(point)
    }

    /// What is true of a point, whatever devices say.
    pub fn truth(&self, point: PointId) -> Option<Truth> {
        let spec = self.plant.point(point);
        truth::of(&self.hall, &self.plant, spec.asset, &spec.quantity)
    }

    pub fn fault(&self, device: AssetId) -> Option<DeviceFault> {
        self.faults.get(&device).copied()
    }

    /// How far the clocks of what publishes are ahead.
    pub fn clock_error_ms(&self) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "at most 1e12 by the scenario's check")]
        let ahead = (self.clock_error_s * 1000.0) as i64;
        ahead
    }

    fn act(&mut self, act: Act) {
        tracing::info!(at_s = self.hall.elapsed_s(), ?act, "scenario");
        match act {
            Act::Pump { cdu, pump, tripped } => {
                let single = self.hall.single_phase_mut(cdu);
                if let Some(pump) = single.and_then(|single| single.pumps.get_mut(pump)) {
                    pump.tripped = tripped;
                }
            }
            Act::Leak { asset, litres_per_hour } => {
                self.hall.leak(asset, litres_per_hour);
            }
            Act::Filter { cdu, factor } => {
                if let Some(single) = self.hall.single_phase_mut(cdu) {
                    single.filter_clog = factor;
                }
            }
            Act::Feed { asset, lost } => {
                if let Some(node) = self.hall.network.node_mut(asset) {
                    node.lost = lost;
                }
            }
            Act::BeforeRollover { meter, before_kwh } => {
                if let Some(register) = self.hall.register_mut(meter) {
                    register.move_before_rollover(before_kwh);
                }
            }
            Act::Reset { meter } => {
                if let Some(register) = self.hall.register_mut(meter) {
                    register.reset();
                }
            }
            Act::Sensor { point, frozen: true } => self.freeze(point),
            Act::Sensor { point, frozen: false } => {
                self.frozen.remove(&point);
            }
            Act::Device { device, fault } => self.set_fault(device, fault),
            Act::Clock { seconds } => self.clock_error_s = seconds,
        }
    }

    fn freeze(&mut self, point: PointId) {
        if let Some(value) = self.value(point) {
            self.frozen.insert(point, value);
        }
    }

    fn set_fault(&mut self, device: AssetId, fault: Option<DeviceFault>) {
        let points = self.reported.get(&device).cloned().unwrap_or_default();
        match fault {
            Some(DeviceFault::Stale) => points.iter().for_each(|point| self.freeze(*point)),
            _ => self.frozen.retain(|point, _| !points.contains(point)),
        }
        match fault {
            Some(fault) => self.faults.insert(device, fault),
            None => self.faults.remove(&device),
        };
    }
}

/// Finds what an event names.
fn look_up(hall: &Hall, plant: &Plant, event: &Event) -> Result<Act, String> {
    let find = |name: &str| {
        plant.find_asset(name).ok_or_else(|| format!("the site has no asset \"{name}\""))
    };
    match event {
        Event::PumpTrip(name) => pump(hall, plant, name, true),
        Event::PumpRestore(name) => pump(hall, plant, name, false),
        Event::Leak { asset, litres_per_hour } => leak(hall, find(asset)?, asset, *litres_per_hour),
        Event::LeakFixed { asset } => leak(hall, find(asset)?, asset, 0.0),
        Event::FilterClogged { cdu, factor } => {
            let asset = find(cdu)?;
            match hall.circuit(asset) {
                Some(_) => Ok(Act::Filter { cdu: asset, factor: *factor }),
                None => Err(format!("\"{cdu}\" has no filter")),
            }
        }
        Event::FeedLost { asset } => feed(hall, find(asset)?, asset, true),
        Event::FeedRestored { asset } => feed(hall, find(asset)?, asset, false),
        Event::MeterRollover { meter, before_kwh } => {
            let asset = find(meter)?;
            let wraps = hall
                .register(asset)
                .is_some_and(|register| register.clone().move_before_rollover(*before_kwh));
            wraps
                .then_some(Act::BeforeRollover { meter: asset, before_kwh: *before_kwh })
                .ok_or_else(|| format!("\"{meter}\" has no energy register that wraps"))
        }
        Event::MeterReset { meter } => {
            let asset = find(meter)?;
            hall.register(asset)
                .map(|_| Act::Reset { meter: asset })
                .ok_or_else(|| format!("\"{meter}\" has no energy register"))
        }
        Event::SensorFrozen { point } => sensor(plant, point, true),
        Event::SensorThawed { point } => sensor(plant, point, false),
        Event::Stale { device } => faulty(plant, device, Some(DeviceFault::Stale)),
        Event::DeviceSilent { device } => faulty(plant, device, Some(DeviceFault::Silent)),
        Event::DeviceSlow { device, delay_ms } => {
            faulty(plant, device, Some(DeviceFault::Slow(Duration::from_millis(*delay_ms))))
        }
        Event::ConnectionRefused { device } => faulty(plant, device, Some(DeviceFault::Refused)),
        Event::DeviceBack { device } => faulty(plant, device, None),
        Event::ClockError { seconds } => Ok(Act::Clock { seconds: *seconds }),
    }
}

fn pump(hall: &Hall, plant: &Plant, name: &PumpName, tripped: bool) -> Result<Act, String> {
    let PumpName { cdu, pump } = name;
    let known = plant.find_asset(cdu).filter(|asset| plant.asset(*asset).kind == AssetKind::Cdu);
    let Some(asset) = known else { return Err(format!("the site has no CDU \"{cdu}\"")) };
    let pumps = match hall.circuit(asset).map(|circuit| &circuit.body) {
        Some(Body::SinglePhase(single)) => single.pumps.len(),
        _ => 0,
    };
    match usize::try_from(*pump).ok().and_then(|pump| pump.checked_sub(1)) {
        Some(index) if index < pumps => Ok(Act::Pump { cdu: asset, pump: index, tripped }),
        _ => Err(format!("\"{cdu}\" has {pumps} pumps, counted from 1, and none is {pump}")),
    }
}

fn leak(hall: &Hall, asset: AssetId, name: &str, litres_per_hour: f64) -> Result<Act, String> {
    let holds_coolant =
        hall.rack(asset).map_or(hall.circuit(asset).is_some(), |rack| rack.branch.is_some());
    holds_coolant
        .then_some(Act::Leak { asset, litres_per_hour })
        .ok_or_else(|| format!("\"{name}\" holds no coolant"))
}

fn feed(hall: &Hall, asset: AssetId, name: &str, lost: bool) -> Result<Act, String> {
    hall.network
        .node(asset)
        .map(|_| Act::Feed { asset, lost })
        .ok_or_else(|| format!("\"{name}\" is not in the power chain"))
}

fn sensor(plant: &Plant, name: &str, frozen: bool) -> Result<Act, String> {
    let point = name
        .split_once('.')
        .and_then(|(asset, quantity)| plant.find_point(plant.find_asset(asset)?, quantity));
    point
        .map(|point| Act::Sensor { point, frozen })
        .ok_or_else(|| format!("the site has no point \"{name}\""))
}

fn faulty(plant: &Plant, name: &str, fault: Option<DeviceFault>) -> Result<Act, String> {
    plant
        .find_asset(name)
        .filter(|asset| plant.asset(*asset).kind == AssetKind::Device)
        .map(|device| Act::Device { device, fault })
        .ok_or_else(|| format!("the site has no device \"{name}\""))
}
