//! The root of the head, asked for once where many ask at the same time: each member of a sync committee does, at every
//! slot.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coxswain_dv_eth::beacon::CallError;
use futures::future::{BoxFuture, FutureExt as _, Shared, WeakShared};
use futures::stream::StreamExt as _;
use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap};

use crate::client::{Backends, Forward, Forwarded};

const PATH: &str = "/eth/v1/beacon/blocks/head/root";
/// Largest answer: it has one root.
const MAX_BYTES: usize = 64 << 10;

/// Whether a request asks for it.
pub(super) fn is_asked_for(request: &Forward) -> bool {
    request.method == Method::GET && request.path_and_query == PATH
}

/// The last answer, for a moment, and the request that is on its way.
pub(super) struct Head {
    life: Duration,
    /// Of all requests; nobody waits while it is locked.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    last: Option<(Instant, Kept)>,
    /// It is gone with the last of those that wait for it.
    asking: Option<WeakShared<Asking>>,
}

type Asking = BoxFuture<'static, Result<Kept, CallError>>;

#[derive(Clone)]
struct Kept {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Head {
    pub(super) fn new(life: Duration) -> Head {
        Head { life, state: Arc::default() }
    }

    /// The answer of the beacon nodes. While one request is on its way the others wait for it and get what it gets: where
    /// nodes hang, nobody waits longer than for one request. Only a success is kept.
    pub(super) async fn ask(&self, backends: &Backends, request: Forward) -> Result<Forwarded, CallError> {
        let asking = {
            let mut state = lock(&self.state);
            if let Some((at, kept)) = &state.last
                && at.elapsed() < self.life
            {
                return Ok(kept.clone().into());
            }
            match state.asking.as_ref().and_then(WeakShared::upgrade) {
                Some(asking) => asking,
                None => self.begin(&mut state, backends.clone(), request),
            }
        };
        asking.await.map(Forwarded::from)
    }

    fn begin(&self, state: &mut State, backends: Backends, mut request: Forward) -> Shared<Asking> {
        // The answer is for other clients too, which may not know the encoding.
        request.headers.remove(ACCEPT_ENCODING);
        let of_all = Arc::clone(&self.state);
        let asked = Instant::now();
        let asking: Asking = async move {
            let answer = backends.forward_whole(request, MAX_BYTES).await;
            let answer =
                answer.map(|reply| Kept { status: reply.status, headers: reply.headers, body: reply.body });
            let mut state = lock(&of_all);
            // Whoever comes from now on is too late for this one.
            state.asking = None;
            state.last =
                answer.as_ref().ok().filter(|kept| kept.status == 200).map(|kept| (asked, kept.clone()));
            answer
        }
        .boxed();
        let asking = asking.shared();
        state.asking = asking.downgrade();
        asking
    }
}

impl From<Kept> for Forwarded {
    fn from(kept: Kept) -> Forwarded {
        let body = futures::stream::once(async move { Ok(kept.body) }).boxed();
        Forwarded { status: kept.status, headers: kept.headers, body }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
