//! Everything that was signed, searched for what a validator is slashed for.
//!
//! What is looked at has a valid signature; whether the chain accepted it does not matter: somebody has it.

use std::collections::BTreeMap;
use std::ops::Bound;

use coxswain_dv_eth::Root;
use coxswain_dv_eth::attestation::AttestationData;

/// Attestations of a validator that are remembered, the latest ones: with one an epoch, days.
const MAX_VOTES: usize = 4096;
/// Blocks of a validator that are remembered, the latest ones.
const MAX_BLOCKS: usize = 4096;

/// Two messages that a validator is slashed for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Slashable {
    /// Two blocks.
    #[error(
        "validator {validator} signed two blocks of slot {slot}: {} and {}",
        hex::encode(first),
        hex::encode(second)
    )]
    DoubleBlock {
        /// Who.
        validator: u64,
        /// Of which slot.
        slot: u64,
        /// Root of the first.
        first: Root,
        /// Root of the other.
        second: Root,
    },
    /// Two attestations of one target epoch.
    #[error(
        "validator {validator} signed two attestations of target epoch {target}: {} and {}",
        hex::encode(first),
        hex::encode(second)
    )]
    DoubleVote {
        /// Who.
        validator: u64,
        /// The epoch.
        target: u64,
        /// Root of the first one's data.
        first: Root,
        /// Root of the other one's data.
        second: Root,
    },
    /// One attestation surrounds another.
    #[error("an attestation of validator {validator} from epoch {} to {} surrounds another from {} to {}", outer.0, outer.1, inner.0, inner.1)]
    Surround {
        /// Who.
        validator: u64,
        /// Source and target of the outer one.
        outer: (u64, u64),
        /// Source and target of the inner one.
        inner: (u64, u64),
    },
}

/// What validators have signed.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    /// By validator and slot.
    blocks: BTreeMap<u64, BTreeMap<u64, Root>>,
    /// By validator and target epoch: source epoch and root.
    votes: BTreeMap<u64, BTreeMap<u64, (u64, Root)>>,
}

impl Watch {
    /// A block that a validator signed.
    pub(super) fn block(&mut self, validator: u64, slot: u64, root: Root) -> Option<Slashable> {
        let blocks = self.blocks.entry(validator).or_default();
        match blocks.get(&slot) {
            Some(first) if *first != root => {
                Some(Slashable::DoubleBlock { validator, slot, first: *first, second: root })
            }
            Some(_) => None,
            None => {
                blocks.insert(slot, root);
                trim(blocks, MAX_BLOCKS);
                None
            }
        }
    }

    /// An attestation that a validator signed.
    pub(super) fn vote(&mut self, validator: u64, data: &AttestationData) -> Option<Slashable> {
        let (source, target, root) = (data.source.epoch, data.target.epoch, data.root());
        let votes = self.votes.entry(validator).or_default();
        if let Some((_, first)) = votes.get(&target) {
            let is_other = *first != root;
            return is_other.then_some(Slashable::DoubleVote {
                validator,
                target,
                first: *first,
                second: root,
            });
        }
        let later =
            votes.range((Bound::Excluded(target), Bound::Unbounded)).find(|(_, known)| known.0 < source);
        let earlier = votes.range(..target).find(|(_, known)| known.0 > source);
        let found = match (later, earlier) {
            (Some((to, (from, _))), _) => {
                Some(Slashable::Surround { validator, outer: (*from, *to), inner: (source, target) })
            }
            (None, Some((to, (from, _)))) => {
                Some(Slashable::Surround { validator, outer: (source, target), inner: (*from, *to) })
            }
            (None, None) => None,
        };
        votes.insert(target, (source, root));
        trim(votes, MAX_VOTES);
        found
    }
}

fn trim<V>(map: &mut BTreeMap<u64, V>, most: usize) {
    while map.len() > most {
        map.pop_first();
    }
}

#[cfg(test)]
mod tests;
