//! Aggregates of attestations.

use std::collections::BTreeMap;

use coxswain_dv_eth::beacon::{Answer, Call};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::selection;
use coxswain_dv_eth::signed::SignedData;
use coxswain_dv_eth::unsigned::Unsigned;

use super::Kind;
use crate::fetch::{Awaited, Facts, Fetched, Patience};
use crate::scheduler::{Definition, Scheduler};

pub(crate) struct Aggregator;

impl Kind for Aggregator {
    fn duty_type(&self) -> DutyType {
        DutyType::Aggregator
    }

    /// Selected validators aggregate what was decided for their committee. A validator whose selection does not come in
    /// time does not hold the others up.
    fn fetch(&self, facts: &Facts) -> Fetched {
        let slot = facts.duty.slot;
        let fork = facts.chain.forks.at(facts.chain.clock.epoch_of(slot));
        let mut set = BTreeMap::new();
        let mut missing: Vec<Call> = Vec::new();
        let mut late = None;
        for (key, definition) in facts.definitions {
            let Definition::Attester(duty) = definition else { continue };
            let place = (Duty::new(slot, DutyType::PrepareAggregator), *key, 0);
            let Some(SignedData::PrepareAggregator(selection)) = facts.aggregated(&place) else {
                match facts.patience {
                    Patience::All => return Fetched::Wait(Awaited::Aggregated(place)),
                    Patience::WhatIsThere => {
                        late.get_or_insert(place);
                        continue;
                    }
                }
            };
            if !selection::is_aggregator(duty.committee_length, &selection.selection_proof) {
                continue;
            }
            let Some(data) = facts.attestation(slot, duty.committee_index) else {
                return Fetched::Wait(Awaited::Attestation(slot, duty.committee_index));
            };
            let (data_root, committee) = (Bytes32::from(data.root()), duty.committee_index);
            let call = Call::Aggregate { slot, data_root, committee };
            match facts.answer(&call) {
                Some(Answer::Aggregate(attestation)) => {
                    let attestation = attestation.clone();
                    set.insert(*key, Unsigned::Aggregator { fork, attestation });
                }
                Some(_) => {}
                None if missing.contains(&call) => {}
                None => missing.push(call),
            }
        }
        match (missing.is_empty(), set.is_empty()) {
            (false, _) => Fetched::Ask(missing),
            (true, true) => late.map_or(Fetched::Nothing, |place| Fetched::Wait(Awaited::Aggregated(place))),
            (true, false) => Fetched::Ready(set),
        }
    }

    fn submit(&self, _scheduler: &Scheduler, set: Vec<(Bytes48, SignedData)>) -> Vec<Call> {
        let mut forks: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (_, data) in set {
            if let SignedData::Aggregator(aggregate) = data {
                forks.entry(aggregate.fork()).or_default().push(*aggregate);
            }
        }
        forks.into_values().map(Call::SubmitAggregates).collect()
    }
}
