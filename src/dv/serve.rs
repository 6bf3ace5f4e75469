//! Servers over HTTP: a few connections at a time, each for a limited time.
//!
//! ```text
//! connection ─→ Silent: until its first byte ─→ a place, with an end → router → answers
//! ```
//!
//! Nobody waits for the places of clients that say nothing, or send or read slowly: where all are taken, the connection that has
//! been there longest without a request that is being worked on or answered gives way to the new one, of the address that has
//! the most.
//! TLS is the matter of a proxy in front.
//!
//! # What must never happen
//!
//! - A request that is being worked on loses its connection to a new one; or more of them are than there are places.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, connect_info::Connected};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::serve::IncomingStream;
use coxswain_dv_net::pending::{Evicted, Silent, Source, gives_way};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep, timeout};

/// Pause after the system gave no connection, as when there are too many open files.
const PAUSE: Duration = Duration::from_millis(200);
/// How long answers may take that are on their way when the server stops.
const GOODBYE: Duration = Duration::from_secs(2);

/// What clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; as many more may have said nothing yet.
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
    let bounded = Bounded {
        listener,
        silent: Silent::new(limits.connections, Evicted::default()),
        places: Places { most: limits.connections, taken: Vec::new(), change: Arc::default() },
        lasts: limits.lasts,
    };
    let service =
        router.layer(middleware::from_fn(at_work)).into_make_service_with_connect_info::<ConnectionWork>();
    let serving = axum::serve(bounded, service).with_graceful_shutdown(async move {
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

/// What is being done for a connection.
#[derive(Clone)]
struct ConnectionWork {
    doing: Arc<Doing>,
    change: Arc<Notify>,
}

struct Doing {
    /// Whether something came that nobody has read yet.
    is_new: AtomicBool,
    /// Requests that are being worked on.
    requests: AtomicUsize,
    /// Whether there is an answer that the system has not yet, and that was not tried to be sent in vain.
    has_answer: AtomicBool,
}

impl Doing {
    fn is_idle(&self) -> bool {
        !self.is_new.load(Ordering::Acquire)
            && self.requests.load(Ordering::Acquire) == 0
            && !self.has_answer.load(Ordering::Acquire)
    }
}

impl ConnectionWork {
    /// What came is read, and a request that is whole is worked on.
    fn read(&self) {
        self.clear(&self.doing.is_new);
    }

    /// The answer is sent, or the client does not take it.
    fn answered(&self) {
        self.clear(&self.doing.has_answer);
    }

    fn clear(&self, state: &AtomicBool) {
        if state.swap(false, Ordering::AcqRel) {
            self.change.notify_one();
        }
    }
}

/// One of them.
struct AtWork(ConnectionWork);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.doing.has_answer.store(true, Ordering::Release);
        self.0.doing.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Connected<IncomingStream<'_, Bounded>> for ConnectionWork {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> ConnectionWork {
        stream.io().place.work.clone()
    }
}

async fn at_work(ConnectInfo(work): ConnectInfo<ConnectionWork>, request: Request, next: Next) -> Response {
    work.doing.requests.fetch_add(1, Ordering::AcqRel);
    let _at_work = AtWork(work);
    next.run(request).await
}

/// Who has a place, the one that has been there longest first.
struct Places {
    most: usize,
    taken: Vec<Taken>,
    /// A place was left, or may be given up.
    change: Arc<Notify>,
}

struct Taken {
    source: Source,
    doing: Arc<Doing>,
    /// Its other end is gone where the place was left.
    leave: oneshot::Sender<()>,
}

/// A place, until it is dropped.
struct Place {
    left: oneshot::Receiver<()>,
    /// Said already: nobody answers twice.
    is_left: bool,
    work: ConnectionWork,
    /// Dropped after the other end of what tells that the place was left.
    _told: Told,
}

/// Tells that there was a change when it is dropped.
struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Place {
    /// Whether it is another one's. A connection is asked to flush and to end after that.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> bool {
        self.is_left = self.is_left || Pin::new(&mut self.left).poll(cx).is_ready();
        self.is_left
    }
}

impl Places {
    /// A place; waits only where requests are being worked on at all of them.
    async fn take(&mut self, source: Source) -> Place {
        loop {
            self.taken.retain(|one| !one.leave.is_closed());
            if self.taken.len() < self.most {
                break;
            }
            let idle: Vec<usize> =
                (0..self.taken.len()).filter(|at| self.taken[*at].doing.is_idle()).collect();
            if let Some(at) = gives_way(idle.iter().map(|at| &self.taken[*at].source)) {
                let _ = self.taken.remove(idle[at]).leave.send(());
                break;
            }
            self.change.notified().await;
        }
        let (leave, left) = oneshot::channel();
        let doing = Doing {
            is_new: AtomicBool::new(true),
            requests: AtomicUsize::new(0),
            has_answer: AtomicBool::new(false),
        };
        let work = ConnectionWork { doing: Arc::new(doing), change: Arc::clone(&self.change) };
        self.taken.push(Taken { source, doing: Arc::clone(&work.doing), leave });
        Place { left, is_left: false, work, _told: Told(Arc::clone(&self.change)) }
    }
}

/// Connections with a place.
struct Bounded {
    listener: TcpListener,
    silent: Silent<SocketAddr>,
    places: Places,
    lasts: Duration,
}

impl Bounded {
    /// The next connection on which something has come.
    async fn spoken(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let accepted = tokio::select! {
                biased;
                spoken = poll_fn(|cx| self.silent.poll_spoken(cx)) => return spoken,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => self.silent.came(Source::of_ip(from.ip()), stream, from),
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

impl axum::serve::Listener for Bounded {
    type Io = Timed;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Timed, SocketAddr) {
        let (stream, from) = self.spoken().await;
        let place = self.places.take(Source::of_ip(from.ip())).await;
        (Timed { stream, end: Box::pin(sleep(self.lasts)), place }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends in time, or when its place is another one's.
struct Timed {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    place: Place,
}

impl Timed {
    /// The connection, unless its time is over.
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        match self.place.poll_left(cx) || self.end.as_mut().poll(cx).is_ready() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(Pin::new(&mut self.stream)),
        }
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.poll_stream(cx)?.poll_read(cx, buffer);
        if read.is_pending() {
            self.place.work.read();
        }
        read
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.poll_stream(cx)?.poll_write(cx, bytes);
        if written.is_pending() {
            self.place.work.answered();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.poll_stream(cx)?.poll_flush(cx);
        if flushed.is_ready() {
            self.place.work.answered();
        }
        flushed
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
    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const LIMIT: Duration = Duration::from_secs(30);
    /// More than enough for a test.
    const LONG: Duration = Duration::from_secs(600);

    async fn server(router: Router, limits: Limits) -> Server {
        start("127.0.0.1:0".parse().expect("an address"), router, limits).await.expect("it listens")
    }

    fn small() -> Router {
        Router::new().route("/", get(|| async { "here" }))
    }

    async fn answer(stream: &mut TcpStream) -> String {
        stream.write_all(REQUEST).await.expect("sent");
        let mut text = String::new();
        // A connection that is cut off gave no answer.
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    async fn asked(server: &Server) -> String {
        let mut stream = TcpStream::connect(server.address()).await.expect("connected");
        timeout(LIMIT, answer(&mut stream)).await.expect("an answer in time")
    }

    /// Opens connections that say this, again whenever one is ended, until the permits say how many were.
    fn crowd(server: &Server, says: &'static [u8]) -> (JoinSet<()>, Arc<Semaphore>) {
        let (mut crowd, ended) = (JoinSet::new(), Arc::new(Semaphore::new(0)));
        for _ in 0..80 {
            let (to, ended) = (server.address(), Arc::clone(&ended));
            crowd.spawn(async move {
                loop {
                    let Ok(mut stream) = TcpStream::connect(to).await else { continue };
                    let _ = stream.write_all(says).await;
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                    ended.add_permits(1);
                }
            });
        }
        (crowd, ended)
    }

    #[tokio::test]
    async fn a_connection_whose_place_is_gone_ends_with_errors() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("it listens");
        let from = listener.local_addr().expect("an address");
        let stream = TcpStream::connect(from).await.expect("connected");
        let mut places = Places { most: 1, taken: Vec::new(), change: Arc::default() };
        let place = places.take(Source::of_ip(from.ip())).await;
        let mut timed = Timed { stream, end: Box::pin(sleep(LONG)), place };
        timed.write_all(b"before").await.expect("there is a place");
        places.taken.remove(0).leave.send(()).expect("there is a connection");
        // What serves it asks more than once.
        for _ in 0..2 {
            assert_eq!(timed.write(b"x").await.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
            assert_eq!(timed.flush().await.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
            assert_eq!(
                timed.read(&mut [0]).await.map_err(|error| error.kind()),
                Err(io::ErrorKind::TimedOut)
            );
        }
        timed.shutdown().await.expect("the end is always allowed");
    }

    #[track_caller]
    fn check_past_a_crowd(says: &'static [u8]) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let server = server(small(), Limits { connections: 64, lasts: LONG }).await;
            let (crowd, ended) = crowd(&server, says);
            // There are no places left once some were taken away, and it goes on like that.
            for _ in 0..5 {
                timeout(LIMIT, ended.acquire_many(80))
                    .await
                    .expect("places are full")
                    .expect("open")
                    .forget();
                assert!(asked(&server).await.ends_with("here"), "{place}");
            }
            drop(crowd);
            server.stop().await;
        }
    }

    #[tokio::test]
    async fn who_says_nothing_gives_way() {
        check_past_a_crowd(b"").await;
    }

    #[tokio::test]
    async fn who_does_not_finish_a_request_gives_way() {
        check_past_a_crowd(b"GET / HTTP/1.1\r\nHost:").await;
    }

    #[tokio::test]
    async fn who_keeps_a_connection_after_its_answer_gives_way() {
        check_past_a_crowd(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    }

    #[tokio::test]
    async fn a_request_that_is_worked_on_keeps_its_connection() {
        let (begun, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let slow = {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            move || async move {
                begun.add_permits(1);
                go_on.acquire().await.expect("open").forget();
                "slow"
            }
        };
        let router = Router::new().route("/", get(slow));
        let server = server(router, Limits { connections: 1, lasts: LONG }).await;
        let (first, second) = (asked(&server), asked(&server));
        let work = async {
            begun.acquire().await.expect("open").forget();
            // The second one has no place as long as the first is worked on.
            assert_eq!(begun.available_permits(), 0);
            go_on.add_permits(1);
            begun.acquire().await.expect("open").forget();
            go_on.add_permits(1);
        };
        let all = async { tokio::join!(first, second, work) };
        let (first, second, ()) = timeout(LIMIT, all).await.expect("both are answered");
        assert!(first.ends_with("slow") && second.ends_with("slow"), "{first} {second}");
        server.stop().await;
    }

    #[tokio::test]
    async fn a_connection_ends_in_time() {
        let server = server(small(), Limits { connections: 1, lasts: Duration::from_millis(300) }).await;
        let mut slow = TcpStream::connect(server.address()).await.expect("connected");
        slow.write_all(&REQUEST[..10]).await.expect("sent");
        let mut nothing = Vec::new();
        let _ = timeout(LIMIT, slow.read_to_end(&mut nothing)).await.expect("it ends");
        assert_eq!(nothing, b"");
        server.stop().await;
    }

    #[tokio::test]
    async fn a_server_that_stopped_is_gone() {
        let server = server(small(), Limits { connections: 8, lasts: Duration::from_secs(30) }).await;
        let address = server.address();
        let mut open = TcpStream::connect(address).await.expect("connected");
        assert!(answer(&mut open).await.contains("200 OK"));
        let idle = TcpStream::connect(address).await.expect("connected");
        timeout(Duration::from_secs(20), server.stop()).await.expect("it stops");
        assert!(TcpStream::connect(address).await.is_err());
        drop(idle);
    }
}
