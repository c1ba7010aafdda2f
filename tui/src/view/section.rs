//! Sections share the height of a screen: each has a heading and lines, of which the cursor's is always in view.

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{
    row::{Row, set},
    scene::Scene,
};

/// A part of a screen. Lines are made when drawn, and only those that are seen.
pub(crate) struct Section<'a> {
    pub(crate) heading: Row,
    pub(crate) lines: usize,
    /// Lines that it should have before others get more.
    pub(crate) least: usize,
    /// Lines that it may take from what is left.
    pub(crate) most: usize,
    /// Line that must be in view.
    pub(crate) selected: Option<usize>,
    pub(crate) line: Box<dyn Fn(usize) -> Line<'static> + 'a>,
}

impl Section<'_> {
    /// A section that is not scrolled.
    pub(crate) fn fixed(heading: Row, lines: Vec<Line<'static>>) -> Self {
        let count = lines.len();
        Self {
            heading,
            lines: count,
            least: count,
            most: count,
            selected: None,
            line: Box::new(move |at| lines.get(at).cloned().unwrap_or_default()),
        }
    }
}

pub(crate) fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, sections: Vec<Section<'_>>) {
    let wants: Vec<(usize, usize)> = sections
        .iter()
        .map(|section| (section.least.min(section.lines), section.most.min(section.lines)))
        .collect();
    let heights = share(usize::from(area.height), &wants);
    let mut rows = area.rows();
    for (section, height) in sections.into_iter().zip(heights) {
        let Some(height) = height else { continue };
        let first = first_line(section.lines, height, section.selected);
        let seen = first..(first + height).min(section.lines);
        let Some(row) = rows.next() else { return };
        set(buffer, row, &filled(section.heading, scene));
        if seen.len() < section.lines {
            let note = format!(" {}-{} of {} ", seen.start + 1, seen.end, section.lines);
            let note =
                Row::new().plain(note).put(scene.looks.rule().repeat(2), scene.looks.quiet());
            let width = u16::try_from(note.width()).unwrap_or(u16::MAX).min(row.width);
            set(buffer, Rect { x: row.right() - width, width, ..row }, &note.into_line());
        }
        for at in seen {
            let Some(row) = rows.next() else { return };
            set(buffer, row, &(section.line)(at));
        }
    }
}

/// Fills a heading with the rule up to the right edge.
fn filled(heading: Row, scene: &Scene<'_>) -> Line<'static> {
    let fill = scene.width.saturating_sub(heading.width());
    heading.put(scene.looks.rule().repeat(fill), scene.looks.quiet()).into_line()
}

/// Lines for each section, `None` where not even the heading and one line fit. First everybody gets the least, in
/// order; what is left goes to those who want more, in order. A section without lines keeps its heading.
fn share(height: usize, wants: &[(usize, usize)]) -> Vec<Option<usize>> {
    let mut left = height;
    let mut given: Vec<Option<usize>> = Vec::with_capacity(wants.len());
    for (least, _) in wants {
        let smallest = 1 + usize::from(*least > 0);
        if left < smallest {
            given.push(None);
            continue;
        }
        let lines = (*least).min(left - 1);
        left -= 1 + lines;
        given.push(Some(lines));
    }
    for (lines, (_, most)) in given.iter_mut().zip(wants) {
        if let Some(lines) = lines {
            let more = most.saturating_sub(*lines).min(left);
            *lines += more;
            left -= more;
        }
    }
    given
}

/// Where the window over the lines begins so that the selected one is inside, in the middle where possible.
fn first_line(lines: usize, height: usize, selected: Option<usize>) -> usize {
    let last_start = lines.saturating_sub(height);
    selected.unwrap_or(0).saturating_sub(height / 2).min(last_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_comes_first_and_the_rest_goes_in_order() {
        assert_eq!(share(20, &[(2, 9), (3, 3), (2, 9)]), [Some(9), Some(3), Some(5)]);
        assert_eq!(share(10, &[(2, 9), (3, 3), (2, 9)]), [Some(2), Some(3), Some(2)]);
        assert_eq!(share(6, &[(2, 9), (3, 3), (2, 9)]), [Some(2), Some(2), None]);
        assert_eq!(share(0, &[(2, 9)]), [None]);
        assert_eq!(share(3, &[(0, 0), (1, 1)]), [Some(0), Some(1)]);
    }

    #[test]
    fn the_selected_line_is_in_view() {
        for selected in 0..30 {
            let first = first_line(30, 7, Some(selected));
            assert!((first..first + 7).contains(&selected) && first + 7 <= 30);
        }
        assert_eq!(first_line(3, 7, Some(2)), 0);
    }
}
