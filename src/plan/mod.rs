//! Planning: configuration, state and observations in, a [`Plan`] or the reads it lacks out. Pure.
//!
//! ```text
//! Config + Inputs ─graph→ instances ─objects (verdict on each)→ hold (what must wait) → claims → order → Plan
//! State ─moved→ records ──────────────↑        ↑ lacks reads: the caller answers and calls again
//! ```
//!
//! What must never happen: an instance that could not be observed gets a step; an absent answer is guessed; two
//! steps of one claim overlap; a sensitive value is in the plan.

pub mod adopt;
mod assemble;
mod claims;
pub mod compare;
mod conflicts;
pub mod decide;
pub mod document;
pub mod drift;
mod hold;
mod imports;
mod judge;
pub mod model;
mod moved;
pub mod objects;
mod order;
mod removals;
mod saved;
pub mod seen;
pub mod steps;
pub mod stored;

use coxswain_model::{Address, Diagnostics};
use coxswain_state::{Record, State};
use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::graph::{Graph, Inputs};
use crate::resource::kind::Kind;
pub use model::{AttrChange, Cause, Deferred, Edge, InstancePlan, Mode, Plan, PlannedStep, SavedPlan, Why};
pub use moved::Records;
pub use removals::{connections, endpoint_of};
pub use seen::{Lacks, Seen, Unreached};

/// What is planned at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these, and what they need.
    pub targets: Vec<Address>,
    /// Not these, nor what needs them.
    pub excludes: Vec<Address>,
    /// Removed and made anew.
    pub replace: Vec<Address>,
}

/// Everything planning takes.
pub struct Request<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Variables and files.
    pub inputs: &'a Inputs,
    /// The state.
    pub state: &'a State,
    /// What has been observed.
    pub seen: &'a Seen,
    /// Make, or remove.
    pub mode: Mode,
    /// What is planned at all.
    pub selection: &'a Selection,
    /// Keyed digest.
    pub digest: &'a stored::Digest<'a>,
    /// Digest of the configuration, for the plan.
    pub config_digest: &'a str,
    /// The kinds.
    pub kinds: fn(&str) -> Option<&'static dyn Kind>,
}

/// What came of it.
pub enum Progress {
    /// These reads are lacking.
    Lack(Lacks),
    /// The plan.
    Ready(Box<Plan>),
    /// It is wrong; every problem.
    Wrong(Diagnostics),
}

/// Plans as far as the observations allow.
pub fn plan(request: &Request<'_>) -> Progress {
    match request.mode {
        Mode::Apply => plan_apply(request),
        Mode::Destroy => removals::plan_destroy(request),
    }
}

fn plan_apply(request: &Request<'_>) -> Progress {
    let records = Records::new(request.config, request.state);
    let planner = objects::Planner::new(request, &records);
    let mut graph = Graph::new(request.config, request.inputs.clone());
    graph.evaluate_all(&planner);
    graph.problems.extend(records.problems.iter().cloned());
    let mut lacks = planner.lacks.borrow().clone();
    lacks.files.extend(graph.lacks().filter(|n| is_file(n)).cloned());
    let removals = removals::find(request, &records, &graph, &mut lacks);
    if !lacks.files.is_empty() || !lacks.probes.is_empty() {
        // Problems that more answers could not change are reported at once.
        return if graph.problems.iter().any(coxswain_model::Diagnostic::is_error) && !graph.is_parked() {
            Progress::Wrong(std::mem::take(&mut graph.problems))
        } else {
            Progress::Lack(lacks)
        };
    }
    let without_instance = records.imports.without_instance(&graph);
    graph.problems.extend(without_instance);
    assemble::assemble(request, &records, graph, planner, removals)
}

fn is_file(need: &coxswain_lang::Need) -> bool {
    use coxswain_lang::Need;
    match need {
        Need::File(_) | Need::FileExists(_) | Need::FileSet(..) => true,
        Need::Node(_) | Need::Instance(_) => false,
    }
}

/// The uid of an instance: the recorded one, or one made from state and address, so that planning stays pure and
/// two plans of the same state agree.
pub fn uid(record: Option<&Record>, state: &State, address: &Address) -> String {
    if let Some(record) = record {
        return record.uid.clone();
    }
    let text = format!("{}\n{}\n{address}", state.lineage, state.serial);
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}
