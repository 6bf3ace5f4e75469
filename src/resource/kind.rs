//! The trait of a kind, and what passes between kinds and the engine.
//!
//! A kind says *what* must be read, what the answers mean and which steps a change takes. The engine decides
//! *when*, merges reads, compares by schema, and runs journal, guards, reboots and gates. Everything but
//! [`Kind::run`] is pure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coxswain_model::schema::Stage;
use coxswain_model::{Address, Diagnostic, Diagnostics, Object, Schema};
use serde::{Deserialize, Serialize};

use super::act::Act;
use super::answer::{Answer, FactsAnswer};
use super::probe::Probe;
use crate::world::{World, WorldError};

/// Where an object lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// Nowhere: no world is behind it.
    Nowhere,
    /// The machine coxswain runs on.
    Controller,
    /// A host.
    Host(Arc<HostId>),
}

/// A host, by its instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId {
    /// The instance.
    pub address: Address,
    /// Its uid, which a move does not change.
    pub uid: Arc<str>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Nowhere => f.write_str("nowhere"),
            Endpoint::Controller => f.write_str("this machine"),
            Endpoint::Host(host) => write!(f, "{}", host.address),
        }
    }
}

/// What is known of the endpoint before planning.
pub type Facts = FactsAnswer;

/// The answers so far, by probe.
pub type Answers = BTreeMap<Probe, Answer>;

/// What a kind makes of the answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// These reads are needed first.
    Need(Vec<Probe>),
    /// The object as it is: every readable attribute by its name; leaves may be unknown.
    Present(Object),
    /// There is no such object.
    Absent,
    /// There is no world to ask: what was applied last is what is.
    Recorded,
    /// It cannot be said.
    Unknown(String),
}

/// What objects of a kind there are.
#[derive(Debug, Clone, PartialEq)]
pub enum Discovery {
    /// These reads are needed first.
    Need(Vec<Probe>),
    /// The objects that are worth managing: their identity attributes, and what else they cannot be read without.
    Found(Vec<Object>),
    /// None that can be found without being told of.
    Nothing,
    /// It cannot be said.
    Unknown(String),
}

/// What is to be done with an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    NoOp,
    /// Make it.
    Create,
    /// Take over what is there.
    Adopt,
    /// Change it in place.
    Update,
    /// Remove it and make it anew.
    Replace,
    /// Remove it, giving back what was there before.
    Delete,
    /// Drop it from the state and leave it in the world.
    Forget,
    /// Read it (a host's facts).
    Read,
}

/// A change of one instance.
#[derive(Debug, Clone)]
pub struct Change {
    /// What is to be done.
    pub action: Action,
    /// Which object: the identity attributes (of the old object for Delete; of the new one otherwise).
    pub identity: Object,
    /// What the object was before coxswain first touched it; `None`: not touched yet; `Some(None)`: absent.
    pub before: Option<Option<Object>>,
    /// Last applied attributes; empty for none.
    pub prior: Object,
    /// What was observed; `None` for absent.
    pub observed: Option<Object>,
    /// What is wanted, wholly known when `run` sees it; `None` for Delete.
    pub desired: Option<Object>,
    /// The owned attributes that differ between observed and desired.
    pub differing: Vec<Arc<str>>,
    /// Whether `restart_on` fired.
    pub restart: bool,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Makes the object.
    Create,
    /// Takes it over as it is.
    Adopt,
    /// Changes it.
    Update,
    /// Removes it.
    Delete,
    /// Restarts what runs.
    Restart,
    /// Only the state changes.
    Forget,
    /// Connects and reads the facts.
    Connect,
    /// Stops the holder of a claim.
    ClaimStop,
    /// Proves that the holder is gone.
    ClaimProve,
    /// Takes the holder's history.
    ClaimExport,
    /// Gives the history to the new holder.
    ClaimImport,
    /// Waits the safety distance.
    ClaimWait,
    /// Starts the new holder.
    ClaimStart,
    /// Something a kind names itself (`payload.name`).
    Custom,
}

/// How a step touches its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepClass {
    /// Nothing else notices.
    InPlace,
    /// A service restarts.
    Restart,
    /// The way to the host changes: the step is armed with a revert and confirmed over a new connection.
    Reconnect,
    /// The host reboots: it has the host to itself.
    Reboot,
    /// Cannot be taken back.
    Danger,
}

/// One step of a change, as a kind makes it. The engine adds number, edges, journal and preconditions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Distinguishes the steps of one instance: `apply`, `remove`, `join`.
    pub name: String,
    /// What it does.
    pub verb: Verb,
    /// How it touches the endpoint.
    pub class: StepClass,
    /// One line for people: "write /etc/motd".
    pub title: String,
    /// What must be true before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// Names of which no two steps of a run may hold one at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<String>,
    /// Of a step that changes the way to the host: seconds after which the host takes it back by itself
    /// ([`Kind::revert`]) unless a new connection confirms it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard_s: Option<u64>,
    /// Of a step after which ssh listens elsewhere: the port by which the new connection must come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through_port: Option<u16>,
}

impl Step {
    /// A step in place without gates.
    pub fn new(name: &str, verb: Verb, title: impl Into<String>) -> Step {
        Step {
            name: name.into(),
            verb,
            class: StepClass::InPlace,
            title: title.into(),
            gates: Vec::new(),
            holds: Vec::new(),
            guard_s: None,
            through_port: None,
        }
    }
    /// The same step, which the host takes back by itself unless a new connection confirms it in this time.
    #[must_use]
    pub fn guarded(mut self, seconds: u64) -> Step {
        self.class = StepClass::Reconnect;
        self.guard_s = Some(seconds);
        self
    }
    /// The same step of another class.
    #[must_use]
    pub fn class(mut self, class: StepClass) -> Step {
        self.class = class;
        self
    }
}

/// What must be true before a step starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// A condition at the endpoint that [`Kind::gate`] judges; the engine waits for it.
    Condition {
        /// Which, for the kind and for people: "the clock is synchronised".
        name: String,
        /// Seconds to wait for it.
        limit_s: u64,
    },
    /// The claim's former holder is proved gone.
    ClaimProved(String),
}

/// What a kind says of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateState {
    /// These reads are needed first.
    Need(Vec<Probe>),
    /// The step may start.
    Open,
    /// Not yet, and why.
    Closed(String),
}

/// What a kind may see while planning.
#[derive(Debug, Clone, Copy)]
pub struct PlanCx<'a> {
    /// The instance.
    pub address: &'a Address,
    /// Where it lives.
    pub endpoint: &'a Endpoint,
    /// What is known of that place; `None` where nobody asked (`Nowhere`).
    pub facts: Option<&'a Facts>,
}

/// What a kind may use while running a step.
pub struct StepCx<'a> {
    /// The instance.
    pub address: &'a Address,
    /// Where it lives.
    pub endpoint: &'a Endpoint,
    /// The change the step belongs to, with all values known and in clear.
    pub change: &'a Change,
    /// The edge to the world.
    pub world: &'a dyn World,
    /// What an earlier run left of a running or waiting step.
    pub handle: Option<&'a serde_json::Value>,
    /// The step's time limit.
    pub timeout: Duration,
    /// Where progress goes.
    pub progress: &'a (dyn Fn(&str) + Send + Sync),
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is done; the computed attributes it made (may be empty: the engine observes the rest itself).
    Done(Object),
    /// It goes on at the endpoint; a later run takes it up by the handle.
    Running(serde_json::Value),
    /// Others must act first.
    Waiting {
        /// Who.
        on: Vec<String>,
        /// Taken up by a later run.
        resume: serde_json::Value,
    },
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    /// The edge failed.
    #[error(transparent)]
    World(#[from] WorldError),
    /// A program said no.
    #[error("{title}: `{program}` exited with {code}{}", if stderr.is_empty() { String::new() } else { format!(": {stderr}") })]
    Program {
        /// What was being done.
        title: String,
        /// The program.
        program: String,
        /// Its exit code.
        code: i32,
        /// The last of its error output.
        stderr: String,
    },
    /// The object is not what the plan saw.
    #[error("{0}")]
    Stale(String),
    /// The kind has a reason of its own.
    #[error("{0}")]
    Failed(String),
}

/// What may be done after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same step may be tried again.
    Safe,
    /// Only after the object has been observed.
    AfterObserving,
    /// It would fail again.
    Never,
}

impl KindError {
    /// What the executor may do.
    pub fn retry(&self) -> Retry {
        match self {
            KindError::World(e) => e.retry(),
            KindError::Program { .. } => Retry::AfterObserving,
            KindError::Stale(_) | KindError::Failed(_) => Retry::Never,
        }
    }
}

/// A kind of resource.
#[async_trait]
pub trait Kind: Send + Sync {
    /// Its tables.
    fn schema(&self) -> &'static Schema;

    /// Checks of the arguments that no schema can say; values may be unknown. Pure.
    fn check(&self, args: &Object) -> Diagnostics;

    /// What the answers say of the object named by `identity` (the identity attributes) with the arguments `args`
    /// (last applied or desired; empty when unknown). Called with growing answers until it needs nothing more, at
    /// most [`OBSERVE_DEPTH`] times. Pure. Values it does not understand are `Unknown`, never a guess.
    fn observe(&self, identity: &Object, facts: &Facts, got: &Answers) -> Observation;

    /// The objects of this kind at a place that somebody would write down. Called with growing answers, as
    /// [`Kind::observe`], which is then asked about each. Pure.
    fn discover(&self, _facts: &Facts, _got: &Answers) -> Discovery {
        Discovery::Nothing
    }

    /// What of an observed object is worth writing down: all of it, unless some of it excludes the rest, is no
    /// argument as it is, or is not for everybody's eyes. Pure.
    fn portray(&self, observed: &Object) -> Object {
        observed.clone()
    }

    /// The steps of one change; values may still be unknown. Pure.
    ///
    /// # Errors
    /// What makes the change impossible.
    fn plan(&self, cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics>;

    /// Carries out one step. Idempotent: a step whose outcome was lost is run again after observing.
    ///
    /// # Errors
    /// See [`KindError::retry`].
    async fn run(&self, cx: &StepCx<'_>, step: &Step) -> Result<Outcome, KindError>;

    /// Whether a gate of this kind is open. Called with growing answers, as [`Kind::observe`]. Pure.
    fn gate(&self, _name: &str, _identity: &Object, _got: &Answers) -> GateState {
        GateState::Open
    }

    /// What takes a step with a guard back. Right at any time from before the step to after it. Pure.
    fn revert(&self, _change: &Change, _step: &Step) -> Vec<Act> {
        Vec::new()
    }

    /// What is wrong with the whole of what is planned on a host that has objects of this kind: called once for a
    /// host, when all its instances are decided. Pure.
    fn judge(&self, _host: &HostView<'_>) -> Vec<(Address, Diagnostic)> {
        Vec::new()
    }
}

/// What is planned on one host.
pub struct HostView<'a> {
    /// What is known of the host.
    pub facts: &'a Facts,
    /// What was read there.
    pub answers: &'a Answers,
    /// Every instance on it that is decided, in the order of the plan: its kind, what becomes of it, and whether
    /// something is done.
    pub instances: Vec<HostInstance<'a>>,
}

/// One instance in a [`HostView`].
pub struct HostInstance<'a> {
    /// Its address.
    pub address: &'a Address,
    /// Its kind.
    pub kind: &'static str,
    /// Its change; `desired` is `None` where it goes.
    pub change: &'a Change,
    /// Whether it has steps.
    pub acts: bool,
}

/// How often a kind may ask for more reads.
pub const OBSERVE_DEPTH: usize = 4;

/// The stage of a kind, for the order on one host.
pub fn stage(kind: &dyn Kind) -> Stage {
    kind.schema().stage
}
