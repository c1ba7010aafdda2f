//! Site files: what they become, and what is said about the wrong ones.

use configs::{
    fault::{Fault, Source},
    library::Library,
    render, secret,
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

fn crowded_library() -> Library {
    let mut library = Library::shipped();
    let text = include_str!("data/crowded.toml").into();
    library.add_profile("crowded", Source { name: "profiles/crowded.toml".into(), text });
    library
}

#[test]
fn a_site_with_twelve_mistakes_gets_twelve_errors() {
    let text = include_str!("data/twelve-mistakes.toml").into();
    let source = Source { name: "twelve-mistakes.toml".into(), text };
    let faults = read_site(&source, &crowded_library(), &secret::unresolved).unwrap_err();
    insta::assert_snapshot!(render::text(&faults, false));
    assert_eq!(faults.len(), 12);
    for fault in &faults {
        assert!(!fault.remedy.is_empty(), "{} has no remedy", fault.message);
        assert!(!fault.source.text.contains("hunter2"), "the secret is shown");
    }
}

#[test]
fn every_shipped_site_is_sound() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sites");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap().into();
        let source = Source { name: path.display().to_string().into(), text };
        match read_site(&source, &Library::shipped(), &secret::unresolved) {
            Ok(site) => assert!(!site.devices.is_empty(), "{} has no device", source.name),
            Err(faults) => panic!("{}", render::text(&faults, false)),
        }
    }
}
