//! Resource kinds: one file each, and one line in [`KINDS`].

pub mod act;
pub mod answer;
pub mod kind;
pub mod probe;

pub use act::{Act, ActDone, Content};
pub use answer::Answer;
pub use kind::{
    Action, Change, Endpoint, Facts, Kind, KindError, Observation, Outcome, PlanCx, Step, StepClass, StepCx,
    Verb,
};
pub use probe::Probe;

/// Every kind, sorted by name.
pub static KINDS: &[&dyn Kind] = &[];

/// The kind of this name.
pub fn find(name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|k| k.schema().kind == name)
}
