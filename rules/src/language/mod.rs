//! The language of conditions: small, typed, with units checked when the rules are loaded.
//!
//! `GRAMMAR.md` beside this crate's sources has the grammar and the meaning of every word. In short:
//!
//! - Text becomes tokens (`token`), tokens a tree (`syntax`), names are looked up in the plant (`names`), units are
//!   checked and constants folded (`check`, `node`), and the result is laid flat (`program`).
//! - A name is words joined by `.` or `-` without spaces: `cdu-2.tcs.flow` is one name, `a - b` a subtraction.
//! - °C is a place on the scale, K a distance: °C − °C = K, °C + K = °C, and °C + °C or `°C > 5 K` is a fault.
//! - What cannot be known is unknown (Kleene logic), never false: see S7 of the alarm semantics.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
};

use crate::{
    plant::{AssetId, AssetKind, Plant},
    rule::RuleSpec,
    units::{SUGGESTED, Unit, split_quantity},
};

mod check;
mod fault;
mod names;
mod node;
mod operands;
mod program;
mod syntax;
mod token;

pub use fault::{ExpressionFault, Field, RuleFault};
pub use program::Values;
pub use syntax::{Each, Expr, parse, parse_each};

use check::{Absence, Aggregates, Checker, Deadband};
pub(crate) use names::Directory;
use names::{Scope, did_you_mean};
use node::Layout;
pub(crate) use operands::Operands;
pub(crate) use program::{Code, Program};

/// A rule of a template, or a member of an aggregate, that is not watched because the plant lacks what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotApplicable {
    pub rule: Arc<str>,
    /// The asset that the alarm would belong to; none for a member left out, which concerns the whole rule.
    pub asset: Option<Arc<str>>,
    /// `cdu-2 has no fws.flow`.
    pub why: String,
}

/// A condition, bound to assets and laid flat.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    /// Index of its rule.
    pub(crate) rule: usize,
    pub(crate) asset: Option<AssetId>,
    pub(crate) code: Code,
    pub(crate) operands: Operands,
}

/// All conditions of a rule set.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) layout: Layout,
    pub(crate) bound: Vec<Condition>,
    pub(crate) not_applicable: Vec<NotApplicable>,
    pub(crate) faults: Vec<RuleFault>,
    /// By rule: what it was said to leave out.
    left_out: HashMap<usize, Vec<Rc<[Absence]>>>,
    aggregates: Aggregates,
}

impl Conditions {
    pub(crate) fn add(&mut self, index: usize, spec: &RuleSpec, directory: &Directory<'_>) {
        let rule = Rule { index, spec, plant: directory.plant, directory };
        let deadband = self.field(rule, Field::Deadband, |spec, _| {
            spec.deadband.as_deref().map(read_deadband).transpose()
        });
        let each = self
            .field(rule, Field::For, |spec, _| spec.each.as_deref().map(parse_each).transpose());
        let when = self.field(rule, Field::When, |spec, _| parse(&spec.when));
        let (Some(deadband), Some(each), Some(when)) = (deadband, each, when) else { return };
        match each {
            None => self.bind(rule, None, &when, deadband.as_ref()),
            Some(each) => {
                for asset in self.select(rule, &each) {
                    self.bind(rule, Some((&each.variable, asset)), &when, deadband.as_ref());
                }
            }
        }
    }

    fn field<T>(
        &mut self,
        rule: Rule<'_>,
        field: Field,
        read: impl Fn(&RuleSpec, &Plant) -> Result<T, ExpressionFault>,
    ) -> Option<T> {
        read(rule.spec, rule.plant).map_err(|fault| self.fault(rule, field, fault)).ok()
    }

    /// A template is checked once per asset; a fault is the same for all of them and is reported once.
    fn fault(&mut self, rule: Rule<'_>, field: Field, fault: ExpressionFault) {
        let ExpressionFault { span, message, remedy } = fault;
        let known = self.faults.iter().rev().take_while(|known| known.index == rule.index);
        if known.into_iter().any(|known| known.field == field && known.span == span) {
            return;
        }
        let (index, id) = (rule.index, Arc::clone(&rule.spec.id));
        self.faults.push(RuleFault { index, rule: id, field, span, message, remedy });
    }

    /// The assets that a `for` clause expands to.
    fn select(&mut self, rule: Rule<'_>, each: &Each) -> Vec<AssetId> {
        let Some(kind) = AssetKind::ALL.into_iter().find(|kind| kind.set() == each.set) else {
            let sets = AssetKind::ALL.map(AssetKind::set);
            let remedy = did_you_mean(&each.set, sets)
                .unwrap_or_else(|| format!("the sets are {}", sets.join(", ")));
            let message = format!("no set is called \"{}\"", each.set);
            self.fault(
                rule,
                Field::For,
                ExpressionFault { span: each.set_span.clone(), message, remedy },
            );
            return Vec::new();
        };
        let mut selected = Vec::new();
        for asset in rule.plant.of_kind(kind) {
            let Some(filter) = &each.filter else {
                selected.push(asset);
                continue;
            };
            let variable = Some((each.variable.as_str(), asset));
            let scope = Scope {
                directory: rule.directory,
                plant: rule.plant,
                variable,
                member: Some(asset),
            };
            let mut checker = Checker::new(scope, None, &mut self.aggregates);
            let node = checker.condition(filter);
            let Checker { faults, absent, left_out, .. } = checker;
            for fault in faults {
                self.fault(rule, Field::For, fault);
            }
            self.report(rule, Some(asset), &absent);
            self.report_left_out(rule, left_out);
            match node {
                Some(node::Node::Constant(holds)) if holds != 0.0 => selected.push(asset),
                Some(node::Node::Constant(_)) | None => {}
                Some(_) => self.fault(
                    rule,
                    Field::For,
                    ExpressionFault {
                        span: filter.span.clone(),
                        message: "which assets a rule watches is decided when it is loaded".into(),
                        remedy: "use declared attributes here, and put live values into \"when\""
                            .into(),
                    },
                ),
            }
        }
        selected
    }

    fn bind(
        &mut self,
        rule: Rule<'_>,
        variable: Option<(&str, AssetId)>,
        when: &Expr,
        deadband: Option<&Deadband>,
    ) {
        let scope = Scope { directory: rule.directory, plant: rule.plant, variable, member: None };
        let mut checker = Checker::new(scope, deadband, &mut self.aggregates);
        let node = checker.condition(when);
        let Checker { faults, absent, left_out, unfit, fitted, .. } = checker;
        let failed = !faults.is_empty();
        for fault in faults {
            self.fault(rule, Field::When, fault);
        }
        let asset = variable.map(|(_, asset)| asset);
        self.report(rule, asset, &absent);
        self.report_left_out(rule, left_out);
        let (Some(node), false) = (node, failed) else { return };
        if let (Some(deadband), false) = (deadband, fitted) {
            self.fault(rule, Field::Deadband, unfit_deadband(rule.spec, deadband, &unfit));
            return;
        }
        if node.is_constant() {
            self.fault(
                rule,
                Field::When,
                ExpressionFault {
                    span: 0..rule.spec.when.len(),
                    message: "the condition never changes: it names no point".into(),
                    remedy: "compare a live value, for example cdu.tcs.flow".into(),
                },
            );
            return;
        }
        let code = self.layout.lay(&node);
        let operands = Operands::new(&node, &mut self.layout, rule.plant, asset);
        self.bound.push(Condition { rule: rule.index, asset, code, operands });
    }

    fn report(&mut self, rule: Rule<'_>, asset: Option<AssetId>, absent: &[Absence]) {
        let of = asset.map(|asset| Arc::clone(&rule.plant.asset(asset).name));
        for Absence { asset: lacking, missing } in absent {
            let why = format!("{lacking} has no {missing}");
            let mut known = self
                .not_applicable
                .iter()
                .rev()
                .take_while(|entry| entry.rule == rule.spec.id && entry.asset == of);
            if !known.any(|entry| entry.why == why) {
                let (rule, asset) = (Arc::clone(&rule.spec.id), of.clone());
                self.not_applicable.push(NotApplicable { rule, asset, why });
            }
        }
    }

    /// Members that aggregates leave out: once for the rule, however many assets it is bound to.
    fn report_left_out(&mut self, rule: Rule<'_>, left_out: Vec<Rc<[Absence]>>) {
        for absent in left_out {
            let known = self.left_out.entry(rule.index).or_default();
            if absent.is_empty() || known.iter().any(|known| Rc::ptr_eq(known, &absent)) {
                continue;
            }
            let mut told = HashSet::new();
            for Absence { asset, missing } in &*absent {
                let why = format!("{asset} has no {missing}: left out of the aggregate");
                if told.insert((asset, missing)) {
                    let rule = Arc::clone(&rule.spec.id);
                    self.not_applicable.push(NotApplicable { rule, asset: None, why });
                }
            }
            known.push(absent);
        }
    }
}

#[derive(Clone, Copy)]
struct Rule<'a> {
    index: usize,
    spec: &'a RuleSpec,
    plant: &'a Plant,
    directory: &'a Directory<'a>,
}

fn read_deadband(text: &str) -> Result<Deadband, ExpressionFault> {
    let fault =
        |message: String, remedy: String| ExpressionFault { span: 0..text.len(), message, remedy };
    let Some((value, unit)) = split_quantity(text) else {
        return Err(fault(
            format!("\"{text}\" is not a number with a unit"),
            "write, for example, \"1 K\"".into(),
        ));
    };
    let unit = Unit::parse(unit).map_err(|error| {
        let remedy = did_you_mean(unit, SUGGESTED.iter().copied());
        fault(error.to_string(), remedy.unwrap_or_else(|| "use a unit such as K, kPa or %".into()))
    })?;
    if unit.dimension().absolute {
        return Err(fault(
            format!("a deadband is a distance, \"{unit}\" a place on the temperature scale"),
            format!("write \"{value} K\""),
        ));
    }
    if value < 0.0 {
        return Err(fault(
            "a deadband is not negative".into(),
            format!("write \"{} {unit}\"", -value),
        ));
    }
    Ok(Deadband { value, unit })
}

fn unfit_deadband(spec: &RuleSpec, deadband: &Deadband, limits: &[Unit]) -> ExpressionFault {
    let span = 0..spec.deadband.as_ref().map_or(0, String::len);
    let Some(unit) = limits.first() else {
        return ExpressionFault {
            span,
            message: "the condition has no limit that a deadband could move".into(),
            remedy: "remove the deadband; only <, <=, > and >= have one".into(),
        };
    };
    ExpressionFault {
        span,
        message: format!(
            "a deadband in \"{}\" fits no limit of the condition, which is in \"{unit}\"",
            deadband.unit
        ),
        remedy: format!("give the deadband in a unit like \"{unit}\""),
    }
}
