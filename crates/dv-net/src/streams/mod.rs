//! Streams of all protocols of a node, over one handler for each connection.
//!
//! ```text
//! Open{peer, protocols} ─→ Behaviour: a connection, direct before relayed ─→ Handler ─negotiated→ reply(Stream)
//! peer's stream ─→ Handler ─→ Inbound{peer, protocol, stream} ─→ queue ─→ one task for each (crate::host)
//! ```
//!
//! libp2p's own behaviours for this lose streams when a reader is slow, and pick among relayed and direct connections
//! at random. A reset stream ends the ceremony of a charon peer, so none is dropped here.

mod handler;
mod stream;

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll};

use futures::channel::{mpsc, oneshot};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler,
    StreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use handler::Handler;
pub use stream::Stream;

/// Why a stream was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no connection.
    #[error("there is no connection to {0}")]
    NotConnected(PeerId),
    /// The connection ended before the protocol was agreed on.
    #[error("the connection ended while a stream was opened")]
    Lost,
    /// The other side does not speak any of the protocols.
    #[error("the peer does not speak {0}")]
    Unsupported(String),
    /// It did not answer in time.
    #[error("the peer did not agree on a protocol in time")]
    Slow,
    /// The stream broke.
    #[error("opening a stream")]
    Broken(#[source] std::io::Error),
}

/// A stream that a peer opened.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) peer: PeerId,
    /// Where the peer is, as this connection sees it.
    pub(crate) address: Multiaddr,
    pub(crate) protocol: StreamProtocol,
    pub(crate) stream: Stream,
}

/// A stream that is to be opened.
#[derive(Debug)]
pub(crate) struct Open {
    /// In the order of preference.
    pub(crate) protocols: Vec<StreamProtocol>,
    pub(crate) reply: oneshot::Sender<Result<Stream, OpenError>>,
}

/// A connection as streams need to know it.
#[derive(Debug)]
struct Known {
    id: ConnectionId,
    is_relayed: bool,
}

/// See the module.
pub(crate) struct Behaviour {
    protocols: Vec<StreamProtocol>,
    inbound: mpsc::UnboundedSender<Inbound>,
    connections: HashMap<PeerId, Vec<Known>>,
    actions: VecDeque<ToSwarm<std::convert::Infallible, Open>>,
}

impl Behaviour {
    /// A behaviour that answers these protocols.
    pub(crate) fn new(protocols: Vec<StreamProtocol>) -> (Self, mpsc::UnboundedReceiver<Inbound>) {
        let (inbound, streams) = mpsc::unbounded();
        (Self { protocols, inbound, connections: HashMap::new(), actions: VecDeque::new() }, streams)
    }

    /// Opens a stream on the best connection there is.
    pub(crate) fn open(&mut self, peer: PeerId, open: Open) {
        let best = self.connections.get(&peer).and_then(|known| {
            // The newest of the direct ones, else the newest: old ones are those that break first.
            known.iter().rev().find(|one| !one.is_relayed).or_else(|| known.last())
        });
        match best {
            Some(best) => self.actions.push_back(ToSwarm::NotifyHandler {
                peer_id: peer,
                handler: NotifyHandler::One(best.id),
                event: open,
            }),
            None => drop(open.reply.send(Err(OpenError::NotConnected(peer)))),
        }
    }

    fn handler(&self, peer: PeerId, address: &Multiaddr) -> Handler {
        Handler::new(peer, address.clone(), self.protocols.clone(), self.inbound.clone())
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = std::convert::Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer, remote))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer, remote))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let known =
                    Known { id: established.connection_id, is_relayed: established.endpoint.is_relayed() };
                self.connections.entry(established.peer_id).or_default().push(known);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) => {
                if let Some(known) = self.connections.get_mut(&peer_id) {
                    known.retain(|one| one.id != connection_id);
                    if known.is_empty() {
                        self.connections.remove(&peer_id);
                    }
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, never: THandlerOutEvent<Self>) {
        match never {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // The swarm polls again after every command, and only commands add actions.
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
