//! The sync committee: votes, selections, contributions.

use coxswain_dv_eth::api::{SyncCommitteeSelection, SyncDuty};
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::selection::subcommittees;
use coxswain_dv_eth::sync::{
    ContributionAndProof, SignedContributionAndProof, SyncCommitteeContribution, SyncCommitteeMessage,
};
use futures::stream::{self, StreamExt as _};

use super::super::habits::Batch;
use super::super::http::HttpError;
use super::super::node::batches;
use super::super::plan::{Chore, Contributor, Event};
use super::super::report::Tally;
use super::super::sign;
use super::attest::returned;
use super::{Mode, Outcome, SELECTIONS_AT_ONCE, WorkError, Worker};

impl Worker {
    /// Votes for the head, each member for itself.
    pub(super) async fn vote(&self, slot: u64, duties: &[SyncDuty]) -> Outcome {
        let mut tally = Tally::of("sync_message");
        let ask = || self.node.head();
        let mut head = self.persist(self.end_of(slot), HttpError::may_come, ask).await;
        let mut votes = Vec::new();
        for (position, duty) in duties.iter().enumerate() {
            if position > 0 && self.node.habits().head == Batch::Each && head.is_ok() {
                head = self.node.head().await;
            }
            let root = match &head {
                Ok(root) => *root,
                Err(error) => {
                    tally.count(1, Err::<(), _>(error));
                    continue;
                }
            };
            let signature = self.sign(&duty.pubkey, &sign::vote(&self.chain, slot, root));
            if let Some(signature) = tally.only_failure(signature) {
                votes.push(SyncCommitteeMessage {
                    slot,
                    beacon_block_root: root.into(),
                    validator_index: duty.validator_index,
                    signature,
                });
            }
        }
        for some in batches(&votes, self.node.habits().sync) {
            let submit = || self.node.submit_votes(some);
            tally.count(some.len(), self.persist(self.end_of(slot), HttpError::is_passing, submit).await);
        }
        let event = votes.last().map(|vote| Event::Voted { slot, head: vote.beacon_block_root });
        Outcome { event, tally }
    }

    /// Selections of the members of a slot.
    pub(super) async fn select_members(&self, slot: u64, duties: &[SyncDuty]) -> Outcome {
        let mut tally = Tally::of("prepare_sync_contribution");
        let mut own = Vec::new();
        for duty in duties {
            for subcommittee_index in subcommittees(&duty.validator_sync_committee_indices) {
                let what = sign::sync_selection(&self.chain, slot, subcommittee_index);
                if let Some(selection_proof) = tally.only_failure(self.sign(&duty.pubkey, &what)) {
                    let validator_index = duty.validator_index;
                    own.push(SyncCommitteeSelection {
                        validator_index,
                        slot,
                        subcommittee_index,
                        selection_proof,
                    });
                }
            }
        }
        let mut proofs = Vec::new();
        match self.mode {
            Mode::Whole => {
                tally.count(own.len(), Ok::<_, HttpError>(()));
                proofs = own;
            }
            Mode::Distributed => {
                // Futures of a named function: of closures it is not known that they can be sent.
                let mut calls = Vec::new();
                for some in batches(&own, self.node.habits().sync) {
                    calls.push(self.members_made_whole(some));
                }
                let answers: Vec<_> = stream::iter(calls).buffered(SELECTIONS_AT_ONCE).collect().await;
                for (asked, answer) in answers {
                    let of = |one: &SyncCommitteeSelection| {
                        (one.validator_index, one.slot, one.subcommittee_index)
                    };
                    proofs.extend(returned(&mut tally, asked, answer, of));
                }
            }
        }
        let event = if proofs.is_empty() {
            Event::Failed(Chore::SelectMembers(slot))
        } else {
            Event::MembersSelected { slot, proofs }
        };
        Outcome { event: Some(event), tally }
    }

    async fn members_made_whole<'p>(
        &self,
        partial: &'p [SyncCommitteeSelection],
    ) -> (&'p [SyncCommitteeSelection], Result<Vec<SyncCommitteeSelection>, HttpError>) {
        (partial, self.node.sync_selections(partial).await)
    }

    /// Sends contributions of the subcommittees whose aggregators are here.
    pub(super) async fn contribute(&self, slot: u64, head: &Bytes32, by: &[Contributor]) -> Outcome {
        let mut tally = Tally::of("sync_contribution");
        let mut signed = Vec::new();
        for one in by {
            let ask = || self.node.contribution(slot, one.subcommittee, head);
            let answer = self.persist(self.end_of(slot), HttpError::may_come, ask).await;
            let signature = answer
                .map_err(WorkError::from)
                .and_then(|contribution| self.sign_contribution(slot, head, one, contribution));
            signed.extend(tally.only_failure(signature));
        }
        for some in batches(&signed, self.node.habits().sync) {
            let submit = || self.node.submit_contributions(some);
            tally.count(some.len(), self.persist(self.end_of(slot), HttpError::is_passing, submit).await);
        }
        Outcome { event: None, tally }
    }

    fn sign_contribution(
        &self,
        slot: u64,
        head: &Bytes32,
        by: &Contributor,
        contribution: SyncCommitteeContribution,
    ) -> Result<SignedContributionAndProof, WorkError> {
        let is_asked = contribution.slot == slot
            && contribution.beacon_block_root == *head
            && contribution.subcommittee_index == by.subcommittee;
        if !is_asked {
            return Err(WorkError::Unfit("the contribution is not the one that was asked for".to_owned()));
        }
        let message =
            ContributionAndProof { aggregator_index: by.validator, contribution, selection_proof: by.proof };
        let signature = self.sign(&by.key, &sign::contribution(&self.chain, &message))?;
        Ok(SignedContributionAndProof { message, signature })
    }
}
