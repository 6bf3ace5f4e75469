//! A cluster that tests make, with all its secrets.

use coxswain_dv_cluster::{Seal, deal, seal};
use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_types::cluster::{
    Creator, Definition, Lock, LowThreshold, NewDefinition, Operator, ValidatorAddresses, Version,
};
use coxswain_dv_types::deposit::Rewards;
use coxswain_dv_types::network::{NETWORKS, Network};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

pub(crate) const NODES: u64 = 4;
pub(crate) const THRESHOLD: u64 = 3;
pub(crate) const NETWORK: &Network = &NETWORKS[5];
pub(crate) const ADDRESS: &str = "0x388C818CA8B9251b393131C08a736A67ccB19297";

/// A cluster and what only its makers know.
pub(crate) struct Cluster {
    pub(crate) lock: Lock,
    pub(crate) secrets: Vec<SecretKey>,
    /// By node and validator.
    pub(crate) shares: Vec<Vec<SecretKey>>,
}

/// Two validators of four nodes on hoodi, registered at this time.
pub(crate) fn cluster(seed: u64, name: &str, registered_at: u64) -> Cluster {
    let mut rng = StdRng::seed_from_u64(seed);
    let addresses = ValidatorAddresses { fee_recipient: ADDRESS.into(), withdrawal: ADDRESS.into() };
    let from = NewDefinition {
        name: name.into(),
        uuid: "0194FDC2-FA2F-4CC0-81D3-FF12045B73C8".into(),
        timestamp: "2026-11-27T07:00:00Z".into(),
        version: Version::newest(),
        creator: Creator::default(),
        operators: vec![Operator::default(); NODES as usize],
        threshold: Some(THRESHOLD),
        validators: vec![addresses; 2],
        dkg_algorithm: "default".into(),
        deposit_amounts: Vec::new(),
        consensus_protocol: String::new(),
        target_gas_limit: 60_000_000,
        rewards: Rewards::PaidOut,
    };
    let definition = Definition::new(from, NETWORK, LowThreshold::Refuse).expect("a definition");
    let nodes: Vec<IdentityKey> = (0..NODES).map(|_| IdentityKey::generate(&mut rng)).collect();
    let secrets: Vec<SecretKey> = (0..2).map(|_| SecretKey::generate(&mut rng)).collect();
    let shares = deal(&secrets, NODES, THRESHOLD, &mut rng).expect("shares");
    let parts = Seal {
        definition,
        network: NETWORK,
        secrets: &secrets,
        shares: &shares,
        nodes: &nodes,
        registered_at,
    };
    Cluster { lock: seal(parts).expect("a cluster").lock, secrets, shares }
}
