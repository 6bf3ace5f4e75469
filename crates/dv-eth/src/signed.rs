//! What validators sign.
//!
//! ```text
//! attestation   one validator's attestation: made of what validator clients send, turned into what beacon nodes take
//! aggregate     signed aggregates of any fork
//! encoding      what goes over the wire between nodes
//! ```
//!
//! # What must never happen
//!
//! - Data of one slot counts for a duty of another: see [`Binding`].

mod aggregate;
mod attestation;
mod encoding;

use tree_hash::TreeHash as _;

use crate::Root;
use crate::api::{BeaconCommitteeSelection, SyncCommitteeSelection};
use crate::bytes::Bytes96;
use crate::domain::{self, Signable};
use crate::duty::{Duty, DutyType};
use crate::operations::{Signed, VoluntaryExit};
use crate::proposal::SignedProposal;
use crate::sync::{SignedContributionAndProof, SyncAggregatorSelectionData, SyncCommitteeMessage};
use crate::time::Clock;

pub use aggregate::SignedAggregate;
pub use attestation::{ConversionError, SignedAttestation};
pub use coxswain_dv_types::registration::SignedRegistration;

/// The randomness of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct SignedRandao {
    /// The epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub epoch: u64,
    /// Over the epoch.
    pub signature: Bytes96,
}

/// Something that a validator, or a share of it, has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// Which slots a duty may have whose data was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binding {
    /// This one.
    Slot(u64),
    /// Any of this epoch.
    Epoch(u64),
    /// Any.
    Free,
}

impl Binding {
    /// Whether a duty has such a slot.
    #[must_use]
    pub fn holds(self, duty: &Duty, clock: &Clock) -> bool {
        match self {
            Binding::Slot(slot) => duty.slot == slot,
            Binding::Epoch(epoch) => clock.epoch_of(duty.slot) == epoch,
            Binding::Free => true,
        }
    }
}

impl SignedData {
    /// Of which duties it is.
    #[must_use]
    pub fn kind(&self) -> DutyType {
        match self {
            SignedData::Proposer(_) => DutyType::Proposer,
            SignedData::Attester(_) => DutyType::Attester,
            SignedData::Signature(_) => DutyType::Signature,
            SignedData::Exit(_) => DutyType::Exit,
            SignedData::BuilderRegistration(_) => DutyType::BuilderRegistration,
            SignedData::Randao(_) => DutyType::Randao,
            SignedData::PrepareAggregator(_) => DutyType::PrepareAggregator,
            SignedData::Aggregator(_) => DutyType::Aggregator,
            SignedData::SyncMessage(_) => DutyType::SyncMessage,
            SignedData::PrepareSyncContribution(_) => DutyType::PrepareSyncContribution,
            SignedData::SyncContribution(_) => DutyType::SyncContribution,
        }
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> Bytes96 {
        match self {
            SignedData::Proposer(signed) => *signed.signature(),
            SignedData::Attester(signed) => *signed.attestation.signature(),
            SignedData::Signature(signature) => *signature,
            SignedData::Exit(signed) => signed.signature,
            SignedData::BuilderRegistration(signed) => signed.signature.into(),
            SignedData::Randao(signed) => signed.signature,
            SignedData::PrepareAggregator(signed) => signed.selection_proof,
            SignedData::Aggregator(signed) => *signed.signature(),
            SignedData::SyncMessage(signed) => signed.signature,
            SignedData::PrepareSyncContribution(signed) => signed.selection_proof,
            SignedData::SyncContribution(signed) => signed.signature,
        }
    }

    /// With another signature: the group's, where enough shares have signed.
    pub fn set_signature(&mut self, signature: Bytes96) {
        match self {
            SignedData::Proposer(signed) => signed.set_signature(signature),
            SignedData::Attester(signed) => signed.attestation.set_signature(signature),
            SignedData::Signature(own) => *own = signature,
            SignedData::Exit(signed) => signed.signature = signature,
            SignedData::BuilderRegistration(signed) => signed.signature = signature.0,
            SignedData::Randao(signed) => signed.signature = signature,
            SignedData::PrepareAggregator(signed) => signed.selection_proof = signature,
            SignedData::Aggregator(signed) => signed.set_signature(signature),
            SignedData::SyncMessage(signed) => signed.signature = signature,
            SignedData::PrepareSyncContribution(signed) => signed.selection_proof = signature,
            SignedData::SyncContribution(signed) => signed.signature = signature,
        }
    }

    /// The root of what was signed, without a domain: partial signatures of one root belong together. Signatures of
    /// ceremonies do not say what they are of.
    #[must_use]
    pub fn message_root(&self) -> Option<Root> {
        Some(match self {
            SignedData::Signature(_) => return None,
            SignedData::Proposer(signed) => signed.root(),
            SignedData::Attester(signed) => signed.attestation.data().root(),
            SignedData::Exit(signed) => signed.message.tree_hash_root().0,
            SignedData::BuilderRegistration(signed) => signed.message.root(),
            SignedData::Randao(signed) => signed.epoch.tree_hash_root().0,
            SignedData::PrepareAggregator(signed) => signed.slot.tree_hash_root().0,
            SignedData::Aggregator(signed) => signed.message_root(),
            SignedData::SyncMessage(signed) => signed.beacon_block_root.0,
            SignedData::PrepareSyncContribution(signed) => {
                let (slot, subcommittee_index) = (signed.slot, signed.subcommittee_index);
                SyncAggregatorSelectionData { slot, subcommittee_index }.root()
            }
            SignedData::SyncContribution(signed) => signed.message.tree_hash_root().0,
        })
    }

    /// What a signature of it must be of; none for signatures of ceremonies.
    #[must_use]
    pub fn signable(&self, clock: &Clock) -> Option<Signable> {
        let root = self.message_root()?;
        let (domain, epoch) = match self {
            SignedData::Signature(_) => return None,
            SignedData::Proposer(signed) => (domain::PROPOSER, clock.epoch_of(signed.slot())),
            SignedData::Attester(signed) => (domain::ATTESTER, signed.attestation.data().target.epoch),
            SignedData::Exit(signed) => (domain::EXIT, signed.message.epoch),
            SignedData::BuilderRegistration(_) => (domain::BUILDER, 0),
            SignedData::Randao(signed) => (domain::RANDAO, signed.epoch),
            SignedData::PrepareAggregator(signed) => (domain::SELECTION, clock.epoch_of(signed.slot)),
            SignedData::Aggregator(signed) => {
                (domain::AGGREGATE_AND_PROOF, clock.epoch_of(signed.data().slot))
            }
            SignedData::SyncMessage(signed) => (domain::SYNC_COMMITTEE, clock.epoch_of(signed.slot)),
            SignedData::PrepareSyncContribution(signed) => {
                (domain::SYNC_SELECTION, clock.epoch_of(signed.slot))
            }
            SignedData::SyncContribution(signed) => {
                (domain::CONTRIBUTION, clock.epoch_of(signed.message.contribution.slot))
            }
        };
        Some(Signable { root, domain, epoch })
    }

    /// Which slots its duty may have.
    #[must_use]
    pub fn binding(&self, clock: &Clock) -> Binding {
        match self {
            SignedData::Proposer(signed) => Binding::Slot(signed.slot()),
            SignedData::Attester(signed) => Binding::Slot(signed.attestation.data().slot),
            // Exits have no slot: nodes name their duty after the first one of the exit's epoch.
            SignedData::Exit(signed) => Binding::Slot(clock.first_of(signed.message.epoch)),
            SignedData::Randao(signed) => Binding::Epoch(signed.epoch),
            SignedData::PrepareAggregator(signed) => Binding::Slot(signed.slot),
            SignedData::Aggregator(signed) => Binding::Slot(signed.data().slot),
            SignedData::SyncMessage(signed) => Binding::Slot(signed.slot),
            SignedData::PrepareSyncContribution(signed) => Binding::Slot(signed.slot),
            SignedData::SyncContribution(signed) => Binding::Slot(signed.message.contribution.slot),
            SignedData::Signature(_) | SignedData::BuilderRegistration(_) => Binding::Free,
        }
    }

    /// Whether it is data of this duty: type and slot fit.
    #[must_use]
    pub fn fits(&self, duty: &Duty, clock: &Clock) -> bool {
        self.kind() == duty.kind && self.binding(clock).holds(duty, clock)
    }

    /// The subcommittee, which tells several of one validator apart; 0 where there is none.
    #[must_use]
    pub fn subcommittee(&self) -> u64 {
        match self {
            SignedData::PrepareSyncContribution(signed) => signed.subcommittee_index,
            SignedData::SyncContribution(signed) => signed.message.contribution.subcommittee_index,
            SignedData::Proposer(_)
            | SignedData::Attester(_)
            | SignedData::Signature(_)
            | SignedData::Exit(_)
            | SignedData::BuilderRegistration(_)
            | SignedData::Randao(_)
            | SignedData::PrepareAggregator(_)
            | SignedData::Aggregator(_)
            | SignedData::SyncMessage(_) => 0,
        }
    }
}
