//! Site files: what they become, and what is said about the wrong ones.

use configs::{
    fault::{Fault, Source},
    library::Library,
    secret,
    site::Site,
    site_file::read_site,
};
use rules::{
    coolant::{Coolant, Fluid},
    plant::{AssetKind, Detail, EdgeKind},
};

fn read(text: &str) -> Result<Site, Vec<Fault>> {
    let source = Source { name: "site.toml".into(), text: text.into() };
    read_site(&source, &Library::default(), &secret::unresolved)
}

const SITE: &str = r#"
[site]
id = "hall"
name = "Hall"
time_zone = "Europe/Berlin"
gateway = "gw-1"

[[room]]
id = "room-1"
area = "240 m2"

[[loop]]
id = "loop-1"
room = "room-1"
technology = "cold_plate"
coolant = { fluid = "propylene_glycol", concentration = "25 %", basis = "volume" }
design_delta_temperature = "10 K"
design_return = "113 °F"
design_pressure = "5 bar"
ride_through = "20 s"

[[rack]]
id = "rack-1"
room = "room-1"
row = "R1"
position = 1
design_power = "132 kW"
feeds = 2
cooled_by = "loop-1"
"#;

#[test]
fn a_site_becomes_assets_and_edges() {
    let site = read(SITE).unwrap();
    let plant = &site.plant;
    let rack = plant.find_asset("rack-1").unwrap();
    let coolant_loop = plant.find_asset("loop-1").unwrap();
    assert_eq!(plant.targets(coolant_loop, EdgeKind::Cools).collect::<Vec<_>>(), [rack]);
    assert_eq!(plant.of_kind(AssetKind::Site).count(), 1);
    let Detail::Loop(detail) = &plant.asset(coolant_loop).detail else { panic!("no loop") };
    assert_eq!(detail.coolant, Some(Coolant { fluid: Fluid::Apg, fraction: 0.25 }));
    assert!((detail.design_return_c - 45.0).abs() < 1e-9);
    assert!((detail.design_pressure_kpa - 500.0).abs() < 1e-9);
}
