//! Planning: configuration, state and observations in, a [`Plan`] or the reads it lacks out. Pure.

pub mod model;

pub use model::{AttrChange, Cause, Deferred, Edge, InstancePlan, Mode, Plan, PlannedStep, SavedPlan, Why};
