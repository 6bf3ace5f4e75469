//! Rules of a node that its peers, its client and its store are held to, and that it does its duties all the same.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it made it")]

mod support;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use coxswain_dv_core::{
    Builder, Channel, Cluster, Effect, Event, Features, Majority, Node, Note, Settings, Ticket, Urgency,
    Validator,
};
use coxswain_dv_crypto::bls::{Polynomial, SecretKey};
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::api::{AttesterDuty, BeaconCommitteeSelection, ProposerDuty};
use coxswain_dv_eth::attestation::{Attestation, AttestationData, AttestationPhase0, Checkpoint};
use coxswain_dv_eth::beacon::{Answer, Call, CallError, Duties, Failure};
use coxswain_dv_eth::bytes::{Bytes48, Bytes96};
use coxswain_dv_eth::client;
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::fork::{Fork, Forks};
use coxswain_dv_eth::proposal::{Proposal, SignedProposal};
use coxswain_dv_eth::protect::{Refusal, Request, Signer, Verdict, What};
use coxswain_dv_eth::signed::{SignedAggregate, SignedAttestation, SignedData, SignedRandao};
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_wire::message;
use coxswain_dv_wire::parsigex::{ParSigExMsg, ParSignedData};
use coxswain_dv_wire::priority_result::Preferences;
use coxswain_dv_wire::version::Version;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use ssz_types::BitList;
use support::active;

/// The validator's number, and where it votes and proposes.
const INDEX: u64 = 5;
const SLOT: u64 = 17;
const EPOCH: u64 = 2;
const COMMITTEE: u64 = 1;
const POSITION: u64 = 3;
/// What the vote goes out from: not the epoch before.
const SOURCE: u64 = 0;

/// The first node of a cluster.
struct Lab {
    node: Node,
    chain: Chain,
    now: Time,
    group: SecretKey,
    shares: Vec<SecretKey>,
    key: Bytes48,
    /// Another validator, whose client does nothing.
    silent: Bytes48,
    rng: StdRng,
    /// Whether what is checked for peers takes its time, and what came of it.
    is_busy: bool,
    late: Vec<Event>,
}

/// What the store is asked.
#[derive(Debug, PartialEq)]
struct Asked {
    ticket: Ticket,
    signer: Signer,
    requests: Vec<Request>,
    /// The slot and the epoch of the clock.
    now: (u64, u64),
}

fn chain() -> Chain {
    let clock = Clock { genesis: Time::from_secs(1000), slot: Duration::from_secs(12), slots_per_epoch: 8 };
    let fork = |number: usize| if number == 0 { 0 } else { u64::MAX };
    let forks =
        Forks::new(std::array::from_fn(|number| (fork(number), Bytes([u8::try_from(number).unwrap(); 4]))));
    Chain { clock, forks, genesis_validators_root: [7; 32] }
}

/// Four nodes, of which three are enough.
fn lab() -> Lab {
    lab_of(4, 3)
}

/// A node in the slot of its duties, which it knows.
fn lab_of(nodes: u8, threshold: u64) -> Lab {
    let mut lab = fresh(nodes, threshold);
    lab.step(Event::Wake);
    lab
}

/// A node that has not begun; it was started long ago.
fn fresh(nodes: u8, threshold: u64) -> Lab {
    started(chain().clock.genesis, nodes, threshold)
}

/// The group's key, and its shares.
fn deal(nodes: u8, threshold: u64, rng: &mut StdRng) -> (SecretKey, Vec<SecretKey>) {
    let group = SecretKey::generate(rng);
    if nodes == 1 {
        return (group.clone(), vec![group]);
    }
    let dealt = Polynomial::random(&group, threshold, rng).unwrap();
    let shares = (1..=u64::from(nodes)).map(|index| dealt.share(index).unwrap()).collect();
    (group, shares)
}

fn validator(group: &SecretKey, shares: &[SecretKey]) -> Validator {
    let public = |key: &SecretKey| (Bytes(key.public().to_bytes()), key.public());
    let (key, group) = public(group);
    Validator { key, group, shares: shares.iter().map(public).collect() }
}

fn started(boot: Time, nodes: u8, threshold: u64) -> Lab {
    let mut rng = StdRng::seed_from_u64(1);
    let (group, shares) = deal(nodes, threshold, &mut rng);
    let (silent, shares_of_silent) = deal(nodes, threshold, &mut rng);
    let validators = vec![validator(&group, &shares), validator(&silent, &shares_of_silent)];
    let (key, silent) = (validators[0].key, validators[1].key);
    let keys: Vec<IdentityKey> = (0..nodes).map(|_| IdentityKey::generate(&mut rng)).collect();
    let node = Node::new(Settings {
        cluster: Cluster::new(
            nodes.into(),
            usize::try_from(threshold).unwrap(),
            0,
            validators,
            Majority::Required,
        )
        .unwrap(),
        chain: chain(),
        peers: keys.iter().map(IdentityKey::public).collect(),
        key: keys[0].clone(),
        boot,
        builder: Builder::Off,
        graffiti: BTreeMap::new(),
        fee_recipients: BTreeMap::from([(key, Bytes([3; 20]))]),
        registrations: Vec::new(),
        preferences: Preferences::of_node(Version::parse("v1.11.0").unwrap().minor(), &[]),
        features: Features::STANDARD,
    });
    let now = chain().clock.start_of(SLOT) + Duration::from_secs(4);
    Lab { node, chain: chain(), now, group, shares, key, silent, rng, is_busy: false, late: Vec::new() }
}

impl Lab {
    /// What comes out beside computations and questions for duties, which are answered at once.
    fn step(&mut self, event: Event) -> Vec<Effect> {
        let (mut events, mut out) = (VecDeque::from([event]), Vec::new());
        while let Some(event) = events.pop_front() {
            for effect in self.node.step(self.now, event) {
                match effect {
                    Effect::Compute { ticket, urgency, job } => {
                        let computed = Event::Computed { ticket, output: job.run(&mut self.rng) };
                        match urgency {
                            Urgency::Peers if self.is_busy => self.late.push(computed),
                            Urgency::Peers | Urgency::Own => events.push_back(computed),
                        }
                    }
                    Effect::Call { ticket, call } => match self.duties(&call) {
                        Some(answer) => events.push_back(Event::Answered { ticket, result: Ok(answer) }),
                        None => out.push(Effect::Call { ticket, call }),
                    },
                    other => out.push(other),
                }
            }
        }
        out
    }

    fn duties(&self, call: &Call) -> Option<Answer> {
        let (pubkey, validator_index, dependent_root) = (self.key, INDEX, Bytes([0; 32]));
        Some(match call {
            Call::Validators { .. } => {
                Answer::Validators(vec![active(INDEX, pubkey), active(INDEX + 1, self.silent)])
            }
            Call::AttesterDuties { epoch: EPOCH, .. } => {
                let duty = |pubkey, more| AttesterDuty {
                    pubkey,
                    validator_index: INDEX + more,
                    committee_index: COMMITTEE,
                    committee_length: 8,
                    committees_at_slot: 2,
                    validator_committee_index: POSITION + more,
                    slot: SLOT,
                };
                let duties = vec![duty(pubkey, 0), duty(self.silent, 1)];
                Answer::AttesterDuties(Duties { dependent_root, duties })
            }
            Call::AttesterDuties { .. } => {
                Answer::AttesterDuties(Duties { dependent_root, duties: Vec::new() })
            }
            Call::ProposerDuties { epoch } => {
                let duty = ProposerDuty { pubkey, validator_index, slot: SLOT };
                let duties = Vec::from_iter((*epoch == EPOCH).then_some(duty));
                Answer::ProposerDuties(Duties { dependent_root, duties })
            }
            Call::SyncDuties { .. } => Answer::SyncDuties(Vec::new()),
            _ => return None,
        })
    }

    fn root(&self, data: &SignedData) -> [u8; 32] {
        self.chain.signing_root(&data.signable(&self.chain.clock).unwrap())
    }

    fn signed(&self, share: usize, mut data: SignedData) -> SignedData {
        let root = self.root(&data);
        data.set_signature(Bytes96::from(self.shares[share].sign(&root).to_bytes()));
        data
    }

    /// The node's validator client votes.
    fn votes(&mut self) -> Vec<Effect> {
        let SignedData::Attester(vote) = self.signed(0, vote(SLOT)) else { panic!("a vote") };
        let request = client::Request::SubmitAttestations(vec![*vote]);
        self.step(Event::Asked { ticket: Ticket(1), request })
    }

    /// The node's validator client sends an aggregate with a proof that somebody has signed.
    fn aggregates(&mut self, prover: &SecretKey) -> Vec<Effect> {
        let selection = BeaconCommitteeSelection {
            validator_index: INDEX,
            slot: SLOT,
            selection_proof: Bytes96::from([0; 96]),
        };
        let root = self.root(&SignedData::PrepareAggregator(selection));
        let proof = prover.sign(&root).to_bytes().into();
        let SignedData::Attester(vote) = vote(SLOT) else { panic!("a vote") };
        let aggregate = SignedAggregate::new(Fork::Phase0, INDEX, vote.attestation, proof).unwrap();
        let signed = self.signed(0, SignedData::Aggregator(Box::new(aggregate)));
        let SignedData::Aggregator(signed) = signed else { panic!("an aggregate") };
        let request = client::Request::SubmitAggregates(vec![*signed]);
        self.step(Event::Asked { ticket: Ticket(1), request })
    }

    /// A cluster of this node alone decides a block.
    fn decides(&mut self, block: &SignedData) {
        let (epoch, signature) = (EPOCH, Bytes96::from([0; 96]));
        let randao = self.signed(0, SignedData::Randao(SignedRandao { epoch, signature })).signature();
        let request = client::Request::Proposal { slot: SLOT, randao };
        let effects = self.step(Event::Asked { ticket: Ticket(1), request });
        let ticket = question(&effects, |call| matches!(call, Call::Proposal { .. }));
        let SignedData::Proposer(block) = block else { panic!("a block") };
        let SignedProposal::Phase0(block) = &**block else { panic!("of phase 0") };
        let answer = Answer::Proposal(Box::new(Proposal::Phase0(block.message.clone())));
        let effects = self.step(Event::Answered { ticket, result: Ok(answer) });
        assert_eq!(leaves(&effects), ["done"], "{effects:?}");
    }

    /// The node's validator client sends a block.
    fn proposes(&mut self, block: SignedData) -> Vec<Effect> {
        let SignedData::Proposer(block) = self.signed(0, block) else { panic!("a block") };
        let request = client::Request::SubmitProposal(block);
        self.step(Event::Asked { ticket: Ticket(2), request })
    }

    /// The group's signature of a vote is whole, and is judged: with which ticket.
    fn is_whole(&mut self) -> Ticket {
        let effects = self.receive_enough(Duty::new(SLOT, DutyType::Attester), &vote(SLOT));
        let [Asked { ticket, .. }] = asked(&effects)[..] else { panic!("one question in {effects:?}") };
        ticket
    }

    /// A peer sends its share of a signature.
    fn receive(&mut self, from: usize, duty: Duty, data: SignedData) -> Vec<Effect> {
        let data = self.signed(from, data);
        self.receive_signed(from, duty, &data)
    }

    fn receive_signed(&mut self, from: usize, duty: Duty, data: &SignedData) -> Vec<Effect> {
        let share_idx = i32::try_from(from).unwrap() + 1;
        let signature = data.signature().0.to_vec();
        let one = ParSignedData { data: data.encode(), signature, share_idx };
        let set = BTreeMap::from([(self.key.to_string(), one)]);
        let wire = coxswain_dv_wire::priority::Duty { slot: duty.slot, r#type: duty.kind.number() };
        let bytes = message::encode(&ParSigExMsg { duty: Some(wire), data_set: Some(set.into()) });
        self.step(Event::Received { from, channel: Channel::Parsigex, bytes })
    }

    /// The three peers have signed; what comes of the last share, and before it nothing does.
    fn receive_enough(&mut self, duty: Duty, data: &SignedData) -> Vec<Effect> {
        for from in [1, 2] {
            let effects = self.receive(from, duty, data.clone());
            assert_eq!((asked(&effects), leaves(&effects)), (Vec::new(), Vec::new()), "share {from}");
        }
        self.receive(3, duty, data.clone())
    }
}

fn vote(slot: u64) -> SignedData {
    let checkpoint = |epoch| Checkpoint { epoch, root: Bytes([1; 32]) };
    let mut aggregation_bits = BitList::with_capacity(8).unwrap();
    aggregation_bits.set(usize::try_from(POSITION).unwrap(), true).unwrap();
    let data = AttestationData {
        slot,
        index: COMMITTEE,
        beacon_block_root: Bytes([2; 32]),
        source: checkpoint(SOURCE),
        target: checkpoint(EPOCH),
    };
    let attestation =
        Attestation::Phase0(AttestationPhase0 { aggregation_bits, data, signature: Bytes([0; 96]) });
    SignedData::Attester(Box::new(SignedAttestation {
        fork: Fork::Phase0,
        validator_index: None,
        attestation,
    }))
}

/// The validator's block.
fn block(state: u8) -> SignedData {
    SignedData::Proposer(Box::new(support::block(SLOT, INDEX, state)))
}

/// The question of this kind to beacon nodes.
#[track_caller]
fn question(effects: &[Effect], is_it: impl Fn(&Call) -> bool) -> Ticket {
    let of = |effect: &Effect| match effect {
        Effect::Call { ticket, call } if is_it(call) => Some(*ticket),
        _ => None,
    };
    effects.iter().find_map(of).unwrap_or_else(|| panic!("no such question in {effects:?}"))
}

/// The questions to the store.
fn asked(effects: &[Effect]) -> Vec<Asked> {
    let of = |effect: &Effect| match effect {
        Effect::Judge { ticket, signer, requests, slot, epoch } => {
            let (ticket, signer, requests) = (*ticket, *signer, requests.clone());
            Some(Asked { ticket, signer, requests, now: (*slot, *epoch) })
        }
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

/// What leaves the node: shares to peers, answers to its client, signatures of the group.
fn leaves(effects: &[Effect]) -> Vec<&'static str> {
    let of = |effect: &Effect| match effect {
        Effect::Send { channel: Channel::Parsigex, .. } => Some("share"),
        Effect::Reply { answer, .. } => Some(if answer.is_ok() { "done" } else { "refused" }),
        Effect::Call { call: Call::SubmitAttestationsPhase0(_), .. } => Some("vote"),
        Effect::Call { call: Call::SubmitProposal(_), .. } => Some("block"),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

/// Answers of the store that allow nothing.
fn not_kept() -> [Result<Vec<Verdict>, String>; 3] {
    let refused = Verdict::Refused(Refusal::DoubleVote { target: EPOCH });
    [Ok(vec![refused]), Ok(Vec::new()), Err("no space left on device".to_owned())]
}

#[test]
fn a_vote_of_the_client_waits_for_the_store() {
    for verdict in [Verdict::Recorded, Verdict::Again] {
        let mut lab = lab();
        let effects = lab.votes();
        let asked = asked(&effects);
        let [Asked { ticket, .. }] = asked[..] else { panic!("one question in {effects:?}") };
        let what = What::Attestation { source: SOURCE, target: EPOCH, root: lab.root(&vote(SLOT)) };
        let (signer, requests) = (Signer::Share, vec![Request { key: lab.key, what }]);
        assert_eq!(asked, [Asked { ticket, signer, requests, now: (SLOT, EPOCH) }]);
        assert_eq!(leaves(&effects), [""; 0]);
        let effects = lab.step(Event::Judged { ticket, verdicts: Ok(vec![verdict]) });
        assert_eq!(leaves(&effects), ["share", "share", "share", "done"]);
    }
}

#[test]
fn a_vote_that_is_not_kept_neither_leaves_nor_counts() {
    for verdicts in not_kept() {
        let mut lab = lab();
        let [Asked { ticket, .. }] = asked(&lab.votes())[..] else { panic!("one question") };
        let effects = lab.step(Event::Judged { ticket, verdicts: verdicts.clone() });
        assert_eq!(leaves(&effects), ["refused"], "{verdicts:?}");
        for from in [1, 2] {
            let effects = lab.receive(from, Duty::new(SLOT, DutyType::Attester), vote(SLOT));
            assert_eq!(asked(&effects), [], "two shares are not enough, {verdicts:?}");
        }
    }
}

/// Also where it is checked first, because there is no such duty.
#[test]
fn shares_of_peers_are_not_judged() {
    let mut lab = lab();
    for slot in [SLOT, SLOT + 1] {
        let effects = lab.receive(1, Duty::new(slot, DutyType::Attester), vote(slot));
        assert_eq!(asked(&effects), [], "slot {slot}");
    }
}

/// What a group signs is judged with its own signer, whatever this node's share has signed.
#[test]
fn a_signature_of_the_group_waits_for_the_store() {
    let root = |data| lab().root(data);
    let (of_vote, of_block) = (root(&vote(SLOT)), root(&block(1)));
    let votes = What::Attestation { source: SOURCE, target: EPOCH, root: of_vote };
    let cases = [
        (DutyType::Attester, vote(SLOT), votes, "vote"),
        (DutyType::Proposer, block(1), What::Block { slot: SLOT, root: of_block }, "block"),
    ];
    for (kind, data, what, leaving) in cases {
        let kept = [Ok(vec![Verdict::Recorded]), Ok(vec![Verdict::Again])].map(|one| (one, vec![leaving]));
        for (verdicts, expected) in not_kept().map(|one| (one, Vec::new())).into_iter().chain(kept) {
            let mut lab = lab();
            let effects = lab.receive_enough(Duty::new(SLOT, kind), &data);
            let asked = asked(&effects);
            let [Asked { ticket, .. }] = asked[..] else { panic!("one question in {effects:?}") };
            let (signer, requests) = (Signer::Group, vec![Request { key: lab.key, what }]);
            assert_eq!(asked, [Asked { ticket, signer, requests, now: (SLOT, EPOCH) }]);
            assert_eq!(leaves(&effects), [""; 0]);
            let effects = lab.step(Event::Judged { ticket, verdicts: verdicts.clone() });
            assert_eq!(leaves(&effects), expected, "{verdicts:?}");
        }
    }
}

/// Whoever starts without a history, or has a clock that is behind, contradicts nothing, and there is no alarm.
#[test]
fn only_what_contradicts_is_an_alarm() {
    let alarms = |effects: &[Effect]| {
        let one = |effect: &Effect| match effect {
            Effect::Note(Note::Slashable { signer, .. }) => Some((true, Some(*signer))),
            Effect::Note(Note::TooEarly { .. }) => Some((false, None)),
            _ => None,
        };
        effects.iter().filter_map(one).collect::<Vec<_>>()
    };
    for (refusal, is_alarm) in [
        (Refusal::DoubleVote { target: EPOCH }, true),
        (Refusal::Surrounds { source_epoch: SOURCE, target: EPOCH }, true),
        (Refusal::OldTarget { lowest: EPOCH }, false),
        (Refusal::Future { now: 1 }, false),
        (Refusal::NotStarted, false),
    ] {
        let verdicts = || Ok(vec![Verdict::Refused(refusal)]);
        let expected = |signer| vec![(is_alarm, is_alarm.then_some(signer))];
        let mut lab = lab();
        let [Asked { ticket, .. }] = asked(&lab.votes())[..] else { panic!("one question") };
        let effects = lab.step(Event::Judged { ticket, verdicts: verdicts() });
        assert_eq!(alarms(&effects), expected(Signer::Share), "{refusal:?}");
        let mut lab = self::lab();
        let ticket = lab.is_whole();
        let effects = lab.step(Event::Judged { ticket, verdicts: verdicts() });
        assert_eq!(alarms(&effects), expected(Signer::Group), "{refusal:?}");
    }
}

/// That the validator was selected is said by the group: a share's signature says nothing.
#[test]
fn an_aggregate_needs_a_proof_of_the_group() {
    let mut lab = lab();
    let (group, share) = (lab.group.clone(), lab.shares[0].clone());
    let effects = lab.aggregates(&share);
    assert_eq!(leaves(&effects), ["refused"]);
    let effects = lab.aggregates(&group);
    assert_eq!(leaves(&effects), ["share", "share", "share", "done"]);
}

/// Nothing else is even judged: the store knows only what was signed, not what was decided.
#[test]
fn a_block_that_was_not_decided_is_not_signed() {
    let mut lab = lab_of(1, 1);
    let effects = lab.proposes(block(1));
    assert_eq!((leaves(&effects), asked(&effects)), (vec!["refused"], Vec::new()), "nothing was decided");
    lab.decides(&block(1));
    let effects = lab.proposes(block(2));
    assert_eq!((leaves(&effects), asked(&effects)), (vec!["refused"], Vec::new()), "another was decided");
    let effects = lab.proposes(block(1));
    assert_eq!((leaves(&effects).len(), asked(&effects).len()), (0, 1), "it waits for the store");
}

/// While it is checked which of the shares is bad, others come: they are put together without it, and without waiting.
#[test]
fn what_is_enough_without_a_bad_share_is_put_together() {
    let mut lab = lab();
    let duty = Duty::new(SLOT, DutyType::Attester);
    let bad = lab.signed(2, vote(SLOT));
    lab.receive_signed(1, duty, &bad);
    lab.receive(2, duty, vote(SLOT));
    lab.is_busy = true;
    let effects = lab.receive(3, duty, vote(SLOT));
    assert_eq!((asked(&effects), lab.late.len()), (Vec::new(), 1), "their sum is wrong");
    let [Asked { ticket, .. }] = asked(&lab.votes())[..] else { panic!("one question") };
    let effects = lab.step(Event::Judged { ticket, verdicts: Ok(vec![Verdict::Recorded]) });
    assert_eq!(asked(&effects), [], "nobody knows yet which is bad");
    let found = lab.late.remove(0);
    let effects = lab.step(found);
    let signers: Vec<Signer> = asked(&effects).iter().map(|asked| asked.signer).collect();
    assert_eq!(signers, [Signer::Group]);
}

fn end_of_vote() -> Time {
    Duty::new(SLOT, DutyType::Attester).deadline(&chain().clock).expect("it ends")
}

/// Nobody would forget it.
#[test]
fn what_is_whole_after_its_end_is_neither_kept_nor_submitted() {
    let mut lab = lab();
    let ticket = lab.is_whole();
    lab.now = end_of_vote();
    lab.step(Event::Wake);
    let held = lab.node.held();
    let effects = lab.step(Event::Judged { ticket, verdicts: Ok(vec![Verdict::Recorded]) });
    assert_eq!(leaves(&effects), [""; 0]);
    assert!(lab.node.held() < held, "only the question is gone");
}

#[test]
fn shares_of_what_is_over_are_forgotten() {
    let (mut with, mut without) = (lab(), lab());
    with.receive(1, Duty::new(SLOT, DutyType::Attester), vote(SLOT));
    let more = with.node.held() - without.node.held();
    assert!(more > 0);
    for lab in [&mut with, &mut without] {
        lab.now = end_of_vote();
        lab.step(Event::Wake);
    }
    assert_eq!(with.node.held(), without.node.held());
}

#[test]
fn a_submission_that_fails_is_tried_again() {
    let mut lab = lab();
    let ticket = lab.is_whole();
    let effects = lab.step(Event::Judged { ticket, verdicts: Ok(vec![Verdict::Recorded]) });
    let ticket = question(&effects, |call| matches!(call, Call::SubmitAttestationsPhase0(_)));
    let error = CallError { endpoint: "submit", failure: Failure::Network, message: "down".to_owned() };
    let mut effects = lab.step(Event::Answered { ticket, result: Err(error) });
    for _ in 0..12 {
        lab.now = lab.now + Duration::from_secs(1);
        effects.extend(lab.step(Event::Wake));
    }
    assert_eq!(leaves(&effects), ["vote"]);
}

/// Duties become known in the middle of a slot, when what is to be done in it has begun.
#[test]
fn what_began_before_its_duties_were_known_is_begun() {
    let effects = fresh(4, 3).step(Event::Wake);
    let is_begun = |effect: &Effect| {
        matches!(effect, Effect::Call { call: Call::AttestationData { slot: SLOT, .. }, .. })
    };
    assert!(effects.iter().any(is_begun), "{effects:?}");
}

/// Whether a node sends messages of consensus on its votes before the first round is long over. It has no value.
fn takes_part(lab: &mut Lab) -> bool {
    let votes = Duty::new(SLOT, DutyType::Attester);
    let is_part = |effect: &Effect| matches!(effect, Effect::Send { channel: Channel::Qbft, duty, .. } if *duty == votes);
    (0..6).any(|_| {
        lab.now = lab.now + Duration::from_secs(1);
        lab.step(Event::Wake).iter().any(is_part)
    })
}

/// Its beacon nodes may be slow: it votes for what others propose, and goes on to the next round with them.
#[test]
fn a_node_without_a_value_takes_part_in_consensus() {
    assert!(takes_part(&mut lab()));
}

/// What it said before it stopped, or before its clock was set, is not known.
#[test]
fn what_has_begun_is_watched_after_a_start_and_after_the_clock_was_set() {
    let mut lab = started(chain().clock.start_of(SLOT), 4, 3);
    lab.step(Event::Wake);
    assert!(!takes_part(&mut lab), "it was started in this slot");
    let mut lab = self::lab();
    lab.step(Event::ClockSet { by: Duration::from_secs(1) });
    assert!(!takes_part(&mut lab), "the clock was set");
}

/// A value is looked at before it gets a vote, also the node's own.
#[test]
fn data_of_another_slot_are_not_agreed_to() {
    let votes = Duty::new(SLOT, DutyType::Attester);
    for (slot, expected) in [(SLOT, true), (SLOT + 1, false)] {
        let mut lab = fresh(1, 1);
        let effects = lab.step(Event::Wake);
        let ticket = question(&effects, |call| matches!(call, Call::AttestationData { .. }));
        let SignedData::Attester(vote) = vote(slot) else { panic!("a vote") };
        let answer = Answer::AttestationData(*vote.attestation.data());
        let effects = lab.step(Event::Answered { ticket, result: Ok(answer) });
        let is_decided =
            |effect: &Effect| matches!(effect, Effect::Note(Note::Decided { duty, .. }) if *duty == votes);
        assert_eq!(effects.iter().any(is_decided), expected, "data of slot {slot}");
    }
}

/// The client asks for what the cluster agreed on. Nobody waits for the validator that was not selected in time.
#[test]
fn a_client_gets_the_aggregate_that_was_decided() {
    let mut lab = fresh(1, 1);
    let effects = lab.step(Event::Wake);
    let ticket = question(&effects, |call| matches!(call, Call::AttestationData { .. }));
    let SignedData::Attester(vote) = vote(SLOT) else { panic!("a vote") };
    let data = *vote.attestation.data();
    lab.step(Event::Answered { ticket, result: Ok(Answer::AttestationData(data)) });
    let selection =
        BeaconCommitteeSelection { validator_index: INDEX, slot: SLOT, selection_proof: Bytes([0; 96]) };
    let signed = lab.signed(0, SignedData::PrepareAggregator(selection));
    let SignedData::PrepareAggregator(selection) = signed else { panic!("a selection") };
    let request = client::Request::Selections(vec![selection]);
    lab.step(Event::Asked { ticket: Ticket(1), request });
    let mut effects = Vec::new();
    for _ in 0..6 {
        lab.now = lab.now + Duration::from_secs(1);
        effects.extend(lab.step(Event::Wake));
    }
    let ticket = question(&effects, |call| matches!(call, Call::Aggregate { .. }));
    let answer = Answer::Aggregate(Box::new(vote.attestation));
    lab.step(Event::Answered { ticket, result: Ok(answer) });
    let data_root = data.root().into();
    let request = client::Request::Aggregate { slot: SLOT, data_root, committee: COMMITTEE };
    let effects = lab.step(Event::Asked { ticket: Ticket(2), request });
    assert_eq!(leaves(&effects), ["done"]);
}

#[test]
fn beacon_nodes_are_told_in_each_epoch_whom_blocks_pay() {
    let mut lab = fresh(4, 3);
    let mut told = Vec::new();
    for slot in SLOT..=SLOT + 16 {
        lab.now = chain().clock.start_of(slot);
        let effects = lab.step(Event::Wake);
        let is_it = |effect: &Effect| matches!(effect, Effect::Call { call: Call::PrepareProposers(_), .. });
        told.extend(effects.iter().filter(|effect| is_it(effect)).map(|_| slot));
    }
    assert_eq!(told, [SLOT, 24, 32], "at the start, and in the first slot of each epoch");
}
