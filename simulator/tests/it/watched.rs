//! The demo hall watched by the engine on a virtual clock: physics → registers → codec → engine, without sockets.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use configs::{library::Library, profile::Map, site::Site};
use rules::{
    alarm_set::AlarmSet,
    engine::{Engine, Events, Input},
    ledger::LedgerRow,
    messages::What,
    metrics,
    plant::{AssetId, AssetKind, Detail, PointId},
    time::{BootId, Mono, Now, Trust, Wall},
    value::{Sample, Value},
};
use simulator::{
    demo::demo_site,
    image::{Holes, Image},
    scenario::Scenario,
    truth::Truth,
    world::World,
};

struct Watched {
    site: Site,
    world: World,
    images: Vec<Image>,
    engine: Engine,
    seconds: u64,
    start: DateTime<Utc>,
    /// Alarms that became active, in their order.
    raised: Vec<String>,
    rows: Vec<LedgerRow>,
}

impl Watched {
    fn new(scenario: &Scenario) -> Self {
        let site = demo_site(&Library::shipped()).unwrap();
        let world = World::new(&site, scenario).unwrap();
        let images = site
            .devices
            .iter()
            .map(|device| Image::of(&site, device, &world, Holes::Zeros).unwrap())
            .collect();
        let plan = metrics::plan(site.plant.clone()).unwrap();
        let set = AlarmSet::compile(&site.rules, &plan.plant).unwrap().set;
        let engine = Engine::new(site.info.clone(), BootId(1), plan, set);
        let start = "2026-10-03T08:00:00Z".parse().unwrap();
        let (raised, rows) = (Vec::new(), Vec::new());
        Self { site, world, images, engine, seconds: 0, start, raised, rows }
    }

    fn now(&self) -> Now {
        let mono = Mono::from_secs(self.seconds);
        let utc = self.start + mono.0;
        Now { mono, wall: Wall { utc, trust: Trust::Synchronised } }
    }

    /// One second of the hall, one poll of everything, one tick.
    fn second(&mut self) {
        self.seconds += 1;
        for _ in 0..10 {
            self.world.step();
        }
        let now = self.now();
        let samples = self.samples(now);
        let mut events = Events::default();
        self.engine.step(now, Input::Samples(&samples), &mut events);
        self.engine.step(now, Input::Tick, &mut events);
        self.rows.extend(events.rows);
        for event in events.events {
            if let What::Moved(moved) = event.what
                && moved.cause == "condition"
            {
                self.raised.push(moved.alarm.to_string());
            }
        }
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second();
        }
    }

    fn samples(&self, now: Now) -> Vec<Sample> {
        let mut samples = Vec::new();
        let sample = |point, value| Sample { point, at: now.mono, source_time: None, value };
        for (device, image) in self.site.devices.iter().zip(&self.images) {
            let reply = Ok(Value::Number(5.0));
            samples.push(sample(device.reply_time, reply));
            let Map::Modbus(map) = &device.profile.map else { continue };
            for (point, binding) in map.points.iter().zip(&device.bindings) {
                let Some(binding) = *binding else { continue };
                let count = point.codec.registers();
                let words = image.read(&self.world, point.table, point.address, count).unwrap();
                let unit = &self.site.plant.point(binding).unit;
                let value = point.codec.decode(&words).map(|value| match value {
                    Value::State(_) | Value::Text(_) => value,
                    Value::Number(_) | Value::Integer(_) => {
                        Value::Number(point.unit.convert(value.as_number().unwrap(), unit).unwrap())
                    }
                });
                samples.push(sample(binding, value));
            }
        }
        for sensor in self.site.plant.of_kind(AssetKind::Sensor) {
            for quantity in ["temperature", "humidity"] {
                let point = self.site.plant.find_point(sensor, quantity).unwrap();
                let Some(Truth::Number(number)) = self.world.truth(point) else { continue };
                let source_time = Some(now.wall.utc);
                let value = Ok(Value::Number(number));
                samples.push(Sample { source_time, ..sample(point, value) });
            }
        }
        samples
    }

    fn asset(&self, name: &str) -> AssetId {
        self.engine.plant().find_asset(name).unwrap()
    }

    fn figure(&self, asset: &str, quantity: &str) -> f64 {
        let plant = self.engine.plant();
        let point: PointId = plant
            .find_point(self.asset(asset), quantity)
            .unwrap_or_else(|| panic!("no point {asset}.{quantity}"));
        let reading = self.engine.reading(point);
        reading.number().unwrap_or_else(|why| panic!("{asset}.{quantity}: {why}"))
    }
}

fn quiet(seed: u64) -> Scenario {
    Scenario::parse("test", &format!("title = \"test\"\nseed = {seed}")).unwrap()
}

#[test]
fn a_healthy_hall_raises_no_alarm() {
    let mut watched = Watched::new(&quiet(11));
    watched.run(240);
    assert_eq!(watched.raised, Vec::<String>::new());
}

#[test]
fn what_the_engine_computes_is_what_is_true() {
    let mut watched = Watched::new(&quiet(12));
    watched.run(120);
    let close = |computed: f64, truth: f64, share: f64| {
        assert!((computed / truth - 1.0).abs() < share, "{computed} for {truth}");
    };
    let hall = &watched.world.hall;
    let balance = hall.network.balance;
    close(watched.figure("demo", "rack_power"), balance.it_kw, 0.001);
    close(watched.figure("demo", "it_power"), balance.it_kw, 0.003);
    close(watched.figure("demo", "facility_power"), balance.supplied_kw, 0.001);
    close(watched.figure("demo", "power_ratio"), balance.supplied_kw / balance.it_kw, 0.003);
    for name in ["cdu-1", "cdu-2", "cdu-3", "cdu-4"] {
        let circuit = hall.circuit(watched.asset(name)).unwrap();
        close(watched.figure(name, "tcs.heat"), circuit.body.heat_kw(), 0.01);
        close(watched.figure(name, "fws.heat"), circuit.body.facility().heat_kw, 0.01);
        assert!((watched.figure(name, "dew_point_margin") - 20.0).abs() < 1.0);
    }
    let cabinet = hall.circuit(watched.asset("cab-1")).or(hall.circuit(watched.asset("loop-x")));
    close(watched.figure("cab-1", "fws.heat"), cabinet.unwrap().body.facility().heat_kw, 0.01);
    let capture = watched.figure("demo", "heat_capture");
    assert!((0.85..1.02).contains(&capture), "{capture}");
    let ratio = watched.figure("demo", "power_ratio");
    assert!((1.05..1.2).contains(&ratio), "{ratio}");
}

#[test]
fn the_ledger_of_an_interval_is_the_plants_own_integral() {
    let mut watched = Watched::new(&quiet(13));
    watched.start = "2026-10-03T08:10:00Z".parse().unwrap();
    let meters: Vec<AssetId> = watched.site.plant.of_kind(AssetKind::Meter).collect();
    let energies = |watched: &Watched| -> Vec<f64> {
        let register = |meter: &AssetId| watched.world.hall.register(*meter).unwrap();
        meters.iter().map(|meter| register(meter).energy_kwh()).collect()
    };
    watched.run(1);
    let first = energies(&watched);
    watched.run(299);
    let last = energies(&watched);
    watched.run(5);
    for (at, meter) in meters.iter().enumerate() {
        let name = &watched.site.plant.asset(*meter).name;
        let row = watched.rows.iter().find(|row| row.meter == *name).unwrap();
        let Detail::Meter(record) = &watched.site.plant.asset(*meter).detail else { continue };
        let (ledger_kwh, true_kwh) = (row.amount.unwrap(), last[at] - first[at]);
        assert!(
            (ledger_kwh - true_kwh).abs() <= record.register_step_kwh,
            "{}: {ledger_kwh} for {true_kwh}",
            watched.site.plant.asset(*meter).name
        );
        assert!(true_kwh > 0.1 && row.flags.is_empty(), "{row:?}");
    }
}

#[test]
fn a_pump_trip_raises_the_alarms_of_its_loop_and_no_other() {
    let mut watched = Watched::new(&Scenario::shipped("demo").unwrap());
    watched.run(11);
    let before_lpm = watched.figure("cdu-2", "tcs.flow");
    assert_eq!(watched.raised, Vec::<String>::new());
    watched.run(49);
    let share = watched.figure("cdu-2", "tcs.flow") / before_lpm;
    assert!((0.6..0.75).contains(&share), "{share}");
    watched.run(30);
    let raised: BTreeSet<&str> = watched.raised.iter().map(String::as_str).collect();
    for alarm in ["pump_2.trip@cdu-2", "pump.redundancy_lost@cdu-2", "loop.flow_lo@loop-2"] {
        assert!(raised.contains(alarm), "{alarm} in {raised:?}");
    }
    for alarm in raised {
        let asset = alarm.rsplit('@').next().unwrap();
        assert!(["cdu-2", "loop-2"].contains(&asset) || asset.starts_with("r2-"), "{alarm}");
    }
}
