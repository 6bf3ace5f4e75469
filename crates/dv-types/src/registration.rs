//! Registrations of validators with builders.
//!
//! <https://github.com/ethereum/builder-specs/blob/main/specs/bellatrix/builder.md#validatorregistrationv1>

mod documents;

use coxswain_dv_crypto::k1::Address;
use serde::{Deserialize, Serialize};

use crate::Root;
use crate::network::{DOMAIN_APPLICATION_BUILDER, ForkVersion, Network, container, domain, signing_root};

pub use documents::{Collected, parse_collected, parse_overrides};

/// Gas limit of clusters whose definition has none.
pub const OLD_GAS_LIMIT: u64 = 30_000_000;

/// `ValidatorRegistrationV1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Who is paid.
    pub fee_recipient: Address,
    /// The gas limit that is aimed at.
    pub gas_limit: u64,
    /// Seconds since 1970: the later one counts.
    pub timestamp: u64,
    /// The validator's public key.
    pub pubkey: [u8; 48],
}

/// A registration that the validator's key has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRegistration {
    /// What was signed.
    pub message: Registration,
    /// By the validator's key; not verified here.
    pub signature: [u8; 96],
}

/// Why a text is no registration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// It is no JSON of this shape.
    #[error("it is no signed registration: {0}")]
    Malformed(String),
    /// A field.
    #[error("{field}: {why}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl Registration {
    /// `hash_tree_root(ValidatorRegistrationV1)`.
    pub fn root(&self) -> Root {
        container(|hasher| {
            hasher.put(&self.fee_recipient.0);
            hasher.put_number(self.gas_limit);
            hasher.put_number(self.timestamp);
            hasher.put(&self.pubkey);
        })
    }

    /// What is signed: of the network's first fork, for ever.
    pub fn signing_root(&self, network: &Network) -> Root {
        self.signing_root_at(network.genesis_fork_version)
    }

    /// The same, where only the first fork version of the network is known: it is all that counts.
    pub fn signing_root_at(&self, genesis: ForkVersion) -> Root {
        signing_root(&self.root(), &domain(DOMAIN_APPLICATION_BUILDER, genesis, &[0; 32]))
    }
}

/// As the builder and beacon APIs have it: numbers in quotes.
#[derive(Serialize, Deserialize)]
struct Document {
    message: Message,
    signature: String,
}

#[derive(Serialize, Deserialize)]
struct Message {
    fee_recipient: String,
    gas_limit: String,
    timestamp: String,
    pubkey: String,
}

impl SignedRegistration {
    /// The JSON of the builder and beacon APIs, without white space.
    pub fn to_json(&self) -> String {
        let document = Document {
            message: Message {
                fee_recipient: self.message.fee_recipient.to_string(),
                gas_limit: self.message.gas_limit.to_string(),
                timestamp: self.message.timestamp.to_string(),
                pubkey: format!("0x{}", hex::encode(self.message.pubkey)),
            },
            signature: format!("0x{}", hex::encode(self.signature)),
        };
        crate::text::compact(&document)
    }

    /// Reads the JSON of the builder and beacon APIs.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &[u8]) -> Result<SignedRegistration, RegistrationError> {
        let document: Document =
            serde_json::from_slice(text).map_err(|e| RegistrationError::Malformed(e.to_string()))?;
        document.read()
    }
}

impl Document {
    fn read(&self) -> Result<SignedRegistration, RegistrationError> {
        let (message, signature) = (self.message.read()?, fixed("signature", &self.signature)?);
        Ok(SignedRegistration { message, signature })
    }
}

impl Message {
    fn read(&self) -> Result<Registration, RegistrationError> {
        Ok(Registration {
            fee_recipient: Address::parse(&self.fee_recipient)
                .map_err(|e| wrong("message.fee_recipient", e.to_string()))?,
            gas_limit: number("message.gas_limit", &self.gas_limit)?,
            timestamp: number("message.timestamp", &self.timestamp)?,
            pubkey: fixed("message.pubkey", &self.pubkey)?,
        })
    }
}

fn wrong(field: &'static str, why: impl Into<String>) -> RegistrationError {
    RegistrationError::Field { field, why: why.into() }
}

fn number(field: &'static str, text: &str) -> Result<u64, RegistrationError> {
    let is_digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits).ok_or_else(|| wrong(field, "it is no whole number"))
}

fn fixed<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], RegistrationError> {
    crate::text::bytes(text).ok_or_else(|| wrong(field, format!("it is not {N} bytes in hex")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed() -> SignedRegistration {
        let message = Registration {
            fee_recipient: Address([0xab; 20]),
            gas_limit: u64::MAX,
            timestamp: 1_646_092_800,
            pubkey: [3; 48],
        };
        SignedRegistration { message, signature: [4; 96] }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = signed().to_json();
        assert!(
            text.contains("\"gas_limit\":\"18446744073709551615\",\"timestamp\":\"1646092800\""),
            "{text}"
        );
        assert!(text.starts_with("{\"message\":{\"fee_recipient\":\"0x"), "{text}");
        assert_eq!(SignedRegistration::parse(text.as_bytes()), Ok(signed()));
    }

    #[test]
    fn what_is_refused_says_where() {
        let text = signed().to_json();
        for (from, to, expected) in [
            (
                "\"18446744073709551615\"",
                "\"18446744073709551616\"",
                "message.gas_limit: it is no whole number",
            ),
            ("\"1646092800\"", "\"+1\"", "message.timestamp: it is no whole number"),
            ("\"1646092800\"", "1646092800", "it is no signed registration"),
            ("0x0303", "0x03", "message.pubkey: it is not 48 bytes in hex"),
            ("0x0404", "0x04", "signature: it is not 96 bytes in hex"),
        ] {
            assert!(text.contains(from), "{text}");
            let error = SignedRegistration::parse(text.replacen(from, to, 1).as_bytes()).expect_err(expected);
            assert!(error.to_string().contains(expected), "{error}");
        }
        let odd = text.replacen("\"fee_recipient\":\"0x", "\"fee_recipient\":\"0xg", 1);
        let error = SignedRegistration::parse(odd.as_bytes()).expect_err("no address").to_string();
        assert!(error.starts_with("message.fee_recipient: "), "{error}");
    }

    /// Every field is under the root.
    #[test]
    fn every_field_counts() {
        let message = signed().message;
        let others = [
            Registration { fee_recipient: Address([1; 20]), ..message.clone() },
            Registration { gas_limit: 1, ..message.clone() },
            Registration { timestamp: 1, ..message.clone() },
            Registration { pubkey: [1; 48], ..message.clone() },
        ];
        for other in others {
            assert_ne!(other.root(), message.root(), "{other:?}");
        }
    }
}
