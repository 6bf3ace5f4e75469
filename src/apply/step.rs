//! One step, from its precondition to its outcome on disk.

mod outcome;
mod way;

use std::sync::Arc;
use std::time::Duration;

use coxswain_model::{Object, Schema};
use coxswain_state::{Before, Entry, Intent, Record, Status, StepEnd};

use super::core::{Core, has_world};
use super::event::{Event, StepResult};
use super::look::look;
use super::record;
use crate::plan::model::{Edge, InstancePlan, PlannedStep, Why};
use crate::plan::{Lacks, decide, endpoint_of, stored};
use crate::resource::kind::{
    Action, Change, Endpoint, HostId, Kind, KindError, Outcome, Retry, StepClass, StepCx, Verb,
};

/// How a line begins with which a program says what it waits for: those who look at a log must see it too.
const WAITING: &str = "waiting: ";
/// Limit on one step where `timeouts` says nothing.
const STEP_LIMIT: Duration = Duration::from_secs(600);
struct Doing<'c, 'a> {
    core: &'c Core<'a>,
    planned: &'a PlannedStep,
    instance: &'a InstancePlan,
    index: usize,
    kind: &'static dyn Kind,
    schema: &'static Schema,
    /// Where the instance lives.
    home: Endpoint,
    /// Where the step acts: the former place, where it removes what is there.
    endpoint: Endpoint,
    is_first: bool,
    is_last: bool,
}

/// When an object is looked at: of a contribution, what was applied before is of interest only before the step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Before,
    After,
}

/// How a step ended before it was tried.
enum Early {
    Refused(String),
    Failed(String),
    Fatal(String),
}

/// Runs one step.
///
/// # Errors
/// When the journal cannot be written.
pub(super) async fn run(core: &Core<'_>, at: usize) -> Result<StepResult, String> {
    let run = core.run;
    let planned = &run.plan.steps[at];
    let instance = &run.plan.instances[planned.instance];
    let Some(kind) = (run.kinds)(&instance.address.kind) else {
        return Ok(StepResult::Refused { reason: "its kind is not known to this version".into() });
    };
    let same = |other: usize| run.plan.steps.get(other).is_some_and(|s| s.instance == planned.instance);
    let home = endpoint(core, instance, kind.schema());
    let doing = Doing {
        core,
        planned,
        instance,
        index: planned.instance,
        kind,
        schema: kind.schema(),
        endpoint: former_place(core, (planned, instance)).unwrap_or_else(|| home.clone()),
        home,
        is_first: at == 0 || !same(at - 1),
        is_last: !same(at + 1),
    };
    let ended = doing.all().await;
    // What is reported is on disk.
    run.journal.synced().await?;
    match ended {
        Ok(result) => Ok(result),
        Err(Early::Refused(reason)) => Ok(StepResult::Refused { reason }),
        Err(Early::Failed(error)) => Ok(StepResult::Failed { error }),
        Err(Early::Fatal(reason)) => Err(reason),
    }
}

pub(super) fn endpoint(core: &Core<'_>, instance: &InstancePlan, schema: &Schema) -> Endpoint {
    use coxswain_model::schema::Placement;
    let host = match (schema.placement, &instance.host) {
        (Placement::Nowhere, _) => return Endpoint::Nowhere,
        (Placement::IsHost, _) => &instance.address,
        (_, Some(host)) => host,
        (_, None) => return Endpoint::Controller,
    };
    let uid = core.uids.get(host).cloned().or_else(|| core.records.get(host).map(|r| r.uid.clone()));
    Endpoint::Host(Arc::new(HostId { address: host.clone(), uid: uid.unwrap_or_default().into() }))
}

/// What a program said about a change, without the sensitive values it was given.
fn shown(change: &Change, text: &str) -> String {
    match &change.desired {
        Some(desired) => stored::without_secrets(text, desired),
        None => text.to_owned(),
    }
}

/// Where the object is that a replacement removes.
fn former_place(core: &Core<'_>, found: (&PlannedStep, &InstancePlan)) -> Option<Endpoint> {
    let (planned, instance) = found;
    let is_removal = instance.action == Action::Replace && planned.step.verb == Verb::Delete;
    let record = core.records.get(&instance.address).filter(|_| is_removal)?;
    let mut lacks = Lacks::default();
    endpoint_of(&core.records, record, &mut lacks)
}

impl Doing<'_, '_> {
    fn now(&self) -> String {
        self.core.run.journal.now()
    }

    fn append(&self, entry: Entry) -> Result<(), String> {
        self.core.run.journal.append(entry)
    }

    async fn all(&self) -> Result<StepResult, Early> {
        self.pass_gates().await?;
        self.wait_for_guard().await;
        let asked = self.asked_now(Look::Before);
        let observed = self.observe(&self.endpoint, &asked).await.map_err(Early::Failed)?;
        let (wanted_is, former) = self.former(observed.clone()).await.map_err(Early::Failed)?;
        if self.is_first && self.instance.action != Action::Forget {
            let seen = self.fingerprints(wanted_is.as_ref(), former.as_ref());
            let taken_up = self.instance.waiting.is_some();
            if observed.is_none() && self.is_gone_for_good() {
                // It went with something else, a group with its user: what was to be is so.
                return self.nothing_left(None, None).map_err(Early::Fatal);
            }
            if seen != self.instance.expects && !taken_up && !self.is_brought_by_this_run() {
                return Err(Early::Refused(self.changed(observed.as_ref())));
            }
        }
        let former = former.as_ref().map(Option::as_ref);
        let (decision, wanted) = self.decide((wanted_is.as_ref(), former))?;
        if decision.action == Action::NoOp
            && self.instance.action != Action::NoOp
            && self.planned.claims.is_empty()
        {
            return self.nothing_left(observed, wanted).map_err(Early::Fatal);
        }
        let claims = self.claims_to_take(wanted.as_ref())?;
        self.intend(&wanted).map_err(Early::Fatal)?;
        self.take_claims(claims).map_err(Early::Fatal)?;
        self.note_other_port().map_err(Early::Fatal)?;
        self.core.run.journal.synced().await.map_err(Early::Fatal)?;
        let change = match (&decision.removal, self.planned.step.verb) {
            (Some(removal), Verb::Delete) => removal.clone(),
            _ => decision.change.clone(),
        };
        match self.carry_out(&change, observed.as_ref()).await {
            Ok(Outcome::Done(made)) => self.settle(&change, made, wanted).await,
            Ok(Outcome::Running(handle)) => {
                self.goes_on(wanted, Vec::new(), handle, Status::Running).map_err(Early::Fatal)
            }
            Ok(Outcome::Waiting { on, resume }) => {
                let on = on.iter().map(|name| shown(&change, name)).collect();
                self.goes_on(wanted, on, resume, Status::Waiting).map_err(Early::Fatal)
            }
            Err(KindError::World(crate::world::WorldError::Stale { path, found, .. })) => self.failed(
                wanted,
                StepEnd::Refused { message: format!("{path} is not what the plan saw ({found})") },
            ),
            Err(error) => {
                self.failed(wanted, StepEnd::Failed { message: shown(&change, &error.to_string()) })
            }
        }
    }

    /// Of what was observed: the wanted object, and the recorded one where that is another.
    async fn former(
        &self,
        observed: Option<Object>,
    ) -> Result<(Option<Object>, Option<Option<Object>>), String> {
        let Some(record) = self.core.records.get(&self.instance.address).filter(|_| self.is_first) else {
            return Ok((observed, None));
        };
        let Some(args) = self.core.lock().args_of(&self.instance.address) else {
            return Ok((observed, None));
        };
        let wanted = (&args.object, &self.home);
        if !decide::is_elsewhere(self.schema, record, wanted, self.core.run.digest) {
            return Ok((observed, None));
        }
        if self.instance.action != Action::Replace {
            return Ok((observed, Some(None)));
        }
        let wanted = decide::asked_of(self.schema, &args.object);
        Ok((self.observe(&self.home, &wanted).await?, Some(observed)))
    }

    /// What the plan expects: the wanted object, after the one that it replaces where that is another.
    fn fingerprints(&self, wanted: Option<&Object>, former: Option<&Option<Object>>) -> String {
        let print = |object| stored::fingerprint(self.schema, object, self.core.run.digest);
        match former {
            Some(Some(former)) => format!("{} {}", print(Some(former)), print(wanted)),
            Some(None) | None => print(wanted),
        }
    }

    /// Whether a removal is done because the object went with something else. What is to be restored, holds a claim,
    /// or was never seen and may have left something behind, is not done by being gone.
    fn is_gone_for_good(&self) -> bool {
        let record = self.core.records.get(&self.instance.address);
        let was_absent = record.is_some_and(|r| r.before == Some(Before::Absent));
        let holds = || self.core.lock().now.claims.values().any(|claim| claim.holder == self.instance.uid);
        self.instance.action == Action::Delete && self.instance.expects != "absent" && was_absent && !holds()
    }

    /// Whether an object that was not there has come with something this run made: a unit with its file.
    fn is_brought_by_this_run(&self) -> bool {
        let plan = self.core.run.plan;
        let needs = |why| matches!(why, Why::Implied | Why::Restart | Why::Value | Why::DependsOn);
        let brings = |edge: &Edge| needs(edge.why) && plan.steps[edge.to].id == self.planned.id;
        self.schema.comes_with_others
            && self.instance.action == Action::Create
            && self.instance.expects == "absent"
            && plan.edges.iter().any(brings)
    }

    fn changed(&self, observed: Option<&Object>) -> String {
        match (observed.is_some(), self.instance.expects.as_str()) {
            (true, "absent") => format!("{} has appeared since the plan was made", self.instance.identity),
            (false, _) => format!("{} is gone since the plan was made", self.instance.identity),
            (true, _) => format!("{} was changed since the plan was made", self.instance.identity),
        }
    }

    /// Decides again with all values known, and makes the record the instance will have.
    fn decide(
        &self,
        seen: (Option<&Object>, Option<Option<&Object>>),
    ) -> Result<(decide::Decision, Option<Record>), Early> {
        let mut shared = self.core.lock();
        let decision = match shared.decided.get(&self.index) {
            Some(decision) => decision.clone(),
            None => {
                let decision =
                    shared.decide(self.core, self.index, seen, &self.home).map_err(Early::Refused)?;
                shared.decided.insert(self.index, decision.clone());
                decision
            }
        };
        if matches!(self.instance.action, Action::Delete | Action::Forget) {
            return Ok((decision, None));
        }
        let args = shared.args_of(&self.instance.address);
        let wanted = record::wanted(
            self.core,
            shared.graph(),
            (self.instance, args.as_deref()),
            &decision,
            &self.home,
        );
        Ok((decision, Some(wanted)))
    }

    fn intend(&self, wanted: &Option<Record>) -> Result<(), String> {
        let known = self.core.lock().now.instances.contains_key(&self.instance.address);
        let record = wanted.clone().filter(|_| !known).map(|r| Record { status: Status::Indeterminate, ..r });
        self.append(Entry::Intent(Box::new(Intent {
            step: self.planned.id.clone(),
            address: self.instance.address.clone(),
            verb: serde_json::to_value(self.planned.step.verb)
                .ok()
                .and_then(|v| v.as_str().map(ToOwned::to_owned))
                .unwrap_or_default(),
            expects: vec![self.instance.expects.clone()],
            record,
            at: self.now(),
        })))
    }

    /// Waits for the gates, runs the step under its guard, and brings the host back.
    async fn carry_out(&self, change: &Change, seen: Option<&Object>) -> Result<Outcome, KindError> {
        if matches!(self.planned.step.verb, Verb::Adopt | Verb::Forget) {
            return Ok(Outcome::Done(Object::new()));
        }
        let boot = self.boot_id().await;
        let guard = self.arm(change, seen).await?;
        let outcome = match self.attempts(change, guard.as_ref()).await {
            Ok(outcome) => outcome,
            Err(_) if self.planned.step.class == StepClass::Reboot && boot.is_some() => {
                Outcome::Done(Object::new())
            }
            // The connection may be what was changed: only a new one tells.
            Err(error) if guard.is_some() && self.is_cut(&error) => Outcome::Done(Object::new()),
            Err(error) => {
                if let Some(guard) = guard {
                    self.take_back(change, &guard).await;
                }
                return Err(error);
            }
        };
        match self.planned.step.class {
            StepClass::Reboot if self.endpoint != Endpoint::Nowhere => self.back_from_reboot(boot).await?,
            StepClass::Reconnect if self.endpoint != Endpoint::Nowhere => self.confirm(change, guard).await?,
            StepClass::InPlace
            | StepClass::Restart
            | StepClass::Danger
            | StepClass::Reboot
            | StepClass::Reconnect => {}
        }
        Ok(outcome)
    }

    fn numbers(&self) -> std::collections::BTreeMap<String, u64> {
        self.core.lock().args_of(&self.instance.address).map(|a| a.numbers.clone()).unwrap_or_default()
    }

    /// Limit on the step: what `timeouts` says, or the usual one.
    fn limit(&self) -> Duration {
        let action = match self.planned.step.verb {
            Verb::Delete => "delete",
            Verb::Create => "create",
            _ => "update",
        };
        let asked = self.numbers().get(&format!("timeouts.{action}")).copied();
        asked.map_or(STEP_LIMIT, Duration::from_secs)
    }

    /// Runs the step with its limit, and again where that is harmless. Never a step with a guard: the guard counts from
    /// the first attempt, and what it takes back must not be done once more without one.
    async fn attempts(&self, change: &Change, guard: Option<&way::Guard>) -> Result<Outcome, KindError> {
        let numbers = self.numbers();
        let limit = self.limit();
        let asked = numbers.get("retry.attempts").copied().unwrap_or(1).max(1);
        let attempts = if guard.is_some() { 1 } else { asked };
        let wait = Duration::from_secs(numbers.get("retry.wait").copied().unwrap_or(1));
        let mut tried = 0;
        loop {
            tried += 1;
            match self.once(change, limit, guard).await {
                Err(error) if tried < attempts && error.retry() != Retry::Never => {
                    let why = shown(change, &error.to_string());
                    self.say_blocked(format!("attempt {tried} of {attempts} failed: {why}"));
                    tokio::time::sleep(wait).await;
                }
                result => return result,
            }
        }
    }

    fn say_blocked(&self, why: String) {
        (self.core.run.sink)(Event::Blocked { step: self.planned.id.clone(), why });
    }

    async fn once(
        &self,
        change: &Change,
        limit: Duration,
        guard: Option<&way::Guard>,
    ) -> Result<Outcome, KindError> {
        let id = self.planned.id.clone();
        let sink = self.core.run.sink;
        let progress = move |line: &str| {
            let (step, line) = (id.clone(), shown(change, line));
            sink(match line.strip_prefix(WAITING) {
                Some(why) => Event::Blocked { step, why: format!("{WAITING}{why}") },
                None => Event::Progress { step, line },
            });
        };
        let handle = self.core.records.get(&self.instance.address).and_then(|r| r.handle.clone());
        let world = self.core.run.world.as_ref();
        let guarded = guard.map(|guard| guard.around(world));
        let cx = StepCx {
            address: &self.instance.address,
            endpoint: &self.endpoint,
            change,
            world: guarded.as_ref().map_or(world, |guarded| guarded),
            handle: handle.as_ref(),
            timeout: limit,
            progress: &progress,
        };
        let instead = self.core.lock().instead.get(&self.index).cloned();
        let run = async {
            let Some(steps) = &instead else { return self.kind.run(&cx, &self.planned.step).await };
            let mut outcome = Outcome::Done(Object::new());
            for step in steps.iter().filter(|step| step.verb != Verb::Adopt) {
                outcome = self.kind.run(&cx, step).await?;
            }
            Ok(outcome)
        };
        match tokio::time::timeout(limit, run).await {
            Ok(result) => result,
            Err(_) => Err(KindError::Failed(format!("it did not end within {} s", limit.as_secs()))),
        }
    }

    /// What is there now.
    async fn observe(&self, at: &Endpoint, asked: &Object) -> Result<Option<Object>, String> {
        let record = self.core.lock().now.instances.get(&self.instance.address).cloned();
        if self.planned.step.verb == Verb::Forget {
            return Ok(None);
        }
        look(self.core.run, self.kind, at, asked, record.as_ref()).await
    }

    fn asked_now(&self, look: Look) -> Object {
        let record = self.core.lock().now.instances.get(&self.instance.address).cloned();
        self.asked(record.as_ref(), look)
    }

    /// The attributes that name the object: the recorded ones while the old object is still there.
    fn asked(&self, record: Option<&Record>, look: Look) -> Object {
        let prior = record.map(|r| stored::from_stored(self.schema, &r.attributes));
        let old = matches!(self.instance.action, Action::Delete)
            || (self.instance.action == Action::Replace
                && !self.core.lock().decided.contains_key(&self.index));
        let args = self.core.lock().args_of(&self.instance.address).map(|a| a.object.clone());
        match (old, prior, args) {
            (true, Some(prior), _) | (false, Some(prior), None) => decide::asked_of(self.schema, &prior),
            (_, _, Some(args)) => decide::asked(self.schema, &args, record.filter(|_| look == Look::Before)),
            (_, None, None) => Object::new(),
        }
    }

    /// After the step: the world must agree where this was the last step of the instance.
    async fn settle(
        &self,
        change: &Change,
        made: Object,
        wanted: Option<Record>,
    ) -> Result<StepResult, Early> {
        if !self.is_last {
            let is_removed = self.instance.action == Action::Replace && change.desired.is_none();
            let changes = self.in_the_making(wanted.filter(|_| is_removed));
            return self.ended(&made, changes).map_err(Early::Fatal);
        }
        let observed = match self.observe_after(change).await {
            Ok(observed) => observed,
            Err(reason) => {
                let message = format!("it was done, but what came of it cannot be read: {reason}");
                return self.failed(wanted, StepEnd::Failed { message });
            }
        };
        if let Some(reason) = self.contradiction(change, observed.as_ref()) {
            return self.failed(wanted, StepEnd::Failed { message: reason });
        }
        self.done(&made, observed, wanted).map_err(Early::Fatal)
    }

    async fn observe_after(&self, change: &Change) -> Result<Option<Object>, String> {
        if !has_world(self.schema.placement) {
            return Ok(change.desired.clone());
        }
        if change.desired.is_none() {
            return Ok(None);
        }
        self.observe(&self.endpoint, &self.asked_now(Look::After)).await
    }

    /// The first attribute that is not what the plan said.
    fn contradiction(&self, change: &Change, observed: Option<&Object>) -> Option<String> {
        let desired = change.desired.as_ref()?;
        let Some(observed) = observed else { return Some("it was made, and is not there".into()) };
        change.differing.iter().find_map(|name| {
            let attr = self.schema.attr(name)?;
            let (want, have) = (desired.get(name)?, observed.get(name));
            let same = have.is_some_and(|have| crate::plan::compare::same(attr, have, want) || !have.is_known());
            (!same).then(|| format!("`{name}` is not what it was set to; something else changes it, or the host refused silently"))
        })
    }
}
