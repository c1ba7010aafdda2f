//! Records a year of two hundred meters into a directory, for `benches/report.sh`: `cargo run --release --example year -- DIR`.

#[expect(dead_code, reason = "only tests ask what the meters counted")]
#[path = "../tests/support/year.rs"]
mod plant;
#[path = "../tests/support/recorded_year.rs"]
mod recorded_year;

fn main() {
    let dir = std::env::args_os().nth(1).expect("a directory to record into");
    recorded_year::record(&mut plant::Year::new(1, (160, 38)), dir.as_ref());
}
