//! The network, as the driver wants it: peers by place, letters that last as long as their duty.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coxswain_dv_core::Channel;
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_net::run::{Inbox, Lane, Letter, Node};
use coxswain_dv_net::{Incoming, PeerId};
use coxswain_dv_wire::protocol::{PARSIGEX, QBFT};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::driver::{Handle, Peers};

/// How long a letter of a duty without an end is worth sending.
const ENDLESS: Duration = Duration::from_secs(60);

/// The way to the other nodes.
pub struct Wires {
    node: Node,
    peers: Vec<PeerId>,
    clock: Clock,
}

impl Wires {
    /// Peers in the order of the lock.
    pub fn new(node: Node, peers: Vec<PeerId>, clock: Clock) -> Wires {
        Wires { node, peers, clock }
    }
}

fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

impl Peers for Wires {
    fn send(&self, to: usize, channel: Channel, duty: Duty, bytes: Arc<Vec<u8>>) {
        let Some(peer) = self.peers.get(to) else { return };
        let (lane, topic) = match channel {
            Channel::Qbft => (Lane::Qbft, "qbft"),
            Channel::Parsigex => (Lane::Parsigex(duty.kind.number()), duty.kind.name()),
        };
        let lasts = duty.deadline(&self.clock).map_or(ENDLESS, |end| end.since(now()));
        self.node.post(*peer, Letter { lane, topic, bytes, lasts });
    }

    fn request(&self, to: usize, bytes: Arc<Vec<u8>>) -> BoxFuture<'static, Option<Vec<u8>>> {
        let (node, peer) = (self.node.clone(), self.peers.get(to).copied());
        async move { Some(node.exchange_priorities(peer?, &bytes).await.ok()?.to_vec()) }.boxed()
    }
}

/// Brings what peers send to the node, until one of the two ends.
pub async fn bring(mut inbox: Inbox, peers: Vec<PeerId>, handle: Handle) {
    let places: BTreeMap<PeerId, usize> =
        peers.into_iter().enumerate().map(|(place, peer)| (peer, place)).collect();
    while let Some(incoming) = inbox.next().await {
        let Incoming::Message { peer, protocol, bytes, reply } = incoming else { continue };
        let Some(from) = places.get(&peer).copied() else { continue };
        let channel = if protocol == QBFT.id {
            Channel::Qbft
        } else if protocol == PARSIGEX.id {
            Channel::Parsigex
        } else {
            // The answer may have to wait until this node begins the same duty.
            let handle = handle.clone();
            tokio::spawn(async move {
                if let Some(answer) = handle.requested(from, bytes.to_vec()).await {
                    reply.send(answer.to_vec());
                }
            });
            continue;
        };
        if handle.receive(from, channel, bytes.to_vec()).await.is_err() {
            return;
        }
    }
}
