//! One validator's attestation.

use ssz_types::{BitList, BitVector};

use crate::attestation::{Attestation, AttestationElectra, AttestationPhase0, SingleAttestation};
use crate::fork::Fork;

/// An attestation of one validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAttestation {
    /// Its fork.
    pub fork: Fork,
    /// The validator, where it is known.
    pub validator_index: Option<u64>,
    /// The attestation; from Electra on no bit of the aggregation is set, and one of the committees.
    pub attestation: Attestation,
}

/// Why an attestation does not take another shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// `MAX_COMMITTEES_PER_SLOT` of the consensus specifications.
    #[error("committee {0} does not exist: a slot has 64 at most")]
    Committee(u64),
    /// Attestations of single validators came with Electra.
    #[error("attestations of {0} have another shape")]
    Fork(Fork),
    /// The shape has a place for it.
    #[error("the attestation does not say which validator it is of")]
    NoValidator,
}

impl SignedAttestation {
    /// Of what a validator client sends from Electra on. The place in the committee stays open; the committee is kept.
    ///
    /// # Errors
    /// The fork has no such attestations, or the committee cannot be.
    pub fn from_single(fork: Fork, single: &SingleAttestation) -> Result<SignedAttestation, ConversionError> {
        if !fork.has_electra_attestations() {
            return Err(ConversionError::Fork(fork));
        }
        let mut committee_bits = BitVector::new();
        let committee = usize::try_from(single.committee_index).unwrap_or(usize::MAX);
        committee_bits
            .set(committee, true)
            .map_err(|_| ConversionError::Committee(single.committee_index))?;
        let attestation = Attestation::Electra(AttestationElectra {
            aggregation_bits: BitList::with_capacity(0).expect("no bits fit"),
            data: single.data,
            signature: single.signature,
            committee_bits,
        });
        Ok(SignedAttestation { fork, validator_index: Some(single.attester_index), attestation })
    }

    /// What beacon nodes take from Electra on.
    ///
    /// # Errors
    /// It is older, or does not say which validator it is of.
    pub fn to_single(&self) -> Result<SingleAttestation, ConversionError> {
        let Attestation::Electra(one) = &self.attestation else {
            return Err(ConversionError::Fork(self.fork));
        };
        Ok(SingleAttestation {
            committee_index: self.attestation.committee_index(),
            attester_index: self.validator_index.ok_or(ConversionError::NoValidator)?,
            data: one.data,
            signature: one.signature,
        })
    }

    /// Of what a validator client sends before Electra. `validator_index` is the one whose duty has the place in the
    /// committee, where it is known.
    ///
    /// # Errors
    /// The fork has other attestations.
    pub fn from_phase0(
        fork: Fork,
        attestation: AttestationPhase0,
        validator_index: Option<u64>,
    ) -> Result<SignedAttestation, ConversionError> {
        if fork.has_electra_attestations() {
            return Err(ConversionError::Fork(fork));
        }
        Ok(SignedAttestation { fork, validator_index, attestation: Attestation::Phase0(attestation) })
    }

    /// What beacon nodes take before Electra.
    ///
    /// # Errors
    /// It is newer.
    pub fn to_phase0(&self) -> Result<AttestationPhase0, ConversionError> {
        match &self.attestation {
            Attestation::Phase0(one) => Ok(one.clone()),
            Attestation::Electra(_) => Err(ConversionError::Fork(self.fork)),
        }
    }
}
