//! Whom blocks pay, and registrations with builders: told to beacon nodes at the start of an epoch, and when they change.

use std::collections::BTreeMap;

use coxswain_dv_eth::beacon::{Call, Preparation, Validator};
use coxswain_dv_eth::bytes::{Bytes20, Bytes48};
use coxswain_dv_eth::signed::SignedRegistration;

use super::{Builder, Node};
use crate::calls::{Purpose, Until};

impl Node {
    /// Others hold from now on.
    pub(super) fn registered(
        &mut self,
        fee_recipients: BTreeMap<Bytes48, Bytes20>,
        registrations: Vec<SignedRegistration>,
    ) {
        if self.choice.fee_recipients == fee_recipients && self.registrations == registrations {
            return;
        }
        (self.choice.fee_recipients, self.registrations) = (fee_recipients, registrations);
        // Before the first slot nothing was told, and all of it will be.
        if let Some(slot) = self.slot {
            self.prepare(self.chain.clock.epoch_of(slot));
        }
    }

    /// Tells beacon nodes whom blocks pay, and builders where that is wanted.
    pub(super) fn prepare(&mut self, epoch: u64) {
        let clock = self.chain.clock;
        let until = Until::Time(clock.start_of(self.current_slot()) + clock.slot);
        let preparations = self.preparations(epoch);
        if !preparations.is_empty() {
            self.ask(Call::PrepareProposers(preparations), Purpose::Prepare, until);
        }
        if self.builder == Builder::On && !self.registrations.is_empty() {
            self.ask(Call::SubmitRegistrations(self.registrations.clone()), Purpose::Prepare, until);
        }
    }

    fn preparations(&self, epoch: u64) -> Vec<Preparation> {
        let active = self.scheduler.active(epoch).iter();
        let of = |one: &Validator| {
            let fee_recipient = *self.choice.fee_recipients.get(&one.validator.pubkey)?;
            Some(Preparation { validator_index: one.index, fee_recipient })
        };
        active.filter_map(of).collect()
    }
}
