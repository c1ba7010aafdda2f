//! A condition with the values of now, for the operator: `84.5 % < 90 %`, `pump_2.state Fault`.
//!
//! Only what decides is told: of an `or` that holds the parts that are true, of an `and` that does not those that are
//! false, of a condition that is unknown the parts that are.

use std::sync::Arc;

use super::{
    node::{Compare, Layout, Node},
    program::{Code, Op, Program, Values},
    syntax::Test,
};
use crate::{
    plant::{AssetId, Plant, PointId, StateLabel},
    units::{Unit, decimal},
};

/// The comparisons of a condition, as they are joined in it.
#[derive(Clone, Debug)]
pub(crate) struct Operands(Part);

/// A part of a condition, with the code that says whether it is true.
#[derive(Clone, Debug)]
struct Part {
    code: Code,
    shown: Shown,
}

#[derive(Clone, Debug)]
enum Shown {
    Joined(Joint, Vec<Part>),
    /// A comparison of one value with another.
    Compare(Box<Sides>),
    /// The state that a point is in, whatever it is compared with.
    State {
        name: Arc<str>,
        point: PointId,
        states: Arc<[StateLabel]>,
    },
    Missing {
        value: Code,
    },
    Not(Box<Part>),
    /// A condition without a comparison, such as `1 == 1` in an `or`.
    Nothing,
}

#[derive(Clone, Debug)]
struct Sides {
    test: Test,
    left: Code,
    right: Code,
    /// The right side is a number of the rule, shown as it is written there.
    limit: bool,
    /// Added to the right side while the alarm is active.
    shift: f64,
    unit: Unit,
    shown: Unit,
}

/// What stands between parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joint {
    And,
    Or,
    /// Of `k_of_n`.
    Comma,
}

impl Operands {
    /// `asset` is the one that the alarm is for: its own points need no prefix.
    pub(super) fn new(
        node: &Node,
        layout: &mut Layout,
        plant: &Plant,
        asset: Option<AssetId>,
    ) -> Self {
        Self(Part::new(node, layout, plant, asset))
    }

    /// `holding`: the alarm is active, so that limits are moved by the deadband.
    pub(crate) fn print(&self, program: &Program, values: Values<'_>, holding: bool) -> String {
        let now = Moment { program, values, holding };
        now.texts(&self.0, false).join(joint(&self.0, false).text())
    }
}

impl Part {
    fn new(node: &Node, layout: &mut Layout, plant: &Plant, asset: Option<AssetId>) -> Self {
        let join = |joint: Joint, parts: &[Node], layout: &mut Layout| {
            let parts = parts.iter().map(|part| Self::new(part, layout, plant, asset));
            Shown::Joined(joint, parts.collect())
        };
        let shown = match node {
            Node::Apply(Op::And, parts) => join(Joint::And, parts, layout),
            Node::Apply(Op::Or, parts) => join(Joint::Or, parts, layout),
            Node::Apply(Op::AtLeast { .. }, parts) => join(Joint::Comma, parts, layout),
            Node::Apply(Op::Not, inner) => inner.first().map_or(Shown::Nothing, |inner| {
                Shown::Not(Box::new(Self::new(inner, layout, plant, asset)))
            }),
            Node::Apply(Op::Missing, inner) => inner
                .first()
                .map_or(Shown::Nothing, |inner| Shown::Missing { value: layout.lay(inner) }),
            Node::Compare(compare) => Shown::Compare(Box::new(Sides::new(compare, layout))),
            Node::State { point, .. } => {
                let spec = plant.point(*point);
                let name = if asset == Some(spec.asset) {
                    Arc::clone(&spec.quantity)
                } else {
                    plant.point_name(*point).into()
                };
                Shown::State { name, point: *point, states: spec.states.as_slice().into() }
            }
            Node::Apply(..) | Node::Constant(_) | Node::Point(_) | Node::Aggregate(_) => {
                Shown::Nothing
            }
        };
        Self { code: layout.lay(node), shown }
    }
}

impl Sides {
    fn new(compare: &Compare, layout: &mut Layout) -> Self {
        let Compare { test, left, right, shift, unit, shown } = compare;
        let limit = right.is_constant();
        let (left, right) = (layout.lay(left), layout.lay(right));
        let (unit, shown) = (unit.clone(), shown.clone());
        Self { test: *test, left, right, limit, shift: *shift, unit, shown }
    }
}

impl Joint {
    fn text(self) -> &'static str {
        match self {
            Self::And => " and ",
            Self::Or => " or ",
            Self::Comma => ", ",
        }
    }

    /// `not (a and b)` is `not a or not b`.
    fn negated(self) -> Self {
        match self {
            Self::And => Self::Or,
            Self::Or => Self::And,
            Self::Comma => Self::Comma,
        }
    }
}

/// What joins the texts of a part.
fn joint(part: &Part, negated: bool) -> Joint {
    match &part.shown {
        Shown::Joined(joint, _) if negated => joint.negated(),
        Shown::Joined(joint, _) => *joint,
        Shown::Not(inner) => joint(inner, !negated),
        Shown::Compare(_) | Shown::State { .. } | Shown::Missing { .. } | Shown::Nothing => {
            Joint::Comma
        }
    }
}

/// The values that a condition is shown with.
struct Moment<'a> {
    program: &'a Program,
    values: Values<'a>,
    holding: bool,
}

impl Moment<'_> {
    /// The texts of the parts that decide, each once.
    fn texts(&self, part: &Part, negated: bool) -> Vec<String> {
        let text = match &part.shown {
            Shown::Joined(_, parts) => return self.joined(part, parts, negated),
            Shown::Not(inner) => return self.texts(inner, !negated),
            Shown::Nothing => return Vec::new(),
            Shown::Compare(sides) => self.compare(sides, negated),
            Shown::State { name, point, states } => {
                format!("{name} {}", self.state(*point, states))
            }
            Shown::Missing { value } => match self.program.reason(value, self.values) {
                Some(reason) => format!("missing ({reason})"),
                None => "not missing".to_owned(),
            },
        };
        vec![text]
    }

    fn joined(&self, whole: &Part, parts: &[Part], negated: bool) -> Vec<String> {
        let truth = |part: &Part| self.program.truth(&part.code, self.values, self.holding);
        let (outer, decided) = (joint(whole, negated), truth(whole));
        let mut texts: Vec<String> = Vec::new();
        for part in parts.iter().filter(|part| truth(part) == decided) {
            let inner = joint(part, negated);
            let mut found = self.texts(part, negated);
            if found.len() > 1 && inner != outer {
                found = vec![format!("({})", found.join(inner.text()))];
            }
            for text in found {
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
        }
        texts
    }

    fn state(&self, point: PointId, states: &[StateLabel]) -> String {
        let code = match self.values.get(point.index()) {
            Some(Ok(code)) => *code,
            Some(Err(reason)) => return format!("? ({reason})"),
            None => return "?".to_owned(),
        };
        let label = states.iter().find(|label| f64::from(label.code).total_cmp(&code).is_eq());
        label.map_or_else(|| format!("{code}"), |label| label.text.clone())
    }

    fn compare(&self, sides: &Sides, negated: bool) -> String {
        let Sides { left, right, limit, unit, shown, .. } = sides;
        let number = |code: &Code| {
            let value = self.program.number(code, self.values)?;
            Some(unit.convert(value, shown).unwrap_or(value))
        };
        let (left_now, right_now) = (number(left), number(right));
        let (left_text, right_text) = match (left_now, right_now) {
            (Some(left), Some(right)) => numbers(left, right, *limit),
            (left, right) => (
                left.map(|left| rounded(left, 0)),
                right.map(|right| if *limit { as_written(right) } else { rounded(right, 0) }),
            ),
        };
        let side = |known: Option<String>, code: &Code| match known {
            Some(number) => with_unit(number, shown),
            None => match self.program.reason(code, self.values) {
                Some(reason) => format!("? ({reason})"),
                None => "?".to_owned(),
            },
        };
        let band = self.deadband(sides);
        let (left, right) = (side(left_text, left), side(right_text, right));
        let mark = self.true_test(sides, negated, band.is_some()).mark();
        format!("{left} {mark} {right}{}", band.unwrap_or_default())
    }

    /// How the two sides compare now. An alarm that is waiting to clear is told `102 % >= 90 %`, not what is no longer so.
    fn true_test(&self, sides: &Sides, negated: bool, held: bool) -> Test {
        let number = |code: &Code| self.program.number(code, self.values);
        let holds = match (number(&sides.left), number(&sides.right)) {
            (Some(left), Some(right)) => held || sides.test.holds(left, right),
            _ => !negated,
        };
        if holds { sides.test } else { sides.test.negated() }
    }

    /// ` + 2 %`: the deadband, when only that keeps the comparison true.
    fn deadband(&self, sides: &Sides) -> Option<String> {
        let Sides { test, left, right, shift, unit, shown, .. } = sides;
        let number = |code: &Code| self.program.number(code, self.values);
        let (left, right) = (number(left)?, number(right)?);
        let only_held = !test.holds(left, right) && test.holds(left, right + shift);
        if !self.holding || !only_held {
            return None;
        }
        let band = unit.difference().convert(shift.abs(), &shown.difference()).ok()?;
        let sign = if *shift < 0.0 { '-' } else { '+' };
        Some(format!(" {sign} {}", with_unit(as_written(band), &shown.difference())))
    }
}

fn with_unit(number: String, unit: &Unit) -> String {
    if unit.is_bare() { number } else { format!("{number} {unit}") }
}

/// Both sides of a comparison, with as many digits as it takes to see how they compare.
fn numbers(left: f64, right: f64, limit: bool) -> (Option<String>, Option<String>) {
    let written = as_written(right);
    let least = if limit { written.split_once('.').map_or(0, |(_, after)| after.len()) } else { 0 };
    let mut texts = (String::new(), String::new());
    for more in 0..=DECIMALS_MAX {
        let other = if limit { written.clone() } else { rounded(right, more) };
        texts = (rounded(left, least.max(more)), other);
        let read = |text: &str| text.parse().unwrap_or(0.0_f64);
        if read(&texts.0).partial_cmp(&read(&texts.1)) == left.partial_cmp(&right) {
            break;
        }
    }
    (Some(texts.0), Some(texts.1))
}

/// More decimals than this tell nobody anything.
const DECIMALS_MAX: usize = 9;

/// A limit: a number that someone wrote, free of what conversions added to it.
fn as_written(value: f64) -> String {
    decimal(value).to_string()
}

/// Three digits or `decimals`, whichever shows more, without zeros at the end.
fn rounded(value: f64, decimals: usize) -> String {
    let three = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.*}", decimals.max(three));
    let text = match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.'),
        None => &text,
    };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}
