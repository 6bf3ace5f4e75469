//! A beacon chain as its nodes tell of it: what they answer may differ between them and change by time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coxswain_dv_eth::Root;
use coxswain_dv_eth::api::{AttesterDuty, ProposerDuty, SyncDuty};
use coxswain_dv_eth::attestation::{Attestation, AttestationData, AttestationElectra, Checkpoint};
use coxswain_dv_eth::beacon::{Answer, Call, CallError, Duties, Failure, Validator, ValidatorFields};
use coxswain_dv_eth::block::BlockPhase0;
use coxswain_dv_eth::body::BodyPhase0;
use coxswain_dv_eth::bytes::{Bytes4, Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::duty::DutyType;
use coxswain_dv_eth::fork::Forks;
use coxswain_dv_eth::operations::Eth1Data;
use coxswain_dv_eth::proposal::Proposal;
use coxswain_dv_eth::signed::{SignedAttestation, SignedData};
use coxswain_dv_eth::sync::SyncCommitteeContribution;
use coxswain_dv_eth::time::{Clock, Time};
use sha2::{Digest as _, Sha256};
use ssz_types::{BitList, BitVector, VariableList};

use super::keys::Keys;
use super::store::{Votes, contradiction};

/// The first epoch in which the cluster's validators are active, and the first in which they are not any more.
pub(crate) const EPOCHS: std::ops::Range<u64> = 5..7;
/// The index of the first validator.
const FIRST_INDEX: u64 = 100;
/// The epoch whose justified checkpoint some nodes see wrong.
const ODD_EPOCH: u64 = 6;

/// Whether nodes see the same justified checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Justified {
    Agreed,
    /// In one epoch some see an older one, and its votes surround those of the epoch before.
    Disputed,
}

pub(crate) fn chain() -> Chain {
    let clock =
        Clock { genesis: Time::from_secs(1_000_000), slot: Duration::from_secs(12), slots_per_epoch: 4 };
    let mut rows = [(0, Bytes4::from([0; 4])); 7];
    for (number, row) in (0u8..).zip(&mut rows) {
        row.1 = Bytes4::from([number, 0, 0, 7]);
    }
    Chain { clock, forks: Forks::new(rows), genesis_validators_root: [7; 32] }
}

/// What was submitted, and is well signed.
#[derive(Default)]
pub(crate) struct Submitted {
    pub(crate) blocks: BTreeMap<(Bytes48, u64), BTreeSet<Root>>,
    pub(crate) votes: BTreeMap<Bytes48, Votes>,
    /// Type, slot, validator, subcommittee.
    pub(crate) done: BTreeSet<(DutyType, u64, usize, u64)>,
}

pub(crate) struct Beacon {
    pub(crate) chain: Chain,
    pub(crate) keys: Vec<Bytes48>,
    pub(crate) submitted: Submitted,
    /// What the views of nodes hang on.
    pub(crate) seed: u64,
    /// Whether nodes see the same justified checkpoint.
    pub(crate) justified: Justified,
    attested: BTreeMap<Bytes32, AttestationData>,
    voted: BTreeSet<(u64, Bytes32)>,
}

fn hash(parts: &[&[u8]]) -> Root {
    Sha256::digest(parts.concat()).into()
}

fn root(what: &str, slot: u64) -> Bytes32 {
    hash(&[what.as_bytes(), &slot.to_le_bytes()]).into()
}

impl Beacon {
    pub(crate) fn new(keys: &Keys, seed: u64, justified: Justified) -> Beacon {
        Beacon {
            chain: chain(),
            keys: keys.validators.iter().map(|one| one.key).collect(),
            submitted: Submitted::default(),
            seed,
            justified,
            attested: BTreeMap::new(),
            voted: BTreeSet::new(),
        }
    }

    // ----------------------------------------------------------------------------------------------- the schedule

    pub(crate) fn is_active(&self, slot: u64) -> bool {
        EPOCHS.contains(&self.chain.clock.epoch_of(slot))
    }

    pub(crate) fn index_of(validator: usize) -> u64 {
        FIRST_INDEX + validator as u64
    }

    fn validator_of(&self, index: u64) -> Option<usize> {
        let validator = usize::try_from(index.checked_sub(FIRST_INDEX)?).ok()?;
        (validator < self.keys.len()).then_some(validator)
    }

    pub(crate) fn attesters(&self, epoch: u64) -> Vec<AttesterDuty> {
        let first = self.chain.clock.first_of(epoch);
        let duty = |(validator, pubkey): (usize, &Bytes48)| AttesterDuty {
            pubkey: *pubkey,
            validator_index: Beacon::index_of(validator),
            committee_index: 2 - validator as u64 % 3,
            committee_length: 8,
            committees_at_slot: 3,
            validator_committee_index: 3,
            slot: first + (epoch + validator as u64 / 2) % self.chain.clock.slots_per_epoch,
        };
        self.keys.iter().enumerate().filter(|_| EPOCHS.contains(&epoch)).map(duty).collect()
    }

    pub(crate) fn attesters_at(&self, slot: u64) -> Vec<(usize, AttesterDuty)> {
        let all = self.attesters(self.chain.clock.epoch_of(slot));
        all.into_iter().enumerate().filter(|(_, duty)| duty.slot == slot).collect()
    }

    /// The validator that proposes at a slot.
    pub(crate) fn proposer(&self, slot: u64) -> Option<usize> {
        (self.is_active(slot) && slot % 2 == 1)
            .then(|| usize::try_from(slot / 2).expect("few") % self.keys.len())
    }

    /// Members of the sync committee: the first validator, in two subcommittees.
    pub(crate) fn member(&self, slot: u64) -> Option<(usize, [u64; 2])> {
        self.is_active(slot).then_some((0, [0, 1]))
    }

    fn proposers(&self, epoch: u64) -> Vec<ProposerDuty> {
        let first = self.chain.clock.first_of(epoch);
        let duty = |slot| {
            let validator = self.proposer(slot);
            ProposerDuty {
                pubkey: validator.map_or(Bytes48::from([9; 48]), |validator| self.keys[validator]),
                validator_index: validator.map_or(7, Beacon::index_of),
                slot,
            }
        };
        (first..first + self.chain.clock.slots_per_epoch).map(duty).collect()
    }

    // -------------------------------------------------------------------------------------------- what nodes see

    /// A number that a node, a slot and a question have.
    fn chance(&self, node: usize, slot: u64, what: &str) -> u8 {
        let parts = [self.seed, node as u64, slot].map(u64::to_le_bytes);
        hash(&[what.as_bytes(), &parts.concat()])[0]
    }

    /// The head that a node sees: one in eight gets a block late, at half of its slot.
    pub(crate) fn head(&self, node: usize, slot: u64, now: Time) -> Bytes32 {
        let is_early = now < self.chain.clock.start_of(slot) + self.chain.clock.slot / 2;
        let is_late = self.chance(node, slot, "late") < 32;
        root("block", if is_late && is_early { slot - 1 } else { slot })
    }

    fn data(&self, node: usize, slot: u64, now: Time) -> AttestationData {
        let epoch = self.chain.clock.epoch_of(slot);
        let is_odd = self.justified == Justified::Disputed
            && epoch == ODD_EPOCH
            && self.chance(node, slot, "odd") < 128;
        let source = if is_odd { epoch - 3 } else { epoch - 1 };
        let checkpoint = |epoch| Checkpoint { epoch, root: root("block", self.chain.clock.first_of(epoch)) };
        AttestationData {
            slot,
            index: 0,
            beacon_block_root: self.head(node, slot, now),
            source: checkpoint(source),
            target: checkpoint(epoch),
        }
    }

    fn proposal(&self, node: usize, slot: u64, randao_reveal: Bytes96) -> Option<Proposal> {
        let proposer_index = Beacon::index_of(self.proposer(slot)?);
        let empty = Bytes32::default();
        let eth1_data = Eth1Data { deposit_root: empty, deposit_count: 0, block_hash: empty };
        let body = BodyPhase0 {
            randao_reveal,
            eth1_data,
            graffiti: root("node", node as u64),
            proposer_slashings: VariableList::default(),
            attester_slashings: VariableList::default(),
            attestations: VariableList::default(),
            deposits: VariableList::default(),
            voluntary_exits: VariableList::default(),
        };
        let parent_root = root("block", slot - 1);
        let block = BlockPhase0 { slot, proposer_index, parent_root, state_root: root("state", slot), body };
        Some(Proposal::Phase0(block))
    }

    fn validators(&self, keys: &[Bytes48]) -> Vec<Validator> {
        let one = |(validator, pubkey): (usize, &Bytes48)| Validator {
            index: Beacon::index_of(validator),
            balance: 32_000_000_000,
            status: "active_ongoing".to_owned(),
            validator: ValidatorFields {
                pubkey: *pubkey,
                withdrawal_credentials: Bytes32::default(),
                effective_balance: 32_000_000_000,
                slashed: false,
                activation_eligibility_epoch: 0,
                activation_epoch: EPOCHS.start,
                exit_epoch: EPOCHS.end,
                withdrawable_epoch: u64::MAX,
            },
        };
        self.keys.iter().enumerate().filter(|(_, key)| keys.contains(key)).map(one).collect()
    }

    // -------------------------------------------------------------------------------------------------- questions

    /// What the beacon node of a node says.
    pub(crate) fn answer(
        &mut self,
        keys: &mut Keys,
        node: usize,
        now: Time,
        call: &Call,
    ) -> Result<Answer, CallError> {
        let failed = |failure| CallError { endpoint: call.endpoint(), failure, message: "no".to_owned() };
        let none = failed(Failure::NotYet);
        let dependent_root = Bytes32::default();
        Ok(match call {
            Call::AttesterDuties { epoch, .. } => {
                Answer::AttesterDuties(Duties { dependent_root, duties: self.attesters(*epoch) })
            }
            Call::ProposerDuties { epoch } => {
                Answer::ProposerDuties(Duties { dependent_root, duties: self.proposers(*epoch) })
            }
            Call::SyncDuties { epoch, .. } => {
                let member = self.member(self.chain.clock.first_of(*epoch));
                let duty = |(validator, _): (usize, _)| SyncDuty {
                    pubkey: self.keys[validator],
                    validator_index: Beacon::index_of(validator),
                    validator_sync_committee_indices: vec![3, 200],
                };
                Answer::SyncDuties(member.map(duty).into_iter().collect())
            }
            Call::Validators { keys, .. } => Answer::Validators(self.validators(keys)),
            Call::AttestationData { slot, .. } => Answer::AttestationData(self.data(node, *slot, now)),
            Call::Proposal { slot, randao, .. } => {
                Answer::Proposal(Box::new(self.proposal(node, *slot, *randao).ok_or(none)?))
            }
            Call::Aggregate { data_root, committee, .. } => {
                let data = *self.attested.get(data_root).ok_or(none)?;
                Answer::Aggregate(Box::new(aggregate(node, *committee, data)))
            }
            Call::Contribution { slot, subcommittee, block_root } => {
                if !self.voted.contains(&(*slot, *block_root)) {
                    return Err(none);
                }
                let mut aggregation_bits = BitVector::new();
                aggregation_bits.set(node, true).expect("128 bits");
                Answer::Contribution(SyncCommitteeContribution {
                    slot: *slot,
                    beacon_block_root: *block_root,
                    subcommittee_index: *subcommittee,
                    aggregation_bits,
                    signature: Bytes96::from([1; 96]),
                })
            }
            Call::Block { .. } => Answer::Block(None),
            Call::Committees { .. } => Answer::Committees(vec![8; 3]),
            Call::PrepareProposers(_) | Call::SubmitRegistrations(_) => Answer::Done,
            other => {
                self.submit(keys, other);
                Answer::Done
            }
        })
    }

    fn submit(&mut self, keys: &mut Keys, call: &Call) {
        let mut signed: Vec<(Option<usize>, SignedData)> = Vec::new();
        match call {
            Call::SubmitAttestations { fork, attestations } => {
                for one in attestations {
                    let whole = SignedAttestation::from_single(*fork, one).expect("it fits");
                    signed
                        .push((self.validator_of(one.attester_index), SignedData::Attester(Box::new(whole))));
                }
            }
            Call::SubmitProposal(block) => {
                signed.push((self.proposer(block.slot()), SignedData::Proposer(block.clone())));
            }
            Call::SubmitAggregates(all) => signed.extend(all.iter().map(|one| {
                let validator = self.validator_of(one.aggregator_index());
                (validator, SignedData::Aggregator(Box::new(one.clone())))
            })),
            Call::SubmitSyncMessages(all) => {
                signed.extend(all.iter().map(|one| {
                    (self.validator_of(one.validator_index), SignedData::SyncMessage(one.clone()))
                }))
            }
            Call::SubmitContributions(all) => signed.extend(all.iter().map(|one| {
                let validator = self.validator_of(one.message.aggregator_index);
                (validator, SignedData::SyncContribution(Box::new(one.clone())))
            })),
            other => panic!("nobody should submit {other:?}"),
        }
        for (validator, data) in signed {
            self.take(keys, validator.expect("a validator of the cluster"), &data);
        }
    }

    fn take(&mut self, keys: &mut Keys, validator: usize, data: &SignedData) {
        let signable = data.signable(&self.chain.clock).expect("it is signed");
        let root = self.chain.signing_root(&signable);
        assert!(keys.is_of_group(validator, root, data.signature()), "no signature of the group: {data:?}");
        let key = self.keys[validator];
        let slot = match data {
            SignedData::Proposer(block) => {
                let roots = self.submitted.blocks.entry((key, block.slot())).or_default();
                roots.insert(root);
                assert_eq!(roots.len(), 1, "two blocks of slot {}", block.slot());
                block.slot()
            }
            SignedData::Attester(signed) => {
                let said = *signed.attestation.data();
                self.attested.insert(said.root().into(), said);
                let votes = self.submitted.votes.entry(key).or_default();
                let vote = (said.source.epoch, said.target.epoch, root);
                assert_eq!(contradiction(votes, vote), None, "votes of one group contradict each other");
                votes.insert(vote);
                said.slot
            }
            SignedData::Aggregator(signed) => signed.data().slot,
            SignedData::SyncMessage(vote) => {
                self.voted.insert((vote.slot, vote.beacon_block_root));
                vote.slot
            }
            SignedData::SyncContribution(signed) => signed.message.contribution.slot,
            other => panic!("nobody submits {other:?}"),
        };
        self.submitted.done.insert((data.kind(), slot, validator, data.subcommittee()));
    }
}

/// An aggregate as one node sees it.
fn aggregate(node: usize, committee: u64, data: AttestationData) -> Attestation {
    let mut aggregation_bits = BitList::with_capacity(8).expect("a small committee");
    aggregation_bits.set(node, true).expect("fewer than eight nodes");
    let mut committee_bits = BitVector::new();
    committee_bits.set(usize::try_from(committee).expect("few"), true).expect("one of 64");
    let signature = Bytes96::from([2; 96]);
    Attestation::Electra(AttestationElectra { aggregation_bits, data, signature, committee_bits })
}
