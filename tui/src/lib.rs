//! Snapshot to screen: the operator's dashboard.
//!
//! ```text
//! Snapshot, Update → model (the picture) ─┐
//! key → keymap → Cmd → state ─────────────┴→ view → terminal
//!                        └→ Action → Command → gateway
//! ```
//!
//! `screen` names the screens and panes, `keymap` alone knows keys, `model` is the picture, `state` is what is on the
//! screen, `view` draws. `client` reaches a gateway in another process. Nothing in here knows the engine: it lives on the
//! messages of the gateway, so it can watch any gateway and its death costs nothing.

use ratatui::{buffer::Buffer, layout::Rect};
use rules::messages::Snapshot;

pub use dashboard::{Options, TuiError, run};
pub use looks::{Letters, Looks};
pub use model::{Applied, Model};
pub use source::{Answer, Lost, News, Source};
pub use state::State;
pub use view::draw;

pub mod client;
mod commands;
mod dashboard;
pub mod history;
pub mod index;
pub mod keymap;
mod looks;
pub mod model;
mod number;
pub mod screen;
pub mod source;
pub mod state;
mod terminal;
mod view;

/// The overview as plain text: ASCII, no colour, `height` lines of at most `width` cells, without trailing spaces.
pub fn once(snapshot: &Snapshot, width: u16, height: u16) -> String {
    let state = State::new(snapshot.clone(), Looks::PLAIN, None);
    let area = Rect { x: 0, y: 0, width, height };
    let mut buffer = Buffer::empty(area);
    view::paint_text(&mut buffer, area, &state);
    text(&buffer)
}

/// What a buffer shows, line by line.
fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for row in buffer.area.rows() {
        let mut line = String::new();
        let mut covered = 0_usize;
        for cell in row.columns().filter_map(|column| buffer.cell((column.x, column.y))) {
            // The cell to the right of a wide character belongs to it.
            if covered > 0 {
                covered -= 1;
                continue;
            }
            covered = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
            line.push_str(cell.symbol());
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
