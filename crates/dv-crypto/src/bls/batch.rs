//! Many signatures at once, by a random linear combination: with random cᵢ, Σ cᵢ·Sᵢ is the signature that
//! Σ cᵢ·Pᵢ would give, and a bad one among them goes unseen with a chance of 2⁻⁶⁴. Keys are summed by message
//! first, so that validators who sign the same root share one pairing.

use std::collections::BTreeMap;

use rand_core::CryptoRng;

use super::{PublicKey, Signature, TAG, verify};
use crate::ffi::{self, G1, G2};

/// Bytes of a coefficient.
pub(super) const COEFFICIENT_LEN: usize = 8;

/// Who signed what, and the signature.
pub type Signed = (PublicKey, [u8; 32], Signature);

/// Whether all signatures verify; nothing at all does.
///
/// The generator must be one that whoever made the signatures cannot predict.
#[must_use]
pub fn verify_batch(items: &[Signed], rng: &mut impl CryptoRng) -> bool {
    if let [(public, message, signature)] = items {
        return verify(public, message, signature);
    }
    // Infinity is no signature, and would add nothing.
    if items.iter().any(|(_, _, signature)| signature.0.is_infinity()) {
        return false;
    }
    let mut keys: BTreeMap<&[u8; 32], Vec<(G1, [u8; COEFFICIENT_LEN])>> = BTreeMap::new();
    let mut signatures = Vec::with_capacity(items.len());
    for (public, message, signature) in items {
        let coefficient = coefficient(rng);
        keys.entry(message).or_default().push((public.0, coefficient));
        signatures.push((signature.0, coefficient));
    }
    let pairs = keys.into_iter().map(|(message, terms)| (G1::combine(terms), G2::hash(message, TAG)));
    ffi::pairings_equal(pairs, &G2::combine(signatures))
}

/// A number that is not zero: zero would leave its signature unchecked.
pub(super) fn coefficient(rng: &mut impl CryptoRng) -> [u8; COEFFICIENT_LEN] {
    loop {
        let number = rng.next_u64();
        if number != 0 {
            return number.to_le_bytes();
        }
    }
}

/// The places of the signatures that do not verify, in ascending order; each one was checked alone.
///
/// Halves that verify are passed over, so b bad ones of n cost about 2·b·log₂(n/b) batches; at most 2·n.
#[must_use]
pub fn find_invalid(items: &[Signed], rng: &mut impl CryptoRng) -> Vec<usize> {
    let mut invalid = Vec::new();
    // Ranges still to look at, the lowest on top, and whether something in them is known to be bad.
    let mut ranges = vec![(0..items.len(), false)];
    while let Some((range, is_bad)) = ranges.pop() {
        let part = items.get(range.clone()).unwrap_or_default();
        if part.is_empty() || (!(is_bad && part.len() > 1) && verify_batch(part, rng)) {
            // The lower half is good, so what made the whole fail is in the upper one, next on the stack.
            continue;
        }
        if part.len() == 1 {
            invalid.push(range.start);
            continue;
        }
        let middle = range.start.midpoint(range.end);
        let (lower, upper) = (range.start..middle, middle..range.end);
        let lower_is_good = verify_batch(items.get(lower.clone()).unwrap_or_default(), rng);
        ranges.push((upper, lower_is_good));
        if !lower_is_good {
            ranges.push((lower, true));
        }
    }
    invalid
}
