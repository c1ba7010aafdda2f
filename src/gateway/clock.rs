//! Reads both clocks, and says how far the wall clock can be believed.

use std::{path::Path, time::Duration};

use chrono::{DateTime, Utc};
use collector::MonoClock;
use rules::time::{Now, Trust, Wall};

/// No coldwatch is older than this, so a clock that shows an earlier time is wrong.
const RELEASED: &str = "2026-11-01T00:00:00Z";
/// A plausible clock that nobody synchronises is used after this long, and flagged.
const PROCEED_AFTER: Duration = Duration::from_mins(10);
/// Written by systemd-timesyncd once the clock is synchronised.
const SYNCHRONISED_MARK: &str = "/run/systemd/timesync/synchronized";

/// Who vouches for the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockPolicy {
    /// The time service of this machine.
    Synchronised,
    /// The user: the host, or a simulation, keeps the time.
    Trusted,
}

pub(crate) struct Clock {
    mono: MonoClock,
    policy: ClockPolicy,
    released: DateTime<Utc>,
    synchronised: bool,
}

impl Clock {
    pub(crate) fn new(mono: MonoClock, policy: ClockPolicy) -> Self {
        let released = RELEASED.parse().unwrap_or(DateTime::<Utc>::MAX_UTC);
        Self { mono, policy, released, synchronised: false }
    }

    pub(crate) fn now(&mut self) -> Now {
        let (mono, utc) = (self.mono.now(), Utc::now());
        // Synchronised since boot stays so: the mark is looked for until it is there.
        self.synchronised |=
            self.policy == ClockPolicy::Trusted || Path::new(SYNCHRONISED_MARK).exists();
        Now {
            mono,
            wall: Wall { utc, trust: trust(utc >= self.released, self.synchronised, mono.0) },
        }
    }
}

fn trust(plausible: bool, synchronised: bool, up: Duration) -> Trust {
    match (plausible, synchronised) {
        (true, true) => Trust::Synchronised,
        (true, false) if up >= PROCEED_AFTER => Trust::Unsynchronised,
        (true | false, _) => Trust::Untrusted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_the_release_is_never_believed() {
        assert_eq!(trust(false, true, Duration::from_hours(1)), Trust::Untrusted);
    }

    #[test]
    fn a_plausible_clock_that_nobody_synchronises_is_used_after_ten_minutes() {
        assert_eq!(trust(true, false, Duration::from_secs(599)), Trust::Untrusted);
        assert_eq!(trust(true, false, Duration::from_mins(10)), Trust::Unsynchronised);
        assert_eq!(trust(true, true, Duration::ZERO), Trust::Synchronised);
    }

    #[test]
    fn the_release_date_is_a_date() {
        assert!(RELEASED.parse::<DateTime<Utc>>().is_ok());
    }
}
