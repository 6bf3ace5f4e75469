//! What is signed of a message of the priority protocol and of QBFT: the root of its bytes.

use coxswain_dv_types::Root;
use coxswain_dv_types::hash::Hasher;

/// The root of bytes: chunks of 32, the last one padded with zeros, under a binary tree of zeros to the next power of
/// two. No length is mixed in, one chunk is its own root, and no bytes have a root of zeros.
#[must_use]
pub fn bytes_root(bytes: &[u8]) -> Root {
    let root = Hasher::root(|hasher| {
        hasher.put(bytes);
        Ok(())
    });
    // `put` has no limit, and the number of its chunks is at most one.
    root.unwrap_or_default()
}
