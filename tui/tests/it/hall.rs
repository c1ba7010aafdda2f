//! A made-up hall for tests and for looking at: 4 CDUs, 6 rows of 8 racks, one of them silent, a two-phase row, a pump
//! that tripped, and alarms in every state that a screen has to tell apart. Its figures follow from one another, but
//! nothing here is physics: the simulator has that.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, TimeZone, Utc};
use rules::{
    alarm::{Letter, Priority},
    coolant::Coolant,
    messages::{
        AlarmView, Change, Event, Health, LinkView, Moved, SCHEMA, SiteInfo, Snapshot, Update, What,
    },
    plant::{
        Asset, AssetId, AssetKind, Cdu, CoolantLoop, Detail, EdgeKind, FlowMeterAt, Origin, Plant,
        PointKind, PointSpec, Rack, Room, StateLabel, Supply, Technology,
    },
    quantity::canonical_unit,
    time::{BootId, Mono, Now, Trust, Wall},
    units::Unit,
    value::{Coverage, NoData, Reading, Undefined, Value},
};

const ROWS: u32 = 6;
const PLACES: u32 = 8;
const DESIGN_KW: f64 = 50.0;

/// The rack whose meter does not answer, and the row with the boiling coolant.
const SILENT: &str = "r5-03";
const TWO_PHASE_ROW: u32 = 6;

pub(crate) struct Hall {
    plant: Plant,
    readings: Vec<Reading>,
    seq: u64,
    /// Seconds since the gateway started.
    pub(crate) clock_s: u64,
    pub(crate) trust: Trust,
    pub(crate) alarms: Vec<AlarmView>,
    pub(crate) events: Vec<Event>,
}

impl Hall {
    pub(crate) fn new() -> Self {
        let mut hall = Self {
            plant: Plant::default(),
            readings: Vec::new(),
            seq: 41,
            clock_s: 4_000,
            trust: Trust::Synchronised,
            alarms: Vec::new(),
            events: Vec::new(),
        };
        hall.build();
        hall.measure();
        hall.alarms = hall.list_alarms();
        hall.events = hall.list_events();
        hall
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            schema: SCHEMA,
            boot: BootId(7),
            seq: self.seq,
            at: self.now(),
            site: SiteInfo {
                id: "fra2".to_owned(),
                name: "FRA2/HALL-1".to_owned(),
                time_zone: "Europe/Berlin".to_owned(),
                gateway: "gw-a".to_owned(),
                simulated: false,
            },
            plant: Arc::new(self.plant.clone()),
            readings: self.readings.clone(),
            alarms: self.alarms.clone(),
            links: self.links(),
            events: self.events.clone(),
            ledger: Vec::new(),
            health: self.health(),
        }
    }

    /// Goes on by some seconds and tells what changed.
    pub(crate) fn step(&mut self, seconds: u64) -> Update {
        let before = self.readings.clone();
        self.clock_s += seconds;
        self.seq += 1;
        self.measure();
        let changes = (0_u32..)
            .zip(self.readings.iter().zip(&before))
            .filter(|(_, (now, then))| now != then)
            .map(|(at, (reading, _))| Change::Reading {
                point: rules::plant::PointId(at),
                reading: reading.clone(),
            });
        let mut changes: Vec<Change> = changes.collect();
        changes.push(Change::Health(self.health()));
        Update { seq: self.seq, at: self.now(), changes }
    }

    /// Acknowledges, clears or raises: sets an alarm to a letter and tells so.
    pub(crate) fn set_letter(
        &mut self,
        name: &str,
        letter: Letter,
        by: Option<&str>,
    ) -> Vec<Change> {
        let at = Mono::from_secs(self.clock_s);
        let Some(alarm) = self.alarms.iter_mut().find(|alarm| &*alarm.name == name) else {
            return Vec::new();
        };
        let from = std::mem::replace(&mut alarm.letter, letter);
        alarm.acknowledged_by = by.map(str::to_owned);
        let alarm = alarm.clone();
        let event = moved(&alarm, at, self.now().label(at), (from, letter), by);
        self.events.push(event.clone());
        self.alarms.retain(|alarm| alarm.letter != Letter::A);
        vec![Change::Alarm(alarm), Change::Event(event)]
    }

    pub(crate) fn asset(&self, name: &str) -> AssetId {
        self.plant.find_asset(name).unwrap_or_else(|| panic!("no asset {name}"))
    }

    /// Renames an asset for people.
    pub(crate) fn set_title(&mut self, name: &str, title: &str) {
        let mut plant = Plant::default();
        for asset in self.plant.assets() {
            let mut asset = asset.clone();
            if &*asset.name == name {
                asset.title = Some(title.to_owned());
            }
            plant.add_asset(asset);
        }
        for edge in self.plant.edges() {
            plant.add_edge(edge.from, edge.kind, edge.to);
        }
        for point in self.plant.points() {
            plant.add_point(point.clone());
        }
        self.plant = plant;
    }

    pub(crate) fn now(&self) -> Now {
        let start = Utc.timestamp_nanos(1_795_322_067_000_000_000);
        let utc = start + TimeDelta::seconds(self.clock_s.cast_signed());
        Now { mono: Mono::from_secs(self.clock_s), wall: Wall { utc, trust: self.trust } }
    }

    fn health(&self) -> Health {
        Health {
            points: u32::try_from(self.plant.points().len())
                .expect("the fixture is small and whole"),
            stale: 9,
            bad: 1,
            rules: 98,
            step_us: 212,
            samples_per_second: 410.0,
            discarded: 0,
            restarts: 0,
            late: 3,
        }
    }

    fn links(&self) -> Vec<LinkView> {
        let link = |device: &str, up: bool| LinkView {
            device: self.asset(device),
            address: "modbus+tcp://10.1.7.22:502?unit=1".to_owned(),
            up,
            trouble: (!up).then(|| "no answer in 1 s, attempt 14".to_owned()),
            replies: 4_000,
            timeouts: 14,
            refusals: 0,
            discarded: 0,
            reply_time_ms: Some(11.0),
            points: 42,
        };
        vec![link("cdu-1", true), link("cdu-2", true), link("m-205", false)]
    }
}

/// What the hall is made of.
impl Hall {
    fn add(&mut self, name: &str, kind: AssetKind, title: Option<&str>, detail: Detail) -> AssetId {
        let title = title.map(str::to_owned);
        self.plant.add_asset(Asset { name: name.into(), kind, title, detail })
    }

    fn build(&mut self) {
        self.add("site", AssetKind::Site, Some("FRA2"), Detail::None);
        self.add("hall-1", AssetKind::Room, None, Detail::Room(Room { area_m2: 240.0 }));
        for number in 1..=4_u32 {
            let title = format!("CDU-{number}");
            let detail = Cdu { rated_heat_kw: Some(900.0), pumps: 2, pumps_required: 1 };
            let cdu = self.add(
                &format!("cdu-{number}"),
                AssetKind::Cdu,
                Some(&title),
                Detail::Cdu(detail),
            );
            let two_phase = number == 4;
            let circuit = CoolantLoop {
                technology: if two_phase { Technology::TwoPhase } else { Technology::ColdPlate },
                coolant: (!two_phase).then_some(Coolant::WATER),
                facility_coolant: Coolant::WATER,
                flow_meter_at: FlowMeterAt::Mean,
                design_delta_temperature_k: 10.0,
                design_return_c: 55.0,
                design_pressure_kpa: 600.0,
                design_flow_lpm: None,
                ride_through_s: 60.0,
            };
            let circuit =
                self.add(&format!("loop-{number}"), AssetKind::Loop, None, Detail::Loop(circuit));
            self.plant.add_edge(cdu, EdgeKind::Cools, circuit);
        }
        for row in 1..=ROWS {
            for place in 1..=PLACES {
                self.add_rack(row, place);
            }
        }
        self.add("m-205", AssetKind::Device, None, Detail::None);
    }

    fn add_rack(&mut self, row: u32, place: u32) {
        let title = format!("R{row}-{place:02}");
        let detail = Rack {
            row: format!("R{row}"),
            position: place,
            footprint_m2: Some(0.67),
            design_power_kw: DESIGN_KW,
            feeds: 2,
            supply: Supply::Ac,
        };
        let name = title.to_lowercase();
        let rack = self.add(&name, AssetKind::Rack, Some(&title), Detail::Rack(detail));
        let circuit = if row == TWO_PHASE_ROW { 4 } else { (row - 1) / 2 + 1 };
        let circuit = self.asset(&format!("loop-{circuit}"));
        self.plant.add_edge(circuit, EdgeKind::Cools, rack);
        for feed in ["a", "b"] {
            let meter = self.add(&format!("{name}-{feed}"), AssetKind::Meter, None, Detail::None);
            self.plant.add_edge(meter, EdgeKind::Feeds, rack);
        }
    }

    fn set(&mut self, asset: AssetId, quantity: &str, value: Result<Value, NoData>) {
        let states = |labels: [&str; 3]| {
            (0_u32..)
                .zip(labels)
                .map(|(code, text)| StateLabel { code, text: text.to_owned() })
                .collect()
        };
        let (kind, states) = if quantity.starts_with("leak") {
            (PointKind::State, states(["NoLeak", "Leak", "Fault"]))
        } else if quantity.ends_with("state") {
            (PointKind::State, states(["Off", "Running", "Fault"]))
        } else {
            (PointKind::Gauge, Vec::new())
        };
        let point = self.plant.add_point(PointSpec {
            asset,
            quantity: quantity.into(),
            unit: canonical_unit(quantity).unwrap_or_else(Unit::none),
            kind,
            origin: Origin::Polled,
            stale_after: Duration::from_secs(10),
            states,
        });
        let silent = matches!(value, Err(NoData::Stale | NoData::Timeout | NoData::InputMissing));
        let age = if silent { 41 } else { 1 };
        let at = Mono::from_secs(self.clock_s - age);
        let reading = Reading { value, at: Some(at), coverage: None };
        match self.readings.get_mut(point.index()) {
            Some(slot) => *slot = reading,
            None => self.readings.push(reading),
        }
    }

    fn number(&mut self, asset: AssetId, quantity: &str, value: f64) {
        self.set(asset, quantity, Ok(Value::Number((value * 1000.0).round() / 1000.0)));
    }
}

/// What it measures.
impl Hall {
    /// A slow wave of its own for each thing, from -1 to 1.
    fn wave(&self, of: u32) -> f64 {
        let time = f64::from(
            u32::try_from(self.clock_s % 100_000).expect("the fixture is small and whole"),
        );
        (time / 47.0 + f64::from(of) * 1.7).sin()
    }

    fn measure(&mut self) {
        let mut it_power = 0.0;
        let mut known = 0;
        for row in 1..=ROWS {
            for place in 1..=PLACES {
                let power = self.measure_rack(row, place);
                it_power += power.unwrap_or(0.0);
                known += u32::from(power.is_some());
            }
        }
        let heats: Vec<f64> = (1..=4).map(|number| self.measure_cdu(number)).collect();
        let site = self.asset("site");
        let heat: f64 = heats.iter().sum();
        self.number(site, "it_power", it_power);
        self.number(site, "facility_power", it_power * (1.14 + 0.01 * self.wave(3)));
        self.number(site, "power_ratio", 1.14 + 0.01 * self.wave(3));
        self.number(site, "liquid_heat", heat);
        self.number(site, "heat_capture", heat / it_power);
        self.number(site, "rack_power_mean", it_power / f64::from(known));
        self.number(site, "rack_power_mean_occupied", it_power / f64::from(known));
        self.number(site, "rack_power_max", 46.5);
        self.number(site, "power_density", it_power / 240.0);
        self.number(site, "dew_point_margin", 7.9 + 0.4 * self.wave(9));
        let point =
            self.plant.find_point(site, "it_power").expect("the fixture is small and whole");
        self.readings[point.index()].coverage = Some(Coverage { known, of: ROWS * PLACES });
        let room = self.asset("hall-1");
        self.number(room, "dew_point", 18.4);
    }

    fn measure_rack(&mut self, row: u32, place: u32) -> Option<f64> {
        let name = format!("r{row}-{place:02}");
        let rack = self.asset(&name);
        let level = [36.0, 37.5, 38.5, 41.0, 19.0, 28.0]
            [usize::try_from(row - 1).expect("the fixture is small and whole")];
        let odd = f64::from((row * 31 + place * 17) % 11) - 5.0;
        let power = (level + odd + 1.2 * self.wave(row * 8 + place)).max(1.0);
        self.set(rack, "leak.state", Ok(Value::State(u32::from(name == "r2-05"))));
        if name == SILENT {
            for quantity in ["power", "load", "power_density"] {
                self.set(rack, quantity, Err(NoData::InputMissing));
            }
            for quantity in ["flow", "supply_temperature", "return_temperature"] {
                self.set(rack, &format!("liquid.{quantity}"), Err(NoData::Stale));
            }
            for feed in ["a", "b"] {
                let meter = self.asset(&format!("{name}-{feed}"));
                self.set(meter, "active_power", Err(NoData::Timeout));
            }
            return None;
        }
        for (feed, share) in [("a", 0.6), ("b", 0.4)] {
            let meter = self.asset(&format!("{name}-{feed}"));
            self.number(meter, "active_power", power * share);
        }
        self.number(rack, "power", power);
        self.number(rack, "load", power / DESIGN_KW * 100.0);
        self.number(rack, "power_density", power / 0.67);
        if row == TWO_PHASE_ROW {
            for word in ["heat", "delta_temperature", "specific_flow"] {
                let why = NoData::Undefined(Undefined::TwoPhase);
                self.set(rack, &format!("liquid.{word}"), Err(why));
            }
            return Some(power);
        }
        let heat = power * 0.82;
        let slow = if row == 3 { 0.62 } else { 1.0 };
        let flow = heat * 1.45 * slow;
        self.number(rack, "liquid.supply_temperature", 32.6);
        self.number(rack, "liquid.return_temperature", 32.6 + heat * 14.6 / flow);
        self.number(rack, "liquid.delta_temperature", heat * 14.6 / flow);
        self.number(rack, "liquid.flow", flow);
        self.number(rack, "liquid.heat", heat);
        self.number(rack, "liquid.specific_flow", flow / heat);
        self.number(rack, "heat_capture", 0.82);
        Some(power)
    }

    fn measure_cdu(&mut self, number: u32) -> f64 {
        let cdu = self.asset(&format!("cdu-{number}"));
        let tripped = number == 2;
        let heat = [480.0, 541.0, 210.0, 224.0]
            [usize::try_from(number - 1).expect("the fixture is small and whole")]
            + 6.0 * self.wave(number);
        let flow = if tripped { 603.0 + 4.0 * self.wave(20) } else { heat * 1.55 };
        let delta = heat * 14.6 / flow;
        self.number(cdu, "fws.supply_temperature", 31.2 + 0.2 * f64::from(number));
        self.number(cdu, "fws.return_temperature", 40.1);
        self.number(cdu, "fws.flow", 940.0);
        self.number(cdu, "fws.heat", heat);
        self.number(cdu, "fws.delta_temperature", 8.3);
        self.number(cdu, "load", heat / 9.0);
        self.number(cdu, "approach_temperature", 0.8);
        self.number(cdu, "dew_point_margin", 7.9 + 0.4 * self.wave(9));
        self.number(cdu, "filter.delta_pressure", 14.0 + f64::from(number));
        self.number(cdu, "reservoir.level", 68.0);
        self.number(cdu, "tcs.supply_setpoint", 32.0);
        self.set(cdu, "leak.state", Ok(Value::State(0)));
        self.set(cdu, "pump_1.state", Ok(Value::State(1)));
        self.set(cdu, "pump_2.state", Ok(Value::State(if tripped { 2 } else { 1 })));
        self.number(cdu, "pump_1.speed", if tripped { 96.0 } else { 72.0 });
        self.number(cdu, "pump_2.speed", if tripped { 0.0 } else { 71.0 });
        if number == 4 {
            for word in ["tcs.heat", "tcs.delta_temperature", "tcs.specific_flow"] {
                self.set(cdu, word, Err(NoData::Undefined(Undefined::TwoPhase)));
            }
            return heat;
        }
        self.number(cdu, "tcs.supply_temperature", 32.6);
        self.number(cdu, "tcs.return_temperature", 32.6 + delta);
        self.number(cdu, "tcs.delta_temperature", delta);
        self.number(cdu, "tcs.flow", flow);
        self.number(cdu, "tcs.delta_pressure", if tripped { 61.0 } else { 141.0 });
        self.number(cdu, "tcs.heat", heat);
        self.number(cdu, "tcs.specific_flow", flow / heat);
        heat
    }
}

/// What is wrong with it.
impl Hall {
    fn list_alarms(&self) -> Vec<AlarmView> {
        let ago = |seconds: u64| Some(Mono::from_secs(self.clock_s - seconds));
        let mut alarms = vec![
            AlarmView {
                occurrence: 3,
                active_since: ago(16),
                expression: "cdu.pump_1.state == 'Fault' or cdu.pump_2.state == 'Fault'".into(),
                consequence: "the next pump fault stops loop 2: 16 racks have 39 s to 55 °C, then \
                              they throttle and trip"
                    .into(),
                action:
                    "1) verify speed and current of pump 1  2) reset the drive of pump 2 once  \
                         3) if it trips again: drain jobs from R3 and R4"
                        .into(),
                operands: "pump_2.state Fault".to_owned(),
                ..self.alarm("cdu.pump_redundancy", "cdu-2", Letter::B, Priority::P1)
            },
            AlarmView {
                active_since: ago(9),
                expression: "loop.tcs.flow / loop.design_flow < 80 %".into(),
                operands: "67 % < 80 %".to_owned(),
                ..self.alarm("loop.flow_lo", "loop-2", Letter::B, Priority::P2)
            },
            AlarmView {
                active_since: ago(2_316),
                expression: "rack.leak.state == 'Leak'".into(),
                operands: "dry now".to_owned(),
                ..self.alarm("leak.spot", "r2-05", Letter::Bl, Priority::P2)
            },
            AlarmView {
                active_since: ago(2_727),
                expression: "rack.liquid.delta_temperature > 1.25 * rack.design_delta_temperature"
                    .into(),
                operands: "23.5 K > 12.5 K".to_owned(),
                acknowledged_by: Some("li.wei".to_owned()),
                ..self.alarm("rack.dt_hi", "r3-07", Letter::C, Priority::P2)
            },
            AlarmView {
                active_since: ago(1_137),
                expression: "rack.liquid.supply_temperature > 46 °C".into(),
                operands: "45.1 °C > 46 °C".to_owned(),
                ..self.alarm("rack.inlet_hi", "r1-04", Letter::D, Priority::P3)
            },
            AlarmView {
                unknown: true,
                active_since: ago(3_604),
                expression: "device.silence > 10 s".into(),
                operands: "? > 10 s".to_owned(),
                acknowledged_by: Some("zhao".to_owned()),
                ..self.alarm("comms.device", "m-205", Letter::C, Priority::P3)
            },
        ];
        for place in 1..=6 {
            alarms.push(AlarmView {
                active_since: ago(8),
                ..self.alarm("rack.flow_lo", &format!("r3-{place:02}"), Letter::F, Priority::P2)
            });
        }
        alarms
    }

    fn alarm(&self, rule: &str, asset: &str, letter: Letter, priority: Priority) -> AlarmView {
        let title = match rule {
            "cdu.pump_redundancy" => "No standby pump left",
            "loop.flow_lo" => "Coolant flow far below the design of the loop",
            "leak.spot" => "Leak at a spot sensor",
            "rack.dt_hi" => "Coolant warms up more than designed",
            "rack.inlet_hi" => "Coolant enters the rack too warm",
            "comms.device" => "Device silent",
            _ => "Too little coolant for the load",
        };
        AlarmView {
            name: format!("{rule}@{asset}").into(),
            asset: Some(self.asset(asset)),
            letter,
            unknown: false,
            priority,
            occurrence: 1,
            title: title.into(),
            consequence: "".into(),
            action: "".into(),
            expression: "".into(),
            rule_file: "configs/rules/cold_plate.toml:112".into(),
            operands: String::new(),
            active_since: None,
            acknowledged_by: None,
        }
    }

    fn list_events(&self) -> Vec<Event> {
        let mut events: Vec<Event> = self
            .alarms
            .iter()
            .filter_map(|alarm| {
                let at = alarm.active_since?;
                let to = if alarm.letter == Letter::F { Letter::F } else { Letter::B };
                Some(moved(alarm, at, self.now().label(at), (Letter::A, to), None))
            })
            .collect();
        let link = Mono::from_secs(self.clock_s - 3_610);
        events.push(Event {
            at: link,
            wall: self.now().label(link),
            asset: Some("m-205".into()),
            what: What::Link { up: false, why: "no answer in 1 s".to_owned() },
        });
        events.sort_by_key(|event| event.at);
        events
    }
}

fn moved(
    alarm: &AlarmView,
    at: Mono,
    wall: Option<chrono::DateTime<Utc>>,
    (from, to): (Letter, Letter),
    by: Option<&str>,
) -> Event {
    let what = What::Moved(Moved {
        alarm: Arc::clone(&alarm.name),
        title: Arc::clone(&alarm.title),
        priority: alarm.priority,
        from,
        to,
        cause: if by.is_some() { "ack" } else { "condition" }.to_owned(),
        occurrence: alarm.occurrence,
        operands: alarm.operands.clone(),
        by: by.map(str::to_owned),
        annunciate: to == Letter::B,
    });
    let asset = alarm.name.split_once('@').map(|(_, asset)| asset.into());
    Event { at, wall, asset, what }
}
