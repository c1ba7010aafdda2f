//! A cabinet immersed in a boiling dielectric: heat leaves through a condenser into facility water. No coolant flows
//! to the outside on the IT side, so the heat is known from the facility water alone.

use rules::coolant::Coolant;

use crate::{
    coolant_loop::{FacilitySide, FacilityWater},
    heat::{Controller, capacity_rate_kw_per_k, volumetric_heat_kj},
};

/// Boiling point that the condenser holds, and the vapour pressure's slope near it (a fluoroketone-like fluid).
const BOILING_C: f64 = 50.0;
const VAPOUR_KPA_PER_K: f64 = 3.3;
/// 2000 L of dielectric at 1.8 kJ/(L·K), and the boards in it.
const TANK_KJ_PER_K: f64 = 2000.0 * 1.8 + 400.0;

#[derive(Clone, Debug, PartialEq)]
pub struct TwoPhaseTank {
    coolant: Coolant,
    design_flow_lpm: f64,
    /// UA of the condenser, kW/K.
    conductance: f64,
    valve: Controller,
    pub boiling_c: f64,
    pub level_percent: f64,
    pub leak_lph: f64,
    pub facility: FacilitySide,
}

impl TwoPhaseTank {
    /// A tank for `design_heat_kw`, cooled by `coolant` that comes at `facility_c` and rises by `rise_k` at that heat, in
    /// balance with `heat_kw`.
    pub fn settled(
        coolant: Coolant,
        design_heat_kw: f64,
        heat_kw: f64,
        facility_c: f64,
        rise_k: f64,
    ) -> Self {
        let volumetric_kj = volumetric_heat_kj(coolant, facility_c);
        let design_flow_lpm = design_heat_kw / rise_k / volumetric_kj * 60.0;
        let design_rate = capacity_rate_kw_per_k(design_flow_lpm, volumetric_kj);
        let effectiveness = rise_k / (BOILING_C - facility_c).max(rise_k + 1.0);
        let mut tank = Self {
            coolant,
            design_flow_lpm,
            conductance: -design_rate * (1.0 - effectiveness).ln(),
            valve: Controller::at(0.5, 0.15, 40.0, 0.02, (0.02, 1.0)),
            boiling_c: BOILING_C,
            level_percent: 91.0,
            leak_lph: 0.0,
            facility: FacilitySide { supply_c: facility_c, ..Default::default() },
        };
        // More opening takes more heat, so halving finds the valve's place.
        let water = FacilityWater { supply_c: facility_c, flows: true };
        let (mut low, mut high) = (tank.valve.least, tank.valve.most);
        for _ in 0..40 {
            tank.valve.output = f64::midpoint(low, high);
            tank.condense(water);
            if tank.facility.heat_kw < heat_kw {
                low = tank.valve.output;
            } else {
                high = tank.valve.output;
            }
        }
        tank
    }

    pub fn step(&mut self, seconds: f64, heat_kw: f64, water: FacilityWater) {
        self.valve.step(self.boiling_c - BOILING_C, seconds);
        self.condense(water);
        self.boiling_c += (heat_kw - self.facility.heat_kw) * seconds / TANK_KJ_PER_K;
        self.level_percent =
            (self.level_percent - self.leak_lph * seconds / 3600.0 / 20.0).max(0.0);
    }

    /// Heat through the condenser at the valve's place.
    fn condense(&mut self, water: FacilityWater) {
        let facility_c = water.supply_c;
        let opening = if water.flows { self.valve.output } else { 0.0 };
        let flow_lpm = 1.5 * self.design_flow_lpm * opening;
        let rate = capacity_rate_kw_per_k(flow_lpm, volumetric_heat_kj(self.coolant, facility_c));
        // One side boils, so its capacity is unbounded: ε = 1 − e^−NTU.
        let effectiveness = if rate > 0.0 { 1.0 - (-self.conductance / rate).exp() } else { 0.0 };
        let taken_kw = effectiveness * rate * (self.boiling_c - facility_c);
        self.facility = FacilitySide {
            supply_c: facility_c,
            return_c: facility_c + if rate > 0.0 { taken_kw / rate } else { 0.0 },
            flow_lpm,
            heat_kw: taken_kw,
        };
    }

    /// Gauge pressure of the vapour: nought at the boiling point that the tank is run at.
    pub fn vapour_kpa(&self) -> f64 {
        (self.boiling_c - BOILING_C) * VAPOUR_KPA_PER_K
    }

    pub fn valve_percent(&self) -> f64 {
        100.0 * self.valve.output
    }

    pub fn stored_kwh(&self) -> f64 {
        self.boiling_c * TANK_KJ_PER_K / 3600.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condenser_holds_the_boiling_point_and_its_heat_balances() {
        let mut tank = TwoPhaseTank::settled(Coolant::WATER, 860.0, 500.0, 26.0, 9.0);
        assert!((tank.facility.heat_kw - 500.0).abs() < 0.1);
        let before_kwh = tank.stored_kwh();
        let (mut in_kwh, mut out_kwh) = (0.0, 0.0);
        for step in 0..18_000 {
            let heat_kw = if step < 6000 { 500.0 } else { 850.0 };
            tank.step(0.1, heat_kw, FacilityWater { supply_c: 26.0, flows: true });
            in_kwh += heat_kw * 0.1 / 3600.0;
            out_kwh += tank.facility.heat_kw * 0.1 / 3600.0;
        }
        assert!((tank.boiling_c - 50.0).abs() < 0.5, "{}", tank.boiling_c);
        assert!((tank.facility.heat_kw / 850.0 - 1.0).abs() < 0.02);
        assert!((in_kwh - out_kwh - (tank.stored_kwh() - before_kwh)).abs() < 1e-6);
    }
}
