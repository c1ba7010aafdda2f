//! What `coldwatch meter` and `coldwatch import` have in common: a meter of the ledger, and corrections to it.

use std::fmt::Write as _;

use anyhow::{Context, bail};
use chrono::{DateTime, NaiveDateTime, Utc};
use rules::{
    book::{Cause, Correction, Posting, amend::Amounts},
    calendar::Zone,
    ledger::{INTERVAL, LedgerRow, RegisterReading},
    plant::{Detail, Meter, Plant},
};
use store::Reader;

use super::desk::Desk;

/// The ledger of a site.
pub(super) struct Books<'a> {
    desk: &'a Desk,
    reader: Reader,
    plant: std::sync::Arc<store::record::Catalog>,
    pub(super) zone: Zone,
}

/// What is to be entered for one meter.
pub(super) struct Entry {
    pub(super) meter: String,
    pub(super) amounts: Amounts,
    pub(super) readings: [Option<RegisterReading>; 2],
}

impl<'a> Books<'a> {
    pub(super) fn open(desk: &'a Desk) -> anyhow::Result<Self> {
        let reader = desk.reader()?;
        let plant = reader.catalog()?.context("nothing was recorded there yet")?;
        let zone = plant.site.time_zone.parse()?;
        Ok(Self { desk, reader, plant, zone })
    }

    pub(super) fn meter(&self, name: &str) -> anyhow::Result<&Meter> {
        let plant: &Plant = &self.plant.plant;
        let found = plant.find_asset(name).map(|asset| &plant.asset(asset).detail);
        match found {
            Some(Detail::Meter(meter)) => Ok(meter),
            Some(_) => bail!("\"{name}\" is no meter"),
            None => {
                let names = plant.of_kind(rules::plant::AssetKind::Meter);
                let names: Vec<&str> = names.map(|meter| &*plant.asset(meter).name).collect();
                bail!("there is no meter \"{name}\": there are {}", names.join(", "))
            }
        }
    }

    /// A time with an offset, or by the site's clocks.
    pub(super) fn instant(&self, text: &str) -> anyhow::Result<DateTime<Utc>> {
        let text = text.trim();
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Ok(at.to_utc());
        }
        let local = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
        let local = local.with_context(|| {
            format!("\"{text}\" is no time: write 2026-05-15T10:07, or 2026-05-15T08:07:00Z")
        })?;
        self.zone
            .instant(local)
            .with_context(|| format!("the clocks of the site skipped {text}: write it in UTC"))
    }

    /// What counts for a meter, oldest first.
    pub(super) fn rows(
        &self,
        meter: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> anyhow::Result<Vec<LedgerRow>> {
        let mut rows = self.reader.ledger(from, to)?;
        rows.retain(|row| &*row.meter == meter);
        Ok(rows)
    }

    /// Shows what was recorded and what is entered; enters it unless it is only to be shown.
    pub(super) fn enter(
        &self,
        entries: Vec<Entry>,
        (cause, reason): (Cause, &str),
        dry_run: bool,
    ) -> anyhow::Result<()> {
        let mut text = String::new();
        let mut postings = Vec::new();
        let signer = self.desk.signer()?;
        for Entry { meter, amounts, readings } in entries {
            let end = amounts.start + INTERVAL * i32::try_from(amounts.amounts.len())?;
            let recorded: Vec<f64> = self
                .rows(&meter, amounts.start, end)?
                .iter()
                .filter_map(|row| row.amount)
                .collect();
            let sum = |amounts: &[f64]| match amounts {
                [] => "nothing".to_owned(),
                some => format!("{:.3}", some.iter().sum::<f64>()),
            };
            let entered: Vec<f64> = amounts.amounts.iter().copied().flatten().collect();
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{meter}  {} to {}  {} -> {}",
                self.zone.local(amounts.start).format("%Y-%m-%d %H:%M"),
                self.zone.local(end).format("%Y-%m-%d %H:%M"),
                sum(&recorded),
                sum(&entered)
            );
            let [first, last] = readings;
            let correction = Correction {
                meter: meter.into(),
                start: amounts.start,
                amounts: amounts.amounts,
                method: amounts.method,
                cause,
                uncertainty: None,
                first,
                last,
                reason: reason.to_owned(),
                by: self.desk.by(),
                signature: None,
            };
            postings.push(Posting::Correction(match &signer {
                Some(key) => correction.signed(key)?,
                None => correction,
            }));
        }
        if !dry_run {
            self.desk.post(&postings)?;
        }
        text.push_str(if dry_run { "nothing was entered\n" } else { "entered\n" });
        super::print(&text)
    }
}
