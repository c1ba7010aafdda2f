//! What every screen tells of an asset beside its own figures.

use ratatui::style::Style;
use rules::plant::AssetId;

use super::{row::Row, scene::Scene};
use crate::{
    model::{Figure, Standing, is_set_aside},
    number,
};

/// Widths of the name and of the alarms in a table of assets.
pub(super) const NAME: usize = 10;
pub(super) const ALARMS: usize = 11;

/// `1:1 2:1 +24`: alarms by priority, and how many are set aside.
pub(super) fn standing(row: Row, scene: &Scene<'_>, asset: AssetId) -> Row {
    let Some(standing) = scene.model.standing(asset) else {
        return row.put("-", scene.looks.quiet());
    };
    let mut texts: Vec<String> = Vec::new();
    for (priority, count) in (1..).zip(standing.active) {
        if count > 0 {
            texts.push(format!("{priority}:{count}"));
        }
    }
    if standing.suppressed > 0 {
        texts.push(format!("+{}", standing.suppressed));
    }
    row.put(texts.join(" "), standing_style(scene, standing))
}

pub(super) fn standing_style(scene: &Scene<'_>, standing: Standing) -> Style {
    if is_set_aside(standing.letter) {
        scene.looks.quiet()
    } else {
        scene.looks.priority(standing.priority)
    }
}

/// `oldest value 1 s ` of what is measured at an asset, and how many values are unknown.
pub(super) fn oldest(scene: &Scene<'_>, asset: AssetId) -> String {
    let figures =
        || scene.model.index.points_of(asset).iter().map(|at| scene.model.figure(Some(*at)));
    let oldest = figures().filter_map(|figure| figure.age).max();
    let unknown = figures().filter(Figure::is_unknown).count();
    let oldest = oldest.map_or_else(
        || "no sample yet".to_owned(),
        |age| format!("oldest value {}", number::span(age)),
    );
    if unknown == 0 { format!(" {oldest} ") } else { format!(" {oldest}, {unknown} unknown ") }
}
