//! The typed tree between the text and the flat program: constants are folded, units already converted.

use std::{collections::HashMap, rc::Rc};

use super::{
    program::{Aggregate, Code, Extreme, Function, Member, Op, Program},
    syntax::Test,
};
use crate::{plant::PointId, units::Unit};

#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A number; of a condition 1 or 0.
    Constant(f64),
    Point(PointId),
    Apply(Op, Vec<Node>),
    Compare(Box<Compare>),
    State {
        point: PointId,
        code: u32,
        equal: bool,
    },
    Aggregate(Rc<Gather>),
}

#[derive(Clone, Debug)]
pub(super) struct Compare {
    pub(super) test: Test,
    pub(super) left: Node,
    pub(super) right: Node,
    /// Added to the right side while the alarm is active.
    pub(super) shift: f64,
    /// The unit that both sides are computed in, and the one that they are shown in.
    pub(super) unit: Unit,
    pub(super) shown: Unit,
}

/// An aggregate over its members.
#[derive(Debug)]
pub(super) struct Gather {
    pub(super) function: Function,
    pub(super) members: Vec<Members>,
}

/// One member of an aggregate.
#[derive(Clone, Debug)]
pub(super) struct Members {
    pub(super) value: Option<Node>,
    pub(super) filter: Option<Node>,
}

impl Node {
    pub(super) fn apply(op: Op, arguments: impl Into<Vec<Self>>) -> Self {
        Self::Apply(op, arguments.into())
    }

    pub(super) fn truth(holds: bool) -> Self {
        Self::Constant(if holds { 1.0 } else { 0.0 })
    }

    pub(super) fn compare(
        test: Test,
        (left, right): (Self, Self),
        shift: f64,
        unit: Unit,
        shown: Unit,
    ) -> Self {
        Self::Compare(Box::new(Compare { test, left, right, shift, unit, shown }))
    }

    /// True when no value of a point can change it. Constants are folded bottom up, so that looking one level deep is
    /// enough, except where the arithmetic has no result.
    pub(super) fn is_constant(&self) -> bool {
        match self {
            Self::Constant(_) => true,
            Self::Point(_) | Self::State { .. } | Self::Aggregate(_) => false,
            Self::Apply(_, arguments) => arguments.iter().all(Self::is_constant),
            Self::Compare(compare) => compare.left.is_constant() && compare.right.is_constant(),
        }
    }

    /// The constant that this is, if it is one. `1 kW / 0` stays as it is, and is unknown.
    pub(super) fn folded(self) -> Self {
        if matches!(self, Self::Constant(_)) || !self.is_constant() {
            return self;
        }
        let mut scratch = Layout::default();
        let code = scratch.lay(&self);
        match scratch.program.number(&code, &[]) {
            Some(value) => Self::Constant(value),
            None => self,
        }
    }
}

/// Lays trees flat, one after the other, into one program. A shared aggregate is laid once.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) program: Program,
    /// By address; the aggregate is kept so that its address stays its own.
    aggregates: HashMap<*const Gather, (Rc<Gather>, u32)>,
}

impl Layout {
    pub(super) fn lay(&mut self, node: &Node) -> Code {
        let mut ops = Vec::new();
        self.emit(node, &mut ops);
        let start = index(self.program.ops.len());
        self.program.ops.append(&mut ops);
        start..index(self.program.ops.len())
    }

    fn emit(&mut self, node: &Node, ops: &mut Vec<Op>) {
        match node {
            Node::Constant(value) => ops.push(Op::Constant(*value)),
            Node::Point(point) => ops.push(Op::Point(*point)),
            Node::Apply(op, arguments) => {
                for argument in arguments {
                    self.emit(argument, ops);
                }
                ops.push(*op);
            }
            Node::Compare(compare) => self.emit_compare(compare, ops),
            Node::State { point, code, equal, .. } => {
                let test = if *equal { Test::Equal } else { Test::NotEqual };
                ops.extend([
                    Op::Point(*point),
                    Op::Constant(f64::from(*code)),
                    Op::Compare(test, 0.0),
                ]);
            }
            Node::Aggregate(gather) => {
                let index = self.aggregate(gather);
                ops.push(Op::Aggregate(index));
            }
        }
    }

    fn emit_compare(&mut self, compare: &Compare, ops: &mut Vec<Op>) {
        let Compare { test, left, right, shift, .. } = compare;
        if let Some((aggregate, extreme)) = self.extreme(left) {
            self.emit(right, ops);
            ops.push(Op::CompareExtreme { aggregate, extreme, test: *test, shift: *shift });
            return;
        }
        if let Some((aggregate, extreme)) = self.extreme(right) {
            // a < max(set) is max(set) > a; moving the right side by the deadband moves the left one the other way.
            self.emit(left, ops);
            let test = test.mirrored();
            ops.push(Op::CompareExtreme { aggregate, extreme, test, shift: -shift });
            return;
        }
        self.emit(left, ops);
        self.emit(right, ops);
        ops.push(Op::Compare(*test, *shift));
    }

    fn extreme(&mut self, node: &Node) -> Option<(u32, Extreme)> {
        let Node::Aggregate(gather) = node else { return None };
        let extreme = match gather.function {
            Function::Max => Extreme::Max,
            Function::Min => Extreme::Min,
            Function::Sum | Function::Avg | Function::Median | Function::Count => return None,
        };
        Some((self.aggregate(gather), extreme))
    }

    fn aggregate(&mut self, gather: &Rc<Gather>) -> u32 {
        if let Some((_, known)) = self.aggregates.get(&Rc::as_ptr(gather)) {
            return *known;
        }
        let members = gather
            .members
            .iter()
            .map(|member| Member {
                value: member.value.as_ref().map(|node| self.lay(node)),
                filter: member.filter.as_ref().map(|node| self.lay(node)),
            })
            .collect();
        let index = index(self.program.aggregates.len());
        self.program.aggregates.push(Aggregate { function: gather.function, members });
        self.aggregates.insert(Rc::as_ptr(gather), (Rc::clone(gather), index));
        index
    }
}

fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
