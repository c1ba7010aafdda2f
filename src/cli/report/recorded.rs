//! What a data directory recorded of a period, and the answer that follows from it.

use std::path::Path;

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use reports::compliance::{AnchorLine, Audit, Compliance, LedgerState, Question};
use rules::{
    book::{Entry, Line},
    calendar::{Span, Zone},
    chain::Chain,
    messages::Anchor,
    ratio::Period,
};
use store::{HeldCatalog, Reader};

use super::Text;
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
    /// The ledger as it stood: later lines are left out.
    pub(super) ledger: LedgerState,
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
        let (keys, _) = reader.keys()?;
        let Chain { lines, head } = reader.ledger_head()?;
        let anchors = reader.anchors(span.from, Utc::now())?;
        let anchors = anchors.into_iter().filter(|anchor| anchor.ledger.lines <= lines);
        let anchors = anchors.map(|Anchor { day, ledger, .. }| AnchorLine {
            day,
            line: ledger.lines,
            head: ledger.head,
        });
        let ledger = LedgerState { lines, head, key: keys.in_force(), anchors: anchors.collect() };
        Ok(Self { reader, period, span, held, plant_changes, ledger })
    }

    /// Reads the period from the ledger and answers. `also` sees every line that was read.
    pub(super) fn answer(
        &self,
        texts: &[Text],
        asked_at: DateTime<Utc>,
        mut also: impl FnMut(&Line) -> anyhow::Result<()>,
    ) -> anyhow::Result<Compliance> {
        let catalog = &self.held.catalog;
        let regulations: Vec<_> = texts.iter().map(|text| text.regulation.clone()).collect();
        let question = Question {
            site: &catalog.site,
            plant: &catalog.plant,
            period: self.period,
            asked_at,
            version: env!("CARGO_PKG_VERSION"),
            regulations: &regulations,
            plant_changes: self.plant_changes.clone(),
            catalog: self.held.sha256,
            ledger: Some(self.ledger.clone()),
        };
        let mut audit = Audit::new(question)?;
        let mut progress = Progress::new();
        let span = self.span;
        let taken = self.reader.book(span.from, span.to, |line| {
            if line.line > self.ledger.lines {
                return Ok(());
            }
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
