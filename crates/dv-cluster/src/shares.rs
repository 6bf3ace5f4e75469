//! Which shares of a lock the keys of a node are.

use std::collections::BTreeMap;

use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_types::cluster::Lock;

/// The keys of one node, by the positions of their validators in the lock.
pub type OwnShares = BTreeMap<usize, SecretKey>;

/// Whether a node may lack keys of validators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It has all of them.
    Refuse,
    /// It has some.
    Allow,
}

/// Why keys are not those of a node. Keys are named by their place among those that were given, from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// A key of something else.
    #[error("keystore {key} is a share of no validator of the lock")]
    Foreign {
        /// Which.
        key: usize,
    },
    /// A key of another node.
    #[error("keystore {key} is the share of node {found}, and the key is that of node {expected}")]
    OfAnother {
        /// Which.
        key: usize,
        /// Whose it is: a share index.
        found: u64,
        /// Whose it should be.
        expected: u64,
    },
    /// The same share twice.
    #[error("keystores {first} and {second} are the same share")]
    Twice {
        /// Which.
        first: usize,
        /// And which.
        second: usize,
    },
    /// A share that is not there.
    #[error("there is no keystore of validator {position}")]
    Missing {
        /// From 0.
        position: usize,
    },
}

/// Sorts the keys of the node with this share index by validators. Their order does not matter.
///
/// # Errors
/// [`ShareError`].
pub fn own_shares(
    lock: &Lock,
    index: u64,
    secrets: &[SecretKey],
    missing: Missing,
) -> Result<OwnShares, ShareError> {
    let mut by_share: BTreeMap<&[u8], (usize, u64)> = BTreeMap::new();
    for (position, validator) in lock.validators.iter().enumerate() {
        for (share, of) in validator.public_shares.iter().zip(1..) {
            by_share.insert(share, (position, of));
        }
    }
    let mut own: BTreeMap<usize, (usize, &SecretKey)> = BTreeMap::new();
    for (key, secret) in secrets.iter().enumerate() {
        let position = match by_share.get(secret.public().to_bytes().as_slice()) {
            None => return Err(ShareError::Foreign { key }),
            Some((_, found)) if *found != index => {
                return Err(ShareError::OfAnother { key, found: *found, expected: index });
            }
            Some((position, _)) => *position,
        };
        if let Some((first, _)) = own.insert(position, (key, secret)) {
            return Err(ShareError::Twice { first, second: key });
        }
    }
    match (0..lock.validators.len()).find(|position| !own.contains_key(position)) {
        Some(position) if missing == Missing::Refuse => Err(ShareError::Missing { position }),
        Some(_) | None => {
            Ok(own.into_iter().map(|(position, (_, secret))| (position, secret.clone())).collect())
        }
    }
}
