//! The asset tables of a site file: rooms, racks, loops, CDUs, PDUs, UPSes, buses, meters, sensors, weather stations.

use rules::plant::{
    AssetKind, Cdu, CoolantLoop, Detail, EdgeKind, FlowMeterAt, Rack, Room, Supply, Technology,
};

use super::{
    coolant,
    declared::{Declared, Tie, id},
    meters,
};
use crate::table::Table;

/// What power can flow into.
const FED: &[AssetKind] = &[
    AssetKind::Meter,
    AssetKind::Bus,
    AssetKind::Pdu,
    AssetKind::Ups,
    AssetKind::Rack,
    AssetKind::Cdu,
    AssetKind::Room,
];

/// What a meter or sensor can measure.
const MEASURED: &[AssetKind] = &[
    AssetKind::Site,
    AssetKind::Room,
    AssetKind::Rack,
    AssetKind::Loop,
    AssetKind::Cdu,
    AssetKind::Pdu,
    AssetKind::Ups,
    AssetKind::Bus,
    AssetKind::Meter,
];

/// Reads all asset tables, rooms first.
pub(super) fn read<'a>(root: &Table<'a>) -> Vec<Declared<'a>> {
    type ReadDetail = fn(&Table<'_>) -> Detail;
    const READERS: &[(AssetKind, ReadDetail)] = &[
        (AssetKind::Room, room),
        (AssetKind::Loop, coolant_loop),
        (AssetKind::Rack, rack),
        (AssetKind::Cdu, cdu),
        (AssetKind::Pdu, bare),
        (AssetKind::Ups, bare),
        (AssetKind::Bus, bare),
        (AssetKind::Meter, meters::read),
        (AssetKind::Sensor, bare),
        (AssetKind::Weather, bare),
    ];
    let mut declared = Vec::new();
    for &(kind, detail) in READERS {
        for table in root.tables(kind.word()) {
            let name = id(&table, "name-1");
            let title = table.text("title", "north wall").map(|title| title.value.to_owned());
            let detail = detail(&table);
            let ties = ties(kind, &table);
            table.finish();
            if let Some(name) = name {
                declared.push(Declared { name, kind, title, detail, ties });
            }
        }
    }
    declared
}

fn ties<'a>(kind: AssetKind, table: &Table<'a>) -> Vec<Tie<'a>> {
    let mut ties = Vec::new();
    let mut one = |key, example, edge, inbound, allowed| {
        let other = table.text(key, example);
        ties.extend(other.map(|other| Tie { kind: edge, key, other, inbound, allowed }));
    };
    if !matches!(kind, AssetKind::Room | AssetKind::Weather) {
        one("room", "room-1", EdgeKind::LocatedIn, false, &[AssetKind::Room]);
    }
    if kind == AssetKind::Rack {
        one("cooled_by", "loop-1", EdgeKind::Cools, true, &[AssetKind::Loop]);
    }
    if kind == AssetKind::Cdu {
        one("loop", "loop-1", EdgeKind::Cools, false, &[AssetKind::Loop]);
    }
    if matches!(kind, AssetKind::Meter | AssetKind::Sensor) {
        one("measures", "room-1", EdgeKind::Measures, false, MEASURED);
    }
    if matches!(kind, AssetKind::Meter | AssetKind::Bus | AssetKind::Pdu | AssetKind::Ups) {
        let fed = table.texts("feeds", "rack-1");
        ties.extend(fed.into_iter().map(|other| Tie {
            kind: EdgeKind::Feeds,
            key: "feeds",
            other,
            inbound: false,
            allowed: FED,
        }));
    }
    ties
}

fn bare(_: &Table<'_>) -> Detail {
    Detail::None
}

fn room(table: &Table<'_>) -> Detail {
    let area = table.required_positive("area", "240 m2");
    area.map_or(Detail::None, |area_m2| Detail::Room(Room { area_m2 }))
}

fn rack(table: &Table<'_>) -> Detail {
    let row = table.required_text("row", "R1");
    let position = table.required_integer("position", 1..=10_000, "3");
    let footprint_m2 = table.positive("footprint", "0.72 m2");
    let design_power = table.required_positive("design_power", "132 kW");
    let feeds = table.required_integer("feeds", 1..=16, "2");
    let supply = table.choice("supply", &[("ac", Supply::Ac), ("dc", Supply::Dc)]);
    let rack = || {
        Some(Rack {
            row: row?.value.to_owned(),
            position: position?,
            footprint_m2,
            design_power_kw: design_power?,
            feeds: feeds?,
            supply: supply.unwrap_or(Supply::Ac),
        })
    };
    rack().map_or(Detail::None, Detail::Rack)
}

fn coolant_loop(table: &Table<'_>) -> Detail {
    let technology = table.required_choice(
        "technology",
        &[
            ("cold_plate", Technology::ColdPlate),
            ("immersion", Technology::Immersion),
            ("two_phase", Technology::TwoPhase),
        ],
    );
    let coolant = coolant::inside(table, technology);
    let facility_coolant = coolant::facility(table);
    let flow_meter_at = table.choice(
        "flow_meter_at",
        &[
            ("supply", FlowMeterAt::Supply),
            ("return", FlowMeterAt::Return),
            ("mean", FlowMeterAt::Mean),
        ],
    );
    let delta = table.required_positive("design_delta_temperature", "10 K");
    let design_return = table.required_quantity("design_return", "45 °C");
    let pressure = table.required_positive("design_pressure", "500 kPa");
    let design_flow_lpm = table.positive("design_flow", "900 L/min");
    let ride_through = table.required_positive("ride_through", "20 s");
    let coolant_loop = || {
        Some(CoolantLoop {
            technology: technology?,
            coolant: coolant?.coolant(),
            facility_coolant: facility_coolant?,
            flow_meter_at: flow_meter_at.unwrap_or_default(),
            design_delta_temperature_k: delta?,
            design_return_c: design_return?,
            design_pressure_kpa: pressure?,
            design_flow_lpm,
            ride_through_s: ride_through?,
        })
    };
    coolant_loop().map_or(Detail::None, Detail::Loop)
}

fn cdu(table: &Table<'_>) -> Detail {
    let rated_heat_kw = table.positive("rated_heat", "1200 kW");
    let pumps = table.required_integer("pumps", 1..=64, "2");
    let pumps_required = table.required_integer("pumps_required", 1..=64, "1");
    let (Some(pumps), Some(pumps_required)) = (pumps, pumps_required) else { return Detail::None };
    if pumps_required > pumps {
        table.fault(
            table.place("pumps_required"),
            format!("{pumps_required} pumps are required, but there are only {pumps}"),
            "give in pumps how many are installed, in pumps_required how many must run",
        );
    }
    Detail::Cdu(Cdu { rated_heat_kw, pumps, pumps_required })
}
