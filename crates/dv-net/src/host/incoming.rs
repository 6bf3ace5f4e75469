//! Streams that peers open: each read by a task of its own, to its end.

use std::sync::Arc;

use futures::channel::oneshot;
use libp2p::{PeerId, Stream};
use tokio::sync::{Semaphore, mpsc};
use zeroize::Zeroizing;

use crate::circuit::{self, message as relay};
use crate::frame;
use crate::protocol::{Kind, Protocol};
use crate::streams::Inbound;

/// Messages of one peer that are read at the same time: what it can make us keep in memory.
pub(super) const AT_ONCE: usize = 256;

/// What a peer sends.
#[derive(Debug)]
pub enum Incoming {
    /// A message; the stream ends when the reply is dropped.
    Message {
        /// Who sent it.
        peer: PeerId,
        /// The id of its protocol.
        protocol: &'static str,
        /// As it came; it may hold secrets.
        bytes: Zeroizing<Vec<u8>>,
        /// Where the answer goes.
        reply: Reply,
    },
    /// A stream that lasts.
    Stream {
        /// Who opened it.
        peer: PeerId,
        /// The id of its protocol.
        protocol: &'static str,
        /// The stream.
        stream: Stream,
    },
}

/// Where the answer to a message goes. Dropped, it ends the stream without one: peers are never sent errors.
#[derive(Debug)]
pub struct Reply(oneshot::Sender<Vec<u8>>);

impl Reply {
    /// Answers. The peer may be gone by now, and then nobody misses the answer.
    pub fn send(self, answer: Vec<u8>) {
        drop(self.0.send(answer));
    }
}

/// A stream of one of our protocols, from its beginning to its end.
pub(super) async fn serve(
    inbound: Inbound,
    protocol: Protocol,
    permits: Arc<Semaphore>,
    incoming: mpsc::Sender<Incoming>,
) {
    let Inbound { peer, mut stream, .. } = inbound;
    if protocol.kind == Kind::Long {
        drop(incoming.send(Incoming::Stream { peer, protocol: protocol.id, stream }).await);
        return;
    }
    let Ok(_permit) = permits.acquire().await else { return };
    let bytes =
        match tokio::time::timeout(protocol.receive, frame::read(&mut stream, protocol.max_bytes)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => {
                tracing::debug!(%peer, protocol = protocol.id, %error, "a message was not read");
                return frame::finish(stream).await;
            }
            Err(_) => {
                tracing::debug!(%peer, protocol = protocol.id, "a message did not come in time");
                return frame::finish(stream).await;
            }
        };
    let (reply, answer) = oneshot::channel();
    let message = Incoming::Message { peer, protocol: protocol.id, bytes, reply: Reply(reply) };
    if incoming.send(message).await.is_ok()
        && protocol.kind == Kind::Answered
        && let Ok(Ok(answer)) = tokio::time::timeout(protocol.receive, answer).await
        && let Err(error) = frame::write(&mut stream, &answer).await
    {
        tracing::debug!(%peer, protocol = protocol.id, %error, "an answer was not taken");
    }
    frame::finish(stream).await;
}

/// A connection that a relay brings.
pub(super) async fn circuit(
    inbound: Inbound,
    arrivals: futures::channel::mpsc::UnboundedSender<circuit::Arrived>,
) {
    let Inbound { peer: relay_id, address, stream, .. } = inbound;
    match relay::accept(stream).await {
        Ok((peer, stream)) => {
            let relay = address.with_p2p(relay_id).unwrap_or_else(|other| other);
            drop(arrivals.unbounded_send(circuit::Arrived { peer, relay, stream }));
        }
        Err(error) => tracing::debug!(relay = %relay_id, %error, "a relayed connection did not come about"),
    }
}
