//! Bodies of requests: all of them together have a limit on memory, and what is slow takes only what it has sent.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use futures::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Refusal;

/// Room for bodies, in units of [`UNIT`]: 256 MiB.
const ROOM: usize = 256 << 10;
/// What is counted as one.
const UNIT: usize = 1 << 10;
/// How long a body may take to arrive.
const LIMIT: Duration = Duration::from_secs(60);

/// Room in memory for bodies.
#[derive(Debug)]
pub(super) struct Bodies(Arc<Semaphore>);

/// A body, and the room that it takes.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Vec<u8>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    pub(super) fn new() -> Bodies {
        Bodies(Arc::new(Semaphore::new(ROOM)))
    }

    /// Reads the body of a request.
    pub(super) async fn read(&self, request: Request, max: usize) -> Result<Held, Refusal> {
        // What says beforehand that it is too long takes no room.
        if declared_length(request.headers()).is_some_and(|length| length > max as u64) {
            return Err(too_large(max));
        }
        tokio::time::timeout(LIMIT, self.read_all(request.into_body(), max)).await.unwrap_or_else(|_| {
            let message = format!("the body took longer than {} s", LIMIT.as_secs());
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, message, "try again"))
        })
    }

    async fn read_all(&self, body: Body, max: usize) -> Result<Held, Refusal> {
        let mut stream = body.into_data_stream();
        let mut held = Held { bytes: Vec::new(), _room: None };
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| {
                let message = format!("the body ended early: {error}");
                Refusal::new(StatusCode::BAD_REQUEST, message, "try again")
            })?;
            if held.bytes.len() + chunk.len() > max {
                return Err(too_large(max));
            }
            // A chunk is a few hundred kilobytes at most, so this number is small.
            let units = u32::try_from(chunk.len().div_ceil(UNIT)).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.0).try_acquire_many_owned(units).map_err(|_| {
                let message = "this service has as many requests as it has memory for";
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message, "try again in a minute")
            })?;
            match &mut held._room {
                Some(all) => all.merge(room),
                none => *none = Some(room),
            }
            held.bytes.extend_from_slice(&chunk);
        }
        Ok(held)
    }
}

fn too_large(max: usize) -> Refusal {
    let message = format!("the body has more than {max} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message, "check that it is the right file")
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(chunks: Vec<&'static [u8]>) -> Request {
        let chunks = futures::stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>));
        Request::new(Body::from_stream(chunks))
    }

    #[tokio::test]
    async fn bodies_share_room_and_give_it_back() {
        let bodies = Bodies(Arc::new(Semaphore::new(3)));
        let first = bodies.read(request(vec![&[1; UNIT], &[2; 5]]), 2000).await.expect("room for two units");
        assert_eq!(first.bytes.len(), UNIT + 5);
        let refusal = bodies.read(request(vec![&[1; UNIT + 1]]), 2000).await.expect_err("one unit is left");
        assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE);
        drop(first);
        bodies.read(request(vec![&[1; UNIT], &[1; UNIT]]), 4096).await.expect("all of it is free again");
        assert_eq!(bodies.0.available_permits(), 3);
    }

    #[tokio::test]
    async fn a_body_has_a_limit_whatever_it_says() {
        let bodies = Bodies::new();
        let refusal = bodies.read(request(vec![&[0; 6], &[0; 5]]), 10).await.expect_err("11 bytes");
        assert_eq!(refusal.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(bodies.0.available_permits(), ROOM);
    }
}
