//! Requests of validator clients that the beacon nodes answer: passed on as they are.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coxswain_dv_eth::beacon::CallError;
use futures::Stream;
use futures::stream::{BoxStream, StreamExt as _, unfold};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Method, Response};
use tokio::time::timeout;

use super::Backends;
use super::node::{Node, NodeError, Reply, is_hop_by_hop};
use super::race::{Keep, Plan};
use super::request::Aim;

/// Largest answer that is passed on: a state of the main chain has about 350 MB.
const MAX_ANSWER_BYTES: usize = 1 << 30;
/// A body that stands still for longer is given up.
const STALLED: Duration = Duration::from_secs(10);

/// A request to be passed on.
#[derive(Debug, Clone)]
pub struct Forward {
    /// Like `GET`.
    pub method: Method,
    /// From the first slash on.
    pub path_and_query: String,
    /// As they came; those of the connection, and credentials, are dropped.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// What a beacon node answers, of any status.
pub struct Forwarded {
    /// Its status.
    pub status: u16,
    /// Without those of the connection.
    pub headers: HeaderMap,
    /// The body as it comes. It ends with an error where the node breaks off, stands still or sends too much.
    pub body: BoxStream<'static, Result<Bytes, std::io::Error>>,
}

impl std::fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarded").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A body that ends by itself, or one that goes on for as long as both sides like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Bounded,
    Endless,
}

impl Backends {
    /// Asks all primaries, and the fallbacks where those are at fault; the first success is passed on as it is, else an
    /// answer that is none. What is not `GET` or `HEAD` goes on at the other nodes. Each node has the time of questions, or
    /// of submissions, until the head of its answer is there; the body may take longer.
    ///
    /// # Errors
    /// No node answered in its time.
    pub async fn forward(&self, request: Forward) -> Result<Forwarded, CallError> {
        let plan = self.forwarding(&request.method, |response: &Response| keep(response.status().as_u16()));
        let request = Arc::new(cleaned(request));
        let run = move |node: Arc<Node>| {
            let request = Arc::clone(&request);
            async move { pass_on(&node, &request).await }
        };
        let response = self.carry_out("proxy", &plan, run).await?;
        Ok(passed_on(response, Length::Bounded))
    }

    /// The same for answers of a few bytes, with their body, which is in the time of each node too.
    ///
    /// # Errors
    /// No node gave a whole answer in its time.
    pub(crate) async fn forward_whole(&self, request: Forward, max_bytes: usize) -> Result<Reply, CallError> {
        let plan = self.forwarding(&request.method, |reply: &Reply| keep(reply.status));
        let request = Arc::new(cleaned(request));
        let run = move |node: Arc<Node>| {
            let request = Arc::clone(&request);
            async move {
                let response = pass_on(&node, &request).await?;
                node.read(response, max_bytes).await
            }
        };
        let mut reply = self.carry_out("proxy", &plan, run).await?;
        reply.headers = without_hops(&reply.headers);
        // A refusal may have been cut.
        reply.headers.insert(CONTENT_LENGTH, HeaderValue::from(reply.body.len()));
        Ok(reply)
    }

    fn forwarding<T>(&self, method: &Method, keep: fn(&T) -> Keep) -> Plan<T> {
        let is_question = matches!(*method, Method::GET | Method::HEAD);
        let timeout = if is_question { self.inner.query_timeout } else { self.inner.submit_timeout };
        Plan { timeout, patience: Duration::ZERO, keep, is_detached: !is_question, is_for_all: false }
    }

    /// Opens a stream of events at the node that has answered most in this minute, or the next best one.
    ///
    /// # Errors
    /// No node gave a stream `within` the time.
    pub async fn forward_events(&self, request: Forward, within: Duration) -> Result<Forwarded, CallError> {
        let request = cleaned(request);
        let mut nodes = self.asked().concat();
        // The sort keeps the order of equals: primaries first.
        nodes.sort_by_key(|node| std::cmp::Reverse(node.successes()));
        let mut errors = Vec::new();
        for node in nodes {
            let asked = timeout(within, pass_on(&node, &request)).await;
            match asked.unwrap_or_else(|_| Err(node.too_slow(within))) {
                Ok(response) => return Ok(passed_on(response, Length::Endless)),
                Err(error) => errors.push(error),
            }
        }
        let error = if errors.is_empty() { NodeError::nobody() } else { NodeError::of(errors) };
        Err(CallError { endpoint: "events", failure: error.failure, message: error.text })
    }
}

/// Another node may have a success where one has none: all that answer in their time are heard.
fn keep(status: u16) -> Keep {
    if (200..300).contains(&status) { Keep::Take } else { Keep::UntilAllAnswered }
}

async fn pass_on(node: &Node, request: &Forward) -> Result<Response, NodeError> {
    let Forward { method, path_and_query, headers, body } = request.clone();
    let response = node.pass_on(method, &path_and_query, headers, body).await?;
    if matches!(response.status().as_u16(), 502..=504) {
        let reply = node.read(response, 0).await?;
        return Err(node.refusal(&reply, Aim::Question));
    }
    if response.status().is_success() {
        node.succeeded();
    }
    Ok(response)
}

fn cleaned(mut request: Forward) -> Forward {
    request.headers = without_hops(&request.headers);
    // It is written anew with the body.
    request.headers.remove("content-length");
    request
}

fn without_hops(headers: &HeaderMap) -> HeaderMap {
    // `Connection` may name more of them.
    let named: Vec<String> = headers
        .get_all("connection")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_lowercase())
        .collect();
    let kept = headers
        .iter()
        .filter(|(name, _)| !is_hop_by_hop(name) && !named.iter().any(|hop| hop == name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn passed_on(response: Response, length: Length) -> Forwarded {
    Forwarded {
        status: response.status().as_u16(),
        headers: without_hops(response.headers()),
        body: chunks(response, length).boxed(),
    }
}

fn chunks(response: Response, length: Length) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    unfold(Some((response, 0_usize)), move |state| async move {
        let (mut response, so_far) = state?;
        let chunk = match length {
            Length::Endless => response.chunk().await,
            Length::Bounded => match timeout(STALLED, response.chunk()).await {
                Ok(chunk) => chunk,
                Err(_) => return Some((Err(std::io::ErrorKind::TimedOut.into()), None)),
            },
        };
        match chunk {
            Ok(None) => None,
            Ok(Some(chunk)) => {
                let so_far = so_far.saturating_add(chunk.len());
                if length == Length::Bounded && so_far > MAX_ANSWER_BYTES {
                    return Some((Err(std::io::Error::other("the answer is too large")), None));
                }
                Some((Ok(chunk), Some((response, so_far))))
            }
            Err(error) => Some((Err(std::io::Error::other(error.without_url())), None)),
        }
    })
}
