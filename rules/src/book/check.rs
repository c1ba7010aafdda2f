//! What may be posted.

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

use super::{Correction, Keys, Posting, Seal, Signature, Untrusted};
use crate::{
    ledger::{INTERVAL, interval_start},
    plant::{AssetKind, Plant},
};

/// A correction is of a month at most: of more there are several, so that none is large.
pub const CORRECTION_AT_MOST: TimeDelta = TimeDelta::days(32);
const TEXT_CHARS_MAX: usize = 500;

/// Why something is not posted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    #[error("there is no meter \"{0}\" in the plant")]
    NoMeter(String),
    #[error("a correction begins with a quarter-hour, such as 12:15")]
    NotAligned,
    #[error("a correction has amounts for one quarter-hour at least and 32 days at most")]
    Length,
    #[error("an amount is a number, and not below zero")]
    Amount,
    #[error("it is about a time that is not over")]
    NotOver,
    #[error("say why and who: a reason and a name, each of one line")]
    NoReason,
    #[error("it is not signed, and this ledger has a key")]
    NotSigned,
    #[error("it is not signed by the key in force")]
    OtherKey,
    #[error("its signature is of another text")]
    Forged,
    #[error(transparent)]
    Key(#[from] Untrusted),
}

impl Posting {
    /// Whether it may be posted now, to a ledger with these keys, about this plant.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check(&self, plant: &Plant, keys: &Keys, now: DateTime<Utc>) -> Result<(), Unfit> {
        match self {
            Self::Correction(correction) => correction.check(plant, keys, now),
            Self::Seal(seal) => seal.check(keys, now),
            Self::Key(change) => {
                told(&change.reason, &change.by)?;
                Ok(keys.clone().take(change)?)
            }
        }
    }
}

impl Correction {
    fn check(&self, plant: &Plant, keys: &Keys, now: DateTime<Utc>) -> Result<(), Unfit> {
        told(&self.reason, &self.by)?;
        if !plant.of_kind(AssetKind::Meter).any(|meter| plant.asset(meter).name == self.meter) {
            return Err(Unfit::NoMeter(self.meter.to_string()));
        }
        if interval_start(self.start) != self.start {
            return Err(Unfit::NotAligned);
        }
        let length = i32::try_from(self.amounts.len()).map_or(TimeDelta::MAX, |n| INTERVAL * n);
        if self.amounts.is_empty() || length > CORRECTION_AT_MOST {
            return Err(Unfit::Length);
        }
        if self.start + length > now {
            return Err(Unfit::NotOver);
        }
        let sound = |amount: &f64| amount.is_finite() && *amount >= 0.0;
        if !self.amounts.iter().flatten().all(sound) {
            return Err(Unfit::Amount);
        }
        match keys.in_force() {
            None if self.signature.is_none() => Ok(()),
            _ => signed(self.signature.as_ref(), self.is_genuine(), keys),
        }
    }
}

impl Seal {
    fn check(&self, keys: &Keys, now: DateTime<Utc>) -> Result<(), Unfit> {
        told("sealed", &self.by)?;
        if self.to > now {
            return Err(Unfit::NotOver);
        }
        signed(self.signature.as_ref(), self.is_genuine(), keys)
    }
}

fn signed(signature: Option<&Signature>, genuine: Option<bool>, keys: &Keys) -> Result<(), Unfit> {
    let signature = signature.ok_or(Unfit::NotSigned)?;
    if keys.in_force() != Some(signature.key) {
        return Err(Unfit::OtherKey);
    }
    if genuine == Some(true) { Ok(()) } else { Err(Unfit::Forged) }
}

fn told(reason: &str, by: &str) -> Result<(), Unfit> {
    let sound = |text: &str| {
        !text.trim().is_empty()
            && text.chars().count() <= TEXT_CHARS_MAX
            && !text.chars().any(char::is_control)
    };
    if sound(reason) && sound(by) { Ok(()) } else { Err(Unfit::NoReason) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        book::{Cause, KeyChange, KeyEvent},
        ledger::Method,
        plant::{Asset, Carrier, Detail, Meter, Role},
        signing::SigningKey,
    };

    fn plant() -> Plant {
        let meter = Meter {
            role: Role::BoundaryIn,
            carrier: Carrier::Electricity,
            category: None,
            feed: None,
            serial: None,
            model: None,
            twin: None,
            share: None,
            accuracy_percent: None,
            ct_ratio: None,
            ct_accuracy_percent: None,
            register_step_kwh: 0.1,
            register_modulus_kwh: None,
            register_float32: false,
            max_power_kw: 100.0,
            calibrated_on: None,
        };
        let detail = Detail::Meter(meter);
        let asset = Asset { name: "utility".into(), kind: AssetKind::Meter, title: None, detail };
        let mut plant = Plant::default();
        plant.add_asset(asset);
        plant
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn correction() -> Correction {
        Correction {
            meter: "utility".into(),
            start: at("2026-10-01T12:15:00Z"),
            amounts: vec![Some(2.5), None],
            method: Method::Estimated,
            cause: Cause::Manual,
            uncertainty: None,
            first: None,
            last: None,
            reason: "the meter stood still".to_owned(),
            by: "ada".to_owned(),
            signature: None,
        }
    }

    fn checked(correction: Correction, keys: &Keys) -> Result<(), Unfit> {
        let now = at("2026-10-01T12:45:00Z");
        Posting::Correction(correction).check(&plant(), keys, now)
    }

    #[test]
    fn a_correction_of_whole_quarter_hours_that_are_over_is_posted() {
        let keys = Keys::default();
        assert_eq!(checked(correction(), &keys), Ok(()));
        let wrong = [
            (
                Correction { meter: "nobody".into(), ..correction() },
                Unfit::NoMeter("nobody".into()),
            ),
            (Correction { start: at("2026-10-01T12:20:00Z"), ..correction() }, Unfit::NotAligned),
            (Correction { start: at("2026-10-01T12:30:00Z"), ..correction() }, Unfit::NotOver),
            (Correction { amounts: Vec::new(), ..correction() }, Unfit::Length),
            (Correction { amounts: vec![Some(0.0); 3073], ..correction() }, Unfit::Length),
            (Correction { amounts: vec![Some(-0.1)], ..correction() }, Unfit::Amount),
            (Correction { amounts: vec![Some(f64::NAN)], ..correction() }, Unfit::Amount),
            (Correction { reason: " ".to_owned(), ..correction() }, Unfit::NoReason),
            (Correction { by: "a\nb".to_owned(), ..correction() }, Unfit::NoReason),
        ];
        for (correction, why) in wrong {
            assert_eq!(checked(correction, &keys), Err(why));
        }
    }

    #[test]
    fn where_there_is_a_key_a_correction_is_signed_by_it() {
        let key = |seed| SigningKey::from_seed(&[seed; 32]).unwrap();
        let mut keys = Keys::default();
        let created = KeyChange {
            event: KeyEvent::Created,
            key: key(1).public(),
            before: None,
            reason: "first".to_owned(),
            by: "ada".to_owned(),
            continues: None,
            vouched: None,
        };
        keys.take(&created).unwrap();
        assert_eq!(checked(correction(), &keys), Err(Unfit::NotSigned));
        let signed = correction().signed(&key(1)).unwrap();
        assert_eq!(checked(signed.clone(), &keys), Ok(()));
        assert_eq!(checked(correction().signed(&key(2)).unwrap(), &keys), Err(Unfit::OtherKey));
        let forged = Correction { amounts: vec![Some(9.0)], ..signed };
        assert_eq!(checked(forged, &keys), Err(Unfit::Forged));
    }
}
