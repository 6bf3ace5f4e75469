//! What validator clients ask.

use coxswain_dv_eth::attestation::Attestation;
use coxswain_dv_eth::beacon::{self, Call, CallError, Duties, Failure};
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::client::{Answer, Problem, Request, ValidatorId};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::signed::SignedData;

use super::{Node, Waiter};
use crate::aggregated::Place;
use crate::calls::{Purpose, Until};
use crate::event::{Effect, Ticket};
use crate::fetch::Awaited;

mod submissions;

/// Requests that wait at once; a client that has so many is broken.
const MAX_REQUESTS: usize = 4096;

/// A request that waits.
#[derive(Debug)]
pub(super) enum Pending {
    /// For the answer of a beacon node.
    Passed,
    /// For signatures to be checked and kept.
    Taken(Request),
    /// For something that the cluster decides or signs.
    Waiting(Request),
}

impl Node {
    pub(super) fn serve(&mut self, ticket: Ticket, request: Request) {
        if self.requests.len() >= MAX_REQUESTS {
            let problem = Problem::new(503, format!("{MAX_REQUESTS} requests wait already"));
            self.reply(ticket, Err(problem));
            return;
        }
        match request {
            Request::AttesterDuties { .. }
            | Request::ProposerDuties { .. }
            | Request::SyncDuties { .. }
            | Request::Validators { .. } => self.pass(ticket, request),
            Request::AttestationData { .. } | Request::Aggregate { .. } | Request::Contribution { .. } => {
                self.requests.insert(ticket, Pending::Waiting(request));
                self.try_answer(ticket);
            }
            Request::Proposal { .. }
            | Request::SubmitAttestations(_)
            | Request::SubmitProposal(_)
            | Request::Selections(_)
            | Request::SyncSelections(_)
            | Request::SubmitAggregates(_)
            | Request::SubmitSyncMessages(_)
            | Request::SubmitContributions(_)
            | Request::SubmitExit(_) => {
                let (items, failures) = self.items_of(&request);
                self.requests.insert(ticket, Pending::Taken(request));
                self.take_partials(ticket, items, failures);
            }
        }
    }

    pub(super) fn reply(&mut self, ticket: Ticket, answer: Result<Answer, Problem>) {
        self.effects.push(Effect::Reply { ticket, answer: Box::new(answer) });
    }

    /// A client does not wait any more.
    pub(super) fn give_up(&mut self, ticket: Ticket) {
        self.requests.remove(&ticket);
        self.forget_waiter(Waiter::Client(ticket));
    }

    // ------------------------------------------------------------------------------ what beacon nodes answer

    fn pass(&mut self, ticket: Ticket, request: Request) {
        let call = match self.call_of(&request) {
            Ok(call) => call,
            Err(problem) => return self.reply(ticket, Err(problem)),
        };
        self.requests.insert(ticket, Pending::Passed);
        self.ask(call, Purpose::Client { request: ticket }, Until::Once);
    }

    fn call_of(&self, request: &Request) -> Result<Call, Problem> {
        Ok(match request {
            Request::AttesterDuties { epoch, validators } => {
                Call::AttesterDuties { epoch: *epoch, validators: validators.clone() }
            }
            Request::SyncDuties { epoch, validators } => {
                Call::SyncDuties { epoch: *epoch, validators: validators.clone() }
            }
            Request::ProposerDuties { epoch } => Call::ProposerDuties { epoch: *epoch },
            Request::Validators { state, ids } => {
                let keys = ids.iter().map(|id| self.group_of(id)).collect::<Result<_, Problem>>()?;
                Call::Validators { state: state.clone(), keys }
            }
            _ => return Err(Problem::new(500, "no beacon node answers this")),
        })
    }

    /// The key that the chain knows.
    fn group_of(&self, id: &ValidatorId) -> Result<Bytes48, Problem> {
        match id {
            ValidatorId::Index(index) => {
                let unknown = || Problem::new(404, format!("validator {index} is none of this cluster"));
                self.scheduler.key_of(*index).ok_or_else(unknown)
            }
            ValidatorId::Key(share) => match self.cluster.by_share(share) {
                Some((validator, node)) if node == self.cluster.me() => Ok(validator.key),
                Some((_, node)) => {
                    let (theirs, ours) = (node + 1, self.cluster.me() + 1);
                    let message = format!(
                        "{share} is the share of node {theirs}, and this is node {ours}: the validator client \
                         has the keys of another node"
                    );
                    Err(Problem::new(500, message))
                }
                None if self.cluster.by_key(share).is_some() => Ok(*share),
                None => Err(Problem::new(500, format!("{share} is no key of this cluster"))),
            },
        }
    }

    /// The key that the validator client knows, where it is one of the cluster.
    fn share_of(&self, group: &Bytes48) -> Bytes48 {
        self.cluster.my_share_of(group).unwrap_or(*group)
    }

    /// Answers a client with what a beacon node said: groups' keys become those of this node's shares.
    pub(super) fn pass_on(&mut self, ticket: Ticket, call: &Call, answer: beacon::Answer) {
        if self.requests.remove(&ticket).is_none() {
            return;
        }
        let answer = match answer {
            beacon::Answer::AttesterDuties(Duties { dependent_root, mut duties }) => {
                duties.iter_mut().for_each(|duty| duty.pubkey = self.share_of(&duty.pubkey));
                Ok(Answer::AttesterDuties(Duties { dependent_root, duties }))
            }
            beacon::Answer::ProposerDuties(Duties { dependent_root, mut duties }) => {
                if let Call::ProposerDuties { epoch } = call {
                    duties.extend(self.scheduler.made_up_beside(*epoch, &duties));
                }
                duties.iter_mut().for_each(|duty| duty.pubkey = self.share_of(&duty.pubkey));
                Ok(Answer::ProposerDuties(Duties { dependent_root, duties }))
            }
            beacon::Answer::SyncDuties(mut duties) => {
                duties.iter_mut().for_each(|duty| duty.pubkey = self.share_of(&duty.pubkey));
                Ok(Answer::SyncDuties(duties))
            }
            beacon::Answer::Validators(mut validators) => {
                validators.iter_mut().for_each(|one| {
                    one.validator.pubkey = self.share_of(&one.validator.pubkey);
                });
                Ok(Answer::Validators(validators))
            }
            _ => Err(Problem::new(500, "the beacon node answered something else")),
        };
        self.reply(ticket, answer);
    }

    pub(super) fn fail_client(&mut self, ticket: Ticket, error: &CallError) {
        if self.requests.remove(&ticket).is_none() {
            return;
        }
        let status = match error.failure {
            Failure::Network => 502,
            Failure::NotYet => 503,
            Failure::Refused => 400,
            Failure::Malformed => 500,
        };
        self.reply(ticket, Err(Problem::new(status, error.to_string())));
    }

    // --------------------------------------------------------------------------- what the cluster comes to

    /// Signatures of a request are checked, and those that are good are kept.
    pub(super) fn partials_taken(&mut self, ticket: Ticket, failures: Vec<(usize, String)>) {
        let Some(Pending::Taken(request)) = self.requests.remove(&ticket) else { return };
        if let Some((_, first)) = failures.first() {
            let message = match failures.len() {
                1 => first.clone(),
                more => format!("{first}, and {} more", more - 1),
            };
            self.reply(ticket, Err(Problem { status: 400, message, failures }));
            return;
        }
        match request {
            Request::Proposal { .. } | Request::Selections(_) | Request::SyncSelections(_) => {
                self.requests.insert(ticket, Pending::Waiting(request));
                self.try_answer(ticket);
            }
            _ => self.reply(ticket, Ok(Answer::Done)),
        }
    }

    /// Answers a request if it can be, or waits for what it lacks.
    pub(super) fn try_answer(&mut self, ticket: Ticket) {
        let Some(Pending::Waiting(request)) = self.requests.get(&ticket) else { return };
        match self.answer_of(request) {
            Ok(answer) => {
                self.requests.remove(&ticket);
                self.reply(ticket, Ok(answer));
            }
            Err(awaited) => self.wait_for(ticket, awaited),
        }
    }

    /// Waits as long as the duty lasts.
    fn wait_for(&mut self, ticket: Ticket, awaited: Awaited) {
        let duty = awaited.duty();
        if !duty.is_near(&self.chain.clock, self.now) {
            self.requests.remove(&ticket);
            let problem = Problem::new(400, format!("the duty {duty} is more than two epochs ahead"));
            self.reply(ticket, Err(problem));
        } else if self.touch(duty) {
            self.wait(awaited, Waiter::Client(ticket));
        } else {
            self.too_late(ticket, duty);
        }
    }

    /// A request for something that does not come any more.
    fn too_late(&mut self, ticket: Ticket, duty: Duty) {
        if self.requests.remove(&ticket).is_some() {
            let message = format!("the duty {duty} is over, and the cluster did not come to it in time");
            self.reply(ticket, Err(Problem::new(503, message)));
        }
    }

    /// Tells clients that wait for a duty that is over.
    pub(super) fn end_waiting(&mut self, duty: Duty) {
        let of_duty = self.waiters.extract_if(.., |awaited, _| awaited.duty() == duty);
        let waiters: Vec<Waiter> = of_duty.flat_map(|(_, waiters)| waiters).collect();
        for waiter in waiters {
            match waiter {
                Waiter::Client(ticket) => self.too_late(ticket, duty),
                // It ends by itself.
                Waiter::Fetch(_) => {}
            }
        }
    }

    fn answer_of(&self, request: &Request) -> Result<Answer, Awaited> {
        match request {
            Request::AttestationData { slot, committee } => {
                let data = self.decided.attestation(*slot, *committee);
                data.map(|data| Answer::AttestationData(*data)).ok_or(Awaited::Attestation(*slot, *committee))
            }
            Request::Proposal { slot, .. } => {
                let block = self.decided.proposal(*slot);
                block.map(|(_, block)| Answer::Proposal(block.clone())).ok_or(Awaited::Proposal(*slot))
            }
            Request::Aggregate { slot, data_root, committee } => self
                .decided
                .aggregate(*slot, *data_root, *committee)
                .map(|(fork, attestation)| Answer::Aggregate {
                    fork: *fork,
                    attestation: attestation.clone(),
                })
                .ok_or(Awaited::Aggregate(*slot, *data_root, *committee)),
            Request::Contribution { slot, subcommittee, block_root } => self
                .decided
                .contribution(*slot, *subcommittee, *block_root)
                .map(|contribution| Answer::Contribution(contribution.clone()))
                .ok_or(Awaited::Contribution(*slot, *subcommittee, *block_root)),
            Request::Selections(all) => self.selections(all),
            Request::SyncSelections(all) => self.sync_selections(all),
            _ => Ok(Answer::Done),
        }
    }

    /// Clients name validators that have left, with the slot 0, beside others (Prysm), and need as many answers: what is over
    /// comes back as it came. Nobody aggregates at such a slot.
    fn selections(&self, all: &[coxswain_dv_eth::api::BeaconCommitteeSelection]) -> Result<Answer, Awaited> {
        let mut whole = Vec::with_capacity(all.len());
        for one in all {
            let key = self.scheduler.key_of(one.validator_index).unwrap_or_default();
            let place: Place = (Duty::new(one.slot, DutyType::PrepareAggregator), key, 0);
            match self.aggregated.get(&place) {
                Some(SignedData::PrepareAggregator(group)) => whole.push(group.clone()),
                _ if self.is_over(place.0) => whole.push(one.clone()),
                _ => return Err(Awaited::Aggregated(place)),
            }
        }
        Ok(Answer::Selections(whole))
    }

    fn sync_selections(
        &self,
        all: &[coxswain_dv_eth::api::SyncCommitteeSelection],
    ) -> Result<Answer, Awaited> {
        let mut whole = Vec::with_capacity(all.len());
        for one in all {
            let key = self.scheduler.key_of(one.validator_index).unwrap_or_default();
            let duty = Duty::new(one.slot, DutyType::PrepareSyncContribution);
            let place: Place = (duty, key, one.subcommittee_index);
            match self.aggregated.get(&place) {
                Some(SignedData::PrepareSyncContribution(group)) => whole.push(group.clone()),
                _ => return Err(Awaited::Aggregated(place)),
            }
        }
        Ok(Answer::SyncSelections(whole))
    }

    /// The key of an attestation's validator, as it was decided.
    fn attester_of(&self, attestation: &Attestation, validator: Option<u64>) -> Option<Bytes48> {
        let (slot, committee) = (attestation.data().slot, attestation.committee_index());
        match (attestation, validator) {
            (_, Some(validator)) => self.decided.attester(slot, committee, validator),
            (Attestation::Phase0(one), None) => {
                let position = one.aggregation_bits.iter().position(|bit| bit)? as u64;
                let duty = Duty::new(slot, DutyType::Attester);
                self.scheduler.definitions(duty)?.iter().find_map(|(key, definition)| match definition {
                    crate::scheduler::Definition::Attester(duty)
                        if duty.committee_index == committee
                            && duty.validator_committee_index == position =>
                    {
                        Some(*key)
                    }
                    _ => None,
                })
            }
            (Attestation::Electra(_), None) => None,
        }
    }
}
