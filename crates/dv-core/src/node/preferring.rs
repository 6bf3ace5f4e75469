//! Once an epoch the cluster agrees on how it works.

use std::time::Duration;

use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_wire::well_known::Any;

use super::{Node, Timer};
use crate::event::{Effect, Note, Step, Ticket};

/// How long preferences are waited for.
const EXCHANGE: Duration = Duration::from_secs(6);

impl Node {
    /// The last slot of an epoch.
    pub(super) fn begin_exchange(&mut self, slot: u64) {
        let duty = Duty::new(slot, DutyType::InfoSync);
        if !self.touch(duty) {
            return;
        }
        let (bytes, waiting) = self.priority.begin(duty);
        for ticket in waiting {
            self.effects.push(Effect::Respond { ticket, bytes: Some(bytes.clone()) });
        }
        for to in (0..self.cluster.nodes()).filter(|to| *to != self.cluster.me()) {
            self.effects.push(Effect::Request { to, duty, bytes: bytes.clone() });
        }
        // On chains with short slots the exchange must not outlast its slot.
        let limit = EXCHANGE.min(self.chain.clock.slot / 2);
        self.timers.at(self.now + limit, Timer::Exchanged(duty));
    }

    pub(super) fn requested(&mut self, ticket: Ticket, from: usize, bytes: &[u8]) {
        let clock = self.chain.clock;
        // Only the last slot of an epoch has an exchange: others would never begin, and take the places of those that do.
        let is_near = |duty: Duty| {
            clock.epoch_of(duty.slot.saturating_add(1)) != clock.epoch_of(duty.slot)
                && duty.is_near(&clock, self.now)
                && duty.deadline(&clock).is_some_and(|deadline| deadline > self.now)
        };
        match self.priority.take(from, bytes, Some(ticket), is_near) {
            Ok(taken) => {
                // This node may sleep through the slot: what waits must end then, too.
                if let Some(duty) = taken.duty {
                    self.touch(duty);
                }
                if let Some(answer) = taken.answer {
                    self.effects.push(Effect::Respond { ticket, bytes: Some(answer) });
                }
                if let Some(duty) = taken.complete {
                    self.exchanged(duty);
                }
            }
            Err(error) => {
                self.effects.push(Effect::Respond { ticket, bytes: None });
                self.note(Note::RefusedPreferences { from, why: error.to_string() });
            }
        }
    }

    pub(super) fn responded(&mut self, from: usize, bytes: &[u8]) {
        match self.priority.take(from, bytes, None, |_| false) {
            Ok(taken) => {
                if let Some(duty) = taken.complete {
                    self.exchanged(duty);
                }
            }
            Err(error) => {
                self.note(Note::RefusedPreferences { from, why: error.to_string() });
            }
        }
    }

    /// All preferences are in, or were waited for long enough.
    pub(super) fn exchanged(&mut self, duty: Duty) {
        match self.priority.result(duty) {
            Some(Ok(value)) => self.propose_value(duty, value),
            Some(Err(error)) => self.note_step(duty, Step::Consensus, None, Some(error)),
            None => {}
        }
    }

    pub(super) fn take_agreement(&mut self, duty: Duty, value: &Any) {
        // It holds from the next epoch on: by then all nodes know it.
        let slot = duty.slot.saturating_add(1);
        let agreed = match self.agreed.take(slot, value) {
            Ok(agreed) => agreed.clone(),
            Err(error) => {
                self.note(Note::Trouble { what: format!("what was agreed on at {duty}: {error}") });
                return;
            }
        };
        if let Some(profile) = self.agreed.profile(slot) {
            self.consensus.use_profile(profile);
        }
        self.note(Note::Agreed { slot, agreed });
    }
}
