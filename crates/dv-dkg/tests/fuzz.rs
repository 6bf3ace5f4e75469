//! Fuzz targets of what peers say in a ceremony: never a panic, and never a key that a damaged message is part of. As
//! a plain test each runs for a second, or as long as `BOLERO_RANDOM_TEST_TIME_MS` says.

#[path = "../../../tests/support/mutate.rs"]
mod mutate;

use std::collections::VecDeque;
use std::sync::OnceLock;

use coxswain_dv_crypto::bls::{KnowledgeProof, PublicKey};
use coxswain_dv_dkg::Parameters;
use coxswain_dv_dkg::frost::{Cast, Effect, EntryKey, Event, Frost, FrostError, Round1, Round2Cast, Share};
use coxswain_dv_dkg::pedersen::{self, AnyBundle, Pedersen};
use coxswain_dv_wire::message::{decode, encode};
use coxswain_dv_wire::pedersen::{
    NodePubKeyMessage, PedersenDealBundle, PedersenResponseBundle, ValidatorPubKeyShareMessage,
};
use mutate::mutate;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

const THRESHOLD: usize = 2;
const VALIDATORS: usize = 2;
const CAST_LEN: usize = 12 + 64 + 48 * THRESHOLD;
const SHARE_LEN: usize = 16 + 32;
const ROUND2_LEN: usize = 12 + 96;

// A message as bytes, for these tests alone: entry after entry, numbers most significant byte first.

fn key_bytes(key: EntryKey) -> Vec<u8> {
    [key.validator, key.source, key.target].iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn key(bytes: &[u8]) -> EntryKey {
    EntryKey { validator: word(bytes, 0), source: word(bytes, 4), target: word(bytes, 8) }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("as many bytes")
}

fn cast_bytes(cast: &Cast) -> Vec<u8> {
    let proof = [cast.proof.response, cast.proof.challenge].concat();
    [key_bytes(cast.key), proof, cast.commitments.concat()].concat()
}

/// The points of an entry are as many as its length allows.
fn cast(bytes: &[u8]) -> Cast {
    let proof = KnowledgeProof { response: array(bytes, 12), challenge: array(bytes, 44) };
    let commitments = bytes[76..].as_chunks::<48>().0.to_vec();
    Cast { key: key(bytes), proof, commitments }
}

fn share_bytes(share: &Share) -> Vec<u8> {
    [key_bytes(share.key), share.id.to_be_bytes().to_vec(), share.value.to_vec()].concat()
}

fn share(bytes: &[u8]) -> Share {
    Share { key: key(bytes), id: word(bytes, 12), value: array(bytes, 16).into() }
}

fn round2_bytes(cast: &Round2Cast) -> Vec<u8> {
    [key_bytes(cast.key), cast.verification_key.to_vec(), cast.public_share.to_vec()].concat()
}

fn round2(bytes: &[u8]) -> Round2Cast {
    Round2Cast { key: key(bytes), verification_key: array(bytes, 12), public_share: array(bytes, 60) }
}

/// A whole ceremony of three as node 1 saw it.
struct Ceremony {
    others: Vec<(u64, Round1)>,
    round2: Vec<(u64, Vec<Round2Cast>)>,
}

fn machine(index: u64) -> (Frost, Round1) {
    let parameters = Parameters::new(3, 2, index, VALIDATORS).expect("parameters");
    Frost::new(parameters, &mut StdRng::seed_from_u64(index)).expect("a machine")
}

/// Node 1 to its end, or to the first error.
fn run(casts: &[Vec<Cast>], shares: &[Vec<Share>], round2: &[Vec<Round2Cast>]) -> Result<bool, FrostError> {
    let mut rng = StdRng::seed_from_u64(9);
    let (mut node, _) = machine(1);
    let mut is_done = false;
    for (place, from) in [2, 3].into_iter().enumerate() {
        let events = [
            Event::Round2 { from, casts: round2[place].clone() },
            Event::Casts { from, casts: casts[place].clone() },
            Event::Shares { from, shares: shares[place].clone() },
        ];
        for event in events {
            let mut effects = node.step(event)?;
            while let Some(effect) = effects.pop() {
                match effect {
                    Effect::Compute(job) => {
                        effects.extend(node.step(Event::Computed(job.compute(&mut rng)))?)
                    }
                    Effect::BroadcastRound2(_) => {}
                    Effect::Done(_) => is_done = true,
                }
            }
        }
    }
    Ok(is_done)
}

fn ceremony() -> &'static Ceremony {
    static CEREMONY: OnceLock<Ceremony> = OnceLock::new();
    CEREMONY.get_or_init(|| {
        let mut nodes: Vec<(Frost, Round1)> = (1..=3).map(machine).collect();
        let mut round2 = Vec::new();
        let mut rng = StdRng::seed_from_u64(9);
        for to in 1..=3_u64 {
            let place = usize::try_from(to).expect("small") - 1;
            for from in (1..=3_u64).filter(|from| *from != to) {
                let other = &nodes[usize::try_from(from).expect("small") - 1].1;
                let (casts, shares) = (other.casts.clone(), other.shares[&to].clone());
                let machine = &mut nodes[place].0;
                machine.step(Event::Casts { from, casts }).expect("fine");
                let mut effects = machine.step(Event::Shares { from, shares }).expect("fine");
                while let Some(effect) = effects.pop() {
                    match effect {
                        Effect::Compute(job) => {
                            effects = machine.step(Event::Computed(job.compute(&mut rng))).expect("fine");
                        }
                        Effect::BroadcastRound2(casts) => round2.push((to, casts)),
                        Effect::Done(_) => panic!("others said nothing yet"),
                    }
                }
            }
        }
        let others = (1..).zip(nodes).skip(1).map(|(index, (_, round1))| (index, round1)).collect();
        Ceremony { others, round2: round2.split_off(1) }
    })
}

#[test]
fn the_sample_is_a_ceremony() {
    let sample = ceremony();
    let casts: Vec<_> = sample.others.iter().map(|(_, round1)| round1.casts.clone()).collect();
    let shares: Vec<_> = sample.others.iter().map(|(_, round1)| round1.shares[&1].clone()).collect();
    let round2: Vec<_> = sample.round2.iter().map(|(_, casts)| casts.clone()).collect();
    assert_eq!(run(&casts, &shares, &round2), Ok(true));
}

#[test]
fn frost_messages() {
    let sample = ceremony();
    let casts_of = |round1: &Round1| round1.casts.iter().flat_map(cast_bytes).collect::<Vec<u8>>();
    let shares_of = |round1: &Round1| round1.shares[&1].iter().flat_map(share_bytes).collect::<Vec<u8>>();
    let good = [
        casts_of(&sample.others[0].1),
        shares_of(&sample.others[0].1),
        sample.round2[0].1.iter().flat_map(round2_bytes).collect(),
    ];
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let (which, script) = script.split_first().unwrap_or((&0, &[]));
        let which = usize::from(*which) % 3;
        let mut bytes = good.clone();
        bytes[which] = mutate(&good[which], script, &["\0\0\0\0", "\0\0\0\u{1}"]);
        let casts: Vec<Cast> =
            bytes[0].chunks(CAST_LEN).filter(|entry| entry.len() >= 76).map(cast).collect();
        let shares: Vec<Share> = bytes[1].chunks_exact(SHARE_LEN).map(share).collect();
        let round2: Vec<Round2Cast> = bytes[2].chunks_exact(ROUND2_LEN).map(round2).collect();
        let is_same = {
            let (mut casts, mut shares, mut round2) = (casts.clone(), shares.clone(), round2.clone());
            // Entries may stand in another order, which is the same message.
            casts.sort_by_key(|cast| cast.key.validator);
            shares.sort_by_key(|share| share.key.validator);
            round2.sort_by_key(|cast| cast.key.validator);
            let (from, round1) = &sample.others[0];
            assert_eq!(*from, 2);
            casts == round1.casts && shares == round1.shares[&1] && round2 == sample.round2[0].1
        };
        let second = &sample.others[1].1;
        let result = run(
            &[casts, second.casts.clone()],
            &[shares, second.shares[&1].clone()],
            &[round2, sample.round2[1].1.clone()],
        );
        match result {
            Ok(is_done) => assert!(is_done && is_same, "keys came of a damaged message"),
            Err(error) => assert!(!is_same && error.culprit() == Some(2), "{error}"),
        }
    });
}

// -------------------------------------------------------------------------------------------------------- Pedersen

/// The kinds of messages of a Pedersen ceremony.
#[derive(Clone, Copy, Debug)]
enum Said {
    NodeKey,
    Deals,
    Responses,
    ShareKey,
}

/// What came to node 0 of a ceremony of three, as it was on the wire, in its order; and the key.
struct PedersenSample {
    heard: Vec<(u32, Said, Vec<u8>)>,
    key: PublicKey,
}

const SESSION: [u8; 32] = [6; 32];

fn pedersen(index: u32) -> (Pedersen, pedersen::NodeKey, StdRng) {
    let parameters = Parameters::new(3, 2, u64::from(index) + 1, 1).expect("parameters");
    let mut rng = StdRng::seed_from_u64(100 + u64::from(index));
    let (machine, key, _) = Pedersen::new(parameters, SESSION, &mut rng);
    (machine, key, rng)
}

/// The event of bytes from the wire, if they are one.
fn read(from: u32, said: Said, bytes: &[u8]) -> Option<pedersen::Event> {
    const LIMIT: usize = 4096;
    match said {
        Said::NodeKey => {
            let message: NodePubKeyMessage = decode(bytes, LIMIT).ok()?;
            pedersen::Event::node_key(from, &message).ok()?
        }
        Said::Deals => pedersen::Event::deals(from, &decode::<PedersenDealBundle>(bytes, LIMIT).ok()?),
        Said::Responses => {
            pedersen::Event::responses(from, &decode::<PedersenResponseBundle>(bytes, LIMIT).ok()?)
        }
        Said::ShareKey => {
            pedersen::Event::share_key(from, &decode::<ValidatorPubKeyShareMessage>(bytes, LIMIT).ok()?)
        }
    }
}

/// What an effect puts on the wire.
fn written(effect: &pedersen::Effect) -> Option<(Said, Vec<u8>)> {
    match effect {
        pedersen::Effect::SendBundle(AnyBundle::Deals(signed)) => {
            Some((Said::Deals, encode(&PedersenDealBundle::from(signed))))
        }
        pedersen::Effect::SendBundle(AnyBundle::Responses(signed)) => {
            Some((Said::Responses, encode(&PedersenResponseBundle::from(signed))))
        }
        pedersen::Effect::SendShareKey(key) => {
            Some((Said::ShareKey, encode(&ValidatorPubKeyShareMessage::from(key))))
        }
        pedersen::Effect::SendBundle(AnyBundle::Justifications(_))
        | pedersen::Effect::Wait(_)
        | pedersen::Effect::Done(_) => None,
    }
}

fn pedersen_sample() -> &'static PedersenSample {
    static SAMPLE: OnceLock<PedersenSample> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let mut nodes = Vec::new();
        let mut queue = VecDeque::new();
        for index in 0..3 {
            let (machine, key, rng) = pedersen(index);
            nodes.push((machine, rng));
            queue.push_back((index, Said::NodeKey, encode(&NodePubKeyMessage::from(&key))));
        }
        let (mut heard, mut key) = (Vec::new(), None);
        while let Some((from, said, bytes)) = queue.pop_front() {
            for to in (0..3).filter(|to| *to != from) {
                if to == 0 {
                    heard.push((from, said, bytes.clone()));
                }
                let (machine, rng) = &mut nodes[usize::try_from(to).expect("small")];
                let event = read(from, said, &bytes).expect("all are honest");
                for effect in machine.step(event, rng).expect("all are honest") {
                    if let pedersen::Effect::Done(keys) = &effect {
                        key = Some(keys[0].public);
                    }
                    queue.extend(written(&effect).map(|(said, bytes)| (to, said, bytes)));
                }
            }
        }
        PedersenSample { heard, key: key.expect("it ends") }
    })
}

/// The key that node 0 ends with, after what it heard and after all its time.
fn run_pedersen(heard: &[(u32, Said, Vec<u8>)]) -> Option<PublicKey> {
    let (mut machine, _, mut rng) = pedersen(0);
    let mut waits = VecDeque::from([pedersen::Wait::NodeKeys]);
    let mut key = None;
    let messages = heard.iter().filter_map(|(from, said, bytes)| read(*from, *said, bytes));
    let mut events: VecDeque<pedersen::Event> = messages.collect();
    while let Some(event) = events.pop_front().or_else(|| waits.pop_front().map(pedersen::Event::PhaseOver)) {
        for effect in machine.step(event, &mut rng).ok()? {
            match effect {
                pedersen::Effect::Wait(wait) => waits.push_back(wait),
                pedersen::Effect::Done(keys) => {
                    assert_eq!(keys[0].secret.public(), keys[0].public_shares[0]);
                    key = Some(keys[0].public);
                }
                pedersen::Effect::SendBundle(_) | pedersen::Effect::SendShareKey(_) => {}
            }
        }
    }
    key
}

#[test]
fn pedersen_messages() {
    let sample = pedersen_sample();
    assert_eq!(run_pedersen(&sample.heard), Some(sample.key), "the sample is a ceremony");
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let (which, script) = script.split_first().unwrap_or((&0, &[]));
        let mut heard = sample.heard.clone();
        let which = usize::from(*which) % heard.len();
        heard[which].2 = mutate(&sample.heard[which].2, script, &["\0", "\u{1}", "\u{12}"]);
        let is_same = heard[which].2 == sample.heard[which].2;
        match run_pedersen(&heard) {
            Some(key) => assert_eq!(key, sample.key, "another key came of a damaged message"),
            None => assert!(!is_same, "nothing was damaged"),
        }
    });
}
