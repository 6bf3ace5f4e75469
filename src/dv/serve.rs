//! Servers over HTTP: a few connections at a time, each for a limited time.
//!
//! ```text
//! connection ─free place?→ counted, with an end → router → answers
//! ```
//!
//! TLS is the matter of a proxy in front. A client that sends slowly, or nothing, holds its place until the time of its
//! connection is over; clients that find no place wait in the system's queue.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep, timeout};

/// Pause after the system gave no connection, as when there are too many open files.
const PAUSE: Duration = Duration::from_millis(200);
/// How long answers may take that are on their way when the server stops.
const GOODBYE: Duration = Duration::from_secs(2);

/// What clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// From the first byte of a connection to its last.
    pub lasts: Duration,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts a server.
///
/// # Errors
/// The address cannot be listened on.
pub async fn start(address: SocketAddr, router: Router, limits: Limits) -> io::Result<Server> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let places = Arc::new(Semaphore::new(limits.connections));
    let bounded = Bounded { listener, places, lasts: limits.lasts };
    let serving = axum::serve(bounded, router).with_graceful_shutdown(async move {
        let _ = stopped.await;
    });
    let task = tokio::spawn(async move {
        // It ends only when it is told to.
        let _ = serving.await;
    });
    Ok(Server { address, stop, task })
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it; answers that are on their way may still arrive.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let mut task = self.task;
        if timeout(GOODBYE, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Connections with a place.
struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    lasts: Duration,
}

impl axum::serve::Listener for Bounded {
    type Io = Timed;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Timed, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("nobody closes the places");
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    let end = Box::pin(sleep(self.lasts));
                    return (Timed { stream, end, _place: place }, from);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends in time.
struct Timed {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Timed {
    /// The connection, unless its time is over.
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(Pin::new(&mut self.stream)),
        }
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_stream(cx)?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_stream(cx)?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_stream(cx)?.poll_flush(cx)
    }

    /// The end is always allowed.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    async fn server(limits: Limits) -> Server {
        let router = Router::new().route("/", get(|| async { "here" }));
        start("127.0.0.1:0".parse().expect("an address"), router, limits).await.expect("it listens")
    }

    async fn answer(stream: &mut TcpStream) -> String {
        stream.write_all(REQUEST).await.expect("sent");
        let mut text = String::new();
        // A connection that is cut off gave no answer.
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    #[tokio::test]
    async fn who_says_nothing_loses_the_place_to_the_next() {
        let limits = Limits { connections: 1, lasts: Duration::from_millis(300) };
        let server = server(limits).await;
        let mut silent = TcpStream::connect(server.address()).await.expect("connected");
        let mut next = TcpStream::connect(server.address()).await.expect("connected");
        assert!(answer(&mut next).await.ends_with("here"));
        let mut nothing = Vec::new();
        let _ = silent.read_to_end(&mut nothing).await;
        assert_eq!(nothing, b"");
        server.stop().await;
    }

    #[tokio::test]
    async fn a_server_that_stopped_is_gone() {
        let server = server(Limits { connections: 8, lasts: Duration::from_secs(30) }).await;
        let address = server.address();
        let mut open = TcpStream::connect(address).await.expect("connected");
        assert!(answer(&mut open).await.contains("200 OK"));
        let idle = TcpStream::connect(address).await.expect("connected");
        timeout(Duration::from_secs(20), server.stop()).await.expect("it stops");
        assert!(TcpStream::connect(address).await.is_err());
        drop(idle);
    }
}
