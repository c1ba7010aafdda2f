//! Reads both clocks, and says how far the wall clock can be believed.

use std::{path::Path, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use collector::MonoClock;
use rules::time::{Now, Trust, Wall};

/// No coldwatch is older than this, so a clock that shows an earlier time is wrong.
const RELEASED: &str = "2026-11-01T00:00:00Z";
/// A plausible clock that nobody synchronises is used after this long, and flagged.
const PROCEED_AFTER: Duration = Duration::from_mins(10);
/// By so much the clock may have been slewed back since the newest entry of the journal.
const SLEWED: TimeDelta = TimeDelta::seconds(1);
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
    /// The newest entry of the journal: time has been there already.
    newest: Option<DateTime<Utc>>,
    synchronised: bool,
}

impl Clock {
    /// `newest` is the wall time of the newest entry of the journal, where there is one.
    pub(crate) fn new(mono: MonoClock, policy: ClockPolicy, newest: Option<DateTime<Utc>>) -> Self {
        let released = RELEASED.parse().unwrap_or(DateTime::<Utc>::MAX_UTC);
        Self { mono, policy, released, newest, synchronised: false }
    }

    pub(crate) fn now(&mut self) -> Now {
        let (mono, utc) = (self.mono.now(), Utc::now());
        // Synchronised since boot stays so: the mark is looked for until it is there.
        self.synchronised |=
            self.policy == ClockPolicy::Trusted || Path::new(SYNCHRONISED_MARK).exists();
        let plausible = if utc < self.released {
            Plausible::Never
        } else if self.newest.is_some_and(|newest| utc < newest - SLEWED) {
            Plausible::Behind
        } else {
            Plausible::Yes
        };
        Now { mono, wall: Wall { utc, trust: trust(plausible, self.synchronised, mono.uptime()) } }
    }
}

/// What the time shown says about the clock that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plausible {
    /// Before the program was made.
    Never,
    /// Before the newest entry of the journal: this clock is wrong, or the one that stamped the entry was.
    Behind,
    Yes,
}

fn trust(plausible: Plausible, synchronised: bool, up: Duration) -> Trust {
    match (plausible, synchronised) {
        (Plausible::Yes, true) => Trust::Synchronised,
        // Sooner or later the gateway goes on; otherwise one wrong entry would stop the ledger for years.
        (Plausible::Yes | Plausible::Behind, _) if up >= PROCEED_AFTER => Trust::Unsynchronised,
        (Plausible::Never | Plausible::Behind | Plausible::Yes, _) => Trust::Untrusted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_the_release_is_never_believed() {
        assert_eq!(trust(Plausible::Never, true, Duration::from_hours(1)), Trust::Untrusted);
    }

    #[test]
    fn a_plausible_clock_that_nobody_synchronises_is_used_after_ten_minutes() {
        assert_eq!(trust(Plausible::Yes, false, Duration::from_secs(599)), Trust::Untrusted);
        assert_eq!(trust(Plausible::Yes, false, Duration::from_mins(10)), Trust::Unsynchronised);
        assert_eq!(trust(Plausible::Yes, true, Duration::ZERO), Trust::Synchronised);
    }

    #[test]
    fn a_clock_behind_the_journal_is_used_after_ten_minutes_and_never_called_synchronised() {
        assert_eq!(trust(Plausible::Behind, true, Duration::from_secs(599)), Trust::Untrusted);
        assert_eq!(trust(Plausible::Behind, true, Duration::from_mins(10)), Trust::Unsynchronised);
        let trust_after = |newest: TimeDelta| {
            let newest = Some(Utc::now() + newest);
            Clock::new(MonoClock::start(), ClockPolicy::Trusted, newest).now().wall.trust
        };
        assert_eq!(trust_after(TimeDelta::seconds(30)), Trust::Untrusted);
        assert_eq!(trust_after(TimeDelta::milliseconds(500)), Trust::Synchronised);
        assert_eq!(trust_after(TimeDelta::seconds(-30)), Trust::Synchronised);
    }

    #[test]
    fn the_release_date_is_a_date() {
        assert!(RELEASED.parse::<DateTime<Utc>>().is_ok());
    }
}
