//! Time as the engine sees it: passed in, never read.
//!
//! Delays, staleness and order count on the monotonic part; only labels use wall time, and a label
//! is given only while wall time is trusted. A gateway often boots without a clock.

use std::{ops::Sub, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// An instant on the monotonic clock of one run, which starts at [`Mono::START`]. Never steps, never runs backwards.
/// Written as whole microseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(from = "u64", into = "u64")]
pub struct Mono(pub Duration);

impl From<u64> for Mono {
    fn from(microseconds: u64) -> Self {
        Self(Duration::from_micros(microseconds))
    }
}

impl From<Mono> for u64 {
    fn from(mono: Mono) -> Self {
        Self::try_from(mono.0.as_micros()).unwrap_or(Self::MAX)
    }
}

impl Mono {
    pub const ZERO: Self = Self(Duration::ZERO);
    /// Where the clock of every run starts: ten years above zero, so that what happened before the start has a place on
    /// it too.
    pub const START: Self = Self::from_secs(10 * 365 * 86_400);

    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// How long the run has lasted; zero before its start.
    pub fn uptime(self) -> Duration {
        self.since(Self::START)
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// The whole millisecond before it.
    #[must_use]
    pub fn whole_millis(self) -> Self {
        self - Duration::from_nanos(u64::from(self.0.subsec_nanos() % 1_000_000))
    }
}

impl Sub<Duration> for Mono {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span))
    }
}

/// How far the wall clock can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Not synchronised since boot, or earlier than the program itself: nothing is labelled with it.
    Untrusted,
    /// Plausible but not synchronised for so long that the gateway goes on, and says so.
    Unsynchronised,
    /// Synchronised since boot.
    Synchronised,
}

impl Trust {
    pub fn is_trusted(self) -> bool {
        !matches!(self, Self::Untrusted)
    }
}

/// The wall clock as read, with how far to believe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wall {
    pub utc: DateTime<Utc>,
    pub trust: Trust,
}

/// One instant, made once per engine step by the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    pub mono: Mono,
    pub wall: Wall,
}

impl Now {
    /// The wall time of an instant of this boot, by way of the monotonic clock; `None` while the wall clock is not
    /// trusted. Also right for instants before trust began.
    pub fn label(&self, at: Mono) -> Option<DateTime<Utc>> {
        self.wall.trust.is_trusted().then(|| self.project(at))
    }

    /// The instant at which the wall clock showed `wall`; the reverse of [`Self::project`].
    pub fn instant(&self, wall: DateTime<Utc>) -> Mono {
        match (self.wall.utc - wall).to_std() {
            Ok(ago) => self.mono - ago,
            Err(_) => self.mono.plus((wall - self.wall.utc).to_std().unwrap_or_default()),
        }
    }

    /// Like [`Self::label`], whatever the trust: for arithmetic between instants only.
    pub fn project(&self, at: Mono) -> DateTime<Utc> {
        let behind = TimeDelta::from_std(self.mono.since(at)).unwrap_or(TimeDelta::MAX);
        let ahead = TimeDelta::from_std(at.since(self.mono)).unwrap_or(TimeDelta::MAX);
        self.wall
            .utc
            .checked_sub_signed(behind)
            .and_then(|t| t.checked_add_signed(ahead))
            .unwrap_or(self.wall.utc)
    }
}

/// Where the instants of an earlier run lie on the clock of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    there: Mono,
    here: Mono,
    /// No instant of an earlier run lies after this.
    latest: Mono,
}

impl Shift {
    /// Places the earlier run by the wall clocks of the two; `None` unless both are trusted.
    pub fn by_wall(there: &Now, now: &Now, latest: Mono) -> Option<Self> {
        let trusted = there.wall.trust.is_trusted() && now.wall.trust.is_trusted();
        let apart = now.wall.utc - there.wall.utc;
        let here = match apart.to_std() {
            Ok(later) => now.mono - later,
            // The clock was set back since.
            Err(_) => now.mono.plus((-apart).to_std().unwrap_or_default()),
        };
        trusted.then_some(Self { there: there.mono, here, latest })
    }

    /// The place of an instant of the earlier run.
    pub fn place(&self, at: Mono) -> Mono {
        let placed = if at >= self.there {
            self.here.plus(at.since(self.there))
        } else {
            self.here - self.there.since(at)
        };
        placed.min(self.latest)
    }
}

/// When something was recorded, and by which run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub boot: BootId,
    pub at: Now,
}

/// Names one run of the gateway, so that monotonic times of two runs are never compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BootId(pub u64);
