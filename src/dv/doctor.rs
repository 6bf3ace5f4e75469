//! Whether a node can run with a directory, before it does.
//!
//! ```text
//! directory ─files→ lock, key, keystores, disk, who uses it, what was signed ─┐
//! beacon nodes, relays ─outside→ chain, clock, reach ─────────────────────────┴→ Item, Item …
//! ```
//!
//! Nothing in the directory is changed but the notes of who looks at the store, and nothing of a secret is in an item.

mod disk;
mod files;
mod keys;
mod outside;

use coxswain_dv_types::cluster::Lock;

pub use self::files::{Cluster, examine};
pub use self::keys::Keystores;
pub use self::outside::{beacon_node, relay};

use crate::dv::run::node_name;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Ok,
    /// A node runs, and somebody should know.
    Warning,
    /// A node does not run, or not safely.
    Problem,
}

impl State {
    /// One word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Problem => "problem",
        }
    }
}

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What was looked at.
    pub what: &'static str,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do; empty where nothing is.
    pub next: String,
}

impl Item {
    fn ok(what: &'static str, found: impl Into<String>) -> Item {
        Item { what, state: State::Ok, found: found.into(), next: String::new() }
    }

    fn warning(what: &'static str, found: impl Into<String>, next: impl Into<String>) -> Item {
        Item { what, state: State::Warning, found: found.into(), next: next.into() }
    }

    fn problem(what: &'static str, found: impl Into<String>, next: impl Into<String>) -> Item {
        Item { what, state: State::Problem, found: found.into(), next: next.into() }
    }
}

/// What the logs call the node with a share index, which is 1 for `node-0`.
fn name_of(share_index: u64) -> String {
    usize::try_from(share_index).map_or_else(|_| String::new(), |index| node_name(index.saturating_sub(1)))
}

/// The `lock_hash` of a lock as the files beside the key have it.
fn hash_of(lock: Option<&Lock>) -> String {
    lock.map_or_else(String::new, |lock| hex::encode(&*lock.lock_hash))
}
