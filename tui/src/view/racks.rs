//! Racks: power by rack, row and square metre, and all about the chosen one.
//!
//! ```text
//! racks      rows of places: percent of design, glyph or alarm letter; sums of each row
//! rack       power, liquid, density, feeds
//! alarms     those of this rack
//! ```

use ratatui::{
    style::{Modifier, Style},
    text::Line,
};
use rules::{alarm::Letter, plant::Technology, value::Coverage};

use super::{
    alarms,
    asset::{NAME, oldest, standing_style},
    columns::{Cell, Column, cells},
    row::Row,
    scene::Scene,
    section::Section,
};
use crate::{
    index::{RackPoints, RackRow},
    model::{Figure, Shown},
    number,
    screen::Pane,
};

/// Of the racks of a row or hall, this share must be known before a sum is shown (S7, displayed metrics).
const LEAST_COVERAGE: f64 = 0.95;

/// What the glyphs mean, for the heading.
const LEGEND: &str =
    ". <50  - <70  = <85  + <95  # >=95 % of design   letter = alarm   d suppressed   ? unknown ";
const SHORT_LEGEND: &str = ". <50 - <70 = <85 + <95 # >=95 %  letter alarm  ? unknown ";

/// Sums over the racks of a row, of those that are known.
struct RowSum {
    power_kw: f64,
    coverage: Coverage,
    /// The fullest rack, with its load in percent.
    fullest: Option<(usize, f64)>,
}

impl RowSum {
    fn of(scene: &Scene<'_>, row: &RackRow) -> Self {
        let mut sum = Self { power_kw: 0.0, coverage: Coverage { known: 0, of: 0 }, fullest: None };
        for at in row.racks.clone() {
            let Some(rack) = scene.model.index.racks.get(at) else { continue };
            sum.coverage.of += 1;
            if let Some(power) = scene.model.figure(rack.power).number() {
                sum.power_kw += power;
                sum.coverage.known += 1;
            }
            if let Some(load) = load(scene, rack)
                && sum.fullest.is_none_or(|(_, most)| load > most)
            {
                sum.fullest = Some((at, load));
            }
        }
        sum
    }

    fn is_known(&self) -> bool {
        self.coverage.known > 0 && self.coverage.share() >= LEAST_COVERAGE
    }

    fn spoken(&self, value: f64, decimals: usize) -> String {
        if self.is_known() { number::decimal(value, decimals) } else { "?".to_owned() }
    }
}

/// Percent of design power.
fn load(scene: &Scene<'_>, rack: &RackPoints) -> Option<f64> {
    scene.model.figure(rack.load).number().or_else(|| {
        let power = scene.model.figure(rack.power).number()?;
        (rack.design_power_kw > 0.0).then(|| power / rack.design_power_kw * 100.0)
    })
}

/// The letter of a rack's most urgent alarm, `d` for one that is suppressed.
fn letter(scene: &Scene<'_>, rack: &RackPoints) -> Option<(char, Style)> {
    let standing = scene.model.standing(rack.asset)?;
    let letter = match standing.letter {
        Letter::A => 'A',
        Letter::B | Letter::Bl => 'B',
        Letter::C | Letter::Cl => 'C',
        Letter::D => 'D',
        Letter::E => 'e',
        Letter::F => 'd',
        Letter::G => 'g',
    };
    Some((letter, standing_style(scene, standing)))
}

/// What stands for a figure that is not there: `?` not known, `-` without a meaning, `x` not measured.
fn sign(figure: &Figure<'_>) -> char {
    match figure.shown {
        Shown::Absent => 'x',
        Shown::Meaningless(_) => '-',
        Shown::Unknown(_) | Shown::Number(_) | Shown::Words(_) => '?',
    }
}

/// One cell for a rack: an alarm's letter, else how full it is.
fn glyph(scene: &Scene<'_>, rack: &RackPoints) -> (char, Style) {
    letter(scene, rack).unwrap_or_else(|| {
        let glyph = match load(scene, rack) {
            None => sign(&scene.model.figure(rack.power)),
            Some(load) if load < 50.0 => '.',
            Some(load) if load < 70.0 => '-',
            Some(load) if load < 85.0 => '=',
            Some(load) if load < 95.0 => '+',
            Some(_) => '#',
        };
        (glyph, Style::new())
    })
}

/// Width of what follows the glyphs of a row: power, share of design, coverage.
const GLYPH_SUMS: usize = 23;

/// One line a row, one glyph a rack; two rows side by side where they fit.
pub(super) fn glyph_rows<'a>(scene: &'a Scene<'a>) -> Section<'a> {
    let listed = &scene.state.visible().rows;
    let half = scene.width / 2;
    let longest = scene.model.index.rows.iter().map(|row| row.racks.len()).max().unwrap_or(0);
    let needed = LABEL + longest + longest / 8 + GLYPH_SUMS;
    let pairs = needed < half && listed.len() > 1;
    let lines = if pairs { listed.len().div_ceil(2) } else { listed.len().max(1) };
    let chosen = scene.model.index.racks.get(scene.state.rack).map(|rack| rack.row);
    let chosen = chosen.and_then(|row| listed.iter().position(|at| *at == row));
    let legend = if scene.is_wide() { LEGEND } else { SHORT_LEGEND };
    let heading = scene.heading("ROWS", Some(Pane::Rows)).put(legend, scene.looks.quiet());
    Section {
        heading,
        lines,
        least: 3,
        most: usize::MAX,
        selected: chosen.map(|at| if pairs { at % lines } else { at }),
        line: Box::new(move |at| {
            let cell = |at: usize| {
                let row = scene.model.index.rows.get(*listed.get(at)?)?;
                Some(glyph_row(scene, row, chosen == Some(at)))
            };
            let Some(first) = cell(at) else {
                return Line::styled(" none that match", scene.looks.quiet());
            };
            match cell(at + lines).filter(|_| pairs) {
                Some(second) => {
                    let mut line = first.to(half).into_line();
                    line.spans.extend(second.into_line().spans);
                    line
                }
                None => first.into_line(),
            }
        }),
    }
}

/// ` R1  ===-==+=  -====-==   578 kW  72 %`
fn glyph_row(scene: &Scene<'_>, row: &RackRow, selected: bool) -> Row {
    let sum = RowSum::of(scene, row);
    let mut line = Row::new().put(scene.cursor(Pane::Rows, selected), scene.looks.strong()).left(
        &scene.looks.text(&row.label),
        4,
        Style::new(),
    );
    for (place, at) in row.racks.clone().enumerate() {
        let Some(rack) = scene.model.index.racks.get(at) else { continue };
        let (glyph, style) = glyph(scene, rack);
        if place > 0 && place % 8 == 0 {
            line = line.gap(1);
        }
        line = line.put(glyph, style);
    }
    let share = sum.power_kw / row.design_power_kw * 100.0;
    line = line.gap(1).right(&sum.spoken(sum.power_kw, 0), 6, Style::new()).plain(" kW");
    if row.design_power_kw > 0.0 {
        line = line.right(&sum.spoken(share, 0), 4, Style::new()).plain(" %");
    }
    if sum.coverage.is_full() {
        line
    } else {
        line.put(format!("  {}", sum.coverage), Style::new())
    }
}

pub(super) fn sections<'a>(scene: &'a Scene<'a>, height: usize) -> Vec<Section<'a>> {
    let load = grid(scene, Metric::Load);
    let Some(rack) = scene.model.index.racks.get(scene.state.rack) else {
        return vec![hall_density(scene), load];
    };
    let load = Section { least: load.lines.min(8), ..load };
    let mut sections =
        vec![hall_density(scene), load, detail(scene, rack), alarms::on_asset(scene, rack.asset)];
    let used: usize = sections.iter().map(|section| section.lines + 1).sum();
    let warming = grid(scene, Metric::DeltaTemperature);
    // Only whole, and only where nothing else has to give way.
    if used + warming.lines < height {
        sections.insert(2, warming);
    }
    sections
}

fn hall_density<'a>(scene: &'a Scene<'a>) -> Section<'a> {
    let (model, site) = (scene.model, &scene.model.index.site);
    let say = |point, decimals| scene.spoken(&model.figure(point), decimals);
    let coverage = model.figure(site.it_power).coverage;
    let coverage = coverage.map_or_else(String::new, |coverage| format!("   {coverage} known"));
    let line = Row::new()
        .gap(1)
        .plain(format!("mean {}", say(site.rack_power_mean, 1)))
        .plain(format!("   occupied {}", say(site.rack_power_mean_occupied, 1)))
        .plain(format!("   max {}", say(site.rack_power_max, 1)))
        .plain(format!("   floor {}{coverage}", say(site.power_density, 2)));
    Section::fixed(scene.heading("POWER PER RACK", None), vec![line.into_line()])
}

/// What the numbers of a grid are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Metric {
    /// Percent of design power; with the sums of each row.
    Load,
    /// Warming of the coolant in kelvin.
    DeltaTemperature,
}

/// Rows of places, laid out alike for every metric.
#[derive(Clone, Copy)]
struct Grid {
    metric: Metric,
    /// Places of the longest row.
    places: usize,
    /// Room for a number beside each glyph.
    numbers: bool,
    /// Where the sums begin.
    sums_at: usize,
}

/// Width of a place with its number: cursor and number, glyph.
const PLACE: usize = 5;

/// Width of a row's label, and of the least that its sums need.
const LABEL: usize = 5;
const SUMS: usize = 15;

fn grid<'a>(scene: &'a Scene<'a>, metric: Metric) -> Section<'a> {
    let rows = &scene.model.index.rows;
    let listed = &scene.state.visible().rows;
    let places = rows.iter().map(|row| row.racks.len()).max().unwrap_or(0);
    let numbers = LABEL + places * PLACE + SUMS <= scene.width;
    let sums_at = LABEL + if numbers { places * PLACE } else { places + places / 8 };
    let grid = Grid { metric, places, numbers, sums_at };
    let chosen = scene.model.index.racks.get(scene.state.rack).map(|rack| rack.row);
    let quiet = scene.looks.quiet();
    let legend = if scene.is_wide() { LEGEND } else { SHORT_LEGEND };
    let heading = match metric {
        Metric::Load => scene.heading("RACKS", Some(Pane::Grid)).put(legend, quiet),
        Metric::DeltaTemperature => {
            scene.heading("SAME ROWS", None).put("dT of the coolant in K ", quiet)
        }
    };
    Section {
        heading,
        lines: listed.len().max(1) + 1,
        least: 4,
        most: usize::MAX,
        selected: chosen.and_then(|row| listed.iter().position(|at| *at == row)).map(|at| at + 1),
        line: Box::new(move |at| {
            let Some(at) = at.checked_sub(1) else { return grid_head(scene, grid) };
            match listed.get(at).and_then(|at| rows.get(*at)) {
                Some(row) => grid_line(scene, row, grid),
                None => Line::styled(" none that match", scene.looks.quiet()),
            }
        }),
    }
}

fn grid_head(scene: &Scene<'_>, grid: Grid) -> Line<'static> {
    let quiet = scene.looks.quiet();
    let mut row = Row::new().gap(LABEL);
    if grid.numbers {
        for place in 1..=grid.places {
            row = row.right(&format!("{place:02}"), PLACE - 1, quiet).gap(1);
        }
    }
    if grid.metric != Metric::Load {
        return row.into_line();
    }
    row.to(grid.sums_at)
        .right("kW", 6, quiet)
        .right("kW/rack", 8, quiet)
        .right("kW/m2", 7, quiet)
        .put("  fullest", quiet)
        .into_line()
}

fn grid_line(scene: &Scene<'_>, row: &RackRow, grid: Grid) -> Line<'static> {
    let mut line = Row::new().gap(1).left(&scene.looks.text(&row.label), LABEL - 1, Style::new());
    for (place, at) in row.racks.clone().enumerate() {
        let Some(rack) = scene.model.index.racks.get(at) else { continue };
        let (glyph, style) = match grid.metric {
            Metric::Load => glyph(scene, rack),
            Metric::DeltaTemperature => letter(scene, rack).unwrap_or_else(|| {
                let figure = scene.model.figure(rack.liquid.delta);
                (if figure.number().is_some() { ' ' } else { sign(&figure) }, Style::new())
            }),
        };
        let chosen = at == scene.state.rack;
        if grid.numbers {
            let weight = if chosen { scene.looks.strong() } else { Style::new() };
            let cursor = if chosen { ">" } else { "" };
            let number = number_of(scene, rack, grid.metric);
            line = line.right(&format!("{cursor}{number}"), PLACE - 1, weight).put(glyph, style);
        } else {
            let gap = usize::from(place > 0 && place % 8 == 0);
            let style = if chosen { style.add_modifier(Modifier::REVERSED) } else { style };
            line = line.gap(gap).put(glyph, style);
        }
    }
    match grid.metric {
        Metric::Load => row_sums(line.to(grid.sums_at), scene, row).into_line(),
        Metric::DeltaTemperature => line.into_line(),
    }
}

/// The number of a rack in a grid; its glyph says why there is none.
fn number_of(scene: &Scene<'_>, rack: &RackPoints, metric: Metric) -> String {
    let value = match metric {
        Metric::Load => load(scene, rack),
        Metric::DeltaTemperature => scene.model.figure(rack.liquid.delta).number(),
    };
    value.map_or_else(String::new, |value| number::decimal(value, 0))
}

fn row_sums(line: Row, scene: &Scene<'_>, row: &RackRow) -> Row {
    let sum = RowSum::of(scene, row);
    let mean = sum.power_kw / f64::from(sum.coverage.known.max(1));
    let floor = row.footprint_m2.filter(|area| *area > 0.0).map(|area| sum.power_kw / area);
    // A floor has no gaps: density counts only when every rack of the row is known.
    let floor = match floor {
        Some(floor) if sum.coverage.is_full() => number::decimal(floor, 1),
        Some(_) => "?".to_owned(),
        None => "-".to_owned(),
    };
    let fullest = sum.fullest.and_then(|(at, load)| {
        let rack = scene.model.index.racks.get(at)?;
        Some(format!("{} {} %", scene.name(rack.asset), number::decimal(load, 0)))
    });
    let coverage =
        if sum.coverage.is_full() { String::new() } else { format!("  {}", sum.coverage) };
    line.right(&sum.spoken(sum.power_kw, 0), 6, Style::new())
        .right(&sum.spoken(mean, 1), 8, Style::new())
        .right(&floor, 7, Style::new())
        .plain(coverage)
        .plain(format!("  {}", fullest.unwrap_or_else(|| "-".to_owned())))
}

/// A line of the detail: label and parts that each tell a value, or why there is none.
fn detail<'a>(scene: &Scene<'a>, rack: &RackPoints) -> Section<'a> {
    let model = scene.model;
    let figure = |point| model.figure(point);
    let capture = Scene::scaled(figure(rack.capture), 100.0, "%");
    let power = figure(rack.power);
    let bar =
        scene.bar(power.number(), 0.0, rack.design_power_kw, if scene.is_wide() { 30 } else { 18 });
    let design = number::decimal(rack.design_power_kw, 0);
    let row = model.index.rows.get(rack.row);
    let average = row.map(|row| {
        let sum = RowSum::of(scene, row);
        sum.spoken(sum.power_kw / f64::from(sum.coverage.known.max(1)), 1)
    });
    let footprint = rack.footprint_m2.map_or_else(
        || "footprint not declared".to_owned(),
        |area| format!("footprint {} m2", number::decimal(area, 2)),
    );
    let liquid = &rack.liquid;
    let lines = vec![
        told(scene, "power", &[("", &power, 1)])
            .plain(format!("  {bar} {design} kW design   load "))
            .plain(scene.spoken(&figure(rack.load), 0)),
        told(scene, "liquid", &[("", &figure(liquid.heat), 1), ("capture ", &capture, 0)]),
        told(
            scene,
            if rack.is_facility_side { "facility" } else { "coolant" },
            &[
                ("supply ", &figure(liquid.supply), 1),
                ("return ", &figure(liquid.back), 1),
                ("dT ", &figure(liquid.delta), 1),
            ],
        ),
        told(scene, "flow", &[("", &figure(liquid.flow), 1), ("", &figure(rack.specific_flow), 2)]),
        told(scene, "density", &[("", &figure(rack.density), 1)]).plain(format!(
            "   {footprint}   row average {} kW/rack",
            average.unwrap_or_else(|| "-".to_owned())
        )),
        told(scene, "leak", &[("", &figure(rack.leak), 0)]),
        feeds(scene, rack),
    ];
    let cooled = rack.cdu.and_then(|cdu| model.index.cdus.get(cdu));
    let cooled =
        cooled.map_or_else(String::new, |cdu| format!("  cooled by {}", scene.name(cdu.asset)));
    let label = row.map_or("", |row| row.label.as_str());
    let two_phase = if rack.technology == Some(Technology::TwoPhase) { "  two-phase" } else { "" };
    let title = format!("RACK {}", scene.name(rack.asset));
    let more =
        format!(" row {} place {}{cooled}{two_phase} ", scene.looks.text(label), rack.position);
    let heading =
        scene.heading(&title, None).plain(more).put(oldest(scene, rack.asset), scene.looks.quiet());
    Section::fixed(heading, lines.into_iter().map(Row::into_line).collect())
}

/// ` power      45.5 kW   …`; where a value is missing, the reason stands beside it, once for neighbours that share it.
fn told(scene: &Scene<'_>, label: &str, parts: &[(&str, &Figure<'_>, usize)]) -> Row {
    let mut row = Row::new().gap(1).left(label, 10, scene.looks.quiet());
    let mut said = None;
    for (name, figure, decimals) in parts {
        let style = figure.mark.map_or(Style::new(), |priority| scene.looks.priority(priority));
        row = row.put(format!("{name}{}", scene.spoken(figure, *decimals)), style);
        // The dash alone says that nothing measures it.
        let reason = figure.reason().filter(|_| figure.shown != Shown::Absent);
        if let Some(reason) = reason.as_deref().filter(|_| reason != said) {
            row = row.put(format!(" ({})", scene.looks.text(reason)), scene.looks.quiet());
        }
        said = reason;
        row = row.gap(3);
    }
    row
}

fn feeds(scene: &Scene<'_>, rack: &RackPoints) -> Row {
    let mut row = Row::new().gap(1).left("feeds", 10, scene.looks.quiet());
    if rack.feeders.is_empty() {
        return row.put(format!("- ({} declared, none metered)", rack.feeds), scene.looks.quiet());
    }
    for (feeder, power) in &rack.feeders {
        let figure = scene.model.figure(*power);
        row = row.plain(format!("{} {}", scene.name(*feeder), scene.spoken(&figure, 1)));
        if let Some(reason) = figure.reason() {
            row = row.put(format!(" ({})", scene.looks.text(&reason)), scene.looks.quiet());
        }
        row = row.gap(3);
    }
    row
}

const fn column(
    heading: &'static str,
    width: usize,
    rank: u8,
    cell: for<'a> fn(&Scene<'a>, &RackPoints) -> Cell<'a>,
) -> Column<RackPoints> {
    Column { heading, width, rank, is_figure: true, cell }
}

/// A rack as a branch of its loop.
pub(super) const BRANCH_COLUMNS: &[Column<RackPoints>] = &[
    column("L/min", 9, 1, |scene, rack| Cell::Figure(scene.model.figure(rack.liquid.flow), 1)),
    column("supply C", 9, 1, |scene, rack| Cell::Figure(scene.model.figure(rack.liquid.supply), 1)),
    column("return C", 9, 1, |scene, rack| Cell::Figure(scene.model.figure(rack.liquid.back), 1)),
    column("dT K", 8, 2, |scene, rack| Cell::Figure(scene.model.figure(rack.liquid.delta), 1)),
    column("kW liq", 9, 3, |scene, rack| Cell::Figure(scene.model.figure(rack.liquid.heat), 1)),
    column("kW el", 9, 4, |scene, rack| Cell::Figure(scene.model.figure(rack.power), 1)),
    column("capt %", 9, 6, |scene, rack| {
        Cell::Figure(Scene::scaled(scene.model.figure(rack.capture), 100.0, "%"), 0)
    }),
    column("LPM/kW", 8, 5, |scene, rack| Cell::Figure(scene.model.figure(rack.specific_flow), 2)),
];

pub(super) fn branch_line(
    scene: &Scene<'_>,
    rack: &RackPoints,
    columns: &[&'static Column<RackPoints>],
    selected: bool,
) -> Line<'static> {
    let row = Row::new().put(scene.cursor(Pane::Branches, selected), scene.looks.strong()).left(
        &scene.name(rack.asset),
        NAME,
        Style::new(),
    );
    let row = cells(row, scene, columns, rack).gap(1);
    state(row, scene, rack).into_line()
}

/// The alarm letter of a rack, and why a value is missing.
fn state(row: Row, scene: &Scene<'_>, rack: &RackPoints) -> Row {
    let row = match scene.model.standing(rack.asset) {
        None => row.put("A", scene.looks.quiet()),
        Some(standing) => {
            let unknown = if standing.unknown { "?" } else { "" };
            let aside = match standing.letter {
                Letter::E => " shelved",
                Letter::F => " suppressed",
                Letter::G => " out of service",
                _ => "",
            };
            let text =
                format!("{}{unknown} P{}{aside}", standing.letter, u8::from(standing.priority));
            row.put(text, standing_style(scene, standing))
        }
    };
    let figures = [rack.power, rack.liquid.flow, rack.liquid.heat].map(|at| scene.model.figure(at));
    let silent = figures.iter().find_map(|figure| match figure.shown {
        Shown::Unknown(reason) => Some(reason.to_string()),
        Shown::Meaningless(reason) => Some(reason.to_string()),
        Shown::Absent | Shown::Number(_) | Shown::Words(_) => None,
    });
    match silent {
        Some(reason) => row.put(format!("  {reason}"), scene.looks.quiet()),
        None => row,
    }
}
