//! Moist air, and what condenses from it.

use super::{Answer, ArgumentError, Arguments, Formula, Input, Kind, Output};
use crate::{
    measures::{Celsius, GramsPerCubicMeter, Hectopascals, Kelvin, Measure, Percent},
    psychrometrics::{Air, saturation_pressure},
};

const TEMPERATURE: Input =
    Input::required("temperature-c", Kind::Quantity(Celsius::UNIT), "air temperature");
const HUMIDITY: Input =
    Input::required("humidity-percent", Kind::Quantity(Percent::UNIT), "relative humidity");
const SUPPLY: Input = Input::required(
    "supply-c",
    Kind::Quantity(Celsius::UNIT),
    "temperature of the coldest wetted surface in the room",
);

const DEW_POINT: Output = Output::of::<Celsius>("dew_point");
const ABSOLUTE_HUMIDITY: Output = Output::of::<GramsPerCubicMeter>("absolute_humidity");
const SATURATION: Output = Output::of::<Hectopascals>("saturation_pressure");
const WET_BULB: Output = Output::of::<Celsius>("wet_bulb");
const MARGIN: Output = Output::of::<Kelvin>("dew_point_margin");

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        name: "dew-point",
        help: "dew point and absolute humidity of room air",
        example: "--temperature-c 24 --humidity-percent 60",
        inputs: &[TEMPERATURE, HUMIDITY],
        file: None,
        outputs: &[DEW_POINT, ABSOLUTE_HUMIDITY, SATURATION],
        evaluate: dew_point,
    },
    Formula {
        name: "wet-bulb",
        help: "wet bulb of outdoor air at sea level",
        example: "--temperature-c 24 --humidity-percent 60",
        inputs: &[TEMPERATURE, HUMIDITY],
        file: None,
        outputs: &[WET_BULB],
        evaluate: wet_bulb,
    },
    Formula {
        name: "margin",
        help: "how far the coolant supply is above the dew point of the room",
        example: "--supply-c 18 --temperature-c 24 --humidity-percent 60",
        inputs: &[SUPPLY, TEMPERATURE, HUMIDITY],
        file: None,
        outputs: &[MARGIN, DEW_POINT],
        evaluate: margin,
    },
];

fn dew_point(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let air = air(given)?;
    Ok(vec![
        DEW_POINT.is(air.dew_point()),
        ABSOLUTE_HUMIDITY.is(air.absolute_humidity()),
        SATURATION.is(saturation_pressure(air.temperature)),
    ])
}

fn wet_bulb(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    Ok(vec![WET_BULB.is(air(given)?.wet_bulb())])
}

fn margin(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let air = air(given)?;
    let margin = air.dew_point_margin(given.quantity(&SUPPLY)?);
    Ok(vec![MARGIN.is(margin), DEW_POINT.is(air.dew_point())])
}

fn air(given: &Arguments) -> Result<Air, ArgumentError> {
    let humidity: Percent = given.quantity(&HUMIDITY)?;
    if humidity.get() <= 0.0 {
        let text = given.text(&HUMIDITY).unwrap_or_default();
        return Err(HUMIDITY.wrong(text, "relative humidity is above zero"));
    }
    Ok(Air { temperature: given.quantity(&TEMPERATURE)?, humidity })
}
