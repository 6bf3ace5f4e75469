//! What signatures are bound to: a purpose, a fork, a chain.

use coxswain_dv_types::Root;
use coxswain_dv_types::network::{self, DomainType};

use crate::fork::{Fork, Forks};
use crate::time::Clock;

/// A block.
pub const PROPOSER: DomainType = [0, 0, 0, 0];
/// An attestation.
pub const ATTESTER: DomainType = [1, 0, 0, 0];
/// The randomness of a block.
pub const RANDAO: DomainType = [2, 0, 0, 0];
/// A voluntary exit.
pub const EXIT: DomainType = [4, 0, 0, 0];
/// The selection of an aggregator.
pub const SELECTION: DomainType = [5, 0, 0, 0];
/// An aggregate and its proof.
pub const AGGREGATE_AND_PROOF: DomainType = [6, 0, 0, 0];
/// A message of a sync committee.
pub const SYNC_COMMITTEE: DomainType = [7, 0, 0, 0];
/// The selection of an aggregator of a sync committee.
pub const SYNC_SELECTION: DomainType = [8, 0, 0, 0];
/// A contribution and its proof.
pub const CONTRIBUTION: DomainType = [9, 0, 0, 0];
/// A registration with builders.
pub const BUILDER: DomainType = [0, 0, 0, 1];

/// A chain, as far as signatures and time go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its clock.
    pub clock: Clock,
    /// Its forks.
    pub forks: Forks,
    /// The root of its first validators.
    pub genesis_validators_root: Root,
}

/// An object that validators sign: its root, and what its signature is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signable {
    /// The object's root.
    pub root: Root,
    /// For what.
    pub domain: DomainType,
    /// The epoch whose fork counts.
    pub epoch: u64,
}

impl Chain {
    /// What is signed (`compute_signing_root` of the consensus specifications).
    ///
    /// Exits are bound to Capella for ever (EIP-7044); registrations to the first fork and to no chain.
    #[must_use]
    pub fn signing_root(&self, what: &Signable) -> Root {
        let domain = match what.domain {
            BUILDER => network::domain(BUILDER, self.forks.version(Fork::Phase0).0, &[0; 32]),
            EXIT => {
                let capella = self.forks.of_exits().unwrap_or_default();
                network::domain(EXIT, capella.0, &self.genesis_validators_root)
            }
            kind => network::domain(kind, self.forks.version_at(what.epoch).0, &self.genesis_validators_root),
        };
        network::signing_root(&what.root, &domain)
    }
}
