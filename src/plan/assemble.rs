//! From verdicts to the plan: items, their steps, the edges, and what is shown beside them.

mod finish;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coxswain_model::{Address, Diagnostic, InstanceId, Object, Schema};
use coxswain_state::{Record, Status};

use super::claims::{self, Fences};
use super::decide::Decision;
use super::model::{ClaimMove, Cut, Deferred, DeferredAfter};
use super::moved::Records;
use super::objects::{Planner, Verdict};
use super::removals::{Fate, Removal};
use super::{Progress, Request, hold, order};
use crate::graph::{Args, Graph};
use crate::resource::kind::{Action, Endpoint, Step};

/// One instance on its way into the plan.
pub(crate) struct Item<'a> {
    pub(crate) id: Option<InstanceId>,
    pub(crate) address: Address,
    pub(crate) uid: String,
    pub(crate) schema: &'static Schema,
    pub(crate) endpoint: Endpoint,
    pub(crate) identity: String,
    pub(crate) record: Option<&'a Record>,
    pub(crate) args: Option<Arc<Args>>,
    pub(crate) decision: Option<Box<Decision>>,
    pub(crate) steps: Vec<(Step, Vec<ClaimMove>)>,
    pub(crate) unreadable: bool,
}

impl Item<'_> {
    pub(crate) fn has_steps(&self) -> bool {
        !self.steps.is_empty()
    }
    pub(crate) fn goes(&self) -> bool {
        self.decision.as_ref().is_some_and(|d| matches!(d.action, Action::Delete | Action::Forget))
    }
    /// The attributes that name what it makes and wants.
    pub(crate) fn names(&self) -> &Object {
        static NONE: Object = Object::new();
        match (&self.args, &self.decision) {
            (Some(args), _) => &args.object,
            (None, Some(decision)) => &decision.change.prior,
            (None, None) => &NONE,
        }
    }
}

/// Makes the plan.
pub(crate) fn assemble<'a>(
    request: &Request<'_>,
    records: &Records<'a>,
    mut graph: Graph<'_>,
    planner: Planner<'_>,
    removals: Vec<Removal<'a>>,
) -> Progress {
    let mut verdicts = planner.verdicts.take();
    graph.problems.extend(doubles(&graph, &verdicts));
    let depends = hold::depends_on(&graph);
    let waiting = waiting(&graph, records);
    hold::hold(&graph, &mut verdicts, &depends, &waiting);
    let mut shown = Shown::default();
    let mut items = Vec::new();
    for (id, verdict) in verdicts {
        shown.take(&graph, &planner, (id, verdict), records, &mut items);
    }
    for removal in removals {
        shown.removal(removal, &mut items, &mut graph.problems);
    }
    items.sort_by(|a, b| a.address.cmp(&b.address).then(a.id.cmp(&b.id)));
    let renamed = taken_over(&graph, &items);
    graph.problems.extend(renamed);
    let fences = claims::fences(request, &graph, &items);
    graph.problems.extend(fences.problems.iter().cloned());
    if graph.problems.iter().any(Diagnostic::is_error) {
        return Progress::Wrong(std::mem::take(&mut graph.problems));
    }
    shown.unexpanded(&graph, &items);
    let claim_edges = apply_fences(&mut items, fences, &mut shown);
    let mut edges = order::item_edges(&items, &depends);
    let cut = cut(request, &mut items, &edges);
    edges.retain(|(f, t, _)| items[*f].has_steps() && items[*t].has_steps());
    edges.extend(order::rollout_edges(&items));
    edges.extend(claim_edges.into_iter().filter(|(f, t, _)| items[*f].has_steps() && items[*t].has_steps()));
    if let Some(problem) = ring_problem(&items, &edges) {
        graph.problems.push(problem);
        return Progress::Wrong(std::mem::take(&mut graph.problems));
    }
    let outputs = finish::outputs(request, &graph);
    let warnings = std::mem::take(&mut graph.problems);
    Progress::Ready(Box::new(finish::finish(
        request,
        records,
        (items, edges),
        shown,
        (outputs, cut, warnings),
    )))
}

/// Two instances with one identity.
fn doubles(graph: &Graph<'_>, verdicts: &BTreeMap<InstanceId, Verdict>) -> Vec<Diagnostic> {
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
fn taken_over(graph: &Graph<'_>, items: &[Item<'_>]) -> Vec<Diagnostic> {
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
        .detail(format!("Say that it was renamed: moved {{ from = {}  to = {} }}", old.address, item.address))
        .of(&item.address);
        Some(match item.id {
            Some(id) => problem.at(graph.span(id), "this resource"),
            None => problem,
        })
    });
    found.collect()
}

fn waiting(graph: &Graph<'_>, records: &Records<'_>) -> BTreeSet<InstanceId> {
    let waits = |address: &Address| {
        records.get(address).is_some_and(|r| matches!(r.status, Status::Waiting | Status::Running))
    };
    graph.instances().iter().filter(|i| waits(&i.address)).map(|i| i.id).collect()
}

/// What stands beside the steps.
#[derive(Default)]
pub(crate) struct Shown {
    deferred: Vec<Deferred>,
    unreadable: BTreeMap<String, (String, Vec<Address>)>,
}

impl Shown {
    fn take<'a>(
        &mut self,
        graph: &Graph<'_>,
        planner: &Planner<'_>,
        found: (InstanceId, Verdict),
        records: &Records<'a>,
        items: &mut Vec<Item<'a>>,
    ) {
        let (id, verdict) = found;
        let instance = graph.instance(id);
        let address = instance.address.clone();
        let mut item = Item {
            id: Some(id),
            uid: planner.uid(&address),
            record: records.get(&address),
            address,
            schema: instance.schema,
            endpoint: Endpoint::Nowhere,
            identity: String::new(),
            args: graph.args(id).ok(),
            decision: None,
            steps: Vec::new(),
            unreadable: false,
        };
        match verdict {
            Verdict::Decided(decided) => {
                item.endpoint = decided.endpoint;
                item.identity = decided.identity;
                item.steps = decided.steps.into_iter().map(|s| (s, Vec::new())).collect();
                item.decision = Some(Box::new(decided.decision));
            }
            Verdict::Deferred { reason, after } => {
                self.deferred.push(Deferred { address: item.address.clone(), reason, after });
            }
            Verdict::Unreadable { endpoint, reason } => {
                self.unread(&endpoint, reason, &item.address);
                item.unreadable = true;
            }
            Verdict::Wrong => {}
        }
        items.push(item);
    }

    fn unread(&mut self, endpoint: &Endpoint, reason: String, address: &Address) {
        let entry = self.unreadable.entry(endpoint.to_string()).or_insert_with(|| (reason, Vec::new()));
        entry.1.push(address.clone());
    }

    fn removal<'a>(
        &mut self,
        removal: Removal<'a>,
        items: &mut Vec<Item<'a>>,
        problems: &mut Vec<Diagnostic>,
    ) {
        let Some(kind) = crate::resource::find(&removal.record.kind) else {
            if let Fate::Refused(problem) = removal.fate {
                problems.push(problem);
            }
            return;
        };
        let mut item = Item {
            id: None,
            uid: removal.record.uid.clone(),
            address: removal.address,
            schema: kind.schema(),
            endpoint: removal.endpoint,
            identity: removal.record.identity.clone(),
            record: Some(removal.record),
            args: None,
            decision: None,
            steps: Vec::new(),
            unreadable: false,
        };
        match removal.fate {
            Fate::Goes { decision, steps } => {
                item.decision = Some(decision);
                item.steps = steps.into_iter().map(|s| (s, Vec::new())).collect();
            }
            Fate::Unreadable(reason) => {
                self.unread(&item.endpoint, reason, &item.address);
                item.unreadable = true;
            }
            Fate::Refused(problem) => problems.push(problem),
        }
        items.push(item);
    }

    /// Resources whose instances are not known yet.
    fn unexpanded(&mut self, graph: &Graph<'_>, items: &[Item<'_>]) {
        for (address, marks) in graph.unexpanded() {
            let because: Vec<String> = marks
                .from
                .iter()
                .flat_map(|ids| ids.iter())
                .map(|id| graph.instance(*id).address.to_string())
                .take(3)
                .collect();
            let lost = marks
                .from
                .iter()
                .flat_map(|ids| ids.iter())
                .any(|id| items.iter().any(|i| i.id == Some(*id) && i.unreadable));
            let reason = if because.is_empty() {
                "which instances it has is not known yet".to_owned()
            } else {
                format!("which instances it has is known after {} is applied", because.join(", "))
            };
            let after = if lost { DeferredAfter::Unreadable } else { DeferredAfter::NextRound };
            self.deferred.push(Deferred { address, reason, after });
        }
    }
}

fn apply_fences(items: &mut [Item<'_>], fences: Fences, shown: &mut Shown) -> Vec<order::ItemEdge> {
    for (at, (reason, after)) in fences.held {
        items[at].steps.clear();
        items[at].decision = None;
        shown.deferred.push(Deferred { address: items[at].address.clone(), reason, after });
    }
    for (at, mut steps) in fences.before {
        steps.append(&mut items[at].steps);
        items[at].steps = steps;
    }
    for (at, steps) in fences.after {
        items[at].steps.extend(steps);
    }
    fences.edges
}

/// Leaves out what `--target` and `--exclude` do not want.
fn cut(request: &Request<'_>, items: &mut [Item<'_>], edges: &[order::ItemEdge]) -> Option<Cut> {
    let selection = request.selection;
    if selection.targets.is_empty() && selection.excludes.is_empty() {
        return None;
    }
    let covers = |list: &[Address], item: &Item<'_>| list.iter().any(|t| t.covers(&item.address));
    let mut keep: BTreeSet<usize> = (0..items.len())
        .filter(|i| selection.targets.is_empty() || covers(&selection.targets, &items[*i]))
        .collect();
    close(&mut keep, edges.iter().map(|(f, t, _)| (*t, *f)));
    let mut drop: BTreeSet<usize> =
        (0..items.len()).filter(|i| covers(&selection.excludes, &items[*i])).collect();
    close(&mut drop, edges.iter().map(|(f, t, _)| (*f, *t)));
    let mut left = Vec::new();
    for (at, item) in items.iter_mut().enumerate() {
        if (!keep.contains(&at) || drop.contains(&at)) && item.has_steps() {
            left.push(item.address.clone());
            item.steps.clear();
            item.decision = None;
        }
    }
    Some(Cut { targets: selection.targets.clone(), excludes: selection.excludes.clone(), left })
}

fn close(set: &mut BTreeSet<usize>, arrows: impl Iterator<Item = (usize, usize)>) {
    let mut next: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    arrows.for_each(|(from, to)| next.entry(from).or_default().push(to));
    let mut open: Vec<usize> = set.iter().copied().collect();
    while let Some(at) = open.pop() {
        for to in next.get(&at).into_iter().flatten() {
            if set.insert(*to) {
                open.push(*to);
            }
        }
    }
}

fn ring_problem(items: &[Item<'_>], edges: &[order::ItemEdge]) -> Option<Diagnostic> {
    let ring = order::rings(items.len(), edges);
    let mut count = BTreeMap::new();
    ring.iter().for_each(|r| *count.entry(*r).or_insert(0) += 1);
    let members: Vec<String> = items
        .iter()
        .zip(&ring)
        .filter(|(_, r)| count[r] > 1)
        .map(|(i, _)| i.address.to_string())
        .take(10)
        .collect();
    (!members.is_empty()).then(|| {
        Diagnostic::error("cycle", format!("{} must each come before the other", members.join(" and ")))
            .detail("Their order follows from depends_on, values, claims and rollout; one of these must give way.")
    })
}
