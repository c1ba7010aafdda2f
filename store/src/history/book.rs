//! Which series a sample belongs to: points are numbers of one configuration, series outlive it.

use std::{collections::HashMap, sync::Arc};

use rules::id::PointId;
use rusqlite::Connection;

use super::{
    HistoryError,
    database::{SeriesId, SeriesKey, add_series, all_series, kind_word},
};
use crate::record::Catalog;

/// All series, and of one catalog those of its points.
pub(super) struct Book {
    known: HashMap<SeriesKey, SeriesId>,
    next: SeriesId,
    /// Not yet in the database.
    new: Vec<(SeriesId, SeriesKey)>,
    current: Option<Page>,
}

struct Page {
    catalog: Arc<Catalog>,
    /// By point; filled as points are met, so that one that never has a sample has no series.
    series: Vec<Option<SeriesId>>,
}

impl Book {
    pub(super) fn load(connection: &Connection) -> Result<Self, HistoryError> {
        let all = all_series(connection)?;
        let next = all.iter().map(|(id, _)| id + 1).max().unwrap_or(0);
        let known = all.into_iter().map(|(id, key)| (key, id)).collect();
        Ok(Self { known, next, new: Vec::new(), current: None })
    }

    /// Numbers are below this.
    pub(super) fn len(&self) -> usize {
        self.next as usize
    }

    /// `None` for a point that the catalog does not have.
    pub(super) fn series(&mut self, catalog: &Arc<Catalog>, point: PointId) -> Option<SeriesId> {
        if self.current.as_ref().is_none_or(|page| !Arc::ptr_eq(&page.catalog, catalog)) {
            let series = vec![None; catalog.plant.points().len()];
            self.current = Some(Page { catalog: Arc::clone(catalog), series });
        }
        let page = self.current.as_mut()?;
        let place = page.series.get_mut(point.index())?;
        if place.is_none() {
            let spec = catalog.plant.point(point);
            let key = SeriesKey {
                point: catalog.plant.point_name(point).into(),
                unit: spec.unit.symbol().into(),
                kind: kind_word(spec.kind),
            };
            *place = Some(*self.known.entry(key).or_insert_with_key(|key| {
                let id = self.next;
                self.next += 1;
                self.new.push((id, key.clone()));
                id
            }));
        }
        *place
    }

    /// Writes the series that are new. They stay new until [`Self::saved`].
    pub(super) fn save(&self, connection: &Connection) -> Result<(), HistoryError> {
        self.new.iter().try_for_each(|(id, key)| add_series(connection, *id, key))
    }

    pub(super) fn saved(&mut self) {
        self.new.clear();
    }
}
