//! How long to wait before the next attempt: exponential with full jitter, so that a hall of links which lost the same
//! switch does not come back in one burst.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Shortest wait, and the upper bound of the first one.
pub const FLOOR: Duration = Duration::from_millis(250);

/// Longest wait.
pub const CEILING: Duration = Duration::from_secs(30);

/// Waits between [`FLOOR`] and a bound that doubles with every failure up to a ceiling. The same seed gives the same
/// waits.
#[derive(Clone, Debug)]
pub struct Backoff {
    random: ChaCha8Rng,
    bound: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// Waits up to [`CEILING`].
    pub fn new(seed: u64) -> Self {
        Self::with_ceiling(seed, CEILING)
    }

    /// For those whom somebody is waiting for.
    pub fn with_ceiling(seed: u64, ceiling: Duration) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), bound: FLOOR, ceiling: ceiling.max(FLOOR) }
    }

    /// The wait after one more failure.
    pub fn after_failure(&mut self) -> Duration {
        let wait = self.random.random_range(FLOOR..=self.bound);
        self.bound = (self.bound * 2).min(self.ceiling);
        wait
    }

    /// To be called when the other side proved to be alive, not merely when it let us connect.
    pub fn reset(&mut self) {
        self.bound = FLOOR;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_between_floor_and_a_doubling_bound() {
        for seed in 0..200 {
            let mut backoff = Backoff::new(seed);
            let mut bound = FLOOR;
            for _ in 0..20 {
                let wait = backoff.after_failure();
                assert!((FLOOR..=bound).contains(&wait), "{wait:?} is beyond {bound:?}");
                bound = (bound * 2).min(CEILING);
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_waits_and_another_seed_others() {
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..10).map(|_| backoff.after_failure()).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }

    #[test]
    fn success_starts_again_at_the_floor() {
        let mut backoff = Backoff::new(1);
        for _ in 0..10 {
            backoff.after_failure();
        }
        backoff.reset();
        assert_eq!(backoff.after_failure(), FLOOR);
    }
}
