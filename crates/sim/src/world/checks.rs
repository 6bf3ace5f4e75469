//! What must hold at every moment.
//!
//! | What | Where it is looked at |
//! |---|---|
//! | a share of an honest node signs no two blocks of a slot, no two votes of a target, none that surround | every partial signature that leaves, over all lives of the machine |
//! | the same of each group | every submission, also those of liars |
//! | what can be slashed is on the disk before it leaves | partial signatures: the share's store; submissions: the group's |
//! | a partial signature verifies, is of the node that sends it and of the duty it is sent for | every partial signature that leaves |
//! | a block is the decided one and of its proposer; no vote is of the future | every partial signature that leaves |
//! | honest nodes decide the same | every answer to a validator client, every agreement on versions |
//! | what is decided is of the duty: slot, target, source, proposer | every answer to a validator client |
//! | a node that only watches sends no message of consensus | every message, after a start (S9) and after its clock was set (S10) |
//! | a node that was started again, or whose clock was set, says no more of what it spoke of before | every message of consensus |
//! | what counts in consensus was said by those who are named, of this duty | all that an instance took, when it is over |
//! | shares are put together each once, and as many as are needed | every job |
//! | a node's own share comes from nobody else | every partial signature that is kept |
//! | what a liar sends for another slot is not kept | every partial signature that is kept |
//! | the store is asked with the machine's own time (S4) | every question to it |

use std::collections::BTreeMap;
use std::sync::Arc;

use coxswain_dv_core::{Channel, Event, Job, Note, Step};
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::client::{Answer, Request};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::protect::{Wall, What};
use coxswain_dv_eth::signed::SignedData;
use coxswain_dv_eth::time::Clock;
use coxswain_dv_qbft::debugger::Record;
use coxswain_dv_wire::message;
use coxswain_dv_wire::parsigex::{ParSigExMsg, ParSignedData};
use coxswain_dv_wire::priority_result::Agreed;
use coxswain_dv_wire::protocol::{PARSIGEX, QBFT};
use coxswain_dv_wire::qbft::QbftMsg;
use coxswain_dv_wire::unsigned::qbft_signing_root;
use tree_hash::TreeHash as _;

use super::World;
use crate::setting::Shares;

/// How far ahead of a machine's clock it may sign, in slots and in epochs.
const AHEAD: u64 = 1;

/// The decided block of a slot, among decisions.
fn block_of(slot: u64) -> (u8, u64, u64, Bytes32) {
    (1, slot, 0, Bytes32::default())
}

/// Whether what is signed is of a slot; randomness, of its epoch.
fn is_of(data: &SignedData, slot: u64, clock: &Clock) -> bool {
    let found = match data {
        SignedData::Proposer(block) => block.slot(),
        SignedData::Attester(signed) => signed.attestation.data().slot,
        SignedData::Exit(exit) => clock.first_of(exit.message.epoch),
        SignedData::Randao(randao) => return randao.epoch == clock.epoch_of(slot),
        SignedData::PrepareAggregator(one) => one.slot,
        SignedData::Aggregator(one) => one.data().slot,
        SignedData::SyncMessage(one) => one.slot,
        SignedData::PrepareSyncContribution(one) => one.slot,
        SignedData::SyncContribution(one) => one.message.contribution.slot,
        SignedData::Signature(_) | SignedData::BuilderRegistration(_) => return false,
    };
    found == slot
}

impl World {
    /// Honest nodes say the same of what was decided, and it is of the duty.
    pub(super) fn check_decided(&mut self, machine: usize, request: &Request, answer: &Answer) {
        if !self.machines[machine].is_honest() {
            return;
        }
        let none = Bytes32::default();
        let (place, root) = match (request, answer) {
            (Request::AttestationData { slot, committee }, Answer::AttestationData(data)) => {
                let epoch = self.beacon.clock().epoch_of(*slot);
                if data.slot != *slot || data.target.epoch != epoch || data.source.epoch >= epoch {
                    return self.fail(format!("data of another duty were decided for slot {slot}: {data:?}"));
                }
                ((0, *slot, *committee, none), data.root())
            }
            (Request::Proposal { slot, .. }, Answer::Proposal(block)) => {
                let is_ours = self.beacon.validator_of(block.proposer_index()).is_some();
                if block.slot() != *slot || !is_ours {
                    return self.fail(format!("a block of another duty was decided for slot {slot}"));
                }
                (block_of(*slot), block.root())
            }
            (Request::Aggregate { slot, data_root, committee }, Answer::Aggregate { attestation, .. }) => {
                ((2, *slot, *committee, *data_root), attestation.root())
            }
            (Request::Contribution { slot, subcommittee, block_root }, Answer::Contribution(one)) => {
                ((3, *slot, *subcommittee, *block_root), one.tree_hash_root().0)
            }
            _ => return,
        };
        let known = *self.decided.entry(place).or_insert(root.into());
        if known != Bytes32::from(root) {
            self.fail(format!("two decisions for {request:?}"));
        }
    }

    pub(super) fn check_agreed(&mut self, slot: u64, agreed: &Agreed) {
        let known = self.agreed.entry(slot).or_insert_with(|| agreed.clone());
        if known != agreed {
            let what = format!("two agreements from slot {slot} on: {known:?} and {agreed:?}");
            self.fail(what);
        }
    }

    /// A node does not know what it said before it started, or before its clock was set.
    pub(super) fn check_watching(&mut self, machine: usize, duty: &Duty) {
        let one = &mut self.machines[machine];
        if !one.is_honest() {
            return;
        }
        if duty.start(&self.beacon.chain.clock) < one.observes_until {
            return self
                .fail(format!("machine {machine} should only watch {duty}, and sends a message of it"));
        }
        let now = (one.life, one.clock_sets);
        let (life, sets) = *one.spoken.entry(*duty).or_insert(now);
        // Who is started again at another time than it ran at before cannot know how far it went.
        if (life != now.0) != (sets != now.1) {
            let since = if life == now.0 { "its clock was set" } else { "it was started" };
            self.fail(format!("machine {machine} spoke of {duty} before {since}, and does again"));
        }
    }

    /// What counts in consensus was said by those who are named, and of this duty.
    pub(super) fn check_record(&mut self, machine: usize, record: &Record) {
        if !self.machines[machine].is_honest() {
            return;
        }
        let seals = self.keys.seals(self.machines[machine].node);
        for (_, envelope) in record.messages() {
            let message = &envelope.message;
            let read = |bytes: &[u8]| message::decode::<QbftMsg>(bytes, QBFT.max_bytes).ok();
            let duty = read(&message.sealed).and_then(|read| read.duty);
            for one in std::iter::once(message).chain(&message.justification) {
                let is_good =
                    read(&one.sealed).zip(qbft_signing_root(&one.sealed).ok()).is_some_and(|(read, root)| {
                        read.duty == duty && seals.check(one.source, &root, &read.signature).is_ok()
                    });
                if !is_good {
                    let what =
                        format!("machine {machine} takes what node {} did not say of {duty:?}", one.source);
                    return self.fail(what);
                }
            }
        }
    }

    /// What leaves is the node's own, is on the disk where it can be slashed, and contradicts nothing.
    pub(super) fn check_partials(&mut self, machine: usize, bytes: &Arc<Vec<u8>>) {
        let one = &mut self.machines[machine];
        let is_known = one.checked.as_ref().is_some_and(|checked| Arc::ptr_eq(checked, bytes));
        if !one.is_honest() || is_known {
            return;
        }
        one.checked = Some(Arc::clone(bytes));
        let Ok(message) = message::decode::<ParSigExMsg>(bytes, PARSIGEX.max_bytes) else {
            return self.fail(format!("machine {machine} sends partial signatures that cannot be read"));
        };
        let duty = message.duty.unwrap_or_default();
        let set: BTreeMap<String, ParSignedData> = message.data_set.unwrap_or_default().into();
        for (key, one) in set {
            self.check_partial(machine, (duty.slot, duty.r#type), &key, &one);
        }
    }

    fn check_partial(
        &mut self,
        machine: usize,
        (slot, number): (u64, i32),
        key: &str,
        partial: &ParSignedData,
    ) {
        let node = self.machines[machine].node;
        if usize::try_from(partial.share_idx) != Ok(node + 1) {
            return self.fail(format!("node {node} sends a signature of share {}", partial.share_idx));
        }
        let data = DutyType::of(number).and_then(|kind| SignedData::decode(kind, &partial.data).ok());
        let validator = self.beacon.keys.iter().position(|known| known.to_string() == key);
        let clock = self.beacon.clock();
        let signable = data.as_ref().and_then(|data| data.signable(&clock));
        let (Some(data), Some(validator), Some(signable)) = (data, validator, signable) else {
            return self.fail(format!("node {node} sends a partial signature that cannot be read"));
        };
        if !is_of(&data, slot, &clock) {
            return self.fail(format!("node {node} sends for slot {slot} what is of another: {data:?}"));
        }
        let root = self.beacon.chain.signing_root(&signable);
        if !self.keys.is_of_share(validator, node, root, data.signature()) {
            return self.fail(format!("share {} did not sign what node {node} sends: {data:?}", node + 1));
        }
        if let Some(what) = self.beacon.what(&data) {
            self.check_slashable(machine, validator, &data, &what);
        }
    }

    fn check_slashable(&mut self, machine: usize, validator: usize, data: &SignedData, what: &What) {
        if self.setting.shares == Shares::Blind {
            return;
        }
        let (clock, key) = (self.beacon.clock(), self.beacon.keys[validator]);
        let one = &self.machines[machine];
        let (share, is_kept) = (one.node + 1, one.shares.has(key, what));
        let shown = clock.slot_at(one.clock.shows(self.now)).unwrap_or(0);
        let is_future = match what {
            What::Block { slot, .. } => *slot > shown + AHEAD,
            What::Attestation { target, .. } => *target > clock.epoch_of(shown) + AHEAD,
        };
        if let SignedData::Proposer(block) = data {
            let decided = self.decided.get(&block_of(block.slot())).copied();
            if decided != Some(block.root().into()) {
                return self.fail(format!("share {share} signs a block that was not decided: {what:?}"));
            }
            if self.beacon.validator_of(block.proposer_index()) != Some(validator) {
                return self.fail(format!("share {share} signs a block of another validator: {what:?}"));
            }
        }
        if !is_kept {
            return self.fail(format!("share {share} signs what is not on its disk: {what:?}"));
        }
        // A clock that was set back since the store was asked has nothing to say.
        if is_future && self.machines[machine].clock_sets == 0 {
            return self.fail(format!("share {share} signs at slot {shown} what is of the future: {what:?}"));
        }
        let signed = self.machines[machine].signed.entry(validator).or_default();
        if let Some(clash) = signed.take(what) {
            self.fail(format!("share {share} of validator {validator} signed {clash}"));
        }
    }

    /// The store is asked with the time that the machine's clock shows.
    pub(super) fn check_wall(&mut self, machine: usize, wall: Wall) {
        let clock = self.beacon.clock();
        let slot = clock.slot_at(self.machines[machine].clock.shows(self.now)).unwrap_or(0);
        if wall != (Wall { slot, epoch: clock.epoch_of(slot) }) {
            self.fail(format!("machine {machine} asks its store at slot {slot} with the time {wall:?}"));
        }
    }

    /// What a node submits is on its disk as the group's.
    pub(super) fn check_kept(&mut self, machine: usize, validator: Option<usize>, data: &SignedData) {
        let one = &self.machines[machine];
        let Some(what) = self.beacon.what(data).filter(|_| one.is_honest()) else { return };
        let key = validator.and_then(|validator| self.beacon.keys.get(validator));
        if !key.is_some_and(|key| one.groups.has(*key, &what)) {
            self.fail(format!("machine {machine} submits what is not on its disk: {what:?}"));
        }
    }

    /// Shares are put together each once, and as many as are needed.
    pub(super) fn check_job(&mut self, machine: usize, job: &Job) {
        let Job::Aggregate(all) = job else { return };
        for one in all {
            let mut shares: Vec<u64> = one.partials.iter().map(|(share, _)| *share).collect();
            shares.sort_unstable();
            let count = shares.len();
            shares.dedup();
            if shares.len() != count || count < self.keys.threshold {
                return self.fail(format!("machine {machine} puts the shares {shares:?} together"));
            }
        }
    }

    /// Remembers which partial signatures a liar sent, and whether they, or what others sent of the same share, are of their
    /// duty.
    pub(super) fn note_came(&mut self, machine: usize, event: &Event) {
        let Event::Received { from, channel: Channel::Parsigex, bytes } = event else { return };
        if self.setting.liars == 0 || !self.machines[machine].is_honest() {
            return;
        }
        let is_liar = *from >= self.setting.nodes - self.setting.liars;
        let Ok(message) = message::decode::<ParSigExMsg>(bytes, PARSIGEX.max_bytes) else { return };
        let wire = message.duty.unwrap_or_default();
        let Some(kind) = DutyType::of(wire.r#type) else { return };
        let (duty, clock) = (Duty::new(wire.slot, kind), self.beacon.clock());
        let set: BTreeMap<String, ParSignedData> = message.data_set.unwrap_or_default().into();
        for (key, one) in set {
            let (Ok(key), Ok(share)) = (key.parse(), u32::try_from(one.share_idx)) else { continue };
            let data = SignedData::decode(kind, &one.data);
            let is_good = data.is_ok_and(|data| is_of(&data, duty.slot, &clock));
            let place = (machine, duty, key, share);
            if is_liar || self.came.contains_key(&place) {
                *self.came.entry(place).or_default() |= is_good;
            }
        }
    }

    /// Only a node's own client signs with its share; and what is kept for a duty is of it.
    pub(super) fn check_step(&mut self, machine: usize, note: &Note) {
        let Note::Duty {
            duty,
            step: Step::ParSigDbExternal,
            key: Some(key),
            share: Some(share),
            error: None,
        } = note
        else {
            return;
        };
        let node = self.machines[machine].node;
        if usize::try_from(*share) == Ok(node + 1) {
            return self.fail(format!("machine {machine} takes its own share of {duty} from a peer"));
        }
        if self.came.get(&(machine, *duty, *key, *share)) == Some(&false) {
            self.fail(format!("machine {machine} keeps for {duty} what share {share} signed for another"));
        }
    }

    /// Nothing is left of what is over. Exits are never over.
    pub(super) fn check_empty(&mut self) {
        let exits = self.beacon.exits.len();
        for machine in 0..self.machines.len() {
            let Some(core) = &self.machines[machine].core else { continue };
            let held = core.held();
            if held > 2 * exits {
                return self.fail(format!("machine {machine} holds {held} things when all is over"));
            }
        }
    }
}
