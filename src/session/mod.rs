//! The engine as the command line sees it. Not connected yet: everything says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use coxswain_model::{Address, Diagnostics};

use crate::apply::{Event, Summary};
use crate::plan::model::Unreadable;
use crate::plan::{AttrChange, Mode, Plan};

/// What a session is opened with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The root directory.
    pub root: PathBuf,
    /// `--env`.
    pub env: Option<String>,
    /// `--var`, in the order given.
    pub vars: Vec<(String, String)>,
    /// `--var-file`, in the order given.
    pub var_files: Vec<PathBuf>,
    /// Whether nothing but reads is allowed on hosts.
    pub read_only: bool,
    /// How many hosts or steps at once.
    pub parallelism: usize,
}

/// The files that were read, for rendering spans.
#[derive(Debug, Clone, Default)]
pub struct Sources(pub Vec<coxswain_lang::SourceFile>);

/// Why something could not be done.
#[derive(Debug, Clone)]
pub enum Failure {
    /// Problems of the configuration.
    Diagnostics(Diagnostics),
    /// Somebody else holds the lock: the full message.
    Busy(String),
    /// Anything else.
    Other {
        /// What was attempted.
        what: String,
        /// Why it failed.
        why: String,
        /// What to do next.
        next: String,
    },
}

/// What the user chose.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `--target`.
    pub targets: Vec<Address>,
    /// `--exclude`.
    pub excludes: Vec<Address>,
    /// `--replace`.
    pub replace: Vec<Address>,
}

/// What to plan.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// For what.
    pub mode: Mode,
    /// Of what.
    pub selection: Selection,
    /// Whether hosts that cannot be read are passed over.
    pub allow_unreachable: bool,
}

/// One configuration with its state.
#[derive(Debug)]
pub struct Session {
    warnings: Diagnostics,
}

/// Ctrl-C: 0 none, 1 finish running steps, 2 stop waiting.
#[derive(Debug, Default)]
pub struct Interrupt(AtomicU8);

impl Interrupt {
    /// Goes one level up, at most to 2.
    pub fn press(&self) {
        let _ = self.0.try_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n < 2).then_some(n + 1));
    }
    /// The level.
    pub fn level(&self) -> u8 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What `drift` found.
#[derive(Debug, Clone, Default)]
pub struct DriftReport {
    /// What is not as it was applied.
    pub instances: Vec<DriftedInstance>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
    /// What is being changed right now.
    pub in_progress: Vec<Address>,
    /// How many instances were compared.
    pub checked: usize,
}

/// An instance that is not as it was applied.
#[derive(Debug, Clone)]
pub struct DriftedInstance {
    /// Which.
    pub address: Address,
    /// Where it lives.
    pub host: Option<Address>,
    /// Whether the object is not there any more.
    pub gone: bool,
    /// What differs.
    pub changes: Vec<AttrChange>,
}

/// An earlier state.
#[derive(Debug, Clone)]
pub struct HistoryEntry {
    /// Its serial.
    pub serial: u64,
    /// When it was written.
    pub at: String,
    /// How many instances it has.
    pub instances: usize,
}

fn unconnected<T>() -> Result<T, Failure> {
    Err(Failure::Other {
        what: "opening the configuration".into(),
        why: "the engine is not connected".into(),
        next: "use a later build".into(),
    })
}

#[expect(clippy::unused_async, missing_docs, reason = "stands in for the engine")]
impl Session {
    pub fn open(options: Options) -> (Sources, Result<Session, Failure>) {
        let _ = options;
        (Sources::default(), unconnected())
    }
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }
    pub fn validate(&mut self) -> Result<(), Failure> {
        unconnected()
    }
    pub async fn plan(&mut self, request: &PlanRequest) -> Result<Plan, Failure> {
        let _ = request;
        unconnected()
    }
    pub fn save(&self, plan: &Plan, path: &Path) -> Result<(), Failure> {
        let _ = (plan, path);
        unconnected()
    }
    pub fn load_saved(options: Options, path: &Path) -> (Sources, Result<(Session, Plan), Failure>) {
        let _ = (options, path);
        (Sources::default(), unconnected())
    }
    pub async fn apply(
        &mut self,
        plan: &Plan,
        sink: &(dyn Fn(Event) + Send + Sync),
        interrupt: Arc<Interrupt>,
    ) -> Result<Summary, Failure> {
        let _ = (plan, sink, interrupt);
        unconnected()
    }
    pub async fn close(self) {}
}

/// Compares the world with what was applied last.
///
/// # Errors
/// When the state cannot be read.
#[expect(clippy::unused_async, reason = "stands in for the engine")]
pub async fn drift(options: &Options) -> Result<DriftReport, Failure> {
    let _ = options;
    unconnected()
}

/// Reads the state.
///
/// # Errors
/// When it cannot be read.
pub fn read_state(options: &Options) -> Result<coxswain_state::State, Failure> {
    let _ = options;
    unconnected()
}

/// Renames an instance in the state.
///
/// # Errors
/// When it is not there, or the new name is taken.
pub fn state_move(options: &Options, from: &Address, to: &Address) -> Result<(), Failure> {
    let _ = (options, from, to);
    unconnected()
}

/// Drops an instance from the state.
///
/// # Errors
/// When it is not there.
pub fn state_remove(options: &Options, address: &Address) -> Result<(), Failure> {
    let _ = (options, address);
    unconnected()
}

/// Earlier states.
///
/// # Errors
/// When they cannot be read.
pub fn state_history(options: &Options) -> Result<Vec<HistoryEntry>, Failure> {
    let _ = options;
    unconnected()
}
