//! Places for connections, of which a new one always gets one.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::channel::oneshot;
use tokio::time::Instant;

use super::source::{Source, gives_way};

/// How often the log says that places are taken away.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How many places were taken away since the start.
#[derive(Debug, Clone, Default)]
pub struct Evicted(Arc<AtomicU64>);

impl Evicted {
    /// So many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// See the module.
pub(super) struct Admission {
    most: usize,
    /// Who has a place, the oldest first.
    inside: Vec<Inside>,
    evicted: Evicted,
    /// When the log said so, and how many there had been.
    told: Option<(Instant, u64)>,
}

struct Inside {
    source: Source,
    /// Its other end is gone where the place was left.
    leave: oneshot::Sender<()>,
}

/// A place, until it is dropped.
pub(super) struct Pass(oneshot::Receiver<()>);

impl Pass {
    /// Whether the place is somebody else's now.
    pub(super) fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|_| ())
    }
}

impl Admission {
    pub(super) fn new(most: usize, evicted: Evicted) -> Admission {
        Admission { most, inside: Vec::new(), evicted, told: None }
    }

    /// A place for a new connection; another one may lose its own.
    pub(super) fn admit(&mut self, source: Source) -> Pass {
        self.inside.retain(|one| !one.leave.is_canceled());
        if self.inside.len() >= self.most {
            self.evict(source);
        }
        let (leave, pass) = oneshot::channel();
        self.inside.push(Inside { source, leave });
        Pass(pass)
    }

    /// The new one counts for its source, and is the youngest: it is not the one that goes.
    fn evict(&mut self, new: Source) {
        let all = self.inside.iter().map(|one| &one.source).chain([&new]);
        let Some(at) = gives_way(all).filter(|at| *at < self.inside.len()) else { return };
        let Inside { source, leave } = self.inside.remove(at);
        let _ = leave.send(());
        self.evicted.0.fetch_add(1, Ordering::Relaxed);
        let (now, count) = (Instant::now(), self.evicted.count());
        if self.told.is_none_or(|(told, _)| now.duration_since(told) >= TELL_EVERY) {
            let since = count - self.told.map_or(0, |(_, before)| before);
            self.told = Some((now, count));
            tracing::warn!(
                %source,
                evicted = since,
                "connections that are not set up give way to newer ones: all places are taken, most of them by this source"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn source(last: u8) -> Source {
        Source::of_ip([10, 0, 0, last].into())
    }

    fn is_taken(pass: &mut Pass) -> bool {
        pass.poll_taken(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn a_new_connection_takes_the_place_of_the_source_that_has_the_most() {
        let evicted = Evicted::default();
        let mut admission = Admission::new(3, evicted.clone());
        let mut rare = admission.admit(source(1));
        let mut many: Vec<Pass> = (0..50).map(|_| admission.admit(source(2))).collect();
        let taken = many.iter_mut().map(is_taken).filter(|is_taken| *is_taken).count();
        assert_eq!((taken, evicted.count()), (48, 48));
        assert!(many.iter_mut().take(48).all(is_taken), "the oldest of them went");
        assert!(!is_taken(&mut rare), "who has few keeps them");
        let mut third = admission.admit(source(3));
        assert!(is_taken(&mut many[48]) && !is_taken(&mut many[49]) && !is_taken(&mut third));
    }

    #[tokio::test]
    async fn a_place_that_was_left_is_free() {
        let evicted = Evicted::default();
        let mut admission = Admission::new(2, evicted.clone());
        let mut stays = admission.admit(source(1));
        for _ in 0..10 {
            drop(admission.admit(source(1)));
        }
        assert!(!is_taken(&mut stays));
        assert_eq!((evicted.count(), admission.inside.len()), (0, 2));
    }

    #[tokio::test]
    async fn where_all_differ_the_oldest_goes() {
        let mut admission = Admission::new(2, Evicted::default());
        let [mut first, mut second, mut third] = [1, 2, 3].map(|n| admission.admit(source(n)));
        assert_eq!([&mut first, &mut second, &mut third].map(is_taken), [true, false, false]);
        assert_eq!(admission.inside.len(), 2);
    }
}
