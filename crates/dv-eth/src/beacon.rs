//! What a node asks its beacon nodes, as data: a [`Call`] each, answered by an [`Answer`] or a [`CallError`].
//!
//! <https://github.com/ethereum/beacon-APIs>. Who asks knows nothing of HTTP; who carries a call out decides nothing.

mod seen;

use serde::{Deserialize, Serialize};

use crate::api::{AttesterDuty, ProposerDuty, SyncDuty};
use crate::attestation::{Attestation, AttestationData, AttestationPhase0, SingleAttestation};
use crate::bytes::{Bytes20, Bytes32, Bytes48, Bytes96};
use crate::operations::{Signed, VoluntaryExit};
use crate::proposal::{Proposal, SignedProposal};
use crate::signed::{SignedAggregate, SignedRegistration};
use crate::sync::{SignedContributionAndProof, SyncCommitteeContribution, SyncCommitteeMessage};

/// One question, or one submission.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// `POST /eth/v1/validator/duties/attester/{epoch}`
    AttesterDuties {
        /// The epoch.
        epoch: u64,
        /// Indices of validators.
        validators: Vec<u64>,
    },
    /// `GET /eth/v1/validator/duties/proposer/{epoch}`
    ProposerDuties {
        /// The epoch.
        epoch: u64,
    },
    /// `POST /eth/v1/validator/duties/sync/{epoch}`
    SyncDuties {
        /// The epoch.
        epoch: u64,
        /// Indices of validators.
        validators: Vec<u64>,
    },
    /// `POST /eth/v1/beacon/states/{state}/validators`
    Validators {
        /// `head`, or a slot.
        state: String,
        /// Their keys.
        keys: Vec<Bytes48>,
    },
    /// `GET /eth/v1/validator/attestation_data`
    AttestationData {
        /// The slot.
        slot: u64,
        /// The committee.
        committee: u64,
    },
    /// `GET /eth/v3/validator/blocks/{slot}`
    Proposal {
        /// The slot.
        slot: u64,
        /// The group's randomness.
        randao: Bytes96,
        /// What the proposer says.
        graffiti: Bytes32,
        /// `builder_boost_factor`: 0 never takes a builder's block, `u64::MAX` always.
        builder_boost: u64,
    },
    /// `GET /eth/v2/validator/aggregate_attestation`
    Aggregate {
        /// The slot.
        slot: u64,
        /// The root of the attestation's data.
        data_root: Bytes32,
        /// The committee.
        committee: u64,
    },
    /// `GET /eth/v1/validator/sync_committee_contribution`
    Contribution {
        /// The slot.
        slot: u64,
        /// The subcommittee.
        subcommittee: u64,
        /// The head that was voted for.
        block_root: Bytes32,
    },
    /// `POST /eth/v2/beacon/pool/attestations` before Electra
    SubmitAttestationsPhase0(Vec<AttestationPhase0>),
    /// `POST /eth/v2/beacon/pool/attestations` from Electra on; the name of the fork goes into the header
    SubmitAttestations {
        /// The fork.
        fork: crate::fork::Fork,
        /// One for each validator.
        attestations: Vec<SingleAttestation>,
    },
    /// `POST /eth/v2/beacon/blocks` or `…/blinded_blocks`
    SubmitProposal(Box<SignedProposal>),
    /// `POST /eth/v2/validator/aggregate_and_proofs`; all of one fork
    SubmitAggregates(Vec<SignedAggregate>),
    /// `POST /eth/v1/beacon/pool/sync_committees`
    SubmitSyncMessages(Vec<SyncCommitteeMessage>),
    /// `POST /eth/v1/validator/contribution_and_proofs`
    SubmitContributions(Vec<SignedContributionAndProof>),
    /// `POST /eth/v1/beacon/pool/voluntary_exits`
    SubmitExit(Signed<VoluntaryExit>),
    /// `POST /eth/v1/validator/register_validator`
    SubmitRegistrations(Vec<SignedRegistration>),
    /// `POST /eth/v1/validator/prepare_beacon_proposer`
    PrepareProposers(Vec<Preparation>),
    /// `GET /eth/v1/node/syncing`
    Syncing,
    /// `GET /eth/v2/beacon/blocks/{slot}`: the block of a slot, with its attestations
    Block {
        /// The slot.
        slot: u64,
    },
    /// The same, all of it but what its blobs need.
    WholeBlock {
        /// The slot.
        slot: u64,
    },
    /// `GET /eth/v1/beacon/states/head/committees`: how large the committees of a slot are
    Committees {
        /// The slot.
        slot: u64,
        /// Its epoch, which is not much older than the head.
        epoch: u64,
    },
}

impl Call {
    /// Its name in metrics.
    #[must_use]
    pub fn endpoint(&self) -> &'static str {
        match self {
            Call::AttesterDuties { .. } => "attester_duties",
            Call::ProposerDuties { .. } => "proposer_duties",
            Call::SyncDuties { .. } => "sync_committee_duties",
            Call::Validators { .. } => "validators",
            Call::AttestationData { .. } => "attestation_data",
            Call::Proposal { .. } => "proposal",
            Call::Aggregate { .. } => "aggregate_attestation",
            Call::Contribution { .. } => "sync_committee_contribution",
            Call::SubmitAttestationsPhase0(_) | Call::SubmitAttestations { .. } => "submit_attestations",
            Call::SubmitProposal(block) if block.is_blinded() => "submit_blinded_proposal",
            Call::SubmitProposal(_) => "submit_proposal",
            Call::SubmitAggregates(_) => "submit_aggregate_attestations",
            Call::SubmitSyncMessages(_) => "submit_sync_committee_messages",
            Call::SubmitContributions(_) => "submit_sync_committee_contributions",
            Call::SubmitExit(_) => "submit_voluntary_exit",
            Call::SubmitRegistrations(_) => "submit_validator_registrations",
            Call::PrepareProposers(_) => "submit_proposal_preparations",
            Call::Syncing => "node_syncing",
            Call::Block { .. } | Call::WholeBlock { .. } => "signed_beacon_block",
            Call::Committees { .. } => "beacon_committees",
        }
    }
}

/// Whom a validator's blocks pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparation {
    /// The validator.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: u64,
    /// Whom.
    pub fee_recipient: Bytes20,
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Of [`Call::AttesterDuties`].
    AttesterDuties(Duties<AttesterDuty>),
    /// Of [`Call::ProposerDuties`].
    ProposerDuties(Duties<ProposerDuty>),
    /// Of [`Call::SyncDuties`].
    SyncDuties(Vec<SyncDuty>),
    /// Of [`Call::Validators`].
    Validators(Vec<Validator>),
    /// Of [`Call::AttestationData`].
    AttestationData(AttestationData),
    /// Of [`Call::Proposal`].
    Proposal(Box<Proposal>),
    /// Of [`Call::Aggregate`].
    Aggregate(Box<Attestation>),
    /// Of [`Call::Contribution`].
    Contribution(SyncCommitteeContribution),
    /// Of [`Call::Syncing`].
    Syncing(Syncing),
    /// Of [`Call::Block`]; none where the slot has no block, as a node says whose head is of a later slot.
    Block(Option<SeenBlock>),
    /// Of [`Call::WholeBlock`], without its signature; none where the slot has no block.
    WholeBlock(Option<Box<Proposal>>),
    /// Of [`Call::Committees`]: how many members each has, by index.
    Committees(Vec<u64>),
    /// Of what was submitted.
    Done,
}

/// Duties, and what they hang on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Duties<D> {
    /// The block after which other duties would come out.
    pub dependent_root: Bytes32,
    /// The duties.
    pub duties: Vec<D>,
}

/// How far a beacon node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syncing {
    /// Its head.
    #[serde(with = "serde_utils::quoted_u64")]
    pub head_slot: u64,
    /// Slots that it lacks.
    #[serde(with = "serde_utils::quoted_u64")]
    pub sync_distance: u64,
    /// Whether it is still reading the chain.
    pub is_syncing: bool,
}

/// A validator as the chain has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// Its index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: u64,
    /// In Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub balance: u64,
    /// Like `active_ongoing`.
    pub status: String,
    /// The rest.
    pub validator: ValidatorFields,
}

/// `Validator` of the consensus specifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorFields {
    /// Its key.
    pub pubkey: Bytes48,
    /// Who can withdraw.
    pub withdrawal_credentials: Bytes32,
    /// In Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub effective_balance: u64,
    /// Whether it was slashed.
    pub slashed: bool,
    /// From when on it could be activated.
    #[serde(with = "serde_utils::quoted_u64")]
    pub activation_eligibility_epoch: u64,
    /// From when on it is active.
    #[serde(with = "serde_utils::quoted_u64")]
    pub activation_epoch: u64,
    /// From when on it is no more.
    #[serde(with = "serde_utils::quoted_u64")]
    pub exit_epoch: u64,
    /// From when on it can withdraw.
    #[serde(with = "serde_utils::quoted_u64")]
    pub withdrawable_epoch: u64,
}

impl Validator {
    /// Whether it has duties at an epoch.
    #[must_use]
    pub fn is_active_at(&self, epoch: u64) -> bool {
        self.validator.activation_epoch <= epoch && epoch < self.validator.exit_epoch
    }
}

/// A block of the chain, as far as a node looks at it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenBlock {
    /// Its slot.
    pub slot: u64,
    /// Who proposed it.
    pub proposer_index: u64,
    /// Its root.
    pub root: Bytes32,
    /// Its attestations.
    pub attestations: Vec<Attestation>,
}

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No beacon node was reached, or it did not answer in time; trying again may help.
    Network,
    /// It answers, and says that it cannot yet: it syncs, the slot is in the future, there is nothing yet.
    NotYet,
    /// It refused.
    Refused,
    /// What it answered is not what was asked for.
    Malformed,
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{endpoint}: {message}")]
pub struct CallError {
    /// What was asked.
    pub endpoint: &'static str,
    /// Which kind.
    pub failure: Failure,
    /// Which beacon node, and what it said; no secrets.
    pub message: String,
}

/// What beacon nodes tell unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainEvent {
    /// A new head.
    Head {
        /// Its slot.
        slot: u64,
        /// Its root.
        block: Bytes32,
    },
    /// The chain took another branch.
    Reorg {
        /// The new head.
        slot: u64,
        /// Slots that were given up.
        depth: u64,
    },
}
