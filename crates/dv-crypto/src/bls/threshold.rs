//! One secret as shares: any t of n give it back, fewer say nothing (Shamir over the numbers modulo r). What holds
//! for the secret holds for its public key and its signatures, because all three are linear in it.

use rand_core::CryptoRng;

use super::{BlsError, Object, Polynomial, PublicKey, SIGNATURE_LEN, SecretKey, Signature};
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
    check_indices(partials, Object::Signature)?;
    let Some(Weights { weights, divisor }) = Weights::of(partials.iter().map(|(index, _)| *index)) else {
        let factors = lagrange_at_zero(partials, Object::Signature)?;
        let terms =
            partials.iter().zip(&factors).map(|((_, partial), factor)| (partial.0, factor.to_public_le()));
        return Ok(Signature(G2::combine(terms)));
    };
    let terms = partials.iter().zip(weights).map(|((_, partial), weight)| {
        let point = if weight < 0 { partial.0.negated() } else { partial.0 };
        let size = u16::try_from(weight.unsigned_abs()).unwrap_or(u16::MAX);
        (point, size.to_le_bytes())
    });
    let sum = G2::combine(terms);
    if divisor == 1 {
        return Ok(Signature(sum));
    }
    let share = Scalar::from_u64(divisor).inverse();
    Ok(Signature(G2::combine([(sum, share.to_public_le())])))
}

/// The signature of the whole key, as [`recover_signature`], from encoded partial ones. That they are in the group is
/// checked of their sum alone, which costs less and says as much: the sum is what has to verify.
///
/// # Errors
/// As [`recover_signature`], or bytes that are no point of the curve, or a sum outside the group.
pub fn recover_encoded(partials: &[(u64, [u8; SIGNATURE_LEN])]) -> Result<Signature, BlsError> {
    let of_point = |error| BlsError::of_point(error, Object::Signature);
    let mut points = Vec::with_capacity(partials.len());
    for (index, bytes) in partials {
        points.push((*index, Signature(G2::on_curve(bytes).map_err(of_point)?)));
    }
    let whole = recover_signature(&points)?;
    whole.0.in_group().map(Signature).map_err(of_point)
}

/// λᵢ = wᵢ / d with small whole numbers: indices are small, and then so are these.
struct Weights {
    /// Of each share, in the order given.
    weights: Vec<i128>,
    divisor: u64,
}

/// Largest weight: two bytes are a fraction of the work of thirty-two.
const LARGEST_WEIGHT: i128 = u16::MAX as i128;

impl Weights {
    /// None where they are not small.
    fn of(indices: impl Iterator<Item = u64> + Clone) -> Option<Weights> {
        let indices = indices.map(i128::from);
        let mut fractions = Vec::new();
        let mut divisor: i128 = 1;
        for own in indices.clone() {
            let (mut above, mut below): (i128, i128) = (1, 1);
            for other in indices.clone().filter(|other| *other != own) {
                (above, below) = (above.checked_mul(other)?, below.checked_mul(other.checked_sub(own)?)?);
                let shared = gcd(above, below);
                (above, below) = (above.checked_div(shared)?, below.checked_div(shared)?);
            }
            divisor = divisor.checked_mul(below.checked_abs()?.checked_div(gcd(divisor, below))?)?;
            fractions.push((above, below));
        }
        let weight = |(above, below): (i128, i128)| above.checked_mul(divisor.checked_div(below)?);
        let weights: Vec<i128> = fractions.into_iter().map(weight).collect::<Option<_>>()?;
        let are_small = weights.iter().all(|weight| weight.abs() <= LARGEST_WEIGHT);
        are_small.then_some(Weights { weights, divisor: u64::try_from(divisor).ok()? })
    }
}

/// The greatest common divisor, above zero; of numbers that are not both zero.
fn gcd(one: i128, other: i128) -> i128 {
    let (mut one, mut other) = (one.saturating_abs(), other.saturating_abs());
    while let Some(rest) = one.checked_rem(other) {
        (one, other) = (other, rest);
    }
    one
}

/// λᵢ = Π xⱼ / (xⱼ − xᵢ) over all j ≠ i: what each share counts for at 0.
fn lagrange_at_zero<T>(shares: &[(u64, T)], object: Object) -> Result<Vec<Scalar>, BlsError> {
    check_indices(shares, object)?;
    let points: Vec<Scalar> = shares.iter().map(|(index, _)| Scalar::from_u64(*index)).collect();
    let product = points.iter().fold(Scalar::from_u64(1), |product, point| product.mul(point));
    let factor = |(place, own): (usize, &Scalar)| {
        let others = points.iter().enumerate().filter(|(other, _)| *other != place);
        let below = others.fold(own.clone(), |below, (_, point)| below.mul(&point.sub(own)));
        product.mul(&below.inverse())
    };
    Ok(points.iter().enumerate().map(factor).collect())
}

/// There are some, none is 0, and none is there twice.
fn check_indices<T>(shares: &[(u64, T)], object: Object) -> Result<(), BlsError> {
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    /// All sets of indices of small clusters, large indices, and many: the signature is that of the whole key.
    #[test]
    fn shares_come_to_the_signature_of_the_key_whatever_their_weights_are() {
        let mut rng = StdRng::seed_from_u64(3);
        let secret = SecretKey::generate(&mut rng);
        let whole = secret.sign(b"root");
        let mut with_small_weights = 0;
        let sets: Vec<(u64, Vec<u64>)> = (0u32..1 << 7)
            .filter(|set| set.count_ones() == 3)
            .map(|set| (3, (1..=7).filter(|index| set >> (index - 1) & 1 == 1).collect()))
            .chain([(3, vec![255, 1, 128]), (7, vec![10, 9, 8, 7, 6, 5, 4]), (17, (200..217).collect())])
            .collect();
        for (threshold, indices) in &sets {
            let shares = split(&secret, 255, *threshold, &mut rng).expect("shares");
            let of = |index: &u64| {
                let place = usize::try_from(index - 1).expect("small");
                (*index, shares[place].1.sign(b"root"))
            };
            let partials: Vec<(u64, Signature)> = indices.iter().map(of).collect();
            assert_eq!(recover_signature(&partials), Ok(whole), "{indices:?}");
            let encoded: Vec<_> = partials.iter().map(|(index, one)| (*index, one.to_bytes())).collect();
            assert_eq!(recover_encoded(&encoded), Ok(whole), "{indices:?}");
            with_small_weights += usize::from(Weights::of(indices.iter().copied()).is_some());
        }
        assert!(with_small_weights >= 36 && with_small_weights < sets.len(), "{with_small_weights}");
        // Three of the four sets of four nodes need no division.
        let divisors = [[1, 2, 3], [1, 2, 4], [1, 3, 4], [2, 3, 4]]
            .map(|set: [u64; 3]| Weights::of(set.into_iter()).map(|weights| weights.divisor));
        assert_eq!(divisors, [Some(1), Some(3), Some(1), Some(1)]);
    }

    #[test]
    fn what_is_no_signature_is_refused_in_a_sum() {
        let mut rng = StdRng::seed_from_u64(4);
        let secret = SecretKey::generate(&mut rng);
        let shares = split(&secret, 3, 2, &mut rng).expect("shares");
        let good = |place: usize| (shares[place].0, shares[place].1.sign(b"root").to_bytes());
        // On the curve, and outside the group: the first x that gives a point.
        let outside = (0u8..=255)
            .map(|x| {
                let mut bytes = [0; SIGNATURE_LEN];
                (bytes[0], bytes[SIGNATURE_LEN - 1]) = (0x80, x);
                bytes
            })
            .find(|bytes| G2::on_curve(bytes).is_ok())
            .expect("every other number is one");
        assert!(matches!(recover_encoded(&[good(0), (2, outside)]), Err(BlsError::Group { .. })));
        assert!(recover_encoded(&[good(0), (2, [7; SIGNATURE_LEN])]).is_err());
        assert_eq!(recover_encoded(&[good(0), good(0)]), Err(BlsError::IndexTwice { index: 1 }));
        assert!(recover_encoded(&[]).is_err());
    }
}
