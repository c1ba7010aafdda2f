//! What is true of a point: the one table from asset and quantity to the physics.
//!
//! Numbers are in the unit that `rules::quantity` fixes for the quantity; see [`unit_of`].

use rules::{
    plant::{AssetId, AssetKind, Detail, Plant},
    quantity::canonical_unit,
    units::Unit,
};

use crate::{
    coolant_loop::{CoolantLoop, Pump},
    electrical::Node,
    hall::{Body, Circuit, Hall, Rack},
};

/// Line-to-line voltage of the hall's three-phase feeds, its frequency, and the DC bus of the cabinet.
const LINE_TO_LINE_V: f64 = 400.0;
const FREQUENCY_HZ: f64 = 50.0;
const DC_BUS_V: f64 = 400.0;
/// Power factor of a rack's power supplies under load.
const POWER_FACTOR: f64 = 0.97;
const BAROMETER_KPA: f64 = 101.3;
const BATTERY_V: f64 = 480.0;

/// A true value.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    Number(f64),
    /// By the name that a profile's states give it.
    State(&'static str),
    Text(String),
}

/// The unit of a [`Truth::Number`]; `None` where the quantity is not one that the simulator knows a unit for.
pub fn unit_of(quantity: &str) -> Option<Unit> {
    match quantity {
        "battery.runtime" => Unit::parse("s").ok(),
        _ => canonical_unit(quantity),
    }
}

/// What is true of a quantity of an asset now; `None` where the physics have no such thing.
pub fn of(hall: &Hall, plant: &Plant, asset: AssetId, quantity: &str) -> Option<Truth> {
    let node = hall.network.node(asset);
    match plant.asset(asset).kind {
        AssetKind::Rack => of_rack(hall, hall.rack(asset)?, quantity),
        AssetKind::Cdu | AssetKind::Loop => of_circuit(hall.circuit(asset)?, quantity),
        AssetKind::Ups => of_ups(node?, quantity),
        AssetKind::Pdu | AssetKind::Bus => of_feed(node?, quantity),
        AssetKind::Meter => of_meter(hall, plant, asset, quantity),
        AssetKind::Sensor | AssetKind::Room => of_air(hall, quantity),
        AssetKind::Weather => of_weather(hall, quantity),
        AssetKind::Site | AssetKind::Device => None,
    }
}

fn of_rack(hall: &Hall, rack: &Rack, quantity: &str) -> Option<Truth> {
    let circuit = rack.branch.and_then(|(circuit, _)| hall.circuits.get(circuit));
    match quantity {
        "power" => number(rack.power_kw),
        "energy" => number(hall.register(rack.asset)?.shown_kwh()),
        "leak.state" => leak(rack.leaking || circuit.is_some_and(|circuit| circuit.leaking)),
        "dc.voltage" => number(if hall.network.is_live(rack.asset) { DC_BUS_V } else { 0.0 }),
        "dc.current" => number(rack.power_kw * 1000.0 / DC_BUS_V),
        _ => match &circuit?.body {
            Body::SinglePhase(single) => of_branch(single, rack.branch?.1, quantity),
            Body::TwoPhase(_) => of_circuit(circuit?, quantity),
        },
    }
}

fn of_branch(single: &CoolantLoop, branch: usize, quantity: &str) -> Option<Truth> {
    let branch = single.branches.get(branch)?;
    number(match quantity {
        "liquid.supply_temperature" => single.supply_c,
        "liquid.return_temperature" => branch.return_c,
        "liquid.flow" => branch.flow_lpm,
        "liquid.delta_pressure" => single.header_kpa(),
        _ => return None,
    })
}

fn of_circuit(circuit: &Circuit, quantity: &str) -> Option<Truth> {
    let facility = circuit.body.facility();
    match quantity {
        "leak.state" => leak(circuit.leaking),
        "fws.supply_temperature" => number(facility.supply_c),
        "fws.return_temperature" => number(facility.return_c),
        "fws.flow" => number(facility.flow_lpm),
        "fws.heat_reported" => number(facility.heat_kw),
        _ => match &circuit.body {
            Body::SinglePhase(single) => of_single_phase(single, quantity),
            Body::TwoPhase(tank) => number(match quantity {
                "tank.temperature" => tank.boiling_c,
                "tank.pressure" => tank.vapour_kpa(),
                "tank.level" | "reservoir.level" => tank.level_percent,
                "valve.position" => tank.valve_percent(),
                _ => return None,
            }),
        },
    }
}

fn of_single_phase(single: &CoolantLoop, quantity: &str) -> Option<Truth> {
    if let Some((pump, part)) = pump_of(single, quantity) {
        return of_pump(pump, part);
    }
    number(match quantity {
        "tcs.supply_temperature" => single.supply_c,
        "tcs.return_temperature" => single.return_c,
        "tcs.supply_setpoint" => single.supply_setpoint_c(),
        "tcs.flow" => single.point.flow_lpm,
        "tcs.delta_pressure" => single.header_kpa(),
        "tcs.supply_pressure" => single.supply_kpa(),
        "tcs.return_pressure" => single.return_kpa(),
        "tcs.heat_reported" => single.heat_kw(),
        "filter.delta_pressure" => single.filter_kpa(),
        "reservoir.level" => single.level_percent(),
        "valve.position" => single.valve_percent(),
        "power" => single.pump_kw(),
        _ => return None,
    })
}

/// The pump and the rest of the path of `pump_2.speed`.
fn pump_of<'a>(single: &'a CoolantLoop, quantity: &'a str) -> Option<(&'a Pump, &'a str)> {
    let (index, part) = quantity.strip_prefix("pump_")?.split_once('.')?;
    let index: usize = index.parse().ok()?;
    Some((single.pumps.get(index.checked_sub(1)?)?, part))
}

fn of_pump(pump: &Pump, part: &str) -> Option<Truth> {
    match part {
        "speed" => number(100.0 * pump.speed),
        "rotation" => number(pump.rotation_rpm()),
        "power" => number(pump.electric_kw),
        "state" if pump.tripped => Some(Truth::State("Fault")),
        "state" if pump.is_running() => Some(Truth::State("Running")),
        "state" => Some(Truth::State("Off")),
        _ => None,
    }
}

fn of_feed(node: &Node, quantity: &str) -> Option<Truth> {
    match quantity {
        "energy" => number(node.register.shown_kwh()),
        _ => electric(&Supply::of(node), quantity),
    }
}

fn of_meter(hall: &Hall, plant: &Plant, asset: AssetId, quantity: &str) -> Option<Truth> {
    if quantity == "nameplate.serial" {
        let asset = plant.asset(asset);
        let declared = match &asset.detail {
            Detail::Meter(meter) => meter.serial.clone(),
            _ => None,
        };
        return Some(Truth::Text(declared.unwrap_or_else(|| asset.name.to_string())));
    }
    if let Some(node) = hall.network.node(asset) {
        return of_feed(node, quantity);
    }
    let tap = hall.taps.get(&asset)?;
    if quantity == "energy" {
        return number(tap.register.shown_kwh());
    }
    electric(&Supply { power_kw: tap.power_kw, live: true, seed: asset.0 }, quantity)
}

/// What a three-phase meter sees.
struct Supply {
    power_kw: f64,
    live: bool,
    /// Tells one feed's small unbalance from another's.
    seed: u32,
}

impl Supply {
    fn of(node: &Node) -> Self {
        Self { power_kw: node.input_kw, live: node.live, seed: node.asset.0 }
    }

    /// Share of the mean current that line 1, 2 or 3 carries; the three add up to 3.
    fn line_share(&self, line: u32) -> f64 {
        let phase = f64::from(self.seed % 97) + f64::from(line) * std::f64::consts::TAU / 3.0;
        1.0 + 0.04 * phase.sin()
    }

    fn voltage(&self) -> f64 {
        if self.live { LINE_TO_LINE_V } else { 0.0 }
    }

    fn current(&self) -> f64 {
        self.power_kw * 1000.0 / POWER_FACTOR / (3.0_f64.sqrt() * LINE_TO_LINE_V)
    }
}

fn electric(supply: &Supply, quantity: &str) -> Option<Truth> {
    let apparent_kva = supply.power_kw / POWER_FACTOR;
    if let Some((line, what)) = line_of(quantity) {
        return number(match what {
            "voltage" => supply.voltage() / 3.0_f64.sqrt(),
            "current" => supply.current() * supply.line_share(line),
            _ => return None,
        });
    }
    number(match quantity {
        "power" | "active_power" => supply.power_kw,
        "apparent_power" => apparent_kva,
        "reactive_power" => (apparent_kva.powi(2) - supply.power_kw.powi(2)).max(0.0).sqrt(),
        "power_factor" => POWER_FACTOR,
        "frequency" => FREQUENCY_HZ,
        "voltage" => supply.voltage(),
        "current" => supply.current(),
        _ => return None,
    })
}

/// Line number and word of `line2_current`.
fn line_of(quantity: &str) -> Option<(u32, &str)> {
    let (line, what) = quantity.strip_prefix("line")?.split_once('_')?;
    let line = line.parse().ok().filter(|line| (1..=3).contains(line))?;
    Some((line, what))
}

fn of_ups(node: &Node, quantity: &str) -> Option<Truth> {
    let battery = node.battery?;
    let live_v = |live: bool| if live { LINE_TO_LINE_V } else { 0.0 };
    let level_percent = node.battery_percent()?;
    match quantity {
        "state" if !node.live => Some(Truth::State("Off")),
        "state" if battery.discharging => Some(Truth::State("Battery")),
        "state" => Some(Truth::State("Mains")),
        "alarm.on_battery" => alarm(battery.discharging),
        "alarm.low_battery" => alarm(level_percent < 25.0),
        "alarm.overload" => alarm(node.output_kw > battery.rating_kw),
        "alarm.over_temperature" | "alarm.replace_battery" => alarm(false),
        _ => number(match quantity {
            "load" => 100.0 * node.output_kw / battery.rating_kw,
            "input.power" => node.input_kw,
            "output.power" => node.output_kw,
            "input.voltage" => live_v(node.live && !battery.discharging),
            "output.voltage" => live_v(node.live),
            "input.energy" | "energy" => node.register.shown_kwh(),
            "output.energy" => node.delivered.shown_kwh(),
            "battery.level" => level_percent,
            // Never more than a display shows.
            "battery.runtime" => {
                (battery.charge_kwh / node.output_kw.max(1.0) * 3600.0).min(9999.0)
            }
            "battery.voltage" => BATTERY_V * (0.88 + 0.12 * level_percent / 100.0),
            "battery.temperature" => 24.0,
            _ => return None,
        }),
    }
}

fn of_air(hall: &Hall, quantity: &str) -> Option<Truth> {
    number(match quantity {
        "temperature" => hall.room.temperature_c,
        "humidity" => hall.room.humidity_percent(),
        "dew_point" => hall.room.dew_point_c,
        _ => return None,
    })
}

fn of_weather(hall: &Hall, quantity: &str) -> Option<Truth> {
    number(match quantity {
        "temperature" => hall.outdoor_c(),
        "humidity" => hall.outdoor_humidity_percent(),
        "pressure" => BAROMETER_KPA,
        _ => return None,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "every arm of the table is an Option")]
fn number(value: f64) -> Option<Truth> {
    Some(Truth::Number(value))
}

#[expect(clippy::unnecessary_wraps, reason = "every arm of the table is an Option")]
fn leak(wet: bool) -> Option<Truth> {
    Some(Truth::State(if wet { "Leak" } else { "NoLeak" }))
}

#[expect(clippy::unnecessary_wraps, reason = "every arm of the table is an Option")]
fn alarm(active: bool) -> Option<Truth> {
    Some(Truth::State(if active { "Alarm" } else { "Normal" }))
}
