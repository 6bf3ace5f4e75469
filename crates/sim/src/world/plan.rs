//! What a world will go through: drawn before it begins, so that what nodes do changes none of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coxswain_dv_crypto::k1::Address;
use coxswain_dv_eth::domain::{BUILDER, Signable};
use coxswain_dv_eth::signed::SignedRegistration;
use coxswain_dv_eth::time::Time;
use coxswain_dv_types::registration::{OLD_GAS_LIMIT, Registration};

use super::{Partition, Todo, World};
use crate::chain::{BRANCH_SPREAD_MS, Reorg};
use crate::client::{Client, Manner};
use crate::clock::MachineClock;
use crate::keys::VALIDATORS;
use crate::machine::Machine;
use crate::setting::{ACT, FIRST_EPOCH, First, QUIET, SLOTS_PER_EPOCH, TROUBLE};
use crate::store::Ledger;

/// Milliseconds by which most clocks are set: beyond what counts as a correction, up to some slots; others by epochs.
const CLOCK_SET_MS: std::ops::Range<u64> = 600..60_000;
/// Slots that the deepest reorg gives up: more than an epoch, so that duties change.
const DEEPEST: u64 = 12;

impl World {
    pub(super) fn people(&mut self) {
        let (nodes, liars) = (self.setting.nodes, self.setting.liars);
        for node in 0..nodes {
            let halves = if node < nodes - liars { vec![None] } else { vec![Some(0), Some(1)] };
            for half in halves {
                let manner = match (half, self.setting.reckless) {
                    (Some(0), _) => Manner::Reckless(First::Truth),
                    (Some(_), _) => Manner::Reckless(First::Lie),
                    (None, Some((reckless, first))) if reckless == node => Manner::Reckless(first),
                    (None, _) => Manner::Careful,
                };
                let clock = self.drawn_clock();
                let habit = self.dice.millis(300);
                self.machines.push(Machine {
                    node,
                    half,
                    core: None,
                    life: 0,
                    dies_writing: None,
                    clock,
                    clock_sets: 0,
                    observes_until: Time::default(),
                    client: Client::new(node, manner),
                    habit,
                    shares: Ledger::default(),
                    groups: Ledger::default(),
                    asked: BTreeMap::new(),
                    next_wake: None,
                    signed: BTreeMap::new(),
                    spoken: BTreeMap::new(),
                    checked: None,
                });
            }
        }
    }

    fn either_way(&mut self, most: u64) -> i64 {
        let number = i64::try_from(self.dice.below(most + 1)).unwrap_or(0);
        if self.dice.happens(50) { number } else { -number }
    }

    fn drawn_clock(&mut self) -> MachineClock {
        let ahead_us = self.either_way(self.setting.skew_ms * 1_000);
        let drift_ppm = self.either_way(self.setting.drift_ppm);
        MachineClock { ahead_us, drift_ppm, since: self.now }
    }

    pub(super) fn plan(&mut self) {
        self.register();
        for machine in 0..self.machines.len() {
            let begin = self.now + self.dice.millis(1_000);
            self.at(begin, Todo::Start { machine });
            self.set_alarm(machine);
        }
        for act in 0..self.setting.acts {
            self.plan_act(act);
        }
        self.plan_branches();
    }

    /// Registrations with builders that the cluster was made with.
    fn register(&mut self) {
        for validator in 0..VALIDATORS {
            let message = Registration {
                fee_recipient: Address([4; 20]),
                gas_limit: OLD_GAS_LIMIT,
                timestamp: 1_700_000_000,
                pubkey: self.keys.validators()[validator].key.0,
            };
            let signable = Signable { root: message.root(), domain: BUILDER, epoch: 0 };
            let root = self.beacon.chain.signing_root(&signable);
            let signature = self.keys.sign_as_group(validator, root).0;
            self.beacon.registrations.push(SignedRegistration { message, signature });
        }
    }

    fn plan_act(&mut self, act: u64) {
        let clock = self.beacon.clock();
        let first = FIRST_EPOCH + act * ACT;
        let begin = clock.start_of(clock.first_of(first));
        let calm = clock.start_of(clock.first_of(first + TROUBLE));
        // Whatever begins in the bad time ends a slot before the good one.
        let bad = u64::try_from(calm.since(begin + clock.slot).as_millis()).unwrap_or(0);
        for _ in 0..self.setting.trouble.crashes {
            let machine = self.dice.index(self.machines.len());
            let (from, until) = self.stretch(begin, bad);
            let todo = match self.dice.happens(50) {
                true => Todo::CrashWriting { machine, until },
                false => Todo::Crash { machine },
            };
            self.at(from, todo);
            self.at(until, Todo::Start { machine });
        }
        for _ in 0..self.setting.trouble.partitions {
            let (from, until) = self.stretch(begin, bad);
            let side = self.dice.below(1 << self.setting.nodes);
            self.counts.add("partitions", 1);
            self.partitions.push(Partition { from, until, side });
        }
        for _ in 0..self.setting.trouble.clocks_set {
            let machine = self.dice.index(self.machines.len());
            let right = self.machines[machine].clock.ahead_us;
            let (from, until) = self.stretch(begin, bad);
            // A clock that was ahead leaves nothing behind but duties that are watched: none of good epochs.
            let furthest = (calm + clock.epoch()).since(until + clock.slot);
            let furthest = u64::try_from(furthest.as_millis()).unwrap_or(0);
            let end = if self.dice.happens(40) { furthest } else { CLOCK_SET_MS.end.min(furthest) };
            let ms = i64::try_from(self.dice.within(CLOCK_SET_MS.start..end)).unwrap_or(0);
            let wrong = if self.dice.happens(50) { ms * 1_000 } else { ms * -1_000 };
            self.at(from, Todo::SetClock { machine, ahead_us: right + wrong });
            self.at(until, Todo::SetClock { machine, ahead_us: right });
        }
        for _ in 0..self.setting.trouble.reorgs {
            let at = begin + self.dice.millis(bad);
            let slot = clock.slot_at(at).unwrap_or(0);
            let kept = slot - 1 - self.dice.below(DEEPEST);
            self.beacon.reorgs.push(Reorg { at, kept, slot });
        }
        for epoch in first..first + TROUBLE {
            if self.dice.happens(self.setting.trouble.disputed) {
                self.beacon.disputed.insert(epoch);
            }
        }
        self.plan_absent(calm, clock.start_of(clock.first_of(first + ACT)));
        let exit = clock.first_of(first + TROUBLE + QUIET) + 1;
        self.beacon.exits.insert(exit, usize::try_from(act).unwrap_or(0) % VALIDATORS);
    }

    fn stretch(&mut self, begin: Time, millis: u64) -> (Time, Time) {
        let (one, other) = (self.dice.below(millis), self.dice.below(millis));
        let [from, until] = [one.min(other), one.max(other)].map(Duration::from_millis);
        (begin + from, begin + until)
    }

    /// As many nodes as the cluster can do without are away, where the world is such.
    fn plan_absent(&mut self, from: Time, until: Time) {
        let most = if self.setting.absent { self.setting.spare() } else { 0 };
        let count = self.dice.below(most as u64 + 1);
        let mut absent = BTreeSet::new();
        for _ in 0..count {
            let first = usize::from(self.setting.reckless.is_some());
            let honest = self.setting.nodes - self.setting.liars;
            absent.insert(first + self.dice.index(honest - first));
        }
        for machine in 0..self.machines.len() {
            if self.machines[machine].is_honest() && absent.contains(&self.machines[machine].node) {
                self.at(from, Todo::Crash { machine });
                self.at(until, Todo::Start { machine });
            }
        }
        self.absent.push(absent);
    }

    /// Reorgs in order, and those that come before everyone has seen the last one left out.
    fn plan_branches(&mut self) {
        let mut reorgs = std::mem::take(&mut self.beacon.reorgs);
        reorgs.sort_by_key(|reorg| reorg.at);
        for reorg in reorgs {
            let free =
                self.beacon.reorgs.last().map(|last| last.at + Duration::from_millis(BRANCH_SPREAD_MS));
            if free.is_none_or(|free| reorg.at > free) {
                self.beacon.reorgs.push(reorg);
            }
        }
        self.counts.add("reorgs", self.beacon.reorgs.len() as u64);
        for number in 0..self.beacon.reorgs.len() {
            for machine in 0..self.machines.len() {
                let eye = self.machines[machine].view(self.now).eye;
                let at = self.beacon.seen_at(number, eye);
                self.at(at, Todo::Branch { machine, number });
            }
        }
        let slots = self.setting.acts * ACT * SLOTS_PER_EPOCH;
        self.tell(|| format!("{slots} slots"));
    }
}
