//! What was submitted to the chain, and is well signed.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_eth::attestation::{Attestation, AttestationData};
use coxswain_dv_eth::beacon::Call;
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::duty::DutyType;
use coxswain_dv_eth::protect::What;
use coxswain_dv_eth::signed::{SignedAttestation, SignedData};

use super::Beacon;
use crate::keys::Keys;
use crate::store::Signed;

/// A duty of one validator: type, slot, validator, subcommittee.
pub(crate) type Done = (DutyType, u64, usize, u64);

/// What was submitted.
#[derive(Default)]
pub(crate) struct Submitted {
    pub(crate) done: BTreeSet<Done>,
    /// Blocks of builders among it.
    pub(crate) blinded: u64,
    /// What groups signed, by validator, and by whom it was submitted where that counts.
    signed: BTreeMap<(usize, usize), Signed>,
    attested: BTreeMap<Bytes32, AttestationData>,
    voted: BTreeSet<(u64, Bytes32)>,
}

impl Submitted {
    pub(crate) fn attested(&self, root: &Bytes32) -> Option<AttestationData> {
        self.attested.get(root).copied()
    }

    pub(crate) fn is_voted(&self, slot: u64, head: Bytes32) -> bool {
        self.voted.contains(&(slot, head))
    }
}

impl Beacon {
    /// The signatures that a call submits, with their validators.
    pub(crate) fn signatures_of(&self, call: &Call) -> Vec<(Option<usize>, SignedData)> {
        match call {
            Call::SubmitAttestationsPhase0(all) => {
                let one = |one: &coxswain_dv_eth::attestation::AttestationPhase0| {
                    let validator = one.aggregation_bits.iter().position(|bit| bit);
                    let fork = self.fork_at(one.data.slot);
                    let attestation = Attestation::Phase0(one.clone());
                    let whole = SignedAttestation { fork, validator_index: None, attestation };
                    (validator, SignedData::Attester(Box::new(whole)))
                };
                all.iter().map(one).collect()
            }
            Call::SubmitAttestations { fork, attestations } => {
                let one = |one: &coxswain_dv_eth::attestation::SingleAttestation| {
                    let whole = SignedAttestation::from_single(*fork, one).ok()?;
                    let validator = self.validator_of(one.attester_index);
                    Some((validator, SignedData::Attester(Box::new(whole))))
                };
                attestations.iter().filter_map(one).collect()
            }
            Call::SubmitProposal(block) => {
                let validator = self.validator_of(block.proposer_index());
                vec![(validator, SignedData::Proposer(block.clone()))]
            }
            Call::SubmitAggregates(all) => all
                .iter()
                .map(|one| {
                    let validator = self.validator_of(one.aggregator_index());
                    (validator, SignedData::Aggregator(Box::new(one.clone())))
                })
                .collect(),
            Call::SubmitSyncMessages(all) => all
                .iter()
                .map(|one| (self.validator_of(one.validator_index), SignedData::SyncMessage(one.clone())))
                .collect(),
            Call::SubmitContributions(all) => all
                .iter()
                .map(|one| {
                    let validator = self.validator_of(one.message.aggregator_index);
                    (validator, SignedData::SyncContribution(Box::new(one.clone())))
                })
                .collect(),
            Call::SubmitExit(exit) => {
                let validator = self.validator_of(exit.message.validator_index);
                vec![(validator, SignedData::Exit(exit.clone()))]
            }
            _ => Vec::new(),
        }
    }

    /// What a validator can be slashed for.
    pub(crate) fn what(&self, data: &SignedData) -> Option<What> {
        let root = self.chain.signing_root(&data.signable(&self.clock())?);
        match data {
            SignedData::Proposer(block) => Some(What::Block { slot: block.slot(), root }),
            SignedData::Attester(signed) => {
                let said = signed.attestation.data();
                Some(What::Attestation { source: said.source.epoch, target: said.target.epoch, root })
            }
            _ => None,
        }
    }

    /// Takes what was submitted; what must not be, if it is.
    pub(crate) fn take(
        &mut self,
        keys: &mut Keys,
        (who, validator): (usize, Option<usize>),
        data: &SignedData,
    ) -> Option<String> {
        let Some(validator) = validator else { return Some(format!("a validator of others: {data:?}")) };
        let signable = data.signable(&self.clock())?;
        let root = self.chain.signing_root(&signable);
        if !keys.is_of_group(validator, root, data.signature()) {
            return Some(format!("no signature of the group: {data:?}"));
        }
        if let Some(what) = self.what(data)
            && let Some(clash) = self.submitted.signed.entry((who, validator)).or_default().take(&what)
        {
            return Some(format!("the group of validator {validator} signed {clash}"));
        }
        let slot = match data {
            SignedData::Proposer(block) => {
                self.submitted.blinded += u64::from(block.is_blinded());
                block.slot()
            }
            SignedData::Attester(signed) => {
                let said = *signed.attestation.data();
                self.submitted.attested.insert(said.root().into(), said);
                said.slot
            }
            SignedData::Aggregator(signed) => signed.data().slot,
            SignedData::SyncMessage(vote) => {
                self.submitted.voted.insert((vote.slot, vote.beacon_block_root));
                vote.slot
            }
            SignedData::SyncContribution(signed) => signed.message.contribution.slot,
            SignedData::Exit(exit) => self.clock().first_of(exit.message.epoch),
            other => return Some(format!("nobody submits {other:?}")),
        };
        self.submitted.done.insert((data.kind(), slot, validator, data.subcommittee()));
        None
    }
}
