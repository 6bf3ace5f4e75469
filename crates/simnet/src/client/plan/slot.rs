//! What is known of one slot, and who can aggregate in it.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_eth::api::{AttesterDuty, ProposerDuty, SyncDuty};
use coxswain_dv_eth::bytes::{Bytes32, Bytes96};
use coxswain_dv_eth::duty::DutyType;
use coxswain_dv_eth::selection::{is_aggregator, is_sync_aggregator};

use super::{Aggregator, Contributor, Why};

/// What is known of a slot, and was begun in it.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) begun: BTreeSet<DutyType>,
    pub(super) has_head: bool,
    pub(super) proofs: BTreeMap<u64, Bytes96>,
    pub(super) member_proofs: BTreeMap<(u64, u64), Bytes96>,
    pub(super) members_selected: bool,
    pub(super) roots: Option<BTreeMap<u64, Bytes32>>,
    pub(super) head: Option<Bytes32>,
}

impl Slot {
    /// Who aggregates, as far as it is known what was attested.
    pub(super) fn aggregators(&self, attesters: &[AttesterDuty]) -> Vec<Aggregator> {
        let Some(roots) = &self.roots else { return Vec::new() };
        attesters
            .iter()
            .filter_map(|duty| {
                let proof = *self.proofs.get(&duty.validator_index)?;
                let data_root = *roots.get(&duty.committee_index)?;
                is_aggregator(duty.committee_length, &proof).then_some(Aggregator {
                    duty: *duty,
                    proof,
                    data_root,
                })
            })
            .collect()
    }

    /// Who contributes.
    pub(super) fn contributors(&self, members: &[SyncDuty]) -> Vec<Contributor> {
        let key = |validator: u64| members.iter().find(|m| m.validator_index == validator).map(|m| m.pubkey);
        self.member_proofs
            .iter()
            .filter(|(_, proof)| is_sync_aggregator(proof))
            .filter_map(|((validator, subcommittee), proof)| {
                Some(Contributor {
                    key: key(*validator)?,
                    validator: *validator,
                    subcommittee: *subcommittee,
                    proof: *proof,
                })
            })
            .collect()
    }

    /// What was not begun: of how many, and why.
    pub(super) fn open(
        &self,
        proposer: Option<ProposerDuty>,
        attesters: &[AttesterDuty],
        members: &[SyncDuty],
    ) -> Vec<(DutyType, usize, Why)> {
        let proof = |duty: &AttesterDuty| self.proofs.get(&duty.validator_index);
        let wins = |duty: &&AttesterDuty| {
            proof(duty).is_some_and(|proof| is_aggregator(duty.committee_length, proof))
        };
        let sync_wins = self.member_proofs.values().filter(|proof| is_sync_aggregator(proof)).count();
        let sync_unselected = if self.members_selected { 0 } else { members.len() };
        let unselected = attesters.iter().filter(|duty| proof(duty).is_none()).count();
        let rows = [
            (DutyType::Proposer, usize::from(proposer.is_some()), Why::Late),
            (DutyType::Attester, attesters.len(), Why::Late),
            (DutyType::Aggregator, unselected, Why::NotSelected),
            (DutyType::Aggregator, attesters.iter().filter(wins).count(), Why::NothingToAggregate),
            (DutyType::SyncMessage, members.len(), Why::Late),
            (DutyType::SyncContribution, sync_unselected, Why::NotSelected),
            (DutyType::SyncContribution, sync_wins, Why::NothingToAggregate),
        ];
        rows.into_iter().filter(|(kind, count, _)| *count > 0 && !self.begun.contains(kind)).collect()
    }
}
