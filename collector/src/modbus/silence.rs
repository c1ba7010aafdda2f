//! When to ask again what did not answer.

use std::time::Duration;

use rules::value::NoData;
use tokio::time::Instant;

/// Longest pause between two probes, unless the timeout is so long that [`SHARE`] asks for more.
const STEP_MAX: Duration = Duration::from_secs(30);

/// A silent device costs its link one timeout a step, and at most one part in this many of the link's time: 5 %.
const SHARE: u32 = 20;

/// A device or block that did not answer.
#[derive(Clone, Debug)]
pub(super) struct Silence {
    pub(super) reason: NoData,
    pub(super) probe_at: Instant,
    step: Duration,
}

impl Silence {
    /// The pause after one more miss: first one poll interval, then double, up to the longest.
    pub(super) fn after(
        earlier: Option<&Self>,
        reason: NoData,
        poll_every: Duration,
        timeout: Duration,
    ) -> Self {
        let longest = STEP_MAX.max(timeout * SHARE).max(poll_every);
        let step = earlier.map_or(poll_every, |earlier| (earlier.step * 2).min(longest));
        Self { reason, probe_at: Instant::now() + step, step }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_the_poll_interval_to_thirty_seconds_or_twenty_timeouts() {
        let steps = |timeout| {
            let mut silence = None;
            let mut steps = Vec::new();
            for _ in 0..9 {
                let reason = NoData::Timeout;
                let next =
                    Silence::after(silence.as_ref(), reason, Duration::from_secs(1), timeout);
                steps.push(next.step.as_secs());
                silence = Some(next);
            }
            steps
        };
        assert_eq!(steps(Duration::from_secs(1)), [1, 2, 4, 8, 16, 30, 30, 30, 30]);
        assert_eq!(steps(Duration::from_secs(3)), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }
}
