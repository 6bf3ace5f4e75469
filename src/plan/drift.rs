//! Drift: what was applied last against what is there, from the state alone.

use coxswain_model::schema::Class;
use coxswain_model::{Address, json};
use coxswain_state::{Record, State, Status};

use super::model::{AttrChange, Cause, Mode, Unreadable};
use super::moved::Records;
use super::objects::{Place, Planner, Sight};
use super::seen::{Lacks, Seen};
use super::{Request, Selection, removals, stored};
use crate::config::Config;
use crate::graph::Inputs;
use crate::resource::kind::{Endpoint, Kind};
use crate::resource::probe::Probe;

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Report {
    /// Instances that differ.
    pub instances: Vec<Drifted>,
    /// Hosts that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// Instances with an open step: neither in order nor drifted.
    pub in_progress: Vec<Address>,
    /// How many instances were compared.
    pub checked: usize,
}

/// One instance that differs.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Drifted {
    /// Which.
    pub address: Address,
    /// Where; none for this machine.
    pub host: Option<Address>,
    /// Whether it is not there at all.
    pub gone: bool,
    /// The attributes that differ.
    pub changes: Vec<AttrChange>,
}

/// Compares as far as the observations allow.
///
/// # Errors
/// The reads that are lacking.
pub fn compare(
    state: &State,
    seen: &Seen,
    digest: &stored::Digest<'_>,
    kinds: fn(&str) -> Option<&'static dyn Kind>,
) -> Result<Report, Lacks> {
    let (config, inputs, selection) = (Config::default(), Inputs::default(), Selection::default());
    let request = Request {
        config: &config,
        inputs: &inputs,
        state,
        seen,
        mode: Mode::Apply,
        selection: &selection,
        digest,
        config_digest: "",
        kinds,
    };
    let records = Records::new(&config, state);
    let mut lacks = Lacks::default();
    let mut report = Report::default();
    for (address, record) in &state.instances {
        compare_one(&request, &records, (address, record), &mut lacks, &mut report);
    }
    if lacks.probes.is_empty() { Ok(report) } else { Err(lacks) }
}

fn compare_one(
    request: &Request<'_>,
    records: &Records<'_>,
    found: (&Address, &Record),
    lacks: &mut Lacks,
    report: &mut Report,
) {
    let (address, record) = found;
    match record.status {
        Status::Ok | Status::Tainted => {}
        Status::Released => return,
        Status::Indeterminate | Status::Running | Status::Waiting => {
            report.in_progress.push(address.clone());
            return;
        }
    }
    let Some(kind) = (request.kinds)(&record.kind) else { return };
    let Some(endpoint) = removals::endpoint_of(records, record, lacks) else { return };
    let facts = request.seen.facts(&endpoint).cloned();
    if facts.is_none() && endpoint != Endpoint::Nowhere && !request.seen.unreadable.contains_key(&endpoint) {
        lacks.probes.entry(endpoint.clone()).or_default().insert(Probe::Facts);
    }
    let prior = stored::from_stored(kind.schema(), &record.attributes);
    let identity = super::decide::asked_of(kind.schema(), &prior);
    let planner = Planner::new(request, records);
    let place = Place { endpoint: endpoint.clone(), facts };
    match planner.observe(kind, &identity, &place, Some(record)) {
        Sight::Lack => {
            for (endpoint, probes) in planner.lacks.borrow().probes.clone() {
                lacks.probes.entry(endpoint).or_default().extend(probes);
            }
        }
        Sight::Unknown(reason) => {
            let name = endpoint.to_string();
            match report.unreadable.iter_mut().find(|u| u.endpoint == name) {
                Some(known) => known.instances.push(address.clone()),
                None => report.unreadable.push(Unreadable {
                    endpoint: name,
                    reason,
                    instances: vec![address.clone()],
                }),
            }
        }
        Sight::Object(observed) => {
            report.checked += 1;
            let changes = observed.as_ref().map_or_else(Vec::new, |o| differences(request, kind, record, o));
            if observed.is_none() || !changes.is_empty() {
                let host = match endpoint {
                    Endpoint::Host(host) => Some(host.address.clone()),
                    Endpoint::Controller | Endpoint::Nowhere => None,
                };
                report.instances.push(Drifted {
                    address: address.clone(),
                    host,
                    gone: observed.is_none(),
                    changes,
                });
            }
        }
    }
}

fn differences(
    request: &Request<'_>,
    kind: &dyn Kind,
    record: &Record,
    observed: &coxswain_model::Object,
) -> Vec<AttrChange> {
    let mut changes = Vec::new();
    for attr in kind.schema().of_class(Class::Owned) {
        let Some(applied) = record.attributes.get(attr.name) else { continue };
        let have = observed.get(attr.name);
        if have.is_some_and(|v| !v.is_known())
            || stored::same_as_stored(attr, Some(applied), have, request.digest)
        {
            continue;
        }
        let secret = attr.sensitive || stored::holds_digest(applied);
        let mark = || serde_json::json!({ "$sensitive": true });
        changes.push(AttrChange {
            name: attr.name.to_owned(),
            before: Some(if secret { mark() } else { applied.clone() }),
            after: have.map(|v| if secret { mark() } else { json::to_json(v) }),
            cause: Cause::Drifted,
            lines: attr.compare == coxswain_model::Compare::Lines,
            replaces: false,
        });
    }
    changes
}
