//! The sections of the document, in the order of the report.

use chrono::Datelike;
use maud::{Markup, PreEscaped, html};
use rules::{
    calendar::Zone,
    ledger::RegisterReading,
    limits::{Bilingual, Judgement, Metric, Outcome},
    plant::{Carrier, Meter},
};

use super::pieces::{amount, states_key};
use crate::{
    chart::{self, Flow, Line, grouped},
    compliance::{AnchorLine, Compliance, MeterLine, RegulationLine, Sign, Use, Verdict},
    density::{Group, Power},
    language::{Language, list, percent},
    note::floored_percent,
};

/// Lines across the chart of months: more would hide the figures.
const LINES_SHOWN: usize = 6;

/// A text in the language of the document.
fn said(text: &Bilingual, language: Language) -> &str {
    match language {
        Language::English => &text.en,
        Language::Chinese => text.zh.as_deref().unwrap_or(&text.en),
    }
}

/// The figure by each method, where there are several, and the cross-check.
pub(super) fn methods(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    html! {
        @if answer.figures.len() > 1 || answer.bottom_up.is_some() {
            section {
                h2 { (words.other_methods) }
                div.card.wide {
                    table {
                        thead { tr { th { (words.method) } th { (words.figure) } th.n { (words.value) } th.n { "U95" } } }
                        tbody {
                            @for figure in &answer.figures {
                                tr {
                                    td { (figure.method) @if !figure.verified { " " span.tag { (words.not_verified) } } }
                                    td { (figure.title.as_deref().unwrap_or("–")) }
                                    td.n {
                                        @match figure.value {
                                            Some(value) => {
                                                (format!("{value:.4}"))
                                                @if figure.verdict == Verdict::Qualified { small { (words.qualified) } }
                                            }
                                            None => { (words.not_reported) small { (figure.refusals.first().map_or("", |why| why.code())) } }
                                        }
                                    }
                                    td.n { @if let Some(u95) = figure.u95 { "±" (format!("{u95:.4}")) } }
                                }
                            }
                            @if let Some(check) = &answer.bottom_up {
                                tr {
                                    td { (words.bottom_up) small { (list(&check.meters, language)) } }
                                    td { "–" }
                                    td.n { (format!("{:.4}", check.value)) }
                                    td.n { @if let Some(u95) = check.u95 { "±" (format!("{u95:.4}")) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn tone(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Conform | Outcome::ConformWithinUncertainty | Outcome::Meets => "outcome good",
        Outcome::NonConform | Outcome::NonConformWithinUncertainty => "outcome bad",
        Outcome::Misses | Outcome::NotApplicable | Outcome::NotEvaluable => "outcome none",
    }
}

pub(super) fn limits(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    let text_of = |judgement: &Judgement| {
        let line = answer.regulations.iter().find(|line| line.id == judgement.regulation);
        line.map_or(judgement.regulation.as_str(), |line| line.edition.as_str()).to_owned()
    };
    html! {
        @if !answer.judgements.is_empty() {
            section {
                h2 { (words.limits) }
                p.lead { (words.limits_lead) }
                div.card.wide {
                    table {
                        thead {
                            tr {
                                th { (words.limit) } th { (words.status) } th.n { (words.number) } th.n { (words.value) }
                                th { (words.outcome) }
                            }
                        }
                        tbody {
                            @for judgement in &answer.judgements { (judged(judgement, &text_of(judgement), language)) }
                        }
                    }
                }
                @if answer.judgements.iter().any(|judgement| !judgement.verified) {
                    p.lead { (words.not_verified_long) }
                }
            }
        }
    }
}

fn judged(judgement: &Judgement, edition: &str, language: Language) -> Markup {
    let (words, limit) = (language.words(), &judgement.limit);
    let unit = limit.metric.unit();
    html! {
        tr {
            td {
                (said(&limit.title, language))
                small { (edition) @if !judgement.verified { " · " (words.not_verified) } }
            }
            td { (language.status(judgement.status)) }
            td.n { (limit.bound.text()) " " (unit) }
            td.n {
                @if let Some(measured) = judgement.measured {
                    (format!("{:.4}", measured.value))
                    @if let Some(u95) = measured.u95 { small { "±" (format!("{u95:.4}")) } }
                }
            }
            td {
                span class=(tone(judgement.outcome)) { (language.outcome(judgement.outcome)) }
                @if let Some(reason) = &judgement.reason { small.reason { (said(reason, language)) } }
                @if let Some(penalty) = &limit.penalty { small.reason { (penalty) } }
            }
        }
    }
}

/// The ratio of each month against the limits of the ratio.
pub(super) fn by_month(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    let mut lines: Vec<Line> = Vec::new();
    for judgement in &answer.judgements {
        let limit = &judgement.limit;
        let number = limit.bound.number();
        let fits = limit.metric == Metric::EnergyRatio
            && limit.load_fraction.is_none()
            && !matches!(judgement.outcome, Outcome::NotApplicable);
        if fits && !lines.iter().any(|line| (line.number - number).abs() < 1e-9) {
            let label = format!("{} {}", limit.bound.text(), said(&limit.title, language));
            lines.push(Line { number, label, binds: judgement.status.binds() && !limit.grade });
        }
    }
    lines.sort_by_key(|line| !line.binds);
    lines.truncate(LINES_SHOWN);
    html! {
        @if answer.months.len() > 1 || !lines.is_empty() {
            section {
                h2 { (words.by_month) }
                div.card.chart { (PreEscaped(chart::months(&answer.months, &lines, language))) }
            }
        }
    }
}

pub(super) fn coverage(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    html! {
        section {
            h2 { (words.coverage) }
            p.lead { (words.coverage_lead) " " (answer.site.time_zone) }
            div.card.chart {
                (PreEscaped(chart::coverage(&answer.profile, language)))
                (states_key(language, false))
            }
        }
    }
}

pub(super) fn by_day(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    html! {
        section {
            h2 { (words.by_day) }
            div.card.chart {
                (PreEscaped(chart::days(&answer.days, language)))
                ul.key { li { i.it {} (words.it) } li { i.overhead {} (words.overhead) } }
            }
        }
    }
}

fn use_class(name: Use) -> &'static str {
    match name {
        Use::It => "it",
        Use::Cooling => "cooling",
        Use::PowerLosses => "loss",
        Use::Other => "other",
        Use::NotMeteredApart => "rest",
    }
}

pub(super) fn uses(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    let uses = &answer.breakdown.uses;
    let outward: Vec<Flow> = uses
        .iter()
        .map(|part| Flow {
            class: use_class(part.name),
            name: language.used_for(part.name).to_owned(),
            kwh: part.kwh,
        })
        .collect();
    html! {
        section {
            h2 { (words.uses) }
            div.card.uses {
                @if !uses.is_empty() {
                    (PreEscaped(chart::flow(words.flow, &inward(answer), &outward)))
                    ul.key {
                        @for part in uses {
                            li {
                                i class=(use_class(part.name)) {}
                                (language.used_for(part.name)) " " b { (percent(part.share)) } ", "
                                (amount(Some(part.kwh), language)) " kWh"
                            }
                        }
                    }
                }
                table {
                    thead {
                        tr { th { (words.role) } th { (words.carrier) } th.n { (words.meters) } th.n { (words.recorded) } }
                    }
                    tbody {
                        @for line in &answer.breakdown.by_role {
                            tr {
                                td { (language.role(line.role)) }
                                td { (language.carrier(line.carrier)) }
                                td.n { (line.meters) }
                                td.n { (amount(line.amount, language)) " " (unit(line.carrier)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Where facility energy comes from: its meters, the small ones together.
fn inward(answer: &Compliance) -> Vec<Flow> {
    const SHOWN: usize = 6;
    let terms = answer.facility.terms.iter().filter(|term| !term.negative);
    let mut flows: Vec<Flow> = terms
        .map(|term| Flow {
            class: "overhead",
            name: term.meter.to_string(),
            kwh: term.recorded_kwh.unwrap_or(0.0) * term.share * term.weight,
        })
        .collect();
    flows.sort_by(|one, other| other.kwh.total_cmp(&one.kwh));
    if flows.len() > SHOWN {
        let rest = flows.split_off(SHOWN - 1);
        let kwh = rest.iter().map(|flow| flow.kwh).sum();
        flows.push(Flow { class: "overhead", name: format!("+{}", rest.len()), kwh });
    }
    flows
}

pub(super) fn load(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    let key = html! { ul.key { li { i.facility {} (words.facility) } li { i.it {} (words.it) } } };
    html! {
        section {
            h2 { (words.load) }
            p.lead { (words.load_lead) }
            div.card.chart { (PreEscaped(chart::load(&answer.profile, language))) (key) }
            div.card.chart { (PreEscaped(chart::duration(&answer.profile, language))) (key) }
        }
    }
}

pub(super) fn density(answer: &Compliance, language: Language) -> Markup {
    let (density, words) = (&answer.density, language.words());
    let Power { mean_kw, p95_kw, max_kw, measured_share } = density.hall;
    let number = |value, decimals, unit| figure(value, decimals, unit, language);
    html! {
        section {
            h2 { (words.density) }
            p.lead { (words.density_lead) " " (percent(measured_share)) }
            div.figures {
                div {
                    b { (number(density.mean_kw_per_m2, 2, "kW/m²")) }
                    span { (words.mean_over_floor) " " (number(density.floor_area_m2, 0, "m²")) }
                }
                div { b { (number(mean_kw, 1, "kW")) } span { (words.it_mean) } }
                div { b { (number(p95_kw, 1, "kW")) } span { (words.it_p95) } }
                div { b { (number(max_kw, 1, "kW")) } span { (words.it_max) } }
            }
            @if !density.racks.is_empty() {
                div.card.chart {
                    p.lead { b { (words.heat_map) } " (kW). " (words.heat_map_lead) }
                    (PreEscaped(chart::heat_map(words.heat_map, &density.racks)))
                }
            }
            @if !density.groups.is_empty() { div.card.wide.chart { (groups(&density.groups, language)) } }
        }
    }
}

fn groups(groups: &[Group], language: Language) -> Markup {
    let words = language.words();
    let number = |value, decimals, unit| figure(value, decimals, unit, language);
    html! {
        table {
            thead {
                tr {
                    th { (words.it_meters) } th { (words.racks_behind) } th.n { (words.design) } th.n { (words.mean) }
                    th.n { "95 %" } th.n { (words.maximum) } th.n { (words.mean_a_rack) } th.n { (words.maximum_a_rack) }
                    th.n { (words.per_footprint) }
                }
            }
            tbody {
                @for group in groups {
                    tr {
                        td { (list(&group.meters, language)) }
                        td {
                            @match group.racks.as_slice() {
                                [] => { (words.none_declared) }
                                [only] => { (only) }
                                [first, .., last] => { (language.racks(group.racks.len(), first, last)) }
                            }
                        }
                        td.n { (number(Some(group.design_kw), 0, "kW")) }
                        td.n { (number(group.power.mean_kw, 1, "kW")) }
                        td.n { (number(group.power.p95_kw, 1, "kW")) }
                        td.n { (number(group.power.max_kw, 1, "kW")) }
                        td.n { (number(group.mean_kw_per_rack, 1, "kW")) }
                        td.n { (number(group.max_kw_per_rack, 1, "kW")) }
                        td.n { (number(group.mean_kw_per_footprint_m2, 1, "")) }
                    }
                }
            }
        }
    }
}

pub(super) fn indicators(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    html! {
        section {
            h2 { (words.indicators) }
            p.lead { (words.indicators_lead) }
            div.card.wide {
                table {
                    thead { tr { th { (words.figure) } th.n { (words.value) } th { (words.formed_from) } } }
                    tbody {
                        @for indicator in &answer.indicators {
                            tr {
                                td { (said(&indicator.title, language)) small { (indicator.id) } }
                                td.n {
                                    @if let Some(value) = indicator.value { (format!("{value:.4}")) " " (indicator.unit) }
                                    @else { "–" }
                                }
                                td {
                                    (said(&indicator.formula, language))
                                    @match &indicator.reason {
                                        Some(reason) => { small.reason { (said(reason, language)) } }
                                        None => {
                                            small {
                                                @for input in &indicator.inputs {
                                                    (input.name) " " (grouped(input.value, if input.value.abs() < 10.0 { 3 } else { 1 }))
                                                    " " (input.unit) "; "
                                                }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The indicator set of a regulation, with what is missing said so.
pub(super) fn published(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    html! {
        @for text in answer.regulations.iter().filter(|text| !text.indicators.is_empty()) {
            section {
                h2 { (words.to_publish) ": " (text.edition) }
                div.card.wide {
                    table {
                        thead { tr { th { (words.symbol) } th { (words.figure) } th.n { (words.value) } th { (words.source) } } }
                        tbody {
                            @for line in &text.indicators {
                                tr {
                                    td { b { (line.symbol) } @if let Some(whole) = &line.part_of { small { "⊂ " (whole) } } }
                                    td { (said(&line.title, language)) }
                                    td.n {
                                        @match (line.value, &line.text) {
                                            (Some(value), _) => { (grouped(value, if value.abs() < 100.0 { 2 } else { 0 })) " " (line.unit) }
                                            (None, Some(text)) => { (text) }
                                            (None, None) => { span.reason { (words.missing) } }
                                        }
                                    }
                                    td { (said(&line.source, language)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn balances(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    html! {
        @if !answer.balances.is_empty() {
            section {
                h2 { (words.balances) }
                p.lead { (words.balances_lead) }
                div.card.wide {
                    table {
                        thead {
                            tr {
                                th { (words.meter) } th.n { (words.flows_in) } th.n { (words.flows_out) }
                                th.n { (words.difference) } th.n { "U95" } th { (words.verdict) }
                            }
                        }
                        tbody {
                            @for node in &answer.balances {
                                tr {
                                    td { b { (node.meter) } small { (list(&node.children, language)) } }
                                    td.n { (amount(Some(node.in_kwh), language)) " kWh" }
                                    td.n { (amount(Some(node.out_kwh), language)) " kWh" }
                                    td.n { (format!("{:+.2} %", node.difference_share * 100.0)) }
                                    td.n { @if let Some(u95) = node.u95_kwh { (format!("±{:.2} %", u95 / node.in_kwh * 100.0)) } }
                                    td {
                                        (language.balance(node.verdict))
                                        @if let Some(suspect) = &node.suspect {
                                            small.reason { (suspect.meter) ": " (format!("{:+.1} %", suspect.error_percent)) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The registers at both ends, from which anybody can form the sums again.
pub(super) fn registers(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    let zone: Option<Zone> = answer.site.time_zone.parse().ok();
    html! {
        section {
            h2 { (words.registers) }
            p.lead { (words.registers_lead) }
            div.card.wide.registers {
                table {
                    thead {
                        tr {
                            th { (words.meter) } th { (words.counts_as) } th.n { (words.register_at_start) }
                            th.n { (words.register_at_end) } th.n { (words.turns) } th.n { (words.energy) } th.n { (words.known) }
                        }
                    }
                    tbody { @for meter in &answer.meters { (register(meter, zone, language)) } }
                }
            }
        }
    }
}

fn register(meter: &MeterLine, zone: Option<Zone>, language: Language) -> Markup {
    let words = language.words();
    let decimals = step_decimals(meter.declared.register_step_kwh);
    let reading = |reading: Option<RegisterReading>| {
        html! {
            @if let Some(RegisterReading { at, value }) = reading {
                (grouped(value, decimals))
                small { (zone.map_or_else(|| at.to_rfc3339(), |zone| zone.label(at))) }
            } @else { (words.not_known) }
        }
    };
    html! {
        tr {
            td { b { (meter.name) } @if let Some(title) = &meter.title { small { (title) } } }
            td {
                (sign("E_DC", meter.in_facility)) (sign("E_IT", meter.in_it))
                small { (language.role(meter.declared.role)) }
            }
            td.n { (reading(meter.first)) }
            td.n { (reading(meter.last)) }
            td.n { (meter.rollovers) }
            td.n { (amount(meter.amount, language)) " " (unit(meter.declared.carrier)) }
            td.n { (floored_percent(meter.completeness.energy)) }
        }
    }
}

fn sign(sum: &str, sign: Option<Sign>) -> Markup {
    html! {
        @match sign {
            Some(Sign::Plus) => { span.tag { "+ " (sum) } " " }
            Some(Sign::Minus) => { span.tag { "− " (sum) } " " }
            None => {}
        }
    }
}

/// What stands on the nameplates.
pub(super) fn records(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    html! {
        section {
            h2 { (words.records) }
            div.card.wide {
                table {
                    thead {
                        tr {
                            th { (words.meter) } th { (words.serial) } th { (words.model) } th.n { (words.category) }
                            th.n { (words.class) } th.n { (words.transformers) } th.n { (words.register_step) }
                            th.n { (words.turns_over_at) } th { (words.calibrated) }
                        }
                    }
                    tbody {
                        @for MeterLine { name, declared, .. } in &answer.meters { (nameplate(name, declared, language)) }
                    }
                }
            }
        }
    }
}

fn nameplate(name: &str, meter: &Meter, language: Language) -> Markup {
    let words = language.words();
    let unit = unit(meter.carrier);
    let decimals = step_decimals(meter.register_step_kwh);
    let or_not = |text: Option<String>| text.unwrap_or_else(|| words.not_declared.to_owned());
    html! {
        tr {
            td { b { (name) } @if let Some(feed) = &meter.feed { " " span.tag { (words.feed) " " (feed) } } }
            td { (or_not(meter.serial.clone())) }
            td { (or_not(meter.model.clone())) }
            td.n { @if let Some(category) = meter.category { (category.number()) } }
            td.n { (or_not(meter.accuracy_percent.map(|class| format!("{class} %")))) }
            td.n {
                @if let Some(ratio) = meter.ct_ratio { (grouped(ratio, 0)) ":1" }
                @if let Some(class) = meter.ct_accuracy_percent { small { (class) " %" } }
            }
            td.n { (grouped(meter.register_step_kwh, decimals)) " " (unit) }
            td.n {
                @match meter.register_modulus_kwh {
                    Some(modulus) => { (grouped(modulus, 0)) " " (unit) }
                    None => { (words.never) }
                }
            }
            td { (or_not(meter.calibrated_on.clone())) }
        }
    }
}

pub(super) fn estimates(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    html! {
        @if !answer.estimates.is_empty() {
            section {
                h2 { (words.estimates) }
                div.card.wide {
                    table {
                        thead {
                            tr {
                                th { (words.meter) } th { (words.means) } th { (words.span) } th.n { (words.quarter_hours) }
                                th.n { (words.energy) }
                            }
                        }
                        tbody {
                            @for line in &answer.estimates {
                                tr {
                                    td { b { (line.meter) } }
                                    td { (language.means(line.means)) }
                                    td { (line.first.format("%Y-%m-%d %H:%MZ")) " … " (line.last.format("%Y-%m-%d %H:%MZ")) }
                                    td.n { (grouped(line.quarter_hours, 1)) }
                                    td.n { (amount(Some(line.amount), language)) " kWh" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn corrections(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    html! {
        @if !answer.corrections.is_empty() {
            section {
                h2 { (words.corrections) }
                div.card.wide {
                    table {
                        thead {
                            tr {
                                th { (words.meter) } th { (words.span) } th.n { (words.before) } th.n { (words.after) }
                                th { (words.reason) } th { (words.by) }
                            }
                        }
                        tbody {
                            @for line in &answer.corrections {
                                tr {
                                    td { b { (line.meter) } small { (words.ledger_line) " " (line.line) } }
                                    td { (line.from.format("%Y-%m-%d %H:%MZ")) " … " (line.to.format("%Y-%m-%d %H:%MZ")) }
                                    td.n { (amount(line.before, language)) }
                                    td.n { (amount(line.after, language)) }
                                    td { (language.cause(line.cause)) ": " (line.reason) }
                                    td { (line.by) @if line.signed { small { (words.signed) } } }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if !answer.seals.is_empty() {
            section {
                h2 { (words.seals) }
                div.card {
                    @for seal in &answer.seals {
                        p.lead {
                            (seal.first) " … " (seal.last) ", " (seal.by) ", " (words.ledger_line) " " (seal.line) " "
                            code.hash { (seal.manifest) }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn flags(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    html! {
        section {
            h2 { (words.flags) }
            @if answer.flags.is_empty() {
                p.lead { (words.nothing) }
            } @else {
                div.card.wide {
                    table {
                        thead { tr { th { (words.flag) } th { (words.meters) } th.n { (words.quarter_hours) } } }
                        tbody {
                            @for flag in &answer.flags {
                                tr {
                                    td { (language.flag(flag.flag)) }
                                    td { (list(&flag.meters, language)) }
                                    td.n { (flag.quarter_hours) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn regulations(answer: &Compliance, language: Language) -> Markup {
    let words = language.words();
    html! {
        section {
            h2 { (words.regulations) }
            @for text in &answer.regulations { (regulation(text, language)) }
            @if answer.regulations.is_empty() { p.lead { (words.nothing) } }
        }
    }
}

fn regulation(text: &RegulationLine, language: Language) -> Markup {
    let words = language.words();
    html! {
        div.card.chart {
            b { (text.edition) } ", " (said(&text.title, language)) " (" (text.jurisdiction) ") "
            @if !text.verified { span.tag { (words.not_verified) } }
            @if let Some(scope) = &text.scope { br; (said(scope, language)) }
            @for caveat in &text.caveats { br; em { (said(caveat, language)) } }
            @if let Some(grade) = &text.grade { br; b { (words.grade) ": " (grade) } }
            @if let Some(surcharge) = &text.surcharge {
                br;
                (words.surcharge) ": " (grouped(surcharge.above_kwh, 0)) " kWh, " (grouped(surcharge.amount, 0)) " " (surcharge.currency)
            }
            small.reason { " " (words.source) ": " (text.source) ", " (text.checked_on) }
        }
    }
}

pub(super) fn footer(answer: &Compliance, language: Language) -> Markup {
    let (period, words, figure) = (&answer.period, language.words(), answer.figure());
    let weights = if figure.weights == "none" { words.as_delivered } else { words.weights_tgg };
    html! {
        footer {
            h2 { (words.proof) }
            dl {
                dt { (words.method) } dd { (figure.method) ", " (weights) }
                dt { (words.period) } dd {
                    (period.from_local) " " (words.to) " " (period.to_local) ", " (words.cut_at_midnight) "; "
                    (period.quarter_hours) " " (words.quarter_hours)
                }
                dt { (words.energy) } dd { (words.how_energy) }
                dt { (words.completeness) } dd { (words.how_completeness) " " (floored_percent(figure.completeness_needed)) }
                dt { "U95" } dd { (words.how_uncertainty) }
                dt { (words.ledger_line) } dd { (answer.inputs.first_line) " … " (answer.inputs.last_line) }
                dt { (words.inputs) } dd { code.hash { (answer.inputs.sha256) } }
                @if let Some(ledger) = &answer.ledger {
                    dt { (words.ledger_head) } dd { (ledger.lines) ": " code.hash { (ledger.head) } }
                    dt { (words.key) } dd {
                        @match ledger.key { Some(key) => { code.hash { (key) } } None => { (words.no_key) } }
                    }
                    @if !ledger.anchors.is_empty() {
                        dt { (words.anchors) } dd {
                            (ledger.anchors.len())
                            @for anchor in shown_anchors(&ledger.anchors) {
                                br; (anchor.day) ", " (anchor.line) ": " code.hash { (anchor.head) }
                            }
                        }
                    }
                }
                dt { (words.made) } dd {
                    (answer.made_at.format("%Y-%m-%d %H:%M UTC")) ", " (answer.made_by) ", schema " (answer.schema)
                }
            }
            p { (words.disclaimer) }
            div.signature { span { (words.signature) } span { (words.signature) } }
        }
    }
}

fn unit(carrier: Carrier) -> &'static str {
    if carrier == Carrier::Water { "m³" } else { "kWh" }
}

fn figure(value: Option<f64>, decimals: usize, unit: &str, language: Language) -> String {
    match value {
        Some(value) if unit.is_empty() => grouped(value, decimals),
        Some(value) => format!("{} {unit}", grouped(value, decimals)),
        None => language.words().not_known.to_owned(),
    }
}

/// As many as the register's step has, at most three.
fn step_decimals(step: f64) -> usize {
    (0..3)
        .find(|places| (step * 10_f64.powi(*places)).fract() < 1e-6)
        .map_or(3, |places| usize::try_from(places).unwrap_or(3))
}

/// Those of a month are all printed; of a longer period the last one of each month. JSON has all.
fn shown_anchors(anchors: &[AnchorLine]) -> Vec<&AnchorLine> {
    const ALL_OF: usize = 40;
    let month = |anchor: &AnchorLine| (anchor.day.year(), anchor.day.month());
    let shown = anchors.iter().enumerate().filter(|(index, anchor)| {
        let next = anchors.get(index + 1);
        anchors.len() <= ALL_OF || next.is_none_or(|next| month(next) != month(anchor))
    });
    shown.map(|(_, anchor)| anchor).collect()
}
