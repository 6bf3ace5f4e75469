//! Slots begin, epochs are resolved, duties begin and end.

use coxswain_dv_eth::beacon::{Answer, CallError};
use coxswain_dv_eth::duty::{Duty, DutyType};

use super::{Node, Timer};
use crate::calls::{Asked, Purpose, Until};
use crate::duties::SCHEDULED;
use crate::event::{Effect, Note, Step};

impl Node {
    pub(super) fn begin_slot(&mut self) {
        let clock = self.chain.clock;
        let slot = self.current_slot();
        // One that was asked for before the clock was set.
        if self.slot == Some(slot) {
            return;
        }
        self.timers.at(clock.start_of(slot.saturating_add(1)), Timer::Slot);
        self.timers.at(clock.start_of(slot) + clock.slot / 2, Timer::Look);
        let skipped = self.slot.map_or(0, |last| slot.saturating_sub(last).saturating_sub(1));
        let is_first = self.slot.is_none() || slot == clock.first_of(clock.epoch_of(slot));
        self.slot = Some(slot);
        self.note(Note::Slot { slot, skipped });
        for from in self.trust.begin_slot(slot) {
            self.note(Note::TrustedAgain { from });
        }
        self.resolve();
        for kind in SCHEDULED {
            let duty = Duty::new(slot, kind);
            self.timers.at(self.begins(duty), Timer::Begin(duty));
        }
        if is_first {
            self.prepare(clock.epoch_of(slot));
        }
        if clock.epoch_of(slot.saturating_add(1)) != clock.epoch_of(slot) {
            self.begin_exchange(slot);
        }
    }

    /// Asks for what is not known of this epoch, or of the next one.
    pub(super) fn resolve(&mut self) {
        let slot = self.current_slot();
        for (epoch, call) in self.scheduler.wanted(slot) {
            let until = Until::Time(self.chain.clock.start_of(slot.saturating_add(1)));
            self.ask(call, Purpose::Validators { epoch }, until);
        }
    }

    pub(super) fn take_answer(&mut self, asked: Asked, answer: Answer) {
        match asked.purpose {
            Purpose::Validators { epoch } => {
                let Answer::Validators(validators) = answer else { return self.scheduler.failed(epoch) };
                let until = Until::Time(self.chain.clock.start_of(self.chain.clock.first_of(epoch + 1)));
                let calls = self.scheduler.take_validators(epoch, validators);
                if calls.is_empty() {
                    self.resolved(epoch);
                }
                for call in calls {
                    self.ask(call, Purpose::Duties { epoch }, until);
                }
            }
            Purpose::Duties { epoch } => {
                if self.scheduler.take_duties(epoch, answer) {
                    self.resolved(epoch);
                }
            }
            Purpose::Fetch { duty } => self.fetched(duty, asked.call, answer),
            Purpose::Submit { duty, keys, sought } => {
                for key in keys {
                    self.note_step(duty, Step::Bcast, Some(key), None);
                }
                self.submitted(duty, sought);
            }
            Purpose::Inclusion { question } => self.inclusion_answered(question, answer),
            Purpose::Client { request } => self.pass_on(request, &asked.call, answer),
            Purpose::Ahead { slot } => self.answered_ahead(slot, asked.call, answer),
            Purpose::Prepare => {}
        }
    }

    pub(super) fn take_failure(&mut self, asked: Asked, error: &CallError) {
        match asked.purpose {
            Purpose::Validators { epoch } | Purpose::Duties { epoch } => {
                self.scheduler.failed(epoch);
                self.note(Note::Trouble { what: format!("resolving the duties of epoch {epoch}: {error}") });
            }
            Purpose::Fetch { duty } => self.fetch_failed(duty, asked.call, error),
            Purpose::Submit { duty, keys, sought } => {
                let error = submit_error(error);
                for key in keys {
                    self.note_step(duty, Step::Bcast, Some(key), error.clone());
                }
                if error.is_none() {
                    self.submitted(duty, sought);
                }
            }
            Purpose::Inclusion { question } => self.inclusion_failed(question, error),
            Purpose::Client { request } => self.fail_client(request, error),
            // The duty asks again when it begins.
            Purpose::Ahead { .. } => {}
            Purpose::Prepare => self.note(Note::Trouble { what: format!("preparing proposers: {error}") }),
        }
    }

    /// Votes of sync committees have the head that a node sees, and nodes may see different ones.
    fn note_cohorts(&mut self, duty: Duty) {
        let cohorts = self.partials.cohorts(duty);
        if !cohorts.is_empty() {
            self.note(Note::Cohorts { duty, cohorts });
        }
    }

    fn resolved(&mut self, epoch: u64) {
        let active = self.scheduler.active(epoch).len();
        self.note(Note::Resolved { epoch, active });
        let slot = self.current_slot();
        if self.chain.clock.epoch_of(slot) != epoch {
            return;
        }
        self.prepare(epoch);
        // What has begun while nobody knew whose duty it was.
        for kind in SCHEDULED {
            let duty = Duty::new(slot, kind);
            if self.begins(duty) <= self.now {
                self.begin(duty);
            }
        }
    }

    /// A duty is not worth anything any more: nothing of it is kept.
    pub(super) fn end(&mut self, duty: Duty) {
        self.live.remove(&duty);
        if let Some(fetch) = self.fetches.remove(&duty) {
            let error = Some(self.too_late_for(&fetch));
            self.note_step(duty, Step::Fetcher, None, error);
        }
        self.explain_waits(duty);
        self.compared.remove(&duty);
        self.decided.end(duty);
        if duty.kind == DutyType::SyncMessage {
            self.note_cohorts(duty);
        }
        self.partials.end(duty);
        self.aggregated.end(duty);
        if duty.kind == DutyType::InfoSync {
            for ticket in self.priority.end(duty) {
                self.effects.push(Effect::Respond { ticket, bytes: None });
            }
        }
        self.forget_waiter(super::Waiter::Fetch(duty));
        self.end_waiting(duty);
    }
}

/// An attestation that a beacon node knows already has arrived.
fn submit_error(error: &CallError) -> Option<String> {
    let known = error.message.contains("PriorAttestationKnown") || error.message.contains("already known");
    (!known).then(|| error.to_string())
}
