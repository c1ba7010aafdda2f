//! Site files: what they become, and what is said about the wrong ones.

use configs::{
    address::Address,
    api::Role,
    fault::{Fault, Source},
    library::Library,
    render,
    secret::{self, Reference},
    site::{Anchors, Site},
    site_file::read_site,
};
use rules::{
    coolant::{Coolant, Fluid},
    metrics::{self, Known},
    plant::{AssetKind, Category, Detail, EdgeKind, Origin, PointSpec, Supply, Technology},
    time::Mono,
    value::{NoData, Undefined},
};
use serde::Deserialize;

fn read(text: &str) -> Result<Site, Vec<Fault>> {
    let source = Source { name: "site.toml".into(), text: text.into() };
    read_site(&source, &Library::shipped(), &secret::unresolved)
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

[[cdu]]
id = "cdu-1"
loop = "loop-1"
pumps = 2
pumps_required = 1

[[meter]]
id = "meter-1"
role = "it_load"
max_power = "400 kW"
feeds = ["rack-1"]
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

#[test]
fn who_may_ask_is_read_with_names_as_they_are_compared() {
    let api = r#"
[api]
listen = "0.0.0.0:7420"
socket_role = "viewer"
hosts = ["GW-1.example", "::1"]
origins = ["https://dash.example:443/"]
tls = { certificate = "tls.pem", key = "tls.key" }

[[api.user]]
name = "anna"
role = "admin"
token = "${env:TOKEN}"
"#;
    let source = Source { name: "site.toml".into(), text: format!("{SITE}{api}").into() };
    let token = |_: Reference<'_>| Ok("hunter2".to_owned());
    let api = read_site(&source, &Library::shipped(), &token).unwrap().api;
    assert_eq!(api.hosts, ["gw-1.example", "[::1]"]);
    assert_eq!(api.origins, ["https://dash.example"]);
    assert_eq!(api.socket_role, Role::Viewer);
    assert_eq!((api.users[0].role, api.users[0].token.as_str()), (Role::Admin, "hunter2"));
    assert!(!format!("{api:?}").contains("hunter2"), "the secret is shown");
    assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
}

#[test]
fn a_site_that_says_nothing_is_asked_only_from_its_own_machine() {
    let api = read(SITE).unwrap().api;
    assert_eq!((api.listen, api.users.len(), api.socket_role), (None, 0, Role::Operator));
    assert!(api.objection("127.0.0.1:7420".parse().unwrap()).is_none());
    assert!(api.objection("192.0.2.1:7420".parse().unwrap()).is_some());
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

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    /// Added to [`SITE`].
    add: String,
    /// The text that the fault points at.
    at: String,
    message: String,
    /// A part of the remedy.
    remedy: String,
}

#[test]
fn every_mistake_has_its_place_and_remedy() {
    let cases: Cases = toml::from_str(include_str!("data/site-faults.toml")).unwrap();
    for case in cases.case {
        let faults = read(&format!("{SITE}{}", case.add)).expect_err(&case.name);
        let [fault] = faults.as_slice() else {
            panic!("{}:\n{}", case.name, render::text(&faults, false))
        };
        assert_eq!(fault.message, case.message, "{}", case.name);
        assert_eq!(&fault.source.text[fault.span.clone()], case.at, "{}", case.name);
        assert!(fault.remedy.contains(&case.remedy), "{}: {}", case.name, fault.remedy);
        let shown = render::text(&faults, false);
        assert!(!shown.contains("hunter2"), "{}: the secret is shown", case.name);
    }
}

#[test]
fn faults_are_found_behind_broken_syntax() {
    let faults = read(&format!("{SITE}\n[[pdu]]\nid = pdu-1\nfeeds = [\"rack-2\"]\n")).unwrap_err();
    let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[1].contains("\"rack-2\""), "{messages:?}");
}

fn shipped(name: &str) -> Site {
    let path = format!("{}/sites/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a shipped site");
    read(&text).unwrap_or_else(|faults| panic!("{}", render::text(&faults, false)))
}

fn point<'s>(site: &'s Site, asset: &str, quantity: &str) -> Option<&'s PointSpec> {
    let asset = site.plant.find_asset(asset).expect("an asset of the site");
    site.plant.find_point(asset, quantity).map(|id| site.plant.point(id))
}

#[test]
fn polled_points_go_stale_after_three_cycles_and_at_least_three_seconds() {
    let site = shipped("cold-plate-hall");
    let seconds = |asset, quantity| point(&site, asset, quantity).unwrap().stale_after.as_secs();
    assert_eq!(seconds("cdu-1", "tcs.flow"), 3);
    assert_eq!(seconds("pdu-1a", "power"), 6);
    assert_eq!(seconds("weather-1", "temperature"), 90);
    // The profile reads it every 10 minutes.
    assert_eq!(seconds("it-a", "nameplate.serial"), 1800);
}

#[test]
fn published_points_go_stale_after_two_periods() {
    let site = shipped("cold-plate-hall");
    let humidity = point(&site, "air-1", "humidity").unwrap();
    assert_eq!((humidity.stale_after.as_secs(), humidity.origin), (120, Origin::Published));
    assert_eq!(humidity.unit.symbol(), "%");
}

#[test]
fn a_device_is_silent_after_ten_cycles_and_at_least_ten_seconds() {
    let site = shipped("cold-plate-hall");
    let silence = |device: &str| {
        let device = site.plant.find_asset(device).unwrap();
        match &site.plant.asset(device).detail {
            Detail::Device(limits) => limits.silence_limit_s,
            other => panic!("{other:?}"),
        }
    };
    assert!((silence("cdu-1-plc") - 10.0).abs() < 1e-9);
    assert!((silence("pdu-1a-card") - 20.0).abs() < 1e-9);
    assert!((silence("weather-station") - 300.0).abs() < 1e-9);
}

#[test]
fn points_are_kept_in_our_units_and_bound_in_the_order_of_the_profile() {
    let site = shipped("cold-plate-hall");
    let card = site.plant.find_asset("pdu-1a-card").unwrap();
    let device = site.devices.iter().find(|device| device.asset == card).unwrap();
    let names: Vec<String> =
        device.bindings.iter().map(|id| site.plant.point_name(id.unwrap())).collect();
    assert_eq!(names[..3], ["pdu-1a.power", "pdu-1a.apparent_power", "pdu-1a.energy"]);
    assert_eq!(point(&site, "pdu-1a", "power").unwrap().unit.symbol(), "kW");
    assert_eq!(site.plant.point_name(device.reply_time), "pdu-1a-card.reply_time");
}

#[test]
fn a_meter_takes_its_register_from_the_profile_of_its_device() {
    let site = shipped("cold-plate-hall");
    let meter = site.plant.find_asset("it-a").unwrap();
    let Detail::Meter(meter) = &site.plant.asset(meter).detail else { panic!("no meter") };
    // A 64-bit register in steps of 1 Wh: it does not wrap in practice.
    assert!((meter.register_step_kwh - 0.001).abs() < 1e-12);
    assert_eq!((meter.register_modulus_kwh, meter.register_float32), (None, false));
    assert_eq!((meter.category, meter.accuracy_percent), (Some(Category::One), Some(0.5)));
    assert_eq!((meter.ct_ratio, meter.calibrated_on.as_deref()), (Some(320.0), Some("2026-02-12")));
}

#[test]
fn points_that_the_site_leaves_out_are_not_bound() {
    let site = shipped("orv3-rpu");
    assert!(point(&site, "rpu", "hex.fan_board_10.power").is_some());
    assert!(point(&site, "rpu", "hex.fan_board_11.power").is_none());
    let [device] = site.devices.as_slice() else { panic!("one device") };
    assert_eq!(device.bindings.iter().filter(|binding| binding.is_none()).count(), 16);
    assert_eq!(device.address.to_string(), "modbus+tcp://10.30.0.12:502?unit=12");
}

#[test]
fn a_publisher_gives_every_asset_of_a_kind_its_points() {
    let site = shipped("dsx-hall");
    for rack in ["Pod1C-E01", "Pod1C-E06"] {
        assert_eq!(point(&site, rack, "power").unwrap().unit.symbol(), "kW");
    }
    assert!(point(&site, "Pod1C-E06", "liquid.flow").is_some());
    assert!(point(&site, "Pod1C-E01", "liquid.flow").is_none());
    assert!(point(&site, "C-E05-TAP-E1", "active_power").is_some());
    let device = site.plant.find_asset("dsx-broker").unwrap();
    assert!(site.plant.targets(device, EdgeKind::Measures).count() >= 12);
}

#[test]
fn a_two_phase_cabinet_has_no_coolant_to_compute_heat_from() {
    let site = shipped("two-phase-cabinet");
    let cabinet = site.plant.find_asset("cabinet-1").unwrap();
    let Detail::Rack(rack) = &site.plant.asset(cabinet).detail else { panic!("no rack") };
    assert_eq!(rack.supply, Supply::Dc);
    let cooled_by = site.plant.sources(cabinet, EdgeKind::Cools).next().unwrap();
    let Detail::Loop(detail) = &site.plant.asset(cooled_by).detail else { panic!("no loop") };
    assert_eq!((detail.technology, detail.coolant), (Technology::TwoPhase, None));
    assert_eq!(detail.facility_coolant, Coolant::WATER);
}

const BROKER: &str = r#"
[[sensor]]
id = "air-1"

[[device]]
id = "broker"
url = "mqtt://10.0.0.1"
profile = "generic-room-sensor"
user = "coldwatch"
password = "${env:BROKER}"
"#;

#[test]
fn secrets_are_asked_for_and_never_shown() {
    let source = Source { name: "site.toml".into(), text: format!("{SITE}{BROKER}").into() };
    let resolve = |reference: Reference<'_>| match reference {
        Reference::Environment("BROKER") => Ok("s3cret".to_owned()),
        other => Err(format!("{other:?} was not asked for")),
    };
    let site = read_site(&source, &Library::shipped(), &resolve).unwrap();
    let Address::Mqtt { credentials: Some(credentials), .. } = &site.devices[0].address else {
        panic!("no credentials")
    };
    assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("coldwatch", "s3cret"));
    assert!(!format!("{site:?}").contains("s3cret"));

    let nothing = |_: Reference<'_>| Err("BROKER is not set".to_owned());
    let faults = read_site(&source, &Library::shipped(), &nothing).unwrap_err();
    assert_eq!(faults[0].message, "the secret of \"password\" is not to be had: BROKER is not set");
}

const DATABASE: &str = r#"
[influxdb]
url = "https://influx.example.net/"
org = "facilities"
bucket = "hall-1"
token = "${file:/etc/coldwatch/influxdb-token}"
ca = "/etc/coldwatch/influxdb-ca.pem"
tags = { region = "eu-central", owner = "DC team" }
"#;

#[test]
fn a_database_is_its_address_and_the_token_that_the_file_only_refers_to() {
    let source = Source { name: "site.toml".into(), text: format!("{SITE}{DATABASE}").into() };
    let resolve = |reference: Reference<'_>| match reference {
        Reference::File("/etc/coldwatch/influxdb-token") => Ok("s3cret==".to_owned()),
        other => Err(format!("{other:?} was not asked for")),
    };
    let site = read_site(&source, &Library::shipped(), &resolve).unwrap();
    assert!(!format!("{site:?}").contains("s3cret"));
    let database = site.influxdb.unwrap();
    assert_eq!(database.token, "s3cret==");
    insta::assert_snapshot!(format!("{database:#?}"));

    let torn = |_: Reference<'_>| Ok("s3cret\nsecond line".to_owned());
    let faults = read_site(&source, &Library::shipped(), &torn).unwrap_err();
    assert!(faults[0].message.contains("the token has a space, a line end"), "{faults:?}");
    assert!(!render::text(&faults, false).contains("s3cret"));
}

#[test]
fn anchors_go_to_a_topic_of_the_gateways_own() {
    let anchors = |more: &str| {
        let text = format!("{SITE}\n[anchors]\nurl = \"mqtt://broker\"\n{more}");
        read(&text).unwrap().anchors.unwrap()
    };
    let Anchors { host, port, credentials, topic } = anchors("");
    assert_eq!((host.as_str(), port, credentials), ("broker", 1883, None));
    let gateway = read(SITE).unwrap().info.gateway;
    assert_eq!(topic, format!("coldwatch/{gateway}/anchor"));
    assert_eq!(anchors("topic = \"coldwatch/a/b\"").topic, "coldwatch/a/b");
}

#[test]
fn a_site_without_a_database_has_none() {
    assert_eq!(read(SITE).unwrap().influxdb, None);
}

#[test]
fn every_fault_of_a_database_is_reported_at_its_place() {
    let database = r#"
[influxdb]
url = "http://operator:hunter2@influx.example.net/api"
org = ""
bukket = "hall-1"
token = "hunter2"
ca = 7
tags = { asset = "x", "re gion" = "eu", floor = 3 }
"#;
    let faults = read(&format!("{SITE}{database}")).unwrap_err();
    let shown = render::text(&faults, false);
    assert!(!shown.contains("hunter2"), "{shown}");
    insta::assert_snapshot!(shown);
}

#[test]
fn a_profile_beside_the_site_stands_in_for_the_shipped_one() {
    let mut library = Library::shipped();
    let text = include_str!("data/crowded.toml").into();
    library.add_profile("generic-pdu", Source { name: "profiles/generic-pdu.toml".into(), text });
    let add = r#"
[[pdu]]
id = "pdu-1"

[[device]]
id = "card"
url = "modbus+tcp://10.0.0.1"
profile = "generic-pdu"
asset = "pdu-1"
"#;
    let source = Source { name: "site.toml".into(), text: format!("{SITE}{add}").into() };
    let site = read_site(&source, &library, &secret::unresolved).unwrap();
    assert!(point(&site, "pdu-1", "zone_30.power").is_some());
}

#[test]
fn a_meter_over_several_racks_tells_the_power_of_none() {
    let add = r#"
[[rack]]
id = "rack-2"
row = "R1"
position = 2
design_power = "132 kW"
feeds = 1

[[rack]]
id = "rack-3"
row = "R1"
position = 3
design_power = "132 kW"
feeds = 1

[[meter]]
id = "row"
role = "it_load"
max_power = "400 kW"
feeds = ["rack-2", "rack-3"]

[[device]]
id = "row-meter"
url = "modbus+tcp://10.0.0.1"
profile = "generic-meter"
asset = "row"
"#;
    let plan = metrics::plan(read(&format!("{SITE}{add}")).unwrap().plant).unwrap();
    let rack = plan.plant.find_asset("rack-2").unwrap();
    let power = plan.plant.find_point(rack, "power").unwrap();
    let metric = plan.metrics.iter().find(|metric| metric.point == power).unwrap();
    let known = vec![Known { value: Ok(70.0), ..Known::NEVER_SEEN }; plan.plant.points().len()];
    let value = metric.evaluate(&known, Mono::ZERO).value;
    assert_eq!(value, Err(NoData::Undefined(Undefined::NotMetered)));
}

#[test]
fn every_rule_file_on_disk_ships_inside_the_program() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let mut on_disk: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        .filter(|name| !name.contains('.'))
        .collect();
    on_disk.sort();
    assert_eq!(Library::shipped().rule_names().collect::<Vec<_>>(), on_disk);
}
