//! Messages and contributions of sync committees.

use coxswain_dv_crypto::bls::Signature;
use coxswain_dv_eth::domain::{CONTRIBUTION, SYNC_COMMITTEE, SYNC_SELECTION, Signable};
use coxswain_dv_eth::selection::is_sync_aggregator;
use coxswain_dv_eth::sync::{SignedContributionAndProof, SyncAggregatorSelectionData, SyncCommitteeMessage};
use tree_hash::TreeHash as _;

use super::{Claim, Item};
use crate::chain::ledger::{Duty, Voted};
use crate::chain::report::Kind;
use crate::chain::{Asked, Chain};

impl Chain {
    pub(super) fn examine_sync(&self, message: &SyncCommitteeMessage) -> Item<Vec<Claim>> {
        let (slot, validator) = (message.slot, message.validator_index);
        let root = message.beacon_block_root.0;
        let outcome = if self.pool.has_sync(slot, &root, validator, &message.signature) {
            Ok(Vec::new())
        } else {
            let signable = Signable { root, domain: SYNC_COMMITTEE, epoch: self.spec.clock.epoch_of(slot) };
            self.claim("the signature", validator, &signable, &message.signature).map(|claim| vec![claim])
        };
        let validator = self.public_key(validator).map(|_| validator);
        Item { kind: Kind::SyncMessage, slot, validator, outcome }
    }

    pub(super) fn settle_sync(&mut self, asked: Asked, message: &SyncCommitteeMessage) -> Result<(), String> {
        let (slot, validator) = (message.slot, message.validator_index);
        self.check_sync_slot(asked, slot)?;
        let periods = [self.period_of(slot), self.period_of(slot.saturating_add(1))];
        let mut committees = periods.iter().filter_map(|period| self.sync.get(period));
        if committees.all(|committee| committee.seats_of(validator).is_empty()) {
            return Err(format!("validator {validator} is not in the sync committee"));
        }
        let root = message.beacon_block_root.0;
        if self.pool.sync_vote(slot, validator).is_some_and(|known| known != root) {
            return Err(format!("validator {validator} has voted for another block already"));
        }
        let signature = Signature::from_bytes(&message.signature.0).map_err(|e| e.to_string())?;
        let duty = Duty::new(slot, Kind::SyncMessage, validator);
        self.receive(asked, duty);
        self.ledger.voted(duty, Voted { head: root, target: None });
        self.pool.add_sync(slot, root, validator, signature);
        Ok(())
    }

    /// Votes are of use in the next slot only; what comes later is counted as late, and refused after one more.
    fn check_sync_slot(&self, asked: Asked, slot: u64) -> Result<(), String> {
        let now = self.slot_of(asked);
        if !self.has_begun(asked, slot) {
            return Err(format!("it is of the future: it is slot {now}"));
        }
        if slot.saturating_add(2) < now {
            return Err(format!("it is too late: it is slot {now}"));
        }
        Ok(())
    }

    pub(super) fn examine_contribution(&self, signed: &SignedContributionAndProof) -> Item<Vec<Claim>> {
        let aggregator = signed.message.aggregator_index;
        let slot = signed.message.contribution.slot;
        let validator = self.public_key(aggregator).map(|_| aggregator);
        Item { kind: Kind::SyncContribution, slot, validator, outcome: self.contribution_claims(signed) }
    }

    fn contribution_claims(&self, signed: &SignedContributionAndProof) -> Result<Vec<Claim>, String> {
        let message = &signed.message;
        let contribution = &message.contribution;
        let (slot, subcommittee_index) = (contribution.slot, contribution.subcommittee_index);
        let epoch = self.spec.clock.epoch_of(slot);
        let committee = self.sync_committee_at(slot).ok_or("the sync committee of its slot is not known")?;
        let mut keys = Vec::new();
        let mut n_known = 0;
        for (place, validator) in committee.subcommittee(subcommittee_index) {
            if contribution.aggregation_bits.get(place).unwrap_or(false) {
                keys.extend(self.public_key(validator));
                n_known += 1;
            }
        }
        if n_known != contribution.aggregation_bits.num_set_bits() {
            return Err("it has bits of empty seats".to_owned());
        }
        let selection = SyncAggregatorSelectionData { slot, subcommittee_index };
        let selection = Signable { root: selection.root(), domain: SYNC_SELECTION, epoch };
        let outer = Signable { root: message.tree_hash_root().0, domain: CONTRIBUTION, epoch };
        let block = Signable { root: contribution.beacon_block_root.0, domain: SYNC_COMMITTEE, epoch };
        Ok(vec![
            self.claim(
                "the selection proof",
                message.aggregator_index,
                &selection,
                &message.selection_proof,
            )?,
            self.claim("the signature", message.aggregator_index, &outer, &signed.signature)?,
            Claim {
                what: "the contribution's signature",
                keys,
                message: self.spec.signing_root(&block),
                signature: contribution.signature,
            },
        ])
    }

    pub(super) fn settle_contribution(
        &mut self,
        asked: Asked,
        signed: &SignedContributionAndProof,
    ) -> Result<(), String> {
        let message = &signed.message;
        let (slot, subcommittee) = (message.contribution.slot, message.contribution.subcommittee_index);
        let duty = Duty::new(slot, Kind::SyncContribution, message.aggregator_index);
        self.check_sync_slot(asked, slot)?;
        let committee = self.sync_committee_at(slot).ok_or("the sync committee of its slot is not known")?;
        if !committee.subcommittee(subcommittee).any(|(_, validator)| validator == message.aggregator_index) {
            return Err(format!(
                "validator {} is not in subcommittee {subcommittee}",
                message.aggregator_index
            ));
        }
        if !is_sync_aggregator(&message.selection_proof) {
            return Err(format!("validator {} is not selected by its proof", message.aggregator_index));
        }
        self.receive(asked, Duty { part: subcommittee, ..duty });
        Ok(())
    }
}
