//! Arguments as written, and their reading into what a formula takes.

use std::{collections::BTreeMap, str::FromStr};

use serde::Deserialize;
use thiserror::Error;

use super::{Input, Kind, MeterEnergy, Need};
use crate::{
    coolant::Coolant,
    measures::Measure,
    units::{self, Unit},
};

/// Stands for a member of a list that has no value.
const MISSING: &str = "missing";

/// Arguments by name, as text, and the contents of the input file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    texts: BTreeMap<String, String>,
    file: Option<InputFile>,
}

/// What an input file may hold.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputFile {
    /// The meters of a tree with their energies.
    pub meters: Vec<MeterEnergy>,
}

/// What is wrong with an argument.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ArgumentError {
    #[error("--{input} is missing: {help}")]
    Missing { input: &'static str, help: &'static str },
    #[error("{formula} takes no --{input}")]
    Unknown { formula: &'static str, input: String },
    #[error("--{input} \"{text}\": {reason}")]
    Wrong { input: &'static str, text: String, reason: String },
    #[error("--input is missing: {help}")]
    NoFile { help: &'static str },
    /// The arguments do not go together, or the file contradicts itself.
    #[error("{0}")]
    Conflict(String),
}

impl Arguments {
    /// Adds an argument; the last one of a name stays.
    pub fn insert(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.texts.insert(name.into(), text.into());
    }

    /// Sets the contents of the input file.
    pub fn set_file(&mut self, file: InputFile) {
        self.file = Some(file);
    }

    pub(super) fn file(&self) -> Option<&InputFile> {
        self.file.as_ref()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    /// The text of an input, or of its default.
    pub(super) fn text(&self, input: &Input) -> Option<&str> {
        match (self.texts.get(input.name), input.need) {
            (Some(text), _) => Some(text),
            (None, Need::Default(text)) => Some(text),
            (None, Need::Required | Need::Optional) => None,
        }
    }

    fn required(&self, input: &Input) -> Result<&str, ArgumentError> {
        self.text(input).ok_or_else(|| input.missing())
    }

    /// Anything that reads itself from text.
    pub(super) fn parsed<T: FromStr<Err: ToString>>(
        &self,
        input: &Input,
    ) -> Result<Option<T>, ArgumentError> {
        let parse = |text: &str| text.parse().map_err(|error: T::Err| input.wrong(text, &error));
        self.text(input).map(parse).transpose()
    }

    pub(super) fn coolant(&self, input: &Input) -> Result<Coolant, ArgumentError> {
        self.parsed(input)?.ok_or_else(|| input.missing())
    }

    /// Which of the words of a [`Kind::Choice`] it is.
    pub(super) fn choice(&self, input: &Input) -> Result<Option<&'static str>, ArgumentError> {
        let Kind::Choice(words) = input.kind else { return Ok(None) };
        let known =
            |text: &str| {
                words.iter().copied().find(|word| *word == text).ok_or_else(|| {
                    input.wrong(text, &format!("expected one of {}", words.join(", ")))
                })
            };
        self.text(input).map(known).transpose()
    }

    pub(super) fn quantity<M: Measure>(&self, input: &Input) -> Result<M, ArgumentError> {
        read(input, self.required(input)?)
    }

    pub(super) fn optional_quantity<M: Measure>(
        &self,
        input: &Input,
    ) -> Result<Option<M>, ArgumentError> {
        self.text(input).map(|text| read(input, text)).transpose()
    }

    /// A list, `None` for each member that is said to be missing. Empty without the argument.
    pub(super) fn members<M: Measure>(
        &self,
        input: &Input,
    ) -> Result<Vec<Option<M>>, ArgumentError> {
        let member = |text: &str| match text.trim() {
            MISSING => Ok(None),
            text => read(input, text).map(Some),
        };
        self.text(input)
            .map_or_else(|| Ok(Vec::new()), |list| list.split(',').map(member).collect())
    }

    /// A list whose members all have a value. Empty without the argument.
    pub(super) fn quantities<M: Measure>(&self, input: &Input) -> Result<Vec<M>, ArgumentError> {
        let all = |text: &str| text.split(',').map(|text| read(input, text)).collect();
        self.text(input).map_or_else(|| Ok(Vec::new()), all)
    }

    /// A list of exactly three, one for each phase.
    pub(super) fn phases<M: Measure>(
        &self,
        input: &Input,
    ) -> Result<Option<[M; 3]>, ArgumentError> {
        let Some(text) = self.text(input) else { return Ok(None) };
        let three = self.quantities(input)?.try_into();
        three.map(Some).map_err(|_| input.wrong(text, "expected three values, one for each phase"))
    }
}

impl Input {
    pub(super) fn missing(&self) -> ArgumentError {
        ArgumentError::Missing { input: self.name, help: self.help }
    }

    pub(super) fn wrong(&self, text: &str, reason: &(impl ToString + ?Sized)) -> ArgumentError {
        ArgumentError::Wrong { input: self.name, text: text.to_owned(), reason: reason.to_string() }
    }
}

/// Reads a bare number as in the unit of the measure, a quantity by conversion to it.
fn read<M: Measure>(input: &Input, text: &str) -> Result<M, ArgumentError> {
    let expected = || input.wrong(text, &format!("expected a number or a quantity in {}", M::UNIT));
    let (number, symbol) = units::split_quantity(text).ok_or_else(expected)?;
    // A bare number carries the unit "1"; so does a quantity without a dimension.
    let value = if symbol == "1" {
        number
    } else {
        let unit = Unit::parse(M::UNIT).map_err(|error| input.wrong(text, &error))?;
        let given = Unit::parse(symbol).map_err(|error| input.wrong(text, &error))?;
        given.convert(number, &unit).map_err(|error| input.wrong(text, &error))?
    };
    M::new(value).map_err(|error| input.wrong(text, &error))
}
