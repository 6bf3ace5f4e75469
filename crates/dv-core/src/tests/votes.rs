//! Votes of a validator client, held against what the cluster has decided.

use std::collections::BTreeMap;

use coxswain_dv_eth::attestation::{AttestationData, Checkpoint, SingleAttestation};
use coxswain_dv_eth::bytes::{Bytes32, Bytes96};
use coxswain_dv_eth::client::{Answer, Request};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::protect::{Signer, Verdict};
use coxswain_dv_eth::signed::{SignedAttestation, SignedData};
use coxswain_dv_eth::unsigned::Unsigned;

use super::serving::{Driven, attester_duty, reply};
use super::{FIRST_INDEX, chain};
use crate::event::{Channel, Effect, Event};

/// Where all validators attest, in committee 1.
const SLOT: u64 = 10;
const DUTY: Duty = Duty { slot: SLOT, kind: DutyType::Attester };

fn data() -> AttestationData {
    let point = |epoch| Checkpoint { epoch, root: Bytes32::from([1; 32]) };
    let (source, target) = (point(1), point(2));
    AttestationData { slot: SLOT, index: 0, beacon_block_root: Bytes32::from([2; 32]), source, target }
}

/// A node for which this was decided for all its validators.
fn decided() -> Driven {
    let mut node = Driven::new(1);
    node.now = chain().clock.start_of(SLOT) + chain().clock.slot / 2;
    node.step(Event::Wake);
    let keys: Vec<_> = node.keys.validators.iter().map(|one| one.key).collect();
    let value =
        |(index, key)| (key, Unsigned::Attester { data: data(), duty: attester_duty(index, key, SLOT) });
    let set: BTreeMap<_, _> = (FIRST_INDEX..).zip(keys).map(value).collect();
    node.apart(|node| node.decide(DUTY, &set));
    node
}

/// What a validator's share signs.
fn vote(node: &Driven, validator: usize, data: AttestationData) -> SignedAttestation {
    let one = SingleAttestation {
        committee_index: 1,
        attester_index: FIRST_INDEX + validator as u64,
        data,
        signature: Bytes96::default(),
    };
    let unsigned = SignedAttestation::from_single(Fork::Fulu, &one).expect("of its fork");
    match node.keys.signed(validator, 1, SignedData::Attester(Box::new(unsigned))) {
        SignedData::Attester(signed) => *signed,
        other => panic!("it was a vote: {other:?}"),
    }
}

/// How many votes the store is asked about.
fn judged(effects: &[Effect]) -> usize {
    let of = |effect: &Effect| match effect {
        Effect::Judge { signer: Signer::Share, requests, .. } => requests.len(),
        _ => 0,
    };
    effects.iter().map(of).sum()
}

#[test]
fn the_decided_vote_is_taken() {
    let mut node = decided();
    let votes = vec![vote(&node, 0, data()), vote(&node, 2, data())];
    let effects = node.ask(1, Request::SubmitAttestations(votes));
    let ticket = effects.iter().find_map(|effect| match effect {
        Effect::Judge { ticket, .. } => Some(*ticket),
        _ => None,
    });
    assert_eq!(judged(&effects), 2, "{effects:?}");
    let (ticket, verdicts) = (ticket.expect("a question"), Ok(vec![Verdict::Recorded; 2]));
    let effects = node.step(Event::Judged { ticket, verdicts });
    assert_eq!(reply(&effects, 1), Ok(Answer::Done));
    let sent = |effect: &&Effect| matches!(effect, Effect::Send { channel: Channel::Parsigex, .. });
    assert_eq!(effects.iter().filter(sent).count(), 3);
}

/// It could never be put together with others', and what is kept of it would stand in the way of the decided one.
#[test]
fn another_vote_is_refused_before_the_store_is_asked() {
    let others = [
        ("source", AttestationData { source: Checkpoint { epoch: 0, ..data().source }, ..data() }),
        ("target", AttestationData { target: Checkpoint { epoch: 3, ..data().target }, ..data() }),
        ("head", AttestationData { beacon_block_root: Bytes32::from([9; 32]), ..data() }),
        ("committee index", AttestationData { index: 1, ..data() }),
    ];
    for (part, other) in others {
        let mut node = decided();
        let votes = vec![vote(&node, 0, other), vote(&node, 1, data())];
        let effects = node.ask(1, Request::SubmitAttestations(votes));
        assert_eq!(judged(&effects), 1, "only the right one: {effects:?}");
        let ticket = effects.iter().find_map(|effect| match effect {
            Effect::Judge { ticket, .. } => Some(*ticket),
            _ => None,
        });
        let (ticket, verdicts) = (ticket.expect("a question"), Ok(vec![Verdict::Recorded]));
        let effects = node.step(Event::Judged { ticket, verdicts });
        let problem = reply(&effects, 1).expect_err("one is refused");
        let [(0, why)] = &problem.failures[..] else { panic!("{problem:?}") };
        assert!(why.contains(&format!("is not the decided one: its {part} is ")), "{why}");
        assert_eq!(problem.status, 400);
    }
}

/// A leader that has a validator's aggregate be another committee's takes its duty away.
#[test]
fn an_aggregate_is_of_the_validators_committee() {
    let node = decided();
    let duty = Duty::new(SLOT, DutyType::Aggregator);
    let key = node.keys.validators[0].key;
    let aggregate = |committee_index| {
        let (attester_index, signature) = (FIRST_INDEX, Bytes96::default());
        let one = SingleAttestation { committee_index, attester_index, data: data(), signature };
        let signed = SignedAttestation::from_single(Fork::Fulu, &one).expect("of its fork");
        let attestation = Box::new(signed.attestation);
        BTreeMap::from([(key, Unsigned::Aggregator { fork: Fork::Fulu, attestation })])
    };
    assert!(node.node().check_committees(duty, &aggregate(1)).is_ok());
    let refused = node.node().check_committees(duty, &aggregate(2)).expect_err("another committee");
    assert!(
        refused.to_string().ends_with("an aggregate of committee 2, and the validator is in committee 1")
    );
    let unknown = Duty::new(SLOT + 1_000, DutyType::Aggregator);
    assert!(node.node().check_committees(unknown, &aggregate(2)).is_ok(), "nobody knows its committees");
}
