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
use super::{Progress, Request, conflicts, hold, judge, order};
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
    graph.problems.extend(planner.warnings.take().into_values().flatten());
    graph.problems.extend(conflicts::doubles(&graph, &verdicts));
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
    let conflicts = [
        conflicts::taken_over(&graph, &items),
        conflicts::handed_over(&graph, &items),
        conflicts::one_machine(&graph, &items),
        conflicts::nowhere(request.selection, &graph, &items),
    ];
    graph.problems.extend(conflicts.into_iter().flatten());
    let fences = claims::fences(request, &graph, &items);
    graph.problems.extend(fences.problems.iter().cloned());
    if graph.problems.iter().any(Diagnostic::is_error) {
        return Progress::Wrong(std::mem::take(&mut graph.problems));
    }
    shown.unexpanded(&graph, &items);
    let claim_edges = apply_fences(&mut items, fences, &mut shown);
    let mut edges = order::item_edges(&items, &depends);
    // A move of a claim is planned with both of its ends, or not at all.
    let mut together = edges.clone();
    together.extend(claim_edges.iter().flat_map(|(f, t, why)| [(*f, *t, *why), (*t, *f, *why)]));
    let cut = cut(request, &mut items, &together, &mut shown);
    edges.retain(|(f, t, _)| items[*f].has_steps() && items[*t].has_steps());
    edges.extend(order::rollout_edges(&items));
    edges.extend(claim_edges.into_iter().filter(|(f, t, _)| items[*f].has_steps() && items[*t].has_steps()));
    if let Some(problem) = conflicts::ring(&graph, &items, &edges) {
        graph.problems.push(problem);
        return Progress::Wrong(std::mem::take(&mut graph.problems));
    }
    let turns = order::turns(&items, &edges, &order::stages(&items, &edges));
    edges.extend(order::shared_order_edges(&items, &turns));
    // Of what is really done: a rule that is left out lets nobody in.
    graph.problems.extend(judge::judged(request, &graph, &items, &turns));
    if graph.problems.iter().any(Diagnostic::is_error) {
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
                item.endpoint = endpoint;
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
            let mut from = marks.from.iter().flat_map(|ids| ids.iter());
            let lost = from.find_map(|id| items.iter().find(|i| i.id == Some(*id) && i.unreadable));
            let reason = if because.is_empty() {
                "which instances it has is not known yet".to_owned()
            } else {
                format!("which instances it has is known after {} is applied", because.join(", "))
            };
            let (reason, after) = match lost {
                Some(item) => (
                    format!("which instances it has is not known while {} cannot be read", item.address),
                    DeferredAfter::Unreadable,
                ),
                None => (reason, DeferredAfter::NextRound),
            };
            self.deferred.push(Deferred { address, reason, after });
        }
    }
}

fn apply_fences(items: &mut [Item<'_>], fences: Fences, shown: &mut Shown) -> Vec<order::ItemEdge> {
    for (at, (reason, after)) in fences.held {
        if items[at].decision.is_none() {
            continue;
        }
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
fn cut(
    request: &Request<'_>,
    items: &mut [Item<'_>],
    edges: &[order::ItemEdge],
    shown: &mut Shown,
) -> Option<Cut> {
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
    // What cannot be read and is not asked for stands in nobody's way.
    for item in items.iter().filter(|i| i.unreadable) {
        let is_on_excluded = match &item.endpoint {
            Endpoint::Host(host) => selection.excludes.iter().any(|x| x.covers(&host.address)),
            Endpoint::Controller | Endpoint::Nowhere => false,
        };
        let is_wanted = selection.targets.is_empty() || covers(&selection.targets, item);
        if is_on_excluded || !is_wanted || covers(&selection.excludes, item) {
            shown.unreadable.values_mut().for_each(|(_, all)| all.retain(|a| *a != item.address));
            left.push(item.address.clone());
        }
    }
    shown.unreadable.retain(|_, (_, all)| !all.is_empty());
    for (at, item) in items.iter_mut().enumerate() {
        if (!keep.contains(&at) || drop.contains(&at)) && item.has_steps() {
            left.push(item.address.clone());
            item.steps.clear();
            item.decision = None;
        }
    }
    left.sort();
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
