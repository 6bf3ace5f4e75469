//! Attestation data of a new head, asked for before the duty begins, where operators want that.

use std::time::Duration;

use coxswain_dv_eth::beacon::{Answer, Call};
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::Time;

use super::Node;
use crate::calls::{Purpose, Until};
use crate::duties;
use crate::features::Switch;
use crate::fetch::{Facts, Fetched, Patience};

/// How much later attestations begin with `fetch_att_on_block_with_delay`, as charon's.
const DELAY: Duration = Duration::from_millis(300);

/// What is known of the first head of a slot.
#[derive(Debug)]
pub(super) struct Ahead {
    slot: u64,
    head: Bytes32,
    answers: Vec<(Call, Answer)>,
}

impl Node {
    /// When a duty begins here.
    pub(super) fn begins(&self, duty: Duty) -> Time {
        let start = duty.start(&self.chain.clock);
        let is_late = duty.kind == DutyType::Attester && self.features.early.delay == Switch::On;
        if is_late { start + DELAY } else { start }
    }

    /// A slot has a head: the first one is asked about.
    pub(super) fn new_head(&mut self, slot: u64, head: Bytes32) {
        let early = self.features.early;
        let duty = Duty::new(slot, DutyType::Attester);
        if (early.on_head == Switch::Off && early.delay == Switch::Off)
            || self.slot != Some(slot)
            || self.ahead.as_ref().is_some_and(|ahead| ahead.slot == slot)
            || self.begins(duty) <= self.now
        {
            return;
        }
        let (Some(definitions), Some(kind)) = (self.scheduler.definitions(duty), duties::kind(duty.kind))
        else {
            return;
        };
        let fetched = kind.fetch(&Facts {
            duty,
            chain: &self.chain,
            choice: &self.choice,
            definitions,
            answers: &[],
            aggregated: &self.aggregated,
            decided: &self.decided,
            patience: Patience::All,
        });
        let Fetched::Ask(calls) = fetched else { return };
        self.ahead = Some(Ahead { slot, head, answers: Vec::new() });
        for call in calls {
            self.ask(call, Purpose::Ahead { slot }, Until::Once);
        }
    }

    /// Only what votes for that head is kept: others are of a beacon node that has not seen it.
    pub(super) fn answered_ahead(&mut self, slot: u64, call: Call, answer: Answer) {
        let Some(ahead) = self.ahead.as_mut().filter(|ahead| ahead.slot == slot) else { return };
        if matches!(&answer, Answer::AttestationData(data) if data.beacon_block_root == ahead.head) {
            ahead.answers.push((call, answer));
        }
    }

    /// What a duty that begins need not ask any more.
    pub(super) fn known_ahead(&mut self, duty: Duty) -> Vec<(Call, Answer)> {
        match &mut self.ahead {
            Some(ahead) if duty.kind == DutyType::Attester && ahead.slot == duty.slot => {
                std::mem::take(&mut ahead.answers)
            }
            Some(_) | None => Vec::new(),
        }
    }
}
