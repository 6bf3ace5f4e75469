//! What an object is now, and the facts of objects that a run leaves alone.
//!
//! Facts are not in the state: what a step is planned with must be read again when it is carried out. Only facts
//! that some expression uses are read, before the first step; what cannot be read stays unknown, and the steps that
//! need it are refused.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_lang::eval::{Need, Stop};
use coxswain_model::schema::Class;
use coxswain_model::{Address, InstanceId, Object};
use coxswain_state::Record;
use futures::StreamExt as _;
use futures::stream;

use super::Run;
use super::core::{Core, has_world};
use super::step::endpoint;
use crate::graph::{Graph, Objects};
use crate::plan::model::InstancePlan;
use crate::plan::{decide, objects, stored};
use crate::resource::answer::Answer;
use crate::resource::kind::{Action, Answers, Endpoint, Facts, Kind, OBSERVE_DEPTH, Observation};

/// Facts that depend on facts that depend on facts: as deep as planning goes.
const ROUNDS: usize = 64;

/// What is there now.
///
/// # Errors
/// Why it cannot be told.
pub(super) async fn look(
    run: &Run<'_>,
    kind: &dyn Kind,
    at: &Endpoint,
    asked: &Object,
    record: Option<&Record>,
) -> Result<Option<Object>, String> {
    let mut got = Answers::new();
    let mut facts = Facts::default();
    for _ in 0..=OBSERVE_DEPTH {
        let need = match kind.observe(asked, &facts, &got) {
            Observation::Recorded => return Ok(objects::recorded(kind.schema(), record)),
            Observation::Present(object) => return Ok(Some(object)),
            Observation::Absent => return Ok(None),
            Observation::Unknown(reason) => return Err(reason),
            Observation::Need(need) => need,
        };
        if !has_world(kind.schema().placement) {
            return Err("it asks for reads, and has no world".into());
        }
        let answers = run.world.read(at, &need).await.map_err(|e| e.to_string())?;
        for (probe, answer) in need.into_iter().zip(answers) {
            if let Answer::Facts(found) = &answer {
                facts = found.clone();
            }
            got.insert(probe, answer);
        }
    }
    Err("it asks for the same reads again and again".into())
}

/// What is known of the instances that have no step; the others are not known yet.
struct Settled(BTreeMap<Address, Object>);

impl Objects for Settled {
    fn object(&self, graph: &Graph<'_>, id: InstanceId) -> Result<Object, Stop> {
        let address = &graph.instance(id).address;
        self.0.get(address).cloned().ok_or_else(|| Stop::Need(Need::Instance(address.clone())))
    }
}

/// Reads the facts that are used, of instances that have no step in this run.
pub(super) async fn learn_facts(core: &Core<'_>) {
    let left_alone = left_alone(core);
    if left_alone.is_empty() {
        return;
    }
    let mut settled = Settled(BTreeMap::new());
    let mut graph = Graph::new(core.run.config, core.run.inputs.clone());
    for _ in 0..ROUNDS {
        let needed: BTreeSet<Address> = needed(core.run, &mut graph, &settled);
        let asked: Vec<&Left<'_>> = needed
            .iter()
            .filter(|address| !settled.0.contains_key(*address))
            .filter_map(|address| left_alone.get(address))
            .collect();
        if asked.is_empty() {
            return;
        }
        let found: Vec<(Address, Object)> = stream::iter(asked)
            .map(|left| left.object(core))
            .buffer_unordered(core.run.parallelism.max(1))
            .collect()
            .await;
        for (address, object) in found {
            core.lock().resolved(&address, object.clone());
            settled.0.insert(address, object);
        }
    }
}

/// An instance that has no step and whose kind has facts.
struct Left<'a> {
    planned: &'a InstancePlan,
    kind: &'static dyn Kind,
    record: &'a Record,
}

fn left_alone<'a>(core: &'a Core<'_>) -> BTreeMap<&'a Address, Left<'a>> {
    let plan = core.run.plan;
    let unreadable: BTreeSet<&Address> = plan.unreadable.iter().flat_map(|u| &u.instances).collect();
    let left = plan.instances.iter().filter_map(|planned| {
        let kind = (core.run.kinds)(&planned.address.kind)?;
        let has_facts = kind.schema().of_class(Class::Fact).next().is_some();
        let is_left = planned.action == Action::NoOp
            && planned.waiting.is_none()
            && !unreadable.contains(&planned.address);
        let record = core.records.get(&planned.address).filter(|_| has_facts && is_left)?;
        Some((&planned.address, Left { planned, kind, record }))
    });
    left.collect()
}

/// The instances whose attributes are used and not known, by anything that is planned or put out.
fn needed(run: &Run<'_>, graph: &mut Graph<'_>, settled: &Settled) -> BTreeSet<Address> {
    let mut needed = BTreeSet::new();
    let mut note = |graph: &Graph<'_>| {
        needed.extend(graph.lacks().filter_map(|need| {
            if let Need::Instance(address) = need { Some(address.clone()) } else { None }
        }));
    };
    for planned in &run.plan.instances {
        graph.evaluate_args(&planned.address, settled);
        note(graph);
    }
    graph.evaluate_outputs(settled);
    note(graph);
    needed
}

impl Left<'_> {
    /// Its address, and what others see of it: what is recorded, and the facts as they are now.
    async fn object(&self, core: &Core<'_>) -> (Address, Object) {
        let schema = self.kind.schema();
        let mut object = stored::from_stored(schema, &self.record.attributes);
        let asked = decide::asked_of(schema, &object);
        let at = endpoint(core, self.planned, schema);
        if let Ok(Some(found)) = look(core.run, self.kind, &at, &asked, Some(self.record)).await {
            let is_fact = |name: &str| schema.attr(name).is_some_and(|a| a.class == Class::Fact);
            object.extend(found.into_iter().filter(|(name, _)| is_fact(name)));
        }
        (self.planned.address.clone(), object)
    }
}
