//! Connections through relays: circuit v2 of libp2p, the client's side.
//! <https://github.com/libp2p/specs/blob/master/relay/circuit-v2.md>
//!
//! ```text
//! dial …/p2p/RELAY/p2p-circuit/p2p/PEER ─ Transport ─ Dial ─→ host: CONNECT on a stream to the relay ─→ the stream
//! relay's STOP stream ─→ host: accept ─ Arrived ─→ Transport ─→ a connection that came in
//! ```
//!
//! libp2p's own client refuses reservations that name no address. Relays of go-libp2p name public addresses only, so
//! every relay on a loopback or a private network is refused. Here a reservation is one request on a stream like any
//! other, and a connection through a relay is that stream.

pub(crate) mod message;

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::channel::{mpsc, oneshot};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use libp2p::core::multiaddr::Protocol;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::{Multiaddr, PeerId};

use message::CircuitError;

use crate::streams::Stream;

/// A connection that is to be made through a relay.
pub(crate) struct Dial {
    pub(crate) relay: PeerId,
    pub(crate) peer: PeerId,
    pub(crate) reply: oneshot::Sender<Result<Stream, CircuitError>>,
}

/// A connection that came in through a relay.
pub(crate) struct Arrived {
    pub(crate) peer: PeerId,
    /// The relay, as its own connection sees it.
    pub(crate) relay: Multiaddr,
    pub(crate) stream: Stream,
}

/// The address that says: listen through relays.
pub(crate) fn listen_address() -> Multiaddr {
    Multiaddr::empty().with(Protocol::P2pCircuit)
}

/// How a peer is reached through a relay.
pub(crate) fn address_through(relay: &Multiaddr, relay_id: PeerId, peer: PeerId) -> Multiaddr {
    relay
        .clone()
        .with_p2p(relay_id)
        .unwrap_or_else(|other| other)
        .with(Protocol::P2pCircuit)
        .with(Protocol::P2p(peer))
}

/// See the module.
pub(crate) struct Transport {
    dials: mpsc::UnboundedSender<Dial>,
    arrivals: mpsc::UnboundedReceiver<Arrived>,
    listener: Option<ListenerId>,
    events: VecDeque<TransportEvent<std::future::Ready<Result<Stream, CircuitError>>, CircuitError>>,
}

/// The other ends of a [`Transport`].
pub(crate) struct Ends {
    pub(crate) dials: mpsc::UnboundedReceiver<Dial>,
    pub(crate) arrivals: mpsc::UnboundedSender<Arrived>,
}

impl Transport {
    pub(crate) fn new() -> (Self, Ends) {
        let (dials, to_dial) = mpsc::unbounded();
        let (arrived, arrivals) = mpsc::unbounded();
        let transport = Self { dials, arrivals, listener: None, events: VecDeque::new() };
        (transport, Ends { dials: to_dial, arrivals: arrived })
    }
}

/// Relay and peer of an address that goes through a relay.
fn parts(address: &Multiaddr) -> Option<(PeerId, PeerId)> {
    let mut relay = None;
    let mut peer = None;
    let mut is_behind = false;
    for part in address {
        match part {
            Protocol::P2pCircuit if is_behind => return None,
            Protocol::P2pCircuit => is_behind = true,
            Protocol::P2p(id) if is_behind => peer = Some(id),
            Protocol::P2p(id) => relay = Some(id),
            _ => {}
        }
    }
    Some((relay?, peer?))
}

impl libp2p::core::Transport for Transport {
    type Output = Stream;
    type Error = CircuitError;
    type ListenerUpgrade = std::future::Ready<Result<Stream, CircuitError>>;
    type Dial = BoxFuture<'static, Result<Stream, CircuitError>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<CircuitError>> {
        if address != listen_address() {
            return Err(TransportError::MultiaddrNotSupported(address));
        }
        self.listener = Some(id);
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        if self.listener != Some(id) {
            return false;
        }
        self.listener = None;
        self.events.push_back(TransportEvent::ListenerClosed { listener_id: id, reason: Ok(()) });
        true
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        opts: DialOpts,
    ) -> Result<Self::Dial, TransportError<CircuitError>> {
        let Some((relay, peer)) = parts(&address).filter(|_| opts.role.is_dialer()) else {
            return Err(TransportError::MultiaddrNotSupported(address));
        };
        let (reply, answer) = oneshot::channel();
        let is_asked = self.dials.unbounded_send(Dial { relay, peer, reply }).is_ok();
        Ok(async move {
            if !is_asked {
                return Err(CircuitError::Closed);
            }
            answer.await.map_err(|_| CircuitError::Closed)?
        }
        .boxed())
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, CircuitError>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        loop {
            let Some(arrived) = ready!(self.arrivals.poll_next_unpin(cx)) else { return Poll::Pending };
            let Some(listener_id) = self.listener else { continue };
            return Poll::Ready(TransportEvent::Incoming {
                listener_id,
                upgrade: std::future::ready(Ok(arrived.stream)),
                local_addr: arrived.relay.with(Protocol::P2pCircuit),
                send_back_addr: Multiaddr::empty().with(Protocol::P2p(arrived.peer)),
            });
        }
    }
}
