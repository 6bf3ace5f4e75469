//! Whole ceremonies in memory, under many schedules, with nodes that leave, lie and send rubbish.

#![expect(clippy::disallowed_methods, reason = "a test reads its vectors")]

mod support;
#[path = "../../dv-types/tests/support/vectors.rs"]
mod vectors;
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use coxswain_dv_crypto::bls::{SecretKey, recover_secret};
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_dkg::ceremony::{Ceremony, Effect, Event, Failure, Job, Outcome, Progress, Settings, Tag};
use coxswain_dv_types::cluster::{Definition, VERSIONS, Version};
use coxswain_dv_types::network::Networks;
use coxswain_dv_wire::bounds::CeremonySize;
use coxswain_dv_wire::broadcast::{BCastMessage, BroadcastVersion, FROST_ROUND1, FROST_ROUND2};
use coxswain_dv_wire::frost::{
    FrostMsgKey, FrostRound1Casts, FrostRound1P2P, FrostRound1ShamirShare, FrostRound2Casts,
};
use coxswain_dv_wire::pedersen::{PedersenDeal, PedersenDealBundle};
use coxswain_dv_wire::protocol;
use coxswain_dv_wire::sync::{self, MsgSync};
use coxswain_dv_wire::version::Minor;

use support::{Script, array, bytes, list, number};
use world::{End, Fate, Storing, World, definition, definition_by, keys};

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

/// A transcript of the library that charon uses, dealt again in whole ceremonies: what goes over the wire is what it says,
/// and so are the keys.
#[test]
fn recorded_transcripts_replay_over_the_wire() {
    for name in ["frost_transcript_n3_t2_v1.json", "frost_transcript_n4_t3_v2.json"] {
        let Some(folder) = vectors::vectors("charon/p2p-dkg") else { return };
        let text = std::fs::read(folder.join(name)).expect("vectors");
        let suite: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        let nodes = list(&suite["participants"]);
        let runs = |node: usize| list(&nodes[node]["validators"]);
        let keys = keys(nodes.len());
        let definition = definition(Version::newest(), &keys, runs(0).len());
        assert_eq!(definition.threshold, number(&suite["t"]));
        let mut deal = |me: usize, job: Job| {
            let drawn: Vec<[u8; 32]> = runs(me)
                .iter()
                .flat_map(|run| list(&run["coefficients"]).iter().chain([&run["nonce_k"]]).map(array))
                .collect();
            let mut script = Script::new(&drawn);
            let output = job.run(&mut script);
            script.assert_used();
            output
        };
        let (ends, wire) = World::dealing(1, &definition, &keys, &mut deal).run();
        let mut seen = [0; 3];
        for (from, to, protocol, bytes) in &wire {
            let place = match *protocol {
                id if id == protocol::FROST_SHARES.id => {
                    check_shares(runs(*from), *to, bytes);
                    0
                }
                id if id == protocol::BROADCAST_2_MSG.id => match check_casts(&suite, runs(*from), bytes) {
                    Some(place) => place,
                    None => continue,
                },
                _ => continue,
            };
            seen[place] += 1;
        }
        assert_eq!(seen, [nodes.len() * (nodes.len() - 1); 3], "everybody said everything to all others");
        let outcomes = outcomes(ends);
        check_agree(&outcomes, definition.threshold as usize);
        for (node, outcome) in outcomes.iter().enumerate() {
            for ((run, key), (validator, group)) in runs(node)
                .iter()
                .zip(&outcome.keys)
                .zip(outcome.lock.validators.iter().zip(list(&suite["group_public_keys"])))
            {
                assert_eq!(key.to_bytes().to_vec(), bytes(&run["sk_share"]));
                assert_eq!(validator.public_key.to_vec(), bytes(group));
                assert_eq!(validator.public_shares[node].to_vec(), bytes(&run["vk_share"]));
            }
        }
    }
}

/// What a node sent to one other in the first round, against the transcript.
#[track_caller]
fn check_shares(runs: &[serde_json::Value], to: usize, message: &[u8]) {
    let message: FrostRound1P2P =
        coxswain_dv_wire::message::decode(message, protocol::FROST_SHARES.max_bytes).expect("a message");
    assert_eq!(message.shares.len(), runs.len());
    for (run, share) in runs.iter().zip(&message.shares) {
        let recorded = &run["shares_sent"][(to + 1).to_string()];
        assert_eq!(share.value, bytes(&recorded["value"]));
        assert_eq!(u64::from(share.id), number(&recorded["id"]));
    }
}

/// What a node broadcast in one of the rounds, which one is said; none where it is something else.
#[track_caller]
fn check_casts(suite: &serde_json::Value, runs: &[serde_json::Value], message: &[u8]) -> Option<usize> {
    let limit = protocol::BROADCAST_2_MSG.max_bytes;
    let message: BCastMessage = coxswain_dv_wire::message::decode(message, limit).expect("a message");
    let content = message.message.expect("content");
    match message.id.as_str() {
        FROST_ROUND1 => {
            let casts: FrostRound1Casts = content.unpack(limit).expect("casts");
            assert_eq!(casts.casts.len(), runs.len());
            for (run, cast) in runs.iter().zip(&casts.casts) {
                assert_eq!([&cast.wi, &cast.ci], [&bytes(&run["wi"]), &bytes(&run["ci"])]);
                let commitments: Vec<Vec<u8>> = list(&run["commitments"]).iter().map(bytes).collect();
                assert_eq!(cast.commitments, commitments);
            }
            Some(1)
        }
        FROST_ROUND2 => {
            let casts: FrostRound2Casts = content.unpack(limit).expect("casts");
            let groups = list(&suite["group_public_keys"]);
            for ((run, cast), group) in runs.iter().zip(&casts.casts).zip(groups) {
                assert_eq!(cast.verification_key, bytes(group));
                assert_eq!(cast.vk_share, bytes(&run["vk_share"]));
            }
            Some(2)
        }
        _ => None,
    }
}

/// A node that has not begun, among four, and one whose definition is another one.
fn beginner() -> (Ceremony, IdentityKey) {
    let keys = keys(4);
    let settings = settings(&keys, definition(Version::newest(), &keys, 1));
    (Ceremony::new(settings).expect("numbers that go together").0, keys[3].clone())
}

/// Those of node 0.
fn settings(keys: &[IdentityKey], definition: Definition) -> Settings {
    Settings {
        definition,
        network: world::hoodi(),
        networks: Networks::default(),
        key: keys[0].clone(),
        me: 0,
        nodes: keys.iter().map(IdentityKey::public).collect(),
        version: world::VERSION,
        broadcast: BroadcastVersion::of(world::VERSION),
        limits: world::LIMITS,
        verify: true,
    }
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
        for (place, left) in world.run_to_files().iter().enumerate() {
            let Some(End::Failed(failure)) = &left.end else { panic!("seed {seed}: node {place} has keys") };
            assert!(failure.to_string().contains("no space left"), "seed {seed}: node {place}: {failure}");
            assert!(!left.is_stored, "seed {seed}: node {place} has files in place");
        }
    }
}

/// Trouble in the last step: whoever has keys says that somebody has none, or may have none, and no share is thrown away.
#[track_caller]
fn check_storing(trouble: Storing) {
    let keys = keys(4);
    let definition = definition(Version::newest(), &keys, 1);
    let mut stored = 0;
    for seed in SEEDS {
        let mut world = World::new(seed, &definition, &keys);
        let victim = (seed % 4) as usize;
        world.storing = Some((victim, trouble));
        let left = world.run_to_files();
        let is_anywhere = left.iter().any(|node| node.is_stored);
        for (place, node) in left.iter().enumerate().filter(|(place, _)| *place != victim) {
            let Some(End::Failed(failure)) = &node.end else {
                panic!("seed {seed}: node {place} says that all is well: {:?}", node.end)
            };
            let text = failure.to_string();
            assert!(text.contains(&format!("node {victim}")), "seed {seed}: node {place}: {text}");
            assert!(
                node.is_stored || node.is_kept || !is_anywhere,
                "seed {seed}: node {place} lost its share"
            );
            stored += usize::from(node.is_stored);
        }
    }
    assert!(stored > 0, "no schedule comes so far");
}

#[test]
fn a_node_that_dies_while_it_stores_is_named() {
    check_storing(Storing::Dies);
}

#[test]
fn a_node_that_dies_when_it_has_stored_is_named() {
    check_storing(Storing::DiesAfter);
}

#[test]
fn a_node_that_cannot_store_is_named() {
    check_storing(Storing::Fails);
}

/// What one peer sends before this node can take it has a budget; another peer has its own.
#[track_caller]
fn check_waiting(algorithm: &str, message: &dyn Fn(usize) -> (&'static str, Vec<u8>)) {
    let keys = keys(4);
    let definition = definition_by(algorithm, &keys, 1);
    let size = CeremonySize { nodes: 4, validators: 1, threshold: 3 };
    let settings = settings(&keys, definition);
    let (mut machine, _) = Ceremony::new(settings).expect("numbers that go together");
    let mut sent = 0;
    let mut refused_after = |from: usize| {
        let mut bytes_in_all = 0;
        loop {
            sent += 1;
            assert!(sent < 100_000, "nothing is refused");
            let (protocol, bytes) = message(from);
            let length = bytes.len();
            let event = Event::Message { from, protocol, bytes: bytes.into(), token: sent };
            for effect in machine.step(Duration::from_secs(1), event) {
                match effect {
                    Effect::Progress(Progress::Refused { place, messages: 1 }) => {
                        assert_eq!(place, from);
                        return bytes_in_all;
                    }
                    Effect::Answer { .. } | Effect::Progress(Progress::Connecting(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
            bytes_in_all += length;
        }
    };
    let most = size.max_waiting_bytes();
    for from in [1, 2] {
        let kept = refused_after(from);
        assert!(kept <= most && kept > most / 2, "{kept} of {most} bytes");
    }
}

#[test]
fn what_waits_for_the_machine_has_a_budget() {
    let shares = |from: usize| {
        let key = FrostMsgKey { val_idx: 0, source_id: from as u32 + 1, target_id: 1 };
        let share = FrostRound1ShamirShare { key: Some(key), id: 1, value: vec![7; 32] };
        let message = FrostRound1P2P { shares: vec![share; 1000] };
        (protocol::FROST_SHARES.id, coxswain_dv_wire::message::encode(&message))
    };
    check_waiting("default", &shares);
    // Nothing that is no signature waits.
    let secret = coxswain_dv_crypto::bls::SecretKey::from_bytes(&[1; 32]).expect("a key");
    let signature = secret.sign_basic(b"deals").to_bytes().to_vec();
    let deals = |from: usize| {
        let deal = PedersenDeal { share_index: 0, encrypted_share: vec![7; 96] };
        let bundle = PedersenDealBundle {
            dealer_index: u32::try_from(from).expect("a place"),
            deals: vec![deal; 500],
            public: vec![vec![7; 48]; 3],
            session_id: vec![7; 32],
            signature: signature.clone(),
        };
        (protocol::PEDERSEN_DEALS.id, coxswain_dv_wire::message::encode(&bundle))
    };
    check_waiting("pedersen", &deals);
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
