//! The root of the head, asked for once where many ask at the same time: each member of a sync committee does, at every
//! slot.

use std::io;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use coxswain_dv_eth::beacon::{CallError, Failure};
use futures::StreamExt as _;
use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap};
use tokio::sync::Mutex;

use crate::client::{Backends, Forward, Forwarded};

const PATH: &str = "/eth/v1/beacon/blocks/head/root";
/// Largest answer: it has one root.
const MAX_BYTES: usize = 64 << 10;

/// Whether a request asks for it.
pub(super) fn is_asked_for(request: &Forward) -> bool {
    request.method == Method::GET && request.path_and_query == PATH
}

/// The last answer, for a moment.
pub(super) struct Head {
    life: Duration,
    last: Mutex<Option<(Instant, Kept)>>,
}

#[derive(Clone)]
struct Kept {
    headers: HeaderMap,
    body: Bytes,
}

impl Head {
    pub(super) fn new(life: Duration) -> Head {
        Head { life, last: Mutex::new(None) }
    }

    /// The answer of the beacon nodes. While one request is on its way the others wait for it; only a success is kept.
    pub(super) async fn ask(
        &self,
        backends: &Backends,
        mut request: Forward,
        within: Duration,
    ) -> Result<Forwarded, CallError> {
        let mut last = self.last.lock().await;
        if let Some((at, kept)) = &*last
            && at.elapsed() < self.life
        {
            return Ok(kept.clone().into());
        }
        *last = None;
        // The answer is for other clients too, which may not know the encoding.
        request.headers.remove(ACCEPT_ENCODING);
        let asked = Instant::now();
        let answer = backends.forward(request, within).await?;
        if answer.status != 200 {
            return Ok(answer);
        }
        let headers = answer.headers.clone();
        let body = whole(answer).await.map_err(|error| CallError {
            endpoint: "proxy",
            failure: Failure::Network,
            message: format!("the answer with the root of the head broke off: {error}"),
        })?;
        let kept = Kept { headers, body };
        *last = Some((asked, kept.clone()));
        Ok(kept.into())
    }
}

impl From<Kept> for Forwarded {
    fn from(kept: Kept) -> Forwarded {
        let body = futures::stream::once(async move { Ok(kept.body) }).boxed();
        Forwarded { status: 200, headers: kept.headers, body }
    }
}

async fn whole(mut answer: Forwarded) -> io::Result<Bytes> {
    let mut read = BytesMut::new();
    while let Some(chunk) = answer.body.next().await {
        let chunk = chunk?;
        if read.len() + chunk.len() > MAX_BYTES {
            return Err(io::Error::other("it is too large"));
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read.freeze())
}
