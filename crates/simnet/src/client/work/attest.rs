//! Attestations, selections of their aggregators, aggregates.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use coxswain_dv_eth::api::{AttesterDuty, BeaconCommitteeSelection};
use coxswain_dv_eth::attestation::{Attestation, AttestationData, AttestationPhase0, SingleAttestation};
use coxswain_dv_eth::bytes::{Bytes32, Bytes96};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::protect::What;
use coxswain_dv_eth::signed::SignedAggregate;
use futures::stream::{self, StreamExt as _};
use ssz_types::BitList;

use super::super::habits::Committee;
use super::super::http::HttpError;
use super::super::node::{Attestations, batches};
use super::super::plan::{Aggregator, Chore, Event};
use super::super::report::Tally;
use super::super::sign;
use super::{Mode, Outcome, SELECTIONS_AT_ONCE, WorkError, Worker};

impl Worker {
    /// Attests at a slot: data for each committee, a signature of each validator.
    pub(super) async fn attest(&self, slot: u64, duties: &[AttesterDuty]) -> Outcome {
        let mut tally = Tally::of("attester");
        let fork = self.chain.forks.at(self.chain.clock.epoch_of(slot));
        let data = self.data_of(slot, fork, duties, &mut tally).await;
        let voters: Vec<(&AttesterDuty, &AttestationData)> =
            duties.iter().filter_map(|duty| Some((duty, data.get(&duty.committee_index)?))).collect();
        let requests: Vec<_> = voters
            .iter()
            .map(|(duty, data)| {
                let root = self.chain.signing_root(&sign::attestation(data));
                let (source, target) = (data.source.epoch, data.target.epoch);
                (duty.pubkey, What::Attestation { source, target, root })
            })
            .collect();
        let mut signed = Vec::new();
        for ((duty, data), signature) in voters.iter().zip(self.sign_guarded(&requests)) {
            if let Some(signature) = tally.only_failure(signature) {
                signed.push((**duty, **data, signature));
            }
        }
        for some in batches(&signed, self.node.habits().attestations) {
            let sent = match attestations(fork, some) {
                Ok(some) => {
                    let submit = || self.node.submit_attestations(fork, &some);
                    self.persist(self.end_of(slot), HttpError::is_passing, submit)
                        .await
                        .map_err(WorkError::from)
                }
                Err(error) => Err(error),
            };
            tally.count(some.len(), sent);
        }
        let roots: Vec<(u64, Bytes32)> =
            data.iter().map(|(committee, data)| (*committee, data.root().into())).collect();
        let event = (!roots.is_empty()).then_some(Event::Attested { slot, roots });
        Outcome { event, tally }
    }

    /// What the committees of some duties attest. From Electra on it is the same for all of them.
    async fn data_of(
        &self,
        slot: u64,
        fork: Fork,
        duties: &[AttesterDuty],
        tally: &mut Tally,
    ) -> BTreeMap<u64, AttestationData> {
        let mut members: BTreeMap<u64, usize> = BTreeMap::new();
        for duty in duties {
            *members.entry(duty.committee_index).or_default() += 1;
        }
        let is_shared = fork.has_electra_attestations() && self.node.habits().committee == Committee::Zero;
        let committees: Vec<u64> = if is_shared { vec![0] } else { members.keys().copied().collect() };
        let mut found = BTreeMap::new();
        for committee in committees {
            let ask = || self.node.attestation_data(slot, committee);
            let answer = self.persist(self.end_of(slot), HttpError::may_come, ask).await;
            let fit = answer.map_err(WorkError::from).and_then(|data| {
                self.check_data(slot, fork, committee, &data)?;
                Ok(data)
            });
            let count = if is_shared { duties.len() } else { members[&committee] };
            match fit {
                Ok(data) if is_shared => found.extend(members.keys().map(|committee| (*committee, data))),
                Ok(data) => {
                    found.insert(committee, data);
                }
                Err(error) => {
                    tally.count(count, Err::<(), _>(error));
                }
            }
        }
        found
    }

    fn check_data(
        &self,
        slot: u64,
        fork: Fork,
        committee: u64,
        data: &AttestationData,
    ) -> Result<(), WorkError> {
        let epoch = self.chain.clock.epoch_of(slot);
        let index = if fork.has_electra_attestations() { 0 } else { committee };
        let why = if data.slot != slot {
            format!("attestation data of slot {} were asked for slot {slot}", data.slot)
        } else if data.target.epoch != epoch {
            format!("their target is epoch {}, and slot {slot} is in epoch {epoch}", data.target.epoch)
        } else if data.index != index {
            format!("they are of committee {}, and {index} is right", data.index)
        } else {
            return Ok(());
        };
        Err(WorkError::Unfit(why))
    }

    /// Selections: signed, and made whole where the keys are those of shares.
    pub(super) async fn select(&self, chore: Chore, duties: &[AttesterDuty]) -> Outcome {
        let mut tally = Tally::of("prepare_aggregator");
        let mut own = Vec::new();
        for duty in duties {
            let (slot, validator_index) = (duty.slot, duty.validator_index);
            let signature = self.sign(&duty.pubkey, &sign::selection(&self.chain, slot));
            if let Some(selection_proof) = tally.only_failure(signature) {
                own.push(BeaconCommitteeSelection { validator_index, slot, selection_proof });
            }
        }
        let mut proofs = Vec::new();
        match self.mode {
            Mode::Whole => {
                tally.count(own.len(), Ok::<_, HttpError>(()));
                proofs = own;
            }
            Mode::Distributed => {
                // Futures of a named function: of closures it is not known that they can be sent.
                let mut calls = Vec::new();
                for some in batches(&own, self.node.habits().selections) {
                    calls.push(self.made_whole(some));
                }
                let answers: Vec<_> = stream::iter(calls).buffered(SELECTIONS_AT_ONCE).collect().await;
                for (asked, answer) in answers {
                    let of = |one: &BeaconCommitteeSelection| (one.validator_index, one.slot);
                    proofs.extend(returned(&mut tally, asked, answer, of));
                }
            }
        }
        let event = if proofs.is_empty() { Event::Failed(chore) } else { Event::Selected { chore, proofs } };
        Outcome { event: Some(event), tally }
    }

    async fn made_whole<'p>(
        &self,
        partial: &'p [BeaconCommitteeSelection],
    ) -> (&'p [BeaconCommitteeSelection], Result<Vec<BeaconCommitteeSelection>, HttpError>) {
        (partial, self.node.selections(partial).await)
    }

    /// Sends aggregates of the committees whose aggregators are here.
    pub(super) async fn aggregate(&self, slot: u64, by: &[Aggregator]) -> Outcome {
        let mut tally = Tally::of("aggregator");
        let mut signed: BTreeMap<Fork, Vec<SignedAggregate>> = BTreeMap::new();
        let mut best: BTreeMap<(u64, Bytes32), (Fork, Attestation)> = BTreeMap::new();
        for one in by {
            let aggregate = match best.entry((one.duty.committee_index, one.data_root)) {
                Entry::Occupied(known) => Some(known.into_mut()),
                Entry::Vacant(place) => {
                    tally.only_failure(self.best(slot, one).await).map(|found| place.insert(found))
                }
            };
            let Some((fork, aggregate)) = aggregate else { continue };
            if let Some(aggregate) = tally.only_failure(self.sign_aggregate(slot, *fork, aggregate, one)) {
                signed.entry(*fork).or_default().push(aggregate);
            }
        }
        for (fork, aggregates) in signed {
            for some in batches(&aggregates, self.node.habits().attestations) {
                let submit = || self.node.submit_aggregates(fork, some);
                tally.count(some.len(), self.persist(self.end_of(slot), HttpError::is_passing, submit).await);
            }
        }
        Outcome { event: None, tally }
    }

    /// The best aggregate of an aggregator's committee.
    async fn best(&self, slot: u64, by: &Aggregator) -> Result<(Fork, Attestation), WorkError> {
        let ask = || self.node.aggregate(slot, &by.data_root, by.duty.committee_index);
        let (fork, found) = self.persist(self.end_of(slot), HttpError::may_come, ask).await?;
        check_aggregate(&found, by)?;
        Ok((fork, found))
    }

    fn sign_aggregate(
        &self,
        slot: u64,
        fork: Fork,
        aggregate: &Attestation,
        by: &Aggregator,
    ) -> Result<SignedAggregate, WorkError> {
        let unfit = |error: coxswain_dv_eth::codec::CodecError| WorkError::Unfit(error.to_string());
        let validator = by.duty.validator_index;
        let mut signed = SignedAggregate::new(fork, validator, aggregate.clone(), by.proof).map_err(unfit)?;
        let what = sign::aggregate(&self.chain, slot, signed.message_root());
        signed.set_signature(self.sign(&by.duty.pubkey, &what)?);
        Ok(signed)
    }
}

/// Counts the proofs that came back and were asked for; others are dropped. Nodes may leave some out: charon before v1.11
/// has one subcommittee of a validator only.
pub(super) fn returned<T, K: PartialEq>(
    tally: &mut Tally,
    asked: &[T],
    answer: Result<Vec<T>, HttpError>,
    of: impl Fn(&T) -> K,
) -> Vec<T> {
    let Some(mut whole) = tally.count_failure(asked.len(), answer) else { return Vec::new() };
    whole.truncate(asked.len());
    whole.retain(|one| asked.iter().any(|known| of(known) == of(one)));
    tally.count(whole.len(), Ok::<_, WorkError>(()));
    let missing = asked.len() - whole.len();
    if missing > 0 {
        let (sent, back) = (asked.len(), whole.len());
        let why = format!("{sent} selections were sent, and {back} of them came back");
        tally.count(missing, Err::<(), _>(WorkError::Unfit(why)));
    }
    whole
}

fn check_aggregate(found: &Attestation, by: &Aggregator) -> Result<(), WorkError> {
    let why = if Bytes32::from(found.data().root()) != by.data_root {
        "the aggregate has other data than were asked for"
    } else if found.committee_index() != by.duty.committee_index {
        "the aggregate is of another committee"
    } else {
        return Ok(());
    };
    Err(WorkError::Unfit(why.to_owned()))
}

/// As nodes take them.
fn attestations(
    fork: Fork,
    signed: &[(AttesterDuty, AttestationData, Bytes96)],
) -> Result<Attestations, WorkError> {
    if fork.has_electra_attestations() {
        let single = |(duty, data, signature): &(AttesterDuty, AttestationData, Bytes96)| SingleAttestation {
            committee_index: duty.committee_index,
            attester_index: duty.validator_index,
            data: *data,
            signature: *signature,
        };
        return Ok(Attestations::Single(signed.iter().map(single).collect()));
    }
    let one = |(duty, data, signature): &(AttesterDuty, AttestationData, Bytes96)| {
        let unfit = || WorkError::Unfit(format!("a committee of {} members", duty.committee_length));
        let length = usize::try_from(duty.committee_length).map_err(|_| unfit())?;
        let place = usize::try_from(duty.validator_committee_index).map_err(|_| unfit())?;
        let mut aggregation_bits = BitList::with_capacity(length).map_err(|_| unfit())?;
        aggregation_bits.set(place, true).map_err(|_| unfit())?;
        Ok(AttestationPhase0 { aggregation_bits, data: *data, signature: *signature })
    };
    Ok(Attestations::Phase0(signed.iter().map(one).collect::<Result<_, WorkError>>()?))
}
