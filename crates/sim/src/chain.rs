//! A beacon chain as its nodes tell of it: what they see may differ between them and change by time and by branch.

mod blocks;
mod submitted;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use coxswain_dv_eth::api::{AttesterDuty, ProposerDuty, SyncDuty};
use coxswain_dv_eth::attestation::{
    Attestation, AttestationData, AttestationElectra, AttestationPhase0, Checkpoint,
};
use coxswain_dv_eth::beacon::{Answer, Call, CallError, Duties, Failure, Validator, ValidatorFields};
use coxswain_dv_eth::bytes::{Bytes4, Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::fork::{Fork, Forks};
use coxswain_dv_eth::signed::SignedRegistration;
use coxswain_dv_eth::sync::SyncCommitteeContribution;
use coxswain_dv_eth::time::{Clock, Time};
use ssz_types::{BitList, BitVector};

use crate::dice::mixed;
use crate::setting::{ACT, FIRST_EPOCH, SLOTS_PER_EPOCH, Setting};
pub(crate) use submitted::Submitted;

/// The index of the first validator.
const FIRST_INDEX: u64 = 100;
/// Eyes from here on are those of liars: what they see is not always true.
pub(crate) const EYES_OF_LIARS: usize = 32;
/// Milliseconds until the last node sees that the chain took another branch.
pub(crate) const BRANCH_SPREAD_MS: u64 = 3_000;

/// Who looks, and when by the true time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) eye: usize,
    pub(crate) now: Time,
}

/// The chain takes another branch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reorg {
    /// When the first node may see it.
    pub(crate) at: Time,
    /// The last slot whose block stays.
    pub(crate) kept: u64,
    /// The slot of the new head.
    pub(crate) slot: u64,
}

/// What blocks are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Block = 1,
    State,
    Node,
}

pub(crate) struct Beacon {
    pub(crate) chain: Chain,
    pub(crate) keys: Vec<Bytes48>,
    pub(crate) submitted: Submitted,
    /// Registrations with builders that the cluster has.
    pub(crate) registrations: Vec<SignedRegistration>,
    /// Slots at which validator clients ask for an exit, and whose.
    pub(crate) exits: BTreeMap<u64, usize>,
    /// Epochs in which some see an older justified checkpoint.
    pub(crate) disputed: BTreeSet<u64>,
    /// In order; more than [`BRANCH_SPREAD_MS`] apart.
    pub(crate) reorgs: Vec<Reorg>,
    /// The first epoch without duties.
    pub(crate) end: u64,
    /// Epochs in which each validator is active.
    active: Vec<Range<u64>>,
    seed: u64,
}

fn root(part: Part, slot: u64, branch: u64) -> Bytes32 {
    let mut bytes = [part as u8; 32];
    bytes[8..16].copy_from_slice(&slot.to_le_bytes());
    bytes[16..24].copy_from_slice(&branch.to_le_bytes());
    Bytes32::from(bytes)
}

fn domain(electra: u64) -> Chain {
    let clock = Clock {
        genesis: Time::from_secs(1_000_000),
        slot: Duration::from_secs(12),
        slots_per_epoch: SLOTS_PER_EPOCH,
    };
    let later = if electra == 0 { 0 } else { FIRST_EPOCH + electra };
    let mut rows = [(0, Bytes4::from([0; 4])); 7];
    for (number, row) in (0u8..).zip(&mut rows) {
        let from = if u64::from(number) <= Fork::Bellatrix.number() { 0 } else { later };
        *row = (from, Bytes4::from([number, 0, 0, 7]));
    }
    Chain { clock, forks: Forks::new(rows), genesis_validators_root: [7; 32] }
}

impl Beacon {
    pub(crate) fn new(keys: Vec<Bytes48>, seed: u64, setting: &Setting) -> Beacon {
        let end = FIRST_EPOCH + setting.acts * ACT;
        let mut active = vec![FIRST_EPOCH..end; keys.len()];
        if let Some(last) = active.last_mut() {
            last.start += setting.joins;
        }
        if let (Some(leaves), [.., leaver, _]) = (setting.leaves, &mut active[..]) {
            leaver.end = FIRST_EPOCH + leaves;
        }
        Beacon {
            active,
            chain: domain(setting.electra),
            keys,
            submitted: Submitted::default(),
            registrations: Vec::new(),
            exits: BTreeMap::new(),
            disputed: BTreeSet::new(),
            reorgs: Vec::new(),
            end,
            seed,
        }
    }

    pub(crate) fn clock(&self) -> Clock {
        self.chain.clock
    }

    pub(crate) fn fork_at(&self, slot: u64) -> Fork {
        self.chain.forks.at(self.clock().epoch_of(slot))
    }

    // ------------------------------------------------------------------------------------------------- branches

    /// When an eye sees a reorg, by its number from 0.
    pub(crate) fn seen_at(&self, number: usize, eye: usize) -> Time {
        let late = mixed(&[self.seed, 10, number as u64, eye as u64]) % BRANCH_SPREAD_MS;
        self.reorgs[number].at + Duration::from_millis(late)
    }

    /// The branch of a slot's block: the number of the last reorg that replaced it, from 1; 0 for none.
    fn branch(&self, view: View, slot: u64) -> u64 {
        let numbered = self.reorgs.iter().enumerate().rev();
        let replaced = |(number, one): &(usize, &Reorg)| {
            one.kept < slot && one.at <= view.now && self.seen_at(*number, view.eye) <= view.now
        };
        numbered.into_iter().find(replaced).map_or(0, |(number, _)| number as u64 + 1)
    }

    fn block(&self, view: View, slot: u64) -> Bytes32 {
        root(Part::Block, slot, self.branch(view, slot))
    }

    // ----------------------------------------------------------------------------------------------- the schedule

    fn is_active(&self, validator: usize, epoch: u64) -> bool {
        self.active.get(validator).is_some_and(|epochs| epochs.contains(&epoch))
    }

    pub(crate) fn index_of(validator: usize) -> u64 {
        FIRST_INDEX + validator as u64
    }

    pub(crate) fn validator_of(&self, index: u64) -> Option<usize> {
        let validator = usize::try_from(index.checked_sub(FIRST_INDEX)?).ok()?;
        (validator < self.keys.len()).then_some(validator)
    }

    /// Attesters hang on the last block of the epoch before the last one.
    fn attesters(&self, view: View, epoch: u64) -> Vec<AttesterDuty> {
        if !(FIRST_EPOCH..self.end).contains(&epoch) {
            return Vec::new();
        }
        let first = self.clock().first_of(epoch);
        let shuffling = self.branch(view, first - SLOTS_PER_EPOCH - 1);
        let duty = |(validator, pubkey): (usize, &Bytes48)| {
            let number = mixed(&[self.seed, 11, epoch, shuffling, validator as u64]);
            AttesterDuty {
                pubkey: *pubkey,
                validator_index: Beacon::index_of(validator),
                committee_index: number / SLOTS_PER_EPOCH % 3,
                committee_length: 8,
                committees_at_slot: 3,
                validator_committee_index: validator as u64,
                slot: first + number % SLOTS_PER_EPOCH,
            }
        };
        let all = self.keys.iter().enumerate();
        all.filter(|(validator, _)| self.is_active(*validator, epoch)).map(duty).collect()
    }

    pub(crate) fn attesters_at(&self, view: View, slot: u64) -> Vec<(usize, AttesterDuty)> {
        let all = self.attesters(view, self.clock().epoch_of(slot)).into_iter();
        all.filter(|duty| duty.slot == slot)
            .filter_map(|duty| Some((self.validator_of(duty.validator_index)?, duty)))
            .collect()
    }

    /// The validator that proposes at a slot: that hangs on the last block of the epoch before.
    pub(crate) fn proposer(&self, view: View, slot: u64) -> Option<usize> {
        let epoch = self.clock().epoch_of(slot);
        if !(FIRST_EPOCH..self.end).contains(&epoch) {
            return None;
        }
        let shuffling = self.branch(view, self.clock().first_of(epoch) - 1);
        let number = mixed(&[self.seed, 12, slot, shuffling]);
        let validator = usize::try_from(number / 4).unwrap_or(usize::MAX) % self.keys.len();
        (number.is_multiple_of(4) && self.is_active(validator, epoch)).then_some(validator)
    }

    /// Members of the sync committee: in every other epoch one validator, in two subcommittees.
    pub(crate) fn member(&self, slot: u64) -> Option<(usize, [u64; 2])> {
        let epoch = self.clock().epoch_of(slot);
        let validator = usize::try_from(epoch / 2).unwrap_or(0) % self.keys.len();
        (self.is_active(validator, epoch) && epoch.is_multiple_of(2)).then_some((validator, [0, 1]))
    }

    fn proposers(&self, view: View, epoch: u64) -> Vec<ProposerDuty> {
        let first = self.clock().first_of(epoch);
        let duty = |slot| {
            let validator = self.proposer(view, slot);
            ProposerDuty {
                pubkey: validator.map_or(Bytes48::from([9; 48]), |validator| self.keys[validator]),
                validator_index: validator.map_or(7, Beacon::index_of),
                slot,
            }
        };
        (first..first + SLOTS_PER_EPOCH).map(duty).collect()
    }

    // -------------------------------------------------------------------------------------------- what nodes see

    fn chance(&self, purpose: u64, eye: usize, slot: u64) -> u64 {
        mixed(&[self.seed, purpose, eye as u64, slot]) % 256
    }

    /// The head that a node sees: one in eight gets a block late, at half of its slot.
    pub(crate) fn head(&self, view: View, slot: u64) -> Bytes32 {
        let is_early = view.now < self.clock().start_of(slot) + self.clock().slot / 2;
        let is_late = self.chance(13, view.eye, slot) < 32;
        self.block(view, if is_late && is_early { slot - 1 } else { slot })
    }

    /// What is wrong with what a liar says of a slot, if anything is: a number from 0.
    fn lie(&self, view: View, slot: u64) -> Option<u64> {
        let chance = self.chance(14, view.eye, slot);
        (view.eye >= EYES_OF_LIARS && chance < 96).then_some(chance % 4)
    }

    pub(crate) fn data(&self, view: View, slot: u64, committee: u64) -> AttestationData {
        let epoch = self.clock().epoch_of(slot);
        let is_odd = self.disputed.contains(&epoch) && self.chance(15, view.eye, epoch) < 128;
        let checkpoint = |epoch| Checkpoint { epoch, root: self.block(view, self.clock().first_of(epoch)) };
        let has_committees = !self.fork_at(slot).has_electra_attestations();
        let mut data = AttestationData {
            slot,
            index: if has_committees { committee } else { 0 },
            beacon_block_root: self.head(view, slot),
            source: checkpoint(if is_odd { epoch - 3 } else { epoch - 1 }),
            target: checkpoint(epoch),
        };
        match self.lie(view, slot) {
            Some(0) => data.target = checkpoint(epoch + 1),
            Some(1) => data.source = data.target,
            Some(2) => data.slot = slot + 1,
            Some(_) | None => {}
        }
        data
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
                activation_epoch: self.active[validator].start,
                exit_epoch: self.active[validator].end,
                withdrawable_epoch: u64::MAX,
            },
        };
        self.keys.iter().enumerate().filter(|(_, key)| keys.contains(key)).map(one).collect()
    }

    // -------------------------------------------------------------------------------------------------- questions

    /// What the beacon node of a node says; none where something is submitted.
    pub(crate) fn answer(&self, view: View, node: usize, call: &Call) -> Option<Result<Answer, CallError>> {
        let message = || "it has none yet".to_owned();
        let none = || CallError { endpoint: call.endpoint(), failure: Failure::NotYet, message: message() };
        let duties = |epoch: u64| self.block(view, self.clock().first_of(epoch.saturating_sub(1)));
        Some(Ok(match call {
            Call::AttesterDuties { epoch, .. } => Answer::AttesterDuties(Duties {
                dependent_root: duties(*epoch),
                duties: self.attesters(view, *epoch),
            }),
            Call::ProposerDuties { epoch } => Answer::ProposerDuties(Duties {
                dependent_root: duties(*epoch),
                duties: self.proposers(view, *epoch),
            }),
            Call::SyncDuties { epoch, .. } => {
                let member = self.member(self.clock().first_of(*epoch));
                let duty = |(validator, _): (usize, _)| SyncDuty {
                    pubkey: self.keys[validator],
                    validator_index: Beacon::index_of(validator),
                    validator_sync_committee_indices: vec![3, 200],
                };
                Answer::SyncDuties(member.map(duty).into_iter().collect())
            }
            Call::Validators { keys, .. } => Answer::Validators(self.validators(keys)),
            Call::AttestationData { slot, committee } => {
                Answer::AttestationData(self.data(view, *slot, *committee))
            }
            Call::Proposal { slot, randao, builder_boost, .. } => {
                let proposal = self.proposal(view, *slot, *randao, *builder_boost);
                return Some(proposal.map(|block| Answer::Proposal(Box::new(block))).ok_or_else(none));
            }
            Call::Aggregate { data_root, committee, .. } => {
                let data = self.submitted.attested(data_root);
                let aggregate = data.map(|data| self.aggregate(node, *committee, data));
                return Some(aggregate.map(|one| Answer::Aggregate(Box::new(one))).ok_or_else(none));
            }
            Call::Contribution { slot, subcommittee, block_root } => {
                if !self.submitted.is_voted(*slot, *block_root) {
                    return Some(Err(none()));
                }
                Answer::Contribution(contribution(node, *slot, *subcommittee, *block_root))
            }
            // What becomes of submissions is looked at elsewhere: this chain keeps no blocks of others.
            Call::Block { .. } => Answer::Block(None),
            Call::WholeBlock { .. } => Answer::WholeBlock(None),
            Call::Committees { .. } => Answer::Committees(vec![8; 3]),
            _ => return None,
        }))
    }

    /// An aggregate as one node sees it.
    fn aggregate(&self, node: usize, committee: u64, data: AttestationData) -> Attestation {
        let signature = Bytes96::from([2; 96]);
        if self.fork_at(data.slot).has_electra_attestations() {
            let mut aggregation_bits = BitList::with_capacity(16).expect("a small committee");
            aggregation_bits.set(node, true).expect("fewer than sixteen nodes");
            let mut committee_bits = BitVector::new();
            committee_bits.set(usize::try_from(committee % 64).unwrap_or(0), true).expect("one of 64");
            return Attestation::Electra(AttestationElectra {
                aggregation_bits,
                data,
                signature,
                committee_bits,
            });
        }
        let mut aggregation_bits = BitList::with_capacity(16).expect("a small committee");
        aggregation_bits.set(node, true).expect("fewer than sixteen nodes");
        Attestation::Phase0(AttestationPhase0 { aggregation_bits, data, signature })
    }
}

fn contribution(
    node: usize,
    slot: u64,
    subcommittee_index: u64,
    beacon_block_root: Bytes32,
) -> SyncCommitteeContribution {
    let mut aggregation_bits = BitVector::new();
    aggregation_bits.set(node, true).expect("fewer than 128 nodes");
    let signature = Bytes96::from([1; 96]);
    SyncCommitteeContribution { slot, beacon_block_root, subcommittee_index, aggregation_bits, signature }
}
