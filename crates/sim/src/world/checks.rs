//! What must hold at every moment.
//!
//! | What | Where it is looked at |
//! |---|---|
//! | a share of an honest node signs no two blocks of a slot, no two votes of a target, none that surround | every partial signature that leaves, over all lives of the machine |
//! | the same of each group | every submission, also those of liars |
//! | what can be slashed is on the disk before it leaves | partial signatures: the share's store; submissions: the group's |
//! | a partial signature is of the node that sends it | every partial signature that leaves |
//! | honest nodes decide the same | every answer to a validator client, every agreement on versions |
//! | what is decided is of the duty: slot, target, source, proposer | every answer to a validator client |
//! | a node that only watches sends no message of consensus | every message, after a start (S9) and after its clock was set (S10) |
//! | shares are put together each once, and as many as are needed | every job |
//! | a node's own share comes from nobody else | every partial signature that is kept |

use std::collections::BTreeMap;
use std::sync::Arc;

use coxswain_dv_core::{Job, Note, Step};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_eth::client::{Answer, Request};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::signed::SignedData;
use coxswain_dv_wire::message;
use coxswain_dv_wire::parsigex::{ParSigExMsg, ParSignedData};
use coxswain_dv_wire::priority_result::Agreed;
use coxswain_dv_wire::protocol::PARSIGEX;
use tree_hash::TreeHash as _;

use super::World;
use crate::setting::Shares;

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
                ((1, *slot, 0, none), block.root())
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
        let one = &self.machines[machine];
        if one.is_honest() && duty.start(&self.beacon.chain.clock) < one.observes_until {
            self.fail(format!("machine {machine} should only watch {duty}, and sends a message of it"));
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
        let number = message.duty.unwrap_or_default().r#type;
        let set: BTreeMap<String, ParSignedData> = message.data_set.unwrap_or_default().into();
        for (key, one) in set {
            self.check_partial(machine, DutyType::of(number), &key, &one);
        }
    }

    fn check_partial(&mut self, machine: usize, kind: Option<DutyType>, key: &str, partial: &ParSignedData) {
        let node = self.machines[machine].node;
        if usize::try_from(partial.share_idx) != Ok(node + 1) {
            return self.fail(format!("node {node} sends a signature of share {}", partial.share_idx));
        }
        let kind = kind.filter(|kind| matches!(kind, DutyType::Proposer | DutyType::Attester));
        let Some(kind) = kind else { return };
        let data = SignedData::decode(kind, &partial.data).ok();
        let key: Option<Bytes48> = key.parse().ok();
        let what = data.as_ref().and_then(|data| self.beacon.what(data));
        let (Some(key), Some(what)) = (key, what) else {
            return self.fail(format!("node {node} sends a partial signature that cannot be read"));
        };
        if self.setting.shares == Shares::Blind {
            return;
        }
        let validator = self.beacon.keys.iter().position(|known| *known == key).unwrap_or(usize::MAX);
        let one = &mut self.machines[machine];
        if !one.shares.has(key, &what) {
            return self.fail(format!("share {} signs what is not on its disk: {what:?}", node + 1));
        }
        if let Some(clash) = one.signed.entry(validator).or_default().take(&what) {
            self.fail(format!("share {} of validator {validator} signed {clash}", node + 1));
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

    /// Only a node's own client signs with its share.
    pub(super) fn check_step(&mut self, machine: usize, note: &Note) {
        let Note::Duty { duty, step: Step::ParSigDbExternal, share, error: None, .. } = note else { return };
        let node = self.machines[machine].node;
        if share.and_then(|share| usize::try_from(share).ok()) == Some(node + 1) {
            self.fail(format!("machine {machine} takes its own share of {duty} from a peer"));
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
