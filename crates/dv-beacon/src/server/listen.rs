//! Connections of validator clients: a bounded number, with or without TLS, none of them silent for ever, and none that asks
//! nothing: what comes in pieces is no request yet.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::IncomingStream;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// Connections at a time; others wait in the system's queue. A validator client keeps a few dozen.
const CONNECTIONS: usize = 1024;
/// Pause after the system gave no connection, as when there are too many open files.
const PAUSE: Duration = Duration::from_millis(200);
/// For how long connections are waited for.
const PATIENCE: Patience =
    Patience { greeting: Duration::from_secs(10), silence: Duration::from_secs(5 * 60) };

#[derive(Clone, Copy)]
struct Patience {
    /// A new connection brings the head of a request within this time, however much else it brings.
    greeting: Duration,
    /// One that has asked and is silent in both directions for longer is closed. Streams of events are never that silent.
    silence: Duration,
}

/// The files of TLS as bytes, in PEM.
#[derive(Clone)]
pub struct Tls {
    /// The certificate, then those that lead from it to an authority.
    pub certificates: Vec<u8>,
    /// The key of the first one.
    pub key: zeroize::Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// Why TLS is not possible.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificates.
    #[error("the certificate file is no PEM with certificates")]
    Certificates(#[source] rustls::pki_types::pem::Error),
    /// There is none.
    #[error("the certificate file has no certificate in it")]
    NoCertificate,
    /// The key.
    #[error("the key file is no PEM with a private key")]
    Key(#[source] rustls::pki_types::pem::Error),
    /// Both, together.
    #[error("the certificate and the key do not go together")]
    Pair(#[source] rustls::Error),
}

impl Tls {
    fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        crate::install_tls();
        let certificates = CertificateDer::pem_slice_iter(&self.certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(TlsError::Certificates)?;
        if certificates.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(TlsError::Key)?;
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(TlsError::Pair)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Gives connections that have a place.
pub(crate) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    tls: Option<TlsAcceptor>,
    patience: Patience,
}

impl Bounded {
    pub(crate) fn new(listener: TcpListener, tls: Option<&Tls>) -> Result<Bounded, TlsError> {
        let tls = tls.map(Tls::config).transpose()?.map(TlsAcceptor::from);
        Ok(Bounded { listener, places: Arc::new(Semaphore::new(CONNECTIONS)), tls, patience: PATIENCE })
    }
}

impl axum::serve::Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("nobody closes the places");
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    // Answers are written at once; waiting for more would only delay them.
                    let _ = stream.set_nodelay(true);
                    let stream = match &self.tls {
                        // The greeting is done where the connection is served: a slow one holds up nobody else.
                        Some(tls) => Stream::Greeting(Box::new(tls.accept(stream))),
                        None => Stream::Plain(stream),
                    };
                    return (Connection::new(stream, self.patience, place), from);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the validator API was not accepted");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Whether the head of a request has come over a connection.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<AtomicBool>);

impl Connected<IncomingStream<'_, Bounded>> for Asked {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Asked {
        stream.io().asked.clone()
    }
}

/// Its connection has asked.
pub(crate) async fn note_asked(
    ConnectInfo(asked): ConnectInfo<Asked>,
    request: Request,
    next: Next,
) -> Response {
    asked.0.store(true, Ordering::Relaxed);
    next.run(request).await
}

/// A connection that ends when it is silent for long, or asks nothing.
pub(crate) struct Connection {
    stream: Stream,
    end: Pin<Box<Sleep>>,
    asked: Asked,
    /// Seen here: from then on it may be silent for longer.
    has_asked: bool,
    patience: Patience,
    _place: OwnedSemaphorePermit,
}

enum Stream {
    Plain(TcpStream),
    Greeting(Box<Accept<TcpStream>>),
    Secure(Box<TlsStream<TcpStream>>),
}

impl Connection {
    fn new(stream: Stream, patience: Patience, place: OwnedSemaphorePermit) -> Connection {
        let end = Box::pin(sleep(patience.greeting));
        Connection { stream, end, asked: Asked::default(), has_asked: false, patience, _place: place }
    }

    /// Does something with the stream, unless the time is over; whatever comes of it gives more time to who has asked.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut act: impl FnMut(Pin<&mut dyn Io>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if !self.has_asked && self.asked.0.load(Ordering::Relaxed) {
            self.has_asked = true;
            self.end.as_mut().reset(Instant::now() + self.patience.silence);
        }
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let Stream::Greeting(accept) = &mut self.stream {
            match Pin::new(accept.as_mut()).poll(cx) {
                Poll::Ready(Ok(stream)) => self.stream = Stream::Secure(Box::new(stream)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        let polled = match &mut self.stream {
            Stream::Plain(stream) => act(Pin::new(stream), cx),
            Stream::Secure(stream) => act(Pin::new(stream.as_mut()), cx),
            Stream::Greeting(_) => Poll::Pending,
        };
        if matches!(polled, Poll::Ready(Ok(_))) && self.has_asked {
            self.end.as_mut().reset(Instant::now() + self.patience.silence);
        }
        polled
    }
}

/// Both directions.
trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll(cx, |stream, cx| stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    /// Nothing here takes as long, however loaded the machine is.
    const LONG: Duration = Duration::from_secs(120);

    /// A connection, and its other end.
    async fn connection(patience: Patience) -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("it listens");
        let address = listener.local_addr().expect("an address");
        let (far, near) = tokio::join!(TcpStream::connect(address), listener.accept());
        let place = Arc::new(Semaphore::new(1)).acquire_owned().await.expect("open");
        let (near, _) = near.expect("accepted");
        (Connection::new(Stream::Plain(near), patience, place), far.expect("connected"))
    }

    /// One byte comes over.
    async fn byte(connection: &mut Connection, far: &mut TcpStream) -> Result<(), io::ErrorKind> {
        far.write_all(b"x").await.expect("sent");
        let read = timeout(LONG, connection.read_u8()).await.expect("in time");
        read.map(drop).map_err(|error| error.kind())
    }

    #[tokio::test]
    async fn bytes_that_are_no_request_give_no_time() {
        let (mut connection, mut far) = connection(Patience { greeting: SHORT, silence: LONG }).await;
        let begin = Instant::now();
        let end = loop {
            if let Err(end) = byte(&mut connection, &mut far).await {
                break end;
            }
            assert!(begin.elapsed() < LONG, "it lasts for ever");
        };
        assert_eq!(end, io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn an_answer_may_take_longer_than_a_question() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("it listens");
        let mut far =
            TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let mut bounded = Bounded::new(listener, None).expect("without TLS");
        bounded.patience = Patience { greeting: SHORT, silence: LONG };
        let slow = get(|| async {
            sleep(SHORT * 3).await;
            "here"
        });
        let router = Router::new().route("/", slow).layer(from_fn(note_asked));
        let service = router.into_make_service_with_connect_info::<Asked>();
        far.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("sent");
        let mut text = String::new();
        let answer = timeout(LONG, far.read_to_string(&mut text));
        tokio::select! {
            served = axum::serve(bounded, service).into_future() => panic!("it serves no more: {served:?}"),
            read = answer => read.expect("in time").expect("read"),
        };
        assert!(text.ends_with("here"), "{text}");
    }

    #[tokio::test]
    async fn who_has_asked_and_is_silent_goes() {
        let (mut connection, _far) = connection(Patience { greeting: LONG, silence: SHORT }).await;
        connection.asked.0.store(true, Ordering::Relaxed);
        let read = timeout(LONG, connection.read_u8()).await.expect("in time");
        assert_eq!(read.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
    }
}
