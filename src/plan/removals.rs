//! Objects that are in the state and no longer wanted: all of them with `destroy`, else those that left the
//! configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coxswain_model::schema::Placement;
use coxswain_model::{Address, Diagnostic, Diagnostics};
use coxswain_state::{OnDestroy, Record, State, Status};

use super::decide::{self, Decision};
use super::moved::Records;
use super::objects::{Place, Planner, Sight};
use super::seen::Lacks;
use super::{Progress, Request, Selection, assemble, stored};
use crate::config::Config;
use crate::graph::{Graph, Inputs, Objects};
use crate::resource::connection::{self, Connection};
use crate::resource::kind::{Action, Endpoint, HostId, PlanCx, Step, Verb};
use crate::resource::probe::Probe;

/// A recorded object that goes, or is forgotten.
pub(crate) struct Removal<'a> {
    pub(crate) address: Address,
    pub(crate) record: &'a Record,
    pub(crate) endpoint: Endpoint,
    pub(crate) fate: Fate,
}

/// What becomes of it.
pub(crate) enum Fate {
    /// It is removed or forgotten.
    Goes { decision: Box<Decision>, steps: Vec<Step> },
    /// Its host cannot be read.
    Unreadable(String),
    /// It may not go.
    Refused(Diagnostic),
}

/// The removals of a normal plan; lacking reads are added to `lacks`.
pub(crate) fn find<'a>(
    request: &Request<'_>,
    records: &Records<'a>,
    graph: &Graph<'_>,
    lacks: &mut Lacks,
) -> Vec<Removal<'a>> {
    let unexpanded: Vec<Address> = graph.unexpanded().into_iter().map(|(address, _)| address).collect();
    let open = |address: &Address| {
        unexpanded.iter().any(|u| {
            if u.kind.as_ref() == "module" {
                address.module.0.len() > u.module.0.len() && address.module.0[u.module.0.len()].name == u.name
            } else {
                u.covers(&address.resource())
            }
        })
    };
    let gone: BTreeSet<Address> =
        records.by_address.keys().filter(|a| graph.find(a).is_none() && !open(a)).cloned().collect();
    let kept: BTreeSet<&str> = records
        .by_address
        .iter()
        .filter(|(a, _)| !gone.contains(a))
        .filter_map(|(_, (r, _))| r.endpoint.as_deref())
        .collect();
    let mut removals = Vec::new();
    for address in &gone {
        let (record, _) = &records.by_address[address];
        let mut removal = remove(request, records, address, record, lacks);
        let host_goes = record.kind == "host"
            && (kept.contains(record.uid.as_str()) || lives_on(records, &gone, &record.uid));
        if host_goes && !records.removed.contains_key(address) {
            removal.fate = Fate::Refused(orphaned(records, address, record));
        }
        removals.push(removal);
    }
    keep_hosts(&mut removals);
    removals
}

/// A host stays as long as something on it does: without the host nobody would know any more where that is.
fn keep_hosts(removals: &mut [Removal<'_>]) {
    let staying: BTreeMap<String, String> = removals
        .iter()
        .filter_map(|removal| match (&removal.fate, &removal.record.endpoint) {
            (Fate::Unreadable(reason), Some(host)) => Some((host.clone(), reason.clone())),
            (Fate::Unreadable(_) | Fate::Goes { .. } | Fate::Refused(_), _) => None,
        })
        .collect();
    for removal in removals.iter_mut().filter(|r| r.record.kind == "host") {
        if let (Some(reason), Fate::Goes { .. }) = (staying.get(&removal.record.uid), &removal.fate) {
            removal.fate = Fate::Unreadable(reason.clone());
        }
    }
}

fn lives_on(records: &Records<'_>, gone: &BTreeSet<Address>, uid: &str) -> bool {
    gone.iter().any(|a| {
        records.by_address[a].0.endpoint.as_deref() == Some(uid) && records.removed.get(a) != Some(&false)
    })
}

fn orphaned(records: &Records<'_>, address: &Address, host: &Record) -> Diagnostic {
    let on_it: Vec<String> = records
        .by_address
        .iter()
        .filter(|(_, (r, _))| r.endpoint.as_deref() == Some(host.uid.as_str()))
        .map(|(a, _)| a.to_string())
        .collect();
    Diagnostic::error("orphaned-objects", format!("`{address}` left the configuration while objects of it are in the state"))
        .detail(format!(
            "On it are {}. Remove these first and apply, then the host; or say that they stay with `removed {{ from = … }}`.",
            on_it.join(", ")
        ))
        .of(address)
}

/// Plans the removal of everything in the state.
pub(crate) fn plan_destroy(request: &Request<'_>) -> Progress {
    let records = Records::new(request.config, request.state);
    let mut lacks = Lacks::default();
    let (connections, files) = configured(request.config, request.inputs, request.state, &records);
    lacks.connections = connections;
    lacks.files = files;
    let mut removals: Vec<Removal<'_>> = records
        .by_address
        .iter()
        .map(|(address, (record, _))| remove(request, &records, address, record, &mut lacks))
        .collect();
    keep_hosts(&mut removals);
    if !lacks.is_empty() {
        return Progress::Lack(lacks);
    }
    let selection = Selection::default();
    let request = Request {
        selection: if request.selection.targets.is_empty() && request.selection.excludes.is_empty() {
            &selection
        } else {
            request.selection
        },
        ..*request
    };
    let planner = Planner::new(&request, &records);
    let empty = crate::config::Config::default();
    let graph = Graph::new(&empty, Inputs::default());
    assemble::assemble(&request, &records, graph, planner, removals)
}

/// How every host is reached: as the configuration says, where it can be evaluated (passwords are in no state),
/// else as the state says.
pub fn connections(
    config: &Config,
    inputs: &Inputs,
    state: &State,
    records: &Records<'_>,
) -> Vec<(Arc<HostId>, Connection)> {
    let (found, _) = configured(config, inputs, state, records);
    let mut lacks = Lacks { connections: found, ..Lacks::default() };
    for (record, _) in records.hosts.values().filter_map(|host| records.by_address.get(host)) {
        endpoint_of(records, record, &mut lacks);
    }
    let known = lacks.connections.into_iter().filter_map(|(endpoint, connection)| match endpoint {
        Endpoint::Host(host) => Some((host, connection)),
        Endpoint::Controller | Endpoint::Nowhere => None,
    });
    known.collect()
}

type Configured = (BTreeMap<Endpoint, Connection>, BTreeSet<coxswain_lang::Need>);

fn configured(config: &Config, inputs: &Inputs, state: &State, records: &Records<'_>) -> Configured {
    let mut graph = Graph::new(config, inputs.clone());
    graph.expand_kind("host", &NoObjects);
    let mut connections = BTreeMap::new();
    let hosts: Vec<Address> = graph
        .instances()
        .iter()
        .filter(|i| i.schema.placement == Placement::IsHost)
        .map(|i| i.address.clone())
        .collect();
    for address in hosts {
        let Some(args) = graph.evaluate_args(&address, &NoObjects) else { continue };
        if args.object.values().all(coxswain_model::Value::is_wholly_known) {
            let mut connection = connection::connection(&args.object);
            records.acquaint(&address, &mut connection);
            let uid = super::uid(records.get(&address), state, &address).into();
            connections.insert(Endpoint::Host(Arc::new(HostId { address, uid })), connection);
        }
    }
    let files = graph.lacks().filter(|n| super::is_file(n)).cloned().collect();
    (connections, files)
}

struct NoObjects;

impl Objects for NoObjects {
    fn object(
        &self,
        _: &Graph<'_>,
        _: coxswain_model::InstanceId,
    ) -> Result<coxswain_model::Object, coxswain_lang::Stop> {
        Err(coxswain_lang::Stop::Error(Diagnostics::new()))
    }
}

/// The endpoint of a record, with the connection its host's record has.
pub fn endpoint_of(records: &Records<'_>, record: &Record, lacks: &mut Lacks) -> Option<Endpoint> {
    let schema_place = crate::resource::find(&record.kind).map(|k| k.schema().placement);
    let uid = match (&record.endpoint, schema_place) {
        (_, Some(Placement::Nowhere)) => return Some(Endpoint::Nowhere),
        (_, Some(Placement::IsHost)) => record.uid.clone(),
        (None, _) => return Some(Endpoint::Controller),
        (Some(uid), _) => uid.clone(),
    };
    let host = records.hosts.get(uid.as_str())?;
    let (host_record, _) = records.by_address.get(host)?;
    let endpoint = Endpoint::Host(Arc::new(HostId { address: host.clone(), uid: uid.into() }));
    if !lacks.connections.contains_key(&endpoint) {
        let schema = crate::resource::find("host")?.schema();
        let mut connection = connection::connection(&stored::from_stored(schema, &host_record.attributes));
        records.acquaint(host, &mut connection);
        lacks.connections.insert(endpoint.clone(), connection);
    }
    Some(endpoint)
}

fn remove<'a>(
    request: &Request<'_>,
    records: &Records<'a>,
    address: &Address,
    record: &'a Record,
    lacks: &mut Lacks,
) -> Removal<'a> {
    let endpoint = endpoint_of(records, record, lacks).unwrap_or(Endpoint::Nowhere);
    let fate = fate(request, records, address, record, &endpoint, lacks);
    Removal { address: address.clone(), record, endpoint, fate }
}

fn fate(
    request: &Request<'_>,
    records: &Records<'_>,
    address: &Address,
    record: &Record,
    endpoint: &Endpoint,
    lacks: &mut Lacks,
) -> Fate {
    let Some(kind) = (request.kinds)(&record.kind) else {
        return Fate::Refused(
            Diagnostic::error("unknown-kind", format!("`{address}` is of a kind this version does not know"))
                .detail("It was made by another version of coxswain; use that one, or `state rm`.")
                .of(address),
        );
    };
    let schema = kind.schema();
    let retained = match (records.removed.get(address), record.on_destroy) {
        (Some(destroy), _) => !destroy,
        (None, OnDestroy::Retain) => true,
        (None, OnDestroy::Forbid) => {
            return Fate::Refused(
                Diagnostic::error("destroy-forbidden", format!("`{address}` may not be destroyed"))
                    .detail("Its lifecycle says `on_destroy = \"forbid\"`. Change that and apply first, or say `removed { from = … }` to leave it where it is.")
                    .of(address),
            );
        }
        (None, OnDestroy::Destroy) => false,
    };
    let none = decide::removal(schema, record, None);
    if retained || record.status == Status::Released || schema.placement == Placement::IsHost {
        let why = if schema.placement == Placement::IsHost {
            "the host itself is left as it is"
        } else {
            "it is left where it is"
        };
        return forget(none, why);
    }
    let planner = Planner::new(request, records);
    let facts = request.seen.facts(endpoint).cloned();
    if facts.is_none() && *endpoint != Endpoint::Nowhere && !request.seen.unreadable.contains_key(endpoint) {
        lacks.probes.entry(endpoint.clone()).or_default().insert(Probe::Facts);
    }
    let place = Place { endpoint: endpoint.clone(), facts };
    let observed = match planner.observe(kind, &decide::asked_of(schema, &none.prior), &place, Some(record)) {
        Sight::Lack => {
            for (endpoint, probes) in planner.lacks.borrow().probes.clone() {
                lacks.probes.entry(endpoint).or_default().extend(probes);
            }
            return Fate::Unreadable(String::new());
        }
        Sight::Unknown(reason) => return Fate::Unreadable(reason),
        Sight::Object(observed) => observed,
    };
    // What was in the making may have left something beside its place, which its removal takes along.
    if observed.is_none() && record.status != Status::Indeterminate {
        return forget(none, "it is gone already");
    }
    let change = decide::removal(schema, record, observed.as_ref());
    let cx = PlanCx { address, endpoint, facts: place.facts.as_ref() };
    match kind.plan(&cx, &change) {
        Ok(steps) => {
            let reason = match request.mode {
                super::Mode::Destroy => "everything is destroyed",
                super::Mode::Apply => "it is not in the configuration any more",
            };
            let expects = stored::fingerprint(schema, observed.as_ref(), request.digest);
            goes(Action::Delete, reason, change, (steps, expects))
        }
        Err(problems) => {
            Fate::Refused(problems.into_iter().next().unwrap_or_else(|| {
                Diagnostic::error("not-removable", format!("`{address}` cannot be removed"))
            }))
        }
    }
}

fn forget(change: crate::resource::kind::Change, why: &str) -> Fate {
    let steps = vec![Step::new("forget", Verb::Forget, "forget it")];
    goes(Action::Forget, why, change, (steps, "absent".into()))
}

fn goes(
    action: Action,
    reason: &str,
    change: crate::resource::kind::Change,
    planned: (Vec<Step>, String),
) -> Fate {
    let (steps, expects) = planned;
    let decision = Decision {
        action,
        reason: reason.into(),
        changes: Vec::new(),
        change,
        removal: None,
        expects,
        restart: false,
        resumed: false,
    };
    Fate::Goes { decision: Box::new(decision), steps }
}
