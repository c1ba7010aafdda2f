//! How long a report of a year takes for a large site: `cargo run --release -p reports --example year`. Rows come from
//! memory, not from a database.

use std::{error::Error, sync::Arc, time::Instant};

use reports::{
    compliance::{Audit, Operator, Question},
    render,
};
use rules::{
    ledger::{INTERVAL, LedgerRow, Method},
    messages::SiteInfo,
    plant::{Asset, AssetKind, Carrier, Category, Detail, Meter, Plant, Role},
    ratio::Period,
};

const METERS: u32 = 200;

fn meter(role: Role, category: Option<Category>) -> Detail {
    Detail::Meter(Meter {
        role,
        carrier: Carrier::Electricity,
        category,
        feed: None,
        serial: None,
        accuracy_percent: Some(0.5),
        ct_ratio: None,
        ct_accuracy_percent: None,
        register_step_kwh: 0.1,
        register_modulus_kwh: None,
        register_float32: false,
        max_power_kw: 1000.0,
        calibrated_on: None,
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut plant = Plant::default();
    for index in 0..METERS {
        let detail = match index % 2 {
            0 => meter(Role::BoundaryIn, None),
            _ => meter(Role::ItLoad, Some(Category::Two)),
        };
        let name = format!("meter-{index}").into();
        plant.add_asset(Asset { name, kind: AssetKind::Meter, title: None, detail });
    }
    let site = SiteInfo {
        id: "large".to_owned(),
        name: "Large".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        gateway: "gw".to_owned(),
        simulated: true,
    };
    let question = Question {
        site: &site,
        plant: &plant,
        period: Period::new("2025-01-01".parse()?, "2025-12-31".parse()?)?,
        asked_at: "2026-02-01T00:00:00Z".parse()?,
        version: "0.0.0",
        operator: Operator::default(),
        plant_changes: Vec::new(),
    };
    let mut audit = Audit::new(question)?;
    let span = audit.span();
    let started = Instant::now();
    for index in 0..METERS {
        let name: Arc<str> = format!("meter-{index}").into();
        let mut start = span.from;
        while start < span.to {
            audit.take(&LedgerRow {
                meter: Arc::clone(&name),
                start,
                amount: Some(if index % 2 == 0 { 110.0 } else { 100.0 }),
                method: Method::Register,
                coverage: 1.0,
                flags: Vec::new(),
                uncertainty: None,
                first: None,
                last: None,
            });
            start += INTERVAL;
        }
    }
    let taken = started.elapsed();
    let answer = audit.finish();
    let computed = started.elapsed();
    let (html, json) = (render::html(&answer), render::json(&answer)?);
    let (rendered, title) = (started.elapsed(), answer.figure.title.unwrap_or_default());
    eprintln!(
        "{title}: taken in {taken:?}, computed by {computed:?}, rendered by {rendered:?}; {} kB HTML, {} kB JSON",
        html.len() / 1000,
        json.len() / 1000
    );
    Ok(())
}
