//! Enters something into the ledger of a gateway that does not run.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use collector::MonoClock;
use rules::{
    book::Posting,
    messages::{Event, What},
    time::Now,
};
use store::{
    Finding, Opened, Options, StoreError,
    history::Hold,
    record::{Record, Seq},
};

use super::{ClockPolicy, clock::Clock, new_boot};

/// Takes the directory, writes, and lets go of it. False, with nothing done, while a gateway has it.
///
/// # Errors
/// When one of them may not be posted, which leaves out all of them, or nothing can be written.
pub(crate) fn post(dir: &Path, postings: &[Posting]) -> anyhow::Result<bool> {
    let boot = new_boot();
    let opened = match store::open(&Options::keeping_everything(dir.to_owned()), boot) {
        Ok(opened) => opened,
        Err(StoreError::InUse { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let Opened { store, mut writer, before, findings } = opened;
    // What a sink has not sent yet stays, although the sink is not here to ask for it.
    store.pins().add(Hold::WhileThereIsRoom, Arc::new(|| Some(Seq(0))));
    let mut clock = Clock::new(MonoClock::start(), ClockPolicy::Synchronised, before.newest_wall());
    let now = clock.now();
    let reader = store.reader();
    let (mut keys, _) = reader.keys()?;
    let catalog = reader.catalog()?.context("nothing was recorded there yet")?;
    for posting in postings {
        posting.check(&catalog.plant, &keys, now.wall.utc)?;
        if let Posting::Key(change) = posting {
            keys.take(change)?;
        }
    }
    let told = findings.iter().map(Finding::to_string);
    let told = told.chain(postings.iter().map(|posting| format!("ledger: {posting}")));
    let mut records = vec![Record::Catalog(catalog)];
    records.extend(told.map(|what| Record::Event(noted(&now, what))));
    records.extend(postings.iter().cloned().map(|posting| Record::Posting(Box::new(posting))));
    writer.append(&now, records);
    writer.close()?;
    store.close();
    Ok(true)
}

fn noted(now: &Now, what: String) -> Event {
    let wall = now.wall.trust.is_trusted().then_some(now.wall.utc);
    Event { at: now.mono, wall, asset: None, what: What::Gateway { what } }
}
