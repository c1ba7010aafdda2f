//! The life of one alarm: a state machine over the truth of its condition, tick by tick, and what operators do.
//!
//! S3 to S5, S8 to S11 of the alarm semantics are here. Shelving, suppression and being out of service lie over the
//! letter that [`Life::letter`] gives and never change what happens below.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// ISA-18.2 state letter, with the latched forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Letter {
    /// Normal.
    A,
    /// Active, not acknowledged.
    B,
    /// Active, acknowledged.
    C,
    /// Returned to normal, not acknowledged.
    D,
    /// Shelved.
    E,
    /// Suppressed by design.
    F,
    /// Out of service.
    G,
    /// Latched after B: dry again, but not acknowledged.
    #[serde(rename = "BL")]
    Bl,
    /// Latched after C: acknowledged, waiting for the reset.
    #[serde(rename = "CL")]
    Cl,
}

impl Letter {
    /// Letters whose process state is active. Under an overlay it is not told.
    pub fn is_active(self) -> bool {
        match self {
            Self::B | Self::C => true,
            Self::A | Self::D | Self::E | Self::F | Self::G | Self::Bl | Self::Cl => false,
        }
    }
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::E => "E",
            Self::F => "F",
            Self::G => "G",
            Self::Bl => "BL",
            Self::Cl => "CL",
        })
    }
}

/// 1 (act within 10 minutes) to 4 (plan).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Priority {
    P1 = 1,
    P2 = 2,
    P3 = 3,
    P4 = 4,
}

impl TryFrom<u8> for Priority {
    type Error = String;

    fn try_from(digit: u8) -> Result<Self, String> {
        match digit {
            1 => Ok(Self::P1),
            2 => Ok(Self::P2),
            3 => Ok(Self::P3),
            4 => Ok(Self::P4),
            _ => Err(format!("priority {digit} is not 1, 2, 3 or 4")),
        }
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority as Self
    }
}

/// What one tick says about a condition, after S8 has been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    False,
    /// Cannot be judged: the process state stays and delays pause.
    Unknown,
    True,
}

/// The process state: what the plant does, whoever has seen it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Process {
    #[default]
    Normal,
    /// The enter test is true, but not yet for the on-delay.
    Pending(Delay),
    Active,
    /// The hold test is false, but not yet for the off-delay.
    Clearing(Delay),
}

/// Time accumulated by a delay. The span between two ticks counts only when the test said the same at both (S4).
///
/// Written with whole nanoseconds, so that a clean stop loses nothing (S17). A restart pauses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Delay {
    pub counted: Duration,
    /// The last tick counted; an unknown tick pauses.
    running: bool,
}

impl From<u64> for Delay {
    fn from(nanoseconds: u64) -> Self {
        Self { counted: Duration::from_nanos(nanoseconds), running: false }
    }
}

impl From<Delay> for u64 {
    fn from(delay: Delay) -> Self {
        Self::try_from(delay.counted.as_nanos()).unwrap_or(Self::MAX)
    }
}

impl Delay {
    const STARTED: Self = Self { counted: Duration::ZERO, running: true };

    fn continued(self, elapsed: Duration) -> Self {
        let counted =
            if self.running { self.counted.saturating_add(elapsed) } else { self.counted };
        Self { counted, running: true }
    }

    fn paused(self) -> Self {
        Self { running: false, ..self }
    }
}

/// What people still owe the current occurrence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attention {
    /// Nothing happened since the alarm was last normal.
    #[default]
    None,
    Unacknowledged,
    Acknowledged,
}

/// The delays and the latch of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    pub on_delay: Duration,
    pub off_delay: Duration,
    /// S11.
    pub latch: bool,
}

/// What a tick did to the process state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Same,
    Activated,
    Cleared,
}

/// Why an operator's action was refused. Nothing changed (S10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("occurrence {given} is not the current one, {current}")]
    StaleOccurrence { given: u32, current: u32 },
    #[error("there is nothing to acknowledge in state {0}")]
    NothingToAcknowledge(Letter),
    #[error("only state CL can be reset, this is {0}")]
    NothingToReset(Letter),
}

/// One alarm's state. Letter, delay and occurrence tell all of it: see [`Life::resumed`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    pub process: Process,
    pub attention: Attention,
    /// Counts activations (S9).
    pub occurrence: u32,
}

impl Life {
    /// The state behind a letter, as it was left. The delay is that of activation before an active letter, that of
    /// clearing in one.
    pub fn resumed(letter: Letter, occurrence: u32, delay: Option<Delay>) -> Self {
        let attention = match letter {
            Letter::A | Letter::E | Letter::F | Letter::G => Attention::None,
            Letter::B | Letter::D | Letter::Bl => Attention::Unacknowledged,
            Letter::C | Letter::Cl => Attention::Acknowledged,
        };
        let process = match (letter.is_active(), delay) {
            (false, None) => Process::Normal,
            (false, Some(delay)) => Process::Pending(delay),
            (true, None) => Process::Active,
            (true, Some(delay)) => Process::Clearing(delay),
        };
        Self { process, attention, occurrence }
    }

    /// The delay that is running or paused.
    pub fn delay(&self) -> Option<Delay> {
        match self.process {
            Process::Normal | Process::Active => None,
            Process::Pending(delay) | Process::Clearing(delay) => Some(delay),
        }
    }

    /// True while the hold test is the one that counts (S3).
    pub fn is_active(&self) -> bool {
        match self.process {
            Process::Normal | Process::Pending(_) => false,
            Process::Active | Process::Clearing(_) => true,
        }
    }

    /// The ISA letter. Of a latched rule, what is no longer active stays until it is reset.
    pub fn letter(&self, timing: Timing) -> Letter {
        match (self.is_active(), self.attention, timing.latch) {
            (true, Attention::None | Attention::Unacknowledged, true | false) => Letter::B,
            (true, Attention::Acknowledged, true | false) => Letter::C,
            (false, Attention::None, true | false) | (false, Attention::Acknowledged, false) => {
                Letter::A
            }
            (false, Attention::Unacknowledged, false) => Letter::D,
            (false, Attention::Unacknowledged, true) => Letter::Bl,
            (false, Attention::Acknowledged, true) => Letter::Cl,
        }
    }

    /// One tick: `truth` is the enter test while not active, the hold test while active; `elapsed` is the monotonic
    /// time since the tick before, zero at the first.
    pub fn tick(&mut self, truth: Truth, elapsed: Duration, timing: Timing) -> Step {
        match (self.process, truth) {
            (Process::Normal | Process::Pending(_), Truth::False) => {
                self.process = Process::Normal;
                Step::Same
            }
            (Process::Normal | Process::Active, Truth::Unknown) => Step::Same,
            (Process::Pending(delay), Truth::Unknown) => {
                self.process = Process::Pending(delay.paused());
                Step::Same
            }
            (Process::Normal, Truth::True) => self.wait_on(Delay::STARTED, timing),
            (Process::Pending(delay), Truth::True) => {
                self.wait_on(delay.continued(elapsed), timing)
            }
            (Process::Active | Process::Clearing(_), Truth::True) => {
                self.process = Process::Active;
                Step::Same
            }
            (Process::Clearing(delay), Truth::Unknown) => {
                self.process = Process::Clearing(delay.paused());
                Step::Same
            }
            (Process::Active, Truth::False) => self.wait_off(Delay::STARTED, timing),
            (Process::Clearing(delay), Truth::False) => {
                self.wait_off(delay.continued(elapsed), timing)
            }
        }
    }

    fn wait_on(&mut self, delay: Delay, timing: Timing) -> Step {
        if delay.counted < timing.on_delay {
            self.process = Process::Pending(delay);
            return Step::Same;
        }
        self.process = Process::Active;
        self.attention = Attention::Unacknowledged;
        self.occurrence = self.occurrence.saturating_add(1);
        Step::Activated
    }

    fn wait_off(&mut self, delay: Delay, timing: Timing) -> Step {
        if delay.counted < timing.off_delay {
            self.process = Process::Clearing(delay);
            return Step::Same;
        }
        self.process = Process::Normal;
        if self.attention == Attention::Acknowledged && !timing.latch {
            self.attention = Attention::None;
        }
        Step::Cleared
    }

    /// S10: B → C, D → A, BL → CL. A given occurrence number must be the current one.
    pub fn acknowledge(&mut self, occurrence: Option<u32>, timing: Timing) -> Result<(), Refusal> {
        if let Some(given) = occurrence.filter(|given| *given != self.occurrence) {
            return Err(Refusal::StaleOccurrence { given, current: self.occurrence });
        }
        match self.letter(timing) {
            Letter::B | Letter::Bl => self.attention = Attention::Acknowledged,
            Letter::D => self.attention = Attention::None,
            letter @ (Letter::A | Letter::C | Letter::Cl | Letter::E | Letter::F | Letter::G) => {
                return Err(Refusal::NothingToAcknowledge(letter));
            }
        }
        Ok(())
    }

    /// S11: CL → A, and nothing else.
    pub fn reset(&mut self, timing: Timing) -> Result<(), Refusal> {
        match self.letter(timing) {
            Letter::Cl => {
                self.attention = Attention::None;
                Ok(())
            }
            letter @ (Letter::A
            | Letter::B
            | Letter::C
            | Letter::D
            | Letter::Bl
            | Letter::E
            | Letter::F
            | Letter::G) => Err(Refusal::NothingToReset(letter)),
        }
    }
}
