//! What every part of a screen needs to draw itself: the state, and one way to write each thing.

use ratatui::{style::Style, text::Line};
use rules::{plant::AssetId, time::Mono};

use super::row::Row;
use crate::{
    looks::{Letters, Looks},
    model::{Figure, Model, Shown},
    number,
    screen::Pane,
    state::State,
};

/// What every part of a screen needs to draw itself.
pub(crate) struct Scene<'a> {
    pub(crate) state: &'a State,
    pub(crate) model: &'a Model,
    pub(crate) looks: Looks,
    pub(crate) width: usize,
    /// False for a text that nobody moves about in.
    pub(super) has_cursor: bool,
}

impl<'a> Scene<'a> {
    pub(super) fn new(state: &'a State, width: u16) -> Self {
        Self {
            state,
            model: state.shown(),
            looks: state.looks,
            width: width.into(),
            has_cursor: true,
        }
    }

    /// Wide enough for the long form of everything.
    pub(super) fn is_wide(&self) -> bool {
        self.width >= 110
    }

    pub(super) fn has_cursor(&self, pane: Pane) -> bool {
        self.has_cursor && self.state.pane == pane
    }

    /// `>` before the line under the cursor.
    pub(super) fn cursor(&self, pane: Pane, selected: bool) -> &'static str {
        if selected && self.has_cursor(pane) { ">" } else { " " }
    }

    pub(super) fn rule(&self) -> Line<'static> {
        Line::styled(self.looks.rule().repeat(self.width), self.looks.quiet())
    }

    /// `-- TITLE `; the pane with the cursor has its title in brackets.
    pub(super) fn heading(&self, title: &str, pane: Option<Pane>) -> Row {
        let (quiet, strong) = (self.looks.quiet(), self.looks.strong());
        let focused =
            pane.is_some_and(|pane| self.has_cursor(pane)) && self.state.screen.panes().len() > 1;
        let title = self.looks.text(title);
        let title = if focused { format!("[{title}]") } else { title.into_owned() };
        Row::new().put(self.looks.rule().repeat(2), quiet).gap(1).put(title, strong).gap(1)
    }

    /// When something was: time of day in UTC, the date when that is a day ago, the span while no clock is trusted.
    pub(super) fn moment(&self, at: Mono) -> String {
        let ago = self.model.at.mono.since(at);
        match self.model.at.label(at) {
            Some(label) if ago.as_secs() < 20 * 3600 => label.format("%H:%M:%S").to_string(),
            Some(label) => label.format("%b %d").to_string(),
            None => format!("-{}", number::span(ago)),
        }
    }

    /// A figure in a cell of `width`: the number, then `*` where an alarm stands on exactly this value. `?` is not
    /// known, `-` is not there or has no meaning.
    pub(super) fn figure(
        &self,
        row: Row,
        figure: &Figure<'_>,
        decimals: usize,
        width: usize,
    ) -> Row {
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
    pub(super) fn spoken(&self, figure: &Figure<'_>, decimals: usize) -> String {
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
    pub(super) fn name(&self, asset: AssetId) -> String {
        let title = self.model.title(asset);
        let title = if self.looks.letters == Letters::Ascii && !title.is_ascii() {
            self.model.name(asset)
        } else {
            title
        };
        self.looks.text(title).into_owned()
    }

    /// The same for an asset of a record, which the plant may no longer have.
    pub(super) fn called(&self, asset: &str) -> String {
        let known = self.model.plant.find_asset(asset);
        known.map_or_else(|| self.looks.text(asset).into_owned(), |asset| self.name(asset))
    }

    /// A state's name as one reads it: `NoLeak` is `no leak`.
    pub(super) fn words(&self, words: &str) -> String {
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

    pub(super) fn unit(&self, unit: &str) -> String {
        self.looks.text(unit).into_owned()
    }

    /// `|......#......|` with the marker where the value lies between `low` and `high`.
    pub(super) fn bar(&self, value: Option<f64>, low: f64, high: f64, width: usize) -> String {
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
    pub(super) fn scaled<'f>(figure: Figure<'f>, factor: f64, unit: &'f str) -> Figure<'f> {
        let shown = match figure.shown {
            Shown::Number(value) => Shown::Number(value * factor),
            shown => shown,
        };
        Figure { shown, unit, ..figure }
    }
}
