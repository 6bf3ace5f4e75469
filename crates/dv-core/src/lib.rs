//! A node of a distributed validator, as a pure machine: what happened goes in, what is to be done comes out.
//!
//! ```text
//!               ┌ scheduler ─ duty ─→ fetch ─ values ─→ consensus ─ decided ─→ decided ─┐
//! beacon nodes ─┤                       ↑                                                ├─→ validator client
//!               └ broadcast ←─ aggregated ←─ combine ←─ partials ←─┬─ client ←───────────┘
//!                                                                  └─ exchange ⇄ peers
//! ```
//!
//! [`node::Node::step`] is all of it. Beacon nodes, validator clients, peers, the store of what was signed, long
//! computations and time are events and effects, so that a real node and a simulation of thousands run the same code.
//!
//! ```text
//! event      what happens, and what is to be done       cluster    keys, shares, threshold
//! scheduler  which duties there are, and when           fetch      values to agree on, gathered from what is known
//! decided    what consensus decided                     partials   partial signatures, until there are enough
//! combine    jobs: verify many, put shares together     aggregated signatures of groups
//! client     requests of validator clients              exchange   partial signatures from and to peers
//! duties     one file for each type                     calls      questions to beacon nodes, tried again
//! priority   what the cluster agrees on about itself    tracker    what became of each duty, and why not
//! inclusion  whether the chain has what was submitted   trust      peers that sent a bad signature
//! synthetic  proposals that are made up                 features   what operators turn on and off
//! ```
//!
//! # What must never happen
//!
//! - A partial signature over a block or an attestation leaves, or is counted, before the store has kept it.
//! - Two groups of shares with different roots make two signatures for one block slot or target epoch.
//! - A peer's message takes memory without a limit, or a place that is not the peer's.

mod aggregated;
mod calls;
mod cluster;
mod combine;
mod decided;
mod duties;
mod event;
mod exchange;
mod features;
mod fetch;
mod inclusion;
mod node;
mod partials;
mod priority;
mod scheduler;
mod synthetic;
mod timers;
mod tracker;
mod trust;

#[cfg(test)]
mod tests;

pub use cluster::{Cluster, ClusterError, Majority, Validator};
pub use combine::{Aggregation, Check, Finding, Job, Output};
pub use event::{Channel, Effect, Event, Note, Payee, Step, Ticket, Urgency};
pub use features::{Committees, Early, Features, OnSplit, Switch, Synthetic};
pub use inclusion::Fate;
pub use node::{Builder, Node, Settings};
pub use tracker::{Failure, Report, Tracker};
