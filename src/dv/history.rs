//! What validators have signed with their whole keys, handed on to the shares of the nodes (EIP-3076).
//!
//! ```text
//! interchange of the whole keys ─parse→ History ─of a node: each key replaced by its share→ slashing-protection.json
//! ```
//!
//! A share signs the same messages as the whole key: what the one has signed, the other must not contradict. So a signing
//! root stays as it is, and the same message may be signed again.
//!
//! <https://eips.ethereum.org/EIPS/eip-3076>
//!
//! # What must never happen
//!
//! - A record is left out of a history that is handed on. One that is not understood ends the command.

use std::collections::BTreeMap;

use coxswain_dv_types::cluster::Lock;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The file in a node's directory.
pub const FILE: &str = "slashing-protection.json";
/// Largest history that is read: a thousand validators over a year have less.
pub const MAX_BYTES: u64 = 256 << 20;
/// The version of the format.
const VERSION: &str = "5";

/// Why a history is not taken.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// No interchange.
    #[error("it is no interchange of EIP-3076: {0}")]
    Syntax(#[from] serde_json::Error),
    /// Another version.
    #[error("interchange_format_version is {0:?}, and only \"5\" is known")]
    Version(String),
    /// A field.
    #[error("{path} is {found}, and not {expected}")]
    Field {
        /// Where, like `data[2].pubkey`.
        path: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: &'static str,
    },
}

/// Histories of whole keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    genesis_validators_root: String,
    /// Records of blocks and of attestations, by public key.
    of: BTreeMap<[u8; 48], Records>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Records {
    blocks: Vec<Json>,
    attestations: Vec<Json>,
}

#[derive(Serialize, Deserialize)]
struct Interchange {
    metadata: Metadata,
    data: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    interchange_format_version: String,
    genesis_validators_root: String,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    pubkey: String,
    signed_blocks: Vec<Json>,
    signed_attestations: Vec<Json>,
}

impl History {
    /// Reads an interchange.
    ///
    /// # Errors
    /// [`HistoryError`]: nothing is passed over.
    pub fn parse(text: &[u8]) -> Result<History, HistoryError> {
        let read: Interchange = serde_json::from_slice(text)?;
        if read.metadata.interchange_format_version != VERSION {
            return Err(HistoryError::Version(read.metadata.interchange_format_version));
        }
        let root = read.metadata.genesis_validators_root;
        bytes::<32>("metadata.genesis_validators_root", &root, "32 bytes in hex")?;
        let mut of: BTreeMap<[u8; 48], Records> = BTreeMap::new();
        for (at, entry) in read.data.into_iter().enumerate() {
            let within = |name: &str| format!("data[{at}].{name}");
            let key = bytes(&within("pubkey"), &entry.pubkey, "48 bytes in hex")?;
            check(&within("signed_blocks"), &entry.signed_blocks, &["slot"])?;
            check(
                &within("signed_attestations"),
                &entry.signed_attestations,
                &["source_epoch", "target_epoch"],
            )?;
            // A key that stands there twice has signed what is in both.
            let records = of.entry(key).or_default();
            records.blocks.extend(entry.signed_blocks);
            records.attestations.extend(entry.signed_attestations);
        }
        Ok(History { genesis_validators_root: root, of })
    }

    /// Of which of these keys nothing is known here, by their positions.
    #[must_use]
    pub fn lacks(&self, keys: &[[u8; 48]]) -> Vec<usize> {
        let unknown = keys.iter().enumerate().filter(|(_, key)| !self.of.contains_key(*key));
        unknown.map(|(at, _)| at).collect()
    }

    /// The interchange of the node at this position: its shares, with what their whole keys have signed.
    #[must_use]
    pub fn of_node(&self, lock: &Lock, node: usize) -> String {
        let entry = |validator: &coxswain_dv_types::cluster::DistributedValidator| {
            let key = <[u8; 48]>::try_from(&*validator.public_key).ok()?;
            let records = self.of.get(&key)?;
            Some(Entry {
                pubkey: format!("0x{}", hex::encode(&**validator.public_shares.get(node)?)),
                signed_blocks: records.blocks.clone(),
                signed_attestations: records.attestations.clone(),
            })
        };
        let interchange = Interchange {
            metadata: Metadata {
                interchange_format_version: VERSION.to_owned(),
                genesis_validators_root: self.genesis_validators_root.clone(),
            },
            data: lock.validators.iter().filter_map(entry).collect(),
        };
        coxswain_dv_types::text::pretty(&interchange)
    }
}

fn bytes<const N: usize>(path: &str, text: &str, expected: &'static str) -> Result<[u8; N], HistoryError> {
    let mut bytes = [0; N];
    let read = hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes);
    read.map_err(|_| HistoryError::Field {
        path: path.to_owned(),
        found: format!("{text:.100?}"),
        expected,
    })?;
    Ok(bytes)
}

/// Every record has its numbers, in quotes as the format has them.
fn check(path: &str, records: &[Json], numbers: &[&str]) -> Result<(), HistoryError> {
    for (at, record) in records.iter().enumerate() {
        for name in numbers {
            let found = record.get(name);
            let is_number = found.and_then(Json::as_str).is_some_and(|text| text.parse::<u64>().is_ok());
            if !is_number {
                let found = found.map_or_else(|| "not there".to_owned(), |found| format!("{found:.100}"));
                let path = format!("{path}[{at}].{name}");
                return Err(HistoryError::Field { path, found, expected: "a number in quotes" });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "0x212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f";

    fn text(data: &str) -> String {
        format!(
            r#"{{"metadata":{{"interchange_format_version":"5","genesis_validators_root":"{ROOT}"}},"data":[{data}]}}"#
        )
    }

    fn entry(key: u8, blocks: &str, attestations: &str) -> String {
        let key = hex::encode([key; 48]);
        format!(r#"{{"pubkey":"0x{key}","signed_blocks":[{blocks}],"signed_attestations":[{attestations}]}}"#)
    }

    #[track_caller]
    fn check(text: &str, part: &str) {
        let error = History::parse(text.as_bytes()).expect_err("refused").to_string();
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        check("[]", "no interchange");
        check(&text("").replace(r#""5""#, r#""4""#), "interchange_format_version is \"4\"");
        check(&text("").replace("0x212f", "0x21"), "genesis_validators_root");
        check(&text(&entry(1, "", "").replace("0x01", "0x")), "data[0].pubkey");
        check(&text(&entry(1, r#"{"slot":7}"#, "")), "data[0].signed_blocks[0].slot is 7");
        check(&text(&entry(1, r#"{"slot":"-7"}"#, "")), "data[0].signed_blocks[0].slot");
        let half = r#"{"source_epoch":"1"}"#;
        check(
            &text(&format!("{},{}", entry(1, "", ""), entry(2, "", half))),
            "data[1].signed_attestations[0].target_epoch is not there",
        );
        check(r#"{"metadata":{},"data":[]}"#, "missing field");
    }

    #[test]
    fn a_key_that_stands_there_twice_has_signed_both() {
        let (first, second) = (r#"{"slot":"1","signing_root":"0x01"}"#, r#"{"slot":"2"}"#);
        let read =
            History::parse(text(&format!("{},{}", entry(1, first, ""), entry(1, second, ""))).as_bytes());
        assert_eq!(read.expect("a history").of[&[1; 48]].blocks.len(), 2);
    }
}
