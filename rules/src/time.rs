//! Time as the engine sees it: passed in, never read.
//!
//! Delays, staleness and order count on the monotonic part; only labels use wall time, and a label
//! is given only while wall time is trusted. A gateway often boots without a clock.

use std::{ops::Sub, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Time since this gateway started. Never steps, never runs backwards. Written as whole microseconds.
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

    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
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

/// Names one run of the gateway, so that monotonic times of two runs are never compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BootId(pub u64);
