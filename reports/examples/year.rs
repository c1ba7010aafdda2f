//! How long a report of a year takes for a large site: `cargo run --release -p reports --example year`. Lines
//! come from memory, not from a database.

use std::{error::Error, sync::Arc, time::Instant};

use configs::{library::Library, limits_file};
use reports::{
    compliance::{Audit, Question},
    language::Language,
    render,
};
use rules::{
    book::{BookRow, Context, Entry, Line, MeterList, Standing},
    calendar::Span,
    chain::Hash,
    ledger::{INTERVAL, LedgerRow, Method, RegisterReading},
    limits::Regulation,
    messages::SiteInfo,
    plant::{Asset, AssetKind, Carrier, Category, Detail, Meter, Plant, Role},
    ratio::Period,
    time::BootId,
};

const METERS: u32 = 200;

fn meter(role: Role, category: Option<Category>) -> Detail {
    Detail::Meter(Meter {
        role,
        carrier: Carrier::Electricity,
        category,
        feed: None,
        serial: None,
        model: None,
        twin: None,
        share: None,
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
    let regulations = ["iso-iec-30134-2", "gb-40879-2021"].map(regulation);
    let question = Question {
        site: &site,
        plant: &plant,
        period: Period::new("2025-01-01".parse()?, "2025-12-31".parse()?)?,
        asked_at: "2026-02-01T00:00:00Z".parse()?,
        version: "0.0.0",
        regulations: &regulations,
        plant_changes: Vec::new(),
        catalog: Hash::of(b""),
        ledger: None,
    };
    let mut audit = Audit::new(question)?;
    let span = audit.span();
    let bodies = bodies(span)?;
    let bytes: usize = bodies.iter().map(String::len).sum();
    let started = Instant::now();
    for body in bodies {
        audit.take(&Line::read(&body)?)?;
    }
    let taken = started.elapsed();
    let answer = audit.finish();
    let computed = started.elapsed();
    let html = render::html(&answer, Language::English);
    let rendered = started.elapsed();
    let json = render::json(&answer)?;
    eprintln!(
        "{}: {} MB of lines taken in {taken:?}, computed by {computed:?}, HTML by {rendered:?}; {} kB HTML, {} kB JSON",
        answer.figure().title.as_deref().unwrap_or_default(),
        bytes / 1_000_000,
        html.len() / 1000,
        json.len() / 1000
    );
    Ok(())
}

fn regulation(name: &str) -> Regulation {
    let library = Library::shipped();
    let source = library.limits(name).expect("it ships");
    limits_file::read(source).expect("what ships is sound")
}

/// The lines of the year as a gateway writes them.
fn bodies(span: Span) -> Result<Vec<String>, Box<dyn Error>> {
    let names: Vec<Arc<str>> = (0..METERS).map(|index| format!("meter-{index}").into()).collect();
    let mut context = Context::default();
    let mut bodies = Vec::new();
    let mut write = |context: &mut Context, entry| -> Result<(), Box<dyn Error>> {
        let number = u64::try_from(bodies.len())? + 1;
        let line = Line { line: number, seq: number, boot: BootId(1), recorded: None, entry };
        context.take(&line)?;
        bodies.push(line.body()?);
        Ok(())
    };
    let list = MeterList { catalog: Hash::of(b""), names: names.clone() };
    write(&mut context, Entry::Meters(list))?;
    let (mut start, mut number, mut shown) = (span.from, 2, 5000.0);
    while start < span.to {
        let rows = (0_u32..).zip(&names).map(|(index, name)| {
            let amount = if index % 2 == 0 { 110.0 } else { 100.0 };
            let row = LedgerRow {
                meter: Arc::clone(name),
                start,
                amount: Some(amount),
                method: Method::Register,
                coverage: 1.0,
                flags: Vec::new(),
                uncertainty: Some(0.3),
                first: Some(RegisterReading { at: start, value: shown }),
                last: Some(RegisterReading { at: start + INTERVAL, value: shown + amount }),
            };
            BookRow { standing: Standing::First, row }
        });
        let quarter = context.write(number, rows.collect());
        write(&mut context, Entry::Quarter(quarter))?;
        (start, number, shown) = (start + INTERVAL, number + 1, shown + 100.0);
    }
    Ok(bodies)
}
