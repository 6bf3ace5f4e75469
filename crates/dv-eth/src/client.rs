//! What validator clients ask the node, as data: a [`Request`] each, answered by an [`Answer`] or a [`Problem`].
//!
//! <https://github.com/ethereum/beacon-APIs>. Keys and signatures in requests are those of this node's shares.

use crate::api::{AttesterDuty, BeaconCommitteeSelection, ProposerDuty, SyncCommitteeSelection, SyncDuty};
use crate::attestation::{Attestation, AttestationData};
use crate::beacon::{Duties, Validator};
use crate::bytes::{Bytes32, Bytes48, Bytes96};
use crate::fork::Fork;
use crate::operations::{Signed, VoluntaryExit};
use crate::proposal::{Proposal, SignedProposal};
use crate::signed::{SignedAggregate, SignedAttestation};
use crate::sync::{SignedContributionAndProof, SyncCommitteeContribution, SyncCommitteeMessage};

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// `POST /eth/v1/validator/duties/attester/{epoch}`
    AttesterDuties {
        /// The epoch.
        epoch: u64,
        /// Indices of validators.
        validators: Vec<u64>,
    },
    /// `GET /eth/v1/validator/duties/proposer/{epoch}`, and `/eth/v2/…`
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
    /// `GET` and `POST /eth/v1/beacon/states/{state}/validators`, and `…/{id}`
    Validators {
        /// `head`, a slot, …
        state: String,
        /// Which; all of the chain where it is empty.
        ids: Vec<ValidatorId>,
    },
    /// `GET /eth/v1/validator/attestation_data`
    AttestationData {
        /// The slot.
        slot: u64,
        /// The committee.
        committee: u64,
    },
    /// `POST /eth/v2/beacon/pool/attestations`, with the validator's index from Electra on.
    SubmitAttestations(Vec<SignedAttestation>),
    /// `GET /eth/v3/validator/blocks/{slot}`
    Proposal {
        /// The slot.
        slot: u64,
        /// The share's randomness.
        randao: Bytes96,
    },
    /// `POST /eth/v2/beacon/blocks` and `…/blinded_blocks`, and `/eth/v1/…`
    SubmitProposal(Box<SignedProposal>),
    /// `POST /eth/v1/validator/beacon_committee_selections`
    Selections(Vec<BeaconCommitteeSelection>),
    /// `POST /eth/v1/validator/sync_committee_selections`
    SyncSelections(Vec<SyncCommitteeSelection>),
    /// `GET /eth/v2/validator/aggregate_attestation`
    Aggregate {
        /// The slot.
        slot: u64,
        /// The root of the attestation's data.
        data_root: Bytes32,
        /// The committee.
        committee: u64,
    },
    /// `POST /eth/v2/validator/aggregate_and_proofs`
    SubmitAggregates(Vec<SignedAggregate>),
    /// `POST /eth/v1/beacon/pool/sync_committees`
    SubmitSyncMessages(Vec<SyncCommitteeMessage>),
    /// `GET /eth/v1/validator/sync_committee_contribution`
    Contribution {
        /// The slot.
        slot: u64,
        /// The subcommittee.
        subcommittee: u64,
        /// The head that was voted for.
        block_root: Bytes32,
    },
    /// `POST /eth/v1/validator/contribution_and_proofs`
    SubmitContributions(Vec<SignedContributionAndProof>),
    /// `POST /eth/v1/beacon/pool/voluntary_exits`
    SubmitExit(Signed<VoluntaryExit>),
}

/// How a request names a validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValidatorId {
    /// By index.
    Index(u64),
    /// By key: that of this node's share, or of a validator of others.
    Key(Bytes48),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Of [`Request::AttesterDuties`]: keys of shares.
    AttesterDuties(Duties<AttesterDuty>),
    /// Of [`Request::ProposerDuties`]: keys of shares where they are of the cluster.
    ProposerDuties(Duties<ProposerDuty>),
    /// Of [`Request::SyncDuties`]: keys of shares.
    SyncDuties(Vec<SyncDuty>),
    /// Of [`Request::Validators`]: keys of shares where they are of the cluster.
    Validators(Vec<Validator>),
    /// Of [`Request::AttestationData`]: what was agreed on.
    AttestationData(AttestationData),
    /// Of [`Request::Proposal`]: what was agreed on.
    Proposal(Box<Proposal>),
    /// Of [`Request::Selections`]: the group's proofs.
    Selections(Vec<BeaconCommitteeSelection>),
    /// Of [`Request::SyncSelections`]: the group's proofs, in the order of the request.
    SyncSelections(Vec<SyncCommitteeSelection>),
    /// Of [`Request::Aggregate`]: what was agreed on.
    Aggregate {
        /// Its fork.
        fork: Fork,
        /// The aggregate.
        attestation: Box<Attestation>,
    },
    /// Of [`Request::Contribution`]: what was agreed on.
    Contribution(SyncCommitteeContribution),
    /// Of what was submitted.
    Done,
}

/// Why a request is refused: what goes into the HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, and what to do.
    pub message: String,
    /// Of requests with several items: which ones, and why.
    pub failures: Vec<(usize, String)>,
}

impl Problem {
    /// A problem of the whole request.
    pub fn new(status: u16, message: impl Into<String>) -> Problem {
        Problem { status, message: message.into(), failures: Vec::new() }
    }
}

/// A key of the cluster: the group's, and this node's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPair {
    /// The group's, which the chain knows.
    pub group: Bytes48,
    /// This node's, which its validator client knows.
    pub share: Bytes48,
}
