//! One row of the screen, put together from cells of known width. Width is what the terminal takes, not a count of
//! characters, and a cut falls between graphemes.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Built from left to right.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    line: Line<'static>,
    width: usize,
}

impl Row {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Text as it is.
    #[must_use]
    pub(crate) fn put(mut self, text: impl Into<String>, style: Style) -> Self {
        let text = text.into();
        self.width += text.width();
        self.line.spans.push(Span::styled(text, style));
        self
    }

    #[must_use]
    pub(crate) fn plain(self, text: impl Into<String>) -> Self {
        self.put(text, Style::new())
    }

    /// A cell: cut or filled to exactly `width`.
    #[must_use]
    pub(crate) fn left(self, text: &str, width: usize, style: Style) -> Self {
        let text = cut(text, width);
        let fill = width - text.width();
        self.put(text, style).gap(fill)
    }

    /// A cell with its text at the right edge.
    #[must_use]
    pub(crate) fn right(self, text: &str, width: usize, style: Style) -> Self {
        let text = cut(text, width);
        let fill = width - text.width();
        self.gap(fill).put(text, style)
    }

    #[must_use]
    pub(crate) fn gap(self, width: usize) -> Self {
        if width == 0 { self } else { self.put(" ".repeat(width), Style::new()) }
    }

    /// Fills up to a column; a row that is already there stays as it is.
    #[must_use]
    pub(crate) fn to(self, column: usize) -> Self {
        let fill = column.saturating_sub(self.width);
        self.gap(fill)
    }

    pub(crate) fn into_line(self) -> Line<'static> {
        self.line
    }
}

/// The text as far as it fits; `~` stands for what does not.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let next = used + grapheme.width();
        if next > width.saturating_sub(1) {
            break;
        }
        kept.push_str(grapheme);
        used = next;
    }
    if width > 0 {
        kept.push('~');
    }
    kept
}

/// Shows a line in the first row of an area, if it has one.
pub(super) fn set(buffer: &mut Buffer, area: Rect, line: &Line<'_>) {
    if area.height > 0 {
        buffer.set_line(area.x, area.y, line, area.width);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_falls_between_graphemes() {
        assert_eq!(cut("PUMP TRIP", 9), "PUMP TRIP");
        assert_eq!(cut("PUMP TRIP", 6), "PUMP ~");
        assert_eq!(cut("机房冷却", 8), "机房冷却");
        assert_eq!(cut("机房冷却", 7), "机房冷~");
        assert_eq!(cut("机房冷却", 6), "机房~");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn cells_are_as_wide_as_they_say() {
        let row = Row::new().left("机房冷却", 6, Style::new()).right("7.5", 6, Style::new()).right(
            "too long",
            4,
            Style::new(),
        );
        assert_eq!(row.width(), 16);
        assert_eq!(row.into_line().to_string(), "机房~    7.5too~");
    }
}
