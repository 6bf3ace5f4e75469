//! Histories as other programs read and write them (EIP-3076, version 5 of the format).
//!
//! A complete history and a minimal one, which has the highest numbers only, look alike and mean the same here: nothing
//! up to what it says is signed any more.
//!
//! <https://eips.ethereum.org/EIPS/eip-3076>
//!
//! # What must never happen
//!
//! - A record is passed over. One that is not understood ends the reading.

use coxswain_dv_eth::Root;
use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::verdict::{SignedAttestation, SignedBlock};

/// Largest text that is read. A record has some 200 bytes, so a thousand validators may bring what they signed in four
/// days; programs that export more than the highest numbers of each keep about two.
pub const MAX_BYTES: usize = 256 << 20;
/// The version of the format.
const VERSION: &str = "5";

/// Why a text is no history.
#[derive(Debug, thiserror::Error)]
pub enum InterchangeError {
    /// It is longer than any.
    #[error("it has {length} bytes, and at most {MAX_BYTES} are read")]
    TooLong {
        /// Bytes.
        length: usize,
    },
    /// It is not of the form.
    #[error("it is no interchange of EIP-3076, at {place}")]
    Form {
        /// Where, as in `data[2].pubkey`.
        place: String,
        /// What is wrong there, with its line and column.
        source: serde_json::Error,
    },
    /// Another version.
    #[error("interchange_format_version is {0:?}, and only \"5\" is known")]
    Version(String),
}

/// Histories of keys on one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interchange {
    /// The chain.
    pub genesis_validators_root: Root,
    /// In the order of the text; a key may stand there twice, and has signed both then.
    pub entries: Vec<Entry>,
}

/// What one key has signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The key: of a group or of a share.
    #[serde(rename = "pubkey", deserialize_with = "key")]
    pub key: Bytes48,
    /// In the order of the text.
    #[serde(rename = "signed_blocks")]
    pub blocks: Vec<SignedBlock>,
    /// In the order of the text.
    #[serde(rename = "signed_attestations")]
    pub attestations: Vec<SignedAttestation>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    metadata: Metadata,
    data: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    interchange_format_version: String,
    #[serde(deserialize_with = "bytes_32")]
    genesis_validators_root: Bytes32,
}

#[derive(Serialize, Deserialize)]
struct Block {
    #[serde(with = "quoted")]
    slot: u64,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "root")]
    signing_root: Option<Bytes32>,
}

#[derive(Serialize, Deserialize)]
struct Attestation {
    #[serde(with = "quoted")]
    source_epoch: u64,
    #[serde(with = "quoted")]
    target_epoch: u64,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "root")]
    signing_root: Option<Bytes32>,
}

impl Interchange {
    /// Reads a text. What the format does not name is passed over; a number must be in quotes.
    ///
    /// # Errors
    /// [`InterchangeError`], with the place of what is not understood.
    pub fn parse(text: &[u8]) -> Result<Interchange, InterchangeError> {
        if text.len() > MAX_BYTES {
            return Err(InterchangeError::TooLong { length: text.len() });
        }
        let read: Document = serde_json::from_slice(text).map_err(|error| misplaced(text, error))?;
        if read.metadata.interchange_format_version != VERSION {
            return Err(InterchangeError::Version(read.metadata.interchange_format_version));
        }
        Ok(Interchange {
            genesis_validators_root: read.metadata.genesis_validators_root.0,
            entries: read.data,
        })
    }

    /// The text.
    #[must_use]
    pub fn to_text(&self) -> String {
        coxswain_dv_types::text::pretty(&Document {
            metadata: Metadata {
                interchange_format_version: VERSION.to_owned(),
                genesis_validators_root: Bytes32::from(self.genesis_validators_root),
            },
            data: self.entries.clone(),
        })
    }
}

/// The place of what is not understood. The text is read once more for it, with the place noted at each step.
fn misplaced(text: &[u8], first: serde_json::Error) -> InterchangeError {
    let reader = &mut serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, Document>(reader) {
        Err(error) => {
            let place = error.path().to_string();
            InterchangeError::Form { place, source: error.into_inner() }
        }
        // Something stands behind the document.
        Ok(_) => InterchangeError::Form { place: "its end".to_owned(), source: first },
    }
}

impl Serialize for SignedBlock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Block { slot: self.slot, signing_root: self.root.map(Bytes32::from) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SignedBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Block::deserialize(deserializer)?;
        Ok(SignedBlock { slot: read.slot, root: read.signing_root.map(|root| root.0) })
    }
}

impl Serialize for SignedAttestation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let signing_root = self.root.map(Bytes32::from);
        Attestation { source_epoch: self.source, target_epoch: self.target, signing_root }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SignedAttestation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Attestation::deserialize(deserializer)?;
        let root = read.signing_root.map(|root| root.0);
        Ok(SignedAttestation { source: read.source_epoch, target: read.target_epoch, root })
    }
}

/// Bytes in hex, with or without `0x` as programs write them.
fn hex<'de, const N: usize, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; N], D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    bytes(&text).ok_or_else(|| D::Error::custom(format_args!("{text:.100?} is no {N} bytes in hex")))
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    ::hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes).ok()?;
    Some(bytes)
}

fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes48, D::Error> {
    hex(deserializer).map(Bytes48::from)
}

fn bytes_32<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes32, D::Error> {
    hex(deserializer).map(Bytes32::from)
}

/// A signing root that is there, or none: missing, `null`, or all zero, which some programs write for one that they do
/// not know.
fn root<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes32>, D::Error> {
    let Some(text) = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let root = bytes::<32>(&text)
        .ok_or_else(|| D::Error::custom(format_args!("{text:.100?} is no 32 bytes in hex")))?;
    Ok((root != [0; 32]).then_some(Bytes32::from(root)))
}

/// Numbers in quotes.
mod quoted {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_digits { text.parse().ok() } else { None };
        number.ok_or_else(|| D::Error::custom(format_args!("{text:.100?} is no number of 64 bits")))
    }
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

    fn entry(blocks: &str, attestations: &str) -> String {
        let key = ::hex::encode([7; 48]);
        text(&format!(
            r#"{{"pubkey":"0x{key}","signed_blocks":[{blocks}],"signed_attestations":[{attestations}]}}"#
        ))
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = Interchange::parse(text.as_bytes()).expect_err(expected);
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(format!("{error}: {cause}").contains(expected), "{error}: {cause}");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        check("[]", "it is no interchange");
        check(&format!("{}x", text("")), "at its end: trailing characters");
        check(&text("").replace(r#""5""#, r#""4""#), "interchange_format_version is \"4\"");
        check(&text("").replace("0x212f", "0x21"), "is no 32 bytes in hex");
        check(&entry("", "").replace("0x0707", "0x07"), "at data[0].pubkey: ");
        check(&entry("", "").replace("0x0707", "0x07"), "is no 48 bytes in hex");
        check(&entry(r#"{"slot":"1"},{"slot":7}"#, ""), "at data[0].signed_blocks[1].slot: ");
        check(&entry(r#"{"slot":7}"#, ""), "line 1 column");
        check(&entry(r#"{"slot":"-7"}"#, ""), "\"-7\" is no number of 64 bits");
        check(&entry(r#"{"slot":"+7"}"#, ""), "\"+7\" is no number of 64 bits");
        check(&entry(r#"{"slot":""}"#, ""), "\"\" is no number of 64 bits");
        check(&entry(r#"{"slot":"18446744073709551616"}"#, ""), "is no number of 64 bits");
        check(&entry(r#"{"slot":"7","signing_root":"0x12"}"#, ""), "\"0x12\" is no 32 bytes in hex");
        check(&entry("", r#"{"source_epoch":"1"}"#), "missing field `target_epoch`");
        check(
            &entry("", "").replace(r#","signed_attestations":[]"#, ""),
            "missing field `signed_attestations`",
        );
    }

    #[test]
    fn roots_that_say_nothing_are_none() {
        let zero = format!(r#"{{"slot":"7","signing_root":"0x{}"}}"#, "00".repeat(32));
        for block in [r#"{"slot":"7"}"#, r#"{"slot":"7","signing_root":null}"#, &zero] {
            let read = Interchange::parse(entry(block, "").as_bytes()).expect("a history");
            assert_eq!(read.entries[0].blocks, [SignedBlock { slot: 7, root: None }]);
        }
    }

    #[test]
    fn the_text_is_what_others_read() {
        let blocks = format!(r#"{{"slot":"7","signing_root":"{ROOT}"}},{{"slot":"8"}}"#);
        let attestations = format!(r#"{{"source_epoch":"1","target_epoch":"2","signing_root":"{ROOT}"}}"#);
        let given = entry(&blocks, &attestations);
        let read = Interchange::parse(given.as_bytes()).expect("a history");
        let written = read.to_text();
        let compact: serde_json::Value = serde_json::from_str(&written).expect("JSON");
        assert_eq!(compact, serde_json::from_str::<serde_json::Value>(&given).expect("JSON"));
        assert_eq!(Interchange::parse(written.as_bytes()).expect("a history"), read);
    }
}
