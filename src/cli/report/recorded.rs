//! What a data directory recorded of a period, and the answer that follows from it.

use std::path::Path;

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use reports::compliance::{Audit, Compliance, LedgerState, Question};
use rules::{
    book::{Entry, Line},
    calendar::{Span, Zone},
    chain::Chain,
    limits::Regulation,
    ratio::Period,
};
use store::{HeldCatalog, Reader};

use crate::cli::progress::Progress;

/// A data directory with the plant as it stood in the period.
pub(super) struct Recorded {
    pub(super) reader: Reader,
    pub(super) period: Period,
    pub(super) span: Span,
    /// The last catalog that held in the period.
    pub(super) held: HeldCatalog,
    /// When another plant came into force within it.
    pub(super) plant_changes: Vec<DateTime<Utc>>,
}

impl Recorded {
    /// `period` is asked the time zone for the last day that is over.
    pub(super) fn open(
        dir: &Path,
        period: impl FnOnce(Zone) -> anyhow::Result<Period>,
    ) -> anyhow::Result<Self> {
        ensure!(dir.is_dir(), "there is no such directory");
        let reader = Reader::open(dir)?;
        let newest = reader.newest_catalog()?.context("nothing was recorded there yet")?;
        let zone: Zone = newest.catalog.site.time_zone.parse()?;
        let period = period(zone)?;
        let span = zone.span(period);
        let all = reader.catalogs(span.from, span.to)?;
        let differing =
            all.windows(2).filter(|pair| pair[0].catalog.plant != pair[1].catalog.plant);
        let plant_changes = differing.filter_map(|pair| pair[1].since).collect();
        let held = all.into_iter().next_back().unwrap_or(newest);
        Ok(Self { reader, period, span, held, plant_changes })
    }

    /// The ledger as it stands.
    pub(super) fn ledger(&self) -> anyhow::Result<LedgerState> {
        let Chain { lines, head } = self.reader.ledger_head()?;
        Ok(LedgerState { lines, head, key: None, anchors: Vec::new() })
    }

    /// Reads the period from the ledger and answers. `also` sees every line that was read.
    pub(super) fn answer(
        &self,
        regulations: &[Regulation],
        asked_at: DateTime<Utc>,
        ledger: Option<LedgerState>,
        mut also: impl FnMut(&Line) -> anyhow::Result<()>,
    ) -> anyhow::Result<Compliance> {
        let catalog = &self.held.catalog;
        let question = Question {
            site: &catalog.site,
            plant: &catalog.plant,
            period: self.period,
            asked_at,
            version: env!("CARGO_PKG_VERSION"),
            regulations,
            plant_changes: self.plant_changes.clone(),
            catalog: self.held.sha256,
            ledger,
        };
        let mut audit = Audit::new(question)?;
        let mut progress = Progress::new();
        let span = self.span;
        let taken = self.reader.book(span.from, span.to, |line| {
            if let Entry::Quarter(quarter) = &line.entry {
                let seconds = |length: TimeDelta| length.num_seconds().unsigned_abs();
                let (done, all) = (seconds(quarter.start - span.from), seconds(span.length()));
                progress.show(done.min(all), all, || "reading the ledger".to_owned());
            }
            audit.take(line).with_context(|| format!("line {} of the ledger", line.line))?;
            also(line)
        });
        progress.clear();
        taken.map(|()| audit.finish())
    }
}
