//! Runs a node: carries out what the machine in `dv-core` wants, and tells it what happened.
//!
//! ```text
//! validator API ─┐                ┌─→ beacon nodes ─┐
//! peers ─────────┼─→ driver ⇄ Node┼─→ peers         ├─→ driver
//! time ──────────┘                ├─→ judge (store) ┤
//!                                 └─→ compute pool ─┘
//! ```
//!
//! One task owns the machine; nothing else decides. Everything that takes time happens elsewhere and comes back as an
//! event, so that a slow disk, beacon node or peer holds nobody up but itself.
//!
//! # What must never happen
//!
//! - A verdict of the store reaches the machine before it is on the disk.
//! - An event is lost while the node runs.

mod adapters;
mod compute;
mod driver;
mod judge;
pub mod monitor;
pub mod trace;
mod wires;

pub use adapters::Keeper;
pub use driver::{Beacon, Handle, Judge, Parts, Peers, Stopped, Watch, start};
pub use wires::{Wires, bring};
