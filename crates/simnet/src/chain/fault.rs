//! What goes wrong on purpose.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Faults at a time: they are set by hand.
pub const MAX_FAULTS: usize = 256;
/// The longest that an answer is held back: longer than clients wait.
pub const MAX_LATENCY: Duration = Duration::from_secs(120);

/// A fault, in JSON an object with `kind` and the fields of that kind, like `{"kind":"reorg","slot":12,"depth":2}`.
///
/// A chain is served by one or more nodes, numbered from 0; where `node` may be left out, all of them are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// At the start of a slot the last blocks are given up for another one.
    Reorg {
        /// The slot.
        slot: u64,
        /// How many blocks are given up.
        depth: u64,
    },
    /// No node makes a block for these slots.
    Miss {
        /// The slots.
        slots: Vec<u64>,
    },
    /// Blocks of these slots are accepted and never become part of the chain.
    Orphan {
        /// The slots.
        slots: Vec<u64>,
    },
    /// Answers to some requests are late, or errors.
    Endpoint {
        /// Which node.
        #[serde(default)]
        node: Option<usize>,
        /// What the path contains.
        path: String,
        /// The HTTP status that is answered instead.
        #[serde(default)]
        status: Option<u16>,
        /// How long the answer is held back.
        #[serde(default)]
        latency_ms: u64,
        /// For how many requests; all where it is left out.
        #[serde(default)]
        times: Option<u64>,
    },
    /// A node says that it syncs, and refuses what only synced nodes answer.
    Syncing {
        /// Which node.
        #[serde(default)]
        node: Option<usize>,
        /// Until this slot.
        #[serde(default)]
        until_slot: Option<u64>,
    },
    /// A node attests to, and builds on, the parent of the head.
    WrongHead {
        /// Which node.
        #[serde(default)]
        node: Option<usize>,
        /// From this slot on.
        from_slot: u64,
        /// Up to this slot.
        to_slot: u64,
    },
    /// A node's clock is ahead, or behind.
    Skew {
        /// Which node.
        #[serde(default)]
        node: Option<usize>,
        /// By how much; behind where it is negative.
        ms: i64,
    },
    /// A validator exits at an epoch to come, without having said so.
    Exit {
        /// Which.
        validator: u64,
        /// When it stops.
        epoch: u64,
    },
    /// All other faults end.
    Clear,
}

/// What becomes of a request before it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hit {
    /// The status that is answered instead.
    pub status: Option<u16>,
    /// How long the answer is held back.
    pub latency: Duration,
}

/// The faults that hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    list: Vec<Fault>,
}

fn is_of(node: Option<usize>, this: usize) -> bool {
    node.is_none_or(|node| node == this)
}

impl Faults {
    /// Whether there is room for one more.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_FAULTS
    }

    pub(super) fn add(&mut self, fault: Fault) {
        if fault == Fault::Clear {
            self.list.clear();
        } else {
            self.list.push(fault);
        }
    }

    pub(super) fn list(&self) -> &[Fault] {
        &self.list
    }

    /// The fault that a request meets. Several add up.
    pub(super) fn hit(&mut self, this: usize, asked: &str) -> Hit {
        let mut hit = Hit::default();
        for fault in &mut self.list {
            let Fault::Endpoint { node, path, status, latency_ms, times } = fault else { continue };
            if !is_of(*node, this) || !asked.contains(path.as_str()) || *times == Some(0) {
                continue;
            }
            if let Some(times) = times {
                *times -= 1;
            }
            hit.status = hit.status.or(*status);
            hit.latency = (hit.latency + Duration::from_millis(*latency_ms)).min(MAX_LATENCY);
        }
        self.list.retain(|fault| !matches!(fault, Fault::Endpoint { times: Some(0), .. }));
        hit
    }

    pub(super) fn is_syncing(&self, this: usize, now_slot: u64) -> bool {
        let holds = |until: &Option<u64>| until.is_none_or(|until| now_slot < until);
        self.list.iter().any(|fault| {
            matches!(fault, Fault::Syncing { node, until_slot } if is_of(*node, this) && holds(until_slot))
        })
    }

    pub(super) fn has_wrong_head(&self, this: usize, slot: u64) -> bool {
        self.list.iter().any(|fault| {
            matches!(fault, Fault::WrongHead { node, from_slot, to_slot }
                if is_of(*node, this) && (*from_slot..=*to_slot).contains(&slot))
        })
    }

    /// By how many milliseconds a node's clock is ahead.
    pub(super) fn skew_ms(&self, this: usize) -> i64 {
        let of_fault = |fault: &Fault| {
            if let Fault::Skew { node, ms } = fault
                && is_of(*node, this)
            {
                *ms
            } else {
                0
            }
        };
        self.list.iter().map(of_fault).fold(0, i64::saturating_add)
    }

    pub(super) fn is_missed(&self, slot: u64) -> bool {
        self.list.iter().any(|fault| matches!(fault, Fault::Miss { slots } if slots.contains(&slot)))
    }

    pub(super) fn is_orphaned(&self, slot: u64) -> bool {
        self.list.iter().any(|fault| matches!(fault, Fault::Orphan { slots } if slots.contains(&slot)))
    }

    /// The depths of the reorganisations of slots up to one; they are over then.
    pub(super) fn take_reorgs(&mut self, now_slot: u64) -> Vec<u64> {
        let mut depths = Vec::new();
        self.list.retain(|fault| {
            let Fault::Reorg { slot, depth } = fault else { return true };
            if *slot > now_slot {
                return true;
            }
            depths.push(*depth);
            false
        });
        depths
    }
}
