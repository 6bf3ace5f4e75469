//! Key generation of Pedersen as charon does it (kyber's protocol with its fast way): one run for each validator, one
//! after the other.
//!
//! ```text
//! new ──→ NodeKey to all                          keys of this ceremony, under which shares are sent
//! NodeKey of all ──→ deals                        the run of the first validator
//!   deals of all, or their time is over        ──→ responses
//!   responses of all, and all are content      ──→ share key
//!   else ──→ justifications; those of all, or their time is over ──→ share key, or the end
//! ShareKey of all, each compared with the commitments ──→ deals of the next validator, or Done
//! ```
//!
//! - [`bundle`] is what nodes say in a run, its hash and signature; [`ecies`] hides a share in it. [`run`] is one run:
//!   who dealt badly, who is silent, and what the key is without them. [`ceremony`] is all of them.
//! - Messages may come early; they are kept, a few of each peer.
//! - A run goes on without nodes that fail, but a ceremony does not: all nodes have to say their share keys.
//! - Bundles are no reliable broadcast: a dealer that tells one node what it does not tell another, or tells it late, can
//!   make them end a run with different keys. charon takes public shares of others as they are. Here each must be what
//!   the commitments say, so that such a run ends with an error and not with keys.
//!
//! Resharing ([`run`] with dealers that are not the holders) is not here yet.
//!
//! Source: Pedersen, "Non-interactive and information-theoretic secure verifiable secret sharing", joined with the
//! complaints of Gennaro and others; the phases and rules are those that kyber's implementation shows.

pub mod bundle;
pub mod ceremony;
pub mod ecies;
mod error;
pub mod run;
mod wire;

use coxswain_dv_crypto::bls::PublicKey;
use coxswain_dv_types::hash::Hasher;

pub use ceremony::{AnyBundle, Effect, Event, NodeKey, Pedersen, ShareKey};
pub use error::{PedersenError, Wait};

/// A node of a ceremony: its place among the operators, from 0, and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its place. It has the share of this number and one.
    pub index: u32,
    /// Its key in this ceremony.
    pub key: PublicKey,
}

impl Node {
    /// Where polynomials are evaluated for it.
    fn share_index(&self) -> u64 {
        share_index(self.index)
    }
}

fn share_index(index: u32) -> u64 {
    u64::from(index).saturating_add(1)
}

/// What a run is called: the hash of its number and of all nodes, which are in the order of their places.
#[must_use]
pub fn nonce(run: u32, nodes: &[Node]) -> [u8; 32] {
    let root = Hasher::root(|hasher| {
        hasher.put_number(run.into());
        hasher.put_items(nodes, nodes.len(), |hasher, node| {
            hasher.put_container(|hasher| {
                hasher.put_number(node.index.into());
                hasher.put(&node.key.to_bytes());
                Ok(())
            })
        })
    });
    root.expect("a list is as long as its limit")
}

#[cfg(test)]
mod tests;
