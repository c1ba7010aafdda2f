//! The compiled form: flat operations over a stack, evaluated each tick without allocating.

use std::ops::Range;

use super::syntax::Test;
use crate::{plant::PointId, value::NoData};

/// The values of all points, by [`PointId`]. Staleness is already applied.
pub type Values<'a> = &'a [Result<f64, NoData>];

/// A result on the stack: a number, or 1 and 0 for true and false; `None` is unknown.
type Slot = Option<f64>;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Op {
    Constant(f64),
    Point(PointId),
    /// value × factor + summand
    Convert(f64, f64),
    Negate,
    Add,
    Subtract,
    Multiply,
    Divide,
    Min,
    Max,
    Abs,
    Clamp,
    If,
    /// The summand moves the right side while the alarm is active.
    Compare(Test, f64),
    Not,
    And,
    Or,
    /// At least `k` of the topmost `n`.
    AtLeast {
        k: u32,
        n: u32,
    },
    Missing,
    /// The result of an aggregate; unknown when a member is.
    Aggregate(u32),
    /// An aggregate on the left of a comparison that one known member can decide (S7).
    CompareExtreme {
        aggregate: u32,
        extreme: Extreme,
        test: Test,
        shift: f64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extreme {
    Max,
    Min,
}

pub(crate) type Code = Range<u32>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    Sum,
    Avg,
    Min,
    Max,
    Median,
    Count,
}

/// One aggregate over a set, computed once a tick however many rules use it.
#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    pub(crate) function: Function,
    pub(crate) members: Vec<Member>,
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// `None` only counts the member.
    pub(crate) value: Option<Code>,
    pub(crate) filter: Option<Code>,
}

/// What is known of an aggregate now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Gathered {
    /// Over the members that are known.
    known: Slot,
    /// Whether all of them are.
    complete: bool,
}

/// All operations of a rule set. Aggregates stand in the order in which they can be computed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub(crate) ops: Vec<Op>,
    pub(crate) aggregates: Vec<Aggregate>,
    results: Vec<Gathered>,
    stack: Vec<Slot>,
    gathered: Vec<f64>,
}

impl Program {
    /// Computes the aggregates of this tick. Rules are judged after it.
    pub(crate) fn gather(&mut self, values: Values<'_>) {
        self.results.resize(self.aggregates.len(), Gathered::default());
        for index in 0..self.aggregates.len() {
            let gathered = self.gather_one(index, values);
            if let Some(result) = self.results.get_mut(index) {
                *result = gathered;
            }
        }
    }

    fn gather_one(&mut self, index: usize, values: Values<'_>) -> Gathered {
        let Self { ops, aggregates, results, stack, gathered } = self;
        let Some(aggregate) = aggregates.get(index) else { return Gathered::default() };
        gathered.clear();
        let mut complete = true;
        for member in &aggregate.members {
            let mut run = |code: &Code| evaluate(ops, code, results, values, stack, false);
            match member.filter.as_ref().map_or(Some(1.0), &mut run) {
                Some(0.0) => {}
                Some(_) => match member.value.as_ref().map_or(Some(1.0), &mut run) {
                    Some(value) => gathered.push(value),
                    None => complete = false,
                },
                None => complete = false,
            }
        }
        Gathered { known: aggregate.function.of(gathered), complete }
    }

    /// The truth of a condition; `None` is unknown. While `holding`, limits are moved by the deadband.
    pub(crate) fn judge(&mut self, code: &Code, values: Values<'_>, holding: bool) -> Option<bool> {
        let truth = evaluate(&self.ops, code, &self.results, values, &mut self.stack, holding)?;
        Some(truth != 0.0)
    }

    /// The truth of a part of a condition, from the aggregates of the last tick.
    pub(crate) fn truth(&self, code: &Code, values: Values<'_>, holding: bool) -> Option<bool> {
        let truth = evaluate(&self.ops, code, &self.results, values, &mut Vec::new(), holding)?;
        Some(truth != 0.0)
    }

    /// The number that some code stands for now, from the aggregates of the last tick.
    pub(crate) fn number(&self, code: &Code, values: Values<'_>) -> Option<f64> {
        evaluate(&self.ops, code, &self.results, values, &mut Vec::new(), false)
    }

    /// Why some code gives no number: the reason of the first point that has none.
    pub(crate) fn reason(&self, code: &Code, values: Values<'_>) -> Option<NoData> {
        let ops = self.ops.get(code.start as usize..code.end as usize)?;
        ops.iter().find_map(|op| match op {
            Op::Point(point) => {
                values.get(point.index()).map_or(Some(NoData::NeverSeen), |v| v.err())
            }
            Op::Aggregate(_) | Op::CompareExtreme { .. } => Some(NoData::LowCoverage),
            Op::Constant(_)
            | Op::Convert(..)
            | Op::Negate
            | Op::Add
            | Op::Subtract
            | Op::Multiply
            | Op::Divide
            | Op::Min
            | Op::Max
            | Op::Abs
            | Op::Clamp
            | Op::If
            | Op::Compare(..)
            | Op::Not
            | Op::And
            | Op::Or
            | Op::AtLeast { .. }
            | Op::Missing => None,
        })
    }
}

impl Function {
    fn of(self, numbers: &mut [f64]) -> Slot {
        let count = numbers.len();
        #[expect(clippy::cast_precision_loss, reason = "sets have far fewer than 2^53 members")]
        let size = count as f64;
        let sum = || numbers.iter().sum::<f64>();
        match self {
            Self::Sum => Some(sum()),
            Self::Count => Some(size),
            Self::Avg => (count > 0).then(|| sum() / size),
            Self::Min => numbers.iter().copied().reduce(f64::min),
            Self::Max => numbers.iter().copied().reduce(f64::max),
            Self::Median => {
                numbers.sort_unstable_by(f64::total_cmp);
                let upper = numbers.get(count / 2)?;
                let lower =
                    if count.is_multiple_of(2) { numbers.get(count / 2 - 1)? } else { upper };
                Some(f64::midpoint(*lower, *upper))
            }
        }
    }
}

fn evaluate(
    ops: &[Op],
    code: &Code,
    aggregates: &[Gathered],
    values: Values<'_>,
    stack: &mut Vec<Slot>,
    holding: bool,
) -> Slot {
    stack.clear();
    for op in ops.get(code.start as usize..code.end as usize)? {
        let result = match *op {
            Op::Constant(value) => Some(value),
            Op::Point(point) => {
                values.get(point.index()).and_then(|value| value.as_ref().ok().copied())
            }
            Op::Convert(factor, summand) => pop(stack).map(|value| value * factor + summand),
            Op::Negate => pop(stack).map(|value| -value),
            Op::Abs => pop(stack).map(f64::abs),
            Op::Add => two(stack, |a, b| a + b),
            Op::Subtract => two(stack, |a, b| a - b),
            Op::Multiply => two(stack, |a, b| a * b),
            Op::Divide => two(stack, |a, b| a / b),
            Op::Min => two(stack, f64::min),
            Op::Max => two(stack, f64::max),
            Op::Clamp => clamp(stack),
            Op::If => choose(stack),
            Op::Compare(test, shift) => {
                let shift = if holding { shift } else { 0.0 };
                two(stack, |a, b| truth(test.holds(a, b + shift)))
            }
            Op::Not => pop(stack).map(|value| truth(value == 0.0)),
            Op::And => {
                let (left, right) = pair(stack);
                decided(left, right, 0.0)
            }
            Op::Or => {
                let (left, right) = pair(stack);
                decided(left, right, 1.0)
            }
            Op::AtLeast { k, n } => at_least(stack, k, n),
            Op::Missing => Some(truth(pop(stack).is_none())),
            Op::Aggregate(index) => aggregates
                .get(index as usize)
                .and_then(|result| result.known.filter(|_| result.complete)),
            Op::CompareExtreme { aggregate, extreme, test, shift } => {
                let limit = pop(stack).map(|limit| if holding { limit + shift } else { limit });
                aggregates.get(aggregate as usize).and_then(|g| beyond(*g, extreme, test, limit))
            }
        };
        stack.push(result.filter(|value| value.is_finite()));
    }
    pop(stack)
}

/// `max(set) > L` is true as soon as one known member exceeds L, and `max(set) < L` false; `min` mirrors it. A test
/// that the known members leave open is unknown when a member is.
fn beyond(gathered: Gathered, extreme: Extreme, test: Test, limit: Slot) -> Slot {
    let holds = test.holds(gathered.known?, limit?);
    // What the extreme of the known members has passed, no further member takes back.
    let decides = match (extreme, test) {
        (Extreme::Max, Test::Greater | Test::GreaterOrEqual)
        | (Extreme::Min, Test::Less | Test::LessOrEqual) => holds,
        (Extreme::Max, Test::Less | Test::LessOrEqual)
        | (Extreme::Min, Test::Greater | Test::GreaterOrEqual) => !holds,
        (Extreme::Max | Extreme::Min, Test::Equal | Test::NotEqual) => false,
    };
    (gathered.complete || decides).then_some(truth(holds))
}

fn pop(stack: &mut Vec<Slot>) -> Slot {
    stack.pop().flatten()
}

fn pair(stack: &mut Vec<Slot>) -> (Slot, Slot) {
    let right = pop(stack);
    (pop(stack), right)
}

fn two(stack: &mut Vec<Slot>, combine: impl Fn(f64, f64) -> f64) -> Slot {
    let (left, right) = pair(stack);
    Some(combine(left?, right?))
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// Kleene `and` (decided by 0) and `or` (decided by 1).
#[expect(clippy::float_cmp, reason = "truth is exactly 0 or 1")]
fn decided(left: Slot, right: Slot, by: f64) -> Slot {
    match (left, right) {
        (Some(a), _) if a == by => left,
        (_, Some(b)) if b == by => right,
        (Some(_), Some(_)) => left,
        (None, _) | (_, None) => None,
    }
}

fn clamp(stack: &mut Vec<Slot>) -> Slot {
    let (low, high) = pair(stack);
    let (value, low, high) = (pop(stack)?, low?, high?);
    (low <= high).then(|| value.clamp(low, high))
}

/// `if(condition, then, else)`: unknown when the condition is.
fn choose(stack: &mut Vec<Slot>) -> Slot {
    let (yes, no) = pair(stack);
    if pop(stack)? == 0.0 { no } else { yes }
}

fn at_least(stack: &mut Vec<Slot>, k: u32, n: u32) -> Slot {
    let (mut trues, mut unknowns) = (0_u32, 0_u32);
    for _ in 0..n {
        match pop(stack) {
            Some(value) => trues += u32::from(value != 0.0),
            None => unknowns += 1,
        }
    }
    if trues >= k {
        Some(1.0)
    } else if trues + unknowns < k {
        Some(0.0)
    } else {
        None
    }
}
