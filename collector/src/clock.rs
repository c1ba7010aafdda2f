//! The clock that stamps samples.

use std::time::{Duration, Instant};

use rules::time::Mono;
use tokio::time;

/// The gateway's monotonic clock: time since it started.
#[derive(Clone, Copy, Debug)]
pub struct MonoClock {
    start: Instant,
}

impl MonoClock {
    /// Starts at zero now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub fn now(self) -> Mono {
        Mono(self.start.elapsed())
    }

    /// The instant of [`Mono::ZERO`]; polls are aligned to it.
    pub fn zero(self) -> Instant {
        self.start
    }

    /// The first multiple of `every` since the gateway started that lies after `now`.
    pub(crate) fn next_tick(self, every: Duration, now: time::Instant) -> time::Instant {
        let zero = time::Instant::from_std(self.start);
        let elapsed = now.saturating_duration_since(zero);
        let ticks = elapsed.as_nanos() / every.as_nanos().max(1) + 1;
        let next = every.as_nanos().saturating_mul(ticks);
        zero + Duration::from_nanos(u64::try_from(next).unwrap_or(u64::MAX))
    }
}
