//! What a sealed report consists of, so that whoever has it can compute everything again.
//!
//! A bundle is a folder of files, most often as one ZIP archive. [`Manifest`] names each with its hash; the gateway's key
//! signs the bytes of the manifest. [`names`] says which file is what.

use chrono::{DateTime, NaiveDate, Utc};
use rules::{calendar::Span, chain::Hash, ratio::Period, signing::PublicKey};
use serde::{Deserialize, Serialize};

use crate::{compliance::LedgerState, language::Language};

/// Version of [`Manifest`] as JSON. Within one, members are added and never renamed.
pub const SCHEMA: u32 = 1;

/// The files of a bundle.
pub mod names {
    /// The manifest itself, and the signature under its bytes.
    pub const MANIFEST: &str = "manifest.json";
    pub const SIGNATURE: &str = "signature.json";
    /// The report.
    pub const JSON: &str = "report.json";
    pub const CSV: &str = "report.csv";
    /// Lines of the ledger, without gaps, from the first that the report rests on to the newest at the time.
    pub const LEDGER: &str = "ledger.jsonl";
    /// What became of the key before the first of these lines, one change a line.
    pub const KEYS: &str = "keys.jsonl";
    /// The plant with the records of its meters.
    pub const CATALOG: &str = "catalog.json";
    /// One file for each text that was followed or judged by.
    pub const LIMITS: &str = "limits/";
}

/// The report for people in one language.
pub fn html_name(language: Language) -> String {
    match language {
        Language::English => "report.html".to_owned(),
        Language::Chinese => format!("report.{}.html", language.tag()),
    }
}

/// A sealed report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub schema: u32,
    /// Of the program that made it: the same version computes the same files, to the byte.
    pub version: String,
    pub made_at: DateTime<Utc>,
    pub by: String,
    /// Identifier of the site.
    pub site: String,
    pub first: NaiveDate,
    pub last: NaiveDate,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// When another plant came into force within the period.
    pub plant_changes: Vec<DateTime<Utc>>,
    /// Of the text of the catalog.
    pub catalog: Hash,
    /// The ledger behind the report, with the key that signs and the heads that were published outside.
    pub ledger: LedgerState,
    /// The main one first, each a file under [`names::LIMITS`].
    pub regulations: Vec<String>,
    pub languages: Vec<Language>,
    /// All other files but the signature.
    pub files: Vec<Member>,
}

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub name: String,
    pub bytes: u64,
    pub sha256: Hash,
}

impl Manifest {
    /// # Errors
    /// When the days are no period that a report can be of.
    pub fn period(&self) -> Result<Period, rules::ratio::PeriodError> {
        Period::new(self.first, self.last)
    }

    pub fn span(&self) -> Span {
        Span { from: self.from, to: self.to }
    }

    pub fn key(&self) -> Option<PublicKey> {
        self.ledger.key
    }
}
