//! The cluster: whose keys, how many shares, how many are enough.

use std::collections::BTreeMap;

use coxswain_dv_crypto::bls::PublicKey;
use coxswain_dv_eth::bytes::Bytes48;

/// A validator of the cluster.
#[derive(Debug, Clone)]
pub struct Validator {
    /// The group's key, as the chain knows it.
    pub key: Bytes48,
    /// The same, as a point.
    pub group: PublicKey,
    /// Keys of the shares, by share index from 1.
    pub shares: Vec<(Bytes48, PublicKey)>,
}

/// The cluster as one of its nodes sees it.
#[derive(Debug, Clone)]
pub struct Cluster {
    nodes: usize,
    threshold: usize,
    me: usize,
    validators: Vec<Validator>,
    by_key: BTreeMap<Bytes48, usize>,
    by_share: BTreeMap<Bytes48, (usize, usize)>,
}

/// Why there is no such cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// This node is none of its nodes.
    #[error("node {me} of {nodes}: there is no such node")]
    Me {
        /// From 0.
        me: usize,
        /// How many there are.
        nodes: usize,
    },
    /// Half of the nodes could sign something else than the other half.
    #[error("{threshold} of {nodes} shares is not more than half: two halves could sign two things")]
    Threshold {
        /// Shares that are enough.
        threshold: usize,
        /// Shares there are.
        nodes: usize,
    },
    /// A validator has another number of shares than there are nodes.
    #[error("validator {key} has {found} shares, and there are {nodes} nodes")]
    Shares {
        /// The validator.
        key: Bytes48,
        /// Shares that it has.
        found: usize,
        /// Nodes there are.
        nodes: usize,
    },
    /// A key is there twice.
    #[error("the key {key} is there twice")]
    Twice {
        /// Which.
        key: Bytes48,
    },
}

/// How much smaller than a majority the threshold may be. Only for clusters whose operators said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Majority {
    /// More than half of the shares are needed, so that no two groups can sign two things.
    Required,
    /// The operators have been told that two groups can.
    Waived,
}

impl Cluster {
    /// A cluster of `nodes`, of which this is the one at `me`, from 0.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn new(
        nodes: usize,
        threshold: usize,
        me: usize,
        validators: Vec<Validator>,
        majority: Majority,
    ) -> Result<Cluster, ClusterError> {
        if me >= nodes {
            return Err(ClusterError::Me { me, nodes });
        }
        if threshold > nodes || (majority == Majority::Required && threshold * 2 <= nodes) {
            return Err(ClusterError::Threshold { threshold, nodes });
        }
        let mut by_key = BTreeMap::new();
        let mut by_share = BTreeMap::new();
        for (position, validator) in validators.iter().enumerate() {
            if validator.shares.len() != nodes {
                let found = validator.shares.len();
                return Err(ClusterError::Shares { key: validator.key, found, nodes });
            }
            if by_key.insert(validator.key, position).is_some() {
                return Err(ClusterError::Twice { key: validator.key });
            }
            for (node, (share, _)) in validator.shares.iter().enumerate() {
                if by_share.insert(*share, (position, node)).is_some() {
                    return Err(ClusterError::Twice { key: *share });
                }
            }
        }
        Ok(Cluster { nodes, threshold, me, validators, by_key, by_share })
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// How many shares are enough.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// Which of the nodes this is, from 0.
    pub fn me(&self) -> usize {
        self.me
    }

    /// The index of this node's shares, from 1.
    pub fn my_share(&self) -> u32 {
        u32::try_from(self.me).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// All validators, in the order of the lock.
    pub fn validators(&self) -> &[Validator] {
        &self.validators
    }

    /// Keys of all groups.
    pub fn keys(&self) -> impl Iterator<Item = Bytes48> {
        self.validators.iter().map(|validator| validator.key)
    }

    /// The validator of a group's key.
    pub fn by_key(&self, key: &Bytes48) -> Option<&Validator> {
        self.by_key.get(key).and_then(|position| self.validators.get(*position))
    }

    /// The validator of a share's key, and which node's share it is, from 0.
    pub fn by_share(&self, key: &Bytes48) -> Option<(&Validator, usize)> {
        let (position, node) = self.by_share.get(key)?;
        self.validators.get(*position).map(|validator| (validator, *node))
    }

    /// This node's share of a group's key.
    pub fn my_share_of(&self, key: &Bytes48) -> Option<Bytes48> {
        self.by_key(key).and_then(|validator| validator.shares.get(self.me)).map(|(bytes, _)| *bytes)
    }

    /// The key of a share.
    pub fn share_of(&self, key: &Bytes48, share_index: u32) -> Option<&PublicKey> {
        let node = usize::try_from(share_index).ok()?.checked_sub(1)?;
        self.by_key(key)?.shares.get(node).map(|(_, point)| point)
    }
}
