//! Carrying out a plan.

pub mod event;

pub use event::{Event, StepResult, Summary};
