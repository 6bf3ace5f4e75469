//! What must wait: an instance whose placement, needed value or `depends_on` hangs on something that cannot be
//! read or planned now. Reading a value that is known from the configuration holds nothing back.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_model::{Address, InstanceId, Object};

use super::model::DeferredAfter;
use super::objects::Verdict;
use crate::graph::{Graph, Pattern};

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
    let users = users(verdicts, depends);
    let later = unexpanded(graph);
    let mut open: BTreeSet<InstanceId> = verdicts.keys().copied().collect();
    // Every pass holds at least one more, or ends; only what uses one that was just held can be next.
    while !open.is_empty() {
        let held: Vec<(InstanceId, Verdict)> = open
            .iter()
            .filter_map(|id| match verdicts.get(id)? {
                Verdict::Decided(d) if !d.steps.is_empty() => {
                    reason(graph, (&*verdicts, waiting), depends.get(id), &d.args.object, later.get(id))
                        .map(|(reason, after)| (*id, Verdict::Deferred { reason, after }))
                }
                Verdict::Decided(_)
                | Verdict::Deferred { .. }
                | Verdict::Unreadable { .. }
                | Verdict::Wrong => None,
            })
            .collect();
        open = held.iter().flat_map(|(id, _)| users.get(id).into_iter().flatten().copied()).collect();
        verdicts.extend(held);
    }
}

/// Who uses an instance, by a value or by `depends_on`.
fn users(
    verdicts: &BTreeMap<InstanceId, Verdict>,
    depends: &BTreeMap<InstanceId, BTreeSet<InstanceId>>,
) -> BTreeMap<InstanceId, Vec<InstanceId>> {
    let mut users: BTreeMap<InstanceId, Vec<InstanceId>> = BTreeMap::new();
    for (id, verdict) in verdicts {
        let Verdict::Decided(decided) = verdict else { continue };
        let values = decided.args.marks.from.iter().flat_map(|ids| ids.iter());
        for used in values.chain(depends.get(id).into_iter().flatten()) {
            users.entry(*used).or_default().push(*id);
        }
    }
    users
}

fn reason(
    graph: &Graph<'_>,
    known: (&BTreeMap<InstanceId, Verdict>, &BTreeSet<InstanceId>),
    depends: Option<&BTreeSet<InstanceId>>,
    desired: &Object,
    unexpanded: Option<&Address>,
) -> Option<(String, DeferredAfter)> {
    let (verdicts, waiting) = known;
    if let Some(on) = unexpanded {
        let why = format!("it depends on {on}, whose instances are not known yet");
        return Some((why, DeferredAfter::NextRound));
    }
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
        if value.deep_marks().later {
            let why = format!("`{name}` needs instances that are not known yet");
            return Some((why, DeferredAfter::NextRound));
        }
    }
    None
}

/// The resources that `depends_on` of an instance names and whose keys are not known yet.
fn unexpanded(graph: &Graph<'_>) -> BTreeMap<InstanceId, Address> {
    let open: Vec<(Address, Address)> = graph
        .unexpanded()
        .into_iter()
        .map(|(address, _)| {
            let inside = Address { module: address.module.child(&address.name, None), ..address.clone() };
            let is_module = address.kind.as_ref() == "module";
            (if is_module { inside } else { address.clone() }, address)
        })
        .collect();
    let mut found = BTreeMap::new();
    for instance in graph.instances().iter().filter(|_| !open.is_empty()) {
        let own = graph.resource(instance.id).depends_on.iter().map(|r| (&instance.address.module, r));
        let around = graph.call_dependencies(instance.id);
        let around = around.iter().flat_map(|(path, all)| all.iter().map(move |r| (*path, r)));
        let mut on = own.chain(around).filter_map(|(path, r)| {
            let pattern = Pattern::of(path, r)?;
            open.iter().find(|(probe, _)| pattern.covers(probe)).map(|(_, address)| address.clone())
        });
        if let Some(address) = on.next() {
            found.insert(instance.id, address);
        }
    }
    found
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
