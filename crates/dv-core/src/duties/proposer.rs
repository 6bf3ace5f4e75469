//! Blocks.

use std::collections::BTreeMap;

use coxswain_dv_eth::Root;
use coxswain_dv_eth::beacon::{Answer, Call};
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::protect::What;
use coxswain_dv_eth::signed::SignedData;
use coxswain_dv_eth::unsigned::Unsigned;

use super::Kind;
use crate::fetch::{Awaited, Facts, Fetched};
use crate::scheduler::{Definition, Scheduler};
use crate::synthetic;

pub(crate) struct Proposer;

impl Kind for Proposer {
    fn duty_type(&self) -> DutyType {
        DutyType::Proposer
    }

    fn joins_early(&self) -> bool {
        true
    }

    /// The group's randomness comes first: the block has it in it.
    fn fetch(&self, facts: &Facts) -> Fetched {
        let slot = facts.duty.slot;
        let Some((key, definition)) = facts.definitions.iter().next() else { return Fetched::Nothing };
        let key = *key;
        let place = (Duty::new(slot, DutyType::Randao), key, 0);
        let Some(SignedData::Randao(randao)) = facts.aggregated(&place) else {
            return Fetched::Wait(Awaited::Aggregated(place));
        };
        if let Definition::Synthetic(duty) = definition {
            return synthetic::fetch(facts, duty, randao.signature);
        }
        let call = Call::Proposal {
            slot,
            randao: randao.signature,
            graffiti: facts.choice.graffiti.get(&key).copied().unwrap_or_default(),
            builder_boost: facts.choice.builder_boost,
        };
        match facts.answer(&call) {
            Some(Answer::Proposal(proposal)) => {
                Fetched::Ready(BTreeMap::from([(key, Unsigned::Proposer(proposal.clone()))]))
            }
            Some(_) => Fetched::Nothing,
            None => Fetched::Ask(vec![call]),
        }
    }

    fn slashable(&self, data: &SignedData, root: Root) -> Option<What> {
        let SignedData::Proposer(signed) = data else { return None };
        Some(What::Block { slot: signed.slot(), root })
    }

    fn submit(&self, _scheduler: &Scheduler, set: Vec<(Bytes48, SignedData)>) -> Vec<Call> {
        let blocks = set.into_iter().filter_map(|(_, data)| match data {
            SignedData::Proposer(block) => Some(Call::SubmitProposal(block)),
            _ => None,
        });
        blocks.collect()
    }
}
