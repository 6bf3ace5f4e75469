//! What became of what was submitted, on chains made by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use coxswain_dv_eth::attestation::{
    Attestation, AttestationData, AttestationElectra, AttestationPhase0, Checkpoint,
};
use coxswain_dv_eth::beacon::{Failure, SeenBlock};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::{Clock, Time};
use ssz_types::{BitList, BitVector};

use crate::inclusion::{Effect, Event, Fate, Inclusion, Question, Shape, Votes, What};

const CLOCK: Clock =
    Clock { genesis: Time::from_secs(0), slot: Duration::from_secs(12), slots_per_epoch: 32 };
/// Of each slot: the second one is not as large as the others.
const SIZES: [u64; 3] = [4, 3, 4];

fn key(number: u8) -> Bytes48 {
    Bytes48::from([number; 48])
}

fn root(number: u64) -> Bytes32 {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes.into()
}

/// What all vote for at a slot.
fn data(slot: u64) -> AttestationData {
    let target = Checkpoint { epoch: CLOCK.epoch_of(slot), root: root(slot) };
    AttestationData { slot, beacon_block_root: root(slot), target, ..AttestationData::default() }
}

/// Votes of members of a committee that blocks have with those of others.
fn votes(slot: u64, committee: u64, members: &[u64]) -> What {
    let (data, members) = (data(slot), members.to_vec());
    What::Votes(Votes { data, committee, members, shape: Shape::Joined { only: None } })
}

/// An attestation of committees with a bit for each member, committee by committee.
fn attestation(data: AttestationData, committees: &[usize], bits: &str) -> Attestation {
    let mut committee_bits = BitVector::new();
    committees.iter().for_each(|index| committee_bits.set(*index, true).expect("one of 64"));
    let bits = bits.replace(' ', "");
    let mut aggregation_bits = BitList::with_capacity(bits.len()).expect("few");
    for (at, bit) in bits.chars().enumerate() {
        aggregation_bits.set(at, bit == '1').expect("it fits");
    }
    let signature = Bytes96::default();
    Attestation::Electra(AttestationElectra { aggregation_bits, data, signature, committee_bits })
}

fn block(slot: u64, number: u64, attestations: Vec<Attestation>) -> SeenBlock {
    SeenBlock { slot, proposer_index: 1, root: root(number), attestations }
}

/// A beacon node with a chain.
#[derive(Default)]
struct Beacon {
    blocks: BTreeMap<u64, SeenBlock>,
    /// Its head.
    head: u64,
    /// What it answers instead, to everything or to committees.
    down: Option<Failure>,
    without_committees: Option<Failure>,
    /// How often it was asked for a block.
    reads: BTreeMap<u64, usize>,
    /// How often it was asked for committees.
    committees: BTreeMap<u64, usize>,
}

struct World {
    inclusion: Inclusion,
    beacon: Beacon,
    /// What was told, and at which slot.
    told: Vec<(u64, Duty, u8, Fate)>,
    now: u64,
}

impl World {
    fn new() -> World {
        World::with(CLOCK)
    }

    fn with(clock: Clock) -> World {
        let inclusion = Inclusion::new(clock);
        World { inclusion, beacon: Beacon::default(), told: Vec::new(), now: 0 }
    }

    fn chain(blocks: Vec<SeenBlock>) -> World {
        let mut world = World::new();
        world.beacon.blocks = blocks.into_iter().map(|block| (block.slot, block)).collect();
        world
    }

    fn submit(&mut self, slot: u64, kind: DutyType, validator: u8, what: What) {
        let (duty, key) = (Duty::new(slot, kind), key(validator));
        self.step(Event::Submitted { duty, key, what });
    }

    fn step(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let effects = self.inclusion.step(event);
            let asked = effects.iter().filter(|effect| matches!(effect, Effect::Ask(_))).count();
            assert!(asked <= 8, "{asked} questions at once");
            for effect in effects {
                match effect {
                    Effect::Ask(question) => events.push(self.beacon.answer(question)),
                    Effect::Tell { duty, key, fate } => self.told.push((self.now, duty, key.0[0], fate)),
                }
            }
        }
    }

    /// Lets slots begin, one after the other; beacon nodes have all of them.
    fn go(&mut self, to: u64) {
        for slot in self.now..=to {
            self.now = slot;
            self.beacon.head = slot;
            self.step(Event::Slot(slot));
        }
        self.now = to + 1;
    }

    /// What became of validators, in the order in which it was told: slot of the clock, validator, fate.
    fn fates(&self) -> Vec<(u64, u8, Fate)> {
        self.told.iter().map(|(now, _, validator, fate)| (*now, *validator, *fate)).collect()
    }

    fn assert_read_once(&self) {
        assert!(self.beacon.reads.values().all(|reads| *reads == 1), "{:?}", self.beacon.reads);
        assert!(self.beacon.committees.values().all(|asked| *asked == 1), "{:?}", self.beacon.committees);
    }
}

impl Beacon {
    fn answer(&mut self, question: Question) -> Event {
        match question {
            Question::Block(slot) => {
                *self.reads.entry(slot).or_default() += 1;
                match self.down {
                    Some(failure) => Event::Failed(question, failure),
                    None => match self.blocks.get(&slot).filter(|_| slot <= self.head) {
                        None if self.head <= slot => Event::Failed(question, Failure::NotYet),
                        block => Event::Block { slot, block: block.cloned() },
                    },
                }
            }
            Question::Committees(slot) => {
                *self.committees.entry(slot).or_default() += 1;
                match self.down.or(self.without_committees) {
                    Some(failure) => Event::Failed(question, failure),
                    None => Event::Committees { slot, sizes: SIZES.to_vec() },
                }
            }
        }
    }
}

const ATTESTER: DutyType = DutyType::Attester;
const PROPOSER: DutyType = DutyType::Proposer;
const AGGREGATOR: DutyType = DutyType::Aggregator;

fn included(distance: u64) -> Fate {
    Fate::Included { distance }
}

#[test]
fn a_block_is_looked_for_six_slots_later() {
    let mut world = World::chain(vec![block(100, 100, vec![])]);
    world.submit(100, PROPOSER, 1, What::Block(root(100)));
    world.go(105);
    assert_eq!(world.fates(), []);
    world.go(120);
    assert_eq!(world.fates(), [(106, 1, included(0))]);
    assert_eq!(world.beacon.reads, [(100, 1)].into(), "nothing else is asked for");
}

#[test]
fn the_block_of_another_or_an_empty_slot_is_missed() {
    let mut world = World::chain(vec![block(100, 99, vec![])]);
    world.submit(100, PROPOSER, 1, What::Block(root(100)));
    world.submit(101, PROPOSER, 2, What::Block(root(101)));
    world.go(120);
    assert_eq!(world.fates(), [(106, 1, Fate::Missed), (107, 2, Fate::Missed)]);
    world.assert_read_once();
}

/// Where the clock is below six slots there is nothing to look at yet, and nothing is below zero.
#[test]
fn a_young_chain_has_no_slots_before_its_first() {
    let blocks = (1..5).map(|slot| block(slot, slot, vec![attestation(data(slot - 1), &[0], "1000")]));
    let mut world = World::chain(blocks.collect());
    for slot in 1..5 {
        world.submit(slot, PROPOSER, 1, What::Block(root(slot)));
        world.submit(slot - 1, ATTESTER, 2, votes(slot - 1, 0, &[0]));
    }
    world.go(6);
    assert_eq!(world.fates(), []);
    world.go(10);
    let expected: Vec<_> = (7..11).flat_map(|now| [(now, 2, included(1)), (now, 1, included(0))]).collect();
    assert_eq!(world.fates(), expected);
    world.assert_read_once();
}

#[test]
fn a_vote_is_found_among_those_of_several_committees() {
    let joined = |bits: &str| attestation(data(100), &[0, 1, 2], bits);
    let mut world = World::chain(vec![
        block(101, 101, vec![joined("0000 010 0000"), joined("0000 000 1000")]),
        block(102, 102, vec![joined("1000 000 0001")]),
    ]);
    for (validator, committee, member) in [(1, 1, 1), (2, 2, 0), (3, 2, 3), (4, 0, 0), (5, 1, 2), (6, 0, 1)] {
        world.submit(100, ATTESTER, validator, votes(100, committee, &[member]));
    }
    world.go(137);
    let found = [(107, 1, 1), (107, 2, 1), (108, 3, 2), (108, 4, 2)];
    assert_eq!(world.fates(), found.map(|(now, validator, distance)| (now, validator, included(distance))));
    // The others are in none of the 32 blocks that may have them, most of which there are not.
    world.go(138);
    assert_eq!(world.fates()[4..], [(138, 5, Fate::Missed), (138, 6, Fate::Missed)]);
    assert_eq!(world.beacon.reads.keys().copied().collect::<Vec<_>>(), (101..=132).collect::<Vec<_>>());
    world.assert_read_once();
}

/// The chain may have votes of a slot for one thing, and ours for another.
#[test]
fn a_vote_for_something_else_is_another_vote() {
    let other = AttestationData { beacon_block_root: root(1), ..data(100) };
    let found = attestation(data(100), &[1], "100");
    let mut world = World::chain(vec![
        block(101, 101, vec![attestation(other, &[1], "100")]),
        block(103, 103, vec![attestation(other, &[1], "100"), found]),
    ]);
    world.submit(100, ATTESTER, 1, votes(100, 1, &[0]));
    world.go(138);
    assert_eq!(world.fates(), [(109, 1, included(3))]);
}

#[test]
fn an_aggregate_is_found_when_blocks_have_all_its_votes() {
    let mut world = World::chain(vec![
        block(101, 101, vec![attestation(data(100), &[0], "0100"), attestation(data(100), &[0], "1000")]),
        block(104, 104, vec![attestation(data(100), &[0, 2], "0011 1111")]),
    ]);
    world.submit(100, AGGREGATOR, 1, votes(100, 0, &[0, 1]));
    world.submit(100, AGGREGATOR, 2, votes(100, 0, &[0, 1, 3]));
    world.submit(100, AGGREGATOR, 3, votes(100, 1, &[0]));
    world.go(138);
    assert_eq!(world.fates(), [(107, 1, included(1)), (110, 2, included(4)), (138, 3, Fate::Missed)]);
}

#[test]
fn before_electra_nobody_asks_for_committees() {
    let mut aggregation_bits = BitList::with_capacity(4).expect("few");
    aggregation_bits.set(2, true).expect("it fits");
    let data = AttestationData { index: 9, ..data(100) };
    let one = AttestationPhase0 { aggregation_bits, data, signature: Bytes96::default() };
    let mut world = World::chain(vec![block(101, 101, vec![Attestation::Phase0(one)])]);
    let what = |place| What::Votes(Votes { data, committee: 9, members: vec![place], shape: Shape::Alone });
    world.submit(100, ATTESTER, 1, what(2));
    world.submit(100, ATTESTER, 2, what(1));
    world.go(138);
    assert_eq!(world.fates(), [(107, 1, included(1)), (138, 2, Fate::Missed)]);
    assert!(world.beacon.committees.is_empty());
}

#[test]
fn the_size_of_a_single_committee_is_known() {
    let mut world = World::chain(vec![block(101, 101, vec![attestation(data(100), &[0], "01")])]);
    let shape = Shape::Joined { only: Some(2) };
    let what = What::Votes(Votes { data: data(100), committee: 0, members: vec![1], shape });
    world.submit(100, ATTESTER, 1, what);
    world.go(138);
    assert_eq!(world.fates(), [(107, 1, included(1))]);
    assert!(world.beacon.committees.is_empty());
}

/// On chains with short epochs an attestation is not taken for 32 slots.
#[test]
fn the_end_of_the_next_epoch_is_the_last_chance() {
    let mut world = World::with(Clock { slots_per_epoch: 4, ..CLOCK });
    let late = |slot| block(slot, slot, vec![attestation(data(100), &[0], "1000")]);
    world.beacon.blocks = [(108, late(108))].into();
    world.submit(100, ATTESTER, 1, votes(100, 0, &[0]));
    world.go(140);
    assert_eq!(world.fates(), [(113, 1, Fate::Missed)]);
}

/// Six slots are enough for what usually happens: nothing was read of what is given up.
#[test]
fn a_shallow_reorganisation_changes_nothing() {
    let mut world = World::chain(vec![block(100, 100, vec![])]);
    world.submit(100, PROPOSER, 1, What::Block(root(100)));
    world.go(105);
    world.beacon.blocks.insert(100, block(100, 99, vec![]));
    world.step(Event::Reorganised { base: 99 });
    world.go(120);
    assert_eq!(world.fates(), [(106, 1, Fate::Missed)]);
    world.assert_read_once();
}

/// A deeper one is looked at again: what was in blocks that are no more may be in others, or in none.
#[test]
fn what_a_deep_reorganisation_changes_is_told_again() {
    let vote = || attestation(data(100), &[2], "1000");
    let mut world = World::chain(vec![
        block(100, 100, vec![]),
        block(101, 101, vec![vote()]),
        block(102, 102, vec![]),
        block(104, 104, vec![]),
    ]);
    world.submit(100, PROPOSER, 1, What::Block(root(100)));
    world.submit(102, PROPOSER, 2, What::Block(root(102)));
    world.submit(103, PROPOSER, 3, What::Block(root(103)));
    world.submit(104, PROPOSER, 4, What::Block(root(104)));
    world.submit(100, ATTESTER, 5, votes(100, 2, &[0]));
    world.go(112);
    let before = [
        (106, 1, included(0)),
        (107, 5, included(1)),
        (108, 2, included(0)),
        (109, 3, Fate::Missed),
        (110, 4, included(0)),
    ];
    assert_eq!(world.fates(), before);
    // Another branch from slot 100 on: without 101 and 102, with 103, and with the same 104.
    world.beacon.blocks.remove(&101);
    world.beacon.blocks.remove(&102);
    world.beacon.blocks.insert(103, block(103, 103, vec![vote()]));
    world.step(Event::Reorganised { base: 100 });
    world.go(120);
    let mut after = world.fates().split_off(before.len());
    after.sort_by_key(|(_, validator, _)| *validator);
    assert_eq!(after, [(113, 2, Fate::Missed), (113, 3, included(0)), (113, 5, included(3))]);
}

/// A beacon node that is down for an epoch delays what is told, and makes nothing missed. It is not flooded afterwards.
#[test]
fn nothing_is_missed_while_a_beacon_node_is_down() {
    let with_vote = |slot| block(slot, slot, vec![attestation(data(slot - 1), &[1], "100")]);
    let mut world = World::chain((101..140).map(with_vote).collect());
    world.beacon.down = Some(Failure::Network);
    for slot in 101..133 {
        world.submit(slot, PROPOSER, 1, What::Block(root(slot)));
        world.submit(slot, ATTESTER, 2, votes(slot, 1, &[0]));
    }
    world.go(145);
    assert_eq!(world.fates(), []);
    world.beacon.down = None;
    world.beacon.reads.clear();
    world.go(160);
    let fates = world.fates();
    assert_eq!(fates.len(), 64, "{fates:?}");
    for (now, validator, fate) in fates {
        assert_eq!(fate, included(u64::from(validator == 2)), "at {now}");
    }
    assert!(world.beacon.reads.values().all(|reads| *reads <= 2), "{:?}", world.beacon.reads);
}

/// What it only lacks is asked for again, until its head is of a later slot.
#[test]
fn a_beacon_node_that_is_behind_has_no_empty_slots() {
    let mut world = World::chain(vec![block(100, 100, vec![])]);
    world.submit(100, PROPOSER, 1, What::Block(root(100)));
    world.submit(101, PROPOSER, 2, What::Block(root(101)));
    for slot in 100..110 {
        world.now = slot;
        world.beacon.head = 90;
        world.step(Event::Slot(slot));
    }
    assert_eq!(world.fates(), []);
    world.now = 110;
    world.go(110);
    let mut fates = world.fates();
    fates.sort_by_key(|(_, validator, _)| *validator);
    assert_eq!(fates, [(110, 1, included(0)), (110, 2, Fate::Missed)]);
}

#[test]
fn what_beacon_nodes_never_tell_is_unknown_and_forgotten() {
    let mut world = World::new();
    world.beacon.down = Some(Failure::Network);
    for slot in 64..128 {
        world.submit(slot, PROPOSER, 1, What::Block(root(slot)));
        world.submit(slot, ATTESTER, 2, votes(slot, 0, &[0]));
    }
    world.go(300);
    assert_eq!(world.told.len(), 128);
    assert!(world.told.iter().all(|(_, _, _, fate)| *fate == Fate::Unknown));
    // Two whole epochs after their own, and six slots.
    let (first, last) = (world.told[0].0, world.told[127].0);
    assert_eq!((first, last), (64 + 3 * 32 + 6, 96 + 3 * 32 + 6));
    assert_eq!(world.inclusion.held(), 0);
}

/// A beacon node without the question is asked once; blocks are told as ever.
#[test]
fn without_committees_votes_are_unknown() {
    let mut world = World::chain(vec![block(101, 101, vec![attestation(data(100), &[0], "1000")])]);
    world.beacon.without_committees = Some(Failure::Refused);
    world.submit(100, ATTESTER, 1, votes(100, 0, &[0]));
    world.submit(101, PROPOSER, 2, What::Block(root(101)));
    world.go(150);
    assert_eq!(world.fates(), [(6, 1, Fate::Unknown), (107, 2, included(0))]);
    world.assert_read_once();
}

/// Nothing of what was found is kept for longer than what was not.
#[test]
fn what_is_found_is_forgotten_too() {
    let mut world = World::chain((1..400).map(|slot| block(slot, slot, vec![])).collect());
    for slot in 1..300 {
        world.go(slot);
        world.submit(slot, PROPOSER, 1, What::Block(root(slot)));
        assert!(world.inclusion.held() < 5 * 32 * 3, "{} at {slot}", world.inclusion.held());
    }
    world.go(420);
    assert_eq!(world.told.len(), 299);
    assert!(world.told.iter().all(|(_, _, _, fate)| *fate == included(0)));
    assert_eq!(world.inclusion.held(), 0);
    world.assert_read_once();
}

/// What comes after its blocks were read is looked for in them again.
#[test]
fn a_late_submission_is_not_missed() {
    let mut world = World::chain(vec![block(101, 101, vec![attestation(data(100), &[1], "110")])]);
    world.submit(100, ATTESTER, 1, votes(100, 1, &[0]));
    world.go(110);
    world.submit(100, ATTESTER, 2, votes(100, 1, &[1]));
    world.go(112);
    assert_eq!(world.fates(), [(107, 1, included(1)), (111, 2, included(1))]);
}

/// Answers that nobody asked for, or that come twice, are nothing.
#[test]
fn foreign_answers_change_nothing() {
    let mut world = World::new();
    world.submit(100, PROPOSER, 1, What::Block(root(100)));
    world.submit(100, ATTESTER, 2, votes(100, 0, &[0]));
    let bad = || Some(block(100, 100, vec![attestation(data(100), &[0], "1000")]));
    world.step(Event::Block { slot: 100, block: bad() });
    world.step(Event::Block { slot: u64::MAX, block: bad() });
    world.step(Event::Committees { slot: 100, sizes: vec![4] });
    world.step(Event::Failed(Question::Block(7), Failure::Refused));
    world.step(Event::Reorganised { base: u64::MAX });
    world.step(Event::Slot(u64::MAX));
    assert_eq!(world.told.iter().filter(|told| told.3 != Fate::Unknown).count(), 0);
    assert_eq!(world.inclusion.held(), 0);
}
