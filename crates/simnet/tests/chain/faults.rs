//! What goes wrong on purpose.

use std::time::Duration;

use crate::world::{SLOT, World};
use coxswain_dv_eth::client::Problem;
use coxswain_simnet::chain::{Asked, BlockId, Fault, Kind, Submission};

#[track_caller]
fn set(world: &mut World, json: &str) {
    let fault: Fault = serde_json::from_str(json).expect("a fault");
    world.chain.fault(world.asked(), fault).expect("it can be");
}

fn try_set(world: &mut World, json: &str) -> Result<(), Problem> {
    let fault: Fault = serde_json::from_str(json).expect("a fault");
    world.chain.fault(world.asked(), fault)
}

/// The last blocks are given up for another one, all are told, and the chain goes on from there. Votes that were in
/// the blocks come into the next one.
#[test]
fn a_chain_is_reorganised() {
    let mut world = World::with(8, |settings| settings.slots_per_epoch = 4);
    (0..6).for_each(|slot| world.live(slot));
    let (old, base) = (world.head(), world.chain.block(BlockId::Slot(3)).expect("a block").root);
    set(&mut world, r#"{"kind":"reorg","slot":6,"depth":2}"#);
    world.chain.take_events();
    world.go(6);
    let events = world.chain.take_events();
    let topics: Vec<&str> = events.iter().map(|event| event.topic).collect();
    assert_eq!(topics, ["block_gossip", "block", "chain_reorg", "head"]);
    let head = world.chain.block(BlockId::Head).expect("a head").clone();
    assert_eq!((head.slot, head.parent), (5, base));
    let reorg = &events[2].data;
    assert_eq!((&reorg["slot"], &reorg["depth"], &reorg["epoch"]), (&"5".into(), &"2".into(), &"1".into()));
    assert_eq!(reorg["old_head_block"], format!("0x{}", hex::encode(old)));
    assert_eq!(reorg["new_head_block"], format!("0x{}", hex::encode(head.root)));
    assert!(world.chain.block(BlockId::Slot(4)).is_none());
    assert!(!world.chain.is_canonical(&old));
    (6..12).for_each(|slot| world.live(slot));
    world.go(12);
    let report = world.chain.report(world.asked(), None, None);
    assert_eq!(report.n_fatal, 0);
    let votes = report.duties[&Kind::Attester];
    // Those of slots 4 and 5 had heads that are no more.
    assert_eq!((votes.missed, votes.wrong), (0, 4));
    assert_eq!(votes.included + 2, votes.received, "the last ones are in no block yet");
    let blocks = report.duties[&Kind::Proposer];
    assert_eq!((blocks.on_time, blocks.included), (11, 9), "the one that was made up is nobody's");
}

/// A reorganisation across what duties hang on gives other duties; one within it does not.
#[test]
fn deep_reorganisations_change_duties() {
    for (depth, is_changed) in [(1, false), (3, true)] {
        let mut world = World::with(40, |settings| settings.slots_per_epoch = 4);
        for slot in 1..10 {
            world.go(slot);
            world.propose(slot);
        }
        // Epoch 2 has begun with slot 8; duties of epoch 3 hang on the block of slot 7.
        let all: Vec<u64> = (0..40).collect();
        let before = world.chain.attester_duties(world.asked(), 3, &all).expect("duties");
        let this = world.chain.attester_duties(world.asked(), 2, &all).expect("duties");
        set(&mut world, &format!(r#"{{"kind":"reorg","slot":10,"depth":{depth}}}"#));
        world.go(10);
        let after = world.chain.attester_duties(world.asked(), 3, &all).expect("duties");
        assert_eq!(before.duties != after.duties, is_changed, "depth {depth}");
        assert_eq!(before.dependent_root != after.dependent_root, is_changed, "depth {depth}");
        assert_eq!(this, world.chain.attester_duties(world.asked(), 2, &all).expect("duties"));
    }
}

#[test]
fn slots_are_missed_and_orphaned() {
    let mut world = World::new(4);
    set(&mut world, r#"{"kind":"miss","slots":[2]}"#);
    set(&mut world, r#"{"kind":"orphan","slots":[3]}"#);
    world.live(0);
    world.live(1);
    world.go(2);
    let request = coxswain_simnet::chain::ProposalRequest {
        slot: 2,
        randao: world.randao(2),
        graffiti: Default::default(),
        builder_boost: 0,
    };
    assert_eq!(world.chain.propose(world.asked(), &request).expect_err("it is missed").status, 500);
    world.go(3);
    let orphan = world.propose(3);
    assert_eq!(world.chain.block(BlockId::Head).expect("a head").slot, 1);
    assert!(world.chain.block(BlockId::Root(orphan)).is_some());
    world.live(4);
    let head = world.chain.block(BlockId::Head).expect("a head").clone();
    assert_eq!(head.parent, world.chain.block(BlockId::Slot(1)).expect("a block").root);
    world.go(5);
    let blocks = world.chain.report(world.asked(), None, None).duties[&Kind::Proposer];
    assert_eq!((blocks.expected, blocks.received, blocks.missed, blocks.included), (4, 3, 1, 2));
}

/// A block that comes after the next slot has begun gives way to the next one, as proposer boost has it.
#[test]
fn late_blocks_give_way() {
    let mut world = World::new(4);
    world.live(1);
    world.go(2);
    let late = world.signed_block(2);
    world.go(3);
    let next = world.signed_block(3);
    world.accept(Submission::Proposal(Box::new(late.clone())));
    assert_eq!(world.head(), late.root());
    world.chain.take_events();
    world.accept(Submission::Proposal(Box::new(next.clone())));
    assert_eq!(world.head(), next.root());
    let topics: Vec<&str> = world.chain.take_events().iter().map(|event| event.topic).collect();
    assert_eq!(topics, ["block_gossip", "block", "chain_reorg", "head"]);
}

#[test]
fn requests_meet_faults() {
    let mut world = World::new(4);
    set(&mut world, r#"{"kind":"endpoint","node":1,"path":"attestation_data","status":503,"times":2}"#);
    set(&mut world, r#"{"kind":"endpoint","path":"/eth/v1/","latency_ms":70}"#);
    let path = "/eth/v1/validator/attestation_data";
    let chain = &mut world.chain;
    assert_eq!((chain.hit(0, path).status, chain.hit(0, path).latency.as_millis()), (None, 70));
    assert_eq!(chain.hit(1, path).status, Some(503));
    assert_eq!(chain.hit(1, "/eth/v2/beacon/blocks/1"), Default::default());
    assert_eq!(chain.hit(1, path).status, Some(503));
    assert_eq!(chain.hit(1, path).status, None);
    assert_eq!(chain.faults().len(), 1);
    set(&mut world, r#"{"kind":"clear"}"#);
    assert_eq!(world.chain.hit(1, path), Default::default());
}

#[test]
fn nodes_sync_see_wrong_heads_and_have_wrong_clocks() {
    let mut world = World::new(4);
    (0..5).for_each(|slot| world.live(slot));
    world.go_into(5, SLOT / 3);
    let other = Asked { node: 1, ..world.asked() };
    set(&mut world, r#"{"kind":"syncing","node":1,"until_slot":6}"#);
    assert!(world.chain.syncing(other).is_syncing);
    assert!(!world.chain.syncing(world.asked()).is_syncing);
    assert_eq!(world.chain.attestation_data(other, 5, 0).expect_err("it syncs").status, 503);
    assert_eq!(world.chain.attester_duties(other, 0, &[1]).expect_err("it syncs").status, 503);
    set(&mut world, r#"{"kind":"clear"}"#);
    set(&mut world, r#"{"kind":"wrong_head","node":1,"from_slot":5,"to_slot":5}"#);
    let (right, wrong) = (
        world.chain.attestation_data(world.asked(), 5, 0).expect("data"),
        world.chain.attestation_data(other, 5, 0).expect("data"),
    );
    let head = world.chain.block(BlockId::Head).expect("a head");
    assert_eq!((right.beacon_block_root.0, wrong.beacon_block_root.0), (head.root, head.parent));
    assert_eq!(right.target, wrong.target);
    // Votes that differ so are no double votes of anyone else, and wrong.
    let attesters: Vec<(u64, u64)> = (5..8).flat_map(|slot| world.attesters(slot)).collect();
    assert!(!attesters.is_empty());
    set(&mut world, r#"{"kind":"skew","node":1,"ms":12000}"#);
    assert!(world.chain.attestation_data(other, 6, 0).is_ok());
    assert_eq!(world.chain.attestation_data(world.asked(), 6, 0).expect_err("not yet").status, 400);
    set(&mut world, r#"{"kind":"clear"}"#);
    set(&mut world, r#"{"kind":"skew","node":1,"ms":-12000}"#);
    assert!(world.chain.attestation_data(other, 5, 0).is_err());
    assert!(world.chain.attestation_data(world.asked(), 5, 0).is_ok());
}

/// Clocks of honest nodes differ by half a second.
#[test]
fn half_a_second_is_no_future() {
    let mut world = World::new(4);
    world.go_into(3, SLOT - Duration::from_millis(501));
    assert!(world.chain.attestation_data(world.asked(), 4, 0).is_err());
    world.go_into(3, SLOT - Duration::from_millis(500));
    assert!(world.chain.attestation_data(world.asked(), 4, 0).is_ok());
}

#[test]
fn validators_are_made_to_exit() {
    let mut world = World::with(4, |settings| settings.slots_per_epoch = 2);
    world.go(1);
    set(&mut world, r#"{"kind":"exit","validator":1,"epoch":1}"#);
    let all: Vec<u64> = (0..4).collect();
    assert_eq!(world.chain.attester_duties(world.asked(), 0, &all).expect("duties").duties.len(), 4);
    assert_eq!(world.chain.attester_duties(world.asked(), 1, &all).expect("duties").duties.len(), 3);
    world.go(2);
    world.attest(2);
    assert_eq!(
        try_set(&mut world, r#"{"kind":"exit","validator":9,"epoch":5}"#).expect_err("nobody").status,
        400
    );
    assert_eq!(
        try_set(&mut world, r#"{"kind":"exit","validator":2,"epoch":1}"#).expect_err("the past").status,
        400
    );
    assert_eq!(
        try_set(&mut world, r#"{"kind":"reorg","slot":2,"depth":1}"#).expect_err("the past").status,
        400
    );
}

#[test]
fn faults_are_bounded_and_strict() {
    let mut world = World::new(3);
    for _ in 0..coxswain_simnet::chain::MAX_FAULTS {
        set(&mut world, r#"{"kind":"skew","ms":0}"#);
    }
    assert_eq!(try_set(&mut world, r#"{"kind":"skew","ms":0}"#).expect_err("too many").status, 429);
    set(&mut world, r#"{"kind":"clear"}"#);
    assert!(world.chain.faults().is_empty());
    for text in [r#"{"kind":"skew"}"#, r#"{"kind":"none"}"#, r#"{"kind":"skew","ms":1,"nod":1}"#] {
        assert!(serde_json::from_str::<Fault>(text).is_err(), "{text}");
    }
    // A node's answers are never held back for ever.
    set(&mut world, r#"{"kind":"endpoint","path":"","latency_ms":18446744073709551615}"#);
    assert_eq!(world.chain.hit(0, "/").latency, coxswain_simnet::chain::MAX_LATENCY);
}
