//! The meter tree: which meters may be summed, and which would count the same energy twice.
//!
//! Meters hang together by what they feed. A meter and anything upstream of it see the same energy, so a sum may hold
//! one of them, never both: the naive sum over a recorded hall is 22 % too high (domain facts V-DSX-2).

use std::collections::{HashMap, VecDeque};

use thiserror::Error;

use crate::plant::{AssetId, Detail, EdgeKind, Plant, Role};

/// One meter, or one thing that energy passes through on its way between meters.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub name: String,
    /// `None`: no meter, only a place in the tree (a UPS, a bus).
    pub role: Option<Role>,
    /// Indices of what it feeds.
    pub feeds: Vec<usize>,
}

/// The tree (a directed graph without circles: a rack with two feeds has two parents).
#[derive(Clone, Debug)]
pub struct MeterTree {
    nodes: Vec<Node>,
    parents: Vec<Vec<usize>>,
}

/// Why a set of meters cannot be summed, or is no tree at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TreeFault {
    #[error("\"{}\" feed each other in a circle", .0.join("\" → \""))]
    Cycle(Vec<String>),
    #[error(
        "\"{ancestor}\" and \"{descendant}\" would both be counted, and \"{ancestor}\" feeds \"{descendant}\""
    )]
    DoubleCounting { ancestor: String, descendant: String },
}

/// A figure that meters add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// `E_DC`: into the boundary plus on-site generation, less what leaves (domain facts §1.6 step 2).
    Facility,
    /// `E_IT`: the IT meters, less what they feed that is not IT, such as a CDU pump on an IT bus (step 3).
    It,
}

/// A meter in a total, added or taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Index of the node.
    pub node: usize,
    pub negative: bool,
}

impl MeterTree {
    /// Refuses circles.
    pub fn new(nodes: Vec<Node>) -> Result<Self, TreeFault> {
        let mut parents = vec![Vec::new(); nodes.len()];
        for (index, node) in nodes.iter().enumerate() {
            for &child in &node.feeds {
                parents[child].push(index);
            }
        }
        let tree = Self { nodes, parents };
        match tree.find_cycle() {
            Some(cycle) => Err(TreeFault::Cycle(cycle)),
            None => Ok(tree),
        }
    }

    /// The tree of a plant: all assets in `feeds` edges, meters with their roles. Node index = asset index.
    pub fn of(plant: &Plant) -> Result<Self, TreeFault> {
        let mut nodes: Vec<Node> = plant
            .assets()
            .iter()
            .map(|asset| Node {
                name: asset.name.to_string(),
                role: match &asset.detail {
                    Detail::Meter(meter) => Some(meter.role),
                    Detail::None
                    | Detail::Site(_)
                    | Detail::Room(_)
                    | Detail::Rack(_)
                    | Detail::Loop(_)
                    | Detail::Cdu(_)
                    | Detail::Device(_) => None,
                },
                feeds: Vec::new(),
            })
            .collect();
        for edge in plant.edges().iter().filter(|edge| edge.kind == EdgeKind::Feeds) {
            nodes[edge.from.index()].feeds.push(edge.to.index());
        }
        Self::new(nodes)
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Refuses a set in which one member feeds another, directly or through anything.
    pub fn antichain(&self, members: &[usize]) -> Result<(), TreeFault> {
        let mut chosen = vec![false; self.nodes.len()];
        for &member in members {
            chosen[member] = true;
        }
        for &ancestor in members {
            if let Some(descendant) = self.downstream(ancestor).find(|&node| chosen[node]) {
                return Err(TreeFault::DoubleCounting {
                    ancestor: self.nodes[ancestor].name.clone(),
                    descendant: self.nodes[descendant].name.clone(),
                });
            }
        }
        Ok(())
    }

    /// The meters of a total with their signs; refuses double counting. Empty: nothing is metered for it.
    pub fn terms(&self, total: Total) -> Result<Vec<Term>, TreeFault> {
        match total {
            Total::Facility => self.facility_terms(),
            Total::It => self.it_terms(),
        }
    }

    fn facility_terms(&self) -> Result<Vec<Term>, TreeFault> {
        let inward =
            self.with_role(|role| matches!(role, Role::BoundaryIn | Role::OnsiteGeneration));
        let outward = self.with_role(|role| role == Role::BoundaryOut);
        self.antichain(&inward)?;
        self.antichain(&outward)?;
        Ok(signed(&inward, false).chain(signed(&outward, true)).collect())
    }

    fn it_terms(&self) -> Result<Vec<Term>, TreeFault> {
        let it = self.with_role(|role| role == Role::ItLoad);
        self.antichain(&it)?;
        let mut below_it = vec![false; self.nodes.len()];
        for &meter in &it {
            for node in self.downstream(meter) {
                below_it[node] = true;
            }
        }
        let overhead =
            self.with_role(|role| matches!(role, Role::Cooling | Role::PowerLoss | Role::Other));
        let moved: Vec<usize> = overhead.into_iter().filter(|&node| below_it[node]).collect();
        self.antichain(&moved)?;
        Ok(signed(&it, false).chain(signed(&moved, true)).collect())
    }

    fn with_role(&self, wanted: impl Fn(Role) -> bool) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&index| self.nodes[index].role.is_some_and(&wanted)).collect()
    }

    /// Everything fed by `node`, directly or not, each once.
    pub fn downstream(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let mut seen = vec![false; self.nodes.len()];
        let mut queue: VecDeque<usize> = self.nodes[node].feeds.iter().copied().collect();
        std::iter::from_fn(move || {
            while let Some(next) = queue.pop_front() {
                if !std::mem::replace(&mut seen[next], true) {
                    queue.extend(self.nodes[next].feeds.iter().copied());
                    return Some(next);
                }
            }
            None
        })
    }

    /// The one nearest meter above a node; `None` where there is none, or more than one.
    pub fn metered_parent(&self, node: usize) -> Option<usize> {
        let mut found = None;
        let mut queue: Vec<usize> = self.parents[node].clone();
        let mut seen = vec![false; self.nodes.len()];
        while let Some(above) = queue.pop() {
            if std::mem::replace(&mut seen[above], true) {
                continue;
            }
            if self.counts(above) {
                if found.replace(above).is_some_and(|other| other != above) {
                    return None;
                }
            } else {
                queue.extend(&self.parents[above]);
            }
        }
        found
    }

    /// The nearest meters below a node, if nothing that it feeds goes past them: every way down from it meets one, and none
    /// of them is fed by anything else. `None` otherwise.
    pub fn metered_children(&self, node: usize) -> Option<Vec<usize>> {
        let mut children = Vec::new();
        let mut queue: Vec<usize> = self.nodes[node].feeds.clone();
        let mut seen = vec![false; self.nodes.len()];
        while let Some(below) = queue.pop() {
            if std::mem::replace(&mut seen[below], true) {
                continue;
            }
            if self.counts(below) {
                children.push(below);
            } else if self.nodes[below].feeds.is_empty() {
                // A load without a meter.
                return None;
            } else {
                queue.extend(&self.nodes[below].feeds);
            }
        }
        children.sort_unstable();
        let ours = |child: &usize| self.metered_parent(*child) == Some(node);
        (!children.is_empty() && children.iter().all(ours)).then_some(children)
    }

    /// A meter whose amounts belong to the flow that its place in the tree stands for.
    fn counts(&self, node: usize) -> bool {
        self.nodes[node].role.is_some()
    }

    /// Peels off nodes without parents; what is left holds a circle, which is walked to name it.
    fn find_cycle(&self) -> Option<Vec<String>> {
        let mut open_parents: Vec<usize> = self.parents.iter().map(Vec::len).collect();
        let mut ready: Vec<usize> =
            (0..self.nodes.len()).filter(|&node| open_parents[node] == 0).collect();
        while let Some(node) = ready.pop() {
            for &child in &self.nodes[node].feeds {
                open_parents[child] -= 1;
                if open_parents[child] == 0 {
                    ready.push(child);
                }
            }
        }
        let mut at = (0..self.nodes.len()).find(|&node| open_parents[node] > 0)?;
        let (mut path, mut place) = (Vec::new(), HashMap::new());
        loop {
            if let Some(&start) = place.get(&at) {
                // Walked against the flow: turn it round, and name the first one again at the end.
                let mut cycle: Vec<String> = path[start..]
                    .iter()
                    .rev()
                    .map(|&node: &usize| self.nodes[node].name.clone())
                    .collect();
                cycle.push(cycle[0].clone());
                return Some(cycle);
            }
            place.insert(at, path.len());
            path.push(at);
            at = self.parents[at].iter().copied().find(|&parent| open_parents[parent] > 0)?;
        }
    }
}

fn signed(nodes: &[usize], negative: bool) -> impl Iterator<Item = Term> + '_ {
    nodes.iter().map(move |&node| Term { node, negative })
}

impl Term {
    /// The asset, for a tree made by [`MeterTree::of`].
    pub fn asset(self) -> AssetId {
        AssetId(u32::try_from(self.node).unwrap_or(u32::MAX))
    }
}
