//! What is asked, and what the node is told.

use std::ops::RangeInclusive;

use coxswain_dv_eth::api::AttesterDuty;
use coxswain_dv_eth::time::Time;

use super::super::{Builders, Chore, Effect, Job, Rhythm};
use super::{AHEAD_PART, Ask, Epoch, Known, Plan};

impl Plan {
    /// Whether a chore may begin, and that it does.
    fn may_ask(&mut self, chore: Chore, now: Time) -> bool {
        let may = match self.chores.get(&chore) {
            None => true,
            Some(Ask::UnderWay) => false,
            Some(Ask::NotBefore(time)) => *time <= now,
        };
        if may {
            self.chores.insert(chore, Ask::UnderWay);
        }
        may
    }

    pub(super) fn ask(&mut self, now: Time, slot: u64, effects: &mut Vec<Effect>) {
        let epoch = self.epoch_of(slot);
        if self.refreshed != Some(epoch) && self.may_ask(Chore::Validators, now) {
            effects.push(Effect::Do(Job::Validators));
        }
        if self.refreshed.is_none() {
            return;
        }
        if std::mem::take(&mut self.is_stale) {
            for known in self.epochs.values_mut() {
                known.forget_when_asked();
            }
        }
        self.ask_duties(now, epoch, epoch, effects);
        let is_last = slot.saturating_add(1) == self.setup.clock.first_of(epoch.saturating_add(1));
        let start = self.setup.clock.start_of(slot);
        if is_last && now >= start + self.setup.clock.slot / AHEAD_PART {
            self.ask_duties(now, epoch, epoch.saturating_add(1), effects);
        } else if is_last {
            self.ask_members(now, epoch, epoch.saturating_add(1), effects);
        }
        self.ask_selections(now, slot, effects);
        self.tell(slot, epoch, effects);
    }

    fn ask_duties(&mut self, now: Time, epoch: u64, of: u64, effects: &mut Vec<Effect>) {
        let validators = self.active(of);
        if validators.is_empty() {
            return;
        }
        let known = self.epochs.entry(of).or_default();
        let attesters = needs(&known.attesters, epoch, of);
        let proposers = needs(&known.proposers, epoch, of);
        if attesters && self.may_ask(Chore::Attesters(of), now) {
            effects.push(Effect::Do(Job::Attesters { epoch: of, validators }));
        }
        if proposers && self.may_ask(Chore::Proposers(of), now) {
            effects.push(Effect::Do(Job::Proposers { epoch: of }));
        }
        self.ask_members(now, epoch, of, effects);
    }

    fn ask_members(&mut self, now: Time, epoch: u64, of: u64, effects: &mut Vec<Effect>) {
        let validators = self.active(of);
        let needed = needs(&self.epochs.entry(of).or_default().members, epoch, of);
        if !validators.is_empty() && needed && self.may_ask(Chore::Members(of), now) {
            effects.push(Effect::Do(Job::Members { epoch: of, validators }));
        }
    }

    fn ask_selections(&mut self, now: Time, slot: u64, effects: &mut Vec<Effect>) {
        match self.setup.selections {
            Rhythm::Slot => {
                // The next one too: nodes of a cluster need some time to collect them.
                for of in [slot, slot.saturating_add(1)] {
                    self.ask_selections_of(now, Chore::SelectSlot(of), of..=of, effects);
                }
            }
            Rhythm::Epoch => {
                // Those of the next one as soon as its duties are known: its first slot has no time to wait.
                let epoch = self.epoch_of(slot);
                for of in [epoch, epoch.saturating_add(1)] {
                    let first = self.setup.clock.first_of(of).max(slot);
                    let last = self.setup.clock.first_of(of.saturating_add(1)).saturating_sub(1);
                    self.ask_selections_of(now, Chore::SelectEpoch(of), first..=last, effects);
                }
            }
        }
        let members = self.members_at(slot);
        let is_open = self.slots.get(&slot).is_some_and(|slot| !slot.members_selected);
        if is_open && !members.is_empty() && self.may_ask(Chore::SelectMembers(slot), now) {
            effects.push(Effect::Do(Job::SelectMembers { slot, duties: members }));
        }
    }

    fn ask_selections_of(
        &mut self,
        now: Time,
        chore: Chore,
        slots: RangeInclusive<u64>,
        effects: &mut Vec<Effect>,
    ) {
        let is_open = |duty: &AttesterDuty| {
            let slot = self.slots.get(&duty.slot);
            slot.is_none_or(|slot| !slot.proofs.contains_key(&duty.validator_index))
        };
        let all = self.attesters_around(*slots.start()).into_iter().flatten().map(|(_, duty)| *duty);
        let mut duties: Vec<AttesterDuty> =
            all.filter(|duty| slots.contains(&duty.slot) && is_open(duty)).collect();
        duties.sort_by_key(|duty| (duty.slot, duty.validator_index));
        if !duties.is_empty() && self.may_ask(chore, now) {
            effects.push(Effect::Do(Job::Select { chore, duties }));
        }
    }

    /// What the node is told without an answer that counts.
    fn tell(&mut self, slot: u64, epoch: u64, effects: &mut Vec<Effect>) {
        effects.extend(std::mem::take(&mut self.news).into_iter().map(Effect::Do));
        let validators = self.active(epoch);
        let beat = if self.setup.preparations == Rhythm::Slot { slot } else { epoch };
        if !validators.is_empty() && self.prepared.replace(beat) != Some(beat) {
            effects.push(Effect::Do(Job::Prepare { validators: validators.clone() }));
        }
        let builders = self.setup.builders == Builders::Registered && !validators.is_empty();
        if builders && self.registered.replace(epoch) != Some(epoch) {
            let keys = validators.iter().filter_map(|index| self.validators.get(index));
            let keys = keys.map(|one| one.validator.pubkey).collect();
            effects.push(Effect::Do(Job::Register { keys }));
        }
        for (key, epoch) in std::mem::take(&mut self.exits) {
            match self.validators.values().find(|one| one.validator.pubkey == key) {
                Some(one) => effects.push(Effect::Do(Job::Exit { key, validator: one.index, epoch })),
                None => self.exits.push((key, epoch)),
            }
        }
    }
}

impl Epoch {
    fn forget_when_asked(&mut self) {
        if let Some(known) = &mut self.attesters {
            known.asked_in = None;
        }
        if let Some(known) = &mut self.proposers {
            known.asked_in = None;
        }
    }
}

/// Duties are asked where they are not known, and again in their own epoch, where they stand.
fn needs<D>(known: &Option<Known<D>>, epoch: u64, of: u64) -> bool {
    known.as_ref().is_none_or(|known| known.asked_in.is_none_or(|asked| of == epoch && asked != epoch))
}
