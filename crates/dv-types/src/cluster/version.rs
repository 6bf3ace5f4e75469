//! Versions of cluster files, as data: one row each, and the rest of the code asks the row.
//!
//! A new version is a row that says what it changes, and the code for what no version had before.

use std::fmt;

use crate::json::{Bytes, Item, Json, JsonError};

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Standard base64 with padding; `null` for nothing.
    Base64,
    /// `0x` and lower digits; an empty string for nothing.
    Hex,
}

/// Where the addresses of validators stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// One pair for all of them.
    OnePair,
    /// A pair for each.
    PerValidator,
}

/// How a definition and the keys of a lock are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tree {
    /// Texts as they are written, each one chunk or its root; the config hash is under the definition hash only by what
    /// it covers.
    Texts,
    /// SSZ, where a missing signature or address is no field.
    Sparse,
    /// SSZ, where what is missing is zeros.
    Padded,
}

/// What a secp256k1 signature may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureShape {
    /// 65 bytes.
    Single,
    /// Pieces of 65 bytes one behind the other, as a contract with several owners asks for them.
    Pieces,
}

/// What is signed as typed data (EIP-712): the name of the type, and of its only field, a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypedText {
    /// Name of the type.
    pub name: &'static str,
    /// Name of the field.
    pub field: &'static str,
}

/// What a lock has of a validator's deposits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deposits {
    /// Nothing.
    None,
    /// One deposit, whose four fields are hashed as if they were the validator's own.
    Inlined,
    /// One deposit.
    Single,
    /// Any number of deposits.
    List,
}

/// A version, and what its files are like.
#[derive(Clone, PartialEq, Eq)]
pub struct Version {
    /// As files name it.
    pub name: &'static str,
    /// Of hashes, signatures and public shares. Distributed keys and fork versions are hex in every version.
    pub encoding: Encoding,
    /// Whether operators have a `nonce`, which is 0.
    pub has_nonce: bool,
    /// Whether reading refuses a fork version that is neither empty nor four bytes.
    pub checks_fork_version: bool,
    /// Whether the definition hash covers the timestamp; the config hash does in every version.
    pub covers_timestamp: bool,
    /// How hashes are made.
    pub tree: Tree,
    /// What an operator signs besides its node record; nobody signs where it is none.
    pub operator_type: Option<TypedText>,
    /// What the creator signs; there is no creator where it is none.
    pub creator_type: Option<TypedText>,
    /// Fee recipients and withdrawal addresses.
    pub addresses: Addresses,
    /// Whether there are `deposit_amounts`.
    pub has_deposit_amounts: bool,
    /// Whether there is a `consensus_protocol`.
    pub has_consensus_protocol: bool,
    /// Whether there are `target_gas_limit` and `compounding`.
    pub has_gas_limit: bool,
    /// What signatures of operators and the creator may be.
    pub signatures: SignatureShape,
    /// Whether a lock without an aggregate signature is taken.
    pub allows_unsigned_lock: bool,
    /// Of the deposits in a lock.
    pub deposits: Deposits,
    /// Whether a lock has registrations with builders and signatures of the nodes.
    pub has_registrations: bool,
    /// Whether key generation takes such a definition.
    pub is_for_ceremonies: bool,
}

const V1_0: Version = Version {
    name: "v1.0.0",
    encoding: Encoding::Base64,
    has_nonce: true,
    checks_fork_version: true,
    covers_timestamp: false,
    tree: Tree::Texts,
    operator_type: None,
    creator_type: None,
    addresses: Addresses::OnePair,
    has_deposit_amounts: false,
    has_consensus_protocol: false,
    has_gas_limit: false,
    signatures: SignatureShape::Single,
    allows_unsigned_lock: true,
    deposits: Deposits::None,
    has_registrations: false,
    is_for_ceremonies: false,
};
const V1_1: Version = Version { name: "v1.1.0", covers_timestamp: true, ..V1_0 };
const V1_2: Version = Version {
    name: "v1.2.0",
    encoding: Encoding::Hex,
    has_nonce: false,
    checks_fork_version: false,
    allows_unsigned_lock: false,
    ..V1_1
};
const V1_3: Version = Version {
    name: "v1.3.0",
    tree: Tree::Sparse,
    operator_type: Some(TypedText { name: "ConfigHash", field: "config_hash" }),
    ..V1_2
};
const V1_4: Version = Version {
    name: "v1.4.0",
    operator_type: Some(TypedText { name: "OperatorConfigHash", field: "operator_config_hash" }),
    creator_type: Some(TypedText { name: "CreatorConfigHash", field: "creator_config_hash" }),
    ..V1_3
};
const V1_5: Version =
    Version { name: "v1.5.0", tree: Tree::Padded, addresses: Addresses::PerValidator, ..V1_4 };
const V1_6: Version =
    Version { name: "v1.6.0", deposits: Deposits::Inlined, is_for_ceremonies: true, ..V1_5 };
const V1_7: Version = Version { name: "v1.7.0", deposits: Deposits::Single, has_registrations: true, ..V1_6 };
const V1_8: Version = Version { name: "v1.8.0", deposits: Deposits::List, has_deposit_amounts: true, ..V1_7 };
const V1_9: Version = Version { name: "v1.9.0", has_consensus_protocol: true, ..V1_8 };
const V1_10: Version = Version { name: "v1.10.0", has_gas_limit: true, ..V1_9 };
const V1_11: Version = Version { name: "v1.11.0", signatures: SignatureShape::Pieces, ..V1_10 };

/// Every version, the oldest first.
pub static VERSIONS: &[Version] = &[V1_0, V1_1, V1_2, V1_3, V1_4, V1_5, V1_6, V1_7, V1_8, V1_9, V1_10, V1_11];

impl Version {
    /// The version with this name.
    pub fn named(name: &str) -> Option<&'static Version> {
        VERSIONS.iter().find(|version| version.name == name)
    }

    /// The version of new files.
    pub fn newest() -> &'static Version {
        VERSIONS.last().expect("there are versions")
    }

    /// The names of all versions, for people.
    pub(crate) fn names() -> String {
        let (first, last) = (VERSIONS.first(), VERSIONS.last());
        let name = |version: Option<&Version>| version.map_or("", |version| version.name);
        format!("{} to {}", name(first), name(last))
    }

    pub(crate) fn read(&self, item: &Item<'_>) -> Result<Bytes, JsonError> {
        match self.encoding {
            Encoding::Base64 => item.base64(),
            Encoding::Hex => item.hex(),
        }
    }

    pub(crate) fn write(&self, bytes: &Bytes) -> Json {
        match self.encoding {
            Encoding::Base64 => bytes.to_base64(),
            Encoding::Hex => bytes.to_hex(),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_by_their_whole_name() {
        assert_eq!(Version::newest().name, "v1.11.0");
        assert_eq!(VERSIONS.len(), 12);
        for (n, version) in VERSIONS.iter().enumerate() {
            assert_eq!(version.name, format!("v1.{n}.0"));
            assert_eq!(Version::named(version.name), Some(version));
        }
        for name in ["", "v1.1", "1.10.0", "V1.10.0", "v1.12.0"] {
            assert_eq!(Version::named(name), None);
        }
    }
}
