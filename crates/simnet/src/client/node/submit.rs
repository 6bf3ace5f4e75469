//! What is submitted.

use coxswain_dv_eth::api::{AttesterDuty, SyncDuty};
use coxswain_dv_eth::attestation::{AttestationPhase0, SingleAttestation};
use coxswain_dv_eth::beacon::Preparation;
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::operations::{Signed, VoluntaryExit};
use coxswain_dv_eth::proposal::SignedProposal;
use coxswain_dv_eth::signed::{SignedAggregate, SignedRegistration};
use coxswain_dv_eth::sync::{SignedContributionAndProof, SyncCommitteeMessage};
use serde::Serialize;

use super::super::habits::{Batch, Form};
use super::super::http::{Body, HttpError, Request};
use super::{Node, json};

/// Attestations of one fork.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Attestations {
    /// Before Electra.
    Phase0(Vec<AttestationPhase0>),
    /// From Electra on.
    Single(Vec<SingleAttestation>),
}

#[derive(Serialize)]
struct CommitteeSubscription {
    validator_index: String,
    committee_index: String,
    committees_at_slot: String,
    slot: String,
    is_aggregator: bool,
}

#[derive(Serialize)]
struct SyncSubscription {
    validator_index: String,
    sync_committee_indices: Vec<String>,
    until_epoch: String,
}

impl Node {
    async fn submit(&self, path: &str, version: Option<Fork>, body: Vec<u8>) -> Result<(), HttpError> {
        let request = Request { version: version.map(Fork::name), ..self.post(path, body) };
        self.http.send(&request).await.map(drop)
    }

    /// Attestations of one fork.
    pub(crate) async fn submit_attestations(
        &self,
        fork: Fork,
        attestations: &Attestations,
    ) -> Result<(), HttpError> {
        self.submit("/eth/v2/beacon/pool/attestations", Some(fork), json(attestations)).await
    }

    /// A block, as SSZ or JSON by habit; JSON where SSZ is refused.
    pub(crate) async fn submit_block(&self, block: &SignedProposal) -> Result<(), HttpError> {
        let (path, form) = if block.is_blinded() {
            ("/eth/v2/beacon/blinded_blocks", self.habits.blinded_form)
        } else {
            ("/eth/v2/beacon/blocks", self.habits.block_form)
        };
        let fork = Some(block.fork().name());
        let with = |body| self.slowly(Request { version: fork, body, ..self.post(path, Vec::new()) });
        if form == Form::Ssz {
            match self.http.send(&with(Body::Ssz(block.to_ssz()))).await {
                Err(error) if error.is_wrong_form() => {}
                result => return result.map(drop),
            }
        }
        self.http.send(&with(Body::Json(block.to_json()))).await.map(drop)
    }

    /// Aggregates of one fork.
    pub(crate) async fn submit_aggregates(
        &self,
        fork: Fork,
        aggregates: &[SignedAggregate],
    ) -> Result<(), HttpError> {
        self.submit("/eth/v2/validator/aggregate_and_proofs", Some(fork), json(aggregates)).await
    }

    /// Votes of the sync committee.
    pub(crate) async fn submit_votes(&self, votes: &[SyncCommitteeMessage]) -> Result<(), HttpError> {
        self.submit("/eth/v1/beacon/pool/sync_committees", None, json(votes)).await
    }

    /// Contributions.
    pub(crate) async fn submit_contributions(
        &self,
        contributions: &[SignedContributionAndProof],
    ) -> Result<(), HttpError> {
        self.submit("/eth/v1/validator/contribution_and_proofs", None, json(contributions)).await
    }

    /// An exit.
    pub(crate) async fn submit_exit(&self, exit: &Signed<VoluntaryExit>) -> Result<(), HttpError> {
        self.submit("/eth/v1/beacon/pool/voluntary_exits", None, json(exit)).await
    }

    /// Registrations with builders.
    pub(crate) async fn submit_registrations(
        &self,
        registrations: &[SignedRegistration],
    ) -> Result<(), HttpError> {
        let mut body = vec![b'['];
        for registration in registrations {
            body.extend(registration.to_json().into_bytes());
            body.push(b',');
        }
        close(&mut body);
        self.submit("/eth/v1/validator/register_validator", None, body).await
    }

    /// Whom blocks pay.
    pub(crate) async fn prepare(&self, preparations: &[Preparation]) -> Result<(), HttpError> {
        self.submit("/eth/v1/validator/prepare_beacon_proposer", None, json(preparations)).await
    }

    /// Committees that the node should listen to.
    pub(crate) async fn subscribe(&self, duties: &[(AttesterDuty, bool)]) -> Result<(), HttpError> {
        let rows: Vec<CommitteeSubscription> = duties
            .iter()
            .map(|(duty, is_aggregator)| CommitteeSubscription {
                validator_index: duty.validator_index.to_string(),
                committee_index: duty.committee_index.to_string(),
                committees_at_slot: duty.committees_at_slot.to_string(),
                slot: duty.slot.to_string(),
                is_aggregator: *is_aggregator,
            })
            .collect();
        self.submit("/eth/v1/validator/beacon_committee_subscriptions", None, json(&rows)).await
    }

    /// The same for the sync committee.
    pub(crate) async fn subscribe_members(&self, duties: &[SyncDuty], until: u64) -> Result<(), HttpError> {
        let rows: Vec<SyncSubscription> = duties
            .iter()
            .map(|duty| SyncSubscription {
                validator_index: duty.validator_index.to_string(),
                sync_committee_indices: duty
                    .validator_sync_committee_indices
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                until_epoch: until.to_string(),
            })
            .collect();
        self.submit("/eth/v1/validator/sync_committee_subscriptions", None, json(&rows)).await
    }
}

/// Ends a list whose items all have a comma behind them.
fn close(body: &mut Vec<u8>) {
    body.pop_if(|last| *last == b',');
    body.push(b']');
}

/// Items that share a request.
pub(crate) fn batches<T>(items: &[T], batch: Batch) -> std::slice::Chunks<'_, T> {
    match batch {
        Batch::All => items.chunks(items.len().max(1)),
        Batch::Each => items.chunks(1),
    }
}
