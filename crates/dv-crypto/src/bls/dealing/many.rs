//! The same for many keys at once, as a ceremony makes them: each result is that of the function for one key, at a
//! fraction of its time. Divisions are shared, checks of shares go by one random linear combination, and public
//! shares come from the commitments by multiplications with small numbers.

use rand_core::CryptoRng;

use super::super::batch::{COEFFICIENT_LEN, coefficient};
use super::{BlsError, Commitments, KnowledgeProof, Object, Polynomial, PublicKey, SecretKey, challenge};
use crate::ffi::{G1, GeneratorMultiples, SCALAR_LEN, Scalar, Sum};

/// The commitments to each polynomial, and a proof that its secret is known, made with the nonce beside it.
///
/// Each nonce must be fresh and random: the same one twice gives a secret away.
#[must_use]
pub fn commit_and_prove(
    dealt: &[(Polynomial, SecretKey)],
    participant: u8,
    context: u8,
) -> Vec<(Commitments, KnowledgeProof)> {
    let scalars = dealt.iter().flat_map(|(polynomial, nonce)| polynomial.0.iter().chain([nonce]));
    let sums: Vec<Sum> = scalars.map(|key| Sum::of_secret(&key.0)).collect();
    let mut points = Sum::finish(&sums).into_iter();
    let prove = |(polynomial, nonce): &(Polynomial, SecretKey)| {
        // A key is not zero, so that none of these points is infinity.
        let commitments: Vec<PublicKey> = points.by_ref().take(polynomial.0.len()).map(PublicKey).collect();
        let (first, own) = (commitments.first()?, points.next()?);
        let challenge = challenge(&first.0, &own, participant, context);
        let proof = KnowledgeProof::of(polynomial.0.first()?, nonce, &challenge);
        Some((Commitments(commitments), proof))
    };
    dealt.iter().filter_map(prove).collect()
}

/// The place of the first proof that does not verify for the secret of its commitments.
#[must_use]
pub fn first_unproved(
    items: &[(Commitments, KnowledgeProof)],
    participant: u8,
    context: u8,
) -> Option<usize> {
    if items.len() < GeneratorMultiples::WORTH {
        return items.iter().position(|(commitments, proof)| {
            commitments.0.first().is_none_or(|public| !proof.verify(public, participant, context))
        });
    }
    let multiples = GeneratorMultiples::new();
    // R = w·G − c·A; what is no number is found below.
    let nonce = |(commitments, proof): &(Commitments, KnowledgeProof)| {
        let response = Scalar::from_bytes(&proof.response)?;
        let minus = Scalar::default().sub(&Scalar::from_bytes(&proof.challenge)?);
        let public = commitments.0.first()?;
        Some(multiples.times(&response.to_public_le()).add(&Sum::times_secret(&public.0, &minus)))
    };
    let sums: Vec<Sum> = items.iter().map(|item| nonce(item).unwrap_or_default()).collect();
    let nonces = Sum::finish(&sums);
    items.iter().zip(&nonces).position(|((commitments, proof), nonce)| {
        let is_reduced = Scalar::from_bytes(&proof.response).is_some();
        let expected =
            commitments.0.first().map(|public| challenge(&public.0, nonce, participant, context).to_bytes());
        let is_right = expected.is_some_and(|expected| *expected == proof.challenge);
        !is_reduced || proof.challenge == [0; SCALAR_LEN] || !is_right
    })
}

/// The place of the first share that is not what its dealer owes this index, found by halves where there is one.
///
/// The generator must be one that no dealer can predict: then a bad share goes unseen with a chance of 2⁻⁶⁴.
#[must_use]
pub fn first_bad_share(
    items: &[(&Commitments, &SecretKey)],
    index: u64,
    rng: &mut impl CryptoRng,
) -> Option<usize> {
    if index == 0 {
        return (!items.is_empty()).then_some(0);
    }
    if all_fit(items, index, rng) {
        return None;
    }
    let (mut low, mut high) = (0_usize, items.len());
    while low.saturating_add(1) < high {
        let middle = low.midpoint(high);
        if all_fit(items.get(low..middle).unwrap_or_default(), index, rng) {
            low = middle;
        } else {
            high = middle;
        }
    }
    // Nobody is accused by chance: the one that was found is looked at alone.
    items
        .iter()
        .enumerate()
        .skip(low)
        .find(|(_, (dealer, share))| !dealer.has_share(index, share))
        .map(|(at, _)| at)
}

/// Whether Σ cᵢ·shareᵢ·G = Σ indexᵏ·(Σ cᵢ·Aᵢₖ) for random cᵢ.
fn all_fit(items: &[(&Commitments, &SecretKey)], index: u64, rng: &mut impl CryptoRng) -> bool {
    if let [(dealer, share)] = items {
        return dealer.has_share(index, share);
    }
    let factors: Vec<[u8; COEFFICIENT_LEN]> = items.iter().map(|_| coefficient(rng)).collect();
    let secret = items.iter().zip(&factors).fold(Scalar::default(), |sum, ((_, share), factor)| {
        sum.add(&share.0.mul(&Scalar::from_u64(u64::from_le_bytes(*factor))))
    });
    let terms = items.iter().map(|(dealer, _)| dealer.0.len()).max().unwrap_or_default();
    let expected = (0..terms).rev().fold(Sum::default(), |sum, place| {
        let at_place = items
            .iter()
            .zip(&factors)
            .filter_map(|((dealer, _), factor)| Some((dealer.0.get(place)?.0, *factor)));
        sum.times_small(index).plus(&G1::combine(at_place))
    });
    expected.point() == G1::of_secret(&secret)
}

/// For each key the sum of what its dealers committed to; `dealers` are those of each dealer, in the order of keys.
///
/// # Errors
/// There is no dealer, they have not the same keys, degrees differ, or a sum is infinity.
pub fn sum_by_key(dealers: &[&[Commitments]]) -> Result<Vec<Commitments>, BlsError> {
    let (first, others) = dealers.split_first().ok_or(BlsError::Nothing { object: Object::PublicKey })?;
    let mut sums: Vec<Sum> = Vec::new();
    for (key, own) in first.iter().enumerate() {
        for place in 0..own.0.len() {
            let mut sum = Sum::default();
            for dealer in std::iter::once(first).chain(others) {
                let commitments = dealer.get(key).ok_or(BlsError::Nothing { object: Object::PublicKey })?;
                let (expected, found) = (own.0.len(), commitments.0.len());
                let (Some(point), true) = (commitments.0.get(place), expected == found) else {
                    return Err(BlsError::Degree { expected, found });
                };
                sum = sum.plus(&point.0);
            }
            sums.push(sum);
        }
    }
    let mut points = Sum::finish(&sums).into_iter();
    let take = |own: &Commitments| {
        points.by_ref().take(own.0.len()).map(PublicKey::new).collect::<Result<_, _>>().map(Commitments)
    };
    first.iter().map(take).collect()
}

/// For each key its public shares of the indices from 1 to `shares`, in ascending order.
///
/// # Errors
/// A share is infinity.
pub fn public_shares(keys: &[Commitments], shares: u64) -> Result<Vec<Vec<PublicKey>>, BlsError> {
    let share = |key: &Commitments, index: u64| {
        key.0.iter().rev().fold(Sum::default(), |sum, point| sum.times_small(index).plus(&point.0))
    };
    let sums: Vec<Sum> =
        keys.iter().flat_map(|key| (1..=shares).map(move |index| share(key, index))).collect();
    let mut points = Sum::finish(&sums).into_iter();
    let mut take = || (1..=shares).filter_map(|_| points.next().map(PublicKey::new)).collect();
    keys.iter().map(|_| take()).collect()
}
