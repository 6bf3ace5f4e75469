//! Messages and contributions of sync committees.

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::BitVector;
use ssz_types::typenum::{U128, U512};
use tree_hash::TreeHash as _;
use tree_hash_derive::TreeHash;

use crate::Root;
use crate::bytes::{Bytes32, Bytes96};

/// Members of a sync committee.
pub const COMMITTEE_SIZE: u64 = 512;
/// Subcommittees of a sync committee.
pub const SUBCOMMITTEES: u64 = 4;

/// The vote of a member.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct SyncCommitteeMessage {
    /// The slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: u64,
    /// The head.
    pub beacon_block_root: Bytes32,
    /// The member.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: u64,
    /// The member's, over the block root.
    pub signature: Bytes96,
}

/// Votes of a subcommittee.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct SyncCommitteeContribution {
    /// The slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: u64,
    /// The head.
    pub beacon_block_root: Bytes32,
    /// The subcommittee.
    #[serde(with = "serde_utils::quoted_u64")]
    pub subcommittee_index: u64,
    /// Its members.
    pub aggregation_bits: BitVector<U128>,
    /// Theirs.
    pub signature: Bytes96,
}

/// Votes of a subcommittee, and why its aggregator may send them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct ContributionAndProof {
    /// The validator.
    #[serde(with = "serde_utils::quoted_u64")]
    pub aggregator_index: u64,
    /// The votes.
    pub contribution: SyncCommitteeContribution,
    /// That the validator was selected.
    pub selection_proof: Bytes96,
}

/// The same, signed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct SignedContributionAndProof {
    /// The votes and the proof.
    pub message: ContributionAndProof,
    /// The aggregator's.
    pub signature: Bytes96,
}

/// What a member signs to be selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, TreeHash)]
pub struct SyncAggregatorSelectionData {
    /// The slot.
    pub slot: u64,
    /// The subcommittee.
    pub subcommittee_index: u64,
}

/// Votes of a whole committee, in a block.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct SyncAggregate {
    /// Members.
    pub sync_committee_bits: BitVector<U512>,
    /// Theirs.
    pub sync_committee_signature: Bytes96,
}

impl SyncAggregatorSelectionData {
    /// `hash_tree_root`.
    #[must_use]
    pub fn root(&self) -> Root {
        self.tree_hash_root().0
    }
}
