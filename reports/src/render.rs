//! Prints a [`Compliance`]: as JSON for machines, and as one HTML file that needs nothing but itself. What came from
//! devices and site files is escaped; charts are drawn by [`crate::chart`].

use std::fmt::Write as _;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use rules::{
    calendar::Zone,
    ledger::RegisterReading,
    plant::{Carrier, Category, Meter, Role},
};

use crate::{
    chart::{self, grouped},
    compliance::{
        Compliance, Energy, FlagLine, MeterLine, Sign, TermLine, Verdict, floored_percent, list,
    },
    density::{Density, Group, Power},
};

const STYLE: &str = include_str!("style.css");
/// The document may fetch nothing, whatever text it was given.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// Of a hundred meters without data the first few say what is wrong.
pub const REFUSALS_SHOWN: usize = 12;

/// The answer as JSON, with a line break at the end.
pub fn json(answer: &Compliance) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(answer)? + "\n")
}

/// The answer as a document.
pub fn html(answer: &Compliance) -> String {
    let zone: Option<Zone> = answer.site.time_zone.parse().ok();
    let title = format!(
        "{}: energy report {} to {}",
        answer.site.name, answer.period.first, answer.period.last
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
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
                    (header(answer))
                    (refusals(answer))
                    (headline(answer))
                    (notes(answer))
                    (coverage(answer))
                    (by_day(answer))
                    (uses(answer))
                    (load(answer))
                    (density(&answer.density))
                    (registers(answer, zone))
                    (records(answer))
                    (flags(&answer.flags))
                    (footer(answer))
                }
            }
        }
    };
    page.into_string()
}

fn header(answer: &Compliance) -> Markup {
    let (site, period) = (&answer.site, &answer.period);
    html! {
        header {
            div {
                p.kind { "Energy report" }
                h1 { (site.name) }
                p { (period.first) " to " (period.last) }
            }
            div.who {
                @if let Some(name) = &site.operator.name { p { b { (name) } } }
                @if let Some(address) = &site.operator.address { p { (address) } }
                p { "Site " (site.id) ", gateway " (site.gateway) }
                p { (site.time_zone) ", " (grouped(period.hours, 0)) " h" }
            }
        }
        @if site.simulated { p.simulated { "SIMULATED: this report is about no real plant" } }
    }
}

fn refusals(answer: &Compliance) -> Markup {
    let refusals = &answer.figure.refusals;
    html! {
        @if !refusals.is_empty() {
            section.card.refused {
                h2 { "Not reported" }
                p.lead {
                    @match &answer.figure.title {
                        Some(title) => { b { (title) } " is not claimed for this period:" }
                        None => { "The energy ratio of the period has no standard name and is not claimed:" }
                    }
                }
                ul {
                    @for refusal in refusals.iter().take(REFUSALS_SHOWN) {
                        li { (refusal.text) " " code { (refusal.code) } }
                    }
                    @if refusals.len() > REFUSALS_SHOWN {
                        li { "and " (refusals.len() - REFUSALS_SHOWN) " more, all of them in the JSON file" }
                    }
                }
            }
        }
    }
}

fn headline(answer: &Compliance) -> Markup {
    let figure = &answer.figure;
    html! {
        section.card.headline {
            div {
                @match (figure.value, &figure.title) {
                    (Some(value), Some(title)) => {
                        p.title { (title) }
                        div.value { (format!("{value:.2}")) }
                        p.within {
                            @if let Some(u95) = figure.u95 { "U95 ±" (format!("{u95:.3}")) ", " }
                            "completeness " (floored_percent(figure.completeness))
                            @if figure.verdict == Verdict::Qualified { ", " b { "qualified" } }
                            br; (category_text(figure.category))
                        }
                    }
                    _ => {
                        p.title { "No figure" }
                        p.within { "The energies beside it are what was recorded." }
                    }
                }
            }
            div {
                (sum("Facility energy, E_DC", &answer.facility))
                (sum("IT energy, E_IT", &answer.it))
                (states_key(true))
            }
            @if let Some(notation) = &figure.notation { p.notation { (notation) } }
        }
    }
}

fn category_text(category: Option<Category>) -> &'static str {
    match category {
        Some(Category::One) => "Category 1: IT energy metered at UPS outputs",
        Some(Category::Two) => "Category 2: IT energy metered at PDU outputs",
        Some(Category::Three) => "Category 3: IT energy metered at the inputs of IT equipment",
        None => "",
    }
}

fn sum(name: &str, energy: &Energy) -> Markup {
    let parts = [
        ("measured", energy.measured_share),
        ("bridged", energy.bridged_share),
        ("missing", energy.missing_share),
    ];
    html! {
        div.sum {
            span.name { (name) }
            span.kwh { (amount(energy.kwh)) " " small { "kWh" } }
            (PreEscaped(chart::bar(name, &parts)))
            span.shares {
                (percent(energy.measured_share)) " measured, " (percent(energy.bridged_share)) " bridged, "
                (percent(energy.missing_share)) " missing; " (formula(&energy.terms))
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
        text.push_str(&term.meter);
    }
    if terms.len() > SHOWN {
        // Writing to a string cannot fail.
        let _ = write!(text, " and {} more", terms.len() - SHOWN);
    }
    text
}

fn states_key(short: bool) -> Markup {
    html! {
        ul.key {
            li { i.measured {} "measured" }
            li { i.bridged {} "bridged: exact total across a gap" }
            @if !short { li { i.partial {} "known in part" } }
            li { i.missing {} "missing" }
        }
    }
}

fn notes(answer: &Compliance) -> Markup {
    html! {
        @if !answer.notes.is_empty() {
            ul.notes { @for note in &answer.notes { li { (note) } } }
        }
    }
}

fn coverage(answer: &Compliance) -> Markup {
    let zone = &answer.site.time_zone;
    html! {
        section {
            h2 { "Coverage" }
            p.lead {
                "Every quarter-hour by the worst of the meters in both energies. Hours are counted from local midnight ("
                (zone) "); a day with a change of clocks has 23 or 25."
            }
            div.card.chart { (PreEscaped(chart::coverage(&answer.profile))) (states_key(false)) }
        }
    }
}

fn by_day(answer: &Compliance) -> Markup {
    html! {
        section {
            h2 { "By day" }
            div.card.chart {
                (PreEscaped(chart::days(&answer.days)))
                ul.key { li { i.it {} "IT" } li { i.overhead {} "everything else in the facility" } }
            }
        }
    }
}

fn uses(answer: &Compliance) -> Markup {
    let class = |name: &str| match name {
        "IT" => "it",
        "cooling" => "cooling",
        "power losses" => "loss",
        "other" => "other",
        _ => "rest",
    };
    let uses = &answer.breakdown.uses;
    let parts: Vec<(&str, f64)> = uses.iter().map(|part| (class(part.name), part.share)).collect();
    html! {
        section {
            h2 { "Where the energy went" }
            div.card.uses {
                @if !uses.is_empty() {
                    (PreEscaped(chart::bar("Parts of facility energy", &parts)))
                    ul.key {
                        @for part in uses {
                            li {
                                i class=(class(part.name)) {}
                                (part.name) " " b { (percent(part.share)) } ", " (amount(Some(part.kwh))) " kWh"
                            }
                        }
                    }
                }
                table {
                    thead { tr { th { "Role" } th { "Carrier" } th.n { "Meters" } th.n { "Recorded" } } }
                    tbody {
                        @for line in &answer.breakdown.by_role {
                            tr {
                                td { (role_text(line.role)) }
                                td { (carrier_text(line.carrier)) }
                                td.n { (line.meters) }
                                td.n { (amount(line.amount)) " " (unit(line.carrier)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn load(answer: &Compliance) -> Markup {
    html! {
        section {
            h2 { "Load" }
            p.lead { "Means of 15 minutes from the energy registers. Shaded: bridged or not known." }
            div.card.chart {
                (PreEscaped(chart::load(&answer.profile)))
                ul.key { li { i.facility {} "facility" } li { i.it {} "IT" } }
            }
            div.card.chart {
                (PreEscaped(chart::duration(&answer.profile)))
                ul.key { li { i.facility {} "facility" } li { i.it {} "IT" } }
            }
        }
    }
}

fn density(density: &Density) -> Markup {
    let Power { mean_kw, p95_kw, max_kw, measured_share } = density.hall;
    html! {
        section {
            h2 { "Power density" }
            p.lead {
                "From IT energy per quarter-hour. 95 % and maximum are over the "
                (percent(measured_share)) " of the period that was measured; a mean also covers what was bridged."
            }
            div.figures {
                div { b { (figure(density.mean_kw_per_m2, 2, "kW/m²")) } span { "mean over " (figure(density.floor_area_m2, 0, "m²")) " floor" } }
                div { b { (figure(mean_kw, 1, "kW")) } span { "IT, mean" } }
                div { b { (figure(p95_kw, 1, "kW")) } span { "IT, 95 % of quarter-hours at or below" } }
                div { b { (figure(max_kw, 1, "kW")) } span { "IT, highest quarter-hour" } }
            }
            @if !density.groups.is_empty() { div.card.wide { (groups(&density.groups)) } }
        }
    }
}

fn groups(groups: &[Group]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th { "IT meters" } th { "Racks behind them" } th.n { "Design" } th.n { "Mean" } th.n { "Maximum" }
                    th.n { "Mean a rack" } th.n { "Maximum a rack" } th.n { "kW/m²" small { "of footprint" } }
                }
            }
            tbody {
                @for group in groups {
                    tr {
                        td { (list(&group.meters)) }
                        td { (racks_text(group)) }
                        td.n { (figure(Some(group.design_kw), 0, "kW")) }
                        td.n { (figure(group.power.mean_kw, 1, "kW")) }
                        td.n { (figure(group.power.max_kw, 1, "kW")) }
                        td.n { (figure(group.mean_kw_per_rack, 1, "kW")) }
                        td.n { (figure(group.max_kw_per_rack, 1, "kW")) }
                        td.n { (figure(group.mean_kw_per_footprint_m2, 1, "")) }
                    }
                }
            }
        }
    }
}

fn racks_text(group: &Group) -> String {
    match group.racks.as_slice() {
        [] => "none declared".to_owned(),
        [only] => only.to_string(),
        [first, .., last] => format!("{} racks, {first} to {last}", group.racks.len()),
    }
}

/// The registers at both ends, from which anybody can form the sums again.
fn registers(answer: &Compliance, zone: Option<Zone>) -> Markup {
    html! {
        section {
            h2 { "Meters and their registers" }
            p.lead {
                "The two snapshots that enclose what was recorded, in the site's time. Where they lie outside the period, "
                "the amount at its edge is interpolated between snapshots."
            }
            div.card.wide.registers {
                table {
                    thead {
                        tr {
                            th { "Meter" } th { "Counts as" } th.n { "Register at start" } th.n { "Register at end" }
                            th.n { "Turns" } th.n { "Energy" } th.n { "Known" }
                        }
                    }
                    tbody { @for meter in &answer.meters { (register(meter, zone)) } }
                }
            }
        }
    }
}

fn register(meter: &MeterLine, zone: Option<Zone>) -> Markup {
    let decimals = step_decimals(meter.declared.register_step_kwh);
    let reading = |reading: Option<RegisterReading>| {
        html! {
            @if let Some(RegisterReading { at, value }) = reading {
                (grouped(value, decimals))
                small { (zone.map_or_else(|| at.to_rfc3339(), |zone| zone.label(at))) }
            } @else { "not known" }
        }
    };
    html! {
        tr {
            td { b { (meter.name) } @if let Some(title) = &meter.title { small { (title) } } }
            td {
                (sign("E_DC", meter.in_facility)) (sign("E_IT", meter.in_it))
                small { (role_text(meter.declared.role)) }
            }
            td.n { (reading(meter.first)) }
            td.n { (reading(meter.last)) }
            td.n { (meter.rollovers) }
            td.n { (amount(meter.amount)) " " (unit(meter.declared.carrier)) }
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
fn records(answer: &Compliance) -> Markup {
    html! {
        section {
            h2 { "Meter records" }
            div.card.wide {
                table {
                    thead {
                        tr {
                            th { "Meter" } th { "Serial number" } th.n { "Category" } th.n { "Class" }
                            th.n { "Transformers" } th.n { "Register step" } th.n { "Turns over at" } th { "Calibrated" }
                        }
                    }
                    tbody {
                        @for MeterLine { name, declared, .. } in &answer.meters { (nameplate(name, declared)) }
                    }
                }
            }
        }
    }
}

fn nameplate(name: &str, meter: &Meter) -> Markup {
    let unit = unit(meter.carrier);
    let decimals = step_decimals(meter.register_step_kwh);
    let or_not = |text: Option<String>| text.unwrap_or_else(|| "not declared".to_owned());
    html! {
        tr {
            td { b { (name) } @if let Some(feed) = &meter.feed { " " span.tag { "feed " (feed) } } }
            td { (or_not(meter.serial.clone())) }
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
                    None => "never",
                }
            }
            td { (or_not(meter.calibrated_on.clone())) }
        }
    }
}

fn flags(flags: &[FlagLine]) -> Markup {
    html! {
        section {
            h2 { "What befell registers and clocks" }
            @if flags.is_empty() {
                p.lead { "Nothing in this period." }
            } @else {
                div.card.wide {
                    table {
                        thead { tr { th { "Flag" } th { "Meters" } th.n { "Quarter-hours" } } }
                        tbody {
                            @for flag in flags {
                                tr { td { (flag.text) } td { (list(&flag.meters)) } td.n { (flag.quarter_hours) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn footer(answer: &Compliance) -> Markup {
    let period = &answer.period;
    html! {
        footer {
            dl {
                dt { "Method" } dd { (answer.method) ", carriers as delivered (weights " (answer.weights) ")" }
                dt { "Period" } dd {
                    "from " (period.from_local) " to " (period.to_local) ", cut at local midnight; "
                    (period.quarter_hours) " quarter-hours"
                }
                dt { "Energy" } dd {
                    "differences of cumulative registers, in intervals of 15 minutes; a gap in communication is bridged by "
                    "the register, its profile is not known"
                }
                dt { "Completeness" } dd {
                    "measured and bridged energy over these and what the missing time would have held; needed "
                    (floored_percent(answer.figure.completeness_needed)) " of each meter"
                }
                dt { "U95" } dd {
                    "from accuracy classes of meters and transformers (rectangular; fully correlated within a sum, "
                    "independent between the two) and register steps"
                }
                dt { "Made" } dd {
                    (answer.made_at.format("%Y-%m-%d %H:%M UTC")) " by " (answer.made_by) ", schema " (answer.schema)
                }
            }
        }
    }
}

fn role_text(role: Role) -> &'static str {
    match role {
        Role::BoundaryIn => "into the boundary",
        Role::BoundaryOut => "out of the boundary",
        Role::OnsiteGeneration => "on-site generation",
        Role::BackupGeneration => "backup generation",
        Role::Renewable => "renewable",
        Role::ItLoad => "IT load",
        Role::Cooling => "cooling",
        Role::PowerLoss => "power losses",
        Role::Other => "other",
        Role::ReusedHeat => "reused heat",
        Role::WaterIn => "water",
        Role::PotableWater => "potable water",
        Role::InfoOnly => "for information",
    }
}

fn carrier_text(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Electricity => "electricity",
        Carrier::ChilledWater => "chilled water",
        Carrier::NaturalGas => "natural gas",
        Carrier::FuelOil => "fuel oil",
        Carrier::Heat => "heat",
        Carrier::Water => "water",
    }
}

fn unit(carrier: Carrier) -> &'static str {
    if carrier == Carrier::Water { "m³" } else { "kWh" }
}

/// Full precision is in the JSON; on paper a tenth of a large amount is noise.
fn amount(amount: Option<f64>) -> String {
    amount.map_or_else(
        || "not known".to_owned(),
        |amount| grouped(amount, usize::from(amount.abs() < 10_000.0)),
    )
}

fn figure(value: Option<f64>, decimals: usize, unit: &str) -> String {
    match value {
        Some(value) if unit.is_empty() => grouped(value, decimals),
        Some(value) => format!("{} {unit}", grouped(value, decimals)),
        None => "not known".to_owned(),
    }
}

/// As many as the register's step has, at most three.
fn step_decimals(step: f64) -> usize {
    (0..3)
        .find(|places| (step * 10_f64.powi(*places)).fract() < 1e-6)
        .map_or(3, |places| usize::try_from(places).unwrap_or(3))
}

/// Neither end is reached by rounding.
fn percent(share: f64) -> String {
    let rounded = (share * 1000.0).round() / 10.0;
    match rounded {
        _ if share > 0.0 && rounded <= 0.0 => "< 0.1 %".to_owned(),
        _ if share < 1.0 && rounded >= 100.0 => "> 99.9 %".to_owned(),
        _ => format!("{rounded:.1} %"),
    }
}
