//! A validator client of one node: it asks for what its duties need, signs with its shares, and submits.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_eth::api::{BeaconCommitteeSelection, SyncCommitteeSelection};
use coxswain_dv_eth::attestation::{Attestation, AttestationData, AttestationPhase0, SingleAttestation};
use coxswain_dv_eth::bytes::{Bytes32, Bytes96};
use coxswain_dv_eth::client::{Answer, Request};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::operations::{Signed, VoluntaryExit};
use coxswain_dv_eth::proposal::Proposal;
use coxswain_dv_eth::selection;
use coxswain_dv_eth::signed::{SignedAggregate, SignedAttestation, SignedData, SignedRandao};
use coxswain_dv_eth::sync::{
    ContributionAndProof, SignedContributionAndProof, SyncCommitteeContribution, SyncCommitteeMessage,
};
use coxswain_dv_eth::time::Time;

use ssz_types::BitList;

use crate::chain::{Beacon, View};
use crate::keys::Keys;
use crate::setting::{First, SLOTS_PER_EPOCH};

/// When a client does something on its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Alarm {
    Start(u64),
    Third(u64),
    TwoThirds(u64),
}

/// Whether it signs what it has not seen decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Careful,
    /// Beside each vote and each block another one that contradicts it, and votes of sync committees that it did not sign.
    Reckless(First),
}

/// What a client works with.
pub(crate) struct Hands<'w> {
    pub(crate) keys: &'w mut Keys,
    pub(crate) beacon: &'w Beacon,
    pub(crate) view: View,
    /// What the machine's clock shows.
    pub(crate) shown: Time,
}

pub(crate) struct Client {
    node: usize,
    manner: Manner,
    /// By slot and the committee that was asked for.
    attested: BTreeMap<(u64, u64), AttestationData>,
    voted: BTreeMap<u64, Bytes32>,
    selected: BTreeMap<(u64, u64), Bytes96>,
    sync_selected: BTreeMap<(u64, u64, u64), Bytes96>,
    /// Aggregates and contributions that were asked for: slot, validator, subcommittee.
    asked: BTreeSet<(u64, u64, Option<u64>)>,
}

impl Client {
    pub(crate) fn new(node: usize, manner: Manner) -> Client {
        Client {
            node,
            manner,
            attested: BTreeMap::new(),
            voted: BTreeMap::new(),
            selected: BTreeMap::new(),
            sync_selected: BTreeMap::new(),
            asked: BTreeSet::new(),
        }
    }

    fn sign(&self, hands: &mut Hands, validator: usize, data: &mut SignedData) -> Bytes96 {
        let signable = data.signable(&hands.beacon.clock()).expect("it is signed");
        let root = hands.beacon.chain.signing_root(&signable);
        let signature = hands.keys.sign(validator, self.node, root);
        data.set_signature(signature);
        signature
    }

    pub(crate) fn alarm(&mut self, hands: &mut Hands, alarm: Alarm) -> Vec<Request> {
        match alarm {
            Alarm::Start(slot) => self.start(hands, slot),
            Alarm::Third(slot) => self.third(hands, slot),
            Alarm::TwoThirds(slot) => self.follow_up(hands, slot),
        }
    }

    /// Subcommittees whose votes it is to aggregate.
    pub(crate) fn contributes(&self, slot: u64) -> Vec<u64> {
        let all = self.sync_selected.range((slot, 0, 0)..(slot + 1, 0, 0));
        let chosen = all.filter(|(_, proof)| selection::is_sync_aggregator(proof));
        chosen.map(|((_, _, subcommittee), _)| *subcommittee).collect()
    }

    /// What is long over is not looked at any more.
    fn forget(&mut self, slot: u64) {
        let old = slot.saturating_sub(3 * SLOTS_PER_EPOCH);
        self.attested.retain(|(slot, _), _| *slot >= old);
        self.voted.retain(|slot, _| *slot >= old);
        self.selected.retain(|(slot, _), _| *slot >= old);
        self.asked.retain(|(slot, _, _)| *slot >= old);
    }

    fn start(&mut self, hands: &mut Hands, slot: u64) -> Vec<Request> {
        self.forget(slot);
        let mut requests = Vec::new();
        let empty = Bytes96::default();
        if let Some(validator) = hands.beacon.proposer(hands.view, slot) {
            let epoch = hands.beacon.clock().epoch_of(slot);
            let mut data = SignedData::Randao(SignedRandao { epoch, signature: empty });
            let randao = self.sign(hands, validator, &mut data);
            requests.push(Request::Proposal { slot, randao });
        }
        let mut selections = Vec::new();
        for (validator, duty) in hands.beacon.attesters_at(hands.view, slot) {
            let validator_index = duty.validator_index;
            let mut one = BeaconCommitteeSelection { validator_index, slot, selection_proof: empty };
            let mut data = SignedData::PrepareAggregator(one.clone());
            one.selection_proof = self.sign(hands, validator, &mut data);
            selections.push(one);
        }
        if !selections.is_empty() {
            requests.push(Request::Selections(selections));
        }
        if let Some((validator, subcommittees)) = hands.beacon.member(slot) {
            let selections = subcommittees.map(|subcommittee_index| {
                let validator_index = Beacon::index_of(validator);
                let mut one = SyncCommitteeSelection {
                    validator_index,
                    slot,
                    subcommittee_index,
                    selection_proof: empty,
                };
                let mut data = SignedData::PrepareSyncContribution(one.clone());
                one.selection_proof = self.sign(hands, validator, &mut data);
                one
            });
            requests.push(Request::SyncSelections(selections.to_vec()));
        }
        requests.extend(self.exit(hands, slot));
        requests
    }

    fn exit(&self, hands: &mut Hands, slot: u64) -> Option<Request> {
        let validator = *hands.beacon.exits.get(&slot)?;
        let (epoch, validator_index) = (hands.beacon.clock().epoch_of(slot), Beacon::index_of(validator));
        let message = VoluntaryExit { epoch, validator_index };
        let mut data = SignedData::Exit(Signed { message, signature: Bytes96::default() });
        self.sign(hands, validator, &mut data);
        let SignedData::Exit(exit) = data else { return None };
        Some(Request::SubmitExit(exit))
    }

    fn third(&mut self, hands: &mut Hands, slot: u64) -> Vec<Request> {
        let mut requests = Vec::new();
        let duties = hands.beacon.attesters_at(hands.view, slot);
        let committees: BTreeSet<u64> =
            duties.iter().map(|(_, duty)| asked_for(hands, slot, duty.committee_index)).collect();
        if self.manner == Manner::Reckless(First::Lie) {
            // Before anything is decided a node that knows the duty has nothing to hold a vote against but its store.
            for committee in &committees {
                let made_up = contradiction(hands.beacon.data(hands.view, slot, *committee));
                requests.push(self.attest(hands, (slot, *committee), made_up));
            }
        }
        requests.extend(committees.into_iter().map(|committee| Request::AttestationData { slot, committee }));
        if let Some((validator, _)) = hands.beacon.member(slot) {
            let head = hands.beacon.head(hands.view, slot);
            self.voted.insert(slot, head);
            let (validator_index, signature) = (Beacon::index_of(validator), Bytes96::default());
            let mut vote = SyncCommitteeMessage { slot, beacon_block_root: head, validator_index, signature };
            let mut data = SignedData::SyncMessage(vote.clone());
            vote.signature = self.sign(hands, validator, &mut data);
            let mut wrong = vote.clone();
            wrong.signature.0[0] ^= 1;
            requests.extend(self.in_manner(vote, wrong, |vote| Request::SubmitSyncMessages(vec![vote])));
        }
        requests
    }

    /// What a node answered leads to more requests.
    pub(crate) fn answered(&mut self, hands: &mut Hands, request: &Request, answer: Answer) -> Vec<Request> {
        match (request, answer) {
            (Request::AttestationData { slot, committee }, Answer::AttestationData(data)) => {
                self.attested.insert((*slot, *committee), data);
                let (other, place) = (contradiction(data), (*slot, *committee));
                let mut requests = self.in_manner(data, other, |data| self.attest(hands, place, data));
                requests.extend(self.follow_up(hands, *slot));
                requests
            }
            (Request::Proposal { slot, .. }, Answer::Proposal(block)) => {
                let Some(validator) = hands.beacon.proposer(hands.view, *slot) else { return Vec::new() };
                let other = other_block(&block);
                self.in_manner(*block, other, |block| {
                    let unsigned = block.clone().signed(Bytes96::default());
                    let mut unsigned = SignedData::Proposer(Box::new(unsigned));
                    let signature = self.sign(hands, validator, &mut unsigned);
                    Request::SubmitProposal(Box::new(block.signed(signature)))
                })
            }
            (Request::Selections(_), Answer::Selections(all)) => {
                let slots: BTreeSet<u64> = all.iter().map(|one| one.slot).collect();
                let of =
                    |one: BeaconCommitteeSelection| ((one.slot, one.validator_index), one.selection_proof);
                self.selected.extend(all.into_iter().map(of));
                slots.into_iter().flat_map(|slot| self.follow_up(hands, slot)).collect()
            }
            (Request::SyncSelections(_), Answer::SyncSelections(all)) => {
                let slots: BTreeSet<u64> = all.iter().map(|one| one.slot).collect();
                let of = |one: SyncCommitteeSelection| {
                    ((one.slot, one.validator_index, one.subcommittee_index), one.selection_proof)
                };
                self.sync_selected.extend(all.into_iter().map(of));
                slots.into_iter().flat_map(|slot| self.follow_up(hands, slot)).collect()
            }
            (Request::Aggregate { slot, committee, .. }, Answer::Aggregate { fork, attestation }) => {
                self.aggregate(hands, (*slot, *committee), fork, &attestation)
            }
            (Request::Contribution { slot, .. }, Answer::Contribution(contribution)) => {
                self.contribute(hands, *slot, contribution)
            }
            _ => Vec::new(),
        }
    }

    fn aggregate(
        &self,
        hands: &mut Hands,
        (slot, committee): (u64, u64),
        fork: Fork,
        attestation: &Attestation,
    ) -> Vec<Request> {
        let mut all = Vec::new();
        for (validator, duty) in hands.beacon.attesters_at(hands.view, slot) {
            let Some(proof) = self.selected.get(&(slot, duty.validator_index)) else { continue };
            if duty.committee_index != committee {
                continue;
            }
            let one = SignedAggregate::new(fork, duty.validator_index, attestation.clone(), *proof);
            let Ok(one) = one else { continue };
            let mut data = SignedData::Aggregator(Box::new(one));
            self.sign(hands, validator, &mut data);
            if let SignedData::Aggregator(one) = data {
                all.push(*one);
            }
        }
        vec![Request::SubmitAggregates(all)]
    }

    fn contribute(
        &self,
        hands: &mut Hands,
        slot: u64,
        contribution: SyncCommitteeContribution,
    ) -> Vec<Request> {
        let Some((validator, _)) = hands.beacon.member(slot) else { return Vec::new() };
        let aggregator_index = Beacon::index_of(validator);
        let place = (slot, aggregator_index, contribution.subcommittee_index);
        let Some(selection_proof) = self.sync_selected.get(&place).copied() else { return Vec::new() };
        let message = ContributionAndProof { aggregator_index, contribution, selection_proof };
        let signed = SignedContributionAndProof { message, signature: Bytes96::default() };
        let mut data = SignedData::SyncContribution(Box::new(signed));
        self.sign(hands, validator, &mut data);
        let SignedData::SyncContribution(one) = data else { return Vec::new() };
        vec![Request::SubmitContributions(vec![*one])]
    }

    fn in_manner<T>(&self, right: T, wrong: T, mut request: impl FnMut(T) -> Request) -> Vec<Request> {
        match self.manner {
            Manner::Careful => vec![request(right)],
            Manner::Reckless(First::Lie) => vec![request(wrong), request(right)],
            Manner::Reckless(First::Truth) => vec![request(right), request(wrong)],
        }
    }

    fn attest(&self, hands: &mut Hands, (slot, asked): (u64, u64), data: AttestationData) -> Request {
        let fork = hands.beacon.fork_at(slot);
        let mut all = Vec::new();
        for (validator, duty) in hands.beacon.attesters_at(hands.view, slot) {
            if asked_for(hands, slot, duty.committee_index) != asked {
                continue;
            }
            let signature = Bytes96::default();
            let one = if fork.has_electra_attestations() {
                let (committee_index, attester_index) = (duty.committee_index, duty.validator_index);
                let one = SingleAttestation { committee_index, attester_index, data, signature };
                SignedAttestation::from_single(fork, &one)
            } else {
                let mut aggregation_bits = BitList::with_capacity(8).expect("a small committee");
                aggregation_bits.set(validator, true).expect("fewer than eight validators");
                let one = AttestationPhase0 { aggregation_bits, data, signature };
                SignedAttestation::from_phase0(fork, one, None)
            };
            let mut data = SignedData::Attester(Box::new(one.expect("of its fork")));
            self.sign(hands, validator, &mut data);
            if let SignedData::Attester(one) = data {
                all.push(*one);
            }
        }
        Request::SubmitAttestations(all)
    }

    /// Aggregates and contributions of a slot, once it is time and all that they need is there.
    fn follow_up(&mut self, hands: &mut Hands, slot: u64) -> Vec<Request> {
        let clock = hands.beacon.clock();
        if hands.shown < clock.start_of(slot) + clock.slot * 2 / 3 {
            return Vec::new();
        }
        let mut requests = Vec::new();
        for (_, duty) in hands.beacon.attesters_at(hands.view, slot) {
            let (index, committee) = (duty.validator_index, duty.committee_index);
            let is_ready = self.selected.contains_key(&(slot, index));
            let asked = (slot, asked_for(hands, slot, committee));
            if let Some(data) = self.attested.get(&asked).filter(|_| is_ready)
                && self.asked.insert((slot, index, None))
            {
                let data_root = Bytes32::from(data.root());
                requests.push(Request::Aggregate { slot, data_root, committee });
            }
        }
        let Some(head) = self.voted.get(&slot) else { return requests };
        for ((_, index, subcommittee), proof) in
            self.sync_selected.range((slot, 0, 0)..(slot + 1, 0, 0)).map(|(place, proof)| (*place, *proof))
        {
            if selection::is_sync_aggregator(&proof) && self.asked.insert((slot, index, Some(subcommittee))) {
                requests.push(Request::Contribution { slot, subcommittee, block_root: *head });
            }
        }
        requests
    }
}

/// The committee whose data a client asks for: from Electra on they are the same for all.
fn asked_for(hands: &Hands, slot: u64, committee: u64) -> u64 {
    if hands.beacon.fork_at(slot).has_electra_attestations() { 0 } else { committee }
}

/// What contradicts a vote: another head; one that surrounds earlier votes; one that surrounds those of now, too; one of
/// the future.
fn contradiction(mut data: AttestationData) -> AttestationData {
    let epoch = data.target.epoch;
    let (source, target) = match data.slot % 4 {
        0 => (data.source.epoch, epoch),
        1 => (epoch.saturating_sub(4), epoch),
        2 => (epoch.saturating_sub(4), epoch + 1),
        _ => (data.source.epoch, epoch + 3),
    };
    data.beacon_block_root = Bytes32::from([0xee; 32]);
    (data.source.epoch, data.target.epoch) = (source, target);
    data
}

/// What contradicts a block: one on another state.
fn other_block(block: &Proposal) -> Proposal {
    let mut other = block.clone();
    let root = match &mut other {
        Proposal::Bellatrix(block) => &mut block.state_root,
        Proposal::BlindedBellatrix(block) => &mut block.state_root,
        Proposal::Fulu(contents) => &mut contents.block.state_root,
        Proposal::BlindedFulu(block) => &mut block.state_root,
        _ => return other,
    };
    *root = Bytes32::from([0xee; 32]);
    other
}
