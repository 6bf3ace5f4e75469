//! What threshold signatures cost beside plain loops over blst that do the same one by one.
//!
//! ```sh
//! cargo bench -p coxswain-dv-crypto --bench bls          # a minute
//! ```
//!
//! Both take turns on the same input in one thread, and what they give is compared before anything is timed.

#![expect(clippy::print_stdout, reason = "its results are its output")]
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a benchmark reads the clock")]
#![expect(unsafe_code, reason = "the loops beside it call blst itself, whose scalars have no safe form")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use blst::min_pk;
use coxswain_dv_crypto::bls::{
    PublicKey, SecretKey, Signature, Signed, recover_signature, split, verify, verify_batch,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

const TAG: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
/// Nodes and threshold.
const CLUSTERS: [(u64, usize); 3] = [(4, 3), (7, 5), (10, 7)];
const VALIDATORS: [usize; 3] = [1, 100, 1_000];
/// Turns of each line: as many as fit, but for one that must be.
const LEAST_TURNS: usize = 3;
const MOST_TURNS: usize = 15;
/// After the least number of turns no other begins when so much time went by.
const BUDGET: Duration = Duration::from_millis(700);
/// Attestations of a slot have one root since Electra.
const ROOT: [u8; 32] = [7; 32];

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e6
}

/// Microseconds per validator of either, and the median of the ratios of pairs; first one begins, then the other.
fn pair(name: &str, validators: usize, mut ours: impl FnMut(), mut plain: impl FnMut()) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while a.len() < LEAST_TURNS || (a.len() < MOST_TURNS && start.elapsed() < BUDGET) {
        if a.len().is_multiple_of(2) {
            a.push(timed(&mut ours));
            b.push(timed(&mut plain));
        } else {
            b.push(timed(&mut plain));
            a.push(timed(&mut ours));
        }
    }
    let ratios = a.iter().zip(&b).map(|(ours, plain)| plain / ours).collect();
    let count = f64::from(u32::try_from(validators).expect("few"));
    let turns = a.len();
    println!(
        "{name:<28} {validators:>5} {:>10.1} {:>10.1} {:>6.2} {turns:>5}",
        median(a) / count,
        median(b) / count,
        median(ratios)
    );
}

// ------------------------------------------------------------------------------------------------ blst, one by one

fn scalar(number: u64) -> blst::blst_fr {
    let mut out = blst::blst_fr::default();
    // SAFETY: reads four limbs, writes one number.
    unsafe { blst::blst_fr_from_uint64(&raw mut out, [number, 0, 0, 0].as_ptr()) };
    out
}

fn fr(key: &SecretKey) -> blst::blst_fr {
    let (mut plain, mut out) = (blst::blst_scalar::default(), blst::blst_fr::default());
    // SAFETY: 32 bytes are read; both outputs are on this stack.
    unsafe {
        blst::blst_scalar_from_bendian(&raw mut plain, key.to_bytes().as_ptr());
        blst::blst_fr_from_scalar(&raw mut out, &raw const plain);
    }
    out
}

/// The values of a polynomial at 1 to n, by Horner's rule.
fn plain_split(terms: &[blst::blst_fr], nodes: u64) -> Vec<blst::blst_scalar> {
    let share = |index: u64| {
        let (x, mut sum) = (scalar(index), blst::blst_fr::default());
        let mut out = blst::blst_scalar::default();
        // SAFETY: numbers on this stack; multiplication and addition may write over what they read.
        unsafe {
            for term in terms.iter().rev() {
                blst::blst_fr_mul(&raw mut sum, &raw const sum, &raw const x);
                blst::blst_fr_add(&raw mut sum, &raw const sum, &raw const *term);
            }
            blst::blst_scalar_from_fr(&raw mut out, &raw const sum);
        }
        out
    };
    (1..=nodes).map(share).collect()
}

/// Σ λᵢ·Sᵢ, one multiplication a share.
fn plain_recover(partials: &[(u64, blst::blst_p2_affine)]) -> [u8; 96] {
    let mut sum = blst::blst_p2::default();
    for (own, point) in partials {
        let (mut above, mut below, here) = (scalar(1), scalar(1), scalar(*own));
        let (mut factor, mut base, mut term) =
            (blst::blst_scalar::default(), blst::blst_p2::default(), blst::blst_p2::default());
        // SAFETY: numbers and points on this stack; the number has 32 bytes, more than 255 bits.
        unsafe {
            for (other, _) in partials.iter().filter(|(other, _)| other != own) {
                let (x, mut difference) = (scalar(*other), blst::blst_fr::default());
                blst::blst_fr_sub(&raw mut difference, &raw const x, &raw const here);
                blst::blst_fr_mul(&raw mut above, &raw const above, &raw const x);
                blst::blst_fr_mul(&raw mut below, &raw const below, &raw const difference);
            }
            blst::blst_fr_inverse(&raw mut below, &raw const below);
            blst::blst_fr_mul(&raw mut above, &raw const above, &raw const below);
            blst::blst_scalar_from_fr(&raw mut factor, &raw const above);
            blst::blst_p2_from_affine(&raw mut base, point);
            blst::blst_p2_mult(&raw mut term, &raw const base, factor.b.as_ptr(), 255);
            blst::blst_p2_add_or_double(&raw mut sum, &raw const sum, &raw const term);
        }
    }
    let mut out = [0; 96];
    // SAFETY: 96 bytes are written.
    unsafe { blst::blst_p2_compress(out.as_mut_ptr(), &raw const sum) };
    out
}

fn point(signature: &Signature) -> blst::blst_p2_affine {
    min_pk::Signature::from_bytes(&signature.to_bytes()).expect("a signature").into()
}

fn plain_verify(items: &[(min_pk::PublicKey, min_pk::Signature)]) -> bool {
    items.iter().all(|(key, signature)| {
        signature.verify(false, &ROOT, TAG, &[], key, false) == blst::BLST_ERROR::BLST_SUCCESS
    })
}

// ----------------------------------------------------------------------------------------------------------- lines

fn threshold_lines(rng: &mut StdRng, (nodes, threshold): (u64, usize), validators: usize) {
    let secrets: Vec<SecretKey> = (0..validators).map(|_| SecretKey::generate(rng)).collect();
    let terms: Vec<Vec<blst::blst_fr>> = secrets
        .iter()
        .map(|secret| {
            let others = (1..threshold).map(|_| fr(&SecretKey::generate(rng)));
            std::iter::once(fr(secret)).chain(others).collect()
        })
        .collect();
    let t = u64::try_from(threshold).expect("few");
    let partials: Vec<Vec<(u64, Signature)>> = secrets
        .iter()
        .map(|secret| {
            let shares = split(secret, nodes, t, rng).expect("shares");
            shares.iter().take(threshold).map(|(index, share)| (*index, share.sign(&ROOT))).collect()
        })
        .collect();
    let points: Vec<Vec<(u64, blst::blst_p2_affine)>> =
        partials.iter().map(|all| all.iter().map(|(index, one)| (*index, point(one))).collect()).collect();
    let whole = recover_signature(&partials[0]).expect("enough");
    assert_eq!((whole, whole.to_bytes()), (secrets[0].sign(&ROOT), plain_recover(&points[0])));
    pair(
        &format!("split, {threshold} of {nodes}"),
        validators,
        || secrets.iter().for_each(|secret| drop(black_box(split(secret, nodes, t, rng)))),
        || terms.iter().for_each(|terms| drop(black_box(plain_split(terms, nodes)))),
    );
    pair(
        &format!("aggregate, {threshold} of {nodes}"),
        validators,
        || partials.iter().for_each(|all| drop(black_box(recover_signature(all)))),
        || points.iter().for_each(|all| drop(black_box(Box::new(plain_recover(all))))),
    );
}

fn signature_lines(rng: &mut StdRng, validators: usize) {
    let secrets: Vec<SecretKey> = (0..validators).map(|_| SecretKey::generate(rng)).collect();
    let plain_secrets: Vec<min_pk::SecretKey> = secrets
        .iter()
        .map(|secret| min_pk::SecretKey::from_bytes(&*secret.to_bytes()).expect("a key"))
        .collect();
    let items: Vec<Signed> =
        secrets.iter().map(|secret| (secret.public(), ROOT, secret.sign(&ROOT))).collect();
    let both = |(key, _, signature): &Signed| {
        let key = min_pk::PublicKey::from_bytes(&PublicKey::to_bytes(key)).expect("a key");
        (key, min_pk::Signature::from_bytes(&signature.to_bytes()).expect("a signature"))
    };
    let plain_items: Vec<_> = items.iter().map(both).collect();
    assert!(verify_batch(&items, rng) && plain_verify(&plain_items));
    assert_eq!(items[0].2.to_bytes(), plain_secrets[0].sign(&ROOT, TAG, &[]).to_bytes());
    pair(
        "partial sign",
        validators,
        || secrets.iter().for_each(|secret| drop(black_box(Box::new(secret.sign(&ROOT))))),
        || plain_secrets.iter().for_each(|secret| drop(black_box(Box::new(secret.sign(&ROOT, TAG, &[]))))),
    );
    pair(
        "verify, one by one",
        validators,
        || assert!(items.iter().all(|(key, root, signature)| verify(key, root, signature))),
        || assert!(plain_verify(&plain_items)),
    );
    pair(
        "verify, a batch, one root",
        validators,
        || assert!(verify_batch(&items, rng)),
        || assert!(plain_verify(&plain_items)),
    );
}

fn main() {
    let mut rng = StdRng::seed_from_u64(1);
    println!(
        "{:<28} {:>5} {:>10} {:>10} {:>6} {:>5}",
        "µs per validator", "", "ours", "blst", "ratio", "turns"
    );
    for validators in VALIDATORS {
        signature_lines(&mut rng, validators);
        for cluster in CLUSTERS {
            threshold_lines(&mut rng, cluster, validators);
        }
    }
}
