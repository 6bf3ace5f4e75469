//! The message about a cycle: the shortest ring, each arrow with the place where it stands.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use coxswain_lang::references;
use coxswain_model::{Diagnostic, Span};

use super::{Graph, NodeId, What};

impl Graph<'_> {
    /// Describes a ring of nodes, each of which asked for the next.
    pub(crate) fn cycle_problem(&self, ring: &[NodeId]) -> Diagnostic {
        let ring = self.shortest(ring);
        let names: Vec<String> = ring.iter().map(|n| self.node_name(*n)).collect();
        let mut shown = names.clone();
        shown.dedup();
        if shown.len() > 1 && shown.first() == shown.last() {
            shown.pop();
        }
        let first = shown.first().cloned().unwrap_or_default();
        let mut problem = Diagnostic::error("cycle", format!("{} → {first} is a cycle", shown.join(" → ")))
            .detail("Each needs the value of the next before it has its own. Break one of these references.");
        for (at, node) in ring.iter().enumerate() {
            let next = ring[(at + 1) % ring.len()];
            if names[at] == self.node_name(next) && ring.len() > 1 {
                continue;
            }
            if let Some(span) = self.arrow(*node, next) {
                problem = problem.at(span, format!("`{}` needs `{}`", names[at], self.node_name(next)));
            }
        }
        problem
    }

    fn node_name(&self, node: NodeId) -> String {
        let found = &self.nodes[node as usize];
        let path = &self.modules[found.module as usize].path;
        let prefix = if path.0.is_empty() { String::new() } else { format!("{path}.") };
        match found.what {
            What::Variable => format!("{prefix}var.{}", found.name),
            What::Local => format!("{prefix}local.{}", found.name),
            What::Output => format!("{prefix}output.{}", found.name),
            What::Call => format!("{prefix}module.{}", found.name),
            What::Resource => format!("{prefix}{}.{}", found.kind.as_deref().unwrap_or_default(), found.name),
            What::Args(id) | What::Object(id) => self.instance(id).address.to_string(),
        }
    }

    /// Where the text of `from` speaks of `to`.
    fn arrow(&self, from: NodeId, to: NodeId) -> Option<Span> {
        let target = &self.nodes[to as usize];
        let root = match target.what {
            What::Variable => "var",
            What::Local => "local",
            What::Output | What::Call => "module",
            What::Resource | What::Args(_) | What::Object(_) => target.kind.as_deref()?,
        };
        for expr in self.expr_of(from) {
            for reference in references(expr) {
                let named = matches!(reference.steps.first(),
                    Some(coxswain_lang::ast::RefStep::Attr(n)) if *n == target.name || target.what == What::Output);
                if reference.root.as_ref() == root && named {
                    return Some(reference.span);
                }
            }
        }
        None
    }

    /// The shortest ring among the nodes of a ring.
    fn shortest(&self, ring: &[NodeId]) -> Vec<NodeId> {
        /// Beyond this many nodes the ring is shown as it was found.
        const SEARCH_LIMIT: usize = 200;
        if ring.len() > SEARCH_LIMIT {
            return ring.to_vec();
        }
        let mut arrows: BTreeMap<NodeId, BTreeSet<NodeId>> = BTreeMap::new();
        for (at, node) in ring.iter().enumerate() {
            let next = ring[(at + 1) % ring.len()];
            let targets = ring.iter().copied().filter(|t| *t == next || self.arrow(*node, *t).is_some());
            arrows.entry(*node).or_default().extend(targets);
        }
        let rings = ring.iter().filter_map(|start| round_trip(*start, &arrows));
        rings.min_by_key(Vec::len).unwrap_or_else(|| ring.to_vec())
    }
}

fn round_trip(start: NodeId, arrows: &BTreeMap<NodeId, BTreeSet<NodeId>>) -> Option<Vec<NodeId>> {
    let mut came_from: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for next in arrows.get(&node)? {
            if *next == start {
                let mut ring = vec![node];
                while let Some(before) = came_from.get(ring.last()?).copied() {
                    ring.push(before);
                }
                ring.reverse();
                return Some(ring);
            }
            if !came_from.contains_key(next) {
                came_from.insert(*next, node);
                queue.push_back(*next);
            }
        }
    }
    None
}
