//! Heat carried by a coolant stream, and what follows from it.

use crate::{
    coolant::Coolant,
    measures::{
        Celsius, Kelvin, KilojoulesPerKelvin, Kilowatts, Liters, LitersPerMinute, Ratio, Seconds,
        SpecificFlow,
    },
    plant::{CoolantLoop, FlowMeterAt, Technology},
    value::Undefined,
};

/// Litres in a cubic metre times seconds in a minute: L/min over this is m³/s.
const LITERS_PER_MINUTE_IN_CUBIC_METERS_PER_SECOND: f64 = 60_000.0;

/// kJ/(L·K) that some units' firmware takes for every coolant: water at room temperature, never the glycol in the loop.
const ASSUMED_KILOJOULES_PER_LITER_KELVIN: f64 = 4.18;
/// L/s in a L/min as the same firmware rounds it.
const ASSUMED_LITERS_PER_SECOND: f64 = 0.016_67;

/// What the sensors of one side of a loop say. The return is where the heat comes back: of the TCS from the racks, of
/// the FWS from the CDU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stream {
    pub flow: LitersPerMinute,
    pub supply_temperature: Celsius,
    pub return_temperature: Celsius,
}

impl Stream {
    /// Return minus supply. Negative while coolant flows means that the sensors are swapped, which is an error here.
    pub fn delta_temperature(self) -> Result<Kelvin, Undefined> {
        let delta = Kelvin::new(self.return_temperature.get() - self.supply_temperature.get())?;
        if self.flow.get() > 0.0 && delta.get() < 0.0 {
            return Err(Undefined::ReversedSensors);
        }
        Ok(delta)
    }

    /// Q = ρ(T at the flow meter)·V̇·cp(mean T)·(T return − T supply), as EN 1434 heat meters compute it, with the
    /// properties of the real fluid.
    pub fn heat(self, coolant: Coolant, meter: FlowMeterAt) -> Result<Kilowatts, Undefined> {
        if self.flow.get() <= 0.0 {
            return Err(Undefined::NoFlow);
        }
        let delta = self.delta_temperature()?;
        // The mean may lie within the fit while an end boils or freezes.
        coolant.covers(self.supply_temperature)?;
        coolant.covers(self.return_temperature)?;
        let mean = Celsius::new(f64::midpoint(
            self.supply_temperature.get(),
            self.return_temperature.get(),
        ))?;
        let at_meter = match meter {
            FlowMeterAt::Supply => self.supply_temperature,
            FlowMeterAt::Return => self.return_temperature,
            FlowMeterAt::Mean => mean,
        };
        let density = coolant.density(at_meter)?.get();
        let specific_heat = coolant.specific_heat(mean)?.get();
        let volume_flow = self.flow.get() / LITERS_PER_MINUTE_IN_CUBIC_METERS_PER_SECOND;
        Ok(Kilowatts::new(density * volume_flow * specific_heat * delta.get() / 1000.0)?)
    }

    /// What a unit reports that takes any coolant for water: flow · 1.667/100 · 4.18 · ΔT, the factors of a shipping
    /// unit. It overstates the heat of a quarter glycol by some 4 %. To compare with the unit's own figure only.
    pub fn heat_as_water(self) -> Result<Kilowatts, Undefined> {
        if self.flow.get() <= 0.0 {
            return Err(Undefined::NoFlow);
        }
        let delta = self.delta_temperature()?;
        let liters_per_second = self.flow.get() * ASSUMED_LITERS_PER_SECOND;
        let heat = liters_per_second * ASSUMED_KILOJOULES_PER_LITER_KELVIN * delta.get();
        Ok(Kilowatts::new(heat)?)
    }
}

/// Heat that the IT side (TCS) of a loop carries. A boiling coolant gives none from flow and temperatures, and a
/// coolant without property data (a dielectric) neither: there the facility side is measured.
pub fn tcs_heat(of: &CoolantLoop, stream: Stream) -> Result<Kilowatts, Undefined> {
    match (of.technology, of.coolant) {
        (Technology::TwoPhase, _) => Err(Undefined::TwoPhase),
        (Technology::ColdPlate | Technology::Immersion, None) => Err(Undefined::CoolantOutOfRange),
        (Technology::ColdPlate | Technology::Immersion, Some(coolant)) => {
            stream.heat(coolant, of.flow_meter_at)
        }
    }
}

/// Heat that the facility side (FWS) of a loop carries away, whatever boils on the other side.
pub fn fws_heat(of: &CoolantLoop, stream: Stream) -> Result<Kilowatts, Undefined> {
    stream.heat(of.facility_coolant, of.flow_meter_at)
}

/// Flow per kilowatt of heat load.
pub fn specific_flow(flow: LitersPerMinute, load: Kilowatts) -> Result<SpecificFlow, Undefined> {
    if load.get() <= 0.0 {
        return Err(Undefined::NoLoad);
    }
    Ok(SpecificFlow::new(flow.get() / load.get())?)
}

/// The warming that a load gives to a stream entering at `supply_temperature`: the ΔT for which [`Stream::heat`],
/// metered at the mean temperature, equals the load.
pub fn expected_delta_temperature(
    coolant: Coolant,
    flow: LitersPerMinute,
    supply_temperature: Celsius,
    load: Kilowatts,
) -> Result<Kelvin, Undefined> {
    if flow.get() <= 0.0 {
        return Err(Undefined::NoFlow);
    }
    if load.get() < 0.0 {
        return Err(Undefined::NoLoad);
    }
    let volume_flow = flow.get() / LITERS_PER_MINUTE_IN_CUBIC_METERS_PER_SECOND;
    let mut delta = 0.0;
    // Properties change by some 0.1 % per kelvin, so each round gains three digits or more.
    for _ in 0..8 {
        let mean = Celsius::new(supply_temperature.get() + delta / 2.0)?;
        let capacity_rate =
            coolant.density(mean)?.get() * volume_flow * coolant.specific_heat(mean)?.get();
        delta = load.get() * 1000.0 / capacity_rate;
    }
    coolant.covers(Celsius::new(supply_temperature.get() + delta)?)?;
    Ok(Kelvin::new(delta)?)
}

/// Share of the electrical power of the IT equipment that the liquid carries away.
pub fn heat_capture(liquid: Kilowatts, it: Kilowatts) -> Result<Ratio, Undefined> {
    if it.get() <= 0.0 {
        return Err(Undefined::NoLoad);
    }
    Ok(Ratio::new(liquid.get() / it.get())?)
}

/// What stores heat between the IT equipment and its limit once flow is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThermalMass {
    pub coolant: Coolant,
    /// Coolant that the heat reaches.
    pub volume: Liters,
    /// Temperature at which its properties are taken.
    pub temperature: Celsius,
    /// Heat capacity of the wetted metal.
    pub metal: KilojoulesPerKelvin,
}

impl ThermalMass {
    /// Time from loss of flow until the coolant has warmed by `allowed`: (ρ·V·cp + C metal)·ΔT / Q.
    pub fn ride_through(self, load: Kilowatts, allowed: Kelvin) -> Result<Seconds, Undefined> {
        if load.get() <= 0.0 {
            return Err(Undefined::NoLoad);
        }
        if self.volume.get() < 0.0 || self.metal.get() < 0.0 || allowed.get() < 0.0 {
            return Err(Undefined::OutsideFormula);
        }
        let density = self.coolant.density(self.temperature)?.get();
        let specific_heat = self.coolant.specific_heat(self.temperature)?.get();
        let liquid_kj_per_k = density * self.volume.get() / 1000.0 * specific_heat / 1000.0;
        let capacity_kj_per_k = liquid_kj_per_k + self.metal.get();
        Ok(Seconds::new(capacity_kj_per_k * allowed.get() / load.get())?)
    }
}
