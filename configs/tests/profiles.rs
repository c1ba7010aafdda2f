//! The shipped profiles: every one is read without a fault, and what they say agrees with what is known from outside.

#![expect(clippy::unwrap_used, reason = "a test without its files fails")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use configs::{
    fault::Source,
    library::Library,
    profile::{Contract, Map, MetadataPoint, ModbusMap, ModbusPoint, Profile},
    profile_file,
};
use rules::{
    plant::AssetKind,
    value::{NoData, Value},
};
use serde::Deserialize;

fn shipped() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (format!("profiles/{name}"), fs::read_to_string(path).unwrap())
        })
        .filter(|(name, _)| Path::new(name).extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    files
}

fn read(name: &str, text: &str) -> Result<Profile, String> {
    let source = Source { name: name.into(), text: text.into() };
    profile_file::read(&source).map_err(|faults| {
        let line = |fault: &configs::fault::Fault| {
            let (line, column) = fault.line_and_column();
            format!("{name}:{line}:{column}: {}; {}", fault.message, fault.remedy)
        };
        faults.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}

#[test]
fn every_shipped_profile_is_read_without_a_fault() {
    let files = shipped();
    assert!(files.len() >= 10, "{} profiles", files.len());
    for (name, text) in files {
        match read(&name, &text) {
            Ok(profile) => assert!(!profile.offered().is_empty(), "{name} offers nothing"),
            Err(faults) => panic!("{faults}"),
        }
    }
}

fn shipped_profile(id: &str) -> Profile {
    let library = Library::shipped();
    profile_file::read(library.profile(id).unwrap()).unwrap()
}

fn modbus(profile: &Profile) -> &ModbusMap {
    match &profile.map {
        Map::Modbus(map) => map,
        Map::Mqtt(_) => panic!("{} is no Modbus profile", profile.id),
    }
}

#[test]
fn every_profile_on_disk_ships_inside_the_program() {
    let library = Library::shipped();
    let embedded: BTreeSet<String> =
        library.profile_names().map(|name| format!("profiles/{name}.toml")).collect();
    let on_disk: BTreeSet<String> = shipped().into_iter().map(|(name, _)| name).collect();
    assert_eq!(embedded, on_disk);
}

/// A register image and its meaning, computed by `tests/data/orv3_rpu_image.py` from the public maps.
#[derive(Deserialize)]
struct Image {
    registers: BTreeMap<u16, u16>,
    values: BTreeMap<String, Value>,
}

#[test]
fn an_orv3_register_image_means_what_the_public_maps_say() {
    let image: Image = serde_json::from_str(include_str!("data/orv3_rpu_image.json")).unwrap();
    let profile = shipped_profile("orv3-rpu");
    let mut decoded = BTreeMap::new();
    for point in &modbus(&profile).points {
        let words: Vec<u16> = (0..point.codec.registers())
            .filter_map(|at| image.registers.get(&(point.address + at)).copied())
            .collect();
        let value = point.codec.decode(&words);
        decoded.insert(
            point.quantity.to_string(),
            value.unwrap_or_else(|why| panic!("{} at {}: {why}", point.quantity, point.address)),
        );
    }
    assert_eq!(decoded, image.values);
    assert_eq!(decoded["tcs.supply_temperature"], Value::Number(-3.4));
}

#[test]
fn the_generic_profiles_offer_the_quantities_that_metrics_ask_for() {
    let expected: &[(&str, &[&str])] = &[
        (
            "generic-cdu",
            &[
                "tcs.supply_temperature",
                "tcs.return_temperature",
                "tcs.supply_setpoint",
                "tcs.flow",
                "tcs.delta_pressure",
                "tcs.supply_pressure",
                "fws.supply_temperature",
                "fws.return_temperature",
                "fws.flow",
                "pump_1.speed",
                "pump_2.speed",
                "pump_1.state",
                "pump_2.state",
                "filter.delta_pressure",
                "reservoir.level",
                "valve.position",
                "leak.state",
                "power",
            ],
        ),
        (
            "generic-rack",
            &[
                "liquid.supply_temperature",
                "liquid.return_temperature",
                "liquid.flow",
                "liquid.delta_pressure",
                "leak.state",
            ],
        ),
        ("generic-meter", &["active_power", "energy", "voltage", "current", "power_factor"]),
        ("generic-pdu", &["power", "energy", "line1_current", "line2_current", "line3_current"]),
        (
            "generic-cabinet",
            &[
                "power",
                "fws.flow",
                "fws.supply_temperature",
                "fws.return_temperature",
                "leak.state",
            ],
        ),
        ("generic-weather", &["temperature", "humidity"]),
        ("generic-room-sensor", &["temperature", "humidity"]),
        ("generic-ups", &["input.power", "output.power", "load"]),
        (
            "orv3-rpu",
            &[
                "tcs.supply_temperature",
                "tcs.return_temperature",
                "tcs.flow",
                "tcs.supply_pressure",
                "pump_1.rotation",
                "leak.internal",
            ],
        ),
    ];
    for (id, quantities) in expected {
        let profile = shipped_profile(id);
        let offered: BTreeSet<&str> =
            profile.offered().iter().map(|point| point.quantity.as_ref()).collect();
        for quantity in *quantities {
            assert!(offered.contains(quantity), "{id} does not offer {quantity}");
        }
    }
}

#[test]
fn the_metadata_contract_tells_like_points_apart() {
    let profile = shipped_profile("dsx-exchange");
    let Map::Mqtt(map) = &profile.map else { panic!("no MQTT profile") };
    assert_eq!(map.republish_every.as_secs(), 100);
    let Contract::Metadata(contract) = &map.contract else { panic!("no metadata contract") };
    assert_eq!(contract.good_quality, 1);
    let currents: Vec<(&str, &str)> = contract
        .rules
        .iter()
        .filter(|rule| rule.point_type == "Current")
        .map(|rule| (rule.tag_path_end.as_str(), rule.quantity.as_ref()))
        .collect();
    assert_eq!(
        currents,
        [("current/current/value", "current"), ("current/maxCurrent/value", "max_current")]
    );
    let flows: Vec<&MetadataPoint> =
        contract.rules.iter().filter(|rule| &*rule.quantity == "tcs.flow").collect();
    assert_eq!(flows.len(), 2);
    let offered = profile.offered();
    let flows = offered.iter().filter(|point| &**point.quantity == "tcs.flow");
    let kinds: Vec<Option<AssetKind>> = flows.map(|point| point.asset_kind).collect();
    assert_eq!(kinds, [Some(AssetKind::Cdu)], "two rules, one point");
}

/// The text between the first pair of fences.
fn fenced(markdown: &str) -> &str {
    markdown.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap()
}

#[test]
fn the_example_in_the_description_of_the_format_is_read() {
    let example = fenced(include_str!("../profiles/README.md"));
    let profile =
        read("profiles/example.toml", example).unwrap_or_else(|faults| panic!("{faults}"));
    let map = modbus(&profile);
    assert_eq!((map.max_registers, map.max_bits), (60, 2000));
    assert_eq!(map.points.len(), 8);
    assert_eq!(map.points[0].address, 100);
}

/// A point of a real device, computed by `tests/data/device_words.py`.
#[derive(Deserialize)]
struct DeviceWords {
    profile: String,
    quantity: String,
    table: String,
    address: u16,
    words: Vec<u16>,
    value: serde_json::Value,
}

impl DeviceWords {
    fn meaning(&self) -> Result<Value, NoData> {
        let text = |member: &str| self.value[member].as_str();
        match (text("number"), text("text"), text("missing")) {
            (Some(number), None, None) => Ok(Value::Number(number.parse().unwrap())),
            (None, Some(text), None) => Ok(Value::Text(text.into())),
            (None, None, Some(_)) => Err(NoData::NotAvailable),
            _ => Ok(serde_json::from_value(self.value.clone()).unwrap()),
        }
    }
}

#[test]
fn words_of_real_devices_mean_what_their_documents_say() {
    let lines: Vec<DeviceWords> =
        serde_json::from_str(include_str!("data/device_words.json")).unwrap();
    let names: BTreeSet<&str> = lines.iter().map(|line| line.profile.as_str()).collect();
    let profiles: BTreeMap<&str, Profile> =
        names.iter().map(|name| (*name, shipped_profile(name))).collect();
    let mut untold: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (name, profile) in &profiles {
        untold.extend(modbus(profile).points.iter().map(|point| (*name, point.quantity.as_ref())));
    }
    for line in &lines {
        let map = modbus(&profiles[line.profile.as_str()]);
        let is_meant = |point: &&ModbusPoint| *point.quantity == *line.quantity;
        let Some(point) = map.points.iter().find(is_meant) else {
            panic!("{} has no {}", line.profile, line.quantity);
        };
        let place = (format!("{:?}", point.table), point.address);
        assert_eq!(place, (line.table.clone(), line.address), "{}", line.quantity);
        assert_eq!(point.codec.decode(&line.words), line.meaning(), "{}", line.quantity);
        untold.remove(&(line.profile.as_str(), line.quantity.as_str()));
    }
    assert!(untold.is_empty(), "points that no line proves: {untold:?}");
}
