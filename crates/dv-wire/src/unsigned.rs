//! What consensus decides: a set of values by validator, or a result of the priority protocol; and its root.

use std::collections::BTreeMap;

use coxswain_dv_types::Root;

use crate::canonical::{Fields, Holds, Shape, canonical, put_entry};
use crate::message::{Missing, WireError, WireMessage, decode, each, shown};
use crate::priority::PriorityResult;
use crate::root::bytes_root;
use crate::well_known::Any;

/// Values by validator, for one duty.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct UnsignedDataSet {
    /// In the order of keys; a received one in any order, and a key may be there twice.
    #[prost(message, repeated, tag = "1")]
    pub set: Vec<UnsignedDataSetEntry>,
}

/// A validator and its value.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct UnsignedDataSetEntry {
    /// `0x` and 96 lower hexadecimal digits. Written also where it is empty; where it is absent it is empty.
    #[prost(string, optional, tag = "1")]
    pub key: Option<String>,
    /// As the type of the duty has it. Where it is absent it is empty.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub value: Option<Vec<u8>>,
}

impl WireMessage for UnsignedDataSet {
    const NAME: &'static str = "core.corepb.v1.UnsignedDataSet";
    fn present(&self) -> Result<(), Missing> {
        each("set", &self.set)
    }
}

impl WireMessage for UnsignedDataSetEntry {
    const NAME: &'static str = "core.corepb.v1.UnsignedDataSet.SetEntry";
    fn present(&self) -> Result<(), Missing> {
        Ok(())
    }
}

impl From<BTreeMap<String, Vec<u8>>> for UnsignedDataSet {
    fn from(map: BTreeMap<String, Vec<u8>>) -> UnsignedDataSet {
        let entry = |(key, value)| UnsignedDataSetEntry { key: Some(key), value: Some(value) };
        UnsignedDataSet { set: map.into_iter().map(entry).collect() }
    }
}

impl From<UnsignedDataSet> for BTreeMap<String, Vec<u8>> {
    /// Of a key that is there twice, the last value is taken, and what an entry lacks is empty: so protobuf has it.
    fn from(set: UnsignedDataSet) -> BTreeMap<String, Vec<u8>> {
        let pair =
            |entry: UnsignedDataSetEntry| (entry.key.unwrap_or_default(), entry.value.unwrap_or_default());
        set.set.into_iter().map(pair).collect()
    }
}

impl UnsignedDataSet {
    /// A value of consensus of these values, in one piece and in the order of keys.
    #[must_use]
    pub fn pack(set: &BTreeMap<String, Vec<u8>>) -> Any {
        let mut value = Vec::new();
        for (key, bytes) in set {
            put_entry(&mut value, 1, key.as_bytes(), bytes);
        }
        Any { value, ..Any::pack(&UnsignedDataSet::default()) }
    }
}

static ANY: Shape = Shape { name: Any::NAME, fields: &[(1, Holds::Bytes), (2, Holds::Bytes)] };
static UNSIGNED: Shape = Shape { name: UnsignedDataSet::NAME, fields: &[(1, Holds::Map)] };
static DUTY: Shape =
    Shape { name: "core.corepb.v1.Duty", fields: &[(1, Holds::Number), (2, Holds::Number32)] };
static PROPOSAL: Shape = Shape {
    name: "core.corepb.v1.PriorityTopicProposal",
    fields: &[(1, Holds::One(&ANY)), (2, Holds::Many(&ANY))],
};
static PREFERENCES: Shape = Shape {
    name: "core.corepb.v1.PriorityMsg",
    fields: &[(1, Holds::One(&DUTY)), (2, Holds::Many(&PROPOSAL)), (3, Holds::Bytes), (4, Holds::Bytes)],
};
static SCORED: Shape = Shape {
    name: "core.corepb.v1.PriorityScoredResult",
    fields: &[(1, Holds::One(&ANY)), (2, Holds::Number)],
};
static TOPIC: Shape = Shape {
    name: "core.corepb.v1.PriorityTopicResult",
    fields: &[(1, Holds::One(&ANY)), (2, Holds::Many(&SCORED))],
};
static RESULT: Shape =
    Shape { name: PriorityResult::NAME, fields: &[(1, Holds::Many(&PREFERENCES)), (2, Holds::Many(&TOPIC))] };
/// The number of the signature in a message of QBFT.
const QBFT_SIGNATURE: u64 = 8;
/// A message of QBFT but for its signature, which is taken out before.
static QBFT: Shape = Shape {
    name: "core.corepb.v1.QBFTMsg",
    fields: &[
        (1, Holds::Number),
        (2, Holds::One(&DUTY)),
        (3, Holds::Number),
        (4, Holds::Number),
        (6, Holds::Number),
        (11, Holds::Bytes),
        (12, Holds::Bytes),
    ],
};

/// The bytes of a value of consensus as all nodes write them before they hash them: the order of a received map is any.
///
/// # Errors
/// It is of another type than nodes agree on, or its bytes are no message of its type.
pub fn canonical_value(value: &Any) -> Result<Vec<u8>, WireError> {
    let limit = value.value.len();
    let shape = if value.is::<UnsignedDataSet>() {
        decode::<UnsignedDataSet>(&value.value, limit)?;
        &UNSIGNED
    } else if value.is::<PriorityResult>() {
        decode::<PriorityResult>(&value.value, limit)?;
        &RESULT
    } else {
        return Err(WireError::Type { expected: UnsignedDataSet::NAME, found: shown(&value.type_url) });
    };
    canonical(&value.value, shape)
}

/// The root of a value of consensus, which is what nodes vote on: of [`canonical_value`].
///
/// # Errors
/// As there.
pub fn value_root(value: &Any) -> Result<Root, WireError> {
    Ok(bytes_root(&canonical_value(value)?))
}

/// What a node signs of a message of QBFT, from the bytes that were received: fields of later versions are signed, too.
///
/// # Errors
/// The bytes are no such message.
pub fn qbft_signing_root(bytes: &[u8]) -> Result<Root, WireError> {
    let mut unsigned = Vec::with_capacity(bytes.len());
    let mut fields = Fields::of(bytes);
    for field in fields.by_ref().filter(|field| field.number != QBFT_SIGNATURE) {
        unsigned.extend_from_slice(field.whole);
    }
    if fields.is_broken() {
        return Err(WireError::Value { message: QBFT.name, why: "its bytes end inside a field" });
    }
    Ok(bytes_root(&canonical(&unsigned, &QBFT)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::encode;
    use crate::priority::Duty;
    use crate::qbft::QbftMsg;

    fn set(entries: &[(&str, &[u8])]) -> BTreeMap<String, Vec<u8>> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect()
    }

    fn any(bytes: &[u8]) -> Any {
        Any { value: bytes.to_vec(), ..UnsignedDataSet::pack(&BTreeMap::new()) }
    }

    #[test]
    fn a_set_is_written_whole_and_its_root_knows_no_order() {
        let packed = UnsignedDataSet::pack(&set(&[("b", b""), ("a", b"1")]));
        assert_eq!(packed.value, b"\x0a\x06\x0a\x01a\x12\x011\x0a\x05\x0a\x01b\x12\0");
        assert_eq!(packed.type_url, "type.googleapis.com/core.corepb.v1.UnsignedDataSet");
        let root = value_root(&packed);
        assert_eq!(root, Ok(bytes_root(&packed.value)));
        assert_eq!(value_root(&any(b"\x0a\x03\x0a\x01b\x0a\x06\x0a\x01a\x12\x011")), root);
        let read: UnsignedDataSet = packed.unpack(100).expect("a set");
        assert_eq!(BTreeMap::from(read), set(&[("a", b"1"), ("b", b"")]));
    }

    #[test]
    fn fields_of_later_versions_are_part_of_a_root() {
        let plain = any(b"\x0a\x06\x0a\x01a\x12\x011");
        let later = any(b"\x18\x07\x0a\x06\x0a\x01a\x12\x011");
        assert_eq!(value_root(&later), Ok(bytes_root(b"\x0a\x06\x0a\x01a\x12\x011\x18\x07")));
        assert_ne!(value_root(&later), value_root(&plain));
    }

    #[test]
    fn other_types_are_refused() {
        let other = Any { type_url: "type.googleapis.com/core.corepb.v1.Duty".into(), value: Vec::new() };
        assert!(matches!(value_root(&other), Err(WireError::Type { .. })));
        assert!(matches!(value_root(&any(b"\x0a\x01")), Err(WireError::Protobuf { .. })));
    }

    #[test]
    fn messages_are_signed_without_their_signature_and_with_what_is_not_known() {
        let duty = Some(Duty { slot: 7, r#type: 2 });
        let message = QbftMsg {
            r#type: 2,
            duty,
            round: 1,
            value_hash: vec![3; 32],
            signature: vec![9; 65],
            ..QbftMsg::default()
        };
        let mut bytes = encode(&message);
        assert_eq!(qbft_signing_root(&bytes), Ok(message.signing_root()));
        bytes.extend_from_slice(b"\x68\x01");
        assert_ne!(qbft_signing_root(&bytes), Ok(message.signing_root()));
    }
}
