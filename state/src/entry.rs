//! What a journal holds: one entry per thing that happened.

use coxswain_model::Address;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::model::{Claim, ClaimKey, OutputRecord, Record};

/// One thing that happened. Times are texts the caller made; nothing here reads a clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A run began.
    RunBegin(RunBegin),
    /// A step is about to begin.
    Intent(Box<Intent>),
    /// A step ended.
    Outcome(Outcome),
    /// The state changed without a step: outputs, moves in the configuration, `state rm`.
    Edit(Edit),
    /// The run ended.
    RunEnd(RunEnd),
}

/// A run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunBegin {
    /// Its name.
    pub run: String,
    /// The command as typed, without secrets.
    pub command: String,
    /// Digest of the plan it carries out.
    pub plan: String,
    /// When.
    pub at: String,
}

/// A step is about to begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// The step: `ADDRESS#NAME`.
    pub step: String,
    /// Its instance.
    pub address: Address,
    /// What it does: `create`.
    pub verb: String,
    /// Fingerprints of what must still be true.
    pub expects: Vec<String>,
    /// The record the instance would have; needed where the state has none, so that an object whose creation was
    /// under way when everything stopped is looked for and not forgotten.
    pub record: Option<Record>,
    /// When.
    pub at: String,
}

/// A step ended.
///
/// Where nothing is known of how it ended, write no outcome: the intent stays open, and the instance becomes
/// indeterminate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The step.
    pub step: String,
    /// How it ended.
    pub result: StepEnd,
    /// What changes in the state, in order.
    pub changes: Vec<Change>,
    /// When.
    pub at: String,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    /// Done, and the world agrees.
    Done,
    /// Tried and failed; the changes say what the world looks like now.
    Failed {
        /// Why.
        message: String,
    },
    /// Its precondition did not hold; nothing was done.
    Refused {
        /// What is different.
        message: String,
    },
    /// It goes on at the endpoint. The instance becomes running, with this handle.
    Running {
        /// What a later run needs to take it up.
        handle: Json,
    },
    /// Others must act first. The instance becomes waiting, with `resume` as its handle.
    Waiting {
        /// Who.
        on: Vec<String>,
        /// What a later run needs to go on.
        resume: Json,
    },
}

/// The state changed without a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Why: the command, or `moved`.
    pub why: String,
    /// What changes, in order.
    pub changes: Vec<Change>,
    /// When.
    pub at: String,
}

/// The run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEnd {
    /// What it came to; the caller's own shape.
    pub summary: Json,
    /// When.
    pub at: String,
}

/// A change of the state. Nothing here removes a claim: only a proved move gives it another holder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The instance is this now. What was open about it is settled.
    Put {
        /// Which.
        address: Address,
        /// What it is.
        record: Box<Record>,
    },
    /// The instance is gone. What was open about it is settled.
    Remove {
        /// Which.
        address: Address,
    },
    /// The instance has another address; nothing else changes.
    Move {
        /// From here.
        from: Address,
        /// To here, where none is.
        to: Address,
    },
    /// The claim is this now.
    Claim {
        /// Which.
        key: ClaimKey,
        /// What it is.
        claim: Claim,
    },
    /// The output is this now; `None`: it is gone.
    Output {
        /// Which.
        name: String,
        /// What it is.
        output: Option<OutputRecord>,
    },
}
