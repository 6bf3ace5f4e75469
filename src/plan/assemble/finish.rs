//! The last leg: items in order to a [`Plan`], and the outputs beside them.

use std::collections::BTreeSet;

use coxswain_model::schema::Stage;
use coxswain_model::{Diagnostic, json};
use coxswain_state::Status;
use serde_json::Value as Json;

use super::{Item, Shown};
use crate::graph::Graph;
use crate::plan::model::{
    Cut, Edge, FORMAT, InstancePlan, OutputChange, Plan, PlannedStep, Unreadable, Waiting, Why,
};
use crate::plan::moved::Records;
use crate::plan::{Request, decide, order, stored};
use crate::resource::kind::{Action, Endpoint, Step};

pub(super) fn outputs(request: &Request<'_>, graph: &Graph<'_>) -> Vec<OutputChange> {
    let mut changes = Vec::new();
    let now = graph.outputs();
    for (name, value) in &now {
        let stored = stored::to_stored(value, request.digest);
        let was = request.state.outputs.get(name.as_ref());
        if was.map(|w| &w.value) != Some(&stored) {
            let shown = |v: &Json, sensitive: bool| {
                if sensitive { serde_json::json!({ "$sensitive": true }) } else { v.clone() }
            };
            changes.push(OutputChange {
                name: name.to_string(),
                before: was.map(|w| shown(&w.value, w.sensitive || value.is_sensitive())),
                after: Some(json::to_json(value)),
            });
        }
    }
    let gone =
        request.state.outputs.keys().filter(|n| !now.iter().any(|(name, _)| name.as_ref() == n.as_str()));
    changes.extend(gone.map(|name| OutputChange {
        name: name.clone(),
        before: Some(request.state.outputs[name].value.clone()),
        after: None,
    }));
    changes
}

pub(super) type Beside = (Vec<OutputChange>, Option<Cut>, Vec<Diagnostic>);

pub(super) fn finish(
    request: &Request<'_>,
    records: &Records<'_>,
    planned: (Vec<Item<'_>>, Vec<order::ItemEdge>),
    shown: Shown,
    beside: Beside,
) -> Plan {
    let (items, edges) = planned;
    let stages = order::stages(&items, &edges);
    let (steps, edges) = number(&items, &edges, &stages);
    let instances = items.into_iter().map(|item| instance_plan(request, records, item)).collect();
    let mut deferred = shown.deferred;
    deferred.sort_by(|a, b| a.address.cmp(&b.address));
    let (outputs, cut, warnings) = beside;
    Plan {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: request.mode,
        lineage: request.state.lineage.clone(),
        serial: request.state.serial,
        config_digest: request.config_digest.to_owned(),
        instances,
        steps,
        edges,
        deferred,
        unreadable: shown
            .unreadable
            .into_iter()
            .map(|(endpoint, (reason, instances))| Unreadable { endpoint, reason, instances })
            .collect(),
        outputs,
        cut,
        warnings,
    }
}

/// Gives every step its number, in an order in which they can run one after the other.
fn number(items: &[Item<'_>], edges: &[order::ItemEdge], stages: &[Stage]) -> (Vec<PlannedStep>, Vec<Edge>) {
    let (mut steps, mut out) = (Vec::new(), BTreeSet::new());
    let mut ends = vec![(0usize, 0usize); items.len()];
    for at in order::turns(items, edges, stages) {
        let item = &items[at];
        let start = steps.len();
        for (step, claims) in &item.steps {
            if steps.len() > start {
                out.insert(Edge { from: steps.len() - 1, to: steps.len(), why: Why::Sequence });
            }
            steps.push(PlannedStep {
                id: format!("{}#{}", item.address, step.name),
                instance: at,
                step: with_group(step.clone(), item),
                stage: stages[at],
                claims: claims.clone(),
            });
        }
        ends[at] = (start, steps.len().saturating_sub(1).max(start));
    }
    for (from, to, why) in edges {
        if !items[*from].steps.is_empty() && !items[*to].steps.is_empty() {
            out.insert(Edge { from: ends[*from].1, to: ends[*to].0, why: *why });
        }
    }
    (steps, out.into_iter().collect())
}

fn instance_plan(request: &Request<'_>, records: &Records<'_>, item: Item<'_>) -> InstancePlan {
    let host = match &item.endpoint {
        Endpoint::Host(host) if host.address != item.address => Some(host.address.clone()),
        Endpoint::Nowhere => {
            item.args.as_ref().and_then(|a| a.host.as_ref()?.as_ref().map(|r| r.address.clone()))
        }
        Endpoint::Host(_) | Endpoint::Controller => None,
    };
    let waiting = item.record.filter(|r| matches!(r.status, Status::Waiting | Status::Running));
    let desired = item
        .args
        .as_ref()
        .map(|args| Json::Object(stored::object_to_stored(&args.object, request.digest, |_| true)));
    let (action, reason, changes, expects, restart) = match item.decision {
        Some(d) => (d.action, d.reason, d.changes, d.expects, d.restart),
        None => (Action::NoOp, String::new(), Vec::new(), String::new(), false),
    };
    let released = item
        .args
        .as_ref()
        .zip(item.record)
        .is_some_and(|(args, record)| decide::on_destroy(args.on_destroy.as_ref()) != record.on_destroy);
    let reason = if released && reason.is_empty() { "its lifecycle changes".to_owned() } else { reason };
    let settles = action == Action::NoOp && waiting.is_none() && (released || !changes.is_empty());
    InstancePlan {
        moved_from: records.by_address.get(&item.address).and_then(|(_, from)| from.clone()),
        address: item.address,
        uid: item.uid,
        host,
        identity: item.identity,
        action,
        reason,
        changes,
        expects,
        desired,
        restart,
        settles,
        max_failures: item.args.as_ref().and_then(|a| a.numbers.get("rollout.max_failures").copied()),
        waiting: waiting.map(|r| Waiting { on: r.waiting_on.clone(), since: r.since.clone() }),
    }
}

/// The step, holding its kind's mutex group on its host.
fn with_group(mut step: Step, item: &Item<'_>) -> Step {
    step.holds.extend(item.schema.mutex.map(|group| format!("{group} of {}", item.endpoint)));
    step
}
