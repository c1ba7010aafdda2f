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
