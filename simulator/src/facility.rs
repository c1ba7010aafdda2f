//! The cooling outside the loops: facility water with dry coolers and a trim chiller, and the air of the room.

use crate::{
    heat::{Controller, capacity_rate_kw_per_k, volumetric_heat_kj},
    hydraulics::hydraulic_kw,
    weather::relative_humidity_percent,
};

use rules::coolant::Coolant;

/// Water in the facility mains: 10 m³.
const MAINS_KJ_PER_K: f64 = 10_000.0 * 4.18;
/// What the facility pumps hold over the CDUs, and their efficiency.
const MAINS_KPA: f64 = 220.0;
const PUMP_EFFICIENCY: f64 = 0.70;
/// Return over outdoor air at which the dry coolers carry the design heat at full fan speed.
const DRY_COOLER_DESIGN_K: f64 = 8.0;
/// Fan power of the dry coolers at full speed, as a share of the design heat.
const DRY_COOLER_FAN_SHARE: f64 = 0.02;
const CHILLER_COP: f64 = 5.0;
const AIR_CHILLER_COP: f64 = 4.5;
/// Fan power of the room's air handlers over the heat they move.
const AIR_FAN_SHARE: f64 = 0.04;
/// Air, cabinets and walls of a room, as far as they follow the air within minutes.
const ROOM_KJ_PER_K: f64 = 9000.0;

/// The facility water system (FWS) as one mains with a common supply temperature.
#[derive(Clone, Debug, PartialEq)]
pub struct Facility {
    design_heat_kw: f64,
    setpoint_c: f64,
    pub supply_c: f64,
    pub return_c: f64,
    pub flow_lpm: f64,
    pub rejected_kw: f64,
    /// 0 to 1 of full fan speed.
    pub fan_speed: f64,
    pub fan_kw: f64,
    pub chiller_kw: f64,
    pub pump_kw: f64,
}

/// What the facility is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Served {
    pub heat_kw: f64,
    pub flow_lpm: f64,
    /// Without power nothing is pumped and nothing rejected.
    pub powered: bool,
}

impl Facility {
    pub fn settled(design_heat_kw: f64, setpoint_c: f64) -> Self {
        Self {
            design_heat_kw: design_heat_kw.max(1.0),
            setpoint_c,
            supply_c: setpoint_c,
            return_c: setpoint_c,
            flow_lpm: 0.0,
            rejected_kw: 0.0,
            fan_speed: 0.0,
            fan_kw: 0.0,
            chiller_kw: 0.0,
            pump_kw: 0.0,
        }
    }

    /// Takes heat from the CDUs and rejects it to outdoor air of `outdoor_c`: with fans as far as they go, with the
    /// chiller beyond.
    pub fn step(&mut self, seconds: f64, served: &Served, outdoor_c: f64) {
        let Served { heat_kw, flow_lpm, powered } = *served;
        let rate =
            capacity_rate_kw_per_k(flow_lpm, volumetric_heat_kj(Coolant::WATER, self.supply_c));
        self.flow_lpm = flow_lpm;
        self.return_c = self.supply_c + if rate > 0.0 { heat_kw / rate } else { 0.0 };
        let pump_heat_kw = hydraulic_kw(flow_lpm, MAINS_KPA);
        self.pump_kw = pump_heat_kw / PUMP_EFFICIENCY;

        let total_kw = heat_kw + pump_heat_kw;
        let wanted_kw =
            (total_kw + MAINS_KJ_PER_K * (self.supply_c - self.setpoint_c) / 120.0).max(0.0);
        let full_fan_kw =
            (self.design_heat_kw * (self.return_c - outdoor_c) / DRY_COOLER_DESIGN_K).max(0.0);
        let wanted_kw = if powered { wanted_kw } else { 0.0 };
        let by_fans_kw = wanted_kw.min(full_fan_kw);
        let by_chiller_kw = (wanted_kw - by_fans_kw).min(self.design_heat_kw);
        self.fan_speed = if full_fan_kw > 0.0 { by_fans_kw / full_fan_kw } else { 0.0 };
        self.fan_kw = DRY_COOLER_FAN_SHARE * self.design_heat_kw * self.fan_speed.powi(3);
        self.chiller_kw = by_chiller_kw / CHILLER_COP;
        self.rejected_kw = by_fans_kw + by_chiller_kw;
        self.supply_c += (total_kw - self.rejected_kw) * seconds / MAINS_KJ_PER_K;
    }

    pub fn electric_kw(&self) -> f64 {
        self.fan_kw + self.chiller_kw + self.pump_kw
    }

    pub fn stored_kwh(&self) -> f64 {
        self.supply_c * MAINS_KJ_PER_K / 3600.0
    }

    /// Heat of the facility pumps into the water.
    pub fn pump_heat_kw(&self) -> f64 {
        hydraulic_kw(self.flow_lpm, MAINS_KPA)
    }
}

/// The air of one room, cooled by air handlers with their own chiller.
#[derive(Clone, Debug, PartialEq)]
pub struct Room {
    setpoint_c: f64,
    cooling: Controller,
    pub temperature_c: f64,
    pub dew_point_c: f64,
    pub removed_kw: f64,
}

impl Room {
    pub fn settled(setpoint_c: f64, dew_point_c: f64, heat_kw: f64) -> Self {
        Self {
            setpoint_c,
            cooling: Controller::at(heat_kw, 150.0, 90.0, 20.0, (0.0, 3.0 * heat_kw.max(10.0))),
            temperature_c: setpoint_c,
            dew_point_c,
            removed_kw: heat_kw,
        }
    }

    pub fn step(&mut self, seconds: f64, heat_kw: f64, powered: bool) {
        let wanted_kw = self.cooling.step(self.temperature_c - self.setpoint_c, seconds);
        self.removed_kw = if powered { wanted_kw } else { 0.0 };
        self.temperature_c += (heat_kw - self.removed_kw) * seconds / ROOM_KJ_PER_K;
    }

    pub fn humidity_percent(&self) -> f64 {
        relative_humidity_percent(self.temperature_c, self.dew_point_c)
    }

    pub fn electric_kw(&self) -> f64 {
        self.removed_kw * (AIR_FAN_SHARE + 1.0 / AIR_CHILLER_COP)
    }

    pub fn stored_kwh(&self) -> f64 {
        self.temperature_c * ROOM_KJ_PER_K / 3600.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(heat_kw: f64) -> Served {
        Served { heat_kw, flow_lpm: 6000.0, powered: true }
    }

    #[test]
    fn cool_air_needs_fans_only_and_hot_air_a_chiller() {
        let mut mains = Facility::settled(4000.0, 26.0);
        for _ in 0..6000 {
            mains.step(0.1, &served(3500.0), 15.0);
        }
        assert!((mains.supply_c - 26.0).abs() < 0.2);
        assert!(mains.chiller_kw.abs() < 1e-9 && mains.fan_kw > 0.0);
        for _ in 0..6000 {
            mains.step(0.1, &served(3500.0), 34.0);
        }
        assert!((mains.supply_c - 26.0).abs() < 0.2, "{}", mains.supply_c);
        assert!(mains.chiller_kw > 100.0);
    }

    #[test]
    fn the_mains_store_what_they_do_not_reject() {
        let mut mains = Facility::settled(4000.0, 26.0);
        let before_kwh = mains.stored_kwh();
        let mut net_kwh = 0.0;
        for step in 0..3000 {
            mains.step(0.1, &served(1000.0 + f64::from(step)), 30.0);
            net_kwh += (1000.0 + f64::from(step) + mains.pump_heat_kw() - mains.rejected_kw) * 0.1
                / 3600.0;
        }
        assert!((mains.stored_kwh() - before_kwh - net_kwh).abs() < 1e-6);
    }

    #[test]
    fn the_room_returns_to_its_set_point() {
        let mut room = Room::settled(25.0, 12.0, 300.0);
        for _ in 0..36_000 {
            room.step(0.1, 420.0, true);
        }
        assert!((room.temperature_c - 25.0).abs() < 0.2, "{}", room.temperature_c);
        assert!((room.removed_kw - 420.0).abs() < 5.0);
    }
}
