//! Connections of validator clients: a bounded number, with or without TLS, none of them silent for ever.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

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
/// A new connection brings something within this time.
const GREETING: Duration = Duration::from_secs(10);
/// A connection that is silent in both directions for longer is closed. Streams of events are never that silent.
const SILENCE: Duration = Duration::from_secs(5 * 60);

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
}

impl Bounded {
    pub(crate) fn new(listener: TcpListener, tls: Option<&Tls>) -> Result<Bounded, TlsError> {
        let tls = tls.map(Tls::config).transpose()?.map(TlsAcceptor::from);
        Ok(Bounded { listener, places: Arc::new(Semaphore::new(CONNECTIONS)), tls })
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
                    let end = Box::pin(sleep(GREETING));
                    return (Connection { stream, end, _place: place }, from);
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

/// A connection that ends when it is silent for long.
pub(crate) struct Connection {
    stream: Stream,
    end: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

enum Stream {
    Plain(TcpStream),
    Greeting(Box<Accept<TcpStream>>),
    Secure(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Does something with the stream, unless the time is over; whatever comes of it gives more time.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut act: impl FnMut(Pin<&mut dyn Io>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
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
        if matches!(polled, Poll::Ready(Ok(_))) {
            self.end.as_mut().reset(Instant::now() + SILENCE);
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
