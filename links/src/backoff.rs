//! How long to wait before the next attempt: exponential with full jitter, so that a hall of links which lost the same
//! switch does not come back in one burst.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Shortest wait, and the upper bound of the first one.
pub const FLOOR: Duration = Duration::from_millis(250);

/// Longest wait.
pub const CEILING: Duration = Duration::from_secs(30);

/// Waits between a floor and a bound that doubles with every failure up to a ceiling. The same seed gives the same waits.
#[derive(Clone, Debug)]
pub struct Backoff {
    random: ChaCha8Rng,
    floor: Duration,
    ceiling: Duration,
    bound: Duration,
}

impl Backoff {
    /// Between [`FLOOR`] and [`CEILING`].
    pub fn new(seed: u64) -> Self {
        Self::between(seed, FLOOR, CEILING)
    }

    /// For those whom somebody is waiting for.
    pub fn with_ceiling(seed: u64, ceiling: Duration) -> Self {
        Self::between(seed, FLOOR, ceiling)
    }

    /// For another side that is to be left in peace for longer. A ceiling below the floor counts as the floor.
    pub fn between(seed: u64, floor: Duration, ceiling: Duration) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self { random, floor, ceiling: ceiling.max(floor), bound: floor }
    }

    /// The wait after one more failure.
    pub fn after_failure(&mut self) -> Duration {
        let wait = self.random.random_range(self.floor..=self.bound);
        self.bound = (self.bound * 2).min(self.ceiling);
        wait
    }

    /// To be called when the other side proved to be alive, not merely when it let us connect.
    pub fn reset(&mut self) {
        self.bound = self.floor;
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
    fn other_bounds_can_be_given() {
        let (floor, ceiling) = (Duration::from_secs(1), Duration::from_mins(5));
        let mut backoff = Backoff::between(7, floor, ceiling);
        assert_eq!(backoff.after_failure(), floor);
        let waits: Vec<_> = (0..200).map(|_| backoff.after_failure()).collect();
        assert!(waits.iter().all(|wait| (floor..=ceiling).contains(wait)));
        assert!(waits.iter().any(|wait| *wait > ceiling / 2));
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
