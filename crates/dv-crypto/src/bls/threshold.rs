//! One secret as shares: any t of n give it back, fewer say nothing (Shamir over the numbers modulo r). What holds
//! for the secret holds for its public key and its signatures, because all three are linear in it.

use rand_core::CryptoRng;

use super::{BlsError, Object, Polynomial, PublicKey, SecretKey, Signature};
use crate::ffi::{G1, G2, Scalar};

/// Most shares of one secret: ceremonies number participants with one byte.
pub const MAX_SHARES: u64 = 255;

/// Splits a secret into shares with indices 1 to `shares`, of which any `threshold` give it back.
///
/// # Errors
/// The threshold is below 2 or above the number of shares, or there are more than [`MAX_SHARES`].
pub fn split(
    secret: &SecretKey,
    shares: u64,
    threshold: u64,
    rng: &mut impl CryptoRng,
) -> Result<Vec<(u64, SecretKey)>, BlsError> {
    if threshold > shares || shares > MAX_SHARES {
        return Err(BlsError::Threshold { shares, threshold });
    }
    let count = usize::try_from(shares).map_err(|_| BlsError::Threshold { shares, threshold })?;
    loop {
        let polynomial = Polynomial::random(secret, threshold, rng)?;
        // As large as it gets: a vector that grows leaves shares behind in memory that nobody wipes.
        let mut dealt = Vec::with_capacity(count);
        // A share that is zero (a chance of 2⁻²⁴⁷) is no key: other coefficients.
        let is_whole = (1..=shares).all(|index| match polynomial.share(index) {
            Ok(share) => {
                dealt.push((index, share));
                true
            }
            Err(_) => false,
        });
        if is_whole {
            return Ok(dealt);
        }
    }
}

/// The secret from at least as many shares as the threshold. Fewer give a wrong one: compare its public key.
///
/// # Errors
/// No share, an index that is 0 or there twice, or shares that add up to zero.
pub fn recover_secret(shares: &[(u64, SecretKey)]) -> Result<SecretKey, BlsError> {
    let factors = lagrange_at_zero(shares, Object::SecretKey)?;
    let terms = shares.iter().zip(&factors).map(|((_, share), factor)| share.0.mul(factor));
    SecretKey::new(terms.fold(Scalar::default(), |sum, term| sum.add(&term)))
}

/// The public key from at least as many public shares as the threshold. Fewer give a wrong one.
///
/// # Errors
/// No share, an index that is 0 or there twice, or shares that add up to infinity.
pub fn recover_public(shares: &[(u64, PublicKey)]) -> Result<PublicKey, BlsError> {
    let factors = lagrange_at_zero(shares, Object::PublicKey)?;
    let terms = shares.iter().zip(&factors).map(|((_, share), factor)| (share.0, factor.to_public_le()));
    PublicKey::new(G1::combine(terms))
}

/// The signature of the whole key from at least as many partial ones as the threshold. Nothing is verified: fewer,
/// or a bad one among them, give a signature that does not verify.
///
/// # Errors
/// No signature, or an index that is 0 or there twice.
pub fn recover_signature(partials: &[(u64, Signature)]) -> Result<Signature, BlsError> {
    let factors = lagrange_at_zero(partials, Object::Signature)?;
    let terms =
        partials.iter().zip(&factors).map(|((_, partial), factor)| (partial.0, factor.to_public_le()));
    Ok(Signature(G2::combine(terms)))
}

/// λᵢ = Π xⱼ / (xⱼ − xᵢ) over all j ≠ i: what each share counts for at 0.
fn lagrange_at_zero<T>(shares: &[(u64, T)], object: Object) -> Result<Vec<Scalar>, BlsError> {
    if shares.is_empty() {
        return Err(BlsError::Nothing { object });
    }
    let mut indices: Vec<u64> = shares.iter().map(|(index, _)| *index).collect();
    indices.sort_unstable();
    if indices.first() == Some(&0) {
        return Err(BlsError::IndexZero);
    }
    if let Some(index) = indices.array_windows().find_map(|[a, b]| (a == b).then_some(*a)) {
        return Err(BlsError::IndexTwice { index });
    }
    let points: Vec<Scalar> = shares.iter().map(|(index, _)| Scalar::from_u64(*index)).collect();
    let product = points.iter().fold(Scalar::from_u64(1), |product, point| product.mul(point));
    let factor = |(place, own): (usize, &Scalar)| {
        let others = points.iter().enumerate().filter(|(other, _)| *other != place);
        let below = others.fold(own.clone(), |below, (_, point)| below.mul(&point.sub(own)));
        product.mul(&below.inverse())
    };
    Ok(points.iter().enumerate().map(factor).collect())
}
