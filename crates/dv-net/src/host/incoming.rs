//! Streams that peers open: each read by a task of its own, to its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::channel::oneshot;
use libp2p::PeerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};
use zeroize::Zeroizing;

use crate::circuit::{self, message as relay};
use crate::frame;
use crate::protocol::{Kind, Protocol};
use crate::streams::{Inbound, Stream};

/// Messages of one peer that are read at the same time: what it can make us keep in memory.
pub(super) const AT_ONCE: usize = 256;
/// Streams of one peer in a ceremony that are read, wait to be, or wait to be handled. An honest peer has about ten: it
/// waits for answers. Each may have 256 KiB in the buffers below.
const CEREMONY_STREAMS: usize = 64;
/// Streams of one peer that last. An honest one has one, and some that broke and are not noticed yet.
const LASTING_STREAMS: usize = 8;

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
        /// To be kept as long as the stream.
        place: Place,
    },
}

/// One of the places that a peer has for streams that last.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

/// What a message takes of the allowance of its peer until it is handled.
#[derive(Debug)]
struct Held {
    room: Arc<Room>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.bytes.add_permits(self.bytes);
        self.room.streams.add_permits(1);
    }
}

/// Where the answer to a message goes. Dropped, it ends the stream without one: peers are never sent errors.
#[derive(Debug)]
pub struct Reply {
    answer: oneshot::Sender<Vec<u8>>,
    /// In a ceremony the message counts as the peer's until here.
    _held: Option<Held>,
}

impl Reply {
    /// Answers. The peer may be gone by now, and then nobody misses the answer.
    pub fn send(self, answer: Vec<u8>) {
        drop(self.answer.send(answer));
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
    /// Bytes of messages that are not whole yet; in a ceremony, also of those that are not handled yet.
    pub(crate) bytes: usize,
}

impl Allowance {
    /// In a ceremony: what is more than these bytes waits on its stream.
    pub(crate) fn of_ceremony(bytes: usize) -> Allowance {
        Allowance { streams: CEREMONY_STREAMS, bytes: bytes.min(Semaphore::MAX_PERMITS) }
    }
}

/// What is left of an [`Allowance`].
#[derive(Debug)]
pub(super) struct Room {
    streams: Semaphore,
    lasting: Arc<Semaphore>,
    at_once: Semaphore,
    bytes: Semaphore,
    /// Streams that were ended unread.
    refused: AtomicU64,
}

impl Room {
    pub(super) fn new(allowance: Allowance) -> Self {
        Self {
            streams: Semaphore::new(allowance.streams),
            lasting: Arc::new(Semaphore::new(LASTING_STREAMS)),
            at_once: Semaphore::new(AT_ONCE),
            bytes: Semaphore::new(allowance.bytes),
            refused: AtomicU64::new(0),
        }
    }

    /// Streams that were ended unread.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    async fn refuse(&self, peer: PeerId, protocol: Protocol, stream: Stream, sink: &Sink) {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        // Said rarely: who floods must not fill the log as well.
        if refused.is_power_of_two() {
            tracing::warn!(%peer, protocol = protocol.id, refused, "streams of a peer are ended unread: it opens too many");
        }
        match sink {
            // No honest peer of a ceremony comes near. What is buffered below goes at once with the stream.
            Sink::Waits(_) => drop(stream),
            Sink::Takes(_) => frame::finish(stream).await,
        }
    }
}

/// A stream of one of our protocols, from its beginning to its end.
pub(super) async fn serve(inbound: Inbound, protocol: Protocol, room: Arc<Room>, sink: Sink) {
    let Inbound { peer, mut stream, .. } = inbound;
    if protocol.kind == Kind::Long {
        let Ok(place) = Arc::clone(&room.lasting).try_acquire_owned() else {
            return room.refuse(peer, protocol, stream, &sink).await;
        };
        sink.put(Incoming::Stream { peer, protocol: protocol.id, stream, place: Place { _permit: place } })
            .await;
        return;
    }
    let Ok(place) = room.streams.try_acquire() else {
        return room.refuse(peer, protocol, stream, &sink).await;
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
    let (held, place) = match &sink {
        Sink::Waits(_) => {
            let bytes = taken.as_ref().map_or(0, SemaphorePermit::num_permits);
            taken.into_iter().for_each(SemaphorePermit::forget);
            place.forget();
            (Some(Held { room: Arc::clone(&room), bytes }), None)
        }
        // What is taken there at once has limits of its own.
        Sink::Takes(_) => (None, Some(place)),
    };
    let reply = Reply { answer: reply, _held: held };
    let is_taken = sink.put(Incoming::Message { peer, protocol: protocol.id, bytes, reply }).await;
    drop(permit);
    if is_taken
        && protocol.kind == Kind::Answered
        && let Ok(Ok(answer)) = tokio::time::timeout(protocol.receive, answer).await
        && let Err(error) = frame::write(&mut stream, &answer).await
    {
        tracing::debug!(%peer, protocol = protocol.id, %error, "an answer was not taken");
    }
    frame::finish(stream).await;
    drop(place);
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
