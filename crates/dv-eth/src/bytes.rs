//! Bytes of fixed length: roots, keys, signatures, addresses.

use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ssz::{Decode, DecodeError, Encode};
use tree_hash::{Hash256, PackedEncoding, TreeHash, TreeHashType};

use crate::hexadecimal;

/// `N` bytes; in JSON `0x` and lower hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes<const N: usize>(pub [u8; N]);

/// A root, in JSON too.
pub type Bytes32 = Bytes<32>;
/// A public key.
pub type Bytes48 = Bytes<48>;
/// A signature.
pub type Bytes96 = Bytes<96>;
/// An address of the execution layer.
pub type Bytes20 = Bytes<20>;
/// A version of a fork, a domain type.
pub type Bytes4 = Bytes<4>;

impl<const N: usize> Default for Bytes<N> {
    fn default() -> Self {
        Bytes([0; N])
    }
}

impl<const N: usize> From<[u8; N]> for Bytes<N> {
    fn from(bytes: [u8; N]) -> Self {
        Bytes(bytes)
    }
}

impl<const N: usize> fmt::Display for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal::write(&self.0))
    }
}

impl<const N: usize> fmt::Debug for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is none of `N` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `0x` and {} hexadecimal digits", .bytes * 2)]
pub struct BytesError {
    /// Bytes that it should have.
    pub bytes: usize,
}

impl<const N: usize> std::str::FromStr for Bytes<N> {
    type Err = BytesError;

    fn from_str(text: &str) -> Result<Self, BytesError> {
        let mut bytes = [0; N];
        hexadecimal::read_exactly(text, &mut bytes).ok_or(BytesError { bytes: N })?;
        Ok(Bytes(bytes))
    }
}

impl<const N: usize> Serialize for Bytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Bytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text::<N>)
    }
}

/// Reads the text where it lies: blocks have many.
struct Text<const N: usize>;

impl<const N: usize> Visitor<'_> for Text<N> {
    type Value = Bytes<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes in hexadecimal digits after `0x`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes<N>, E> {
        text.parse().map_err(E::custom)
    }
}

impl<const N: usize> Encode for Bytes<N> {
    fn is_ssz_fixed_len() -> bool {
        true
    }

    fn ssz_fixed_len() -> usize {
        N
    }

    fn ssz_bytes_len(&self) -> usize {
        N
    }

    fn ssz_append(&self, buf: &mut Vec<u8>) {
        buf.extend_from_slice(&self.0);
    }
}

impl<const N: usize> Decode for Bytes<N> {
    fn is_ssz_fixed_len() -> bool {
        true
    }

    fn ssz_fixed_len() -> usize {
        N
    }

    fn from_ssz_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wrong = |_| DecodeError::InvalidByteLength { len: bytes.len(), expected: N };
        bytes.try_into().map(Bytes).map_err(wrong)
    }
}

impl<const N: usize> TreeHash for Bytes<N> {
    fn tree_hash_type() -> TreeHashType {
        <[u8; N] as TreeHash>::tree_hash_type()
    }

    fn tree_hash_packed_encoding(&self) -> PackedEncoding {
        self.0.tree_hash_packed_encoding()
    }

    fn tree_hash_packing_factor() -> usize {
        <[u8; N] as TreeHash>::tree_hash_packing_factor()
    }

    fn tree_hash_root(&self) -> Hash256 {
        self.0.tree_hash_root()
    }
}
