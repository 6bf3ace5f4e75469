//! What cannot be planned together: two instances that are one object, a rename without `moved`, a ring in the
//! order, and selections that name nothing.

use std::collections::BTreeMap;

use coxswain_model::diagnostic::suggest;
use coxswain_model::schema::Placement;
use coxswain_model::{Diagnostic, InstanceId, Value};
use coxswain_state::Record;

use super::assemble::Item;
use super::objects::Verdict;
use super::{Selection, order};
use crate::graph::Graph;
use crate::resource::kind::Endpoint;

/// Members of a cycle that are named.
const CYCLE_SHOWN: usize = 10;

/// Two instances with one identity.
pub(crate) fn doubles(graph: &Graph<'_>, verdicts: &BTreeMap<InstanceId, Verdict>) -> Vec<Diagnostic> {
    let mut seen: BTreeMap<(&Endpoint, &str, &str), InstanceId> = BTreeMap::new();
    let mut problems = Vec::new();
    for (id, verdict) in verdicts {
        let Verdict::Decided(d) = verdict else { continue };
        let instance = graph.instance(*id);
        if d.endpoint == Endpoint::Nowhere {
            continue;
        }
        if let Some(first) = seen.insert((&d.endpoint, instance.schema.kind, &d.identity), *id) {
            let other = graph.instance(first);
            problems.push(
                Diagnostic::error(
                    "same-object",
                    format!(
                        "`{}` and `{}` are the same object: {} on {}",
                        other.address, instance.address, d.identity, d.endpoint
                    ),
                )
                .detail("One object has one owner. Remove one of them.")
                .at(graph.span(*id), "this one")
                .at(graph.span(first), "and this one")
                .of(&instance.address),
            );
        }
    }
    problems
}

/// Objects that leave under one address and come under another: without `moved` they would be made and removed.
pub(crate) fn taken_over(graph: &Graph<'_>, items: &[Item<'_>]) -> Vec<Diagnostic> {
    let mut leaving: BTreeMap<(&Endpoint, &str, &str), &Item<'_>> = BTreeMap::new();
    for item in items.iter().filter(|i| i.goes() && i.endpoint != Endpoint::Nowhere) {
        leaving.insert((&item.endpoint, item.schema.kind, &item.identity), item);
    }
    let coming = items.iter().filter(|i| !i.goes() && i.args.is_some());
    let found = coming.filter_map(|item| {
        let old = leaving.get(&(&item.endpoint, item.schema.kind, item.identity.as_str()))?;
        let problem = Diagnostic::error(
            "renamed-without-moved",
            format!("`{}` is the object that `{}` was", item.address, old.address),
        )
        .detail(format!(
            "Say that it was renamed: write a block `moved` with `from = {}` and `to = {}`.",
            old.address, item.address
        ));
        Some(problem.at(graph.span(item.id?), "this resource").of(&item.address))
    });
    found.collect()
}

/// Instances that must each come before the other.
pub(crate) fn ring(graph: &Graph<'_>, items: &[Item<'_>], edges: &[order::ItemEdge]) -> Option<Diagnostic> {
    let ring = order::rings(items.len(), edges);
    let mut count = BTreeMap::new();
    ring.iter().for_each(|r| *count.entry(*r).or_insert(0) += 1);
    let members: Vec<&Item<'_>> =
        items.iter().zip(&ring).filter(|(_, r)| count[r] > 1).map(|(i, _)| i).take(CYCLE_SHOWN).collect();
    let names: Vec<String> = members.iter().map(|i| i.address.to_string()).collect();
    let problem = || {
        Diagnostic::error("cycle", format!("{} must each come before the other", names.join(" and "))).detail(
            "Their order follows from depends_on, values, claims and rollout; one of these must give way.",
        )
    };
    let places = members.iter().filter_map(|i| i.id);
    (!members.is_empty()).then(|| places.fold(problem(), |p, id| p.at(graph.span(id), "in the cycle")))
}

/// Objects that one instance leaves and another takes over in the same plan: what is seen of them is not what will
/// be there by then.
pub(crate) fn handed_over(graph: &Graph<'_>, items: &[Item<'_>]) -> Vec<Diagnostic> {
    let stands_at = |record: &Record, endpoint: &Endpoint| match endpoint {
        Endpoint::Host(host) => record.endpoint.as_deref() == Some(&*host.uid),
        Endpoint::Controller => record.endpoint.is_none(),
        Endpoint::Nowhere => false,
    };
    let mut problems = Vec::new();
    let takes = |i: &&Item<'_>| {
        let is_named = i.schema.is_named();
        is_named
            && !i.goes()
            && i.record.is_none_or(|r| r.identity != i.identity || !stands_at(r, &i.endpoint))
    };
    let mut before: BTreeMap<(&str, &str), Vec<&Item<'_>>> = BTreeMap::new();
    for item in items.iter().filter(|i| !i.goes()) {
        if let Some(record) = item.record {
            before.entry((item.schema.kind, record.identity.as_str())).or_default().push(item);
        }
    }
    for item in items.iter().filter(takes).filter(|i| i.args.is_some() && !i.identity.is_empty()) {
        let mut holders = before.get(&(item.schema.kind, item.identity.as_str())).into_iter().flatten();
        let leaves = |other: &&&Item<'_>| {
            let moves = other.identity != item.identity || other.endpoint != item.endpoint;
            other.address != item.address
                && other.decision.is_some()
                && moves
                && other.record.is_some_and(|r| stands_at(r, &item.endpoint))
        };
        let Some(other) = holders.find(leaves) else { continue };
        let summary = format!(
            "`{}` would take over {} in the same plan in which `{}` leaves it",
            item.address, item.identity, other.address
        );
        let detail = "Do it in two steps: first let the one leave it and apply, then let the other take it.";
        let problem = Diagnostic::error("handed-over", summary).detail(detail).of(&item.address);
        let places = [(item.id, "takes it"), (other.id, "leaves it")];
        let places = places.into_iter().filter_map(|(id, what)| Some((id?, what)));
        problems.push(places.fold(problem, |p, (id, what)| p.at(graph.span(id), what)));
    }
    problems
}

/// Hosts that show one machine id: one machine under two names, where an object would have two owners, or clones.
pub(crate) fn one_machine(graph: &Graph<'_>, items: &[Item<'_>]) -> Vec<Diagnostic> {
    let mut seen: BTreeMap<&str, &Item<'_>> = BTreeMap::new();
    let mut problems = Vec::new();
    for item in items.iter().filter(|i| i.schema.placement == Placement::IsHost) {
        let facts = item.decision.as_ref().and_then(|d| d.change.observed.as_ref());
        let machine = facts.and_then(|f| f.get("machine_id")).and_then(Value::as_str);
        let Some(machine) = machine.filter(|id| !id.is_empty()) else { continue };
        let Some(first) = seen.insert(machine, item) else { continue };
        let summary =
            format!("`{}` and `{}` show the same machine id {machine}", first.address, item.address);
        let problem = Diagnostic::warning("same-machine", summary).detail(
            "If they are one machine, keep one of the blocks: an object on both would have two owners. If one is a \
             copy of the other, give it a machine id of its own (systemd-machine-id-setup).",
        );
        let places = [item.id, first.id].into_iter().flatten();
        problems.push(places.fold(problem, |p, id| p.at(graph.span(id), "this host")).of(&item.address));
    }
    problems
}

/// Addresses of `--target`, `--exclude` and `--replace` that nothing has.
pub(crate) fn nowhere(selection: &Selection, graph: &Graph<'_>, items: &[Item<'_>]) -> Vec<Diagnostic> {
    let mut names: Vec<String> = items.iter().map(|i| i.address.to_string()).collect();
    names.extend(items.iter().map(|i| i.address.resource().to_string()));
    let unexpanded = graph.unexpanded();
    let flags = [
        ("--target", &selection.targets),
        ("--exclude", &selection.excludes),
        ("--replace", &selection.replace),
    ];
    let asked = flags.iter().flat_map(|(flag, all)| all.iter().map(move |a| (*flag, a)));
    let lost = asked.filter(|(_, address)| {
        !items.iter().any(|i| address.covers(&i.address))
            && !unexpanded.iter().any(|(u, _)| u.covers(address) || address.covers(u))
    });
    lost.map(|(flag, address)| {
        let name = address.to_string();
        let problem = Diagnostic::error(
            "unknown-address",
            format!("{flag} names `{name}`, and there is no such instance"),
        );
        match suggest(&name, names.iter().map(String::as_str)) {
            Some(near) => problem.detail(format!("Did you mean `{near}`?")),
            None => problem.detail("It is neither in the configuration nor in the state."),
        }
    })
    .collect()
}
