//! What validators sign: the root of each object, and what its signature is bound to.
//!
//! <https://github.com/ethereum/consensus-specs>, `specs/*/validator.md`.

use coxswain_dv_eth::Root;
use coxswain_dv_eth::attestation::AttestationData;
use coxswain_dv_eth::domain::{self, Chain, Signable};
use coxswain_dv_eth::operations::VoluntaryExit;
use coxswain_dv_eth::signed::SignedRegistration;
use coxswain_dv_eth::sync::{ContributionAndProof, SyncAggregatorSelectionData};
use tree_hash::TreeHash;

/// The randomness of a block: its epoch.
#[must_use]
pub fn randao(epoch: u64) -> Signable {
    Signable { root: epoch.tree_hash_root().0, domain: domain::RANDAO, epoch }
}

/// A block, by its root.
#[must_use]
pub fn block(chain: &Chain, slot: u64, root: Root) -> Signable {
    Signable { root, domain: domain::PROPOSER, epoch: chain.clock.epoch_of(slot) }
}

/// An attestation.
#[must_use]
pub fn attestation(data: &AttestationData) -> Signable {
    Signable { root: data.root(), domain: domain::ATTESTER, epoch: data.target.epoch }
}

/// The selection of an aggregator: its slot.
#[must_use]
pub fn selection(chain: &Chain, slot: u64) -> Signable {
    let root = slot.tree_hash_root().0;
    Signable { root, domain: domain::SELECTION, epoch: chain.clock.epoch_of(slot) }
}

/// An aggregate and its proof, by their root.
#[must_use]
pub fn aggregate(chain: &Chain, slot: u64, root: Root) -> Signable {
    Signable { root, domain: domain::AGGREGATE_AND_PROOF, epoch: chain.clock.epoch_of(slot) }
}

/// A vote of a sync committee: the head itself.
#[must_use]
pub fn vote(chain: &Chain, slot: u64, head: Root) -> Signable {
    Signable { root: head, domain: domain::SYNC_COMMITTEE, epoch: chain.clock.epoch_of(slot) }
}

/// The selection of an aggregator of a sync committee.
#[must_use]
pub fn sync_selection(chain: &Chain, slot: u64, subcommittee: u64) -> Signable {
    let data = SyncAggregatorSelectionData { slot, subcommittee_index: subcommittee };
    Signable { root: data.root(), domain: domain::SYNC_SELECTION, epoch: chain.clock.epoch_of(slot) }
}

/// A contribution and its proof.
#[must_use]
pub fn contribution(chain: &Chain, message: &ContributionAndProof) -> Signable {
    let epoch = chain.clock.epoch_of(message.contribution.slot);
    Signable { root: message.tree_hash_root().0, domain: domain::CONTRIBUTION, epoch }
}

/// An exit.
#[must_use]
pub fn exit(message: &VoluntaryExit) -> Signable {
    Signable { root: message.tree_hash_root().0, domain: domain::EXIT, epoch: message.epoch }
}

/// A registration with builders.
#[must_use]
pub fn registration(message: &SignedRegistration) -> Signable {
    Signable { root: message.message.root(), domain: domain::BUILDER, epoch: 0 }
}
