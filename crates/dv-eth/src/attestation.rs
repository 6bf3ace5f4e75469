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

    /// Members of a committee who say it, by their places; none where it has no votes of this committee. `sizes` are those
    /// of all committees of its slot, by index: votes from Electra on are those of several committees, one after the
    /// other, and only the sizes say where one begins. Where they do not fit, nobody can be told.
    #[must_use]
    pub fn members(&self, committee: u64, sizes: &[u64]) -> Vec<u64> {
        match self {
            Attestation::Phase0(one) if one.data.index == committee => (0..)
                .zip(one.aggregation_bits.iter())
                .filter(|(_, bit)| *bit)
                .map(|(place, _)| place)
                .collect(),
            Attestation::Phase0(_) => Vec::new(),
            Attestation::Electra(one) => {
                let mut begin = 0u64;
                let mut own = 0..0;
                for (index, _) in (0u64..).zip(one.committee_bits.iter()).filter(|(_, bit)| *bit) {
                    let size = usize::try_from(index).ok().and_then(|index| sizes.get(index));
                    let Some(size) = size else { return Vec::new() };
                    let end = begin.saturating_add(*size);
                    if index == committee {
                        own = begin..end;
                    }
                    begin = end;
                }
                if begin != one.aggregation_bits.len() as u64 {
                    return Vec::new();
                }
                let bits = (0u64..).zip(one.aggregation_bits.iter());
                bits.filter(|(at, bit)| *bit && own.contains(at)).map(|(at, _)| at - own.start).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn electra(committees: &[usize], bits: &str) -> Attestation {
        let mut committee_bits = BitVector::new();
        committees.iter().for_each(|index| committee_bits.set(*index, true).expect("one of 64"));
        let mut aggregation_bits = BitList::with_capacity(bits.len()).expect("few");
        for (at, bit) in bits.chars().enumerate() {
            aggregation_bits.set(at, bit == '1').expect("it fits");
        }
        let (data, signature) = (AttestationData::default(), Bytes96::default());
        Attestation::Electra(AttestationElectra { aggregation_bits, data, signature, committee_bits })
    }

    #[track_caller]
    fn check(attestation: &Attestation, sizes: &[u64], expected: &[(u64, &[u64])]) {
        for (committee, members) in expected {
            assert_eq!(attestation.members(*committee, sizes), *members, "committee {committee}");
        }
    }

    #[test]
    fn votes_of_several_committees_are_told_apart_by_their_sizes() {
        let votes = electra(&[1, 3], "10001");
        check(&votes, &[4, 2, 4, 3], &[(0, &[]), (1, &[0]), (2, &[]), (3, &[2]), (64, &[])]);
        check(&electra(&[2], "0110"), &[9, 9, 4], &[(2, &[1, 2])]);
    }

    #[test]
    fn sizes_that_do_not_fit_tell_nobody() {
        let votes = electra(&[1, 3], "10001");
        for sizes in [&[4, 2, 4, 2][..], &[4, 2, 4], &[], &[0, u64::MAX, 0, u64::MAX]] {
            check(&votes, sizes, &[(1, &[]), (3, &[])]);
        }
    }

    #[test]
    fn before_electra_an_attestation_is_of_one_committee() {
        let mut aggregation_bits = BitList::with_capacity(3).expect("few");
        aggregation_bits.set(2, true).expect("it fits");
        let data = AttestationData { index: 5, ..AttestationData::default() };
        let one = AttestationPhase0 { aggregation_bits, data, signature: Bytes96::default() };
        check(&Attestation::Phase0(one), &[], &[(5, &[2]), (0, &[])]);
    }
}
