//! Requests to one node: one at a time, bounded in time and size.
//!
//! # What must never happen
//!
//! - A node makes the client hold more than [`MAX_ANSWER_BYTES`], or wait longer than it was told to.
//! - What is in the node's URL besides the host reaches an error: it may have credentials.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coxswain_dv_eth::api::ErrorBody;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use url::Url;

use super::habits::JSON;
use super::traffic::Traffic;

/// A block of Fulu with all its blobs, as JSON, has about 4 MB; all validators of a large devnet about 20.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// What an error repeats of an answer.
const MAX_EXCERPT_CHARS: usize = 200;
/// `Content-Type` of SSZ.
pub(super) const SSZ: &str = "application/octet-stream";
/// The header with the name of a fork.
pub(super) const VERSION: &str = "eth-consensus-version";
/// The header that says whether a block is blinded.
pub(super) const BLINDED: &str = "eth-execution-payload-blinded";

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The node was not reached, or fell silent.
    #[error("{what}: the node was not reached: {}", root_cause(source))]
    Unreachable {
        /// What was asked.
        what: String,
        /// Why.
        source: reqwest::Error,
    },
    /// It took too long.
    #[error("{what}: no answer within {} ms", after.as_millis())]
    Slow {
        /// What was asked.
        what: String,
        /// How long was waited.
        after: Duration,
    },
    /// The node said no.
    #[error("{what}: {status} {message}")]
    Status {
        /// What was asked.
        what: String,
        /// The status.
        status: u16,
        /// What the node said.
        message: String,
    },
    /// The answer is not what was asked for.
    #[error("{what}: the answer is not understood: {why}")]
    Content {
        /// What was asked.
        what: String,
        /// What is wrong.
        why: String,
    },
}

impl HttpError {
    /// Whether the same request may be answered a little later: the node is down, busy, or has nothing yet.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            HttpError::Unreachable { .. } | HttpError::Slow { .. } => true,
            HttpError::Status { status, .. } => matches!(status, 408 | 425 | 429 | 502 | 503 | 504),
            HttpError::Content { .. } => false,
        }
    }

    /// Whether what is read may be there a little later. Nodes say 404 and 500 of what they do not have yet.
    #[must_use]
    pub fn may_come(&self) -> bool {
        self.is_passing() || matches!(self, HttpError::Status { status: 404 | 500, .. })
    }

    /// Whether the form of the body was refused.
    #[must_use]
    pub fn is_wrong_form(&self) -> bool {
        matches!(self, HttpError::Status { status: 406 | 415, .. })
    }
}

/// The innermost cause: the layers above it repeat the URL or say nothing.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// A `GET`.
    None,
    /// A `POST` of JSON.
    Json(Vec<u8>),
    /// A `POST` of SSZ.
    Ssz(Vec<u8>),
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// Path and query.
    pub(super) path: String,
    /// `Accept`
    pub(super) accept: &'static str,
    /// The body.
    pub(super) body: Body,
    /// `Eth-Consensus-Version`
    pub(super) version: Option<&'static str>,
    /// For everything.
    pub(super) timeout: Duration,
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// The text of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the body is SSZ.
    pub(super) fn is_ssz(&self) -> bool {
        self.header(CONTENT_TYPE.as_str()).is_some_and(|kind| kind.contains(SSZ))
    }
}

/// The way to a node.
pub(super) struct Http {
    client: reqwest::Client,
    base: Url,
    traffic: Arc<Traffic>,
}

impl Http {
    /// The way to the node at `base`, whose path stays in front of all paths.
    ///
    /// # Errors
    /// There is no client for it: TLS lacks something.
    pub(super) fn new(base: Url, user_agent: &str) -> Result<Http, reqwest::Error> {
        // A provider that was installed before stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || reqwest::Client::builder().user_agent(user_agent).no_proxy();
        let client = match builder().build() {
            // A machine without certificates of authorities can still speak HTTP without TLS.
            Err(_) if base.scheme() == "http" => builder().tls_certs_only([]).build(),
            other => other,
        }?;
        Ok(Http { client, base, traffic: Arc::default() })
    }

    fn start(&self, request: &Request) -> reqwest::RequestBuilder {
        let base = self.base.as_str().trim_end_matches('/');
        let url = format!("{base}{}", request.path);
        let builder = match &request.body {
            Body::None => self.client.get(url),
            Body::Json(bytes) => self.client.post(url).header(CONTENT_TYPE, JSON).body(bytes.clone()),
            Body::Ssz(bytes) => self.client.post(url).header(CONTENT_TYPE, SSZ).body(bytes.clone()),
        };
        let builder = builder.header(ACCEPT, request.accept);
        match request.version {
            Some(version) => builder.header(VERSION, version),
            None => builder,
        }
    }

    /// Sends it, and reads the whole answer.
    pub(super) async fn send(&self, request: &Request) -> Result<Reply, HttpError> {
        let (path, _) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let what = format!("{} {path}", if request.body == Body::None { "GET" } else { "POST" });
        let start = Instant::now();
        let result = tokio::time::timeout(request.timeout, self.exchange(request, &what)).await;
        self.traffic.count(&what, matches!(result, Ok(Ok(_))).then(|| start.elapsed()));
        result.unwrap_or(Err(HttpError::Slow { what, after: request.timeout }))
    }

    /// What was sent up to now.
    pub(super) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    async fn exchange(&self, request: &Request, what: &str) -> Result<Reply, HttpError> {
        let unreachable = |source: reqwest::Error| HttpError::Unreachable {
            what: what.to_owned(),
            source: source.without_url(),
        };
        let mut response = self.start(request).send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                let why = format!("it has more than {MAX_ANSWER_BYTES} bytes");
                return Err(HttpError::Content { what: what.to_owned(), why });
            }
            body.extend_from_slice(&chunk);
        }
        if (200..300).contains(&status) {
            return Ok(Reply { headers, body });
        }
        Err(HttpError::Status { what: what.to_owned(), status, message: message(&body) })
    }

    /// Begins a stream of events: its body comes piece by piece.
    pub(super) async fn stream(&self, path: &str, wait: Duration) -> Result<reqwest::Response, HttpError> {
        let what = "GET /eth/v1/events".to_owned();
        let request = Request {
            path: path.to_owned(),
            accept: "text/event-stream",
            body: Body::None,
            version: None,
            timeout: wait,
        };
        let mut response = match tokio::time::timeout(wait, self.start(&request).send()).await {
            Err(_) => return Err(HttpError::Slow { what, after: wait }),
            Ok(Err(source)) => return Err(HttpError::Unreachable { what, source: source.without_url() }),
            Ok(Ok(response)) => response,
        };
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(response);
        }
        // A piece of what is said is enough, and an endless stream of it is not read.
        let piece = tokio::time::timeout(wait, response.chunk()).await;
        let said = piece.ok().and_then(Result::ok).flatten().unwrap_or_default();
        Err(HttpError::Status { what, status, message: message(&said) })
    }
}

/// What a node said: the message of its error document, or the beginning of what it sent.
fn message(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<ErrorBody>(body) {
        Ok(document) => {
            let failures = document.failures.iter().map(|one| format!("; {}: {}", one.index, one.message));
            document.message + &failures.collect::<String>()
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    text.chars().filter(|c| !c.is_control()).take(MAX_EXCERPT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_repeat_a_little_of_what_was_said() {
        assert_eq!(message(br#"{"code":500,"message":"not\nyet"}"#), "notyet");
        let several = br#"{"code":400,"message":"some","failures":[{"index":1,"message":"old"}]}"#;
        assert_eq!(message(several), "some; 1: old");
        assert_eq!(message(&[b'x'; 1000]).len(), MAX_EXCERPT_CHARS);
        assert_eq!(message(b"<html>"), "<html>");
    }

    #[test]
    fn some_failures_pass() {
        let status = |status| HttpError::Status { what: String::new(), status, message: String::new() };
        for (code, is_passing, may_come) in [
            (400, false, false),
            (404, false, true),
            (408, true, true),
            (500, false, true),
            (503, true, true),
        ] {
            assert_eq!(
                (status(code).is_passing(), status(code).may_come()),
                (is_passing, may_come),
                "{code}"
            );
        }
        assert!(status(415).is_wrong_form());
    }
}
