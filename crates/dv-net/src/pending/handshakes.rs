//! A transport whose connections that come in are set up a few at a time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::{Multiaddr, PeerId};

use super::admission::{Admission, Evicted, Pass};
use super::source::Source;

/// A connection to whoever has shown that it is this peer.
type Connection = (PeerId, StreamMuxerBox);

/// Why a connection did not come about.
#[derive(Debug, thiserror::Error)]
#[error("it gave its place to a newer one: too many connections are not set up")]
struct GaveWay;

/// See the module.
pub(crate) struct Handshakes {
    inner: Boxed<Connection>,
    admission: Admission,
}

/// A connection that is being set up.
pub(crate) struct Handshake {
    inner: <Boxed<Connection> as Transport>::ListenerUpgrade,
    pass: Pass,
}

impl Handshakes {
    /// At most so many at a time.
    pub(crate) fn limited(inner: Boxed<Connection>, most: usize, evicted: Evicted) -> Boxed<Connection> {
        Handshakes { inner, admission: Admission::new(most, evicted) }.boxed()
    }
}

impl Future for Handshake {
    type Output = io::Result<Connection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Connection>> {
        match self.pass.poll_taken(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::other(GaveWay))),
            Poll::Pending => self.inner.as_mut().poll(cx),
        }
    }
}

impl Transport for Handshakes {
    type Output = Connection;
    type Error = io::Error;
    type ListenerUpgrade = Handshake;
    type Dial = <Boxed<Connection> as Transport>::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, opts: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        self.inner.dial(address, opts)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Handshake, io::Error>> {
        let this = &mut *self;
        Pin::new(&mut this.inner).poll(cx).map(|event| {
            let pass = match &event {
                TransportEvent::Incoming { send_back_addr, .. } => {
                    Some(this.admission.admit(Source::of(send_back_addr)))
                }
                _ => None,
            };
            event.map_upgrade(|inner| Handshake {
                inner,
                pass: pass.expect("only what comes in is set up, and has a place"),
            })
        })
    }
}
