//! State to picture. `draw` gets a `&State` and keeps nothing.
//!
//! ```text
//! row 1          site, time, connection, unacknowledged and active alarms: on every screen, never scrolls
//! row 2          the screens
//! sections       one heading and its lines, as many as fit
//! last two rows  a rule; keys, or what is being typed, or one sentence
//! ```
//!
//! Below 80 × 24 there is row 1 and the alarms, as many as fit.

use ratatui::{Frame, buffer::Buffer, layout::Rect};

use crate::{
    screen::Screen,
    state::{Connection, Mode, State},
};
use row::set;
use scene::Scene;
use section::Section;

mod alarms;
mod asset;
mod columns;
mod events;
mod help;
mod loops;
mod overview;
mod racks;
mod row;
mod scene;
mod section;
mod status;

/// The smallest terminal that gets whole screens.
const FULL: (u16, u16) = (80, 24);

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    paint(frame.buffer_mut(), area, state);
}

/// The same on a bare buffer.
pub(crate) fn paint(buffer: &mut Buffer, area: Rect, state: &State) {
    let scene = Scene::new(state, area.width);
    let Some(top) = area.rows().next() else { return };
    set(buffer, top, &status::top(&scene));
    let small = area.width < FULL.0 || area.height < FULL.1;
    // Without room for hints, the last row still answers.
    let answers = state.notice.is_some() || state.mode == Mode::Filter;
    let (head, foot) = if small { (1, u16::from(answers && area.height > 3)) } else { (2, 2) };
    let body = Rect { y: area.y + head, height: area.height.saturating_sub(head + foot), ..area };
    if small {
        section::draw(buffer, body, &scene, vec![alarms::list(&scene, area.width.into())]);
    } else {
        set(buffer, Rect { y: area.y + 1, height: 1, ..area }, &status::tabs(&scene));
        section::draw(buffer, body, &scene, sections(&scene, usize::from(body.height)));
        set(buffer, Rect { y: area.bottom() - 2, height: 1, ..area }, &scene.rule());
    }
    if foot > 0 {
        set(buffer, Rect { y: area.bottom() - 1, height: 1, ..area }, &status::bottom(&scene));
    }
    if state.connection != Connection::Live {
        buffer.set_style(body, scene.looks.quiet());
    }
    help::draw(buffer, area, &scene);
}

/// The overview without what only a keyboard can use: row 1, then as much as fits.
pub(crate) fn paint_text(buffer: &mut Buffer, area: Rect, state: &State) {
    let scene = Scene { has_cursor: false, ..Scene::new(state, area.width) };
    let Some(top) = area.rows().next() else { return };
    set(buffer, top, &status::top(&scene));
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    section::draw(buffer, body, &scene, overview::sections(&scene, usize::from(body.height)));
}

fn sections<'a>(scene: &'a Scene<'a>, height: usize) -> Vec<Section<'a>> {
    match scene.state.screen {
        Screen::Overview => overview::sections(scene, height),
        Screen::Loops => loops::sections(scene, height),
        Screen::Racks => racks::sections(scene, height),
        Screen::Alarms => alarms::sections(scene, height),
    }
}
