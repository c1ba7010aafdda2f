//! The formulas of the engine under names, so that anyone can put numbers into them: `coldwatch calc`.
//!
//! A [`Formula`] says what it takes and gives; [`Formula::evaluate`] turns [`Arguments`] into [`Answer`]s, each a
//! figure or the reason why there is none.

mod air;
mod arguments;
mod audit;
mod cooling;
mod counter;
mod energy;
mod power;
mod tree;

use std::{borrow::Cow, fmt};

pub use self::{
    arguments::{ArgumentError, Arguments, InputFile},
    tree::MeterEnergy,
};
use crate::{measures::Measure, value::Undefined};

/// One named formula.
pub struct Formula {
    pub name: &'static str,
    /// One line.
    pub help: &'static str,
    /// Arguments that give an answer, as on the command line.
    pub example: &'static str,
    pub inputs: &'static [Input],
    /// What it reads from the input file, for those that take one.
    pub file: Option<&'static str>,
    /// What it may answer, in this order.
    pub outputs: &'static [Output],
    evaluate: fn(&Arguments) -> Result<Vec<Answer>, ArgumentError>,
}

/// One argument of a formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// Ends in the unit of a bare number: `flow-lpm`.
    pub name: &'static str,
    pub kind: Kind,
    pub need: Need,
    pub help: &'static str,
}

/// What the text of an argument has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number in this unit, or a quantity in any unit that converts to it: `500 gpm`.
    Quantity(&'static str),
    /// Some of those, separated by commas; the word `missing` stands for one without a value.
    Quantities(&'static str),
    /// `water`, `apg:0.25`, `mpg:0.3`, `meg:0.4`.
    Coolant,
    Choice(&'static [&'static str]),
    /// First and last day: `2025-01-01:2025-12-31`.
    Period,
    Text,
}

/// What happens without the argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Required,
    /// Only some answers need it.
    Optional,
    Default(&'static str),
}

impl Input {
    const fn required(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, need: Need::Required, help }
    }

    const fn optional(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, need: Need::Optional, help }
    }

    const fn with_default(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self { name, kind, need: Need::Default(default), help }
    }
}

/// One result of a formula. A word has no unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    pub name: &'static str,
    pub unit: Option<&'static str>,
}

impl Output {
    const fn of<M: Measure>(name: &'static str) -> Self {
        Self { name, unit: Some(M::UNIT) }
    }

    const fn word(name: &'static str) -> Self {
        Self { name, unit: None }
    }

    /// The answer to this output. The measure has the output's unit.
    fn is<M: Measure, E: Into<Reason>>(&self, result: Result<M, E>) -> Answer {
        debug_assert_eq!(self.unit, Some(M::UNIT), "{}", self.name);
        let value = result.map(|measure| Figure::Number(measure.get()));
        Answer { name: self.name.into(), unit: self.unit, value: value.map_err(Into::into) }
    }

    fn says<E: Into<Reason>>(&self, result: Result<&'static str, E>) -> Answer {
        let value = result.map(Figure::Word).map_err(Into::into);
        Answer { name: self.name.into(), unit: None, value }
    }
}

/// One result: a figure, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub name: Cow<'static, str>,
    pub unit: Option<&'static str>,
    pub value: Result<Figure, Reason>,
}

/// Why there is no figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub kind: Undefined,
    /// What exactly, where the kind alone does not say it.
    pub detail: Option<String>,
}

impl From<Undefined> for Reason {
    fn from(kind: Undefined) -> Self {
        Self { kind, detail: None }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => f.write_str(detail),
            None => self.kind.fmt(f),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// Finite, in the answer's unit.
    Number(f64),
    Word(&'static str),
}

/// All formulas, in the order in which they are listed.
pub fn catalog() -> impl Iterator<Item = &'static Formula> {
    [
        cooling::FORMULAS,
        air::FORMULAS,
        power::FORMULAS,
        energy::FORMULAS,
        tree::FORMULAS,
        counter::FORMULAS,
        audit::FORMULAS,
    ]
    .into_iter()
    .flatten()
}

/// The formula of this name.
pub fn find(name: &str) -> Option<&'static Formula> {
    catalog().find(|formula| formula.name == name)
}

impl Formula {
    /// Puts the arguments in. An error is about an argument; a figure without meaning is an answer with its reason.
    pub fn evaluate(&self, arguments: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
        if let Some(unknown) =
            arguments.names().find(|name| self.inputs.iter().all(|input| input.name != *name))
        {
            return Err(ArgumentError::Unknown { formula: self.name, input: unknown.to_owned() });
        }
        if self.file.is_none() && arguments.file().is_some() {
            return Err(ArgumentError::Unknown { formula: self.name, input: "input".to_owned() });
        }
        (self.evaluate)(arguments)
    }
}
