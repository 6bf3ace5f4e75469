//! What the log of a node is known by, where others keep it.

use coxswain_dv_crypto::k1::IdentityPublic;
use coxswain_dv_types::cluster::Lock;
use coxswain_dv_types::network::Networks;

use super::VERSION;
use crate::dv::run::node_name;

/// The labels of charon's logs at Loki, which are those of its metrics.
pub(super) fn of(
    lock: &Lock,
    node: &IdentityPublic,
    (networks, nickname): (&Networks, &str),
) -> [(&'static str, String); 6] {
    let hash = hex::encode(&*lock.lock_hash);
    let share = lock.definition.share_index(node).and_then(|share| usize::try_from(share).ok());
    let network = lock.definition.network(networks);
    [
        ("cluster_hash", hash.chars().take(7).collect()),
        ("cluster_name", lock.definition.name.clone()),
        ("cluster_network", network.map_or(String::new(), |one| one.name.to_string())),
        ("cluster_peer", share.map_or(String::new(), |share| node_name(share.saturating_sub(1)))),
        ("nickname", nickname.to_owned()),
        ("charon_version", VERSION.to_owned()),
    ]
}
