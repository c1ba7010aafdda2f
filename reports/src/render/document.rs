//! The HTML document: its frame, the headline, and the order of what follows. What came from devices and site files is
//! escaped; charts are drawn by [`crate::chart`].

use std::fmt::Write as _;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    REFUSALS_SHOWN,
    pieces::{amount, states_key},
    sections,
};
use crate::{
    chart::{self, grouped},
    compliance::{Compliance, Energy, Figure, TermLine, Verdict},
    language::{Language, percent},
    note::floored_percent,
};

const STYLE: &str = include_str!("../style.css");
/// The document may fetch nothing, whatever text it was given.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The answer as a document.
pub fn html(answer: &Compliance, language: Language) -> String {
    let words = language.words();
    let title = format!(
        "{}: {} {} {} {}",
        answer.site.name, words.energy_report, answer.period.first, words.to, answer.period.last
    );
    let page = html! {
        (DOCTYPE)
        html lang=(language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="generator" content=(answer.made_by);
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (header(answer, language))
                    (refusals(answer, language))
                    (headline(answer, language))
                    (notes(answer, language))
                    (sections::methods(answer, language))
                    (sections::limits(answer, language))
                    (sections::by_month(answer, language))
                    (sections::coverage(answer, language))
                    (sections::by_day(answer, language))
                    (sections::uses(answer, language))
                    (sections::load(answer, language))
                    (sections::density(answer, language))
                    (sections::indicators(answer, language))
                    (sections::published(answer, language))
                    (sections::balances(answer, language))
                    (sections::registers(answer, language))
                    (sections::records(answer, language))
                    (sections::estimates(answer, language))
                    (sections::corrections(answer, language))
                    (sections::flags(answer, language))
                    (sections::regulations(answer, language))
                    (sections::footer(answer, language))
                }
            }
        }
    };
    page.into_string()
}

fn header(answer: &Compliance, language: Language) -> Markup {
    let (site, period, words) = (&answer.site, &answer.period, language.words());
    html! {
        header {
            div {
                p.kind { (words.energy_report) }
                h1 { (site.name) }
                p { (period.first) " " (words.to) " " (period.last) }
            }
            div.who {
                @if let Some(name) = &site.operator { p { b { (name) } } }
                @if let Some(address) = &site.address { p { (address) } }
                p { (words.site) " " (site.id) ", " (words.gateway) " " (site.gateway) }
                p { (site.time_zone) ", " (grouped(period.hours, 0)) " h" }
            }
        }
        @if site.simulated { p.simulated { (words.simulated) } }
    }
}

fn refusals(answer: &Compliance, language: Language) -> Markup {
    let (figure, words) = (answer.figure(), language.words());
    html! {
        @if !figure.refusals.is_empty() {
            section.card.refused {
                h2 { (words.not_reported) }
                p.lead {
                    @match &figure.title {
                        Some(title) => { b { (title) } " " (words.not_claimed) }
                        None => { (words.no_name) }
                    }
                }
                ul {
                    @for refusal in figure.refusals.iter().take(REFUSALS_SHOWN) {
                        li { (refusal.text(language)) " " code { (refusal.code()) } }
                    }
                    @if figure.refusals.len() > REFUSALS_SHOWN {
                        li { "+ " (figure.refusals.len() - REFUSALS_SHOWN) " " (words.more_in_json) }
                    }
                }
            }
        }
    }
}

fn headline(answer: &Compliance, language: Language) -> Markup {
    let (figure, words) = (answer.figure(), language.words());
    html! {
        section.card.headline {
            div { (value(figure, language)) }
            div {
                (sum(words.facility_energy, &answer.facility, language))
                (sum(words.it_energy, &answer.it, language))
                (states_key(language, true))
            }
            @if let Some(notation) = &figure.notation { p.notation { (notation) } }
        }
    }
}

fn value(figure: &Figure, language: Language) -> Markup {
    let words = language.words();
    html! {
        @match (figure.value, &figure.title) {
            (Some(value), Some(title)) => {
                p.title { (title) }
                div.value { (format!("{value:.2}")) }
                p.within {
                    @if let Some(u95) = figure.u95 {
                        "U95 ±" (format!("{u95:.3}"))
                        " [" (format!("{:.3}", value - u95)) ", " (format!("{:.3}", value + u95)) "]; "
                    }
                    (words.completeness) " " (floored_percent(figure.completeness))
                    @if figure.verdict == Verdict::Qualified {
                        ", " b { (words.qualified) }
                        @for why in &figure.qualifications { br; (language.qualification(*why)) }
                    }
                    @if let Some(category) = figure.category { br; (language.category(category)) }
                }
            }
            _ => {
                p.title { (words.no_figure) }
                p.within { (words.energies_beside) }
            }
        }
    }
}

fn sum(name: &str, energy: &Energy, language: Language) -> Markup {
    let words = language.words();
    let parts = [
        ("measured", words.measured, energy.measured_share),
        ("integrated", words.integrated, energy.integrated_share),
        ("bridged", words.bridged, energy.bridged_share),
        ("estimated", words.estimated, energy.estimated_share),
        ("missing", words.missing, energy.missing_share),
    ];
    let shown = |share: f64, class: &str| share > 0.0 || matches!(class, "measured" | "missing");
    let bar: Vec<(&str, f64)> = parts.iter().map(|(class, _, share)| (*class, *share)).collect();
    html! {
        div.sum {
            span.name { (name) }
            span.kwh { (amount(energy.kwh, language)) " " small { "kWh" } }
            (PreEscaped(chart::bar(name, &bar)))
            span.shares {
                @for (class, word, share) in &parts {
                    @if shown(*share, class) { (percent(*share)) " " (word) ", " }
                }
                (formula(&energy.terms))
            }
        }
    }
}

/// `utility-a + utility-b − export`, cut when long.
fn formula(terms: &[TermLine]) -> String {
    const SHOWN: usize = 8;
    let mut text = String::new();
    for (index, term) in terms.iter().take(SHOWN).enumerate() {
        text.push_str(match (index, term.negative) {
            (0, false) => "",
            (0, true) => "− ",
            (_, false) => " + ",
            (_, true) => " − ",
        });
        if term.share < 1.0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{} · ", term.share);
        }
        text.push_str(&term.meter);
    }
    if terms.len() > SHOWN {
        let _ = write!(text, " … +{}", terms.len() - SHOWN);
    }
    text
}

fn notes(answer: &Compliance, language: Language) -> Markup {
    html! {
        @if !answer.notes.is_empty() {
            ul.notes { @for note in &answer.notes { li { (note.text(language)) } } }
        }
    }
}
