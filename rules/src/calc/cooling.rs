//! Coolants, heat, heat exchangers and pumps.

use super::{Answer, ArgumentError, Arguments, Formula, Input, Kind, Output, Reason};
use crate::{
    demand::{FlowLaw, FlowTable},
    exchanger::{Exchanger, Terminals},
    heat::{self, Stream, ThermalMass},
    measures::{
        Celsius, JoulesPerKilogramKelvin, Kelvin, KilogramsPerCubicMeter, KilojoulesPerKelvin,
        Kilopascals, Kilowatts, KilowattsPerKelvin, Liters, LitersPerMinute, Measure,
        MillipascalSeconds, Percent, Ratio, Seconds, SpecificFlow, WattsPerMeterKelvin,
    },
    plant::FlowMeterAt,
    pump::{self, Affinity},
};

const CELSIUS: Kind = Kind::Quantity(Celsius::UNIT);
const KELVIN: Kind = Kind::Quantity(Kelvin::UNIT);
const KILOWATTS: Kind = Kind::Quantity(Kilowatts::UNIT);
const KILOWATTS_PER_KELVIN: Kind = Kind::Quantity(KilowattsPerKelvin::UNIT);
const LITERS_PER_MINUTE: Kind = Kind::Quantity(LitersPerMinute::UNIT);
const PERCENT: Kind = Kind::Quantity(Percent::UNIT);

const FLUID: Input =
    Input::required("fluid", Kind::Coolant, "water, or a glycol with its fraction: apg:0.25");
const TEMPERATURE: Input = Input::required("temperature-c", CELSIUS, "coolant temperature");
const FLOW: Input = Input::required("flow-lpm", LITERS_PER_MINUTE, "volume flow");
const SUPPLY: Input = Input::required("supply-c", CELSIUS, "supply temperature");
const RETURN: Input = Input::required("return-c", CELSIUS, "return temperature");
const POWER: Input = Input::required("power-kw", KILOWATTS, "heat load");
const IT_POWER: Input =
    Input::optional("power-kw", KILOWATTS, "IT power on the loop, for capture and specific flow");
const METER_AT: Input = Input::with_default(
    "flow-meter-at",
    Kind::Choice(&["supply", "return", "mean"]),
    "mean",
    "where the flow meter sits: its temperature gives the density",
);

const DENSITY: Output = Output::of::<KilogramsPerCubicMeter>("density");
const SPECIFIC_HEAT: Output = Output::of::<JoulesPerKilogramKelvin>("specific_heat");
const VISCOSITY: Output = Output::of::<MillipascalSeconds>("viscosity");
const CONDUCTIVITY: Output = Output::of::<WattsPerMeterKelvin>("conductivity");
const FREEZING: Output = Output::of::<Celsius>("freezing_point");
const HEAT: Output = Output::of::<Kilowatts>("heat");
const DELTA: Output = Output::of::<Kelvin>("delta_temperature");
const CAPTURE: Output = Output::of::<Ratio>("heat_capture");
const SPECIFIC_FLOW: Output = Output::of::<SpecificFlow>("specific_flow");
const FLOW_OUT: Output = Output::of::<LitersPerMinute>("flow");
const RETURN_OUT: Output = Output::of::<Celsius>("return_temperature");

const TABLE_TEMPERATURES: Input = Input::required(
    "table-c",
    Kind::Quantities(Celsius::UNIT),
    "supply temperatures of the maker's table, rising",
);
const TABLE_FLOWS: Input = Input::required(
    "table-lpm-per-kw",
    Kind::Quantities(SpecificFlow::UNIT),
    "specific flow at each of them",
);
const COEFFICIENT: Input =
    Input::required("coefficient", Kind::Quantity(Ratio::UNIT), "a in (a / (limit - T))^n");
const LIMIT: Input =
    Input::required("limit-c", CELSIUS, "supply temperature at which no flow is enough");
const EXPONENT: Input = Input::required("exponent", Kind::Quantity(Ratio::UNIT), "n of the law");

const RIDE_THROUGH: Output = Output::of::<Seconds>("ride_through");

const VOLUME: Input =
    Input::required("volume-l", Kind::Quantity(Liters::UNIT), "coolant that the heat reaches");
const ALLOWED: Input = Input::required("allowed-k", KELVIN, "warming until the limit");
const METAL: Input = Input::with_default(
    "metal-kj-per-k",
    Kind::Quantity(KilojoulesPerKelvin::UNIT),
    "0",
    "heat capacity of the wetted metal",
);

const EXCHANGED: Input = Input::required("heat-kw", KILOWATTS, "heat exchanged");
const HOT_IN: Input = Input::required("hot-in-c", CELSIUS, "hot side inlet (TCS return)");
const HOT_OUT: Input = Input::required("hot-out-c", CELSIUS, "hot side outlet (TCS supply)");
const COLD_IN: Input = Input::required("cold-in-c", CELSIUS, "cold side inlet (FWS supply)");
const COLD_OUT: Input = Input::required("cold-out-c", CELSIUS, "cold side outlet (FWS return)");
const CONDUCTANCE_IN: Input =
    Input::required("ua-kw-per-k", KILOWATTS_PER_KELVIN, "conductance of the exchanger");
const HOT_RATE: Input =
    Input::required("hot-kw-per-k", KILOWATTS_PER_KELVIN, "heat-capacity rate of the hot stream");
const COLD_RATE: Input =
    Input::required("cold-kw-per-k", KILOWATTS_PER_KELVIN, "heat-capacity rate of the cold stream");

const LOG_MEAN: Output = Output::of::<Kelvin>("log_mean_temperature_difference");
const APPROACH: Output = Output::of::<Kelvin>("approach_temperature");
const CONDUCTANCE: Output = Output::of::<KilowattsPerKelvin>("conductance");
const CAPACITY_RATIO: Output = Output::of::<Ratio>("capacity_ratio");
const EFFECTIVENESS: Output = Output::of::<Ratio>("effectiveness");
const TRANSFER_UNITS: Output = Output::of::<Ratio>("transfer_units");
const HOT_OUT_OUT: Output = Output::of::<Celsius>("hot_out_temperature");
const COLD_OUT_OUT: Output = Output::of::<Celsius>("cold_out_temperature");

const DELTA_PRESSURE: Input = Input::required(
    "delta-pressure-kpa",
    Kind::Quantity(Kilopascals::UNIT),
    "pressure difference across the pump",
);
const EFFICIENCY: Input = Input::required("efficiency-percent", PERCENT, "overall efficiency");
const SPEED_FROM: Input = Input::required("speed-from-percent", PERCENT, "speed before");
const SPEED_TO: Input = Input::required("speed-to-percent", PERCENT, "speed after");

const HYDRAULIC: Output = Output::of::<Kilowatts>("hydraulic_power");
const ELECTRICAL: Output = Output::of::<Kilowatts>("power");
const FLOW_CHANGE: Output = Output::of::<Ratio>("flow_change");
const PRESSURE_CHANGE: Output = Output::of::<Ratio>("delta_pressure_change");
const POWER_CHANGE: Output = Output::of::<Ratio>("power_change");

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        name: "coolant",
        help: "properties of a coolant at a temperature",
        example: "--fluid apg:0.25 --temperature-c 40",
        inputs: &[FLUID, TEMPERATURE],
        file: None,
        outputs: &[DENSITY, SPECIFIC_HEAT, VISCOSITY, CONDUCTIVITY, FREEZING],
        evaluate: coolant,
    },
    Formula {
        name: "heat",
        help: "heat carried by a coolant stream",
        example: "--fluid apg:0.25 --flow-lpm 120 --supply-c 32 --return-c 46",
        inputs: &[FLUID, FLOW, SUPPLY, RETURN, METER_AT, IT_POWER],
        file: None,
        outputs: &[HEAT, DELTA, CAPTURE, SPECIFIC_FLOW],
        evaluate: heat_of_stream,
    },
    Formula {
        name: "heat-as-water",
        help: "heat that a unit reports which takes any coolant for water",
        example: "--flow-lpm 120 --supply-c 32 --return-c 46",
        inputs: &[FLOW, SUPPLY, RETURN],
        file: None,
        outputs: &[HEAT, DELTA],
        evaluate: heat_as_water,
    },
    Formula {
        name: "expected-delta",
        help: "warming of a coolant stream by a load",
        example: "--fluid apg:0.25 --flow-lpm 120 --supply-c 32 --power-kw 112",
        inputs: &[FLUID, FLOW, SUPPLY, POWER],
        file: None,
        outputs: &[DELTA, RETURN_OUT],
        evaluate: expected_delta,
    },
    Formula {
        name: "flow",
        help: "flow per kilowatt of load",
        example: "--flow-lpm \"500 gpm\" --power-kw 2000",
        inputs: &[FLOW, POWER],
        file: None,
        outputs: &[FLOW_OUT, SPECIFIC_FLOW],
        evaluate: flow,
    },
    Formula {
        name: "flow-table",
        help: "flow that a maker's table demands at a supply temperature",
        example: "--supply-c 32 --table-c 25,30,35 --table-lpm-per-kw 0.4,0.5,0.7",
        inputs: &[SUPPLY, TABLE_TEMPERATURES, TABLE_FLOWS],
        file: None,
        outputs: &[SPECIFIC_FLOW],
        evaluate: flow_table,
    },
    Formula {
        name: "flow-law",
        help: "flow of a rack by a maker's law (a / (limit - T))^n",
        example: "--supply-c 35 --coefficient 17370 --limit-c 57.2 --exponent 0.796",
        inputs: &[SUPPLY, COEFFICIENT, LIMIT, EXPONENT],
        file: None,
        outputs: &[FLOW_OUT],
        evaluate: flow_law,
    },
    Formula {
        name: "ride-through",
        help: "time from loss of flow until the coolant reaches its limit",
        example: "--fluid apg:0.25 --temperature-c 45 --volume-l 33.6 --power-kw 120 --allowed-k 10",
        inputs: &[FLUID, TEMPERATURE, VOLUME, METAL, POWER, ALLOWED],
        file: None,
        outputs: &[RIDE_THROUGH],
        evaluate: ride_through,
    },
    Formula {
        name: "heat-exchanger",
        help: "approach, conductance and effectiveness of a CDU heat exchanger",
        example: "--heat-kw 1250 --hot-in-c 51 --hot-out-c 37 --cold-in-c 35 --cold-out-c 46",
        inputs: &[EXCHANGED, HOT_IN, HOT_OUT, COLD_IN, COLD_OUT],
        file: None,
        outputs: &[LOG_MEAN, APPROACH, CONDUCTANCE, CAPACITY_RATIO, EFFECTIVENESS, TRANSFER_UNITS],
        evaluate: heat_exchanger,
    },
    Formula {
        name: "heat-exchanger-delivery",
        help: "heat and outlet temperatures of a counter-flow heat exchanger",
        example: "--ua-kw-per-k 357.1 --hot-kw-per-k 89.3 --cold-kw-per-k 113.6 --hot-in-c 51 --cold-in-c 35",
        inputs: &[CONDUCTANCE_IN, HOT_RATE, COLD_RATE, HOT_IN, COLD_IN],
        file: None,
        outputs: &[EFFECTIVENESS, HEAT, HOT_OUT_OUT, COLD_OUT_OUT],
        evaluate: heat_exchanger_delivery,
    },
    Formula {
        name: "pump",
        help: "power of a pump from pressure and flow",
        example: "--delta-pressure-kpa 350 --flow-lpm 1000 --efficiency-percent 65",
        inputs: &[DELTA_PRESSURE, FLOW, EFFICIENCY],
        file: None,
        outputs: &[HYDRAULIC, ELECTRICAL],
        evaluate: pump_power,
    },
    Formula {
        name: "pump-speed",
        help: "what a change of pump speed multiplies, by the affinity laws",
        example: "--speed-from-percent 44 --speed-to-percent 60",
        inputs: &[SPEED_FROM, SPEED_TO],
        file: None,
        outputs: &[FLOW_CHANGE, PRESSURE_CHANGE, POWER_CHANGE],
        evaluate: pump_speed,
    },
];

fn coolant(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let (coolant, at) = (given.coolant(&FLUID)?, given.quantity(&TEMPERATURE)?);
    Ok(vec![
        DENSITY.is(coolant.density(at)),
        SPECIFIC_HEAT.is(coolant.specific_heat(at)),
        VISCOSITY.is(coolant.viscosity(at)),
        CONDUCTIVITY.is(coolant.conductivity(at)),
        FREEZING.is(coolant.freezing_point()),
    ])
}

fn stream(given: &Arguments) -> Result<Stream, ArgumentError> {
    Ok(Stream {
        flow: given.quantity(&FLOW)?,
        supply_temperature: given.quantity(&SUPPLY)?,
        return_temperature: given.quantity(&RETURN)?,
    })
}

fn heat_as_water(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let stream = stream(given)?;
    Ok(vec![HEAT.is(stream.heat_as_water()), DELTA.is(stream.delta_temperature())])
}

fn heat_of_stream(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let stream = stream(given)?;
    let meter = match given.choice(&METER_AT)? {
        Some("supply") => FlowMeterAt::Supply,
        Some("return") => FlowMeterAt::Return,
        _ => FlowMeterAt::Mean,
    };
    let heat = stream.heat(given.coolant(&FLUID)?, meter);
    let mut answers = vec![HEAT.is(heat), DELTA.is(stream.delta_temperature())];
    if let Some(power) = given.optional_quantity(&IT_POWER)? {
        answers.push(CAPTURE.is(heat.and_then(|heat| heat::heat_capture(heat, power))));
        answers.push(SPECIFIC_FLOW.is(heat::specific_flow(stream.flow, power)));
    }
    Ok(answers)
}

fn expected_delta(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let supply: Celsius = given.quantity(&SUPPLY)?;
    let delta = heat::expected_delta_temperature(
        given.coolant(&FLUID)?,
        given.quantity(&FLOW)?,
        supply,
        given.quantity(&POWER)?,
    );
    let warmed = delta.and_then(|delta| Ok(Celsius::new(supply.get() + delta.get())?));
    Ok(vec![DELTA.is(delta), RETURN_OUT.is(warmed)])
}

fn flow(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let flow = given.quantity(&FLOW)?;
    let specific = heat::specific_flow(flow, given.quantity(&POWER)?);
    Ok(vec![FLOW_OUT.is::<_, Reason>(Ok(flow)), SPECIFIC_FLOW.is(specific)])
}

fn flow_table(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let temperatures: Vec<Celsius> = given.quantities(&TABLE_TEMPERATURES)?;
    let flows: Vec<SpecificFlow> = given.quantities(&TABLE_FLOWS)?;
    if temperatures.len() != flows.len() {
        let counts = format!("{} temperatures but {} flows", temperatures.len(), flows.len());
        return Err(ArgumentError::Conflict(counts));
    }
    let table = FlowTable::new(temperatures.into_iter().zip(flows).collect())
        .ok_or_else(|| ArgumentError::Conflict("the table's temperatures must rise".to_owned()))?;
    Ok(vec![SPECIFIC_FLOW.is(table.specific_flow(given.quantity(&SUPPLY)?))])
}

fn flow_law(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let law = FlowLaw {
        coefficient: given.quantity(&COEFFICIENT)?,
        limit: given.quantity(&LIMIT)?,
        exponent: given.quantity(&EXPONENT)?,
    };
    Ok(vec![FLOW_OUT.is(law.flow(given.quantity(&SUPPLY)?))])
}

fn ride_through(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let mass = ThermalMass {
        coolant: given.coolant(&FLUID)?,
        volume: given.quantity(&VOLUME)?,
        temperature: given.quantity(&TEMPERATURE)?,
        metal: given.quantity(&METAL)?,
    };
    let time = mass.ride_through(given.quantity(&POWER)?, given.quantity(&ALLOWED)?);
    Ok(vec![RIDE_THROUGH.is(time)])
}

fn heat_exchanger(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let terminals = Terminals {
        hot_in: given.quantity(&HOT_IN)?,
        hot_out: given.quantity(&HOT_OUT)?,
        cold_in: given.quantity(&COLD_IN)?,
        cold_out: given.quantity(&COLD_OUT)?,
    };
    let performance = terminals.performance(given.quantity(&EXCHANGED)?);
    Ok(vec![
        LOG_MEAN.is(terminals.log_mean_difference()),
        APPROACH.is(terminals.approach()),
        CONDUCTANCE.is(performance.map(|p| p.conductance)),
        CAPACITY_RATIO.is(performance.map(|p| p.capacity_ratio)),
        EFFECTIVENESS.is(performance.map(|p| p.effectiveness)),
        TRANSFER_UNITS.is(performance.map(|p| p.transfer_units)),
    ])
}

fn heat_exchanger_delivery(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let exchanger = Exchanger {
        conductance: given.quantity(&CONDUCTANCE_IN)?,
        hot_capacity_rate: given.quantity(&HOT_RATE)?,
        cold_capacity_rate: given.quantity(&COLD_RATE)?,
        hot_in: given.quantity(&HOT_IN)?,
        cold_in: given.quantity(&COLD_IN)?,
    };
    let delivery = exchanger.delivery();
    Ok(vec![
        EFFECTIVENESS.is(delivery.map(|d| d.effectiveness)),
        HEAT.is(delivery.map(|d| d.heat)),
        HOT_OUT_OUT.is(delivery.map(|d| d.hot_out)),
        COLD_OUT_OUT.is(delivery.map(|d| d.cold_out)),
    ])
}

fn pump_power(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let hydraulic = pump::hydraulic_power(given.quantity(&DELTA_PRESSURE)?, given.quantity(&FLOW)?);
    let efficiency = given.quantity(&EFFICIENCY)?;
    let electrical = hydraulic.and_then(|power| pump::electrical_power(power, efficiency));
    Ok(vec![HYDRAULIC.is(hydraulic), ELECTRICAL.is(electrical)])
}

fn pump_speed(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let change = Affinity::between(given.quantity(&SPEED_FROM)?, given.quantity(&SPEED_TO)?);
    Ok(vec![
        FLOW_CHANGE.is(change.map(|c| c.flow)),
        PRESSURE_CHANGE.is(change.map(|c| c.delta_pressure)),
        POWER_CHANGE.is(change.map(|c| c.power)),
    ])
}
