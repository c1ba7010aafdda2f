//! The tree of an expression, with names looked up and units checked, to a typed tree that can be laid flat.

use std::{collections::HashMap, ops::Range, rc::Rc, sync::Arc};

use super::{
    fault::ExpressionFault,
    names::{Declared, Found, Scope, Set, Unresolved, did_you_mean},
    node::{Gather, Node},
    program::{Function, Op},
    syntax::{Expr, Form, Operator, Test},
};
use crate::{
    plant::{AssetId, PointId, PointKind},
    units::{Dimension, SUGGESTED, Unit, decimal},
};

mod calls;

/// A deadband as declared: a distance in its own unit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deadband {
    pub(crate) value: f64,
    pub(crate) unit: Unit,
}

/// A part of a condition, and what it is.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    pub(super) node: Node,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Number(Unit),
    Truth,
    /// A point with a code.
    State(PointId),
    /// `'Leak'` as written.
    Text(String),
    /// A declared word with the words it can be; none: free text.
    Word(String, &'static [&'static str]),
}

/// Something that an asset would need for the rule to apply to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Absence {
    pub(crate) asset: Arc<str>,
    pub(crate) missing: String,
}

/// What makes two aggregates one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AggregateKey {
    function: Function,
    set: Set,
    quantity: Option<String>,
    filter: Option<String>,
    /// The asset that the variable stands for, where the filter names it.
    variable: Option<AssetId>,
}

/// A checked aggregate.
#[derive(Clone, Debug)]
pub(crate) struct Gathered {
    /// `None`: no member has the value.
    value: Option<(Rc<Gather>, Unit)>,
    /// The members that were left out, and those that aggregates inside its filter leave out.
    left_out: Vec<Rc<[Absence]>>,
}

/// What aggregates were found to be, so that one over many members is checked once and not for every asset.
#[derive(Debug, Default)]
pub(crate) struct Aggregates(HashMap<AggregateKey, Option<Gathered>>);

/// Checks one expression for one binding of the variable, and gathers every fault.
pub(crate) struct Checker<'a> {
    pub(crate) scope: Scope<'a>,
    pub(crate) deadband: Option<&'a Deadband>,
    aggregates: &'a mut Aggregates,
    pub(crate) faults: Vec<ExpressionFault>,
    /// What keeps the rule from applying.
    pub(crate) absent: Vec<Absence>,
    /// What the members lack that aggregates leave out; shared by all that use the aggregate.
    pub(crate) left_out: Vec<Rc<[Absence]>>,
    /// The units of the limits that the deadband did not fit, and whether it fitted one.
    pub(crate) unfit: Vec<Unit>,
    pub(crate) fitted: bool,
    negated: bool,
    /// Inside a number, a filter or `missing` nothing has a deadband.
    bare: bool,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(
        scope: Scope<'a>,
        deadband: Option<&'a Deadband>,
        aggregates: &'a mut Aggregates,
    ) -> Self {
        Self {
            scope,
            deadband,
            aggregates,
            faults: Vec::new(),
            absent: Vec::new(),
            left_out: Vec::new(),
            unfit: Vec::new(),
            fitted: false,
            negated: false,
            bare: false,
        }
    }

    pub(crate) fn condition(&mut self, expr: &Expr) -> Option<Node> {
        let typed = self.any(expr)?;
        match typed.kind {
            Kind::Truth => Some(typed.node),
            Kind::Number(_) | Kind::State(_) | Kind::Text(_) | Kind::Word(..) => self.fault(
                &expr.span,
                "this is a value, not a condition",
                "compare it, for example with > 45 °C or == 'Leak'",
            ),
        }
    }

    fn number(&mut self, expr: &Expr) -> Option<(Node, Unit)> {
        let typed = self.any(expr)?;
        match typed.kind {
            Kind::Number(unit) => Some((typed.node, unit)),
            Kind::State(_) => Some((typed.node, Unit::none())),
            Kind::Truth => self.fault(
                &expr.span,
                "this is a condition, not a number",
                "use if(condition, then, else) to make a number of it",
            ),
            Kind::Text(_) | Kind::Word(..) => self.fault(
                &expr.span,
                "text is no number",
                "text can only be compared, with == or !=",
            ),
        }
    }

    fn any(&mut self, expr: &Expr) -> Option<Typed> {
        match &expr.what {
            Form::Number { value, unit } => self.literal(*value, unit.as_ref()),
            Form::Text(text) => {
                Some(Typed { node: Node::Constant(0.0), kind: Kind::Text(text.clone()) })
            }
            Form::Name(name) => self.name(name, &expr.span),
            Form::Negate(inner) => self.negate(inner, &expr.span),
            Form::Not(inner) => {
                let before = std::mem::replace(&mut self.negated, true);
                let node = self.condition(inner);
                self.negated = before;
                Some(truth(Node::apply(Op::Not, [node?])))
            }
            Form::Binary { operator, left, right } => {
                self.binary(*operator, left, right, &expr.span)
            }
            Form::Call { function, function_span, arguments } => {
                self.call(function, function_span, arguments, &expr.span)
            }
        }
    }

    fn literal(&mut self, value: f64, unit: Option<&(String, Range<usize>)>) -> Option<Typed> {
        let Some((text, span)) = unit else {
            return Some(number(Node::Constant(value), Unit::none()));
        };
        if let Ok(unit) = Unit::parse(text) {
            return Some(number(Node::Constant(value), unit));
        }
        let remedy = did_you_mean(text, SUGGESTED.iter().copied()).unwrap_or_else(|| {
            "use a unit such as °C, K, kW, L/min, kPa or %; a division after a unit needs spaces".into()
        });
        self.fault(span, &format!("unknown unit \"{text}\""), &remedy)
    }

    fn name(&mut self, name: &str, span: &Range<usize>) -> Option<Typed> {
        match self.scope.resolve(name) {
            Ok(Found::Point(point)) => self.point(point, span),
            Ok(Found::Declared(Declared::Number(value, unit))) => {
                Some(number(Node::Constant(value), Unit::parse(unit).ok()?))
            }
            Ok(Found::Declared(Declared::Word(word, words))) => {
                Some(Typed { node: Node::Constant(0.0), kind: Kind::Word(word, words) })
            }
            Ok(Found::Set(..)) => self.fault(
                span,
                &format!("\"{name}\" is a set, not a value"),
                &format!("make one value of it, for example max({name})"),
            ),
            Err(why) => self.unresolved(why, span),
        }
    }

    fn point(&mut self, point: PointId, span: &Range<usize>) -> Option<Typed> {
        let spec = self.scope.plant.point(point);
        match spec.kind {
            PointKind::Text => self.fault(
                span,
                &format!("\"{}\" is text", self.scope.plant.point_name(point)),
                "rules judge numbers and states only",
            ),
            PointKind::State => Some(Typed { node: Node::Point(point), kind: Kind::State(point) }),
            PointKind::Gauge | PointKind::Counter => {
                Some(number(Node::Point(point), spec.unit.clone()))
            }
        }
    }

    fn unresolved<T>(&mut self, why: Unresolved, span: &Range<usize>) -> Option<T> {
        match why {
            Unresolved::Absent { asset, missing } => {
                self.absent.push(Absence { asset, missing });
                None
            }
            Unresolved::Unknown { message, remedy } => self.fault(span, &message, &remedy),
        }
    }

    fn negate(&mut self, inner: &Expr, span: &Range<usize>) -> Option<Typed> {
        let (node, unit) = self.number(inner)?;
        // A literal below zero is written with a sign; the sign belongs to the number, so −5 °C is a temperature.
        if let (Node::Constant(value), Form::Number { .. }) = (&node, &inner.what) {
            return Some(number(Node::Constant(-value), unit));
        }
        self.no_absolute(&unit, span, "negated")?;
        Some(number(Node::apply(Op::Negate, [node]), unit))
    }

    fn binary(
        &mut self,
        operator: Operator,
        left: &Expr,
        right: &Expr,
        span: &Range<usize>,
    ) -> Option<Typed> {
        match operator {
            Operator::And | Operator::Or => {
                let (a, b) = (self.condition(left), self.condition(right));
                let op = if operator == Operator::And { Op::And } else { Op::Or };
                Some(truth(Node::apply(op, [a?, b?])))
            }
            Operator::Compare(test) => self.compare(test, left, right, span),
            Operator::Add | Operator::Subtract => {
                let bare = std::mem::replace(&mut self.bare, true);
                let (a, b) = (self.number(left), self.number(right));
                self.bare = bare;
                self.sum(operator == Operator::Subtract, a?, b?, span)
            }
            Operator::Multiply | Operator::Divide => {
                let bare = std::mem::replace(&mut self.bare, true);
                let (a, b) = (self.number(left), self.number(right));
                self.bare = bare;
                self.product(operator == Operator::Divide, a?, b?, span)
            }
        }
    }

    fn sum(
        &mut self,
        minus: bool,
        (a, a_unit): (Node, Unit),
        (b, b_unit): (Node, Unit),
        span: &Range<usize>,
    ) -> Option<Typed> {
        let op = if minus { Op::Subtract } else { Op::Add };
        let (a_absolute, b_absolute) = (a_unit.dimension().absolute, b_unit.dimension().absolute);
        let (b_as, result) = match (a_absolute, b_absolute) {
            (true, true) if minus => (a_unit.clone(), a_unit.difference()),
            (true, true) => {
                return self.fault(
                    span,
                    &format!("two temperatures cannot be added: \"{a_unit}\" + \"{b_unit}\""),
                    "a distance on the temperature scale is written in K, for example 2 K",
                );
            }
            (true, false) => (a_unit.difference(), a_unit.clone()),
            (false, true) if minus => {
                return self.fault(
                    span,
                    &format!("a temperature cannot be taken from a difference: \"{a_unit}\" - \"{b_unit}\""),
                    "exchange the sides",
                );
            }
            (false, true) => return self.sum(false, (b, b_unit), (a, a_unit), span),
            (false, false) if a.is_constant() && !b.is_constant() => {
                let a = self.convert(a, &a_unit, &b_unit, if minus { "-" } else { "+" }, span)?;
                return Some(number(Node::apply(op, [a, b]), b_unit));
            }
            (false, false) => (a_unit.clone(), a_unit.clone()),
        };
        let b =
            self.convert_beside(b, &b_unit, &b_as, (&a_unit, if minus { "-" } else { "+" }), span)?;
        Some(number(Node::apply(op, [a, b]), result))
    }

    fn product(
        &mut self,
        divide: bool,
        (a, a_unit): (Node, Unit),
        (b, b_unit): (Node, Unit),
        span: &Range<usize>,
    ) -> Option<Typed> {
        self.no_absolute(&a_unit, span, "multiplied or divided")?;
        self.no_absolute(&b_unit, span, "multiplied or divided")?;
        let ((a, a_unit), (b, b_unit)) = (plain(a, a_unit), plain(b, b_unit));
        let (op, sign) = if divide { (Op::Divide, -1) } else { (Op::Multiply, 1) };
        Some(number(Node::apply(op, [a, b]), a_unit.combine(&b_unit, sign)))
    }

    fn no_absolute(&mut self, unit: &Unit, span: &Range<usize>, how: &str) -> Option<()> {
        if !unit.dimension().absolute {
            return Some(());
        }
        self.fault(
            span,
            &format!("a temperature in \"{unit}\" cannot be {how}"),
            "subtract another temperature first: a difference in K can be",
        )
    }

    fn convert(
        &mut self,
        node: Node,
        from: &Unit,
        to: &Unit,
        mark: &str,
        span: &Range<usize>,
    ) -> Option<Node> {
        self.convert_beside(node, from, to, (to, mark), span)
    }

    /// Converts, or says that both units do not go together; `beside` is the unit of the left side as written.
    fn convert_beside(
        &mut self,
        node: Node,
        from: &Unit,
        to: &Unit,
        (beside, mark): (&Unit, &str),
        span: &Range<usize>,
    ) -> Option<Node> {
        match from.conversion(to) {
            Ok(None) => Some(node),
            Ok(Some((factor, summand))) => Some(if let Node::Constant(value) = node {
                Node::Constant(decimal(from.convert(value, to).ok()?))
            } else {
                Node::apply(Op::Convert(factor, summand), [node])
            }),
            Err(_) => {
                let message = format!("{} {mark} {} has no meaning", side(beside), side(from));
                self.fault(span, &message, &mismatch_remedy(beside, from))
            }
        }
    }

    fn compare(
        &mut self,
        test: Test,
        left: &Expr,
        right: &Expr,
        span: &Range<usize>,
    ) -> Option<Typed> {
        let bare = std::mem::replace(&mut self.bare, true);
        let (a, b) = (self.any(left), self.any(right));
        self.bare = bare;
        let (a, b) = (a?, b?);
        match (a.kind, b.kind) {
            (Kind::Text(wanted), Kind::State(point)) => {
                self.state(test, point, &wanted, &left.span, span)
            }
            (Kind::State(point), Kind::Text(wanted)) => {
                self.state(test, point, &wanted, &right.span, span)
            }
            (Kind::Text(wanted), Kind::Word(word, words)) => {
                self.word(test, &word, words, (&wanted, &left.span), span)
            }
            (Kind::Word(word, words), Kind::Text(wanted)) => {
                self.word(test, &word, words, (&wanted, &right.span), span)
            }
            (Kind::Word(a, _), Kind::Word(b, _)) if !test.has_limit() => {
                Some(truth(Node::truth((a == b) == (test == Test::Equal))))
            }
            (Kind::Truth, _) | (_, Kind::Truth) => self.fault(
                span,
                "a condition is not compared",
                "use it as it is, or put \"not\" before it",
            ),
            (Kind::Number(unit), Kind::Number(other)) => {
                self.limit(test, (a.node, unit), (b.node, other), span)
            }
            (Kind::Number(unit), Kind::State(_)) => {
                self.limit(test, (a.node, unit), (b.node, Unit::none()), span)
            }
            (Kind::State(_), Kind::Number(unit)) => {
                self.limit(test, (a.node, Unit::none()), (b.node, unit), span)
            }
            (Kind::State(_), Kind::State(_)) => {
                self.limit(test, (a.node, Unit::none()), (b.node, Unit::none()), span)
            }
            (Kind::Text(_) | Kind::Word(..), _) | (_, Kind::Text(_) | Kind::Word(..)) => self
                .fault(
                    span,
                    "text is compared with a state or a declared word only, with == or !=",
                    "for example cdu.leak.state == 'Leak' or technology == 'cold_plate'",
                ),
        }
    }

    /// A comparison of two numbers. The constant side, if there is one, becomes the limit on the right.
    fn limit(
        &mut self,
        test: Test,
        (a, a_unit): (Node, Unit),
        (b, b_unit): (Node, Unit),
        span: &Range<usize>,
    ) -> Option<Typed> {
        if a.is_constant() && !b.is_constant() {
            return self.limit(test.mirrored(), (b, b_unit), (a, a_unit), span);
        }
        let shown = if b.is_constant() { b_unit.clone() } else { a_unit.clone() };
        let b = self.convert_beside(b, &b_unit, &a_unit, (&a_unit, test.mark()), span)?;
        let shift = self.shift(test, &a_unit, span);
        Some(truth(Node::compare(test, (a, b), shift, a_unit, shown)))
    }

    /// How far the limit moves while the alarm is active: down for `>`, up for `<`.
    fn shift(&mut self, test: Test, unit: &Unit, span: &Range<usize>) -> f64 {
        let Some(deadband) = self.deadband.filter(|_| test.has_limit() && !self.bare) else {
            return 0.0;
        };
        let Ok(distance) = deadband.unit.convert(deadband.value, &unit.difference()) else {
            self.unfit.push(unit.difference());
            return 0.0;
        };
        if self.negated {
            self.fault::<()>(
                span,
                "a deadband has no meaning under \"not\"",
                "turn the comparison round, for example not (a > b) into a <= b",
            );
        }
        self.fitted = true;
        let distance = decimal(distance);
        match test {
            Test::Greater | Test::GreaterOrEqual => -distance,
            Test::Less | Test::LessOrEqual => distance,
            Test::Equal | Test::NotEqual => 0.0,
        }
    }

    fn state(
        &mut self,
        test: Test,
        point: PointId,
        wanted: &str,
        text_span: &Range<usize>,
        span: &Range<usize>,
    ) -> Option<Typed> {
        if test.has_limit() {
            return self.fault(span, "states have no order", "compare them with == or !=");
        }
        let plant = self.scope.plant;
        let states = &plant.point(point).states;
        if let Some(label) = states.iter().find(|label| label.text == wanted) {
            return Some(truth(Node::State {
                point,
                code: label.code,
                equal: test == Test::Equal,
            }));
        }
        let name = plant.point_name(point);
        if let Some(remedy) = did_you_mean(wanted, states.iter().map(|label| &*label.text)) {
            return self.fault(text_span, &format!("\"{name}\" has no state '{wanted}'"), &remedy);
        }
        self.absent.push(Absence {
            asset: Arc::clone(&plant.asset(plant.point(point).asset).name),
            missing: format!("a state '{wanted}' of {}", plant.point(point).quantity),
        });
        None
    }

    fn word(
        &mut self,
        test: Test,
        word: &str,
        words: &'static [&'static str],
        (wanted, text_span): (&str, &Range<usize>),
        span: &Range<usize>,
    ) -> Option<Typed> {
        if test.has_limit() {
            return self.fault(span, "words have no order", "compare them with == or !=");
        }
        if !words.is_empty() && !words.contains(&wanted) {
            let remedy = did_you_mean(wanted, words.iter().copied())
                .unwrap_or_else(|| format!("it is one of {}", words.join(", ")));
            return self.fault(text_span, &format!("it is never '{wanted}'"), &remedy);
        }
        Some(truth(Node::truth((word == wanted) == (test == Test::Equal))))
    }

    fn fault<T>(&mut self, span: &Range<usize>, message: &str, remedy: &str) -> Option<T> {
        self.faults.push(ExpressionFault {
            span: span.clone(),
            message: message.to_owned(),
            remedy: remedy.to_owned(),
        });
        None
    }
}

fn number(node: Node, unit: Unit) -> Typed {
    Typed { node: node.folded(), kind: Kind::Number(unit) }
}

fn truth(node: Node) -> Typed {
    Typed { node: node.folded(), kind: Kind::Truth }
}

/// A constant factor such as 80 % becomes 0.8, so that a product keeps the unit of its other side.
fn plain(node: Node, unit: Unit) -> (Node, Unit) {
    if let Node::Constant(value) = node
        && unit.dimension() == Dimension::NONE
    {
        return (Node::Constant(decimal(unit.to_si(value))), Unit::none());
    }
    (node, unit)
}

/// A unit as one side of a mismatch.
fn side(unit: &Unit) -> String {
    if unit.is_bare() { "a bare number".to_owned() } else { format!("\"{unit}\"") }
}

fn mismatch_remedy(left: &Unit, right: &Unit) -> String {
    let place = |unit: &Unit| Dimension { absolute: true, ..unit.dimension() };
    if right.is_bare() {
        format!("give the number on the right a unit such as {left}")
    } else if left.is_bare() {
        format!("give the number on the left a unit such as {right}")
    } else if place(left) == place(right) {
        "a temperature such as 45 °C is a place on the scale, 2 K a distance: subtract two temperatures to compare with K".into()
    } else {
        "compare, add and choose between values of one kind only".into()
    }
}
