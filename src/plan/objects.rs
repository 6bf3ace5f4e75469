//! The verdict on each instance, while the graph is evaluated: where it lives, what is there, what is to be done.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coxswain_lang::eval::{Need, Stop};
use coxswain_model::schema::{Class, Placement};
use coxswain_model::{Address, Diagnostic, InstanceId, Node, Object, Schema, Value};
use coxswain_state::{Record, Status};

use super::decide::{self, Decision, Situation};
use super::model::DeferredAfter;
use super::moved::Records;
use super::seen::Lacks;
use super::steps::steps_of;
use super::{Request, removals, stored};
use crate::graph::{Args, Graph, Objects};
use crate::resource::connection;
use crate::resource::kind::{
    Action, Answers, Endpoint, Facts, HostId, Kind, Observation, PlanCx, Step, Verb,
};
use crate::resource::probe::Probe;

/// What is made of one instance.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    Decided(Box<Decided>),
    Deferred {
        reason: String,
        after: DeferredAfter,
    },
    Unreadable {
        endpoint: Endpoint,
        reason: String,
    },
    /// It is wrong; the problem has been reported.
    Wrong,
}

#[derive(Debug, Clone)]
pub(crate) struct Decided {
    pub(crate) endpoint: Endpoint,
    pub(crate) identity: String,
    pub(crate) decision: Decision,
    pub(crate) steps: Vec<Step>,
    pub(crate) args: Arc<Args>,
}

/// Decides instances by request of the graph.
pub(crate) struct Planner<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) records: &'a Records<'a>,
    pub(crate) verdicts: RefCell<BTreeMap<InstanceId, Verdict>>,
    pub(crate) lacks: RefCell<Lacks>,
    /// What kinds find odd in arguments that can be used all the same.
    pub(crate) warnings: RefCell<BTreeMap<InstanceId, Vec<Diagnostic>>>,
}

/// The facts and the endpoint of a place.
pub(crate) struct Place {
    pub(crate) endpoint: Endpoint,
    pub(crate) facts: Option<Facts>,
}

enum Where {
    At(Place),
    Verdict(Verdict),
}

impl Objects for Planner<'_> {
    fn object(&self, graph: &Graph<'_>, id: InstanceId) -> Result<Object, Stop> {
        let verdict = self.verdict(graph, id)?;
        let instance = graph.instance(id);
        let object = visible(instance.schema, &verdict, self.records.get(&instance.address));
        self.verdicts.borrow_mut().insert(id, verdict);
        Ok(object)
    }
}

/// The attributes others see, beyond the arguments: recorded or observed where nothing remakes them, else unknown.
fn visible(schema: &Schema, verdict: &Verdict, record: Option<&Record>) -> Object {
    let mut object = Object::new();
    let recorded = record.map_or_else(Object::new, |r| stored::from_stored(schema, &r.attributes));
    let (observed, remade) = match verdict {
        Verdict::Decided(d) => {
            let remade = matches!(d.decision.action, Action::Create | Action::Replace)
                || record.is_some_and(|r| matches!(r.status, Status::Running | Status::Waiting));
            (d.decision.change.observed.clone().unwrap_or_default(), remade)
        }
        Verdict::Deferred { .. } | Verdict::Unreadable { .. } | Verdict::Wrong => {
            (Object::new(), record.is_none())
        }
    };
    for attr in schema.attributes.iter().filter(|a| !a.is_argument()) {
        let known = match attr.class {
            Class::Fact => observed.get(attr.name).cloned(),
            _ if remade => None,
            _ => recorded.get(attr.name).or_else(|| observed.get(attr.name)).cloned(),
        };
        object.insert(Arc::from(attr.name), known.unwrap_or_else(|| Value::unknown(attr.ty.to_type())));
    }
    if let Verdict::Decided(d) = verdict
        && let Some(desired) = &d.decision.change.desired
    {
        stored::mark_derived(schema, desired, &mut object);
    }
    object
}

impl<'a> Planner<'a> {
    pub(crate) fn new(request: &'a Request<'a>, records: &'a Records<'a>) -> Planner<'a> {
        let (verdicts, lacks, warnings) = Default::default();
        Planner { request, records, verdicts, lacks, warnings }
    }

    fn verdict(&self, graph: &Graph<'_>, id: InstanceId) -> Result<Verdict, Stop> {
        let instance = graph.instance(id);
        let args = match graph.args(id) {
            Ok(args) => args,
            Err(Stop::Error(_)) => return Ok(Verdict::Wrong),
            Err(need) => return Err(need),
        };
        let place = match self.place(graph, id, &args)? {
            Where::At(place) => place,
            Where::Verdict(verdict) => return Ok(verdict),
        };
        let Some(identity) = decide::identity_text(instance.schema, &instance.address, &args.object) else {
            let reason =
                format!("which object it is, is {}", self.known_after(graph, &args.marks.from, &args.object));
            return Ok(Verdict::Deferred { reason, after: DeferredAfter::NextRound });
        };
        let kind = (self.request.kinds)(instance.schema.kind).expect("every schema comes from a kind");
        let wrong = kind.check(&as_written(instance.schema, &args.object));
        let place_of = |mut p: Diagnostic| {
            p.summary = stored::without_secrets(&p.summary, &args.object);
            p.detail = stored::without_secrets(&p.detail, &args.object);
            let placed = if p.labels.is_empty() { p.at(graph.span(id), "this resource") } else { p };
            placed.of(&instance.address)
        };
        if wrong.iter().any(Diagnostic::is_error) {
            return Err(Stop::Error(wrong.into_iter().map(place_of).collect()));
        }
        self.warnings.borrow_mut().insert(id, wrong.into_iter().map(place_of).collect());
        if let Some(reason) = self.unknown_claim(graph, instance.schema, &args) {
            return Ok(Verdict::Deferred { reason, after: DeferredAfter::NextRound });
        }
        let record = self.records.get(&instance.address);
        let asked = decide::asked(instance.schema, &args.object, record);
        let observed = match self.observe(kind, &asked, &place, record) {
            Sight::Lack => return Err(Stop::Need(Need::Instance(instance.address.clone()))),
            Sight::Object(found) => found,
            Sight::Unknown(reason) => return Ok(Verdict::Unreadable { endpoint: place.endpoint, reason }),
        };
        let former = match self.former(kind, record, &args.object, &place.endpoint) {
            Some(Sight::Lack) => return Err(Stop::Need(Need::Instance(instance.address.clone()))),
            Some(Sight::Unknown(reason)) => {
                return Ok(Verdict::Unreadable { endpoint: place.endpoint, reason });
            }
            Some(Sight::Object(found)) => Some(found),
            None => None,
        };
        let facts = Situation {
            former: former.as_ref().map(Option::as_ref),
            schema: instance.schema,
            address: &instance.address,
            desired: &args.object,
            record,
            observed: observed.as_ref(),
            ignore: &args.ignore_changes,
            replace: self.replacement(graph, id, &args)?,
            restart: self.restart(graph, &args, observed.as_ref())?,
            import: self.records.import(&instance.address),
            digest: self.request.digest,
        };
        let refused = |problem: Diagnostic| Stop::Error(vec![problem.at(graph.span(id), "this resource")]);
        let decision = facts.decide().map_err(|problem| refused(*problem))?;
        if let Some(problem) = decision.forbidden(&instance.address, &args) {
            return Err(refused(problem));
        }
        let cx =
            PlanCx { address: &instance.address, endpoint: &place.endpoint, facts: place.facts.as_ref() };
        let steps = steps_of(kind, &cx, &decision)
            .map_err(|problems| Stop::Error(problems.into_iter().map(place_of).collect()))?;
        // A restart of what shall not run is none.
        let decision = if steps.is_empty() { decision.without_restart() } else { decision };
        let decided = Decided { endpoint: place.endpoint, identity, decision, steps, args };
        Ok(Verdict::Decided(Box::new(decided)))
    }

    /// Why it cannot be said what an instance holds: a move that is not seen is not fenced.
    fn unknown_claim(&self, graph: &Graph<'_>, schema: &Schema, args: &Args) -> Option<String> {
        let is_unknown = |name: &str| args.object.get(name).is_some_and(|v| !v.is_wholly_known());
        let attr = schema.attributes.iter().find(|a| a.claim.is_some() && is_unknown(a.name))?;
        let known = self.known_after(graph, &args.marks.from, &args.object);
        Some(format!("what it holds (`{}`) is {known}", attr.name))
    }

    /// Where an instance lives; asks for the host's facts first.
    fn place(&self, graph: &Graph<'_>, id: InstanceId, args: &Args) -> Result<Where, Stop> {
        let instance = graph.instance(id);
        let host = match (instance.schema.placement, &args.host) {
            (Placement::Nowhere, None) => {
                return Ok(Where::At(Place { endpoint: Endpoint::Nowhere, facts: None }));
            }
            (Placement::IsHost, _) => id,
            (Placement::HostOrController | Placement::Host, None) => {
                return Ok(Where::At(self.controller()));
            }
            (Placement::HostOrController | Placement::Host | Placement::Nowhere, Some(value)) => match &value
                .node
            {
                Node::Ref(found) => found.id,
                _ => {
                    let reason =
                        format!("its host is {}", self.known_after(graph, &value.marks.from, &Object::new()));
                    return Ok(Where::Verdict(Verdict::Deferred { reason, after: DeferredAfter::NextRound }));
                }
            },
        };
        let host_args = match graph.args(host) {
            Ok(args) => args,
            Err(Stop::Error(_)) => return Ok(Where::Verdict(Verdict::Wrong)),
            Err(need) => return Err(need),
        };
        let address = &graph.instance(host).address;
        let endpoint =
            Endpoint::Host(Arc::new(HostId { address: address.clone(), uid: self.uid(address).into() }));
        if !host_args.object.values().all(Value::is_wholly_known) {
            let reason = format!(
                "how to reach {address} is {}",
                self.known_after(graph, &host_args.marks.from, &host_args.object)
            );
            return Ok(Where::Verdict(Verdict::Deferred { reason, after: DeferredAfter::NextRound }));
        }
        let mut connection = connection::connection(&host_args.object);
        self.records.acquaint(address, &mut connection);
        self.lacks.borrow_mut().connections.insert(endpoint.clone(), connection);
        if let Some(unreached) = self.request.seen.unreadable.get(&endpoint) {
            if unreached.fatal {
                let problem = Diagnostic::error("host-identity", unreached.reason.clone())
                    .detail("Nothing is planned on it. If its key is new on purpose, check the key on the machine itself and put it into known_hosts or into `host_key`. If the machine was replaced on purpose, take the host and what is on it out of the state first (`state rm`).")
                    .at(graph.span(host), "this host");
                return if id == host {
                    Err(Stop::Error(vec![problem.of(address)]))
                } else {
                    Ok(Where::Verdict(Verdict::Wrong))
                };
            }
            return Ok(Where::Verdict(Verdict::Unreadable { endpoint, reason: unreached.reason.clone() }));
        }
        let facts = self.request.seen.facts(&endpoint).cloned();
        if facts.is_none() {
            self.lack(&endpoint, [Probe::Facts]);
        }
        // Without a world of its own it still needs its host to be there.
        if instance.schema.placement == Placement::Nowhere {
            let there = facts.is_some() || self.request.seen.answers.contains_key(&endpoint);
            return match there {
                true => Ok(Where::At(Place { endpoint: Endpoint::Nowhere, facts: None })),
                false => Err(Stop::Need(Need::Instance(instance.address.clone()))),
            };
        }
        Ok(Where::At(Place { endpoint, facts }))
    }

    fn controller(&self) -> Place {
        let facts = self.request.seen.facts(&Endpoint::Controller).cloned();
        if facts.is_none() {
            self.lack(&Endpoint::Controller, [Probe::Facts]);
        }
        Place { endpoint: Endpoint::Controller, facts }
    }

    fn lack(&self, endpoint: &Endpoint, probes: impl IntoIterator<Item = Probe>) {
        self.lacks.borrow_mut().probes.entry(endpoint.clone()).or_default().extend(probes);
    }

    /// What is there. Lacking reads are noted, those of the kind together with the facts of the place.
    pub(crate) fn observe(
        &self,
        kind: &dyn Kind,
        identity: &Object,
        place: &Place,
        record: Option<&Record>,
    ) -> Sight {
        let none = Answers::new();
        let got = self.request.seen.answers.get(&place.endpoint).unwrap_or(&none);
        if let Some(unreached) = self.request.seen.unreadable.get(&place.endpoint) {
            return Sight::Unknown(unreached.reason.clone());
        }
        let blank = Facts::default();
        let facts = place.facts.as_ref().unwrap_or(&blank);
        let observation = kind.observe(identity, facts, got);
        match observation {
            Observation::Need(probes) => {
                let unanswered: Vec<Probe> = probes.into_iter().filter(|p| !got.contains_key(p)).collect();
                if unanswered.is_empty() {
                    return Sight::Unknown(format!("{} asks for the same reads again", kind.schema().kind));
                }
                self.lack(&place.endpoint, unanswered);
                Sight::Lack
            }
            _ if place.facts.is_none() && place.endpoint != Endpoint::Nowhere => Sight::Lack,
            Observation::Present(object) => Sight::Object(Some(object)),
            Observation::Absent => Sight::Object(None),
            Observation::Recorded => Sight::Object(recorded(kind.schema(), record)),
            Observation::Unknown(reason) => Sight::Unknown(reason),
        }
    }

    /// What is there of the recorded object, where that is another than the wanted one.
    fn former(
        &self,
        kind: &dyn Kind,
        record: Option<&Record>,
        desired: &Object,
        endpoint: &Endpoint,
    ) -> Option<Sight> {
        let schema = kind.schema();
        let record = record.filter(|r| r.status != Status::Released)?;
        if !decide::is_elsewhere(schema, record, (desired, endpoint), self.request.digest) {
            return None;
        }
        let mut lacks = self.lacks.borrow_mut();
        let Some(endpoint) = removals::endpoint_of(self.records, record, &mut lacks) else {
            return Some(Sight::Object(None));
        };
        drop(lacks);
        if let Some(unreached) = self.request.seen.unreadable.get(&endpoint) {
            return Some(Sight::Unknown(unreached.reason.clone()));
        }
        let facts = self.request.seen.facts(&endpoint).cloned();
        if facts.is_none() && endpoint != Endpoint::Nowhere {
            self.lack(&endpoint, [Probe::Facts]);
        }
        let asked = decide::asked_of(schema, &decide::removal(schema, record, None).prior);
        Some(self.observe(kind, &asked, &Place { endpoint, facts }, Some(record)))
    }

    /// The uid of an instance: the recorded one, or a new one that depends on nothing but state and address.
    pub(crate) fn uid(&self, address: &Address) -> String {
        super::uid(self.records.get(address), self.request.state, address)
    }

    /// "known after mock.a is applied".
    fn known_after(
        &self,
        graph: &Graph<'_>,
        from: &Option<Arc<BTreeSet<InstanceId>>>,
        object: &Object,
    ) -> String {
        let mut ids: BTreeSet<InstanceId> = from.iter().flat_map(|ids| ids.iter().copied()).collect();
        for value in object.values().filter(|v| !v.is_wholly_known()) {
            ids.extend(value.deep_marks().from.iter().flat_map(|ids| ids.iter().copied()));
        }
        let names: Vec<String> =
            ids.iter().map(|id| graph.instance(*id).address.to_string()).take(3).collect();
        if names.is_empty() {
            "not known yet".into()
        } else {
            format!("known after {} is applied", names.join(", "))
        }
    }

    fn replacement(&self, graph: &Graph<'_>, id: InstanceId, args: &Args) -> Result<Option<String>, Stop> {
        let address = &graph.instance(id).address;
        if self.request.selection.replace.iter().any(|a| a.covers(address)) {
            return Ok(Some("--replace asks for it".into()));
        }
        for trigger in &args.replace_triggered_by {
            if self.has_steps(graph, *trigger)? {
                return Ok(Some(format!(
                    "{} changes (replace_triggered_by)",
                    graph.instance(*trigger).address
                )));
            }
        }
        Ok(None)
    }

    /// Why `restart_on` fires: a referenced instance changes, or its file is newer than what runs.
    fn restart(
        &self,
        graph: &Graph<'_>,
        args: &Args,
        observed: Option<&Object>,
    ) -> Result<Option<String>, Stop> {
        let number = |object: &Object, name: &str| {
            object.get(name).and_then(Value::as_num).and_then(coxswain_model::Num::to_i128)
        };
        for trigger in &args.restart_on {
            let address = &graph.instance(*trigger).address;
            if self.has_steps(graph, *trigger)? {
                return Ok(Some(format!("{address} changes")));
            }
            let verdicts = self.verdicts.borrow();
            let Some(Verdict::Decided(other)) = verdicts.get(trigger) else { continue };
            let changed = other.decision.change.observed.as_ref().and_then(|o| number(o, "mtime"));
            let started = observed.and_then(|o| number(o, "started")).filter(|s| *s > 0);
            // A time that is still to come is of a clock that was wrong, and would be newer after every restart.
            let now = observed.and_then(|o| number(o, "read_at")).unwrap_or(i128::MAX);
            if let (Some(changed), Some(started)) = (changed, started)
                && changed > started
                && changed <= now
            {
                return Ok(Some(format!("{address} is newer than what runs")));
            }
        }
        Ok(None)
    }

    fn has_steps(&self, graph: &Graph<'_>, id: InstanceId) -> Result<bool, Stop> {
        if !self.verdicts.borrow().contains_key(&id) {
            let node = graph.object_node(id);
            if !graph.is_evaluated(node) {
                return Err(Stop::Need(Need::Node(node)));
            }
        }
        let changes = |step: &Step| !matches!(step.verb, Verb::Adopt | Verb::Connect | Verb::Forget);
        let verdicts = self.verdicts.borrow();
        Ok(matches!(verdicts.get(&id), Some(Verdict::Decided(d)) if d.steps.iter().any(changes)))
    }
}

/// The arguments without those that were filled from a file.
fn as_written(schema: &Schema, object: &Object) -> Object {
    let mut object = object.clone();
    for attr in schema
        .attributes
        .iter()
        .filter(|a| object.contains_key(a.name))
        .filter_map(|a| a.fills)
        .collect::<Vec<_>>()
    {
        object.remove(attr);
    }
    object
}

/// An observation as planning uses it.
pub(crate) enum Sight {
    Lack,
    Object(Option<Object>),
    Unknown(String),
}

/// Without a world, what was applied last is what is there; what was in the making has no computed attributes yet.
pub(crate) fn recorded(schema: &Schema, record: Option<&Record>) -> Option<Object> {
    let record = record?;
    let is_made = schema.of_class(Class::Computed).all(|a| record.attributes.contains_key(a.name));
    (record.status != Status::Indeterminate || is_made).then(|| {
        let mut object = stored::from_stored(schema, &record.attributes);
        // Kept as digests: there, and not to be seen.
        for attr in schema.attributes.iter().filter(|a| record.attributes.contains_key(a.name)) {
            object.entry(Arc::from(attr.name)).or_insert_with(|| Value::unknown(attr.ty.to_type()));
        }
        object
    })
}
