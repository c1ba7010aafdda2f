//! The year as a gateway leaves it in a data directory.

use std::path::Path;

use rules::{
    messages::SiteInfo,
    time::{BootId, Mono, Now, Trust, Wall},
};
use store::{
    Opened, Options,
    record::{Catalog, Record},
};

use super::plant::{FROM, Page, Year, at};

/// So many pages go to the log at once: a sync for each would take longer than everything else.
const PAGES: usize = 96;

/// Plays the year into a directory of its own.
pub(crate) fn record(year: &mut Year, dir: &Path) {
    let Opened { store, mut writer, .. } =
        store::open(&Options::new(dir.to_owned()), BootId(1)).expect("an empty directory");
    let site = SiteInfo {
        id: "large".to_owned(),
        name: "Large".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        gateway: "gw".to_owned(),
        simulated: true,
    };
    let plant = year.plant.clone().into();
    let catalog = Catalog { version: "0.0.0".to_owned(), site, plant };
    let wall = Wall { utc: at(FROM), trust: Trust::Synchronised };
    writer.append(&Now { mono: Mono::ZERO, wall }, vec![Record::Catalog(catalog.into())]);
    let mut group = Vec::new();
    let mut last = None;
    year.play(|now, page| {
        match page {
            Page::Rows(rows) => group.extend(Record::ledger(rows)),
            Page::Posting(posting) => group.push(Record::Posting(posting)),
        }
        if group.len() >= PAGES {
            writer.settle().expect("the disk takes it");
            writer.append(now, std::mem::take(&mut group));
        }
        last = Some(*now);
    });
    if let Some(now) = last {
        writer.append(&now, group);
    }
    writer.close().expect("the disk takes it");
    store.close();
}
