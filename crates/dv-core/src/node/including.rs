//! What goes to the chain, and whether it gets there. Nothing else waits for it.

use coxswain_dv_eth::attestation::Attestation;
use coxswain_dv_eth::beacon::{Answer, CallError};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::signed::SignedData;

use super::Node;
use crate::calls::{Purpose, Until};
use crate::event::Note;
use crate::inclusion::{Effect, Event, Question, Shape, Votes, What};
use crate::scheduler::Definition;

impl Node {
    /// The middle of a slot, in which nothing else begins.
    pub(super) fn look_at_the_chain(&mut self) {
        self.inclusion(Event::Slot(self.current_slot()));
    }

    /// Beacon nodes took these.
    pub(super) fn submitted(&mut self, duty: Duty, sought: Vec<(Bytes48, What)>) {
        for (key, what) in sought {
            self.inclusion(Event::Submitted { duty, key, what });
        }
    }

    pub(super) fn inclusion_answered(&mut self, question: Question, answer: Answer) {
        match (question, answer) {
            (Question::Block(slot), Answer::Block(block)) => {
                self.inclusion(Event::Block { slot, block });
            }
            (Question::Committees(slot), Answer::Committees(sizes)) => {
                self.inclusion(Event::Committees { slot, sizes });
            }
            _ => {}
        }
    }

    pub(super) fn inclusion_failed(&mut self, question: Question, error: &CallError) {
        self.note(Note::Trouble { what: format!("looking for what is on the chain: {error}") });
        self.inclusion(Event::Failed(question, error.failure));
    }

    pub(super) fn inclusion(&mut self, event: Event) {
        for effect in self.inclusion.step(event) {
            match effect {
                Effect::Ask(question) => {
                    let call = question.call(&self.chain.clock);
                    // It is asked again at the next slot.
                    self.ask(call, Purpose::Inclusion { question }, Until::Once);
                }
                Effect::Tell { duty, key, fate } => self.note(Note::Inclusion { duty, key, fate }),
            }
        }
    }

    /// What is to be found on the chain of what is submitted.
    pub(super) fn sought(&self, duty: Duty, set: &[(Bytes48, SignedData)]) -> Vec<(Bytes48, What)> {
        set.iter().filter_map(|(key, data)| Some((*key, self.sought_of(duty, key, data)?))).collect()
    }

    fn sought_of(&self, duty: Duty, key: &Bytes48, data: &SignedData) -> Option<What> {
        let (attestation, members) = match data {
            SignedData::Proposer(block) => return Some(What::Block(Bytes32::from(block.root()))),
            // From Electra on it does not say which member it is of.
            SignedData::Attester(signed) => (signed.attestation.clone(), None),
            SignedData::Aggregator(signed) => {
                let aggregate = signed.aggregate();
                let members = bits_of(&aggregate);
                (aggregate, Some(members))
            }
            SignedData::Signature(_)
            | SignedData::Exit(_)
            | SignedData::BuilderRegistration(_)
            | SignedData::Randao(_)
            | SignedData::PrepareAggregator(_)
            | SignedData::SyncMessage(_)
            | SignedData::PrepareSyncContribution(_)
            | SignedData::SyncContribution(_) => return None,
        };
        let attester = Duty::new(duty.slot, DutyType::Attester);
        let Definition::Attester(definition) = self.scheduler.definitions(attester)?.get(key)? else {
            return None;
        };
        let committee = attestation.committee_index();
        if definition.committee_index != committee {
            return None;
        }
        let shape = match &attestation {
            Attestation::Phase0(_) => Shape::Alone,
            Attestation::Electra(_) => {
                let only = (definition.committees_at_slot == 1).then_some(definition.committee_length);
                Shape::Joined { only }
            }
        };
        let members = members.unwrap_or_else(|| vec![definition.validator_committee_index]);
        Some(What::Votes(Votes { data: *attestation.data(), committee, members, shape }))
    }
}

/// Places whose bits are set, of an attestation of one committee.
fn bits_of(attestation: &Attestation) -> Vec<u64> {
    let set = |bits: &mut dyn Iterator<Item = bool>| {
        (0u64..).zip(bits).filter(|(_, bit)| *bit).map(|(place, _)| place).collect()
    };
    match attestation {
        Attestation::Phase0(one) => set(&mut one.aggregation_bits.iter()),
        Attestation::Electra(one) => set(&mut one.aggregation_bits.iter()),
    }
}
