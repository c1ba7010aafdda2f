//! How long a site of 50 000 points takes to check, its alarms to compile, and a tick of all of them. Run it with
//! `cargo run --release -p configs --example large_site`.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use chrono::DateTime;
use configs::{
    check::check, fault::Source, library::Library, render, secret, site::Site, site_file::read_site,
};
use rules::{
    alarm_set::AlarmSet,
    metrics,
    plant::{Plant, PointKind},
    rule::RuleSpec,
    time::{Mono, Now, Trust, Wall},
    value::NoData,
};
use rustix::time::{ClockId, clock_gettime};

const LOOPS: usize = 60;
const RACKS_PER_LOOP: usize = 28;

fn main() {
    let source = Source { name: "large.toml".into(), text: text().into() };
    let library = Library::shipped();
    report(&format!("{} bytes", source.text.len()));
    for _ in 0..5 {
        let start = Instant::now();
        let site = read_site(&source, &library, &secret::unresolved);
        let read = start.elapsed();
        drop(site);
        let start = Instant::now();
        match check(&source, &library) {
            Ok(contents) => {
                report(&format!("read {read:.1?}, checked {:.1?}: {contents}", start.elapsed()));
            }
            Err(faults) => report(&render::text(&faults, false)),
        }
    }
    if let Ok(site) = read_site(&source, &library, &secret::unresolved) {
        alarms(site);
    }
}

/// Three kinds of rule sets: those that ship, one rule for each alarm, and templates that compare each rack with all.
fn alarms(site: Site) {
    let rules = site.rules;
    let Ok(plan) = metrics::plan(site.plant) else { return report("the meters do not fit") };
    measure("shipped rules", &rules, &plan.plant);
    let single: Vec<RuleSpec> = plan
        .plant
        .point_ids()
        .filter(|point| {
            let point = plan.plant.point(*point);
            point.kind == PointKind::Gauge && !point.unit.dimension().absolute
        })
        .step_by(3)
        .take(10_000)
        .map(|point| {
            let name = plan.plant.point_name(point);
            RuleSpec::new(&format!("hi.{name}"), &format!("{name} > 0.9 * {name}"))
        })
        .collect();
    measure("one rule each", &single, &plan.plant);
    let compared: Vec<RuleSpec> = COMPARED
        .iter()
        .zip(1..)
        .map(|(when, number)| RuleSpec {
            each: Some("rack in racks".to_owned()),
            ..RuleSpec::new(&format!("rack.compared_{number}"), when)
        })
        .collect();
    measure("each rack with all racks", &compared, &plan.plant);
}

const COMPARED: [&str; 6] = [
    "rack.power > 1.4 * median(racks.power)",
    "rack.power > 1.4 * avg(racks.power where load > 20 %)",
    "rack.liquid.flow < 60 % * median(racks.liquid.flow) and count(racks where load > 20 %) > 3",
    "rack.liquid.supply_temperature > max(rack.loop.cdus.tcs.supply_temperature) + 2 K",
    "rack.liquid.supply_temperature > min(racks.liquid.supply_temperature) + 5 K",
    "rack.liquid.flow < 60 % * avg(rack.loop.racks.liquid.flow)",
];

/// Compiles rules, then ticks with values that move, so that alarms come and go. A tick is measured by the processor
/// time of this thread.
fn measure(what: &str, rules: &[RuleSpec], plant: &Plant) {
    let mut best = Duration::MAX;
    let mut compiled = None;
    for _ in 0..5 {
        let start = Instant::now();
        compiled = AlarmSet::compile(rules, plant).ok();
        best = best.min(start.elapsed());
    }
    let Some(mut set) = compiled.map(|compiled| compiled.set) else { return report("faults") };
    let points = plant.points().len();
    report(&format!("{what}: {} alarms over {points} points compiled in {best:.1?}", set.len()));

    // A congruential generator (Knuth, MMIX): the same values in every run.
    let mut seed = 1_u64;
    let mut values: Vec<Result<f64, NoData>> = vec![Ok(0.0); points];
    let mut second = 0;
    for (phase, one_in) in [("calm", 1024), ("flood", 16)] {
        let (mut transitions, mut times, mut moves) = (Vec::new(), Vec::new(), 0);
        for _ in 0..TICKS {
            second += 1;
            for value in &mut values {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                if (seed >> 40).is_multiple_of(one_in) {
                    *value = Ok(f64::from(u8::try_from(seed >> 34 & 63).unwrap_or(0)));
                }
            }
            let wall = Wall { utc: DateTime::UNIX_EPOCH, trust: Trust::Synchronised };
            let now = Now { mono: Mono::from_secs(second), wall };
            let start = processor_time();
            set.tick(now, &values, &mut transitions);
            times.push(processor_time().saturating_sub(start));
            moves += transitions.len();
            transitions.clear();
            set.forget_changes();
        }
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied();
        let (middle, late) = (at(50).unwrap_or_default(), at(99).unwrap_or_default());
        report(&format!(
            "  a tick, {phase}: p50 {middle:.1?}, p99 {late:.1?}; {moves} transitions in {TICKS} ticks"
        ));
    }
}

const TICKS: u64 = 1000;

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "this program only reports")]
fn report(line: &str) {
    println!("{line}");
}

fn text() -> String {
    let mut out = String::from(
        "[site]\nid = \"site\"\nname = \"Large\"\ntime_zone = \"UTC\"\ngateway = \"gw\"\n\n[[room]]\nid = \"room\"\narea = \"9000 m2\"\n",
    );
    let mut fed = [String::new(), String::new()];
    for unit in 0..LOOPS {
        hall_loop(&mut out, unit);
        for rack in 0..RACKS_PER_LOOP {
            let rack = unit * RACKS_PER_LOOP + rack;
            rack_and_feeds(&mut out, rack, unit);
            for (feed, fed) in ["a", "b"].iter().zip(&mut fed) {
                // Writing to a string cannot fail.
                let _ = write!(fed, "\"pdu-{rack}{feed}\", ");
            }
        }
    }
    for (feed, fed) in ["a", "b"].iter().zip(&fed) {
        let _ = writeln!(
            out,
            "[[meter]]\nid = \"it-{feed}\"\nrole = \"it_load\"\nmax_power = \"200 MW\"\nfeeds = [{fed}]\n"
        );
        device(&mut out, &format!("it-{feed}"), "generic-meter");
    }
    out
}

fn hall_loop(out: &mut String, unit: usize) {
    let _ = writeln!(
        out,
        r#"
[[loop]]
id = "loop-{unit}"
technology = "cold_plate"
coolant = {{ fluid = "propylene_glycol", concentration = "25 %", basis = "volume" }}
design_delta_temperature = "10 K"
design_return = "45 °C"
design_pressure = "500 kPa"
ride_through = "20 s"

[[cdu]]
id = "cdu-{unit}"
room = "room"
loop = "loop-{unit}"
rated_heat = "4 MW"
pumps = 2
pumps_required = 1
"#
    );
    device(out, &format!("cdu-{unit}"), "generic-cdu");
}

fn rack_and_feeds(out: &mut String, rack: usize, unit: usize) {
    let _ = writeln!(
        out,
        r#"
[[rack]]
id = "rack-{rack}"
room = "room"
row = "R{unit}"
position = {}
design_power = "132 kW"
feeds = 2
cooled_by = "loop-{unit}"
"#,
        rack % RACKS_PER_LOOP + 1
    );
    device(out, &format!("rack-{rack}"), "generic-rack");
    for feed in ["a", "b"] {
        let pdu = format!("pdu-{rack}{feed}");
        let _ =
            writeln!(out, "[[pdu]]\nid = \"{pdu}\"\nroom = \"room\"\nfeeds = [\"rack-{rack}\"]\n");
        device(out, &pdu, "generic-pdu");
    }
}

fn device(out: &mut String, asset: &str, profile: &str) {
    let _ = writeln!(
        out,
        "[[device]]\nid = \"{asset}-device\"\nurl = \"modbus+tcp://{asset}.example:502?unit=1\"\nprofile = \"{profile}\"\nasset = \"{asset}\"\n"
    );
}
