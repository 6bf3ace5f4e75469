//! Whole ceremonies in memory, under many schedules, with nodes that leave, lie and send rubbish.

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use coxswain_dv_crypto::bls::{SecretKey, recover_secret};
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_dkg::ceremony::{Ceremony, Effect, Event, Failure, Outcome, Settings, Tag};
use coxswain_dv_types::cluster::{VERSIONS, Version};
use coxswain_dv_types::network::Networks;
use coxswain_dv_wire::broadcast::{BCastMessage, BroadcastVersion};
use coxswain_dv_wire::protocol;
use coxswain_dv_wire::sync::{self, MsgSync};
use coxswain_dv_wire::version::Minor;

use world::{End, Fate, World, definition, definition_by, keys};

fn outcomes(ends: Vec<Option<End>>) -> Vec<Outcome> {
    let done = ends.into_iter().map(|end| match end {
        Some(End::Done(outcome)) => *outcome,
        Some(End::Failed(failure)) => panic!("{failure}"),
        None => panic!("a node is gone"),
    });
    done.collect()
}

/// All nodes have the same lock and deposits, and shares of the lock's keys.
#[track_caller]
fn check_agree(outcomes: &[Outcome], threshold: usize) {
    for outcome in outcomes {
        assert_eq!(outcome.lock_text, outcomes[0].lock_text);
        assert_eq!(outcome.deposits, outcomes[0].deposits);
    }
    outcomes[0].lock.verify(&Networks::default()).expect("a good lock");
    for (validator, entry) in outcomes[0].lock.validators.iter().enumerate() {
        let shares: Vec<(u64, SecretKey)> =
            (1..).zip(outcomes).map(|(index, outcome)| (index, outcome.keys[validator].clone())).collect();
        for shares in shares.windows(threshold) {
            let whole = recover_secret(shares).expect("a key");
            assert_eq!(whole.public().to_bytes().as_slice(), &*entry.public_key);
        }
        for (place, (_, share)) in shares.iter().enumerate() {
            assert_eq!(share.public().to_bytes().as_slice(), &*entry.public_shares[place]);
        }
    }
}

#[test]
fn all_nodes_make_the_same_lock() {
    for (nodes, validators) in [(3, 1), (4, 3), (7, 2), (10, 1)] {
        let keys = keys(nodes);
        let definition = definition(Version::newest(), &keys, validators);
        let (ends, ..) = World::new(nodes as u64, &definition, &keys).run();
        check_agree(&outcomes(ends), definition.threshold as usize);
    }
}

#[test]
fn every_version_that_a_ceremony_takes() {
    let keys = keys(3);
    let versions: Vec<&Version> = VERSIONS.iter().filter(|version| version.is_for_ceremonies).collect();
    assert_eq!(versions.len(), 6, "v1.6 to v1.11");
    for version in versions {
        let definition = definition(version, &keys, 2);
        let (ends, ..) = World::new(7, &definition, &keys).run();
        check_agree(&outcomes(ends), 2);
    }
}

#[test]
fn pedersen_where_the_definition_says_so() {
    for (nodes, validators) in [(3, 1), (4, 3), (7, 1)] {
        let keys = keys(nodes);
        let definition = definition_by("pedersen", &keys, validators);
        for seed in 0..3 {
            let (ends, ..) = World::new(seed, &definition, &keys).run();
            check_agree(&outcomes(ends), definition.threshold as usize);
        }
    }
}

/// A node that does nothing wrong and goes away: nobody has keys that others do not have.
#[test]
fn pedersen_ends_for_all_when_a_node_leaves() {
    let keys = keys(4);
    let definition = definition_by("pedersen", &keys, 2);
    for seed in SEEDS {
        let mut world = World::new(seed, &definition, &keys);
        world.leaves = Some((1, 1 + (seed as usize * 5) % 40));
        let (ends, wire) = world.run();
        let sent = wire.iter().filter(|(from, ..)| *from == 1).count();
        let kinds: Vec<&str> =
            wire.iter().filter(|(from, ..)| *from == 1).map(|(.., protocol, _)| *protocol).collect();
        assert!(
            ends[1].is_none(),
            "seed {seed}: node 1 sent only {sent} messages and is still there {kinds:?}"
        );
        for (place, end) in ends.iter().enumerate().filter(|(place, _)| *place != 1) {
            let Some(End::Failed(failure)) = end else { panic!("seed {seed}: node {place} went on alone") };
            assert!(failure.to_string().contains("node 1"), "seed {seed}: node {place}: {failure}");
        }
    }
}

/// Schedules; a longer run has more of them, and none was found that fails.
const SEEDS: std::ops::Range<u64> = 0..12;

#[test]
fn under_every_schedule_all_agree() {
    let keys = keys(4);
    let definition = definition(Version::newest(), &keys, 1);
    for seed in SEEDS {
        let (ends, ..) = World::new(seed, &definition, &keys).run();
        check_agree(&outcomes(ends), 3);
    }
}

/// Nobody finishes unless all do, whoever goes away at whatever moment.
#[test]
fn a_node_that_leaves_ends_it_for_all() {
    let keys = keys(4);
    let definition = definition(Version::newest(), &keys, 1);
    for seed in SEEDS {
        let mut world = World::new(seed, &definition, &keys);
        let leaver = (seed % 4) as usize;
        world.leaves = Some((leaver, 1 + (seed as usize * 7) % 30));
        let (ends, ..) = world.run();
        for (place, end) in ends.iter().enumerate().filter(|(place, _)| *place != leaver) {
            let Some(End::Failed(failure)) = end else { panic!("seed {seed}: node {place} went on alone") };
            let text = failure.to_string();
            let named = failure.places();
            assert!(
                named.contains(&leaver) || text.contains(&format!("node {leaver}")),
                "seed {seed}: node {place} does not name node {leaver}: {text}"
            );
        }
    }
}

/// A node that has not begun, among four, and one whose definition is another one.
fn beginner() -> (Ceremony, IdentityKey) {
    let keys = keys(4);
    let settings = Settings {
        definition: definition(Version::newest(), &keys, 1),
        network: world::hoodi(),
        networks: Networks::default(),
        key: keys[0].clone(),
        me: 0,
        nodes: keys.iter().map(IdentityKey::public).collect(),
        version: world::VERSION,
        broadcast: BroadcastVersion::of(world::VERSION),
        limits: world::LIMITS,
        verify: true,
    };
    (Ceremony::new(settings).expect("numbers that go together").0, keys[3].clone())
}

fn failure(effects: Vec<Effect>) -> Option<Failure> {
    effects
        .into_iter()
        .find_map(|effect| if let Effect::Failed(failure) = effect { Some(failure) } else { None })
}

fn not_delivered() -> Event {
    Event::NotDelivered { to: 1, tag: Tag::Shares, why: "the stream ended".into() }
}

#[test]
fn a_silent_node_is_blamed_when_nobody_knows_better() {
    let second = Duration::from_secs(1);
    let (mut machine, _) = beginner();
    assert_eq!(failure(machine.step(second, not_delivered())).map(|f| f.to_string()), None);
    assert_eq!(machine.due(), Some(second * 2));
    let failed = failure(machine.step(second * 2, Event::Tick)).expect("it fails in the end");
    assert_eq!(failed.places(), [1]);
    assert_eq!(machine.due(), None);
}

#[test]
fn what_a_node_says_counts_for_more_than_its_silence() {
    let second = Duration::from_secs(1);
    let (mut machine, _) = beginner();
    let error = "node 3 did not take its shares".to_owned();
    assert!(failure(machine.step(second, not_delivered())).is_none());
    let told = Event::ReportAnswered { from: 2, leaving: false, error };
    assert!(failure(machine.step(second, told)).is_none());
    assert!(failure(machine.step(second, not_delivered())).is_none());
    let failed = failure(machine.step(second * 2, Event::Tick)).expect("it fails in the end").to_string();
    assert_eq!(failed, "node 2 refuses this node: node 3 did not take its shares");
}

#[test]
fn evidence_ends_all_doubt() {
    let second = Duration::from_secs(1);
    let (mut machine, other) = beginner();
    assert!(failure(machine.step(second, not_delivered())).is_none());
    let report = MsgSync {
        hash_signature: sync::sign(&other, &[7; 32]),
        version: world::VERSION.to_string(),
        ..MsgSync::default()
    };
    let failed = failure(machine.step(second, Event::Report { from: 3, report, token: 1 })).expect("at once");
    assert_eq!(failed.places(), [3], "{failed}");
}

/// One node's messages on a protocol are spoilt on their way to one other.
#[track_caller]
fn check_spoilt(protocol: &'static str, spoil: fn(&[u8]) -> Vec<u8>, expected: &str) {
    let keys = keys(4);
    let definition = definition(Version::newest(), &keys, 2);
    let mut world = World::new(3, &definition, &keys);
    world.middle = Box::new(move |seen| match seen.from == 1 && seen.to == 2 && seen.protocol == protocol {
        true => Fate::Becomes(spoil(seen.bytes)),
        false => Fate::Arrives,
    });
    let (ends, ..) = world.run();
    let failures: Vec<_> = ends
        .into_iter()
        .map(|end| match end {
            Some(End::Failed(failure)) => failure,
            other => panic!("{protocol}: {other:?}"),
        })
        .collect();
    assert!(failures[2].to_string().contains(expected), "{}", failures[2]);
    assert_eq!(failures[2].places(), [1], "{}", failures[2]);
    for place in [0, 1, 3] {
        let text = failures[place].to_string();
        assert!(text.contains("node "), "node {place} names nobody: {text}");
    }
}

#[test]
fn rubbish_and_lies_are_named() {
    let rubbish = |_: &[u8]| vec![0xff; 10];
    check_spoilt(protocol::BROADCAST_2_SIG.id, rubbish, "node 1 sent something");
    check_spoilt(protocol::BROADCAST_2_MSG.id, rubbish, "node 1 sent something");
    check_spoilt(protocol::FROST_SHARES.id, rubbish, "node 1 sent something");
    check_spoilt(protocol::PARSIGEX.id, rubbish, "node 1 sent something");
    check_spoilt(protocol::FROST_SHARES.id, |_| Vec::new(), "not in the message");
    // The last byte of the last share.
    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        *bytes.last_mut().expect("a share") ^= 1;
        bytes
    };
    check_spoilt(protocol::FROST_SHARES.id, flipped, "does not fit the commitments");
}

/// A message that is broadcast cannot be changed for one node: its signatures do not fit any more.
#[test]
fn two_broadcasts_are_not_taken() {
    let keys = keys(4);
    let definition = definition(Version::newest(), &keys, 1);
    let mut world = World::new(5, &definition, &keys);
    world.middle = Box::new(|seen| {
        if seen.from != 1 || seen.to != 3 || seen.protocol != protocol::BROADCAST_2_MSG.id {
            return Fate::Arrives;
        }
        let limit = protocol::BROADCAST_2_MSG.max_bytes;
        let mut message: BCastMessage =
            coxswain_dv_wire::message::decode(seen.bytes, limit).expect("a message");
        message.message.as_mut().expect("content").value[10] ^= 1;
        Fate::Becomes(coxswain_dv_wire::message::encode(&message))
    });
    let (ends, ..) = world.run();
    let Some(End::Failed(failure)) = &ends[3] else { panic!("{:?}", ends[3]) };
    assert!(failure.to_string().contains("does not verify"), "{failure}");
    assert!(ends.iter().all(|end| matches!(end, Some(End::Failed(_)))));
}

#[test]
fn another_definition_is_found_before_anything_is_sent() {
    let keys = keys(4);
    let mut definitions = vec![definition(Version::newest(), &keys, 1); 4];
    definitions[2] = definition(Version::newest(), &keys, 2);
    let (ends, wire) = World::mixed(1, &definitions, &keys).run();
    assert!(wire.is_empty(), "nothing but reports");
    for end in ends {
        let Some(End::Failed(failure)) = end else { panic!("{end:?}") };
        assert!(failure.to_string().contains("in another ceremony"), "{failure}");
    }
}

#[test]
fn another_version_is_refused_with_its_name() {
    let keys = keys(4);
    let definition = definition(Version::newest(), &keys, 1);
    let mut world = World::new(1, &definition, &keys);
    world.versions[3] = Minor { major: 1, minor: 10 };
    let (ends, ..) = world.run();
    for end in ends {
        let Some(End::Failed(failure)) = end else { panic!("{end:?}") };
        assert!(failure.to_string().contains("v1.10"), "{failure}");
    }
}

/// Shares go to the one that each is for, and no secret is in any other message.
#[test]
fn secrets_go_where_they_belong() {
    let keys = keys(4);
    let definition = definition(Version::newest(), &keys, 2);
    let (ends, wire) = World::new(11, &definition, &keys).run();
    let outcomes = outcomes(ends);
    let secrets: BTreeSet<Vec<u8>> = outcomes
        .iter()
        .flat_map(|outcome| outcome.keys.iter().map(|key| key.to_bytes().to_vec()))
        .chain(keys.iter().map(|key| key.to_bytes().to_vec()))
        .collect();
    let shares: Vec<(usize, &[u8])> = wire
        .iter()
        .filter(|(_, _, protocol, _)| *protocol == protocol::FROST_SHARES.id)
        .map(|(_, to, _, bytes)| (*to, bytes.as_slice()))
        .collect();
    assert_eq!(shares.len(), 12);
    for (from, to, protocol, bytes) in &wire {
        for window in bytes.windows(32) {
            assert!(!secrets.contains(window), "{from} to {to} on {protocol}");
        }
    }
}

/// A node that cannot write what it made: no other one has keys.
#[test]
fn a_full_disk_ends_it_for_all() {
    let keys = keys(4);
    let definition = definition(Version::newest(), &keys, 1);
    for seed in SEEDS {
        let mut world = World::new(seed, &definition, &keys);
        world.full_disk = Some((seed % 4) as usize);
        let (ends, _) = world.run();
        for (place, end) in ends.iter().enumerate() {
            let Some(End::Failed(failure)) = end else { panic!("seed {seed}: node {place} has keys") };
            assert!(failure.to_string().contains("no space left"), "seed {seed}: node {place}: {failure}");
        }
    }
}

/// A message that never arrives, and of which nobody is told: every wait has an end, and names who it waited for.
#[test]
fn every_wait_ends() {
    let keys = keys(3);
    let definition = definition(Version::newest(), &keys, 1);
    for protocol in [
        protocol::BROADCAST_2_SIG.id,
        protocol::BROADCAST_2_MSG.id,
        protocol::FROST_SHARES.id,
        protocol::PARSIGEX.id,
    ] {
        let mut world = World::new(2, &definition, &keys);
        world.middle = Box::new(move |seen| match seen.from == 1 && seen.protocol == protocol {
            true => Fate::Lost,
            false => Fate::Arrives,
        });
        let (ends, _) = world.run();
        for (place, end) in ends.iter().enumerate() {
            let Some(End::Failed(failure)) = end else { panic!("{protocol}: node {place}: {end:?}") };
            let text = failure.to_string();
            let is_named = place == 1 || text.contains("node 1") || text.contains("node 2 (by share index)");
            assert!(is_named, "{protocol}: node {place} names nobody: {text}");
        }
    }
}
