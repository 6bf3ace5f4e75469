//! Counts what goes through connections: a multiplexer around the real one.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::{AsyncRead, AsyncWrite};
use libp2p::PeerId;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox};

/// Bytes of one peer on all its streams.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    /// From the peer.
    received: AtomicU64,
    /// To the peer.
    sent: AtomicU64,
}

impl Bytes {
    /// From the peer, and to it.
    pub(super) fn get(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }
}

/// The counters of all peers. Shared: connections are made by the transport, counters read by the relay's task.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic(Arc<Mutex<HashMap<PeerId, Arc<Bytes>>>>);

impl Traffic {
    /// The counters of a peer.
    pub(super) fn of(&self, peer: PeerId) -> Arc<Bytes> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(peer).or_default())
    }

    /// A peer is gone.
    pub(super) fn forget(&self, peer: &PeerId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(peer);
    }
}

/// A connection that is counted.
pub(super) struct Counted {
    pub(super) inner: StreamMuxerBox,
    pub(super) bytes: Arc<Bytes>,
}

/// A stream of it.
pub(super) struct CountedStream {
    inner: SubstreamBox,
    bytes: Arc<Bytes>,
}

impl Counted {
    fn counted(&self, stream: SubstreamBox) -> CountedStream {
        CountedStream { inner: stream, bytes: Arc::clone(&self.bytes) }
    }
}

impl StreamMuxer for Counted {
    type Substream = CountedStream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<CountedStream>> {
        let found = Pin::new(&mut self.inner).poll_inbound(cx);
        found.map_ok(|stream| self.counted(stream))
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<CountedStream>> {
        let found = Pin::new(&mut self.inner).poll_outbound(cx);
        found.map_ok(|stream| self.counted(stream))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

impl AsyncRead for CountedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if let Poll::Ready(Ok(count)) = read {
            self.bytes.received.fetch_add(count as u64, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buffer);
        if let Poll::Ready(Ok(count)) = written {
            self.bytes.sent.fetch_add(count as u64, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}
