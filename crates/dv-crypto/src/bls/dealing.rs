//! What a key ceremony needs: a secret polynomial, public commitments to its coefficients that a share can be
//! checked against (Feldman), and a proof that the dealer knows the constant term (Schnorr, as FROST has it).

mod many;

use rand_core::CryptoRng;

use super::{BlsError, MAX_SHARES, Object, PUBLIC_LEN, PublicKey, SECRET_LEN, SecretKey, exact};
use crate::ffi::{self, G1, Scalar, Sum};

pub use many::{commit_and_prove, first_bad_share, first_unproved, public_shares, sum_by_key};

/// Domain separation tag of the challenge of a proof of knowledge.
const PROOF_TAG: &[u8] = b"BLS12381_XMD:SHA-256_SSWU_RO_";

/// A secret polynomial; its constant term is the secret, and its value at i the share of i. Wiped when dropped.
#[derive(Clone, Debug)]
pub struct Polynomial(Vec<SecretKey>);

impl Polynomial {
    /// As many coefficients as the threshold says, the first the secret, the others random and not zero.
    ///
    /// # Errors
    /// The threshold is below 2 or above [`MAX_SHARES`].
    pub fn random(secret: &SecretKey, threshold: u64, rng: &mut impl CryptoRng) -> Result<Self, BlsError> {
        if !(2..=MAX_SHARES).contains(&threshold) {
            return Err(BlsError::Threshold { shares: threshold, threshold });
        }
        let others = (1..threshold).map(|_| SecretKey::generate(rng));
        Ok(Self(std::iter::once(secret.clone()).chain(others).collect()))
    }

    /// These coefficients, lowest first.
    ///
    /// # Errors
    /// There are fewer than 2 or more than [`MAX_SHARES`].
    pub fn from_coefficients(coefficients: Vec<SecretKey>) -> Result<Self, BlsError> {
        check_degree(coefficients.len()).map(|()| Self(coefficients))
    }

    /// The share of this index.
    ///
    /// # Errors
    /// The index is 0, whose value is the secret itself; or the share would be zero.
    pub fn share(&self, index: u64) -> Result<SecretKey, BlsError> {
        if index == 0 {
            return Err(BlsError::IndexZero);
        }
        let x = Scalar::from_u64(index);
        let mut terms = self.0.iter().rev();
        let mut sum = terms.next().map_or_else(Scalar::default, |highest| highest.0.clone());
        terms.for_each(|term| sum.times_plus(&x, &term.0));
        SecretKey::new(sum)
    }

    /// The public keys of the coefficients.
    #[must_use]
    pub fn commitments(&self) -> Commitments {
        Commitments(self.0.iter().map(SecretKey::public).collect())
    }
}

fn check_degree(coefficients: usize) -> Result<(), BlsError> {
    let threshold = u64::try_from(coefficients).unwrap_or(u64::MAX);
    if (2..=MAX_SHARES).contains(&threshold) {
        Ok(())
    } else {
        Err(BlsError::Threshold { shares: threshold, threshold })
    }
}

/// Commitments to the coefficients of a polynomial, lowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitments(Vec<PublicKey>);

impl Commitments {
    /// As another node sent them.
    ///
    /// # Errors
    /// There are fewer than 2 or more than [`MAX_SHARES`].
    pub fn new(points: Vec<PublicKey>) -> Result<Self, BlsError> {
        check_degree(points.len()).map(|()| Self(points))
    }

    /// Reads compressed points, lowest coefficient first.
    ///
    /// # Errors
    /// As [`Commitments::new`], or one is no public key.
    pub fn from_bytes<B: AsRef<[u8]>>(points: &[B]) -> Result<Self, BlsError> {
        check_degree(points.len())?;
        points.iter().map(|point| PublicKey::from_bytes(point.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// The commitments, lowest coefficient first; there are as many as the threshold.
    #[must_use]
    pub fn points(&self) -> &[PublicKey] {
        &self.0
    }

    /// The public share of this index: Σ indexᵏ·Aₖ; at 0 the public key.
    ///
    /// # Errors
    /// The sum is infinity.
    pub fn share(&self, index: u64) -> Result<PublicKey, BlsError> {
        // Few doublings each, since an index is small: faster than any method for large factors.
        let share =
            self.0.iter().rev().fold(Sum::default(), |sum, point| sum.times_small(index).plus(&point.0));
        PublicKey::new(share.point())
    }

    /// Whether this is the share that the dealer owes this index.
    #[must_use]
    pub fn has_share(&self, index: u64, share: &SecretKey) -> bool {
        index != 0 && self.share(index) == Ok(share.public())
    }

    /// Commitments to the sum of polynomials: what a ceremony of several dealers agrees on.
    ///
    /// # Errors
    /// There is none, their degrees differ, or a sum is infinity.
    pub fn sum(all: &[Self]) -> Result<Self, BlsError> {
        let first = all.first().ok_or(BlsError::Nothing { object: Object::PublicKey })?;
        let expected = first.0.len();
        if let Some(other) = all.iter().find(|other| other.0.len() != expected) {
            return Err(BlsError::Degree { expected, found: other.0.len() });
        }
        let at = |place: usize| PublicKey::sum(all.iter().filter_map(|dealer| dealer.0.get(place)));
        (0..expected).map(at).collect::<Result<_, _>>().map(Self)
    }
}

/// A proof that a participant knows the secret of a public key, bound to its number and a context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnowledgeProof {
    /// w = k + secret·c, most significant byte first.
    pub response: [u8; SECRET_LEN],
    /// c, the hash of who proves, the key and k·G.
    pub challenge: [u8; SECRET_LEN],
}

impl KnowledgeProof {
    /// Proves; `nonce` must be fresh and random: the same one twice gives the secret away.
    #[must_use]
    pub fn new(secret: &SecretKey, nonce: &SecretKey, participant: u8, context: u8) -> Self {
        Self::of(secret, nonce, &challenge(&secret.public().0, &nonce.public().0, participant, context))
    }

    fn of(secret: &SecretKey, nonce: &SecretKey, challenge: &Scalar) -> Self {
        let response = nonce.0.add(&secret.0.mul(challenge));
        Self { response: *response.to_bytes(), challenge: *challenge.to_bytes() }
    }

    /// Reads the two numbers.
    ///
    /// # Errors
    /// One has another length or is not below r, or the challenge is zero.
    pub fn from_bytes(response: &[u8], challenge: &[u8]) -> Result<Self, BlsError> {
        let object = Object::Proof;
        let read = |bytes: &[u8]| {
            let bytes = exact(bytes, object)?;
            Scalar::from_bytes(bytes).map(|_| *bytes).ok_or(BlsError::Range { object })
        };
        let proof = Self { response: read(response)?, challenge: read(challenge)? };
        if proof.challenge == [0; SECRET_LEN] { Err(BlsError::Range { object }) } else { Ok(proof) }
    }

    /// Whether it proves this key for this participant and context.
    #[must_use]
    pub fn verify(&self, public: &PublicKey, participant: u8, context: u8) -> bool {
        let numbers = (Scalar::from_bytes(&self.response), Scalar::from_bytes(&self.challenge));
        let (Some(response), Some(claimed)) = numbers else { return false };
        let minus = Scalar::default().sub(&claimed);
        // R = w·G − c·A, of public numbers.
        let nonce =
            G1::combine([(G1::generator(), response.to_public_le()), (public.0, minus.to_public_le())]);
        let expected = challenge(&public.0, &nonce, participant, context);
        !bool::from(claimed.is_zero()) && expected.to_bytes() == claimed.to_bytes()
    }
}

/// The hash of participant ‖ context ‖ A ‖ R as a number.
fn challenge(public: &G1, nonce: &G1, participant: u8, context: u8) -> Scalar {
    let mut input = Vec::with_capacity(PUBLIC_LEN.saturating_mul(2).saturating_add(2));
    input.extend([participant, context]);
    input.extend(public.to_bytes());
    input.extend(nonce.to_bytes());
    ffi::hash_to_scalar(&input, PROOF_TAG)
}

#[cfg(test)]
mod tests;
