//! What lies over the screen: the palette that lists and runs every command, and the question before acknowledging
//! many alarms at once.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::Line,
    widgets::{Clear, Widget},
};

use super::{
    row::{Row, set},
    scene::Scene,
};
use crate::state::Mode;

pub(super) fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>) {
    let (head, lines, at, foot) = match &scene.state.mode {
        Mode::Browse | Mode::Filter => return,
        Mode::Palette { query, at } => {
            let lines =
                scene.state.palette().into_iter().map(|help| {
                    Row::new().left(help.keys, 12, scene.looks.strong()).plain(help.what)
                });
            let head = Row::new()
                .put("What do you want to do? ", scene.looks.strong())
                .plain(scene.looks.text(query))
                .put("_", scene.looks.strong());
            (
                head,
                lines.collect::<Vec<_>>(),
                *at,
                "type to search  Up/Down choose  Enter run  Esc close",
            )
        }
        Mode::AcknowledgeAll { asked, at } => {
            let lines = asked.iter().map(|alarm| Row::new().plain(scene.looks.text(&alarm.line)));
            let head = format!("Acknowledge these {} alarms?", asked.len());
            let head = Row::new().put(head, scene.looks.strong());
            (head, lines.collect(), *at, "y acknowledge all of them   Esc leave them   j/k scroll")
        }
    };
    draw_sheet(buffer, area, scene, &Sheet { head, lines, at, foot });
}

struct Sheet {
    head: Row,
    lines: Vec<Row>,
    at: usize,
    foot: &'static str,
}

/// A sheet from row 2 down; row 1 stays in sight. Without a right border, like everything here.
fn draw_sheet(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, sheet: &Sheet) {
    let room = area.height.saturating_sub(1);
    let wanted = u16::try_from(sheet.lines.len() + 4).unwrap_or(u16::MAX);
    let height = wanted.min(room);
    let area = Rect { y: area.y + area.height.min(1), height, ..area };
    Clear.render(area, buffer);
    let inner = usize::from(height).saturating_sub(4);
    let first = sheet.at.saturating_sub(inner / 2).min(sheet.lines.len().saturating_sub(inner));
    let mut rows = area.rows();
    let mut put = |line: Line<'static>| {
        if let Some(row) = rows.next() {
            set(buffer, row, &line);
        }
    };
    put(scene.rule());
    put(indented(&sheet.head, " "));
    for (at, line) in sheet.lines.iter().enumerate().skip(first).take(inner) {
        put(indented(line, if at == sheet.at { " > " } else { "   " }));
    }
    put(Row::new().gap(1).put(sheet.foot, scene.looks.quiet()).into_line());
    put(scene.rule());
}

fn indented(row: &Row, by: &str) -> Line<'static> {
    let mut line = row.clone().into_line();
    line.spans.insert(0, by.to_owned().into());
    line
}
