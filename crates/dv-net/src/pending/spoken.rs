//! TCP whose connections come in with their first byte.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::{self, Ready};
use libp2p::core::Transport;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::tcp::tokio::{TcpStream, Transport as Tcp};
use libp2p::{Multiaddr, tcp};

use super::admission::Evicted;
use super::silent::Silent;
use super::source::Source;

/// See the module.
pub(crate) struct Spoken {
    tcp: Tcp,
    silent: Silent<Known>,
}

/// What the listener says of a connection.
struct Known {
    listener_id: ListenerId,
    local_addr: Multiaddr,
    send_back_addr: Multiaddr,
}

impl Spoken {
    /// Over TCP; at most so many connections may be silent.
    pub(crate) fn new(most: usize, evicted: Evicted) -> Spoken {
        let tcp = Tcp::new(tcp::Config::new().nodelay(true));
        Spoken { tcp, silent: Silent::new(most, evicted) }
    }
}

impl Transport for Spoken {
    type Output = TcpStream;
    type Error = io::Error;
    type ListenerUpgrade = Ready<Result<TcpStream, io::Error>>;
    type Dial = <Tcp as Transport>::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.tcp.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.tcp.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, opts: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        self.tcp.dial(address, opts)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        loop {
            if let Poll::Ready((stream, known)) = self.silent.poll_spoken(cx) {
                let Known { listener_id, local_addr, send_back_addr } = known;
                let upgrade = future::ok(TcpStream(stream));
                return Poll::Ready(TransportEvent::Incoming {
                    listener_id,
                    upgrade,
                    local_addr,
                    send_back_addr,
                });
            }
            match Pin::new(&mut self.tcp).poll(cx) {
                Poll::Ready(TransportEvent::Incoming {
                    listener_id,
                    upgrade,
                    local_addr,
                    send_back_addr,
                }) => match upgrade.into_inner() {
                    Ok(TcpStream(stream)) => {
                        let source = Source::of(&send_back_addr);
                        self.silent.came(source, stream, Known { listener_id, local_addr, send_back_addr });
                    }
                    Err(error) => return Poll::Ready(TransportEvent::ListenerError { listener_id, error }),
                },
                other => return other,
            }
        }
    }
}
