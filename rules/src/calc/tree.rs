//! The meter tree: facility and IT energy from all meters of a site, without counting any energy twice.

use std::collections::HashMap;

use serde::Deserialize;

use super::{
    Answer, ArgumentError, Arguments, Formula, Output, Reason,
    energy::{self, CATEGORY, ENERGY_RATIO, FACILITY_ENERGY, IT_ENERGY, PERIOD, WEIGHTS},
};
use crate::{
    measures::KilowattHours,
    meters::{MeterTree, Node, Total},
    plant::{Carrier, Category, Role},
    ratio::Weights,
    value::Undefined,
};

/// One meter of the tree, as in the input file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeterEnergy {
    pub id: String,
    /// The meter that feeds it.
    #[serde(default)]
    pub parent: Option<String>,
    pub role: Role,
    #[serde(default)]
    pub carrier: Carrier,
    /// In place of the factor that `--weights` gives the carrier.
    #[serde(default)]
    pub weight: Option<f64>,
    /// 1, 2 or 3: where a meter of IT energy sits.
    #[serde(default)]
    pub category: Option<u8>,
    /// Over the same period for all meters.
    #[serde(alias = "energy")]
    pub energy_kwh: f64,
}

const OVERHEAD: Output = Output::of::<KilowattHours>("overhead_energy");

pub(super) const FORMULAS: &[Formula] = &[Formula {
    name: "tree",
    help: "facility and IT energy of a meter tree, and their ratio",
    example: "--input meters.json",
    inputs: &[WEIGHTS, CATEGORY, PERIOD],
    file: Some(
        "JSON: {\"meters\": [{\"id\": \"E1\", \"parent\": null, \"role\": \"it_load\", \"energy_kwh\": 4600000}, …]}",
    ),
    outputs: &[ENERGY_RATIO, FACILITY_ENERGY, IT_ENERGY, OVERHEAD],
    evaluate: tree,
}];

fn tree(given: &Arguments) -> Result<Vec<Answer>, ArgumentError> {
    let help = "the meters with id, parent, role and energy";
    let meters = &given.file().ok_or(ArgumentError::NoFile { help })?.meters;
    let tree = build(meters)?;
    let weights = energy::weights(given)?;
    let facility = total(&tree, meters, Total::Facility, weights);
    let it = total(&tree, meters, Total::It, Weights::None);
    let title = energy::title(given, category(meters), None, weights)?;
    Ok(vec![
        energy::ratio(title, facility.clone(), it.clone()),
        FACILITY_ENERGY.is(facility.clone()),
        IT_ENERGY.is(it.clone()),
        OVERHEAD.is(overhead(facility, it)),
    ])
}

fn overhead(
    facility: Result<KilowattHours, Reason>,
    it: Result<KilowattHours, Reason>,
) -> Result<KilowattHours, Reason> {
    Ok(energy::kilowatt_hours(facility?.get() - it?.get())?)
}

/// Refuses names that are not there or there twice, and circles.
fn build(meters: &[MeterEnergy]) -> Result<MeterTree, ArgumentError> {
    let wrong = |text: String| Err(ArgumentError::Conflict(text));
    let mut index_of = HashMap::new();
    for (index, meter) in meters.iter().enumerate() {
        if index_of.insert(meter.id.as_str(), index).is_some() {
            return wrong(format!("meter \"{}\" is there twice", meter.id));
        }
        if meter.energy_kwh.is_nan() || meter.energy_kwh < 0.0 {
            return wrong(format!("the energy of meter \"{}\" is below zero", meter.id));
        }
        if meter.weight.is_some_and(|weight| weight.is_nan() || weight < 0.0) {
            return wrong(format!("the weight of meter \"{}\" is below zero", meter.id));
        }
        if meter.category.is_some_and(|category| !(1..=3).contains(&category)) {
            return wrong(format!("the category of meter \"{}\" is not 1, 2 or 3", meter.id));
        }
    }
    let mut nodes: Vec<Node> = meters
        .iter()
        .map(|meter| Node { name: meter.id.clone(), role: Some(meter.role), feeds: Vec::new() })
        .collect();
    for (index, meter) in meters.iter().enumerate() {
        let Some(parent) = &meter.parent else { continue };
        match index_of.get(parent.as_str()).and_then(|&at| nodes.get_mut(at)) {
            Some(node) => node.feeds.push(index),
            None => {
                return wrong(format!("meter \"{}\" has an unknown parent \"{parent}\"", meter.id));
            }
        }
    }
    MeterTree::new(nodes).map_err(|fault| ArgumentError::Conflict(fault.to_string()))
}

/// A total of the tree, or why it has no meaning.
fn total(
    tree: &MeterTree,
    meters: &[MeterEnergy],
    total: Total,
    weights: Weights,
) -> Result<KilowattHours, Reason> {
    // Circles were refused before: what is left is an energy that would be counted twice.
    let terms = tree.terms(total).map_err(|fault| Reason {
        kind: Undefined::DoubleCounting,
        detail: Some(fault.to_string()),
    })?;
    if terms.is_empty() {
        return Err(Undefined::NotMetered.into());
    }
    let mut sum = 0.0;
    for term in terms {
        let Some(meter) = meters.get(term.node) else { continue };
        let weight = meter.weight.map_or_else(|| weights.of(meter.carrier), Ok)?;
        let energy = weight * meter.energy_kwh;
        sum += if term.negative { -energy } else { energy };
    }
    Ok(energy::kilowatt_hours(sum)?)
}

/// The lowest of the meters of IT energy; `None` unless all of them show one.
fn category(meters: &[MeterEnergy]) -> Option<Category> {
    let it = meters.iter().filter(|meter| meter.role == Role::ItLoad);
    let categories: Option<Vec<u8>> = it.map(|meter| meter.category).collect();
    match categories?.into_iter().min()? {
        1 => Some(Category::One),
        2 => Some(Category::Two),
        _ => Some(Category::Three),
    }
}
