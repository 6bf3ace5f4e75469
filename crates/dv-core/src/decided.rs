//! What consensus decided, for validator clients and for what builds on it. The first decision stays.

use std::collections::BTreeMap;

use coxswain_dv_eth::attestation::{Attestation, AttestationData, Checkpoint};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::proposal::Proposal;
use coxswain_dv_eth::sync::SyncCommitteeContribution;
use coxswain_dv_eth::unsigned::Unsigned;

/// Decided values by what they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    /// By slot and committee.
    attestations: BTreeMap<(u64, u64), AttestationData>,
    /// By slot, the first of any committee: from Electra on clients ask for committee 0 and mean any.
    any: BTreeMap<u64, AttestationData>,
    /// By slot, committee and validator index; also under committee 0.
    attesters: BTreeMap<(u64, u64, u64), Bytes48>,
    /// By slot.
    proposals: BTreeMap<u64, (Bytes48, Box<Proposal>)>,
    /// By slot, root of the data and committee.
    aggregates: BTreeMap<(u64, Bytes32, u64), (Fork, Box<Attestation>)>,
    /// By slot, subcommittee and head.
    contributions: BTreeMap<(u64, u64, Bytes32), SyncCommitteeContribution>,
}

/// Why a decided value is not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Clash {
    #[error("slot {slot}, committee {committee}: other attestation data were decided before")]
    Attestation { slot: u64, committee: u64 },
    #[error("slot {slot}: another validator attests at the place of validator {validator}")]
    Attester { slot: u64, validator: u64 },
    #[error("slot {slot}: another block was decided before")]
    Proposal { slot: u64 },
    #[error("slot {slot}: more than one proposer")]
    Proposers { slot: u64 },
    #[error("slot {slot}, subcommittee {subcommittee}: another contribution was decided before")]
    Contribution { slot: u64, subcommittee: u64 },
}

/// In what a vote is another one than the cluster has decided: no other node signs it, and it would stand in the way of
/// what was decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its {part} is {found}, and the decided one is {decided}")]
pub(crate) struct Difference {
    part: &'static str,
    found: String,
    decided: String,
}

impl Difference {
    /// From Electra on votes have the committee 0, whatever beacon nodes say; before, the committee is the vote's own.
    fn of(vote: &Attestation, decided: &AttestationData) -> Option<Difference> {
        let said = vote.data();
        let point = |point: &Checkpoint| format!("epoch {}, {}", point.epoch, point.root);
        let is_index = match vote {
            Attestation::Phase0(_) => true,
            Attestation::Electra(_) => [0, decided.index].contains(&said.index),
        };
        let (part, found, decided) = if said.source != decided.source {
            ("source", point(&said.source), point(&decided.source))
        } else if said.target != decided.target {
            ("target", point(&said.target), point(&decided.target))
        } else if said.beacon_block_root != decided.beacon_block_root {
            ("head", said.beacon_block_root.to_string(), decided.beacon_block_root.to_string())
        } else if !is_index {
            ("committee index", said.index.to_string(), decided.index.to_string())
        } else {
            return None;
        };
        Some(Difference { part, found, decided })
    }
}

/// Attestation data agree in what a validator can be slashed for.
fn agree(one: &AttestationData, other: &AttestationData) -> bool {
    one.source == other.source && one.target == other.target
}

impl Decided {
    /// Keeps what was decided for a duty.
    pub(crate) fn keep(&mut self, duty: Duty, set: &BTreeMap<Bytes48, Unsigned>) -> Result<(), Clash> {
        if duty.kind == DutyType::Proposer && set.len() > 1 {
            return Err(Clash::Proposers { slot: duty.slot });
        }
        for (key, value) in set {
            match value {
                Unsigned::Attester { data, duty: attester } => {
                    self.keep_attestation(attester.committee_index, *data)?;
                    self.keep_attester(
                        *key,
                        attester.slot,
                        attester.committee_index,
                        attester.validator_index,
                    )?;
                }
                Unsigned::Proposer(proposal) => self.keep_proposal(*key, proposal)?,
                Unsigned::Aggregator { fork, attestation } => self.keep_aggregate(*fork, attestation),
                Unsigned::SyncContribution(contributions) => {
                    for contribution in contributions {
                        self.keep_contribution(contribution)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn keep_attestation(&mut self, committee: u64, data: AttestationData) -> Result<(), Clash> {
        let clash = Clash::Attestation { slot: data.slot, committee };
        if *self.attestations.entry((data.slot, committee)).or_insert(data) != data {
            return Err(clash);
        }
        // Heads of committees may differ: whoever asks for a committee 0 that has nobody of the cluster gets the first.
        let any = self.any.entry(data.slot).or_insert(data);
        if agree(any, &data) { Ok(()) } else { Err(clash) }
    }

    fn keep_attester(
        &mut self,
        key: Bytes48,
        slot: u64,
        committee: u64,
        validator: u64,
    ) -> Result<(), Clash> {
        for committee in [committee, 0] {
            if *self.attesters.entry((slot, committee, validator)).or_insert(key) != key {
                return Err(Clash::Attester { slot, validator });
            }
        }
        Ok(())
    }

    fn keep_proposal(&mut self, key: Bytes48, proposal: &Proposal) -> Result<(), Clash> {
        let slot = proposal.slot();
        match self.proposals.get(&slot) {
            Some((_, known)) if known.root() != proposal.root() => Err(Clash::Proposal { slot }),
            Some(_) => Ok(()),
            None => {
                self.proposals.insert(slot, (key, Box::new(proposal.clone())));
                Ok(())
            }
        }
    }

    fn keep_aggregate(&mut self, fork: Fork, attestation: &Attestation) {
        let data = attestation.data();
        let place = (data.slot, Bytes32::from(data.root()), attestation.committee_index());
        self.aggregates.insert(place, (fork, Box::new(attestation.clone())));
    }

    fn keep_contribution(&mut self, contribution: &SyncCommitteeContribution) -> Result<(), Clash> {
        let (slot, subcommittee) = (contribution.slot, contribution.subcommittee_index);
        let place = (slot, subcommittee, contribution.beacon_block_root);
        if self.contributions.entry(place).or_insert_with(|| contribution.clone()) == contribution {
            Ok(())
        } else {
            Err(Clash::Contribution { slot, subcommittee })
        }
    }

    pub(crate) fn attestation(&self, slot: u64, committee: u64) -> Option<&AttestationData> {
        let any = || self.any.get(&slot).filter(|_| committee == 0);
        self.attestations.get(&(slot, committee)).or_else(any)
    }

    /// In what a vote differs from what was decided for its slot and committee; none where it does not, or where nothing is
    /// known of a decision. What a client was given for committee 0 is good for all of them.
    pub(crate) fn differs(&self, vote: &Attestation) -> Option<Difference> {
        let slot = vote.data().slot;
        let of_committee = self.attestations.get(&(slot, vote.committee_index()));
        let found = self.attestation(slot, 0).and_then(|decided| Difference::of(vote, decided))?;
        match of_committee {
            Some(decided) => Difference::of(vote, decided),
            None => Some(found),
        }
    }

    pub(crate) fn attester(&self, slot: u64, committee: u64, validator: u64) -> Option<Bytes48> {
        self.attesters.get(&(slot, committee, validator)).copied()
    }

    pub(crate) fn proposal(&self, slot: u64) -> Option<&(Bytes48, Box<Proposal>)> {
        self.proposals.get(&slot)
    }

    pub(crate) fn aggregate(
        &self,
        slot: u64,
        root: Bytes32,
        committee: u64,
    ) -> Option<&(Fork, Box<Attestation>)> {
        self.aggregates.get(&(slot, root, committee))
    }

    pub(crate) fn contribution(
        &self,
        slot: u64,
        subcommittee: u64,
        block_root: Bytes32,
    ) -> Option<&SyncCommitteeContribution> {
        self.contributions.get(&(slot, subcommittee, block_root))
    }

    /// How many values there are.
    pub(crate) fn held(&self) -> usize {
        let attested = self.attestations.len() + self.any.len() + self.attesters.len();
        attested + self.proposals.len() + self.aggregates.len() + self.contributions.len()
    }

    /// Forgets a duty.
    pub(crate) fn end(&mut self, duty: Duty) {
        let slot = duty.slot;
        let next = slot.saturating_add(1);
        match duty.kind {
            DutyType::Attester => {
                self.attestations.extract_if((slot, 0)..(next, 0), |_, _| true).for_each(drop);
                self.any.remove(&slot);
                self.attesters.extract_if((slot, 0, 0)..(next, 0, 0), |_, _| true).for_each(drop);
            }
            DutyType::Proposer => {
                self.proposals.remove(&slot);
            }
            DutyType::Aggregator => {
                let range = (slot, Bytes32::default(), 0)..(next, Bytes32::default(), 0);
                self.aggregates.extract_if(range, |_, _| true).for_each(drop);
            }
            DutyType::SyncContribution => {
                let range = (slot, 0, Bytes32::default())..(next, 0, Bytes32::default());
                self.contributions.extract_if(range, |_, _| true).for_each(drop);
            }
            DutyType::Signature
            | DutyType::Exit
            | DutyType::BuilderProposer
            | DutyType::BuilderRegistration
            | DutyType::Randao
            | DutyType::PrepareAggregator
            | DutyType::SyncMessage
            | DutyType::PrepareSyncContribution
            | DutyType::InfoSync => {}
        }
    }
}
