//! coxswain, the library under the binary.
//!
//! ```text
//! text ─config→ Config ─graph→ instances ─plan→ Plan ─apply→ Journal → State
//!                                   ↑ reads it lacks ─observe→ answers
//! ```
//!
//! Direction of use: `cli → {observe, apply} → resource → world`; `apply → plan → graph → config → model`. `plan`,
//! `graph` and `config` are pure: no IO, clock or randomness; `tests/tidy.rs` holds this.

pub mod apply;
pub mod builtin;
pub mod cli;
pub mod config;
pub mod dv;
pub mod graph;
pub mod observe;
pub mod plan;
pub mod resource;
pub mod session;
pub mod world;
