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

use ratatui::{Frame, buffer::Buffer, layout::Rect, style::Style, text::Line};
use rules::{plant::AssetId, time::Mono};

use crate::{
    looks::{Letters, Looks},
    model::{Figure, Model, Shown},
    number,
    screen::{Pane, Screen},
    state::{Connection, Mode, State},
};
use row::Row;
use section::Section;

mod alarms;
mod columns;
mod help;
mod loops;
mod overview;
mod racks;
mod row;
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

fn set(buffer: &mut Buffer, area: Rect, line: &Line<'_>) {
    if area.height > 0 {
        buffer.set_line(area.x, area.y, line, area.width);
    }
}

/// What every part of a screen needs to draw itself.
pub(crate) struct Scene<'a> {
    pub(crate) state: &'a State,
    pub(crate) model: &'a Model,
    pub(crate) looks: Looks,
    pub(crate) width: usize,
    /// False for a text that nobody moves about in.
    has_cursor: bool,
}

impl<'a> Scene<'a> {
    fn new(state: &'a State, width: u16) -> Self {
        Self {
            state,
            model: state.shown(),
            looks: state.looks,
            width: width.into(),
            has_cursor: true,
        }
    }

    /// Wide enough for the long form of everything.
    fn is_wide(&self) -> bool {
        self.width >= 110
    }

    fn has_cursor(&self, pane: Pane) -> bool {
        self.has_cursor && self.state.pane == pane
    }

    /// `>` before the line under the cursor.
    fn cursor(&self, pane: Pane, selected: bool) -> &'static str {
        if selected && self.has_cursor(pane) { ">" } else { " " }
    }

    fn rule(&self) -> Line<'static> {
        Line::styled(self.looks.rule().repeat(self.width), self.looks.quiet())
    }

    /// `-- TITLE `; the pane with the cursor has its title in brackets.
    fn heading(&self, title: &str, pane: Option<Pane>) -> Row {
        let (quiet, strong) = (self.looks.quiet(), self.looks.strong());
        let focused =
            pane.is_some_and(|pane| self.has_cursor(pane)) && self.state.screen.panes().len() > 1;
        let title = self.looks.text(title);
        let title = if focused { format!("[{title}]") } else { title.into_owned() };
        Row::new().put(self.looks.rule().repeat(2), quiet).gap(1).put(title, strong).gap(1)
    }

    /// When something was: time of day in UTC, the date when that is a day ago, the span while no clock is trusted.
    fn moment(&self, at: Mono) -> String {
        let ago = self.model.at.mono.since(at);
        match self.model.at.label(at) {
            Some(label) if ago.as_secs() < 20 * 3600 => label.format("%H:%M:%S").to_string(),
            Some(label) => label.format("%b %d").to_string(),
            None => format!("-{}", number::span(ago)),
        }
    }

    /// A figure in a cell of `width`: the number, then `*` where an alarm stands on exactly this value. `?` is not
    /// known, `-` is not there or has no meaning.
    fn figure(&self, row: Row, figure: &Figure<'_>, decimals: usize, width: usize) -> Row {
        let (text, style) = match &figure.shown {
            Shown::Absent | Shown::Meaningless(_) => ("-".to_owned(), self.looks.quiet()),
            Shown::Unknown(_) => ("?".to_owned(), Style::new()),
            Shown::Number(value) => (number::decimal(*value, decimals), Style::new()),
            Shown::Words(words) => (self.words(words), Style::new()),
        };
        let style = figure.mark.map_or(style, |priority| self.looks.priority(priority));
        let mark = if figure.mark.is_some() { "*" } else { " " };
        row.right(&text, width.saturating_sub(1), style).put(mark, style)
    }

    /// A number with its unit in running text: `32.6 C`, `?`, `-`.
    fn spoken(&self, figure: &Figure<'_>, decimals: usize) -> String {
        let mark = if figure.mark.is_some() { " *" } else { "" };
        match &figure.shown {
            Shown::Absent | Shown::Meaningless(_) => "-".to_owned(),
            Shown::Unknown(_) => format!("?{mark}"),
            Shown::Number(value) => {
                let unit = if figure.unit == "1" { "" } else { figure.unit };
                let text = format!("{} {}", number::decimal(*value, decimals), self.unit(unit));
                format!("{}{mark}", text.trim_end())
            }
            Shown::Words(words) => format!("{}{mark}", self.words(words)),
        }
    }

    /// What people call an asset; its identifier where the terminal cannot show the title.
    fn name(&self, asset: AssetId) -> String {
        let title = self.model.title(asset);
        let title = if self.looks.letters == Letters::Ascii && !title.is_ascii() {
            self.model.name(asset)
        } else {
            title
        };
        self.looks.text(title).into_owned()
    }

    /// A state's name as one reads it: `NoLeak` is `no leak`.
    fn words(&self, words: &str) -> String {
        let mut read = String::with_capacity(words.len() + 4);
        let mut after_small = false;
        for c in self.looks.text(words).chars() {
            if c.is_uppercase() && after_small {
                read.push(' ');
            }
            after_small = c.is_lowercase();
            read.extend(c.to_lowercase());
        }
        read
    }

    fn unit(&self, unit: &str) -> String {
        self.looks.text(unit).into_owned()
    }

    /// `|......#......|` with the marker where the value lies between `low` and `high`.
    fn bar(&self, value: Option<f64>, low: f64, high: f64, width: usize) -> String {
        let (empty, marker) = self.looks.bar();
        let inner = width.saturating_sub(2);
        let Some(value) = value.filter(|_| inner > 0 && high > low) else {
            return format!("|{}|", " ".repeat(inner));
        };
        let top = inner - 1;
        let at = number::to_step((value - low) / (high - low) * number::to_f64(top), top);
        format!("|{}{marker}{}|", empty.repeat(at), empty.repeat(top - at))
    }

    /// A figure under another unit or scale.
    fn scaled<'f>(figure: Figure<'f>, factor: f64, unit: &'f str) -> Figure<'f> {
        let shown = match figure.shown {
            Shown::Number(value) => Shown::Number(value * factor),
            shown => shown,
        };
        Figure { shown, unit, ..figure }
    }
}
