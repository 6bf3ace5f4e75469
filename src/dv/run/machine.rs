//! The machine as a node's settings make it.

use std::collections::BTreeMap;

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
use coxswain_dv_types::network::ForkVersion;
use coxswain_dv_wire::priority_result::{Preferences, ProposalType};
use coxswain_dv_wire::version::Minor;

use super::{Run, RunError};
use crate::dv::features::FeatureSet;
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

/// The chain of beacon nodes. What exits are bound to is the table's or the operator's (`capella`) before it is theirs.
pub(super) fn chain(capella: Option<ForkVersion>, theirs: &Chain) -> Chain {
    let mut chain = theirs.clone();
    let scheduled = chain.forks.version(Fork::Capella);
    if let Some(capella) = capella.map(Bytes) {
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
        preferences: preferences((run.builder, run.synthetic), run.version.minor(), &run.features),
        features: run.features.of_machine(run.synthetic),
        cluster: parts.cluster,
    }
}

/// What this node would have the cluster do.
fn preferences(
    (builder, synthetic): (Builder, Synthetic),
    reported: Minor,
    features: &FeatureSet,
) -> Preferences {
    let builder = (builder == Builder::On).then_some(ProposalType::Builder);
    let synthetic = (synthetic == Synthetic::On).then_some(ProposalType::Synthetic);
    let ways: Vec<ProposalType> = builder.into_iter().chain(synthetic).collect();
    let mut preferences = Preferences::of_node(reported, &ways);
    let (feature, protocol) = MOCK_ALPHA;
    if features.has(feature) {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use coxswain_dv_crypto::k1::IdentityKey;
    use coxswain_dv_eth::bytes::Bytes4;
    use coxswain_dv_eth::duty::DutyType;
    use coxswain_dv_eth::fork::Forks;
    use coxswain_dv_eth::operations::{Signed, VoluntaryExit};
    use coxswain_dv_eth::signed::SignedData;
    use coxswain_dv_eth::time::{Clock, Time};
    use coxswain_dv_wire::well_known::{Any, TextValue};

    use super::*;

    /// A chain whose beacon nodes say this of Capella.
    fn theirs(capella: [u8; 4]) -> Chain {
        let version = |fork: u8| Bytes4::from(if fork == 3 { capella } else { [fork, 0, 0, 9] });
        Chain {
            clock: Clock { genesis: Time::default(), slot: Duration::from_secs(12), slots_per_epoch: 32 },
            forks: Forks::new([0, 1, 2, 3, 4, 5, 6].map(|fork| (u64::from(fork), version(fork)))),
            genesis_validators_root: [7; 32],
        }
    }

    /// What an exit of an epoch is signed over.
    fn root(chain: &Chain, epoch: u64) -> [u8; 32] {
        let message = VoluntaryExit { epoch, validator_index: 5 };
        let exit = SignedData::Exit(Signed { message, signature: Bytes([0; 96]) });
        chain.signing_root(&exit.signable(&chain.clock).expect("it is signed"))
    }

    /// The table's version, or the operator's, goes before the beacon nodes', in every epoch.
    #[test]
    fn exits_are_bound_to_the_known_version_before_the_beacon_nodes() {
        const KNOWN: [u8; 4] = [3, 0, 0, 0x64];
        const OTHER: [u8; 4] = [0x40, 0, 0, 1];
        const UNKNOWN: [u8; 4] = [0; 4];
        for (known, scheduled, expected) in [
            (Some(KNOWN), OTHER, Some(KNOWN)),
            (Some(KNOWN), KNOWN, Some(KNOWN)),
            (Some(KNOWN), UNKNOWN, Some(KNOWN)),
            (None, OTHER, Some(OTHER)),
            (None, UNKNOWN, None),
        ] {
            let chain = chain(known, &theirs(scheduled));
            assert_eq!(chain.forks.of_exits(), expected.map(Bytes), "{known:?}, {scheduled:?}");
            // Blocks and votes are of the fork that the beacon nodes have.
            assert_eq!(chain.forks.version(Fork::Capella), Bytes(scheduled));
            for epoch in [0, 3, 9] {
                let bound = theirs(expected.unwrap_or_default());
                assert_eq!(root(&chain, epoch), root(&bound, epoch), "{known:?}, {scheduled:?}");
            }
        }
        assert_ne!(root(&theirs(KNOWN), 3), root(&theirs(OTHER), 3));
    }

    /// Ways to a block in charon's order, and the protocol of a feature that is for tries.
    #[test]
    fn a_node_offers_what_is_turned_on() {
        use ProposalType::{Builder as OfBuilder, Full, Synthetic as MadeUp};
        let features = |enable: &[&str]| {
            let enable: Vec<String> = enable.iter().map(|name| (*name).to_owned()).collect();
            FeatureSet::new("stable", &enable, &[]).expect("a set")
        };
        let reported = Minor { major: 1, minor: 11 };
        let key = IdentityKey::from_bytes(&[1; 32]).expect("a key");
        let text = |one: &Any| TextValue::unpack(one, 100).expect("a text");
        for (builder, synthetic, expected, names) in [
            (Builder::Off, Synthetic::Off, vec![Full], vec!["full"]),
            (Builder::Off, Synthetic::On, vec![MadeUp, Full], vec!["synthetic", "full"]),
            (Builder::On, Synthetic::Off, vec![OfBuilder, Full], vec!["builder", "full"]),
            (Builder::On, Synthetic::On, vec![OfBuilder, MadeUp, Full], vec!["builder", "synthetic", "full"]),
        ] {
            let found = preferences((builder, synthetic), reported, &features(&[]));
            assert_eq!(found.proposals, expected);
            let told = found.message(31, &key);
            assert_eq!(told.duty.as_ref().map(|duty| duty.r#type), Some(DutyType::InfoSync.number()));
            let topics: Vec<Vec<String>> =
                told.topics.iter().map(|topic| topic.priorities.iter().map(text).collect()).collect();
            assert!(topics.contains(&names.iter().map(|name| (*name).to_owned()).collect()), "{topics:?}");
            let plain = found.protocols;
            let found = preferences((builder, synthetic), reported, &features(&["mock_alpha"]));
            assert_eq!(found.protocols, [plain, vec![MOCK_ALPHA.1.to_owned()]].concat());
        }
    }
}
