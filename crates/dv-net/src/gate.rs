//! Who may be connected: peers of the cluster, and relays. Asked once the peer has shown who it is, in both directions.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::dummy::ConnectionHandler;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

/// Somebody who is not of this cluster.
#[derive(Debug, thiserror::Error)]
#[error("{0} is neither a peer of this cluster nor one of its relays")]
struct Stranger(PeerId);

/// See the module.
pub(crate) struct Behaviour {
    welcome: BTreeSet<PeerId>,
}

impl Behaviour {
    pub(crate) fn new() -> Self {
        Self { welcome: BTreeSet::new() }
    }

    /// From now on these are let in. Whoever is in stays.
    pub(crate) fn welcome(&mut self, welcome: BTreeSet<PeerId>) {
        self.welcome = welcome;
    }

    fn check(&self, peer: PeerId) -> Result<ConnectionHandler, ConnectionDenied> {
        match self.welcome.contains(&peer) {
            true => Ok(ConnectionHandler),
            false => Err(ConnectionDenied::new(Stranger(peer))),
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(peer)
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, never: THandlerOutEvent<Self>) {
        match never {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}
