//! Overview: is the hall safe? Read in five seconds, from top to bottom.
//!
//! ```text
//! top alarms   unacknowledged first
//! hall         power ratio, IT power, liquid heat, facility water, dew margin, density, leaks
//! loops        one line a CDU
//! rows         one glyph a rack
//! data path    devices, points, what is stale or lost
//! events       newest first
//! ```

use ratatui::{style::Style, text::Line};

use super::{
    alarms, events, loops, racks,
    row::{Row, cut},
    scene::Scene,
    section::Section,
};
use crate::{
    history::{CELL_S, CELLS, History},
    model::Figure,
    number,
};

pub(super) fn sections<'a>(scene: &'a Scene<'a>, height: usize) -> Vec<Section<'a>> {
    // A storm of alarms must not push the hall itself off the screen; its own screen has them all.
    let alarms = Section { most: (height / 5).max(4), ..alarms::list(scene, scene.width) };
    let mut sections = vec![alarms, hall(scene)];
    if !scene.model.index.cdus.is_empty() {
        sections.push(loops::table(scene));
    }
    if !scene.model.index.rows.is_empty() {
        sections.push(racks::glyph_rows(scene));
    }
    sections.push(data_path(scene));
    sections.push(events::section(scene));
    sections
}

/// One measured figure of the hall with its scale.
struct Gauge<'a> {
    label: &'static str,
    figure: Figure<'a>,
    decimals: usize,
    low: f64,
    high: f64,
    history: &'a History,
    note: String,
}

fn hall<'a>(scene: &Scene<'a>) -> Section<'a> {
    let mut heading = scene.heading("HALL", None);
    if scene.is_wide() {
        let minutes = CELL_S * CELLS as u64 / 60;
        heading = heading.to(GAUGE_HISTORY_AT).put(format!("{minutes} min "), scene.looks.quiet());
    }
    let (power, cooling) = (power_gauges(scene), cooling_gauges(scene));
    let mut lines: Vec<Line<'static>> = if scene.is_wide() {
        power.iter().chain(&cooling).map(|gauge| gauge_line(scene, gauge)).collect()
    } else {
        power.iter().zip(&cooling).map(|pair| short_line(scene, pair)).collect()
    };
    lines.push(leaks(scene));
    Section::fixed(heading, lines)
}

/// Where the sparklines begin on a wide screen.
const GAUGE_HISTORY_AT: usize = 69;

fn power_gauges<'a>(scene: &Scene<'a>) -> [Gauge<'a>; 3] {
    let (model, site) = (scene.model, &scene.model.index.site);
    let design = model.index.design_power_kw;
    let it_power = model.figure(site.it_power);
    let share = it_power.number().filter(|_| design > 0.0).map_or_else(String::new, |power| {
        format!("{} % of design", number::decimal(power / design * 100.0, 0))
    });
    let facility = scene.spoken(&model.figure(site.facility_power), 0);
    let largest = scene.spoken(&model.figure(site.rack_power_max), 1);
    let floor = scene.spoken(&model.figure(site.power_density), 2);
    [
        Gauge {
            label: "POWER RATIO",
            figure: model.figure(site.power_ratio),
            decimals: 3,
            low: 1.0,
            high: 1.6,
            history: &model.trends.power_ratio,
            note: format!("facility {facility}"),
        },
        Gauge {
            label: "IT POWER",
            figure: it_power,
            decimals: 0,
            low: 0.0,
            high: design.max(1.0),
            history: &model.trends.it_power,
            note: share,
        },
        Gauge {
            label: "PER RACK",
            figure: model.figure(site.rack_power_mean),
            decimals: 1,
            low: 0.0,
            high: model.index.design_rack_kw.max(1.0),
            history: &model.trends.rack_power_mean,
            note: format!("max {largest}   {floor}"),
        },
    ]
}

fn cooling_gauges<'a>(scene: &Scene<'a>) -> [Gauge<'a>; 3] {
    let (model, site) = (scene.model, &scene.model.index.site);
    let capture = Scene::scaled(model.figure(site.heat_capture), 100.0, "%");
    let dew = model.index.dew_points.first().map(|point| model.figure(Some(*point)));
    let warmest = model.warmest_supply();
    let warmest_at = warmest.and_then(|(at, _)| model.index.cdus.get(at));
    let rated = model.index.rated_heat_kw.unwrap_or(model.index.design_power_kw);
    [
        Gauge {
            label: "LIQUID HEAT",
            figure: model.figure(site.liquid_heat),
            decimals: 0,
            low: 0.0,
            high: rated.max(1.0),
            history: &model.trends.liquid_heat,
            note: format!("capture {}", scene.spoken(&capture, 0)),
        },
        Gauge {
            label: "FWS SUPPLY",
            figure: warmest_figure(scene, warmest),
            decimals: 1,
            low: 10.0,
            high: 50.0,
            history: &model.trends.fws_supply,
            note: warmest_at
                .map_or_else(String::new, |cdu| format!("warmest at {}", scene.name(cdu.asset))),
        },
        Gauge {
            label: "DEW MARGIN",
            figure: model.figure(site.dew_point_margin),
            decimals: 1,
            low: 0.0,
            high: 20.0,
            history: &model.trends.dew_point_margin,
            note: dew
                .map_or_else(String::new, |dew| format!("dew point {}", scene.spoken(&dew, 1))),
        },
    ]
}

/// The warmest supply as the figure of its CDU, with age and mark.
fn warmest_figure<'a>(scene: &Scene<'a>, warmest: Option<(usize, f64)>) -> Figure<'a> {
    let cdus = &scene.model.index.cdus;
    let cdu = warmest.and_then(|(at, _)| cdus.get(at)).or_else(|| cdus.first());
    scene.model.figure(cdu.and_then(|cdu| cdu.fws.supply))
}

/// ` IT POWER       2914 kW    0 |......#....| 4000   ..::--==++  73 % of design`
fn gauge_line(scene: &Scene<'_>, gauge: &Gauge<'_>) -> Line<'static> {
    let looks = scene.looks;
    let bar = scene.bar(gauge.figure.number(), gauge.low, gauge.high, 28);
    let bound = |value| number::decimal(value, usize::from(gauge.decimals > 2));
    let row = Row::new().gap(1).left(gauge.label, 13, Style::new());
    let row = scene
        .figure(row, &gauge.figure, gauge.decimals, 9)
        .left(&gauge_unit(scene, gauge), 4, looks.quiet())
        .right(&bound(gauge.low), 4, looks.quiet())
        .gap(1)
        .plain(bar)
        .gap(1)
        .left(&bound(gauge.high), 6, looks.quiet())
        .to(GAUGE_HISTORY_AT);
    sparkline(row, scene, gauge.history)
        .gap(2)
        .put(looks.text(&gauge_note(gauge)), looks.quiet())
        .into_line()
}

/// Two gauges side by side, each with what its half has room for.
fn short_line(scene: &Scene<'_>, (left, right): (&Gauge<'_>, &Gauge<'_>)) -> Line<'static> {
    let row = short_gauge(Row::new().gap(1), scene, left).to(scene.width / 2 + 1);
    short_gauge(row, scene, right).into_line()
}

/// `IT POWER     2914 kW   47/48 |....#..|`
fn short_gauge(row: Row, scene: &Scene<'_>, gauge: &Gauge<'_>) -> Row {
    let row = row.left(gauge.label, 12, Style::new());
    let row = scene.figure(row, &gauge.figure, gauge.decimals, 7).left(
        &gauge_unit(scene, gauge),
        3,
        scene.looks.quiet(),
    );
    if let Some(reason) = gauge.figure.reason() {
        return row.put(cut(&scene.looks.text(&reason), 15), scene.looks.quiet());
    }
    let coverage = gauge.figure.coverage.filter(|coverage| !coverage.is_full());
    let said = coverage.map_or_else(String::new, |coverage| format!("{coverage} "));
    let bar = scene.bar(gauge.figure.number(), gauge.low, gauge.high, 15 - said.len().min(10));
    row.plain(said).plain(bar)
}

fn gauge_unit(scene: &Scene<'_>, gauge: &Gauge<'_>) -> String {
    if gauge.figure.unit == "1" { String::new() } else { scene.unit(gauge.figure.unit) }
}

/// How much of it is known, and why not all or nothing; else what belongs beside it.
fn gauge_note(gauge: &Gauge<'_>) -> String {
    let coverage = gauge.figure.coverage.filter(|coverage| !coverage.is_full());
    let coverage = coverage.map_or_else(String::new, |coverage| format!("{coverage}  "));
    match gauge.figure.reason() {
        Some(reason) => format!("{coverage}{reason}"),
        None => format!("{coverage}{}", gauge.note),
    }
}

fn sparkline(row: Row, scene: &Scene<'_>, history: &History) -> Row {
    let glyphs = scene.looks.spark();
    let missing = CELLS.saturating_sub(history.cells().len());
    let cells = history.heights(glyphs.len());
    let text: String = cells
        .map(|height| height.and_then(|height| glyphs.get(height)).copied().unwrap_or("?"))
        .collect();
    row.gap(missing).plain(text)
}

/// Leak detectors by what they say.
fn leaks(scene: &Scene<'_>) -> Line<'static> {
    let (leaks, looks) = (&scene.model.leaks, scene.looks);
    let row = Row::new().gap(1).left("LEAK SENSORS", 13, Style::new());
    let count = scene.model.index.leaks.len();
    if count == 0 {
        return row.right("-", 8, looks.quiet()).put("  none measured", looks.quiet()).into_line();
    }
    let mut row = row.gap(3);
    for state in &leaks.said {
        let style = state.mark.map_or(Style::new(), |priority| looks.priority(priority));
        let mark = if state.mark.is_some() { "*" } else { "" };
        row = row.put(format!("{} {}{mark}", state.count, scene.words(&state.words)), style).gap(3);
    }
    if leaks.unknown > 0 {
        row = row.plain(format!("{} ?", leaks.unknown)).gap(3);
    }
    row.put(format!("of {count}"), looks.quiet()).into_line()
}

fn data_path<'a>(scene: &Scene<'a>) -> Section<'a> {
    let (model, looks) = (scene.model, scene.looks);
    let health = &model.health;
    let up = model.links.iter().filter(|link| link.up).count();
    let strong_if = |bad: bool| if bad { looks.strong() } else { Style::new() };
    let step_ms = std::time::Duration::from_micros(health.step_us).as_secs_f64() * 1e3;
    let first = Row::new()
        .gap(1)
        .put(format!("devices {up}/{} up", model.links.len()), strong_if(up < model.links.len()))
        .gap(3)
        .plain(format!("points {}", health.points))
        .gap(3)
        .put(format!("stale {}", health.stale), strong_if(health.stale > 0))
        .gap(2)
        .put(format!("bad {}", health.bad), strong_if(health.bad > 0))
        .gap(3)
        .plain(format!("{} samples/s", number::decimal(health.samples_per_second, 0)));
    let rest = Row::new()
        .plain(format!("rules {} in {} ms", health.rules, number::decimal(step_ms, 2)))
        .gap(3)
        .put(format!("discarded {}", health.discarded), strong_if(health.discarded > 0))
        .gap(2)
        .put(format!("late {}", health.late), strong_if(health.late > 0));
    let down: Vec<Line<'static>> = model
        .links
        .iter()
        .filter(|link| !link.up)
        .take(DOWN_SHOWN)
        .map(|link| {
            let why = link.trouble.as_deref().unwrap_or("no reason given");
            Row::new()
                .put(" down ", looks.strong())
                .left(&scene.name(link.device), 14, Style::new())
                .plain(format!(" {}  {}", looks.text(&link.address), looks.text(why)))
                .into_line()
        })
        .collect();
    let mut lines = if first.width() + rest.width() + 3 <= scene.width {
        let mut line = first.gap(3).into_line();
        line.spans.extend(rest.into_line().spans);
        vec![line]
    } else {
        let mut line = Row::new().gap(1).into_line();
        line.spans.extend(rest.into_line().spans);
        vec![first.into_line(), line]
    };
    lines.extend(down);
    Section { least: 1, ..Section::fixed(scene.heading("DATA PATH", None), lines) }
}

/// Devices that are down and named here; the alarms tell of all of them.
const DOWN_SHOWN: usize = 3;
