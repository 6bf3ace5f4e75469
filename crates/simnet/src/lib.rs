//! A simulated beacon chain, for clusters that are tried without a real one.
//!
//! ```text
//! chain     the chain as a state machine: duties, blocks, votes, checks, counts, faults; no clock, no IO
//! server    the Beacon API in front of it, over HTTP
//! client    a validator client that asks for duties and does them, over HTTP
//! ```
//!
//! The chain knows the validators' keys and verifies every signature. Nothing is executed and no state is kept: roots
//! of states and payloads are made up.

pub mod chain;
pub mod client;
pub mod server;

pub use chain::{Chain, Settings};
pub use server::{ServeError, Simnet, serve};
