//! Streams of a connection, whose frames go out together.
//!
//! yamux flushes after each frame: the message of a stream and its end were two packets, and each was encrypted, sent, woken
//! for and read alone. Frames that are ready at the same time are one packet here: what is written waits until the
//! connection has no more frames, which is when it looks for something to read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::Ready;
use futures::{AsyncRead, AsyncWrite};
use libp2p::core::UpgradeInfo;
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};
use libp2p::yamux;

/// yamux over a corked connection.
#[derive(Debug, Clone)]
pub(crate) struct Streams(yamux::Config);

impl Streams {
    /// With so many streams at once at most.
    pub(crate) fn limited(streams: usize) -> Streams {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(streams);
        Streams(config)
    }
}

impl UpgradeInfo for Streams {
    type Info = <yamux::Config as UpgradeInfo>::Info;
    type InfoIter = <yamux::Config as UpgradeInfo>::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.protocol_info()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Streams {
    type Output = yamux::Muxer<Corked<C>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Output>>;

    fn upgrade_inbound(self, io: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_inbound(Corked::new(io), info)
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Streams {
    type Output = yamux::Muxer<Corked<C>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Output>>;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_outbound(Corked::new(io), info)
    }
}

/// A connection that sends what was written when it is read from. For those who read whenever they have nothing more to
/// write, in one task.
#[derive(Debug)]
pub(crate) struct Corked<C> {
    io: C,
    /// Whether something was written that may not have gone out.
    is_due: bool,
}

impl<C> Corked<C> {
    fn new(io: C) -> Corked<C> {
        Corked { io, is_due: false }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncRead for Corked<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        // Where it cannot go out now this task is woken when it can, and reads again.
        if self.is_due && Pin::new(&mut self.io).poll_flush(cx)?.is_ready() {
            self.is_due = false;
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Corked<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.is_due = true;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::task::noop_waker_ref;

    use super::*;

    /// What was asked of it, and whether it can send.
    #[derive(Debug, Default)]
    struct Seen {
        done: Vec<&'static str>,
        is_full: bool,
    }

    impl AsyncRead for Seen {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            self.done.push("read");
            Poll::Pending
        }
    }

    impl AsyncWrite for Seen {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.done.push("write");
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.done.push("flush");
            if self.is_full { Poll::Pending } else { Poll::Ready(Ok(())) }
        }

        fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.done.push("close");
            Poll::Ready(Ok(()))
        }
    }

    /// Writes and flushes a frame, as yamux does.
    fn frame(corked: &mut Corked<Seen>, cx: &mut Context<'_>) {
        assert!(matches!(Pin::new(&mut *corked).poll_write(cx, b"frame"), Poll::Ready(Ok(5))));
        assert!(matches!(Pin::new(corked).poll_flush(cx), Poll::Ready(Ok(()))));
    }

    #[test]
    fn frames_go_out_together_when_there_are_no_more() {
        let cx = &mut Context::from_waker(noop_waker_ref());
        let mut corked = Corked::new(Seen::default());
        frame(&mut corked, cx);
        frame(&mut corked, cx);
        for _ in 0..2 {
            assert!(Pin::new(&mut corked).poll_read(cx, &mut [0]).is_pending());
        }
        assert_eq!(corked.io.done, ["write", "write", "flush", "read", "read"]);
    }

    /// What did not go out is tried again, and reading goes on meanwhile: both sides may wait for each other otherwise.
    #[test]
    fn what_cannot_go_out_does_not_keep_from_reading() {
        let cx = &mut Context::from_waker(noop_waker_ref());
        let mut corked = Corked::new(Seen { is_full: true, ..Seen::default() });
        frame(&mut corked, cx);
        assert!(Pin::new(&mut corked).poll_read(cx, &mut [0]).is_pending());
        corked.io.is_full = false;
        assert!(Pin::new(&mut corked).poll_read(cx, &mut [0]).is_pending());
        assert_eq!(corked.io.done, ["write", "flush", "read", "flush", "read"]);
    }

    #[test]
    fn what_is_closed_is_closed_at_once() {
        let cx = &mut Context::from_waker(noop_waker_ref());
        let mut corked = Corked::new(Seen::default());
        frame(&mut corked, cx);
        assert!(matches!(Pin::new(&mut corked).poll_close(cx), Poll::Ready(Ok(()))));
        assert_eq!(corked.io.done, ["write", "close"]);
    }
}
