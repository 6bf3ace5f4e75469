//! Streams that peers open: each read by a task of its own, to its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

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

/// How long a relay may take to say whom it brings.
const STOP_LIMIT: Duration = Duration::from_secs(10);

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

/// Where what peers send goes.
#[derive(Clone)]
pub(crate) enum Sink {
    /// Streams wait behind a full channel: nothing of a ceremony may be lost.
    Waits(mpsc::Sender<Incoming>),
    /// Everything is taken at once, and what is too much is let go of there.
    Takes(Arc<dyn Fn(Incoming) + Send + Sync>),
}

impl Sink {
    /// Says whether anybody is there.
    async fn put(&self, incoming: Incoming) -> bool {
        match self {
            Sink::Waits(channel) => channel.send(incoming).await.is_ok(),
            Sink::Takes(take) => {
                take(incoming);
                true
            }
        }
    }
}

/// What one peer may make this node hold while its messages are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Streams that are read or wait to be; more are ended unread.
    pub(crate) streams: usize,
    /// Bytes of messages that are not whole yet.
    pub(crate) bytes: usize,
}

impl Allowance {
    /// A ceremony loses no stream, and bounds each message by its size.
    pub(crate) const CEREMONY: Allowance =
        Allowance { streams: Semaphore::MAX_PERMITS, bytes: Semaphore::MAX_PERMITS };
}

/// What is left of an [`Allowance`].
pub(super) struct Room {
    streams: Semaphore,
    at_once: Semaphore,
    bytes: Semaphore,
}

impl Room {
    pub(super) fn new(allowance: Allowance) -> Self {
        Self {
            streams: Semaphore::new(allowance.streams),
            at_once: Semaphore::new(AT_ONCE),
            bytes: Semaphore::new(allowance.bytes),
        }
    }
}

/// A stream of one of our protocols, from its beginning to its end.
pub(super) async fn serve(inbound: Inbound, protocol: Protocol, room: Arc<Room>, sink: Sink) {
    let Inbound { peer, mut stream, .. } = inbound;
    if protocol.kind == Kind::Long {
        sink.put(Incoming::Stream { peer, protocol: protocol.id, stream }).await;
        return;
    }
    let Ok(_place) = room.streams.try_acquire() else {
        tracing::debug!(%peer, protocol = protocol.id, "a message is passed over: the peer opens too many streams");
        return frame::finish(stream).await;
    };
    let Ok(permit) = room.at_once.acquire().await else { return };
    let reading = frame::read_within(&mut stream, protocol.max_bytes, &room.bytes);
    let (bytes, taken) = match tokio::time::timeout(protocol.receive, reading).await {
        Ok(Ok(read)) => read,
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
    let is_taken = sink.put(message).await;
    drop((permit, taken));
    if is_taken
        && protocol.kind == Kind::Answered
        && let Ok(Ok(answer)) = tokio::time::timeout(protocol.receive, answer).await
        && let Err(error) = frame::write(&mut stream, &answer).await
    {
        tracing::debug!(%peer, protocol = protocol.id, %error, "an answer was not taken");
    }
    frame::finish(stream).await;
}

/// A connection that a relay brings from one of these peers.
pub(super) async fn circuit(
    inbound: Inbound,
    members: Arc<BTreeSet<PeerId>>,
    arrivals: futures::channel::mpsc::UnboundedSender<circuit::Arrived>,
) {
    let Inbound { peer: relay_id, address, stream, .. } = inbound;
    let accepting = relay::accept(stream, &members);
    let accepted =
        tokio::time::timeout(STOP_LIMIT, accepting).await.unwrap_or(Err(relay::CircuitError::Slow));
    match accepted {
        Ok((peer, stream)) => {
            let relay = address.with_p2p(relay_id).unwrap_or_else(|other| other);
            drop(arrivals.unbounded_send(circuit::Arrived { peer, relay, stream }));
        }
        Err(error) => tracing::debug!(relay = %relay_id, %error, "a relayed connection did not come about"),
    }
}
