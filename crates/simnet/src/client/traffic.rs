//! How many requests there were of each endpoint, and how long they took.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

/// Requests of one endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// How many were sent.
    pub sent: u64,
    /// How many of them had no good answer.
    pub failed: u64,
    /// The time that good answers took, on average.
    pub mean_ms: u64,
    /// The longest time that a good answer took.
    pub max_ms: u64,
    #[serde(skip)]
    total: Duration,
}

/// Requests of all endpoints. It is written by all jobs, and read by the client's owner.
#[derive(Debug, Default)]
pub(super) struct Traffic(Mutex<BTreeMap<String, Endpoint>>);

impl Traffic {
    /// Counts an exchange; none of the time of a bad one.
    pub(super) fn count(&self, what: &str, took: Option<Duration>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let row = all.entry(endpoint(what)).or_default();
        row.sent += 1;
        let Some(took) = took else {
            row.failed += 1;
            return;
        };
        row.total += took;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        row.max_ms = row.max_ms.max(millis(took));
        row.mean_ms = millis(row.total) / (row.sent - row.failed);
    }

    /// By method and path, whose numbers and keys are `{}`.
    pub(super) fn rows(&self) -> BTreeMap<String, Endpoint> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A method and a path without what differs from request to request: there are as many as kinds of requests.
fn endpoint(what: &str) -> String {
    let differs = |piece: &&str| piece.starts_with("0x") || piece.bytes().all(|byte| byte.is_ascii_digit());
    let pieces = what.split('/').map(|piece| if !piece.is_empty() && differs(&piece) { "{}" } else { piece });
    pieces.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_an_endpoint_are_counted_together() {
        let traffic = Traffic::default();
        traffic.count("GET /eth/v3/validator/blocks/7", Some(Duration::from_millis(10)));
        traffic.count("GET /eth/v3/validator/blocks/8", Some(Duration::from_millis(21)));
        traffic.count("GET /eth/v3/validator/blocks/9", None);
        traffic.count("GET /eth/v1/beacon/states/head/validators/0xab", None);
        let rows = traffic.rows();
        assert_eq!(rows.len(), 2, "{rows:?}");
        let blocks = rows["GET /eth/v3/validator/blocks/{}"];
        assert_eq!((blocks.sent, blocks.failed, blocks.mean_ms, blocks.max_ms), (3, 1, 15, 21));
        assert_eq!(rows["GET /eth/v1/beacon/states/head/validators/{}"].failed, 1);
    }
}
