//! The machine as a node's settings make it.

use std::collections::BTreeMap;

use coxswain_dv_beacon::client::Config;
use coxswain_dv_cluster::Registered;
use coxswain_dv_core::{Builder, Cluster, Settings, Synthetic, Validator};
use coxswain_dv_crypto::bls::PublicKey;
use coxswain_dv_crypto::k1::IdentityPublic;
use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::time::Time;
use coxswain_dv_types::cluster::Lock;
use coxswain_dv_wire::priority_result::{Preferences, ProposalType};

use super::{Run, RunError};
use crate::dv::registrations::payees;

/// What charon's feature of this name adds to the protocols that a node offers: for tries.
const MOCK_ALPHA: (&str, &str) = ("mock_alpha", "/charon/mock_alpha/1.0.0");

/// What is known beside the settings.
pub(super) struct Parts {
    pub(super) cluster: Cluster,
    pub(super) chain: Chain,
    pub(super) peers: Vec<IdentityPublic>,
    pub(super) boot: Time,
}

/// The chain. What exits are bound to is the table's or the operator's before it is the beacon nodes'.
pub(super) fn chain(run: &Run, config: &Config) -> Chain {
    let mut chain = config.chain.clone();
    let scheduled = chain.forks.version(Fork::Capella);
    if let Some(capella) = run.capella.map(Bytes) {
        if scheduled != Bytes::default() && scheduled != capella {
            tracing::warn!(
                known = %capella, beacon_nodes = %scheduled,
                "the beacon nodes have another Capella fork version than this network is known with: exits are bound to the \
                 known one"
            );
        }
        chain.forks = chain.forks.with_exits_of(capella);
    }
    if chain.forks.of_exits().is_none() {
        tracing::warn!(
            "the Capella fork version of this network is not known, neither here nor to the beacon nodes: no exit can be \
             signed; name it with --testnet-capella-hard-fork"
        );
    }
    chain
}

/// What the machine is made with.
pub(super) fn settings(run: &Run, parts: Parts, registered: Registered) -> Settings {
    let keys: Vec<Bytes48> = parts.cluster.keys().collect();
    Settings {
        chain: parts.chain,
        peers: parts.peers,
        key: run.key.clone(),
        boot: parts.boot,
        builder: run.builder,
        graffiti: graffiti(&run.graffiti, &keys),
        fee_recipients: payees(&registered),
        registrations: registered.registrations,
        preferences: preferences(run),
        features: run.features.of_machine(run.synthetic),
        cluster: parts.cluster,
    }
}

fn preferences(run: &Run) -> Preferences {
    let builder = (run.builder == Builder::On).then_some(ProposalType::Builder);
    let synthetic = (run.synthetic == Synthetic::On).then_some(ProposalType::Synthetic);
    let ways: Vec<ProposalType> = builder.into_iter().chain(synthetic).collect();
    let mut preferences = Preferences::of_node(run.version.minor(), &ways);
    let (feature, protocol) = MOCK_ALPHA;
    if run.features.has(feature) {
        preferences.protocols.push(protocol.to_owned());
    }
    preferences
}

/// The validators of a lock.
pub(super) fn validators(lock: &Lock) -> Result<Vec<Validator>, RunError> {
    let key = |bytes: &[u8]| -> Result<(Bytes48, PublicKey), RunError> {
        let point = PublicKey::from_bytes(bytes)?;
        Ok((Bytes(point.to_bytes()), point))
    };
    let validator = |one: &coxswain_dv_types::cluster::DistributedValidator| {
        let (bytes, group) = key(&one.public_key)?;
        let shares = one.public_shares.iter().map(|share| key(share)).collect::<Result<_, _>>()?;
        Ok(Validator { key: bytes, group, shares })
    };
    lock.validators.iter().map(validator).collect()
}

fn graffiti(given: &[Bytes32], keys: &[Bytes48]) -> BTreeMap<Bytes48, Bytes32> {
    match given {
        [] => BTreeMap::new(),
        [one] => keys.iter().map(|key| (*key, *one)).collect(),
        each => keys.iter().copied().zip(each.iter().copied()).collect(),
    }
}
