//! What kinds say of all that is planned on one host together.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_model::Diagnostic;

use super::Request;
use super::assemble::Item;
use crate::graph::Graph;
use crate::resource::kind::{Endpoint, HostInstance, HostView};

/// The problems, where the configuration has them. `turns` are the items in the order of the plan.
pub(crate) fn judged(
    request: &Request<'_>,
    graph: &Graph<'_>,
    items: &[Item<'_>],
    turns: &[usize],
) -> Vec<Diagnostic> {
    let mut by_host: BTreeMap<&Endpoint, Vec<&Item<'_>>> = BTreeMap::new();
    for item in
        turns.iter().map(|at| &items[*at]).filter(|i| i.decision.is_some() && i.endpoint != Endpoint::Nowhere)
    {
        by_host.entry(&item.endpoint).or_default().push(item);
    }
    let mut problems = Vec::new();
    for (endpoint, items) in by_host {
        let (Some(facts), Some(answers)) = (request.seen.facts(endpoint), request.seen.answers.get(endpoint))
        else {
            continue;
        };
        let instances = items.iter().filter_map(|item| {
            let decision = item.decision.as_ref()?;
            // What makes way for another object counts as gone.
            Some(HostInstance {
                address: &item.address,
                kind: item.schema.kind,
                change: &decision.change,
                acts: item.has_steps(),
            })
        });
        let host = HostView { facts, answers, instances: instances.collect() };
        let kinds: BTreeSet<&str> = items.iter().map(|i| i.schema.kind).collect();
        for kind in kinds.into_iter().filter_map(request.kinds) {
            for (address, problem) in kind.judge(&host) {
                let id = items.iter().find(|i| i.address == address).and_then(|i| i.id);
                let problem = match id {
                    Some(id) if problem.labels.is_empty() => problem.at(graph.span(id), "this resource"),
                    _ => problem,
                };
                problems.push(problem.of(&address));
            }
        }
    }
    problems
}
