//! Goes through the ledger of a bundle once: whether its lines follow one another, who signed what, and what the report
//! has to be.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufReader, Read},
};

use anyhow::{Context, anyhow};
use chrono::TimeDelta;
use reports::{
    compliance::{Audit, Compliance, Question},
    manifest::names,
};
use rules::{
    book::{Entry, Keys, Line, Posting},
    calendar::Span,
    chain::{Broken, Chain, Hash},
    ledger::INTERVAL,
};
use store::ExportLines;

use super::folder::Folder;

/// Is told how much is done, and of how much.
pub(crate) type OnProgress<'a> = &'a mut dyn FnMut(u64, u64);

/// What the ledger of a bundle says.
pub(super) struct Recount {
    /// Before the first line, and up to the last that fits.
    pub(super) before: Chain,
    pub(super) fits: Chain,
    pub(super) broken: Option<Broken>,
    /// Of the lines that were asked for and are there, also of the one before the first.
    pub(super) heads: BTreeMap<u64, Hash>,
    pub(super) keys: Keys,
    /// What is wrong with changes of the key and with signatures under corrections and seals.
    pub(super) faults: Vec<String>,
    /// How many signatures were checked.
    pub(super) signatures: u64,
    /// `None` where no question was asked, or a line is broken.
    pub(super) answer: Option<Compliance>,
}

/// Reads the ledger, and answers the question from it.
pub(super) fn recount(
    folder: &mut Folder,
    keys: Keys,
    question: Option<Question<'_>>,
    period: Span,
    wanted: &BTreeSet<u64>,
    progress: OnProgress<'_>,
) -> anyhow::Result<Recount> {
    let audit = question.map(Audit::new).transpose()?;
    folder.read(names::LEDGER, |from| read(from, keys, audit, (period, wanted), progress))
}

fn read(
    from: &mut dyn Read,
    keys: Keys,
    mut audit: Option<Audit<'_>>,
    (period, wanted): (Span, &BTreeSet<u64>),
    progress: OnProgress<'_>,
) -> anyhow::Result<Recount> {
    let lines = ExportLines::open(BufReader::new(from))?;
    let mut lines = lines.context("it is no export of a ledger")?;
    let before = lines.fits();
    let heads = wanted.contains(&before.lines).then_some((before.lines, before.head));
    let mut found = Recount {
        before,
        fits: before,
        broken: None,
        heads: heads.into_iter().collect(),
        keys,
        faults: Vec::new(),
        signatures: 0,
        answer: None,
    };
    loop {
        let line = match lines.next_line()? {
            None => break,
            Some(Ok((number, body))) => {
                Line::read(body).with_context(|| format!("line {number} of the ledger"))?
            }
            Some(Err(broken)) => {
                found.broken = Some(broken);
                break;
            }
        };
        found.fits = lines.fits();
        if wanted.contains(&line.line) {
            found.heads.insert(line.line, found.fits.head);
        }
        found.take(&line);
        if let (true, Some(audit)) = (concerns(&line, period), &mut audit) {
            audit.take(&line).map_err(|why| anyhow!("line {} of the ledger {why}", line.line))?;
        }
        show(progress, &line, period);
    }
    found.answer = audit.filter(|_| found.broken.is_none()).map(Audit::finish);
    Ok(found)
}

/// The same lines as a gateway reads for a report: all but the quarter-hours of other periods.
fn concerns(line: &Line, period: Span) -> bool {
    match &line.entry {
        Entry::Quarter(quarter) => {
            period.from - INTERVAL <= quarter.start && quarter.start < period.to
        }
        Entry::Meters(_) | Entry::Posting(_) => true,
    }
}

fn show(progress: OnProgress<'_>, line: &Line, period: Span) {
    if let Entry::Quarter(quarter) = &line.entry {
        let seconds = |length: TimeDelta| length.num_seconds().unsigned_abs();
        let (done, all) = (seconds(quarter.start - period.from), seconds(period.length()));
        progress(done.min(all), all);
    }
}

impl Recount {
    fn take(&mut self, line: &Line) {
        let Entry::Posting(posting) = &line.entry else { return };
        let (signature, genuine) = match posting {
            Posting::Key(change) => {
                if let Err(fault) = self.keys.take(change) {
                    self.faults.push(format!("line {}, a change of the key: {fault}", line.line));
                }
                return;
            }
            Posting::Correction(correction) => {
                (correction.signature.as_ref(), correction.is_genuine())
            }
            Posting::Seal(seal) => (seal.signature.as_ref(), seal.is_genuine()),
        };
        let fault = match (signature, self.keys.in_force()) {
            (None, None) => return,
            (None, Some(_)) => "is not signed, although there was a key",
            (Some(signature), key) if key != Some(signature.key) => {
                "is not signed by the key that was in force"
            }
            (Some(_), _) if genuine != Some(true) => "has a signature of another text",
            (Some(_), _) => {
                self.signatures += 1;
                return;
            }
        };
        self.faults.push(format!("line {} {fault}", line.line));
    }
}
