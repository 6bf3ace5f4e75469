//! What validators have signed with their whole keys, handed on to the shares of the nodes (EIP-3076).
//!
//! ```text
//! Interchange of the whole keys ─of a node: each key replaced by its share→ slashing-protection.json
//! ```
//!
//! A share signs the same messages as the whole key: what the one has signed, the other must not contradict. So a signing
//! root stays as it is, and the same message may be signed again.
//!
//! <https://eips.ethereum.org/EIPS/eip-3076>
//!
//! # What must never happen
//!
//! - A record is left out of a history that is handed on.

use std::collections::BTreeMap;

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_slashing::interchange::{Entry, Interchange};
use coxswain_dv_slashing::store::KeyPair;

/// The file in a node's directory.
pub const FILE: &str = "slashing-protection.json";

/// Of which of these keys nothing is known in a history, by their positions.
#[must_use]
pub fn lacks(history: &Interchange, keys: &[[u8; 48]]) -> Vec<usize> {
    let is_there = |key: &[u8; 48]| history.entries.iter().any(|entry| entry.key.0 == *key);
    keys.iter().enumerate().filter(|(_, key)| !is_there(key)).map(|(at, _)| at).collect()
}

/// The history of a node: its shares, with what their whole keys have signed.
#[must_use]
pub fn of_node(history: &Interchange, pairs: &[KeyPair]) -> Interchange {
    let mut of: BTreeMap<Bytes48, Entry> = BTreeMap::new();
    for entry in &history.entries {
        let one = of.entry(entry.key).or_insert_with(|| Entry {
            key: entry.key,
            blocks: Vec::new(),
            attestations: Vec::new(),
        });
        // A key that stands there twice has signed what is in both.
        one.blocks.extend(&entry.blocks);
        one.attestations.extend(&entry.attestations);
    }
    let entries = pairs.iter().filter_map(|pair| Some(Entry { key: pair.share, ..of.remove(&pair.group)? }));
    Interchange { genesis_validators_root: history.genesis_validators_root, entries: entries.collect() }
}

#[cfg(test)]
mod tests {
    use coxswain_dv_slashing::verdict::SignedBlock;

    use super::*;

    fn entry(key: u8, slot: u64) -> Entry {
        let blocks = vec![SignedBlock { slot, root: None }];
        Entry { key: Bytes48::from([key; 48]), blocks, attestations: Vec::new() }
    }

    #[test]
    fn keys_of_which_nothing_is_known_are_named() {
        let history =
            Interchange { genesis_validators_root: [9; 32], entries: vec![entry(1, 7), entry(3, 8)] };
        assert_eq!(lacks(&history, &[[1; 48], [2; 48], [3; 48], [4; 48]]), [1, 3]);
    }

    #[test]
    fn a_key_that_stands_there_twice_has_signed_both() {
        let entries = vec![entry(1, 7), entry(2, 8), entry(1, 9)];
        let history = Interchange { genesis_validators_root: [9; 32], entries };
        let pair =
            |number| KeyPair { group: Bytes48::from([number; 48]), share: Bytes48::from([number + 10; 48]) };
        let of_node = of_node(&history, &[pair(3), pair(1)]);
        let blocks = [7, 9].map(|slot| SignedBlock { slot, root: None }).to_vec();
        let expected = Entry { key: Bytes48::from([11; 48]), blocks, attestations: Vec::new() };
        assert_eq!(of_node, Interchange { genesis_validators_root: [9; 32], entries: vec![expected] });
    }
}
