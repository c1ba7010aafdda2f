//! A small hall with a ledger that is easy to check by hand: every meter has the same energy in every quarter-hour.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use reports::compliance::{Audit, Compliance, Operator, Question};
use rules::{
    calendar::Zone,
    ledger::{INTERVAL, LedgerRow, Method, RegisterReading},
    messages::SiteInfo,
    plant::{
        Asset, AssetId, AssetKind, Carrier, Category, Cdu, Detail, EdgeKind, Meter, Plant, Rack,
        Role, Room, Supply,
    },
    ratio::Period,
};

/// Energy of a quarter-hour by meter: facility 100 kWh, IT 80 kWh, of which a CDU's pumps take 2 kWh.
const METERS: [(&str, f64); 4] =
    [("utility", 100.0), ("it-a", 41.0), ("it-b", 41.0), ("pumps", 2.0)];

pub(crate) struct Hall {
    pub(crate) site: SiteInfo,
    pub(crate) plant: Plant,
    pub(crate) rows: Vec<LedgerRow>,
    pub(crate) period: Period,
    pub(crate) asked_at: DateTime<Utc>,
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(crate) fn meter(role: Role, category: Option<Category>) -> Meter {
    Meter {
        role,
        carrier: Carrier::Electricity,
        category,
        feed: None,
        serial: Some("PM-2204-17".to_owned()),
        accuracy_percent: Some(0.5),
        ct_ratio: Some(320.0),
        ct_accuracy_percent: Some(0.5),
        register_step_kwh: 0.1,
        register_modulus_kwh: Some(1_000_000.0),
        register_float32: false,
        max_power_kw: 800.0,
        calibrated_on: Some("2026-02-12".to_owned()),
    }
}

fn plant() -> Plant {
    let mut plant = Plant::default();
    let mut add = |name: &str, kind, detail| {
        plant.add_asset(Asset { name: name.into(), kind, title: None, detail })
    };
    let record = |role, category| Detail::Meter(meter(role, category));
    add("room", AssetKind::Room, Detail::Room(Room { area_m2: 40.0 }));
    let utility = add("utility", AssetKind::Meter, record(Role::BoundaryIn, None));
    let it: Vec<AssetId> = ["it-a", "it-b"]
        .map(|name| add(name, AssetKind::Meter, record(Role::ItLoad, Some(Category::Two))))
        .to_vec();
    let pumps = add("pumps", AssetKind::Meter, record(Role::Cooling, None));
    let cdu = Cdu { rated_heat_kw: None, pumps: 2, pumps_required: 1 };
    let cdu = add("cdu-1", AssetKind::Cdu, Detail::Cdu(cdu));
    let racks: Vec<AssetId> = (1..=4_u32)
        .map(|position| {
            let rack = Rack {
                row: "A".to_owned(),
                position,
                footprint_m2: Some(0.72),
                design_power_kw: 132.0,
                feeds: 2,
                supply: Supply::Ac,
            };
            add(&format!("rack-{position}"), AssetKind::Rack, Detail::Rack(rack))
        })
        .collect();
    for bus in it {
        plant.add_edge(utility, EdgeKind::Feeds, bus);
        for rack in &racks {
            plant.add_edge(bus, EdgeKind::Feeds, *rack);
        }
        plant.add_edge(bus, EdgeKind::Feeds, pumps);
    }
    plant.add_edge(pumps, EdgeKind::Feeds, cdu);
    plant
}

impl Hall {
    /// Measured throughout the period, asked for on the day after it.
    pub(crate) fn measured(first: &str, last: &str) -> Self {
        let zone = "Europe/Berlin";
        let period = Period::new(day(first), day(last)).unwrap();
        let span = zone.parse::<Zone>().unwrap().span(period);
        let mut rows = Vec::new();
        for (name, amount) in METERS {
            let mut reading = RegisterReading { at: span.from, value: 5000.0 };
            while reading.at < span.to {
                let next =
                    RegisterReading { at: reading.at + INTERVAL, value: reading.value + amount };
                rows.push(LedgerRow {
                    meter: name.into(),
                    start: reading.at,
                    amount: Some(amount),
                    method: Method::Register,
                    coverage: 1.0,
                    flags: Vec::new(),
                    uncertainty: None,
                    first: Some(reading),
                    last: Some(next),
                });
                reading = next;
            }
        }
        let site = SiteInfo {
            id: "hall-1".to_owned(),
            name: "Hall 1".to_owned(),
            time_zone: zone.to_owned(),
            gateway: "gw-1".to_owned(),
            simulated: false,
        };
        Self { site, plant: plant(), rows, period, asked_at: span.to + INTERVAL * 40 }
    }

    /// The rows of a meter from one quarter-hour of the period to before another.
    pub(crate) fn of(
        &mut self,
        meter: &str,
        places: std::ops::Range<usize>,
    ) -> Vec<&mut LedgerRow> {
        let rows = self.rows.iter_mut().filter(|row| &*row.meter == meter);
        rows.skip(places.start).take(places.len()).collect()
    }

    /// A hall in which these rows were never written.
    pub(crate) fn lose(&mut self, meter: &str, places: std::ops::Range<usize>) {
        let starts: Vec<DateTime<Utc>> =
            self.of(meter, places).into_iter().map(|row| row.start).collect();
        self.rows.retain(|row| &*row.meter != meter || !starts.contains(&row.start));
    }

    /// Changes what is declared about a meter.
    pub(crate) fn declare(&mut self, meter: &str, change: impl Fn(&mut Meter)) {
        let mut changed = Plant::default();
        for asset in self.plant.assets() {
            let mut asset = asset.clone();
            if let (true, Detail::Meter(record)) = (&*asset.name == meter, &mut asset.detail) {
                change(record);
            }
            changed.add_asset(asset);
        }
        for edge in self.plant.edges() {
            changed.add_edge(edge.from, edge.kind, edge.to);
        }
        self.plant = changed;
    }

    pub(crate) fn answer(&self) -> Compliance {
        let operator = Operator {
            name: Some("Example Colocation".to_owned()),
            address: Some("1 Example Street, Berlin".to_owned()),
        };
        let question = Question {
            site: &self.site,
            plant: &self.plant,
            period: self.period,
            asked_at: self.asked_at,
            version: "0.0.0",
            operator,
            plant_changes: Vec::new(),
        };
        let mut audit = Audit::new(question).unwrap();
        self.rows.iter().for_each(|row| audit.take(row));
        audit.finish()
    }

    /// Why the figure is refused: the codes.
    pub(crate) fn refusals(&self) -> Vec<&'static str> {
        self.answer().figure.refusals.iter().map(|refusal| refusal.code).collect()
    }
}

pub(crate) fn names(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| (*name).into()).collect()
}
