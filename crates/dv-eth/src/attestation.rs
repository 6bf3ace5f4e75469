//! Attestations and their aggregates, before and after Electra.

use serde::{Deserialize, Deserializer, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::typenum::{U64, U2048, U131072};
use ssz_types::{BitList, BitVector};
use tree_hash::TreeHash as _;
use tree_hash_derive::TreeHash;

use crate::Root;
use crate::bytes::{Bytes32, Bytes96};
use crate::codec::{self, CodecError};
use crate::fork::Fork;

/// A point that the chain counts on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Encode, Decode, TreeHash,
)]
pub struct Checkpoint {
    /// The epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub epoch: u64,
    /// The root of its first block.
    pub root: Bytes32,
}

/// What an attestation says.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Encode, Decode, TreeHash,
)]
pub struct AttestationData {
    /// The slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: u64,
    /// The committee; 0 from Electra on.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: u64,
    /// The head.
    pub beacon_block_root: Bytes32,
    /// The justified checkpoint.
    pub source: Checkpoint,
    /// The checkpoint of its epoch.
    pub target: Checkpoint,
}

impl AttestationData {
    /// `hash_tree_root`.
    #[must_use]
    pub fn root(&self) -> Root {
        self.tree_hash_root().0
    }
}

/// An attestation before Electra.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct AttestationPhase0 {
    /// Members of the committee.
    pub aggregation_bits: BitList<U2048>,
    /// What it says.
    pub data: AttestationData,
    /// Theirs.
    pub signature: Bytes96,
}

/// An attestation from Electra on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct AttestationElectra {
    /// Members of the committees, one committee after the other.
    pub aggregation_bits: BitList<U131072>,
    /// What it says.
    pub data: AttestationData,
    /// Theirs.
    pub signature: Bytes96,
    /// The committees.
    pub committee_bits: BitVector<U64>,
}

/// One validator's attestation from Electra on, as validator clients and nodes send it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct SingleAttestation {
    /// The committee.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committee_index: u64,
    /// The validator.
    #[serde(with = "serde_utils::quoted_u64")]
    pub attester_index: u64,
    /// What it says.
    pub data: AttestationData,
    /// The validator's.
    pub signature: Bytes96,
}

/// An attestation of any fork.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Encode)]
#[serde(untagged)]
#[ssz(enum_behaviour = "transparent")]
pub enum Attestation {
    /// Before Electra.
    Phase0(AttestationPhase0),
    /// From Electra on.
    Electra(AttestationElectra),
}

impl Attestation {
    /// Reads SSZ of a fork.
    ///
    /// # Errors
    /// It is none.
    pub fn from_ssz(fork: Fork, bytes: &[u8]) -> Result<Attestation, CodecError> {
        Ok(if fork.has_electra_attestations() {
            Attestation::Electra(codec::read_ssz("attestation", bytes)?)
        } else {
            Attestation::Phase0(codec::read_ssz("attestation", bytes)?)
        })
    }

    /// Reads the JSON of the Beacon API, as it is at a fork.
    ///
    /// # Errors
    /// It is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(fork: Fork, from: D) -> Result<Attestation, D::Error> {
        Ok(if fork.has_electra_attestations() {
            Attestation::Electra(Deserialize::deserialize(from)?)
        } else {
            Attestation::Phase0(Deserialize::deserialize(from)?)
        })
    }

    /// What it says.
    #[must_use]
    pub fn data(&self) -> &AttestationData {
        match self {
            Attestation::Phase0(one) => &one.data,
            Attestation::Electra(one) => &one.data,
        }
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Bytes96 {
        match self {
            Attestation::Phase0(one) => &one.signature,
            Attestation::Electra(one) => &one.signature,
        }
    }

    /// With another signature.
    pub fn set_signature(&mut self, signature: Bytes96) {
        match self {
            Attestation::Phase0(one) => one.signature = signature,
            Attestation::Electra(one) => one.signature = signature,
        }
    }

    /// `hash_tree_root`.
    #[must_use]
    pub fn root(&self) -> Root {
        match self {
            Attestation::Phase0(one) => one.tree_hash_root().0,
            Attestation::Electra(one) => one.tree_hash_root().0,
        }
    }

    /// Its committee: the first one whose bit is set, or what the data say before Electra.
    #[must_use]
    pub fn committee_index(&self) -> u64 {
        match self {
            Attestation::Phase0(one) => one.data.index,
            Attestation::Electra(one) => {
                one.committee_bits.iter().position(|bit| bit).unwrap_or_default() as u64
            }
        }
    }

    /// Whether it has the shape of this fork.
    #[must_use]
    pub fn is_of(&self, fork: Fork) -> bool {
        matches!(self, Attestation::Electra(_)) == fork.has_electra_attestations()
    }
}

/// An aggregate, and why its aggregator may send it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct AggregateAndProof<A: ssz::Encode + ssz::Decode + tree_hash::TreeHash> {
    /// The validator.
    #[serde(with = "serde_utils::quoted_u64")]
    pub aggregator_index: u64,
    /// The attestations.
    pub aggregate: A,
    /// That the validator was selected.
    pub selection_proof: Bytes96,
}

/// An aggregate that its aggregator has signed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct SignedAggregateAndProof<A: ssz::Encode + ssz::Decode + tree_hash::TreeHash> {
    /// The aggregate.
    pub message: AggregateAndProof<A>,
    /// The aggregator's.
    pub signature: Bytes96,
}
