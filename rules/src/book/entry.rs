//! What a line of the book can say.

use std::{fmt, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::Quarter;
use crate::{
    chain::{Chain, Hash},
    hex::Hex,
    ledger::{Method, RegisterReading},
    signing::{PublicKey, SigningKey, is_signed},
};

/// One entry of the book.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Which meters there are, and in which order the columns of later lines have them.
    Meters(MeterList),
    Quarter(Quarter),
    Posting(Posting),
}

/// What somebody enters, beside what the gateway counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Posting {
    Correction(Correction),
    Seal(Seal),
    Key(KeyChange),
}

/// The meters and other accounts of a plant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeterList {
    /// SHA-256 of the catalog whose plant they are of: roles, serial numbers and classes stand there.
    pub catalog: Hash,
    pub names: Vec<Arc<str>>,
}

/// Amounts that somebody put in the place of those that were recorded. What was recorded stays where it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    pub meter: Arc<str>,
    /// The first quarter-hour.
    pub start: DateTime<Utc>,
    /// Of whole quarter-hours, one after the other, in the meter's unit. `None` withdraws what was recorded.
    pub amounts: Vec<Option<f64>>,
    pub method: Method,
    pub cause: Cause,
    /// Standard uncertainty of the sum; `None` where the meter's class is not declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<f64>,
    /// The register readings that the amounts come from, where they come from any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<RegisterReading>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<RegisterReading>,
    pub reason: String,
    pub by: String,
    /// Ed25519 over the JSON of everything before it, and the public key to check it with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// Why a correction was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The meter was exchanged, and both registers were read while that was done.
    Swap,
    /// Readings from a file: of a time before the gateway, or taken by hand.
    Import,
    /// Somebody knows better.
    Manual,
}

impl Cause {
    pub fn word(self) -> &'static str {
        match self {
            Self::Swap => "swap",
            Self::Import => "import",
            Self::Manual => "manual",
        }
    }
}

/// A signature with the key that checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    pub key: PublicKey,
    pub value: Hex<64>,
}

/// A report was sealed: rows for its period that come later are corrections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seal {
    /// First and last day.
    pub first: NaiveDate,
    pub last: NaiveDate,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// SHA-256 of the manifest of the bundle.
    pub manifest: Hash,
    pub by: String,
    /// Ed25519 over the JSON of everything before it. None only while it is being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// What became of the gateway's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    pub event: KeyEvent,
    /// The key that is in force afterwards.
    pub key: PublicKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<PublicKey>,
    pub reason: String,
    pub by: String,
    /// The end of the other gateway's ledger, which this one goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<Chain>,
    /// By the key before, where it is still at hand: it vouches for the new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouched: Option<Hex<64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyEvent {
    /// The first one.
    Created,
    /// Exchanged, and the old one vouches for the new one.
    Rotated,
    /// The old one is lost, or is no longer trusted: from here on only the new one counts.
    Lost,
    /// This ledger goes on on another gateway, whose key this is.
    HandedOver,
    /// This ledger goes on from that of another gateway.
    TakenOver,
}

impl KeyEvent {
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Rotated => "rotated",
            Self::Lost => "lost",
            Self::HandedOver => "handed over",
            Self::TakenOver => "taken over",
        }
    }
}

impl Posting {
    /// Who entered it.
    pub fn by(&self) -> &str {
        match self {
            Self::Correction(correction) => &correction.by,
            Self::Seal(seal) => &seal.by,
            Self::Key(change) => &change.by,
        }
    }
}

/// In one line, for the journal.
impl fmt::Display for Posting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Correction(Correction { meter, start, amounts, cause, reason, by, .. }) => {
                let (quarters, cause) = (amounts.len(), cause.word());
                write!(
                    f,
                    "{by} corrected {quarters} quarter-hours of {meter} from {start} on ({cause}): {reason}"
                )
            }
            Self::Seal(Seal { first, last, by, .. }) => {
                write!(f, "{by} sealed the report of {first} to {last}")
            }
            Self::Key(KeyChange { event, key, by, reason, .. }) => {
                write!(f, "key {} by {by}, now {key}: {reason}", event.word())
            }
        }
    }
}

impl Correction {
    /// Signs it; an earlier signature is dropped.
    ///
    /// # Errors
    /// When a number in it is not finite.
    pub fn signed(self, key: &SigningKey) -> Result<Self, serde_json::Error> {
        let bare = Self { signature: None, ..self };
        let signature = Some(Signature::of(&bare, key)?);
        Ok(Self { signature, ..bare })
    }

    /// Whether the signature is one of this text; `None` without one.
    pub fn is_genuine(&self) -> Option<bool> {
        let signature = self.signature.as_ref()?;
        Some(signature.is_under(&Self { signature: None, ..self.clone() }))
    }
}

impl Seal {
    /// Signs it; an earlier signature is dropped.
    ///
    /// # Errors
    /// Never with what this type can hold; serde cannot know.
    pub fn signed(self, key: &SigningKey) -> Result<Self, serde_json::Error> {
        let bare = Self { signature: None, ..self };
        let signature = Some(Signature::of(&bare, key)?);
        Ok(Self { signature, ..bare })
    }

    /// Whether the signature is one of this text; `None` without one.
    pub fn is_genuine(&self) -> Option<bool> {
        let signature = self.signature.as_ref()?;
        Some(signature.is_under(&Self { signature: None, ..self.clone() }))
    }
}

impl Signature {
    /// Of the JSON of something.
    fn of(what: &impl Serialize, key: &SigningKey) -> Result<Self, serde_json::Error> {
        let value = key.sign(serde_json::to_string(what)?.as_bytes());
        Ok(Self { key: key.public(), value })
    }

    fn is_under(&self, what: &impl Serialize) -> bool {
        let text = serde_json::to_string(what);
        text.is_ok_and(|text| is_signed(&self.key, text.as_bytes(), &self.value))
    }
}

impl KeyChange {
    /// Has the key before vouch for this change.
    ///
    /// # Errors
    /// Never with what this type can hold; serde cannot know.
    pub fn vouched(self, before: &SigningKey) -> Result<Self, serde_json::Error> {
        let bare = Self { before: Some(before.public()), vouched: None, ..self };
        let value = before.sign(serde_json::to_string(&bare)?.as_bytes());
        Ok(Self { vouched: Some(value), ..bare })
    }

    /// Whether the key before vouches for this change.
    pub fn is_vouched(&self) -> bool {
        let text = serde_json::to_string(&Self { vouched: None, ..self.clone() }).ok();
        let parts = text.zip(self.before).zip(self.vouched);
        parts.is_some_and(|((text, before), vouched)| is_signed(&before, text.as_bytes(), &vouched))
    }
}
