//! A leap year of many meters, read every quarter of an hour, as the ledger sees it: two registers roll over, one
//! meter is exchanged, one is dead for twelve days and then exchanged, nothing can be read for nine hours, and clocks
//! change twice. Every model of meter is off by a random part of what its class allows.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Timelike, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rules::{
    book::{Cause, Correction, Posting},
    ledger::{INTERVAL, Ledger, LedgerRow, Method},
    plant::{Asset, AssetId, AssetKind, Carrier, Category, Detail, Meter, Plant, Role},
    register::RegisterSnapshot,
    time::{Mono, Now, Trust, Wall},
};

/// The dead meter, the exchanged one, and the two whose registers roll over.
pub(crate) const DEAD: &str = "it-17";
pub(crate) const SWAPPED: &str = "it-33";
pub(crate) const ROLLED: [&str; 2] = ["utility-a", "it-5"];

/// Midnight in Berlin at both ends.
pub(crate) const FROM: &str = "2023-12-31T23:00:00Z";
pub(crate) const TO: &str = "2024-12-31T23:00:00Z";
const SWAPPED_IN: &str = "2024-05-15T10:00:00Z";
/// When nothing, and when the dead meter, can be read.
const OUTAGE: [&str; 2] = ["2024-11-06T21:00:00Z", "2024-11-07T06:00:00Z"];
const DEATH: [&str; 2] = ["2024-09-02T22:00:00Z", "2024-09-14T22:00:00Z"];

/// Model, class and class of current transformers in percent.
pub(crate) const MODELS: [(&str, f64, f64); 4] =
    [("grid", 0.5, 0.5), ("pm-a", 1.0, 0.0), ("pm-b", 0.5, 0.5), ("pm-c", 2.0, 0.0)];

/// What the ledger does with a step.
pub(crate) enum Page {
    Rows(Vec<LedgerRow>),
    Posting(Box<Posting>),
}

/// What a meter is in this plant.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Boundary,
    It,
    Overhead,
}

/// One meter with what really went through it.
pub(crate) struct Played {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) model: usize,
    pub(crate) step_kwh: f64,
    pub(crate) true_kwh: f64,
    /// What it counted: off by its error, without what it could not count.
    pub(crate) counted_kwh: f64,
    id: AssetId,
    factor: f64,
    base_kw: f64,
    register: f64,
    modulus: Option<f64>,
}

pub(crate) struct Year {
    pub(crate) plant: Plant,
    pub(crate) meters: Vec<Played>,
    /// What the electrician wrote down, until there is a row that it corrects.
    entered: Option<Box<Posting>>,
}

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

impl Year {
    /// Two at the boundary, so many for IT (at least 34), so many for the rest.
    pub(crate) fn new(seed: u64, (it, rest): (u32, u32)) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let errors = MODELS.map(|(_, class, transformers)| {
            let mut off = |limit: f64| limit / 100.0 * random.random_range(-1.0..=1.0);
            1.0 + off(class) + off(transformers)
        });
        let mut plant = Plant::default();
        let mut meters = Vec::new();
        let mut add = |name: String, kind, model: usize, base_kw: f64| {
            let rolls = ROLLED.contains(&name.as_str());
            let modulus = if kind == Kind::Boundary { 1e9 } else { 1e6 };
            let step_kwh = if kind == Kind::Boundary { 1.0 } else { 0.1 };
            let record = record(kind, model, (base_kw, step_kwh, modulus));
            let name: Arc<str> = name.into();
            let asset = Asset {
                name: Arc::clone(&name),
                kind: AssetKind::Meter,
                title: None,
                detail: Detail::Meter(record),
            };
            let id = plant.add_asset(asset);
            let register = if rolls { modulus - 2000.0 } else { 1234.5 };
            meters.push(Played {
                name,
                kind,
                model,
                step_kwh,
                true_kwh: 0.0,
                counted_kwh: 0.0,
                id,
                factor: errors[model],
                base_kw,
                register,
                modulus: Some(modulus),
            });
        };
        for name in ["utility-a", "utility-b"] {
            add(name.to_owned(), Kind::Boundary, 0, 50.0 * f64::from(it));
        }
        for index in 0..it {
            let model = if index * 8 < it * 5 { 1 } else { 2 };
            add(format!("it-{index}"), Kind::It, model, 40.0 + f64::from(index % 7) * 5.0);
        }
        for index in 0..rest {
            add(format!("plant-{index}"), Kind::Overhead, 3, 20.0 + f64::from(index % 5));
        }
        Self { plant, meters, entered: None }
    }

    /// Plays the year and hands over what comes of it, in its order.
    pub(crate) fn play(&mut self, mut page: impl FnMut(&Now, Page)) {
        let (from, to) = (at(FROM), at(TO));
        let quarter = INTERVAL.to_std().expect("a quarter of an hour");
        let mut ledger = Ledger::new(&self.plant, |_| Some(quarter));
        let mut mono = Mono::from_secs(86_400);
        let mut now = from - INTERVAL;
        while now <= to + INTERVAL {
            let wall = Wall { utc: now, trust: Trust::Synchronised };
            let step = Now { mono, wall };
            let (mut rows, mut events) = (Vec::new(), Vec::new());
            for meter in self.meters.iter().filter(|meter| meter.is_read(now)) {
                let reading = RegisterSnapshot { at: mono, value: meter.shown() };
                ledger.observe(&step, meter.id, reading, &mut events);
            }
            ledger.advance(&step, &mut rows, &mut events);
            if !rows.is_empty() {
                page(&step, Page::Rows(rows));
            }
            if let Some(posting) = self.advance(now, from <= now && now < to) {
                page(&step, Page::Posting(posting));
            }
            now += INTERVAL;
            mono = mono.plus(quarter);
        }
    }

    /// Lets a quarter of an hour pass. An electrician enters what both registers showed at an exchange.
    fn advance(&mut self, now: DateTime<Utc>, counts: bool) -> Option<Box<Posting>> {
        let day = f64::from(now.num_seconds_from_midnight()) / 86_400.0;
        let year = f64::from(now.ordinal0()) / 366.0;
        let load = 0.75 + 0.2 * (std::f64::consts::TAU * (day - 0.3)).sin()
            - if now.weekday().number_from_monday() > 5 { 0.08 } else { 0.0 };
        let season = 1.0 - 0.3 * (std::f64::consts::TAU * year).cos();
        let mut sum = 0.0;
        for meter in self.meters.iter_mut().rev() {
            let kwh = match meter.kind {
                Kind::It => meter.base_kw * load / 4.0,
                Kind::Overhead => meter.base_kw * season / 4.0,
                // What nobody meters apart is lost on the way.
                Kind::Boundary => sum * 1.02 / 2.0,
            };
            if meter.kind != Kind::Boundary {
                sum += kwh;
            }
            if counts {
                meter.true_kwh += kwh;
            }
            self.entered = meter.count(now, kwh, counts).or(self.entered.take());
        }
        self.entered.take_if(|_| now > at(SWAPPED_IN) + INTERVAL)
    }
}

impl Played {
    /// What its display says.
    fn shown(&self) -> f64 {
        let steps = (self.register / self.step_kwh).floor();
        let shown = steps * self.step_kwh;
        // As a device says it: a whole number of steps.
        (shown * 10.0).round() / 10.0
    }

    fn is_read(&self, now: DateTime<Utc>) -> bool {
        let within = |span: [&str; 2]| at(span[0]) < now && now < at(span[1]);
        let is_dead = &*self.name == DEAD && within(DEATH);
        !(is_dead || within(OUTAGE))
    }

    fn count(&mut self, now: DateTime<Utc>, kwh: f64, counts: bool) -> Option<Box<Posting>> {
        if &*self.name == DEAD && at(DEATH[0]) <= now && now < at(DEATH[1]) {
            // The new one begins at nothing, at the end of this.
            self.register = 0.0;
            return None;
        }
        let counted = kwh * self.factor;
        self.counted_kwh += if counts { counted } else { 0.0 };
        if &*self.name == SWAPPED && now == at(SWAPPED_IN) {
            // Half of it went through the old one.
            self.register = counted / 2.0;
            return Some(self.exchanged(now, counted));
        }
        self.register += counted;
        if let Some(modulus) = self.modulus.filter(|modulus| self.register >= *modulus) {
            self.register -= modulus;
        }
        None
    }

    fn exchanged(&self, start: DateTime<Utc>, counted: f64) -> Box<Posting> {
        Box::new(Posting::Correction(Correction {
            meter: Arc::clone(&self.name),
            start,
            amounts: vec![Some((counted * 1e6).round() / 1e6)],
            method: Method::Register,
            cause: Cause::Swap,
            uncertainty: None,
            first: None,
            last: None,
            reason: "display broken".to_owned(),
            by: "ada".to_owned(),
            signature: None,
        }))
    }
}

fn record(kind: Kind, model: usize, (base_kw, step_kwh, modulus): (f64, f64, f64)) -> Meter {
    let (name, class, transformers) = MODELS[model];
    let (role, category) = match kind {
        Kind::Boundary => (Role::BoundaryIn, None),
        Kind::It => (Role::ItLoad, Some(Category::Two)),
        Kind::Overhead => (Role::Cooling, None),
    };
    Meter {
        role,
        carrier: Carrier::Electricity,
        category,
        feed: None,
        serial: None,
        model: Some(name.to_owned()),
        twin: None,
        share: None,
        accuracy_percent: Some(class),
        ct_ratio: None,
        ct_accuracy_percent: Some(transformers).filter(|class| *class > 0.0),
        register_step_kwh: step_kwh,
        register_modulus_kwh: Some(modulus),
        register_float32: false,
        max_power_kw: base_kw * 1.5,
        calibrated_on: None,
    }
}
