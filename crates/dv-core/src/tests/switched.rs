//! What operators turn on: made-up proposals, newer registrations, attestation data of a new head, and halting where the
//! chain has two branches.

use std::collections::BTreeMap;

use coxswain_dv_crypto::k1::Address;
use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::api::ProposerDuty;
use coxswain_dv_eth::attestation::{AttestationData, Checkpoint};
use coxswain_dv_eth::beacon::{self, Call, ChainEvent};
use coxswain_dv_eth::block::Block;
use coxswain_dv_eth::body::BodyPhase0;
use coxswain_dv_eth::bytes::{Bytes20, Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::client::{Answer, Request};
use coxswain_dv_eth::operations::Eth1Data;
use coxswain_dv_eth::proposal::Proposal;
use coxswain_dv_eth::signed::{SignedData, SignedRegistration};
use coxswain_dv_eth::synthetic::{GRAFFITI, Plan};
use coxswain_dv_eth::time::Clock;
use coxswain_dv_eth::unsigned::Unsigned;
use coxswain_dv_types::registration::Registration;
use ssz_types::VariableList;

use super::serving::{Driven, calls, reply, validator};
use super::{FIRST_INDEX, chain};
use crate::event::{Effect, Event, Note, Step};
use crate::features::{Early, Features, OnSplit, Switch, Synthetic};
use crate::synthetic;
use coxswain_dv_eth::duty::{Duty, DutyType};

fn clock() -> Clock {
    chain().clock
}

fn with(features: Features) -> Driven {
    let now = clock().start_of(8);
    Driven::with(chain(), 1, now, features)
}

const SYNTHETIC: Features = Features { synthetic: Synthetic::On, ..Features::STANDARD };

/// Slots and validators of made-up proposals.
fn made_up(epoch: u64, active: &[u64], real: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let active: Vec<beacon::Validator> =
        active.iter().map(|index| validator(*index, Bytes48::from([index.to_le_bytes()[0]; 48]))).collect();
    let real: Vec<ProposerDuty> = real
        .iter()
        .map(|(slot, validator_index)| ProposerDuty {
            pubkey: Bytes48::default(),
            validator_index: *validator_index,
            slot: *slot,
        })
        .collect();
    let made = synthetic::duties(&clock(), epoch, &active, &real);
    made.into_iter().map(|duty| (duty.slot, duty.validator_index)).collect()
}

#[test]
fn each_validator_without_a_proposal_gets_its_slot() {
    assert_eq!(made_up(5, &[4, 9, 14], &[]), [(20, 4), (21, 9), (22, 14)]);
    // Others' validators take no slots.
    assert_eq!(made_up(5, &[4, 9], &[(20, 77), (21, 78)]), [(20, 4), (21, 9)]);
    // One that proposes needs none, and its slot is its own.
    assert_eq!(made_up(5, &[4, 9, 14], &[(21, 4)]), [(22, 14)]);
}

#[test]
fn validators_of_one_slot_take_turns() {
    let of = |epoch| made_up(epoch, &[1, 5, 9], &[]);
    assert_eq!(of(0), [(1, 1)]);
    assert_eq!(of(1), [(5, 5)]);
    assert_eq!(of(2), [(9, 9)]);
    assert_eq!(of(3), [(13, 1)]);
}

/// Validator 100 proposes at the last slot of the epoch; 101 and 102 have nothing, and get the slots 1 and 2 of it.
#[test]
fn clients_are_told_of_made_up_proposals() {
    let mut node = with(SYNTHETIC);
    let shares: Vec<Bytes48> = node.keys.validators.iter().map(|one| one.shares[1].0).collect();
    let effects = node.ask(1, Request::ProposerDuties { epoch: 2 });
    let Ok(Answer::ProposerDuties(duties)) = reply(&effects, 1) else { panic!("{effects:?}") };
    let told: Vec<_> =
        duties.duties.iter().map(|duty| (duty.slot, duty.validator_index, duty.pubkey)).collect();
    let expected =
        [(11, FIRST_INDEX, shares[0]), (9, FIRST_INDEX + 1, shares[1]), (10, FIRST_INDEX + 2, shares[2])];
    assert_eq!(told, expected);
    let mut node = with(Features::STANDARD);
    let effects = node.ask(1, Request::ProposerDuties { epoch: 2 });
    let Ok(Answer::ProposerDuties(duties)) = reply(&effects, 1) else { panic!("{effects:?}") };
    assert_eq!(duties.duties.len(), 1);
}

fn block(slot: u64, proposer_index: u64) -> Proposal {
    Proposal::Phase0(Block {
        slot,
        proposer_index,
        parent_root: Bytes32::from([1; 32]),
        state_root: Bytes32::from([2; 32]),
        body: BodyPhase0 {
            randao_reveal: Bytes96::from([3; 96]),
            eth1_data: Eth1Data::default(),
            graffiti: Bytes32::from([4; 32]),
            proposer_slashings: VariableList::empty(),
            attester_slashings: VariableList::empty(),
            attestations: VariableList::empty(),
            deposits: VariableList::empty(),
            voluntary_exits: VariableList::empty(),
        },
    })
}

fn made_up_block(slot: u64, proposer_index: u64) -> Proposal {
    let plan = Plan { slot, proposer_index, randao: Bytes96::from([5; 96]), fee_recipient: None };
    block(slot - 1, 1).made_up(&plan)
}

#[test]
fn a_made_up_block_is_another_with_new_names() {
    let made = made_up_block(9, FIRST_INDEX);
    assert!(made.is_made_up() && !block(9, 1).is_made_up());
    let found = (made.slot(), made.proposer_index(), made.randao(), made.graffiti());
    assert_eq!(found, (9, FIRST_INDEX, Bytes96::from([5; 96]), GRAFFITI));
    assert!(made.signed(Bytes96::default()).is_made_up());
}

/// A leader cannot have the cluster sign a block that nobody submits where there is one to propose.
#[test]
fn a_made_up_block_is_none_of_a_real_proposal() {
    for (features, slot, validator, expected) in [
        (SYNTHETIC, 9, 1, false),
        (SYNTHETIC, 11, 0, true),
        (Features::STANDARD, 9, 1, true),
        (Features::STANDARD, 11, 0, true),
    ] {
        let node = with(features);
        let key = node.keys.validators[validator].key;
        let value = Unsigned::Proposer(Box::new(made_up_block(slot, FIRST_INDEX + validator as u64)));
        let duty = Duty::new(slot, DutyType::Proposer);
        assert_eq!(node.node().replaces_a_block(duty, &key, &value), expected, "slot {slot}");
        let value = Unsigned::Proposer(Box::new(block(slot, FIRST_INDEX + validator as u64)));
        assert!(!node.node().replaces_a_block(duty, &key, &value));
    }
}

#[test]
fn made_up_blocks_are_never_submitted() {
    for features in [SYNTHETIC, Features::STANDARD] {
        let mut node = with(features);
        let key = node.keys.validators[1].key;
        let signed = |block: Proposal| SignedData::Proposer(Box::new(block.signed(Bytes96::default())));
        let duty = Duty::new(9, DutyType::Proposer);
        let set = vec![(key, signed(made_up_block(9, 101))), (key, signed(block(9, 101)))];
        let (left, effects) = node.apart(|node| node.without_made_up(duty, set));
        assert_eq!(left, [(key, signed(block(9, 101)))]);
        let is_done = |effect: &&Effect| {
            matches!(effect, Effect::Note(Note::Duty { step: Step::Bcast, error: None, .. }))
        };
        assert_eq!(effects.iter().filter(is_done).count(), 1);
    }
}

#[test]
fn a_block_is_made_of_the_last_one_of_the_chain() {
    let mut node = with(SYNTHETIC);
    node.now = clock().start_of(9);
    node.step(Event::Wake);
    let randao = Bytes96::from([7; 96]);
    let asked = node.proposes_with(9, 1, randao);
    // Slot 8 has no block; slot 7 has one.
    let [Call::WholeBlock { slot: 8 }] = calls(&asked)[..] else { panic!("{asked:?}") };
    let asked = node.answered(&asked, beacon::Answer::WholeBlock(None));
    let [Call::WholeBlock { slot: 7 }] = calls(&asked)[..] else { panic!("{asked:?}") };
    let done = node.answered(&asked, beacon::Answer::WholeBlock(Some(Box::new(block(7, 1)))));
    let is_made = |effect: &&Effect| matches!(effect, Effect::Note(Note::Proposal { .. }));
    assert_eq!(done.iter().filter(is_made).count(), 1, "{done:?}");
    assert!(!calls(&done).iter().any(|call| matches!(call, Call::Proposal { .. })));
}

fn registered(node: &mut Driven, payee: u8) -> Vec<Effect> {
    let keys: Vec<Bytes48> = node.keys.validators.iter().map(|one| one.key).collect();
    let fee_recipients: BTreeMap<Bytes48, Bytes20> =
        keys.iter().map(|key| (*key, Bytes20::from([payee; 20]))).collect();
    let message =
        Registration { fee_recipient: Address([payee; 20]), gas_limit: 1, timestamp: 2, pubkey: keys[0].0 };
    let registrations = vec![SignedRegistration { message, signature: [3; 96] }];
    node.step(Event::Registered { fee_recipients, registrations })
}

#[test]
fn beacon_nodes_are_told_at_once_whom_blocks_pay() {
    let mut node = with(Features::STANDARD);
    let effects = registered(&mut node, 1);
    let [Call::PrepareProposers(told)] = calls(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|one| one.fee_recipient == Bytes([1; 20])));
    // The same again is no news.
    assert!(calls(&registered(&mut node, 1)).is_empty());
    assert_eq!(calls(&registered(&mut node, 2)).len(), 1);
}

fn data(slot: u64, head: u8, source: u64) -> AttestationData {
    AttestationData {
        slot,
        index: 0,
        beacon_block_root: Bytes32::from([head; 32]),
        source: Checkpoint { epoch: source, root: Bytes32::default() },
        target: Checkpoint { epoch: slot / 4, root: Bytes32::default() },
    }
}

fn head(slot: u64, head: u8) -> Event {
    Event::Chain(ChainEvent::Head { slot, block: Bytes32::from([head; 32]) })
}

/// Attestations are due at slot 10.
#[test]
fn data_of_a_new_head_are_there_before_the_duty() {
    let early = |on_head, delay| Features { early: Early { on_head, delay }, ..Features::STANDARD };
    for (features, answer, is_asked_again) in [
        (early(Switch::On, Switch::Off), data(10, 6, 1), false),
        (early(Switch::Off, Switch::On), data(10, 6, 1), false),
        // The beacon node has not seen that head.
        (early(Switch::On, Switch::Off), data(10, 5, 1), true),
    ] {
        let mut node = with(features);
        node.now = clock().start_of(10);
        node.step(Event::Wake);
        let asked = node.step(head(10, 6));
        let [Call::AttestationData { slot: 10, .. }] = calls(&asked)[..] else { panic!("{asked:?}") };
        assert!(calls(&node.step(head(10, 7))).is_empty(), "the first head counts");
        node.answered(&asked, beacon::Answer::AttestationData(answer));
        let start = Duty::new(10, DutyType::Attester).start(&clock());
        let delay = if features.early.delay == Switch::On { 300 } else { 0 };
        node.now = start + std::time::Duration::from_millis(delay);
        let effects = node.step(Event::Wake);
        let again = calls(&effects).iter().any(|call| matches!(call, Call::AttestationData { .. }));
        assert_eq!(again, is_asked_again, "{effects:?}");
        let is_there =
            |effect: &Effect| matches!(effect, Effect::Note(Note::Duty { step: Step::Fetcher, .. }));
        assert_eq!(effects.iter().any(is_there), !is_asked_again);
    }
}

#[test]
fn without_the_feature_a_head_asks_nothing() {
    let mut node = with(Features::STANDARD);
    node.now = clock().start_of(10);
    node.step(Event::Wake);
    assert!(calls(&node.step(head(10, 6))).is_empty());
}

#[test]
fn another_source_or_target_is_not_agreed_to() {
    let halting = Features { on_split: OnSplit::Halt, ..Features::STANDARD };
    use coxswain_dv_qbft::machine::Verdict;
    let duty = Duty::new(10, DutyType::Attester);
    for (features, own, theirs, expected) in [
        (halting, data(10, 6, 1), data(10, 6, 1), Verdict::Accepted),
        (halting, data(10, 6, 1), data(10, 5, 1), Verdict::Accepted),
        (halting, data(10, 6, 1), data(10, 6, 0), Verdict::Differs),
        (Features::STANDARD, data(10, 6, 1), data(10, 6, 0), Verdict::Accepted),
    ] {
        let mut node = with(features);
        node.now = duty.start(&clock());
        node.step(Event::Wake);
        let set = |data: AttestationData| node_set(&node, data);
        let (own, theirs) = (set(own), set(theirs));
        let (verdict, _) = node.apart(|node| {
            node.seen(duty, &own);
            node.compare(duty, 1, theirs.clone())
        });
        assert_eq!(verdict, Some(expected));
    }
    // What is not seen yet is waited for.
    let mut node = with(halting);
    node.now = duty.start(&clock());
    node.step(Event::Wake);
    let theirs = node_set(&node, data(10, 6, 1));
    assert_eq!(node.apart(|node| node.compare(duty, 1, theirs)).0, None);
}

fn node_set(node: &Driven, data: AttestationData) -> BTreeMap<Bytes48, Unsigned> {
    let pubkey = node.keys.validators[0].key;
    let duty = coxswain_dv_eth::api::AttesterDuty {
        pubkey,
        validator_index: FIRST_INDEX,
        committee_index: 1,
        committee_length: 8,
        committees_at_slot: 2,
        validator_committee_index: 0,
        slot: data.slot,
    };
    BTreeMap::from([(pubkey, Unsigned::Attester { data, duty })])
}
