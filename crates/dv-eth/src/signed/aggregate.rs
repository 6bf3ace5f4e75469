//! Signed aggregates of any fork.

use serde::{Deserialize, Deserializer, Serialize};
use ssz::Encode;
use tree_hash::TreeHash as _;

use crate::Root;
use crate::attestation::{
    AggregateAndProof, Attestation, AttestationData, AttestationElectra, AttestationPhase0,
    SignedAggregateAndProof,
};
use crate::bytes::Bytes96;
use crate::codec::{self, CodecError};
use crate::fork::Fork;

/// A signed aggregate of any fork. As JSON it is what the Beacon API has, which does not say the fork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedAggregate {
    /// Before Electra.
    Phase0 {
        /// Its fork.
        fork: Fork,
        /// The aggregate.
        signed: SignedAggregateAndProof<AttestationPhase0>,
    },
    /// From Electra on.
    Electra {
        /// Its fork.
        fork: Fork,
        /// The aggregate.
        signed: SignedAggregateAndProof<AttestationElectra>,
    },
}

/// The same of both.
macro_rules! both {
    ($on:expr, $signed:ident => $what:expr) => {
        match $on {
            SignedAggregate::Phase0 { $signed, .. } => $what,
            SignedAggregate::Electra { $signed, .. } => $what,
        }
    };
}

impl SignedAggregate {
    /// An aggregate with its proof and signature, in the shape of its fork.
    ///
    /// # Errors
    /// The attestation is of another shape.
    pub fn new(
        fork: Fork,
        aggregator_index: u64,
        aggregate: Attestation,
        selection_proof: Bytes96,
    ) -> Result<SignedAggregate, CodecError> {
        let signature = Bytes96::default();
        match (fork.has_electra_attestations(), aggregate) {
            (false, Attestation::Phase0(aggregate)) => {
                let message = AggregateAndProof { aggregator_index, aggregate, selection_proof };
                Ok(SignedAggregate::Phase0 { fork, signed: SignedAggregateAndProof { message, signature } })
            }
            (true, Attestation::Electra(aggregate)) => {
                let message = AggregateAndProof { aggregator_index, aggregate, selection_proof };
                Ok(SignedAggregate::Electra { fork, signed: SignedAggregateAndProof { message, signature } })
            }
            (true, Attestation::Phase0(_)) | (false, Attestation::Electra(_)) => {
                Err(CodecError::Value { what: "aggregate", why: "its shape is not that of its fork" })
            }
        }
    }

    /// Reads SSZ of a fork.
    ///
    /// # Errors
    /// It is none.
    pub fn from_ssz(fork: Fork, bytes: &[u8]) -> Result<SignedAggregate, CodecError> {
        Ok(if fork.has_electra_attestations() {
            SignedAggregate::Electra { fork, signed: codec::read_ssz("signed aggregate", bytes)? }
        } else {
            SignedAggregate::Phase0 { fork, signed: codec::read_ssz("signed aggregate", bytes)? }
        })
    }

    /// Reads the JSON of the Beacon API, as it is at a fork.
    ///
    /// # Errors
    /// It is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(fork: Fork, from: D) -> Result<SignedAggregate, D::Error> {
        Ok(if fork.has_electra_attestations() {
            SignedAggregate::Electra { fork, signed: Deserialize::deserialize(from)? }
        } else {
            SignedAggregate::Phase0 { fork, signed: Deserialize::deserialize(from)? }
        })
    }

    /// Its fork.
    #[must_use]
    pub fn fork(&self) -> Fork {
        match self {
            SignedAggregate::Phase0 { fork, .. } | SignedAggregate::Electra { fork, .. } => *fork,
        }
    }

    /// The validator.
    #[must_use]
    pub fn aggregator_index(&self) -> u64 {
        both!(self, signed => signed.message.aggregator_index)
    }

    /// What the attestations say.
    #[must_use]
    pub fn data(&self) -> &AttestationData {
        both!(self, signed => &signed.message.aggregate.data)
    }

    /// The attestations.
    #[must_use]
    pub fn aggregate(&self) -> Attestation {
        match self {
            SignedAggregate::Phase0 { signed, .. } => Attestation::Phase0(signed.message.aggregate.clone()),
            SignedAggregate::Electra { signed, .. } => Attestation::Electra(signed.message.aggregate.clone()),
        }
    }

    /// That the validator was selected.
    #[must_use]
    pub fn selection_proof(&self) -> &Bytes96 {
        both!(self, signed => &signed.message.selection_proof)
    }

    /// The aggregator's signature.
    #[must_use]
    pub fn signature(&self) -> &Bytes96 {
        both!(self, signed => &signed.signature)
    }

    /// With another signature.
    pub fn set_signature(&mut self, signature: Bytes96) {
        both!(self, signed => signed.signature = signature);
    }

    /// `hash_tree_root` of the aggregate and its proof.
    #[must_use]
    pub fn message_root(&self) -> Root {
        both!(self, signed => signed.message.tree_hash_root().0)
    }
}

impl Serialize for SignedAggregate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        both!(self, signed => signed.serialize(serializer))
    }
}

impl Encode for SignedAggregate {
    fn is_ssz_fixed_len() -> bool {
        false
    }

    fn ssz_bytes_len(&self) -> usize {
        both!(self, signed => signed.ssz_bytes_len())
    }

    fn ssz_append(&self, buf: &mut Vec<u8>) {
        both!(self, signed => signed.ssz_append(buf));
    }
}
