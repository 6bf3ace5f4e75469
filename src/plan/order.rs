//! Order: edges between the steps of different instances, and the stage of each step.
//!
//! An edge arises only between instances that both have a step in this plan. Explicit edges (values, placement,
//! `depends_on`) win over implied ones (parent directory, owner, unit file): an implied edge that would close a
//! ring is left out.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_model::schema::{Implies, Stage, Thing};
use coxswain_model::{Address, InstanceId, Object, Value};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use super::assemble::Item;
use super::model::Why;
use crate::resource::kind::{Action, Endpoint};

/// Item `from` is finished before item `to` starts.
pub(crate) type ItemEdge = (usize, usize, Why);

/// All edges between items that have steps.
pub(crate) fn item_edges(
    items: &[Item<'_>],
    depends: &BTreeMap<InstanceId, BTreeSet<InstanceId>>,
) -> Vec<ItemEdge> {
    let by_id: BTreeMap<InstanceId, usize> =
        items.iter().enumerate().filter_map(|(at, i)| Some((i.id?, at))).collect();
    let mut edges = BTreeMap::new();
    let mut add = |from: usize, to: usize, why: Why| {
        if from != to && items[from].has_steps() && items[to].has_steps() {
            let known: &mut Why = edges.entry((from, to)).or_insert(why);
            *known = (*known).min(why);
        }
    };
    for (at, item) in items.iter().enumerate() {
        let Some(args) = &item.args else { continue };
        let host = args.host.as_ref().and_then(Value::as_ref).map(|r| r.id);
        for id in args.marks.from.iter().flat_map(|ids| ids.iter()) {
            if let Some(from) = by_id.get(id) {
                add(*from, at, if host == Some(*id) { Why::Placement } else { Why::Value });
            }
        }
        for id in item.id.iter().filter_map(|id| depends.get(id)).flatten() {
            by_id.get(id).into_iter().for_each(|from| add(*from, at, Why::DependsOn));
        }
        for id in args.restart_on.iter().chain(&args.replace_triggered_by) {
            by_id.get(id).into_iter().for_each(|from| add(*from, at, Why::Restart));
        }
    }
    removal_edges(items, &mut add);
    let explicit: Vec<ItemEdge> = edges.iter().map(|((f, t), w)| (*f, *t, *w)).collect();
    with_implied(items, explicit)
}

/// What was used is removed after its users are removed or changed.
fn removal_edges(items: &[Item<'_>], add: &mut impl FnMut(usize, usize, Why)) {
    let by_uid: BTreeMap<&str, usize> =
        items.iter().enumerate().map(|(at, i)| (i.uid.as_str(), at)).collect();
    for (at, item) in items.iter().enumerate() {
        let Some(record) = item.record else { continue };
        for uid in record.depends_on.iter().map(String::as_str).chain(record.endpoint.as_deref()) {
            let Some(used) = by_uid.get(uid) else { continue };
            if items[*used].goes() {
                add(at, *used, Why::Removal);
            }
        }
    }
}

/// Adds the implied edges that close no ring.
fn with_implied(items: &[Item<'_>], explicit: Vec<ItemEdge>) -> Vec<ItemEdge> {
    let known: BTreeSet<(usize, usize)> = explicit.iter().map(|(f, t, _)| (*f, *t)).collect();
    let implied: Vec<ItemEdge> =
        implied_edges(items).into_iter().filter(|(f, t, _)| !known.contains(&(*f, *t))).collect();
    if implied.is_empty() {
        return explicit;
    }
    let mut all = explicit;
    all.extend(implied);
    let ring = rings(items.len(), &all);
    all.retain(|(from, to, why)| *why != Why::Implied || ring[*from] != ring[*to]);
    all
}

/// The strongly connected component of each item. Found without recursion: a chain may be as long as a plan.
pub(crate) fn rings(n: usize, edges: &[ItemEdge]) -> Vec<usize> {
    let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(n, edges.len());
    let nodes: Vec<_> = (0..n).map(|_| graph.add_node(())).collect();
    for (from, to, _) in edges {
        graph.add_edge(nodes[*from], nodes[*to], ());
    }
    let mut component = vec![0; n];
    for (number, members) in kosaraju_scc(&graph).into_iter().enumerate() {
        for node in members {
            component[node.index()] = number;
        }
    }
    component
}

fn text<'o>(object: &'o Object, name: &str) -> Vec<&'o str> {
    match object.get(name) {
        Some(value) => match value.as_items() {
            Some(items) => items.iter().filter_map(Value::as_str).collect(),
            None => value.as_str().into_iter().collect(),
        },
        None => Vec::new(),
    }
}

/// What the items of an endpoint make, by thing and name.
fn providers<'a>(items: &'a [Item<'_>]) -> BTreeMap<(&'a Endpoint, Thing, &'a str), Vec<usize>> {
    let mut providers: BTreeMap<(&Endpoint, Thing, &str), Vec<usize>> = BTreeMap::new();
    let is_somewhere = |i: &&Item<'_>| i.has_steps() && i.endpoint != Endpoint::Nowhere;
    for (at, item) in items.iter().enumerate().filter(|(_, i)| is_somewhere(i)) {
        let object = item.names();
        for attr in item.schema.attributes {
            for implies in attr.implies {
                let (thing, names) = match implies {
                    Implies::Provides(thing) => (*thing, text(object, attr.name)),
                    Implies::ProvidesPart(thing, name) => (*thing, vec![*name]),
                    Implies::Wants(_)
                    | Implies::WantsParents
                    | Implies::WantsNamed(..)
                    | Implies::WantsFileIn(_) => continue,
                };
                for name in names {
                    providers.entry((&item.endpoint, thing, name)).or_default().push(at);
                }
            }
        }
    }
    providers
}

fn implied_edges(items: &[Item<'_>]) -> Vec<ItemEdge> {
    let providers = providers(items);
    let mut edges = BTreeSet::new();
    for (at, item) in items.iter().enumerate().filter(|(_, i)| i.has_steps()) {
        for (thing, name) in all_wanted(item) {
            let found = providers.get(&(&item.endpoint, thing, name.as_str()));
            for provider in found.into_iter().flatten().filter(|provider| **provider != at) {
                // Removal runs the other way round.
                if items[*provider].goes() == item.goes() {
                    edges.insert(if item.goes() { (at, *provider) } else { (*provider, at) });
                }
            }
        }
    }
    // What lets somebody in comes before what let him in goes.
    for ((_, thing, name), all) in &providers {
        if *thing == Thing::Rules && name.is_empty() {
            let (gone, made): (Vec<usize>, Vec<usize>) = all.iter().partition(|at| items[**at].goes());
            edges.extend(made.iter().flat_map(|made| gone.iter().map(move |gone| (*made, *gone))));
        }
    }
    edges.into_iter().map(|(from, to)| (from, to, Why::Implied)).collect()
}

fn all_wanted(item: &Item<'_>) -> Vec<(Thing, String)> {
    let object = item.names();
    let mut all = Vec::new();
    for attr in item.schema.attributes {
        for implies in attr.implies {
            match implies {
                Implies::WantsNamed(thing, name) => all.push((*thing, (*name).to_owned())),
                other => {
                    let values = text(object, attr.name);
                    all.extend(values.into_iter().flat_map(|value| wanted(*other, value)));
                }
            }
        }
    }
    all
}

fn wanted(implies: Implies, value: &str) -> Vec<(Thing, String)> {
    match implies {
        Implies::Provides(_) | Implies::ProvidesPart(..) | Implies::WantsNamed(..) => Vec::new(),
        Implies::Wants(thing) => vec![(thing, value.to_owned())],
        Implies::WantsParents => {
            let mut found = Vec::new();
            let mut rest = value;
            while let Some((parent, _)) = rest.rsplit_once('/') {
                if parent.is_empty() {
                    break;
                }
                found.push((Thing::Path, parent.to_owned()));
                rest = parent;
            }
            found
        }
        Implies::WantsFileIn(prefix) => vec![(Thing::Path, format!("{prefix}/{value}"))],
    }
}

/// The effective stage of each item: its kind's, or that of a later one it depends on. Along every edge the stage
/// never falls, so the order by stage can close no ring.
pub(crate) fn stages(items: &[Item<'_>], edges: &[ItemEdge]) -> Vec<Stage> {
    let mut stages: Vec<Stage> = items.iter().map(|i| i.schema.stage).collect();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
    for (from, to, _) in edges {
        after[*from].push(*to);
    }
    let mut open: Vec<usize> = (0..items.len()).filter(|i| stages[*i] > Stage::Base).collect();
    while let Some(at) = open.pop() {
        for to in after[at].clone() {
            if stages[to] < stages[at] {
                stages[to] = stages[at];
                open.push(to);
            }
        }
    }
    stages
}

/// The items in an order in which they can run one after the other: after what they need, then by stage and address.
/// What is in a ring is not among them.
pub(crate) fn turns(items: &[Item<'_>], edges: &[ItemEdge], stages: &[Stage]) -> Vec<usize> {
    let mut before = vec![0usize; items.len()];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
    for (from, to, _) in edges {
        before[*to] += 1;
        after[*from].push(*to);
    }
    let mut ready: BTreeSet<(Stage, usize)> =
        (0..items.len()).filter(|i| before[*i] == 0).map(|i| (stages[i], i)).collect();
    let mut turns = Vec::with_capacity(items.len());
    while let Some((_, at)) = ready.pop_first() {
        turns.push(at);
        for to in &after[at] {
            before[*to] -= 1;
            if before[*to] == 0 {
                ready.insert((stages[*to], *to));
            }
        }
    }
    turns
}

/// Objects that share an order on their host, as the rules of a firewall do, are changed in the order of the plan:
/// the executor might begin with the one that waits for no other host.
pub(crate) fn shared_order_edges(items: &[Item<'_>], turns: &[usize]) -> Vec<ItemEdge> {
    let mut last: BTreeMap<&Endpoint, usize> = BTreeMap::new();
    let has_place = |at: usize| {
        let attributes = items[at].schema.attributes;
        let parts = attributes.iter().flat_map(|a| a.implies);
        parts.filter(|i| matches!(i, Implies::ProvidesPart(Thing::Rules, ""))).count() > 0
    };
    let mut edges = Vec::new();
    for at in turns.iter().copied().filter(|at| items[*at].has_steps() && has_place(*at)) {
        if let Some(before) = last.insert(&items[at].endpoint, at) {
            edges.push((before, at, Why::Sequence));
        }
    }
    edges
}

/// `rollout`: the instances of a set in batches, each batch after the one before.
pub(crate) fn rollout_edges(items: &[Item<'_>]) -> Vec<ItemEdge> {
    let mut sets: BTreeMap<Address, Vec<usize>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        let rolls = item.args.as_ref().is_some_and(|a| a.numbers.keys().any(|k| k.starts_with("rollout.")));
        if rolls && item.has_steps() && item.decision.as_ref().is_some_and(|d| d.action != Action::NoOp) {
            sets.entry(item.address.resource()).or_default().push(at);
        }
    }
    let mut edges = Vec::new();
    for members in sets.values() {
        let numbers = members
            .first()
            .and_then(|m| items[*m].args.as_ref())
            .map(|a| a.numbers.clone())
            .unwrap_or_default();
        let number = |name: &str, otherwise: u64| {
            usize::try_from(numbers.get(name).copied().unwrap_or(otherwise)).unwrap_or(usize::MAX).max(1)
        };
        let batch = number("rollout.batch", 1);
        let first = number("rollout.first", batch as u64).min(members.len());
        let mut waves: Vec<&[usize]> = vec![&members[..first]];
        waves.extend(members[first..].chunks(batch));
        for pair in waves.windows(2) {
            edges.extend(pair[0].iter().flat_map(|f| pair[1].iter().map(move |t| (*f, *t, Why::Rollout))));
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_told_apart_in_chains_of_any_length() {
        let n = 200_000;
        let mut edges: Vec<ItemEdge> = (1..n).map(|at| (at - 1, at, Why::Value)).collect();
        let alone = rings(n, &edges);
        assert_eq!(alone.iter().collect::<BTreeSet<_>>().len(), n);
        edges.push((n - 1, n - 3, Why::DependsOn));
        let ring = rings(n, &edges);
        assert_eq!(ring[n - 1], ring[n - 3]);
        assert_ne!(ring[n - 1], ring[n - 4]);
    }
}
