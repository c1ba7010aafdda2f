//! What happened, newest first.

use ratatui::{style::Style, text::Line};
use rules::messages::{Event, Moved, What};

use super::{row::Row, scene::Scene, section::Section};
use crate::{number, screen::Pane};

pub(super) fn section<'a>(scene: &'a Scene<'a>) -> Section<'a> {
    let events = &scene.model.events;
    let heading = scene.heading("EVENTS", Some(Pane::Events));
    if events.is_empty() {
        let nothing = Line::styled(" none since start", scene.looks.quiet());
        return Section::fixed(heading, vec![nothing]);
    }
    Section {
        heading: heading.put("(newest first) ", scene.looks.quiet()),
        lines: events.len(),
        least: 2,
        most: usize::MAX,
        selected: Some(scene.state.event),
        line: Box::new(move |at| match events.iter().rev().nth(at) {
            Some(event) => event_line(scene, event, at == scene.state.event),
            None => Line::default(),
        }),
    }
}

/// `05:41:02 CDU-2    RACK FLOW LOW      B -> C  ack by li.wei`
fn event_line(scene: &Scene<'_>, event: &Event, selected: bool) -> Line<'static> {
    let source = event.asset.as_deref().map_or_else(String::new, |asset| scene.called(asset));
    let (what, more) = match &event.what {
        What::Moved(moved) => (moved.title.to_string(), transition(moved)),
        What::Rejected { alarm, why, by } => {
            ("refused".to_owned(), format!("{alarm} by {by}: {why}"))
        }
        What::Clock { trusted: true, step_s } => {
            ("clock".to_owned(), format!("trusted, step {} s", number::decimal(*step_s, 3)))
        }
        What::Clock { trusted: false, .. } => ("clock".to_owned(), "not trusted".to_owned()),
        What::Link { up: true, why } => ("link up".to_owned(), why.clone()),
        What::Link { up: false, why } => ("link down".to_owned(), why.clone()),
        What::Anchor(anchor) => {
            let (line, head) = (anchor.ledger.lines, anchor.ledger.head);
            ("anchor".to_owned(), format!("ledger line {line}: {head}"))
        }
        What::Gateway { what } => ("gateway".to_owned(), what.clone()),
        What::Register { meter, what } => {
            ("register".to_owned(), format!("{}: {what}", scene.called(meter)))
        }
    };
    let width = if scene.is_wide() { (14, 38) } else { (10, 26) };
    let what = scene.looks.text(&what);
    Row::new()
        .put(scene.cursor(Pane::Events, selected), scene.looks.strong())
        .left(&scene.moment(event.at), 8, Style::new())
        .gap(1)
        .left(&source, width.0, Style::new())
        .gap(1)
        .left(&what, width.1, Style::new())
        .gap(1)
        .put(scene.looks.text(&more), scene.looks.quiet())
        .into_line()
}

/// `A -> B  condition  occ 3  46.2 °C > 45 °C  by zhao`
pub(super) fn transition(moved: &Moved) -> String {
    let Moved { from, to, cause, occurrence, operands, .. } = moved;
    let by = moved.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
    format!("{from} -> {to}  {cause}{by}  occ {occurrence}  {operands}")
}
