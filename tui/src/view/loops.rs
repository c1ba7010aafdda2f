//! Loops: every CDU in a line, the chosen one with its numbers on the pipes, and the racks it cools.
//!
//! ```text
//! loops      table
//! mimic      facility water | heat exchanger, pumps | technology cooling
//! racks      table of the racks of this loop
//! alarms     those of this CDU
//! ```

use ratatui::{style::Style, text::Line};
use rules::plant::{PointId, Technology};

use super::{
    alarms,
    asset::{ALARMS, NAME, oldest, standing},
    columns::{Cell, Column, cells, fitting, headings},
    racks,
    row::Row,
    scene::Scene,
    section::Section,
};
use crate::{
    index::{CduPoints, PumpPoints, SidePoints},
    model::{Figure, Shown},
    number,
    screen::Pane,
};

const fn figure(
    heading: &'static str,
    width: usize,
    rank: u8,
    cell: for<'a> fn(&Scene<'a>, &CduPoints) -> Cell<'a>,
) -> Column<CduPoints> {
    Column { heading, width, rank, is_figure: true, cell }
}

const COLUMNS: &[Column<CduPoints>] = &[
    figure("FWS C", 7, 6, |scene, cdu| point(scene, cdu.fws.supply, 1)),
    figure("supply C", 9, 1, |scene, cdu| point(scene, cdu.tcs.supply, 1)),
    figure("return C", 9, 1, |scene, cdu| point(scene, cdu.tcs.back, 1)),
    figure("dT K", 7, 2, |scene, cdu| point(scene, cdu.tcs.delta, 1)),
    figure("L/min", 8, 1, |scene, cdu| point(scene, cdu.tcs.flow, 0)),
    figure("LPM/kW", 8, 4, |scene, cdu| point(scene, cdu.specific_flow, 2)),
    figure("dP kPa", 8, 5, |scene, cdu| point(scene, cdu.tcs.delta_pressure, 0)),
    figure("filt kPa", 9, 8, |scene, cdu| point(scene, cdu.filter, 1)),
    figure("kW", 7, 3, |scene, cdu| Cell::Figure(heat(scene, cdu), 0)),
    figure("load %", 8, 2, |scene, cdu| point(scene, cdu.load, 0)),
    Column {
        heading: "pumps",
        width: 10,
        rank: 3,
        is_figure: false,
        cell: |scene, cdu| Cell::Text(pumps(scene, cdu), Style::new()),
    },
    Column {
        heading: "leak",
        width: 8,
        rank: 7,
        is_figure: false,
        cell: |scene, cdu| {
            let figure = scene.model.figure(cdu.leak);
            let style = figure.mark.map_or(Style::new(), |mark| scene.looks.priority(mark));
            Cell::Text(scene.spoken(&figure, 0), style)
        },
    },
];

fn point<'a>(scene: &Scene<'a>, point: Option<PointId>, decimals: usize) -> Cell<'a> {
    Cell::Figure(scene.model.figure(point), decimals)
}

/// Heat taken from the racks; for a boiling coolant, whose flow and temperatures tell no heat, what arrives on the
/// facility side.
fn heat<'a>(scene: &Scene<'a>, cdu: &CduPoints) -> Figure<'a> {
    let by = if cdu.technology == Technology::TwoPhase { cdu.fws.heat } else { cdu.tcs.heat };
    scene.model.figure(by)
}

/// `RUN/RUN`: each pump by its state, or by its speed where it tells none.
fn pumps(scene: &Scene<'_>, cdu: &CduPoints) -> String {
    let texts: Vec<String> = cdu.pumps.iter().map(|pump| pump_word(scene, pump)).collect();
    if texts.is_empty() { "-".to_owned() } else { texts.join("/") }
}

fn pump_word(scene: &Scene<'_>, pump: &PumpPoints) -> String {
    let state = scene.model.figure(pump.state);
    let speed = scene.model.figure(pump.speed);
    let mark = if state.mark.is_some() { "*" } else { "" };
    match (&state.shown, &speed.shown) {
        (Shown::Words(words), _) => format!("{}{mark}", short_state(&scene.words(words))),
        (Shown::Unknown(_), _) | (_, Shown::Unknown(_)) => "?".to_owned(),
        (_, Shown::Number(speed)) => format!("{}%", number::decimal(*speed, 0)),
        _ => "-".to_owned(),
    }
}

/// A pump's state in at most four letters.
fn short_state(words: &str) -> String {
    let upper = words.to_uppercase();
    let known = [("RUN", "RUN"), ("STAND", "STBY"), ("STOP", "STOP"), ("FAULT", "FLT")];
    match known.into_iter().find(|(start, _)| upper.starts_with(start)) {
        Some((_, short)) => short.to_owned(),
        None => upper.chars().take(4).collect(),
    }
}

/// The table of all CDUs, with the room for their names and alarms at both ends.
pub(super) fn table<'a>(scene: &'a Scene<'a>) -> Section<'a> {
    let listed = &scene.state.visible().cdus;
    let columns = fitting(COLUMNS, scene.width.saturating_sub(NAME + 1 + ALARMS));
    let heading = scene.heading("LOOPS", Some(Pane::Loops)).to(NAME + 1);
    let heading = headings(heading, &columns).plain(" alarms ");
    Section {
        heading,
        lines: listed.len().max(1),
        least: 4,
        most: usize::MAX,
        selected: listed.iter().position(|at| *at == scene.state.cdu),
        line: Box::new(move |at| {
            let Some(at) = listed.get(at).copied() else {
                return Line::styled(" none that match", scene.looks.quiet());
            };
            match scene.model.index.cdus.get(at) {
                Some(cdu) => line(scene, cdu, &columns, at == scene.state.cdu),
                None => Line::default(),
            }
        }),
    }
}

fn line(
    scene: &Scene<'_>,
    cdu: &CduPoints,
    columns: &[&'static Column<CduPoints>],
    selected: bool,
) -> Line<'static> {
    let row = Row::new().put(scene.cursor(Pane::Loops, selected), scene.looks.strong()).left(
        &scene.name(cdu.asset),
        NAME,
        Style::new(),
    );
    let row = cells(row, scene, columns, cdu).gap(1);
    let row = standing(row, scene, cdu.asset);
    let note = match cdu.technology {
        Technology::ColdPlate => "",
        Technology::Immersion => "  immersion",
        Technology::TwoPhase => "  2-phase",
    };
    row.put(note, scene.looks.quiet()).into_line()
}

pub(super) fn sections<'a>(scene: &'a Scene<'a>, height: usize) -> Vec<Section<'a>> {
    let table = table(scene);
    let Some(cdu) = scene.model.index.cdus.get(scene.state.cdu) else {
        return vec![table];
    };
    let table = Section { least: (height / 6).max(3), ..table };
    vec![table, mimic(scene, cdu), branches(scene), alarms::on_asset(scene, cdu.asset)]
}

fn branches<'a>(scene: &'a Scene<'a>) -> Section<'a> {
    let listed = &scene.state.visible().branches;
    let columns = fitting(racks::BRANCH_COLUMNS, scene.width.saturating_sub(NAME + 1 + ALARMS));
    let heading = scene.heading("RACKS", Some(Pane::Branches)).to(NAME + 1);
    Section {
        heading: headings(heading, &columns).plain(" state "),
        lines: listed.len().max(1),
        least: 3,
        most: usize::MAX,
        selected: listed.iter().position(|at| *at == scene.state.rack),
        line: Box::new(move |at| {
            let Some(at) = listed.get(at).copied() else {
                return Line::styled(" none", scene.looks.quiet());
            };
            match scene.model.index.racks.get(at) {
                Some(rack) => racks::branch_line(scene, rack, &columns, at == scene.state.rack),
                None => Line::default(),
            }
        }),
    }
}

/// Widths of the three parts of the mimic.
struct Widths {
    side: usize,
    label: usize,
    middle: usize,
}

/// ```text
///  FACILITY WATER (FWS)            CDU-2                       TECHNOLOGY COOLING (TCS)
///                                 +--------------------------+
///  supply       31.8 °C ========> |  approach   0.8 K        | ========> supply       32.6 °C
///  flow         940 L/min         |  load       60 %         |           flow         603 L/min *
///  return       40.1 °C <======== |  pump 1     RUN   72 %   | <======== return       46.2 °C *
///  dT           8.3 K             |  pump 2     TRIP  0 %    |           dT           13.6 K *
///                                 +--------------------------+
///  set-point 32.0 °C   filter 16.0 kPa   reservoir 68 %   leak dry
/// ```
fn mimic<'a>(scene: &Scene<'a>, cdu: &CduPoints) -> Section<'a> {
    let widths = if scene.is_wide() {
        Widths { side: 42, label: 12, middle: 32 }
    } else {
        Widths { side: 27, label: 8, middle: 24 }
    };
    let inner = unit_lines(scene, cdu);
    let left = side_lines(scene, &cdu.fws, None);
    let right = side_lines(scene, &cdu.tcs, cdu.specific_flow);
    let tall = inner.len().max(left.len()).max(right.len());
    let edge = format!("+{}+", "-".repeat(widths.middle - 2));
    let mut lines = vec![
        Row::new()
            .left(" FACILITY WATER (FWS)", widths.side, scene.looks.quiet())
            .left(&edge, widths.middle, Style::new())
            .put("  TECHNOLOGY COOLING (TCS)", scene.looks.quiet()),
    ];
    for at in 0..tall {
        let row = fws_part(scene, left.get(at), &widths);
        let row = match inner.get(at) {
            Some(said) => said_part(row.plain("| "), said, widths.middle - 3).plain("|"),
            None => row.plain("|").gap(widths.middle - 2).plain("|"),
        };
        lines.push(tcs_part(row, scene, right.get(at), &widths));
    }
    lines.push(Row::new().gap(widths.side).plain(edge));
    lines.push(around_line(scene, cdu));
    let age = oldest(scene, cdu.asset);
    let title = match cdu.technology {
        Technology::ColdPlate => scene.name(cdu.asset),
        Technology::Immersion => format!("{}  immersion", scene.name(cdu.asset)),
        Technology::TwoPhase => {
            format!("{}  two-phase: heat by the facility side", scene.name(cdu.asset))
        }
    };
    let heading = scene.heading(&title, None).put(age, scene.looks.quiet());
    Section::fixed(heading, lines.into_iter().map(Row::into_line).collect())
}

/// A label and what is measured, ready to print.
struct Said {
    label: String,
    text: String,
    style: Style,
    pipe: Pipe,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pipe {
    None,
    /// From left to right.
    Supply,
    Return,
}

fn said(scene: &Scene<'_>, label: &str, figure: &Figure<'_>, decimals: usize, pipe: Pipe) -> Said {
    let style = figure.mark.map_or(Style::new(), |priority| scene.looks.priority(priority));
    Said { label: label.to_owned(), text: scene.spoken(figure, decimals), style, pipe }
}

fn side_lines(scene: &Scene<'_>, side: &SidePoints, specific: Option<PointId>) -> Vec<Said> {
    let figure = |point| scene.model.figure(point);
    let mut lines = vec![
        said(scene, "supply", &figure(side.supply), 1, Pipe::Supply),
        said(scene, "flow", &figure(side.flow), 0, Pipe::None),
        said(scene, "dP", &figure(side.delta_pressure), 0, Pipe::None),
        said(scene, "return", &figure(side.back), 1, Pipe::Return),
        said(scene, "dT", &figure(side.delta), 1, Pipe::None),
        said(scene, "heat", &figure(side.heat), 0, Pipe::None),
    ];
    if specific.is_some() {
        lines.push(said(scene, "per kW", &figure(specific), 2, Pipe::None));
    }
    lines
}

fn unit_lines(scene: &Scene<'_>, cdu: &CduPoints) -> Vec<Said> {
    let figure = |point| scene.model.figure(point);
    let line =
        |label: &str, point, decimals| said(scene, label, &figure(point), decimals, Pipe::None);
    let mut lines = vec![
        line("load", cdu.load, 0),
        line("approach", cdu.approach, 1),
        line("dew margin", cdu.dew_point_margin, 1),
    ];
    for pump in &cdu.pumps {
        let mut text = pump_word(scene, pump);
        for (point, decimals) in [(pump.speed, 0), (pump.rotation, 0)] {
            if point.is_some() {
                text = format!("{text}  {}", scene.spoken(&figure(point), decimals));
            }
        }
        let mark = figure(pump.state).mark.or(figure(pump.speed).mark);
        let style = mark.map_or(Style::new(), |priority| scene.looks.priority(priority));
        lines.push(Said { label: format!("pump {}", pump.number), text, style, pipe: Pipe::None });
    }
    lines
}

/// What belongs to the unit but to no pipe, in one line below the mimic.
fn around_line(scene: &Scene<'_>, cdu: &CduPoints) -> Row {
    let said = [
        ("set-point", cdu.supply_setpoint, 1),
        ("valve", cdu.valve, 0),
        ("filter", cdu.filter, 1),
        ("reservoir", cdu.level, 0),
        ("leak", cdu.leak, 0),
    ];
    let mut row = Row::new();
    for (label, point, decimals) in said {
        // The valve is the one that many units do not report.
        if point.is_none() && label == "valve" {
            continue;
        }
        let figure = scene.model.figure(point);
        let style = figure.mark.map_or(Style::new(), |priority| scene.looks.priority(priority));
        let text = scene.spoken(&figure, decimals);
        row = row.gap(1);
        // "no leak" says of itself what it is about.
        if !text.contains(label) {
            row = row.put(label, scene.looks.quiet()).gap(1);
        }
        row = row.put(text, style).gap(if scene.is_wide() { 4 } else { 1 });
    }
    row
}

fn said_part(row: Row, said: &Said, room: usize) -> Row {
    let label = 11;
    row.left(&said.label, label, Style::new()).left(
        &said.text,
        room.saturating_sub(label),
        said.style,
    )
}

fn fws_part(scene: &Scene<'_>, said: Option<&Said>, widths: &Widths) -> Row {
    let Some(said) = said else { return Row::new().gap(widths.side) };
    let row = Row::new().gap(1).left(&said.label, widths.label, Style::new());
    let row = row.put(said.text.clone(), said.style);
    let room = widths.side.saturating_sub(row.width() + 2);
    row.gap(1).put(pipe(said.pipe, room), scene.looks.quiet()).to(widths.side)
}

fn tcs_part(row: Row, scene: &Scene<'_>, said: Option<&Said>, widths: &Widths) -> Row {
    let Some(said) = said else { return row };
    let length = if scene.is_wide() { 12 } else { 4 };
    let pipe = pipe(said.pipe, length);
    row.gap(1)
        .left(&pipe, length + 1, scene.looks.quiet())
        .left(&said.label, widths.label, Style::new())
        .put(said.text.clone(), said.style)
}

/// `=====>` or `<=====` over the given length.
fn pipe(pipe: Pipe, length: usize) -> String {
    let shaft = "=".repeat(length.saturating_sub(1));
    match pipe {
        _ if length == 0 => String::new(),
        Pipe::None => String::new(),
        Pipe::Supply => format!("{shaft}>"),
        Pipe::Return => format!("<{shaft}"),
    }
}
