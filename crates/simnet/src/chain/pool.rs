//! Votes that were received, and what is put together from them: aggregates, contributions, what goes into blocks.
//!
//! Only votes whose signatures verify get here.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_crypto::bls::{self, Signature};
use coxswain_dv_eth::Root;
use coxswain_dv_eth::attestation::{Attestation, AttestationData, AttestationElectra, AttestationPhase0};
use coxswain_dv_eth::bytes::{Bytes32, Bytes96};
use coxswain_dv_eth::sync::{SyncAggregate, SyncCommitteeContribution};
use ssz_types::{BitList, BitVector};

use super::duties::SyncCommittee;

/// `G2_POINT_AT_INFINITY`: the signature of nobody.
pub(super) const NO_SIGNATURE: Bytes96 = {
    let mut bytes = [0; 96];
    bytes[0] = 0xc0;
    coxswain_dv_eth::bytes::Bytes(bytes)
};

/// Most attestations of a block before Electra (`MAX_ATTESTATIONS`).
const MAX_ATTESTATIONS: usize = 128;
/// Most attestations of a block from Electra on (`MAX_ATTESTATIONS_ELECTRA`).
const MAX_ATTESTATIONS_ELECTRA: usize = 8;

/// Votes for the same data.
#[derive(Debug, Clone)]
pub(super) struct Votes {
    pub(super) data: AttestationData,
    /// By committee and place in it: who, and the signature.
    by_place: BTreeMap<(u64, u64), (u64, Signature)>,
}

/// All votes of the last slots.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    /// By slot and root of the data.
    votes: BTreeMap<(u64, Root), Votes>,
    /// By slot and block: who, and the signature.
    sync: BTreeMap<(u64, Root), BTreeMap<u64, Signature>>,
}

/// A vote to be added.
pub(super) struct NewVote {
    pub(super) data: AttestationData,
    pub(super) committee: u64,
    pub(super) position: u64,
    pub(super) validator: u64,
    pub(super) signature: Signature,
}

impl Pool {
    pub(super) fn add_vote(&mut self, vote: NewVote) {
        let votes = self
            .votes
            .entry((vote.data.slot, vote.data.root()))
            .or_insert_with(|| Votes { data: vote.data, by_place: BTreeMap::new() });
        votes.by_place.insert((vote.committee, vote.position), (vote.validator, vote.signature));
    }

    /// Whether the very same vote is there.
    pub(super) fn has_vote(
        &self,
        data: &AttestationData,
        committee: u64,
        validator: u64,
        signature: &Bytes96,
    ) -> bool {
        let votes = self.votes.get(&(data.slot, data.root()));
        votes.is_some_and(|votes| {
            votes.by_place.iter().any(|(place, (who, known))| {
                place.0 == committee && *who == validator && known.to_bytes() == signature.0
            })
        })
    }

    pub(super) fn add_sync(&mut self, slot: u64, root: Root, validator: u64, signature: Signature) {
        self.sync.entry((slot, root)).or_default().insert(validator, signature);
    }

    /// Whether the very same message is there.
    pub(super) fn has_sync(&self, slot: u64, root: &Root, validator: u64, signature: &Bytes96) -> bool {
        let known = self.sync.get(&(slot, *root)).and_then(|votes| votes.get(&validator));
        known.is_some_and(|known| known.to_bytes() == signature.0)
    }

    /// For which block a validator voted at a slot.
    pub(super) fn sync_vote(&self, slot: u64, validator: u64) -> Option<Root> {
        let mut roots = self.sync.range((slot, [0; 32])..=(slot, [0xff; 32]));
        roots.find(|(_, votes)| votes.contains_key(&validator)).map(|((_, root), _)| *root)
    }

    /// Forgets votes of slots before one.
    pub(super) fn forget(&mut self, oldest: u64) {
        self.votes.retain(|(slot, _), _| *slot >= oldest);
        self.sync.retain(|(slot, _), _| *slot >= oldest);
    }

    /// Who voted at slots.
    pub(super) fn voters(&self, slots: std::ops::Range<u64>) -> BTreeSet<u64> {
        let groups = self.votes.range((slots.start, [0; 32])..(slots.end, [0; 32]));
        groups.flat_map(|(_, votes)| votes.by_place.values().map(|(who, _)| *who)).collect()
    }

    /// Who voted at slots for a target root.
    pub(super) fn voters_for(&self, slots: std::ops::Range<u64>, target: &Bytes32) -> BTreeSet<u64> {
        let groups = self.votes.range((slots.start, [0; 32])..(slots.end, [0; 32]));
        let of_target = groups.filter(|(_, votes)| votes.data.target.root == *target);
        of_target.flat_map(|(_, votes)| votes.by_place.values().map(|(who, _)| *who)).collect()
    }

    /// The aggregate of a committee's votes.
    pub(super) fn aggregate(&self, slot: u64, root: &Root, committee: &Committee<'_>) -> Option<Attestation> {
        let votes = self.votes.get(&(slot, *root))?;
        Some(if committee.is_electra {
            Attestation::Electra(electra(votes, &[(committee.index, committee.members)])?)
        } else {
            Attestation::Phase0(phase0(votes, committee.index, committee.members)?)
        })
    }

    /// Attestations for a block of a slot, before Electra; `is_new` says which votes no block has.
    pub(super) fn for_block_phase0(
        &self,
        slots: std::ops::Range<u64>,
        committees: impl Fn(u64) -> Vec<Vec<u64>>,
        is_new: impl Fn(u64, u64) -> bool,
    ) -> Vec<AttestationPhase0> {
        let mut found = Vec::new();
        for votes in self.with_news(slots, is_new) {
            let of_slot = committees(votes.data.slot);
            for (index, members) in (0..).zip(&of_slot) {
                found.extend(phase0(votes, index, members));
            }
        }
        found.truncate(MAX_ATTESTATIONS);
        found
    }

    /// Attestations for a block of a slot, from Electra on: one of all committees for each data.
    pub(super) fn for_block_electra(
        &self,
        slots: std::ops::Range<u64>,
        committees: impl Fn(u64) -> Vec<Vec<u64>>,
        is_new: impl Fn(u64, u64) -> bool,
    ) -> Vec<AttestationElectra> {
        let mut found = Vec::new();
        for votes in self.with_news(slots, is_new) {
            let of_slot = committees(votes.data.slot);
            let all: Vec<(u64, &[u64])> =
                (0..).zip(&of_slot).map(|(i, members)| (i, members.as_slice())).collect();
            found.extend(electra(votes, &all));
        }
        found.truncate(MAX_ATTESTATIONS_ELECTRA);
        found
    }

    /// Votes of slots with something new among them, the latest first.
    fn with_news(
        &self,
        slots: std::ops::Range<u64>,
        is_new: impl Fn(u64, u64) -> bool,
    ) -> impl Iterator<Item = &Votes> {
        let groups = self.votes.range((slots.start, [0; 32])..(slots.end, [0; 32])).rev();
        groups
            .filter(move |((slot, _), votes)| votes.by_place.values().any(|(who, _)| is_new(*who, *slot)))
            .map(|(_, votes)| votes)
    }

    /// The contribution of a subcommittee's votes.
    pub(super) fn contribution(
        &self,
        slot: u64,
        root: &Root,
        subcommittee: u64,
        committee: &SyncCommittee,
    ) -> Option<SyncCommitteeContribution> {
        let votes = self.sync.get(&(slot, *root))?;
        let mut aggregation_bits = BitVector::default();
        let mut signatures = Vec::new();
        for (place, validator) in committee.subcommittee(subcommittee) {
            if let Some(signature) = votes.get(&validator) {
                aggregation_bits.set(place, true).ok()?;
                signatures.push(*signature);
            }
        }
        let signature = Bytes96::from(bls::aggregate(&signatures).ok()?.to_bytes());
        let beacon_block_root = Bytes32::from(*root);
        Some(SyncCommitteeContribution {
            slot,
            beacon_block_root,
            subcommittee_index: subcommittee,
            aggregation_bits,
            signature,
        })
    }

    /// Votes of the whole sync committee for a block, at a slot.
    pub(super) fn sync_aggregate(&self, slot: u64, root: &Root, committee: &SyncCommittee) -> SyncAggregate {
        let mut sync_committee_bits = BitVector::default();
        let mut signatures = Vec::new();
        if let Some(votes) = self.sync.get(&(slot, *root)) {
            for (seat, validator) in committee.seats().iter().enumerate() {
                let Some(signature) = validator.and_then(|validator| votes.get(&validator)) else { continue };
                if sync_committee_bits.set(seat, true).is_ok() {
                    signatures.push(*signature);
                }
            }
        }
        let sync_committee_signature =
            bls::aggregate(&signatures).map_or(NO_SIGNATURE, |sum| Bytes96::from(sum.to_bytes()));
        SyncAggregate { sync_committee_bits, sync_committee_signature }
    }
}

/// A committee.
pub(super) struct Committee<'a> {
    pub(super) index: u64,
    pub(super) members: &'a [u64],
    /// Whether its attestations are those of Electra.
    pub(super) is_electra: bool,
}

fn phase0(votes: &Votes, committee: u64, members: &[u64]) -> Option<AttestationPhase0> {
    let mut aggregation_bits = BitList::with_capacity(members.len()).ok()?;
    let mut signatures = Vec::new();
    for ((_, position), (_, signature)) in votes.by_place.range((committee, 0)..=(committee, u64::MAX)) {
        aggregation_bits.set(usize::try_from(*position).ok()?, true).ok()?;
        signatures.push(*signature);
    }
    let signature = Bytes96::from(bls::aggregate(&signatures).ok()?.to_bytes());
    Some(AttestationPhase0 { aggregation_bits, data: votes.data, signature })
}

/// The votes of some committees of a slot: bits of committees without a vote are left out.
fn electra(votes: &Votes, committees: &[(u64, &[u64])]) -> Option<AttestationElectra> {
    let has_votes = |index: u64| votes.by_place.range((index, 0)..=(index, u64::MAX)).next().is_some();
    let voted = || committees.iter().filter(|(index, _)| has_votes(*index));
    let n_bits = voted().map(|(_, members)| members.len()).sum();
    let mut aggregation_bits = BitList::with_capacity(n_bits).ok()?;
    let mut committee_bits = BitVector::default();
    let mut signatures = Vec::new();
    let mut offset = 0;
    for (index, members) in voted() {
        committee_bits.set(usize::try_from(*index).ok()?, true).ok()?;
        for ((_, position), (_, signature)) in votes.by_place.range((*index, 0)..=(*index, u64::MAX)) {
            aggregation_bits.set(offset + usize::try_from(*position).ok()?, true).ok()?;
            signatures.push(*signature);
        }
        offset += members.len();
    }
    let signature = Bytes96::from(bls::aggregate(&signatures).ok()?.to_bytes());
    Some(AttestationElectra { aggregation_bits, data: votes.data, signature, committee_bits })
}
