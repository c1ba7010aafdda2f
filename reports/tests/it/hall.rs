//! A small hall with a ledger that is easy to check by hand: every meter has the same energy in every quarter-hour.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};
use configs::{library::Library, limits_file};
use reports::{
    compliance::{Audit, Compliance, Question},
    language::Language,
    note::Refusal,
};
use rules::{
    book::{BookRow, Context, Entry, Line, MeterList, Posting, Standing},
    calendar::Zone,
    chain::Hash,
    ledger::{INTERVAL, LedgerRow, Method, RegisterReading},
    limits::Regulation,
    messages::SiteInfo,
    plant::{
        Asset, AssetId, AssetKind, Carrier, Category, Cdu, Detail, EdgeKind, Meter, Plant, Rack,
        Role, Room, SiteRecord, Supply,
    },
    ratio::Period,
    time::BootId,
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
    pub(crate) regulations: Vec<Regulation>,
    pub(crate) postings: Vec<Posting>,
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
        model: Some("PM-2204".to_owned()),
        twin: None,
        share: None,
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
    let site = SiteRecord {
        operator: Some("Example Colocation".to_owned()),
        address: Some("1 Example Street, Berlin".to_owned()),
        ..SiteRecord::default()
    };
    add("hall-1", AssetKind::Site, Detail::Site(Box::new(site)));
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
        Self {
            site,
            plant: plant(),
            rows,
            period,
            asked_at: span.to + INTERVAL * 40,
            regulations: regulations(&["iso-iec-30134-2"]),
            postings: Vec::new(),
        }
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

    /// What a gateway writes of these rows: a list of meters, a line for each quarter-hour, later rows after them.
    fn lines(&self) -> Vec<Line> {
        let mut names: Vec<Arc<str>> = METERS.iter().map(|(name, _)| (*name).into()).collect();
        names.extend(self.rows.iter().map(|row| Arc::clone(&row.meter)));
        let mut seen = Vec::new();
        names.retain(|name| {
            !seen.contains(name) && {
                seen.push(Arc::clone(name));
                true
            }
        });
        let mut lines = Book::default();
        lines.add(Entry::Meters(MeterList { catalog: Hash::of(b""), names }));
        let mut quarters: BTreeMap<DateTime<Utc>, Vec<BookRow>> = BTreeMap::new();
        let mut after = Vec::new();
        for row in &self.rows {
            let rows = quarters.entry(row.start).or_default();
            let known = rows.iter().any(|known| known.row.meter == row.meter);
            let standing = if known { Standing::Repeated } else { Standing::First };
            let row = BookRow { standing, row: row.clone() };
            if known { after.push(row) } else { rows.push(row) }
        }
        let quarters = quarters.into_values().chain(after.into_iter().map(|row| vec![row]));
        quarters.for_each(|rows| lines.quarter(rows));
        self.postings.iter().for_each(|posting| lines.add(Entry::Posting(posting.clone())));
        lines.lines
    }

    pub(crate) fn answer(&self) -> Compliance {
        let question = Question {
            site: &self.site,
            plant: &self.plant,
            period: self.period,
            asked_at: self.asked_at,
            version: "0.0.0",
            regulations: &self.regulations,
            plant_changes: Vec::new(),
            catalog: Hash::of(b"catalog"),
            ledger: None,
        };
        let mut audit = Audit::new(question).unwrap();
        self.lines().iter().for_each(|line| audit.take(line).unwrap());
        audit.finish()
    }

    /// Why the figure is refused: the codes.
    pub(crate) fn refusals(&self) -> Vec<&'static str> {
        self.answer().figure().refusals.iter().map(Refusal::code).collect()
    }

    /// What is said beside the figures.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.answer().notes.iter().map(|note| note.text(Language::English)).collect()
    }

    /// The first of them in words.
    pub(crate) fn why(&self) -> String {
        self.answer().figure().refusals[0].text(Language::English)
    }
}

/// Lines in their order, each with what is known before it.
#[derive(Default)]
struct Book {
    lines: Vec<Line>,
    context: Context,
}

impl Book {
    fn add(&mut self, entry: Entry) {
        let line = u64::try_from(self.lines.len()).unwrap() + 1;
        let line = Line { line, seq: line, boot: BootId(1), recorded: None, entry };
        self.context.take(&line).unwrap();
        self.lines.push(line);
    }

    fn quarter(&mut self, rows: Vec<BookRow>) {
        let line = u64::try_from(self.lines.len()).unwrap() + 1;
        self.add(Entry::Quarter(self.context.write(line, rows)));
    }
}

/// Shipped texts, by name.
pub(crate) fn regulations(names: &[&str]) -> Vec<Regulation> {
    let library = Library::shipped();
    names.iter().map(|name| limits_file::read(library.limits(name).unwrap()).unwrap()).collect()
}

pub(crate) fn names(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| (*name).into()).collect()
}
