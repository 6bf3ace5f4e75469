//! The end of a swarm: every connection is closed, and a while is given for that to be said.

use std::time::Duration;

use futures::StreamExt as _;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{PeerId, Swarm};

/// How long connections may take to close.
const LIMIT: Duration = Duration::from_secs(1);

pub(crate) async fn say<B: NetworkBehaviour>(swarm: &mut Swarm<B>) {
    let connected: Vec<PeerId> = swarm.connected_peers().copied().collect();
    for peer in connected {
        // It may have gone by itself.
        let _ = swarm.disconnect_peer_id(peer);
    }
    let ending = async {
        while swarm.connected_peers().next().is_some() {
            let _ = swarm.select_next_some().await;
        }
    };
    drop(tokio::time::timeout(LIMIT, ending).await);
}
