//! What must wait: an instance whose placement, needed value or `depends_on` hangs on something that cannot be
//! read or planned now. Reading a value that is known from the configuration holds nothing back.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_model::{InstanceId, Object};

use super::model::DeferredAfter;
use super::objects::Verdict;
use crate::graph::Graph;
use crate::resource::kind::Action;

/// The instances each instance depends on by `depends_on`, its own or that of a module around it.
pub(crate) fn depends_on(graph: &Graph<'_>) -> BTreeMap<InstanceId, BTreeSet<InstanceId>> {
    let mut all = BTreeMap::new();
    for instance in graph.instances() {
        let mut on = BTreeSet::new();
        for reference in &graph.resource(instance.id).depends_on {
            on.extend(graph.covered(instance.id, reference));
        }
        for (module, references) in graph.call_dependencies(instance.id) {
            for reference in references {
                on.extend(graph.covered_from(module, reference));
            }
        }
        on.remove(&instance.id);
        if !on.is_empty() {
            all.insert(instance.id, on);
        }
    }
    all
}

/// Turns decided instances into deferred ones where something they need is not to be had in this round.
pub(crate) fn hold(
    graph: &Graph<'_>,
    verdicts: &mut BTreeMap<InstanceId, Verdict>,
    depends: &BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    waiting: &BTreeSet<InstanceId>,
) {
    // Every pass holds at least one more, or ends; the number of passes is the depth of the chain.
    loop {
        let held: Vec<(InstanceId, Verdict)> = verdicts
            .iter()
            .filter_map(|(id, verdict)| match verdict {
                Verdict::Decided(d) if !d.steps.is_empty() => {
                    reason(graph, verdicts, depends.get(id), waiting, &d.args.object, d.decision.action)
                        .map(|(reason, after)| (*id, Verdict::Deferred { reason, after }))
                }
                Verdict::Decided(_)
                | Verdict::Deferred { .. }
                | Verdict::Unreadable { .. }
                | Verdict::Wrong => None,
            })
            .collect();
        if held.is_empty() {
            return;
        }
        verdicts.extend(held);
    }
}

fn reason(
    graph: &Graph<'_>,
    verdicts: &BTreeMap<InstanceId, Verdict>,
    depends: Option<&BTreeSet<InstanceId>>,
    waiting: &BTreeSet<InstanceId>,
    desired: &Object,
    action: Action,
) -> Option<(String, DeferredAfter)> {
    let _ = action;
    for on in depends.into_iter().flatten() {
        if let Some((why, after)) = unavailable(verdicts, waiting, *on) {
            return Some((format!("it depends on {}, which {why}", graph.instance(*on).address), after));
        }
    }
    for (name, value) in desired.iter().filter(|(_, v)| !v.is_wholly_known()) {
        for from in value.deep_marks().from.iter().flat_map(|ids| ids.iter()) {
            if let Some((why, after)) = unavailable(verdicts, waiting, *from) {
                return Some((
                    format!("`{name}` needs a value of {}, which {why}", graph.instance(*from).address),
                    after,
                ));
            }
        }
    }
    None
}

fn unavailable(
    verdicts: &BTreeMap<InstanceId, Verdict>,
    waiting: &BTreeSet<InstanceId>,
    id: InstanceId,
) -> Option<(&'static str, DeferredAfter)> {
    match verdicts.get(&id) {
        Some(Verdict::Deferred { after: DeferredAfter::Unreadable, .. } | Verdict::Unreadable { .. }) => {
            Some(("cannot be read", DeferredAfter::Unreadable))
        }
        Some(Verdict::Deferred { after, .. }) => Some(("is deferred itself", *after)),
        Some(Verdict::Decided(_)) if waiting.contains(&id) => Some(("is waited for", DeferredAfter::Others)),
        Some(Verdict::Decided(_) | Verdict::Wrong) | None => None,
    }
}
