//! FROST: transcripts of other implementations, honest ceremonies in every order, and lies of every kind.

#![expect(clippy::disallowed_methods, reason = "a test reads its vectors")]

#[path = "support/frost.rs"]
mod network;
mod support;
#[path = "../../dv-types/tests/support/vectors.rs"]
mod vectors;

use std::collections::BTreeMap;

use coxswain_dv_crypto::bls::{KnowledgeProof, Polynomial, SecretKey};
use coxswain_dv_dkg::frost::{
    Cast, Effect, EntryKey, Event, Fault, Frost, FrostError, Kind, Round1, Round2Cast, Share,
};
use coxswain_dv_dkg::{KeyShare, ParameterError, Parameters};
use network::{End, Message, Network, check_keys};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;
use support::{Script, array, bytes, list, number};

fn suite(name: &str) -> Option<Value> {
    let folder = vectors::vectors("charon/p2p-dkg")?;
    let text = std::fs::read(folder.join(name)).expect("vectors");
    Some(serde_json::from_slice(&text).expect("JSON"))
}

// ----------------------------------------------------------------------------------------------------- transcripts

/// A node of a transcript, with the coefficients and nonces that it drew.
fn replay(suite: &Value, participant: &Value) -> (Frost, Round1) {
    let validators = list(&participant["validators"]);
    let mut drawn = Vec::new();
    for run in validators {
        drawn.extend(list(&run["coefficients"]).iter().map(array::<32>));
        drawn.push(array(&run["nonce_k"]));
    }
    let id = number(&participant["id"]);
    let parameters =
        Parameters::new(number(&suite["n"]), number(&suite["t"]), id, validators.len()).expect("parameters");
    let mut script = Script::new(&drawn);
    let machine = Frost::new(parameters, &mut script).expect("a machine");
    script.assert_used();
    machine
}

/// What the transcript says that this node said, in this order of validators.
fn check_round1(round1: &Round1, participant: &Value) {
    let source = u32::try_from(number(&participant["id"])).expect("small");
    for ((validator, run), cast) in (0..).zip(list(&participant["validators"])).zip(&round1.casts) {
        assert_eq!(cast.key, EntryKey { validator, source, target: 0 });
        assert_eq!(cast.proof.response.to_vec(), bytes(&run["wi"]));
        assert_eq!(cast.proof.challenge.to_vec(), bytes(&run["ci"]));
        let expected: Vec<[u8; 48]> = list(&run["commitments"]).iter().map(array).collect();
        assert_eq!(cast.commitments, expected);
        let sent = run["shares_sent"].as_object().expect("shares");
        assert_eq!(sent.len(), round1.shares.len());
        for (target, share) in sent {
            let target = target.parse().expect("a number");
            let found = &round1.shares[&target][usize::try_from(validator).expect("small")];
            let target = u32::try_from(target).expect("small");
            assert_eq!(found.key, EntryKey { validator, source, target });
            assert_eq!(u64::from(found.id), number(&share["id"]));
            assert_eq!(found.value.to_vec(), bytes(&share["value"]));
        }
    }
}

/// Runs all machines to the end, in the order of nodes; what each said in round 2, and its keys.
fn finish(mut nodes: Vec<(Frost, Round1)>) -> Vec<(Vec<Round2Cast>, Vec<KeyShare>)> {
    let mut rng = StdRng::seed_from_u64(5);
    let mut said = Vec::new();
    for to in 0..nodes.len() {
        let mut out = Vec::new();
        let all: Vec<_> =
            (1..).zip(&nodes).map(|(from, (_, r))| (from, r.casts.clone(), r.shares.clone())).collect();
        let own = u64::try_from(to).expect("small") + 1;
        for (from, casts, shares) in all.into_iter().filter(|(from, ..)| *from != own) {
            let machine = &mut nodes[to].0;
            assert!(machine.step(Event::Casts { from, casts }).expect("fine").is_empty());
            let effects = machine.step(Event::Shares { from, shares: shares[&own].clone() }).expect("fine");
            let [Effect::Compute(_)] = effects.as_slice() else { panic!("{effects:?}") };
            let mut effects = effects;
            while let Some(Effect::Compute(job)) = effects.pop() {
                effects = machine.step(Event::Computed(job.compute(&mut rng))).expect("fine");
                if let [Effect::BroadcastRound2(casts)] = effects.as_slice() {
                    out.clone_from(casts);
                }
            }
        }
        said.push(out);
    }
    let mut ends = Vec::new();
    for (to, (machine, _)) in nodes.iter_mut().enumerate() {
        let mut keys = None;
        for (place, casts) in said.iter().enumerate().filter(|(place, _)| *place != to) {
            let from = u64::try_from(place).expect("small") + 1;
            for effect in machine.step(Event::Round2 { from, casts: casts.clone() }).expect("fine") {
                let Effect::Done(done) = effect else { panic!("{effect:?}") };
                keys = Some(done);
            }
        }
        ends.push(keys.expect("all said what they had to"));
    }
    said.into_iter().zip(ends).collect()
}

#[test]
fn transcripts_are_made_again_byte_for_byte() {
    for name in ["frost_transcript_n3_t2_v1.json", "frost_transcript_n4_t3_v2.json"] {
        let Some(suite) = suite(name) else { return };
        let participants = list(&suite["participants"]);
        let nodes: Vec<(Frost, Round1)> = participants.iter().map(|node| replay(&suite, node)).collect();
        for (participant, (_, round1)) in participants.iter().zip(&nodes) {
            check_round1(round1, participant);
        }
        for (participant, (round2, keys)) in participants.iter().zip(finish(nodes)) {
            let runs = list(&participant["validators"]);
            assert_eq!((round2.len(), keys.len()), (runs.len(), runs.len()));
            for (((run, cast), key), group) in
                runs.iter().zip(round2).zip(keys).zip(list(&suite["group_public_keys"]))
            {
                assert_eq!(cast.verification_key, array(group));
                assert_eq!(cast.public_share, array(&run["vk_share"]));
                assert_eq!(key.public.to_bytes(), array(group));
                assert_eq!(key.secret.to_bytes().to_vec(), bytes(&run["sk_share"]));
                let at = &run["val_idx"];
                for (other, share) in participants.iter().zip(&key.public_shares) {
                    let other = &list(&other["validators"])[usize::try_from(number(at)).expect("small")];
                    assert_eq!(share.to_bytes(), array(&other["vk_share"]));
                }
            }
        }
    }
}

#[test]
fn a_first_round_is_taken_as_others_take_it() {
    let Some(suite) = suite("frost_round2_validation.json") else { return };
    let mut rng = StdRng::seed_from_u64(3);
    for case in list(&suite["cases"]) {
        let own = number(&case["receiver_id"]);
        let parameters = Parameters::new(number(&case["n"]), number(&case["t"]), own, 1).expect("parameters");
        let (mut machine, _) = Frost::new(parameters, &mut rng).expect("a machine");
        let small = |value: &Value| u32::try_from(number(value)).expect("small");
        let mut events = Vec::new();
        for cast in list(&case["casts"]).iter().filter(|cast| number(&cast["source"]) != own) {
            let key = EntryKey { validator: 0, source: small(&cast["source"]), target: 0 };
            let proof = KnowledgeProof { response: array(&cast["wi"]), challenge: array(&cast["ci"]) };
            let commitments = list(&cast["commitments"]).iter().map(array).collect();
            let casts = vec![Cast { key, proof, commitments }];
            events.push(Event::Casts { from: number(&cast["source"]), casts });
        }
        for share in list(&case["shares"]) {
            let (source, target) = (small(&share["source"]), u32::try_from(own).expect("small"));
            let key = EntryKey { validator: 0, source, target };
            let value = array(&share["value"]).into();
            let shares = vec![Share { key, id: small(&share["id"]), value }];
            events.push(Event::Shares { from: number(&share["source"]), shares });
        }
        let mut found = Ok(());
        for event in events {
            let result = machine.step(event).and_then(|effects| {
                effects.into_iter().try_for_each(|effect| {
                    let Effect::Compute(job) = effect else { return Ok(()) };
                    machine.step(Event::Computed(job.compute(&mut rng))).map(drop)
                })
            });
            found = found.and(result);
        }
        assert_eq!(found.is_ok(), case["library_result"] == "ok", "{}: {found:?}", case["case"]);
        assert_eq!(found.is_err(), found.is_err_and(|error| error.culprit().is_some()), "{}", case["case"]);
    }
}

// ------------------------------------------------------------------------------------------------------ simulation

const CLUSTERS: [(u64, u64); 5] = [(3, 2), (4, 3), (7, 5), (10, 7), (2, 2)];

#[test]
fn honest_nodes_agree_in_every_order() {
    for (nodes, threshold) in CLUSTERS {
        for seed in 0..4 {
            let ends = Network::new(nodes, threshold, 3, seed).run(&mut |_, _, _| {});
            let mut keys = BTreeMap::new();
            for (index, end) in ends {
                let End::Keys(found) = end else {
                    panic!("{nodes} nodes, seed {seed}, node {index}: {end:?}")
                };
                assert_eq!(found.len(), 3);
                keys.insert(index, found);
            }
            check_keys(&keys, usize::try_from(threshold).expect("small"));
        }
    }
}

/// What a liar does to a message (`None` where this is not the message that it is about), and what is said of it.
type Lie = (&'static str, fn(&mut Message) -> Option<()>, &'static str);

fn another_point() -> [u8; 48] {
    SecretKey::from_bytes(&[9; 32]).expect("a key").public().to_bytes()
}

fn casts(message: &mut Message) -> Option<&mut Vec<Cast>> {
    if let Message::Casts(casts) = message { Some(casts) } else { None }
}

fn shares(message: &mut Message) -> Option<&mut Vec<Share>> {
    if let Message::Shares(shares) = message { Some(shares) } else { None }
}

fn round2(message: &mut Message) -> Option<&mut Vec<Round2Cast>> {
    if let Message::Round2(casts) = message { Some(casts) } else { None }
}

const CAST_LIES: &[Lie] = &[
    (
        "another response",
        |m| casts(m).map(|m| m[1].proof.response[31] ^= 1),
        "proof of knowledge does not verify",
    ),
    (
        "a response that is no number",
        |m| casts(m).map(|m| m[1].proof.response = [0xff; 32]),
        "a proof of knowledge is out of range",
    ),
    (
        "another challenge",
        |m| casts(m).map(|m| m[0].proof.challenge[31] ^= 1),
        "proof of knowledge does not verify",
    ),
    (
        "a challenge that is no number",
        |m| casts(m).map(|m| m[0].proof.challenge = [0xff; 32]),
        "a proof of knowledge is out of range",
    ),
    (
        "no challenge",
        |m| casts(m).map(|m| m[2].proof.challenge = [0; 32]),
        "a proof of knowledge is out of range",
    ),
    (
        "another secret",
        |m| casts(m).map(|m| m[1].commitments[0] = another_point()),
        "proof of knowledge does not verify",
    ),
    ("another slope", |m| casts(m).map(|m| m[1].commitments[1] = another_point()), "the share does not fit"),
    (
        "an infinite commitment",
        |m| {
            let point = &mut casts(m)?[1].commitments[1];
            *point = [0; 48];
            point[0] = 0xc0;
            Some(())
        },
        "is the point at infinity",
    ),
    (
        "a commitment that is no point",
        |m| casts(m).map(|m| m[1].commitments[1] = [0xff; 48]),
        "is not canonical",
    ),
    (
        "a commitment outside the subgroup",
        |m| {
            // x = 4 is on the curve, and not in the subgroup.
            let point = &mut casts(m)?[1].commitments[1];
            *point = [0; 48];
            (point[0], point[47]) = (0x80, 4);
            Some(())
        },
        "is outside the subgroup",
    ),
    ("a commitment too few", |m| casts(m)?[1].commitments.pop().map(drop), "commitments, and the threshold"),
    (
        "a commitment too many",
        |m| casts(m).map(|m| m[1].commitments.push(another_point())),
        "commitments, and the threshold",
    ),
    ("a validator too few", |m| casts(m)?.pop().map(drop), "not in the message"),
    ("nothing", |m| casts(m).map(|m| m.clear()), "not in the message"),
    (
        "a validator twice",
        |m| {
            let first = casts(m)?[0].clone();
            casts(m).map(|m| m.push(first))
        },
        "in the message twice",
    ),
    ("a validator in place of another", |m| casts(m).map(|m| m[0].key.validator = 1), "not in the message"),
    ("a validator too many", |m| casts(m).map(|m| m[0].key.validator = 3), "only 3 validators"),
    ("from another", |m| casts(m).map(|m| m[0].key.source += 1), "from the node with share index 3"),
    ("for one", |m| casts(m).map(|m| m[0].key.target = 1), "for share index 1, not for 0"),
    (
        "two validators mixed up",
        |m| {
            let casts = casts(m)?;
            (casts[0].key.validator, casts[1].key.validator) = (1, 0);
            Some(())
        },
        "the share does not fit",
    ),
];

const SHARE_LIES: &[Lie] = &[
    ("another share", |m| shares(m).map(|m| m[1].value[31] ^= 1), "the share does not fit"),
    (
        "a share that is no number",
        |m| shares(m).map(|m| *m[1].value = [0xff; 32]),
        "secret key is out of range",
    ),
    ("no share", |m| shares(m).map(|m| *m[1].value = [0; 32]), "secret key is out of range"),
    ("the share of another index", |m| shares(m).map(|m| m[0].id += 1), "is that of index"),
    ("for another", |m| shares(m).map(|m| m[0].key.target += 1), "it is for share index"),
    ("for all", |m| shares(m).map(|m| m[0].key.target = 0), "it is for share index 0"),
    ("from another", |m| shares(m).map(|m| m[0].key.source += 1), "from the node with share index 3"),
    ("a validator too few", |m| shares(m)?.pop().map(drop), "not in the message"),
    ("nothing", |m| shares(m).map(|m| m.clear()), "not in the message"),
    (
        "a validator twice",
        |m| {
            let first = shares(m)?[0].clone();
            shares(m).map(|m| m.push(first))
        },
        "in the message twice",
    ),
    ("a validator too many", |m| shares(m).map(|m| m[0].key.validator = u32::MAX), "only 3 validators"),
    (
        "two validators mixed up",
        |m| {
            let shares = shares(m)?;
            (shares[0].key.validator, shares[1].key.validator) = (1, 0);
            Some(())
        },
        "the share does not fit",
    ),
];

const ROUND2_LIES: &[Lie] = &[
    ("another key", |m| round2(m).map(|m| m[1].verification_key = another_point()), "not the sum"),
    ("a key that is no point", |m| round2(m).map(|m| m[1].verification_key = [0; 48]), "not the sum"),
    (
        "the key of another validator",
        |m| {
            let casts = round2(m)?;
            casts[1].verification_key = casts[0].verification_key;
            Some(())
        },
        "not the sum",
    ),
    (
        "another public share",
        |m| round2(m).map(|m| m[2].public_share = another_point()),
        "public share does not fit",
    ),
    (
        "a public share that is no point",
        |m| round2(m).map(|m| m[2].public_share = [0xff; 48]),
        "public share does not fit",
    ),
    (
        "the key as public share",
        |m| {
            let casts = round2(m)?;
            casts[1].public_share = casts[1].verification_key;
            Some(())
        },
        "public share does not fit",
    ),
    ("a validator too few", |m| round2(m)?.pop().map(drop), "not in the message"),
    ("nothing", |m| round2(m).map(|m| m.clear()), "not in the message"),
    (
        "a validator twice",
        |m| {
            let first = round2(m)?[0].clone();
            round2(m).map(|m| m.push(first))
        },
        "in the message twice",
    ),
    ("a validator too many", |m| round2(m).map(|m| m[0].key.validator = 7), "only 3 validators"),
    ("from another", |m| round2(m).map(|m| m[0].key.source += 1), "from the node with share index 3"),
    ("for one", |m| round2(m).map(|m| m[0].key.target = 2), "for share index 2, not for 0"),
];

const LIAR: u64 = 2;

/// One liar, one lie: whoever saw it names the liar, and nobody has keys.
fn check_lie((name, lie, expected): Lie, (nodes, threshold): (u64, u64), seed: u64) {
    let victim = if nodes == 2 { 1 } else { 3 };
    let (mut told_all, mut told_one) = (0, 0);
    let mut network = Network::new(nodes, threshold, 3, seed);
    network.touch_shares(&mut |from, to, message| {
        if (from, to) == (LIAR, victim) && lie(message).is_some() {
            told_one += 1;
        }
    });
    let ends = network.run(&mut |from, _, message| {
        if from == LIAR && lie(message).is_some() {
            told_all += 1;
        }
    });
    assert_eq!(told_one + told_all, 1, "{name}: one lie");
    for (index, end) in ends.into_iter().filter(|(index, _)| *index != LIAR) {
        let context = format!("{name}, {nodes} nodes, seed {seed}, node {index}");
        match end {
            End::Failed(error) => {
                assert_eq!(error.culprit(), Some(LIAR), "{context}: {error}");
                assert!(error.to_string().contains(expected), "{context}: {error}");
            }
            End::Keys(_) => panic!("{context}: keys came of a lie"),
            End::Late(error) => {
                assert!(told_one == 1 && index != victim, "{context}: it saw the lie, and says: {error}");
                // It waits for the one that was lied to.
                let FrostError::Late { missing } = &error else { panic!("{context}: {error}") };
                assert_eq!(missing, &[(victim, Kind::Round2)], "{context}");
            }
        }
    }
}

#[test]
fn a_liar_is_named_by_all_who_saw_the_lie() {
    let lies = [CAST_LIES, SHARE_LIES, ROUND2_LIES].concat();
    for (cluster, step) in [((4, 3), 1), ((3, 2), 3), ((2, 2), 3), ((7, 5), 7), ((10, 7), 15)] {
        for (seed, lie) in (0..).zip(lies.iter().step_by(step)) {
            check_lie(*lie, cluster, seed);
        }
    }
}

#[test]
fn the_casts_of_another_prove_nothing() {
    let mut copied = None;
    Network::new(4, 3, 3, 1).run(&mut |from, _, message| {
        if let (3, Some(casts)) = (from, casts(message)) {
            copied = Some(casts.clone());
        }
    });
    let mut copied = copied.expect("node 3 said something");
    for cast in &mut copied {
        cast.key.source = 2;
    }
    let ends = Network::new(4, 3, 3, 1).run(&mut |from, _, message| {
        if let (2, Some(casts)) = (from, casts(message)) {
            casts.clone_from(&copied);
        }
    });
    for (index, end) in ends.into_iter().filter(|(index, _)| *index != 2) {
        let End::Failed(error) = end else { panic!("node {index}: {end:?}") };
        let expected =
            FrostError::Peer { from: 2, kind: Kind::Casts, validator: Some(0), fault: Fault::Proof };
        assert_eq!(error, expected);
    }
}

// ------------------------------------------------------------------------------------------------------- single steps

/// A node of three, and what the others sent to it.
fn node_of_three() -> (Frost, Vec<(u64, Round1)>) {
    let mut rng = StdRng::seed_from_u64(17);
    let mut node =
        |index| Frost::new(Parameters::new(3, 2, index, 1).expect("fine"), &mut rng).expect("a machine");
    let others = vec![(2, node(2).1), (3, node(3).1)];
    (node(1).0, others)
}

#[test]
fn only_the_first_message_of_a_peer_counts() {
    let (mut machine, others) = node_of_three();
    let (from, round1) = &others[0];
    let first = Event::Casts { from: *from, casts: round1.casts.clone() };
    assert!(machine.step(first).expect("fine").is_empty());
    for again in [round1.casts.clone(), others[1].1.casts.clone(), Vec::new()] {
        assert!(machine.step(Event::Casts { from: *from, casts: again }).expect("ignored").is_empty());
    }
    let shares = round1.shares[&1].clone();
    let effects = machine.step(Event::Shares { from: *from, shares: shares.clone() }).expect("fine");
    assert!(matches!(effects.as_slice(), [Effect::Compute(_)]), "the first one is still there");
    for again in [shares, Vec::new()] {
        assert!(machine.step(Event::Shares { from: *from, shares: again }).expect("ignored").is_empty());
    }
}

#[test]
fn who_is_late_is_named_with_what_is_missing() {
    let (mut machine, others) = node_of_three();
    let (from, round1) = &others[0];
    machine.step(Event::Casts { from: *from, casts: round1.casts.clone() }).expect("fine");
    let error = machine.step(Event::PhaseOver).expect_err("time is over");
    let missing = vec![(2, Kind::Shares), (3, Kind::Casts), (3, Kind::Shares)];
    assert_eq!(error, FrostError::Late { missing });
    assert_eq!(
        error.to_string(),
        "no longer waiting for the shares of round 1 of node 1, the commitments of round 1 of node 2, the shares of \
         round 1 of node 2"
    );
    let shares = Event::Shares { from: *from, shares: round1.shares[&1].clone() };
    assert_eq!(machine.step(shares).expect_err("it stays so"), error);
}

#[test]
fn strangers_have_no_part() {
    for from in [0, 1, 4, u64::MAX] {
        let (mut machine, _) = node_of_three();
        let error = machine.step(Event::Casts { from, casts: Vec::new() }).expect_err("no peer");
        assert_eq!(error, FrostError::Stranger { from });
    }
}

#[test]
fn ceremonies_that_cannot_be_are_refused() {
    let threshold = |nodes, threshold| ParameterError::Threshold { nodes, threshold };
    for (nodes, t) in [(4, 1), (4, 5), (4, 0), (0, 0), (1, 1), (256, 200), (u64::MAX, 2)] {
        assert_eq!(Parameters::new(nodes, t, 1, 1), Err(threshold(nodes, t)));
    }
    for share_index in [0, 5, 256 + 1] {
        let expected = ParameterError::ShareIndex { nodes: 4, share_index };
        assert_eq!(Parameters::new(4, 3, share_index, 1), Err(expected));
    }
    for validators in [0, 65_537] {
        assert_eq!(Parameters::new(4, 3, 1, validators), Err(ParameterError::Validators { validators }));
    }
    assert!(Parameters::new(255, 170, 255, 65_536).is_ok());
}

// ------------------------------------------------------------------------------------------------------------ secrets

fn said(casts: &[Cast]) -> Vec<u8> {
    let mut out = Vec::new();
    for cast in casts {
        out.extend([cast.proof.response, cast.proof.challenge].concat());
        out.extend(cast.commitments.concat());
    }
    out
}

fn contains(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

/// Whether text holds the bytes as hexadecimal digits or as a list of numbers.
fn shows(text: &str, secret: &[u8]) -> bool {
    let numbers: Vec<String> = secret.iter().map(u8::to_string).collect();
    text.contains(&hex::encode(secret)) || text.contains(&numbers.join(", "))
}

#[test]
fn no_message_holds_a_secret_that_does_not_belong_there() {
    let (nodes, threshold, validators) = (4_u64, 3, 2);
    let mut drawn = Vec::new();
    for fill in 1..=u8::try_from(validators * (threshold + 1)).expect("small") {
        drawn.push([fill; 32]);
    }
    let parameters =
        Parameters::new(nodes, u64::try_from(threshold).expect("small"), 1, validators).expect("fine");
    let (machine, round1) = Frost::new(parameters, &mut Script::new(&drawn)).expect("a machine");
    let to_all = said(&round1.casts);
    let text = format!("{machine:?} {round1:?}");
    let mut secrets = drawn.clone();
    for terms in drawn.chunks(threshold + 1) {
        let terms =
            terms[..threshold].iter().map(|term| SecretKey::from_bytes(term).expect("a key")).collect();
        let polynomial = Polynomial::from_coefficients(terms).expect("a polynomial");
        secrets.extend((1..=nodes).map(|index| *polynomial.share(index).expect("a share").to_bytes()));
    }
    for (place, secret) in secrets.iter().enumerate() {
        assert!(!contains(&to_all, secret), "secret {place} was said to all");
        assert!(!shows(&text, secret), "secret {place} is shown");
        // The shares come after all coefficients and nonces, those of one validator after another.
        let target = place.checked_sub(drawn.len()).map(|at| u64::try_from(at).expect("small") % nodes + 1);
        for (to, shares) in &round1.shares {
            let sent: Vec<u8> = shares.iter().flat_map(|share| share.value.to_vec()).collect();
            assert_eq!(contains(&sent, secret), target == Some(*to), "secret {place} and node {to}");
        }
    }
}

#[test]
fn the_second_round_and_the_end_show_no_secret() {
    let mut rng = StdRng::seed_from_u64(23);
    let nodes: Vec<(Frost, Round1)> = (1..=3)
        .map(|index| Frost::new(Parameters::new(3, 2, index, 2).expect("fine"), &mut rng).expect("a machine"))
        .collect();
    let ends = finish(nodes);
    for (said, keys) in &ends {
        for key in ends.iter().flat_map(|(_, keys)| keys) {
            let secret = key.secret.to_bytes();
            let bytes: Vec<u8> =
                said.iter().flat_map(|cast| [cast.verification_key, cast.public_share].concat()).collect();
            assert!(!contains(&bytes, secret.as_slice()));
            assert!(!shows(&format!("{said:?} {keys:?}"), secret.as_slice()));
        }
    }
}
