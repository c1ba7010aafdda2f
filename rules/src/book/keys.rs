//! Which key speaks for a ledger, and how it came to that.

use thiserror::Error;

use super::{KeyChange, KeyEvent};
use crate::signing::PublicKey;

/// The key in force after some changes, taken in the order of the ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keys {
    in_force: Option<PublicKey>,
    handed_over: bool,
    changes: Vec<KeyChange>,
}

/// A change that nothing stands behind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Untrusted {
    #[error("there is a key already: rotate it, or declare it lost")]
    Second,
    #[error("there is no key yet: create one")]
    None,
    #[error("the key before is not the one in force")]
    OtherBefore,
    #[error("the key before does not vouch for the new one")]
    NotVouched,
    #[error("this ledger was handed over: it goes on on the other gateway")]
    HandedOver,
    #[error("a ledger is taken over before it has a key of its own, once")]
    TooLate,
}

impl Keys {
    /// The key that signs now; `None` before the first one, and after a handover.
    pub fn in_force(&self) -> Option<PublicKey> {
        self.in_force.filter(|_| !self.handed_over)
    }

    pub fn is_handed_over(&self) -> bool {
        self.handed_over
    }

    /// All changes, oldest first.
    pub fn changes(&self) -> &[KeyChange] {
        &self.changes
    }

    /// Takes a change, if it follows from what is in force. A lost key is exchanged without one that vouches: whoever
    /// reads the ledger sees that, and has to ask.
    ///
    /// # Errors
    /// Why it does not follow; then nothing changed.
    pub fn take(&mut self, change: &KeyChange) -> Result<(), Untrusted> {
        self.check(change)?;
        match change.event {
            KeyEvent::HandedOver => self.handed_over = true,
            KeyEvent::Created | KeyEvent::Rotated | KeyEvent::Lost | KeyEvent::TakenOver => {
                self.in_force = Some(change.key);
            }
        }
        self.changes.push(change.clone());
        Ok(())
    }

    fn check(&self, change: &KeyChange) -> Result<(), Untrusted> {
        if self.handed_over {
            return Err(Untrusted::HandedOver);
        }
        match (change.event, self.in_force) {
            (KeyEvent::Created, None) => Ok(()),
            (KeyEvent::Created, Some(_)) => Err(Untrusted::Second),
            (KeyEvent::TakenOver, in_force) => {
                let own = in_force.is_none_or(|key| key == change.key);
                let again = self.changes.iter().any(|known| known.event == KeyEvent::TakenOver);
                match () {
                    () if again || !own => Err(Untrusted::TooLate),
                    () if !change.is_vouched() => Err(Untrusted::NotVouched),
                    () => Ok(()),
                }
            }
            (KeyEvent::Rotated | KeyEvent::Lost | KeyEvent::HandedOver, None) => {
                Err(Untrusted::None)
            }
            (_, in_force) if change.before != in_force => Err(Untrusted::OtherBefore),
            (KeyEvent::Lost, _) => Ok(()),
            (KeyEvent::Rotated | KeyEvent::HandedOver, _) if change.is_vouched() => Ok(()),
            (KeyEvent::Rotated | KeyEvent::HandedOver, _) => Err(Untrusted::NotVouched),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::SigningKey;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32]).unwrap()
    }

    fn change(event: KeyEvent, to: u8, before: Option<u8>) -> KeyChange {
        KeyChange {
            event,
            key: key(to).public(),
            before: before.map(|seed| key(seed).public()),
            reason: "because".to_owned(),
            by: "ada".to_owned(),
            continues: None,
            vouched: None,
        }
    }

    fn after(changes: &[KeyChange]) -> Keys {
        let mut keys = Keys::default();
        for change in changes {
            keys.take(change).unwrap();
        }
        keys
    }

    #[test]
    fn a_rotated_key_is_vouched_for_by_the_one_before() {
        let first = change(KeyEvent::Created, 1, None);
        let rotated = change(KeyEvent::Rotated, 2, None).vouched(&key(1)).unwrap();
        let keys = after(&[first.clone(), rotated.clone()]);
        assert_eq!(keys.in_force(), Some(key(2).public()));
        let mut keys = after(std::slice::from_ref(&first));
        let unvouched = change(KeyEvent::Rotated, 2, Some(1));
        assert_eq!(keys.take(&unvouched), Err(Untrusted::NotVouched));
        let other = change(KeyEvent::Rotated, 3, None).vouched(&key(2)).unwrap();
        assert_eq!(keys.take(&other), Err(Untrusted::OtherBefore));
        let tampered = KeyChange { key: key(9).public(), ..rotated };
        assert_eq!(keys.take(&tampered), Err(Untrusted::NotVouched));
        assert_eq!(keys.in_force(), Some(key(1).public()));
    }

    #[test]
    fn a_lost_key_is_exchanged_without_it_and_a_second_first_key_is_refused() {
        let mut keys = after(&[change(KeyEvent::Created, 1, None)]);
        assert_eq!(keys.take(&change(KeyEvent::Created, 2, None)), Err(Untrusted::Second));
        keys.take(&change(KeyEvent::Lost, 2, Some(1))).unwrap();
        assert_eq!(keys.in_force(), Some(key(2).public()));
        assert_eq!(Keys::default().take(&change(KeyEvent::Lost, 2, None)), Err(Untrusted::None));
    }

    #[test]
    fn a_ledger_that_was_handed_over_has_no_key_and_takes_no_more() {
        let handed = change(KeyEvent::HandedOver, 2, None).vouched(&key(1)).unwrap();
        let mut keys = after(&[change(KeyEvent::Created, 1, None), handed]);
        assert_eq!(keys.in_force(), None);
        let rotated = change(KeyEvent::Rotated, 3, None).vouched(&key(1)).unwrap();
        assert_eq!(keys.take(&rotated), Err(Untrusted::HandedOver));
    }

    #[test]
    fn a_ledger_is_taken_over_once_with_the_word_of_the_old_key() {
        let taken = change(KeyEvent::TakenOver, 2, None).vouched(&key(1)).unwrap();
        let mut keys = after(&[change(KeyEvent::Created, 2, None), taken.clone()]);
        assert_eq!(keys.take(&taken), Err(Untrusted::TooLate));
        let mut keys = after(&[change(KeyEvent::Created, 3, None)]);
        assert_eq!(keys.take(&taken), Err(Untrusted::TooLate));
        let unvouched = change(KeyEvent::TakenOver, 3, Some(1));
        assert_eq!(keys.take(&unvouched), Err(Untrusted::NotVouched));
    }
}
