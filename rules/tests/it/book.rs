//! The lines of the ledger: whatever rows go in come out, and lines that are none are refused.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use rules::{
    book::{BookRow, Context, Entry, Line, LineError, MeterList, Standing},
    chain::Hash,
    ledger::{INTERVAL, LedgerRow, Method, RegisterReading},
    register::Flag,
    time::BootId,
};

fn start() -> DateTime<Utc> {
    "2026-10-01T00:00:00Z".parse().unwrap()
}

fn line(number: u64, entry: Entry) -> Line {
    Line {
        line: number,
        seq: 10 * number,
        boot: BootId(u64::MAX - 7),
        recorded: Some(start()),
        entry,
    }
}

fn meters(names: &[&str]) -> Entry {
    let names = names.iter().map(|name| (*name).into()).collect();
    Entry::Meters(MeterList { catalog: Hash::of(b"plant"), names })
}

fn row(meter: &str, quarter: i32, amount: f64) -> LedgerRow {
    let from = start() + INTERVAL * quarter;
    let reading = |at, value| Some(RegisterReading { at, value });
    LedgerRow {
        meter: meter.into(),
        start: from,
        amount: Some(amount),
        method: Method::Register,
        coverage: 1.0,
        flags: Vec::new(),
        uncertainty: Some(0.05),
        first: reading(from, 1000.0 + f64::from(quarter)),
        last: reading(from + INTERVAL, 1001.0 + f64::from(quarter)),
    }
}

fn first(row: LedgerRow) -> BookRow {
    BookRow { standing: Standing::First, row }
}

#[test]
fn a_quarter_hour_of_plain_rows_is_one_short_line() {
    let mut context = Context::default();
    context.take(&line(1, meters(&["utility", "busway"]))).unwrap();
    let before =
        context.write(2, vec![first(row("utility", 0, 1.0)), first(row("busway", 0, 0.5))]);
    context.take(&line(2, Entry::Quarter(before))).unwrap();
    let next = context.write(3, vec![first(row("utility", 1, 1.0)), first(row("busway", 1, 0.5))]);
    insta::assert_snapshot!(line(3, Entry::Quarter(next)).body().unwrap(), @r#"{"line":3,"seq":30,"boot":"fffffffffffffff8","recorded":"2026-10-01T00:00:00Z","quarter":{"start":"2026-10-01T00:15:00Z","meters":1,"amount":[1.0,0.5],"uncertainty":[0.05,0.05],"last":[[900000,1002.0],[900000,1002.0]]}}"#);
}

#[test]
fn what_is_no_line_is_refused_with_a_reason() {
    let text = |fault: LineError| fault.to_string();
    let fault = |body: &str| text(Line::read(body).unwrap_err());
    assert_eq!(fault("{}"), "is no line of a ledger");
    assert_eq!(fault(""), "is no line of a ledger");
    let head = r#""line":1,"seq":1,"boot":"00000000000000ff","recorded":null"#;
    assert_eq!(
        fault(&format!("{{{head}}}")),
        "has no entry that this program knows: it was written by a newer version"
    );
    let list = format!(r#"{{{head},"meters":{{"catalog":"{}","names":["a"]}}}}"#, Hash::of(b""));
    let quarter = |meters, amounts| {
        let quarter =
            format!(r#""start":"2026-10-01T00:00:00Z","meters":{meters},"amount":{amounts}"#);
        Line::read(&format!(r#"{{{head},"quarter":{{{quarter}}}}}"#)).unwrap()
    };
    let mut context = Context::default();
    assert_eq!(
        text(context.rows(&quarter(1, "[1]")).unwrap_err()),
        "speaks of the meters of line 1, which is not before it"
    );
    context.take(&Line::read(&list).unwrap()).unwrap();
    assert_eq!(text(context.rows(&quarter(1, "[1,2]")).unwrap_err()), "has 2 amounts for 1 meters");
    assert_eq!(context.rows(&quarter(1, "[1]")).unwrap().len(), 1);
}

/// What can become of a row.
fn any_row() -> impl Strategy<Value = Option<(usize, LedgerRow, Standing)>> {
    let reading = || {
        let at = prop_oneof![4 => (-900_000_i64..900_000).prop_map(|ms| ms * 1000), 1 => -9_000_000_i64..9_000_000];
        proptest::option::weighted(0.9, (at, 0.0_f64..1e7))
    };
    let method = prop_oneof![
        6 => Just(Method::Register), 1 => Just(Method::Bridged), 1 => Just(Method::Integrated), 1 => Just(Method::Missing),
    ];
    let flags =
        prop_oneof![4 => Just(vec![]), 1 => Just(vec![Flag::Rollover, Flag::InterpolatedWide])];
    let standing = prop_oneof![
        6 => Just(Standing::First), 1 => Just(Standing::Late), 1 => Just(Standing::Repeated), 1 => Just(Standing::Differing),
    ];
    let parts = (
        0_usize..6,
        proptest::option::weighted(0.9, 0.0_f64..1e4),
        method,
        prop_oneof![3 => Just(1.0), 1 => 0.0..1.0],
        flags,
    );
    let rest = (proptest::option::of(0.0_f64..1.0), reading(), reading(), standing);
    proptest::option::weighted(0.9, (parts, rest)).prop_map(|found| {
        let ((meter, amount, method, coverage, flags), (uncertainty, first, last, standing)) =
            found?;
        let at = |reading: Option<(i64, f64)>| {
            let (us, value) = reading?;
            Some(RegisterReading { at: start() + TimeDelta::microseconds(us), value })
        };
        let (meter_name, first, last) = (format!("m{meter}").into(), at(first), at(last));
        let row = LedgerRow {
            meter: meter_name,
            start: start(),
            amount,
            method,
            coverage,
            flags,
            uncertainty,
            first,
            last,
        };
        Some((meter, row, standing))
    })
}

proptest! {
    /// Whatever rows quarter-hours have, of meters in the list or not, once or twice: they come back, through the text
    /// of their lines.
    #[test]
    fn whatever_rows_go_in_come_out(quarters in prop::collection::vec(prop::collection::vec(any_row(), 1..8), 1..6)) {
        let mut writer = Context::default();
        let mut reader = Context::default();
        let list = line(1, meters(&["m0", "m1", "m2", "m3"]));
        writer.take(&list).unwrap();
        reader.take(&Line::read(&list.body().unwrap()).unwrap()).unwrap();
        for (number, (quarter, rows)) in (2..).zip((0_i32..).zip(quarters)) {
            let mut rows: Vec<BookRow> = rows.into_iter().flatten().map(|(_, mut row, standing)| {
                row.start = start() + INTERVAL * quarter;
                BookRow { standing, row }
            }).collect();
            if rows.is_empty() {
                continue;
            }
            let written = line(number, Entry::Quarter(writer.write(number, rows.clone())));
            writer.take(&written).unwrap();
            let read = Line::read(&written.clone().body().unwrap()).unwrap();
            prop_assert_eq!(&read, &written);
            let mut found = reader.rows(&read).unwrap();
            let key = |row: &BookRow| format!("{row:?}");
            rows.sort_by_key(key);
            found.sort_by_key(key);
            prop_assert_eq!(found, rows);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}", number in 0_usize..120) {
        let _ = Line::read(&text);
        let body = r#"{"line":3,"seq":30,"boot":"fffffffffffffff8","recorded":null,"quarter":{"start":"2026-10-01T00:15:00Z","meters":1,"amount":[1.0],"odd":[[0,"bridged",0.5,["reset"]]]}}"#;
        let cut: String = body.chars().take(number).chain(text.chars()).collect();
        if let Ok(line) = Line::read(&cut) {
            let _ = Context::default().rows(&line);
        }
    }
}
