//! From a cluster back to secrets.

use std::collections::BTreeMap;

use coxswain_dv_crypto::bls::{self, BlsError, SecretKey};
use coxswain_dv_types::cluster::Lock;

/// The keys that were found of one node, by the validators' positions.
pub struct NodeKeys {
    /// Where they were found, for people.
    pub from: String,
    /// The first is of the first validator.
    pub secrets: Vec<SecretKey>,
}

/// Why no secrets come of these keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CombineError {
    /// A node does not have the keys of all validators.
    #[error("{from} has {found} keys, and the lock has {validators} validators")]
    Count {
        /// Where.
        from: String,
        /// How many.
        found: usize,
        /// How many there should be.
        validators: usize,
    },
    /// Too few nodes.
    #[error("the keys of {threshold} nodes are needed, and there are those of {found}")]
    TooFew {
        /// How many are needed.
        threshold: u64,
        /// How many there are.
        found: usize,
    },
    /// A key of something else, or of another validator.
    #[error("{from}: the key of validator {position} is none of its shares in the lock")]
    Foreign {
        /// Where.
        from: String,
        /// From 0.
        position: usize,
    },
    /// The same share twice.
    #[error("{first} and {second} have the same share of validator {position}")]
    Twice {
        /// Where.
        first: String,
        /// Where again.
        second: String,
        /// From 0.
        position: usize,
    },
    /// What comes of the shares is not the validator's key.
    #[error("the shares of validator {position} do not give the key {key} of the lock")]
    Another {
        /// From 0.
        position: usize,
        /// `0x` and hex.
        key: String,
    },
    /// The shares give no key at all.
    #[error("validator {position}: {why}")]
    Key {
        /// From 0.
        position: usize,
        /// What is wrong.
        why: BlsError,
    },
}

/// The whole keys of all validators, in the order of the lock, which the caller has verified. The order of nodes does
/// not matter: a share is known by its public key.
///
/// # Errors
/// [`CombineError`].
pub fn combine(lock: &Lock, nodes: &[NodeKeys]) -> Result<Vec<SecretKey>, CombineError> {
    let validators = lock.validators.len();
    for node in nodes {
        if node.secrets.len() != validators {
            let (from, found) = (node.from.clone(), node.secrets.len());
            return Err(CombineError::Count { from, found, validators });
        }
    }
    let threshold = lock.definition.threshold;
    if u64::try_from(nodes.len()).unwrap_or(u64::MAX) < threshold {
        return Err(CombineError::TooFew { threshold, found: nodes.len() });
    }
    lock.validators
        .iter()
        .enumerate()
        .map(|(position, validator)| {
            let indices: BTreeMap<&[u8], u64> =
                validator.public_shares.iter().map(|share| &**share).zip(1..).collect();
            let mut shares: BTreeMap<u64, (&NodeKeys, SecretKey)> = BTreeMap::new();
            for node in nodes {
                let secret = &node.secrets[position];
                let Some(index) = indices.get(secret.public().to_bytes().as_slice()) else {
                    return Err(CombineError::Foreign { from: node.from.clone(), position });
                };
                if let Some((first, _)) = shares.insert(*index, (node, secret.clone())) {
                    let (first, second) = (first.from.clone(), node.from.clone());
                    return Err(CombineError::Twice { first, second, position });
                }
            }
            let shares: Vec<(u64, SecretKey)> =
                shares.into_iter().map(|(index, (_, secret))| (index, secret)).collect();
            let secret = bls::recover_secret(&shares).map_err(|why| CombineError::Key { position, why })?;
            if secret.public().to_bytes().as_slice() != &*validator.public_key {
                let key = format!("0x{}", hex::encode(&*validator.public_key));
                return Err(CombineError::Another { position, key });
            }
            Ok(secret)
        })
        .collect()
}
