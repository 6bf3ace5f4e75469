//! Typed data as operators sign it with their wallets.
//!
//! EIP-712, for flat types of strings and numbers under the domain of clusters, which has neither contract nor salt:
//! `keccak(0x1901 ‖ keccak(domain) ‖ keccak(message))`, a text being its hash and a number 32 bytes, the most significant
//! first. <https://eips.ethereum.org/EIPS/eip-712>

use coxswain_dv_crypto::k1::keccak256;

use crate::cluster::TypedText;

/// Name and version of the domain: the names under which wallets show these requests.
const DOMAIN: [Field<'_>; 2] =
    [Field { name: "name", value: Value::Text("Obol") }, Field { name: "version", value: Value::Text("1") }];
/// The terms that are agreed to before a cluster is published, as the service names them.
pub const TERMS_HASH: &str = "0xd33721644e8f3afab1495a74abe3523cec12d48b8da6cb760972492ca3f1a273";
/// Their version.
pub const TERMS_VERSION: u64 = 1;

/// A value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// `string`.
    Text(&'a str),
    /// `uint256`.
    Number(u64),
}

/// A field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

/// `hashStruct` of EIP-712: the type's text and the values, hashed.
fn hash_struct(kind: &str, fields: &[Field<'_>]) -> [u8; 32] {
    let declared = fields.iter().map(|field| match field.value {
        Value::Text(_) => format!("string {}", field.name),
        Value::Number(_) => format!("uint256 {}", field.name),
    });
    let encoded = format!("{kind}({})", declared.collect::<Vec<_>>().join(","));
    let mut bytes = keccak256(encoded.as_bytes()).to_vec();
    for field in fields {
        bytes.extend_from_slice(&match field.value {
            Value::Text(text) => keccak256(text.as_bytes()),
            Value::Number(number) => {
                let mut word = [0; 32];
                word[24..].copy_from_slice(&number.to_be_bytes());
                word
            }
        });
    }
    keccak256(&bytes)
}

/// What is signed: a message under the domain of clusters, on a chain or on none.
pub fn digest(chain_id: Option<u64>, kind: &str, fields: &[Field<'_>]) -> [u8; 32] {
    let chain = chain_id.map(|id| Field { name: "chainId", value: Value::Number(id) });
    let domain: Vec<Field<'_>> = DOMAIN.into_iter().chain(chain).collect();
    let separator = hash_struct("EIP712Domain", &domain);
    keccak256(&[&[0x19, 0x01], &separator[..], &hash_struct(kind, fields)].concat())
}

/// What an operator or the creator signs: the config hash as a text of 66 characters.
pub fn config_digest(signed: &TypedText, chain_id: u64, config_hash: &[u8]) -> [u8; 32] {
    let text = format!("0x{}", hex::encode(config_hash));
    digest(Some(chain_id), signed.name, &[Field { name: signed.field, value: Value::Text(&text) }])
}

/// What an operator signs for the node: its record's text.
pub fn enr_digest(chain_id: u64, enr: &str) -> [u8; 32] {
    digest(Some(chain_id), "ENR", &[Field { name: "enr", value: Value::Text(enr) }])
}

/// What is signed before a cluster is published; the domain has no chain.
pub fn terms_digest() -> [u8; 32] {
    let fields = [
        Field { name: "terms_and_conditions_hash", value: Value::Text(TERMS_HASH) },
        Field { name: "version", value: Value::Number(TERMS_VERSION) },
    ];
    digest(None, "TermsAndConditions", &fields)
}
