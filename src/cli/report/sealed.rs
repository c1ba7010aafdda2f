//! `coldwatch report --seal`: the report with everything that it was computed from, signed.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use reports::{
    compliance::Compliance,
    language::Language,
    manifest::{Manifest, SCHEMA, html_name, names},
    render,
};
use rules::{
    book::{Entry, Posting, Seal},
    chain::Hash,
    signing::SigningKey,
};

use super::{Text, recorded::Recorded, written::stem};
use crate::{
    bundle::pack::{Pack, Packed},
    cli::desk::{self, Clerk},
};

/// A report that is about to be sealed.
pub(super) struct Sealing<'a> {
    recorded: &'a Recorded,
    clerk: &'a Clerk,
    key: SigningKey,
    now: DateTime<Utc>,
    path: PathBuf,
}

impl<'a> Sealing<'a> {
    /// Finds out, before long work, whether it can be.
    pub(super) fn prepare(
        recorded: &'a Recorded,
        clerk: &'a Clerk,
        (out, now): (&Path, DateTime<Utc>),
    ) -> anyhow::Result<Self> {
        ensure!(
            recorded.span.to <= now,
            "the period is over on {}: until then it can be reported, and not sealed",
            recorded.span.to
        );
        let dir = recorded.reader.dir().display();
        let key = desk::signer(&recorded.reader)?.with_context(|| {
            format!("a sealed report is signed, and there is no key yet: coldwatch key create --data {dir}")
        })?;
        let stem = stem(&recorded.held.catalog.site.id, recorded.period);
        let path = out.join(format!("{stem}.sealed.zip"));
        ensure!(
            !path.exists(),
            "{} is there already, and what is sealed is not replaced: move it, or give another --out",
            path.display()
        );
        Ok(Self { recorded, clerk, key, now, path })
    }

    /// Packs everything, enters into the ledger that it was sealed, and then gives the file its name.
    pub(super) fn seal(
        &self,
        texts: &[Text],
        answer: &Compliance,
        languages: &[Language],
    ) -> anyhow::Result<PathBuf> {
        let recorded = self.recorded;
        let (hash, packed) = self.pack(texts, answer, languages)?;
        let seal = Seal {
            first: recorded.period.first(),
            last: recorded.period.last(),
            from: recorded.span.from,
            to: recorded.span.to,
            manifest: hash,
            by: self.clerk.by(),
            signature: None,
        };
        let seal = Posting::Seal(seal.signed(&self.key)?);
        self.clerk.post(recorded.reader.dir(), &[seal])?;
        self.ensure_nothing_came_between()?;
        packed.publish()
    }

    fn pack(
        &self,
        texts: &[Text],
        answer: &Compliance,
        languages: &[Language],
    ) -> anyhow::Result<(Hash, Packed)> {
        let recorded = self.recorded;
        let mut pack = Pack::create(self.path.clone())?;
        pack.text(names::JSON, &render::json(answer)?)?;
        for language in languages {
            pack.text(&html_name(*language), &render::html(answer, *language))?;
        }
        pack.text(names::CSV, &render::csv(answer))?;
        pack.text(names::CATALOG, &recorded.reader.catalog_text(recorded.held.seq)?)?;
        let mut regulations = Vec::new();
        for Text { source, regulation } in texts {
            let name = format!("{}{}.toml", names::LIMITS, regulation.id);
            pack.text(&name, &source.text)?;
            regulations.push(name);
        }
        let first = self.pack_ledger(&mut pack)?;
        pack.text(names::KEYS, &self.keys_before(first)?)?;
        let manifest = Manifest {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: self.now,
            by: self.clerk.by(),
            site: recorded.held.catalog.site.id.clone(),
            first: recorded.period.first(),
            last: recorded.period.last(),
            from: recorded.span.from,
            to: recorded.span.to,
            plant_changes: recorded.plant_changes.clone(),
            catalog: recorded.held.sha256,
            ledger: recorded.ledger.clone(),
            regulations,
            languages: languages.to_vec(),
            files: Vec::new(),
        };
        pack.sign(manifest, &self.key)
    }

    /// Gives the number of the first line.
    fn pack_ledger(&self, pack: &mut Pack) -> anyhow::Result<u64> {
        let recorded = self.recorded;
        let (span, last, draft) = (recorded.span, recorded.ledger.lines, pack.draft());
        let first = pack.add(names::LEDGER, |into| {
            Ok(recorded.reader.export_ledger(span, last, (into, &draft))?)
        })?;
        first.context("the ledger has nothing of this period: there is nothing to seal")
    }

    fn keys_before(&self, line: u64) -> anyhow::Result<String> {
        let mut text = String::new();
        for change in self.recorded.reader.key_lines()?.into_iter().filter(|key| key.line < line) {
            text.push_str(&change.body()?);
            text.push('\n');
        }
        Ok(text)
    }

    /// What came into the ledger after the report was computed and before it was sealed is neither in the report nor a
    /// correction to it.
    fn ensure_nothing_came_between(&self) -> anyhow::Result<()> {
        let span = self.recorded.span;
        let (mut sealed, mut between) = (false, 0);
        self.recorded.reader.book_behind(self.recorded.ledger.lines, |line| match &line.entry {
            Entry::Posting(Posting::Seal(_)) => sealed = true,
            Entry::Quarter(quarter) if !sealed && span.contains(quarter.start) => between += 1,
            Entry::Posting(Posting::Correction(correction))
                if !sealed && correction.start < span.to =>
            {
                between += 1;
            }
            _ => {}
        })?;
        if between > 0 {
            bail!("{between} lines of the period came into the ledger meanwhile: seal it again");
        }
        Ok(())
    }
}
