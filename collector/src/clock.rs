//! The clock that stamps samples.

use std::time::{Duration, Instant};

use rules::time::Mono;
use tokio::time;

/// The gateway's monotonic clock. It begins at [`Mono::START`], so that what happened before the start, in an earlier
/// run or at a publisher, has a place on it too.
#[derive(Clone, Copy, Debug)]
pub struct MonoClock {
    start: Instant,
}

impl MonoClock {
    /// Starts at [`Mono::START`] now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub fn now(self) -> Mono {
        Mono::START.plus(self.start.elapsed())
    }

    /// The first multiple of `every` since the gateway started that lies after `now`.
    pub(crate) fn next_tick(self, every: Duration, now: time::Instant) -> time::Instant {
        let start = time::Instant::from_std(self.start);
        let elapsed = now.saturating_duration_since(start);
        let ticks = elapsed.as_nanos() / every.as_nanos().max(1) + 1;
        let next = every.as_nanos().saturating_mul(ticks);
        start + Duration::from_nanos(u64::try_from(next).unwrap_or(u64::MAX))
    }
}
