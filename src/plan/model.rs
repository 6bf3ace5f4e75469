//! The plan as data: self-describing, complete, the same bytes for the same input.
//!
//! A plan holds no sensitive value: such a leaf is `{"$sensitive": true}` for people and its keyed digest in
//! [`InstancePlan::desired`]. A value that is not known yet is `{"$unknown": true}`.

use std::collections::BTreeMap;

use coxswain_model::schema::Stage;
use coxswain_model::{Address, Diagnostic};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::resource::kind::{Action, Step};

/// Version of the plan file; a reader refuses any other.
pub const FORMAT: u32 = 1;

/// What the plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Make the world what the configuration says.
    Apply,
    /// Remove everything in the state.
    Destroy,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// See [`FORMAT`].
    pub format: u32,
    /// The version of coxswain that made it.
    pub version: String,
    /// What it is for.
    pub mode: Mode,
    /// Lineage of the state it was made from.
    pub lineage: String,
    /// Serial of the state it was made from.
    pub serial: u64,
    /// Digest of the configuration's files and variables (sensitive ones by their keyed digests).
    pub config_digest: String,
    /// Every instance, by address; those with nothing to do too.
    pub instances: Vec<InstancePlan>,
    /// The steps; an order in which they can run one after the other.
    pub steps: Vec<PlannedStep>,
    /// What must be done before what.
    pub edges: Vec<Edge>,
    /// What cannot be planned in this round.
    pub deferred: Vec<Deferred>,
    /// Endpoints that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// Changed outputs of the root module.
    pub outputs: Vec<OutputChange>,
    /// What was cut away by `--target` or `--exclude`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// Warnings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Diagnostic>,
}

/// One instance in the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstancePlan {
    /// Where it stands in the configuration (or stood).
    pub address: Address,
    /// Its former address, where a `moved` block renames it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<Address>,
    /// Its uid.
    pub uid: String,
    /// The host it lives on; none for this machine or nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Address>,
    /// The object's name at its endpoint: `/etc/motd`.
    pub identity: String,
    /// What is to be done.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// The attributes that change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<AttrChange>,
    /// Fingerprint of what was observed; the step is refused when it is another by then.
    pub expects: String,
    /// Everything that is wanted; unknown and sensitive leaves are marked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Json>,
    /// Whether `restart_on` fires.
    #[serde(default, skip_serializing_if = "is_false")]
    pub restart: bool,
    /// Whether the record changes although no step is due: settings, attributes that are left alone from now on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub settles: bool,
    /// How many instances of its set may fail before `rollout` stops the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<u64>,
    /// Whether the object is waited for: by whom, since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
}

/// One attribute that changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttrChange {
    /// Its name.
    pub name: String,
    /// What it is; none for absent. `{"$sensitive":true}` where it is sensitive.
    pub before: Option<Json>,
    /// What it will be; none for removed. `{"$unknown":true}` where it is known after apply only.
    pub after: Option<Json>,
    /// Why it differs.
    pub cause: Cause,
    /// Whether it is text to be compared line by line.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lines: bool,
    /// Whether this change is why the object is replaced.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replaces: bool,
}

/// Why an attribute differs: three-way between last applied, observed and desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The configuration changed.
    Pending,
    /// The world changed behind our back.
    Drifted,
    /// Both.
    Both,
    /// It is not in the configuration any more: left as it is from now on.
    Released,
    /// It is in the configuration now and is so already.
    Taken,
}

/// One step in the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// `ADDRESS#NAME`, unique.
    pub id: String,
    /// The instance, by its position in [`Plan::instances`].
    pub instance: usize,
    /// What the kind asked for.
    #[serde(flatten)]
    pub step: Step,
    /// The order on one host: a step starts when no step of an earlier stage is left there.
    pub stage: Stage,
    /// The claims a claim step moves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimMove>,
}

/// A claim on its way from one holder to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClaimMove {
    /// `NAME:VALUE`.
    pub key: String,
    /// Uid of the holder so far.
    pub from: String,
    /// Uid of the next holder.
    pub to: String,
}

/// `from` is finished before `to` starts; by position in [`Plan::steps`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    /// First.
    pub from: usize,
    /// Then.
    pub to: usize,
    /// Why.
    pub why: Why,
}

/// Why one step comes before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Steps of one change, in order.
    Sequence,
    /// A value of the first is used by the second.
    Value,
    /// `depends_on`.
    DependsOn,
    /// The second lives on the first.
    Placement,
    /// A parent directory, an owner, a unit's file.
    Implied,
    /// `restart_on`.
    Restart,
    /// An exclusive claim moves from the first to the second.
    Claim,
    /// `rollout`: a later batch.
    Rollout,
    /// The user of a thing is removed before the thing.
    Removal,
}

/// Something that is left to a later round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deferred {
    /// The instance, or the resource whose instances are not known.
    pub address: Address,
    /// Why: "for_each is known after mock.a is applied".
    pub reason: String,
    /// Whether a round of this very run may bring it (otherwise somebody else must act).
    pub after: DeferredAfter,
}

/// What a deferred thing is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeferredAfter {
    /// The next round of apply.
    NextRound,
    /// A named party, or a thing that runs.
    Others,
    /// A host that cannot be read.
    Unreadable,
}

/// An endpoint that could not be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unreadable {
    /// `host.a`, or `this machine`.
    pub endpoint: String,
    /// Why.
    pub reason: String,
    /// What lives there; planned as nothing.
    pub instances: Vec<Address>,
}

/// Who is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The parties; empty where it simply runs.
    pub on: Vec<String>,
    /// Since when.
    pub since: Option<String>,
}

/// An output of the root module that changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputChange {
    /// Its name.
    pub name: String,
    /// What it is.
    pub before: Option<Json>,
    /// What it will be.
    pub after: Option<Json>,
}

/// What `--target` and `--exclude` left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// The selection as given.
    pub targets: Vec<Address>,
    /// The exclusions as given.
    pub excludes: Vec<Address>,
    /// Instances with changes that this plan leaves undone.
    pub left: Vec<Address>,
}

/// A plan with what is needed to carry it out later: the file of `plan --out`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedPlan {
    /// The plan.
    pub plan: Plan,
    /// The configuration's files, by name relative to the root directory.
    pub files: BTreeMap<String, String>,
    /// Digests of the controller's files that were read, by path.
    pub reads: BTreeMap<String, String>,
    /// The values of the root module's variables; sensitive ones as `{"$digest": …}`.
    pub variables: BTreeMap<String, Json>,
    /// When it was made.
    pub created: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(b: &bool) -> bool {
    !b
}

impl Plan {
    /// The number of instances with each action.
    pub fn counts(&self) -> BTreeMap<Action, usize> {
        let mut counts = BTreeMap::new();
        for instance in &self.instances {
            *counts.entry(instance.action).or_default() += 1;
        }
        counts
    }
    /// How many instances were looked at and are as they should be.
    pub fn n_unchanged(&self) -> usize {
        let left = self.cut.iter().flat_map(|cut| &cut.left);
        let hidden = self.deferred.iter().map(|d| &d.address).chain(left);
        let hidden: std::collections::BTreeSet<&Address> =
            hidden.chain(self.unreadable.iter().flat_map(|u| &u.instances)).collect();
        let is_unchanged = |i: &&InstancePlan| {
            i.action == Action::NoOp && !i.settles && i.waiting.is_none() && !hidden.contains(&i.address)
        };
        self.instances.iter().filter(is_unchanged).count()
    }
    /// How many instances cannot be read: planned as nothing, and not known to be unchanged.
    pub fn n_unknown(&self) -> usize {
        self.unreadable.iter().map(|u| u.instances.len()).sum()
    }
    /// Whether nothing is to be done or deferred, and nothing is hidden.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
            && self.deferred.is_empty()
            && self.unreadable.is_empty()
            && self.outputs.is_empty()
            && self.settled() == 0
    }
    /// The number of instances of which only the record changes.
    pub fn settled(&self) -> usize {
        self.instances.iter().filter(|i| i.settles).count()
    }
}
