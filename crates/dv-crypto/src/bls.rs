//! BLS signatures of Ethereum: public keys in G1 (48 bytes), signatures in G2 (96 bytes), the messages raw bytes.
//!
//! Bytes become a [`PublicKey`] or [`Signature`] only after a check of encoding, curve and subgroup, so nothing
//! later has to check again. Infinity is refused as a public key; as a signature it is read and never verifies.
//! Source: draft-irtf-cfrg-bls-signature, minimal-pubkey-size, proof-of-possession scheme.

mod batch;
mod dealing;
mod threshold;

use std::fmt;

use rand_core::CryptoRng;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::ffi::{self, G1, G2, PointError, SCALAR_LEN};

pub use batch::{Signed, find_invalid, verify_batch};
pub use dealing::{
    Commitments, KnowledgeProof, Polynomial, commit_and_prove, first_bad_share, first_unproved,
    public_shares, sum_by_key,
};
pub use threshold::{MAX_SHARES, recover_encoded, recover_public, recover_secret, recover_signature, split};

/// Bytes of a secret key.
pub const SECRET_LEN: usize = SCALAR_LEN;
/// Bytes of a public key.
pub const PUBLIC_LEN: usize = G1::LEN;
/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = G2::LEN;

/// Domain separation tag of the proof-of-possession scheme.
const TAG: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
/// Domain separation tag of the basic scheme, under which nodes of a Pedersen ceremony sign what they say.
const BASIC_TAG: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_";

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Object {
    /// A secret key or a share of one.
    SecretKey,
    /// A public key, a public share or a commitment.
    PublicKey,
    /// A signature, whole or partial.
    Signature,
    /// A number of a proof of knowledge.
    Proof,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecretKey => "BLS secret key",
            Self::PublicKey => "BLS public key",
            Self::Signature => "BLS signature",
            Self::Proof => "proof of knowledge",
        })
    }
}

/// Why keys, signatures or shares were refused. No message holds bytes of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlsError {
    /// Another length.
    #[error("a {object} has {expected} bytes, this one {length}")]
    Length {
        /// What was read.
        object: Object,
        /// Length that was expected.
        expected: usize,
        /// Length of what was given.
        length: usize,
    },
    /// Not below the group order r; or zero, where that is no key.
    #[error("the number of a {object} is out of range")]
    Range {
        /// What was read or would result.
        object: Object,
    },
    /// Bytes that no encoder writes: wrong flags, or a coordinate above the modulus.
    #[error("the encoding of a {object} is not canonical")]
    Encoding {
        /// What was read.
        object: Object,
    },
    /// No point of the curve.
    #[error("the bytes of a {object} are no point of the curve")]
    Curve {
        /// What was read.
        object: Object,
    },
    /// A point outside the subgroup of order r.
    #[error("the point of a {object} is outside the subgroup")]
    Group {
        /// What was read.
        object: Object,
    },
    /// The point at infinity, which is no public key.
    #[error("a {object} is the point at infinity")]
    Infinity {
        /// What was read or would result.
        object: Object,
    },
    /// Nothing to add or to recover from.
    #[error("there is no {object} to put together")]
    Nothing {
        /// What is missing.
        object: Object,
    },
    /// Share indices start at 1.
    #[error("a share index is 0; indices start at 1")]
    IndexZero,
    /// One index stands for two shares.
    #[error("share index {index} is there twice")]
    IndexTwice {
        /// Which.
        index: u64,
    },
    /// A threshold below 2 or above the number of shares, or too many shares.
    #[error(
        "{shares} shares with threshold {threshold}: the threshold is from 2 to the number of shares, and that at most {MAX_SHARES}"
    )]
    Threshold {
        /// Number of shares.
        shares: u64,
        /// Shares that give the secret back.
        threshold: u64,
    },
    /// Polynomials of different degree.
    #[error("commitments to {found} coefficients cannot be added to commitments to {expected}")]
    Degree {
        /// Coefficients of the first.
        expected: usize,
        /// Coefficients of the other.
        found: usize,
    },
}

impl BlsError {
    fn of_point(error: PointError, object: Object) -> Self {
        match error {
            PointError::Encoding => Self::Encoding { object },
            PointError::Curve => Self::Curve { object },
            PointError::Group => Self::Group { object },
        }
    }
}

fn exact<const N: usize>(bytes: &[u8], object: Object) -> Result<&[u8; N], BlsError> {
    bytes.try_into().map_err(|_| BlsError::Length { object, expected: N, length: bytes.len() })
}

// ------------------------------------------------------------------------------------------------------ secret

/// A secret key or a share of one: a number from 1 to r − 1. Wiped when dropped, shown by no `Debug`.
#[derive(Clone)]
pub struct SecretKey(ffi::Scalar);

impl SecretKey {
    fn new(scalar: ffi::Scalar) -> Result<Self, BlsError> {
        if scalar.is_zero().into() {
            return Err(BlsError::Range { object: Object::SecretKey });
        }
        Ok(Self(scalar))
    }

    /// Reads 32 bytes, most significant first.
    ///
    /// # Errors
    /// Another length, zero, or a number not below r.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BlsError> {
        let object = Object::SecretKey;
        ffi::Scalar::from_bytes(exact(bytes, object)?).ok_or(BlsError::Range { object }).and_then(Self::new)
    }

    /// The first 32 bytes of the generator that are a key when their highest bit is cleared, which no key has: nine in
    /// ten are. Every key is as likely as every other.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; SECRET_LEN]);
        loop {
            rng.fill_bytes(bytes.as_mut_slice());
            bytes[0] &= 0x7f;
            if let Ok(key) = Self::from_bytes(bytes.as_slice()) {
                return key;
            }
        }
    }

    /// The secret number, most significant byte first.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; SECRET_LEN]> {
        self.0.to_bytes()
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(G1::of_secret(&self.0))
    }

    /// Signs a message; equal input gives equal bytes. Constant time in the key.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(G2::hash(message, TAG).times_secret(&self.0))
    }

    /// Signs a message under the basic scheme: no signature of Ethereum's, and none becomes one.
    #[must_use]
    pub fn sign_basic(&self, message: &[u8]) -> Signature {
        Signature(G2::hash(message, BASIC_TAG).times_secret(&self.0))
    }

    /// The secret that two keys have in common: this one times the other's public key, compressed (Diffie-Hellman).
    /// Constant time in the key.
    #[must_use]
    pub fn agree(&self, other: &PublicKey) -> Zeroizing<[u8; PUBLIC_LEN]> {
        Zeroizing::new(ffi::Sum::times_secret(&other.0, &self.0).point().to_bytes())
    }

    /// The sum of keys, as a ceremony adds up the shares that one node got.
    ///
    /// # Errors
    /// There is none, or the sum is zero.
    pub fn sum<'k>(keys: impl IntoIterator<Item = &'k Self>) -> Result<Self, BlsError> {
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(BlsError::Nothing { object: Object::SecretKey })?;
        Self::new(keys.fold(first.0.clone(), |sum, key| sum.add(&key.0)))
    }
}

impl ConstantTimeEq for SecretKey {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl PartialEq for SecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

// ------------------------------------------------------------------------------------------------------ points

/// A public key, a public share, or a commitment; never infinity. Ordered and shown by its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(G1);

impl PublicKey {
    fn new(point: G1) -> Result<Self, BlsError> {
        if point.is_infinity() {
            return Err(BlsError::Infinity { object: Object::PublicKey });
        }
        Ok(Self(point))
    }

    /// Reads a compressed point.
    ///
    /// # Errors
    /// Another length, an encoding that is not canonical, no point of the subgroup, or infinity.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BlsError> {
        let object = Object::PublicKey;
        G1::from_bytes(exact(bytes, object)?)
            .map_err(|error| BlsError::of_point(error, object))
            .and_then(Self::new)
    }

    /// The compressed point.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PUBLIC_LEN] {
        self.0.to_bytes()
    }

    /// The sum of keys.
    ///
    /// # Errors
    /// There is none, or the sum is infinity.
    pub fn sum<'k>(keys: impl IntoIterator<Item = &'k Self>) -> Result<Self, BlsError> {
        let mut keys = keys.into_iter().peekable();
        keys.peek().ok_or(BlsError::Nothing { object: Object::PublicKey })?;
        Self::new(G1::sum(keys.map(|key| &key.0)))
    }
}

/// A signature, whole or partial; it may be infinity, which never verifies. Ordered and shown by its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(G2);

impl Signature {
    /// Reads a compressed point.
    ///
    /// # Errors
    /// Another length, an encoding that is not canonical, or no point of the subgroup.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BlsError> {
        let object = Object::Signature;
        G2::from_bytes(exact(bytes, object)?).map(Self).map_err(|error| BlsError::of_point(error, object))
    }

    /// The compressed point.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SIGNATURE_LEN] {
        self.0.to_bytes()
    }
}

macro_rules! ordered_by_bytes {
    ($type:ident) => {
        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $type {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.to_bytes().cmp(&other.to_bytes())
            }
        }

        impl std::hash::Hash for $type {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.to_bytes().hash(state);
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.to_bytes()))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }
    };
}

ordered_by_bytes!(PublicKey);
ordered_by_bytes!(Signature);

// -------------------------------------------------------------------------------------------------- signatures

/// Whether the signature is this key's over this message.
#[must_use]
pub fn verify(public: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    verify_tagged(public, message, signature, TAG)
}

/// The same under the basic scheme.
#[must_use]
pub fn verify_basic(public: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    verify_tagged(public, message, signature, BASIC_TAG)
}

fn verify_tagged(public: &PublicKey, message: &[u8], signature: &Signature, tag: &[u8]) -> bool {
    // No key signs infinity; without this line it would only be one more pairing that is not equal.
    !signature.0.is_infinity() && ffi::pairings_equal([(public.0, G2::hash(message, tag))], &signature.0)
}

/// The sum of signatures.
///
/// # Errors
/// There is none.
pub fn aggregate(signatures: &[Signature]) -> Result<Signature, BlsError> {
    if signatures.is_empty() {
        return Err(BlsError::Nothing { object: Object::Signature });
    }
    Ok(Signature(G2::sum(signatures.iter().map(|signature| &signature.0))))
}

/// Whether the signature is the sum of those of all keys over one message. No keys: false.
///
/// Sound only where every key has proved that its secret is known (validators' deposits, a ceremony's proofs):
/// else one key may be chosen to cancel the others.
#[must_use]
pub fn verify_aggregate(publics: &[PublicKey], message: &[u8], signature: &Signature) -> bool {
    PublicKey::sum(publics).is_ok_and(|sum| verify(&sum, message, signature))
}
