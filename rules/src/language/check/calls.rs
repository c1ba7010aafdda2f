//! The functions of the language: scalar ones, and aggregates over sets.

use std::{ops::Range, rc::Rc};

use super::{Absence, AggregateKey, Checker, Gathered, Typed, number, truth};
use crate::{
    language::{
        names::{Found, did_you_mean},
        node::{Gather, Members, Node},
        program::{Function, Op},
        syntax::{Argument, Expr, Form},
    },
    plant::AssetId,
    units::Unit,
};

/// Every function, for the list in a message.
const FUNCTIONS: &[&str] =
    &["min", "max", "abs", "clamp", "if", "k_of_n", "missing", "sum", "avg", "median", "count"];

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        function: &str,
        function_span: &Range<usize>,
        arguments: &[Argument],
        span: &Range<usize>,
    ) -> Option<Typed> {
        let one = arguments.len() == 1;
        match function {
            "sum" => self.aggregate(Function::Sum, arguments, span),
            "avg" => self.aggregate(Function::Avg, arguments, span),
            "median" => self.aggregate(Function::Median, arguments, span),
            "count" => self.aggregate(Function::Count, arguments, span),
            "min" if one => self.aggregate(Function::Min, arguments, span),
            "max" if one => self.aggregate(Function::Max, arguments, span),
            "min" => self.extreme(Op::Min, arguments, span),
            "max" => self.extreme(Op::Max, arguments, span),
            "abs" => {
                let [argument] = self.values(arguments, span, "abs(x)")?;
                let (node, unit) = self.inner_number(argument)?;
                self.no_absolute(&unit, span, "given to abs")?;
                Some(number(Node::apply(Op::Abs, [node]), unit))
            }
            "clamp" => {
                let [x, low, high] = self.values(arguments, span, "clamp(x, low, high)")?;
                let (x, low, high) =
                    (self.inner_number(x), self.inner_number(low), self.inner_number(high));
                let ((x, unit), (low, low_unit), (high, high_unit)) = (x?, low?, high?);
                let low = self.convert(low, &low_unit, &unit, "beside", span)?;
                let high = self.convert(high, &high_unit, &unit, "beside", span)?;
                Some(number(Node::apply(Op::Clamp, [x, low, high]), unit))
            }
            "if" => {
                let [test, yes, no] = self.values(arguments, span, "if(condition, then, else)")?;
                let test = self.inner_condition(test);
                let (yes, no) = (self.inner_number(yes), self.inner_number(no));
                let (test, (yes, unit), (no, no_unit)) = (test?, yes?, no?);
                let no = self.convert(no, &no_unit, &unit, "beside", span)?;
                Some(number(Node::apply(Op::If, [test, yes, no]), unit))
            }
            "missing" => {
                let [argument] = self.values(arguments, span, "missing(x)")?;
                let (node, _) = self.inner_number(argument)?;
                Some(truth(Node::apply(Op::Missing, [node])))
            }
            "k_of_n" => self.k_of_n(arguments, span),
            unknown => {
                let remedy = did_you_mean(unknown, FUNCTIONS.iter().copied())
                    .unwrap_or_else(|| format!("the functions are {}", FUNCTIONS.join(", ")));
                self.fault(function_span, &format!("no function is called \"{unknown}\""), &remedy)
            }
        }
    }

    /// Takes exactly as many arguments as the pattern asks for, none with a filter.
    fn values<'e, const N: usize>(
        &mut self,
        arguments: &'e [Argument],
        span: &Range<usize>,
        usage: &str,
    ) -> Option<[&'e Expr; N]> {
        let plain: Vec<&Expr> = arguments
            .iter()
            .filter(|argument| argument.filter.is_none())
            .map(|argument| &argument.value)
            .collect();
        if plain.len() == arguments.len()
            && let Ok(values) = plain.try_into()
        {
            return Some(values);
        }
        self.fault(span, "these arguments do not fit", &format!("write {usage}"))
    }

    fn inner_number(&mut self, expr: &Expr) -> Option<(Node, Unit)> {
        let bare = std::mem::replace(&mut self.bare, true);
        let found = self.number(expr);
        self.bare = bare;
        found
    }

    fn inner_condition(&mut self, expr: &Expr) -> Option<Node> {
        let bare = std::mem::replace(&mut self.bare, true);
        let found = self.condition(expr);
        self.bare = bare;
        found
    }

    /// `min` or `max` of several numbers.
    fn extreme(&mut self, op: Op, arguments: &[Argument], span: &Range<usize>) -> Option<Typed> {
        let numbers: Vec<_> =
            arguments.iter().map(|argument| self.inner_number(&argument.value)).collect();
        let mut numbers = numbers.into_iter().collect::<Option<Vec<_>>>()?.into_iter();
        let Some((mut node, unit)) = numbers.next() else {
            return self.fault(
                span,
                "this function needs arguments",
                "write max(a, b) or max(racks.power)",
            );
        };
        for (other, other_unit) in numbers {
            let other = self.convert_beside(other, &other_unit, &unit, (&unit, "beside"), span)?;
            node = Node::apply(op, [node, other]);
        }
        Some(number(node, unit))
    }

    fn k_of_n(&mut self, arguments: &[Argument], span: &Range<usize>) -> Option<Typed> {
        let usage = "write k_of_n(2, a > 5 K, b > 5 K, c > 5 K)";
        let Some((k, conditions)) = arguments.split_first() else {
            return self.fault(span, "k_of_n needs a number and conditions", usage);
        };
        let n = u32::try_from(conditions.len()).ok()?;
        let wanted = if let Form::Number { value, unit: None } = &k.value.what {
            (1..=n).find(|k| f64::from(*k).total_cmp(value).is_eq())
        } else {
            None
        };
        let nodes: Vec<_> =
            conditions.iter().map(|argument| self.condition(&argument.value)).collect();
        let Some(k) = wanted else {
            return self.fault(
                &k.value.span,
                &format!(
                    "the first argument is a whole number from 1 to {n}, the number of conditions"
                ),
                usage,
            );
        };
        let nodes = nodes.into_iter().collect::<Option<Vec<_>>>()?;
        Some(truth(Node::apply(Op::AtLeast { k, n }, nodes)))
    }

    fn aggregate(
        &mut self,
        function: Function,
        arguments: &[Argument],
        span: &Range<usize>,
    ) -> Option<Typed> {
        let [Argument { value, filter }] = arguments else {
            return self.fault(
                span,
                "an aggregate takes one set",
                "write, for example, sum(racks.power)",
            );
        };
        let Form::Name(name) = &value.what else {
            return self.fault(
                &value.span,
                "an aggregate takes a set",
                "write, for example, max(racks.power)",
            );
        };
        let (set, quantity) = match self.scope.resolve(name) {
            Ok(Found::Set(set, quantity)) => (set, quantity),
            Ok(Found::Point(_) | Found::Declared(_)) => {
                return self.fault(
                    &value.span,
                    &format!("\"{name}\" is one value, not a set"),
                    "name a set, for example racks.power",
                );
            }
            Err(why) => return self.unresolved(why, &value.span),
        };
        if quantity.is_none() && function != Function::Count {
            return self.fault(
                &value.span,
                &format!("\"{name}\" says of which assets, not of which value"),
                &format!("name the value too, for example {name}.power"),
            );
        }
        let variable = self.scope.variable;
        let filter_key = filter.as_ref().map(Expr::unplaced);
        let names_variable = |filter: &Expr| variable.is_some_and(|(name, _)| filter.names(name));
        let bound = filter.as_ref().filter(|filter| names_variable(filter)).and(variable);
        let key = AggregateKey {
            function,
            set,
            quantity,
            filter: filter_key,
            variable: bound.map(|(_, asset)| asset),
        };
        let gathered = if let Some(known) = self.aggregates.0.get(&key) {
            known.clone()
        } else {
            let faults = self.faults.len();
            let gathered = self.gather(&key, &value.span, filter.as_ref());
            if self.faults.len() == faults {
                self.aggregates.0.insert(key, gathered.clone());
            }
            gathered
        }?;
        if gathered.value.is_none() && gathered.left_out.iter().all(|absent| absent.is_empty()) {
            let (asset, missing) = ("the set".into(), "members".to_owned());
            self.absent.push(Absence { asset, missing });
        }
        self.left_out.extend(gathered.left_out.iter().cloned());
        let (node, unit) = gathered.value?;
        if function == Function::Sum {
            self.no_absolute(&unit, &value.span, "summed")?;
        }
        Some(number(Node::Aggregate(node), unit))
    }

    /// Checks every member. `None` after a fault.
    fn gather(
        &mut self,
        key: &AggregateKey,
        span: &Range<usize>,
        filter: Option<&Expr>,
    ) -> Option<Gathered> {
        let outer = (std::mem::take(&mut self.absent), std::mem::take(&mut self.left_out));
        let mut unit: Option<Unit> = None;
        let (mut members, mut failed) = (Vec::new(), false);
        let faults = self.faults.len();
        for asset in self.scope.members(key.set) {
            match self.member(asset, (key.quantity.as_deref(), span), filter, &mut unit) {
                Some(member) => members.push(member),
                None if self.faults.len() == faults => {}
                None => {
                    failed = true;
                    break;
                }
            }
        }
        // A member without the point is left out of the aggregate, and said to be.
        let mut left_out = std::mem::replace(&mut self.left_out, outer.1);
        let absent = std::mem::replace(&mut self.absent, outer.0);
        left_out.push(absent.into());
        if failed {
            return None;
        }
        let unit = unit.filter(|_| key.function != Function::Count).unwrap_or_else(Unit::none);
        let gather = Gather { function: key.function, members };
        let value = (!gather.members.is_empty()).then(|| (Rc::new(gather), unit));
        Some(Gathered { value, left_out })
    }

    fn member(
        &mut self,
        asset: AssetId,
        (quantity, span): (Option<&str>, &Range<usize>),
        filter: Option<&Expr>,
        unit: &mut Option<Unit>,
    ) -> Option<Members> {
        let outer = self.scope;
        self.scope.member = Some(asset);
        let value = quantity.map(|quantity| self.inner_name(quantity, span));
        let filter = filter.map(|filter| self.inner_condition(filter));
        self.scope = outer;
        let value = match value {
            None => None,
            Some(value) => {
                let (node, own) = value?;
                let common = unit.get_or_insert_with(|| own.clone()).clone();
                Some(self.convert(node, &own, &common, "beside", span)?)
            }
        };
        Some(Members {
            value,
            filter: match filter {
                None => None,
                Some(node) => Some(node?),
            },
        })
    }

    fn inner_name(&mut self, name: &str, span: &Range<usize>) -> Option<(Node, Unit)> {
        let expr = Expr { span: span.clone(), what: Form::Name(name.to_owned()) };
        self.inner_number(&expr)
    }
}
