//! Signatures of validator clients: whose they are, for which duty, and what shows that they are good.

use coxswain_dv_eth::api::{BeaconCommitteeSelection, SyncCommitteeSelection};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::client::Request;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::proposal::SignedProposal;
use coxswain_dv_eth::signed::{ParSigned, SignedAggregate, SignedAttestation, SignedData, SignedRandao};
use coxswain_dv_eth::sync::SignedContributionAndProof;

use crate::combine::Check;
use crate::exchange::{self, Item};
use crate::node::Node;

/// What is good of a request, and what is wrong with the rest, by their places in it.
pub(in crate::node) type Sorted = (Vec<(usize, Item)>, Vec<(usize, String)>);

impl Node {
    /// The signatures of a request.
    pub(super) fn items_of(&self, request: &Request) -> Sorted {
        match request {
            Request::SubmitAttestations(all) => sort(all, |one| self.attestation(one)),
            Request::Proposal { slot, randao } => sort(&[()], |()| self.randao(*slot, *randao)),
            Request::SubmitProposal(block) => sort(&[()], |()| self.block(block)),
            Request::Selections(all) => self.aggregator_selections(all),
            Request::SyncSelections(all) => sort(all, |one| {
                let key = self.key_of_index(one.validator_index)?;
                let duty = Duty::new(one.slot, DutyType::PrepareSyncContribution);
                self.item(duty, key, SignedData::PrepareSyncContribution(one.clone()))
            }),
            Request::SubmitAggregates(all) => sort(all, |one| self.aggregate(one)),
            Request::SubmitSyncMessages(all) => sort(all, |one| {
                let key = self.key_of_index(one.validator_index)?;
                let duty = Duty::new(one.slot, DutyType::SyncMessage);
                self.item(duty, key, SignedData::SyncMessage(one.clone()))
            }),
            Request::SubmitContributions(all) => sort(all, |one| self.contribution(one)),
            Request::SubmitExit(exit) => sort(&[()], |()| {
                let key = self.key_of_index(exit.message.validator_index)?;
                let slot = self.chain.clock.first_of(exit.message.epoch);
                self.item(Duty::new(slot, DutyType::Exit), key, SignedData::Exit(exit.clone()))
            }),
            Request::AttesterDuties { .. }
            | Request::ProposerDuties { .. }
            | Request::SyncDuties { .. }
            | Request::Validators { .. }
            | Request::AttestationData { .. }
            | Request::Aggregate { .. }
            | Request::Contribution { .. } => (Vec::new(), Vec::new()),
        }
    }

    /// What is over comes back as it came (see the answer) and is signed by nobody, unless there is nothing else.
    fn aggregator_selections(&self, all: &[BeaconCommitteeSelection]) -> Sorted {
        let duty = |one: &BeaconCommitteeSelection| Duty::new(one.slot, DutyType::PrepareAggregator);
        let mut sorted = sort(all, |one| {
            let key = self.key_of_index(one.validator_index)?;
            self.item(duty(one), key, SignedData::PrepareAggregator(one.clone()))
        });
        if !all.iter().all(|one| self.is_over(duty(one))) {
            sorted.0.retain(|(_, item)| !self.is_over(item.duty));
        }
        sorted
    }

    fn key_of_index(&self, index: u64) -> Result<Bytes48, String> {
        self.scheduler.key_of(index).ok_or_else(|| format!("validator {index} is none of this cluster"))
    }

    /// A signature of this node's share.
    fn item(&self, duty: Duty, key: Bytes48, data: SignedData) -> Result<Item, String> {
        if !exchange::fits(&data, duty, &self.chain) {
            return Err(format!("{key}: what is signed is not of the duty {duty}"));
        }
        if !duty.is_near(&self.chain.clock, self.now) && duty.kind != DutyType::Exit {
            return Err(format!("{key}: the duty {duty} is too far in the future"));
        }
        let partial = ParSigned { data, share_index: self.cluster.my_share() };
        let check = exchange::check(&self.cluster, &self.chain, &key, &partial)
            .ok_or_else(|| format!("{key}: this cannot be signed"))?;
        Ok(Item { duty, key, partial, checks: vec![check] })
    }

    /// The vote must be the one that was decided, where that is known.
    fn attestation(&self, one: &SignedAttestation) -> Result<Item, String> {
        let slot = one.attestation.data().slot;
        let key = self.attester_of(&one.attestation, one.validator_index).ok_or_else(|| {
            format!("slot {slot}: no validator of this cluster attests there, or nothing was decided for it")
        })?;
        if let Some(difference) = self.decided.differs(&one.attestation) {
            return Err(format!("{key}: the vote of slot {slot} is not the decided one: {difference}"));
        }
        self.item(Duty::new(slot, DutyType::Attester), key, SignedData::Attester(Box::new(one.clone())))
    }

    fn randao(&self, slot: u64, signature: Bytes96) -> Result<Item, String> {
        let duty = Duty::new(slot, DutyType::Randao);
        let proposers = self.scheduler.definitions(Duty::new(slot, DutyType::Proposer));
        let key = proposers
            .and_then(|all| all.keys().next().copied())
            .ok_or_else(|| format!("no validator of this cluster proposes at slot {slot}"))?;
        let epoch = self.chain.clock.epoch_of(slot);
        self.item(duty, key, SignedData::Randao(SignedRandao { epoch, signature }))
    }

    /// The block must be the one that was decided: what it carries for blobs is not compared.
    fn block(&self, block: &SignedProposal) -> Result<Item, String> {
        let slot = block.slot();
        let (key, decided) =
            self.decided.proposal(slot).ok_or_else(|| format!("no block was decided for slot {slot}"))?;
        if !block.is_of(decided) {
            let (found, expected) = (Bytes32::from(block.root()), Bytes32::from(decided.root()));
            return Err(format!("slot {slot}: the block {found} is not the decided one, {expected}"));
        }
        let data = SignedData::Proposer(Box::new(block.clone()));
        self.item(Duty::new(slot, DutyType::Proposer), *key, data)
    }

    /// The proof in it is the group's, the signature around it the share's.
    fn aggregate(&self, one: &SignedAggregate) -> Result<Item, String> {
        let key = self.key_of_index(one.aggregator_index())?;
        let slot = one.data().slot;
        let data = SignedData::Aggregator(Box::new(one.clone()));
        let mut item = self.item(Duty::new(slot, DutyType::Aggregator), key, data)?;
        let selection = BeaconCommitteeSelection {
            validator_index: one.aggregator_index(),
            slot,
            selection_proof: *one.selection_proof(),
        };
        let selected = Duty::new(slot, DutyType::PrepareAggregator);
        item.checks.extend(self.group_check(selected, key, &SignedData::PrepareAggregator(selection))?);
        Ok(item)
    }

    fn contribution(&self, one: &SignedContributionAndProof) -> Result<Item, String> {
        let key = self.key_of_index(one.message.aggregator_index)?;
        let slot = one.message.contribution.slot;
        let data = SignedData::SyncContribution(Box::new(one.clone()));
        let mut item = self.item(Duty::new(slot, DutyType::SyncContribution), key, data)?;
        let selection = SyncCommitteeSelection {
            validator_index: one.message.aggregator_index,
            slot,
            subcommittee_index: one.message.contribution.subcommittee_index,
            selection_proof: one.message.selection_proof,
        };
        let selected = Duty::new(slot, DutyType::PrepareSyncContribution);
        let selection = SignedData::PrepareSyncContribution(selection);
        item.checks.extend(self.group_check(selected, key, &selection)?);
        Ok(item)
    }

    /// What shows that the group has signed this; none where this node has put that very signature together.
    fn group_check(&self, duty: Duty, key: Bytes48, data: &SignedData) -> Result<Option<Check>, String> {
        let validator =
            self.cluster.by_key(&key).ok_or_else(|| format!("{key} is no key of this cluster"))?;
        let known = self.aggregated.get(&(duty, key, data.subcommittee()));
        if known.is_some_and(|known| known.signature() == data.signature()) {
            return Ok(None);
        }
        let signable =
            data.signable(&self.chain.clock).ok_or_else(|| format!("{key}: this cannot be signed"))?;
        let root = self.chain.signing_root(&signable);
        Ok(Some(Check { key: validator.group, root, signature: data.signature() }))
    }
}

fn sort<T>(all: &[T], item: impl Fn(&T) -> Result<Item, String>) -> Sorted {
    let mut sorted: Sorted = (Vec::new(), Vec::new());
    for (position, one) in all.iter().enumerate() {
        match item(one) {
            Ok(item) => sorted.0.push((position, item)),
            Err(why) => sorted.1.push((position, why)),
        }
    }
    sorted
}
