//! Identities over secp256k1: keys of nodes and operators, their signatures, and addresses.
//!
//! A signature is R ‖ S ‖ v: 65 bytes, of which a verifier may also be given the first 64. We sign with the nonce
//! of RFC 6979 and a low S, so equal input gives equal bytes; we accept a high S, as other nodes do. Nothing is
//! hashed or prefixed here: the caller passes the digest that its message has.

mod address;
mod der;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use k256::FieldBytes;
use k256::ecdsa::signature::hazmat::PrehashVerifier;
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use sha3::{Digest, Keccak256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use address::{Address, AddressError};
pub use der::verify_der;

/// Bytes of a secret key.
pub const SECRET_LEN: usize = 32;
/// Bytes of a compressed public key (SEC 1, section 2.3.3).
pub const PUBLIC_LEN: usize = 33;
/// Bytes of an uncompressed public key, tag included.
pub const PUBLIC_UNCOMPRESSED_LEN: usize = 65;
/// Bytes of a signature with its recovery byte.
pub const SIGNATURE_LEN: usize = 65;
/// Bytes of a signature without it.
pub const SIGNATURE_RS_LEN: usize = 64;

/// Why a key or a signature over secp256k1 was refused. No message holds bytes of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum K1Error {
    /// The text of a secret key is something else than 64 hexadecimal digits.
    #[error("an identity key is 64 hexadecimal digits; this text of {length} bytes is not")]
    KeyText {
        /// Length without the white space around it.
        length: usize,
    },
    /// Zero, or not below the order of the group.
    #[error("an identity key is a number from 1 to the group order less 1; this one is not")]
    KeyRange,
    /// Neither a compressed nor an uncompressed point of the curve.
    #[error("a public identity key of {length} bytes is no point of secp256k1 in 33 or 65 bytes")]
    Public {
        /// Length of what was given.
        length: usize,
    },
    /// A signature has another length.
    #[error("an identity signature has {expected} bytes, this one {length}")]
    Length {
        /// Length that was expected.
        expected: usize,
        /// Length of what was given.
        length: usize,
    },
    /// The last byte of a signature is none of 0, 1, 27 and 28.
    #[error("the recovery byte of an identity signature is 0, 1, 27 or 28, not {v}")]
    RecoveryByte {
        /// What was given.
        v: u8,
    },
    /// A signature is not in DER, or R or S is out of range.
    #[error(
        "an identity signature in DER holds R and S from 1 to the group order less 1; these {length} bytes do not"
    )]
    Der {
        /// Length of what was given.
        length: usize,
    },
    /// R or S is zero or not below the order of the group.
    #[error("R or S of an identity signature is out of range")]
    Range,
    /// No public key makes this signature valid.
    #[error("no public key can be recovered from this identity signature")]
    Unrecoverable,
    /// The signature is well-formed and is not one of this key over this digest.
    #[error("the identity signature does not match {public} and the digest")]
    Mismatch {
        /// The key it was checked against.
        public: Box<IdentityPublic>,
    },
}

/// Keccak-256, the hash of addresses, node records and typed data; not SHA3-256.
#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

// ------------------------------------------------------------------------------------------------------ secret

/// The secret key of a node or an operator: a number from 1 to n − 1. Wiped when dropped, shown by no `Debug`.
#[derive(Clone)]
pub struct IdentityKey(SigningKey);

impl IdentityKey {
    /// Reads 32 bytes, most significant first.
    ///
    /// # Errors
    /// The number is zero or not below the order of the group.
    pub fn from_bytes(bytes: &[u8; SECRET_LEN]) -> Result<Self, K1Error> {
        SigningKey::from_slice(bytes).map(Self).map_err(|_| K1Error::KeyRange)
    }

    /// Reads the text of a key file: 64 hexadecimal digits of either case, with white space around them trimmed.
    ///
    /// # Errors
    /// The text is something else, or the number is out of range.
    pub fn parse(text: &str) -> Result<Self, K1Error> {
        let text = text.trim();
        let mut bytes = Zeroizing::new([0; SECRET_LEN]);
        hex::decode_to_slice(text, bytes.as_mut_slice())
            .map_err(|_| K1Error::KeyText { length: text.len() })?;
        Self::from_bytes(&bytes)
    }

    /// A new key from 32 random bytes, and more where they are out of range (a chance of 2⁻¹²⁸).
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; SECRET_LEN]);
        loop {
            rng.fill_bytes(bytes.as_mut_slice());
            if let Ok(key) = Self::from_bytes(&bytes) {
                return key;
            }
        }
    }

    /// The secret number, most significant byte first.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; SECRET_LEN]> {
        let bytes = Zeroizing::new(self.0.to_bytes());
        let mut out = Zeroizing::new([0; SECRET_LEN]);
        out.copy_from_slice(&bytes);
        out
    }

    /// The text of a key file: 64 lower hexadecimal digits, without a line break.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // Whole capacity at once: a string that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(2 * SECRET_LEN));
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
        for byte in self.to_bytes().iter() {
            text.push(digit(byte >> 4));
            text.push(digit(byte & 0x0f));
        }
        text
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> IdentityPublic {
        IdentityPublic::new(*self.0.verifying_key())
    }

    /// R ‖ S ‖ v of this digest: nonce of RFC 6979 without extra data, low S, v 0 or 1.
    ///
    /// v would be 2 or 3 only for a nonce whose point has an x above the group order, which has a chance of 2⁻¹²⁷
    /// and no known example.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 32]) -> [u8; SIGNATURE_LEN] {
        let (signature, id) = self.0.sign_prehash_recoverable(digest);
        let mut out = [id.to_byte(); SIGNATURE_LEN];
        out[..SIGNATURE_RS_LEN].copy_from_slice(&signature.to_bytes());
        out
    }
}

impl ConstantTimeEq for IdentityKey {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.to_bytes().as_slice().ct_eq(other.to_bytes().as_slice())
    }
}

impl PartialEq for IdentityKey {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for IdentityKey {}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityKey(of {})", self.public())
    }
}

// ------------------------------------------------------------------------------------------------------ public

/// The public key of a node or an operator. Compared, ordered and shown by its 33 compressed bytes.
#[derive(Clone, Copy)]
pub struct IdentityPublic {
    bytes: [u8; PUBLIC_LEN],
    key: VerifyingKey,
}

impl IdentityPublic {
    fn new(key: VerifyingKey) -> Self {
        let point = key.to_sec1_point(true);
        let mut bytes = [0; PUBLIC_LEN];
        // A public key is never the point at infinity, whose encoding alone is shorter.
        bytes.copy_from_slice(point.as_bytes());
        Self { bytes, key }
    }

    /// Reads a point in its compressed (33 bytes), uncompressed or hybrid form (65 bytes).
    ///
    /// # Errors
    /// Another length or tag, a hybrid tag that y does not have, or no point of the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, K1Error> {
        let refused = || K1Error::Public { length: bytes.len() };
        let parse = |bytes: &[u8]| VerifyingKey::from_sec1_bytes(bytes).map(Self::new).map_err(|_| refused());
        match bytes {
            // Tags are matched here because the parser also takes one that others refuse (5, x alone).
            [2 | 3, ..] if bytes.len() == PUBLIC_LEN => parse(bytes),
            [4, ..] if bytes.len() == PUBLIC_UNCOMPRESSED_LEN => parse(bytes),
            // X9.62: the uncompressed form whose tag also says whether y is odd. Old node records may have it.
            [tag @ (6 | 7), point @ .., last] if bytes.len() == PUBLIC_UNCOMPRESSED_LEN => {
                if tag & 1 != last & 1 {
                    return Err(refused());
                }
                parse(&[&[4], point, &[*last]].concat())
            }
            _ => Err(refused()),
        }
    }

    /// The compressed form.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PUBLIC_LEN] {
        self.bytes
    }

    /// The uncompressed form: 4, x and y.
    #[must_use]
    pub fn to_uncompressed(&self) -> [u8; PUBLIC_UNCOMPRESSED_LEN] {
        let mut out = [0; PUBLIC_UNCOMPRESSED_LEN];
        out.copy_from_slice(self.key.to_sec1_point(false).as_bytes());
        out
    }

    /// The address of this key on the execution layer.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::of(self)
    }
}

impl PartialEq for IdentityPublic {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for IdentityPublic {}

impl PartialOrd for IdentityPublic {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for IdentityPublic {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl Hash for IdentityPublic {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl fmt::Display for IdentityPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.bytes))
    }
}

impl fmt::Debug for IdentityPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityPublic({self})")
    }
}

// -------------------------------------------------------------------------------------------------- signatures

/// The key that made this signature (R ‖ S ‖ v) over this digest; any digest and signature name at most one.
///
/// # Errors
/// The length is not 65, v is none of 0, 1, 27 and 28, R or S is out of range, or no key fits. A high S is accepted.
pub fn recover(digest: &[u8; 32], signature: &[u8]) -> Result<IdentityPublic, K1Error> {
    let expected = SIGNATURE_LEN;
    let wrong_length = K1Error::Length { expected, length: signature.len() };
    let signature: &[u8; SIGNATURE_LEN] = signature.try_into().map_err(|_| wrong_length)?;
    let [rs @ .., v] = signature;
    let is_y_odd = match *v {
        0 | 27 => false,
        1 | 28 => true,
        v => return Err(K1Error::RecoveryByte { v }),
    };
    let parsed = parse_rs(rs)?;
    VerifyingKey::recover_from_prehash(digest, &parsed, RecoveryId::new(is_y_odd, false))
        .map(IdentityPublic::new)
        .map_err(|_| K1Error::Unrecoverable)
}

/// Checks R ‖ S ‖ v against the key, by recovery.
///
/// # Errors
/// As for [`recover`], or the signature is another key's.
pub fn verify65(public: &IdentityPublic, digest: &[u8; 32], signature: &[u8]) -> Result<(), K1Error> {
    if recover(digest, signature)? == *public {
        Ok(())
    } else {
        Err(K1Error::Mismatch { public: Box::new(*public) })
    }
}

/// Checks R ‖ S against the key.
///
/// # Errors
/// The length is not 64, R or S is out of range, or the signature is another key's. A high S is accepted.
pub fn verify64(public: &IdentityPublic, digest: &[u8; 32], signature: &[u8]) -> Result<(), K1Error> {
    let expected = SIGNATURE_RS_LEN;
    let wrong_length = K1Error::Length { expected, length: signature.len() };
    let rs: &[u8; SIGNATURE_RS_LEN] = signature.try_into().map_err(|_| wrong_length)?;
    // The verifier refuses a high S; n − S is the S of the same signature with the other nonce, and as good.
    let parsed = parse_rs(rs)?.normalize_s();
    public.key.verify_prehash(digest, &parsed).map_err(|_| K1Error::Mismatch { public: Box::new(*public) })
}

fn parse_rs(rs: &[u8; SIGNATURE_RS_LEN]) -> Result<Signature, K1Error> {
    let (r, s) = rs.split_at(SECRET_LEN);
    let scalar = |bytes: &[u8]| FieldBytes::try_from(bytes).map_err(|_| K1Error::Range);
    Signature::from_scalars(scalar(r)?, scalar(s)?).map_err(|_| K1Error::Range)
}
