//! Partial signatures.
//!
//! A set is a map by validator. Maps are lists of entries here, in the order of keys: an entry writes key and value also
//! where they are empty, as Go does, because signatures cover the bytes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::message::{Missing, WireError, WireMessage, each, optional, required};
use crate::priority::Duty;

/// Bytes of a signature of validators.
pub const SIGNATURE_BYTES: usize = 96;
/// The type of duties whose data is a bare signature: those of ceremonies.
pub const DUTY_SIGNATURE: i32 = 3;

/// One node's partial signatures for one duty.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ParSigExMsg {
    /// The duty; in ceremonies of the type [`DUTY_SIGNATURE`].
    #[prost(message, optional, tag = "1")]
    pub duty: Option<Duty>,
    /// The signatures.
    #[prost(message, optional, tag = "2")]
    pub data_set: Option<ParSignedDataSet>,
}

impl WireMessage for ParSigExMsg {
    const NAME: &'static str = "core.corepb.v1.ParSigExMsg";
    fn present(&self) -> Result<(), Missing> {
        required("duty", self.duty.as_ref())?;
        required("data_set", self.data_set.as_ref())
    }
}

/// Partial signatures by validator.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ParSignedDataSet {
    /// In the order of keys; a received one in any order, and a key may be there twice.
    #[prost(message, repeated, tag = "1")]
    pub set: Vec<ParSignedDataSetEntry>,
}

impl WireMessage for ParSignedDataSet {
    const NAME: &'static str = "core.corepb.v1.ParSignedDataSet";
    fn present(&self) -> Result<(), Missing> {
        each("set", &self.set)
    }
}

impl From<BTreeMap<String, ParSignedData>> for ParSignedDataSet {
    fn from(map: BTreeMap<String, ParSignedData>) -> ParSignedDataSet {
        let entry = |(key, value)| ParSignedDataSetEntry { key: Some(key), value: Some(value) };
        ParSignedDataSet { set: map.into_iter().map(entry).collect() }
    }
}

impl From<ParSignedDataSet> for BTreeMap<String, ParSignedData> {
    /// Of a key that is there twice, the last value is taken, and what an entry lacks is empty: so protobuf has it.
    fn from(set: ParSignedDataSet) -> BTreeMap<String, ParSignedData> {
        let pair =
            |entry: ParSignedDataSetEntry| (entry.key.unwrap_or_default(), entry.value.unwrap_or_default());
        set.set.into_iter().map(pair).collect()
    }
}

/// A validator and its partial signature.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ParSignedDataSetEntry {
    /// `0x` and 96 lower hexadecimal digits. Written also where it is empty; where it is absent it is empty.
    #[prost(string, optional, tag = "1")]
    pub key: Option<String>,
    /// The signature. Where it is absent it is empty.
    #[prost(message, optional, tag = "2")]
    pub value: Option<ParSignedData>,
}

impl WireMessage for ParSignedDataSetEntry {
    const NAME: &'static str = "core.corepb.v1.ParSignedDataSet.SetEntry";
    fn present(&self) -> Result<(), Missing> {
        optional("value", self.value.as_ref())
    }
}

/// A partial signature and what it is over.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ParSignedData {
    /// As the type of the duty has it; in ceremonies [`signature_data`].
    #[prost(bytes = "vec", tag = "1")]
    pub data: Vec<u8>,
    /// 96 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub signature: Vec<u8>,
    /// The index of the share, from 1.
    #[prost(int32, tag = "3")]
    pub share_idx: i32,
}

impl WireMessage for ParSignedData {
    const NAME: &'static str = "core.corepb.v1.ParSignedData";
    fn present(&self) -> Result<(), Missing> {
        Ok(())
    }
}

impl ParSignedData {
    /// A partial signature of a ceremony.
    #[must_use]
    pub fn of_signature(signature: &[u8; SIGNATURE_BYTES], share_index: i32) -> ParSignedData {
        ParSignedData {
            data: signature_data(signature),
            signature: signature.to_vec(),
            share_idx: share_index,
        }
    }

    /// The signature of a duty of the type [`DUTY_SIGNATURE`].
    ///
    /// # Errors
    /// The data is no signature, or another one than beside it.
    pub fn bare_signature(&self) -> Result<[u8; SIGNATURE_BYTES], WireError> {
        let wrong = |why| WireError::Value { message: Self::NAME, why };
        let signature =
            parse_signature_data(&self.data).ok_or(wrong("`data` is not the JSON text of a signature"))?;
        if self.signature != signature {
            return Err(wrong("`data` and `signature` are two signatures"));
        }
        Ok(signature)
    }
}

/// A signature as data: a JSON text of standard base64.
#[must_use]
pub fn signature_data(signature: &[u8; SIGNATURE_BYTES]) -> Vec<u8> {
    format!("\"{}\"", BASE64.encode(signature)).into_bytes()
}

fn parse_signature_data(data: &[u8]) -> Option<[u8; SIGNATURE_BYTES]> {
    let text = data.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    // Four digits for three bytes: decoding takes no more memory than a signature does.
    let text = (text.len() == SIGNATURE_BYTES / 3 * 4).then_some(text)?;
    BASE64.decode(text).ok()?.try_into().ok()
}
