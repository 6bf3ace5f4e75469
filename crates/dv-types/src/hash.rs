//! SSZ hash tree roots, written down as a running list of chunks.
//!
//! <https://github.com/ethereum/consensus-specs/blob/dev/ssz/simple-serialize.md>. Cluster files are hashed in a dialect
//! that this module can also speak: a container has as many fields as chunks were really put, an empty text puts none
//! ([`Hasher::put`]), and a text of fixed length is padded on the left ([`Hasher::put_left`]).

use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

use crate::Root;

/// Depth of the deepest tree: lists of 2^40 validators.
const MAX_DEPTH: usize = 40;
/// Bytes of an address.
const ADDRESS_BYTES: usize = 20;
/// Bytes of one signature over secp256k1.
const SIGNATURE_BYTES: usize = 65;
/// Most signatures in one text.
const MAX_SIGNATURES: usize = 32;

/// Why something has no root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// It is longer than its type.
    #[error("it has {found} {what}, and at most {limit} are allowed")]
    TooLong {
        /// Bytes, items.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// It is no address.
    #[error("`{text}` is no address: 40 hex digits, with or without 0x")]
    Address {
        /// As written.
        text: String,
    },
    /// It is not made of whole signatures.
    #[error("its {found} bytes are not whole signatures of {SIGNATURE_BYTES} bytes")]
    Signatures {
        /// Bytes.
        found: usize,
    },
    /// Values that the format has once are not the same everywhere.
    #[error("they differ, and the format has one for all")]
    Differing,
    /// A part of it.
    #[error("{field}: {why}")]
    In {
        /// Which, like `operators[2].enr`.
        field: String,
        /// What is wrong with it.
        why: Box<HashError>,
    },
}

impl HashError {
    /// As an error about a part of something larger.
    pub fn within(self, outer: impl std::fmt::Display) -> HashError {
        match self {
            HashError::In { field, why } => HashError::In { field: format!("{outer}.{field}"), why },
            why @ (HashError::TooLong { .. }
            | HashError::Address { .. }
            | HashError::Signatures { .. }
            | HashError::Differing) => HashError::In { field: outer.to_string(), why: Box::new(why) },
        }
    }
}

/// SHA-256 of two chunks.
fn pair(left: &Root, right: &Root) -> Root {
    Sha256::new().chain_update(left).chain_update(right).finalize().into()
}

/// Roots of trees of zeros, by depth.
fn zeros() -> &'static [Root; MAX_DEPTH + 1] {
    static ZEROS: OnceLock<[Root; MAX_DEPTH + 1]> = OnceLock::new();
    ZEROS.get_or_init(|| {
        let mut zeros = [[0; 32]; MAX_DEPTH + 1];
        for depth in 1..=MAX_DEPTH {
            zeros[depth] = pair(&zeros[depth - 1], &zeros[depth - 1]);
        }
        zeros
    })
}

/// The root of a tree with room for `limit` chunks; what is missing is zero.
fn merkle(mut chunks: Vec<Root>, limit: usize) -> Result<Root, HashError> {
    if chunks.len() > limit {
        return Err(HashError::TooLong { what: "items", found: chunks.len(), limit });
    }
    let depth = limit.max(1).next_power_of_two().trailing_zeros() as usize;
    if chunks.is_empty() {
        return Ok(zeros()[depth.min(MAX_DEPTH)]);
    }
    for zero in zeros().iter().take(depth) {
        if chunks.len() % 2 == 1 {
            chunks.push(*zero);
        }
        chunks = chunks.as_chunks::<2>().0.iter().map(|[left, right]| pair(left, right)).collect();
    }
    Ok(chunks[0])
}

/// The root with the length that it has.
fn mixed(root: &Root, length: usize) -> Root {
    pair(root, &number(length as u64))
}

fn number(value: u64) -> Root {
    let mut chunk = [0; 32];
    chunk[..8].copy_from_slice(&value.to_le_bytes());
    chunk
}

/// Chunks of bytes; the last one is padded on the right.
fn chunks(bytes: &[u8]) -> Vec<Root> {
    let chunk = |part: &[u8]| {
        let mut chunk = [0; 32];
        chunk[..part.len()].copy_from_slice(part);
        chunk
    };
    bytes.chunks(32).map(chunk).collect()
}

/// The chunks of what is being hashed.
#[derive(Debug, Default)]
pub struct Hasher {
    chunks: Vec<Root>,
}

impl Hasher {
    /// The root of a container whose fields `write` puts.
    ///
    /// # Errors
    /// As the fields do.
    pub fn root(write: impl FnOnce(&mut Hasher) -> Result<(), HashError>) -> Result<Root, HashError> {
        let mut hasher = Hasher::default();
        write(&mut hasher)?;
        let count = hasher.chunks.len();
        merkle(hasher.chunks, count)
    }

    /// Bytes: nothing for none, one chunk for up to 32, their root for more.
    pub fn put(&mut self, bytes: &[u8]) {
        match bytes.len() {
            0 => {}
            1..=32 => self.chunks.extend(chunks(bytes)),
            _ => {
                let chunks = chunks(bytes);
                let count = chunks.len();
                self.chunks.push(merkle(chunks, count).expect("as many as there are"));
            }
        }
    }

    /// Bytes of a fixed length, of which the first may be left out: they are zero.
    ///
    /// # Errors
    /// When there are more.
    pub fn put_left(&mut self, bytes: &[u8], length: usize) -> Result<(), HashError> {
        if bytes.len() > length {
            return Err(HashError::TooLong { what: "bytes", found: bytes.len(), limit: length });
        }
        let mut padded = vec![0; length - bytes.len()];
        padded.extend_from_slice(bytes);
        self.put(&padded);
        Ok(())
    }

    /// An address as text; an empty one is zeros.
    ///
    /// # Errors
    /// When it is none.
    pub fn put_address(&mut self, text: &str) -> Result<(), HashError> {
        if text.is_empty() {
            self.put(&[0; ADDRESS_BYTES]);
            return Ok(());
        }
        self.put_address_if_any(text)
    }

    /// An address as text; an empty one puts nothing.
    ///
    /// # Errors
    /// When it is none.
    pub fn put_address_if_any(&mut self, text: &str) -> Result<(), HashError> {
        if text.is_empty() {
            return Ok(());
        }
        let mut bytes = [0; ADDRESS_BYTES];
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes)
            .map_err(|_| HashError::Address { text: text.to_owned() })?;
        self.put(&bytes);
        Ok(())
    }

    /// A number.
    pub fn put_number(&mut self, value: u64) {
        self.chunks.push(number(value));
    }

    /// A flag.
    #[expect(clippy::fn_params_excessive_bools, reason = "it is the value, and chooses nothing")]
    pub fn put_flag(&mut self, value: bool) {
        self.chunks.push(number(value.into()));
    }

    /// A list of at most `limit` bytes.
    ///
    /// # Errors
    /// When there are more.
    pub fn put_list(&mut self, bytes: &[u8], limit: usize) -> Result<(), HashError> {
        if bytes.len() > limit {
            return Err(HashError::TooLong { what: "bytes", found: bytes.len(), limit });
        }
        let root = merkle(chunks(bytes), limit.div_ceil(32))?;
        self.chunks.push(mixed(&root, bytes.len()));
        Ok(())
    }

    /// A list of at most `limit` numbers.
    ///
    /// # Errors
    /// When there are more.
    pub fn put_numbers(&mut self, values: &[u64], limit: usize) -> Result<(), HashError> {
        if values.len() > limit {
            return Err(HashError::TooLong { what: "numbers", found: values.len(), limit });
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let root = merkle(chunks(&bytes), limit.div_ceil(4))?;
        self.chunks.push(mixed(&root, values.len()));
        Ok(())
    }

    /// Signatures over secp256k1, one behind the other.
    ///
    /// # Errors
    /// When they are not whole, or more than 32.
    pub fn put_signatures(&mut self, bytes: &[u8]) -> Result<(), HashError> {
        let (signatures, rest) = bytes.as_chunks::<SIGNATURE_BYTES>();
        if !rest.is_empty() {
            return Err(HashError::Signatures { found: bytes.len() });
        }
        self.put_items(signatures, MAX_SIGNATURES, |hasher, signature| {
            hasher.put(signature);
            Ok(())
        })
    }

    /// A container whose fields `write` puts.
    ///
    /// # Errors
    /// As the fields do.
    pub fn put_container(
        &mut self,
        write: impl FnOnce(&mut Hasher) -> Result<(), HashError>,
    ) -> Result<(), HashError> {
        let root = Hasher::root(write)?;
        self.chunks.push(root);
        Ok(())
    }

    /// A list of at most `limit` items, each of which `write` puts as one chunk.
    ///
    /// # Errors
    /// As the items do, and when there are more.
    pub fn put_items<T>(
        &mut self,
        items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        limit: usize,
        mut write: impl FnMut(&mut Hasher, T) -> Result<(), HashError>,
    ) -> Result<(), HashError> {
        let items = items.into_iter();
        let count = items.len();
        let mut inner = Hasher::default();
        for item in items {
            write(&mut inner, item)?;
        }
        self.chunks.push(mixed(&merkle(inner.chunks, limit)?, count));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(root: Root) -> String {
        ::hex::encode(root)
    }

    fn alone(write: impl FnOnce(&mut Hasher) -> Result<(), HashError>) -> Root {
        let mut hasher = Hasher::default();
        write(&mut hasher).expect("fits");
        assert_eq!(hasher.chunks.len(), 1);
        hasher.chunks[0]
    }

    /// The tree written out, without a list of zeros: each side by itself.
    fn plain(chunks: &[Root], leaves: usize) -> Root {
        if leaves == 1 {
            return chunks.first().copied().unwrap_or_default();
        }
        let half = leaves / 2;
        let (left, right) = chunks.split_at(half.min(chunks.len()));
        pair(&plain(left, half), &plain(right, half))
    }

    #[test]
    fn trees_are_those_of_the_specification() {
        for count in 0..20_usize {
            let all: Vec<Root> = (0..count).map(|n| number(n as u64 + 1)).collect();
            for limit in count.max(1)..40 {
                let root = merkle(all.clone(), limit).expect("fits");
                assert_eq!(root, plain(&all, limit.next_power_of_two()), "{count} of {limit}");
            }
        }
        assert!(matches!(merkle(vec![[0; 32]; 3], 2), Err(HashError::TooLong { found: 3, limit: 2, .. })));
        // consensus-specs, tests of SSZ: the root of 64 zero bytes, which is that of depth 1.
        let zero = "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b";
        assert_eq!(hex(merkle(Vec::new(), 2).expect("fits")), zero);
    }

    #[test]
    fn empty_bytes_put_nothing_and_short_ones_are_padded_on_their_side() {
        let mut hasher = Hasher::default();
        hasher.put(b"");
        hasher.put_address_if_any("").expect("nothing");
        assert!(hasher.chunks.is_empty());
        assert_eq!(alone(|h| h.put_left(&[0xab, 0xcd], 32)), {
            let mut right = [0; 32];
            right[30..].copy_from_slice(&[0xab, 0xcd]);
            right
        });
        assert_eq!(alone(|h| h.put_left(b"", 65)), merkle(vec![[0; 32]; 3], 3).expect("fits"));
        assert_eq!(alone(|h| h.put_address("")), [0; 32]);
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let mut hasher = Hasher::default();
        assert!(hasher.put_list(&[0; 33], 32).is_err());
        assert!(hasher.put_left(&[0; 33], 32).is_err());
        assert!(hasher.put_numbers(&[0; 5], 4).is_err());
        assert!(hasher.put_signatures(&[0; 64]).is_err());
        assert!(hasher.put_signatures(&[0; 65 * 33]).is_err());
        for text in ["0x", "0X6325253fec448615bbda08313f6a8eb668d20bf5", "0x63", "é"] {
            assert!(hasher.put_address(text).is_err(), "{text}");
        }
        assert!(hasher.chunks.is_empty(), "nothing is put half");
    }
}
