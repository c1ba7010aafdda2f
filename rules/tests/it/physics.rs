//! What must hold of the physics for any reading, and the rules of a loop that no single vector shows.

use proptest::prelude::*;
use rules::{
    coolant::{Coolant, CoolantError, Fluid},
    density::RackPower,
    heat::{self, Stream},
    measures::{
        Celsius, JoulesPerKilogramKelvin, KilogramsPerCubicMeter, Kilowatts, LitersPerMinute,
        MillipascalSeconds, NotFinite, WattsPerMeterKelvin,
    },
    plant::{CoolantLoop, FlowMeterAt, Technology},
    ratio::{Load, PowerRatio},
    value::{Coverage, Undefined},
};

fn celsius(value: f64) -> Celsius {
    Celsius::new(value).unwrap()
}

fn kilowatts(value: f64) -> Kilowatts {
    Kilowatts::new(value).unwrap()
}

fn stream(flow_lpm: f64, supply_c: f64, return_c: f64) -> Stream {
    Stream {
        flow: LitersPerMinute::new(flow_lpm).unwrap(),
        supply_temperature: celsius(supply_c),
        return_temperature: celsius(return_c),
    }
}

fn a_loop(technology: Technology, coolant: Option<Coolant>) -> CoolantLoop {
    CoolantLoop {
        technology,
        coolant,
        facility_coolant: Coolant::WATER,
        flow_meter_at: FlowMeterAt::Mean,
        design_delta_temperature_k: 10.0,
        design_return_c: 55.0,
        design_pressure_kpa: 600.0,
        design_flow_lpm: None,
        ride_through_s: 11.0,
    }
}

#[test]
fn a_two_phase_loop_has_heat_on_its_facility_side_only() {
    let of = a_loop(Technology::TwoPhase, Some(Coolant::WATER));
    assert_eq!(heat::tcs_heat(&of, stream(120.0, 30.0, 45.0)), Err(Undefined::TwoPhase));
    let heat = heat::fws_heat(&of, stream(120.0, 30.0, 45.0)).unwrap();
    assert!((heat.get() - 124.515).abs() < 0.001, "V-HEAT case 2: {heat:?}");
}

#[test]
fn a_dielectric_has_no_property_data() {
    let of = a_loop(Technology::Immersion, None);
    let heat = heat::tcs_heat(&of, stream(120.0, 30.0, 45.0));
    assert_eq!(heat, Err(Undefined::CoolantOutOfRange));
}

#[test]
fn a_power_ratio_needs_it_power_below_facility_power() {
    let ratio = |facility, it| {
        Load { facility: kilowatts(facility), it: kilowatts(it) }.power_ratio().map(PowerRatio::get)
    };
    assert_eq!(ratio(1250.0, 1000.0), Ok(1.25));
    assert_eq!(ratio(1250.0, 0.0), Err(Undefined::ItPowerZero));
    assert_eq!(ratio(900.0, 1000.0), Err(Undefined::FacilityBelowIt));
}

#[test]
fn a_hall_without_a_known_rack_has_no_density() {
    let racks = RackPower::of([None, None]);
    assert_eq!(racks.coverage, Coverage { known: 0, of: 2 });
    assert_eq!(racks.mean, Err(Undefined::NotMetered));
    assert_eq!(racks.max, Err(Undefined::NotMetered));
    let empty = RackPower::of([Some(kilowatts(0.096))]);
    assert_eq!(empty.mean_occupied, Err(Undefined::NoLoad));
}

#[test]
fn coolants_read_back_as_they_are_written() {
    for text in ["water", "apg:0.25", "mpg:0.3", "meg:0.4"] {
        assert_eq!(text.parse::<Coolant>().unwrap().to_string(), text);
    }
    assert_eq!("water:0.1".parse::<Coolant>(), Err(CoolantError::WaterWithFraction));
    assert_eq!("apg".parse::<Coolant>(), Err(CoolantError::NoFraction("apg")));
    assert_eq!("apg:x".parse::<Coolant>(), Err(CoolantError::Unknown("apg:x".to_owned())));
    assert!(Coolant::new(Fluid::Apg, 0.05).is_err());
    assert!(Coolant::new(Fluid::Meg, f64::NAN).is_err());
}

#[test]
fn a_measure_refuses_what_is_not_finite() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(Celsius::new(value), Err(NotFinite));
    }
}

fn any_coolant() -> impl Strategy<Value = Coolant> {
    prop_oneof![
        Just(Coolant::WATER),
        (0.1..=0.6).prop_map(|fraction| Coolant { fluid: Fluid::Apg, fraction }),
        (0.0..=0.6).prop_map(|fraction| Coolant { fluid: Fluid::Mpg, fraction }),
        (0.0..=0.6).prop_map(|fraction| Coolant { fluid: Fluid::Meg, fraction }),
    ]
}

proptest! {
    #[test]
    fn heat_grows_with_flow(
        coolant in any_coolant(),
        flow in 0.1..5000.0_f64,
        more in 0.01..5000.0_f64,
        supply in 5.0..50.0_f64,
        delta in 0.01..20.0_f64,
    ) {
        let heat = |flow| stream(flow, supply, supply + delta).heat(coolant, FlowMeterAt::Mean);
        prop_assert!(heat(flow + more).unwrap() > heat(flow).unwrap());
    }

    #[test]
    fn the_expected_warming_carries_the_load(
        coolant in any_coolant(),
        flow in 10.0..2000.0_f64,
        supply in 5.0..45.0_f64,
        delta in 0.1..30.0_f64,
    ) {
        let heat = stream(flow, supply, supply + delta).heat(coolant, FlowMeterAt::Mean).unwrap();
        let lpm = LitersPerMinute::new(flow).unwrap();
        let warming = heat::expected_delta_temperature(coolant, lpm, celsius(supply), heat).unwrap();
        prop_assert!((warming.get() - delta).abs() < 1e-6 * delta);
    }

    #[test]
    fn properties_are_physical_within_their_range_and_undefined_outside(
        coolant in any_coolant(),
        temperature in -60.0..160.0_f64,
    ) {
        let at = celsius(temperature);
        let freezing = coolant.freezing_point().unwrap();
        let properties = [
            coolant.density(at).map(KilogramsPerCubicMeter::get),
            coolant.specific_heat(at).map(JoulesPerKilogramKelvin::get),
            coolant.viscosity(at).map(MillipascalSeconds::get),
            coolant.conductivity(at).map(WattsPerMeterKelvin::get),
        ];
        for property in properties {
            match property {
                Ok(value) => {
                    prop_assert!(value.is_finite() && value > 0.0, "{coolant} {temperature} {value}");
                    prop_assert!(at >= freezing);
                }
                Err(why) => prop_assert_eq!(why, Undefined::CoolantOutOfRange),
            }
        }
    }

    #[test]
    fn any_fraction_is_answered_or_refused(
        fraction in any::<f64>(),
        temperature in any::<f64>().prop_filter("finite", |t| t.is_finite()),
    ) {
        for fluid in Fluid::ALL {
            let coolant = Coolant { fluid, fraction };
            let _ = coolant.density(celsius(temperature));
            let _ = coolant.freezing_point();
        }
    }
}
