//! One beacon node: an exchange with it, bounded in size; what it refuses, as an error without secrets.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coxswain_dv_eth::api::ErrorBody;
use coxswain_dv_eth::beacon::Failure;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, redirect};

use super::address::Address;
use super::request::{Aim, Ask};

/// What is read of an answer that says no.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// What an error repeats of it.
const MAX_EXCERPT_CHARS: usize = 300;
/// What is shorter is no secret, and hiding it would only garble the text.
const MIN_SECRET: usize = 4;
/// Idle connections are given up before beacon nodes do it: the shortest limit of those in use is about 30 s.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// Connections to a node that is down are not waited for longer, whatever the time of the call. A shorter time for
/// questions is the limit here too: a stream of events may wait for its head, but not for a node that is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// What nodes say of something that comes too early, in small letters; charon tries again on these words. Lighthouse has
/// `FutureSlot`, others that a slot is not in the `current or previous` epoch.
const TOO_EARLY: [&str; 3] = ["future", "current or previous", "retryable"];

/// One beacon node.
pub(crate) struct Node {
    pub(crate) address: Address,
    /// Reads compressed answers.
    client: reqwest::Client,
    /// Passes them on as they are.
    verbatim: reqwest::Client,
    headers: HeaderMap,
    secrets: Vec<String>,
    score: Mutex<Score>,
    since: Instant,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Successes in the current minute.
#[derive(Debug, Default, Clone, Copy)]
struct Score {
    minute: u64,
    successes: u64,
}

/// An answer of any status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why one node gave no answer.
#[derive(Debug, Clone)]
pub(crate) struct NodeError {
    pub(crate) failure: Failure,
    /// Whether a fallback node should be asked: this one is not reached, ill, or behind.
    pub(crate) is_node_at_fault: bool,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn is_ssz(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.contains("application/octet-stream"))
    }
}

/// Headers that operators give.
///
/// # Errors
/// Which name is wrong; values are never repeated.
pub(crate) fn parse_headers(pairs: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let parsed =
            HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is no name of a header"))?;
        let mut value = HeaderValue::try_from(value.as_str())
            .map_err(|_| format!("the value of header `{name}` has characters that no header can have"))?;
        value.set_sensitive(true);
        headers.append(parsed, value);
    }
    Ok(headers)
}

impl Node {
    /// `query_timeout` limits how long a connection is waited for.
    pub(crate) fn new(
        address: Address,
        headers: &HeaderMap,
        query_timeout: Duration,
    ) -> Result<Node, String> {
        let connect = query_timeout.min(CONNECT);
        let known = |text: &&str| text.len() >= MIN_SECRET;
        let of_headers = headers.values().filter_map(|value| value.to_str().ok());
        let secrets = address.secrets().chain(of_headers).filter(known).map(ToOwned::to_owned).collect();
        Ok(Node {
            client: build(&address, connect, |builder| builder)?,
            verbatim: build(&address, connect, reqwest::ClientBuilder::no_gzip)?,
            headers: headers.clone(),
            secrets,
            score: Mutex::default(),
            since: Instant::now(),
            address,
        })
    }

    /// One exchange. Who calls limits its time.
    pub(crate) async fn exchange(&self, ask: &Ask) -> Result<Reply, NodeError> {
        let response = match self.send(ask).await {
            // A connection that the node had just given up. What is sent twice does no more than what is sent once.
            Err(error) if is_stale(&error) => self.send(ask).await,
            other => other,
        };
        let response = response.map_err(|error| self.not_reached(error))?;
        self.read(response, ask.max_bytes).await
    }

    async fn send(&self, ask: &Ask) -> Result<Response, reqwest::Error> {
        let method = if ask.is_post { Method::POST } else { Method::GET };
        let mut building =
            self.client.request(method, self.address.join(&ask.path)).headers(self.headers.clone());
        building = building.header(ACCEPT, ask.accept);
        if let Some(fork) = ask.fork {
            building = building.header("Eth-Consensus-Version", fork.name());
        }
        if let Some((kind, body)) = &ask.body {
            building = building.header(CONTENT_TYPE, *kind).body(body.clone());
        }
        building.send().await
    }

    /// Sends what someone else asks, and gives the answer as it comes.
    pub(crate) async fn pass_on(
        &self,
        method: Method,
        path_and_query: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, NodeError> {
        let mut headers = headers;
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        let building = self.verbatim.request(method, self.address.join(path_and_query)).headers(headers);
        building.body(body).send().await.map_err(|error| self.not_reached(error))
    }

    /// The whole answer, up to a limit.
    pub(crate) async fn read(&self, mut response: Response, max_bytes: usize) -> Result<Reply, NodeError> {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let is_success = response.status().is_success();
        let limit = if is_success { max_bytes } else { MAX_REFUSAL_BYTES };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.not_reached(error))? {
            if body.len() + chunk.len() > limit {
                if is_success {
                    return Err(self.malformed(&format!("the answer is larger than {limit} bytes")));
                }
                body.extend_from_slice(&chunk[..limit - body.len()]);
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body: Bytes::from(body) })
    }

    pub(crate) fn not_reached(&self, error: reqwest::Error) -> NodeError {
        self.error(Failure::Network, root_cause(error))
    }

    pub(crate) fn too_slow(&self, limit: Duration) -> NodeError {
        self.error(Failure::Network, format!("no whole answer within {} ms", limit.as_millis()))
    }

    pub(crate) fn malformed(&self, why: &str) -> NodeError {
        self.error(Failure::Malformed, format!("the answer is not understood: {}", self.excerpt(why)))
    }

    /// A chain has more validators than memory is given for. Another node has as many.
    pub(crate) fn too_many(&self) -> NodeError {
        let text = format!(
            "{} has more validators than can be told at once: name those that are meant",
            self.address
        );
        NodeError { failure: Failure::Refused, is_node_at_fault: false, text }
    }

    /// An answer of which it is known that the node lacks what it would have to know for it.
    pub(crate) fn behind(&self, why: &str) -> NodeError {
        self.error(Failure::NotYet, why.to_owned())
    }

    /// What an answer other than a success says.
    pub(crate) fn refusal(&self, reply: &Reply, aim: Aim) -> NodeError {
        let message = message_of(&reply.body);
        let said = self.excerpt(&message);
        let lower = message.to_lowercase();
        let has_one_of = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let is_behind = has_one_of(&["syncing", "headblocknotfullyverified", "not synced", "optimistic"]);
        let (failure, is_node_at_fault) = match reply.status {
            503 => (Failure::NotYet, true),
            408 | 429 | 502 | 504 => (Failure::Network, true),
            _ if is_behind => (Failure::NotYet, true),
            404 if aim == Aim::Question => (Failure::NotYet, false),
            // Of submissions too: a clock that is a little ahead must not cost the duty.
            _ if has_one_of(&TOO_EARLY) => (Failure::NotYet, false),
            _ => (Failure::Refused, false),
        };
        let colon = if said.is_empty() { "" } else { ": " };
        NodeError {
            failure,
            is_node_at_fault,
            text: format!("{} answers {}{colon}{said}", self.address, reply.status),
        }
    }

    fn error(&self, failure: Failure, why: String) -> NodeError {
        NodeError { failure, is_node_at_fault: true, text: format!("{}: {why}", self.address) }
    }

    /// The beginning of a text of the node's, on one line and without secrets.
    fn excerpt(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), "…");
        }
        let line = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_EXCERPT_CHARS);
        line.collect::<String>().trim().to_owned()
    }

    /// Notes a success, for [`Node::successes`].
    pub(crate) fn succeeded(&self) {
        let minute = self.minute();
        let mut score = self.score();
        if score.minute != minute {
            *score = Score { minute, successes: 0 };
        }
        score.successes += 1;
    }

    /// Successes in this minute.
    pub(crate) fn successes(&self) -> u64 {
        let minute = self.minute();
        let score = self.score();
        if score.minute == minute { score.successes } else { 0 }
    }

    fn minute(&self) -> u64 {
        self.since.elapsed().as_secs() / 60
    }

    fn score(&self) -> MutexGuard<'_, Score> {
        self.score.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn build(
    address: &Address,
    connect: Duration,
    with: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("coxswain/", env!("CARGO_PKG_VERSION")))
        .referer(false)
        // Headers that operators give are for the node they name.
        .redirect(redirect::Policy::none())
        .connect_timeout(connect)
        .pool_idle_timeout(POOL_IDLE);
    if address.is_loopback() {
        builder = builder.no_proxy();
    }
    if !address.is_tls() {
        // The system's authorities are read for nothing, and some machines have none.
        builder = builder.tls_certs_only([]);
    }
    let built = with(builder).build();
    built.map_err(|error| format!("no HTTP client for {address}: {}", root_cause(error)))
}

/// Whether the connection broke before there was an answer.
fn is_stale(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout() && !error.is_builder()
}

/// The innermost reason. What is around it names layers of libraries, and the URL with all that is in it.
fn root_cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// What an error body of the Beacon API says: its message and those of its items, or the body as it is.
fn message_of(body: &[u8]) -> String {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(error) => {
            let items = error.failures.iter().map(|item| item.message.as_str());
            std::iter::once(error.message.as_str()).chain(items).collect::<Vec<_>>().join("; ")
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

/// Headers that a request may bring along and that are not passed on: those of the one connection, and credentials
/// that were meant for this node.
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    const NAMES: &[&str] = &[
        "connection",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    NAMES.contains(&name.as_str()) || name == AUTHORIZATION
}
