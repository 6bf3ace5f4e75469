//! The key ceremony as state machines: events in, effects out.
