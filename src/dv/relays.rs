//! Asking URLs of relays, as charon asks them: with the names of the cluster.

use std::time::Duration;

use async_trait::async_trait;
use coxswain_dv_net::{MAX_ANSWER_BYTES, Resolve, ResolveError};

use super::http::{self, Client, Request};

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Asks over HTTP.
pub struct Resolver {
    client: Client,
    headers: Vec<(&'static str, String)>,
}

impl Resolver {
    /// For a cluster: what relays label its nodes by, and the definition's uuid.
    #[must_use]
    pub fn new(cluster: &str, uuid: &str) -> Self {
        let headers = vec![("Charon-Cluster", cluster.to_owned()), ("Cluster-Uuid", uuid.to_owned())];
        Self { client: Client::new(), headers }
    }
}

#[async_trait]
impl Resolve for Resolver {
    async fn get(&self, url: &str) -> Result<Vec<u8>, ResolveError> {
        let url = http::parse_url(url).map_err(|why| ResolveError::Request { url: "a relay".into(), why })?;
        let mut request = Request::get(&url);
        request.headers = &self.headers;
        request.timeout = LIMIT;
        request.max_answer_bytes = MAX_ANSWER_BYTES;
        self.client
            .fetch(&request)
            .await
            .map_err(|error| ResolveError::Request { url: http::shown(&url), why: error.why.to_string() })
    }
}
