//! What all steps of a run share: the evaluation, the results so far, the records.
//!
//! One mutex guards it. It is held for pure work and for writing the journal, never across an await, so that the
//! order of entries is the order of decisions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use coxswain_lang::eval::{Need, Stop};
use coxswain_model::schema::{Class, Placement};
use coxswain_model::{Address, InstanceId, Object, Value};
use coxswain_state::{Change as Put, Entry, OutputRecord, Record, RunEnd, State};

use super::Run;
use super::event::Summary;
use crate::graph::{Graph, Objects};
use crate::plan::decide::{self, Decision, Situation};
use crate::plan::model::InstancePlan;
use crate::plan::{Records, steps, stored};
use crate::resource::kind::{Action, Endpoint, PlanCx, Step, StepClass, Verb};

/// See the module.
pub(super) struct Core<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) records: Records<'a>,
    /// The uid of every instance in the plan.
    pub(super) uids: BTreeMap<Address, String>,
    /// The steps of each instance, in their order.
    steps: Vec<Vec<usize>>,
    shared: Mutex<Shared<'a>>,
}

pub(super) struct Shared<'a> {
    graph: Graph<'a>,
    results: Results,
    /// The state as the journal makes it.
    pub(super) now: State,
    /// Steps to run instead of the one that was to make an object which is there by now.
    pub(super) instead: BTreeMap<usize, Vec<Step>>,
    /// Decisions of instances whose first step has started.
    pub(super) decided: BTreeMap<usize, Decision>,
}

/// Attributes of instances beyond their arguments, as they are now.
#[derive(Default)]
struct Results(BTreeMap<Address, Object>);

impl Objects for Results {
    fn object(&self, graph: &Graph<'_>, id: InstanceId) -> Result<Object, Stop> {
        let instance = graph.instance(id);
        match self.0.get(&instance.address) {
            Some(object) => Ok(object.clone()),
            None => Err(Stop::Need(Need::Instance(instance.address.clone()))),
        }
    }
}

impl<'a> Core<'a> {
    pub(super) fn new(run: &'a Run<'a>) -> Core<'a> {
        let records = Records::new(run.config, run.state);
        let mut results = Results::default();
        for planned in &run.plan.instances {
            // What goes is known until it has gone, so that the arguments of what used it can be evaluated.
            let kept = !matches!(planned.action, Action::Create | Action::Replace);
            if let (true, Some(record)) = (kept && planned.waiting.is_none(), records.get(&planned.address)) {
                results.0.insert(planned.address.clone(), known(run, planned, record));
            }
        }
        let mut now = run.state.clone();
        for (address, (_, from)) in &records.by_address {
            if let Some(record) = from.as_ref().and_then(|from| now.instances.remove(from)) {
                now.instances.insert(address.clone(), record);
            }
        }
        let graph = Graph::new(run.config, run.inputs.clone());
        let shared = Shared { graph, results, now, decided: BTreeMap::new(), instead: BTreeMap::new() };
        let uids = run.plan.instances.iter().map(|i| (i.address.clone(), i.uid.clone())).collect();
        let mut steps = vec![Vec::new(); run.plan.instances.len()];
        for (at, step) in run.plan.steps.iter().enumerate() {
            steps[step.instance].push(at);
        }
        Core { run, records, uids, steps, shared: Mutex::new(shared) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Shared<'a>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the moves: from here on the journal speaks of the new addresses alone.
    pub(super) fn begin(&self) -> Result<(), String> {
        let moves = self.run.plan.instances.iter().filter_map(|planned| {
            Some(Put::Move { from: planned.moved_from.clone()?, to: planned.address.clone() })
        });
        let changes: Vec<Put> = moves.collect();
        if changes.is_empty() {
            return Ok(());
        }
        self.run.journal.append(Entry::Edit(coxswain_state::Edit {
            why: "moved in the configuration".into(),
            changes,
            at: self.run.journal.now(),
        }))
    }

    /// Writes the bookkeeping of instances without steps, and the outputs; then the end of the run.
    pub(super) fn finish(&self, summary: &Summary) -> Result<(), String> {
        let mut shared = self.lock();
        let mut changes = self.outputs(&mut shared);
        changes.extend(self.refreshed(&mut shared));
        if !changes.is_empty() {
            let at = self.run.journal.now();
            self.run.journal.append(Entry::Edit(coxswain_state::Edit {
                why: "bookkeeping".into(),
                changes,
                at,
            }))?;
        }
        let summary = serde_json::to_value(summary).unwrap_or_default();
        self.run.journal.append(Entry::RunEnd(RunEnd { summary, at: self.run.journal.now() }))
    }

    fn outputs(&self, shared: &mut Shared<'_>) -> Vec<Put> {
        let Shared { graph, results, .. } = shared;
        graph.evaluate_outputs(results);
        let mut changes = Vec::new();
        let now: BTreeMap<String, Value> = graph
            .outputs()
            .into_iter()
            .map(|(n, v)| (n.to_string(), v))
            .filter(|(_, v)| v.is_wholly_known())
            .collect();
        for (name, value) in &now {
            let output = OutputRecord {
                value: stored::to_stored(value, self.run.digest),
                sensitive: value.is_sensitive(),
            };
            if self.run.state.outputs.get(name) != Some(&output) {
                changes.push(Put::Output { name: name.clone(), output: Some(output) });
            }
        }
        let declared: Vec<String> = self
            .run
            .config
            .modules
            .first()
            .map_or_else(Vec::new, |m| m.outputs.keys().map(ToString::to_string).collect());
        for name in self.run.state.outputs.keys().filter(|n| !declared.contains(n)) {
            changes.push(Put::Output { name: name.clone(), output: None });
        }
        changes
    }

    /// Records of instances that had nothing to do in the world, but whose settings, address or dependencies changed.
    fn refreshed(&self, shared: &mut Shared<'_>) -> Vec<Put> {
        let mut changes = Vec::new();
        let plan = self.run.plan;
        // What was left to a later round, or could not be read, is as it was.
        let left: BTreeSet<&Address> = plan
            .deferred
            .iter()
            .map(|d| &d.address)
            .chain(plan.unreadable.iter().flat_map(|u| &u.instances))
            .collect();
        for planned in plan.instances.iter().filter(|p| !left.contains(&p.address)) {
            let Some(mut record) = self.records.get(&planned.address).cloned() else { continue };
            if planned.action != Action::NoOp || planned.waiting.is_some() || planned.identity.is_empty() {
                continue;
            }
            let before = record.clone();
            if self.run.plan.cut.is_none()
                && let Some(args) = shared.graph.evaluate_args(&planned.address, &shared.results)
            {
                super::record::settle(self, &shared.graph, (planned, &args), &mut record);
            }
            if record != before {
                changes.push(Put::Put { address: planned.address.clone(), record: Box::new(record) });
            }
        }
        changes
    }
}

/// What is known of an instance that is not remade.
fn known(run: &Run<'_>, planned: &InstancePlan, record: &Record) -> Object {
    let Some(kind) = (run.kinds)(&planned.address.kind) else { return Object::new() };
    stored::from_stored(kind.schema(), &record.attributes)
}

impl<'a> Shared<'a> {
    /// Notes what an instance is now, for those that use it.
    pub(super) fn resolved(&mut self, address: &Address, object: Object) {
        self.results.0.insert(address.clone(), object);
    }

    /// Evaluates the arguments again, now that more is known, and decides; `Err` is why the step is refused.
    pub(super) fn decide(
        &mut self,
        core: &Core<'a>,
        instance: usize,
        seen: (Option<&Object>, Option<Option<&Object>>),
        endpoint: &Endpoint,
    ) -> Result<Decision, String> {
        let (observed, former) = seen;
        let run = core.run;
        let planned = &run.plan.instances[instance];
        let kind = (run.kinds)(&planned.address.kind).ok_or("its kind is not known to this version")?;
        let schema = kind.schema();
        let record = core.records.get(&planned.address);
        if matches!(planned.action, Action::Delete | Action::Forget) {
            let record = record.ok_or("it is not in the state any more")?;
            let change = decide::removal(schema, record, observed);
            return Ok(Decision {
                action: planned.action,
                reason: planned.reason.clone(),
                changes: Vec::new(),
                change,
                removal: None,
                expects: planned.expects.clone(),
                restart: false,
                resumed: false,
            });
        }
        let Some(args) = self.graph.evaluate_args(&planned.address, &self.results) else {
            let why = self.graph.problems.iter().map(|p| p.summary.clone()).next();
            return Err(why.unwrap_or_else(|| "a value it needs is still not known".into()));
        };
        if !args.object.values().all(Value::is_wholly_known) {
            return Err("a value it needs is still not known".into());
        }
        let facts = Situation {
            former,
            schema,
            address: &planned.address,
            desired: &args.object,
            record,
            observed,
            ignore: &args.ignore_changes,
            replace: (planned.action == Action::Replace && planned.reason.contains("replace"))
                .then(|| planned.reason.clone()),
            restart: planned.restart.then(|| planned.reason.clone()),
            import: core.records.import(&planned.address),
            digest: run.digest,
        };
        let decision = facts.decide().map_err(|problem| problem.summary)?;
        same_as_planned(run, planned, &decision)?;
        let cx = PlanCx { address: &planned.address, endpoint, facts: None };
        let steps = steps::steps_of(kind, &cx, &decision)
            .map_err(|p| p.into_iter().map(|p| p.summary).collect::<Vec<_>>().join("; "))?;
        let planned_steps =
            core.steps[instance].iter().map(|at| &run.plan.steps[*at]).filter(|s| s.claims.is_empty());
        let alike = planned_steps.clone().count() == steps.len()
            && planned_steps.zip(&steps).all(|(a, b)| {
                a.step.name == b.name && a.step.class == b.class && same_verb(a.step.verb, b.verb)
            });
        // What came with something this run made is brought to its end in the one step that was to make it.
        let is_brought = decision.action == Action::Adopt && planned.action == Action::Create;
        let is_mild = |s: &Step| matches!(s.class, StepClass::InPlace | StepClass::Restart);
        if is_brought && core.steps[instance].len() == 1 && steps.iter().all(is_mild) {
            self.instead.insert(instance, steps);
            return Ok(decision);
        }
        if !alike && decision.action != Action::NoOp {
            return Err("with the values that are known now it takes other steps than planned".into());
        }
        Ok(decision)
    }

    pub(super) fn args_of(&mut self, address: &Address) -> Option<std::sync::Arc<crate::graph::Args>> {
        self.graph.evaluate_args(address, &self.results)
    }

    pub(super) fn graph(&self) -> &Graph<'a> {
        &self.graph
    }
}

/// What was to be made and is there by now is changed instead.
fn same_verb(planned: Verb, now: Verb) -> bool {
    planned == now || (planned == Verb::Create && now == Verb::Update)
}

/// Whether the decision is the planned one, with unknown values filled in and nothing else.
fn same_as_planned(run: &Run<'_>, planned: &InstancePlan, decision: &Decision) -> Result<(), String> {
    // What came with something this run made is taken over where it was to be made.
    let same = decision.action == planned.action
        || (decision.action == Action::NoOp && planned.action == Action::Update)
        || (decision.action == Action::Adopt && planned.action == Action::Create);
    if !same {
        return Err(format!(
            "with the values that are known now it would be {} instead of {}; plan again",
            word(decision.action),
            word(planned.action)
        ));
    }
    let Some(serde_json::Value::Object(desired)) = &planned.desired else { return Ok(()) };
    for (name, value) in decision.change.desired.iter().flatten() {
        let is = stored::to_stored(value, run.digest);
        match desired.get(name.as_ref()) {
            Some(was) if fits(was, &is) => {}
            Some(_) => return Err(format!("`{name}` is not what was planned; plan again")),
            None => return Err(format!("`{name}` was not planned; plan again")),
        }
    }
    Ok(())
}

/// A set with an unknown element takes another order, and may lose an element, once that is known.
fn fits_as_set(planned: &[serde_json::Value], now: &[serde_json::Value]) -> bool {
    let is_open = |v: &&serde_json::Value| v.get("$unknown").is_some();
    let n_open = planned.iter().filter(is_open).count();
    let known: Vec<&serde_json::Value> = planned.iter().filter(|v| !is_open(v)).collect();
    n_open > 0
        && now.len() <= planned.len()
        && known.iter().all(|v| now.contains(v))
        && now.iter().filter(|v| !known.contains(v)).count() <= n_open
}

/// Whether a value is the planned one where that was known.
fn fits(planned: &serde_json::Value, now: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    if planned.get("$unknown").is_some() {
        return true;
    }
    match (planned, now) {
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| fits(v, w)))
        }
        (Json::Array(a), Json::Array(b)) => {
            (a.len() == b.len() && a.iter().zip(b).all(|(v, w)| fits(v, w))) || fits_as_set(a, b)
        }
        (a, b) => a == b,
    }
}

fn word(action: Action) -> &'static str {
    match action {
        Action::NoOp => "left alone",
        Action::Create => "created",
        Action::Adopt => "adopted",
        Action::Update => "changed in place",
        Action::Replace => "replaced",
        Action::Delete => "removed",
        Action::Forget => "forgotten",
        Action::Read => "read",
    }
}

/// Whether the kind's objects are read from a world.
pub(super) fn has_world(placement: Placement) -> bool {
    placement != Placement::Nowhere
}

/// The computed attributes and facts in an object.
pub(super) fn computed(schema: &coxswain_model::Schema, object: &Object) -> Object {
    let wanted =
        |name: &str| schema.attr(name).is_some_and(|a| matches!(a.class, Class::Computed | Class::Fact));
    object.iter().filter(|(k, _)| wanted(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
}
