//! Tables whose columns come and go with the width. The lowest rank stays longest.

use ratatui::style::Style;

use super::{row::Row, scene::Scene};
use crate::model::Figure;

/// What stands in a cell.
pub(crate) enum Cell<'a> {
    /// With so many decimals.
    Figure(Figure<'a>, usize),
    Text(String, Style),
}

/// A column of a table over `T`. The width of a figure column includes the place for its mark.
pub(crate) struct Column<T> {
    pub(crate) heading: &'static str,
    pub(crate) width: usize,
    pub(crate) rank: u8,
    /// Figures stand at the right edge, text at the left.
    pub(crate) is_figure: bool,
    pub(crate) cell: for<'a> fn(&Scene<'a>, &T) -> Cell<'a>,
}

/// The columns that fit, in their order.
pub(crate) fn fitting<T>(columns: &'static [Column<T>], width: usize) -> Vec<&'static Column<T>> {
    let mut ranks: Vec<u8> = columns.iter().map(|column| column.rank).collect();
    ranks.sort_unstable();
    ranks.dedup();
    let up_to = |rank: u8| columns.iter().filter(move |column| column.rank <= rank);
    let fits = |rank: &u8| up_to(*rank).map(|column| column.width).sum::<usize>() <= width;
    let best = ranks.iter().rev().copied().find(fits).or(ranks.first().copied()).unwrap_or(0);
    up_to(best).collect()
}

pub(crate) fn headings<T>(row: Row, columns: &[&'static Column<T>]) -> Row {
    columns.iter().fold(row, |row, column| {
        if column.is_figure {
            row.right(column.heading, column.width - 1, Style::new()).gap(1)
        } else {
            row.left(column.heading, column.width, Style::new())
        }
    })
}

pub(crate) fn cells<T>(
    row: Row,
    scene: &Scene<'_>,
    columns: &[&'static Column<T>],
    thing: &T,
) -> Row {
    columns.iter().fold(row, |row, column| match (column.cell)(scene, thing) {
        Cell::Figure(figure, decimals) => scene.figure(row, &figure, decimals, column.width),
        // One cell of space to whatever follows, even behind a text that is cut.
        Cell::Text(text, style) => row.left(&text, column.width - 1, style).gap(1),
    })
}
