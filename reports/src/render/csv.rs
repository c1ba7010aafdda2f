//! The figures as CSV (RFC 4180): one value a line, under the names of the JSON, with full precision.

use std::fmt::Write as _;

use rules::{
    book::Correction,
    calendar::Span,
    ledger::{INTERVAL, Method},
};

use crate::compliance::Compliance;

/// `section,name,value,unit` for everything that is one number; days, months and meters after one another.
pub fn csv(answer: &Compliance) -> String {
    let mut out = Lines::default();
    out.line(&["section", "name", "key", "value", "unit"]);
    let site = &answer.site;
    for (key, value) in [
        ("id", site.id.as_str()),
        ("name", &site.name),
        ("gateway", &site.gateway),
        ("time_zone", &site.time_zone),
        ("operator", site.operator.as_deref().unwrap_or_default()),
        ("address", site.address.as_deref().unwrap_or_default()),
    ] {
        out.line(&["site", &site.id, key, value, ""]);
    }
    out.line(&["period", "", "first", &answer.period.first.to_string(), ""]);
    out.line(&["period", "", "last", &answer.period.last.to_string(), ""]);
    for figure in &answer.figures {
        let name = figure.title.as_deref().unwrap_or_default();
        out.line(&["figure", name, "method", &figure.method, ""]);
        out.number("figure", name, "value", figure.value, "");
        out.number("figure", name, "u95", figure.u95, "");
        out.number("figure", name, "completeness", Some(figure.completeness), "");
        for refusal in &figure.refusals {
            out.line(&["figure", name, "refused", refusal.code(), ""]);
        }
    }
    out.number("energy", "facility", "kwh", answer.facility.kwh, "kWh");
    out.number("energy", "it", "kwh", answer.it.kwh, "kWh");
    for judgement in &answer.judgements {
        let name = format!("{}.{}", judgement.regulation, judgement.limit.id);
        out.line(&["limit", &name, "outcome", judgement.outcome.word(), ""]);
        out.number("limit", &name, "number", Some(judgement.limit.bound.number()), "");
    }
    for indicator in &answer.indicators {
        out.number("indicator", &indicator.id, "value", indicator.value, indicator.unit);
    }
    for (section, lines) in [("month", &answer.months), ("day", &answer.days)] {
        for line in lines {
            let day = line.day.to_string();
            out.number(section, &day, "facility_kwh", line.facility_kwh, "kWh");
            out.number(section, &day, "it_kwh", line.it_kwh, "kWh");
        }
    }
    for meter in &answer.meters {
        let unit =
            if meter.declared.carrier == rules::plant::Carrier::Water { "m3" } else { "kWh" };
        out.number("meter", &meter.name, "amount", meter.amount, unit);
        out.number("meter", &meter.name, "completeness", Some(meter.completeness.energy), "");
        out.number("meter", &meter.name, "register_first", meter.first.map(|at| at.value), unit);
        out.number("meter", &meter.name, "register_last", meter.last.map(|at| at.value), unit);
    }
    out.text
}

/// Lines for what somebody put in the place of recorded amounts, in the same columns: flag `correction`. They stand over
/// the other lines of their meter and start, and later ones over earlier ones. An amount that was withdrawn is empty.
pub fn corrections_csv(correction: &Correction, span: Span) -> String {
    let mut out = Lines::default();
    let word = |value: &dyn erased::Word| value.word();
    let mut start = correction.start;
    for amount in &correction.amounts {
        if span.contains(start) {
            let method = if amount.is_some() { correction.method } else { Method::Missing };
            let amount = amount.map(|amount| amount.to_string()).unwrap_or_default();
            let (start, method) = (stamp(start), word(&method));
            out.line(&[
                &correction.meter,
                &start,
                &amount,
                &method,
                "1",
                "correction",
                "",
                "",
                "",
                "",
                "",
            ]);
        }
        start += INTERVAL;
    }
    out.text
}

/// Header and lines of the registers of every quarter-hour, for whoever recomputes from them.
pub fn registers_csv(rows: &[rules::ledger::LedgerRow], header: bool) -> String {
    let mut out = Lines::default();
    if header {
        out.line(&[
            "meter",
            "start",
            "amount",
            "method",
            "coverage",
            "flags",
            "uncertainty",
            "first_at",
            "first_value",
            "last_at",
            "last_value",
        ]);
    }
    for row in rows {
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let at = |reading: Option<rules::ledger::RegisterReading>| {
            reading.map(|reading| stamp(reading.at)).unwrap_or_default()
        };
        let word = |value: &dyn erased::Word| value.word();
        let flags: Vec<String> = row.flags.iter().map(|flag| word(flag)).collect();
        out.line(&[
            &row.meter,
            &stamp(row.start),
            &number(row.amount),
            &word(&row.method),
            &row.coverage.to_string(),
            &flags.join(" "),
            &number(row.uncertainty),
            &at(row.first),
            &number(row.first.map(|reading| reading.value)),
            &at(row.last),
            &number(row.last.map(|reading| reading.value)),
        ]);
    }
    out.text
}

fn stamp(at: chrono::DateTime<chrono::Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Words as JSON has them.
mod erased {
    use serde::Serialize;

    pub(super) trait Word {
        fn word(&self) -> String;
    }

    impl<T: Serialize> Word for T {
        fn word(&self) -> String {
            serde_json::to_value(self)
                .ok()
                .and_then(|value| value.as_str().map(ToOwned::to_owned))
                .unwrap_or_default()
        }
    }
}

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn number(&mut self, section: &str, name: &str, key: &str, value: Option<f64>, unit: &str) {
        // The shortest text that gives the number back.
        let value = value.map(|value| value.to_string()).unwrap_or_default();
        self.line(&[section, name, key, &value, unit]);
    }

    fn line(&mut self, fields: &[&str]) {
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            if field.contains([',', '"', '\n', '\r']) {
                // Writing to a string cannot fail.
                let _ = write!(self.text, "\"{}\"", field.replace('"', "\"\""));
            } else {
                self.text.push_str(field);
            }
        }
        self.text.push_str("\r\n");
    }
}
