//! What validator clients ask, and what they are told.

use std::collections::{BTreeMap, VecDeque};

use coxswain_dv_eth::api::{
    AttesterDuty, BeaconCommitteeSelection, ProposerDuty, SyncCommitteeSelection, SyncDuty,
};
use coxswain_dv_eth::beacon::{self, Call, CallError, Duties, Failure, ValidatorFields};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::client::{Answer, Problem, Request, ValidatorId};
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::signed::{ParSigned, SignedData, SignedRandao};
use coxswain_dv_eth::sync::{ContributionAndProof, SignedContributionAndProof, SyncCommitteeContribution};
use coxswain_dv_eth::time::Time;
use coxswain_dv_wire::priority_result::Preferences;
use coxswain_dv_wire::version::SUPPORTED;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::{FIRST_INDEX, Keys, NODES, chain, identity};
use crate::event::{Channel, Effect, Event, Note, Step, Ticket};
use crate::{Builder, Features, Finding, Job, Node, Output, Settings, exchange};

const SLOT: u64 = 8;

/// A node that is given what it asks for: duties, computations, verdicts.
pub(super) struct Driven {
    node: Node,
    pub(super) now: Time,
    pub(super) keys: Keys,
    rng: StdRng,
    /// What the beacon node says instead, by the name of the endpoint.
    failing: BTreeMap<&'static str, Failure>,
    /// Whether computations break off.
    breaks_off: bool,
    /// Signatures that were to be checked, beside those that come out of shares.
    checked: usize,
}

impl Driven {
    /// One that knows the duties of its epoch.
    pub(super) fn new(me: usize) -> Driven {
        let chain = chain();
        let now = chain.clock.start_of(SLOT);
        Driven::on(chain, me, now)
    }

    fn on(chain: Chain, me: usize, now: Time) -> Driven {
        Driven::with(chain, me, now, Features::STANDARD)
    }

    pub(super) fn with(chain: Chain, me: usize, now: Time, features: Features) -> Driven {
        let keys = Keys::new();
        let node = Node::new(Settings {
            cluster: keys.cluster(me),
            chain,
            peers: (0..NODES).map(|node| identity(node).public()).collect(),
            key: identity(me),
            boot: now,
            builder: Builder::Off,
            graffiti: BTreeMap::new(),
            fee_recipients: BTreeMap::new(),
            registrations: Vec::new(),
            preferences: Preferences::of_node(SUPPORTED[0], &[]),
            features,
        });
        let (rng, failing) = (StdRng::seed_from_u64(2), BTreeMap::new());
        let mut driven = Driven { node, now, keys, rng, failing, breaks_off: false, checked: 0 };
        driven.step(Event::Wake);
        driven
    }

    /// What comes out beside what is answered at once.
    pub(super) fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut events = VecDeque::from([event]);
        let mut out = Vec::new();
        while let Some(event) = events.pop_front() {
            for effect in self.node.step(self.now, event) {
                match effect {
                    Effect::Call { ticket, ref call } if self.answer(call).is_some() => {
                        let result = self.answer(call).expect("as before");
                        events.push_back(Event::Answered { ticket, result });
                        out.push(effect);
                    }
                    Effect::Compute { ticket, job, .. } => {
                        if let Job::Verify(all) = &job {
                            self.checked += all.len();
                        }
                        let output = match &job {
                            Job::Verify(all) if self.breaks_off => {
                                Output::Verified(vec![Finding::Unknown; all.len()])
                            }
                            Job::Aggregate(all) if self.breaks_off => {
                                Output::Aggregated(vec![None; all.len()])
                            }
                            job => job.run(&mut self.rng),
                        };
                        events.push_back(Event::Computed { ticket, output });
                    }
                    other => out.push(other),
                }
            }
        }
        out
    }

    fn answer(&self, call: &Call) -> Option<Result<beacon::Answer, CallError>> {
        if let Some(failure) = self.failing.get(call.endpoint()) {
            let (endpoint, message) = (call.endpoint(), "no".to_owned());
            return Some(Err(CallError { endpoint, failure: *failure, message }));
        }
        let dependent_root = Bytes32::default();
        let all = (FIRST_INDEX..).zip(&self.keys.validators).map(|(index, one)| (index, one.key));
        let validator_index = FIRST_INDEX;
        let pubkey = self.keys.validators[0].key;
        Some(Ok(match call {
            Call::Validators { keys, .. } => {
                let ours = all.filter(|(_, key)| keys.contains(key));
                beacon::Answer::Validators(ours.map(|(index, key)| validator(index, key)).collect())
            }
            Call::AttesterDuties { epoch, .. } => {
                let duty = |(index, key)| attester_duty(index, key, epoch * 4 + 2);
                beacon::Answer::AttesterDuties(Duties { dependent_root, duties: all.map(duty).collect() })
            }
            Call::ProposerDuties { epoch } => {
                let duties = vec![ProposerDuty { pubkey, validator_index, slot: epoch * 4 + 3 }];
                beacon::Answer::ProposerDuties(Duties { dependent_root, duties })
            }
            Call::SyncDuties { .. } => {
                let validator_sync_committee_indices = vec![1];
                let duty = SyncDuty { pubkey, validator_index, validator_sync_committee_indices };
                beacon::Answer::SyncDuties(vec![duty])
            }
            _ => return None,
        }))
    }

    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// What comes of a part of the node, without a step of it.
    pub(super) fn apart<T>(&mut self, part: impl FnOnce(&mut Node) -> T) -> (T, Vec<Effect>) {
        let result = part(&mut self.node);
        (result, self.node.told())
    }

    /// The only question of these is answered.
    pub(super) fn answered(&mut self, asked: &[Effect], answer: beacon::Answer) -> Vec<Effect> {
        let tickets: Vec<Ticket> = asked
            .iter()
            .filter_map(|effect| match effect {
                Effect::Call { ticket, .. } => Some(*ticket),
                _ => None,
            })
            .collect();
        let [ticket] = tickets[..] else { panic!("one question in {asked:?}") };
        self.step(Event::Answered { ticket, result: Ok(answer) })
    }

    /// A duty to propose begins, and the group's randomness is there.
    pub(super) fn proposes_with(&mut self, slot: u64, validator: usize, randao: Bytes96) -> Vec<Effect> {
        let key = self.keys.validators[validator].key;
        self.node.keep_randao(slot, key, randao);
        self.step(Event::Wake)
    }

    pub(super) fn ask(&mut self, ticket: u64, request: Request) -> Vec<Effect> {
        self.step(Event::Asked { ticket: Ticket(ticket), request })
    }
}

/// All validators attest in one committee.
pub(super) fn attester_duty(validator_index: u64, pubkey: Bytes48, slot: u64) -> AttesterDuty {
    AttesterDuty {
        pubkey,
        validator_index,
        committee_index: 1,
        committee_length: 8,
        committees_at_slot: 2,
        validator_committee_index: 0,
        slot,
    }
}

pub(super) fn validator(index: u64, pubkey: Bytes48) -> beacon::Validator {
    beacon::Validator {
        index,
        balance: 32_000_000_000,
        status: "active_ongoing".to_owned(),
        validator: ValidatorFields {
            pubkey,
            withdrawal_credentials: Bytes32::default(),
            effective_balance: 32_000_000_000,
            slashed: false,
            activation_eligibility_epoch: 0,
            activation_epoch: 0,
            exit_epoch: u64::MAX,
            withdrawable_epoch: u64::MAX,
        },
    }
}

/// The one answer to a request.
pub(super) fn reply(effects: &[Effect], wanted: u64) -> Result<Answer, Problem> {
    let of = |effect: &Effect| match effect {
        Effect::Reply { ticket, answer } if ticket.0 == wanted => Some((**answer).clone()),
        _ => None,
    };
    let mut replies: Vec<_> = effects.iter().filter_map(of).collect();
    assert_eq!(replies.len(), 1, "replies in {effects:?}");
    replies.remove(0)
}

pub(super) fn calls(effects: &[Effect]) -> Vec<&Call> {
    let mut calls = Vec::new();
    for effect in effects {
        if let Effect::Call { call, .. } = effect {
            calls.push(call);
        }
    }
    calls
}

fn sent_to(effects: &[Effect]) -> Vec<usize> {
    let of = |effect: &Effect| match effect {
        Effect::Send { to, channel: Channel::Parsigex, .. } => Some(*to),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

/// A client has keys of shares only: it asks with them, and gets answers with them.
#[test]
fn keys_of_groups_become_those_of_shares() {
    let mut node = Driven::new(1);
    let groups: Vec<Bytes48> = node.keys.validators.iter().map(|one| one.key).collect();
    let shares: Vec<Bytes48> = node.keys.validators.iter().map(|one| one.shares[1].0).collect();
    let validators = vec![FIRST_INDEX];
    let effects = node.ask(1, Request::AttesterDuties { epoch: 2, validators: validators.clone() });
    let Ok(Answer::AttesterDuties(duties)) = reply(&effects, 1) else { panic!("{effects:?}") };
    assert_eq!(duties.duties.iter().map(|duty| duty.pubkey).collect::<Vec<_>>(), shares);
    let effects = node.ask(2, Request::ProposerDuties { epoch: 2 });
    let Ok(Answer::ProposerDuties(duties)) = reply(&effects, 2) else { panic!("{effects:?}") };
    assert_eq!(duties.duties[0].pubkey, shares[0]);
    let effects = node.ask(3, Request::SyncDuties { epoch: 2, validators });
    let Ok(Answer::SyncDuties(duties)) = reply(&effects, 3) else { panic!("{effects:?}") };
    assert_eq!(duties[0].pubkey, shares[0]);
    let ids =
        vec![ValidatorId::Key(shares[0]), ValidatorId::Key(groups[1]), ValidatorId::Index(FIRST_INDEX + 2)];
    let effects = node.ask(4, Request::Validators { state: "head".to_owned(), ids });
    let asked = calls(&effects);
    assert!(
        matches!(asked.as_slice(), [Call::Validators { keys, .. }] if *keys == groups),
        "the chain knows groups: {asked:?}"
    );
    let Ok(Answer::Validators(found)) = reply(&effects, 4) else { panic!("{effects:?}") };
    assert_eq!(found.iter().map(|one| one.validator.pubkey).collect::<Vec<_>>(), shares);
}

#[test]
fn keys_of_another_node_are_told() {
    let mut node = Driven::new(1);
    let other = node.keys.validators[0].shares[2].0;
    for (ticket, id, status, text) in [
        (1, ValidatorId::Key(other), 500, "is the share of node 3, and this is node 2"),
        (2, ValidatorId::Key(Bytes48::from([7; 48])), 500, "is no key of this cluster"),
        (3, ValidatorId::Index(7), 404, "validator 7 is none of this cluster"),
    ] {
        let effects = node.ask(ticket, Request::Validators { state: "head".to_owned(), ids: vec![id] });
        let problem = reply(&effects, ticket).expect_err("a problem");
        assert_eq!(problem.status, status);
        assert!(problem.message.contains(text), "{problem}");
        assert!(calls(&effects).is_empty(), "nobody is asked");
    }
}

#[test]
fn failures_of_beacon_nodes_have_their_status() {
    let mut node = Driven::new(1);
    for (ticket, failure, status) in [
        (1, Failure::Network, 502),
        (2, Failure::NotYet, 503),
        (3, Failure::Refused, 400),
        (4, Failure::Malformed, 500),
    ] {
        node.failing.insert("proposer_duties", failure);
        let effects = node.ask(ticket, Request::ProposerDuties { epoch: 2 });
        assert_eq!(reply(&effects, ticket).expect_err("a problem").status, status);
    }
}

/// Prysm asks for the proofs of its first epoch as soon as it is started, and not again in this epoch.
#[test]
fn before_genesis_the_first_epoch_is_known() {
    let mut chain = chain();
    chain.clock.genesis = Time::from_secs(1000);
    let mut node = Driven::on(chain, 1, Time::from_secs(980));
    let proof = SignedData::PrepareAggregator(BeaconCommitteeSelection {
        validator_index: FIRST_INDEX,
        slot: 2,
        selection_proof: Bytes96::default(),
    });
    let SignedData::PrepareAggregator(proof) = node.keys.signed(0, 1, proof) else { panic!("a proof") };
    let effects = node.ask(1, Request::Selections(vec![proof]));
    assert_eq!(sent_to(&effects), [0, 2, 3], "{effects:?}");
}

/// Prysm names validators that have left, with the slot 0, beside those that attest, and takes no shorter answer.
#[test]
fn selections_that_are_over_come_back_as_they_came() {
    let chain = chain();
    let slot = 40;
    let now = chain.clock.start_of(slot);
    let mut node = Driven::on(chain, 1, now);
    let key = node.keys.validators[0].key;
    let of = |node: &Driven, share: usize, slot| {
        let (validator_index, selection_proof) = (FIRST_INDEX, Bytes96::default());
        let one = BeaconCommitteeSelection { validator_index, slot, selection_proof };
        match node.keys.signed(0, share, SignedData::PrepareAggregator(one)) {
            SignedData::PrepareAggregator(one) => one,
            other => panic!("a selection: {other:?}"),
        }
    };
    let (over, due) = (of(&node, 1, 0), of(&node, 1, slot));
    let effects = node.ask(1, Request::Selections(vec![over.clone(), due]));
    assert_eq!(sent_to(&effects), [0, 2, 3], "one duty, to each peer: {effects:?}");
    let mut last = Vec::new();
    for peer in [0, 3] {
        let duty = Duty::new(slot, DutyType::PrepareAggregator);
        let share_index = u32::try_from(peer + 1).expect("few");
        let data = SignedData::PrepareAggregator(of(&node, peer, slot));
        let bytes = exchange::write(duty, &[(key, ParSigned { data, share_index })]).remove(0);
        last = node.step(Event::Received { from: peer, channel: Channel::Parsigex, bytes });
    }
    let Ok(Answer::Selections(all)) = reply(&last, 1) else { panic!("{last:?}") };
    assert_eq!((all.len(), &all[0], all[1].slot), (2, &over, slot));
    assert_ne!(all[1].selection_proof, of(&node, 1, slot).selection_proof, "the group's");
    // Who asks for nothing else is told.
    let refused = reply(&node.ask(2, Request::Selections(vec![over])), 2).expect_err("it is over");
    assert!(refused.status == 400 && refused.message.contains("is over"), "{refused:?}");
}

/// Requests that wait are limited, and a client that gives up leaves nothing behind.
#[test]
fn requests_that_wait_are_limited() {
    let mut node = Driven::new(1);
    let request = |committee| Request::AttestationData { slot: SLOT, committee };
    // The duty itself is kept until it is over, whoever waits for it.
    node.ask(6000, request(0));
    node.step(Event::GaveUp { ticket: Ticket(6000) });
    let before = node.node.held();
    for ticket in 1..=4096 {
        let effects = node.ask(ticket, request(ticket));
        assert!(effects.is_empty(), "{effects:?}");
    }
    assert_eq!(reply(&node.ask(5000, request(1)), 5000).expect_err("a problem").status, 503);
    node.step(Event::GaveUp { ticket: Ticket(1) });
    assert!(node.ask(5001, request(1)).is_empty(), "there is room again");
    for ticket in (2..=4096).chain([5001]) {
        node.step(Event::GaveUp { ticket: Ticket(ticket) });
    }
    assert_eq!(node.node.held(), before);
}

/// Who waits for a duty hears when it is over, and who comes too late or far too early at once.
#[test]
fn requests_end_with_their_duty() {
    let mut node = Driven::new(1);
    let request = |slot| Request::AttestationData { slot, committee: 0 };
    assert!(node.ask(1, request(SLOT)).is_empty());
    let clock = chain().clock;
    let end = Duty::new(SLOT, DutyType::Attester).deadline(&clock).expect("it ends");
    node.now = end;
    let effects = node.step(Event::Wake);
    let problem = reply(&effects, 1).expect_err("it is over");
    assert_eq!(problem.status, 503);
    assert!(problem.message.contains("8/attester is over"), "{problem:?}");
    assert_eq!(reply(&node.ask(2, request(SLOT)), 2).expect_err("too late").status, 503);
    let ahead = reply(&node.ask(3, request(SLOT + 1000)), 3).expect_err("far ahead");
    assert_eq!((ahead.status, ahead.message.contains("two epochs ahead")), (400, true));
    node.step(Event::GaveUp { ticket: Ticket(1) });
}

/// What one peer sends waits for its check up to so many bytes: the rest is refused, and others are not.
#[test]
fn messages_that_wait_for_their_check_are_limited_by_bytes() {
    let mut node = Driven::new(1);
    let of = |peer: usize| {
        let data = SignedData::SyncMessage(node.keys.vote(0, peer, SLOT));
        let share_index = u32::try_from(peer + 1).expect("few");
        let key = node.keys.validators[0].key;
        let bytes = exchange::write(
            Duty::new(SLOT, DutyType::SyncMessage),
            &[(key, ParSigned { data, share_index })],
        )
        .remove(0);
        (bytes, peer)
    };
    let (theirs, others) = (of(0), of(2));
    let items = |node: &Driven, bytes: &[u8]| {
        exchange::read(bytes, &node.keys.cluster(1), &chain(), node.now).expect("good").1
    };
    node.node.distrust_all();
    for (from, size, is_taken) in
        [(0, 60 << 20, true), (0, 5 << 20, false), (0, 1 << 20, true), (2, 60 << 20, true)]
    {
        let bytes = if from == 0 { &theirs.0 } else { &others.0 };
        let before = node.node.unchecked();
        let items = items(&node, bytes);
        node.node.take_peer_partials(from, size, items);
        assert_eq!(node.node.unchecked() > before, is_taken, "{size} bytes of {from}");
    }
}

/// Of several signatures the good ones go on, and the others are told by their places.
#[test]
fn failures_have_their_places() {
    let mut node = Driven::new(1);
    let good = |validator| node.keys.vote(validator, 1, SLOT);
    let (first, last) = (good(0), good(2));
    let of_another_share = node.keys.vote(1, 3, SLOT);
    let mut of_nobody = good(1);
    of_nobody.validator_index = 7;
    let mut no_signature = good(1);
    no_signature.signature = Bytes96::from([1; 96]);
    let votes = vec![first, of_another_share, of_nobody, no_signature, last];
    let effects = node.ask(1, Request::SubmitSyncMessages(votes));
    let problem = reply(&effects, 1).expect_err("three are bad");
    assert_eq!(problem.status, 400);
    let mut places: Vec<usize> = problem.failures.iter().map(|(place, _)| *place).collect();
    places.sort_unstable();
    assert_eq!(places, [1, 2, 3], "{problem:?}");
    let why = |place| problem.failures.iter().find(|(at, _)| *at == place).map(|(_, why)| why.as_str());
    assert!(why(1).is_some_and(|why| why.contains("does not verify")), "{problem:?}");
    assert!(why(2).is_some_and(|why| why.contains("validator 7 is none")), "{problem:?}");
    assert_eq!(sent_to(&effects), [0, 2, 3], "one message of the two good ones to each peer");
    let votes = vec![node.keys.vote(0, 1, SLOT)];
    let again = node.ask(2, Request::SubmitSyncMessages(votes));
    assert_eq!(reply(&again, 2), Ok(Answer::Done));
    assert_eq!(sent_to(&again), [0, 2, 3], "what is sent again goes out again");
}

#[test]
fn the_future_and_the_past_are_not_signed() {
    let mut node = Driven::new(1);
    for (ticket, slot) in [(1, 20), (2, SLOT - 2)] {
        let votes = vec![node.keys.vote(0, 1, slot)];
        let effects = node.ask(ticket, Request::SubmitSyncMessages(votes));
        assert_eq!(reply(&effects, ticket).expect_err("a problem").failures.len(), 1, "{slot}");
        assert!(sent_to(&effects).is_empty());
    }
}

/// Enough shares make the group's signature; it is submitted once.
#[test]
fn shares_of_peers_make_it_whole() {
    let mut node = Driven::new(1);
    let duty = Duty::new(SLOT, DutyType::SyncMessage);
    let key = node.keys.validators[0].key;
    let of_peer = |node: &Driven, peer: usize| {
        let data = SignedData::SyncMessage(node.keys.vote(0, peer, SLOT));
        let share_index = u32::try_from(peer + 1).expect("few");
        let bytes = exchange::write(duty, &[(key, ParSigned { data, share_index })]).remove(0);
        Event::Received { from: peer, channel: Channel::Parsigex, bytes }
    };
    let votes = vec![node.keys.vote(0, 1, SLOT)];
    assert!(calls(&node.ask(1, Request::SubmitSyncMessages(votes))).is_empty());
    let second = of_peer(&node, 0);
    assert!(calls(&node.step(second)).is_empty());
    let third = of_peer(&node, 3);
    let effects = node.step(third);
    let asked = calls(&effects);
    let [Call::SubmitSyncMessages(votes)] = asked.as_slice() else { panic!("{asked:?}") };
    let data = SignedData::SyncMessage(votes[0].clone());
    let root = chain().signing_root(&data.signable(&chain().clock).expect("signed"));
    let group = node.keys.validators[0].group;
    let job = Job::Verify(vec![crate::Check { key: group, root, signature: data.signature() }]);
    assert!(matches!(job.run(&mut node.rng), Output::Verified(found) if found == [Finding::Good]));
    let fourth = of_peer(&node, 2);
    assert!(calls(&node.step(fourth)).is_empty(), "once is enough");
}

/// What a share signs of a contribution with this proof; the proof is of the subcommittee.
fn contribution(
    keys: &Keys,
    subcommittee_index: u64,
    selection_proof: Bytes96,
) -> SignedContributionAndProof {
    let contribution = SyncCommitteeContribution {
        slot: SLOT,
        beacon_block_root: Bytes32::from([5; 32]),
        subcommittee_index,
        aggregation_bits: Default::default(),
        signature: Bytes96::default(),
    };
    let message = ContributionAndProof { aggregator_index: FIRST_INDEX, contribution, selection_proof };
    let unsigned = SignedContributionAndProof { message, signature: Bytes96::default() };
    match keys.signed(0, 1, SignedData::SyncContribution(Box::new(unsigned))) {
        SignedData::SyncContribution(signed) => *signed,
        other => panic!("it was a contribution: {other:?}"),
    }
}

/// The proof in a contribution is the group's: a pairing, but where this node has put that very proof together.
#[test]
fn a_proof_that_was_put_together_here_is_not_checked_again() {
    let mut node = Driven::new(1);
    let key = node.keys.validators[0].key;
    let selection = |node: &Driven, share: usize, subcommittee_index| {
        let (validator_index, selection_proof) = (FIRST_INDEX, Bytes96::default());
        let unsigned =
            SyncCommitteeSelection { validator_index, slot: SLOT, subcommittee_index, selection_proof };
        node.keys.signed(0, share, SignedData::PrepareSyncContribution(unsigned))
    };
    let SignedData::PrepareSyncContribution(own) = selection(&node, 1, 0) else { panic!("a selection") };
    node.ask(1, Request::SyncSelections(vec![own]));
    let mut last = Vec::new();
    for peer in [0, 3] {
        let duty = Duty::new(SLOT, DutyType::PrepareSyncContribution);
        let share_index = u32::try_from(peer + 1).expect("few");
        let data = selection(&node, peer, 0);
        let bytes = exchange::write(duty, &[(key, ParSigned { data, share_index })]).remove(0);
        last = node.step(Event::Received { from: peer, channel: Channel::Parsigex, bytes });
    }
    let Ok(Answer::SyncSelections(proofs)) = reply(&last, 1) else { panic!("{last:?}") };
    let proof = proofs[0].selection_proof;
    let of_share = selection(&node, 1, 0).signature();
    let mut submit = |ticket, subcommittee, proof| {
        let before = node.checked;
        let signed = contribution(&node.keys, subcommittee, proof);
        let effects = node.ask(ticket, Request::SubmitContributions(vec![signed]));
        (reply(&effects, ticket).map_err(|problem| problem.failures), node.checked - before)
    };
    assert_eq!(submit(2, 0, proof), (Ok(Answer::Done), 1), "the share's signature");
    let (refused, checks) = submit(3, 0, of_share);
    assert_eq!((refused.expect_err("no proof of the group").len(), checks), (1, 2));
    let (refused, checks) = submit(4, 1, proof);
    assert_eq!((refused.expect_err("a proof of another subcommittee").len(), checks), (1, 2));
}

/// A partial signature of a peer, as it comes.
fn of_peer(peer: usize, share: usize, data: SignedData, key: Bytes48) -> Event {
    let share_index = u32::try_from(share + 1).expect("few");
    let duty = Duty::new(SLOT, DutyType::SyncMessage);
    let bytes = exchange::write(duty, &[(key, ParSigned { data, share_index })]).remove(0);
    Event::Received { from: peer, channel: Channel::Parsigex, bytes }
}

fn names(effects: &[Effect], peer: usize, share: u32) -> bool {
    let text = format!("share {share} did not sign this");
    effects.iter().any(|effect| {
        matches!(effect, Effect::Note(Note::Refused { from, channel: Channel::Parsigex, why })
            if *from == peer && why.contains(&text))
    })
}

/// Shares that do not count as seen any more.
fn withdrawn(effects: &[Effect]) -> Vec<(u64, Bytes48, u32)> {
    let of = |effect: &Effect| match effect {
        Effect::Note(Note::Withdrawn { duty, key, share }) => Some((duty.slot, *key, *share)),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

/// What is said of the trust in peers.
fn trust(effects: &[Effect]) -> Vec<String> {
    let of = |effect: &Effect| match effect {
        Effect::Note(Note::Distrusted { from, until }) => Some(format!("{from} until {until}")),
        Effect::Note(Note::TrustedAgain { from }) => Some(format!("{from} again")),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

/// A peer whose share did not sign is found when the shares do not come to the group's signature: it is named, the others
/// are enough without it, and from then on what it sends is checked first.
#[test]
fn bad_shares_of_peers_are_named() {
    let mut node = Driven::new(1);
    let key = node.keys.validators[0].key;
    let vote = |node: &Driven, share: usize| SignedData::SyncMessage(node.keys.vote(0, share, SLOT));
    let bad = of_peer(3, 3, vote(&node, 2), key);
    assert!(!names(&node.step(bad), 3, 4), "nobody has looked");
    let own = vec![node.keys.vote(0, 1, SLOT)];
    node.ask(1, Request::SubmitSyncMessages(own));
    let good = of_peer(0, 0, vote(&node, 0), key);
    let effects = node.step(good);
    assert!(names(&effects, 3, 4) && calls(&effects).is_empty(), "{effects:?}");
    assert_eq!(withdrawn(&effects), [(SLOT, key, 4)]);
    assert_eq!(trust(&effects), ["3 until 12"]);
    let good = of_peer(2, 2, vote(&node, 2), key);
    let effects = node.step(good);
    assert!(matches!(calls(&effects).as_slice(), [Call::SubmitSyncMessages(votes)] if votes.len() == 1));
    let other = node.keys.validators[1].key;
    let lie = SignedData::SyncMessage(node.keys.vote(1, 2, SLOT));
    assert!(names(&node.step(of_peer(3, 3, lie, other)), 3, 4), "it was caught before");
    assert_eq!(node.node.unchecked(), 0);
}

/// What was planted before a peer is caught is found at once, and what nobody has to do is looked at before it is kept.
#[test]
fn what_a_caught_peer_has_planted_goes() {
    let mut node = Driven::new(1);
    let (key, other) = (node.keys.validators[0].key, node.keys.validators[1].key);
    let lie = |node: &Driven, slot: u64| {
        // The signature of another share.
        let data = SignedData::SyncMessage(node.keys.vote(0, 2, slot));
        let duty = Duty::new(slot, DutyType::SyncMessage);
        let bytes = exchange::write(duty, &[(key, ParSigned { data, share_index: 4 })]).remove(0);
        Event::Received { from: 3, channel: Channel::Parsigex, bytes }
    };
    for slot in [SLOT, SLOT + 1] {
        let planted = lie(&node, slot);
        assert!(!names(&node.step(planted), 3, 4), "nobody has looked");
    }
    // The second validator is not in the sync committee.
    let not_due = of_peer(3, 3, SignedData::SyncMessage(node.keys.vote(1, 2, SLOT)), other);
    let effects = node.step(not_due);
    let caught = effects.iter().filter(|effect| {
        matches!(effect, Effect::Note(Note::Refused { from: 3, why, .. }) if why.contains("did not sign"))
    });
    assert_eq!(caught.count(), 3, "that one, and both that were planted: {effects:?}");
    assert_eq!(trust(&effects), ["3 until 12"], "once");
    assert_eq!(withdrawn(&effects)[1..], [(SLOT, key, 4), (SLOT + 1, key, 4)]);
    assert_eq!(node.node.unchecked(), 0);
    let own = vec![node.keys.vote(0, 1, SLOT)];
    node.ask(1, Request::SubmitSyncMessages(own));
    let first = of_peer(0, 0, SignedData::SyncMessage(node.keys.vote(0, 0, SLOT)), key);
    node.step(first);
    let second = of_peer(2, 2, SignedData::SyncMessage(node.keys.vote(0, 2, SLOT)), key);
    assert_eq!(calls(&node.step(second)).len(), 1, "no sum is spoiled");
}

/// Distrust ends: an epoch after the last bad signature, and two after that of a relapse.
#[test]
fn a_peer_that_was_caught_is_trusted_again() {
    let mut node = Driven::new(1);
    let go = |node: &mut Driven, slot: u64| {
        let first = chain().clock.slot_at(node.now).expect("after genesis") + 1;
        let of_slot = |slot| {
            node.now = chain().clock.start_of(slot);
            trust(&node.step(Event::Wake))
        };
        (first..=slot).flat_map(of_slot).collect::<Vec<String>>()
    };
    // Of a validator, in the name of the fourth node, by a share.
    let send = |node: &mut Driven, validator: usize, slot: u64, share: usize| {
        let data = SignedData::SyncMessage(node.keys.vote(validator, share, slot));
        let duty = Duty::new(slot, DutyType::SyncMessage);
        let key = node.keys.validators[validator].key;
        let bytes = exchange::write(duty, &[(key, ParSigned { data, share_index: 4 })]).remove(0);
        node.step(Event::Received { from: 3, channel: Channel::Parsigex, bytes })
    };
    // The second validator has no such duty, so that it is looked at first.
    let lie = |node: &mut Driven, slot: u64| trust(&send(node, 1, slot, 2));
    let is_checked_first = |node: &mut Driven, slot: u64| {
        let effects = send(node, 0, slot, 3);
        effects.iter().any(|effect| matches!(effect, Effect::Note(Note::Verified { .. })))
    };
    assert!(!is_checked_first(&mut node, 8));
    assert_eq!(lie(&mut node, 8), ["3 until 12"]);
    assert!(go(&mut node, 11).is_empty());
    assert!(is_checked_first(&mut node, 11));
    assert_eq!(go(&mut node, 12), ["3 again"]);
    assert!(!is_checked_first(&mut node, 12));
    assert_eq!(lie(&mut node, 12), ["3 until 20"]);
    assert!(go(&mut node, 19).is_empty());
    assert!(lie(&mut node, 19).is_empty(), "it goes on");
    assert!(go(&mut node, 26).is_empty());
    assert!(is_checked_first(&mut node, 26));
    assert_eq!(go(&mut node, 27), ["3 again"]);
    assert!(!is_checked_first(&mut node, 27));
}

/// What could not be checked is not kept, and may be sent again: it says nothing of who sent it.
#[test]
fn nobody_is_distrusted_for_a_computation_that_breaks_off() {
    let mut node = Driven::new(1);
    let key = node.keys.validators[0].key;
    let own = |node: &Driven| Request::SubmitSyncMessages(vec![node.keys.vote(0, 1, SLOT)]);
    let of = |node: &Driven, peer: usize| {
        of_peer(peer, peer, SignedData::SyncMessage(node.keys.vote(0, peer, SLOT)), key)
    };
    node.breaks_off = true;
    let request = own(&node);
    let problem = reply(&node.ask(1, request), 1).expect_err("it was not checked");
    assert!(problem.failures[0].1.contains("broke off"), "{problem:?}");
    node.breaks_off = false;
    let request = own(&node);
    assert_eq!(reply(&node.ask(2, request), 2), Ok(Answer::Done));
    let (first, second) = (of(&node, 0), of(&node, 2));
    node.step(first);
    node.breaks_off = true;
    let effects = node.step(second);
    assert!(trust(&effects).is_empty() && !names(&effects, 0, 1) && !names(&effects, 2, 3), "{effects:?}");
    assert_eq!(withdrawn(&effects), [(SLOT, key, 1), (SLOT, key, 3)]);
    node.breaks_off = false;
    let (first, second) = (of(&node, 0), of(&node, 2));
    assert!(calls(&node.step(first)).is_empty());
    assert_eq!(calls(&node.step(second)).len(), 1, "what comes again is taken");
}

/// Nobody spoils the share of another: what comes for it is checked first, and does not take its place.
#[test]
fn shares_of_others_are_checked_first() {
    let mut node = Driven::new(1);
    let key = node.keys.validators[0].key;
    let vote = |node: &Driven, share: usize| SignedData::SyncMessage(node.keys.vote(0, share, SLOT));
    let effects = {
        let lie = of_peer(3, 0, vote(&node, 2), key);
        node.step(lie)
    };
    assert!(names(&effects, 3, 1), "{effects:?}");
    let is_told = |effect: &Effect| matches!(effect, Effect::Note(Note::Verified { .. }));
    assert!(effects.iter().any(is_told), "how long the check took");
    let own = vec![node.keys.vote(0, 1, SLOT)];
    node.ask(1, Request::SubmitSyncMessages(own));
    let first = of_peer(0, 0, vote(&node, 0), key);
    assert!(calls(&node.step(first)).is_empty());
    let second = of_peer(2, 2, vote(&node, 2), key);
    assert_eq!(calls(&node.step(second)).len(), 1, "all three count");
}

/// A partial vote of a peer.
fn vote_of(node: &Driven, validator: usize, peer: usize) -> Event {
    let data = SignedData::SyncMessage(node.keys.vote(validator, peer, SLOT));
    let share_index = u32::try_from(peer + 1).expect("few");
    let (key, duty) = (node.keys.validators[validator].key, Duty::new(SLOT, DutyType::SyncMessage));
    let bytes = exchange::write(duty, &[(key, ParSigned { data, share_index })]).remove(0);
    Event::Received { from: peer, channel: Channel::Parsigex, bytes }
}

fn notes(effects: Vec<Effect>) -> Vec<Note> {
    let note = |effect| match effect {
        Effect::Note(note) => Some(note),
        _ => None,
    };
    effects.into_iter().filter_map(note).collect()
}

/// Only the first validator is in the sync committee.
#[test]
fn votes_of_those_who_have_no_duty_are_told() {
    let mut node = Driven::new(1);
    let duty = Duty::new(SLOT, DutyType::SyncMessage);
    for (validator, is_told) in [(0, false), (1, true)] {
        let vote = vote_of(&node, validator, 2);
        let key = node.keys.validators[validator].key;
        let told = notes(node.step(vote));
        assert_eq!(told.contains(&Note::Unexpected { duty, key, share: 3 }), is_told, "{told:?}");
    }
}

#[test]
fn who_voted_for_what_is_told_when_it_is_over() {
    let mut node = Driven::new(1);
    let duty = Duty::new(SLOT, DutyType::SyncMessage);
    for peer in [0, 2, 3] {
        let vote = vote_of(&node, 0, peer);
        node.step(vote);
    }
    node.now = chain().clock.start_of(SLOT + 2);
    let told = notes(node.step(Event::Wake));
    let cohorts = vec![[1, 3, 4].into()];
    assert!(told.contains(&Note::Cohorts { duty, cohorts }), "{told:?}");
}

/// What is refused says why, down to the first cause.
#[test]
fn refusals_of_consensus_have_their_causes() {
    let mut node = Driven::new(1);
    let bytes = vec![0xff; 7];
    let told = notes(node.step(Event::Received { from: 2, channel: Channel::Qbft, bytes }));
    let [Note::Refused { from: 2, channel: Channel::Qbft, why }] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(why.starts_with("it cannot be read: "), "{why}");
}

/// Why there were no values for duties of a slot. These nodes signed its randomness, and the beacon node says that it fails up
/// to the middle of the slot, and then nothing.
fn why(failing: Option<&'static str>, slot: u64, nodes_with_randao: &[usize]) -> Vec<(DutyType, String)> {
    let mut node = Driven::new(1);
    node.failing.extend(failing.map(|endpoint| (endpoint, Failure::Network)));
    let key = node.keys.validators[0].key;
    let epoch = chain().clock.epoch_of(slot);
    for signer in nodes_with_randao {
        let randao = SignedRandao { epoch, signature: Bytes96::default() };
        let data = node.keys.signed(0, *signer, SignedData::Randao(randao));
        let place = (Duty::new(slot, DutyType::Randao), key, 0);
        let partial = ParSigned { share_index: *signer as u32 + 1, data };
        node.apart(|node| node.keep_partial(place, partial));
    }
    let mut all = Vec::new();
    while node.now < chain().clock.start_of(slot + 6) {
        node.now = node.now + std::time::Duration::from_millis(500);
        if node.now >= chain().clock.start_of(slot) + chain().clock.slot / 2 {
            node.failing.clear();
        }
        for effect in node.step(Event::Wake) {
            if let Effect::Note(Note::Duty { duty, step: Step::Fetcher, error: Some(error), .. }) = effect
                && duty.slot == slot
                && !all.contains(&(duty.kind, error.clone()))
            {
                all.push((duty.kind, error));
            }
        }
    }
    all
}

/// Operators read it in the log: a beacon node that is ill is another thing than a client that does not ask.
#[test]
fn a_duty_without_a_value_says_what_was_lacking() {
    let lacks = |kind, what: &str| (kind, format!("there was no value in time: {what}"));
    let (proposer, attester) = (DutyType::Proposer, DutyType::Attester);
    let of = |kind, all: Vec<(DutyType, String)>| {
        all.into_iter().filter(|(of, _)| *of == kind).collect::<Vec<_>>()
    };
    let (proposes, attests) = (SLOT + 3, SLOT + 2);
    for (nodes, expected) in [
        (&[][..], "no randao of the validator client of this node came"),
        (&[0][..], "no randao of the validator client of this node came"),
        (&[0, 1][..], "too few nodes signed randao"),
    ] {
        assert_eq!(of(proposer, why(None, proposes, nodes)), [lacks(proposer, expected)], "{nodes:?}");
    }
    // The last that the beacon node said, and a question that hangs for longer than the duty lasts.
    let expected = lacks(attester, "attestation_data: no");
    assert_eq!(of(attester, why(Some("attestation_data"), attests, &[])), [expected]);
    let expected = lacks(attester, "attestation_data: no beacon node has answered yet");
    assert_eq!(of(attester, why(None, attests, &[])), [expected]);
}
