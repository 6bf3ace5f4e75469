//! The hash trees of definitions and locks, one for each family of versions ([`Tree`]).

use super::definition::{MAX_OPERATORS, MAX_VALIDATORS};
use super::lock::{BuilderRegistration, Deposit, DistributedValidator, Lock};
use super::{Definition, Deposits, SignatureShape, Tree};
use crate::Root;
use crate::hash::{HashError, Hasher};

/// Bytes of a public key of BLS12-381.
const KEY_BYTES: usize = 48;
/// Bytes of a signature of BLS12-381.
const SIGNATURE_BYTES: usize = 96;
/// Bytes of a signature over secp256k1.
const IDENTITY_SIGNATURE_BYTES: usize = 65;
/// Bytes of a fork version.
const FORK_VERSION_BYTES: usize = 4;
/// Most bytes of texts.
const MAX_UUID: usize = 64;
const MAX_NAME: usize = 256;
const MAX_VERSION: usize = 16;
const MAX_TIMESTAMP: usize = 32;
const MAX_ALGORITHM: usize = 32;
const MAX_PROTOCOL: usize = 256;
const MAX_ENR: usize = 1024;
/// Most deposits of a validator, and most amounts.
const MAX_AMOUNTS: usize = 256;

/// How much of a definition a hash covers.
#[derive(Clone, Copy)]
pub(super) enum Part<'h> {
    /// All but node records, signatures and hashes.
    Config,
    /// All, with this config hash.
    Whole(&'h [u8]),
}

/// The root of a definition, or of its config.
pub(super) fn definition_root(definition: &Definition, part: Part<'_>) -> Result<Root, HashError> {
    match definition.version.tree {
        Tree::Texts => texts(definition, part),
        Tree::Sparse => sparse(definition, part),
        Tree::Padded => padded(definition, part),
    }
}

trait InField<T> {
    /// With the field's name in the error.
    fn in_field(self, field: impl std::fmt::Display) -> Result<T, HashError>;
}

impl<T> InField<T> for Result<T, HashError> {
    fn in_field(self, field: impl std::fmt::Display) -> Result<T, HashError> {
        self.map_err(|error| error.within(field))
    }
}

fn texts(definition: &Definition, part: Part<'_>) -> Result<Root, HashError> {
    let version = definition.version;
    let pair = definition.address_pair()?;
    Hasher::root(|hasher| {
        hasher.put(definition.uuid.as_bytes());
        hasher.put(definition.name.as_bytes());
        hasher.put(version.name.as_bytes());
        hasher.put_number(definition.validators.len() as u64);
        hasher.put_number(definition.threshold);
        hasher.put(pair.fee_recipient.as_bytes());
        hasher.put(pair.withdrawal.as_bytes());
        hasher.put(definition.dkg_algorithm.as_bytes());
        if !definition.fork_version.is_empty() {
            hasher.put(prefixed(&definition.fork_version).as_bytes());
        }
        let operators = &definition.operators;
        hasher.put_items(operators, operators.len(), |hasher, operator| match part {
            Part::Config => {
                hasher.put(operator.address.as_bytes());
                Ok(())
            }
            Part::Whole(_) => hasher.put_container(|hasher| {
                hasher.put(operator.address.as_bytes());
                hasher.put(operator.enr.as_bytes());
                if version.has_nonce {
                    hasher.put_number(0);
                }
                hasher.put(&operator.config_signature);
                hasher.put(&operator.enr_signature);
                Ok(())
            }),
        })?;
        if matches!(part, Part::Config) || version.covers_timestamp {
            hasher.put(definition.timestamp.as_bytes());
        }
        Ok(())
    })
}

fn prefixed(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// What the two families of SSZ begin with.
fn put_head(hasher: &mut Hasher, definition: &Definition) -> Result<(), HashError> {
    hasher.put_list(definition.uuid.as_bytes(), MAX_UUID).in_field("uuid")?;
    hasher.put_list(definition.name.as_bytes(), MAX_NAME).in_field("name")?;
    hasher.put_list(definition.version.name.as_bytes(), MAX_VERSION).in_field("version")?;
    hasher.put_list(definition.timestamp.as_bytes(), MAX_TIMESTAMP).in_field("timestamp")?;
    hasher.put_number(definition.validators.len() as u64);
    hasher.put_number(definition.threshold);
    Ok(())
}

fn put_algorithm(hasher: &mut Hasher, definition: &Definition) -> Result<(), HashError> {
    hasher.put_list(definition.dkg_algorithm.as_bytes(), MAX_ALGORITHM).in_field("dkg_algorithm")
}

fn sparse(definition: &Definition, part: Part<'_>) -> Result<Root, HashError> {
    let pair = definition.address_pair()?;
    Hasher::root(|hasher| {
        put_head(hasher, definition)?;
        hasher.put_address_if_any(&pair.fee_recipient).in_field("fee_recipient_address")?;
        hasher.put_address_if_any(&pair.withdrawal).in_field("withdrawal_address")?;
        put_algorithm(hasher, definition)?;
        hasher.put(&definition.fork_version);
        let operators = definition.operators.iter().enumerate();
        let put_operator = |hasher: &mut Hasher, (n, operator): (usize, &super::Operator)| {
            let put = |hasher: &mut Hasher| {
                hasher.put_address_if_any(&operator.address).in_field("address")?;
                if let Part::Whole(_) = part {
                    hasher.put_list(operator.enr.as_bytes(), MAX_ENR).in_field("enr")?;
                    hasher.put(&operator.config_signature);
                    hasher.put(&operator.enr_signature);
                }
                Ok(())
            };
            hasher.put_container(put).in_field(format_args!("operators[{n}]"))
        };
        hasher.put_items(operators, MAX_OPERATORS, put_operator).in_list("operators")?;
        if definition.version.creator_type.is_some() {
            let put_creator = |hasher: &mut Hasher| {
                hasher.put_address_if_any(&definition.creator.address).in_field("address")?;
                if let Part::Whole(_) = part {
                    hasher.put(&definition.creator.config_signature);
                }
                Ok(())
            };
            hasher.put_container(put_creator).in_field("creator")?;
        }
        if let Part::Whole(config_hash) = part {
            hasher.put(config_hash);
        }
        Ok(())
    })
}

trait InList {
    /// With the list's name in an error about its length; errors of items have their place already.
    fn in_list(self, list: &str) -> Result<(), HashError>;
}

impl InList for Result<(), HashError> {
    fn in_list(self, list: &str) -> Result<(), HashError> {
        self.map_err(|error| if matches!(error, HashError::In { .. }) { error } else { error.within(list) })
    }
}

fn put_signature(hasher: &mut Hasher, shape: SignatureShape, signature: &[u8]) -> Result<(), HashError> {
    match shape {
        SignatureShape::Single => hasher.put_left(signature, IDENTITY_SIGNATURE_BYTES),
        SignatureShape::Pieces => hasher.put_signatures(signature),
    }
}

fn padded(definition: &Definition, part: Part<'_>) -> Result<Root, HashError> {
    let version = definition.version;
    Hasher::root(|hasher| {
        put_head(hasher, definition)?;
        put_algorithm(hasher, definition)?;
        hasher.put_left(&definition.fork_version, FORK_VERSION_BYTES).in_field("fork_version")?;
        put_people(hasher, definition, part)?;
        let validators = definition.validators.iter().enumerate();
        let put_addresses = |hasher: &mut Hasher, (n, pair): (usize, &super::ValidatorAddresses)| {
            let put = |hasher: &mut Hasher| {
                hasher.put_address(&pair.fee_recipient).in_field("fee_recipient_address")?;
                hasher.put_address(&pair.withdrawal).in_field("withdrawal_address")
            };
            hasher.put_container(put).in_field(format_args!("validators[{n}]"))
        };
        hasher.put_items(validators, MAX_VALIDATORS, put_addresses).in_list("validators")?;
        if version.has_deposit_amounts {
            let amounts = definition.deposit_amounts.as_deref().unwrap_or_default();
            hasher.put_numbers(amounts, MAX_AMOUNTS).in_field("deposit_amounts")?;
        }
        if version.has_consensus_protocol {
            let protocol = definition.consensus_protocol.as_bytes();
            hasher.put_list(protocol, MAX_PROTOCOL).in_field("consensus_protocol")?;
        }
        if version.has_gas_limit {
            hasher.put_number(definition.target_gas_limit);
            hasher.put_flag(definition.compounding);
        }
        match (part, version.signatures) {
            (Part::Config, _) => Ok(()),
            (Part::Whole(config_hash), SignatureShape::Single) => {
                hasher.put_left(config_hash, 32).in_field("config_hash")
            }
            (Part::Whole(config_hash), SignatureShape::Pieces) => {
                hasher.put(config_hash);
                Ok(())
            }
        }
    })
}

/// Operators and the creator.
fn put_people(hasher: &mut Hasher, definition: &Definition, part: Part<'_>) -> Result<(), HashError> {
    let shape = definition.version.signatures;
    let operators = definition.operators.iter().enumerate();
    let put_operator = |hasher: &mut Hasher, (n, operator): (usize, &super::Operator)| {
        let put = |hasher: &mut Hasher| {
            hasher.put_address(&operator.address).in_field("address")?;
            if let Part::Whole(_) = part {
                hasher.put_list(operator.enr.as_bytes(), MAX_ENR).in_field("enr")?;
                put_signature(hasher, shape, &operator.config_signature).in_field("config_signature")?;
                put_signature(hasher, shape, &operator.enr_signature).in_field("enr_signature")?;
            }
            Ok(())
        };
        hasher.put_container(put).in_field(format_args!("operators[{n}]"))
    };
    hasher.put_items(operators, MAX_OPERATORS, put_operator).in_list("operators")?;
    let creator = &definition.creator;
    hasher
        .put_container(|hasher| {
            hasher.put_address(&creator.address).in_field("address")?;
            if let Part::Whole(_) = part {
                put_signature(hasher, shape, &creator.config_signature).in_field("config_signature")?;
            }
            Ok(())
        })
        .in_field("creator")
}

// --------------------------------------------------------------------------------------------------------- lock

/// The root of a lock, over a definition with this config hash.
pub(super) fn lock_root(lock: &Lock, config_hash: &[u8]) -> Result<Root, HashError> {
    let definition = definition_root(&lock.definition, Part::Whole(config_hash));
    let definition = definition.in_field("cluster_definition")?;
    let version = lock.definition.version;
    let limit = match version.tree {
        Tree::Texts => lock.validators.len(),
        Tree::Sparse | Tree::Padded => MAX_VALIDATORS,
    };
    Hasher::root(|hasher| {
        hasher.put(&definition);
        let validators = lock.validators.iter().enumerate();
        let put_validator = |hasher: &mut Hasher, (n, validator): (usize, &DistributedValidator)| {
            hasher
                .put_container(|hasher| {
                    put_keys(hasher, version.tree, validator)?;
                    put_deposits(hasher, version.deposits, &validator.deposits)?;
                    if version.has_registrations {
                        hasher
                            .put_container(|hasher| put_registration(hasher, &validator.registration))
                            .in_field("builder_registration")?;
                    }
                    Ok(())
                })
                .in_field(format_args!("distributed_validators[{n}]"))
        };
        hasher.put_items(validators, limit, put_validator).in_list("distributed_validators")
    })
}

fn put_keys(hasher: &mut Hasher, tree: Tree, validator: &DistributedValidator) -> Result<(), HashError> {
    let shares = &validator.public_shares;
    let key = &validator.public_key;
    match tree {
        Tree::Texts => {
            hasher.put(prefixed(key).as_bytes());
            return hasher.put_items(shares, shares.len(), |hasher, share| {
                hasher.put(share);
                Ok(())
            });
        }
        Tree::Sparse => hasher.put(key),
        Tree::Padded => hasher.put_left(key, KEY_BYTES).in_field("distributed_public_key")?,
    }
    let put = |hasher: &mut Hasher, (n, share): (usize, &crate::json::Bytes)| {
        hasher.put_left(share, KEY_BYTES).in_field(format_args!("public_shares[{n}]"))
    };
    hasher.put_items(shares.iter().enumerate(), MAX_OPERATORS, put).in_list("public_shares")
}

fn put_deposits(hasher: &mut Hasher, kind: Deposits, deposits: &[Deposit]) -> Result<(), HashError> {
    let none = Deposit::default();
    let first = deposits.first().unwrap_or(&none);
    match kind {
        Deposits::None => Ok(()),
        // Once a slip, now the format.
        Deposits::Inlined => put_deposit(hasher, first).in_field("deposit_data"),
        Deposits::Single => {
            hasher.put_container(|hasher| put_deposit(hasher, first)).in_field("deposit_data")
        }
        Deposits::List => {
            let put = |hasher: &mut Hasher, (n, deposit): (usize, &Deposit)| {
                hasher
                    .put_container(|hasher| put_deposit(hasher, deposit))
                    .in_field(format_args!("partial_deposit_data[{n}]"))
            };
            let deposits = deposits.iter().enumerate();
            hasher.put_items(deposits, MAX_AMOUNTS, put).in_list("partial_deposit_data")
        }
    }
}

fn put_deposit(hasher: &mut Hasher, deposit: &Deposit) -> Result<(), HashError> {
    hasher.put_left(&deposit.pubkey, KEY_BYTES).in_field("pubkey")?;
    hasher.put_left(&deposit.withdrawal_credentials, 32).in_field("withdrawal_credentials")?;
    hasher.put_number(deposit.amount);
    hasher.put_left(&deposit.signature, SIGNATURE_BYTES).in_field("signature")
}

fn put_registration(hasher: &mut Hasher, registration: &BuilderRegistration) -> Result<(), HashError> {
    hasher
        .put_container(|hasher| {
            hasher.put(&registration.fee_recipient);
            hasher.put_number(registration.gas_limit);
            hasher.put_number(registration.timestamp);
            hasher.put_left(&registration.pubkey, KEY_BYTES).in_field("pubkey")
        })
        .in_field("message")?;
    hasher.put_left(&registration.signature, SIGNATURE_BYTES).in_field("signature")
}
