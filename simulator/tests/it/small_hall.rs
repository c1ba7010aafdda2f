//! A hall small enough to reason about: one CDU with twelve racks, a two-phase cabinet, everything fed twice.

use std::sync::Arc;

use rules::{
    coolant::{Coolant, Fluid},
    plant::{
        Asset, AssetId, AssetKind, Carrier, Cdu, CoolantLoop, Detail, EdgeKind, FlowMeterAt, Meter,
        Plant, Rack, Role, Supply, Technology,
    },
};

pub(crate) fn plant() -> Plant {
    let mut plant = Plant::default();
    let feeds = |plant: &mut Plant, from, to| plant.add_edge(from, EdgeKind::Feeds, to);

    let mechanical = add(&mut plant, "mechanical", AssetKind::Meter, meter(Role::Cooling));
    let other = add(&mut plant, "house", AssetKind::Meter, meter(Role::Other));
    let mut buses = Vec::new();
    for side in ["a", "b"] {
        let utility =
            add(&mut plant, &format!("utility-{side}"), AssetKind::Meter, meter(Role::BoundaryIn));
        let ups = add(&mut plant, &format!("ups-{side}"), AssetKind::Ups, Detail::None);
        let bus = add(&mut plant, &format!("bus-{side}"), AssetKind::Bus, Detail::None);
        feeds(&mut plant, utility, ups);
        feeds(&mut plant, utility, mechanical);
        feeds(&mut plant, utility, other);
        feeds(&mut plant, ups, bus);
        buses.push(bus);
    }

    let cold_plate = add(&mut plant, "loop-1", AssetKind::Loop, cold_plate());
    let cdu = Detail::Cdu(Cdu { rated_heat_kw: Some(1400.0), pumps: 2, pumps_required: 1 });
    let cdu = add(&mut plant, "cdu-1", AssetKind::Cdu, cdu);
    plant.add_edge(cdu, EdgeKind::Cools, cold_plate);
    for position in 1..=12 {
        let rack = rack(&mut plant, &format!("r1-{position:02}"), position, 130.0);
        plant.add_edge(cold_plate, EdgeKind::Cools, rack);
        for bus in &buses {
            feeds(&mut plant, *bus, rack);
        }
    }

    let two_phase = add(&mut plant, "loop-x", AssetKind::Loop, two_phase());
    let cabinet = rack(&mut plant, "x-1", 1, 860.0);
    plant.add_edge(two_phase, EdgeKind::Cools, cabinet);
    for bus in &buses {
        feeds(&mut plant, *bus, cabinet);
    }
    plant
}

pub(crate) fn id(plant: &Plant, name: &str) -> AssetId {
    plant.find_asset(name).unwrap()
}

fn add(plant: &mut Plant, name: &str, kind: AssetKind, detail: Detail) -> AssetId {
    plant.add_asset(Asset { name: Arc::from(name), kind, title: None, detail })
}

fn rack(plant: &mut Plant, name: &str, position: u32, design_power_kw: f64) -> AssetId {
    let detail = Detail::Rack(Rack {
        row: "R1".to_owned(),
        position,
        footprint_m2: Some(0.72),
        design_power_kw,
        feeds: 2,
        supply: Supply::Ac,
    });
    add(plant, name, AssetKind::Rack, detail)
}

pub(crate) fn meter(role: Role) -> Detail {
    Detail::Meter(Meter {
        role,
        carrier: Carrier::Electricity,
        category: None,
        feed: None,
        serial: None,
        model: None,
        twin: None,
        share: None,
        accuracy_percent: Some(0.5),
        ct_ratio: None,
        ct_accuracy_percent: None,
        register_step_kwh: 0.1,
        register_modulus_kwh: Some(1_000_000.0),
        register_float32: false,
        max_power_kw: 5000.0,
        calibrated_on: None,
    })
}

fn cold_plate() -> Detail {
    Detail::Loop(CoolantLoop {
        technology: Technology::ColdPlate,
        coolant: Some(Coolant { fluid: Fluid::Apg, fraction: 0.25 }),
        facility_coolant: Coolant::WATER,
        flow_meter_at: FlowMeterAt::Mean,
        design_delta_temperature_k: 10.0,
        design_return_c: 50.0,
        design_pressure_kpa: 600.0,
        design_flow_lpm: None,
        ride_through_s: 20.0,
    })
}

fn two_phase() -> Detail {
    let Detail::Loop(record) = cold_plate() else { return Detail::None };
    Detail::Loop(CoolantLoop { technology: Technology::TwoPhase, coolant: None, ..record })
}
