//! How a report is printed.

use reports::{language::Language, render};
use rules::{ledger::Method, register::Flag};

use crate::hall::Hall;

/// Two days, one of 25 hours, with an outage, a rollover and a gap.
fn eventful() -> Hall {
    let mut hall = Hall::measured("2026-10-24", "2026-10-25");
    for row in hall.of("utility", 20..56) {
        (row.method, row.flags) = (Method::Bridged, vec![Flag::InterpolatedWide]);
    }
    hall.of("it-a", 80..81)[0].flags = vec![Flag::Rollover];
    hall.of("it-b", 100..101)[0].coverage = 0.5;
    hall
}

/// What a reader sees: the text between the tags, a line for each element that has some.
fn text(html: &str) -> String {
    let body = html.split_once("<body>").unwrap().1;
    let mut lines = Vec::new();
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        let breaks =
            ["p", "h", "td", "tr", "li", "div", "/tr", "dt", "dd", "section", "svg", "span.kwh"];
        if breaks.iter().any(|block| tag.starts_with(block)) {
            lines.push(String::new());
        }
        match lines.last_mut() {
            Some(line) => line.push_str(text),
            None => lines.push(text.to_owned()),
        }
    }
    let lines = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn json_of_an_eventful_weekend() {
    insta::assert_snapshot!(render::json(&eventful().answer()).unwrap());
}

#[test]
fn text_of_an_eventful_weekend() {
    insta::assert_snapshot!(text(&render::html(&eventful().answer(), Language::English)));
}

#[test]
fn text_of_a_refused_report_begins_with_the_reasons() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    hall.declare("it-b", |meter| meter.category = None);
    hall.lose("utility", 50..100);
    let text = text(&render::html(&hall.answer(), Language::English));
    let (reasons, figures) = text.split_once("No figure").unwrap();
    assert!(reasons.contains("Not reported") && reasons.contains("low_coverage"), "{reasons}");
    assert!(reasons.contains("no_category"), "{reasons}");
    assert!(figures.contains("E_DC"));
}

#[test]
fn a_document_fetches_nothing_and_runs_nothing() {
    let html = render::html(&eventful().answer(), Language::English);
    for word in ["http://", "https://", "<script", "@import", "url(", "src=", "javascript:"] {
        assert!(!html.contains(word), "{word}");
    }
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn text_from_sites_and_devices_is_escaped() {
    let mut hall = eventful();
    hall.site.name = "<script>alert(1)</script> & \"Hall\"".to_owned();
    hall.declare("utility", |meter| meter.serial = Some("<img src=x onerror=y>".to_owned()));
    hall.rows[3].meter = "</style><b>".into();
    let html = render::html(&hall.answer(), Language::English);
    for raw in ["<script", "<img", "</style><b>"] {
        assert!(!html.contains(raw), "{raw}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp;"));
}

#[test]
fn nothing_is_printed_that_is_no_number() {
    let mut empty = Hall::measured("2026-09-01", "2026-09-02");
    empty.rows.clear();
    for hall in [empty, eventful()] {
        let (html, json) = (
            render::html(&hall.answer(), Language::English),
            render::json(&hall.answer()).unwrap(),
        );
        for word in ["NaN", "inf\"", "inf ", "None", "Some("] {
            assert!(!html.contains(word) && !json.contains(word), "{word}");
        }
    }
}

/// A number as people read it, with its thousands apart: taken for the number that machines get when it is that, rounded.
fn is_printed(text: &str, value: f64) -> bool {
    let digits = |text: &str| text.replace(['\u{202f}', '\u{a0}', '\u{2009}', ' ', ','], "");
    let plain = digits(text);
    let rounded = (0..=4).map(|decimals| format!("{value:.decimals$}"));
    // Rounded so far that another number would look the same is not printed.
    let close = |text: &String| {
        text.parse().is_ok_and(|near: f64| (near - value).abs() <= 0.05 * value.abs())
    };
    rounded.filter(close).any(|number| plain.contains(&number))
}

#[test]
fn the_documents_for_people_and_for_machines_have_the_same_numbers() {
    let answer = eventful().answer();
    let json: serde_json::Value = serde_json::from_str(&render::json(&answer).unwrap()).unwrap();
    let csv = render::csv(&answer);
    let of_csv = |section: &str, name: &str, key: &str| -> f64 {
        let start = format!("{section},{name},{key},");
        let line = csv.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("{start} in\n{csv}"));
        line[start.len()..].split(',').next().unwrap().parse().unwrap()
    };
    let pages = Language::ALL.map(|language| text(&render::html(&answer, language)));
    let mut compared = 0;
    let mut same = |what: &str, of_json: &serde_json::Value, of_csv: f64| {
        let value = of_json.as_f64().unwrap();
        assert_eq!(value.to_bits(), of_csv.to_bits(), "{what}");
        for page in &pages {
            assert!(is_printed(page, value), "{what}: {value} in\n{page}");
        }
        compared += 1;
    };
    let title = json["figures"][0]["title"].as_str().unwrap();
    same("u95", &json["figures"][0]["u95"], of_csv("figure", title, "u95"));
    same("facility", &json["facility"]["kwh"], of_csv("energy", "facility", "kwh"));
    same("it", &json["it"]["kwh"], of_csv("energy", "it", "kwh"));
    for meter in json["meters"].as_array().unwrap() {
        let name = meter["name"].as_str().unwrap();
        same(name, &meter["amount"], of_csv("meter", name, "amount"));
        same(name, &meter["first"]["value"], of_csv("meter", name, "register_first"));
        same(name, &meter["last"]["value"], of_csv("meter", name, "register_last"));
    }
    assert!(compared >= 15, "{compared}");
    // The ratio is printed to the digits that its uncertainty leaves, in the notation of the standard.
    let notation = json["figures"][0]["notation"].as_str().unwrap();
    assert!(pages.iter().all(|page| page.contains(notation)), "{notation}");
    let value = json["figures"][0]["value"].as_f64().unwrap();
    assert_eq!(value.to_bits(), of_csv("figure", title, "value").to_bits());
}
