//! When a duty must have been done.
//!
//! In the good epochs of an act: messages take up to 60 ms and all arrive, beacon nodes answer within 80 ms, stores write,
//! nobody is killed, clocks are wrong by what the world says, and this has been so for an epoch. As many nodes are honest
//! and there as decide and sign (liars, a reckless client and those who are away count as missing). Slots of the last two
//! before trouble comes again are left out. Then:
//!
//! | Duty | Demanded |
//! |---|---|
//! | attestation, aggregate | always |
//! | block | nobody is missing; or clocks differ by 50 ms at most and the leader of the first round is there and honest |
//! | sync message | all nodes that are there see one head at a third of the slot |
//! | contribution | as the sync message, without liars, at most one node missing, all of one version |
//! | exit | always; asked for in the good epochs |
//! | registrations, fee recipients | told to the beacon node by each node that is there, once an epoch |

use std::collections::BTreeSet;

use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_qbft::consensus::offset;
use coxswain_dv_qbft::message::Nodes;

use super::World;
use crate::chain::View;
use crate::setting::{ACT, Builders, FIRST_EPOCH, QUIET, Shares, TROUBLE};

/// Slots before the end of the good epochs that are not looked at: what begins there may end in trouble.
const LAST_SLOTS: u64 = 2;
/// Milliseconds by which clocks may differ where one leader has to be enough for a block.
const CLOSE_MS: u64 = 50;

impl World {
    /// Every duty that is demanded was done.
    pub(super) fn check_demands(&mut self) {
        if !self.setting.has_quorum() || self.setting.shares != Shares::Judged {
            return;
        }
        for act in 0..self.setting.acts {
            let first = FIRST_EPOCH + act * ACT;
            let clock = self.beacon.clock();
            let slots = clock.first_of(first + TROUBLE + QUIET)..clock.first_of(first + ACT) - LAST_SLOTS;
            let absent = usize::try_from(act).ok().and_then(|act| self.absent.get(act)).cloned();
            let absent = absent.unwrap_or_default();
            for epoch in first + TROUBLE + QUIET..first + ACT {
                self.check_told(epoch, &absent);
            }
            for slot in slots {
                self.check_slot(slot, &absent);
            }
        }
    }

    fn demand(&mut self, kind: DutyType, slot: u64, validator: usize, subcommittee: u64) {
        self.counts.add("duties demanded", 1);
        if !self.beacon.submitted.done.contains(&(kind, slot, validator, subcommittee)) {
            let epoch = self.beacon.clock().epoch_of(slot);
            self.fail(format!(
                "not done in good time: {kind} of slot {slot} (epoch {epoch}) by validator {validator}, \
                 subcommittee {subcommittee}"
            ));
        }
    }

    /// A node that is there and honest.
    fn is_there(&self, node: usize, absent: &BTreeSet<usize>) -> bool {
        let is_reckless = self.setting.reckless.is_some_and(|(reckless, _)| reckless == node);
        node < self.setting.nodes - self.setting.liars && !absent.contains(&node) && !is_reckless
    }

    fn check_slot(&mut self, slot: u64, absent: &BTreeSet<usize>) {
        let clock = self.beacon.clock();
        let there: Vec<usize> = (0..self.setting.nodes).filter(|node| self.is_there(*node, absent)).collect();
        let missing = self.setting.nodes - there.len();
        let Some(eye) = there.first().copied() else { return };
        let view = View { eye, now: clock.start_of(slot + 1) };
        for (validator, _) in self.beacon.attesters_at(view, slot) {
            self.demand(DutyType::Attester, slot, validator, 0);
            self.demand(DutyType::Aggregator, slot, validator, 0);
        }
        if let Some(validator) = self.beacon.exits.get(&slot).copied() {
            self.demand(DutyType::Exit, clock.first_of(clock.epoch_of(slot)), validator, 0);
        }
        let duty = Duty::new(slot, DutyType::Proposer);
        let leader = Nodes { count: self.setting.nodes }.leader(offset(&duty), 1);
        let is_led = self.setting.skew_ms <= CLOSE_MS && there.contains(&leader);
        if let Some(validator) = self.beacon.proposer(view, slot)
            && (missing == 0 || is_led)
        {
            self.demand(DutyType::Proposer, slot, validator, 0);
        }
        self.check_sync(slot, &there);
    }

    fn check_sync(&mut self, slot: u64, there: &[usize]) {
        let clock = self.beacon.clock();
        let now = clock.start_of(slot) + clock.slot / 3;
        let heads: BTreeSet<Bytes32> =
            there.iter().map(|eye| self.beacon.head(View { eye: *eye, now }, slot)).collect();
        let Some((validator, _)) = self.beacon.member(slot).filter(|_| heads.len() == 1) else { return };
        self.demand(DutyType::SyncMessage, slot, validator, 0);
        let missing = self.setting.nodes - there.len();
        if self.setting.liars > 0 || missing > 1 || self.setting.old {
            return;
        }
        let machine = self.machines.iter().find(|one| there.contains(&one.node));
        let subcommittees = machine.map(|one| one.client.contributes(slot)).unwrap_or_default();
        for subcommittee in subcommittees {
            self.demand(DutyType::SyncContribution, slot, validator, subcommittee);
        }
    }

    /// What beacon nodes are told once an epoch.
    fn check_told(&mut self, epoch: u64, absent: &BTreeSet<usize>) {
        for node in (0..self.setting.nodes).filter(|node| self.is_there(*node, absent)).collect::<Vec<_>>() {
            if !self.prepared.contains(&(node, epoch)) {
                self.fail(format!("node {node} told nobody in epoch {epoch} whom blocks pay"));
            }
            let has_builder = self.setting.builders == Builders::All
                || (self.setting.builders == Builders::Some && node.is_multiple_of(2));
            if has_builder && !self.registered.contains(&(node, epoch)) {
                self.fail(format!("node {node} did not register in epoch {epoch}"));
            }
            self.counts.add("registrations by nodes", u64::from(has_builder));
        }
    }
}
