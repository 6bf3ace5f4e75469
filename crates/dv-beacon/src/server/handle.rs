//! One request of a validator client, from its headers to its answer.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::{Bytes, BytesMut};
use coxswain_dv_eth::beacon::{CallError, Failure};
use coxswain_dv_eth::client::Problem;
use futures::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::timeout;

use super::accept::{sent, wanted};
use super::parse::{Incoming, Parsed, parse};
use super::render::{self, Reply};
use super::route::{Endpoint, Route, find, is_plain};
use super::{Shared, head, lock};
use crate::client::{Forward, Forwarded};

/// Largest body that is passed on: lists of subscriptions of many validators.
const MAX_FORWARDED_BYTES: usize = 16 << 20;
/// Times of a request that a beacon node may take to open a stream of events: some send its head with the first event.
const OPENING: u32 = 3;
/// Most of a body that is read only to be dropped, so that the client hears the answer.
const MAX_DROPPED_BYTES: usize = 16 << 20;

/// Two letters that stand for this program, where others have LH or TK.
const CODE: &str = "CW";
/// Four bytes of a commit: programs are not built with theirs.
const NO_COMMIT: &str = "0x00000000";

/// Ends when the server stops.
pub(super) async fn until_stopped(mut stopped: watch::Receiver<bool>) {
    // An error says that the server is gone.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

pub(super) async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let begun = Instant::now();
    let path = request.uri().path().to_owned();
    if let Some(agent) = text(request.headers(), "user-agent") {
        lock(&shared.metrics).agent(agent);
    }
    if !is_plain(&path) {
        return written(Reply::problem(Problem::new(
            400,
            "the path has parts that no path of the Beacon API has",
        )));
    }
    let Some((route, parts)) = find(request.method().as_str(), &path) else {
        let answer = pass_on(&shared, request).await;
        lock(&shared.metrics).passed_on(&path, answer.status().as_u16(), begun.elapsed());
        return answer;
    };
    if route.endpoint == Endpoint::Events {
        return follow(&shared, request).await;
    }
    let served = timeout(shared.timeout, serve(&shared, route, parts, request)).await;
    let reply = match served {
        Ok(Ok(reply)) => reply,
        Ok(Err(problem)) => refused(route, problem),
        Err(_) => {
            let waited = shared.timeout.as_secs_f32();
            refused(route, Problem::new(408, format!("there was no answer within {waited} s")))
        }
    };
    lock(&shared.metrics).finished(route.name, reply.status, begun.elapsed());
    written(reply)
}

fn refused(route: &Route, problem: Problem) -> Reply {
    let (endpoint, status, message) = (route.name, problem.status, problem.message.as_str());
    if (400..500).contains(&status) {
        tracing::debug!(endpoint, status, message, "a request of a validator client is refused");
    } else {
        tracing::warn!(endpoint, status, message, "a request of a validator client failed");
    }
    Reply::problem(problem)
}

/// A request that the node answers.
async fn serve(
    shared: &Shared,
    route: &'static Route,
    parts: Vec<&str>,
    request: Request,
) -> Result<Reply, Problem> {
    let (head, body) = request.into_parts();
    let media = route.media();
    let kind = text(&head.headers, header::CONTENT_TYPE.as_str());
    let sent = sent(kind, media)?;
    *lock(&shared.metrics).requests.entry((route.name, sent.name())).or_default() += 1;
    if matches!(
        route.endpoint,
        Endpoint::Swallowed | Endpoint::Retired | Endpoint::NodeVersion | Endpoint::NodeVersionV2
    ) {
        drain(body).await;
        return match route.endpoint {
            Endpoint::NodeVersion => Ok(version(&shared.version)),
            Endpoint::NodeVersionV2 => Ok(version_in_parts(&shared.version)),
            Endpoint::Swallowed => Ok(Reply::done()),
            _ => Err(Problem::new(404, "this endpoint is retired; use its latest version")),
        };
    }
    let body = whole(shared, body, route.max_body_bytes()).await?;
    let wanted = wanted(text(&head.headers, header::ACCEPT.as_str()));
    let incoming = Incoming {
        parts,
        query: head.uri.query().unwrap_or_default(),
        version: text(&head.headers, "eth-consensus-version"),
        sent,
        body: &body.bytes,
    };
    match parse(route.endpoint, &incoming)? {
        Parsed::Reply(reply) => Ok(reply),
        Parsed::Ask(ask) => {
            let answer = shared.node.serve(ask).await?;
            Ok(render::answer(route.endpoint, &answer, wanted))
        }
    }
}

fn version(text: &str) -> Reply {
    #[derive(serde::Serialize)]
    struct Document<'a> {
        version: &'a str,
    }
    Reply::data(&Document { version: text })
}

/// `GetVersionV2Response` of the Beacon API: what the execution client is is not known here, and may be left out.
fn version_in_parts(text: &str) -> Reply {
    /// `ClientVersionV1` of the Engine API.
    #[derive(serde::Serialize)]
    struct Client<'a> {
        code: &'a str,
        name: &'a str,
        version: &'a str,
        commit: &'a str,
    }
    #[derive(serde::Serialize)]
    struct Document<'a> {
        beacon_node: Client<'a>,
    }
    let (name, version) = text.split_once('/').unwrap_or((text, text));
    Reply::data(&Document { beacon_node: Client { code: CODE, name, version, commit: NO_COMMIT } })
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// A body, and its place among those that are held.
struct Whole {
    bytes: Bytes,
    place: Option<OwnedSemaphorePermit>,
}

/// A whole body, up to a limit.
async fn whole(shared: &Shared, body: Body, limit: usize) -> Result<Whole, Problem> {
    let full = || Problem::new(503, "too many large requests are being read; send it again");
    let mut chunks = body.into_data_stream();
    let mut read = BytesMut::new();
    let mut place: Option<OwnedSemaphorePermit> = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::new(400, "the body broke off"))?;
        if read.len() + chunk.len() > limit {
            return Err(Problem::new(413, format!("the body is larger than {limit} bytes")));
        }
        let bytes = u32::try_from(chunk.len()).map_err(|_| full())?;
        let more = Arc::clone(&shared.held).try_acquire_many_owned(bytes).map_err(|_| full())?;
        match &mut place {
            Some(place) => place.merge(more),
            None => place = Some(more),
        }
        read.extend_from_slice(&chunk);
    }
    Ok(Whole { bytes: read.freeze(), place })
}

/// Reads a body that nobody looks at.
async fn drain(body: Body) {
    let mut chunks = body.into_data_stream();
    let mut left = MAX_DROPPED_BYTES;
    while let Some(Ok(chunk)) = chunks.next().await {
        let Some(rest) = left.checked_sub(chunk.len()) else { return };
        left = rest;
    }
}

fn written(reply: Reply) -> Response<Body> {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(kind) = reply.content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// A request that the beacon nodes answer.
async fn pass_on(shared: &Shared, request: Request) -> Response<Body> {
    *lock(&shared.metrics).requests.entry(("proxy", "")).or_default() += 1;
    let forwarded = timeout(shared.timeout, async {
        let (request, _place) = forward(shared, request).await?;
        let passed_on = if head::is_asked_for(&request) {
            shared.head.ask(&shared.backends, request).await
        } else {
            shared.backends.forward(request).await
        };
        passed_on.map_err(|error| out_of_reach(&error))
    });
    match forwarded.await {
        Ok(Ok(forwarded)) => streamed(forwarded),
        Ok(Err(problem)) => written(Reply::problem(problem)),
        Err(_) => written(Reply::problem(Problem::new(408, "no beacon node answered in time"))),
    }
}

/// A stream of events: as long as both sides like, or until the server stops.
async fn follow(shared: &Shared, request: Request) -> Response<Body> {
    *lock(&shared.metrics).requests.entry(("events", "")).or_default() += 1;
    let opened = async {
        let (request, _place) = forward(shared, request).await?;
        let patience = shared.timeout.saturating_mul(OPENING);
        let opened = shared.backends.forward_events(request, patience).await;
        opened.map_err(|error| out_of_reach(&error))
    };
    match opened.await {
        Ok(mut forwarded) => {
            let stopped = Box::pin(until_stopped(shared.stopped.clone()));
            forwarded.body = forwarded.body.take_until(stopped).boxed();
            streamed(forwarded)
        }
        Err(problem) => {
            *lock(&shared.metrics).errors.entry(("events", problem.status)).or_default() += 1;
            written(Reply::problem(problem))
        }
    }
}

/// A request to be passed on, and the place of its body.
async fn forward(
    shared: &Shared,
    request: Request,
) -> Result<(Forward, Option<OwnedSemaphorePermit>), Problem> {
    let (head, body) = request.into_parts();
    let path_and_query =
        head.uri.path_and_query().map_or_else(|| head.uri.path().to_owned(), ToString::to_string);
    let body = whole(shared, body, MAX_FORWARDED_BYTES).await?;
    let forward = Forward { method: head.method, path_and_query, headers: head.headers, body: body.bytes };
    Ok((forward, body.place))
}

fn out_of_reach(error: &CallError) -> Problem {
    let status = match error.failure {
        Failure::NotYet => 503,
        Failure::Network | Failure::Refused | Failure::Malformed => 502,
    };
    Problem::new(status, error.to_string())
}

fn streamed(forwarded: Forwarded) -> Response<Body> {
    let mut response = Response::new(Body::from_stream(forwarded.body));
    *response.status_mut() = StatusCode::from_u16(forwarded.status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = forwarded.headers;
    response
}
