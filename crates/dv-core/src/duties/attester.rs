//! Attestations.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_eth::Root;
use coxswain_dv_eth::attestation::{Attestation, SingleAttestation};
use coxswain_dv_eth::beacon::{Answer, Call};
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::DutyType;
use coxswain_dv_eth::protect::What;
use coxswain_dv_eth::signed::SignedData;
use coxswain_dv_eth::unsigned::Unsigned;

use super::Kind;
use crate::features::Committees;
use crate::fetch::{Facts, Fetched};
use crate::scheduler::{Definition, Scheduler};

pub(crate) struct Attester;

impl Kind for Attester {
    fn duty_type(&self) -> DutyType {
        DutyType::Attester
    }

    fn joins_early(&self) -> bool {
        true
    }

    /// From Electra on the data are the same for all committees: one question is enough.
    fn fetch(&self, facts: &Facts) -> Fetched {
        let slot = facts.duty.slot;
        let fork = facts.chain.forks.at(facts.chain.clock.epoch_of(slot));
        let call = |committee| {
            let is_one = fork.has_electra_attestations() && facts.choice.committees == Committees::First;
            let committee = if is_one { 0 } else { committee };
            Call::AttestationData { slot, committee }
        };
        let mut missing: Vec<Call> = Vec::new();
        let mut set = BTreeMap::new();
        for (key, definition) in facts.definitions {
            let Definition::Attester(duty) = definition else { continue };
            match facts.answer(&call(duty.committee_index)) {
                Some(Answer::AttestationData(data)) => {
                    set.insert(*key, Unsigned::Attester { data: *data, duty: *duty });
                }
                Some(_) => {}
                None => missing.push(call(duty.committee_index)),
            }
        }
        missing.dedup();
        let distinct: BTreeSet<u64> = missing.iter().filter_map(committee_of).collect();
        if distinct.is_empty() {
            return if set.is_empty() { Fetched::Nothing } else { Fetched::Ready(set) };
        }
        Fetched::Ask(
            distinct.into_iter().map(|committee| Call::AttestationData { slot, committee }).collect(),
        )
    }

    fn slashable(&self, data: &SignedData, root: Root) -> Option<What> {
        let SignedData::Attester(signed) = data else { return None };
        let said = signed.attestation.data();
        Some(What::Attestation { source: said.source.epoch, target: said.target.epoch, root })
    }

    fn submit(&self, scheduler: &Scheduler, set: Vec<(Bytes48, SignedData)>) -> Vec<Call> {
        let mut old = Vec::new();
        let mut new: BTreeMap<_, Vec<SingleAttestation>> = BTreeMap::new();
        for (key, data) in set {
            let SignedData::Attester(signed) = data else { continue };
            let (index, fork) = (signed.validator_index, signed.fork);
            let committee_index = signed.attestation.committee_index();
            match signed.attestation {
                Attestation::Phase0(attestation) => old.push(attestation),
                Attestation::Electra(attestation) => {
                    let known = || scheduler.validator(&key).map(|validator| validator.index);
                    let Some(attester_index) = index.or_else(known) else { continue };
                    new.entry(fork).or_default().push(SingleAttestation {
                        committee_index,
                        attester_index,
                        data: attestation.data,
                        signature: attestation.signature,
                    });
                }
            }
        }
        let old = (!old.is_empty()).then_some(Call::SubmitAttestationsPhase0(old));
        let new = new.into_iter().map(|(fork, attestations)| Call::SubmitAttestations { fork, attestations });
        old.into_iter().chain(new).collect()
    }
}

fn committee_of(call: &Call) -> Option<u64> {
    match call {
        Call::AttestationData { committee, .. } => Some(*committee),
        _ => None,
    }
}
