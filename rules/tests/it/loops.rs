//! A loop under the engine: a total that lacks a part says so, and a figure is covered no better than its weakest input.

use std::time::Duration;

use rules::{
    alarm_set::AlarmSet,
    coolant::{Coolant, Fluid},
    engine::{Engine, Events, Input},
    metrics,
    plant::{
        Asset, AssetId, AssetKind, Cdu, CoolantLoop, Detail, EdgeKind, FlowMeterAt, Origin, Plant,
        PointKind, PointSpec, Room, Technology,
    },
    time::{BootId, Mono, Now, Trust, Wall},
    units::Unit,
    value::{Coverage, NoData, Reading, Sample, Undefined, Value},
};

use crate::fixtures::{rack, site_info};

#[derive(Default)]
struct Draft {
    plant: Plant,
    values: Vec<f64>,
}

impl Draft {
    fn asset(&mut self, name: &str, kind: AssetKind, detail: Detail) -> AssetId {
        self.plant.add_asset(Asset { name: name.into(), kind, title: None, detail })
    }

    fn point(&mut self, asset: AssetId, quantity: &str, unit: &str, value: f64) {
        self.plant.add_point(PointSpec {
            asset,
            quantity: quantity.into(),
            unit: Unit::parse(unit).unwrap(),
            kind: PointKind::Gauge,
            origin: Origin::Polled,
            stale_after: Duration::from_secs(3),
            states: Vec::new(),
        });
        self.values.push(value);
    }

    /// A loop of these CDUs and racks. 60 L/min over 10 K each.
    fn coolant_loop(&mut self, name: &str, cdus: &[AssetId], racks: &[AssetId]) -> AssetId {
        let water = Coolant::new(Fluid::Water, 0.0).unwrap();
        let detail = CoolantLoop {
            technology: Technology::ColdPlate,
            coolant: Some(water),
            facility_coolant: water,
            flow_meter_at: FlowMeterAt::Supply,
            design_delta_temperature_k: 10.0,
            design_return_c: 45.0,
            design_pressure_kpa: 500.0,
            design_flow_lpm: None,
            ride_through_s: 20.0,
        };
        let asset = self.asset(name, AssetKind::Loop, Detail::Loop(detail));
        for &cdu in cdus {
            self.plant.add_edge(cdu, EdgeKind::Cools, asset);
        }
        for &rack in racks {
            self.plant.add_edge(asset, EdgeKind::Cools, rack);
        }
        asset
    }

    fn cdu(&mut self, name: &str, measured: bool) -> AssetId {
        let detail = Cdu { rated_heat_kw: None, pumps: 1, pumps_required: 1 };
        let cdu = self.asset(name, AssetKind::Cdu, Detail::Cdu(detail));
        if measured {
            self.side(cdu, "tcs");
        }
        cdu
    }

    fn rack(&mut self, name: &str) -> AssetId {
        let rack = self.asset(name, AssetKind::Rack, Detail::Rack(rack(1)));
        self.point(rack, "power", "kW", 40.0);
        rack
    }

    fn side(&mut self, asset: AssetId, prefix: &str) {
        self.point(asset, &format!("{prefix}.flow"), "L/min", 60.0);
        self.point(asset, &format!("{prefix}.supply_temperature"), "°C", 30.0);
        self.point(asset, &format!("{prefix}.return_temperature"), "°C", 40.0);
    }

    /// The readings after all points but the silent ones have been sampled.
    fn run(self, silent: &[&str]) -> Hall {
        let names: Vec<_> = self.plant.point_ids().map(|id| self.plant.point_name(id)).collect();
        let samples: Vec<Sample> = self
            .plant
            .point_ids()
            .zip(&self.values)
            .filter(|(point, _)| !silent.contains(&names[point.index()].as_str()))
            .map(|(point, value)| Sample {
                point,
                at: Mono::ZERO,
                source_time: None,
                value: Ok(Value::Number(*value)),
            })
            .collect();
        let plan = metrics::plan(self.plant).unwrap();
        let alarms = AlarmSet::compile(&[], &plan.plant).unwrap().set;
        let info = site_info();
        let mut engine = Engine::new(info, BootId(1), plan, alarms);
        let utc = "2026-10-01T12:00:00Z".parse().unwrap();
        let now = Now { mono: Mono::ZERO, wall: Wall { utc, trust: Trust::Synchronised } };
        engine.step(now, Input::Samples(&samples), &mut Events::default());
        engine.step(now, Input::Tick, &mut Events::default());
        Hall(engine)
    }
}

struct Hall(Engine);

impl Hall {
    fn reading(&self, asset: &str, quantity: &str) -> Reading {
        let plant = self.0.plant();
        let asset = plant.find_asset(asset).unwrap();
        self.0.reading(plant.find_point(asset, quantity).unwrap())
    }
}

const NOT_METERED: NoData = NoData::Undefined(Undefined::NotMetered);

#[test]
fn a_loop_with_one_cdu_unmetered_has_no_flow_and_no_heat_rather_than_half() {
    let mut draft = Draft::default();
    draft.asset("site", AssetKind::Site, Detail::None);
    let rack = draft.rack("r1");
    let cdus = [draft.cdu("c1", true), draft.cdu("c2", false)];
    draft.coolant_loop("l1", &cdus, &[rack]);
    let hall = draft.run(&[]);
    assert_eq!(hall.reading("l1", "tcs.flow").value, Err(NOT_METERED));
    assert_eq!(hall.reading("l1", "heat").value, Err(NOT_METERED));
    assert!(hall.reading("l1", "heat_capture").value.is_err());
    assert!(hall.reading("c1", "tcs.heat").number().is_ok(), "what is measured stands");
}

#[test]
fn a_site_with_one_loop_unmetered_has_no_liquid_heat_rather_than_less() {
    let mut draft = Draft::default();
    draft.asset("site", AssetKind::Site, Detail::None);
    let racks = [draft.rack("r1"), draft.rack("r2")];
    let cdus = [draft.cdu("c1", true), draft.cdu("c2", false)];
    draft.coolant_loop("l1", &cdus[..1], &racks[..1]);
    draft.coolant_loop("l2", &cdus[1..], &racks[1..]);
    let hall = draft.run(&[]);
    assert!(hall.reading("l1", "heat").number().is_ok());
    assert_eq!(hall.reading("site", "liquid_heat").value, Err(NOT_METERED));
    assert!(hall.reading("site", "heat_capture").value.is_err());
}

#[test]
fn heat_capture_is_covered_as_the_heat_is_though_all_power_is_known() {
    let mut draft = Draft::default();
    draft.asset("site", AssetKind::Site, Detail::None);
    let racks: Vec<_> = (1..=20).map(|number| draft.rack(&format!("r{number}"))).collect();
    for rack in &racks {
        draft.side(*rack, "liquid");
    }
    draft.coolant_loop("l1", &[], &racks);
    let hall = draft.run(&["r7.liquid.flow"]);
    let partly = Some(Coverage { known: 19, of: 20 });
    assert_eq!(hall.reading("l1", "heat").coverage, partly);
    assert_eq!(hall.reading("l1", "it_power").coverage, Some(Coverage { known: 20, of: 20 }));
    assert_eq!(hall.reading("l1", "heat_capture").coverage, partly);
    assert_eq!(hall.reading("site", "heat_capture").coverage, partly);
}

#[test]
fn the_lowest_dew_point_margin_is_covered_as_the_dew_point_under_it_is() {
    let mut draft = Draft::default();
    draft.asset("site", AssetKind::Site, Detail::None);
    let room = draft.asset("room", AssetKind::Room, Detail::Room(Room { area_m2: 240.0 }));
    for number in 1..=20 {
        let sensor = draft.asset(&format!("s{number}"), AssetKind::Sensor, Detail::None);
        draft.plant.add_edge(sensor, EdgeKind::LocatedIn, room);
        draft.point(sensor, "temperature", "°C", 24.0);
        draft.point(sensor, "humidity", "%", 50.0);
    }
    let cdu = draft.cdu("c1", true);
    draft.plant.add_edge(cdu, EdgeKind::LocatedIn, room);
    let hall = draft.run(&["s3.humidity"]);
    let margin = hall.reading("site", "dew_point_margin");
    assert!(margin.number().is_ok());
    assert_eq!(margin.coverage, Some(Coverage { known: 19, of: 20 }));
}

/// A CDU that says its heat and the four temperatures of its exchanger.
fn exchanger(cold_out_c: f64) -> Hall {
    let mut draft = Draft::default();
    let cdu = draft.cdu("cdu", false);
    draft.coolant_loop("loop", &[cdu], &[]);
    for (quantity, value) in [
        ("tcs.return_temperature", 51.0),
        ("tcs.supply_temperature", 37.0),
        ("fws.supply_temperature", 35.0),
        ("fws.return_temperature", cold_out_c),
    ] {
        draft.point(cdu, quantity, "°C", value);
    }
    draft.point(cdu, "tcs.heat", "kW", 1250.0);
    draft.run(&[])
}

/// V-HX, first row.
#[test]
fn a_heat_exchanger_says_how_well_it_works() {
    let hall = exchanger(46.0);
    for (quantity, expected) in [
        ("exchanger.log_mean_difference", 3.27407),
        ("exchanger.conductance", 381.788),
        ("exchanger.effectiveness", 87.5),
    ] {
        let found = hall.reading("cdu", quantity).number().unwrap();
        assert!((found / expected - 1.0).abs() < 1e-4, "{quantity}: {found}");
    }
}

#[test]
fn a_heat_exchanger_whose_temperatures_cross_has_no_figure() {
    let crossed = exchanger(52.0).reading("cdu", "exchanger.conductance").value;
    assert_eq!(crossed, Err(NoData::Undefined(Undefined::TemperatureCross)));
}
