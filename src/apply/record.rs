//! Records: what the state keeps of an instance after a step.

use coxswain_model::Object;
use coxswain_model::schema::{Class, Placement};
use coxswain_state::{Before, Record, Status};

use super::core::Core;
use crate::graph::{Args, Graph};
use crate::plan::decide::{self, Decision};
use crate::plan::model::InstancePlan;
use crate::plan::stored;
use crate::resource::kind::{Endpoint, Kind};

/// The record an instance will have when its steps are done.
pub(super) fn wanted(
    core: &Core<'_>,
    graph: &Graph<'_>,
    found: (&InstancePlan, Option<&Args>),
    decision: &Decision,
    endpoint: &Endpoint,
) -> Record {
    let (planned, args) = found;
    let old = core.records.get(&planned.address);
    let mut record = match old {
        // What was before is a fact of one object.
        Some(old) if is_elsewhere(core, planned, old, (args, endpoint)) => {
            Record { before: None, ..old.clone() }
        }
        Some(old) => old.clone(),
        None => Record::new(&planned.uid, planned.address.kind.as_ref(), &planned.identity),
    };
    record.identity.clone_from(&planned.identity);
    record.endpoint = match endpoint {
        Endpoint::Host(host) if host.address != planned.address => Some(host.uid.to_string()),
        Endpoint::Host(_) | Endpoint::Controller | Endpoint::Nowhere => None,
    };
    // Only what a kind gives back is kept: the rest is the machine's own, and may be a secret.
    let schema = (core.run.kinds)(&planned.address.kind).map(Kind::schema);
    let is_kept = |name: &str| {
        schema.and_then(|s| s.attr(name)).is_none_or(|a| a.restores || a.class == Class::Identity)
    };
    if record.before.is_none() {
        record.before = Some(match &decision.change.observed {
            None => Before::Absent,
            Some(observed) => Before::Present(stored::object_to_stored(observed, core.run.digest, is_kept)),
        });
    }
    if let Some(args) = args {
        settle(core, graph, (planned, args), &mut record);
    }
    record.status = Status::Ok;
    record.since = None;
    record.waiting_on = Vec::new();
    record.handle = None;
    record.other_ports = Vec::new();
    record
}

/// Whether the record is of another object than the one that is wanted.
fn is_elsewhere(
    core: &Core<'_>,
    planned: &InstancePlan,
    old: &Record,
    wanted: (Option<&Args>, &Endpoint),
) -> bool {
    let (Some(kind), Some(args)) = ((core.run.kinds)(&planned.address.kind), wanted.0) else { return false };
    decide::is_elsewhere(kind.schema(), old, (&args.object, wanted.1), core.run.digest)
}

/// Brings everything that comes from the configuration into a record.
pub(super) fn settle(core: &Core<'_>, graph: &Graph<'_>, found: (&InstancePlan, &Args), record: &mut Record) {
    let (planned, args) = found;
    let Some(kind) = (core.run.kinds)(&planned.address.kind) else { return };
    let schema = kind.schema();
    record.schema_version = schema.version;
    record.identity.clone_from(&planned.identity);
    let from_configuration = |name: &str| schema.attr(name).is_some_and(coxswain_model::Attr::is_argument);
    record.attributes.retain(|name, _| !from_configuration(name));
    record.attributes.extend(stored::object_to_stored(&args.object, core.run.digest, from_configuration));
    record.on_destroy = decide::on_destroy(args.on_destroy.as_ref());
    record.depends_on = dependencies(core, graph, args, planned);
}

fn dependencies(core: &Core<'_>, graph: &Graph<'_>, args: &Args, planned: &InstancePlan) -> Vec<String> {
    let Some(id) = graph.find(&planned.address) else { return Vec::new() };
    let mut ids: Vec<_> = args.marks.from.iter().flat_map(|ids| ids.iter().copied()).collect();
    ids.extend(args.restart_on.iter().chain(&args.replace_triggered_by).copied());
    let mut uids: Vec<String> =
        ids.into_iter().filter_map(|id| core.uids.get(&graph.instance(id).address).cloned()).collect();
    // Its own, and those of the module calls around it.
    let own = graph.resource(id).depends_on.iter().map(|r| (&planned.address.module, r));
    let around = graph.call_dependencies(id);
    let around = around.iter().flat_map(|(path, all)| all.iter().map(move |r| (*path, r)));
    for (module, reference) in own.chain(around) {
        if let Some(pattern) = crate::graph::Pattern::of(module, reference) {
            uids.extend(pattern.within(&core.uids).map(|(_, uid)| uid.clone()));
        }
    }
    uids.sort();
    uids.dedup();
    uids
}

/// Adds what the step made or showed: computed attributes; of a host, its machine id.
pub(super) fn complete(
    core: &Core<'_>,
    planned: &InstancePlan,
    made: &Object,
    observed: Option<&Object>,
    record: &mut Record,
) {
    let Some(kind) = (core.run.kinds)(&planned.address.kind) else { return };
    let schema = kind.schema();
    for attr in schema.of_class(Class::Computed) {
        if let Some(value) = made.get(attr.name).or_else(|| observed?.get(attr.name)) {
            record.attributes.insert(attr.name.to_owned(), stored::to_stored(value, core.run.digest));
        }
    }
    if schema.placement == Placement::IsHost
        && let Some(id) = observed.and_then(|o| o.get("machine_id"))
    {
        record.attributes.insert("machine_id".to_owned(), stored::to_stored(id, core.run.digest));
    }
}
