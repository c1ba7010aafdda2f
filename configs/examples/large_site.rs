//! How long a site of 50 000 points takes to check. Run it with `cargo run --release -p configs --example large_site`.

use std::{fmt::Write, time::Instant};

use configs::{
    check::check, fault::Source, library::Library, render, secret, site_file::read_site,
};

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
