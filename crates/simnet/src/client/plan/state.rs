//! The plan's memory, and what follows from it.

mod ask;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coxswain_dv_eth::api::{
    AttesterDuty, BeaconCommitteeSelection, ProposerDuty, SyncCommitteeSelection, SyncDuty,
};
use coxswain_dv_eth::beacon::Validator;
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::selection::{is_aggregator, subcommittees};
use coxswain_dv_eth::time::Time;

use super::slot::Slot;
use super::{AttestAt, Chore, Effect, Event, Job, Setup, Why};

/// Slots that are looked back upon after time jumped, to say what was not done in them.
const MAX_MISSED_SLOTS: u64 = 128;
/// Exits that wait until the validators are known.
const MAX_EXITS: usize = 1024;
/// What is repeated waits this part of a slot: nodes that are down are not overrun.
const RETRY_PART: u32 = 4;
/// But not less than this, for the short slots of tests.
const MIN_RETRY: Duration = Duration::from_millis(100);
/// Duties of the next epoch are asked after this part of the last slot.
const AHEAD_PART: u32 = 2;

/// Duties, and in which epoch they were asked: at the start of their own they are asked again, and so are those that
/// a reorganisation made doubtful.
struct Known<D> {
    duties: D,
    asked_in: Option<u64>,
}

/// What is known of an epoch.
#[derive(Default)]
struct Epoch {
    attesters: Option<Known<BTreeMap<u64, AttesterDuty>>>,
    proposers: Option<Known<BTreeMap<u64, ProposerDuty>>>,
    members: Option<Known<BTreeMap<u64, SyncDuty>>>,
}

/// How a chore stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    UnderWay,
    NotBefore(Time),
}

/// What a validator client does when.
pub struct Plan {
    setup: Setup,
    keys: BTreeSet<Bytes48>,
    validators: BTreeMap<u64, Validator>,
    refreshed: Option<u64>,
    epochs: BTreeMap<u64, Epoch>,
    slots: BTreeMap<u64, Slot>,
    chores: BTreeMap<Chore, Ask>,
    exits: Vec<(Bytes48, u64)>,
    /// What the node is told next.
    news: Vec<Job>,
    /// The slot of the last step.
    current: Option<u64>,
    prepared: Option<u64>,
    registered: Option<u64>,
    /// Whether duties are asked anew, after a reorganisation.
    is_stale: bool,
}

impl Plan {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(setup: Setup) -> Plan {
        Plan {
            keys: setup.keys.iter().copied().collect(),
            setup,
            validators: BTreeMap::new(),
            refreshed: None,
            epochs: BTreeMap::new(),
            slots: BTreeMap::new(),
            chores: BTreeMap::new(),
            exits: Vec::new(),
            news: Vec::new(),
            current: None,
            prepared: None,
            registered: None,
            is_stale: false,
        }
    }

    /// What does not change.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Takes what happened; gives what follows, the last effect being when to call again.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(slot) = self.setup.clock.slot_at(now) else {
            self.learn(now, 0, event);
            return vec![Effect::Wake(self.setup.clock.genesis)];
        };
        self.roll(slot, &mut effects);
        self.learn(now, slot, event);
        self.ask(now, slot, &mut effects);
        self.begin(now, slot, &mut effects);
        effects.push(Effect::Wake(self.next_wake(now, slot)));
        effects
    }

    fn epoch_of(&self, slot: u64) -> u64 {
        self.setup.clock.epoch_of(slot)
    }

    /// Members of a sync committee vote at a slot for the block of the next one.
    fn members_of(&self, slot: u64) -> Option<&BTreeMap<u64, SyncDuty>> {
        let epoch = self.epoch_of(slot.saturating_add(1));
        self.epochs.get(&epoch)?.members.as_ref().map(|known| &known.duties)
    }

    fn members_at(&self, slot: u64) -> Vec<SyncDuty> {
        self.members_of(slot).into_iter().flatten().map(|(_, duty)| duty.clone()).collect()
    }

    /// Attesters of the epoch of a slot, by validator.
    fn attesters_around(&self, slot: u64) -> Option<&BTreeMap<u64, AttesterDuty>> {
        self.epochs.get(&self.epoch_of(slot))?.attesters.as_ref().map(|known| &known.duties)
    }

    fn attesters_of(&self, slot: u64) -> Vec<AttesterDuty> {
        let duties = self.attesters_around(slot).into_iter().flatten();
        duties.map(|(_, duty)| *duty).filter(|duty| duty.slot == slot).collect()
    }

    fn proposer_of(&self, slot: u64) -> Option<ProposerDuty> {
        let known = self.epochs.get(&self.epoch_of(slot))?.proposers.as_ref()?;
        known.duties.get(&slot).copied()
    }

    fn active(&self, epoch: u64) -> Vec<u64> {
        self.validators.values().filter(|one| one.is_active_at(epoch)).map(|one| one.index).collect()
    }

    /// Whether an answer names one of ours rightly.
    fn is_ours(&self, validator: u64, key: &Bytes48) -> bool {
        self.validators.get(&validator).is_some_and(|one| one.validator.pubkey == *key)
    }
}

/// What was told.
impl Plan {
    fn learn(&mut self, now: Time, slot: u64, event: Event) {
        match event {
            Event::Wake => {}
            Event::Validators(validators) => self.learn_validators(slot, validators),
            Event::Attesters { epoch, duties } => {
                self.chores.remove(&Chore::Attesters(epoch));
                let ours = duties.duties.into_iter().filter(|duty| {
                    self.is_ours(duty.validator_index, &duty.pubkey) && self.epoch_of(duty.slot) == epoch
                });
                let duties = ours.map(|duty| (duty.validator_index, duty)).collect();
                let asked_in = Some(self.epoch_of(slot));
                if let Some(entry) = self.entry(epoch, slot) {
                    entry.attesters = Some(Known { duties, asked_in });
                }
            }
            Event::Proposers { epoch, duties } => {
                self.chores.remove(&Chore::Proposers(epoch));
                let ours = duties.duties.into_iter().filter(|duty| {
                    self.is_ours(duty.validator_index, &duty.pubkey) && self.epoch_of(duty.slot) == epoch
                });
                let duties = ours.map(|duty| (duty.slot, duty)).collect();
                let asked_in = Some(self.epoch_of(slot));
                if let Some(entry) = self.entry(epoch, slot) {
                    entry.proposers = Some(Known { duties, asked_in });
                }
            }
            Event::Members { epoch, duties } => {
                self.chores.remove(&Chore::Members(epoch));
                let ours = duties.into_iter().filter(|duty| self.is_ours(duty.validator_index, &duty.pubkey));
                let duties: BTreeMap<u64, SyncDuty> = ours.map(|duty| (duty.validator_index, duty)).collect();
                if !duties.is_empty() {
                    let duties = duties.values().cloned().collect();
                    self.news.push(Job::SubscribeMembers { epoch, duties });
                }
                let asked_in = Some(self.epoch_of(slot));
                if let Some(entry) = self.entry(epoch, slot) {
                    entry.members = Some(Known { duties, asked_in });
                }
            }
            Event::Selected { chore, proofs } => self.learn_selected(now, chore, proofs),
            Event::MembersSelected { slot: of, proofs } => {
                self.chores.remove(&Chore::SelectMembers(of));
                self.learn_members(of, proofs);
            }
            Event::Attested { slot: of, roots } => {
                if let Some(slot) = self.slots.get_mut(&of) {
                    slot.roots = Some(roots.into_iter().collect());
                }
            }
            Event::Voted { slot: of, head } => {
                if let Some(slot) = self.slots.get_mut(&of) {
                    slot.head = Some(head);
                }
            }
            Event::Failed(chore) => {
                let pause = self.pause();
                self.chores.insert(chore, Ask::NotBefore(now + pause));
            }
            Event::Head { slot: of } if of == slot => self.slots.entry(slot).or_default().has_head = true,
            Event::Head { .. } => {}
            Event::Reorg => self.is_stale = true,
            Event::Exit { key, epoch } => {
                if self.exits.len() < MAX_EXITS {
                    self.exits.push((key, epoch));
                }
            }
        }
    }

    fn learn_validators(&mut self, slot: u64, validators: Vec<Validator>) {
        self.chores.remove(&Chore::Validators);
        let ours = validators.into_iter().filter(|one| self.keys.contains(&one.validator.pubkey));
        let ours: BTreeMap<u64, Validator> = ours.map(|one| (one.index, one)).collect();
        if ours.keys().ne(self.validators.keys()) {
            // Others than before: what was asked was asked for too few.
            self.epochs.clear();
        }
        self.validators = ours;
        self.refreshed = Some(self.epoch_of(slot));
    }

    fn learn_selected(&mut self, now: Time, chore: Chore, proofs: Vec<BeaconCommitteeSelection>) {
        let mut duties = Vec::new();
        for one in proofs {
            let known =
                self.attesters_around(one.slot).and_then(|all| all.get(&one.validator_index)).copied();
            if let Some(duty) = known.filter(|duty| duty.slot == one.slot) {
                let slot = self.slots.entry(one.slot).or_default();
                slot.proofs.insert(one.validator_index, one.selection_proof);
                duties.push((duty, is_aggregator(duty.committee_length, &one.selection_proof)));
            }
        }
        if !duties.is_empty() {
            self.news.push(Job::Subscribe { duties });
        }
        // What the answer left out is asked again.
        self.chores.insert(chore, Ask::NotBefore(now + self.pause()));
    }

    fn learn_members(&mut self, of: u64, proofs: Vec<SyncCommitteeSelection>) {
        let Some(members) = self.members_of(of) else { return };
        let wanted = |validator: u64, subcommittee: u64| {
            let duty = members.get(&validator);
            duty.is_some_and(|duty| {
                subcommittees(&duty.validator_sync_committee_indices).contains(&subcommittee)
            })
        };
        let kept: Vec<_> = proofs
            .into_iter()
            .filter(|one| one.slot == of && wanted(one.validator_index, one.subcommittee_index))
            .collect();
        if let Some(slot) = self.slots.get_mut(&of) {
            slot.members_selected = true;
            slot.member_proofs.extend(
                kept.into_iter()
                    .map(|one| ((one.validator_index, one.subcommittee_index), one.selection_proof)),
            );
        }
    }

    /// The entry of an epoch; none of those that are far away.
    fn entry(&mut self, epoch: u64, slot: u64) -> Option<&mut Epoch> {
        let now = self.epoch_of(slot);
        (now..=now.saturating_add(1)).contains(&epoch).then(|| self.epochs.entry(epoch).or_default())
    }

    fn pause(&self) -> Duration {
        (self.setup.clock.slot / RETRY_PART).max(MIN_RETRY)
    }
}

/// What time brings.
impl Plan {
    /// Closes the slots that are over, and forgets what is old.
    fn roll(&mut self, slot: u64, effects: &mut Vec<Effect>) {
        if let Some(before) = self.current.filter(|before| *before < slot) {
            for over in before.max(slot.saturating_sub(MAX_MISSED_SLOTS))..slot {
                effects.extend(self.close(over));
            }
        }
        self.current = Some(slot);
        self.slots = self.slots.split_off(&slot);
        self.slots.entry(slot).or_default();
        let epoch = self.epoch_of(slot);
        self.epochs = self.epochs.split_off(&epoch);
        self.chores.retain(|chore, _| match chore {
            Chore::Validators => true,
            Chore::Attesters(of) | Chore::Proposers(of) | Chore::Members(of) | Chore::SelectEpoch(of) => {
                *of >= epoch
            }
            Chore::SelectSlot(of) | Chore::SelectMembers(of) => *of >= slot,
        });
    }

    fn next_wake(&self, now: Time, slot: u64) -> Time {
        let start = self.setup.clock.start_of(slot);
        let length = self.setup.clock.slot;
        let points = [
            start + length / 3,
            start + length / AHEAD_PART,
            start + length * 2 / 3,
            self.setup.clock.start_of(slot.saturating_add(1)),
        ];
        let retries = self.chores.values().filter_map(|ask| match ask {
            Ask::NotBefore(time) => Some(*time),
            Ask::UnderWay => None,
        });
        points.into_iter().chain(retries).filter(|time| *time > now).min().unwrap_or(now + length)
    }
}

/// What is begun, and what was not.
impl Plan {
    fn begin(&mut self, now: Time, slot: u64, effects: &mut Vec<Effect>) {
        let attesters = self.attesters_of(slot);
        let members = self.members_at(slot);
        let proposer = self.proposer_of(slot);
        let clock = self.setup.clock;
        let Some(state) = self.slots.get_mut(&slot) else { return };
        let is_early = state.has_head && self.setup.attest_at == AttestAt::Head;
        let is_due = |kind: DutyType| now >= Duty::new(slot, kind).start(&clock);
        if let Some(duty) = proposer
            && state.begun.insert(DutyType::Proposer)
        {
            effects.push(Effect::Do(Job::Propose(duty)));
        }
        let attests = is_early || is_due(DutyType::Attester);
        if attests && !attesters.is_empty() && state.begun.insert(DutyType::Attester) {
            effects.push(Effect::Do(Job::Attest { slot, duties: attesters.clone() }));
        }
        let votes = is_early || is_due(DutyType::SyncMessage);
        if votes && !members.is_empty() && state.begun.insert(DutyType::SyncMessage) {
            effects.push(Effect::Do(Job::Vote { slot, duties: members.clone() }));
        }
        let by = if is_due(DutyType::Aggregator) { state.aggregators(&attesters) } else { Vec::new() };
        if !by.is_empty() && state.begun.insert(DutyType::Aggregator) {
            effects.push(Effect::Do(Job::Aggregate { slot, by }));
        }
        let by = if is_due(DutyType::SyncContribution) { state.contributors(&members) } else { Vec::new() };
        if let Some(head) = state.head
            && !by.is_empty()
            && state.begun.insert(DutyType::SyncContribution)
        {
            effects.push(Effect::Do(Job::Contribute { slot, head, by }));
        }
    }

    /// Says what was not done in a slot.
    fn close(&self, over: u64) -> Vec<Effect> {
        let nothing = Slot::default();
        let slot = self.slots.get(&over).unwrap_or(&nothing);
        let open = slot.open(self.proposer_of(over), &self.attesters_of(over), &self.members_at(over));
        let skip = |(kind, count, why): (DutyType, usize, Why)| Effect::Skip {
            duty: Duty::new(over, kind),
            count: count as u64,
            why,
        };
        open.into_iter().map(skip).collect()
    }
}
