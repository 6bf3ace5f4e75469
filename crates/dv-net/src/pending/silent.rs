//! Connections on which nothing has come yet. Whoever opens a connection is to speak first, at once; who does not takes no
//! place of those that do.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use rustix::net::RecvFlags;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::admission::{Admission, Evicted, Pass};
use super::source::Source;

/// How long a connection may say nothing: the first byte follows the connection itself, but may be lost on the way three
/// times, which TCP notices after 1, 3 and 7 s.
const FIRST_BYTE: Duration = Duration::from_secs(10);

/// So many connections that have said nothing, each with what is known of it. None of them is read from.
pub struct Silent<T> {
    admission: Admission,
    waiting: FuturesUnordered<Waiting<T>>,
    longest: Duration,
}

struct Waiting<T> {
    connection: Option<(TcpStream, T)>,
    pass: Pass,
    end: Pin<Box<Sleep>>,
}

/// Asks the system: among many connections, its word to this process comes late.
fn has_spoken(stream: &TcpStream) -> bool {
    matches!(rustix::net::recv(stream, &mut [0], RecvFlags::PEEK), Ok((1.., _)))
}

impl<T: Unpin> Future for Waiting<T> {
    /// None where it did not speak in time, ended, or gave its place to another one.
    type Output = Option<(TcpStream, T)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<(TcpStream, T)>> {
        let has_to_go = self.pass.poll_taken(cx).is_ready() || self.end.as_mut().poll(cx).is_ready();
        let Some((stream, _)) = &self.connection else { return Poll::Ready(None) };
        if has_to_go {
            return Poll::Ready(if has_spoken(stream) { self.connection.take() } else { None });
        }
        match stream.poll_peek(cx, &mut ReadBuf::new(&mut [0])) {
            Poll::Ready(Ok(1..)) => Poll::Ready(self.connection.take()),
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: Unpin> Silent<T> {
    /// At most so many.
    #[must_use]
    pub fn new(most: usize, evicted: Evicted) -> Silent<T> {
        Silent::lasting(most, evicted, FIRST_BYTE)
    }

    fn lasting(most: usize, evicted: Evicted, longest: Duration) -> Silent<T> {
        Silent { admission: Admission::new(most, evicted), waiting: FuturesUnordered::new(), longest }
    }

    /// A connection came; another one may have to go.
    pub fn came(&mut self, source: Source, stream: TcpStream, known: T) {
        let pass = self.admission.admit(source);
        let end = Box::pin(sleep(self.longest));
        self.waiting.push(Waiting { connection: Some((stream, known)), pass, end });
    }

    /// The next one that speaks. Pending also where there is none: then it wakes nobody.
    pub fn poll_spoken(&mut self, cx: &mut Context<'_>) -> Poll<(TcpStream, T)> {
        loop {
            match self.waiting.poll_next_unpin(cx) {
                Poll::Ready(Some(Some(connection))) => return Poll::Ready(connection),
                Poll::Ready(Some(None)) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    struct Door {
        listener: TcpListener,
        silent: Silent<usize>,
        count: usize,
    }

    impl Door {
        async fn of(silent: Silent<usize>) -> Door {
            Door { listener: TcpListener::bind("127.0.0.1:0").await.expect("it listens"), silent, count: 0 }
        }

        /// Somebody connects; the other end.
        async fn come(&mut self) -> TcpStream {
            let to = self.listener.local_addr().expect("bound");
            let theirs = TcpStream::connect(to).await.expect("connected");
            let (ours, from) = self.listener.accept().await.expect("connected");
            self.silent.came(Source::of_ip(from.ip()), ours, self.count);
            self.count += 1;
            theirs
        }

        async fn spoken(&mut self) -> (TcpStream, usize) {
            timeout(LIMIT, poll_fn(|cx| self.silent.poll_spoken(cx))).await.expect("somebody speaks")
        }

        /// Waits until a connection is at its end; nobody may speak meanwhile.
        async fn closed(&mut self, theirs: &mut TcpStream) {
            let mut nothing = [0];
            let end = timeout(LIMIT, async {
                tokio::select! {
                    // A reset is an end, too.
                    end = theirs.read(&mut nothing) => end.unwrap_or(0),
                    (_, n) = poll_fn(|cx| self.silent.poll_spoken(cx)) => panic!("{n} did not speak"),
                }
            });
            assert_eq!(end.await.expect("it is closed"), 0);
        }
    }

    #[tokio::test]
    async fn who_speaks_comes_in_past_all_who_do_not() {
        let evicted = Evicted::default();
        let mut door = Door::of(Silent::new(4, evicted.clone())).await;
        let mut silent = Vec::new();
        for _ in 0..8 {
            silent.push(door.come().await);
        }
        for old in &mut silent[..4] {
            door.closed(old).await;
        }
        assert_eq!(evicted.count(), 4);
        let mut peer = door.come().await;
        peer.write_all(b"x").await.expect("sent");
        let (mut stream, known) = door.spoken().await;
        let mut byte = [0];
        stream.read_exact(&mut byte).await.expect("what was said is still there");
        assert_eq!((known, &byte), (8, b"x"));
        door.closed(&mut silent[4]).await;
        // It left its place when it spoke.
        drop(door.come().await);
        assert_eq!(evicted.count(), 5);
    }

    /// Nothing runs between what a peer says and all who come after it.
    #[tokio::test]
    async fn who_has_spoken_comes_in_though_it_was_not_noticed() {
        let mut door = Door::of(Silent::new(2, Evicted::default())).await;
        let mut peer = door.come().await;
        peer.write_all(b"x").await.expect("sent");
        let _silent = [door.come().await, door.come().await, door.come().await];
        assert_eq!(door.spoken().await.1, 0);
    }

    #[tokio::test]
    async fn who_says_nothing_for_long_is_let_go() {
        let mut door = Door::of(Silent::lasting(4, Evicted::default(), Duration::from_millis(50))).await;
        let mut silent = door.come().await;
        door.closed(&mut silent).await;
        assert!(door.silent.waiting.is_empty());
    }
}
