//! Pedersen: bytes of other implementations, honest runs and liars, and whole ceremonies.

#![expect(clippy::disallowed_methods, reason = "a test reads its vectors")]

#[path = "support/pedersen.rs"]
mod network;
#[path = "../../dv-types/tests/support/vectors.rs"]
mod vectors;

use std::collections::BTreeMap;

use coxswain_dv_crypto::bls::{PublicKey, SecretKey, Signature, recover_secret, verify_basic};
use coxswain_dv_dkg::pedersen::bundle::{
    Bundle as _, Deals, Justification, Justifications, Responses, Signed, Verdict,
};
use coxswain_dv_dkg::pedersen::run::{Dealt, Phase, Run, RunEffect, RunError, RunParameters};
use coxswain_dv_dkg::pedersen::{
    AnyBundle, Effect, Event, Node, NodeKey, Pedersen, PedersenError, ShareKey, Wait, ecies, nonce,
};
use coxswain_dv_dkg::{KeyShare, Parameters};
use coxswain_dv_wire::message::encode;
use coxswain_dv_wire::pedersen::{
    NodePubKeyMessage, PedersenDealBundle, PedersenResponseBundle, ValidatorPubKeyShareMessage,
};
use network::{Lie, Network, deals, justifications, responses};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

// --------------------------------------------------------------------------------------------------------- vectors

fn suite(name: &str) -> Option<Value> {
    let folder = vectors::vectors("charon/p2p-dkg")?;
    let text = std::fs::read(folder.join(name)).expect("vectors");
    Some(serde_json::from_slice(&text).expect("JSON"))
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("text")).expect("hexadecimal digits")
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().expect("the right length")
}

fn small(value: &Value) -> u32 {
    u32::try_from(value.as_u64().expect("a number")).expect("small")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

#[test]
fn shares_of_others_are_decrypted() {
    let Some(suite) = suite("pedersen_ecies.json") else { return };
    for case in list(&suite["cases"]) {
        let key = SecretKey::from_bytes(&bytes(&case["recipient_private"])).expect("a key");
        assert_eq!(key.public().to_bytes().to_vec(), bytes(&case["recipient_public"]));
        // What others encrypted here is any 32 bytes, and not always a share.
        let text = ecies::decrypt(&key, &bytes(&case["ciphertext"])).expect("it is for this key");
        assert_eq!(text.to_vec(), bytes(&case["plaintext"]));
    }
    assert!(!list(&suite["cases"]).is_empty());
}

#[test]
fn only_its_reader_decrypts_a_share_as_it_was() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut key = || SecretKey::generate(&mut rng);
    let (reader, other, share) = (key(), key(), key());
    let sealed = ecies::seal(&reader.public(), &share, &mut rng);
    assert_eq!(ecies::open(&reader, &sealed), Some(share.clone()));
    assert_eq!(ecies::open(&other, &sealed), None);
    for at in 0..sealed.len() {
        let mut damaged = sealed;
        damaged[at] ^= 4;
        assert_eq!(ecies::open(&reader, &damaged), None, "byte {at}");
    }
    for length in [0, 47, 48, 95] {
        assert_eq!(ecies::open(&reader, &sealed[..length]), None, "{length} bytes");
    }
    assert_ne!(ecies::seal(&reader.public(), &share, &mut rng), sealed, "the key is fresh");
}

#[test]
fn bundles_hash_as_those_of_others() {
    let Some(suite) = suite("pedersen_bundle_hash.json") else { return };
    let case = &suite["deal"];
    let bundle = Deals {
        dealer: small(&case["dealer_index"]),
        commitments: list(&case["public"]).iter().map(array).collect(),
        deals: list(&case["deals"])
            .iter()
            .map(|deal| (small(&deal["share_index"]), bytes(&deal["encrypted_share"])))
            .collect(),
        session: array(&case["session_id"]),
    };
    assert_eq!(bundle.hash().to_vec(), bytes(&case["hash"]));

    let case = &suite["response"];
    let verdict = |status: &Value| if status == true { Verdict::Good } else { Verdict::Complaint };
    let bundle = Responses {
        holder: small(&case["share_index"]),
        responses: list(&case["responses"])
            .iter()
            .map(|response| (small(&response["dealer_index"]), verdict(&response["status"])))
            .collect(),
        session: array(&case["session_id"]),
    };
    assert_eq!(bundle.hash().to_vec(), bytes(&case["hash"]));

    let case = &suite["justification"];
    let entry = |entry: &Value| Justification {
        holder: small(&entry["share_index"]),
        share: array(&entry["share"]).into(),
    };
    let bundle = Justifications {
        dealer: small(&case["dealer_index"]),
        justifications: list(&case["justifications"]).iter().map(entry).collect(),
        session: array(&case["session_id"]),
    };
    assert_eq!(bundle.hash().to_vec(), bytes(&case["hash"]));
}

#[test]
fn bundles_are_signed_as_others_sign() {
    let Some(suite) = suite("pedersen_bundle_signature.json") else { return };
    for case in list(&suite["cases"]) {
        let key = SecretKey::from_bytes(&bytes(&case["private"])).expect("a key");
        let (message, expected) = (bytes(&case["message"]), bytes(&case["signature"]));
        assert_eq!(key.public().to_bytes().to_vec(), bytes(&case["public"]));
        assert_eq!(key.sign_basic(&message).to_bytes().to_vec(), expected);
        let signature = Signature::from_bytes(&expected).expect("a signature");
        assert!(verify_basic(&key.public(), &message, &signature));
        assert!(!verify_basic(&key.public(), &message, &key.sign(&message)), "not the scheme of Ethereum");
    }
}

#[test]
fn runs_are_called_as_others_call_them() {
    let Some(suite) = suite("pedersen_nonce.json") else { return };
    for case in list(&suite["cases"]) {
        let node = |node: &Value| Node {
            index: small(&node["index"]),
            key: PublicKey::from_bytes(&bytes(&node["public"])).expect("a key"),
        };
        let nodes: Vec<Node> = list(&case["nodes"]).iter().map(node).collect();
        assert_eq!(nonce(small(&case["iteration"]), &nodes).to_vec(), bytes(&case["nonce"]), "{case}");
    }
}

// ------------------------------------------------------------------------------------------------------------ runs

/// Whether all nodes but the liars ended alike, and their shares give the key.
#[track_caller]
fn check_agreement(ends: &BTreeMap<u32, &Dealt>, threshold: usize, context: &str) {
    let first = ends.values().next().expect("a node");
    let mut shares = Vec::new();
    for (index, dealt) in ends {
        assert_eq!(dealt.commitments, first.commitments, "{context}: node {index}");
        assert_eq!(dealt.dealers, first.dealers, "{context}: node {index}");
        let at = u64::from(*index) + 1;
        assert!(dealt.commitments.has_share(at, &dealt.secret), "{context}: node {index}");
        shares.push((at, dealt.secret.clone()));
    }
    for window in shares.windows(threshold) {
        let secret = recover_secret(window).expect("a secret");
        assert_eq!(secret.public(), first.commitments.points()[0], "{context}");
    }
}

#[test]
fn honest_nodes_agree_in_every_order() {
    for (count, threshold, seeds) in [(2, 2, 3), (3, 2, 3), (4, 3, 3), (7, 5, 2), (10, 7, 1)] {
        for seed in 0..seeds {
            let ends = Network::new(count, threshold, seed, BTreeMap::new()).run();
            let dealt: BTreeMap<u32, &Dealt> =
                ends.iter().map(|(index, end)| (*index, end.as_ref().expect("nobody lies"))).collect();
            assert_eq!(dealt[&0].dealers, (0..count).collect::<Vec<_>>());
            check_agreement(&dealt, threshold, &format!("{count} nodes, seed {seed}"));
        }
    }
}

const LIAR: u32 = 1;
const VICTIM: u32 = 2;

/// Another share for this node, under its key as it is: so the ciphertext of another node.
fn spoil_share(bundle: &mut Deals, holder: u32) {
    for (index, sealed) in &mut bundle.deals {
        if *index == holder {
            sealed[60] ^= 1;
        }
    }
}

fn is_deals(bundle: &AnyBundle) -> bool {
    matches!(bundle, AnyBundle::Deals(_))
}

fn stays(_: u32, _: &SecretKey, bundle: AnyBundle) -> Vec<AnyBundle> {
    vec![bundle]
}

/// What a liar makes of a bundle for one node.
type Liar = fn(u32, &SecretKey, AnyBundle) -> Vec<AnyBundle>;

/// Lies, and whether the liar's polynomial is in the key after all.
const LIES: &[(&str, Liar, bool)] = &[
    ("none", stays, true),
    ("a bad share, and a good answer", |_, key, b| vec![deals(key, b, |d| spoil_share(d, VICTIM))], true),
    (
        "a bad share, and no answer",
        |_, key, b| {
            let is_kept = !matches!(b, AnyBundle::Justifications(_));
            is_kept.then(|| deals(key, b, |d| spoil_share(d, VICTIM))).into_iter().collect()
        },
        false,
    ),
    (
        "a bad share, and another answer",
        |_, key, b| {
            let b = deals(key, b, |d| spoil_share(d, VICTIM));
            vec![justifications(key, b, |j| j.justifications[0].share[31] ^= 1)]
        },
        false,
    ),
    (
        "a bad share, and an answer about nobody",
        |_, key, b| {
            let b = deals(key, b, |d| spoil_share(d, VICTIM));
            vec![justifications(key, b, |j| j.justifications[0].holder = 99)]
        },
        false,
    ),
    (
        "a bad share, and an answer of another run",
        |_, key, b| {
            let b = deals(key, b, |d| spoil_share(d, VICTIM));
            vec![justifications(key, b, |j| j.session[0] ^= 1)]
        },
        false,
    ),
    ("no share for one", |_, key, b| vec![deals(key, b, |d| d.deals.retain(|(i, _)| *i != VICTIM))], true),
    ("no shares", |_, key, b| vec![deals(key, b, |d| d.deals.clear())], false),
    ("no deals", |_, _, b| (!is_deals(&b)).then_some(b).into_iter().collect(), false),
    ("nothing at all", |_, _, _| Vec::new(), false),
    ("the same deals twice", |_, _, b| vec![b.clone(), b], true),
    ("a commitment too few", |_, key, b| vec![deals(key, b, |d| d.commitments.truncate(2))], false),
    ("a commitment that is no point", |_, key, b| vec![deals(key, b, |d| d.commitments[1] = [9; 48])], false),
    (
        "commitments to something else",
        |_, key, b| vec![deals(key, b, |d| d.commitments[2] = d.commitments[1])],
        false,
    ),
    ("a share that is cut", |_, key, b| vec![deals(key, b, |d| d.deals[1].1.truncate(50))], true),
    ("a share for nobody", |_, key, b| vec![deals(key, b, |d| d.deals[0].0 = 99)], false),
    ("deals of another run", |_, key, b| vec![deals(key, b, |d| d.session[5] ^= 1)], false),
    (
        "deals that it did not sign",
        |_, _, b| {
            let other = SecretKey::from_bytes(&[7; 32]).expect("a key");
            vec![deals(&other, b, |_| {})]
        },
        false,
    ),
    (
        "a complaint about a good share",
        |_, key, b| {
            vec![responses(key, b, |r| {
                for (dealer, verdict) in &mut r.responses {
                    if *dealer == VICTIM {
                        *verdict = Verdict::Complaint;
                    }
                }
            })]
        },
        true,
    ),
    (
        "a dealer left out",
        |_, key, b| vec![responses(key, b, |r| r.responses.retain(|(i, _)| *i != 0))],
        true,
    ),
    (
        "no response",
        |_, _, b| (!matches!(b, AnyBundle::Responses(_))).then_some(b).into_iter().collect(),
        false,
    ),
    ("an empty response", |_, key, b| vec![responses(key, b, |r| r.responses.clear())], false),
    ("a response about nobody", |_, key, b| vec![responses(key, b, |r| r.responses[0].0 = 99)], false),
    ("a response of another run", |_, key, b| vec![responses(key, b, |r| r.session[0] ^= 1)], false),
];

/// Lies of which some nodes see more than others, or at other times.
const UNEQUAL_LIES: &[(&str, Liar)] = &[
    ("no deals for one", |to, _, b| (to != VICTIM || !is_deals(&b)).then_some(b).into_iter().collect()),
    ("two different deals", |_, key, b| {
        if !is_deals(&b) {
            return vec![b];
        }
        vec![b.clone(), deals(key, b, |d| spoil_share(d, VICTIM))]
    }),
    ("two different responses", |_, key, b| {
        if !matches!(b, AnyBundle::Responses(_)) {
            return vec![b];
        }
        vec![b.clone(), responses(key, b, |r| r.responses.truncate(1))]
    }),
    ("a share for nobody, to one", |to, key, b| {
        vec![if to == VICTIM { deals(key, b, |d| d.deals[0].0 = 99) } else { b }]
    }),
    ("a response to one alone", |to, _, b| (to == VICTIM || is_deals(&b)).then_some(b).into_iter().collect()),
    ("an answer to one alone", |to, key, b| {
        let is_kept = to == VICTIM || !matches!(b, AnyBundle::Justifications(_));
        is_kept.then(|| deals(key, b, |d| spoil_share(d, VICTIM))).into_iter().collect()
    }),
];

#[test]
fn a_liar_is_left_out_and_the_others_agree() {
    for (seed, (name, lie, is_in)) in (0..).zip(LIES) {
        let lies: Lie<'_> = lie;
        let ends = Network::new(4, 3, seed, BTreeMap::from([(LIAR, lies)])).run();
        let dealt: BTreeMap<u32, &Dealt> = ends
            .iter()
            .filter(|(index, _)| **index != LIAR)
            .map(|(index, end)| {
                (*index, end.as_ref().unwrap_or_else(|why| panic!("{name}: node {index}: {why}")))
            })
            .collect();
        let expected: Vec<u32> = (0..4).filter(|index| *is_in || *index != LIAR).collect();
        assert_eq!(dealt[&0].dealers, expected, "{name}");
        check_agreement(&dealt, 3, name);
    }
}

#[test]
fn several_liars_do_not_divide_the_others() {
    let mut rng = StdRng::seed_from_u64(77);
    for seed in 0..12 {
        let (count, threshold) = [(5, 3), (4, 3), (7, 5)][usize::try_from(seed).expect("small") % 3];
        let mut liars: BTreeMap<u32, Lie<'_>> = BTreeMap::new();
        let mut names = Vec::new();
        while liars.len() < usize::try_from(count).expect("small") - threshold {
            let (name, lie, _) = &LIES[rng.random_range(0..LIES.len())];
            names.push(*name);
            liars.insert(rng.random_range(0..count), lie);
        }
        let places: Vec<u32> = liars.keys().copied().collect();
        let context = format!("{count} nodes, seed {seed}, {places:?}: {names:?}");
        let ends = Network::new(count, threshold, seed, liars).run();
        let honest = ends.iter().filter(|(index, _)| !places.contains(index));
        let dealt: BTreeMap<u32, &Dealt> = honest
            .map(|(index, end)| {
                (*index, end.as_ref().unwrap_or_else(|why| panic!("{context}: {index}: {why}")))
            })
            .collect();
        for index in dealt.keys() {
            assert!(dealt[index].dealers.contains(index), "{context}: node {index} is honest");
        }
        check_agreement(&dealt, threshold, &context);
    }
}

#[test]
fn who_is_shut_out_stops() {
    let silent: Lie<'_> = &|_, _, bundle| (!is_deals(&bundle)).then_some(bundle).into_iter().collect();
    let ends = Network::new(4, 3, 9, BTreeMap::from([(LIAR, silent)])).run();
    assert_eq!(ends[&LIAR], Err(RunError::Evicted { by: 3 }));
}

#[test]
fn too_few_good_dealers_give_no_key() {
    let nothing: Lie<'_> = &|_, _, _| Vec::new();
    let ends = Network::new(4, 3, 9, BTreeMap::from([(1, nothing), (2, nothing)])).run();
    for index in [0, 3] {
        let expected = RunError::TooFew { good: 2, threshold: 3, evicted: vec![1, 2] };
        assert_eq!(ends[&index], Err(expected), "node {index}");
    }
}

// ------------------------------------------------------------------------------------------------------ ceremonies

const SESSION: [u8; 32] = [42; 32];

/// A whole ceremony in memory; `hand` sees each message of a node to another and may change or drop it.
struct Ceremony {
    machines: Vec<Pedersen>,
    pending: Vec<(u32, Event)>,
    waits: Vec<(u32, Wait)>,
    ends: BTreeMap<u32, Result<Vec<KeyShare>, PedersenError>>,
    rng: StdRng,
}

#[derive(Clone, Debug)]
enum Message {
    NodeKey(NodeKey),
    Bundle(AnyBundle),
    ShareKey(ShareKey),
}

type Hand<'h> = &'h dyn Fn(u32, u32, Message) -> Vec<Message>;

/// What the key of a node comes from, so that a liar can sign.
fn key_generator(seed: u64, node: u32) -> StdRng {
    StdRng::seed_from_u64(seed * 1_000 + u64::from(node))
}

impl Ceremony {
    fn new(nodes: u64, threshold: u64, validators: usize, seed: u64, hand: Hand<'_>) -> Self {
        let (machines, pending, waits) = (Vec::new(), Vec::new(), Vec::new());
        let mut ceremony =
            Self { machines, pending, waits, ends: BTreeMap::new(), rng: StdRng::seed_from_u64(seed ^ 1) };
        let mut said = Vec::new();
        for index in 1..=nodes {
            let parameters = Parameters::new(nodes, threshold, index, validators).expect("parameters");
            let own = u32::try_from(index).expect("small") - 1;
            let (machine, key, wait) = Pedersen::new(parameters, SESSION, &mut key_generator(seed, own));
            ceremony.machines.push(machine);
            let Effect::Wait(wait) = wait else { panic!("{wait:?}") };
            ceremony.waits.push((own, wait));
            said.push((own, key));
        }
        for (own, key) in said {
            ceremony.send(own, &Message::NodeKey(key), hand);
        }
        ceremony
    }

    fn send(&mut self, from: u32, message: &Message, hand: Hand<'_>) {
        let count = u32::try_from(self.machines.len()).expect("small");
        for to in (0..count).filter(|to| *to != from) {
            for message in hand(from, to, message.clone()) {
                let event = match message {
                    Message::NodeKey(message) => Event::NodeKey { from, message },
                    Message::Bundle(bundle) => Event::Bundle { from, bundle },
                    Message::ShareKey(message) => Event::ShareKey { from, message },
                };
                self.pending.push((to, event));
            }
        }
    }

    fn step(&mut self, on: u32, event: Event, hand: Hand<'_>) {
        let machine = &mut self.machines[usize::try_from(on).expect("small")];
        match machine.step(event, &mut self.rng) {
            Err(error) => {
                if let Some(Err(before)) = self.ends.insert(on, Err(error.clone())) {
                    assert_eq!(before, error, "a machine that failed says so again");
                }
            }
            Ok(effects) => {
                for effect in effects {
                    match effect {
                        Effect::SendBundle(bundle) => self.send(on, &Message::Bundle(bundle), hand),
                        Effect::SendShareKey(key) => self.send(on, &Message::ShareKey(key), hand),
                        Effect::Wait(wait) => self.waits.push((on, wait)),
                        Effect::Done(keys) => {
                            assert!(self.ends.insert(on, Ok(keys)).is_none(), "one end each");
                        }
                    }
                }
            }
        }
    }

    fn run(mut self, hand: Hand<'_>) -> BTreeMap<u32, Result<Vec<KeyShare>, PedersenError>> {
        loop {
            while !self.pending.is_empty() {
                let at = self.rng.random_range(0..self.pending.len());
                let (to, event) = self.pending.swap_remove(at);
                self.step(to, event, hand);
            }
            if self.ends.len() == self.machines.len() || self.waits.is_empty() {
                return self.ends;
            }
            // Nothing is on its way: time goes on for what was asked for first.
            let (on, wait) = self.waits.remove(0);
            self.step(on, Event::PhaseOver(wait), hand);
        }
    }
}

fn pass(_: u32, _: u32, message: Message) -> Vec<Message> {
    vec![message]
}

fn twice(_: u32, _: u32, message: Message) -> Vec<Message> {
    vec![message.clone(), message]
}

#[test]
fn ceremonies_give_all_nodes_the_same_keys() {
    for (nodes, threshold, validators) in [(3, 2, 1), (4, 3, 3), (7, 5, 2), (10, 7, 1)] {
        for (seed, hand) in [(0, pass as fn(_, _, _) -> _), (1, pass), (2, twice)] {
            let ends = Ceremony::new(nodes, threshold, validators, seed, &hand).run(&hand);
            let keys: Vec<&Vec<KeyShare>> =
                ends.values().map(|end| end.as_ref().expect("nobody lies")).collect();
            for place in 0..validators {
                let mut shares = Vec::new();
                for (at, own) in keys.iter().enumerate() {
                    let key = &own[place];
                    assert_eq!(
                        (key.public, &key.public_shares),
                        (keys[0][place].public, &keys[0][place].public_shares)
                    );
                    assert_eq!(key.secret.public(), key.public_shares[at]);
                    shares.push((u64::try_from(at).expect("small") + 1, key.secret.clone()));
                }
                for window in shares.windows(usize::try_from(threshold).expect("small")) {
                    assert_eq!(recover_secret(window).expect("a secret").public(), keys[0][place].public);
                }
            }
        }
    }
}

#[test]
fn a_public_share_that_does_not_fit_is_named() {
    let other = SecretKey::from_bytes(&[3; 32]).expect("a key").public().to_bytes();
    for lie in [Some(other), Some([0xff; 48]), None] {
        let hand = move |from: u32, _: u32, message: Message| match message {
            Message::ShareKey(key) if from == LIAR => {
                vec![Message::ShareKey(ShareKey { public_share: lie, ..key })]
            }
            message => vec![message],
        };
        let ends = Ceremony::new(4, 3, 2, 5, &hand).run(&hand);
        for (index, end) in ends.into_iter().filter(|(index, _)| *index != LIAR) {
            let error = end.expect_err("a lie");
            assert_eq!(error, PedersenError::ShareKey { from: LIAR, run: 0 }, "node {index}");
        }
    }
}

#[test]
fn no_two_honest_nodes_end_with_different_keys() {
    let equal = LIES.iter().map(|(name, lie, _)| (*name, *lie));
    let lies: Vec<_> = equal.chain(UNEQUAL_LIES.iter().copied()).collect();
    let (mut good, mut stopped) = (0, 0);
    for seed in 0..2 {
        for (name, lie) in &lies {
            let key = SecretKey::generate(&mut key_generator(seed, LIAR));
            let hand = |from: u32, to: u32, message: Message| match message {
                Message::Bundle(bundle) if from == LIAR => {
                    lie(to, &key, bundle).into_iter().map(Message::Bundle).collect()
                }
                message => vec![message],
            };
            let ends = Ceremony::new(4, 3, 1, seed, &hand).run(&hand);
            let honest: Vec<_> = ends.iter().filter(|(index, _)| **index != LIAR).collect();
            assert_eq!(honest.len(), 3, "{name}, seed {seed}: all honest nodes end");
            let mut keys = honest.iter().filter_map(|(_, end)| end.as_ref().ok());
            let publics = |keys: &Vec<KeyShare>| {
                keys.iter().map(|key| (key.public, key.public_shares.clone())).collect::<Vec<_>>()
            };
            let first = keys.next().map(publics);
            assert!(keys.all(|keys| Some(publics(keys)) == first), "{name}, seed {seed}");
            if first.is_some() { good += 1 } else { stopped += 1 }
        }
    }
    assert!(good > 0 && stopped > 0, "{good} gave keys, {stopped} were stopped");
}

#[test]
fn who_says_two_things_in_time_is_as_if_silent() {
    let mut rng = StdRng::seed_from_u64(4);
    let keys: Vec<SecretKey> = (0..3).map(|_| SecretKey::generate(&mut rng)).collect();
    let nodes: Vec<Node> = (0..).zip(&keys).map(|(index, key)| Node { index, key: key.public() }).collect();
    let mut begin = |own: u32| {
        let parameters = RunParameters { nodes: nodes.clone(), own, threshold: 2, session: [1; 32] };
        Run::new(parameters, &keys[usize::try_from(own).expect("small")], &mut rng).expect("a machine")
    };
    let (mut node, _) = begin(0);
    let (first, second, other) = (begin(LIAR).1, begin(LIAR).1, begin(2).1);
    assert_eq!(node.missing(), [1, 2]);
    for said in [first.clone(), first.clone()] {
        assert!(node.take_deals(said).expect("fine").is_empty());
        assert_eq!(node.missing(), [2], "the same again is nothing new");
    }
    for said in [second, first] {
        assert!(node.take_deals(said).expect("fine").is_empty());
        assert_eq!(node.missing(), [1, 2]);
    }
    assert!(node.take_deals(other).expect("fine").is_empty());
    let effects = node.phase_over(Phase::Deals).expect("fine");
    let [RunEffect::SendResponses(said)] = effects.as_slice() else { panic!("{effects:?}") };
    let expected = vec![(0, Verdict::Good), (LIAR, Verdict::Complaint), (2, Verdict::Good)];
    assert_eq!(said.bundle.responses, expected);
}

/// What a holder says of dealers that there are counts, though it is shut out for what it says of others; so dealers
/// that it praises need not justify themselves.
#[test]
fn words_about_nobody_do_not_unsay_the_rest() {
    let mut rng = StdRng::seed_from_u64(6);
    let keys: Vec<SecretKey> = (0..3).map(|_| SecretKey::generate(&mut rng)).collect();
    let nodes: Vec<Node> = (0..).zip(&keys).map(|(index, key)| Node { index, key: key.public() }).collect();
    let mut begin = |own: u32| {
        let parameters = RunParameters { nodes: nodes.clone(), own, threshold: 2, session: [1; 32] };
        Run::new(parameters, &keys[usize::try_from(own).expect("small")], &mut rng).expect("a machine")
    };
    let (mut node, _) = begin(0);
    let mut effects = Vec::new();
    for other in [1, 2] {
        effects.append(&mut node.take_deals(begin(other).1).expect("fine"));
    }
    assert!(matches!(effects.as_slice(), [RunEffect::SendResponses(_)]));
    let all_good = [0, 1, 2].map(|dealer| (dealer, Verdict::Good));
    for (holder, said) in
        [(1, [all_good.to_vec(), vec![(99, Verdict::Good)]].concat()), (2, all_good.to_vec())]
    {
        let bundle = Responses { holder, responses: said, session: [1; 32] };
        let key = &keys[usize::try_from(holder).expect("small")];
        effects = node.take_responses(Signed::new(bundle, key)).expect("fine");
    }
    let [RunEffect::Done(dealt)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(dealt.dealers, [0, 2]);
}

#[test]
fn who_does_not_say_its_key_is_named() {
    let hand = |from: u32, _: u32, message: Message| match message {
        Message::NodeKey(_) if from == LIAR => Vec::new(),
        message => vec![message],
    };
    let ends = Ceremony::new(4, 3, 1, 5, &hand).run(&hand);
    for (index, end) in ends.into_iter().filter(|(index, _)| *index != LIAR) {
        let error = end.expect_err("a key is missing");
        assert_eq!(error, PedersenError::Late { wait: Wait::NodeKeys, missing: vec![LIAR] }, "node {index}");
        assert_eq!(error.to_string(), "no longer waiting for the keys of node 1");
    }
}

#[test]
fn a_key_that_is_no_point_is_named() {
    let hand = |from: u32, _: u32, message: Message| match message {
        Message::NodeKey(key) if from == LIAR => vec![Message::NodeKey(NodeKey { key: [0xff; 48], ..key })],
        message => vec![message],
    };
    let ends = Ceremony::new(3, 2, 1, 5, &hand).run(&hand);
    for end in ends.into_iter().filter(|(index, _)| *index != LIAR) {
        assert_eq!(end.1.expect_err("no point").culprit(), Some(LIAR));
    }
}

#[test]
fn messages_of_another_ceremony_are_as_if_they_had_not_come() {
    let hand = |from: u32, _: u32, message: Message| match message {
        Message::NodeKey(key) => {
            vec![Message::NodeKey(NodeKey { session: [1; 32], key: [0xff; 48] }), Message::NodeKey(key)]
        }
        Message::ShareKey(key) if from == LIAR => {
            vec![Message::ShareKey(ShareKey { session: [1; 32], public_share: None }), Message::ShareKey(key)]
        }
        message => vec![message],
    };
    let ends = Ceremony::new(3, 2, 2, 6, &hand).run(&hand);
    assert!(ends.values().all(Result::is_ok), "{ends:?}");
}

#[test]
fn who_goes_away_after_a_run_is_named() {
    let hand = |from: u32, _: u32, message: Message| match message {
        Message::ShareKey(_) if from == LIAR => Vec::new(),
        message => vec![message],
    };
    let ends = Ceremony::new(4, 3, 1, 5, &hand).run(&hand);
    for (index, end) in ends.into_iter().filter(|(index, _)| *index != LIAR) {
        let expected = PedersenError::Late { wait: Wait::ShareKeys { run: 0 }, missing: vec![LIAR] };
        assert_eq!(end, Err(expected), "node {index}");
    }
}

#[test]
fn no_message_holds_a_secret() {
    let said = std::cell::RefCell::new(Vec::new());
    let hand = |_: u32, _: u32, message: Message| {
        said.borrow_mut().push(match &message {
            Message::NodeKey(key) => encode(&NodePubKeyMessage::from(key)),
            Message::ShareKey(key) => encode(&ValidatorPubKeyShareMessage::from(key)),
            Message::Bundle(AnyBundle::Deals(signed)) => encode(&PedersenDealBundle::from(signed)),
            Message::Bundle(AnyBundle::Responses(signed)) => encode(&PedersenResponseBundle::from(signed)),
            Message::Bundle(AnyBundle::Justifications(_)) => panic!("nobody complains"),
        });
        vec![message]
    };
    let ends = Ceremony::new(4, 3, 2, 12, &hand).run(&hand);
    let mut secrets: Vec<SecretKey> =
        (0..4).map(|node| SecretKey::generate(&mut key_generator(12, node))).collect();
    secrets.extend(ends.values().flatten().flatten().map(|key| key.secret.clone()));
    assert_eq!(secrets.len(), 4 + 4 * 2);
    for secret in secrets {
        let secret = secret.to_bytes();
        let text = hex::encode(secret.as_slice());
        assert!(!format!("{ends:?}").contains(&text), "a secret is shown");
        for bytes in said.borrow().iter() {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_slice()));
        }
    }
}

#[test]
fn messages_come_back_from_the_wire() {
    let mut rng = StdRng::seed_from_u64(31);
    let key = SecretKey::generate(&mut rng);
    let node_key = NodeKey { session: SESSION, key: key.public().to_bytes() };
    let Ok(Some(Event::NodeKey { from: 2, message })) = Event::node_key(2, &(&node_key).into()) else {
        panic!("a key")
    };
    assert_eq!(message, node_key);
    for public_share in [None, Some(key.public().to_bytes())] {
        let share_key = ShareKey { session: SESSION, public_share };
        let Some(Event::ShareKey { from: 2, message }) = Event::share_key(2, &(&share_key).into()) else {
            panic!("a public share")
        };
        assert_eq!(message, share_key);
    }
    let bundle = Deals {
        dealer: 2,
        commitments: vec![[1; 48], [2; 48]],
        deals: vec![(0, vec![3; 96]), (1, vec![4; 7])],
        session: SESSION,
    };
    let deals = Signed::new(bundle, &key);
    let bundle = Responses {
        holder: 2,
        responses: vec![(0, Verdict::Good), (1, Verdict::Complaint)],
        session: SESSION,
    };
    let responses = Signed::new(bundle, &key);
    let entry = Justification { holder: 1, share: [5; 32].into() };
    let bundle = Justifications { dealer: 2, justifications: vec![entry], session: SESSION };
    let justifications = Signed::new(bundle, &key);
    let read = [
        Event::deals(3, &(&deals).into()),
        Event::responses(3, &(&responses).into()),
        Event::justifications(3, &(&justifications).into()),
    ];
    let expected = [
        AnyBundle::Deals(deals),
        AnyBundle::Responses(responses),
        AnyBundle::Justifications(justifications.clone()),
    ];
    for (read, expected) in read.into_iter().zip(expected) {
        let Some(Event::Bundle { from: 3, bundle }) = read else { panic!("{read:?}") };
        assert_eq!(bundle, expected);
    }
    assert!(!format!("{justifications:?}").contains("5, 5, 5"), "a share is not shown");
}

#[test]
fn what_has_another_shape_is_as_if_it_had_not_come() {
    let mut rng = StdRng::seed_from_u64(32);
    let key = SecretKey::generate(&mut rng);
    let bundle = Deals { dealer: 2, commitments: vec![[1; 48]], deals: Vec::new(), session: SESSION };
    let good = PedersenDealBundle::from(&Signed::new(bundle, &key));
    let spoils: [fn(&mut PedersenDealBundle); 4] = [
        |message| message.public[0].truncate(47),
        |message| message.session_id.push(0),
        |message| message.signature.clear(),
        |message| message.signature[1] ^= 0xff,
    ];
    for spoil in spoils {
        let mut message = good.clone();
        spoil(&mut message);
        assert!(Event::deals(2, &message).is_none());
    }
    let message = NodePubKeyMessage { session_id: SESSION.to_vec(), public_key: vec![1; 47], shares: None };
    assert_eq!(Event::node_key(2, &message).expect_err("no key").culprit(), Some(2));
}

#[test]
fn the_time_of_what_is_over_changes_nothing() {
    let mut rng = StdRng::seed_from_u64(8);
    let parameters = Parameters::new(3, 2, 1, 1).expect("parameters");
    let (mut machine, _, _) = Pedersen::new(parameters, SESSION, &mut rng);
    let stale = [
        Wait::ShareKeys { run: 0 },
        Wait::Run { run: 0, phase: Phase::Deals },
        Wait::Run { run: 7, phase: Phase::Over },
    ];
    for wait in stale {
        assert!(machine.step(Event::PhaseOver(wait), &mut rng).expect("nothing").is_empty());
    }
    for from in [0, 3, u32::MAX] {
        let message = NodeKey { session: SESSION, key: [0; 48] };
        let (mut machine, _, _) = Pedersen::new(parameters, SESSION, &mut rng);
        let error = machine.step(Event::NodeKey { from, message }, &mut rng).expect_err("no peer");
        assert_eq!(error, PedersenError::Stranger { from });
    }
}
