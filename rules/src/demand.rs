//! How much flow IT equipment asks for at a supply temperature, as its maker states it: a table or a law.

use crate::{
    measures::{Celsius, LitersPerMinute, Ratio, SpecificFlow},
    value::Undefined,
};

/// Specific flow over supply temperature, linear between its rows and not defined beyond them.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowTable {
    rows: Vec<(Celsius, SpecificFlow)>,
}

impl FlowTable {
    /// `None` unless the temperatures rise from row to row.
    pub fn new(rows: Vec<(Celsius, SpecificFlow)>) -> Option<Self> {
        let rising = rows.windows(2).all(|pair| matches!(pair, [(a, _), (b, _)] if a < b));
        (rising && !rows.is_empty()).then_some(Self { rows })
    }

    pub fn specific_flow(&self, supply: Celsius) -> Result<SpecificFlow, Undefined> {
        if let Some((_, flow)) = self.rows.iter().find(|(temperature, _)| *temperature == supply) {
            return Ok(*flow);
        }
        let between = self.rows.windows(2).find_map(|pair| match pair {
            [(t0, f0), (t1, f1)] if (t0..=t1).contains(&&supply) => {
                let part = (supply.get() - t0.get()) / (t1.get() - t0.get());
                Some(f0.get() + part * (f1.get() - f0.get()))
            }
            _ => None,
        });
        Ok(SpecificFlow::new(between.ok_or(Undefined::OutsideFormula)?)?)
    }
}

/// Flow of one rack as (`coefficient` / (`limit` − T))^`exponent` in L/min, the form in which chip makers state what
/// keeps a cold plate below its limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowLaw {
    pub coefficient: Ratio,
    /// Supply at which no flow is enough.
    pub limit: Celsius,
    pub exponent: Ratio,
}

impl FlowLaw {
    pub fn flow(self, supply: Celsius) -> Result<LitersPerMinute, Undefined> {
        let margin = self.limit.get() - supply.get();
        if margin <= 0.0 || self.coefficient.get() <= 0.0 {
            return Err(Undefined::OutsideFormula);
        }
        Ok(LitersPerMinute::new((self.coefficient.get() / margin).powf(self.exponent.get()))?)
    }
}
