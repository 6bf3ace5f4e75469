//! Blocks, and which of them are the chain.

use std::collections::BTreeMap;

use coxswain_dv_eth::Root;
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::time::Time;

use super::block::ChainBlock;

/// Slots whose blocks are kept: those that are counted, and two of the longest epochs before, to which targets go back.
const KEPT_SLOTS: u64 = super::ledger::KEPT_SLOTS + 2 * super::settings::MAX_SLOTS_PER_EPOCH;

/// A block and its place.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The block.
    pub block: ChainBlock,
    /// Its root.
    pub root: Root,
    /// Its slot.
    pub slot: u64,
    /// Who proposed it.
    pub proposer: u64,
    /// The block before.
    pub parent: Root,
    /// When it came.
    pub arrived: Time,
    /// Votes in it that no block before it has: whose, and of which slot.
    pub votes: Vec<(u64, u64)>,
    /// Members of the sync committee whose votes of the slot before are in it, ascending.
    pub sync_votes: Vec<u64>,
}

/// Blocks; there is always a first one.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    blocks: BTreeMap<Root, Entry>,
    /// The chain: by slot.
    canonical: BTreeMap<u64, Root>,
    genesis: Entry,
}

impl Tree {
    pub(super) fn new(genesis: Entry) -> Tree {
        Tree { blocks: BTreeMap::new(), canonical: BTreeMap::new(), genesis }
    }

    /// A block by its root.
    pub(super) fn get(&self, root: &Root) -> Option<&Entry> {
        if *root == self.genesis.root { Some(&self.genesis) } else { self.blocks.get(root) }
    }

    /// The first block.
    pub(super) fn genesis(&self) -> &Entry {
        &self.genesis
    }

    /// The last block of the chain.
    pub(super) fn head(&self) -> &Entry {
        self.at_or_before(u64::MAX)
    }

    /// The block of the chain at a slot.
    pub(super) fn at(&self, slot: u64) -> Option<&Entry> {
        Some(self.at_or_before(slot)).filter(|entry| entry.slot == slot)
    }

    /// The last block of the chain up to a slot.
    pub(super) fn at_or_before(&self, slot: u64) -> &Entry {
        let last = self.canonical.range(..=slot).next_back();
        last.and_then(|(_, root)| self.blocks.get(root)).unwrap_or(&self.genesis)
    }

    /// Whether a block is part of the chain.
    pub(super) fn is_canonical(&self, root: &Root) -> bool {
        self.get(root).is_some_and(|entry| entry.slot == 0 || self.canonical.get(&entry.slot) == Some(root))
    }

    /// All blocks of a slot, of the chain or not.
    pub(super) fn all_at(&self, slot: u64) -> impl Iterator<Item = &Entry> {
        self.blocks.values().chain(std::iter::once(&self.genesis)).filter(move |entry| entry.slot == slot)
    }

    /// A block and those before it, down to the first.
    pub(super) fn branch(&self, root: &Root) -> impl Iterator<Item = &Entry> {
        let parent = |entry: &&Entry| if entry.slot == 0 { None } else { self.get(&entry.parent) };
        std::iter::successors(self.get(root), parent)
    }

    /// The ancestor so many blocks before the head.
    pub(super) fn ancestor(&self, depth: usize) -> &Entry {
        let head = self.head().root;
        self.branch(&head).nth(depth).unwrap_or(&self.genesis)
    }

    /// Adds a block whose parent is known; it is not the head yet.
    pub(super) fn add(&mut self, entry: Entry) {
        self.blocks.insert(entry.root, entry);
    }

    /// Makes a known block the head.
    pub(super) fn set_head(&mut self, root: &Root) {
        let mut new = Vec::new();
        let mut fork_slot = 0;
        for entry in self.branch(root) {
            if entry.slot == 0 || self.canonical.get(&entry.slot) == Some(&entry.root) {
                fork_slot = entry.slot;
                break;
            }
            new.push((entry.slot, entry.root));
        }
        // What was after the fork is no part of the chain any more.
        self.canonical.retain(|slot, _| *slot <= fork_slot);
        self.canonical.extend(new);
    }

    /// Forgets blocks that are too old.
    pub(super) fn forget(&mut self, now: u64) {
        let oldest = now.saturating_sub(KEPT_SLOTS);
        self.blocks.retain(|_, entry| entry.slot >= oldest);
        self.canonical.retain(|slot, _| *slot >= oldest);
    }

    /// The root of the state after a block, and the block that a root of a state belongs to.
    pub(super) fn by_state(&self, state: &Bytes32) -> Option<&Entry> {
        self.blocks
            .values()
            .chain(std::iter::once(&self.genesis))
            .find(|entry| entry.block.state_root() == *state)
    }
}

#[cfg(test)]
mod tests;
