//! Which duties the cluster's validators have: resolved epoch by epoch, from what beacon nodes say.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_eth::api::{AttesterDuty, ProposerDuty, SyncDuty};
use coxswain_dv_eth::beacon::{Answer, Call, Validator};
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::Clock;

use crate::features::Synthetic;
use crate::synthetic;

/// Epochs before the current one whose definitions are kept: late duties still look them up.
const KEPT_EPOCHS: u64 = 2;

/// One validator's part in a duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Definition {
    Attester(AttesterDuty),
    Proposer(ProposerDuty),
    /// A proposal that is made up.
    Synthetic(ProposerDuty),
    Sync(SyncDuty),
}

/// A duty's validators and their parts.
pub(crate) type Definitions = BTreeMap<Bytes48, Definition>;

/// What is known of an epoch.
#[derive(Debug, Default)]
struct Epoch {
    validators: Option<Vec<Validator>>,
    attesters: Option<BTreeMap<u64, Definitions>>,
    proposers: Option<BTreeMap<u64, Definitions>>,
    sync: Option<Definitions>,
    /// Whether somebody was asked and has not failed to answer.
    is_asked: bool,
    /// Whether the chain took another branch since: what is known holds until something else is.
    is_stale: bool,
}

impl Epoch {
    fn is_resolved(&self) -> bool {
        self.attesters.is_some() && self.proposers.is_some() && self.sync.is_some()
    }
}

/// Duties by epoch.
#[derive(Debug)]
pub(crate) struct Scheduler {
    clock: Clock,
    keys: BTreeSet<Bytes48>,
    synthetic: Synthetic,
    epochs: BTreeMap<u64, Epoch>,
    /// What was last said of the cluster's validators.
    validators: BTreeMap<Bytes48, Validator>,
    by_index: BTreeMap<u64, Bytes48>,
}

impl Scheduler {
    pub(crate) fn new(clock: Clock, keys: Vec<Bytes48>, synthetic: Synthetic) -> Scheduler {
        Scheduler {
            clock,
            keys: keys.into_iter().collect(),
            synthetic,
            epochs: BTreeMap::new(),
            validators: BTreeMap::new(),
            by_index: BTreeMap::new(),
        }
    }

    /// What has to be asked at a slot: validators for the epoch, or for the next one in the last slot.
    pub(crate) fn wanted(&mut self, slot: u64) -> Vec<(u64, Call)> {
        let epoch = self.clock.epoch_of(slot);
        let is_last = self.clock.epoch_of(slot.saturating_add(1)) != epoch;
        self.epochs.extract_if(..epoch.saturating_sub(KEPT_EPOCHS), |_, _| true).for_each(drop);
        let next = is_last.then(|| epoch.saturating_add(1));
        let mut calls = Vec::new();
        for epoch in std::iter::once(epoch).chain(next) {
            let known = self.epochs.entry(epoch).or_default();
            if !known.is_asked && (known.is_stale || !known.is_resolved()) {
                (known.is_asked, known.is_stale) = (true, false);
                let state = "head".to_owned();
                calls.push((epoch, Call::Validators { state, keys: self.keys.iter().copied().collect() }));
            }
        }
        calls
    }

    /// Takes the validators; what has to be asked next.
    pub(crate) fn take_validators(&mut self, epoch: u64, mut all: Vec<Validator>) -> Vec<Call> {
        // A beacon node may tell of others.
        all.retain(|one| self.keys.contains(&one.validator.pubkey));
        for one in &all {
            self.by_index.insert(one.index, one.validator.pubkey);
            self.validators.insert(one.validator.pubkey, one.clone());
        }
        let active: Vec<Validator> = all.into_iter().filter(|one| one.is_active_at(epoch)).collect();
        let known = self.epochs.entry(epoch).or_default();
        let indices: Vec<u64> = active.iter().map(|one| one.index).collect();
        known.validators = Some(active);
        if indices.is_empty() {
            known.attesters = Some(BTreeMap::new());
            known.proposers = Some(BTreeMap::new());
            known.sync = Some(BTreeMap::new());
            // A beacon node that has not read the chain says this, too: it is asked again.
            (known.is_asked, known.is_stale) = (false, true);
            return Vec::new();
        }
        vec![
            Call::AttesterDuties { epoch, validators: indices.clone() },
            Call::ProposerDuties { epoch },
            Call::SyncDuties { epoch, validators: indices },
        ]
    }

    /// Takes duties; whether the epoch is resolved now. Duties of other validators, or of other epochs, are nothing.
    pub(crate) fn take_duties(&mut self, epoch: u64, answer: Answer) -> bool {
        let clock = self.clock;
        let Some(known) = self.epochs.get_mut(&epoch) else { return false };
        let keys = &self.keys;
        let ours = |key: &Bytes48, slot: u64| keys.contains(key) && clock.epoch_of(slot) == epoch;
        match answer {
            Answer::AttesterDuties(duties) => {
                let mut slots: BTreeMap<u64, Definitions> = BTreeMap::new();
                for duty in duties.duties.into_iter().filter(|duty| ours(&duty.pubkey, duty.slot)) {
                    slots.entry(duty.slot).or_default().insert(duty.pubkey, Definition::Attester(duty));
                }
                known.attesters = Some(slots);
            }
            Answer::ProposerDuties(duties) => {
                let mut slots: BTreeMap<u64, Definitions> = BTreeMap::new();
                let made_up = match self.synthetic {
                    Synthetic::Off => Vec::new(),
                    Synthetic::On => {
                        let active = known.validators.as_deref().unwrap_or_default();
                        synthetic::duties(&clock, epoch, active, &duties.duties)
                    }
                };
                for duty in duties.duties.into_iter().filter(|duty| ours(&duty.pubkey, duty.slot)) {
                    slots.entry(duty.slot).or_default().insert(duty.pubkey, Definition::Proposer(duty));
                }
                for duty in made_up {
                    slots.entry(duty.slot).or_default().insert(duty.pubkey, Definition::Synthetic(duty));
                }
                known.proposers = Some(slots);
            }
            Answer::SyncDuties(duties) => {
                let ours = duties.into_iter().filter(|duty| keys.contains(&duty.pubkey));
                known.sync = Some(ours.map(|duty| (duty.pubkey, Definition::Sync(duty))).collect());
            }
            Answer::Validators(_)
            | Answer::AttestationData(_)
            | Answer::Proposal(_)
            | Answer::Aggregate(_)
            | Answer::Contribution(_)
            | Answer::Syncing(_)
            | Answer::Block(_)
            | Answer::WholeBlock(_)
            | Answer::Committees(_)
            | Answer::Done => return false,
        }
        known.is_resolved()
    }

    /// An epoch could not be resolved: the next slot asks again.
    pub(crate) fn failed(&mut self, epoch: u64) {
        if let Some(known) = self.epochs.get_mut(&epoch) {
            known.is_asked = false;
        }
    }

    /// The chain took another branch: what hangs on blocks after this epoch is asked again.
    pub(crate) fn reorganised(&mut self, epoch: u64) {
        for (_, known) in self.epochs.range_mut(epoch.saturating_add(1)..) {
            (known.is_asked, known.is_stale) = (false, true);
        }
    }

    /// Validators that are active in an epoch.
    pub(crate) fn active(&self, epoch: u64) -> &[Validator] {
        self.epochs.get(&epoch).and_then(|known| known.validators.as_deref()).unwrap_or_default()
    }

    /// The validator of a key, as it was last seen.
    pub(crate) fn validator(&self, key: &Bytes48) -> Option<&Validator> {
        self.validators.get(key)
    }

    /// The key of a validator's index.
    pub(crate) fn key_of(&self, index: u64) -> Option<Bytes48> {
        self.by_index.get(&index).copied()
    }

    /// Whether a validator proposes at a slot; none where that is not known.
    pub(crate) fn proposes(&self, key: &Bytes48, slot: u64) -> Option<bool> {
        let known = self.epochs.get(&self.clock.epoch_of(slot))?.proposers.as_ref()?;
        Some(known.get(&slot).is_some_and(|all| all.contains_key(key)))
    }

    /// Whether a validator's proposal at a slot is one that is made up.
    pub(crate) fn is_made_up(&self, key: &Bytes48, slot: u64) -> bool {
        let known = self.epochs.get(&self.clock.epoch_of(slot)).and_then(|known| known.proposers.as_ref());
        let of_slot = known.and_then(|slots| slots.get(&slot));
        matches!(of_slot.and_then(|all| all.get(key)), Some(Definition::Synthetic(_)))
    }

    /// Made-up proposals beside those of an epoch, for validator clients.
    pub(crate) fn made_up_beside(&self, epoch: u64, real: &[ProposerDuty]) -> Vec<ProposerDuty> {
        if self.synthetic == Synthetic::Off {
            return Vec::new();
        }
        let active: Vec<Validator> =
            self.validators.values().filter(|one| one.is_active_at(epoch)).cloned().collect();
        synthetic::duties(&self.clock, epoch, &active, real)
    }

    /// Whether a validator has a duty, or what comes before it; none where that is not known.
    pub(crate) fn has(&self, key: &Bytes48, duty: Duty) -> Option<bool> {
        let known = self.epochs.get(&self.clock.epoch_of(duty.slot))?;
        let at = |slots: &BTreeMap<u64, Definitions>| {
            slots.get(&duty.slot).is_some_and(|all| all.contains_key(key))
        };
        match duty.kind {
            DutyType::Attester | DutyType::PrepareAggregator | DutyType::Aggregator => {
                known.attesters.as_ref().map(at)
            }
            DutyType::Proposer | DutyType::Randao => known.proposers.as_ref().map(at),
            DutyType::SyncMessage | DutyType::PrepareSyncContribution | DutyType::SyncContribution => {
                known.sync.as_ref().map(|all| all.contains_key(key))
            }
            DutyType::Signature
            | DutyType::Exit
            | DutyType::BuilderProposer
            | DutyType::BuilderRegistration
            | DutyType::InfoSync => None,
        }
    }

    /// The validators of a duty; none where the epoch is not resolved or nobody has it.
    pub(crate) fn definitions(&self, duty: Duty) -> Option<&Definitions> {
        let known = self.epochs.get(&self.clock.epoch_of(duty.slot))?;
        let found = match duty.kind {
            DutyType::Attester | DutyType::Aggregator => known.attesters.as_ref()?.get(&duty.slot)?,
            DutyType::Proposer | DutyType::Randao => known.proposers.as_ref()?.get(&duty.slot)?,
            DutyType::SyncMessage | DutyType::SyncContribution => known.sync.as_ref()?,
            DutyType::Signature
            | DutyType::Exit
            | DutyType::BuilderProposer
            | DutyType::BuilderRegistration
            | DutyType::PrepareAggregator
            | DutyType::PrepareSyncContribution
            | DutyType::InfoSync => return None,
        };
        (!found.is_empty()).then_some(found)
    }
}
