//! Carrying out a plan.
//!
//! ```text
//! ready step ─observe→ precondition ─decide again→ same as planned? ─intent (synced)→ run ─observe→ as wanted?
//!            ─outcome (synced)→ dependents become ready
//! ```
//!
//! Apply decides nothing: it evaluates the values that were unknown, runs the pure planner on the instance again,
//! and refuses a step that would be another one now. What must never happen: a step runs whose intent is not on
//! disk; a step runs against an object that is not what the plan saw; an outcome is reported that is not on disk.

mod core;
pub mod event;
mod look;
mod record;
mod schedule;
mod step;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use coxswain_state::{Entry, State};

pub use event::{Event, StepResult, Summary};
pub use schedule::run;

use crate::config::Config;
use crate::graph::Inputs;
use crate::plan::{Plan, stored};
use crate::resource::kind::Kind;
use crate::world::World;

/// Where intents and outcomes go.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends an entry. It counts once [`Journal::synced`] has returned.
    ///
    /// # Errors
    /// When it does not fit, or could not be written; nothing may go on then.
    fn append(&self, entry: Entry) -> Result<(), String>;
    /// Returns when everything appended so far is on disk. Steps that come here in one turn share one sync.
    ///
    /// # Errors
    /// When it may not be on disk; nothing may go on then.
    async fn synced(&self) -> Result<(), String>;
    /// The time, as the journal writes it.
    fn now(&self) -> String;
}

/// A person's wish to stop.
#[derive(Debug, Default)]
pub struct Interrupt(AtomicU8);

impl Interrupt {
    /// One more press of Ctrl-C.
    pub fn press(&self) {
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| Some(n.saturating_add(1)));
    }
    /// 0: go on; 1: finish running steps and start no more; 2 or more: stop waiting.
    pub fn level(&self) -> u8 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Everything a run takes.
pub struct Run<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The configuration it was made from.
    pub config: &'a Config,
    /// Variables and files.
    pub inputs: &'a Inputs,
    /// The state it was made from.
    pub state: &'a State,
    /// The kinds.
    pub kinds: fn(&str) -> Option<&'static dyn Kind>,
    /// Keyed digest.
    pub digest: &'a stored::Digest<'a>,
    /// The edges.
    pub world: Arc<dyn World>,
    /// Where intents and outcomes go.
    pub journal: &'a dyn Journal,
    /// Where events go.
    pub sink: &'a (dyn Fn(Event) + Send + Sync),
    /// A person's wish to stop.
    pub interrupt: Arc<Interrupt>,
    /// Steps at a time.
    pub parallelism: usize,
}
