//! What a ceremony gives a node.

use coxswain_dv_crypto::bls::{PublicKey, SecretKey};

/// One validator's key as one node has it. The secret is wiped when dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyShare {
    /// This node's share of the secret.
    pub secret: SecretKey,
    /// The validator's public key.
    pub public: PublicKey,
    /// The public shares of all nodes, in ascending order of share indices.
    pub public_shares: Vec<PublicKey>,
}
