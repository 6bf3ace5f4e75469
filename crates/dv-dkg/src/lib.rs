//! The key ceremony as state machines: events in, effects out.

pub mod broadcast;
pub mod exchange;
pub mod sync;
