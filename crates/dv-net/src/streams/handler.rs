//! Streams of one connection.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionHandler, ConnectionHandlerEvent, StreamProtocol, StreamUpgradeError, SubstreamProtocol,
};
use libp2p::{Multiaddr, PeerId};

use super::{Inbound, Open, OpenError, Stream};

/// How long two sides may take to agree on a protocol, as go-libp2p has it.
const NEGOTIATION: Duration = Duration::from_secs(10);

/// Several ids, of which one is agreed on; nothing more is said.
pub(crate) struct AnyOf(Vec<StreamProtocol>);

impl UpgradeInfo for AnyOf {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<libp2p::Stream> for AnyOf {
    type Output = (StreamProtocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: libp2p::Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((protocol, stream.into())))
    }
}

impl OutboundUpgrade<libp2p::Stream> for AnyOf {
    type Output = Stream;
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: libp2p::Stream, _: StreamProtocol) -> Self::Future {
        ready(Ok(stream.into()))
    }
}

/// What is kept of an outbound stream while it is negotiated.
pub(crate) struct Asked {
    protocols: String,
    reply: oneshot::Sender<Result<Stream, OpenError>>,
}

/// See the module.
pub(crate) struct Handler {
    peer: PeerId,
    address: Multiaddr,
    protocols: Vec<StreamProtocol>,
    inbound: mpsc::UnboundedSender<Inbound>,
    to_open: VecDeque<Open>,
}

impl Handler {
    pub(super) fn new(
        peer: PeerId,
        address: Multiaddr,
        protocols: Vec<StreamProtocol>,
        inbound: mpsc::UnboundedSender<Inbound>,
    ) -> Self {
        Self { peer, address, protocols, inbound, to_open: VecDeque::new() }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Infallible;
    type InboundProtocol = AnyOf;
    type OutboundProtocol = AnyOf;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Asked;

    fn listen_protocol(&self) -> SubstreamProtocol<AnyOf> {
        SubstreamProtocol::new(AnyOf(self.protocols.clone()), ()).with_timeout(NEGOTIATION)
    }

    /// Peers of a cluster are few, and stay connected.
    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<AnyOf, Asked, Infallible>> {
        let Some(Open { protocols, reply }) = self.to_open.pop_front() else { return Poll::Pending };
        let names: Vec<&str> = protocols.iter().map(AsRef::as_ref).collect();
        let asked = Asked { protocols: names.join(" or "), reply };
        Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
            protocol: SubstreamProtocol::new(AnyOf(protocols), asked).with_timeout(NEGOTIATION),
        })
    }

    fn on_behaviour_event(&mut self, open: Open) {
        self.to_open.push_back(open);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, AnyOf, AnyOf, (), Asked>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (protocol, stream),
                ..
            }) => {
                let inbound = Inbound { peer: self.peer, address: self.address.clone(), protocol, stream };
                // Refused only when the host is gone, and its connections with it.
                drop(self.inbound.unbounded_send(inbound));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                drop(info.reply.send(Ok(protocol)));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                let why = match error {
                    StreamUpgradeError::Timeout => OpenError::Slow,
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported(info.protocols),
                    StreamUpgradeError::Io(source) => OpenError::Broken(source),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                drop(info.reply.send(Err(why)));
            }
            _ => {}
        }
    }
}
