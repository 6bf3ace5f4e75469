//! A stream that may be used after it broke.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{AsyncRead, AsyncWrite};

/// A stream of a protocol. Where the protocol is the only one offered, its messages go out before the peer has agreed to it,
/// and what libp2p gives then panics when it is used again after a refusal; this one says that it is broken.
#[derive(Debug)]
pub struct Stream<S = libp2p::Stream> {
    stream: S,
    is_broken: bool,
}

impl<S> From<S> for Stream<S> {
    fn from(stream: S) -> Self {
        Self { stream, is_broken: false }
    }
}

impl<S: Unpin> Stream<S> {
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.is_broken {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::NotConnected, "the stream is broken")));
        }
        let polled = poll(Pin::new(&mut self.stream), cx);
        self.is_broken = matches!(polled, Poll::Ready(Err(_)));
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll(cx, |stream, cx| stream.poll_read(cx, buf))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |stream, cx| stream.poll_close(cx))
    }
}

#[cfg(test)]
mod tests {
    use futures::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Like a stream whose protocol was refused: it is to be used once.
    struct Refused(bool);

    impl Refused {
        fn poll<T>(mut self: Pin<&mut Self>) -> Poll<io::Result<T>> {
            assert!(!std::mem::replace(&mut self.0, true), "it is used again");
            Poll::Ready(Err(io::Error::other("refused")))
        }
    }

    impl AsyncRead for Refused {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            self.poll()
        }
    }

    impl AsyncWrite for Refused {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            self.poll()
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll()
        }
        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll()
        }
    }

    #[tokio::test]
    async fn a_broken_stream_stays_broken_and_harms_nobody() {
        let mut stream = Stream::from(Refused(false));
        assert_eq!(stream.read(&mut [0; 4]).await.unwrap_err().to_string(), "refused");
        assert_eq!(stream.close().await.unwrap_err().to_string(), "the stream is broken");
        assert_eq!(stream.write(b"x").await.unwrap_err().kind(), io::ErrorKind::NotConnected);
        crate::frame::finish(stream).await;
    }
}
