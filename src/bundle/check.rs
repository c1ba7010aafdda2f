//! Checks a bundle: the signature, every file, the chain of the ledger and its heads elsewhere, and the report itself, which
//! is computed again from all that lies beside it.

use std::{
    collections::BTreeSet,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context, anyhow, ensure};
use configs::{fault::Source, limits_file};
use reports::{
    compliance::{AnchorLine, Compliance, Question},
    difference::differences,
    manifest::{self, Manifest, Member, names},
    render,
};
use rules::{
    book::{Entry, KeyEvent, Keys, Line, Posting, Signature},
    chain::{Chain, Hash, Hasher},
    limits::Regulation,
    signing::{PublicKey, is_signed},
};
use serde::Serialize;
use serde_json::Value;
use store::record::Catalog;

use super::{
    folder::Folder,
    recount::{OnProgress, Recount, recount},
};

/// What whoever checks knows by another way than the bundle took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Known<'a> {
    pub(crate) key: Option<PublicKey>,
    pub(crate) anchors: Option<&'a [Chain]>,
}

/// A bundle after all checks.
pub(crate) struct Checked {
    pub(crate) manifest: Manifest,
    pub(crate) findings: Vec<Finding>,
    /// The report as it was computed again.
    pub(crate) answer: Option<Compliance>,
}

/// What one check found.
#[derive(Serialize)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) holds: bool,
    pub(crate) told: String,
}

/// What can be wrong with one thing: the first places, in words.
type Outcome = Result<String, String>;

impl Checked {
    pub(crate) fn holds(&self) -> bool {
        self.findings.iter().all(|finding| finding.holds)
    }

    fn note(&mut self, check: &'static str, outcome: Outcome) {
        let holds = outcome.is_ok();
        let told = outcome.unwrap_or_else(|fault| fault);
        self.findings.push(Finding { check, holds, told });
    }
}

/// # Errors
/// When it is no bundle, or one that this program cannot read.
pub(crate) fn check(
    path: &Path,
    known: Known<'_>,
    progress: OnProgress<'_>,
) -> anyhow::Result<Checked> {
    let mut folder = Folder::open(path)?;
    let text = folder.text(names::MANIFEST).with_context(|| {
        format!("{} is no sealed report: expected what report --seal writes", path.display())
    })?;
    let manifest: Manifest =
        serde_json::from_str(&text).context("the manifest is no manifest: it was altered")?;
    ensure!(
        manifest.schema == manifest::SCHEMA,
        "the bundle has schema {}, and this program reads {}: it was made by coldwatch {}",
        manifest.schema,
        manifest::SCHEMA,
        manifest.version
    );
    let mut checked = Checked { manifest, findings: Vec::new(), answer: None };
    let signature = signature(&mut folder, &text, &checked.manifest, known.key);
    checked.note("signature", signature);
    let members = members(&mut folder, &checked.manifest);
    checked.note("files", members);
    match recompute(&mut folder, &checked.manifest, known.anchors, progress) {
        Ok((found, question)) => judge(&mut checked, &mut folder, found, question, known.anchors),
        Err(fault) => checked.note("ledger", Err(format!("{fault:#}"))),
    }
    Ok(checked)
}

fn signature(
    folder: &mut Folder,
    text: &str,
    manifest: &Manifest,
    known: Option<PublicKey>,
) -> Outcome {
    let read = folder.text(names::SIGNATURE).map_err(|fault| format!("{fault:#}"))?;
    let Signature { key, value } = serde_json::from_str(&read)
        .map_err(|fault| format!("{} is no signature: {fault}", names::SIGNATURE))?;
    if !is_signed(&key, text.as_bytes(), &value) {
        return Err(format!("{} or its signature was altered", names::MANIFEST));
    }
    if manifest.key() != Some(key) {
        return Err(format!("it is signed by {key}, which is not the key that it speaks of"));
    }
    match known {
        Some(known) if known != key => {
            Err(format!("it is signed by {key}, and not by the key that you were given"))
        }
        Some(_) => Ok(format!("by the key that you were given, {key}")),
        None => Ok(format!("by {key}: compare it with the key that you were given, or use --key")),
    }
}

/// Every file is there, is the one that was sealed, and there is no other.
fn members(folder: &mut Folder, manifest: &Manifest) -> Outcome {
    let there = folder.names().map_err(|fault| format!("{fault:#}"))?;
    let mut faults = Vec::new();
    for Member { name, bytes, sha256 } in &manifest.files {
        match folder.read(name, |from| Ok(measure(from)?)) {
            Ok(found) if found == (*bytes, *sha256) => {}
            Ok(_) => faults.push(format!("{name} was altered")),
            Err(fault) => faults.push(format!("{fault:#}")),
        }
    }
    let own = [names::MANIFEST, names::SIGNATURE];
    let strange = there.iter().filter(|name| {
        !own.contains(&name.as_str()) && manifest.files.iter().all(|file| file.name != **name)
    });
    faults.extend(strange.map(|name| format!("{name} was not sealed with the others")));
    if faults.is_empty() {
        Ok(format!("{} files are those that were sealed", manifest.files.len()))
    } else {
        Err(faults.join("; "))
    }
}

fn measure(from: &mut dyn Read) -> io::Result<(u64, Hash)> {
    let (mut hasher, mut bytes, mut block) = (Hasher::default(), 0, vec![0; 1 << 16]);
    loop {
        let read = from.read(&mut block)?;
        if read == 0 {
            return Ok((bytes, hasher.finish()));
        }
        hasher.add(&block[..read]);
        bytes += read as u64;
    }
}

/// Goes through the ledger. Where the question cannot be put, it says why, and the ledger is checked all the same.
fn recompute(
    folder: &mut Folder,
    manifest: &Manifest,
    anchors: Option<&[Chain]>,
    progress: OnProgress<'_>,
) -> anyhow::Result<(Recount, Outcome)> {
    let printed = manifest.ledger.anchors.iter().map(|anchor| anchor.line);
    let given = anchors.unwrap_or_default().iter().map(|anchor| anchor.lines);
    let wanted: BTreeSet<u64> = printed.chain(given).collect();
    let keys = keys_before(folder)?;
    let inputs = catalog(folder, manifest).and_then(|catalog| {
        let regulations: anyhow::Result<Vec<Regulation>> =
            manifest.regulations.iter().map(|name| regulation(folder, name)).collect();
        Ok((catalog, regulations?, manifest.period()?))
    });
    let (question, outcome) = match &inputs {
        Ok((catalog, regulations, period)) => {
            let question = Question {
                site: &catalog.site,
                plant: &catalog.plant,
                period: *period,
                asked_at: manifest.made_at,
                version: &manifest.version,
                regulations,
                plant_changes: manifest.plant_changes.clone(),
                catalog: manifest.catalog,
                ledger: Some(manifest.ledger.clone()),
            };
            (Some(question), Ok(String::new()))
        }
        Err(fault) => (None, Err(format!("it cannot be computed again: {fault:#}"))),
    };
    let found = recount(folder, keys, question, manifest.span(), &wanted, progress)?;
    Ok((found, outcome))
}

fn keys_before(folder: &mut Folder) -> anyhow::Result<Keys> {
    let text = folder.text(names::KEYS)?;
    let mut keys = Keys::default();
    for line in text.lines() {
        let read = Line::read(line).with_context(|| format!("a line of {}", names::KEYS))?;
        if let Entry::Posting(Posting::Key(change)) = &read.entry {
            // The gateway left out what nothing stands behind, too.
            let _ = keys.take(change);
        }
    }
    Ok(keys)
}

fn catalog(folder: &mut Folder, manifest: &Manifest) -> anyhow::Result<Catalog> {
    let text = folder.text(names::CATALOG)?;
    ensure!(
        Hash::of(text.as_bytes()) == manifest.catalog,
        "{} is not the plant that the ledger is of",
        names::CATALOG
    );
    serde_json::from_str(&text).with_context(|| format!("{} is no catalog", names::CATALOG))
}

fn regulation(folder: &mut Folder, name: &str) -> anyhow::Result<Regulation> {
    let source = Source { name: name.into(), text: folder.text(name)?.into() };
    limits_file::read(&source).map_err(|faults| {
        let first = faults.first().map(|fault| fault.message.clone()).unwrap_or_default();
        anyhow!("{name} cannot be used: {first}")
    })
}

fn judge(
    checked: &mut Checked,
    folder: &mut Folder,
    mut found: Recount,
    question: Outcome,
    given: Option<&[Chain]>,
) {
    let manifest = checked.manifest.clone();
    checked.note("ledger", ledger(&found, &manifest));
    checked.note("keys", keys(&found, &manifest));
    checked.note("anchors", anchors(&found, &manifest.ledger.anchors, given));
    let answer = found.answer.take();
    match (&answer, question) {
        (_, Err(fault)) => checked.note("figures", Err(fault)),
        (None, Ok(_)) => {
            checked.note("figures", Err("a broken ledger carries no report".to_owned()));
        }
        (Some(answer), Ok(_)) => {
            checked.note("figures", figures(folder, answer, &manifest));
            checked.note("documents", documents(folder, answer, &manifest));
        }
    }
    checked.answer = answer;
}

fn ledger(found: &Recount, manifest: &Manifest) -> Outcome {
    if let Some(broken) = &found.broken {
        return Err(broken.to_string());
    }
    let noted = Chain { lines: manifest.ledger.lines, head: manifest.ledger.head };
    found.fits.ends_as(&noted).map_err(|broken| broken.to_string())?;
    let first = found.before.lines + 1;
    Ok(format!("lines {first} to {} follow one another to {}", noted.lines, noted.head))
}

fn keys(found: &Recount, manifest: &Manifest) -> Outcome {
    let mut faults = found.faults.clone();
    if found.broken.is_none() && found.keys.in_force() != manifest.key() {
        faults.push("the key that signed is not the one that the ledger has".to_owned());
    }
    if !faults.is_empty() {
        return Err(faults.join("; "));
    }
    let changes = found.keys.changes();
    let lost = changes.iter().filter(|change| change.event == KeyEvent::Lost).count();
    let lost = match lost {
        0 => String::new(),
        times => format!("; declared lost: {times}, ask why"),
    };
    let told =
        format!("key changes: {}; signatures in the ledger: {}", changes.len(), found.signatures);
    Ok(told + &lost)
}

fn anchors(found: &Recount, printed: &[AnchorLine], given: Option<&[Chain]>) -> Outcome {
    let printed: Vec<Chain> =
        printed.iter().map(|anchor| Chain { lines: anchor.line, head: anchor.head }).collect();
    let compare = |anchors: &[Chain]| {
        let mut met = 0;
        for anchor in anchors {
            match found.heads.get(&anchor.lines) {
                Some(head) if *head == anchor.head => met += 1,
                Some(_) => {
                    return Err(format!(
                        "line {} is not the one that was anchored: the ledger was written anew",
                        anchor.lines
                    ));
                }
                None => {}
            }
        }
        Ok(met)
    };
    let own = compare(&printed)?;
    let Some(given) = given else {
        return Ok(format!(
            "{own} that the report prints; what was kept outside was not asked: use --anchors"
        ));
    };
    match compare(given)? {
        0 => Err(format!(
            "none of the {} that you gave is of lines {} to {}",
            given.len(),
            found.before.lines,
            found.fits.lines
        )),
        met => {
            Ok(format!("{met} of the {} that you gave, {own} that the report prints", given.len()))
        }
    }
}

fn figures(folder: &mut Folder, answer: &Compliance, manifest: &Manifest) -> Outcome {
    const SHOWN: usize = 3;
    let sealed = folder.text(names::JSON).map_err(|fault| format!("{fault:#}"))?;
    let again = render::json(answer).map_err(|fault| fault.to_string())?;
    if sealed == again {
        return Ok(format!("{} follows from the ledger", names::JSON));
    }
    let sealed: Value = serde_json::from_str(&sealed)
        .map_err(|fault| format!("{} is no report: {fault}", names::JSON))?;
    let again: Value = serde_json::from_str(&again).map_err(|fault| fault.to_string())?;
    let found = differences(&sealed, &again);
    let shown: Vec<String> = found.iter().take(SHOWN).map(ToString::to_string).collect();
    let by_other = if manifest.version == env!("CARGO_PKG_VERSION") {
        String::new()
    } else {
        format!("; it was made by coldwatch {}: check it with that one", manifest.version)
    };
    Err(match shown.as_slice() {
        [] => format!("{} is written in another way than it was sealed", names::JSON),
        _ => format!(
            "{} says something else than the ledger, in {} places (sealed / computed): {}{by_other}",
            names::JSON,
            found.len(),
            shown.join("; ")
        ),
    })
}

/// What people read says the same.
fn documents(folder: &mut Folder, answer: &Compliance, manifest: &Manifest) -> Outcome {
    let pages = manifest
        .languages
        .iter()
        .map(|language| (manifest::html_name(*language), render::html(answer, *language)));
    let all: Vec<(String, String)> =
        pages.chain([(names::CSV.to_owned(), render::csv(answer))]).collect();
    for (name, again) in &all {
        let sealed = folder.text(name).map_err(|fault| format!("{fault:#}"))?;
        if sealed != *again {
            let lines = sealed.lines().zip(again.lines());
            let line = 1 + lines.take_while(|(one, other)| one == other).count();
            return Err(format!("{name} says something else than the ledger, from line {line} on"));
        }
    }
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    Ok(format!("{} follow from the ledger", names.join(", ")))
}
