//! Who signs this node's messages, and who checks those of peers.
//!
//! Nodes have [`Identities`]. Signatures are most of what consensus costs, so a simulation of millions of slots brings
//! something cheaper; whatever it is, nobody but a node can sign for the node.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic, K1Error, SIGNATURE_LEN, verify65};
use coxswain_dv_types::Root;

/// Signatures over the roots of messages.
pub trait Seals: fmt::Debug + Send + Sync + RefUnwindSafe + UnwindSafe {
    /// This node's signature: R, S and v.
    fn sign(&self, digest: &Root) -> [u8; SIGNATURE_LEN];

    /// Checks the signature of a node, from 0 in the order of the cluster's lock.
    ///
    /// # Errors
    /// It is not that node's, or there is no such node.
    fn check(&self, node: usize, digest: &Root, signature: &[u8]) -> Result<(), K1Error>;
}

/// Signatures of the keys that nodes have.
#[derive(Debug, Clone)]
pub struct Identities {
    /// The key of this node.
    pub key: IdentityKey,
    /// Keys of all nodes in the order of the cluster's lock.
    pub peers: Vec<IdentityPublic>,
}

impl Seals for Identities {
    fn sign(&self, digest: &Root) -> [u8; SIGNATURE_LEN] {
        self.key.sign(digest)
    }

    fn check(&self, node: usize, digest: &Root, signature: &[u8]) -> Result<(), K1Error> {
        verify65(self.peers.get(node).ok_or(K1Error::Unrecoverable)?, digest, signature)
    }
}
