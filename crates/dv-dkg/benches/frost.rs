//! What one node of a FROST ceremony computes, beside a plain loop that does the same one key after another, with the
//! functions for one key.
//!
//! ```sh
//! cargo bench -p coxswain-dv-dkg --bench frost          # a minute
//! ```
//!
//! Both deal, check what all peers dealt, make keys and compare what all peers said in round 2, in one thread. The
//! loop does what charon does, and the comparisons that we add; both end with the same keys before anything is timed.

#![expect(clippy::print_stdout, reason = "its results are its output")]
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use coxswain_dv_crypto::bls::{Commitments, KnowledgeProof, Polynomial, PublicKey, SecretKey};
use coxswain_dv_dkg::frost::{Cast, Effect, EntryKey, Event, Frost, Job, Round1, Round2Cast, Share};
use coxswain_dv_dkg::{KeyShare, Parameters};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Nodes, threshold, validators.
const CEREMONIES: [(u64, u64, usize); 5] =
    [(4, 3, 1), (4, 3, 100), (4, 3, 1_000), (7, 5, 1_000), (10, 7, 1_000)];
/// Turns of each: as many as make so many validators, and at least so many.
const VALIDATORS_IN_ALL: usize = 500;
const LEAST_TURNS: usize = 3;

/// What all others send to node 1.
struct Heard {
    casts: Vec<(u64, Vec<Cast>)>,
    shares: Vec<(u64, Vec<Share>)>,
    round2: Vec<(u64, Vec<Round2Cast>)>,
}

/// The keys of node 1 after what it heard; how long checks, the sum and comparisons took.
fn ours(mut machine: Frost, heard: &Heard, times: &mut [Duration; 3]) -> Vec<KeyShare> {
    let mut rng = StdRng::seed_from_u64(2);
    let mut jobs: Vec<Job> = Vec::new();
    let mut keys = Vec::new();
    let mut step = |event: Event, jobs: &mut Vec<Job>| {
        for effect in machine.step(event).expect("all are honest") {
            match effect {
                Effect::Compute(job) => jobs.push(job),
                Effect::BroadcastRound2(casts) => drop(black_box(casts)),
                Effect::Done(done) => keys = done,
            }
        }
    };
    let start = Instant::now();
    for ((from, casts), (_, shares)) in heard.casts.iter().zip(&heard.shares) {
        let (from, casts, shares) = (*from, casts.clone(), shares.clone());
        step(Event::Casts { from, casts }, &mut jobs);
        step(Event::Shares { from, shares }, &mut jobs);
    }
    for job in std::mem::take(&mut jobs) {
        step(Event::Computed(job.compute(&mut rng)), &mut jobs);
    }
    times[0] = start.elapsed();
    let sum = jobs.pop().expect("all peers are good");
    step(Event::Computed(sum.compute(&mut rng)), &mut jobs);
    times[1] = start.elapsed() - times[0];
    for (from, casts) in &heard.round2 {
        step(Event::Round2 { from: *from, casts: casts.clone() }, &mut jobs);
    }
    times[2] = start.elapsed() - times[1] - times[0];
    keys
}

/// The same, one validator and one peer after another.
fn plain_deal(
    threshold: u64,
    validators: usize,
    nodes: u64,
    rng: &mut StdRng,
) -> Vec<(Polynomial, Commitments)> {
    (0..validators)
        .map(|_| {
            let secret = SecretKey::generate(rng);
            let polynomial = Polynomial::random(&secret, threshold, rng).expect("a polynomial");
            let nonce = SecretKey::generate(rng);
            let commitments = polynomial.commitments();
            black_box(KnowledgeProof::new(&secret, &nonce, 1, 0));
            for target in 2..=nodes {
                black_box(polynomial.share(target).expect("a share"));
            }
            (polynomial, commitments)
        })
        .collect()
}

fn plain_rest(nodes: u64, heard: &Heard, own: &[(Polynomial, Commitments)]) -> Vec<KeyShare> {
    let mut out = Vec::new();
    for (place, (polynomial, commitments)) in own.iter().enumerate() {
        let (mut all, mut shares) = (vec![commitments.clone()], vec![polynomial.share(1).expect("a share")]);
        for ((from, casts), (_, sent)) in heard.casts.iter().zip(&heard.shares) {
            let cast = &casts[place];
            let theirs = Commitments::from_bytes(&cast.commitments).expect("commitments");
            let participant = u8::try_from(*from).expect("small");
            assert!(cast.proof.verify(&theirs.points()[0], participant, 0));
            let share = SecretKey::from_bytes(sent[place].value.as_slice()).expect("a share");
            assert!(theirs.has_share(1, &share));
            all.push(theirs);
            shares.push(share);
        }
        let sum = Commitments::sum(&all).expect("a sum");
        let secret = SecretKey::sum(&shares).expect("a share");
        black_box(secret.public());
        let public_shares: Vec<PublicKey> =
            (1..=nodes).map(|index| sum.share(index).expect("a share")).collect();
        out.push(KeyShare { secret, public: sum.points()[0], public_shares });
    }
    for (from, casts) in &heard.round2 {
        for (cast, key) in casts.iter().zip(&out) {
            let place = usize::try_from(*from).expect("small") - 1;
            assert_eq!(PublicKey::from_bytes(&cast.verification_key), Ok(key.public));
            assert_eq!(PublicKey::from_bytes(&cast.public_share), Ok(key.public_shares[place]));
        }
    }
    out
}

/// What node 1 hears, in round 1 of honest others.
fn heard(round1: &[Round1]) -> Heard {
    let others = || (1_u64..).zip(round1).skip(1);
    Heard {
        casts: others().map(|(from, round1)| (from, round1.casts.clone())).collect(),
        shares: others().map(|(from, round1)| (from, round1.shares[&1].clone())).collect(),
        round2: Vec::new(),
    }
}

fn ceremony(nodes: u64, threshold: u64, validators: usize) {
    let mut rng = StdRng::seed_from_u64(1);
    let parameters = |index| Parameters::new(nodes, threshold, index, validators).expect("parameters");
    let round1: Vec<Round1> =
        (1..=nodes).map(|index| Frost::new(parameters(index), &mut rng).expect("a machine").1).collect();
    let mut heard = heard(&round1);
    let mut lines: Vec<[f64; 5]> = Vec::new();
    // What honest others say in round 2 is what a first pass gives.
    heard.round2 = agree(nodes, &plain_pass(nodes, threshold, validators, &heard).1);
    for _ in 0..LEAST_TURNS.max(VALIDATORS_IN_ALL / validators) {
        let mut times = [Duration::ZERO; 3];
        let start = Instant::now();
        let (machine, own) = Frost::new(parameters(1), &mut StdRng::seed_from_u64(9)).expect("a machine");
        let deal = start.elapsed();
        drop(black_box(own));
        let keys = ours(machine, &heard, &mut times);
        let (plain, expected) = plain_pass(nodes, threshold, validators, &heard);
        assert!(keys == expected, "both make the same keys");
        lines.push([deal, times[0], times[1], times[2], plain].map(|time| time.as_secs_f64() * 1e3));
    }
    let column = |at: usize| {
        let mut values: Vec<f64> = lines.iter().map(|line| line[at]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let [deal, check, sum, compare, plain] = [0, 1, 2, 3, 4].map(column);
    let all = deal + check + sum + compare;
    println!(
        "{nodes:>3} {threshold:>3} {validators:>6} {deal:>9.1} {check:>9.1} {sum:>9.1} {compare:>9.1} {all:>9.1} \
         {plain:>9.1} {:>6.2}",
        plain / all
    );
}

fn plain_pass(nodes: u64, threshold: u64, validators: usize, heard: &Heard) -> (Duration, Vec<KeyShare>) {
    let mut rng = StdRng::seed_from_u64(9);
    let start = Instant::now();
    let own = plain_deal(threshold, validators, nodes, &mut rng);
    let keys = plain_rest(nodes, heard, &own);
    (start.elapsed(), keys)
}

fn agree(nodes: u64, keys: &[KeyShare]) -> Vec<(u64, Vec<Round2Cast>)> {
    let mut out = Vec::new();
    for from in 2..=nodes {
        let source = u32::try_from(from).expect("small");
        let place = usize::try_from(from).expect("small") - 1;
        let cast = |(validator, key): (u32, &KeyShare)| Round2Cast {
            key: EntryKey { validator, source, target: 0 },
            verification_key: key.public.to_bytes(),
            public_share: key.public_shares[place].to_bytes(),
        };
        out.push((from, (0..).zip(keys).map(cast).collect()));
    }
    out
}

fn main() {
    println!(
        "{:>3} {:>3} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6}",
        "n", "t", "keys", "deal ms", "check", "sum", "compare", "all", "plain", "ratio"
    );
    for (nodes, threshold, validators) in CEREMONIES {
        ceremony(nodes, threshold, validators);
    }
}
