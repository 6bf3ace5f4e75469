//! What validators sign.

use crate::Root;
use crate::api::{BeaconCommitteeSelection, SyncCommitteeSelection};
use crate::attestation::{Attestation, AttestationElectra, AttestationPhase0, SignedAggregateAndProof};
use crate::bytes::Bytes96;
use crate::fork::Fork;
use crate::operations::{Signed, VoluntaryExit};
use crate::proposal::SignedProposal;
use crate::sync::{SignedContributionAndProof, SyncCommitteeMessage};

pub use coxswain_dv_types::registration::SignedRegistration;

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

/// A signed aggregate of any fork.
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

/// The randomness of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignedRandao {
    /// The epoch.
    pub epoch: u64,
    /// Over the epoch.
    pub signature: Bytes96,
}

/// Something that a validator, or a share of it, has signed.
#[derive(Debug, Clone, PartialEq)]
pub enum SignedData {
    /// A block.
    Proposer(Box<SignedProposal>),
    /// An attestation.
    Attester(Box<SignedAttestation>),
    /// A signature of a ceremony.
    Signature(Bytes96),
    /// An exit.
    Exit(Signed<VoluntaryExit>),
    /// A registration with builders.
    BuilderRegistration(SignedRegistration),
    /// Randomness.
    Randao(SignedRandao),
    /// A selection for a committee.
    PrepareAggregator(BeaconCommitteeSelection),
    /// An aggregate.
    Aggregator(Box<SignedAggregate>),
    /// A vote of a sync committee.
    SyncMessage(SyncCommitteeMessage),
    /// A selection for a sync committee.
    PrepareSyncContribution(SyncCommitteeSelection),
    /// A contribution.
    SyncContribution(Box<SignedContributionAndProof>),
}

/// A partial signature: whose share has signed what.
#[derive(Debug, Clone, PartialEq)]
pub struct ParSigned {
    /// What.
    pub data: SignedData,
    /// The index of the share, from 1.
    pub share_index: u32,
}

/// Roots of messages that are put together with a proof.
pub type MessageRoot = Root;
